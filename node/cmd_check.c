/* SPDX-License-Identifier: ISC */
/*
 * postrider check: is the configuration good?
 */
#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

#include "node/cli.h"

static void
on_told(void *ctx, const char *text)
{
	unsigned *n = ctx;

	++*n;
	printf("%s\n", text);
}

int
cmd_check(struct cli *cli, int argc, char **argv)
{
	struct conf *conf = NULL;
	struct err e = ERR_INIT;
	unsigned told = 0;

	(void)argv;
	if (argc > 1)
		return cli_fail(cli, EX_USAGE, "it takes no arguments");
	if (conf_load(cli->config, on_told, &told, &conf, &e) < 0) {
		if (told == 0)	/* else it repeats the first */
			printf("%s\n", e.text);
		return cli_written(cli, EX_CONFIG);
	}
	printf("%s: good%s: site %s, %zu peers, %zu deliveries\n",
	    cli->config, told > 0 ? ", with warnings" : "", conf->site,
	    conf->npeers, conf->ndeliveries);
	conf_free(conf);
	return cli_written(cli, EX_OK);
}
