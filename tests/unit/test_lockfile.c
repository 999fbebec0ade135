/* SPDX-License-Identifier: ISC */
/*
 * Lock files of serial lines: what is held, what is stale, and what is only
 * unreadable.
 */
#include "transports/lockfile.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/lockfile-XXXXXX";

static int
make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

static pid_t
dead_process(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return pid;
}

static void
put(const char *path, const void *octets, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(octets, 1, len, f), len);
	fclose(f);
}

static void
test_taken_and_dropped(void **state)
{
	struct buf text = BUF_INIT;
	char *want = mem_printf("%s/LCK..ttyX9", dir), *path, line[16];
	struct stat st;

	(void)state;
	assert_int_equal(lockfile_take(dir, "/dev/ttyX9", &path, NULL), 0);
	assert_string_equal(path, want);
	assert_int_equal(file_read(path, 64, &text, NULL), 0);
	snprintf(line, sizeof(line), "%10ld\n", (long)getpid());
	assert_int_equal(text.len, 11);
	assert_memory_equal(text.ptr, line, 11);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	lockfile_drop(path);
	assert_int_equal(access(want, F_OK), -1);
	lockfile_drop(NULL);
	buf_release(&text);
	free(want);
}

static void
test_other_names(void **state)
{
	char *link_path = mem_printf("%s/modem", dir), *path;

	(void)state;
	assert_int_equal(symlink("/dev/null", link_path), 0);
	assert_int_equal(lockfile_take(dir, link_path, &path, NULL), 0);
	assert_non_null(strstr(path, "/LCK..null"));
	lockfile_drop(path);
	(void)unlink(link_path);
	free(link_path);
}

static void
test_no_directory(void **state)
{
	char *path = dir;

	(void)state;
	assert_int_equal(lockfile_take("/nonexistent", "/dev/ttyX9", &path,
	    NULL), 0);
	assert_null(path);
}

/* What another program left: whether we get the lock, and what is said. */
static void
test_others(void **state)
{
	char *path = mem_printf("%s/LCK..ttyX9", dir), text[3][16], *mine;
	int32_t dead = dead_process(), alive = getppid();
	const struct {
		const void *octets;
		size_t len;
		const char *refused;	/* NULL: it is taken */
	} cases[] = {
		{ text[0], 11, NULL }, { &dead, sizeof(dead), NULL },
		{ text[2], 11, "is held by process" },
		{ text[1], 11, "is held by process" },
		{ &alive, sizeof(alive), "is held by process" },
		{ "", 0, "names no process" },
		{ "minicom\n", 8, "names no process" },
		{ "         0\n", 11, "names no process" },
		{ "        -1\n", 11, "names no process" },
	};

	(void)state;
	snprintf(text[0], sizeof(text[0]), "%10ld\n", (long)dead);
	snprintf(text[1], sizeof(text[1]), "%10ld\n", (long)alive);
	snprintf(text[2], sizeof(text[2]), "%10ld\n", (long)getpid());
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = ERR_INIT;
		int rc;

		put(path, cases[i].octets, cases[i].len);
		rc = lockfile_take(dir, "/dev/ttyX9", &mine, &e);
		assert_int_equal(rc, cases[i].refused ? ERR_EXISTS : 0);
		if (cases[i].refused == NULL) {
			lockfile_drop(mine);
			assert_int_equal(access(path, F_OK), -1);
			continue;
		}
		assert_null(mine);
		assert_non_null(strstr(e.text, cases[i].refused));
		assert_non_null(strstr(e.text, "/dev/ttyX9"));
		assert_int_equal(unlink(path), 0);
	}
	free(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken_and_dropped),
		cmocka_unit_test(test_other_names),
		cmocka_unit_test(test_no_directory),
		cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
