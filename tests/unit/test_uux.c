/* SPDX-License-Identifier: ISC */
/*
 * Commands run with a file, and the transport "uucp" over a shell script in
 * the place of uux.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "transports/command.h"
#include "transports/uux.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))
#define ARGS_MAX 24

struct bench {
	char dir[64];
	char *out, *uux;
	char *arg[ARGS_MAX];
	int argc;
	int null, reports[2];
	struct contract *contract;
	struct uux *transport;
	struct buf heard;
};

static void
put(const char *dir, const char *name, const char *text, unsigned mode)
{
	struct err e = ERR_INIT;

	assert_int_equal(file_replace(dir, name, text, strlen(text), mode, &e),
	    0);
}

static void
add_arg(struct bench *b, const char *text)
{
	assert_true(b->argc < ARGS_MAX);
	b->arg[b->argc++] = mem_strdup(text);
}

static void
set(struct bench *b, const char *text)
{
	add_arg(b, "--set");
	add_arg(b, text);
}

static int
set_up(void **state)
{
	struct bench *b = mem_alloc(1, sizeof(*b));
	char *with;

	snprintf(b->dir, sizeof(b->dir), "/tmp/test_uux.XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->out = path_join(b->dir, "out");
	b->uux = path_join(b->dir, "uux");
	assert_int_equal(mkdir(b->out, 0700), 0);
	assert_int_equal(pipe(b->reports), 0);
	b->null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	add_arg(b, "uucp");
	add_arg(b, "--peer");
	add_arg(b, "oslo");
	add_arg(b, "--out");
	add_arg(b, b->out);
	add_arg(b, "--in");
	add_arg(b, b->dir);
	with = mem_printf("uux=%s", b->uux);
	set(b, with);
	free(with);
	*state = b;
	return 0;
}

static int
tear_down(void **state)
{
	struct bench *b = *state;
	char *command = mem_printf("rm -rf %s", b->dir);

	uux_free(b->transport);
	contract_close(b->contract);
	assert_int_equal(system(command), 0);
	for (int i = 0; i < b->argc; i++)
		free(b->arg[i]);
	close(b->null);
	close(b->reports[0]);
	if (b->reports[1] != -1)
		close(b->reports[1]);
	buf_release(&b->heard);
	free(command);
	free(b->out);
	free(b->uux);
	free(b);
	return 0;
}

static int
open_it(struct bench *b, struct err *e)
{
	int rc = contract_open(b->argc, b->arg, b->null, b->reports[1],
	    &b->contract, e);

	if (rc == 0)
		rc = uux_new(b->contract, &b->transport, e);
	return rc;
}

/* Runs it with this uux; its status, and its reports in b->heard. */
static enum contract_exit
run(struct bench *b, const char *script)
{
	struct err e = ERR_INIT;
	enum contract_exit status;
	char bytes[8192];
	char *text = mem_printf("#!/bin/sh\ncd %s\n%s\n", b->dir, script);
	ssize_t n;

	put(b->dir, "uux", text, 0700);
	free(text);
	if (open_it(b, &e) < 0)
		fail_msg("%s", e.text);
	status = uux_run(b->transport);
	close(b->reports[1]);
	b->reports[1] = -1;
	n = read(b->reports[0], bytes, sizeof(bytes));
	assert_true(n >= 0);
	buf_add(&b->heard, bytes, (size_t)n);
	return status;
}

static void
assert_file(const struct bench *b, const char *name, const char *want)
{
	char *path = path_join(b->dir, name);
	struct buf got = BUF_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(file_read(path, 10000, &got, &e), 0);
	assert_string_equal(buf_cstr(&got), want);
	buf_release(&got);
	free(path);
}

static void
test_hands_over(void **state)
{
	struct bench *b = *state;

	put(b->out, "b", "two\n", 0600);
	put(b->out, "a", "one\n", 0600);
	put(b->out, ".half", "half\n", 0600);
	assert_int_equal(run(b, "echo \"$*\" >>args; cat >>files; echo said"),
	    CONTRACT_EXIT_DONE);
	assert_string_equal(buf_cstr(&b->heard), "sent a\nsent b\n");
	assert_file(b, "args", "-r - oslo!rsmtp\n-r - oslo!rsmtp\n");
	assert_file(b, "files", "one\ntwo\n");
}

static void
test_settings(void **state)
{
	struct bench *b = *state;

	set(b, "system=oslo-2");
	set(b, "command=/usr/local/bin/rgsmtp");
	set(b, "grade=A");
	set(b, "options=  -n -z  $(reboot) ");
	set(b, "start=yes");
	put(b->out, "a", "one\n", 0600);
	assert_int_equal(run(b, "printf '%s\\n' \"$@\" >args"),
	    CONTRACT_EXIT_DONE);
	assert_file(b, "args", "-gA\n-n\n-z\n$(reboot)\n-\n"
	    "oslo-2!/usr/local/bin/rgsmtp\n");
}

