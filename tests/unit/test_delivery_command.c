/* SPDX-License-Identifier: ISC */
/*
 * Delivery to commands: small shell scripts that tell what they were given
 * and end as the case wants.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "tests/unit/delivery_world.h"

static const char plain[] = "Subject: a\r\n\r\n.dot\r\nend\r\n";

/* A script in the world's directory; $D is that directory.  Its path. */
static char *
script(struct world *w, const char *name, const char *text)
{
	char *path = mem_printf("%s/%s", w->dir, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fprintf(f, "#!/bin/sh\nD=%s\n%s\n", w->dir, text);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0755), 0);
	return path;
}

/* An agent that runs the script with these arguments. */
static void
agent(struct world *w, const char *text, const char *args)
{
	char *path = script(w, "run", text);

	w->conf.deadline_secs = 20;
	w->conf.final = true;
	world_agent(w, CONF_DELIVERY_COMMAND, mem_printf("%s %s", path, args));
	free(path);
}

static void
assert_file(struct world *w, const char *name, const char *want)
{
	char *path = mem_printf("%s/%s", w->dir, name);
	struct buf got = BUF_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(file_read(path, 8 << 20, &got, &e), 0);
	assert_string_equal(buf_cstr(&got), want);
	buf_release(&got);
	free(path);
}

#define TELL "cat >$D/in; for a; do echo \"[$a]\"; done >>$D/args"

