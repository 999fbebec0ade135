/* SPDX-License-Identifier: ISC */
/*
 * The session: SMTP, LMTP, behind TLS, and in both kinds of batch.  However
 * the octets are cut, and whether the answers come at once or late, the same
 * events and the same replies come of them.  An octet HANDSHAKE in the input
 * stands for the end of a TLS handshake where STARTTLS was taken.
 */
#include <stdlib.h>

#include "smtp/address.h"
#include "smtp/extension.h"
#include "smtp/server.h"
#include "tests/fuzz/fuzz.h"

#define TLS_REPLY "220 2.0.0 Ready to start TLS\r\n"
#define HANDSHAKE '\x16' /* what a TLS handshake begins with */
#define HOLD_MAX 1000
#define HOLD_UNTIL_MAX 1800000000

struct player {
	const struct smtp_server_options *opts;
	struct smtp_server *s;
	struct buf events, content;
	bool begun, ended;
	bool tls_asked; /* STARTTLS was taken, no octet since */
	size_t tls_event, tls_reply; /* where its event and reply begin */
	bool late; /* answers wait for the next piece */
	bool owed; /* and this is one: */
	enum smtp_event_kind asked;
	struct smtp_refusal answer;
	size_t replies; /* how many lines it is to be */
};

static size_t
count_lines(struct slice text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++)
		n += text.ptr[i] == '\n';
	return n;
}

static void
give(struct player *p)
{
	const struct smtp_refusal *r = &p->answer;
	size_t before = count_lines(buf_slice(smtp_server_output(p->s)));
	size_t after;

	FUZZ_CHECK(smtp_server_waiting(p->s));
	smtp_server_answer(p->s, r->code, *r->status != '\0' ? r->status :
	    NULL, *r->text != '\0' ? r->text : NULL);
	after = count_lines(buf_slice(smtp_server_output(p->s)));
	FUZZ_CHECK(!smtp_server_waiting(p->s));
	FUZZ_CHECK(after - before <= p->replies);
	FUZZ_CHECK(p->asked != SMTP_EVENT_END ||
	    after - before == p->replies);
	p->owed = false;
}

static void
answer(struct player *p, int code, const char *status, const char *text)
{
	smtp_refuse(&p->answer, code, status, "%s", text);
	p->owed = true;
	if (!p->late)
		give(p);
}

/* Refusals can be had: by the first letter of the address. */
static void
answer_address(struct player *p, const char *address)
{
	struct slice local = address_local(address);
	char c = local.len > 0 ? *local.ptr : 'a';

	if (c == 'n')
		answer(p, 550, "5.1.1", "no");
	else if (c == 'q')
		answer(p, 421, "4.3.2", "later");
	else
		answer(p, 250, "", "");
}

static void
check_timing(const struct player *p, const struct smtp_timing *t)
{
	unsigned ext = p->opts->extensions;

	FUZZ_CHECK(t->priority >= -9 && t->priority <= 9);
	FUZZ_CHECK((ext & SMTP_EXT_MT_PRIORITY) != 0 || !t->priority_given);
	FUZZ_CHECK((ext & SMTP_EXT_DELIVERBY) != 0 || t->by == SMTP_BY_NONE);
	FUZZ_CHECK(t->by_secs <= SMTP_BY_MAX && t->by_secs >= -SMTP_BY_MAX);
	FUZZ_CHECK(t->by != SMTP_BY_RETURN || t->by_secs > 0);
	FUZZ_CHECK(t->hold != SMTP_HOLD_FOR || t->hold_value <= HOLD_MAX);
	FUZZ_CHECK(t->hold != SMTP_HOLD_UNTIL ||
	    t->hold_value <= HOLD_UNTIL_MAX);
}

static void
show_begin(struct player *p, const struct envelope *env)
{
	FUZZ_CHECK(env->sender != NULL);
	buf_adds(&p->events, "begin ");
	fuzz_show_envelope(&p->events, env);
	fuzz_show_timing(&p->events, &env->timing);
	check_timing(p, &env->timing);
	buf_clear(&p->content);
	p->begun = *env->sender != 'f';
	if (*env->sender == 'd')
		smtp_server_refuse_content(p->s, 452, "4.3.1", "full");
	if (p->begun)
		answer(p, 250, "", "");
	else
		answer(p, 452, "4.3.1", "full");
}

