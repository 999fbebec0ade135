/* SPDX-License-Identifier: ISC */
/*
 * The client against scripted servers: replies that are given in order, one
 * for each command it sends, whole or octet by octet, and cut after any octet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "smtp/client.h"
#include "smtp/extension.h"

#define FULL "250-s\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n" \
	"250-DSN\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250 SMTPUTF8\r\n"
#define BARE "250 s\r\n"

static const size_t both[] = { 0, 1 };

struct script {
	const char *name;
	const char *replies[12];
	unsigned flags;		/* facts of the content */
	const char *content, *events, *commands;
};

struct run {
	struct smtp_client *c;
	struct envelope env;
	struct buf events, sent;
	const struct script *script;
	bool begun, content_due, over;
};

static bool
is_lmtp(const struct script *s)
{
	return strncmp(s->name, "RFC 2033", 8) == 0;
}

static void
set_envelope(struct envelope *env)
{
	envelope_init(env);
	env->sender = strdup("a@b");
	env->ret = SMTP_RET_HDRS;
	envelope_add_recipient(env, "c@d", "NEVER", NULL);
	envelope_add_recipient(env, "e@f", NULL, "rfc822;x@y");
}

static void
begin(struct run *r)
{
	struct content_facts facts = { strlen(r->script->content),
	    r->script->flags, 0 };
	struct smtp_refusal refusal;

	if (r->begun) {
		smtp_client_quit(r->c);
		return;
	}
	r->begun = true;
	if (smtp_client_begin(r->c, &r->env, &facts, both, 2, &refusal) < 0) {
		buf_addf(&r->events, "refused(%d %s) ", refusal.code,
		    refusal.status);
		smtp_client_quit(r->c);
	}
}

static void
take(struct run *r, const struct smtp_client_event *ev)
{
	switch (ev->kind) {
	case SMTP_CLIENT_READY:
		buf_adds(&r->events, "ready ");
		begin(r);
		break;
	case SMTP_CLIENT_RECIPIENT:
		buf_addf(&r->events, "rcpt(%zu %d) ", ev->index,
		    ev->reply.code);
		break;
	case SMTP_CLIENT_CONTENT:
		buf_adds(&r->events, "content ");
		smtp_client_content(r->c, r->script->content,
		    strlen(r->script->content));
		smtp_client_content_end(r->c);
		break;
	case SMTP_CLIENT_STARTTLS:
		buf_adds(&r->events, "starttls ");
		smtp_client_tls_on(r->c);
		break;
	case SMTP_CLIENT_FINAL:
		buf_addf(&r->events, "final(%zu %d) ", ev->index,
		    ev->reply.code);
		break;
	case SMTP_CLIENT_RESULT:
		buf_addf(&r->events, "result(%d %s) ", ev->reply.code,
		    ev->step);
		break;
	case SMTP_CLIENT_CLOSED:
		buf_addf(&r->events, "closed(%d %s) ", ev->reply.code,
		    ev->step);
		r->over = true;
		break;
	}
}

static void
drain(struct run *r)
{
	struct smtp_client_event ev;
	struct buf *out = smtp_client_output(r->c);

	while (smtp_client_next(r->c, &ev) == 1) {
		assert_false(r->over);
		take(r, &ev);
	}
	buf_addslice(&r->sent, buf_slice(out));
	buf_clear(out);
}

/* Feeds at most limit octets of the script, then the end of the line. */
static void
run_script(struct run *r, const struct script *s, size_t piece, size_t limit)
{
	struct smtp_client_options opts = { .helo = "me", .lmtp = is_lmtp(s),
	    .tls = strncmp(s->name, "RFC 3207", 8) == 0,
	    .tls_required = strstr(s->name, "required") != NULL };
	size_t n, len;

	*r = (struct run){ .script = s, .c = smtp_client_new(&opts) };
	set_envelope(&r->env);
	drain(r);
	for (size_t i = 0; s->replies[i] != NULL; i++) {
		len = strlen(s->replies[i]);
		for (size_t pos = 0; pos < len && limit > 0; pos += n) {
			n = len - pos < piece ? len - pos : piece;
			n = n < limit ? n : limit;
			smtp_client_feed(r->c, s->replies[i] + pos, n);
			limit -= n;
			drain(r);
		}
	}
	smtp_client_eof(r->c, "cut");
	drain(r);
	assert_true(r->over);
}

static void
end_run(struct run *r)
{
	smtp_client_free(r->c);
	envelope_release(&r->env);
	buf_release(&r->events);
	buf_release(&r->sent);
}

