/* SPDX-License-Identifier: ISC */
/*
 * What the commands share.
 *
 * A command that only talks to the daemon reads two paths out of the
 * configuration and leaves the rest alone: it must work, and reload above
 * all, while the file is at fault.
 */
#include "node/cli.h"

#include <errno.h>
#include <libsmartcols/libsmartcols.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "node/conf_net.h"
#include "node/conf_parse.h"

#define CONFIG_MAX (4 * 1024 * 1024)	/* octets of a configuration */
#define LINE_MAX_OCTETS (16 * 1024 * 1024)	/* of an answer's line */

int
cli_fail(const struct cli *cli, int status, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "postrider %s: ", cli->command);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

int
cli_usage(const char *forms)
{
	fprintf(stderr, "usage: postrider %s\n", forms);
	return EX_USAGE;
}

int
cli_status(int code)
{
	switch (code) {
	case 0:
		return EX_OK;
	case ERR_SYNTAX:
	case ERR_CORRUPT:
		return EX_DATAERR;
	case ERR_NOT_FOUND:
		return EX_NOINPUT;
	case ERR_DENIED:
		return EX_NOPERM;
	case ERR_CONFIG:
		return EX_CONFIG;
	case ERR_UNSUPPORTED:
		return EX_UNAVAILABLE;
	case ERR_EXISTS:
		return EX_CANTCREAT;
	default:
		return EX_TEMPFAIL;
	}
}

static void
told_error(void *ctx, const char *text)
{
	(void)ctx;
	fprintf(stderr, "%s\n", text);
}

int
cli_conf(const struct cli *cli, struct conf **conf_out)
{
	struct err e = ERR_INIT;

	if (conf_load(cli->config, told_error, NULL, conf_out, &e) == 0)
		return EX_OK;
	return cli_fail(cli, EX_CONFIG, "%s", e.text);
}

static char *
setting(const struct conf_node *root, const char *key, const char *other)
{
	const struct conf_node *site = conf_node_find(root, "site");
	const struct conf_node *node =
	    site != NULL ? conf_node_find(site, key) : NULL;

	if (node != NULL && node->kind == CONF_SCALAR && node->nitems > 0)
		return mem_strdup(node->item[0].text);
	return mem_strdup(other);
}

static void
told_nobody(void *ctx, const char *text)
{
	(void)ctx;
	(void)text;
}

/* The tree of what can be read; faults are for `postrider check`. */
static int
read_tree(const struct cli *cli, struct conf_node *root_out, struct err *e)
{
	struct conf_faults faults = { .told = told_nobody,
	    .file = cli->config };
	struct buf text = BUF_INIT;
	int r = file_read(cli->config, CONFIG_MAX, &text, e);

	if (r == 0)
		conf_parse(buf_slice(&text), &faults, root_out);
	conf_faults_release(&faults);
	buf_release(&text);
	return r;
}

int
cli_paths(const struct cli *cli, char **control_out, char **spool_out,
    struct err *e)
{
	struct conf_node root = { .key = NULL };
	char *run, *control;

	if (read_tree(cli, &root, e) < 0)
		return e->code;
	run = setting(&root, "run", "/run/postrider");
	control = path_join(run, "control");
	*control_out = setting(&root, "control", control);
	*spool_out = setting(&root, "spool", "/var/spool/postrider");
	free(run);
	free(control);
	conf_node_release(&root);
	return 0;
}

/* The first domain of the first delivery, into the tree; or NULL. */
static const char *
first_domain(const struct conf_node *root)
{
	const struct conf_node *delivery = conf_node_find(root, "delivery");
	const struct conf_node *domains =
	    delivery != NULL ? conf_node_find(delivery, "domains") : NULL;

	return domains != NULL && domains->kind != CONF_SECTION &&
	    domains->nitems > 0 ? domains->item[0].text : NULL;
}

