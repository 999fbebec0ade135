/* SPDX-License-Identifier: ISC */
/*
 * The transport contract: report lines both ways, bounded lines, arguments,
 * commands, and files of out/ and in/.
 */
#include "base/file.h"
#include "base/mem.h"
#include "transports/contract.h"
#include "transports/lines.h"
#include "transports/report.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))

static const struct good {
	const char *line;
	enum report_kind kind;
	const char *name, *text;
	uint64_t done, total;
} goods[] = {
	{ "sending a 0 0", REPORT_SENDING, "a", "", 0, 0 },
	{ "sending ab.c 5 18446744073709551615", REPORT_SENDING, "ab.c", "",
	    5, UINT64_MAX },
	{ "sent x", REPORT_SENT, "x", "", 0, 0 },
	{ "received n~1-2%20", REPORT_RECEIVED, "n~1-2%20", "", 0, 0 },
	{ "received \xc3\xa9", REPORT_RECEIVED, "\xc3\xa9", "", 0, 0 },
	{ "failed n temporary disk is full", REPORT_FAILED_TEMPORARY, "n",
	    "disk is full", 0, 0 },
	{ "failed n permanent no", REPORT_FAILED_PERMANENT, "n", "no", 0, 0 },
	{ "failed n temporary", REPORT_FAILED_TEMPORARY, "n", "", 0, 0 },
	{ "returned n permanent 550 5.1.1 no", REPORT_RETURNED_PERMANENT, "n",
	    "550 5.1.1 no", 0, 0 },
	{ "returned n temporary", REPORT_RETURNED_TEMPORARY, "n", "", 0, 0 },
	{ "note", REPORT_NOTE, "", "", 0, 0 },
	{ "note  two blanks ", REPORT_NOTE, "", " two blanks ", 0, 0 },
	{ "note sent x", REPORT_NOTE, "", "sent x", 0, 0 },
};

static void
test_report_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEM(goods); i++) {
		const struct good *g = &goods[i];
		struct err e = ERR_INIT;
		struct report r;

		assert_int_equal(report_parse(slice_of(g->line), &r, &e), 0);
		assert_int_equal(r.kind, g->kind);
		assert_true(slice_eqs(r.name, g->name));
		assert_true(slice_eqs(r.text, g->text));
		assert_true(r.done == g->done && r.total == g->total);
	}
}

static void
test_report_progress(void **state)
{
	static const struct {
		const char *line;
		struct report_progress want;
	} cases[] = {
		{ "progress sent=1 left=2 received=3 rate=4 again=5 errors=6 "
		    "damaged=7", { 1, 2, 3, 4, 5, 6, 7 } },
		{ "progress damaged=7 sent=1", { .sent = 1, .damaged = 7 } },
		{ "progress rate=960 colour=5", { .rate = 960 } },
		{ "progress left=9223372036854775807",
		    { .left = INT64_MAX } },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct err e = ERR_INIT;
		struct report r;

		assert_int_equal(report_parse(slice_of(cases[i].line), &r,
		    &e), 0);
		assert_int_equal(r.kind, REPORT_PROGRESS);
		assert_memory_equal(&r.progress, &cases[i].want,
		    sizeof(r.progress));
	}
}

static void
test_report_bad(void **state)
{
	static const char *const bads[] = {
		"", " ", "sent", "sent ", "sent  x", " sent x", "Sent x",
		"sent x y", "sent x ", "sent .hidden", "sent a/b", "sent ..",
		"sent a\tb", "sent a\x7f", "senta", "received", "sending a",
		"sending a 1", "sending a 1 2 3", "sending a 1 2 ",
		"sending a  1 2", "sending a 3 2", "sending a -1 2",
		"sending a 0x1 2", "sending a 1 18446744073709551616",
		"returned", "returned n", "returned n later x",
		"failed", "failed n", "failed n maybe x", "failed n Temporary",
		"progress", "progress ", "progress  rate=1", "progress rate",
		"progress rate=", "progress =1", "progress rate=-1",
		"progress rate=1,left=2", "progress rate=0x10",
		"progress rate=9223372036854775808", "progress rate=1.5",
		"failed temporary x", "more", "stop", "notes x", "hello",
	};

	(void)state;
	for (size_t i = 0; i < NELEM(bads); i++) {
		struct err e = ERR_INIT;
		struct report r;

		if (report_parse(slice_of(bads[i]), &r, &e) != ERR_SYNTAX)
			fail_msg("taken: \"%s\"", bads[i]);
		assert_true(e.text[0] != '\0');
	}
}

