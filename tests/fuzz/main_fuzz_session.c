/* SPDX-License-Identifier: ISC */
/*
 * The session, live and in both kinds of batch.  However the octets are cut,
 * the same events and the same replies come of them.
 */
#include <stdlib.h>

#include "smtp/address.h"
#include "smtp/extension.h"
#include "smtp/server.h"
#include "tests/fuzz/fuzz.h"

struct player {
	struct smtp_server *s;
	struct buf events, content;
	bool begun, ended;
};

/* Refusals can be had: by the first letter of the address. */
static void
answer(struct player *p, const char *address)
{
	struct slice local = address_local(address);
	char c = local.len > 0 ? *local.ptr : 'a';

	if (c == 'n')
		smtp_server_answer(p->s, 550, "5.1.1", "no");
	else if (c == 'q')
		smtp_server_answer(p->s, 421, "4.3.2", "later");
	else
		smtp_server_answer(p->s, 250, NULL, NULL);
}

static void
show_begin(struct player *p, const struct envelope *env)
{
	FUZZ_CHECK(env->sender != NULL);
	buf_adds(&p->events, "begin ");
	fuzz_show_envelope(&p->events, env);
	buf_clear(&p->content);
	p->begun = true;
	if (*env->sender == 'f') {
		p->begun = false;
		smtp_server_answer(p->s, 452, "4.3.1", "full");
		return;
	}
	smtp_server_answer(p->s, 250, NULL, NULL);
	if (*env->sender == 'd')
		smtp_server_refuse_content(p->s, 452, "4.3.1", "full");
}

static void
show_content(struct player *p, const struct smtp_event *ev)
{
	FUZZ_CHECK(p->begun && ev->bytes.len > 0);
	buf_addslice(&p->content, ev->bytes);
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
	if (*ev->envelope->sender == 'e')
		smtp_server_answer(p->s, 451, "4.3.0", "again");
	else
		smtp_server_answer(p->s, 250, NULL, NULL);
}

static void
show(struct player *p, const struct smtp_event *ev)
{
	const struct envelope *env = ev->envelope;

	FUZZ_CHECK(!p->ended);
	buf_addf(&p->events, "%d@%llu+%llu ",
	    ev->kind == SMTP_EVENT_CONTENT ? -1 : (int)ev->kind,
	    (unsigned long long)ev->line, (unsigned long long)ev->offset);
	switch (ev->kind) {
	case SMTP_EVENT_MAIL:
		answer(p, env->sender);
		break;
	case SMTP_EVENT_RCPT:
		FUZZ_CHECK(env->nrcpt > 0);
		answer(p, env->rcpt[env->nrcpt - 1].address);
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
	case SMTP_EVENT_QUIT:
	case SMTP_EVENT_CLOSE:
		p->ended = true;
		break;
	default:
		break;
	}
}

static void
feed(struct player *p, const char *in, size_t len)
{
	char *copy = fuzz_copy(in, len);
	struct smtp_event ev;
	size_t used, at = 0;

	while (smtp_server_next(p->s, copy + at, len - at, &used, &ev) == 1) {
		FUZZ_CHECK(used <= len - at);
		at += used;
		/* how often content comes depends on the pieces */
		if (ev.kind == SMTP_EVENT_CONTENT)
			show_content(p, &ev);
		else
			show(p, &ev);
		FUZZ_CHECK(!smtp_server_waiting(p->s));
	}
	FUZZ_CHECK(used == len - at);
	free(copy);
}

static void
play(struct player *p, const struct smtp_server_options *opts,
    struct slice in, size_t piece)
{
	struct smtp_event ev;

	*p = (struct player){ .s = smtp_server_new(opts) };
	smtp_server_greet(p->s, 220, NULL);
	for (size_t at = 0, n; at < in.len; at += n) {
		n = in.len - at < piece ? in.len - at : piece;
		feed(p, in.ptr + at, n);
	}
	while (!p->ended && smtp_server_eof(p->s, &ev) == 1)
		show(p, &ev);
	FUZZ_CHECK(!p->begun);
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

	play(&whole, opts, in, SIZE_MAX);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		play(&cut, opts, in, pieces[i]);
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
	opts.extensions |= SMTP_EXT_BINARYMIME;
	opts.message_max = 300;
	opts.command_max = 120;
	opts.line_max = 100;
	opts.recipients_max = 3;
	opts.errors_max = 5;
	play_all(&opts, in);
	opts.batch = true;
	play_all(&opts, in);
	opts.lenient = true;
	opts.line_ends = SMTP_LINES_DETECT;
	play_all(&opts, in);
	return 0;
}
