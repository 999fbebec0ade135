/* SPDX-License-Identifier: ISC */
/*
 * What a transport is started with, and when that counts as another.
 */
#include "node/launch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

#define SITE "site paris {\n postmaster = p@paris.example\n spool = /tmp\n" \
	     " run = /tmp\n address = bundles@paris.example\n}\n"
#define OSLO "peer oslo {\n dialect = rfc2442\n" \
	     " address = bundles@oslo.example\n"

static void
told(void *ctx, const char *text)
{
	(void)ctx;
	(void)text;
}

static struct conf *
read_conf(const char *peer)
{
	char path[] = "/tmp/postrider-launch-XXXXXX";
	struct err e = ERR_INIT;
	struct conf *conf;
	int fd = mkstemp(path);
	FILE *file = fdopen(fd, "w");

	assert_non_null(file);
	(void)fprintf(file, "%s%s}\n", SITE, peer);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(conf_load(path, told, NULL, &conf, &e), 0);
	(void)unlink(path);
	return conf;
}

static struct launch
launch_of(const char *peer)
{
	struct daemon d = { .conf = read_conf(peer) };
	struct launch l;

	launch_init(&l, &d, "oslo", &d.conf->peer[0].lane[0]);
	conf_free(d.conf);
	return l;
}

static struct mark
mark_of(const char *peer)
{
	struct launch l = launch_of(peer);
	struct mark mark = launch_mark(&l);

	launch_release(&l);
	return mark;
}

/* Two peer sections: does one transport go on where the other was? */
static bool
are_same(const char *a, const char *b)
{
	struct mark mark[] = { mark_of(a), mark_of(b) };

	return mark_equal(&mark[0], &mark[1]);
}

#define SH "transport = /bin/sh\n"

static const struct {
	const char *a, *b;
	bool same;
} pairs[] = {
	{ OSLO SH, OSLO SH, true },
	{ OSLO SH, OSLO "cost = 3\nbatch-count = 9\n" SH, true },
	{ OSLO SH, OSLO "call = Any\n" SH, true },
	{ OSLO SH, OSLO "transport = /bin/cat\n", false },
	{ OSLO SH, OSLO "stays = yes\n" SH, false },
	{ OSLO SH, OSLO "set = { a=1 }\n" SH, false },
	{ OSLO "set = { a=1, b=2 }\n" SH, OSLO "set = { a=1, b=2 }\n" SH,
	    true },
	{ OSLO "set = { a=1, b=2 }\n" SH, OSLO "set = { b=2, a=1 }\n" SH,
	    false },
	{ OSLO "set = { \"a=1b=2\" }\n" SH, OSLO "set = { a=1, b=2 }\n" SH,
	    false },
};

static void
test_pairs(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (are_same(pairs[i].a, pairs[i].b) != pairs[i].same)
			fail_msg("pair %zu", i);
}

/* A file that a setting names counts with what it is; a directory, in which
 * transports work all the time, by its name. */
static void
test_files(void **state)
{
	char dir[] = "/tmp/postrider-launch-XXXXXX", *file, *peer;
	struct mark before, after;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	file = mem_printf("%s/password", dir);
	peer = mem_printf("%sset = { password-file=%s, drop=%s }\n%s", OSLO,
	    file, dir, SH);
	before = mark_of(peer);
	f = fopen(file, "w");
	assert_non_null(f);
	assert_int_equal(fclose(f), 0);
	after = mark_of(peer);
	assert_false(mark_equal(&before, &after));
	before = after;
	assert_int_equal(rename(file, "/tmp/postrider-launch-other"), 0);
	assert_int_equal(rename("/tmp/postrider-launch-other", file), 0);
	after = mark_of(peer);
	assert_true(mark_equal(&before, &after));
	f = fopen(file, "w");
	assert_non_null(f);
	(void)fputs("secret\n", f);
	assert_int_equal(fclose(f), 0);
	after = mark_of(peer);
	assert_false(mark_equal(&before, &after));
	if (geteuid() == 0) {	/* then he may read it who could not */
		before = after;
		assert_int_equal(chown(file, 1, (gid_t)-1), 0);
		after = mark_of(peer);
		assert_false(mark_equal(&before, &after));
		before = after;
		assert_int_equal(chown(file, (uid_t)-1, 1), 0);
		after = mark_of(peer);
		assert_false(mark_equal(&before, &after));
	}
	(void)unlink(file);
	(void)rmdir(dir);
	free(file);
	free(peer);
}

static void
test_settings(void **state)
{
	struct launch l = launch_of(OSLO "stays = yes\nset = { a=1 }\n" SH);

	(void)state;
	assert_string_equal(l.program, "/bin/sh");
	assert_int_equal(l.set.n, 2);
	assert_string_equal(l.set.item[0], "a=1");
	assert_string_equal(l.set.item[1], "stay=yes");
	assert_int_equal(launch_secret_fd(&l), -1);
	launch_release(&l);
	l = launch_of(OSLO "stays = yes\nset = { stay=no }\n" SH);
	assert_int_equal(l.set.n, 1);
	launch_release(&l);
	l = launch_of(OSLO "transport = mail\nset = { server=[::1]:25 }\n");
	assert_int_equal(l.set.n, 3);
	assert_string_equal(l.set.item[0], "from=bundles@paris.example");
	assert_string_equal(l.set.item[1], "to=bundles@oslo.example");
	assert_string_equal(l.set.item[2], "server=[::1]:25");
	launch_release(&l);
}

/* The secret comes through a pipe, whole, and counts. */
static void
test_secret(void **state)
{
	struct launch l = launch_of(OSLO SH);
	unsigned char got[64];
	struct mark mark[2];
	int fd;

	(void)state;
	mark[0] = launch_mark(&l);
	l.has_secret = true;
	memset(l.secret, 7, sizeof(l.secret));
	mark[1] = launch_mark(&l);
	assert_false(mark_equal(&mark[0], &mark[1]));
	fd = launch_secret_fd(&l);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, got, sizeof(got)), sizeof(l.secret));
	assert_memory_equal(got, l.secret, sizeof(l.secret));
	assert_int_equal(read(fd, got, sizeof(got)), 0);
	close(fd);
	launch_release(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