static void
test_report_bounds(void **state)
{
	char *line = mem_alloc(1, REPORT_LINE_MAX + 2);
	struct err e = ERR_INIT;
	struct report r;

	(void)state;
	memset(line, 'x', REPORT_LINE_MAX + 1);
	memcpy(line, "note ", 5);
	assert_int_equal(report_parse((struct slice){ line, REPORT_LINE_MAX },
	    &r, &e), 0);
	assert_int_equal(report_parse((struct slice){ line,
	    REPORT_LINE_MAX + 1 }, &r, &e), ERR_LIMIT);
	memcpy(line, "sent ", 5);
	assert_int_equal(report_parse((struct slice){ line, 5 + 255 }, &r,
	    &e), 0);
	assert_int_equal(report_parse((struct slice){ line, 5 + 256 }, &r,
	    &e), ERR_SYNTAX);
	assert_int_equal(report_parse((struct slice){ "sent a\0b", 8 }, &r,
	    &e), ERR_SYNTAX);
	free(line);
}

static void
test_report_format(void **state)
{
	static const struct {
		struct report r;
		const char *line;
	} cases[] = {
		{ { REPORT_SENDING, SLICE_LIT("a"), SLICE_LIT(""), 1, 2,
		    { 0 } }, "sending a 1 2\n" },
		{ { REPORT_SENT, SLICE_LIT("a"), SLICE_LIT(""), 0, 0, { 0 } },
		    "sent a\n" },
		{ { REPORT_RECEIVED, SLICE_LIT("b"), SLICE_LIT(""), 0, 0,
		    { 0 } }, "received b\n" },
		{ { REPORT_FAILED_TEMPORARY, SLICE_LIT("b"),
		    SLICE_LIT("why\nsent x"), 0, 0, { 0 } },
		    "failed b temporary why sent x\n" },
		{ { REPORT_FAILED_PERMANENT, SLICE_LIT("b"), SLICE_LIT("t"),
		    0, 0, { 0 } }, "failed b permanent t\n" },
		{ { REPORT_NOTE, SLICE_LIT(""), SLICE_LIT("a\tb"), 0, 0,
		    { 0 } },
		    "note a b\n" },
		{ { .kind = REPORT_PROGRESS,
		    .progress = { 1, 2, 3, 4, 5, 6, 7 } },
		    "progress sent=1 left=2 received=3 rate=4 again=5 "
		    "errors=6 damaged=7\n" },
	};
	struct buf out = BUF_INIT;
	struct buf lengthy = BUF_INIT;
	struct report r = { .kind = REPORT_NOTE };

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		buf_clear(&out);
		report_format(&out, &cases[i].r);
		assert_string_equal(buf_cstr(&out), cases[i].line);
	}
	for (int i = 0; i < 10000; i++)
		buf_addc(&lengthy, 'y');
	r.text = buf_slice(&lengthy);
	buf_clear(&out);
	report_format(&out, &r);
	assert_int_equal(out.len, REPORT_LINE_MAX + 1);
	buf_release(&lengthy);
	buf_release(&out);
}

/* Feeds text in pieces of n octets; lines come out joined by "|", those that
 * were too long as "!" and their beginning. */
static char *
split(const char *text, size_t n, size_t max)
{
	struct buf out = BUF_INIT;
	struct lines l;
	struct slice line;
	size_t len = strlen(text);
	int rc;

	lines_init(&l, max);
	for (size_t at = 0; at < len; at += n) {
		lines_add(&l, text + at, len - at < n ? len - at : n);
		while ((rc = lines_next(&l, &line)) != 0) {
			buf_adds(&out, rc < 0 ? "!" : "");
			buf_addslice(&out, line);
			buf_addc(&out, '|');
		}
		assert_true(l.held.len <= max + 1);
	}
	if (lines_last(&l, &line) == 1) {
		buf_adds(&out, "rest:");
		buf_addslice(&out, line);
	}
	lines_release(&l);
	buf_cstr(&out);
	return buf_steal(&out);
}

