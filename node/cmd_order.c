/* SPDX-License-Identifier: ISC */
/*
 * postrider flush, reload, stop: an order, and what the daemon says to it.
 */
#include <stdio.h>
#include <sysexits.h>

#include "node/cli.h"

static void
on_line(void *ctx, json_t *line)
{
	(void)ctx;
	if (*cli_text(line, "text") != '\0')
		printf("%s\n", cli_text(line, "text"));
}

int
cmd_flush(struct cli *cli, int argc, char **argv)
{
	int status = EX_OK;

	if (argc < 2)
		return cli_fail(cli, EX_USAGE,
		    "usage: postrider flush PEER[/TRANSPORT]...");
	for (int i = 1; i < argc && status == EX_OK; i++)
		status = cli_run(cli, json_pack("{s:s, s:s}", "cmd", "flush",
		    "peer", argv[i]), on_line, NULL, false);
	return status;
}

static int
plain_order(struct cli *cli, int argc)
{
	if (argc > 1)
		return cli_fail(cli, EX_USAGE, "it takes no arguments");
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