char *
cli_domain(const struct cli *cli)
{
	struct conf_node root = { .key = NULL };
	char name[256] = "localhost";
	const struct conf_node *site;
	const char *domain = NULL;
	char *copy;

	gethostname(name, sizeof(name) - 1);
	if (read_tree(cli, &root, NULL) < 0)
		return mem_strdup(name);
	domain = first_domain(&root);
	site = conf_node_find(&root, "site");
	copy = domain != NULL ? mem_strdup(domain) :
	    setting(&root, "hostname", site != NULL && site->nitems > 0 ?
	    site->item[0].text : name);
	conf_node_release(&root);
	return copy;
}

/* Writes the reason unless that is not wanted. */
static int
call_fail(struct cli_call *c, int status)
{
	if (!c->silent)
		cli_fail(c->cli, status, "%s", c->err.text);
	c->status = status;
	return status;
}

static int
connect_to(const char *path, int *fd_out, struct err *e)
{
	struct conf_endpoint end;
	struct buf text = BUF_INIT;
	int fd, r;

	buf_addf(&text, "unix:%s", path);
	r = conf_endpoint_parse(buf_cstr(&text), &end, e);
	buf_release(&text);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return err_errno(e, "socket");
	if (connect(fd, &end.at.sa, end.len) == -1) {
		err_errno(e, "%s", path);
		close(fd);
		if (e->code == ERR_DENIED)
			return err_set(e, ERR_DENIED, "%s: permission denied: "
			    "it is for root, the daemon's user and its group",
			    path);
		if (e->code == ERR_NOT_FOUND || errno == ECONNREFUSED)
			return err_set(e, ERR_STATE, "the daemon does not "
			    "run (nobody answers at %s)", path);
		return e->code;
	}
	*fd_out = fd;
	return 0;
}

static int
call_connect(struct cli_call *c)
{
	char *control = NULL, *spool = NULL;
	int r = cli_paths(c->cli, &control, &spool, &c->err);

	if (r < 0)
		return call_fail(c, r == ERR_DENIED ? EX_NOPERM : EX_CONFIG);
	r = connect_to(control, &c->fd, &c->err);
	free(control);
	free(spool);
	return r < 0 ? call_fail(c, cli_status(r)) : EX_OK;
}

int
cli_ask(const struct cli *cli, struct cli_call *c, json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	struct buf line = BUF_INIT;
	int status;

	json_decref(request);
	c->cli = cli;
	c->fd = -1;
	status = text != NULL ? call_connect(c) : EX_DATAERR;
	if (text == NULL)
		cli_fail(cli, status, "arguments must be UTF-8");
	if (status == EX_OK) {
		buf_addf(&line, "%s\n", text);
		if (file_write_all(c->fd, line.ptr, line.len, &c->err) < 0)
			status = call_fail(c, EX_TEMPFAIL);
	}
	free(text);
	buf_release(&line);
	return status;
}

static int
word_status(const char *word)
{
	static const struct {
		const char *word;
		int status;
	} rows[] = {
		{ "usage", EX_USAGE }, { "denied", EX_NOPERM },
		{ "not-found", EX_NOINPUT }, { "syntax", EX_DATAERR },
		{ "corrupt", EX_DATAERR }, { "config", EX_CONFIG },
		{ "unsupported", EX_UNAVAILABLE }, { "exists", EX_CANTCREAT },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].word, word) == 0)
			return rows[i].status;
	return EX_TEMPFAIL;
}

/* Reads on until there is a line. */
static int
get_line(struct cli_call *c, size_t *len_out)
{
	size_t seen = 0;

	for (;;) {
		const char *end = c->in.len == seen ? NULL :
		    memchr(c->in.ptr + seen, '\n', c->in.len - seen);
		ssize_t n;

		if (end != NULL) {
			*len_out = (size_t)(end - c->in.ptr);
			return 0;
		}
		seen = c->in.len;
		if (seen > LINE_MAX_OCTETS)
			return err_set(&c->err, ERR_LIMIT, "a line of the "
			    "daemon's answer is too long");
		n = file_read_some(c->fd, buf_room(&c->in, 65536), 65536);
		if (n == -1)
			return err_errno(&c->err, "control socket");
		if (n == 0)
			return err_set(&c->err, ERR_IO,
			    "the daemon ended in the middle of its answer");
		buf_grown(&c->in, (size_t)n);
	}
}

