/* SPDX-License-Identifier: ISC */
/*
 * Chains of commands, with small shell scripts as commands: good ones, and
 * what a program can do wrong.
 */
#include "node/chain.h"

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

#define INPUT "MAIL FROM:<a@x.example>\r\n\0\xff\r\n"

struct bench {
	char dir[64];
	struct event_base *base;
	struct log *log;
	struct chain *chain;
	struct buf logged, out, reason;
	enum chain_end end;
	int ends;
	bool full;
	unsigned scripts;
	struct conf_strings commands;
	struct chain_spec spec;
};

static void
on_log(void *ctx, enum log_level level, const char *line)
{
	struct bench *b = ctx;

	(void)level;
	buf_addf(&b->logged, "%s\n", line);
}

static bool
room(void *ctx)
{
	struct bench *b = ctx;

	return !b->full;
}

static void
on_done(void *ctx, enum chain_end end, const char *path, const char *reason)
{
	struct bench *b = ctx;
	struct err e = ERR_INIT;

	b->ends++;
	b->end = end;
	buf_adds(&b->reason, reason);
	assert_int_equal(path != NULL, end == CHAIN_DONE);
	assert_int_equal(reason[0] == '\0', end == CHAIN_DONE);
	if (path != NULL)
		assert_int_equal(file_read(path, 1 << 20, &b->out, &e), 0);
	chain_free(b->chain);
	b->chain = NULL;
	event_base_loopbreak(b->base);
}

static int
set_up(void **state)
{
	struct bench *b = mem_alloc(1, sizeof(*b));
	struct err e = ERR_INIT;

	signal(SIGPIPE, SIG_IGN);
	snprintf(b->dir, sizeof(b->dir), "/tmp/test_chain.XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->base = event_base_new();
	b->log = log_new_sink(on_log, b);
	assert_int_equal(file_replace(b->dir, "input", INPUT,
	    sizeof(INPUT) - 1, 0600, &e), 0);
	b->spec = (struct chain_spec){ .commands = &b->commands,
	    .which = "filter-in", .peer = "oslo", .name = "mail~x;$(id)",
	    .input = path_join(b->dir, "input"),
	    .stem = path_join(b->dir, "work"), .deadline_secs = 50,
	    .octets_max = 100000, .room = room, .ctx = b };
	*state = b;
	return 0;
}

static void
remove_in(const struct bench *b, const char *name)
{
	char *path = path_join(b->dir, name);

	(void)unlink(path);
	free(path);
}

/* What a chain leaves behind would be in the way of rmdir. */
static int
tear_down(void **state)
{
	struct bench *b = *state;
	char name[32];

	event_base_free(b->base);
	log_free(b->log);
	remove_in(b, "input");
	remove_in(b, "note");
	for (unsigned i = 0; i < b->scripts; i++) {
		snprintf(name, sizeof(name), "script%u", i);
		remove_in(b, name);
		free(b->commands.item[i]);
	}
	assert_int_equal(rmdir(b->dir), 0);
	free(b->commands.item);
	free((void *)(uintptr_t)b->spec.input);
	free((void *)(uintptr_t)b->spec.stem);
	buf_release(&b->logged);
	buf_release(&b->out);
	buf_release(&b->reason);
	free(b);
	return 0;
}

static void
add_command(struct bench *b, const char *body, const char *words)
{
	char *text = mem_printf("#!/bin/sh\ncd %s\n%s\n", b->dir, body);
	char name[32];
	struct err e = ERR_INIT;

	snprintf(name, sizeof(name), "script%u", b->scripts++);
	assert_int_equal(file_replace(b->dir, name, text, strlen(text), 0700,
	    &e), 0);
	free(text);
	b->commands.item = mem_realloc(b->commands.item, b->commands.n + 1,
	    sizeof(char *));
	b->commands.item[b->commands.n++] = mem_printf("%s/%s %s", b->dir,
	    name, words);
}

static void
give_up(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx;
	fail_msg("the chain does not end");
}

static void
run(struct bench *b)
{
	struct timeval limit = { 30, 0 };
	struct event *end = evtimer_new(b->base, give_up, b);

	evtimer_add(end, &limit);
	b->chain = chain_start(b->base, b->log, &b->spec, on_done);
	assert_int_equal(b->ends, 0);
	event_base_dispatch(b->base);
	assert_int_equal(b->ends, 1);
	event_free(end);
}

static void
expect(struct bench *b, enum chain_end end, const char *in_reason)
{
	if (b->end != end || strstr(buf_cstr(&b->reason), in_reason) == NULL)
		fail_msg("end %d, %s", (int)b->end, buf_cstr(&b->reason));
}

static void
expect_out(struct bench *b, const char *octets, size_t len)
{
	expect(b, CHAIN_DONE, "");
	assert_int_equal(b->out.len, len);
	assert_memory_equal(b->out.ptr, octets, len);
}

/* One command each. */
static const struct {
	const char *body, *words;
	enum chain_end end;
	const char *reason;
} cases[] = {
	{ "exit 0", "", CHAIN_FAILED, "(script0) ended well and wrote "
	    "nothing" },
	{ "cat; exit 1", "", CHAIN_FAILED, "filter-in 1 (script0) exited "
	    "with 1" },
	{ "echo bad >&2; exit 2", "", CHAIN_FAILED, "exited with 2: bad" },
	{ "echo words; exit 3", "%o", CHAIN_FAILED, "exited with 3: words" },
	{ "printf '\\n a\\r\\n\\nb\\n' >&2; exit 2", "", CHAIN_FAILED,
	    "with 2: a b" },
	{ "printf 'a\\033[0mb' >&2; exit 2", "", CHAIN_FAILED,
	    "a\\x1B[0mb" },
	{ "cat; exit 75", "", CHAIN_LATER, "exited with 75" },
	{ "kill -TERM $$", "", CHAIN_LATER, "was ended by SIGTERM" },
	{ "kill -KILL $$", "", CHAIN_LATER, "was ended by SIGKILL" },
	{ "kill -SEGV $$", "", CHAIN_FAILED, "was ended by SIGSEGV" },
	{ "mkdir \"$1\" && rmdir \"$1\" && ln -s input \"$1\"", "%o",
	    CHAIN_FAILED, "no plain file" },
	/* far more than any limit, at full speed, both ways */
	{ "cat /dev/zero", "", CHAIN_FAILED, "wrote more than 100000 octets" },
	{ "exec cat /dev/zero", "", CHAIN_FAILED, "wrote more than 1" },
	{ "cat /dev/zero >\"$1\"", "%o", CHAIN_FAILED, "wrote more than 1" },
	{ "trap '' XFSZ; cat /dev/zero", "", CHAIN_FAILED, "wrote more" },
	{ "head -c 100001 /dev/zero", "", CHAIN_FAILED, "wrote more than 1" },
	{ "cat /dev/zero; exit 75", "", CHAIN_FAILED, "wrote more than 1" },
};

static void
test_ends(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b;
		void *one;

		assert_int_equal(set_up(&one), 0);
		b = one;
		add_command(b, cases[i].body, cases[i].words);
		run(b);
		expect(b, cases[i].end, cases[i].reason);
		assert_int_equal(tear_down(&one), 0);
	}
	(void)state;
}

