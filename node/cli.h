/* SPDX-License-Identifier: ISC */
#ifndef NODE_CLI_H
#define NODE_CLI_H
/*
 * What the commands of postrider(1) share: where the configuration is, the
 * way to the daemon, and answers as tables or JSON.  Only commands print.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "node/conf.h"

struct cli {
	const char *config;	/* path of postrider.conf */
	const char *command;	/* for messages: "queue list" */
};

/* "postrider COMMAND: words" on standard error; returns status. */
int cli_fail(const struct cli *cli, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* "usage: postrider FORM" and, behind line ends in forms, further lines;
 * returns EX_USAGE. */
int cli_usage(const char *forms);
/* The configuration, its faults told on standard error.  The caller frees
 * *conf_out.  Returns 0 or EX_CONFIG. */
int cli_conf(const struct cli *cli, struct conf **conf_out) MUST_CHECK;
/* The settings spool and control, read without minding what else is wrong in
 * the file, so that a daemon can be told of a file it cannot use.  The caller
 * frees them. */
int cli_paths(const struct cli *cli, char **control_out, char **spool_out,
    struct err *e) MUST_CHECK;
/* What addresses without a domain get: the first local domain, else hostname,
 * else the site's name, else the machine's.  The caller frees it. */
char *cli_domain(const struct cli *cli);
/* The status of sysexits.h for a code of base/err.h. */
int cli_status(int code);

/*
 * A question to the daemon.
 *
 *	cli_ask(&cli, &c, request)	uses up the request
 *	while ((r = cli_next(&c, &line)) == 1) ... json_decref(line)
 *	r == 0: c.end is the last line; else c.status says how to exit
 *	cli_hang_up(&c)
 */
struct cli_call {
	const struct cli *cli;
	int fd;
	struct buf in;
	json_t *end;		/* the line that ended the answer */
	bool silent;		/* errors are not printed */
	int status;		/* exit status after an error */
	struct err err;
};

/* 0, or an exit status; the reason is printed (unless c->silent, which is to
 * be set before, with the rest zero). */
int cli_ask(const struct cli *cli, struct cli_call *c, json_t *request)
    MUST_CHECK;
int cli_next(struct cli_call *c, json_t **line_out) MUST_CHECK;
void cli_hang_up(struct cli_call *c);
/* Asks, and passes lines until the end to fn (may be NULL).  The last line
 * too where `last` is set. Returns an exit status. */
int cli_run(const struct cli *cli, json_t *request,
    void (*fn)(void *ctx, json_t *line), void *ctx, bool last) MUST_CHECK;
/* A line of JSON on standard output; for cli_run. */
void cli_print_json(void *ctx, json_t *line);
/* Did all that was written reach standard output? status, or EX_IOERR. */
int cli_written(const struct cli *cli, int status);

/* Texts out of a line: "" and 0 where it is missing or another type. */
const char *cli_text(const json_t *line, const char *key);
uint64_t cli_number(const json_t *line, const char *key);
bool cli_true(const json_t *line, const char *key);

/*
 * Tables for people.
 */
struct cli_table;
/* columns: headings, NULL at the end; one that begins with '>' is aligned to
 * the right. */
struct cli_table *cli_table_new(const char *const *columns);
/* One text for each column. */
void cli_table_add(struct cli_table *t, const char *const *texts);
void cli_table_print(struct cli_table *t);	/* and frees */

/* The commands, each in cmd_WORD.c.  argv[0] is "postrider WORD", which getopt
 * says; the exit status is returned. */
int cmd_bundles(struct cli *cli, int argc, char **argv);
int cmd_card(struct cli *cli, int argc, char **argv);
int cmd_check(struct cli *cli, int argc, char **argv);
int cmd_flush(struct cli *cli, int argc, char **argv);
int cmd_key(struct cli *cli, int argc, char **argv);
int cmd_peer(struct cli *cli, int argc, char **argv);
int cmd_link(struct cli *cli, int argc, char **argv);
int cmd_queue(struct cli *cli, int argc, char **argv);
int cmd_receive(struct cli *cli, int argc, char **argv);
int cmd_reload(struct cli *cli, int argc, char **argv);
int cmd_route(struct cli *cli, int argc, char **argv);
int cmd_rsmtp(struct cli *cli, int argc, char **argv);
int cmd_send(struct cli *cli, int argc, char **argv);
int cmd_spool(struct cli *cli, int argc, char **argv);
int cmd_status(struct cli *cli, int argc, char **argv);
int cmd_stop(struct cli *cli, int argc, char **argv);
int cmd_trace(struct cli *cli, int argc, char **argv);
/* postrider peer test */
int cmd_peer_test(struct cli *cli, int argc, char **argv);

#endif
