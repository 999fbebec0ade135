/* SPDX-License-Identifier: ISC */
/*
 * postrider check: is the configuration good?
 */
#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

#include "base/text.h"
#include "node/cli.h"

static void
on_told(void *ctx, const char *text)
{
	unsigned *n = ctx;

	++*n;
	printf("%s\n", text);
}

static void
say_good(const char *file, const struct conf *conf, bool warned)
{
	struct buf text = BUF_INIT;

	buf_addf(&text, "%s: good%s: site %s, ", file,
	    warned ? ", with warnings" : "", conf->site);
	count_format(&text, conf->npeers, "peer", "peers");
	buf_adds(&text, ", ");
	count_format(&text, conf->ndeliveries, "delivery", "deliveries");
	printf("%s\n", buf_cstr(&text));
	buf_release(&text);
}

int
cmd_check(struct cli *cli, int argc, char **argv)
{
	struct conf *conf = NULL;
	struct err e = ERR_INIT;
	unsigned told = 0;

	(void)argv;
	if (argc > 1)
		return cli_usage(cli->command);
	if (conf_load(cli->config, on_told, &told, &conf, &e) < 0) {
		if (told == 0)	/* else it repeats the first */
			printf("%s\n", e.text);
		return cli_written(cli, EX_CONFIG);
	}
	say_good(cli->config, conf, told > 0);
	conf_free(conf);
	return cli_written(cli, EX_OK);
}
