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

static const char *const lane_columns[] = {
	"TRANSPORT", "STATE", ">BUNDLES", ">SIZE", "RETRY", "NEXT CALL",
	"LAST SENT", "LAST ERROR", NULL
};

static const char *const progress_columns[] = {
	"UNDER WAY", "PROGRESS", ">%", ">SENT", ">LEFT", ">RATE",
	">REMAINING", ">RECEIVED", ">AGAIN", ">ERRORS", ">DAMAGED", NULL
};

static const char *const note_columns[] = { "TRANSPORT", "SAYS", NULL };

#define BAR_WIDTH 20

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

/* Do all that run wait for something? */
static bool
waits(const json_t *peer)
{
	const json_t *lane;
	bool all = false;
	size_t i;

	json_array_foreach(json_object_get(peer, "transports"), i, lane) {
		if (!cli_true(lane, "running"))
			continue;
		if (!cli_true(lane, "waits"))
			return false;
		all = true;
	}
	return all;
}

static const char *
road_word(const json_t *line)
{
	if (cli_true(line, "gone"))
		return "gone";
	if (cli_true(line, "running"))
		return waits(line) ? "waits" : "running";
	if (cli_true(line, "down"))
		return cli_true(line, "misconfigured") ? "misconfigured" :
		    "down";
	return "idle";
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

/*
 * The transports of a peer that has several, and how those fare that say so.
 */
struct tables {
	struct cli_table *peers, *lanes, *notes, *progress;
};

static const char *
lane_word(const json_t *lane)
{
	if (cli_true(lane, "gone"))
		return "gone";
	if (cli_true(lane, "running"))
		return cli_true(lane, "waits") ? "waits" : "running";
	if (cli_true(lane, "misconfigured"))
		return "misconfigured";
	if (cli_true(lane, "down"))
		return "down";
	if (*cli_text(lane, "retry") != '\0')
		return "waiting";
	if (cli_number(lane, "failures") > 0)
		return "failed";
	return cli_true(lane, "open") ? "idle" : "closed";
}

static void
add_lane(struct cli_table *t, const json_t *lane)
{
	struct buf texts[5];
	const char *row[8];

	for (size_t i = 0; i < 5; i++)
		buf_init(&texts[i]);
	buf_adds(&texts[0], num_str(cli_number(lane, "objects")).s);
	size_format(&texts[1], cli_number(lane, "object_octets"));
	add_time(&texts[2], lane, "retry");
	add_time(&texts[3], lane, "next_call");
	add_time(&texts[4], lane, "last_sent");
	row[0] = cli_text(lane, "road");
	row[1] = lane_word(lane);
	for (size_t i = 0; i < 5; i++)
		row[2 + i] = buf_cstr(&texts[i]);
	row[7] = cli_text(lane, "last_error");
	cli_table_add(t, row);
	for (size_t i = 0; i < 5; i++)
		buf_release(&texts[i]);
}

static void
add_note(struct cli_table *t, const json_t *lane)
{
	const char *road = cli_text(lane, "road");
	struct buf text = BUF_INIT;

	if (!cli_true(lane, "running") && cli_true(lane, "misconfigured"))
		buf_addf(&text, "waits until it is mended, for \"postrider "
		    "reload\" or \"postrider flush %s\"", road);
	else
		buf_adds(&text, cli_text(lane, "note"));
	if (text.len > 0)
		cli_table_add(t, (const char *[]){ road, buf_cstr(&text) });
	buf_release(&text);
}

/* "[####......]", as much of it as is done. */
static void
add_bar(struct buf *out, uint64_t done, uint64_t total)
{
	uint64_t full = total == 0 ? 0 : done >= total ? BAR_WIDTH :
	    (uint64_t)((double)done / (double)total * BAR_WIDTH);

	buf_addc(out, '[');
	for (uint64_t i = 0; i < BAR_WIDTH; i++)
		buf_addc(out, i < full ? '#' : '.');
	buf_addc(out, ']');
}

static void
add_percent(struct buf *out, uint64_t part, uint64_t whole)
{
	if (whole == 0)
		buf_adds(out, "-");
	else
		buf_addf(out, "%.0f", (double)part * 100 / (double)whole);
}

/* What only the transports with a link know. */
static void
add_pace(struct buf texts[6], const json_t *p)
{
	uint64_t rate = cli_number(p, "rate");

	size_format(&texts[0], rate);
	buf_adds(&texts[0], "/s");
	if (rate > 0)
		duration_format(&texts[1], cli_number(p, "left_secs"));
	else
		buf_adds(&texts[1], "-");
	size_format(&texts[2], cli_number(p, "received"));
	size_format(&texts[3], cli_number(p, "again"));
	buf_addf(&texts[4], "%.2f %%", (double)cli_number(p, "errors") / 1e4);
	buf_adds(&texts[5], num_str(cli_number(p, "damaged")).s);
}

static void
add_progress(struct cli_table *t, const char *road, const json_t *p)
{
	bool told = json_object_get(p, "rate") != NULL;
	uint64_t done = cli_number(p, told ? "sent" : "done");
	uint64_t left = told ? cli_number(p, "left") :
	    cli_number(p, "total") - done;
	struct buf texts[10];
	const char *row[11];

	if (left == 0 && cli_number(p, "rate") == 0)
		return;
	for (size_t i = 0; i < 10; i++)
		buf_init(&texts[i]);
	add_bar(&texts[0], done, done + left);
	add_percent(&texts[1], done, done + left);
	size_format(&texts[2], done);
	size_format(&texts[3], left);
	if (told)
		add_pace(&texts[4], p);
	row[0] = road;
	for (size_t i = 0; i < 10; i++)
		row[1 + i] = i < 4 || told ? buf_cstr(&texts[i]) : "-";
	cli_table_add(t, row);
	for (size_t i = 0; i < 10; i++)
		buf_release(&texts[i]);
}

static void
add_lanes(struct tables *t, const json_t *peer)
{
	const json_t *all = json_object_get(peer, "transports"), *lane;
	size_t i;

	json_array_foreach(all, i, lane) {
		const json_t *p = json_object_get(lane, "progress");

		if (json_array_size(all) > 1 ||
		    *cli_text(lane, "name") != '\0')
			add_lane(t->lanes, lane);
		add_note(t->notes, lane);
		if (json_is_object(p))
			add_progress(t->progress, cli_text(lane, "road"), p);
	}
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
	struct buf uptime = BUF_INIT, held = BUF_INIT;

	duration_format(&uptime, cli_number(line, "uptime_secs"));
	count_format(&held, cli_number(n, "messages"), "message", "messages");
	buf_adds(&held, ", ");
	size_format(&held, cli_number(n, "octets"));
	printf("site %s, postrider %s, up %s%s\n", cli_text(line, "site"),
	    cli_text(line, "version"), buf_cstr(&uptime),
	    cli_true(line, "stopping") ? ", stopping" : "");
	printf("spool %s: %s%s\n", cli_text(line, "spool_id"), buf_cstr(&held),
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
	buf_release(&held);
}

static void
on_line(void *ctx, json_t *line)
{
	struct tables *t = ctx;

	if (strcmp(cli_text(line, "kind"), "node") == 0)
		print_node(line);
	if (strcmp(cli_text(line, "kind"), "peer") != 0)
		return;
	add_peer(t->peers, line);
	add_lanes(t, line);
}

int
cmd_status(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	json_t *request = json_pack("{s:s}", "cmd", "status");
	struct tables t;
	bool json = false;
	int c, status;

	optind = 0;	/* glibc: begin anew */
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 'j')
			break;
		json = true;
	}
	if (c != -1 || optind < argc) {
		json_decref(request);
		return cli_usage("status [--json]");
	}
	if (json)
		return cli_written(cli, cli_run(cli, request, cli_print_json,
		    NULL, false));
	t.peers = cli_table_new(columns);
	t.lanes = cli_table_new(lane_columns);
	t.notes = cli_table_new(note_columns);
	t.progress = cli_table_new(progress_columns);
	status = cli_run(cli, request, on_line, &t, false);
	cli_table_print(t.peers);
	cli_table_print(t.lanes);
	cli_table_print(t.notes);
	cli_table_print(t.progress);
	return cli_written(cli, status);
}
