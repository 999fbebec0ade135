/* SPDX-License-Identifier: ISC */
/* Words of commands, and how commands end. */
#include "base/buf.h"
#include "transports/program.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char *
joined(char *const *words)
{
	struct buf out = BUF_INIT;

	for (size_t i = 0; words[i] != NULL; i++)
		buf_addf(&out, "<%s>", words[i]);
	return buf_steal(&out);
}

static void
split(void **state)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{ "ssh oslo postrider link", "<ssh><oslo><postrider><link>" },
		{ " \ta  b\t ", "<a><b>" }, { "a \"b c\" d", "<a><b c><d>" },
		{ "a \"\"", "<a><>" }, { "a\"b c\"d", "<ab cd>" },
		{ "\\\"a \\\\ \\n", "<\"a><\\><\\n>" },
		{ "\"a \\\" b\"", "<a \" b>" },
		{ "$HOME;ls *", "<$HOME;ls><*>" },
	};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char **words = NULL, *text;

		assert_int_equal(program_split(cases[i].text, &words, &e), 0);
		text = joined(words);
		assert_string_equal(text, cases[i].words);
		free(text);
		program_words_free(words);
	}
}

static void
split_bad(void **state)
{
	struct buf many = BUF_INIT;
	struct err e = ERR_INIT;
	char **words = NULL;

	(void)state;
	for (int i = 0; i < PROGRAM_WORDS_MAX; i++)
		buf_adds(&many, "a ");
	assert_int_equal(program_split(buf_cstr(&many), &words, &e), 0);
	program_words_free(words);
	buf_adds(&many, "a");
	assert_int_equal(program_split(buf_cstr(&many), &words, &e),
	    ERR_SYNTAX);
	buf_release(&many);
	assert_int_equal(program_split("", &words, &e), ERR_SYNTAX);
	assert_int_equal(program_split(" \t", &words, &e), ERR_SYNTAX);
	assert_int_equal(program_split("a \"b", &words, &e), ERR_SYNTAX);
	assert_int_equal(program_split("a \"b\\\"", &words, &e), ERR_SYNTAX);
}

static void
expand(void **state)
{
	char one[] = "a", two[] = "x=%f", three[] = "%n%p%%%", four[] = "%%f";
	char *const words[] = { one, two, three, four, NULL };
	char **out = program_expand(words, "/o/%n", "n 1", "oslo"), *text;

	(void)state;
	text = joined(out);
	assert_string_equal(text, "<a><x=/o/%n><n 1oslo%%><%f>");
	free(text);
	program_words_free(out);
	two[3] = 'd';
	out = program_expand_dir(words, "/i/%p", "oslo");
	text = joined(out);
	assert_string_equal(text, "<a><x=/i/%p><%noslo%%><%f>");
	free(text);
	program_words_free(out);
}

static int
end_of(const char *command, int grace_ms, pid_t *pid_out)
{
	struct err e = ERR_INIT;
	char **words = NULL;

	assert_int_equal(program_split(command, &words, &e), 0);
	assert_int_equal(program_start(words, (const int[]){ 0, 2 }, pid_out,
	    &e), 0);
	program_words_free(words);
	return program_end(*pid_out, grace_ms);
}

static void
ends(void **state)
{
	struct err e = ERR_INIT;
	char no[] = "/nonexistent/program", *words[] = { no, NULL };
	pid_t pid;
	int status;

	(void)state;
	status = end_of("sh -c \"exit 7\"", 60000, &pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
	assert_int_equal(WTERMSIG(end_of("sleep 600", 40, &pid)), SIGTERM);
	/* No descriptor but three. */
	assert_true(dup2(2, 9) == 9);
	status = end_of("sh -c \"[ ! -e /proc/self/fd/9 ]\"", 60000, &pid);
	assert_int_equal(WEXITSTATUS(status), 0);
	close(9);
	assert_int_equal(program_start(words, (const int[]){ 0, 2 }, &pid,
	    &e), ERR_CONFIG);
	assert_non_null(strstr(e.text, no));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split), cmocka_unit_test(split_bad),
		cmocka_unit_test(expand), cmocka_unit_test(ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