static void
test_lines(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "", "" },
		{ "a\n", "a|" },
		{ "a\r\nb\n\nc", "a|b||rest:c" },
		{ "12345678\n", "12345678|" },
		{ "12345678\r\n9\n", "12345678|9|" },
		{ "123456789\nok\n", "!12345678|ok|" },
		{ "1234567890abcdefghijkl\nok\n", "!12345678|ok|" },
		{ "1234567890abcdefghijkl", "!12345678|" },
		{ "\r\r\n", "\r|" },
	};
	static const size_t pieces[] = { 1, 2, 3, 7, 100 };

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		for (size_t k = 0; k < NELEM(pieces); k++) {
			char *got = split(cases[i].text, pieces[k], 8);

			assert_string_equal(got, cases[i].want);
			free(got);
		}
	}
}

/* A contract over two pipes in a directory of its own. */
struct bench {
	char dir[64];
	char *out, *in;
	int commands[2], reports[2];
	struct contract *c;
};

static int
set_up(void **state)
{
	struct bench *b = mem_alloc(1, sizeof(*b));
	struct err e = ERR_INIT;

	snprintf(b->dir, sizeof(b->dir), "/tmp/test_contract.XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->out = path_join(b->dir, "out");
	b->in = path_join(b->dir, "in");
	assert_int_equal(file_make_dirs(b->out, 0700, &e), 0);
	assert_int_equal(file_make_dirs(b->in, 0700, &e), 0);
	assert_int_equal(pipe(b->commands), 0);
	assert_int_equal(pipe(b->reports), 0);
	*state = b;
	return 0;
}

static int
tear_down(void **state)
{
	struct bench *b = *state;
	char *command = mem_printf("rm -rf %s", b->dir);

	contract_close(b->c);
	assert_int_equal(system(command), 0);
	free(command);
	for (int i = 0; i < 2; i++) {
		close(b->commands[i]);
		close(b->reports[i]);
	}
	free(b->out);
	free(b->in);
	free(b);
	return 0;
}

static void
open_with(struct bench *b, const char *const *set, size_t n)
{
	char *argv[32] = { (char[]){ "x" }, (char[]){ "--peer" },
	    (char[]){ "oslo" }, (char[]){ "--out" }, b->out,
	    (char[]){ "--in" }, b->in };
	struct err e = ERR_INIT;
	int argc = 7;
	static char flag[] = "--set";
	static char values[8][64];

	for (size_t i = 0; i < n; i++) {
		snprintf(values[i], sizeof(values[i]), "%s", set[i]);
		argv[argc++] = flag;
		argv[argc++] = values[i];
	}
	assert_int_equal(contract_open(argc, argv, b->commands[0],
	    b->reports[1], &b->c, &e), 0);
}

static void
test_args_bad(void **state)
{
	static const struct {
		const char *args[8];
		const char *in_text;
	} cases[] = {
		{ { "--peer", "p", "--out", "o" }, "must be given" },
		{ { "--peer", "p", "--out", "o", "--in" }, "needs a value" },
		{ { "--peer", "p", "--peer", "q" }, "twice" },
		{ { "--peer", "" }, "empty" },
		{ { "--quiet", "1" }, "unknown option" },
		{ { "p" }, "unexpected" },
		{ { "--set", "novalue" }, "KEY=VALUE" },
		{ { "--set", "=v" }, "KEY=VALUE" },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		char *argv[10] = { mem_strdup("x") };
		struct err e = ERR_INIT;
		struct contract *c;
		int argc = 1;

		for (size_t k = 0; k < 8 && cases[i].args[k] != NULL; k++)
			argv[argc++] = mem_strdup(cases[i].args[k]);
		assert_int_equal(contract_open(argc, argv, 0, 1, &c, &e),
		    ERR_CONFIG);
		assert_null(c);
		if (strstr(e.text, cases[i].in_text) == NULL)
			fail_msg("%s", e.text);
		while (argc > 0)
			free(argv[--argc]);
	}
}

static void
test_settings(void **state)
{
	static const char *const set[] = { "a=1", "a=2", "y=yes", "n=no",
	    "t=0.2", "m=15m", "empty=" };
	struct bench *b = *state;
	struct err e = ERR_INIT;
	bool flag;
	int ms;

	open_with(b, set, NELEM(set));
	assert_string_equal(contract_peer(b->c), "oslo");
	assert_string_equal(contract_out_dir(b->c), b->out);
	assert_string_equal(contract_setting(b->c, "a", "x"), "2");
	assert_string_equal(contract_setting(b->c, "none", "x"), "x");
	assert_string_equal(contract_setting(b->c, "empty", "x"), "");
	assert_int_equal(contract_setting_bool(b->c, "y", false, &flag, &e),
	    0);
	assert_true(flag);
	assert_int_equal(contract_setting_bool(b->c, "n", true, &flag, &e),
	    0);
	assert_false(flag);
	assert_int_equal(contract_setting_bool(b->c, "a", true, &flag, &e),
	    ERR_CONFIG);
	assert_int_equal(contract_setting_ms(b->c, "t", 5, &ms, &e), 0);
	assert_int_equal(ms, 200);
	assert_int_equal(contract_settings_used(b->c, &e), ERR_CONFIG);
	assert_non_null(strstr(e.text, "unknown setting m"));
	assert_int_equal(contract_setting_ms(b->c, "m", 5, &ms, &e), 0);
	assert_int_equal(ms, 900000);
	assert_int_equal(contract_setting_ms(b->c, "none", 5, &ms, &e), 0);
	assert_int_equal(ms, 5);
	assert_int_equal(contract_settings_used(b->c, &e), 0);
}

static void
test_settings_ms(void **state)
{
	static const struct {
		const char *text;
		int ms;		/* -1: refused */
	} cases[] = {
		{ "t=0", 0 }, { "t=1", 1000 }, { "t=1.5", 1500 },
		{ "t=0.05", 50 }, { "t=12.345", 12345 },
		{ "t=604800.000", 604800000 }, { "t=1w", 604800000 },
		{ "t=604801", -1 }, { "t=604800.001", -1 }, { "t=", -1 },
		{ "t=.5", -1 }, { "t=1.", -1 }, { "t=1.2345", -1 },
		{ "t=-1", -1 }, { "t=1e3", -1 }, { "t=1.5s", -1 },
		{ "t=99999999999999999999", -1 },
	};
	struct bench *b = *state;

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct err e = ERR_INIT;
		int ms, rc;

		open_with(b, &cases[i].text, 1);
		rc = contract_setting_ms(b->c, "t", 0, &ms, &e);
		contract_close(b->c);
		b->c = NULL;
		if (rc != (cases[i].ms < 0 ? ERR_CONFIG : 0) ||
		    (rc == 0 && ms != cases[i].ms))
			fail_msg("%s: %d, %d", cases[i].text, rc, ms);
	}
}

