/* SPDX-License-Identifier: ISC */
/*
 * The runner, with small shell scripts as transports: good ones, and all the
 * bad manners a program can have.
 */
#include "base/file.h"
#include "base/mem.h"
#include "node/runner.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_SECS 20

struct bench {
	char dir[64];
	char *script;
	struct event_base *base;
	struct log *log;
	struct runner *runner;
	struct buf heard;	/* what the hooks were told, and the log */
	size_t logged;
	int exits;
	int want_exits;
	bool more_on_note, stop_on_note, answer;
};

static void
on_report(void *ctx, enum runner_report what, const char *name,
    const char *text, uint64_t done, uint64_t total)
{
	struct bench *b = ctx;

	if (b->heard.len < 100000)
		buf_addf(&b->heard, "%d %s [%s] %d/%d\n", (int)what, name,
		    text, (int)done, (int)total);
	if (what == RUNNER_NOTE && b->more_on_note)
		runner_more(b->runner);
	if (what == RUNNER_RETURNED_PERMANENT && b->answer)
		runner_answer(b->runner, "known", name);
	if (what == RUNNER_NOTE && b->stop_on_note)
		runner_stop(b->runner, 1);
}

static void start(struct bench *b);

static void
on_exited(void *ctx, int status, const char *text)
{
	struct bench *b = ctx;

	buf_addf(&b->heard, "exit %d %s\n", status, text);
	assert_false(runner_running(b->runner));
	if (++b->exits < b->want_exits)
		start(b);
	else
		event_base_loopbreak(b->base);
}

static void
on_log(void *ctx, enum log_level level, const char *line)
{
	struct bench *b = ctx;

	(void)level;
	b->logged++;
	if (b->heard.len < 100000)
		buf_addf(&b->heard, "log %.200s\n", line);
}

static int
set_up(void **state)
{
	struct bench *b = mem_alloc(1, sizeof(*b));
	struct runner_hooks hooks = { b, on_report, on_exited, NULL,
		NULL };

	signal(SIGPIPE, SIG_IGN);
	snprintf(b->dir, sizeof(b->dir), "/tmp/test_runner.XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->script = path_join(b->dir, "transport");
	b->base = event_base_new();
	b->log = log_new_sink(on_log, b);
	b->runner = runner_new(b->base, b->log, "oslo", "cable",
	    &hooks);
	b->want_exits = 1;
	*state = b;
	return 0;
}

static int
tear_down(void **state)
{
	struct bench *b = *state;

	runner_free(b->runner);
	event_base_free(b->base);
	log_free(b->log);
	unlink(b->script);
	assert_int_equal(rmdir(b->dir), 0);
	buf_release(&b->heard);
	free(b->script);
	free(b);
	return 0;
}

static void
write_script(struct bench *b, const char *body)
{
	char *text = mem_printf("#!/bin/sh\n%s\n", body);
	struct err e = ERR_INIT;

	assert_int_equal(file_replace(b->dir, "transport", text, strlen(text),
	    0700, &e), 0);
	free(text);
}

static void
start(struct bench *b)
{
	char set[2][16] = { "a=1", "b=x y" };
	char *const sets[] = { set[0], set[1] };
	struct err e = ERR_INIT;

	if (runner_start(b->runner, b->script, "/out", "/in", sets, 2, -1,
	    &e) < 0)
		fail_msg("%s", e.text);
	assert_true(runner_running(b->runner));
}

static void
too_late(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx;
	fail_msg("the runner did not come to an end");
}

static void
loop(struct bench *b)
{
	struct timeval deadline = { DEADLINE_SECS, 0 };
	struct event *ev = event_new(b->base, -1, EV_TIMEOUT, too_late, b);

	event_add(ev, &deadline);
	event_base_dispatch(b->base);
	event_free(ev);
	assert_int_equal(b->exits, b->want_exits);
}

static const char *
run(struct bench *b, const char *body)
{
	write_script(b, body);
	start(b);
	loop(b);
	return buf_cstr(&b->heard);
}

static void
assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" is not in:\n%.4000s", part, text);
}

