/* SPDX-License-Identifier: ISC */
/*
 * What senders were promised, and what came.  A mail is known again by its
 * envelope sender, which is its own, or by its first header line where the
 * sender is null.  Between nodes there are no duplicates at all: what is
 * delivered twice came from the same message in the same spool.
 */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const sites[SITES] = { "paris", "london", "oslo" };

static void
digest_of(struct slice s, unsigned char digest[SHA256_LEN])
{
	struct sha256 h;

	sha256_init(&h);
	sha256_add(&h, s.ptr, s.len);
	sha256_end(&h, digest);
}

/*
 * Submission.
 */
static void
fill_content(struct world *w, const struct mail *mail, struct buf *b)
{
	size_t size = roll(w, 8) == 0 ? roll(w, 300000) : roll(w, 3000);
	size_t start = b->len;

	if (mail->sender[0] != '\0' && roll(w, 15) == 0)
		return;			/* no octets at all */
	buf_addf(b, "X-Sim: %" PRIu64 "\r\n\r\n", mail->id);
	while (b->len - start < size) {
		size_t i, n = roll(w, 90);

		for (i = 0; i < n; i++)
			buf_addc(b, (char)(roll(w, 40) == 0 ? '.' :
			    ' ' + (int)roll(w, 95)));
		if (roll(w, 20) == 0)
			buf_adds(b, "\xc3\xa9");
		buf_adds(b, roll(w, 30) == 0 ? "\r\n.\r\n" : "\r\n");
	}
	if (roll(w, 12) == 0)
		buf_adds(b, "an end without a line end");
}

static char *
some_address(struct world *w, uint64_t id, size_t i)
{
	static const char *const users[] = { "u1", "u2", "u3", "u4", "u5",
	    "flaky", "full", "never" };
	const char *site = sites[roll(w, SITES)];

	switch (roll(w, 12)) {
	case 0:
		return mem_printf("ann@staff.%s.example", site);
	case 1:
		return mem_printf("nobody@staff.%s.example", site);
	case 2:
		return mem_printf("x%" PRIu64 "@nowhere.example", id);
	default:
		break;
	}
	return mem_printf("%s.%zu@%s.example", users[roll(w, roll(w, 3) == 0 ?
	    8 : 5)], i, site);
}

static struct mail *
mail_new(struct site *s)
{
	struct world *w = s->world;
	struct mail *mail = mem_alloc(1, sizeof(*mail));
	const char *site = roll(w, 4) == 0 ? sites[roll(w, SITES)] : s->name;

	mail->id = w->nmails + 1;
	if (roll(w, 10) == 0)
		mail->sender = mem_strdup("");
	else if (roll(w, 12) == 0)
		mail->sender = mem_printf("s%" PRIu64 "@outside.example",
		    mail->id);
	else
		mail->sender = mem_printf("s%" PRIu64 "@%s.example", mail->id,
		    site);
	w->mail = mem_realloc(w->mail, w->nmails + 1, sizeof(struct mail *));
	w->mail[w->nmails++] = mail;
	return mail;
}

static bool
has_rcpt(const struct mail *mail, const char *address)
{
	size_t i;

	for (i = 0; i < mail->nrcpt; i++) {
		if (strcmp(mail->rcpt[i].address, address) == 0)
			return true;
	}
	return false;
}

static void
add_recipients(struct site *s, struct mail *mail, struct envelope *env)
{
	struct world *w = s->world;
	struct smtp_refusal r;
	size_t i, n = roll(w, 20) == 0 ? 120 : 1 + roll(w, 4);
	char *address;
	bool never;

	mail->rcpt = mem_alloc(n, sizeof(*mail->rcpt));
	for (i = 0; i < n; i++) {
		address = some_address(w, mail->id, i);
		if (has_rcpt(mail, address) ||
		    exchange_check_recipient(s->x, address, 0, &r) != 0) {
			free(address);
			continue;
		}
		if (strstr(address, "@nowhere.") != NULL)
			wrong(w, "%s took mail for %s", s->name, address);
		never = roll(w, 10) == 0;
		(void)envelope_add_recipient(env, address,
		    never ? "NEVER" : NULL, NULL);
		mail->rcpt[mail->nrcpt].never = never;
		mail->rcpt[mail->nrcpt++].address = address;
	}
}