#define HI "EHLO me\r\n"
#define LHI "LHLO me\r\n"
#define ENVELOPE "MAIL FROM:<a@b> SIZE=4 RET=HDRS\r\n" \
	"RCPT TO:<c@d> NOTIFY=NEVER\r\nRCPT TO:<e@f> ORCPT=rfc822;x@y\r\n"
#define PLAIN "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\n"
#define QUIT "QUIT\r\n"
#define BYE "closed(221 QUIT) "

static const struct script scripts[] = {
	{ "RFC 2920 3.1 pipelined", { "220 s\r\n", FULL, "250 a\r\n250 b\r\n",
	    "251 c\r\n354 go\r\n", "250 done\r\n", "221 bye\r\n" }, 0, ".a\r\n",
	    "ready rcpt(0 250) rcpt(1 251) content result(250 end of DATA) "
	    "ready " BYE, HI ENVELOPE "DATA\r\n..a\r\n.\r\n" QUIT },
	{ "RFC 5321 3.2 HELO, one at a time", { "220-s\r\n220 s\r\n",
	    "502 no\r\n", BARE, "250 a\r\n", "250 b\r\n", "550 c\r\n",
	    "354 go\r\n", "250 done\r\n", "221 bye\r\n" }, 0, "x\r\n",
	    "ready rcpt(0 250) rcpt(1 550) content result(250 end of DATA) "
	    "ready " BYE, HI "HELO me\r\n" PLAIN "DATA\r\nx\r\n.\r\n" QUIT },
	{ "greeting refused", { "554 no\r\n" }, 0, "", "closed(554 greeting) ",
	    QUIT },
	{ "EHLO put off", { "220 s\r\n", "450 no\r\n" }, 0, "",
	    "closed(450 EHLO) ", HI QUIT },
	{ "MAIL refused, pipelined", { "220 s\r\n", FULL, "550 1\r\n",
	    "503 2\r\n503 3\r\n503 4\r\n", "250 reset\r\n", "221 bye\r\n" },
	    0, "x.\r\n", "ready rcpt(0 550) rcpt(1 550) "
	    "result(550 MAIL FROM) ready " BYE,
	    HI ENVELOPE "DATA\r\nRSET\r\n" QUIT },
	{ "MAIL refused, one at a time", { "220 s\r\n", BARE, "451 1\r\n",
	    "250 reset\r\n", "221 bye\r\n" }, 0, "x.\r\n",
	    "ready rcpt(0 451) rcpt(1 451) result(451 MAIL FROM) ready " BYE,
	    HI "MAIL FROM:<a@b>\r\nRSET\r\n" QUIT },
	{ "all recipients refused, one at a time", { "220 s\r\n", BARE,
	    "250 1\r\n", "550 2\r\n", "551 3\r\n", "250 reset\r\n",
	    "221 bye\r\n" }, 0, "", "ready rcpt(0 550) rcpt(1 551) "
	    "result(551 RCPT TO) ready " BYE, HI PLAIN "RSET\r\n" QUIT },
	{ "all recipients refused, DATA too", { "220 s\r\n", FULL,
	    "250 1\r\n550 2\r\n550 3\r\n554 4\r\n", "250 reset\r\n",
	    "221 bye\r\n" }, 0, "x.\r\n", "ready rcpt(0 550) rcpt(1 550) "
	    "result(550 RCPT TO) ready " BYE,
	    HI ENVELOPE "DATA\r\nRSET\r\n" QUIT },
	{ "RFC 2920 3.1 all refused, yet 354", { "220 s\r\n", FULL,
	    "250 1\r\n550 2\r\n550 3\r\n354 4\r\n", "250 odd\r\n",
	    "250 reset\r\n", "221 bye\r\n" }, 0, "x.\r\n",
	    "ready rcpt(0 550) rcpt(1 550) result(550 RCPT TO) ready " BYE,
	    HI ENVELOPE "DATA\r\n.\r\nRSET\r\n" QUIT },
	{ "MAIL refused, yet 354", { "220 s\r\n", FULL,
	    "550 1\r\n550 2\r\n250 3\r\n354 4\r\n", "554 no\r\n",
	    "250 reset\r\n", "221 bye\r\n" }, 0, "x.\r\n",
	    "ready rcpt(0 550) rcpt(1 550) result(550 MAIL FROM) ready " BYE,
	    HI ENVELOPE "DATA\r\n.\r\nRSET\r\n" QUIT },
	{ "DATA refused", { "220 s\r\n", FULL, "250 1\r\n250 2\r\n250 3\r\n"
	    "451 4\r\n", "250 reset\r\n", "221 bye\r\n" }, 0, "x.\r\n",
	    "ready rcpt(0 250) rcpt(1 250) result(451 DATA) ready " BYE,
	    HI ENVELOPE "DATA\r\nRSET\r\n" QUIT },
	{ "content refused", { "220 s\r\n", FULL, "250 1\r\n250 2\r\n250 3\r\n"
	    "354 4\r\n", "554 no\r\n", "221 bye\r\n" }, 0, "ab\r\n",
	    "ready rcpt(0 250) rcpt(1 250) content result(554 end of DATA) "
	    "ready " BYE, HI ENVELOPE "DATA\r\nab\r\n.\r\n" QUIT },
	{ "421 to RCPT", { "220 s\r\n", BARE, "250 1\r\n", "421 2\r\n" },
	    0, "", "ready closed(421 RCPT TO) ",
	    HI "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n" },
	{ "421 at the end of DATA", { "220 s\r\n", FULL, "250 1\r\n250 2\r\n"
	    "250 3\r\n354 4\r\n", "421 no\r\n" }, 0, "ab\r\n",
	    "ready rcpt(0 250) rcpt(1 250) content closed(421 end of DATA) ",
	    HI ENVELOPE "DATA\r\nab\r\n.\r\n" },
	{ "no SMTP", { "SSH-2.0-x\r\n" }, 0, "", "closed(0 greeting) ", "" },
	{ "code changes", { "220-s\r\n221 s\r\n" }, 0, "",
	    "closed(0 greeting) ", "" },
	{ "3xx to MAIL", { "220 s\r\n", BARE, "354 x\r\n" }, 0, "",
	    "ready closed(0 MAIL FROM) ", HI "MAIL FROM:<a@b>\r\n" },
	{ "2xx to DATA", { "220 s\r\n", BARE, "250 1\r\n", "250 2\r\n",
	    "250 3\r\n", "250 4\r\n" }, 0, "",
	    "ready rcpt(0 250) rcpt(1 250) closed(0 DATA) ",
	    HI PLAIN "DATA\r\n" },
	/* RFC 3030 */
	{ "RFC 3030 2 bare LF by BDAT", { "220 s\r\n", FULL,
	    "250 1\r\n250 2\r\n550 3\r\n", "250 done\r\n", "221 bye\r\n" },
	    CONTENT_BARE, "\n.\r\n", "ready rcpt(0 250) rcpt(1 550) content "
	    "result(250 end of DATA) ready " BYE,
	    HI ENVELOPE "BDAT 4 LAST\r\n\n.\r\n" QUIT },
	{ "RFC 3030 2 nobody to send to", { "220 s\r\n", FULL,
	    "250 1\r\n550 2\r\n550 3\r\n", "250 reset\r\n", "221 bye\r\n" },
	    CONTENT_OPEN_END, "\n.\r\n", "ready rcpt(0 550) rcpt(1 550) "
	    "result(550 RCPT TO) ready " BYE, HI ENVELOPE "RSET\r\n" QUIT },
	{ "no CHUNKING", { "220 s\r\n", BARE, "221 bye\r\n" },
	    CONTENT_OPEN_END, "x", "ready refused(554 5.6.1) " BYE,
	    HI QUIT },
	/* RFC 6152 */
	{ "RFC 6152 3 8-bit content says so", { "220 s\r\n", FULL,
	    "451 1\r\n451 2\r\n451 3\r\n451 4\r\n", "250 reset\r\n",
	    "221 bye\r\n" }, CONTENT_8BIT, "\xe4x\r\n",
	    "ready rcpt(0 451) rcpt(1 451) result(451 MAIL FROM) ready " BYE,
	    HI "MAIL FROM:<a@b> SIZE=4 BODY=8BITMIME RET=HDRS\r\n"
	    "RCPT TO:<c@d> NOTIFY=NEVER\r\nRCPT TO:<e@f> ORCPT=rfc822;x@y\r\n"
	    "DATA\r\nRSET\r\n" QUIT },
	{ "RFC 6152 3 no 8BITMIME", { "220 s\r\n", BARE, "221 bye\r\n" },
	    CONTENT_8BIT, "\xe4x\r\n", "ready refused(554 5.6.3) " BYE,
	    HI QUIT },
	/* RFC 1870 */
	{ "RFC 1870 6.1", { "220 s\r\n", "250-s\r\n250 size 3\r\n",
	    "221 bye\r\n" }, 0, "ab\r\n", "ready refused(552 5.3.4) " BYE,
	    HI QUIT },
	/* RFC 3207 */
	{ "RFC 3207 4.2 hello again", { "220 s\r\n",
	    "250-s\r\n250-SIZE 1\r\n250 STARTTLS\r\n", "220 go\r\n",
	    "250 s\r\n", "250 1\r\n", "250 2\r\n", "250 3\r\n",
	    "354 4\r\n", "250 done\r\n", "221 bye\r\n" }, 0, "ab\r\n",
	    "starttls ready rcpt(0 250) rcpt(1 250) content "
	    "result(250 end of DATA) ready " BYE,
	    HI "STARTTLS\r\n" HI PLAIN "DATA\r\nab\r\n.\r\n" QUIT },
	{ "RFC 3207 4 refused: in clear", { "220 s\r\n",
	    "250-s\r\n250 STARTTLS\r\n", "454 no\r\n", "450 1\r\n",
	    "250 reset\r\n", "221 bye\r\n" }, 0, "",
	    "ready rcpt(0 450) rcpt(1 450) result(450 MAIL FROM) ready " BYE,
	    HI "STARTTLS\r\nMAIL FROM:<a@b>\r\nRSET\r\n" QUIT },
	{ "RFC 3207 4 refused where required", { "220 s\r\n",
	    "250-s\r\n250 STARTTLS\r\n", "454 no\r\n" }, 0, "",
	    "closed(0 STARTTLS) ", HI "STARTTLS\r\n" QUIT },
	{ "RFC 3207 4 not offered where required", { "220 s\r\n", FULL },
	    0, "", "closed(0 STARTTLS) ", HI QUIT },
	{ "RFC 3207 4 no ESMTP where required", { "220 s\r\n",
	    "500 what\r\n", BARE }, 0, "", "closed(0 STARTTLS) ",
	    HI "HELO me\r\n" QUIT },
	/* RFC 2033 */
	{ "RFC 2033 4.2 a reply for each", { "220 s\r\n", FULL,
	    "250 1\r\n250 2\r\n250 3\r\n354 4\r\n", "250 five\r\n",
	    "452 six\r\n", "221 bye\r\n" }, 0, ".a\r\n",
	    "ready rcpt(0 250) rcpt(1 250) content final(0 250) final(1 452) "
	    "result(452 end of DATA) ready " BYE,
	    LHI ENVELOPE "DATA\r\n..a\r\n.\r\n" QUIT },
	{ "RFC 2033 4.2 those accepted", { "220 s\r\n", FULL,
	    "250 1\r\n550 2\r\n250 3\r\n354 4\r\n", "250 five\r\n",
	    "221 bye\r\n" }, 0, "ab\r\n",
	    "ready rcpt(0 550) rcpt(1 250) content final(1 250) "
	    "result(250 end of DATA) ready " BYE,
	    LHI ENVELOPE "DATA\r\nab\r\n.\r\n" QUIT },
	{ "RFC 2033 4.2 nobody", { "220 s\r\n", FULL,
	    "250 1\r\n550 2\r\n550 3\r\n503 4\r\n", "250 reset\r\n",
	    "221 bye\r\n" }, 0, "x.\r\n", "ready rcpt(0 550) rcpt(1 550) "
	    "result(550 RCPT TO) ready " BYE,
	    LHI ENVELOPE "DATA\r\nRSET\r\n" QUIT },
	{ "RFC 2033 4.2 nobody, yet 354", { "220 s\r\n", FULL,
	    "250 1\r\n550 2\r\n550 3\r\n354 4\r\n" }, 0, "x.\r\n",
	    "ready rcpt(0 550) rcpt(1 550) closed(0 DATA) ",
	    LHI ENVELOPE "DATA\r\n" },
	{ "RFC 2033 4.2, RFC 3030 by BDAT", { "220 s\r\n", FULL,
	    "250 1\r\n250 2\r\n250 3\r\n", "250 4\r\n250 5\r\n",
	    "221 bye\r\n" }, CONTENT_BARE, "\n.\r\n",
	    "ready rcpt(0 250) rcpt(1 250) content final(0 250) final(1 250) "
	    "result(250 end of DATA) ready " BYE,
	    LHI ENVELOPE "BDAT 4 LAST\r\n\n.\r\n" QUIT },
	{ "RFC 2033 4.1 no HELO", { "220 s\r\n", "500 no\r\n" },
	    0, "", "closed(500 EHLO) ", LHI QUIT },
};

