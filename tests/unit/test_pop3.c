/* SPDX-License-Identifier: ISC */
/* Answers of POP3 servers (RFC 1939), whole and an octet at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "transports/pop3.h"

static const char *const names[] = {
	[POP3_OK] = "ok", [POP3_ERR] = "err", [POP3_LINE] = "line",
	[POP3_CONTENT] = "content", [POP3_END] = "end"
};

static char *
events(enum pop3_form form, const char *text, size_t piece)
{
	struct pop3 *p = pop3_new();
	struct buf out = BUF_INIT;
	struct pop3_event ev;
	struct err e = ERR_INIT;
	enum pop3_event_kind last = POP3_END;
	size_t len = strlen(text);
	int rc = 0;

	pop3_say(p, form, "RETR %d", 1);
	assert_string_equal(buf_cstr(pop3_output(p)), "RETR 1\r\n");
	for (size_t at = 0, n; at < len && rc >= 0; at += n) {
		n = len - at < piece ? len - at : piece;
		pop3_feed(p, text + at, n);
		while ((rc = pop3_next(p, &ev, &e)) == 1) {
			if (ev.kind != POP3_CONTENT || last != POP3_CONTENT)
				buf_addf(&out, "|%s ", names[ev.kind]);
			buf_addslice(&out, ev.text);
			last = ev.kind;
		}
	}
	if (rc < 0)
		buf_addf(&out, "|error %d", rc);
	assert_int_equal(pop3_next(p, &ev, &e), rc);
	pop3_free(p);
	buf_addc(&out, '\0');
	return buf_steal(&out);
}

static const struct {
	enum pop3_form form;
	const char *in, *out;
} answers[] = {
	{ POP3_PLAIN, "+OK\r\n", "|ok " },
	{ POP3_PLAIN, "+OK bye bye\n", "|ok bye bye" },
	{ POP3_PLAIN, "-ERR [IN-USE] no\r\n", "|err [IN-USE] no" },
	{ POP3_PLAIN, "-ERR\r\n", "|err " },
	{ POP3_PLAIN, "OK\r\n", "|error -1" },
	{ POP3_PLAIN, "+OKAY\r\n", "|error -1" },
	{ POP3_PLAIN, "\r\n", "|error -1" },
	{ POP3_LIST, "+OK\r\n1 a\r\n2 b\r\n.\r\n",
	    "|ok |line 1 a|line 2 b|end " },
	{ POP3_LIST, "+OK\r\n..x\r\n\r\n.\r\n", "|ok |line .x|line |end " },
	{ POP3_LIST, "-ERR none\r\n", "|err none" },
	{ POP3_MAIL, "+OK 120 octets\r\nA: b\r\n\r\n..dot\r\n.\r\n",
	    "|ok 120 octets|content A: b\r\n\r\n.dot\r\n|end " },
	{ POP3_MAIL, "+OK\r\n.\r\n", "|ok |end " },
	/* What is in a mail ends nothing. */
	{ POP3_MAIL, "+OK\r\n-ERR x\r\n+OK\r\n\n.\nx.\r\n.\r\n",
	    "|ok |content -ERR x\r\n+OK\r\n\n.\nx.\r\n|end " },
};

static void
test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		for (size_t piece = 1; piece <= 100; piece *= 10) {
			char *out = events(answers[i].form, answers[i].in,
			    piece);

			assert_string_equal(out, answers[i].out);
			free(out);
		}
}

/* Lines of a mail have any length; answers and lists have not. */
static void
test_long_lines(void **state)
{
	char *line = calloc(1, 10 * POP3_LINE_MAX), *out;

	(void)state;
	memset(line, 'x', 9 * POP3_LINE_MAX);
	memcpy(line, "+OK\r\n", 5);
	memcpy(line + 8 * POP3_LINE_MAX, "\r\n.\r\n", 6);
	out = events(POP3_MAIL, line, 1000);
	assert_int_equal(strlen(out), strlen("|ok |content |end ") +
	    8 * POP3_LINE_MAX - 5 + 2);
	free(out);
	out = events(POP3_LIST, line, 1000);
	assert_string_equal(out, "|ok |error -2");
	free(out);
	memcpy(line, "+OK  ", 5);
	out = events(POP3_MAIL, line, 1000);
	assert_string_equal(out, "|error -2");
	free(out);
	free(line);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_long_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
