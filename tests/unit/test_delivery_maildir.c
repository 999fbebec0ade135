/* SPDX-License-Identifier: ISC */
/*
 * Delivery into Maildirs, in a temporary directory.
 */
#include <sys/resource.h>
#include <sys/stat.h>

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "tests/unit/delivery_world.h"

#define CASE(s) \
	{ \
		s, sizeof(s) - 1 \
	}

/* The files in a directory: how many, and the content of the last. */
static size_t
files_in(const char *dir, struct buf *content_out)
{
	struct err e = ERR_INIT;
	struct dirent *ent;
	DIR *d = opendir(dir);
	size_t n = 0;
	char *path;

	if (d == NULL)
		return 0;
	while ((ent = readdir(d)) != NULL) {
		if (ent->d_name[0] == '.')
			continue;
		n++;
		if (content_out == NULL)
			continue;
		buf_clear(content_out);
		path = path_join(dir, ent->d_name);
		assert_int_equal(file_read(path, 16 << 20, content_out, &e), 0);
		unlink(path);
		free(path);
	}
	closedir(d);
	return n;
}

static size_t
box_files(const struct world *w, const char *box, const char *sub,
    struct buf *content_out)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s/%s", w->dir, box, sub);
	return files_in(path, content_out);
}

static void
check_box(
    const struct world *w, const char *box, const char *content, size_t len)
{
	struct buf got = BUF_INIT;

	assert_int_equal(box_files(w, box, "new", &got), 1);
	assert_int_equal(got.len, len);
	if (len > 0)
		assert_memory_equal(got.ptr, content, len);
	assert_int_equal(box_files(w, box, "tmp", NULL), 0);
	buf_release(&got);
}

static void
maildir_exact(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} cases[] = {
		CASE("Subject: a\r\n\r\nbody\r\n"),
		CASE(""),
		CASE("a\0b\0\r\n"),
		CASE("bare\nlf\n"),
		CASE("bare\rcr\r"),
		CASE("no final newline"),
		CASE("\r\n.\r\n..\r\n"),
		CASE("\xff\xfe\x80 8-bit\r\n"),
	};
	const char *rcpt = "bob@london.example";
	struct world w;
	struct seen s;
	size_t i;

	(void)state;
	world_open(&w);
	w.conf.crlf = true;
	world_agent(&w, CONF_DELIVERY_MAILDIR, mem_strdup(w.dir));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		world_deliver(&w, &s,
		    world_add_mail(&w, &rcpt, 1, cases[i].text, cases[i].len));
		seen_check(&s, 0, DELIVERY_DONE, "2.0.0");
		check_box(&w, "bob", cases[i].text, cases[i].len);
	}
	world_close(&w);
}

static void
maildir_lf(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "", "" },
		{ "a\r\n\r\nb\r\n", "a\n\nb\n" },
		{ "a\rb\r\n", "a\rb\n" },
		{ "a\r", "a\r" },
		{ "\r\r\n", "\r\n" },
		{ "a\nb", "a\nb" },
		{ "\r\n", "\n" },
		{ "\n\r", "\n\r" },
	};
	struct world w;
	struct seen s;
	size_t i;

	(void)state;
	world_open(&w);
	world_agent(&w, CONF_DELIVERY_MAILDIR, mem_strdup(w.dir));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		world_deliver(
		    &w, &s, world_add_text(&w, "bob@x.example", cases[i].in));
		seen_check(&s, 0, DELIVERY_DONE, "2.0.0");
		check_box(&w, "bob", cases[i].out, strlen(cases[i].out));
	}
	world_close(&w);
}

