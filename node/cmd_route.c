/* SPDX-License-Identifier: ISC */
/*
 * postrider route: where addresses lead, and why.  The daemon knows which
 * peers are down; without it the configuration answers.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "node/cli.h"
#include "node/control_impl.h"

struct routes {
	bool json;
	bool all_good;		/* every address leads somewhere */
	unsigned n;
};

static bool
is_good(const json_t *line)
{
	const char *word = cli_text(line, "decision");

	return strcmp(word, "local") == 0 || strcmp(word, "site") == 0 ||
	    strcmp(word, "unreachable") == 0;
}

static void
on_line(void *ctx, json_t *line)
{
	struct routes *r = ctx;

	if (!is_good(line))
		r->all_good = false;
	if (r->json)
		cli_print_json(NULL, line);
	else
		printf("%s%s\n%s\n", r->n > 0 ? "\n" : "",
		    cli_text(line, "address"), cli_text(line, "explanation"));
	r->n++;
}

static int
without_daemon(struct cli *cli, struct routes *r, int argc, char **argv)
{
	struct conf *conf = NULL;
	int status = cli_conf(cli, &conf);

	if (status != EX_OK)
		return status;
	for (int i = 0; i < argc; i++) {
		json_t *line = control_route_json(conf, argv[i]);

		on_line(r, line);
		json_decref(line);
	}
	conf_free(conf);
	return EX_OK;
}

static int
with_daemon(struct cli_call *c, struct routes *r)
{
	json_t *line = NULL;
	int got;

	while ((got = cli_next(c, &line)) == 1) {
		on_line(r, line);
		json_decref(line);
	}
	return got == 0 ? EX_OK : c->status;
}

int
cmd_route(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	struct routes r = { .all_good = true };
	struct cli_call call = { .fd = -1, .silent = true };
	json_t *addresses = json_array();
	int c, status;

	optind = 0;	/* glibc: begin anew */
	while ((c = getopt_long(argc, argv, "", options, NULL)) == 'j')
		r.json = true;
	if (c != -1 || optind == argc) {
		json_decref(addresses);
		return cli_usage("route [--json] ADDRESS...");
	}
	for (int i = optind; i < argc; i++)
		json_array_append_new(addresses, json_string(argv[i]));
	status = cli_ask(cli, &call, json_pack("{s:s, s:o}",
	    "cmd", "route", "addresses", addresses));
	if (status == EX_OK)
		status = with_daemon(&call, &r);
	else
		status = without_daemon(cli, &r, argc - optind,
		    argv + optind);
	cli_hang_up(&call);
	if (status == EX_OK && !r.all_good)
		status = EX_NOUSER;
	return cli_written(cli, status);
}
