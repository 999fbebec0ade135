/* SPDX-License-Identifier: ISC */
/*
 * Chat scripts.  A case is what the script sends and what the line says in
 * between, written as one text: "<" before what the line says, ">" before
 * what must be sent, "~" a break, "+N" so many seconds that pass.
 */
#include "transports/chat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct talk {
	const char *script, *fails;
	const char *course[16];
	enum chat_state end;
	const char *step;	/* must be in chat_step at the end */
};

static const struct talk talks[] = {
	{ "", NULL, { NULL }, CHAT_DONE, NULL },
	{ "\"\" ATZ OK ATDT\\T CONNECT", "BUSY",
	    { ">ATZ\r", "<ATZ\r\r\nOK\r\n", ">ATDT5551234\r",
	    "<CONNECT 9600" }, CHAT_DONE, NULL },
	{ "\"\" ATZ OK ATDT\\T CONNECT", "NO\\sCARRIER BUSY",
	    { ">ATZ\r", "<OK", ">ATDT5551234\r", "<\r\nNO CARRIER\r\n" },
	    CHAT_FAILED, "NO CARRIER" },
	{ "ogin:--ogin: \\L word: \\P", NULL,
	    { "+9", "+2", ">\r", "<login: ", ">uucp\r", "<Password: ",
	    ">sesame\r" }, CHAT_DONE, NULL },
	{ "ogin:-BREAK-ogin: \\L", NULL,
	    { "+11", "~", "<login:", ">uucp\r" }, CHAT_DONE, NULL },
	{ "ogin:-\\K\\c-ogin: \\L", NULL,
	    { "+11", "~", ">", "<login:", ">uucp\r" }, CHAT_DONE, NULL },
	{ "a-b-c", NULL, { "+11", ">b\r", "+11" }, CHAT_FAILED, "a-b-c" },
	{ "a\\W3", NULL, { "+2", "+2" }, CHAT_FAILED, "in vain" },
	{ "a\\W0 b", NULL, { "+99", "+99", "<a", ">b\r" }, CHAT_DONE, NULL },
	{ "\"\" x\\dy\\c z", NULL, { ">x", "+1", ">y", "<z" }, CHAT_DONE,
	    NULL },
	{ "\"\" \\101\\s\\-\\\\\\c", NULL, { ">A -\\" }, CHAT_DONE, NULL },
	{ "\"\" \\x", NULL, { NULL }, CHAT_FAILED, NULL },
};

#define NTALKS (sizeof(talks) / sizeof(talks[0]))

static const struct chat_config base = { .phone = "5551234", .user = "uucp",
	.password = "sesame", .timeout_ms = 10000 };

static void
expect_send(struct chat *c, int64_t now, const char *text)
{
	struct buf all = BUF_INIT;
	struct slice s;

	if (*text == '\0')
		assert_int_equal(chat_pull(c, now, &s), CHAT_NOTHING);
	while (all.len < strlen(text) &&
	    chat_pull(c, now, &s) == CHAT_SEND)
		buf_addslice(&all, s);
	assert_string_equal(buf_cstr(&all), text);
	buf_release(&all);
}

static void
say(struct chat *c, int64_t now, const char *text, size_t step)
{
	size_t len = strlen(text);

	while (len > 0 && chat_state(c) == CHAT_RUNNING) {
		size_t used = chat_feed(c, text, len < step ? len : step,
		    now);

		/* What it leaves while it sends is said no more. */
		if (used == 0)
			break;
		text += used;
		len -= used;
	}
}

static void
run(const struct talk *t, struct chat *c, size_t step)
{
	int64_t now = 0;
	struct slice s;

	for (size_t i = 0; t->course[i] != NULL; i++) {
		const char *what = t->course[i];

		(void)chat_tick(c, now);
		if (*what == '<')
			say(c, now, what + 1, step);
		else if (*what == '>')
			expect_send(c, now, what + 1);
		else if (*what == '~')
			assert_int_equal(chat_pull(c, now, &s), CHAT_BREAK);
		else
			now += 1000 * strtol(what + 1, NULL, 10);
	}
	(void)chat_tick(c, now);
}

static void
test_talks(void **state)
{
	(void)state;
	for (size_t i = 0; i < NTALKS; i++) {
		for (size_t step = 1; step < 100; step += 98) {
			struct chat_config config = base;
			struct err e = ERR_INIT;
			struct chat *c;

			config.script = talks[i].script;
			config.fails = talks[i].fails;
			if (chat_new(&config, 0, &c, &e) < 0) {
				assert_int_equal(talks[i].end, CHAT_FAILED);
				assert_null(talks[i].course[0]);
				continue;
			}
			run(&talks[i], c, step);
			if (chat_state(c) != talks[i].end)
				print_message("case %zu: %s\n", i,
				    chat_step(c));
			assert_int_equal(chat_state(c), talks[i].end);
			if (talks[i].step != NULL)
				assert_non_null(strstr(chat_step(c),
				    talks[i].step));
			assert_null(strstr(chat_step(c), "sesame"));
			chat_free(c);
		}
	}
}

static void
test_bad_scripts(void **state)
{
	static const char *const bad[] = { "\\q", "\"\" \\W3", "a \\", "x\\" };
	struct chat_config config = base;
	struct err e = ERR_INIT;
	struct chat *c;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		config.script = bad[i];
		assert_int_equal(chat_new(&config, 0, &c, &e), ERR_SYNTAX);
	}
	config.script = "\"\" \\P";
	config.password = NULL;
	assert_int_equal(chat_new(&config, 0, &c, &e), ERR_CONFIG);
	config.script = "a";
	config.fails = "\\q";
	assert_int_equal(chat_new(&config, 0, &c, &e), ERR_SYNTAX);
}

/* What stands behind the last word is not the script's. */
static void
test_leaves_the_rest(void **state)
{
	struct chat_config config = base;
	struct chat *c;

	(void)state;
	config.script = "CONNECT";
	assert_int_equal(chat_new(&config, 0, &c, NULL), 0);
	assert_int_equal(chat_feed(c, "xxCONNECT 9600\r\n", 16, 0), 9);
	assert_int_equal(chat_state(c), CHAT_DONE);
	chat_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_talks),
		cmocka_unit_test(test_bad_scripts),
		cmocka_unit_test(test_leaves_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
