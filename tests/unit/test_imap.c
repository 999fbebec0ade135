/* SPDX-License-Identifier: ISC */
/* Answers of IMAP servers, as RFC 3501 and its extensions have them, whole and
 * an octet at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "transports/imap.h"

static void
show(struct buf *out, const struct imap_event *ev, bool *in_content_io)
{
	static const char *const names[] = {
		[IMAP_MESSAGE] = "message", [IMAP_NEWS] = "news",
		[IMAP_GO_ON] = "go on", [IMAP_OK] = "ok", [IMAP_NO] = "no",
		[IMAP_BYE] = "bye"
	};

	if (ev->kind == IMAP_CONTENT) {
		buf_adds(out, *in_content_io ? "" : "content ");
		buf_addslice(out, ev->text);
		*in_content_io = true;
		return;
	}
	buf_adds(out, *in_content_io ? "|" : "");
	*in_content_io = false;
	buf_adds(out, names[ev->kind]);
	if (ev->kind == IMAP_MESSAGE)
		buf_addf(out, " %u size=%llu%s%s", ev->uid,
		    (unsigned long long)ev->size, ev->deleted ? " deleted" :
		    "", ev->has_body ? " body" : "");
	else if (ev->kind == IMAP_NEWS)
		buf_addf(out, " %u", ev->count);
	else if (ev->kind != IMAP_GO_ON)
		buf_addf(out, " %.*s", (int)ev->text.len, ev->text.ptr);
	buf_adds(out, "|");
}

/* All events; an error is the last. */
static void
drain(struct imap *m, struct buf *out, bool *in_content_io)
{
	struct imap_event ev;
	struct err e = ERR_INIT;
	int rc;

	while ((rc = imap_next(m, &ev, &e)) == 1)
		show(out, &ev, in_content_io);
	if (rc < 0 && (out->len == 0 || out->ptr[out->len - 1] != '!'))
		buf_addf(out, "%serror %d!", *in_content_io ? "|" : "", rc);
}

static char *
events(const char *text, size_t len, size_t piece, struct imap *m)
{
	struct buf out = BUF_INIT;
	bool in_content = false;

	imap_say(m, "SOMETHING");
	buf_clear(imap_output(m));
	for (size_t at = 0, n; at < len; at += n) {
		n = len - at < piece ? len - at : piece;
		imap_feed(m, text + at, n);
		drain(m, &out, &in_content);
	}
	buf_addc(&out, '\0');
	return buf_steal(&out);
}

static const struct {
	const char *in, *out;
} answers[] = {
	{ "p1 OK done\r\n", "ok done|" },
	{ "p1 NO [TRYCREATE] no\r\n", "no [TRYCREATE] no|" },
	{ "p1 BAD what?\r\n", "no what?|" },
	{ "P1 OK done\r\n", "error -1!" },
	{ "p2 OK done\r\n", "error -1!" },
	{ "p0 OK done\r\n", "error -1!" },
	{ "p1 BYE\r\n", "error -1!" },
	{ "nonsense\r\n", "error -1!" },
	{ "p OK\r\n", "error -1!" },
	{ "\r\np1 ok\r\n", "ok |" },
	{ "* OK [ALERT] tea\r\n* NO disk\r\n* FLAGS (\\Seen)\r\np1 OK x\r\n",
	    "ok x|" },
	{ "* 23 EXISTS\r\n* 5 RECENT\r\n* 3 EXPUNGE\r\n", "news 23|" },
	{ "* BYE so long\r\n", "bye so long|" },
	{ "+ idling\r\n", "go on|" }, { "+\r\n", "go on|" },
	/* FETCH */
	{ "* 1 FETCH (UID 7 RFC822.SIZE 1234 FLAGS (\\Seen))\r\n",
	    "message 7 size=1234|" },
	{ "* 1 fetch (flags (\\Seen \\DELETED) uid 7)\n",
	    "message 7 size=0 deleted|" },
	{ "* 1 FETCH (FLAGS (\\Seen))\r\n", "" },
	{ "* 1 FETCH (FLAGS (\\Seen \\DeletedX) UID 4294967295)\r\n",
	    "message 4294967295 size=0|" },
	{ "* 1 FETCH (UID 7 BODY[] {5}\r\na\r\nb\n)\r\n",
	    "content a\r\nb\n|message 7 size=0 body|" },
	{ "* 1 FETCH (BODY[] {5}\r\na\r\nb\n UID 7)\r\n",
	    "content a\r\nb\n|message 7 size=0 body|" },
	{ "* 1 FETCH (UID 7 BODY[HEADER.FIELDS (FROM \"X\")]<0> {3}\r\nabc)"
	    "\r\n", "content abc|message 7 size=0 body|" },
	{ "* 1 FETCH (UID 7 BODY[] {0}\r\n)\r\n", "message 7 size=0 body|" },
	{ "* 1 FETCH (UID 7 BODY[] \"a\\\"b\\\\\")\r\n",
	    "content a\"b\\|message 7 size=0 body|" },
	{ "* 1 FETCH (UID 7 BODY[] NIL)\r\n", "message 7 size=0|" },
	/* What is in a mail is no answer. */
	{ "* 1 FETCH (UID 7 BODY[] {21}\r\np1 OK done\r\n* BYE {9}\r\n)\r\n"
	    "p1 OK true\r\n", "content p1 OK done\r\n* BYE {9}|error -1!" },
	{ "* 1 FETCH (UID 7 BODY[] {23}\r\np1 OK done\r\n* BYE {9}\r\n)\r\n"
	    "p1 OK true\r\n", "content p1 OK done\r\n* BYE {9}\r\n|"
	    "message 7 size=0 body|ok true|" },
	/* Other literals are passed over, wherever they stand. */
	{ "* 1 FETCH (X {4}\r\n)\r\n( UID 7 Y ((a {1}\r\n)) b) "
	    "BODY[] {1}\r\nz)\r\n", "content z|message 7 size=0 body|" },
	{ "* LIST () \"/\" {3}\r\na\r\n\r\np1 OK x\r\n", "ok x|" },
	{ "* 1 FETCH (UID 7 BINARY[] ~{2}\r\nab)\r\n", "message 7 size=0|" },
	/* Values that nobody asked for. */
	{ "* 1 FETCH (ENVELOPE (\"a ) (\" NIL ((\"\\\")\"))) UID 7 "
	    "INTERNALDATE \"1-Jan-2024 00:00:00 +0000\")\r\n",
	    "message 7 size=0|" },
	{ "* 1 FETCH (UID 7 MODSEQ (12) X-NEW abc[def])\r\n",
	    "message 7 size=0|" },
	/* Wrong ones. */
	{ "* 1 FETCH (UID 0)\r\n", "" },
	{ "* 1 FETCH (UID 4294967296)\r\n", "error -1!" },
	{ "* 1 FETCH (UID -1)\r\n", "error -1!" },
	{ "* 1 FETCH (UID)\r\n", "error -1!" },
	{ "* 1 FETCH (UID 7\r\n", "error -1!" },
	{ "* 1 FETCH UID 7\r\n", "error -1!" },
	{ "* 1 FETCH (UID 7 X (a)\r\n", "error -1!" },
	{ "* 1 FETCH (UID 7 X \"a)\r\n", "error -1!" },
	{ "* 1 FETCH (UID 7 BODY[HEADER {1}\r\na)\r\n", "error -1!" },
	{ "* 1 FETCH (UID 7 FLAGS \\Deleted)\r\n", "error -1!" },
	{ "* 1 FETCH (UID 7 RFC822.SIZE 9223372036854775808)\r\n",
	    "error -1!" },
	{ "* 1 FETCH (((((((((((((((((((((((((((((((((((a))))))))))))))))))"
	    ")))))))))))))))))\r\n", "error -1!" },
	/* {n} that is none. */
	{ "p1 OK {x}\r\n", "ok {x}|" },
	{ "p1 OK {99999999999}\r\n", "ok {99999999999}|" },
};

