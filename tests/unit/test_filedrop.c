/* SPDX-License-Identifier: ISC */
/*
 * Names on media, the marker, and the settings of the transport "file".  What
 * it does with files is tested with the real program.
 */
#include "base/file.h"
#include "base/mem.h"
#include "transports/filedrop.h"
#include "transports/filename.h"
#include "transports/medium.h"
#include "transports/report.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))

static void
test_fat_names(void **state)
{
	static const struct {
		const char *name;
		bool ok;
	} cases[] = {
		{ "a", true }, { "mzxw6ytboi.bsmtp", true }, { "0-9.z", true },
		{ "console", true }, { "com", true }, { "com10", true },
		{ "lptx", true }, { "a.con", true }, { "a.tmpx", true },
		{ "", false }, { ".a", false }, { "a.", false },
		{ "-a", false }, { "A", false }, { "a_b", false },
		{ "a b", false }, { "a/b", false }, { "a:b", false },
		{ "a~1", false }, { "\xc3\xa9", false }, { "con", false },
		{ "con.txt", false }, { "nul.tar.gz", false },
		{ "aux", false }, { "prn.a", false }, { "com1", false },
		{ "com0.x", false }, { "lpt9", false }, { "a.tmp", false },
		{ "a.part", false },
	};
	char *big = mem_alloc(202, 1);

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++)
		if (filename_fat_ok(slice_of(cases[i].name)) != cases[i].ok)
			fail_msg("%s", cases[i].name);
	memset(big, 'a', 201);
	assert_false(filename_fat_ok(slice_of(big)));
	big[200] = '\0';
	assert_true(filename_fat_ok(slice_of(big)));
	free(big);
}

/* The digests are from sha256sum(1). */
static void
test_drop_names(void **state)
{
	static const struct {
		const char *name, *suffix, *want;
	} cases[] = {
		{ "abc", "", "abc" },
		{ "abc", ".bsmtp", "abc.bsmtp" },
		{ "con", "", "x-con-1143da2bc54c495c" },
		{ "con", "1", "con1" },
		{ "a.tmp", ".gz", "a.tmp.gz" },
		{ "AbC", "", "x-abc-482e1ae75acdf731" },
		{ "A/b..", ".z", "x-a-b---156eb2dfb323c442.z" },
	};
	struct buf out = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		buf_clear(&out);
		filename_drop(&out, slice_of(cases[i].name), cases[i].suffix);
		assert_string_equal(buf_cstr(&out), cases[i].want);
		assert_true(filename_fat_ok(buf_slice(&out)));
	}
	buf_release(&out);
}

static void
test_drop_names_differ(void **state)
{
	struct buf a = BUF_INIT, b = BUF_INIT, name = BUF_INIT;

	(void)state;
	filename_drop(&a, SLICE_LIT("aBc"), "");
	filename_drop(&b, SLICE_LIT("Abc"), "");
	assert_false(slice_ieq(buf_slice(&a), buf_slice(&b)));
	for (int i = 0; i < 255; i++)
		buf_addc(&name, 'a');
	buf_clear(&a);
	filename_drop(&a, buf_slice(&name), ".verylongsuffix");
	assert_true(filename_fat_ok(buf_slice(&a)));
	buf_release(&a);
	buf_release(&b);
	buf_release(&name);
}

static void
test_in_names(void **state)
{
	static const struct {
		const char *name;
		uint64_t inode;
		int64_t mtime;
		const char *want;
	} cases[] = {
		{ "Mail_1.bsmtp", 12, 34, "Mail_1.bsmtp~12-34" },
		{ "a b~c%\n\xc3\xa9", 1, -5, "a%20b%7Ec%25%0A%C3%A9~1--5" },
		{ "-x", UINT64_MAX, INT64_MAX,
		    "-x~18446744073709551615-9223372036854775807" },
	};
	struct buf out = BUF_INIT, name = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		buf_clear(&out);
		filename_in(&out, slice_of(cases[i].name), cases[i].inode,
		    cases[i].mtime);
		assert_string_equal(buf_cstr(&out), cases[i].want);
	}
	for (int i = 0; i < 255; i++)
		buf_addc(&name, '\xff');
	buf_clear(&out);
	filename_in(&out, buf_slice(&name), UINT64_MAX, INT64_MIN);
	assert_true(out.len + strlen("..tmp") <= 255);
	assert_true(report_name_ok(buf_slice(&out)));
	buf_release(&out);
	buf_release(&name);
}