static void
test_reports(void **state)
{
	assert_string_equal(run(*state, "echo sending a 1 2; echo sent a\n"
	    "echo received b; echo failed c temporary full disk\n"
	    "echo failed c permanent never; echo note hello\n"
	    "echo returned d permanent 550; echo returned d temporary\n"
	    "printf 'note no line end'; exit 75"),
	    "0 a [] 1/2\n1 a [] 0/0\n2 b [] 0/0\n3 c [full disk] 0/0\n"
	    "4 c [never] 0/0\n7  [hello] 0/0\n6 d [550] 0/0\n"
	    "5 d [] 0/0\n7  [no line end] 0/0\n"
	    "exit 75 \n");
}

static void
test_arguments(void **state)
{
	assert_string_equal(run(*state, "for a; do echo \"note $a\"; done"),
	    "7  [--peer] 0/0\n7  [oslo] 0/0\n7  [--out] 0/0\n7  [/out] 0/0\n"
	    "7  [--in] 0/0\n7  [/in] 0/0\n7  [--set] 0/0\n7  [a=1] 0/0\n"
	    "7  [--set] 0/0\n7  [b=x y] 0/0\nexit 0 \n");
}

static void
test_environment(void **state)
{
	const char *heard;

	assert_int_equal(dup2(1, 50), 50);
	setenv("SECRET", "x", 1);
	setenv("TZ", "UTC", 1);
	heard = run(*state, "env | sed 's/=.*//' | sed 's/^/note var /'\n"
	    "for n in 3 4 5 6 7 8 9 50; do\n"
	    "[ -e /proc/$$/fd/$n ] && echo note leaked $n; done\n"
	    "echo note looked");
	close(50);
	assert_has(heard, "[var PATH]");
	assert_has(heard, "[var TZ]");
	assert_null(strstr(heard, "SECRET"));
	assert_has(heard, "[looked]");
	assert_null(strstr(heard, "leaked"));
}

static void
test_bad_lines(void **state)
{
	const char *heard = run(*state, "echo sent .x; echo hello; echo\n"
	    "printf 'note a\\033b\\n'; echo oops \"q\" >&2");

	assert_has(heard, "log transport-said peer=oslo stream=stdout");
	assert_has(heard, "hello");
	assert_has(heard, "stream=stderr");
	assert_has(heard, "oops");
	assert_has(heard, "7  [a\\x1Bb] 0/0");
	assert_has(heard, "exit 0");
	assert_null(strstr(heard, "1 .x"));
}

static void
test_killed(void **state)
{
	assert_string_equal(run(*state, "echo sent a; kill -KILL $$"),
	    "1 a [] 0/0\nexit -1 SIGKILL\n");
}

static void
test_flood(void **state)
{
	struct bench *b = *state;
	const char *heard = run(b, "yes sent .bad | head -n 200000\n"
	    "yes | tr -d '\\n' | head -c 3000000; echo; echo sent last");

	assert_has(heard, "1 last [] 0/0\n");
	assert_has(heard, "left-out=");
	assert_has(heard, "exit 0");
	assert_true(b->logged < 300);
}

static void
test_more_and_stop(void **state)
{
	struct bench *b = *state;

	b->more_on_note = true;
	assert_string_equal(run(b, "echo note up; read a; echo \"sent $a\""),
	    "7  [up] 0/0\n1 more [] 0/0\nexit 0 \n");
	b->more_on_note = false;
	b->stop_on_note = true;
	b->exits = 0;
	buf_clear(&b->heard);
	assert_string_equal(run(b, "echo note up\n"
	    "while read a; do echo \"sent $a\"; done; exit 75"),
	    "7  [up] 0/0\n1 stop [] 0/0\nexit 75 \n");
}

/* Answers reach one that reads, and of one that does not so many wait. */
static void
test_answers(void **state)
{
	struct bench *b = *state;

	b->answer = true;
	assert_string_equal(run(b, "echo returned a permanent x; read a\n"
	    "echo sent \"$(echo $a | tr ' ' _)\""),
	    "6 a [x] 0/0\n1 known_a [] 0/0\nexit 0 \n");
	b->exits = 0;
	buf_clear(&b->heard);
	assert_has(run(b, "yes returned a permanent x | head -n 50000\n"
	    "n=$(timeout 3 cat | wc -l)\n"
	    "[ $n -gt 1000 ] && [ $n -lt 30000 ]"), "exit 0 \n");
}