static void
test_scripts(void **state)
{
	static const size_t pieces[] = { SIZE_MAX, 1, 3 };
	struct run r;

	(void)state;
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		const struct script *s = &scripts[i];

		for (size_t p = 0; p < 3; p++) {
			run_script(&r, s, pieces[p], SIZE_MAX);
			if (strcmp(buf_cstr(&r.events), s->events) != 0 ||
			    strcmp(buf_cstr(&r.sent), s->commands) != 0)
				fail_msg("%s, pieces of %zu:\n%s\n%s\n%s\n%s",
				    s->name, pieces[p], buf_cstr(&r.events),
				    s->events, buf_cstr(&r.sent),
				    s->commands);
			end_run(&r);
		}
	}
}

/* RFC 5321 4.2.5: whatever octet the line drops after, a message is never
 * taken for delivered before the server said so. */
static void
test_cut(void **state)
{
	struct run r;
	size_t verdict, total;

	(void)state;
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		const struct script *s = &scripts[i];
		bool delivered = strstr(s->events,
		    "result(250 end of DATA)") != NULL;

		if (is_lmtp(s))
			continue;	/* below */

		total = verdict = 0;
		for (size_t k = 0; s->replies[k] != NULL; k++) {
			total += strlen(s->replies[k]);
			if (strcmp(s->replies[k], "250 done\r\n") == 0)
				verdict = total;
		}
		for (size_t n = 0; n < total; n++) {
			run_script(&r, s, 1, n);
			assert_int_equal(delivered && n >= verdict,
			    strstr(buf_cstr(&r.events),
			    "result(250 end of DATA)") != NULL);
			assert_non_null(strstr(buf_cstr(&r.events),
			    "closed("));
			end_run(&r);
		}
	}
}

