/* SPDX-License-Identifier: ISC */
/*
 * What of an object goes through the filters, and what comes out in its place.
 * The filter is a script that writes what it gets to a file and puts something
 * else in its place.
 */
#include "node/screening.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "tests/unit/exchange_world.h"

#define MAIL "From: <a@x.example>\r\n"
#define TYPE "Content-Type: application/batch-SMTP\r\n"
#define BODY "MAIL FROM:<>\r\n"

static const struct {
	const char *part;
	enum screening_way way;
	const char *in;		/* the object */
	const char *seen;	/* by the filter; NULL: it is not run */
	const char *given;	/* what that writes */
	const char *out;	/* what comes out; NULL: refused, */
	const char *reason;	/* and why */
} cases[] = {
	/* whole: nothing is looked at */
	{ "whole", SCREENING_OUT, MAIL TYPE "\r\n" BODY,
	    MAIL TYPE "\r\n" BODY, "any\n", "any\n", "" },
	{ "whole", SCREENING_IN, "no mail", "no mail", "any\n", "any\n", "" },
	/* entity: RFC 1847, RFC 8551 */
	{ "entity", SCREENING_OUT, MAIL TYPE "Date: d\r\n\r\n" BODY,
	    TYPE "\r\n" BODY, "Content-Type: a/b\r\n\r\nB\r\n",
	    MAIL "Date: d\r\nContent-Type: a/b\r\n\r\nB\r\n", "" },
	{ "entity", SCREENING_IN, MAIL "Content-Type: a/b\r\n\r\nB\r\n",
	    "Content-Type: a/b\r\n\r\nB\r\n", TYPE "\r\n" BODY,
	    MAIL TYPE "\r\n" BODY, "" },
	/* line ends become those of mail, and other fields stay away */
	{ "entity", SCREENING_OUT, MAIL "MIME-Version: 1.0\n" TYPE "\n" BODY,
	    TYPE "\n" BODY,
	    "MIME-Version: 1.0\nTo: x\nContent-Type: a/b;\n c=d\n\nB\nC\r\n",
	    MAIL "MIME-Version: 1.0\r\nContent-Type: a/b;\r\n c=d\r\n\r\n"
	    "B\r\nC\r\n", "" },
	{ "entity", SCREENING_OUT, MAIL TYPE "\r\n" BODY, TYPE "\r\n" BODY,
	    "Content-Type: a/b\nContent-Transfer-Encoding: binary\n\nB\n",
	    MAIL "Content-Type: a/b\r\nContent-Transfer-Encoding: binary\r\n"
	    "\r\nB\n", "" },
	{ "entity", SCREENING_OUT, MAIL TYPE "\r\n" BODY, TYPE "\r\n" BODY,
	    "\x1f\x8b\x08\r\n", NULL, "what it wrote is no MIME entity" },
	{ "entity", SCREENING_OUT, MAIL TYPE "\r\n" BODY, TYPE "\r\n" BODY,
	    "X: y\r\n\r\nB\r\n", NULL, "no Content-Type" },
	{ "entity", SCREENING_IN, "no mail", NULL, "x", NULL,
	    "filter-in: it is no mail" },
	/* attachment */
	{ "attachment", SCREENING_OUT, MAIL TYPE "\r\n" BODY,
	    MAIL TYPE "\r\n" BODY, "foob",
	    MAIL "Content-Type: application/octet-stream\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\nZm9vYg==\r\n", "" },
	{ "attachment", SCREENING_IN, MAIL "Content-Type: x/y\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\nZm9v\r\nYg==\r\n",
	    "foob", MAIL TYPE "\r\n" BODY, MAIL TYPE "\r\n" BODY, "" },
	{ "attachment", SCREENING_IN, MAIL "Content-Transfer-Encoding: "
	    "quoted-printable\r\n\r\nfo=\r\no=3D", "foo=", BODY, BODY, "" },
	{ "attachment", SCREENING_IN, MAIL "\r\nplain\r\n", "plain\r\n",
	    BODY, BODY, "" },
	{ "attachment", SCREENING_IN, MAIL "Content-Transfer-Encoding: "
	    "base64\r\n\r\nZm9vY", NULL, "x", NULL,
	    "base64 ends in the middle" },
	{ "attachment", SCREENING_IN, MAIL "Content-Transfer-Encoding: "
	    "x-uu\r\n\r\nx", NULL, "x", NULL, "an unknown encoding" },
	{ "attachment", SCREENING_IN, "no mail", NULL, "x", NULL,
	    "it is no mail" },
};

