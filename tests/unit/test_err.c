/* SPDX-License-Identifier: ISC */
/* Errors: codes, sentences, and their bounds. */
#include "base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void
test_set(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(err_set(&e, ERR_LIMIT, "line %d: too long", 7),
	    ERR_LIMIT);
	assert_int_equal(e.code, ERR_LIMIT);
	assert_string_equal(e.text, "line 7: too long");
	assert_int_equal(err_prefix(&e, "file %s", "x"), ERR_LIMIT);
	assert_string_equal(e.text, "file x: line 7: too long");
	assert_int_equal(err_set(NULL, ERR_STATE, "nobody listens"),
	    ERR_STATE);
	assert_true(err_prefix(NULL, "nobody") < 0);
}

static void
test_errno(void **state)
{
	static const struct {
		int error, code;
	} cases[] = {
		{ ENOSPC, ERR_FULL }, { EDQUOT, ERR_FULL },
		{ ENOENT, ERR_NOT_FOUND }, { EACCES, ERR_DENIED },
		{ EPERM, ERR_DENIED }, { EIO, ERR_IO }, { EINVAL, ERR_IO },
	};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		errno = cases[i].error;
		assert_int_equal(err_errno(&e, "cannot open %s", "f"),
		    cases[i].code);
		assert_int_equal(e.code, cases[i].code);
		assert_int_equal(errno, cases[i].error);
	}
	errno = ENOENT;
	err_errno(&e, "cannot open %s", "f");
	assert_string_equal(e.text,
	    "cannot open f: No such file or directory");
	errno = ENOSPC;
	assert_int_equal(err_errno(NULL, "x"), ERR_FULL);
}

static void
test_cut(void **state)
{
	char words[2 * ERR_TEXT_MAX];
	struct err e = ERR_INIT;

	(void)state;
	memset(words, 'x', sizeof(words) - 1);
	words[sizeof(words) - 1] = '\0';
	err_set(&e, ERR_IO, "%s", words);
	assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
	errno = EIO;
	err_errno(&e, "%s", words);
	assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
	err_set(&e, ERR_IO, "cause");
	err_prefix(&e, "%s", words);
	assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
	assert_int_equal(e.code, ERR_IO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_errno),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