/* RFC 2033 4.2: a recipient is done as soon as its reply is whole, whatever
 * becomes of the others. */
static void
test_cut_lmtp(void **state)
{
	static const struct script s = { "RFC 2033", { "220 s\r\n", FULL,
	    "250 1\r\n250 2\r\n250 3\r\n354 4\r\n", "250 five\r\n",
	    "250 six\r\n" }, 0, "a\r\n", "", "" };
	size_t first = sizeof("220 s\r\n" FULL
	    "250 1\r\n250 2\r\n250 3\r\n354 4\r\n" "250 five\r\n") - 1;
	size_t second = first + sizeof("250 six\r\n") - 1;
	struct run r;

	(void)state;
	for (size_t n = 0; n <= second; n++) {
		run_script(&r, &s, 1, n);
		assert_int_equal(n >= first, strstr(buf_cstr(&r.events),
		    "final(0 250)") != NULL);
		assert_int_equal(n >= second, strstr(buf_cstr(&r.events),
		    "final(1 250) result(250 end of DATA)") != NULL);
		assert_non_null(strstr(buf_cstr(&r.events), "closed(0"));
		end_run(&r);
	}
}

/* A reply while content is still being given. */
static void
test_early(void **state)
{
	static const struct {
		const char *reply, *result;
	} cases[] = {
		{ "552 too big\r\n", "552 sending content" },
		{ "250 what\r\n", NULL }, { "421 going\r\n", NULL },
	};
	struct content_facts facts = { 4, 0, 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct smtp_client_options opts = { .helo = "me" };
		struct smtp_client *c = smtp_client_new(&opts);
		struct smtp_client_event ev;
		struct smtp_refusal refusal;
		struct envelope env;
		const char *replies[] = { "220 s\r\n", FULL,
		    "250 1\r\n250 2\r\n250 3\r\n354 4\r\n", cases[i].reply };
		bool result = false, closed = false;

		set_envelope(&env);
		for (size_t k = 0; k < 4; k++) {
			smtp_client_feed(c, replies[k], strlen(replies[k]));
			while (smtp_client_next(c, &ev) == 1) {
				if (ev.kind == SMTP_CLIENT_READY)
					assert_int_equal(smtp_client_begin(c,
					    &env, &facts, both, 2, &refusal),
					    0);
				if (ev.kind == SMTP_CLIENT_CONTENT)
					smtp_client_content(c, "x", 1);
				result |= ev.kind == SMTP_CLIENT_RESULT;
				closed |= ev.kind == SMTP_CLIENT_CLOSED;
			}
		}
		assert_int_equal(result, cases[i].result != NULL);
		assert_true(closed);
		smtp_client_free(c);
		envelope_release(&env);
	}
}

