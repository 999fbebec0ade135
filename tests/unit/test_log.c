/* SPDX-License-Identifier: ISC */
/* The log: what a line looks like and that no value can forge one. */
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

struct seen {
	struct buf line;
	enum log_level level;
	int count;
};

static void
sink(void *ctx, enum log_level level, const char *line)
{
	struct seen *seen = ctx;

	buf_clear(&seen->line);
	buf_adds(&seen->line, line);
	seen->level = level;
	seen->count++;
}

static void
test_values(void **state)
{
	static const struct {
		const char *value, *shown;
	} cases[] = {
		{ "plain", "plain" },
		{ "<a@b.example>", "<a@b.example>" },
		{ "", "\"\"" },
		{ "two words", "\"two words\"" },
		{ "a\"b", "\"a\\\"b\"" },
		{ "a\\b", "\"a\\\\b\"" },
		{ "x\nfake id=1", "\"x\\x0afake id=1\"" },
		{ "caf\xc3\xa9", "\"caf\\xc3\\xa9\"" },
		{ "\x7f\x1b", "\"\\x7f\\x1b\"" },
	};
	struct seen seen = { BUF_INIT, LOG_LEVEL_DEBUG, 0 };
	struct log *log = log_new_sink(sink, &seen);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *want = mem_printf("word key=%s n=5", cases[i].shown);

		log_event(log, LOG_LEVEL_WARNING, "word", "key",
		    cases[i].value, "none", NULL, "n", num_str(5).s, NULL);
		assert_string_equal(buf_cstr(&seen.line), want);
		assert_int_equal(seen.level, LOG_LEVEL_WARNING);
		free(want);
	}
	log_free(log);
	buf_release(&seen.line);
}

static void
test_long_value(void **state)
{
	struct seen seen = { BUF_INIT, LOG_LEVEL_DEBUG, 0 };
	struct log *log = log_new_sink(sink, &seen);
	char value[5000];

	(void)state;
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	log_event(log, LOG_LEVEL_INFO, "w", "k", value, NULL);
	assert_true(seen.line.len < 1100);
	assert_memory_equal(seen.line.ptr + seen.line.len - 5, "v...\"", 5);
	log_free(log);
	buf_release(&seen.line);
}

static void
test_levels(void **state)
{
	struct seen seen = { BUF_INIT, LOG_LEVEL_DEBUG, 0 };
	struct log *log = log_new_sink(sink, &seen);

	(void)state;
	log_event(NULL, LOG_LEVEL_BUG, "nobody", NULL);
	log_event(log, LOG_LEVEL_DEBUG, "quiet", NULL);
	assert_int_equal(seen.count, 0);
	log_set_level(log, LOG_LEVEL_DEBUG);
	log_event(log, LOG_LEVEL_DEBUG, "heard", NULL);
	assert_int_equal(seen.count, 1);
	log_set_level(log, LOG_LEVEL_FATAL);
	log_event(log, LOG_LEVEL_WARNING, "quiet", NULL);
	assert_int_equal(seen.count, 1);
	log_event(log, LOG_LEVEL_BUG, "heard", NULL);
	assert_int_equal(seen.count, 2);
	assert_string_equal(buf_cstr(&seen.line), "heard");
	assert_string_equal(log_level_name(LOG_LEVEL_DEBUG), "debug");
	assert_string_equal(log_level_name(LOG_LEVEL_BUG), "bug");
	assert_string_equal(num_str(UINT64_MAX).s, "18446744073709551615");
	log_free(log);
	buf_release(&seen.line);
}

static int64_t
noon(struct clock *c)
{
	(void)c;
	return INT64_C(1709632800250);
}

static void
test_file(void **state)
{
	char dir[] = "/tmp/postrider-log-XXXXXX";
	struct clock clock = { noon, noon };
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	struct log *log;
	char *path, *moved;

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = path_join(dir, "log");
	moved = path_join(dir, "log.1");
	assert_int_equal(log_new_file(&clock, path, &log, &e), 0);
	log_event(log, LOG_LEVEL_INFO, "first", "a", "1", NULL);
	assert_int_equal(rename(path, moved), 0);
	assert_int_equal(log_reopen(log, &e), 0);
	log_event(log, LOG_LEVEL_WARNING, "second", NULL);
	log_free(log);
	assert_int_equal(file_read(moved, 4096, &b, &e), 0);
	assert_string_equal(buf_cstr(&b),
	    "2024-03-05T10:00:00.250Z info first a=1\n");
	buf_clear(&b);
	assert_int_equal(file_read(path, 4096, &b, &e), 0);
	assert_string_equal(buf_cstr(&b),
	    "2024-03-05T10:00:00.250Z warning second\n");
	buf_release(&b);
	unlink(path);
	unlink(moved);
	rmdir(dir);
	assert_int_equal(log_new_file(&clock, path, &log, &e),
	    ERR_NOT_FOUND);
	assert_null(log);
	free(path);
	free(moved);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_long_value),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