struct bench {
	struct xw *w;
	struct daemon d;
	struct screening *screening;
	char dir[64];
	bool room;
	int ends;
	enum chain_end end;
	struct buf out, reason;
};

static void
on_done(void *ctx, const struct screening_result *r)
{
	struct bench *b = ctx;
	struct err e = ERR_INIT;
	unsigned char digest[SHA256_LEN];
	struct sha256 hash;

	b->ends++;
	b->end = r->end;
	buf_adds(&b->reason, r->reason);
	if (r->end == CHAIN_DONE) {
		assert_int_equal(screening_deliver(r, b->dir, "out", &e), 0);
		char *path = path_join(b->dir, "out");

		assert_int_equal(file_read(path, 1 << 20, &b->out, &e), 0);
		assert_int_equal(r->octets, b->out.len);
		sha256_init(&hash);
		sha256_add(&hash, b->out.ptr, b->out.len);
		sha256_end(&hash, digest);
		assert_memory_equal(digest, r->digest, sizeof(digest));
		free(path);
	}
	screening_free(b->screening);
	b->screening = NULL;
	event_base_loopbreak(b->d.base);
}

static void
put(const struct bench *b, const char *name, const char *text, mode_t mode)
{
	struct err e = ERR_INIT;

	assert_int_equal(file_replace(b->dir, name, text, strlen(text), mode,
	    &e), 0);
}

static void
set_up(struct bench *b)
{
	void *w;

	memset(b, 0, sizeof(*b));
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(xw_set_up(&w), 0);
	b->w = w;
	snprintf(b->dir, sizeof(b->dir), "/tmp/test_screening.XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->d = (struct daemon){ .base = event_base_new(),
	    .clock = &b->w->clock, .rng = rng_real(),
	    .spool = b->w->spool, .exchange = b->w->x };
}

/* Nothing is left in work/. */
static void
tear_down(struct bench *b)
{
	char *command = mem_printf("rmdir %s/peers/*/work 2>&1", b->dir);
	char *clean = mem_printf("rm -rf %s", b->dir);
	void *w = b->w;

	assert_int_equal(system(command), 0);
	assert_int_equal(system(clean), 0);
	free(command);
	free(clean);
	conf_free(b->d.conf);
	event_base_free(b->d.base);
	buf_release(&b->out);
	buf_release(&b->reason);
	assert_int_equal(xw_tear_down(&w), 0);
}

static void
configure(struct bench *b, const char *part)
{
	char *text = mem_printf("site paris { postmaster = p@x.test\n"
	    "spool = %s\nrun = /tmp }\npeer oslo { dialect = rfc2442\n"
	    "filter-part = %s\nfilter-out = %s/filter\n"
	    "filter-in = %s/filter }\n", b->dir, part, b->dir, b->dir);

	b->d.conf = xw_conf_of(text);
	free(text);
}

static void
run(struct bench *b, enum screening_way way)
{
	const struct conf_peer *peer = conf_find_peer(b->d.conf, "oslo");
	char *path = path_join(b->dir, "object");

	assert_true(screening_wanted(peer, way));
	b->screening = screening_start(&b->d, peer, way, "object", path,
	    on_done, b);
	b->ends = 0;
	event_base_dispatch(b->d.base);
	assert_int_equal(b->ends, 1);
	free(path);
}

static void
expect_seen(const struct bench *b, const char *seen)
{
	char *path = path_join(b->dir, "seen");
	struct buf got = BUF_INIT;
	struct err e = ERR_INIT;
	int rc = file_read(path, 1 << 20, &got, &e);

	assert_int_equal(rc, seen == NULL ? ERR_NOT_FOUND : 0);
	if (seen != NULL)
		assert_string_equal(buf_cstr(&got), seen);
	buf_release(&got);
	free(path);
}

