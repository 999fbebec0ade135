/* SPDX-License-Identifier: ISC */
/*
 * postrider status.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/text.h"
#include "node/cli.h"

static const char *const columns[] = {
	"PEER", "ROAD", ">WAITING", ">SIZE", ">HELD", ">BUNDLES", ">OLDEST",
	"NEXT CALL", "LAST SENT", "LAST RECEIVED", "LAST ERROR", NULL
};

/* Times without parts of a second; "-" for none. */
static void
add_time(struct buf *out, const json_t *line, const char *key)
{
	const char *text = cli_text(line, key);

	if (*text == '\0')
		buf_adds(out, "-");
	else
		buf_addf(out, "%.19sZ", text);
}

static const char *
road_word(const json_t *line)
{
	if (cli_true(line, "gone"))
		return "gone";
	if (cli_true(line, "running"))
		return "running";
	return cli_true(line, "down") ? "down" : "idle";
}

static void
add_peer(struct cli_table *t, const json_t *line)
{
	struct buf texts[8];
	const char *row[11];

	for (size_t i = 0; i < 8; i++)
		buf_init(&texts[i]);
	buf_adds(&texts[0], num_str(cli_number(line, "waiting")).s);
	size_format(&texts[1], cli_number(line, "waiting_octets"));
	buf_adds(&texts[2], num_str(cli_number(line, "held")).s);
	buf_adds(&texts[3], num_str(cli_number(line, "bundles") > 0 ?
	    cli_number(line, "bundles") : cli_number(line, "objects")).s);
	duration_format(&texts[4], cli_number(line, "oldest_secs"));
	add_time(&texts[5], line, "next_call");
	add_time(&texts[6], line, "last_sent");
	add_time(&texts[7], line, "last_received");
	row[0] = cli_text(line, "name");
	row[1] = road_word(line);
	for (size_t i = 0; i < 8; i++)
		row[2 + i] = buf_cstr(&texts[i]);
	row[10] = cli_text(line, "last_error");
	cli_table_add(t, row);
	for (size_t i = 0; i < 8; i++)
		buf_release(&texts[i]);
}

/* Nothing where nothing native came or went. */
static void
print_native(const json_t *n)
{
	if (cli_number(n, "parcels_out") + cli_number(n, "parcels_in") +
	    cli_number(n, "parcels_forged") == 0)
		return;
	printf("native bundles made %s, opened %s, forwarded %s, refused %s, "
	    "dropped %s\n",
	    num_str(cli_number(n, "bundles_made")).s,
	    num_str(cli_number(n, "bundles_opened")).s,
	    num_str(cli_number(n, "bundles_forwarded")).s,
	    num_str(cli_number(n, "bundles_refused")).s,
	    num_str(cli_number(n, "bundles_dropped")).s);
	printf("serials repeated %s, received again %s, not confirmed %s\n",
	    num_str(cli_number(n, "serials_repeated")).s,
	    num_str(cli_number(n, "serials_duplicate")).s,
	    num_str(cli_number(n, "unconfirmed")).s);
	printf("parcels out %s, in %s, forged %s, replayed %s\n",
	    num_str(cli_number(n, "parcels_out")).s,
	    num_str(cli_number(n, "parcels_in")).s,
	    num_str(cli_number(n, "parcels_forged")).s,
	    num_str(cli_number(n, "parcels_replayed")).s);
}

static void
print_node(const json_t *line)
{
	const json_t *n = json_object_get(line, "counters");
	struct buf uptime = BUF_INIT, octets = BUF_INIT;

	duration_format(&uptime, cli_number(line, "uptime_secs"));
	size_format(&octets, cli_number(n, "octets"));
	printf("site %s, postrider %s, up %s%s\n", cli_text(line, "site"),
	    cli_text(line, "version"), buf_cstr(&uptime),
	    cli_true(line, "stopping") ? ", stopping" : "");
	printf("spool %s: %s messages, %s%s\n", cli_text(line, "spool_id"),
	    num_str(cli_number(n, "messages")).s, buf_cstr(&octets),
	    cli_true(line, "room") ? "" :
	    "; too little space: new mail is refused");
	printf("accepted %s, delivered %s, failed %s, notices %s\n",
	    num_str(cli_number(n, "accepted")).s,
	    num_str(cli_number(n, "delivered")).s,
	    num_str(cli_number(n, "failed")).s,
	    num_str(cli_number(n, "notices")).s);
	printf("bundles out %s, in %s, repeated %s, broken %s\n",
	    num_str(cli_number(n, "objects_out")).s,
	    num_str(cli_number(n, "objects_in")).s,
	    num_str(cli_number(n, "duplicates")).s,
	    num_str(cli_number(n, "broken")).s);
	printf("deliveries waiting %s, running %s\n",
	    num_str(cli_number(n, "deliveries_waiting")).s,
	    num_str(cli_number(n, "deliveries_running")).s);
	print_native(json_object_get(line, "native"));
	buf_release(&uptime);
	buf_release(&octets);
}

static void
on_line(void *ctx, json_t *line)
{
	if (strcmp(cli_text(line, "kind"), "node") == 0)
		print_node(line);
	else if (strcmp(cli_text(line, "kind"), "peer") == 0)
		add_peer(ctx, line);
}

int
cmd_status(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	json_t *request = json_pack("{s:s}", "cmd", "status");
	struct cli_table *t;
	bool json = false;
	int c, status;

	optind = 0;	/* glibc: begin anew */
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 'j') {
			json_decref(request);
			return EX_USAGE;
		}
		json = true;
	}
	if (json)
		return cli_written(cli, cli_run(cli, request, cli_print_json,
		    NULL, false));
	t = cli_table_new(columns);
	status = cli_run(cli, request, on_line, t, false);
	cli_table_print(t);
	return cli_written(cli, status);
}
