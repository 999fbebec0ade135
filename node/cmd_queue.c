/* SPDX-License-Identifier: ISC */
/*
 * postrider queue.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/text.h"
#include "node/cli.h"

struct queue_args {
	struct cli *cli;
	const char *verb;
	bool json, broken, all, filtered;
	json_t *request;	/* filters are put into it */
	int argc;
	char **argv;		/* ids */
	bool failed;		/* of several messages, some */
};

static const char *const list_columns[] = {
	"ID", ">SIZE", ">AGE", "SENDER", "RECIPIENT", "STATE", "FOR", NULL
};
static const char *const broken_columns[] = {
	"ID", "RECEIVED", ">SIZE", "PEER", "NAME", "REASON", NULL
};

/* A row for each recipient; what is the message's stands in the first. */
static void
list_row(void *ctx, json_t *line)
{
	const json_t *rcpts = json_object_get(line, "recipients");
	struct buf size = BUF_INIT, age = BUF_INIT;
	const char *sender = cli_text(line, "sender");

	if (strcmp(cli_text(line, "kind"), "message") != 0) {
		fprintf(stderr, "postrider queue list: %s: %s\n",
		    cli_text(line, "id"), cli_text(line, "text"));
		return;
	}
	size_format(&size, cli_number(line, "octets"));
	duration_format(&age, cli_number(line, "age_secs"));
	for (size_t i = 0; i < json_array_size(rcpts); i++) {
		const json_t *rcpt = json_array_get(rcpts, i);
		const char *row[] = {
			i == 0 ? cli_text(line, "id") : "",
			i == 0 ? buf_cstr(&size) : "",
			i == 0 ? buf_cstr(&age) : "",
			i > 0 ? "" : *sender != '\0' ? sender : "<>",
			cli_text(rcpt, "address"), cli_text(rcpt, "state"),
			cli_text(rcpt, "target"),
		};

		cli_table_add(ctx, row);
	}
	buf_release(&size);
	buf_release(&age);
}

static void
broken_row(void *ctx, json_t *line)
{
	struct buf size = BUF_INIT, when = BUF_INIT;

	size_format(&size, cli_number(line, "octets"));
	buf_addf(&when, "%.19sZ", cli_text(line, "received"));
	cli_table_add(ctx, (const char *const []){
		cli_text(line, "id"), buf_cstr(&when), buf_cstr(&size),
		cli_text(line, "peer"), cli_text(line, "name"),
		cli_text(line, "reason") });
	buf_release(&size);
	buf_release(&when);
}

static int
queue_list(struct queue_args *a)
{
	struct cli_table *t;
	int status;

	if (a->argc > 0)
		return cli_fail(a->cli, EX_USAGE, "list: it takes no ids, "
		    "show does");
	json_object_set_new(a->request, "cmd",
	    json_string(a->broken ? "broken-list" : "list"));
	json_incref(a->request);
	if (a->json)
		return cli_run(a->cli, a->request, cli_print_json, NULL,
		    false);
	t = cli_table_new(a->broken ? broken_columns : list_columns);
	status = cli_run(a->cli, a->request, a->broken ? broken_row :
	    list_row, t, false);
	cli_table_print(t);
	return status;
}

/* "key: value" for each member, whatever it is. */
static void
show_line(void *ctx, json_t *line)
{
	const char *key;
	json_t *value;

	(void)ctx;
	json_object_foreach(line, key, value) {
		char *text;

		if (strcmp(key, "kind") == 0 || json_is_null(value))
			continue;
		if (json_is_string(value)) {
			printf("%-12s %s\n", key, json_string_value(value));
			continue;
		}
		text = json_dumps(value, JSON_ENCODE_ANY);
		printf("%-12s %s\n", key, text != NULL ? text : "");
		free(text);
	}
	putchar('\n');
}

static json_t *
ids_json(const struct queue_args *a)
{
	json_t *ids = json_array();

	for (int i = 0; i < a->argc; i++)
		json_array_append_new(ids, json_string(a->argv[i]));
	return ids;
}

static int
queue_show(struct queue_args *a)
{
	int status = EX_OK;

	if (a->argc == 0)
		return cli_fail(a->cli, EX_USAGE, "show: which? Give an id");
	for (int i = 0; i < a->argc && status == EX_OK; i++) {
		json_t *request = a->broken ?
		    json_pack("{s:s, s:[s]}", "cmd", "broken-show", "ids",
		    a->argv[i]) : json_pack("{s:s, s:s}", "cmd", "show",
		    "id", a->argv[i]);

		status = cli_run(a->cli, request, a->json ? cli_print_json :
		    show_line, NULL, false);
	}
	return status;
}

static int
need(struct cli_call *c, size_t len)
{
	while (c->in.len < len) {
		ssize_t n = read(c->fd, buf_room(&c->in, 65536), 65536);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return cli_fail(c->cli, EX_DATAERR, "export: the "
			    "object could not be read to its end");
		buf_grown(&c->in, (size_t)n);
	}
	return EX_OK;
}

