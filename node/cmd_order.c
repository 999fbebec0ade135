/* SPDX-License-Identifier: ISC */
/*
 * postrider flush, reload, stop: an order, and what the daemon says to it.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "node/cli.h"

#define LOOK_MS 100	/* between looks at a call under way */

static void
on_line(void *ctx, json_t *line)
{
	(void)ctx;
	if (*cli_text(line, "text") != '\0')
		printf("%s\n", cli_text(line, "text"));
}

/* What the status says of one peer. */
struct waiting {
	const char *peer;
	bool calling, failed;
};

static void
look_at(struct waiting *w, const json_t *line)
{
	w->calling = cli_true(line, "calling");
	w->failed = cli_number(line, "failures") > 0;
	if (!w->calling && w->failed)
		fprintf(stderr, "postrider flush: %s: %s\n", w->peer,
		    cli_text(line, "last_error"));
}

/* A peer, or one of its transports. */
static void
on_status(void *ctx, json_t *line)
{
	struct waiting *w = ctx;
	const json_t *lane;
	size_t i;

	if (strcmp(cli_text(line, "kind"), "peer") != 0)
		return;
	if (strcmp(cli_text(line, "name"), w->peer) == 0)
		look_at(w, line);
	json_array_foreach(json_object_get(line, "transports"), i, lane)
		if (strchr(w->peer, '/') != NULL &&
		    strcmp(cli_text(lane, "road"), w->peer) == 0)
			look_at(w, lane);
}

/* Until the call is over, and answered. */
static int
wait_for_call(struct cli *cli, const char *peer)
{
	static const struct timespec pause = { 0, LOOK_MS * 1000000L };
	struct waiting w = { .peer = peer };
	int status = EX_OK;

	do {
		(void)nanosleep(&pause, NULL);
		w.calling = false;
		status = cli_run(cli, json_pack("{s:s}", "cmd", "status"),
		    on_status, &w, false);
	} while (status == EX_OK && w.calling);
	return status == EX_OK && w.failed ? EX_TEMPFAIL : status;
}

static int
flush_usage(void)
{
	return cli_usage("flush [--wait] PEER[/TRANSPORT]...");
}

int
cmd_flush(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "wait", no_argument, NULL, 'w' },
		{ NULL, 0, NULL, 0 },
	};
	int c, i, status = EX_OK;
	bool wait = false;

	optind = 0;	/* glibc: begin anew */
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == '?')
			return flush_usage();
		wait = true;
	}
	if (optind == argc)
		return flush_usage();
	for (i = optind; i < argc && status == EX_OK; i++)
		status = cli_run(cli, json_pack("{s:s, s:s}", "cmd", "flush",
		    "peer", argv[i]), on_line, NULL, false);
	for (i = optind; wait && i < argc && status == EX_OK; i++)
		status = wait_for_call(cli, argv[i]);
	return status;
}

static int
plain_order(struct cli *cli, int argc)
{
	if (argc > 1)
		return cli_usage(cli->command);
	return cli_written(cli, cli_run(cli, json_pack("{s:s}", "cmd",
	    cli->command), on_line, NULL, false));
}

int
cmd_reload(struct cli *cli, int argc, char **argv)
{
	(void)argv;
	return plain_order(cli, argc);
}

int
cmd_stop(struct cli *cli, int argc, char **argv)
{
	(void)argv;
	return plain_order(cli, argc);
}