static void
show_content(struct player *p, const struct smtp_event *ev)
{
	FUZZ_CHECK(p->begun && ev->bytes.len > 0);
	buf_addslice(&p->content, ev->bytes);
}

/* By LMTP those who begin with a "p" are told something else. */
static void
answer_some(struct player *p, const struct envelope *env)
{
	struct smtp_refusal r;

	smtp_refuse(&r, 552, "5.3.4", "too large for you");
	for (size_t i = 0; p->opts->lmtp && i < env->nrcpt; i++) {
		if (env->rcpt[i].address[0] == 'p')
			smtp_server_answer_for(p->s, i, &r);
	}
}

static void
show_end(struct player *p, const struct smtp_event *ev)
{
	FUZZ_CHECK(p->begun);
	FUZZ_CHECK(ev->facts->octets == p->content.len);
	p->begun = false;
	buf_addf(&p->events, "end %x [", ev->facts->flags);
	buf_add(&p->events, p->content.ptr, p->content.len);
	buf_adds(&p->events, "] ");
	p->replies = p->opts->batch ? 0 :
	    p->opts->lmtp           ? ev->envelope->nrcpt :
				      1;
	answer_some(p, ev->envelope);
	if (*ev->envelope->sender == 'e')
		answer(p, 451, "4.3.0", "again");
	else
		answer(p, 250, "", "");
}

/* It depends on the pieces whether the session sees at STARTTLS already that
 * there is more in clear; both end it, and only one has said 220. */
static void
forget_starttls(struct player *p)
{
	struct buf *out = smtp_server_output(p->s);
	size_t end = p->tls_reply + strlen(TLS_REPLY);

	if (!p->tls_asked)
		return;
	buf_truncate(&p->events, p->tls_event);
	memmove(out->ptr + p->tls_reply, out->ptr + end, out->len - end);
	buf_truncate(out, out->len - strlen(TLS_REPLY));
	p->tls_asked = false;
}

static void
show_starttls(struct player *p)
{
	struct buf *out = smtp_server_output(p->s);
	size_t n = strlen(TLS_REPLY);

	FUZZ_CHECK(!p->tls_asked && !p->opts->batch);
	FUZZ_CHECK(out->len >= n &&
	    memcmp(out->ptr + out->len - n, TLS_REPLY, n) == 0);
	p->tls_asked = true;
	p->tls_reply = out->len - n;
}

static void
show(struct player *p, const struct smtp_event *ev)
{
	const struct envelope *env = ev->envelope;

	FUZZ_CHECK(!p->ended && !p->owed);
	p->asked = ev->kind;
	p->replies = 1;
	if (!p->tls_asked)
		p->tls_event = p->events.len;
	buf_addf(&p->events, "%d@%llu+%llu ",
	    ev->kind == SMTP_EVENT_CONTENT ? -1 : (int)ev->kind,
	    (unsigned long long)ev->line, (unsigned long long)ev->offset);
	switch (ev->kind) {
	case SMTP_EVENT_MAIL:
		answer_address(p, env->sender);
		break;
	case SMTP_EVENT_RCPT:
		FUZZ_CHECK(env->nrcpt > 0);
		answer_address(p, env->rcpt[env->nrcpt - 1].address);
		break;
	case SMTP_EVENT_BEGIN:
		show_begin(p, env);
		break;
	case SMTP_EVENT_CONTENT:
		show_content(p, ev);
		break;
	case SMTP_EVENT_END:
		show_end(p, ev);
		break;
	case SMTP_EVENT_RESET:
		p->begun = false;
		break;
	case SMTP_EVENT_NOOP:
		buf_addslice(&p->events, ev->bytes);
		break;
	case SMTP_EVENT_ERROR:
		buf_addf(&p->events, "(%d %s %s %d ", ev->refusal.code,
		    ev->refusal.status, ev->refusal.text, ev->fatal);
		buf_addslice(&p->events, ev->bytes);
		buf_adds(&p->events, ") ");
		break;
	case SMTP_EVENT_STARTTLS:
		show_starttls(p);
		break;
	case SMTP_EVENT_QUIT:
	case SMTP_EVENT_CLOSE:
		p->ended = true;
		break;
	default:
		break;
	}
}

/* Nothing is read while an answer is owed. */
static void
check_waits(struct player *p, const char *in, size_t len)
{
	struct smtp_event ev;
	size_t used;

	FUZZ_CHECK(smtp_server_next(p->s, in, len, &used, &ev) == 0);
	FUZZ_CHECK(used == 0);
}

