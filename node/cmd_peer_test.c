/* SPDX-License-Identifier: ISC */
/*
 * postrider peer test: an empty serial goes to the site, and its answer comes
 * back by the roads that mail takes.  How far it came is asked for again and
 * again, and said when it changes.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "node/cli.h"

#define WAIT_SECS 60
#define WAIT_SECS_MAX 604800
#define POLL_USECS 200000

struct test_args {
	struct cli *cli;
	const char *site;
	uint64_t wait_secs, serial;
	bool json;
	char told[80];		/* stage and peer of the last line */
	char *waits;		/* for what it said last, or NULL */
};

/* 0 with the line that ends the answer, the caller's; or an exit status. */
static int
ask(const struct cli *cli, json_t *request, json_t **end_out)
{
	struct cli_call c = { .fd = -1 };
	json_t *line;
	int got, status = cli_ask(cli, &c, request);

	if (status == EX_OK) {
		while ((got = cli_next(&c, &line)) == 1)
			json_decref(line);
		if (got == 0)
			*end_out = json_incref(c.end);
		else
			status = c.status;
	}
	cli_hang_up(&c);
	return status;
}

static void
say(const struct test_args *a, const json_t *st)
{
	const char *stage = cli_text(st, "stage"), *peer = cli_text(st,
	    "peer");

	if (strcmp(stage, "sealing") == 0)
		printf("serial %s for %s: to be sealed\n",
		    num_str(a->serial).s, a->site);
	else if (strcmp(stage, "queued") == 0)
		printf("sealed, and %s%s\n", *peer != '\0' ?
		    "queued for the road to " : "no road leads there now",
		    peer);
	else if (strcmp(stage, "sent") == 0)
		printf("sent to %s, which has not acknowledged it yet\n",
		    *peer != '\0' ? peer : "the neighbour");
	else if (strcmp(stage, "underway") == 0)
		printf("%s has it\n", *peer != '\0' ? peer :
		    "the neighbour");
	else
		printf("%s answered after %s s\n", a->site,
		    num_str(cli_number(st, "answer_secs")).s);
}

/* Is it news what it waits for? */
static bool
waits_anew(struct test_args *a, const json_t *st)
{
	const char *waits = cli_text(st, "waits");

	if (*waits == '\0' || (a->waits != NULL &&
	    strcmp(waits, a->waits) == 0))
		return false;
	free(a->waits);
	a->waits = mem_strdup(waits);
	return true;
}

static void
tell(struct test_args *a, json_t *st)
{
	char now[sizeof(a->told)];
	bool moved, waits = waits_anew(a, st);

	(void)snprintf(now, sizeof(now), "%s %s", cli_text(st, "stage"),
	    cli_text(st, "peer"));
	moved = strcmp(now, a->told) != 0;
	if (!moved && !waits)
		return;
	memcpy(a->told, now, sizeof(now));
	if (a->json) {
		json_object_set_new(st, "kind", json_string("test"));
		json_object_set_new(st, "site", json_string(a->site));
		json_object_set_new(st, "serial",
		    json_integer((json_int_t)a->serial));
		json_object_del(st, "end");
		cli_print_json(NULL, st);
	} else {
		if (moved)
			say(a, st);
		if (waits)
			printf("it waits: %s\n", a->waits);
	}
	(void)fflush(stdout);
}

static int
late(const struct test_args *a)
{
	return cli_fail(a->cli, EX_TEMPFAIL, "%s did not answer within %s s; "
	    "the test goes on, \"postrider bundles\" shows what is under way",
	    a->site, num_str(a->wait_secs).s);
}

static int
watch(struct test_args *a)
{
	int64_t end = clock_mono_ms(clock_real()) +
	    (int64_t)a->wait_secs * 1000;
	json_t *st;
	bool answered = false;
	int status = EX_OK;

	while (status == EX_OK && !answered) {
		status = ask(a->cli, json_pack("{s:s, s:s, s:I}", "cmd",
		    "peer-test-status", "site", a->site, "serial",
		    (json_int_t)a->serial), &st);
		if (status != EX_OK)
			break;
		tell(a, st);
		answered = strcmp(cli_text(st, "stage"), "answered") == 0;
		json_decref(st);
		if (!answered && clock_mono_ms(clock_real()) >= end)
			return late(a);
		if (!answered)
			(void)usleep(POLL_USECS);
	}
	return status;
}

static int
get_options(struct test_args *a, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "wait", required_argument, NULL, 'w' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	optind = 0;	/* glibc: begin anew */
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'j')
			a->json = true;
		else if (c != 'w' || num_parse(slice_of(optarg),
		    WAIT_SECS_MAX, &a->wait_secs) != 0)
			return -1;
	}
	if (optind + 1 != argc)
		return -1;
	a->site = argv[optind];
	return 0;
}

int
cmd_peer_test(struct cli *cli, int argc, char **argv)
{
	struct test_args a = { .cli = cli, .wait_secs = WAIT_SECS };
	json_t *end;
	int status;

	if (get_options(&a, argc, argv) != 0)
		return cli_usage("peer test [--wait SECS] [--json] NAME");
	status = ask(cli, json_pack("{s:s, s:s}", "cmd", "peer-test", "site",
	    a.site), &end);
	if (status != EX_OK)
		return status;
	a.serial = cli_number(end, "serial");
	json_decref(end);
	status = watch(&a);
	free(a.waits);
	return status;
}
