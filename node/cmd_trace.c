/* SPDX-License-Identifier: ISC */
/* postrider trace: the way of a message, as far as this node knows it. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/mem.h"
#include "base/text.h"
#include "node/cli.h"

static void
print_message(const json_t *line)
{
	const char *sender = cli_text(line, "sender");
	struct buf size = BUF_INIT;

	size_format(&size, cli_number(line, "octets"));
	printf("%s from %s, %s: accepted %.19sZ, in the queue\n",
	    cli_text(line, "id"), *sender != '\0' ? sender : "<>",
	    buf_cstr(&size), cli_text(line, "accepted"));
	buf_release(&size);
}

/* Its neighbour may have all of the bundle, some, or nothing. */
static void
print_hop(const json_t *line)
{
	const char *stage = cli_text(line, "stage");
	const char *peer = cli_text(line, "peer");

	if (*peer == '\0')
		peer = "no road now";
	if (strcmp(stage, "sealing") == 0)
		printf("to be sealed, for the road: %s\n", peer);
	else if (strcmp(stage, "sent") == 0)
		printf("sent to %s, which has acknowledged %s of %s octets\n",
		    peer, num_str(cli_number(line, "acked_octets")).s,
		    num_str(cli_number(line, "octets")).s);
	else if (strcmp(stage, "underway") == 0)
		printf("handed on to %s, no result yet\n", peer);
	else
		printf("for the road: %s, handed over %s of %s octets, "
		    "acknowledged %s\n", peer,
		    num_str(cli_number(line, "sent_octets")).s,
		    num_str(cli_number(line, "octets")).s,
		    num_str(cli_number(line, "acked_octets")).s);
}

static void
print_serial_of(const json_t *line)
{
	struct buf age = BUF_INIT, repeat = BUF_INIT;

	duration_format(&age, cli_number(line, "cut_secs"));
	duration_format(&repeat, cli_number(line, "repeat_in_secs"));
	printf("    serial %s of epoch %s, cut %s ago, attempt %s",
	    num_str(cli_number(line, "serial")).s, cli_text(line, "epoch"),
	    buf_cstr(&age), num_str(cli_number(line, "attempts")).s);
	if (cli_number(line, "repeat_in_secs") > 0)
		printf(", repeated in %s", buf_cstr(&repeat));
	if (*cli_text(line, "bundle") != '\0')
		printf("\n    bundle %s", cli_text(line, "bundle"));
	printf("\n    ");
	print_hop(line);
	buf_release(&age);
	buf_release(&repeat);
}

static void
print_recipient(const json_t *line)
{
	printf("  recipient %s, %s: %s", num_str(cli_number(line,
	    "number")).s, cli_text(line, "address"), cli_text(line,
	    "state"));
	if (*cli_text(line, "target") != '\0')
		printf(" for %s", cli_text(line, "target"));
	if (cli_number(line, "attempts") > 0 &&
	    *cli_text(line, "stage") == '\0')
		printf(", attempts %s",
		    num_str(cli_number(line, "attempts")).s);
	if (*cli_text(line, "status") != '\0')
		printf(", %s %s", cli_text(line, "status"),
		    cli_text(line, "text"));
	printf("\n");
	if (*cli_text(line, "stage") != '\0')
		print_serial_of(line);
	if (*cli_text(line, "waits") != '\0')
		printf("    waits: %s\n", cli_text(line, "waits"));
}

/* What a site said of some recipients, by their numbers. */
static void
print_result(const json_t *run)
{
	static const struct {
		const char *said, *words;
	} rows[] = {
		{ "taken", "taken" }, { "refused", "refused" },
		{ "not-confirmed", "not confirmed" },
	};
	const json_t *numbers = json_object_get(run, "recipients");
	const char *said = cli_text(run, "said");

	printf("    recipient");
	for (size_t i = 0; i < json_array_size(numbers); i++)
		printf("%s %s", i == 0 ? "" : ",", num_str((uint64_t)
		    json_integer_value(json_array_get(numbers, i))).s);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].said, said) == 0)
			said = rows[i].words;
	printf(": %s", said);
	if (*cli_text(run, "status") != '\0')
		printf(", %s %s", cli_text(run, "status"),
		    cli_text(run, "text"));
	printf("\n");
}

static void
print_serial(const json_t *line)
{
	const json_t *results = json_object_get(line, "results");

	printf("  to %s as serial %s of epoch %s, bundle %s\n"
	    "    accepted %.19sZ, cut %.19sZ, attempts %s\n"
	    "    ended %.19sZ:\n", cli_text(line, "site"),
	    num_str(cli_number(line, "serial")).s, cli_text(line, "epoch"),
	    cli_text(line, "bundle"), cli_text(line, "accepted"),
	    cli_text(line, "cut"), num_str(cli_number(line, "attempts")).s,
	    cli_text(line, "ended"));
	for (size_t i = 0; i < json_array_size(results); i++)
		print_result(json_array_get(results, i));
}

struct tracing {
	const char *id;
	bool begun;
};

static void
on_line(void *ctx, json_t *line)
{
	struct tracing *t = ctx;
	const char *kind = cli_text(line, "kind");

	if (strcmp(kind, "message") == 0)
		print_message(line);
	else if (!t->begun)
		printf("%s: not in the queue any more\n", t->id);
	t->begun = true;
	if (strcmp(kind, "recipient") == 0)
		print_recipient(line);
	else if (strcmp(kind, "serial") == 0)
		print_serial(line);
}

static int
trace_one(struct cli *cli, const char *id, bool json)
{
	struct tracing t = { .id = id };
	json_t *request = json_pack("{s:s, s:s}", "cmd", "trace", "id", id);

	return cli_run(cli, request, json ? cli_print_json : on_line, &t,
	    false);
}

int
cmd_trace(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	bool json = false, good = true;
	int c, status = EX_OK;

	optind = 0;	/* glibc: begin anew */
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		json = json || c == 'j';
		good = good && c == 'j';
	}
	if (!good || optind == argc)
		return cli_usage("trace [--json] ID...");
	for (int i = optind; i < argc && status == EX_OK; i++)
		status = trace_one(cli, argv[i], json);
	return cli_written(cli, status);
}