static int
write_draft(struct spool_draft *d, const struct buf *b)
{
	struct err e = ERR_INIT;
	size_t at, n;

	for (at = 0; at < b->len; at += n) {
		n = b->len - at < 10000 ? b->len - at : 10000;
		if (spool_draft_add(d, b->ptr + at, n, &e) != 0)
			return -1;
	}
	return spool_draft_end(d, &e);
}

static void
submit(struct site *s)
{
	struct mail *mail = mail_new(s);
	struct smtp_refusal r;
	struct buf b = BUF_INIT;
	struct spool_draft *d;
	struct message m;

	message_init(&m);
	m.env.sender = mem_strdup(mail->sender);
	m.env.body = SMTP_BODY_8BITMIME;
	m.source = mem_strdup("sim");
	fill_content(s->world, mail, &b);
	digest_of(buf_slice(&b), mail->digest);
	add_recipients(s, mail, &m.env);
	d = spool_draft_new(s->spool);
	if (m.env.nrcpt == 0 || exchange_check_room(s->x, b.len, &r) != 0 ||
	    write_draft(d, &b) != 0 ||
	    exchange_accept(s->x, d, &m, mail, &r) != 0)
		spool_draft_free(d);
	message_release(&m);
	buf_release(&b);
}

void
truth_submit(struct site *s)
{
	uint64_t n = 1 + roll(s->world, 5);

	while (s->up && n-- > 0)
		submit(s);
}

void
truth_completed(struct site *s, const struct exchange_completion *c)
{
	struct mail *mail = c->cookie;

	if (!c->durable)
		return;
	mail->accepted = true;
	tell(s->world, s->name, "sim: mail %" PRIu64 " is message %s",
	    mail->id, message_name(c->id).s);
}

/*
 * Delivery.
 */
static uint64_t
number_at(struct slice text)
{
	size_t n = 0;
	uint64_t v = 0;

	while (n < text.len && text.ptr[n] >= '0' && text.ptr[n] <= '9')
		n++;
	return num_parse((struct slice){ text.ptr, n }, UINT32_MAX, &v) == 0 ?
	    v : 0;
}

static struct mail *
mail_of(struct world *w, uint64_t id)
{
	return id >= 1 && id <= w->nmails ? w->mail[id - 1] : NULL;
}

/* The number behind a text, or 0. */
static uint64_t
number_after(struct slice in, const char *text)
{
	const char *at = memmem(in.ptr, in.len, text, strlen(text));
	size_t used;

	if (at == NULL)
		return 0;
	used = (size_t)(at - in.ptr) + strlen(text);
	return number_at((struct slice){ in.ptr + used, in.len - used });
}

static struct rcpt_truth *
rcpt_of(struct mail *mail, struct slice address)
{
	size_t i;

	for (i = 0; i < mail->nrcpt; i++) {
		if (slice_eqs(address, mail->rcpt[i].address))
			return &mail->rcpt[i];
	}
	return NULL;
}

#define FIELD "\r\nFinal-Recipient: rfc822;"

/* What reaches the postmaster is about a mail without sender, or about a
 * notice, which is inside. */
static uint64_t
notice_mail(const char *to, struct slice content)
{
	uint64_t id;

	if (to[0] == 's')
		return number_at(slice_of(to + 1));
	id = number_after(content, FIELD "s");
	return id != 0 ? id : number_after(content, "X-Sim: ");
}

/* A notice: who of which mail is told of? */
static void
record_notice(struct site *s, const char *to, struct slice content)
{
	static const char field[] = FIELD;
	uint64_t id = notice_mail(to, content);
	struct mail *mail = mail_of(s->world, id);
	struct rcpt_truth *rt;
	const char *at, *end;

	if (mail == NULL)
		return;			/* of a broken object, or a notice */
	while ((at = memmem(content.ptr, content.len, field,
	    sizeof(field) - 1)) != NULL) {
		at += sizeof(field) - 1;
		content.len -= (size_t)(at - content.ptr);
		content.ptr = at;
		end = memchr(at, '\r', content.len);
		if (end == NULL)
			return;
		rt = rcpt_of(mail, (struct slice){ at, (size_t)(end - at) });
		if (rt != NULL)
			rt->told++;
		else if (at[0] != 's')
			wrong(s->world, "mail %" PRIu64 ": a notice about "
			    "somebody else", id);
	}
}

