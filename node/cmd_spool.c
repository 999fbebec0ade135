/* SPDX-License-Identifier: ISC */
/*
 * postrider spool: what an operator does to a spool.  verify and backup ask
 * the daemon where one runs; all else needs the spool for itself, which the
 * store's lock sees to.
 */
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/mem.h"
#include "node/cli.h"
#include "node/control_impl.h"
#include "spool/tool.h"

struct spool_args {
	struct cli *cli;
	const char *verb;
	bool json;
	const char *backup;	/* --backup */
	const char *dir;	/* the argument, or NULL */
	char *home;		/* of the spool */
};

static void
print_report(const struct spool_args *a, json_t *report)
{
	const char *key;
	json_t *value;

	if (a->json) {
		cli_print_json(NULL, report);
		return;
	}
	json_object_foreach(report, key, value)
		if (json_is_integer(value))
			printf("%-10s %" JSON_INTEGER_FORMAT "\n", key,
			    json_integer_value(value));
}

static void
told(void *ctx, const char *text)
{
	const struct spool_args *a = ctx;

	if (a->json) {
		json_t *line = json_pack("{s:s, s:o}", "kind", "told",
		    "text", control_text(text));

		cli_print_json(NULL, line);
		json_decref(line);
	} else
		printf("%s\n", text);
}

/* The report, and 65 where damage was found. */
static int
end_report(struct spool_args *a, json_t *report)
{
	bool damaged = cli_number(report, "damaged") > 0;

	json_object_set_new(report, "kind", json_string("report"));
	json_object_del(report, "end");
	print_report(a, report);
	return damaged ? EX_DATAERR : EX_OK;
}

/* Files that root makes in the spool would shut its owner out. */
static int
become_owner(const struct spool_args *a, struct err *e)
{
	struct stat st;

	if (geteuid() != 0 || stat(a->home, &st) == -1 || st.st_uid == 0)
		return 0;
	if (setgroups(0, NULL) == -1 || setgid(st.st_gid) == -1 ||
	    setuid(st.st_uid) == -1)
		return err_errno(e, "cannot become user id %lu, who owns %s",
		    (unsigned long)st.st_uid, a->home);
	return 0;
}

static int
fail(struct spool_args *a, const struct err *e)
{
	return cli_fail(a->cli, cli_status(e->code), "%s: %s", a->verb,
	    e->text);
}

/*
 * With the daemon.
 */
static int
daemon_answer(struct spool_args *a, struct cli_call *c)
{
	json_t *line = NULL;
	int r;

	while ((r = cli_next(c, &line)) == 1) {
		told(a, cli_text(line, "text"));
		json_decref(line);
	}
	if (r < 0)
		return c->status;
	if (strcmp(a->verb, "verify") == 0)
		return end_report(a, c->end);
	return EX_OK;
}

/* An absolute path, as the daemon works elsewhere. */
static char *
absolute(const char *path)
{
	char here[PATH_MAX];

	if (path == NULL || path[0] == '/' ||
	    getcwd(here, sizeof(here)) == NULL)
		return path != NULL ? mem_strdup(path) : NULL;
	return mem_printf("%s/%s", here, path);
}

/* -1: no daemon runs. */
static int
by_daemon(struct spool_args *a)
{
	struct cli_call c = { .fd = -1, .silent = true };
	json_t *request = json_pack("{s:s}", "cmd", a->verb);
	char *dir = absolute(a->dir);
	int status;

	if (dir != NULL)
		json_object_set_new(request, "dir", json_string(dir));
	free(dir);
	status = cli_ask(a->cli, &c, request);
	c.silent = false;
	if (status == EX_OK)
		status = daemon_answer(a, &c);
	else if (c.err.code == ERR_STATE)
		status = -1;
	else
		cli_fail(a->cli, status, "%s", c.err.text);
	cli_hang_up(&c);
	return status;
}

/*
 * Without it.
 */
static int
open_spool(struct spool_args *a, bool create, struct spool **sp_out,
    struct err *e)
{
	struct spool_options opts = { .clock = clock_real(),
	    .rng = rng_real(), .dir = a->home };
	struct store_options store_opts;
	struct store *store = NULL;

	store_options_default(&store_opts);
	store_opts.dir = a->home;
	store_opts.keep_logs = true;
	store_opts.create = create;
	if (store_open_bdb(&store_opts, &store, e) < 0)
		return e->code == ERR_STATE ?
		    err_prefix(e, "stop the daemon first") : e->code;
	return spool_open(store, &opts, sp_out, e);
}