/* Frames until the one of length zero, to standard output. */
static int
copy_frames(struct cli_call *c)
{
	int status;

	for (;;) {
		struct reader head;
		uint32_t len;

		if ((status = need(c, 4)) != EX_OK)
			return status;
		head = reader_of(c->in.ptr, 4);
		len = read32(&head);
		buf_consume(&c->in, 4);
		if (len == 0)
			return EX_OK;
		if ((status = need(c, len)) != EX_OK)
			return status;
		fwrite(c->in.ptr, 1, len, stdout);
		buf_consume(&c->in, len);
	}
}

static int
queue_export(struct queue_args *a)
{
	struct cli_call c = { .fd = -1 };
	json_t *line = NULL;
	int status;

	if (a->argc != 1 || !a->broken)
		return cli_fail(a->cli, EX_USAGE, "what is broken can be "
		    "exported: export --broken ID");
	status = cli_ask(a->cli, &c, json_pack("{s:s, s:[s]}", "cmd",
	    "broken-export", "ids", a->argv[0]));
	if (status == EX_OK && cli_next(&c, &line) == 1)
		status = copy_frames(&c);
	else if (status == EX_OK)
		status = c.status;
	json_decref(line);
	cli_hang_up(&c);
	return status;
}

static void
say_count(const struct queue_args *a, uint64_t count)
{
	struct buf text = BUF_INIT;

	count_format(&text, count, a->broken ? "object" : "message",
	    a->broken ? "objects" : "messages");
	printf("%s: %s\n", a->verb, buf_cstr(&text));
	buf_release(&text);
}

static void
operated(void *ctx, json_t *line)
{
	struct queue_args *a = ctx;
	bool failure = strcmp(cli_text(line, "kind"), "failure") == 0;

	if (failure)
		a->failed = true;
	if (a->json)
		cli_print_json(NULL, line);
	else if (failure)
		fprintf(stderr, "postrider queue %s: %s: %s\n", a->verb,
		    cli_text(line, "id"), cli_text(line, "text"));
	else if (cli_true(line, "end"))
		say_count(a, cli_number(line, "count"));
}

static int
queue_operate(struct queue_args *a)
{
	int status;

	if ((a->argc > 0) == a->all || (a->filtered && !a->all))
		return cli_fail(a->cli, EX_USAGE, "%s: give ids, or --all, "
		    "which --peer and its like narrow down", a->verb);
	if (a->broken && (strcmp(a->verb, "delete") != 0 || a->all))
		return cli_fail(a->cli, EX_USAGE, "what is broken can be "
		    "deleted, by its ids");
	json_object_set_new(a->request, "cmd",
	    json_string(a->broken ? "broken-delete" : a->verb));
	if (a->all)
		json_object_set_new(a->request, "all", json_true());
	else
		json_object_set_new(a->request, "ids", ids_json(a));
	json_incref(a->request);
	status = cli_run(a->cli, a->request, operated, a, true);
	return status == EX_OK && a->failed ? EX_UNAVAILABLE : status;
}

static int
usage(void)
{
	return cli_usage("queue list|show|hold|release|delete|retry|export\n"
	    "           [--json] [--broken] [--peer NAME] [--held] "
	    "[--sender ADDRESS]\n"
	    "           [--recipient ADDRESS] [--all] [ID...]");
}

static int
get_options(struct queue_args *a, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "broken", no_argument, NULL, 'b' },
		{ "all", no_argument, NULL, 'a' },
		{ "held", no_argument, NULL, 'h' },
		{ "peer", required_argument, NULL, 'p' },
		{ "sender", required_argument, NULL, 's' },
		{ "recipient", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	int c, which = 0;

	optind = 0;	/* glibc: begin anew */
	while ((c = getopt_long(argc, argv, "", options, &which)) != -1) {
		if (c == 'j')
			a->json = true;
		else if (c == 'b')
			a->broken = true;
		else if (c == 'a')
			a->all = true;
		else if (c == '?')
			return -1;
		else {
			a->filtered = true;
			json_object_set_new(a->request, options[which].name,
			    optarg != NULL ? json_string(optarg) :
			    json_true());
		}
	}
	a->argc = argc - optind;
	a->argv = argv + optind;
	return 0;
}

int
cmd_queue(struct cli *cli, int argc, char **argv)
{
	static const struct {
		const char *verb;
		int (*run)(struct queue_args *);
	} rows[] = {
		{ "list", queue_list }, { "show", queue_show },
		{ "hold", queue_operate }, { "release", queue_operate },
		{ "delete", queue_operate }, { "retry", queue_operate },
		{ "export", queue_export },
	};
	struct queue_args a = { .cli = cli };
	int status = -1;

	if (argc < 2)
		return usage();
	a.verb = argv[1];
	argv[1] = argv[0];
	a.request = json_object();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].verb, a.verb) == 0)
			status = get_options(&a, argc - 1, argv + 1) == 0 ?
			    rows[i].run(&a) : -1;
	json_decref(a.request);
	return cli_written(cli, status == -1 ? usage() : status);
}
