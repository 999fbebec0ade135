/* SPDX-License-Identifier: ISC */
/*
 * What was promised, and what came.  Between nodes there are no duplicates at
 * all: what is delivered twice came from the same message in the same spool.
 * And nobody is told what is not so.
 */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdlib.h>

static void
digest_of(struct slice s, unsigned char digest[SHA256_LEN])
{
	struct sha256 h;

	sha256_init(&h);
	sha256_add(&h, s.ptr, s.len);
	sha256_end(&h, digest);
}

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

/*
 * Notices.
 */
#define FIELD "\r\nFinal-Recipient: rfc822;"
#define ACTION "\r\nAction: "

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

static void
record_action(struct world *w, struct rcpt_truth *rt, const char *action,
    size_t len)
{
	struct slice a = { action, len };

	if (slice_eqs(a, "failed"))
		rt->failed++;
	else if (slice_eqs(a, "delayed"))
		rt->delayed++;
	else if (slice_eqs(a, "relayed"))
		rt->relayed++;
	else if (slice_eqs(a, "delivered"))
		rt->arrived++;
	else
		wrong(w, "a notice with the action %.*s", (int)len, action);
}

/* One field of a notice: the address at its front, the action behind. */
static void
record_field(struct world *w, struct mail *mail, struct slice in)
{
	const char *end = memchr(in.ptr, '\r', in.len);
	const char *action = memmem(in.ptr, in.len, ACTION, strlen(ACTION));
	const char *stop;
	struct rcpt_truth *rt;

	if (end == NULL || action == NULL || in.ptr[0] == 's')
		return;
	action += strlen(ACTION);
	stop = memchr(action, '\r', in.len - (size_t)(action - in.ptr));
	rt = mails_rcpt(mail, (struct slice){ in.ptr,
	    (size_t)(end - in.ptr) });
	if (rt == NULL)
		wrong(w, "mail %" PRIu64 ": a notice about somebody else",
		    mail->id);
	else if (stop != NULL)
		record_action(w, rt, action, (size_t)(stop - action));
}

/* A notice: who of which mail is told of? */
static void
record_notice(struct site *s, const char *to, struct slice content)
{
	struct mail *mail = mails_find(s->world, notice_mail(to, content));
	const char *at;

	if (mail == NULL)
		return;			/* about a notice */
	while ((at = memmem(content.ptr, content.len, FIELD,
	    strlen(FIELD))) != NULL) {
		at += strlen(FIELD);
		content.len -= (size_t)(at - content.ptr);
		content.ptr = at;
		record_field(s->world, mail, content);
	}
}

/* Those that tell of a broken object are of another kind. */
static bool
is_notice(const struct message *m, struct slice content, bool *report_out)
{
	static const char from[] = "From: Mail Delivery System";

	*report_out = memmem(content.ptr, content.len < 2000 ? content.len :
	    2000, "multipart/report", strlen("multipart/report")) != NULL;
	return m->env.sender[0] == '\0' && content.len > sizeof(from) &&
	    memcmp(content.ptr, from, sizeof(from) - 1) == 0;
}

/*
 * Mail.
 */
static void
record_mail(struct site *s, const struct message *m, const char *to,
    struct slice content)
{
	struct world *w = s->world;
	uint64_t id = m->env.sender[0] == 's' ?
	    number_at(slice_of(m->env.sender + 1)) :
	    number_after(content, "X-Sim: ");
	struct mail *mail = mails_find(w, id);
	unsigned char digest[SHA256_LEN];
	struct rcpt_truth *rt;

	if (mail == NULL) {
		wrong(w, "a mail that nobody sent came to %s", to);
		return;
	}
	digest_of(content, digest);
	if (memcmp(digest, mail->digest, sizeof(digest)) != 0)
		wrong(w, "mail %" PRIu64 " came changed", id);
	rt = mails_rcpt(mail, slice_of(to));
	if (rt == NULL || plan_home(w, to) != s) {
		wrong(w, "mail %" PRIu64 " came to %s at %s", id, to, s->name);
		return;
	}
	if (rt->delivered > 0 && (rt->where != s || rt->message != m->id))
		wrong(w, "mail %" PRIu64 " came to %s twice, as two messages",
		    id, to);
	rt->delivered++;
	rt->where = s;
	rt->message = m->id;
}

