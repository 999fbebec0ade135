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
#define NOT_CONFIRMED "not confirmed"
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
    size_t len, bool unsure)
{
	struct slice a = { action, len };

	if (slice_eqs(a, "failed") && unsure)
		w->unsure++, rt->unsure++, rt->failed++;
	else if (slice_eqs(a, "failed"))
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
record_field(struct world *w, struct mail *mail, struct slice in, bool unsure)
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
		record_action(w, rt, action, (size_t)(stop - action),
		    unsure);
}

/* A notice: who of which mail is told of? */
static void
record_notice(struct site *s, const char *to, struct slice content)
{
	struct mail *mail = mails_find(s->world, notice_mail(to, content));
	const char *at;
	bool unsure = memmem(content.ptr, content.len, NOT_CONFIRMED,
	    strlen(NOT_CONFIRMED)) != NULL;

	if (mail == NULL)
		return;			/* about a notice */
	while ((at = memmem(content.ptr, content.len, FIELD,
	    strlen(FIELD))) != NULL) {
		at += strlen(FIELD);
		content.len -= (size_t)(at - content.ptr);
		content.ptr = at;
		record_field(s->world, mail, content, unsure);
	}
}

/* Those that tell of a broken object are of another kind. */
static bool
is_notice(const struct message *m, struct slice content, bool *report_out)
{
	static const char from[] = "From: Mail Delivery System";

	*report_out = false;
	if (content.len == 0)
		return false;
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
	if (rt->delivered > 0 && !rt->may_repeat &&
	    (rt->where != s || rt->message != m->id))
		wrong(w, "mail %" PRIu64 " came to %s twice, as two messages",
		    id, to);
	rt->delivered++;
	rt->where = s;
	rt->message = m->id;
	rt->when_ms = w->now_ms;
	rt->may_repeat = false;
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
 * Sites that lose what they know.
 */
static void
excuse_notice(struct mail *mail, struct slice content)
{
	const char *at, *end;
	struct rcpt_truth *rt;

	while ((at = memmem(content.ptr, content.len, FIELD,
	    strlen(FIELD))) != NULL) {
		at += strlen(FIELD);
		content.len -= (size_t)(at - content.ptr);
		content.ptr = at;
		end = memchr(at, '\r', content.len);
		rt = end == NULL ? NULL : mails_rcpt(mail,
		    (struct slice){ at, (size_t)(end - at) });
		if (rt != NULL)
			rt->may_lose = true;
	}
}

static void
excuse_message(struct site *s, const struct message *m)
{
	struct buf content = BUF_INIT;
	struct rcpt_truth *rt;
	struct err e = ERR_INIT;
	struct mail *mail;
	bool report;
	size_t i;

	if (site_read(s, m->id, &content, &e) != 0)
		wrong(s->world, "%s: message %s cannot be read: %d %s",
		    s->name, message_name(m->id).s, e.code, e.text);
	if (is_notice(m, buf_slice(&content), &report)) {
		mail = mails_find(s->world, notice_mail(
		    m->env.rcpt[0].address, buf_slice(&content)));
		if (mail != NULL)
			excuse_notice(mail, buf_slice(&content));
	} else {
		mail = mails_find(s->world, m->env.sender[0] == 's' ?
		    number_at(slice_of(m->env.sender + 1)) :
		    number_after(buf_slice(&content), "X-Sim: "));
		for (i = 0; mail != NULL && i < m->env.nrcpt; i++) {
			rt = mails_rcpt(mail,
			    slice_of(m->env.rcpt[i].address));
			if (rt != NULL)
				rt->may_lose = true;
		}
	}
	buf_release(&content);
}

static void
excuse_spool(struct site *s)
{
	struct err e = ERR_INIT;
	struct message m;
	uint64_t id = 0;

	store_mem_disk_revive(s->disk);
	if (site_open_spool(s, &e) != 0) {
		wrong(s->world, "%s: %s", s->name, e.text);
		return;
	}
	message_init(&m);
	while (spool_next_message(s->spool, &id, &m, &e) == 0) {
		excuse_message(s, &m);
		message_release(&m);
		message_init(&m);
	}
	message_release(&m);
	spool_close(s->spool);
	s->spool = NULL;
}

void
truth_excuse(struct site *s, int64_t since_ms)
{
	struct world *w = s->world;
	size_t i, k;

	excuse_spool(s);
	for (i = 0; i < w->nmails; i++) {
		for (k = 0; k < w->mail[i]->nrcpt; k++) {
			struct rcpt_truth *rt = &w->mail[i]->rcpt[k];

			if (rt->where == s && rt->when_ms + 1000 >= since_ms)
				rt->may_repeat = true;
		}
	}
}