static void
say(struct bench *b, const char *text)
{
	assert_int_equal(write(b->commands[1], text, strlen(text)),
	    (ssize_t)strlen(text));
}

static void
test_commands(void **state)
{
	struct bench *b = *state;

	open_with(b, NULL, 0);
	assert_int_equal(contract_command(b->c), CONTRACT_NONE);
	say(b, "mo");
	assert_int_equal(contract_command(b->c), CONTRACT_NONE);
	say(b, "re\nwhatever\n\n");
	assert_false(contract_stopping(b->c));
	assert_int_equal(contract_command(b->c), CONTRACT_MORE);
	assert_int_equal(contract_command(b->c), CONTRACT_NONE);
	say(b, "more\nstop\n");
	assert_true(contract_stopping(b->c));
	assert_int_equal(contract_command(b->c), CONTRACT_STOP);
	assert_int_equal(contract_command(b->c), CONTRACT_STOP);
}

static void
test_commands_end(void **state)
{
	struct bench *b = *state;

	open_with(b, NULL, 0);
	close(b->commands[1]);
	b->commands[1] = dup(1);
	assert_false(contract_stopping(b->c));
	assert_int_equal(contract_command(b->c), CONTRACT_GONE);
}

static void
test_reports(void **state)
{
	static const char want[] = "sending a 1 2\nsent a\nreceived b\n"
	    "failed c temporary t\nfailed c permanent p\n"
	    "returned c temporary t\nreturned c permanent p\nnote n 7\n";
	struct bench *b = *state;
	char got[512];
	ssize_t n;

	open_with(b, NULL, 0);
	contract_sending(b->c, "a", 1, 2);
	contract_sent(b->c, "a");
	contract_received(b->c, "b");
	contract_failed(b->c, "c", false, "t");
	contract_failed(b->c, "c", true, "p");
	say(b, "known d\nknown c\n");
	assert_true(contract_returned(b->c, "c", false, "t"));
	say(b, "known c x\nmore\nunknown c\n");
	assert_false(contract_returned(b->c, "c", true, "p"));
	assert_int_equal(contract_command(b->c), CONTRACT_MORE);
	contract_note(b->c, "n %d", 7);
	n = read(b->reports[0], got, sizeof(got) - 1);
	assert_int_equal(n, sizeof(want) - 1);
	assert_memory_equal(got, want, sizeof(want) - 1);
}