static void
test_arguments(void **state)
{
	static const struct {
		const char *args, *want;
		size_t n;
		const char *rcpt[3];
	} cases[] = {
		{ "-f %s -- %r", "[-f]\n[ann@paris.example]\n[--]\n[b@x]\n"
		    "[c@x]\n", 2, { "b@x", "c@x" } },
		{ "%r", "[b@x]\n", 1, { "b@x" } },
		{ "-r%r x", "[-rb@x]\n[x]\n[-rc@x]\n[x]\n", 2,
		    { "b@x", "c@x" } },
		{ "%u at %d", "[b]\n[at]\n[x]\n[c]\n[at]\n[y]\n", 2,
		    { "b@x", "c@y" } },
		{ "%%r %h $D ;true `x`", "[%r]\n[here.example]\n[$D]\n"
		    "[;true]\n[`x`]\n", 2, { "b@x", "c@x" } },
		/* nothing that a stranger writes is more than one word */
		{ "%s %r", "[ann@paris.example]\n[\"a b;$(x)'\"@x]\n", 1,
		    { "\"a b;$(x)'\"@x" } },
		{ "-- %r", "[--]\n[b@x]\n[--]\n[-x@x]\n[--]\n[c@x]\n", 3,
		    { "b@x", "-x@x", "c@x" } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world w;
		struct seen s;

		world_open(&w);
		agent(&w, TELL, cases[i].args);
		world_start(&w, &s, world_add_mail(&w, cases[i].rcpt,
		    cases[i].n, plain, sizeof(plain) - 1), cases[i].n);
		world_run(&w);
		for (size_t k = 0; k < cases[i].n; k++)
			seen_check(&s, k, DELIVERY_DONE, "2.0.0");
		assert_file(&w, "args", cases[i].want);
		world_close(&w);
	}
}

static void
test_dash(void **state)
{
	const char *rcpt[] = { "b@x", "-oQ/tmp@x", "c@x" };
	struct world w;
	struct seen s;

	(void)state;
	world_open(&w);
	agent(&w, TELL, "%r");
	world_start(&w, &s, world_add_mail(&w, rcpt, 3, plain,
	    sizeof(plain) - 1), 3);
	world_run(&w);
	seen_check(&s, 0, DELIVERY_DONE, "2.0.0");
	seen_check(&s, 1, DELIVERY_FAILED, "5.1.3");
	seen_check(&s, 2, DELIVERY_DONE, "2.0.0");
	assert_file(&w, "args", "[b@x]\n[c@x]\n");
	world_close(&w);
}

static void
test_content(void **state)
{
	static const struct {
		bool crlf, head;
		const char *in, *out;
	} cases[] = {
		{ false, true, plain, "Return-Path: <ann@paris.example>\n"
		    "Subject: a\n\n.dot\nend\n" },
		{ true, true, plain, "Return-Path: <ann@paris.example>\r\n"
		    "Subject: a\r\n\r\n.dot\r\nend\r\n" },
		{ false, false, "a\rb\nc\r\r\n\r", "a\rb\nc\r\n\r" },
		{ true, false, "open end", "open end" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world w;
		struct seen s;

		world_open(&w);
		w.conf.crlf = cases[i].crlf;
		w.conf.envelope_headers = cases[i].head;
		agent(&w, TELL, "%r");
		world_deliver(&w, &s, world_add_text(&w, "b@x", cases[i].in));
		seen_check(&s, 0, DELIVERY_DONE, "2.0.0");
		assert_file(&w, "in", cases[i].out);
		world_close(&w);
	}
}

static void
test_exits(void **state)
{
	static const struct {
		const char *text;
		enum delivery_outcome outcome;
		const char *status, *said;
	} cases[] = {
		{ "exit 0", DELIVERY_DONE, "2.0.0", "exited with 0" },
		{ "cat >/dev/null; exit 75", DELIVERY_RETRY, "4.3.0",
		    "exited with 75" },
		{ "echo 'no  such user'; echo here >&2; exit 67",
		    DELIVERY_FAILED, "5.1.1",
		    "exited with 67: no  such user here" },
		{ "exit 64", DELIVERY_FAILED, "5.3.0", "exited with 64" },
		{ "exit 65", DELIVERY_FAILED, "5.6.0", "exited with 65" },
		{ "exit 68", DELIVERY_FAILED, "5.1.2", "exited with 68" },
		{ "exit 73", DELIVERY_FAILED, "5.2.0", "exited with 73" },
		{ "exit 76", DELIVERY_FAILED, "5.5.0", "exited with 76" },
		{ "exit 77", DELIVERY_FAILED, "5.7.0", "exited with 77" },
		{ "exit 78", DELIVERY_FAILED, "5.3.5", "exited with 78" },
		{ "exit 1", DELIVERY_FAILED, "5.3.0", "exited with 1" },
		{ "kill -9 $$", DELIVERY_RETRY, "4.3.0",
		    "was ended by SIGKILL" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world w;
		struct seen s;
		char *want;

		world_open(&w);
		agent(&w, cases[i].text, "%r");
		want = mem_printf("%s/run %s", w.dir, cases[i].said);
		world_deliver(&w, &s, world_add_text(&w, "b@x", plain));
		seen_check(&s, 0, cases[i].outcome, cases[i].status);
		assert_string_equal(s.text[0], want);
		free(want);
		world_close(&w);
	}
}

/* RFC 3461 5.2.3: who reports success depends on whether mail ends here. */
static void
test_not_final(void **state)
{
	struct world w;
	struct seen s;

	(void)state;
	world_open(&w);
	agent(&w, "exit 0", "%r");
	w.conf.final = false;
	world_agent(&w, CONF_DELIVERY_COMMAND, mem_printf("%s/run", w.dir));
	world_deliver(&w, &s, world_add_text(&w, "b@x", plain));
	seen_check(&s, 0, DELIVERY_RELAYED, "2.0.0");
	world_close(&w);
}

static void
test_not_there(void **state)
{
	struct world w;
	struct seen s;

	(void)state;
	world_open(&w);
	world_agent(&w, CONF_DELIVERY_COMMAND,
	    mem_printf("%s/nothing %%r", w.dir));
	world_deliver(&w, &s, world_add_text(&w, "b@x", plain));
	seen_check(&s, 0, DELIVERY_RETRY, "4.3.5");
	world_close(&w);
}

/* One that never stops talking is ended by the deadline; what it leaves behind
 * in another session, which goes on talking, is not waited for. */
static void
test_endless(void **state)
{
	static const struct {
		const char *script;
		enum delivery_outcome outcome;
		const char *status;
	} cases[] = {
		{ "exec yes", DELIVERY_RETRY, "4.3.0" },
		{ "setsid yes & echo $! >$D/pid; sleep 0.2; exit 0",
		    DELIVERY_DONE, "2.0.0" },
		{ "setsid sleep 60 & echo $! >$D/pid; exit 67",
		    DELIVERY_FAILED, "5.1.1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world w;
		struct seen s;
		char *kill_it;

		world_open(&w);
		agent(&w, cases[i].script, "");
		w.conf.deadline_secs = 1;
		world_agent(&w, CONF_DELIVERY_COMMAND,
		    mem_printf("%s/run", w.dir));
		world_deliver(&w, &s, world_add_text(&w, "b@x", plain));
		seen_check(&s, 0, cases[i].outcome, cases[i].status);
		kill_it = mem_printf("cd %s && [ ! -f pid ] || kill -9 "
		    "$(cat pid) 2>/dev/null", w.dir);
		(void)!system(kill_it);
		free(kill_it);
		world_close(&w);
	}
}

static void
test_deadline(void **state)
{
	struct world w;
	struct seen s;

	(void)state;
	world_open(&w);
	agent(&w, "exec sleep 1000", "%r");
	w.conf.deadline_secs = 1;
	world_agent(&w, CONF_DELIVERY_COMMAND, mem_printf("%s/run", w.dir));
	world_deliver(&w, &s, world_add_text(&w, "b@x", plain));
	seen_check(&s, 0, DELIVERY_RETRY, "4.3.0");
	world_close(&w);
}

/* More than a pipe holds, to one who reads it, and to one who does not. */
static void
test_big(void **state)
{
	const char *rcpt = "b@x";
	struct buf big = BUF_INIT;
	struct world w;
	struct seen s;
	uint64_t id;

	(void)state;
	while (big.len < 3 << 20)
		buf_addf(&big, "%zu some line of text\r\n", big.len);
	world_open(&w);
	w.conf.crlf = true;
	agent(&w, "cat >$D/in", "%r");
	id = world_add_mail(&w, &rcpt, 1, big.ptr, big.len);
	world_deliver(&w, &s, id);
	seen_check(&s, 0, DELIVERY_DONE, "2.0.0");
	assert_file(&w, "in", buf_cstr(&big));
	agent(&w, "exit 0", "%r");
	world_deliver(&w, &s, id);
	seen_check(&s, 0, DELIVERY_DONE, "2.0.0");
	buf_release(&big);
	world_close(&w);
}

/* A body that is damaged half way must not be taken for a shorter one. */
static void
test_damaged(void **state)
{
	const char *rcpt = "b@x";
	struct buf big = BUF_INIT;
	struct world w;
	struct seen s;
	uint64_t id;

	(void)state;
	while (big.len < 1 << 20)
		buf_addf(&big, "%zu some line of text\r\n", big.len);
	world_open(&w);
	agent(&w, "cat >$D/in; echo whole >$D/whole", "%r");
	id = world_add_mail(&w, &rcpt, 1, big.ptr, big.len);
	world_damage_body(&w);
	world_deliver(&w, &s, id);
	seen_check(&s, 0, DELIVERY_FAILED, "5.3.0");
	agent(&w, "test ! -e $D/whole", "%r");
	world_deliver(&w, &s, world_add_text(&w, "b@x", plain));
	seen_check(&s, 0, DELIVERY_DONE, "2.0.0");
	buf_release(&big);
	world_close(&w);
}

/* The agent goes while commands run. */
static void
test_stop(void **state)
{
	struct world w;
	struct seen s;

	(void)state;
	world_open(&w);
	agent(&w, "exec sleep 1000", "%r");
	world_start(&w, &s, world_add_text(&w, "b@x", plain), 1);
	world_linger(&w, 50);
	delivery_free(w.agent);
	w.agent = NULL;
	seen_check(&s, 0, DELIVERY_RETRY, "4.3.2");
	world_close(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_dash),
		cmocka_unit_test(test_content),
		cmocka_unit_test(test_exits),
		cmocka_unit_test(test_not_final),
		cmocka_unit_test(test_not_there),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_endless),
		cmocka_unit_test(test_big),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_stop),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