static const char *const bad_settings[] = {
	"system=", "system=-x", "system=a!b", "system=a b", "system=a;b",
	"command=", "command=rsmtp -x", "command=a|b", "command=-x",
	"command=$x", "grade=", "grade=AB", "grade=-", "grade=/",
	"start=maybe", "timeout=x", "colour=red",
	"options=1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 "
	"24 25 26 27 28 29 30 31 32 33",
};

static void
test_bad_settings(void **state)
{
	struct bench *b = *state;

	add_arg(b, "--set");
	for (size_t i = 0; i < NELEM(bad_settings); i++) {
		struct err e = ERR_INIT;

		add_arg(b, bad_settings[i]);
		if (open_it(b, &e) != ERR_CONFIG)
			fail_msg("taken: %s", bad_settings[i]);
		assert_true(e.text[0] != '\0');
		assert_null(b->transport);
		contract_close(b->contract);
		b->contract = NULL;
		free(b->arg[--b->argc]);
	}
}

/* One that it does not take leaves the others to be tried. */
static void
test_failures(void **state)
{
	struct bench *b = *state;

	put(b->out, "a", "bad\n", 0600);
	put(b->out, "b", "good\n", 0600);
	assert_int_equal(run(b, "read x; [ $x = good ] || "
	    "{ echo no such; echo system >&2; exit 7; }"),
	    CONTRACT_EXIT_LATER);
	assert_string_equal(buf_cstr(&b->heard), "failed a temporary uux "
	    "exited with 7: no such system \nsent b\n");
}

static void
test_killed(void **state)
{
	struct bench *b = *state;

	put(b->out, "a", "1\n", 0600);
	put(b->out, "b", "2\n", 0600);
	assert_int_equal(run(b, "kill -KILL $$"), CONTRACT_EXIT_LATER);
	assert_string_equal(buf_cstr(&b->heard), "failed a temporary uux was "
	    "ended by signal 9\n");
}

static void
test_late(void **state)
{
	struct bench *b = *state;
	int64_t began = clock_mono_ms(clock_real());

	set(b, "timeout=1");
	put(b->out, "a", "1\n", 0600);
	put(b->out, "b", "2\n", 0600);
	assert_int_equal(run(b, "exec sleep 60"), CONTRACT_EXIT_LATER);
	assert_string_equal(buf_cstr(&b->heard), "failed a temporary uux did "
	    "not end in 1 seconds\n");
	assert_true(clock_mono_ms(clock_real()) - began < 50000);
}

static void
test_no_uux(void **state)
{
	struct bench *b = *state;

	set(b, "uux=/nowhere/uux");
	put(b->out, "a", "1\n", 0600);
	assert_int_equal(run(b, ""), CONTRACT_EXIT_CONFIG);
	assert_non_null(strstr(buf_cstr(&b->heard), "failed a temporary "
	    "cannot run /nowhere/uux: "));
}

/* Its own things, without the transport. */
static enum command_end
command(const char *script, struct buf *said, int *status_out)
{
	char words[3][8] = { "sh", "-c", "" };
	char *text = mem_strdup(script);
	char *argv[] = { words[0], words[1], text, NULL };
	enum command_end end = COMMAND_LATE;
	struct err e = ERR_INIT;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_int_equal(command_run(argv, null, 60000, said, &end,
	    status_out, &e), 0);
	close(null);
	free(text);
	return end;
}

/* A flood is read to its end and mostly forgotten. */
static void
test_flood(void **state)
{
	struct buf said = BUF_INIT;
	int status = -1;

	(void)state;
	assert_int_equal(command("head -c 1000000 /dev/zero | tr '\\0' x; "
	    "exit 3", &said, &status), COMMAND_EXITED);
	assert_int_equal(status, 3);
	assert_int_equal(said.len, COMMAND_SAID_MAX);
	buf_release(&said);
}

/* What it leaves behind with the pipe open is not waited for. */
static void
test_leaves_a_child(void **state)
{
	int64_t began = clock_mono_ms(clock_real());
	struct buf said = BUF_INIT;
	int status = -1;

	(void)state;
	assert_int_equal(command("sleep 30 & echo up", &said, &status),
	    COMMAND_EXITED);
	assert_int_equal(status, 0);
	assert_string_equal(buf_cstr(&said), "up ");
	assert_true(clock_mono_ms(clock_real()) - began < 25000);
	buf_release(&said);
}

/* Nor is it waited for when its output ends and it does not. */
static void
test_closes_its_output(void **state)
{
	struct buf said = BUF_INIT;
	int status = -1;

	(void)state;
	assert_int_equal(command("exec >&- 2>&-; sleep 1; exit 5", &said,
	    &status), COMMAND_EXITED);
	assert_int_equal(status, 5);
	assert_int_equal(command("kill -TERM $$", &said, &status),
	    COMMAND_KILLED);
	assert_int_equal(status, SIGTERM);
	buf_release(&said);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define WITH_BENCH(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
		WITH_BENCH(test_hands_over),
		WITH_BENCH(test_settings),
		WITH_BENCH(test_bad_settings),
		WITH_BENCH(test_failures),
		WITH_BENCH(test_killed),
		WITH_BENCH(test_late),
		WITH_BENCH(test_no_uux),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_leaves_a_child),
		cmocka_unit_test(test_closes_its_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