static void
test_batch(void **state)
{
	struct smtp_client_options opts = { .helo = "me", .batch = true,
		.assumed = SMTP_EXT_RFC2442 };
	struct smtp_client *c = smtp_client_new(&opts);
	struct content_facts facts = { 12, CONTENT_8BIT, 0 };
	struct smtp_refusal refusal;
	struct envelope env;

	(void)state;
	set_envelope(&env);
	smtp_client_noop(c, "id 1\r\n");
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(smtp_client_begin(c, &env, &facts, both + i, 1,
		    &refusal), 0);
		smtp_client_content(c, "a\r\n", 3);
		smtp_client_content(c, ".\r\n..\r", 6);
		smtp_client_content(c, "\n\xe4\n", 3);
		smtp_client_content_end(c);
	}
	facts.flags = CONTENT_BARE;
	assert_int_equal(smtp_client_begin(c, &env, &facts, both, 2,
	    &refusal), ERR_UNSUPPORTED);
	smtp_client_quit(c);
	assert_string_equal(buf_cstr(smtp_client_output(c)),
	    "EHLO me\r\nNOOP id 1??\r\n"
	    "MAIL FROM:<a@b> SIZE=12 BODY=8BITMIME RET=HDRS\r\n"
	    "RCPT TO:<c@d> NOTIFY=NEVER\r\nDATA\r\n"
	    "a\r\n..\r\n...\r\n\xe4\n\r\n.\r\n"
	    "MAIL FROM:<a@b> SIZE=12 BODY=8BITMIME RET=HDRS\r\n"
	    "RCPT TO:<e@f> ORCPT=rfc822;x@y\r\nDATA\r\n"
	    "a\r\n..\r\n...\r\n\xe4\n\r\n.\r\nQUIT\r\n");
	smtp_client_free(c);
	envelope_release(&env);
}