/* Whatever the offset, CR and LF fall on both sides of a chunk's border. */
static void
maildir_lf_borders(void **state)
{
	const char *rcpt = "bob@x.example", *last[] = { "\r", "x", "\r\n" };
	struct world w;
	struct seen s;
	size_t pad, i;

	(void)state;
	world_open(&w);
	world_agent(&w, CONF_DELIVERY_MAILDIR, mem_strdup(w.dir));
	for (pad = 0; pad < 6; pad++) {
		struct buf in = BUF_INIT, out = BUF_INIT;

		for (i = 0; i < pad; i++) {
			buf_addc(&in, '-');
			buf_addc(&out, '-');
		}
		while (in.len < 3 * SPOOL_CHUNK) {
			buf_adds(&in, "\r\n\rz\r\r\n");
			buf_adds(&out, "\n\rz\r\n");
		}
		buf_adds(&in, last[pad % 3]);
		buf_adds(&out, pad % 3 == 2 ? "\n" : last[pad % 3]);
		world_deliver(
		    &w, &s, world_add_mail(&w, &rcpt, 1, in.ptr, in.len));
		seen_check(&s, 0, DELIVERY_DONE, "2.0.0");
		check_box(&w, "bob", out.ptr, out.len);
		buf_release(&in);
		buf_release(&out);
	}
	world_close(&w);
}

static void
maildir_headers(void **state)
{
	static const char path[] = "Return-Path: <ann@paris.example>\n";
	static const char from[] =
	    "Received: from client.example\n\tby here.example with ESMTP id ";
	struct buf got = BUF_INIT;
	struct world w;
	struct seen s;

	(void)state;
	world_open(&w);
	w.conf.envelope_headers = true;
	world_agent(&w, CONF_DELIVERY_MAILDIR, mem_strdup(w.dir));
	world_deliver(
	    &w, &s, world_add_text(&w, "bob@x.example", "A: b\r\n\r\n"));
	assert_int_equal(box_files(&w, "bob", "new", &got), 1);
	assert_string_equal(
	    buf_cstr(&got), "Return-Path: <ann@paris.example>\nA: b\n\n");
	w.hooks.trace = true;
	world_agent(&w, CONF_DELIVERY_MAILDIR, mem_strdup(w.dir));
	world_deliver(
	    &w, &s, world_add_text(&w, "bob@x.example", "A: b\r\n\r\n"));
	assert_int_equal(box_files(&w, "bob", "new", &got), 1);
	assert_memory_equal(buf_cstr(&got), path, sizeof(path) - 1);
	assert_memory_equal(got.ptr + sizeof(path) - 1, from, sizeof(from) - 1);
	assert_string_equal(buf_cstr(&got) + got.len - 13, " +0000\nA: b\n\n");
	buf_release(&got);
	world_close(&w);
}

static void
maildir_bad_names(void **state)
{
	static const struct {
		const char *addr, *status;
	} cases[] = {
		{ "../etc@x.example", "5.1.1" },
		{ "..@x.example", "5.1.1" },
		{ ".@x.example", "5.1.1" },
		{ ".hidden@x.example", "5.1.1" },
		{ "a/b@x.example", "5.1.1" },
		{ "\"../a\"@x.example", "5.1.1" },
		{ "\".\\./a\"@x.example", "5.1.1" },
		{ "\"a\\/b\"@x.example", "5.1.1" },
		{ "\"\"@x.example", "5.1.3" },
		{ "@x.example", "5.1.3" },
		{ "a\tb@x.example", "5.1.1" },
		{ "a\x7f@x.example", "5.1.1" },
		{ "bob@../x", "5.1.2" },
		{ "bob@..", "5.1.2" },
	};
	char longer[300];
	struct world w;
	struct seen s;
	size_t i;

	(void)state;
	world_open(&w);
	world_agent(
	    &w, CONF_DELIVERY_MAILDIR, mem_printf("%s/in/%%d/%%u", w.dir));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		world_deliver(&w, &s, world_add_text(&w, cases[i].addr, "x"));
		seen_check(&s, 0, DELIVERY_FAILED, cases[i].status);
	}
	memset(longer, 'a', 256);
	snprintf(longer + 256, sizeof(longer) - 256, "@x.example");
	world_deliver(&w, &s, world_add_text(&w, longer, "x"));
	seen_check(&s, 0, DELIVERY_FAILED, "5.1.1");
	assert_int_equal(files_in(w.dir, NULL), 0);
	world_close(&w);
}