static void
test_pipes_and_files(void **state)
{
	struct bench *b = *state;

	add_command(b, "cat", "");
	add_command(b, "cp \"$1\" \"$2\"; cat", "%i %o");
	add_command(b, "cat \"$1\"", "%i");
	add_command(b, "cat >\"$1\"; echo not this", "%o");
	run(b);
	expect_out(b, INPUT, sizeof(INPUT) - 1);
}

static void
test_words(void **state)
{
	static const char words[] = "mail~x___id_\noslo\n100%\ntwo words\n"
	    "-xmail~x___id_\n";
	struct bench *b = *state;

	/* what the other end named can be no option, no path, no command */
	add_command(b, "printf '%s\\n' \"$@\"",
	    "%n %p 100%% \"two words\" -x%n");
	run(b);
	expect_out(b, words, sizeof(words) - 1);
}

static void
test_largest(void **state)
{
	struct bench *b = *state;

	add_command(b, "head -c 100000 /dev/zero", "");
	run(b);
	expect(b, CHAIN_DONE, "");
	assert_int_equal(b->out.len, 100000);
}

static void
test_none(void **state)
{
	struct bench *b = *state;

	run(b);
	expect_out(b, INPUT, sizeof(INPUT) - 1);
}

/* The second is not begun, and the first is named. */
static void
test_first_fails(void **state)
{
	struct bench *b = *state;

	add_command(b, "exit 1", "");
	add_command(b, "touch note; cat", "");
	run(b);
	char *note = path_join(b->dir, "note");

	expect(b, CHAIN_FAILED, "filter-in 1 (script0)");
	assert_int_not_equal(access(note, F_OK), 0);
	free(note);
}

static void
test_second_fails(void **state)
{
	struct bench *b = *state;

	add_command(b, "cat", "");
	add_command(b, "cat; echo why >&2; exit 1", "");
	run(b);
	expect(b, CHAIN_FAILED, "filter-in 2 (script1) exited with 1: why");
}