static void
put_filter(const struct bench *b)
{
	char *text = mem_printf("#!/bin/sh\ncd %s\ncat >seen\ncat given\n",
	    b->dir);

	put(b, "filter", text, 0700);
	free(text);
}

static void
one_case(size_t i)
{
	struct bench b;

	set_up(&b);
	put_filter(&b);
	configure(&b, cases[i].part);
	put(&b, "given", cases[i].given, 0600);
	put(&b, "object", cases[i].in, 0600);
	run(&b, cases[i].way);
	if (b.end != (cases[i].out != NULL ? CHAIN_DONE : CHAIN_FAILED) ||
	    strstr(buf_cstr(&b.reason), cases[i].reason) == NULL)
		fail_msg("case %zu: end %d, %s", i, (int)b.end,
		    buf_cstr(&b.reason));
	expect_seen(&b, cases[i].seen);
	if (cases[i].out != NULL)
		assert_string_equal(buf_cstr(&b.out), cases[i].out);
	tear_down(&b);
}

static void
test_parts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		one_case(i);
}

/* Longer than a piece, and back again. */
static void
test_there_and_back(void **state)
{
	struct buf text = BUF_INIT;
	struct bench b;
	char *path;
	struct err e = ERR_INIT;

	(void)state;
	set_up(&b);
	put(&b, "filter", "#!/bin/sh\nexec cat\n", 0700);
	configure(&b, "attachment");
	buf_adds(&text, MAIL TYPE "\r\n");
	while (text.len < 300000)
		buf_addf(&text, "line %zu\r\n", text.len);
	put(&b, "object", buf_cstr(&text), 0600);
	run(&b, SCREENING_OUT);
	assert_int_equal(b.end, CHAIN_DONE);
	path = path_join(b.dir, "object");
	assert_int_equal(file_replace(b.dir, "object", b.out.ptr, b.out.len,
	    0600, &e), 0);
	buf_clear(&b.out);
	run(&b, SCREENING_IN);
	assert_true(slice_eq(buf_slice(&b.out), buf_slice(&text)));
	buf_release(&text);
	free(path);
	tear_down(&b);
}

/* No room: not now.  One that is freed leaves nothing. */
static void
test_no_room_and_freed(void **state)
{
	struct bench b;
	char *path;

	(void)state;
	set_up(&b);
	put(&b, "filter", "#!/bin/sh\nexec cat\n", 0700);
	put(&b, "object", MAIL TYPE "\r\n" BODY, 0600);
	configure(&b, "entity");
	b.w->room = (1 << 20) - 1;	/* of min-free = 1M */
	run(&b, SCREENING_IN);
	assert_int_equal(b.end, CHAIN_LATER);
	assert_non_null(strstr(buf_cstr(&b.reason), "too little space"));
	/* what leaves makes room, and may take half of it */
	run(&b, SCREENING_OUT);
	assert_int_equal(b.end, CHAIN_DONE);
	b.w->room = (1 << 19) - 1;
	run(&b, SCREENING_OUT);
	assert_int_equal(b.end, CHAIN_LATER);
	b.w->room = 1 << 30;
	put(&b, "filter", "#!/bin/sh\nsleep 60\n", 0700);
	path = path_join(b.dir, "object");
	b.screening = screening_start(&b.d, conf_find_peer(b.d.conf, "oslo"),
	    SCREENING_OUT, "object", path, on_done, &b);
	for (int i = 0; i < 5; i++)
		event_base_loop(b.d.base, EVLOOP_NONBLOCK);
	screening_free(b.screening);
	assert_int_equal(b.ends, 1);
	free(path);
	tear_down(&b);
}

static void
test_sweep(void **state)
{
	struct err e = ERR_INIT;
	struct bench b;
	char *dir;

	(void)state;
	set_up(&b);
	configure(&b, "whole");
	dir = screening_dir(&b.d, "oslo");
	assert_int_equal(file_make_dirs(dir, 0700, &e), 0);
	assert_int_equal(file_replace(dir, "abc.1", "x", 1, 0600, &e), 0);
	assert_int_equal(file_replace(dir, ".x.tmp", "x", 1, 0600, &e), 0);
	screening_sweep(dir);
	free(dir);
	tear_down(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_no_room_and_freed),
		cmocka_unit_test(test_sweep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