static void
test_passed_over(void **state)
{
	static const struct {
		const char *name;
		bool over;
	} cases[] = {
		{ "a", false }, { "a.bsmtp", false }, { "tmp", false },
		{ "part.1", false }, { ".a", true }, { "a.tmp", true },
		{ "A.TMP", true }, { "a.Part", true },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++)
		assert_int_equal(filename_passed_over(slice_of(cases[i].name)),
		    cases[i].over);
}

static void
test_medium(void **state)
{
	char dir[] = "/tmp/test_filedrop.XXXXXX";
	struct medium m = MEDIUM_INIT;
	struct err e = ERR_INIT;
	char *drop, *marker;

	(void)state;
	assert_non_null(mkdtemp(dir));
	drop = path_join(dir, "drop");
	marker = path_join(drop, "MARK");
	assert_int_equal(medium_open(&m, drop, NULL, &e), ERR_NOT_FOUND);
	assert_int_equal(file_make_dirs(drop, 0700, &e), 0);
	assert_int_equal(medium_open(&m, drop, "MARK", &e), ERR_NOT_FOUND);
	assert_int_equal(m.fd, -1);
	/* A directory or a link is no marker. */
	assert_int_equal(symlink("/etc/passwd", marker), 0);
	assert_int_equal(medium_open(&m, drop, "MARK", &e), ERR_NOT_FOUND);
	assert_int_equal(unlink(marker), 0);
	close(open(marker, O_WRONLY | O_CREAT, 0600));
	assert_int_equal(medium_open(&m, drop, "MARK", &e), 0);
	assert_int_equal(medium_sync(&m, &e), 0);
	assert_int_equal(medium_check_writable(&m, &e), 0);
	assert_int_equal(unlink(marker), 0);
	assert_int_equal(medium_sync(&m, &e), ERR_IO);
	assert_int_equal(rmdir(drop), 0);
	assert_int_equal(medium_sync(&m, &e), ERR_IO);
	medium_close(&m);
	assert_int_equal(rmdir(dir), 0);
	free(drop);
	free(marker);
}

static int
try_settings(const char *const *set, struct err *e)
{
	char *argv[24];
	struct contract *c;
	struct filedrop *f = NULL;
	const char *first[] = { "file", "--peer", "p", "--out", "/tmp",
	    "--in", "/tmp" };
	int argc = 0, rc;

	for (size_t i = 0; i < NELEM(first); i++)
		argv[argc++] = mem_strdup(first[i]);
	for (size_t i = 0; i < 8 && set[i] != NULL; i++) {
		argv[argc++] = mem_strdup("--set");
		argv[argc++] = mem_strdup(set[i]);
	}
	assert_int_equal(contract_open(argc, argv, 0, 1, &c, e), 0);
	rc = filedrop_new(c, &f, e);
	assert_true((f != NULL) == (rc == 0));
	filedrop_free(f);
	contract_close(c);
	while (argc > 0)
		free(argv[--argc]);
	return rc;
}

static void
test_settings(void **state)
{
	static const struct {
		const char *set[8];
		int rc;
	} cases[] = {
		{ { "drop=/tmp" }, 0 },
		{ { "pickup=/nowhere", "poll=0.2", "stay=yes",
		    "marker=POST.ID", "settle=2", "suffix=.bsm" }, 0 },
		{ { NULL }, ERR_CONFIG },
		{ { "drop=tmp" }, ERR_CONFIG },
		{ { "drop=/tmp", "pickup=/tmp/../tmp" }, ERR_CONFIG },
		{ { "drop=/tmp", "marker=" }, ERR_CONFIG },
		{ { "drop=/tmp", "marker=a/b" }, ERR_CONFIG },
		{ { "drop=/tmp", "marker=.." }, ERR_CONFIG },
		{ { "drop=/tmp", "poll=x" }, ERR_CONFIG },
		{ { "drop=/tmp", "stay=maybe" }, ERR_CONFIG },
		{ { "drop=/tmp", "suffix=.tmp" }, ERR_CONFIG },
		{ { "drop=/tmp", "suffix=A" }, ERR_CONFIG },
		{ { "drop=/tmp", "dorp=/tmp" }, ERR_CONFIG },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct err e = ERR_INIT;

		if (try_settings(cases[i].set, &e) != cases[i].rc)
			fail_msg("case %zu: %s", i, e.text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fat_names),
		cmocka_unit_test(test_drop_names),
		cmocka_unit_test(test_drop_names_differ),
		cmocka_unit_test(test_in_names),
		cmocka_unit_test(test_passed_over),
		cmocka_unit_test(test_medium),
		cmocka_unit_test(test_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