/* No answer: to be kept. */
static void
test_return_unanswered(void **state)
{
	struct bench *b = *state;

	open_with(b, NULL, 0);
	say(b, "known c\nstop\n");	/* before it was asked */
	assert_true(contract_stopping(b->c));
	assert_false(contract_returned(b->c, "c", true, "t"));
}

static void
put(const char *dir, const char *name)
{
	char *path = path_join(dir, name);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, name, strlen(name)),
	    (ssize_t)strlen(name));
	close(fd);
	free(path);
}

static void
test_out(void **state)
{
	struct bench *b = *state;
	struct contract_names names;
	struct err e = ERR_INIT;
	char *dir = path_join(b->out, "dir");
	char *lnk = path_join(b->out, "link");

	open_with(b, NULL, 0);
	assert_int_equal(contract_out(b->c, &names, &e), 0);
	assert_int_equal(names.count, 0);
	put(b->out, "b");
	put(b->out, "a2");
	put(b->out, "a10");
	put(b->out, ".tmp");
	put(b->out, "with blank");
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(symlink("b", lnk), 0);
	assert_int_equal(contract_out(b->c, &names, &e), 0);
	assert_int_equal(names.count, 3);
	assert_string_equal(names.names[0], "a10");
	assert_string_equal(names.names[1], "a2");
	assert_string_equal(names.names[2], "b");
	assert_true(contract_names_has(&names, "a2"));
	assert_false(contract_names_has(&names, "a"));
	assert_true(contract_out_has(b->c, "b"));
	assert_false(contract_out_has(b->c, "c"));
	contract_names_release(&names);
	assert_int_equal(rmdir(dir), 0);
	free(dir);
	free(lnk);
}

static void
test_receive(void **state)
{
	struct bench *b = *state;
	struct err e = ERR_INIT;
	struct buf got = BUF_INIT;
	char *from = path_join(b->dir, "source");
	char *to = path_join(b->in, "copy");
	int fd;

	open_with(b, NULL, 0);
	put(b->dir, "source");
	for (int again = 0; again < 2; again++) {
		fd = open(from, O_RDONLY);
		assert_int_equal(contract_receive(b->c, fd, "copy", &e), 0);
		close(fd);
		buf_clear(&got);
		assert_int_equal(file_read(to, 100, &got, &e), 0);
		assert_true(slice_eqs(buf_slice(&got), "source"));
	}
	fd = open(b->dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(contract_receive(b->c, fd, "dir", &e), ERR_IO);
	close(fd);
	fd = open(b->in, O_RDONLY | O_DIRECTORY);
	assert_int_equal(faccessat(fd, "dir", F_OK, 0), -1);
	assert_int_equal(faccessat(fd, ".dir.tmp", F_OK, 0), -1);
	close(fd);
	buf_release(&got);
	free(from);
	free(to);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_report_good),
		cmocka_unit_test(test_report_progress),
		cmocka_unit_test(test_report_bad),
		cmocka_unit_test(test_report_bounds),
		cmocka_unit_test(test_report_format),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_args_bad),
		cmocka_unit_test_setup_teardown(test_settings, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(test_settings_ms, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(test_commands, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(test_commands_end, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(test_return_unanswered,
		    set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reports, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(test_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_receive, set_up,
		    tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