static void
test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		for (size_t piece = 1; piece <= 1000; piece *= 10) {
			struct imap *m = imap_new();
			char *out = events(answers[i].in,
			    strlen(answers[i].in), piece, m);

			assert_string_equal(out, answers[i].out);
			free(out);
			imap_free(m);
		}
}

static void
test_state(void **state)
{
	static const char text[] = "* CAPABILITY IMAP4rev1 idle UIDPLUS\r\n"
	    "* OK [UIDVALIDITY 3857529045] ok\r\np1 OK [READ-WRITE] x\r\n";
	static const char later[] = "* OK [CAPABILITY IMAP4rev1 MOVE] x\r\n"
	    "p2 OK [READ-ONLY] x\r\n";
	struct imap *m = imap_new();
	char *out;

	(void)state;
	assert_int_equal(imap_can(m), 0);
	out = events(text, strlen(text), 3, m);
	assert_string_equal(out, "ok [READ-WRITE] x|");
	free(out);
	assert_int_equal(imap_can(m), IMAP_CAN_IDLE | IMAP_CAN_UIDPLUS);
	assert_int_equal(imap_uidvalidity(m), 3857529045U);
	assert_false(imap_read_only(m));
	out = events(later, strlen(later), 1000, m);
	assert_string_equal(out, "ok [READ-ONLY] x|");
	free(out);
	assert_int_equal(imap_can(m), IMAP_CAN_MOVE);
	assert_true(imap_read_only(m));
	imap_free(m);
}

static void
test_limits(void **state)
{
	struct imap *m = imap_new();
	struct buf line = BUF_INIT;
	char *out;

	(void)state;
	buf_adds(&line, "* 1 FETCH (UID 7 X ");
	while (line.len < IMAP_LINE_MAX - 10)
		buf_addc(&line, 'x');
	buf_adds(&line, ")\r\n");
	out = events(line.ptr, line.len, 4096, m);
	assert_string_equal(out, "message 7 size=0|");
	free(out);
	buf_clear(&line);
	/* Literals do not count, but what stands between them. */
	while (line.len <= 3 * IMAP_LINE_MAX)
		buf_adds(&line, "y {1}\r\na ");
	out = events(line.ptr, line.len, 4096, m);
	assert_string_equal(out, "error -2!");
	free(out);
	buf_release(&line);
	imap_free(m);
}

static void
test_commands(void **state)
{
	struct imap *m = imap_new();
	struct buf name = BUF_INIT;

	(void)state;
	imap_quote(&name, "a \"b\\c");
	assert_string_equal(buf_cstr(&name), "\"a \\\"b\\\\c\"");
	imap_say(m, "SELECT %s", buf_cstr(&name));
	imap_say(m, "IDLE");
	imap_say_done(m);
	assert_string_equal(buf_cstr(imap_output(m)),
	    "p1 SELECT \"a \\\"b\\\\c\"\r\np2 IDLE\r\nDONE\r\n");
	buf_release(&name);
	imap_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers), cmocka_unit_test(test_state),
		cmocka_unit_test(test_limits), cmocka_unit_test(test_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
