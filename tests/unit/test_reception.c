/* SPDX-License-Identifier: ISC */
/*
 * Files on their way into in/: whole, once, and no more than there is room
 * for.
 */
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "transports/reception.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX_SIZE 100000

struct place {
	char dir[64];
	struct contract *contract;
	struct reception *r;
	int null;
};

static void
open_place(struct place *p)
{
	char *argv[] = { "serial", "--peer", "p", "--out", p->dir, "--in",
		p->dir, NULL };

	p->null = open("/dev/null", O_RDWR);
	assert_int_equal(contract_open(7, argv, p->null, p->null,
	    &p->contract, NULL), 0);
	assert_int_equal(reception_new(p->contract, MAX_SIZE, &p->r, NULL),
	    0);
}

static void
close_place(struct place *p)
{
	reception_free(p->r);
	contract_close(p->contract);
	close(p->null);
}

static void
again(struct place *p)
{
	close_place(p);
	open_place(p);
}

static int
setup(void **state)
{
	struct place *p = mem_alloc(1, sizeof(*p));

	memcpy(p->dir, "/tmp/reception-XXXXXX", 22);
	assert_non_null(mkdtemp(p->dir));
	open_place(p);
	*state = p;
	return 0;
}

/* Names in in/, with a dot in front or without: how many. */
static size_t
count(const struct place *p, bool dots, bool take_away)
{
	DIR *d = opendir(p->dir);
	struct dirent *de;
	size_t n = 0;

	assert_non_null(d);
	while ((de = readdir(d)) != NULL) {
		if (strcmp(de->d_name, ".") == 0 ||
		    strcmp(de->d_name, "..") == 0 ||
		    (de->d_name[0] == '.') != dots)
			continue;
		n++;
		if (take_away)
			assert_int_equal(unlinkat(dirfd(d), de->d_name, 0),
			    0);
	}
	closedir(d);
	return n;
}

static int
teardown(void **state)
{
	struct place *p = *state;

	close_place(p);
	(void)count(p, true, true);
	(void)count(p, false, true);
	assert_int_equal(rmdir(p->dir), 0);
	free(p);
	return 0;
}

static struct link_file
file_of(const char *name, const char *content)
{
	struct link_file f = { .name = name, .size = strlen(content) };
	struct sha256 h;

	sha256_init(&h);
	sha256_add(&h, content, strlen(content));
	sha256_end(&h, f.hash);
	return f;
}

static void
test_whole_and_once(void **state)
{
	struct place *p = *state;
	struct link_file f = file_of("a", "some content");
	uint64_t have = 99;

	assert_int_equal(reception_open(p->r, 3, &f, &have), LINK_TAKE);
	assert_int_equal(have, 0);
	assert_int_equal(reception_write(p->r, 3, "some ", 5), 0);
	/* It goes on in another run. */
	again(p);
	assert_int_equal(count(p, false, false), 0);
	assert_int_equal(reception_open(p->r, 0, &f, &have), LINK_TAKE);
	assert_int_equal(have, 5);
	assert_int_equal(reception_write(p->r, 0, "content", 7), 0);
	assert_int_equal(reception_close(p->r, 0), 0);
	assert_int_equal(count(p, false, false), 1);
	assert_int_equal(reception_open(p->r, 0, &f, &have), LINK_HAVE_ALL);
	/* Also when the daemon has taken it away, and in another run. */
	assert_int_equal(count(p, false, true), 1);
	again(p);
	assert_int_equal(reception_open(p->r, 0, &f, &have), LINK_HAVE_ALL);
	/* Another name is another file. */
	f.name = "b";
	assert_int_equal(reception_open(p->r, 0, &f, &have), LINK_TAKE);
	reception_leave(p->r, 0, true);
	assert_int_equal(count(p, true, false), 1);
}

/* What came whole and may not be known to the peer is told, also by another
 * run, until a conversation has ended well. */