static void
maildir_good_names(void **state)
{
	static const struct {
		const char *addr, *box;
	} cases[] = {
		{ "Bob@X.Example", "in/x.example/bob" },
		{ "\"Bob\"@x.example", "in/x.example/bob" },
		{ "a.b+c@y.example", "in/y.example/a.b+c" },
		{ "a..b@y.example", "in/y.example/a..b" },
		{ "\"a b\"@y.example", "in/y.example/a b" },
		{ "bob@[127.0.0.1]", "in/[127.0.0.1]/bob" },
		{ "postmaster", "in/first.example/postmaster" },
	};
	char *domain = mem_strdup("first.example");
	struct world w;
	struct stat st;
	struct seen s;
	char path[256];
	size_t i;

	(void)state;
	world_open(&w);
	w.conf.domains.item = &domain;
	w.conf.domains.n = 1;
	world_agent(
	    &w, CONF_DELIVERY_MAILDIR, mem_printf("%s/in/%%d/%%u", w.dir));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		world_deliver(
		    &w, &s, world_add_text(&w, cases[i].addr, "x\r\n"));
		seen_check(&s, 0, DELIVERY_DONE, "2.0.0");
		check_box(&w, cases[i].box, "x\n", 2);
		snprintf(path, sizeof(path), "%s/%s/cur", w.dir, cases[i].box);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0700);
	}
	free(domain);
	world_close(&w);
}

/* Where users are named; test_table.c has whom the routing lets in. */
static void
maildir_detail(void **state)
{
	static const struct {
		const char *addr, *box;
		long mails;
	} cases[] = {
		{ "Bob+Lists@x.example", "in/bob", 1 },
		{ "bob+a+b@x.example", "in/bob", 2 },
		{ "\"bob+a b\"@x.example", "in/bob", 3 },
		{ "bob@x.example", "in/bob", 4 },
		{ "ann+news@x.example", "in/ann+news", 1 },
		{ "ann+news+x@x.example", "in/ann", 1 },
		{ "eve@x.example", "in/eve", 1 },
		{ "eve+x@x.example", "in/eve+x", 1 },
	};
	char bob[] = "BOB", ann[] = "ann", news[] = "ann+news";
	char *users[] = { bob, ann, news };
	struct world w;
	struct seen s;
	size_t i;

	(void)state;
	world_open(&w);
	w.conf.users.item = users;
	w.conf.users.n = 3;
	world_agent(&w, CONF_DELIVERY_MAILDIR, mem_printf("%s/in", w.dir));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		world_deliver(
		    &w, &s, world_add_text(&w, cases[i].addr, "x\r\n"));
		seen_check(&s, 0, DELIVERY_DONE, "2.0.0");
		assert_int_equal(box_files(&w, cases[i].box, "new", NULL),
		    cases[i].mails);
	}
	world_close(&w);
}

/* The file system says no: later, and nothing is left behind. */
static void
maildir_disk_trouble(void **state)
{
	const char *rcpt = "bob@x.example";
	struct rlimit old, small;
	struct err e = ERR_INIT;
	struct world w;
	struct seen s;
	char *big;

	(void)state;
	world_open(&w);
	assert_int_equal(file_replace(w.dir, "plain", "x", 1, 0600, &e), 0);
	world_agent(&w, CONF_DELIVERY_MAILDIR, mem_printf("%s/plain", w.dir));
	world_deliver(&w, &s, world_add_text(&w, rcpt, "x"));
	seen_check(&s, 0, DELIVERY_RETRY, "4.3.0");
	assert_non_null(strstr(s.text[0], "plain"));

	if (geteuid() != 0) {
		world_agent(&w, CONF_DELIVERY_MAILDIR, mem_strdup(w.dir));
		assert_int_equal(chmod(w.dir, 0500), 0);
		world_deliver(&w, &s, world_add_text(&w, rcpt, "x"));
		seen_check(&s, 0, DELIVERY_RETRY, "4.3.0");
		assert_int_equal(chmod(w.dir, 0700), 0);
	}

	world_agent(&w, CONF_DELIVERY_MAILDIR, mem_strdup(w.dir));
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 100000;
	big = mem_alloc(1, 300000);
	memset(big, 'x', 300000);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	world_deliver(&w, &s, world_add_mail(&w, &rcpt, 1, big, 300000));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	free(big);
	seen_check(&s, 0, DELIVERY_RETRY, "4.3.0");
	assert_int_equal(box_files(&w, "bob", "tmp", NULL), 0);
	assert_int_equal(box_files(&w, "bob", "new", NULL), 0);
	world_close(&w);
}

