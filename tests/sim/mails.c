/* SPDX-License-Identifier: ISC */
/*
 * What is submitted: who writes to whom, how much, and what they want to be
 * told.  A mail is known again by its envelope sender, which is its own, or by
 * its first header line where the sender is null.
 */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdlib.h>

struct mail *
mails_find(struct world *w, uint64_t id)
{
	return id >= 1 && id <= w->nmails ? w->mail[id - 1] : NULL;
}

struct rcpt_truth *
mails_rcpt(struct mail *mail, struct slice address)
{
	size_t i;

	for (i = 0; i < mail->nrcpt; i++) {
		if (slice_eqs(address, mail->rcpt[i].address))
			return &mail->rcpt[i];
	}
	return NULL;
}

void
mails_free(struct world *w)
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

/*
 * Content.
 */
static void
fill_line(struct world *w, struct buf *b)
{
	size_t i, n = roll(w, 90);
	char *to = buf_room(b, n);
	uint64_t bits = 0;

	for (i = 0; i < n; i++, bits >>= 6) {
		if (i % 10 == 0)
			bits = roll(w, UINT64_MAX);
		to[i] = (char)('.' + (bits & 63));
	}
	buf_grown(b, n);
	if (n == 70)
		buf_adds(b, "\xc3\xa9");
	buf_adds(b, n == 50 ? "\r\n.\r\n" : "\r\n");
}

static size_t
some_length(struct world *w)
{
	switch (roll(w, 30)) {
	case 0:
		return roll(w, 300000);
	case 1:
	case 2:
		return roll(w, 80000);
	default:
		return roll(w, 2000);
	}
}

static void
fill_content(struct world *w, struct mail *mail, struct buf *b)
{
	size_t size = some_length(w);

	if (mail->sender[0] != '\0' && roll(w, 15) == 0)
		return;			/* no octets at all */
	buf_addf(b, "X-Sim: %" PRIu64 "\r\n\r\n", mail->id);
	while (b->len < size)
		fill_line(w, b);
	mail->open = roll(w, 12) == 0;
	if (mail->open)
		buf_adds(b, "an end without a line end");
}

/*
 * Envelopes.
 */
static struct site *
some_site(struct world *w)
{
	return &w->site[roll(w, w->nsites)];
}

static char *
some_address(struct world *w, uint64_t id, size_t i)
{
	static const char *const users[] = { "flaky", "full", "never" };
	const char *site = some_site(w)->name;

	switch (roll(w, 24)) {
	case 0:
	case 1:
		return mem_printf("ann@staff.%s.example", site);
	case 2:
	case 3:
		return mem_printf("nobody@staff.%s.example", site);
	case 4:
		return mem_printf("x%" PRIu64 "@nowhere.example", id);
	case 5:
	case 6:
		return mem_printf("%s.%zu@%s.example", users[roll(w, 3)], i,
		    site);
	default:
		return mem_printf("u%" PRIu64 ".%zu@%s.example", 1 +
		    roll(w, 4), i, site);
	}
}

static struct mail *
mail_new(struct site *s)
{
	struct world *w = s->world;
	struct mail *mail = mem_alloc(1, sizeof(*mail));
	const char *site = roll(w, 4) == 0 ? some_site(w)->name : s->name;

	mail->id = w->nmails + 1;
	mail->at = s;
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

static const char *
some_notify(struct world *w)
{
	static const char *const words[] = { "NEVER", "FAILURE", "SUCCESS",
		"SUCCESS,FAILURE", "FAILURE,DELAY", "SUCCESS,FAILURE,DELAY" };

	return roll(w, 2) == 0 ? NULL :
	    words[roll(w, sizeof(words) / sizeof(words[0]))];
}

static void
add_recipients(struct site *s, struct mail *mail, struct envelope *env)
{
	struct world *w = s->world;
	struct smtp_refusal r;
	size_t i, n = roll(w, 25) == 0 ? 120 : 1 + roll(w, 4);
	const char *notify;
	char *address;

	mail->rcpt = mem_alloc(n, sizeof(*mail->rcpt));
	for (i = 0; i < n; i++) {
		address = some_address(w, mail->id, i);
		if (mails_rcpt(mail, slice_of(address)) != NULL ||
		    exchange_check_recipient(s->x, address, 0, &r) != 0) {
			free(address);
			continue;
		}
		if (strstr(address, "@nowhere.") != NULL)
			wrong(w, "%s took mail for %s", s->name, address);
		notify = some_notify(w);
		(void)envelope_add_recipient(env, address, notify, NULL);
		mail->rcpt[mail->nrcpt].notify = smtp_notify_parse(notify ==
		    NULL ? "FAILURE" : notify);
		mail->rcpt[mail->nrcpt++].address = address;
	}
}

static void
fill_envelope(struct site *s, struct mail *mail, struct message *m)
{
	struct world *w = s->world;

	m->env.sender = mem_strdup(mail->sender);
	m->env.body = SMTP_BODY_8BITMIME;
	m->source = mem_strdup("sim");
	if (roll(w, 6) == 0) {
		m->env.timing.priority_given = true;
		m->env.timing.priority = (int)roll(w, 19) - 9;
	}
	if (roll(w, 6) == 0)
		m->env.ret = roll(w, 2) == 0 ? SMTP_RET_FULL : SMTP_RET_HDRS;
	add_recipients(s, mail, &m->env);
}

/*
 * Submission.
 */
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
	struct sha256 h;
	struct message m;

	message_init(&m);
	fill_content(s->world, mail, &b);
	fill_envelope(s, mail, &m);
	sha256_init(&h);
	sha256_add(&h, b.ptr, b.len);
	sha256_end(&h, mail->digest);
	d = spool_draft_new(s->spool);
	if (m.env.nrcpt == 0 || exchange_check_room(s->x, b.len, &r) != 0 ||
	    write_draft(d, &b) != 0 ||
	    exchange_accept(s->x, d, &m, mail, &r) != 0)
		spool_draft_free(d);
	message_release(&m);
	buf_release(&b);
}

void
mails_submit(struct site *s, uint64_t n)
{
	while (s->up && n-- > 0)
		submit(s);
}

void
mails_completed(struct site *s, const struct exchange_completion *c)
{
	struct mail *mail = c->cookie;

	if (!c->durable)
		return;
	mail->accepted = true;
	tell(s->world, s->name, "sim: mail %" PRIu64 " is message %s",
	    mail->id, message_name(c->id).s);
}
