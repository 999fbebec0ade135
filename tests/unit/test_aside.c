/* SPDX-License-Identifier: ISC */
/*
 * Files put aside: within a quota, and not for ever.
 */
#include "node/aside.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"

struct fix {
	char root[32];
	char *dir;
};

static int
setup(void **state)
{
	struct fix *f = mem_alloc(1, sizeof(*f));

	memcpy(f->root, "/tmp/test_aside.XXXXXX", 23);
	assert_non_null(mkdtemp(f->root));
	f->dir = path_join(f->root, "aside");
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fix *f = *state;

	(void)aside_trim(f->dir, INT64_MAX / 2, 1);
	(void)rmdir(f->dir);
	assert_int_equal(0, rmdir(f->root));
	free(f->dir);
	free(f);
	return 0;
}

static int64_t
now_ms(void)
{
	return (int64_t)time(NULL) * 1000;
}

static unsigned
count(const char *dir)
{
	DIR *d = opendir(dir);
	unsigned n = 0;

	while (d != NULL && readdir(d) != NULL)
		n++;
	if (d != NULL)
		closedir(d);
	return n > 2 ? n - 2 : 0;
}

static void
put(struct fix *f, const char *name, size_t octets)
{
	char *path = path_join(f->root, name);
	struct err e = ERR_INIT;

	assert_int_equal(0, file_replace(f->root, name, "", 0, 0600, &e));
	assert_int_equal(0, truncate(path, (off_t)octets));
	assert_int_equal(0, aside_put(f->dir, path, name, &e));
	assert_int_equal(-1, access(path, F_OK));
	free(path);
}

static void
test_count(void **state)
{
	struct fix *f = *state;
	char name[16];
	unsigned i;

	assert_int_equal(0, aside_trim(f->dir, now_ms(), 10));
	for (i = 0; i < ASIDE_FILES + 5; i++) {
		(void)snprintf(name, sizeof(name), "f%u", i);
		put(f, name, 10);
	}
	assert_int_equal(5, aside_trim(f->dir, now_ms(), 0));
	assert_int_equal(ASIDE_FILES, count(f->dir));
	/* The same name again takes the place of the old one. */
	put(f, "f50", 10);
	assert_int_equal(0, aside_trim(f->dir, now_ms(), 0));
	assert_int_equal(ASIDE_FILES, count(f->dir));
}

static void
test_octets(void **state)
{
	struct fix *f = *state;

	put(f, "a", ASIDE_OCTETS / 2);
	put(f, "b", ASIDE_OCTETS / 2);
	assert_int_equal(0, aside_trim(f->dir, now_ms(), 0));
	put(f, "c", ASIDE_OCTETS + 1);
	assert_int_equal(1, aside_trim(f->dir, now_ms(), 0));
	assert_int_equal(2, count(f->dir));
	put(f, "d", 1);
	assert_int_equal(1, aside_trim(f->dir, now_ms(), 0));
	assert_int_equal(2, count(f->dir));
}

static void
test_age(void **state)
{
	struct fix *f = *state;

	put(f, "a", 1);
	assert_int_equal(0, aside_trim(f->dir, now_ms() + 50000, 60));
	assert_int_equal(0, aside_trim(f->dir, now_ms() + 90000, 0));
	assert_int_equal(1, aside_trim(f->dir, now_ms() + 90000, 60));
	assert_int_equal(0, count(f->dir));
}

static void
put_from(struct fix *f, const char *root, size_t octets, int rc)
{
	char *path = path_join(root, "far");
	char *kept = path_join(f->dir, "far");
	struct err e = ERR_INIT;
	struct stat st;

	assert_int_equal(0, file_replace(root, "far", "", 0, 0600, &e));
	assert_int_equal(0, truncate(path, (off_t)octets));
	assert_int_equal(rc, aside_put(f->dir, path, "far", &e));
	assert_int_equal(-1, access(path, F_OK));
	assert_int_equal(rc, stat(kept, &st) == 0 ? 0 : ERR_LIMIT);
	if (rc == 0)
		assert_int_equal((size_t)st.st_size, octets);
	free(path);
	free(kept);
}

/* From another disk it is copied, but not more than may be there. */
static void
test_far(void **state)
{
	char root[] = "/dev/shm/test_aside.XXXXXX";
	struct fix *f = *state;
	struct stat here, there;

	if (mkdtemp(root) == NULL)
		skip();
	assert_int_equal(0, stat(f->root, &here));
	assert_int_equal(0, stat(root, &there));
	if (here.st_dev != there.st_dev) {
		put_from(f, root, ASIDE_OCTETS + 1, ERR_LIMIT);
		put_from(f, root, 200000, 0);
	}
	assert_int_equal(0, rmdir(root));
}

/* Where nothing can be kept, the file does not stay in the way. */
static void
test_no_place(void **state)
{
	struct fix *f = *state;
	char *path = path_join(f->root, "x");
	struct err e = ERR_INIT;

	assert_int_equal(0, file_replace(f->root, "x", "", 0, 0600, &e));
	assert_true(aside_put("/proc/none/aside", path, "x", &e) < 0);
	assert_int_equal(-1, access(path, F_OK));
	free(path);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_count),
		TEST(test_octets),
		TEST(test_age),
		TEST(test_far),
		TEST(test_no_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