static void
maildir_many(void **state)
{
	enum { N = 200 };
	const char *rcpt[] = { "a@x.example", "b@x.example", ".@x.example",
		"a@x.example" };
	struct seen *s = mem_alloc(N, sizeof(*s));
	struct world w;
	size_t i;

	(void)state;
	world_open(&w);
	world_agent(&w, CONF_DELIVERY_MAILDIR, mem_strdup(w.dir));
	for (i = 0; i < N; i++)
		world_start(
		    &w, &s[i], world_add_mail(&w, rcpt, 4, "x\r\n", 3), 4);
	assert_int_equal(delivery_running(w.agent), N);
	world_run(&w);
	for (i = 0; i < N; i++) {
		seen_check(&s[i], 0, DELIVERY_DONE, "2.0.0");
		seen_check(&s[i], 1, DELIVERY_DONE, "2.0.0");
		seen_check(&s[i], 2, DELIVERY_FAILED, "5.1.1");
		seen_check(&s[i], 3, DELIVERY_DONE, "2.0.0");
	}
	assert_int_equal(box_files(&w, "a", "new", NULL), 2 * N);
	assert_int_equal(box_files(&w, "b", "new", NULL), N);
	assert_int_equal(box_files(&w, "a", "tmp", NULL), 0);
	free(s);
	world_close(&w);
}

static void
maildir_spool_trouble(void **state)
{
	const char *rcpt = "bob@x.example";
	char *big = mem_alloc(1, 200000);
	struct world w;
	struct seen s;

	(void)state;
	memset(big, 'x', 200000);
	world_open(&w);
	world_agent(&w, CONF_DELIVERY_MAILDIR, mem_strdup(w.dir));
	world_deliver(&w, &s, 987654321);
	seen_check(&s, 0, DELIVERY_RETRY, "4.3.0");
	world_start(&w, &s, world_add_mail(&w, &rcpt, 1, big, 200000), 1);
	world_damage_body(&w);
	world_run(&w);
	seen_check(&s, 0, DELIVERY_FAILED, "5.3.0");
	assert_string_equal(
	    s.text[0], "the stored content is damaged (checksum)");
	assert_int_equal(box_files(&w, "bob", "tmp", NULL), 0);
	assert_int_equal(box_files(&w, "bob", "new", NULL), 0);
	free(big);
	world_close(&w);
}

/* Stopped at any turn, a job is told once, and a retry leaves nothing. */
static void
maildir_free_midway(void **state)
{
	const char *rcpt[] = { "a@x.example", "b@x.example" };
	char *big = mem_alloc(1, 1000000);
	struct world w;
	struct seen s;
	int turns, i;

	(void)state;
	memset(big, 'x', 1000000);
	world_open(&w);
	for (turns = 0; turns < 12; turns++) {
		world_agent(&w, CONF_DELIVERY_MAILDIR, mem_strdup(w.dir));
		world_start(
		    &w, &s, world_add_mail(&w, rcpt, 2, big, 1000000), 2);
		for (i = 0; i < turns; i++)
			event_base_loop(w.base, EVLOOP_ONCE);
		delivery_free(w.agent);
		w.agent = NULL;
		for (i = 0; i < 2; i++) {
			assert_int_equal(s.told[i], 1);
			assert_int_equal(
			    box_files(&w, i == 0 ? "a" : "b", "new", NULL),
			    s.outcome[i] == DELIVERY_DONE ? 1 : 0);
			assert_int_equal(
			    box_files(&w, i == 0 ? "a" : "b", "tmp", NULL), 0);
		}
		if (s.outcome[1] == DELIVERY_DONE)
			break;
		assert_string_equal(s.status[1], "4.3.2");
	}
	assert_true(turns > 4 && turns < 12);
	free(big);
	world_close(&w);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(maildir_exact),
		cmocka_unit_test(maildir_lf),
		cmocka_unit_test(maildir_lf_borders),
		cmocka_unit_test(maildir_headers),
		cmocka_unit_test(maildir_bad_names),
		cmocka_unit_test(maildir_good_names),
		cmocka_unit_test(maildir_detail),
		cmocka_unit_test(maildir_disk_trouble),
		cmocka_unit_test(maildir_many),
		cmocka_unit_test(maildir_spool_trouble),
		cmocka_unit_test(maildir_free_midway),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
