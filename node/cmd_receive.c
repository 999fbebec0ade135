/* SPDX-License-Identifier: ISC */
/*
 * postrider receive: hands one object on standard input to the daemon.  Exit
 * statuses are those that mail systems expect of a pipe: 75 has them try
 * again, and what the node has taken, broken or not, is 0.
 *
 * rsmtp and its kin are the same for uuxqt, which throws a batch away at any
 * status but 0 and 75: so they know no others.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/file.h"
#include "node/cli.h"

#define STEP 65536

/* 1 while there is more; 0 at the end; negative: the daemon went away, which
 * its answer explains; -2: standard input failed. */
static int
send_frame(int fd, struct buf *frame)
{
	char bytes[STEP];
	struct err e = ERR_INIT;
	ssize_t n;

	n = file_read_some(STDIN_FILENO, bytes, sizeof(bytes));
	if (n == -1)
		return -2;
	buf_clear(frame);
	buf_put32(frame, (uint32_t)n);
	buf_add(frame, bytes, (size_t)n);
	if (file_write_all(fd, frame->ptr, frame->len, &e) < 0)
		return -1;
	return n > 0;
}

static int
send_object(struct cli_call *c)
{
	struct buf frame = BUF_INIT;
	int r;

	do
		r = send_frame(c->fd, &frame);
	while (r > 0);
	buf_release(&frame);
	if (r == -2)
		return cli_fail(c->cli, EX_IOERR, "standard input: %s",
		    strerror(errno));
	return EX_OK;
}

/* refused: the exit status for what is no genuine parcel. */
static int
tell_outcome(struct cli_call *c, int refused)
{
	const char *outcome = cli_text(c->end, "outcome");
	const char *reason = cli_text(c->end, "reason");

	if (strcmp(outcome, "later") == 0)
		return cli_fail(c->cli, EX_TEMPFAIL, "not now: %s", reason);
	if (strcmp(outcome, "refused") == 0)
		return cli_fail(c->cli, refused, "not taken: %s", reason);
	if (strcmp(outcome, "broken") == 0)
		cli_fail(c->cli, EX_OK, "broken, kept for the postmaster: %s",
		    reason);
	return EX_OK;
}

static int
receive(struct cli *cli, json_t *request, int refused)
{
	struct cli_call c = { .fd = -1 };
	json_t *line = NULL;
	int r, status = cli_ask(cli, &c, request);

	if (status == EX_OK && (r = cli_next(&c, &line)) == 1) {
		json_decref(line);
		status = send_object(&c);
		r = status == EX_OK ? cli_next(&c, &line) : 0;
	}
	if (status == EX_OK && c.end != NULL)
		status = tell_outcome(&c, refused);
	else if (status == EX_OK)
		status = c.status != 0 ? c.status : EX_TEMPFAIL;
	cli_hang_up(&c);
	return status;
}

int
cmd_rsmtp(struct cli *cli, int argc, char **argv)
{
	const char *machine = getenv("UU_MACHINE");
	json_t *request = json_pack("{s:s, s:b}", "cmd", "receive",
	    "uucp", 1);
	int status;

	(void)argc;	/* of no use, and no reason to lose a batch */
	(void)argv;
	signal(SIGPIPE, SIG_IGN);
	if (machine != NULL && *machine != '\0')
		json_object_set_new(request, "peer", json_string(machine));
	/* What is no genuine parcel will not be one later either. */
	status = receive(cli, request, EX_OK);
	return status == EX_OK ? EX_OK : EX_TEMPFAIL;
}

int
cmd_receive(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "peer", required_argument, NULL, 'p' },
		{ "name", required_argument, NULL, 'n' },
		{ NULL, 0, NULL, 0 },
	};
	json_t *request = json_pack("{s:s}", "cmd", "receive");
	int c;

	signal(SIGPIPE, SIG_IGN);
	optind = 0;	/* glibc: begin anew */
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == '?')
			break;
		json_object_set_new(request, c == 'p' ? "peer" : "name",
		    json_string(optarg));
	}
	if (c != -1 || optind != argc) {
		json_decref(request);
		return cli_usage("receive [--peer NAME] [--name NAME]");
	}
	return receive(cli, request, EX_DATAERR);
}