static void
test_ignores_stop(void **state)
{
	struct bench *b = *state;

	b->stop_on_note = true;
	assert_string_equal(run(b, "echo note up\nsleep 60"),
	    "7  [up] 0/0\nexit -1 SIGTERM\n");
	b->exits = 0;
	buf_clear(&b->heard);
	assert_string_equal(run(b, "trap '' TERM; echo note up\n"
	    "while :; do sleep 1; done"), "7  [up] 0/0\nexit -1 SIGKILL\n");
}

/* A grandchild that holds the pipes open delays nothing and is ended. */
static void
test_grandchild(void **state)
{
	const char *heard = run(*state, "sleep 300 & echo note $!; exit 3");
	char *after;
	long pid;

	assert_has(heard, "exit 3 \n");
	pid = strtol(strchr(heard, '[') + 1, &after, 10);
	assert_int_equal(*after, ']');
	for (int i = 0; i < 6000; i++) {
		char state_of = 'X';
		char *path = mem_printf("/proc/%ld/stat", pid);
		FILE *f = fopen(path, "r");

		free(path);
		if (f == NULL)
			return;
		if (fscanf(f, "%*d %*s %c", &state_of) != 1)
			state_of = 'X';
		fclose(f);
		if (state_of == 'Z' || state_of == 'X')
			return;
		usleep(10000);
	}
	fail_msg("the grandchild lives");
}

/* Why it failed is what it said last, unless it notes such things. */
static void
test_last_words(void **state)
{
	assert_has(run(*state, "echo first >&2\n"
	    "echo 'port=x: no number' >&2\nexit 78"),
	    "exit 78 port=x: no number\n");
}

static void
test_last_words_noted(void **state)
{
	assert_has(run(*state, "echo note waiting\necho bah >&2\nexit 75"),
	    "exit 75 \n");
}

static void
test_last_words_good(void **state)
{
	assert_has(run(*state, "echo bah >&2"), "exit 0 \n");
}

static void
test_closes_output(void **state)
{
	assert_string_equal(run(*state, "echo sent a; exec >&- 2>&- <&-\n"
	    "sleep 0.3; exit 5"), "1 a [] 0/0\nexit 5 \n");
}

static void
test_again_from_exited(void **state)
{
	struct bench *b = *state;

	b->want_exits = 3;
	assert_string_equal(run(b, "echo sent a"), "1 a [] 0/0\nexit 0 \n"
	    "1 a [] 0/0\nexit 0 \n1 a [] 0/0\nexit 0 \n");
}

static void
test_cannot_start(void **state)
{
	struct bench *b = *state;
	struct err e = ERR_INIT;

	assert_int_equal(runner_start(b->runner, b->script, "/o", "/i", NULL,
	    0, -1, &e), ERR_NOT_FOUND);
	assert_has(e.text, b->script);
	assert_false(runner_running(b->runner));
	runner_more(b->runner);
	runner_stop(b->runner, 1);
	write_script(b, "sleep 60");
	start(b);
	assert_int_equal(runner_start(b->runner, b->script, "/o", "/i", NULL,
	    0, -1, &e), ERR_STATE);
	/* tear_down frees it while the program runs. */
}

static size_t
count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

static void
test_leaks_nothing(void **state)
{
	struct bench *b = *state;
	size_t before;

	(void)run(b, "exit 0");
	before = count_fds();
	b->want_exits = 6;
	(void)run(b, "echo note x; exit 0");
	assert_int_equal(count_fds(), before);
}

#define WITH_BENCH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_BENCH(test_reports),
		WITH_BENCH(test_arguments),
		WITH_BENCH(test_environment),
		WITH_BENCH(test_bad_lines),
		WITH_BENCH(test_killed),
		WITH_BENCH(test_flood),
		WITH_BENCH(test_more_and_stop),
		WITH_BENCH(test_answers),
		WITH_BENCH(test_ignores_stop),
		WITH_BENCH(test_grandchild),
		WITH_BENCH(test_last_words),
		WITH_BENCH(test_last_words_noted),
		WITH_BENCH(test_last_words_good),
		WITH_BENCH(test_closes_output),
		WITH_BENCH(test_again_from_exited),
		WITH_BENCH(test_cannot_start),
		WITH_BENCH(test_leaks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
