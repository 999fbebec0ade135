/* SPDX-License-Identifier: ISC */
/* Whole files or none; intrusive lists ride along. */
#include "base/file.h"
#include "base/list.h"
#include "base/mem.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static int
setup(void **state)
{
	char *dir = mem_strdup("/tmp/postrider-file-XXXXXX");

	*state = dir;
	return mkdtemp(dir) == NULL;
}

static size_t
empty(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	size_t n = 0;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		char *path = path_join(dir, entry->d_name);

		if (strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0) {
			n++;
			remove(path);
		}
		free(path);
	}
	if (d != NULL)
		closedir(d);
	return n;
}

static int
teardown(void **state)
{
	empty(*state);
	rmdir(*state);
	free(*state);
	return 0;
}

static void
assert_content(const char *dir, const char *name, const char *want)
{
	char *path = path_join(dir, name);
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(file_read(path, 1000, &b, &e), 0);
	assert_string_equal(buf_cstr(&b), want);
	buf_release(&b);
	free(path);
}

static void
test_commit(void **state)
{
	struct file_writer w = FILE_WRITER_INIT;
	struct err e = ERR_INIT;
	struct stat st;
	char *path = path_join(*state, "f");

	assert_int_equal(file_writer_open(&w, *state, "f", 0600, &e), 0);
	assert_int_equal(file_writer_add(&w, "one ", 4, &e), 0);
	assert_int_equal(file_writer_add(&w, "two", 3, &e), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(file_writer_commit(&w, false, &e), 0);
	file_writer_abort(&w);
	assert_content(*state, "f", "one two");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(empty(*state), 1);
	free(path);
}

static void
test_exists(void **state)
{
	struct file_writer w = FILE_WRITER_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(file_replace(*state, "f", "old", 3, 0600, &e), 0);
	assert_int_equal(file_writer_open(&w, *state, "f", 0600, &e), 0);
	assert_int_equal(file_writer_add(&w, "new", 3, &e), 0);
	assert_int_equal(file_writer_commit(&w, false, &e), ERR_EXISTS);
	assert_content(*state, "f", "old");
	assert_int_equal(file_replace(*state, "f", "newer", 5, 0600, &e), 0);
	assert_content(*state, "f", "newer");
	assert_int_equal(empty(*state), 1);
}

static void
test_abort(void **state)
{
	struct file_writer w = FILE_WRITER_INIT;
	struct err e = ERR_INIT;

	file_writer_abort(&w);
	assert_int_equal(file_writer_open(&w, *state, "f", 0600, &e), 0);
	assert_int_equal(file_writer_add(&w, "x", 1, &e), 0);
	file_writer_abort(&w);
	file_writer_abort(&w);
	assert_int_equal(empty(*state), 0);
	assert_int_equal(file_writer_open(&w, "/nonexistent", "f", 0600, &e),
	    ERR_NOT_FOUND);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	file_writer_abort(&w);
}

/* What a crash left behind does not stand in the way. */
static void
test_stale(void **state)
{
	char *stale = path_join(*state, ".f.tmp");
	struct err e = ERR_INIT;

	assert_int_equal(symlink("/nonexistent/target", stale), 0);
	assert_int_equal(file_replace(*state, "f", "x", 1, 0600, &e), 0);
	assert_content(*state, "f", "x");
	assert_int_equal(empty(*state), 1);
	free(stale);
}

static void
test_read_limit(void **state)
{
	char *path = path_join(*state, "f");
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(file_replace(*state, "f", "12345", 5, 0600, &e), 0);
	buf_adds(&b, "a");
	assert_int_equal(file_read(path, 4, &b, &e), ERR_LIMIT);
	assert_string_equal(buf_cstr(&b), "a");
	assert_int_equal(file_read(path, 5, &b, &e), 0);
	assert_string_equal(buf_cstr(&b), "a12345");
	assert_int_equal(file_read("/nonexistent", 5, &b, &e),
	    ERR_NOT_FOUND);
	assert_string_equal(e.text,
	    "cannot open /nonexistent: No such file or directory");
	buf_release(&b);
	free(path);
}

static void
test_make_dirs(void **state)
{
	char *deep = mem_printf("%s/a/b//c/", (char *)*state);
	char *path = mem_printf("%s/f/sub", (char *)*state);
	struct err e = ERR_INIT;
	struct stat st;

	assert_int_equal(file_make_dirs(deep, 0700, &e), 0);
	assert_int_equal(file_make_dirs(deep, 0700, &e), 0);
	assert_int_equal(stat(deep, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(file_replace(*state, "f", "", 0, 0600, &e), 0);
	assert_true(file_make_dirs(path, 0700, &e) < 0);
	free(path);
	path = mem_printf("%s/a/b/c", (char *)*state);
	for (int i = 0; i < 2; i++) {
		rmdir(path);
		*strrchr(path, '/') = '\0';
	}
	free(path);
	free(deep);
}

static void
test_paths(void **state)
{
	char *p = path_join("/a", "b");

	(void)state;
	assert_string_equal(p, "/a/b");
	free(p);
	p = path_join("/a/", "b");
	assert_string_equal(p, "/a/b");
	free(p);
	assert_string_equal(path_base("/a/b"), "b");
	assert_string_equal(path_base("b"), "b");
	assert_string_equal(path_base("a/"), "");
	assert_string_equal(path_base(NULL), "");
}

struct item {
	int n;
	struct list link;
};

static void
test_list(void **state)
{
	struct item items[4] = { { .n = 0 }, { .n = 1 }, { .n = 2 },
		{ .n = 3 } };
	struct list head, *i, *after;
	int want = 0;

	(void)state;
	list_init(&head);
	assert_true(list_empty(&head));
	list_add_tail(&head, &items[1].link);
	list_add_tail(&head, &items[2].link);
	list_add_head(&head, &items[0].link);
	list_add_tail(&head, &items[3].link);
	list_for_each(i, &head)
		assert_int_equal(list_entry(i, struct item, link)->n, want++);
	assert_int_equal(want, 4);
	list_for_each_safe(i, after, &head) {
		list_del(i);
		list_del(i);
	}
	assert_true(list_empty(&head));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exists, setup, teardown),
		cmocka_unit_test_setup_teardown(test_abort, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stale, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_limit, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_make_dirs, setup,
		    teardown),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