enum delivery_verdict
truth_deliver(struct site *s, const struct message *m, size_t rcpt,
    struct slice content, const char **status_out)
{
	const char *to = m->env.rcpt[rcpt].address;
	bool report;

	*status_out = "2.0.0";
	if (strncmp(to, "full.", 5) == 0) {
		*status_out = "5.2.2";
		return VERDICT_FAILED;
	}
	*status_out = "4.2.0";
	if (strncmp(to, "never.", 6) == 0 ||
	    mishap(s->world, s->world->weather.deferred) ||
	    (strncmp(to, "flaky.", 6) == 0 && roll(s->world, 2) == 0))
		return VERDICT_RETRY;
	*status_out = "2.0.0";
	if (!is_notice(m, content, &report))
		record_mail(s, m, to, content);
	else if (report)
		record_notice(s, to, content);
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

/* Is what was told true, and was it asked for? */
static void
check_told(struct world *w, const struct mail *mail,
    const struct rcpt_truth *rt)
{
	bool sender = mail->sender[0] != '\0';

	if (sender && rt->failed > 0 &&
	    (rt->notify & SMTP_NOTIFY_FAILURE) == 0)
		wrong(w, "mail %" PRIu64 " to %s: told of failure, which "
		    "nobody wanted", mail->id, rt->address);
	if (rt->delayed > 0 && (rt->notify & SMTP_NOTIFY_DELAY) == 0)
		wrong(w, "mail %" PRIu64 " to %s: told of delay, which nobody "
		    "wanted", mail->id, rt->address);
	if (rt->arrived + rt->relayed > 0 &&
	    (rt->notify & SMTP_NOTIFY_SUCCESS) == 0)
		wrong(w, "mail %" PRIu64 " to %s: told of success, which "
		    "nobody wanted", mail->id, rt->address);
	if (rt->arrived > 0 && rt->delivered == 0)
		wrong(w, "mail %" PRIu64 " to %s: told that it came, which it "
		    "did not", mail->id, rt->address);
}

/* Without any fault everything is exact. */
static void
check_calm(struct world *w, const struct mail *mail,
    const struct rcpt_truth *rt)
{
	unsigned success = (rt->notify & SMTP_NOTIFY_SUCCESS) != 0 &&
	    mail->sender[0] != '\0';

	if (rt->delivered + rt->failed > 1)
		wrong(w, "mail %" PRIu64 " to %s: came %u times, told of "
		    "failure %u times", mail->id, rt->address, rt->delivered,
		    rt->failed);
	if (may_fail(rt) || mail->open)
		return;
	if (rt->delivered != 1)
		wrong(w, "mail %" PRIu64 " to %s came %u times", mail->id,
		    rt->address, rt->delivered);
	if (rt->arrived != success)
		wrong(w, "mail %" PRIu64 " to %s: told of success %u times",
		    mail->id, rt->address, rt->arrived);
}

static void
check_rcpt(struct world *w, const struct mail *mail,
    const struct rcpt_truth *rt)
{
	/* A mail that ends without a line end may be refused by a road; who
	 * does not want to be told is not told of that either. */
	if (rt->delivered + rt->failed == 0 &&
	    (rt->notify & SMTP_NOTIFY_FAILURE) != 0)
		wrong(w, "mail %" PRIu64 " to %s is lost", mail->id,
		    rt->address);
	if (rt->delivered > 0 && may_fail(rt))
		wrong(w, "mail %" PRIu64 " to %s came", mail->id,
		    rt->address);
	check_told(w, mail, rt);
	if (w->set.calm)
		check_calm(w, mail, rt);
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