typedef int spool_work(struct spool_args *a, struct spool *sp,
    struct spool_report *n, struct err *e);

static int
work_verify(struct spool_args *a, struct spool *sp, struct spool_report *n,
    struct err *e)
{
	return spool_verify(sp, n, told, a, e);
}

static int
work_backup(struct spool_args *a, struct spool *sp, struct spool_report *n,
    struct err *e)
{
	(void)n;
	return store_backup(spool_store(sp), a->dir, e);
}

static int
work_export(struct spool_args *a, struct spool *sp, struct spool_report *n,
    struct err *e)
{
	return spool_export(sp, a->dir, n, told, a, e);
}

static int
work_import(struct spool_args *a, struct spool *sp, struct spool_report *n,
    struct err *e)
{
	return spool_import(sp, a->dir, n, told, a, e);
}

static int
with_spool(struct spool_args *a, spool_work *work, bool create)
{
	struct spool_report n = { 0 };
	struct spool *sp = NULL;
	struct err e = ERR_INIT;
	json_t *report;
	int status;

	if (become_owner(a, &e) < 0 || open_spool(a, create, &sp, &e) < 0)
		return fail(a, &e);
	status = work(a, sp, &n, &e) < 0 ? fail(a, &e) : EX_OK;
	spool_close(sp);
	if (status != EX_OK || work == work_backup)
		return status;
	report = control_report_json(&n);
	status = end_report(a, report);
	json_decref(report);
	return status;
}

static int
run_verify(struct spool_args *a)
{
	int status = by_daemon(a);

	return status != -1 ? status : with_spool(a, work_verify, false);
}

static int
run_backup(struct spool_args *a)
{
	int status = by_daemon(a);

	return status != -1 ? status : with_spool(a, work_backup, false);
}

static int
run_export(struct spool_args *a)
{
	return with_spool(a, work_export, false);
}

static int
run_import(struct spool_args *a)
{
	return with_spool(a, work_import, true);
}

static int
run_salvage(struct spool_args *a)
{
	struct spool_report n = { 0 };
	struct err e = ERR_INIT;
	json_t *report;
	int status;

	if (become_owner(a, &e) < 0 ||
	    spool_salvage(a->home, a->backup, clock_real(), rng_real(), &n,
	    told, a, &e) < 0)
		return fail(a, &e);
	report = control_report_json(&n);
	status = end_report(a, report);
	json_decref(report);
	return status;
}

static int
run_upgrade(struct spool_args *a)
{
	char *dir = a->backup != NULL ? mem_strdup(a->backup) :
	    mem_printf("%s/before-upgrade", a->home);
	struct err e = ERR_INIT;
	int status = EX_OK;

	if (become_owner(a, &e) < 0 || spool_upgrade(a->home, dir, &e) < 0)
		status = fail(a, &e);
	free(dir);
	return status;
}

static int
usage(void)
{
	return cli_usage("spool [--json] verify | backup DIR | export DIR |\n"
	    "           import DIR | salvage [--backup DIR] | "
	    "upgrade [--backup DIR]");
}

static const struct spool_row {
	const char *verb;
	int (*run)(struct spool_args *);
	bool wants_dir, takes_backup;
} rows[] = {
	{ "verify", run_verify, false, false },
	{ "backup", run_backup, true, false },
	{ "export", run_export, true, false },
	{ "import", run_import, true, false },
	{ "salvage", run_salvage, false, true },
	{ "upgrade", run_upgrade, false, true },
};

static int
run_row(struct spool_args *a)
{
	struct err e = ERR_INIT;
	char *control = NULL;
	int status = -1;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(rows[i].verb, a->verb) != 0 ||
		    rows[i].wants_dir != (a->dir != NULL) ||
		    (a->backup != NULL && !rows[i].takes_backup))
			continue;
		if (cli_paths(a->cli, &control, &a->home, &e) < 0)
			return fail(a, &e);
		status = rows[i].run(a);
		free(control);
		free(a->home);
	}
	return status == -1 ? usage() : status;
}

int
cmd_spool(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "backup", required_argument, NULL, 'b' },
		{ NULL, 0, NULL, 0 },
	};
	struct spool_args a = { .cli = cli };
	int c;

	optind = 0;	/* glibc: begin anew */
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'j')
			a.json = true;
		else if (c == 'b')
			a.backup = optarg;
		else
			return usage();
	}
	if (argc - optind < 1 || argc - optind > 2)
		return usage();
	a.verb = argv[optind];
	a.dir = argv[optind + 1];	/* or the NULL at the end */
	return cli_written(cli, run_row(&a));
}
