/* SPDX-License-Identifier: ISC */
/*
 * postrider bundles.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/text.h"
#include "node/cli.h"

#define ID_SHOWN 12		/* digits of an id, enough to tell them apart */

static const char *const columns[] = {
	"BUNDLE", "TO", "WHERE", ">SIZE", ">SENT", ">HELD THERE", ">PRIORITY",
	">AGE", ">LEFT", NULL
};

static void
add_share(struct buf *out, const json_t *line, const char *key)
{
	uint64_t all = cli_number(line, "octets");

	if (all == 0 || strcmp(cli_text(line, "state"), "leaving") != 0)
		buf_adds(out, "-");
	else
		buf_addf(out, "%u%%", (unsigned)((double)cli_number(line,
		    key) * 100 / (double)all));
}

static void
add_texts(struct buf *text, const json_t *line)
{
	buf_addf(&text[0], "%.*s", ID_SHOWN, cli_text(line, "id"));
	if (cli_number(line, "octets") > 0)
		size_format(&text[1], cli_number(line, "octets"));
	else
		buf_adds(&text[1], "-");
	add_share(&text[2], line, "sent_octets");
	add_share(&text[3], line, "acknowledged_octets");
	buf_addf(&text[4], "%d", (int)json_integer_value(json_object_get(line,
	    "priority")));
	duration_format(&text[5], cli_number(line, "age_secs"));
	if (json_object_get(line, "left_secs") != NULL)
		duration_format(&text[6], cli_number(line, "left_secs"));
	else
		buf_adds(&text[6], "-");
}

static void
on_line(void *ctx, json_t *line)
{
	struct buf text[7];
	const char *row[9];
	size_t i;

	if (strcmp(cli_text(line, "kind"), "bundle") != 0)
		return;
	for (i = 0; i < 7; i++)
		buf_init(&text[i]);
	add_texts(text, line);
	row[0] = buf_cstr(&text[0]);
	row[1] = cli_text(line, "destination");
	row[2] = cli_text(line, "where");
	for (i = 1; i < 7; i++)
		row[2 + i] = buf_cstr(&text[i]);
	cli_table_add(ctx, row);
	for (i = 0; i < 7; i++)
		buf_release(&text[i]);
}

int
cmd_bundles(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	struct cli_table *t;
	bool json = false;
	int c, status;

	optind = 0;	/* glibc: begin anew */
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 'j')
			break;
		json = true;
	}
	if (c != -1 || optind < argc)
		return cli_usage("bundles [--json]");
	if (json)
		return cli_written(cli, cli_run(cli, json_pack("{s:s}", "cmd",
		    "bundles"), cli_print_json, NULL, false));
	t = cli_table_new(columns);
	status = cli_run(cli, json_pack("{s:s}", "cmd", "bundles"), on_line,
	    t, false);
	cli_table_print(t);
	return cli_written(cli, status);
}
