/* SPDX-License-Identifier: ISC */
/*
 * The player of dialogues: it says yes to all but a few names that stand for
 * what can go wrong.
 */
#include "tests/unit/dialogue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/mem.h"
#include "smtp/address.h"
#include "smtp/extension.h"

static void
show_error(struct player *p, const struct smtp_event *ev)
{
	buf_addf(&p->events, "error(%d %s @%llu%s) ", ev->refusal.code,
	    ev->refusal.status, (unsigned long long)ev->line,
	    ev->fatal ? " fatal" : "");
}

static void
answer(struct player *p, const char *address)
{
	struct slice local = address_local(address);

	if (local.len > 0 && local.ptr[0] == 'n')
		smtp_server_answer(p->s, 550, "5.1.1", "no");
	else if (local.len > 0 && local.ptr[0] == 'q')
		smtp_server_answer(p->s, 421, "4.3.2", "later");
	else
		smtp_server_answer(p->s, 250, NULL, NULL);
}

/* LMTP: who begins with a "p" has a reply of its own. */
static void
answer_some(struct player *p, const struct envelope *env)
{
	struct smtp_refusal r;

	smtp_refuse(&r, 552, "5.3.4", "too large for you");
	for (size_t i = 0; i < env->nrcpt; i++) {
		if (env->rcpt[i].address[0] == 'p')
			smtp_server_answer_for(p->s, i, &r);
	}
}

void
player_show(struct player *p, const struct smtp_event *ev)
{
	const struct envelope *env = ev->envelope;
	const char *last = env->nrcpt > 0 ?
	    env->rcpt[env->nrcpt - 1].address : "";

	switch (ev->kind) {
	case SMTP_EVENT_HELLO:
		buf_addf(&p->events, "hello(%s) ", env->helo);
		break;
	case SMTP_EVENT_MAIL:
		buf_addf(&p->events, "mail(%s) ", env->sender);
		answer(p, env->sender);
		break;
	case SMTP_EVENT_RCPT:
		buf_addf(&p->events, "rcpt(%s) ", last);
		answer(p, last);
		break;
	case SMTP_EVENT_BEGIN:
		buf_addf(&p->events, "begin(%zu) ", env->nrcpt);
		buf_clear(&p->content);
		if (strcmp(env->sender, "full@b.example") == 0)
			smtp_server_answer(p->s, 452, "4.3.1", "full");
		else
			smtp_server_answer(p->s, 250, NULL, NULL);
		break;
	case SMTP_EVENT_CONTENT:
		assert_true(ev->bytes.len > 0);
		buf_addslice(&p->content, ev->bytes);
		if (strcmp(env->sender, "disk@b.example") == 0)
			smtp_server_refuse_content(p->s, 452, "4.3.1", "full");
		break;
	case SMTP_EVENT_END:
		assert_int_equal(ev->facts->octets, p->content.len);
		buf_adds(&p->events, "content[");
		buf_addslice(&p->events, buf_slice(&p->content));
		buf_adds(&p->events, "] ");
		answer_some(p, env);
		if (strcmp(env->sender, "late@b.example") == 0)
			smtp_server_answer(p->s, 451, "4.3.0", "later");
		else
			smtp_server_answer(p->s, 250, NULL, NULL);
		break;
	case SMTP_EVENT_RESET:
		buf_adds(&p->events, "reset ");
		break;
	case SMTP_EVENT_NOOP:
		buf_addf(&p->events, "noop(%.*s) ", (int)ev->bytes.len,
		    ev->bytes.ptr);
		break;
	case SMTP_EVENT_VRFY:
		buf_addf(&p->events, "vrfy(%.*s) ", (int)ev->bytes.len,
		    ev->bytes.ptr);
		break;
	case SMTP_EVENT_STARTTLS:
		buf_adds(&p->events, "starttls ");
		break;
	case SMTP_EVENT_QUIT:
		buf_adds(&p->events, "quit ");
		p->ended = true;
		break;
	case SMTP_EVENT_ERROR:
		show_error(p, ev);
		break;
	case SMTP_EVENT_CLOSE:
		buf_adds(&p->events, "close ");
		p->ended = true;
		break;
	}
}

/* Copies each piece to memory of its own, so that a slice kept too long is
 * seen by the sanitizer. */
void
player_play(struct player *p, const char *in, size_t len, size_t piece)
{
	struct buf held = BUF_INIT;
	struct smtp_event ev;
	size_t used, pos = 0, n;
	char *copy;
	int rc;

	while (pos < len) {
		n = len - pos < piece ? len - pos : piece;
		buf_add(&held, in + pos, n);
		pos += n;
		do {
			copy = mem_strndup(held.ptr, held.len);
			rc = smtp_server_next(p->s, copy, held.len, &used,
			    &ev);
			assert_true(used <= held.len);
			if (rc == 1)
				player_show(p, &ev);
			free(copy);
			buf_consume(&held, used);
			assert_true(rc == 1 || held.len == 0 ||
			    smtp_server_waiting(p->s));
		} while (rc == 1);
	}
	buf_release(&held);
	while (!p->ended && smtp_server_eof(p->s, &ev) == 1)
		player_show(p, &ev);
	assert_int_equal(smtp_server_eof(p->s, &ev), 0);
}

void
dialogue_check(const struct dialogue *d, const struct smtp_server_options *opts)
{
	static const size_t pieces[] = { SIZE_MAX, 1, 7 };
	size_t len = d->send_len != 0 ? d->send_len : strlen(d->send);

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct player p = { smtp_server_new(opts), BUF_INIT, BUF_INIT,
		    false };
		struct buf *out = smtp_server_output(p.s);

		player_play(&p, d->send, len, pieces[i]);
		if (strcmp(buf_cstr(&p.events), d->events) != 0 ||
		    strcmp(buf_cstr(out), d->replies) != 0)
			fail_msg("%s, in pieces of %zu:\nevents\n%s\n%s\n"
			    "replies\n%s\n%s", d->name, pieces[i],
			    buf_cstr(&p.events), d->events, buf_cstr(out),
			    d->replies);
		smtp_server_free(p.s);
		buf_release(&p.events);
		buf_release(&p.content);
	}
}

struct smtp_server_options
dialogue_options(void)
{
	struct smtp_server_options opts;

	smtp_server_options_default(&opts);
	opts.hostname = "s.example";
	opts.extensions |= SMTP_EXT_BINARYMIME;
	opts.message_max = 2000;
	opts.command_max = 200;
	opts.line_max = 1200;
	opts.recipients_max = 3;
	opts.errors_max = 4;
	return opts;
}

void
player_say(struct player *p, const char *in, const char *events,
    const char *replies)
{
	struct buf *out = smtp_server_output(p->s);
	size_t len = strlen(in), used;
	struct smtp_event ev;

	while (smtp_server_next(p->s, in, len, &used, &ev) == 1) {
		in += used;
		len -= used;
		player_show(p, &ev);
	}
	assert_string_equal(buf_cstr(&p->events), events);
	assert_string_equal(buf_cstr(out), replies);
	buf_clear(&p->events);
	buf_clear(out);
}

void
player_end(struct player *p)
{
	smtp_server_free(p->s);
	buf_release(&p->events);
	buf_release(&p->content);
}