int
cli_next(struct cli_call *c, json_t **line_out)
{
	const char *error;
	json_t *line;
	size_t len = 0;

	if (get_line(c, &len) < 0) {
		call_fail(c, EX_TEMPFAIL);
		return c->err.code;
	}
	line = json_loadb(c->in.ptr, len, 0, NULL);
	buf_consume(&c->in, len + 1);
	error = cli_text(line, "error");
	if (line == NULL || *error != '\0') {
		err_set(&c->err, ERR_IO, "%s", line != NULL ? error :
		    "the daemon's answer is not JSON");
		call_fail(c, word_status(cli_text(line, "code")));
		json_decref(line);
		return c->err.code;
	}
	if (cli_true(line, "end")) {
		c->end = line;
		return 0;
	}
	*line_out = line;
	return 1;
}

void
cli_hang_up(struct cli_call *c)
{
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
	json_decref(c->end);
	c->end = NULL;
	buf_release(&c->in);
}

int
cli_run(const struct cli *cli, json_t *request,
    void (*fn)(void *ctx, json_t *line), void *ctx, bool last)
{
	struct cli_call c = { .fd = -1 };
	json_t *line = NULL;
	int r = 0, status = cli_ask(cli, &c, request);

	while (status == EX_OK && (r = cli_next(&c, &line)) == 1) {
		if (fn != NULL)
			fn(ctx, line);
		json_decref(line);
	}
	if (status == EX_OK && r < 0)
		status = c.status;
	if (status == EX_OK && last && fn != NULL)
		fn(ctx, c.end);
	cli_hang_up(&c);
	return status;
}

void
cli_print_json(void *ctx, json_t *line)
{
	(void)ctx;
	json_dumpf(line, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
	putchar('\n');
}

int
cli_written(const struct cli *cli, int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	return cli_fail(cli, EX_IOERR, "standard output: %s",
	    strerror(errno));
}

const char *
cli_text(const json_t *line, const char *key)
{
	const char *text = json_string_value(json_object_get(line, key));

	return text != NULL ? text : "";
}

uint64_t
cli_number(const json_t *line, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(line, key));

	return n > 0 ? (uint64_t)n : 0;
}

bool
cli_true(const json_t *line, const char *key)
{
	return json_is_true(json_object_get(line, key));
}

/*
 * Tables.  The library keeps all rows until it prints; only what has an end
 * goes there, and what is long is cut into tables of TABLE_ROWS.
 */
#define TABLE_ROWS 1000

struct cli_table {
	struct libscols_table *table;
	size_t ncolumns, rows;
};

struct cli_table *
cli_table_new(const char *const *columns)
{
	struct cli_table *t = mem_alloc(1, sizeof(*t));

	t->table = scols_new_table();
	if (t->table == NULL)
		abort();
	for (; columns[t->ncolumns] != NULL; t->ncolumns++) {
		const char *name = columns[t->ncolumns];
		int flags = *name == '>' ? SCOLS_FL_RIGHT : 0;

		scols_table_new_column(t->table, name + (*name == '>'), 0,
		    flags);
	}
	return t;
}

void
cli_table_add(struct cli_table *t, const char *const *texts)
{
	struct libscols_line *line;

	if (t->rows++ == TABLE_ROWS) {
		scols_print_table(t->table);
		scols_table_remove_lines(t->table);
		scols_table_enable_noheadings(t->table, 1);
		t->rows = 1;
	}
	line = scols_table_new_line(t->table, NULL);
	for (size_t i = 0; line != NULL && i < t->ncolumns; i++)
		scols_line_set_data(line, i, texts[i]);
}

void
cli_table_print(struct cli_table *t)
{
	if (t->rows > 0)
		scols_print_table(t->table);
	scols_unref_table(t->table);
	free(t);
}