static void
feed(struct player *p, const char *in, size_t len)
{
	char *copy = fuzz_copy(in, len);
	struct smtp_event ev;
	size_t used, at = 0;

	while (at < len || !p->owed) {
		if (p->owed) {
			check_waits(p, copy + at, len - at);
			give(p);
		}
		if (smtp_server_next(p->s, copy + at, len - at, &used,
			&ev) != 1)
			break;
		FUZZ_CHECK(used <= len - at);
		at += used;
		if (ev.kind == SMTP_EVENT_ERROR)
			forget_starttls(p);
		/* how often content comes depends on the pieces */
		if (ev.kind == SMTP_EVENT_CONTENT)
			show_content(p, &ev);
		else
			show(p, &ev);
		FUZZ_CHECK(smtp_server_waiting(p->s) == p->owed);
	}
	FUZZ_CHECK(at == len || used == len - at);
	free(copy);
}

/* Of what is left, how much is fed at once: a handshake stands alone. */
static size_t
next_piece(struct slice rest, size_t piece)
{
	size_t n = rest.len < piece ? rest.len : piece;
	const char *mark = memchr(rest.ptr, HANDSHAKE, n);

	if (mark == rest.ptr)
		return 1;
	return mark != NULL ? (size_t)(mark - rest.ptr) : n;
}

static void
play_end(struct player *p)
{
	struct smtp_event ev;

	while (p->owed) {
		if (p->asked == SMTP_EVENT_END)
			FUZZ_CHECK(smtp_server_eof(p->s, &ev) == 0);
		give(p);
		feed(p, "", 0);
	}
	while (!p->ended && smtp_server_eof(p->s, &ev) == 1)
		show(p, &ev);
	FUZZ_CHECK(!p->begun && !p->owed);
}

static void
play(struct player *p, const struct smtp_server_options *opts,
    struct slice in, size_t piece, bool late)
{
	*p = (struct player){ .opts = opts, .s = smtp_server_new(opts),
		.late = late };
	smtp_server_greet(p->s, 220, NULL);
	for (size_t n; in.len > 0; in.ptr += n, in.len -= n) {
		n = next_piece(in, piece);
		if (p->tls_asked && *in.ptr == HANDSHAKE) {
			smtp_server_tls_on(p->s);
			p->tls_asked = false;
		} else {
			feed(p, in.ptr, n);
		}
	}
	play_end(p);
	FUZZ_CHECK(!opts->batch || smtp_server_output(p->s)->len == 0);
}

static void
release(struct player *p)
{
	smtp_server_free(p->s);
	buf_release(&p->events);
	buf_release(&p->content);
}

static void
play_all(const struct smtp_server_options *opts, struct slice in)
{
	static const size_t pieces[] = { 1, 2, 7 };
	struct player whole, cut;

	play(&whole, opts, in, SIZE_MAX, false);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		play(&cut, opts, in, pieces[i], i > 0);
		fuzz_same(&whole.events, &cut.events);
		fuzz_same(smtp_server_output(whole.s),
		    smtp_server_output(cut.s));
		release(&cut);
	}
	release(&whole);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = { (const char *)data, size };
	struct smtp_server_options opts;

	smtp_server_options_default(&opts);
	opts.extensions |= SMTP_EXT_BINARYMIME | SMTP_EXT_STARTTLS |
	    SMTP_EXT_MT_PRIORITY | SMTP_EXT_DELIVERBY |
	    SMTP_EXT_FUTURERELEASE;
	opts.message_max = 300;
	opts.command_max = 120;
	opts.line_max = 100;
	opts.recipients_max = 3;
	opts.errors_max = 5;
	opts.hold_max_secs = HOLD_MAX;
	opts.hold_until_max = HOLD_UNTIL_MAX;
	play_all(&opts, in);
	opts.lmtp = true;
	play_all(&opts, in);
	opts.lmtp = false;
	opts.tls_required = true;
	opts.line_ends = SMTP_LINES_NORMALIZE;
	play_all(&opts, in);
	opts.tls_required = false;
	opts.line_ends = SMTP_LINES_CRLF;
	opts.extensions &= ~(unsigned)SMTP_EXT_STARTTLS;
	opts.batch = true;
	play_all(&opts, in);
	opts.lenient = true;
	opts.line_ends = SMTP_LINES_DETECT;
	play_all(&opts, in);
	return 0;
}