static bool
is_notice(const struct message *m, struct slice content)
{
	static const char from[] = "From: Mail Delivery System";

	return m->env.sender[0] == '\0' && content.len > sizeof(from) &&
	    memcmp(content.ptr, from, sizeof(from) - 1) == 0;
}

static void
record_mail(struct site *s, const struct message *m, const char *to,
    struct slice content)
{
	uint64_t id = m->env.sender[0] == 's' ?
	    number_at(slice_of(m->env.sender + 1)) :
	    number_after(content, "X-Sim: ");
	struct mail *mail = mail_of(s->world, id);
	unsigned char digest[SHA256_LEN];
	struct rcpt_truth *rt;

	if (mail == NULL) {
		wrong(s->world, "a mail that nobody sent came to %s", to);
		return;
	}
	digest_of(content, digest);
	if (memcmp(digest, mail->digest, sizeof(digest)) != 0)
		wrong(s->world, "mail %" PRIu64 " came changed", id);
	rt = rcpt_of(mail, slice_of(to));
	if (rt == NULL || strstr(to, s->name) == NULL) {
		wrong(s->world, "mail %" PRIu64 " came to %s at %s", id, to,
		    s->name);
		return;
	}
	if (rt->delivered > 0 &&
	    (rt->where != s || rt->message != m->id))
		wrong(s->world, "mail %" PRIu64 " came to %s twice, as two "
		    "messages", id, to);
	rt->delivered++;
	rt->where = s;
	rt->message = m->id;
}

enum delivery_verdict
truth_deliver(struct site *s, const struct message *m, size_t rcpt,
    struct slice content, const char **status_out)
{
	const char *to = m->env.rcpt[rcpt].address;

	*status_out = "2.0.0";
	if (strncmp(to, "full.", 5) == 0) {
		*status_out = "5.2.2";
		return VERDICT_FAILED;
	}
	*status_out = "4.2.0";
	if (strncmp(to, "never.", 6) == 0 || mishap(s->world, 20) ||
	    (strncmp(to, "flaky.", 6) == 0 && roll(s->world, 2) == 0))
		return VERDICT_RETRY;
	*status_out = "2.0.0";
	if (is_notice(m, content))
		record_notice(s, to, content);
	else
		record_mail(s, m, to, content);
	tell(s->world, s->name, "sim: delivered %s to %s",
	    message_name(m->id).s, to);
	return VERDICT_DONE;
}

/*
 * The reckoning.
 */
static bool
may_fail(const struct rcpt_truth *rt)
{
	return strncmp(rt->address, "full.", 5) == 0 ||
	    strncmp(rt->address, "never.", 6) == 0 ||
	    strncmp(rt->address, "nobody@", 7) == 0;
}

static void
check_rcpt(struct world *w, const struct mail *mail,
    const struct rcpt_truth *rt)
{
	/* Nobody is told of what was not to be told; a mail that ends
	 * without a line end may be refused by a road, and nobody knows. */
	if (rt->delivered + rt->told == 0 && !rt->never)
		wrong(w, "mail %" PRIu64 " to %s is lost", mail->id,
		    rt->address);
	if (rt->never && rt->told > 0 && mail->sender[0] != '\0')
		wrong(w, "mail %" PRIu64 " to %s: told in spite of NEVER",
		    mail->id, rt->address);
	if (rt->delivered > 0 && may_fail(rt))
		wrong(w, "mail %" PRIu64 " to %s came", mail->id,
		    rt->address);
	if (w->set.calm && rt->delivered + rt->told > 1)
		wrong(w, "mail %" PRIu64 " to %s: came %u times, told %u "
		    "times", mail->id, rt->address, rt->delivered, rt->told);
}

void
truth_check(struct world *w)
{
	size_t i, k;

	for (i = 0; i < w->nmails; i++) {
		for (k = 0; w->mail[i]->accepted && k < w->mail[i]->nrcpt; k++)
			check_rcpt(w, w->mail[i], &w->mail[i]->rcpt[k]);
	}
}

void
truth_free(struct world *w)
{
	size_t i, k;

	for (i = 0; i < w->nmails; i++) {
		for (k = 0; k < w->mail[i]->nrcpt; k++)
			free(w->mail[i]->rcpt[k].address);
		free(w->mail[i]->rcpt);
		free(w->mail[i]->sender);
		free(w->mail[i]);
	}
	free(w->mail);
}