static void
test_tells_what_is_whole(void **state)
{
	static const char *const names[] = { "0", "1", "2", "3", "4", "5",
		"6", "7", "8", "9" };
	struct place *p = *state;
	struct link_partial told[20];
	struct link_file f;
	uint64_t have;

	for (size_t i = 0; i < 10; i++) {
		f = file_of(names[i], "x");
		assert_int_equal(reception_open(p->r, 0, &f, &have),
		    LINK_TAKE);
		assert_int_equal(reception_write(p->r, 0, "x", 1), 0);
		assert_int_equal(reception_close(p->r, 0), 0);
		if (i == 0)
			reception_settled(p->r);
		assert_int_equal(reception_partials(p->r, told, 20),
		    i > 8 ? 8 : i);
		assert_true(i == 0 || told[0].id == link_file_id(&f));
		assert_true(i == 0 || told[0].have == LINK_PARTIAL_WHOLE);
	}
	assert_int_equal(reception_partials(p->r, told, 3), 3);
	again(p);
	assert_int_equal(reception_partials(p->r, told, 20), 8);
	assert_true(told[0].id == link_file_id(&f));
	/* One in part goes first. */
	f = file_of("part", "xy");
	assert_int_equal(reception_open(p->r, 0, &f, &have), LINK_TAKE);
	assert_int_equal(reception_write(p->r, 0, "x", 1), 0);
	assert_int_equal(reception_partials(p->r, told, 20), 9);
	assert_true(told[0].id == link_file_id(&f) && told[0].have == 1);
	reception_leave(p->r, 0, true);
	reception_settled(p->r);
	assert_int_equal(reception_partials(p->r, told, 20), 0);
	again(p);
	assert_int_equal(reception_partials(p->r, told, 20), 0);
	f = file_of("4", "x");
	assert_int_equal(reception_open(p->r, 0, &f, &have), LINK_HAVE_ALL);
}

static void
test_other_content(void **state)
{
	struct place *p = *state;
	struct link_file f = file_of("a", "content");
	uint64_t have;

	assert_int_equal(reception_open(p->r, 0, &f, &have), LINK_TAKE);
	assert_int_equal(reception_write(p->r, 0, "kontent", 7), 0);
	assert_int_equal(reception_close(p->r, 0), ERR_CORRUPT);
	assert_int_equal(count(p, false, false), 0);
	assert_int_equal(reception_write(p->r, 0, "content", 7), 0);
	assert_int_equal(reception_close(p->r, 0), 0);
	assert_int_equal(count(p, false, false), 1);
}

static void
test_names(void **state)
{
	static const char *const names[] = { "plain-1.name", "../../etc/x",
		".hidden", "UPPER", "a b", "\n", "x~1" };
	struct place *p = *state;
	char *path;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct link_file f = file_of(names[i], "c");
		uint64_t have;
		struct stat st;

		assert_int_equal(reception_open(p->r, 0, &f, &have),
		    LINK_TAKE);
		assert_int_equal(reception_write(p->r, 0, "c", 1), 0);
		assert_int_equal(reception_close(p->r, 0), 0);
		path = mem_printf("%s/%s~%016llx", p->dir,
		    i == 0 ? names[0] : "x",
		    (unsigned long long)link_file_id(&f));
		assert_int_equal(stat(path, &st), 0);
		free(path);
	}
}

static void
test_limits(void **state)
{
	struct place *p = *state;
	struct link_file f = file_of("a", "content");
	uint64_t have;
	char name[16];

	f.size = MAX_SIZE + 1;
	assert_int_equal(reception_open(p->r, 0, &f, &have),
	    LINK_REFUSE_NEVER);
	f = file_of("a", "content");
	assert_int_equal(reception_open(p->r, 0, &f, &have), LINK_TAKE);
	assert_int_equal(reception_open(p->r, 1, &f, &have),
	    LINK_REFUSE_LATER);
	reception_leave(p->r, 0, false);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		f = file_of(name, "content");
		assert_int_equal(reception_open(p->r, 0, &f, &have),
		    LINK_TAKE);
		assert_int_equal(reception_write(p->r, 0, "x", 1), 0);
		reception_leave(p->r, 0, false);
	}
	assert_true(count(p, true, false) <= 64);
}

/* A link that somebody put there is not followed. */
static void
test_no_links(void **state)
{
	struct place *p = *state;
	struct link_file f = file_of("a", "content");
	char *path = mem_printf("%s/.link-%016llx.part", p->dir,
	    (unsigned long long)link_file_id(&f));
	uint64_t have;

	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(reception_open(p->r, 0, &f, &have),
	    LINK_REFUSE_LATER);
	free(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_whole_and_once, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_tells_what_is_whole,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_content, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_links, setup,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