static void
test_no_program(void **state)
{
	struct bench *b = *state;

	add_command(b, "cat", "");
	remove_in(b, "script0");
	run(b);
	expect(b, CHAIN_LATER, "cannot run");
}

/* It and what it started are gone at the deadline. */
static void
test_hangs(void **state)
{
	struct bench *b = *state;
	char *path = path_join(b->dir, "note");
	struct buf pid = BUF_INIT;
	struct err e = ERR_INIT;

	b->spec.deadline_secs = 3;
	add_command(b, "sleep 60 & echo $! >note; cat; wait", "");
	run(b);
	expect(b, CHAIN_LATER, "did not end within 3 s");
	assert_int_equal(file_read(path, 100, &pid, &e), 0);
	for (int i = 0; kill((pid_t)strtol(buf_cstr(&pid), NULL, 10), 0) == 0;
	    i++) {
		assert_true(i < 6000);
		usleep(10000);
	}
	buf_release(&pid);
	free(path);
}

/* What it leaves running does not hold us up, and is ended. */
static void
test_leaves_behind(void **state)
{
	struct bench *b = *state;

	add_command(b, "sleep 60 & cat", "");
	run(b);
	expect_out(b, INPUT, sizeof(INPUT) - 1);
}

static void
test_stderr_flood(void **state)
{
	struct bench *b = *state;

	add_command(b, "head -c 300000 /dev/zero | tr '\\0' x >&2; cat", "");
	run(b);
	expect_out(b, INPUT, sizeof(INPUT) - 1);
	assert_true(b->logged.len < 2000);
	assert_non_null(strstr(buf_cstr(&b->logged), "filter-said peer=oslo"));
	assert_non_null(strstr(buf_cstr(&b->logged), "left-out=299600"));
}

static void
test_disk_full(void **state)
{
	struct bench *b = *state;

	b->full = true;
	add_command(b, "cat", "");
	run(b);
	expect(b, CHAIN_LATER, "too little space");
}

static void
fill(evutil_socket_t fd, short what, void *ctx)
{
	struct bench *b = ctx;

	(void)fd;
	(void)what;
	b->full = true;
}

static void
test_disk_fills(void **state)
{
	struct bench *b = *state;
	struct timeval soon = { 0, 100000 };
	struct event *ev = evtimer_new(b->base, fill, b);

	evtimer_add(ev, &soon);
	add_command(b, "cat; sleep 60", "");
	run(b);
	expect(b, CHAIN_LATER, "needs more space");
	event_free(ev);
}

/* Nothing of ours gets in: no descriptors, no variables. */
static void
test_clean(void **state)
{
	struct bench *b = *state;

	setenv("POSTRIDER_SECRET", "x", 1);
	add_command(b, "ls /proc/self/fd | wc -w; "
	    "env | grep -c POSTRIDER_SECRET; :", "");
	run(b);
	/* 0, 1, 2 and the folder that ls reads */
	expect_out(b, "4\n0\n", 4);
}

/* Freed while a command runs. */
static void
test_freed(void **state)
{
	struct bench *b = *state;

	add_command(b, "sleep 60", "");
	b->chain = chain_start(b->base, b->log, &b->spec, on_done);
	event_base_loop(b->base, EVLOOP_ONCE);
	chain_free(b->chain);
	assert_int_equal(b->ends, 0);
}

static void
test_check(void **state)
{
	static const struct {
		const char *command, *fault;
	} checks[] = {
		{ "/bin/cat", NULL },
		{ "/bin/cat \"a b\" %i %o %n %p %%", NULL },
		{ "", "no word" }, { "cat", "begin with /" },
		{ "./cat", "begin with /" }, { "/bin/%n", "no %" },
		{ "/bin/cat %f", "stands before i" },
		{ "/bin/cat 100%", "stands before i" },
		{ "/bin/cat \"a", "quote" },
	};
	size_t i;

	for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		struct err e = ERR_INIT;
		int rc = chain_check(checks[i].command, &e);

		assert_int_equal(rc == 0, checks[i].fault == NULL);
		if (rc != 0 && strstr(e.text, checks[i].fault) == NULL)
			fail_msg("%s: %s", checks[i].command, e.text);
	}
	(void)state;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends),
		TEST(test_pipes_and_files), TEST(test_words),
		TEST(test_largest), TEST(test_none), TEST(test_first_fails),
		TEST(test_second_fails), TEST(test_no_program),
		TEST(test_hangs), TEST(test_leaves_behind),
		TEST(test_stderr_flood), TEST(test_disk_full),
		TEST(test_disk_fills), TEST(test_clean), TEST(test_freed),
		cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