/* RFC 3207 6: what stands behind 220 in clear is never taken for the
 * protected server's. */
static void
test_injection(void **state)
{
	static const char hello[] = "220 s\r\n250-s\r\n250 STARTTLS\r\n";
	static const char forged[] = "220 go\r\n250 PIPELINING\r\n";

	(void)state;
	for (size_t cut = 8; cut < sizeof(forged); cut++) {
		struct smtp_client_options opts = { .helo = "me",
		    .tls = true };
		struct smtp_client *c = smtp_client_new(&opts);
		struct smtp_client_event ev = { .kind = SMTP_CLIENT_READY };

		smtp_client_feed(c, hello, sizeof(hello) - 1);
		assert_int_equal(smtp_client_next(c, &ev), 0);
		smtp_client_feed(c, forged, cut);
		assert_int_equal(smtp_client_next(c, &ev), 1);
		if (cut == 8) {
			assert_int_equal(ev.kind, SMTP_CLIENT_STARTTLS);
			smtp_client_feed(c, forged + cut, 1);
			smtp_client_tls_on(c);
			assert_int_equal(smtp_client_next(c, &ev), 1);
		}
		assert_int_equal(ev.kind, SMTP_CLIENT_CLOSED);
		assert_int_equal(smtp_client_extensions(c) &
		    SMTP_EXT_PIPELINING, 0);
		smtp_client_free(c);
	}
}

/* RFC 5321 4.5.3.2 */
static void
test_timeouts(void **state)
{
	struct smtp_client_options opts = { .helo = "me" };
	struct smtp_client *c = smtp_client_new(&opts);
	struct smtp_client_event ev;

	(void)state;
	assert_int_equal(smtp_client_timeout_secs(c), 300);
	smtp_client_free(c);
	opts.timeouts.greeting_secs = 7;
	c = smtp_client_new(&opts);
	assert_int_equal(smtp_client_timeout_secs(c), 7);
	smtp_client_feed(c, "220 s\r\n" FULL, sizeof("220 s\r\n" FULL) - 1);
	assert_int_equal(smtp_client_next(c, &ev), 1);
	assert_int_equal(ev.kind, SMTP_CLIENT_READY);
	assert_int_equal(smtp_client_extensions(c), SMTP_EXT_PIPELINING |
	    SMTP_EXT_SIZE | SMTP_EXT_8BITMIME | SMTP_EXT_DSN |
	    SMTP_EXT_CHUNKING | SMTP_EXT_BINARYMIME | SMTP_EXT_SMTPUTF8);
	smtp_client_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_cut_lmtp),
		cmocka_unit_test(test_injection),
		cmocka_unit_test(test_early),
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_timeouts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
