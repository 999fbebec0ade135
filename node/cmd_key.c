/* SPDX-License-Identifier: ISC */
/*
 * postrider key: the site's own keys.  Where the daemon runs it has them and
 * is asked; what makes keys anew needs it stopped.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/selftest.h"
#include "node/account.h"
#include "node/cli_keys.h"
#include "node/control_impl.h"

#define EXPORT_MAX 65536	/* octets of a file of exported keys */

struct key_args {
	struct cli *cli;
	const char *verb;
	bool json, replace;
	const char *from;
	int argc;
	char **argv;
};

static int
usage(void)
{
	return cli_usage("key\n"
	    "       postrider key list [--json]\n"
	    "       postrider key new [--replace] [--from FILE]\n"
	    "       postrider key rotate\n"
	    "       postrider key export [FILE]\n"
	    "       postrider key psk FILE");
}

/*
 * Looking.
 */
static int
get_lines(struct cli *cli, json_t **lines_out, json_t **end_out)
{
	struct conf *conf = NULL;
	struct keys *keys = NULL;
	int status = cli_keys_ask(cli, json_pack("{s:s}", "cmd", "keys"),
	    lines_out, end_out);

	if (status != -1)
		return status;
	status = cli_keys_open(cli, KEYFILES_READ, &conf, &keys);
	if (status != EX_OK)
		return status;
	*lines_out = control_keys_json(keys, clock_real());
	*end_out = control_keys_end(keys);
	keys_close(keys);
	conf_free(conf);
	return EX_OK;
}

static int
key_show(struct key_args *a)
{
	json_t *lines, *end;
	int status = get_lines(a->cli, &lines, &end);

	if (status != EX_OK)
		return status;
	printf("%s %s\n", cli_text(end, "site"),
	    cli_text(end, "fingerprint"));
	json_decref(lines);
	json_decref(end);
	return EX_OK;
}

static void
print_table(const json_t *lines)
{
	static const char *const columns[] = { "ROLE", "SUITE", "ID", "MADE",
		"ENDS", NULL };
	struct cli_table *t = cli_table_new(columns);

	for (size_t i = 0; i < json_array_size(lines); i++) {
		const json_t *line = json_array_get(lines, i);
		char *made = mem_printf("%.10s", cli_text(line, "made"));
		char *ends = mem_printf("%.10s", cli_text(line, "ends"));
		const char *row[] = { cli_text(line, "role"),
			cli_text(line, "suite"), cli_text(line, "id"),
			*made != '\0' ? made : "-",
			*ends != '\0' ? ends : "-" };

		cli_table_add(t, row);
		free(made);
		free(ends);
	}
	cli_table_print(t);
}

static int
key_list(struct key_args *a)
{
	json_t *lines, *end;
	int status = get_lines(a->cli, &lines, &end);

	if (status != EX_OK)
		return status;
	if (a->json) {
		for (size_t i = 0; i < json_array_size(lines); i++)
			cli_print_json(NULL, json_array_get(lines, i));
	} else {
		print_table(lines);
	}
	json_decref(lines);
	json_decref(end);
	return EX_OK;
}

/*
 * Making.
 */
static int
key_rotate(struct key_args *a)
{
	struct conf *conf = NULL;
	struct keys *keys = NULL;
	json_t *lines = NULL, *end = NULL;
	struct err e = ERR_INIT;
	int status = cli_keys_ask(a->cli, json_pack("{s:s}", "cmd",
	    "key-rotate"), &lines, &end);

	if (status == -1) {
		status = cli_keys_open(a->cli, KEYFILES_WRITE, &conf, &keys);
		if (status == EX_OK && keyring_rotate(keys->ring, &e) != 0)
			status = cli_fail(a->cli, cli_status(e.code), "%s",
			    e.text);
	}
	if (status == EX_OK)
		printf("the next receiving key is made; the sites that are "
		    "written to are told\n");
	json_decref(lines);
	json_decref(end);
	keys_close(keys);
	conf_free(conf);
	return status;
}

/* Identity, auth key and, in an export of today, how far the cards count. */
#define EXPORT_ENTRIES 3
static const char *const export_names[EXPORT_ENTRIES] = { "identity", "auth",
	"state" };

/* The entries of an export: each begins with the line "postrider-key 1".  How
 * many there are. */
static size_t
cut_entries(struct slice text, struct slice entry_out[EXPORT_ENTRIES])
{
	static const char first[] = "postrider-key 1\n";
	const char *at = text.ptr, *end = text.ptr + text.len, *cut;
	size_t n = 0;

	while (n < EXPORT_ENTRIES && at < end) {
		cut = n + 1 == EXPORT_ENTRIES ? NULL : memmem(at + 1,
		    (size_t)(end - at) - 1, first, strlen(first));
		cut = cut == NULL ? end : cut;
		entry_out[n++] = (struct slice){ at, (size_t)(cut - at) };
		at = cut;
	}
	return n;
}

static int
cut_export(const char *site, struct slice text,
    struct slice entry_out[EXPORT_ENTRIES], size_t *n_out, struct err *e)
{
	static const struct keyring_policy policy;
	struct keyring *ring = keyring_new(site, &policy, clock_real(),
	    rng_real(), NULL, NULL);
	size_t n = cut_entries(text, entry_out);
	int rc = 0;

	if (n < 2)
		rc = err_set(e, ERR_SYNTAX, "it does not hold the exported "
		    "keys of a site");
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = keyring_restore(ring, export_names[i], entry_out[i], e);
	keyring_free(ring);
	*n_out = n;
	return rc;
}

/* What is there stays, unless it is to be replaced. */
static int
make_room(struct key_args *a, const struct conf *conf,
    struct keyfiles *files, struct err *e)
{
	struct keyring_policy policy = keys_policy(conf);
	struct keyring *ring;
	size_t n;
	int rc;

	if (a->replace)
		return keyfiles_erase(files, e);
	ring = keyring_new(conf->site, &policy, clock_real(), rng_real(),
	    NULL, NULL);
	rc = keyfiles_load(files, ring, &n, e);
	if (rc == 0 && keyring_peek(ring, NULL) == 0)
		rc = err_set(e, ERR_EXISTS, "the site has keys (%s); "
		    "--replace destroys them, and every peer needs the new "
		    "card then", keyring_fingerprint(ring).text);
	keyring_free(ring);
	return rc;
}

static int
prepare(struct key_args *a, const struct conf *conf, struct slice import,
    struct err *e)
{
	struct keyfiles *files = NULL;
	struct slice entry[EXPORT_ENTRIES];
	size_t n = 0;
	int rc = 0;

	if (a->from != NULL) {
		rc = cut_export(conf->site, import, entry, &n, e);
		if (rc != 0)
			err_prefix(e, "%s", a->from);
	}
	if (rc == 0)
		rc = keyfiles_open(conf->keys_dir, KEYFILES_MAKE, &files, e);
	if (rc == 0)
		rc = make_room(a, conf, files, e);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = keyfiles_store()->put(files, export_names[i], entry[i],
		    e);
	keyfiles_close(files);
	return rc;
}

static int
make_keys(struct key_args *a, const struct conf *conf, struct slice import,
    struct err *e)
{
	struct keys *keys;
	uid_t uid;
	gid_t gid;
	int rc = crypto_selftest(e);

	if (rc == 0)
		rc = account_find(conf, &uid, &gid, e);
	if (rc == 0)
		rc = account_own_dir(conf->keys_dir, 0700, uid, gid, e);
	if (rc == 0)
		rc = account_become(conf, uid, gid, e);
	if (rc == 0)
		rc = prepare(a, conf, import, e);
	if (rc == 0)
		rc = keys_open(conf, KEYFILES_MAKE, clock_real(), rng_real(),
		    &keys, e);
	if (rc != 0)
		return rc;
	printf("%s %s\n", conf->site, keyring_fingerprint(keys->ring).text);
	keys_close(keys);
	return 0;
}

static int
key_new(struct key_args *a)
{
	struct conf *conf = NULL;
	struct buf import = BUF_INIT;
	struct err e = ERR_INIT;
	int status = cli_conf(a->cli, &conf);

	if (status != EX_OK)
		return status;
	(void)buf_room(&import, 2 * EXPORT_MAX);
	if ((a->from != NULL && file_read(a->from, EXPORT_MAX, &import,
	    &e) != 0) || make_keys(a, conf, buf_slice(&import), &e) != 0)
		status = cli_fail(a->cli, cli_status(e.code), "%s", e.text);
	keyfiles_wipe(&import);
	conf_free(conf);
	return status;
}

/*
 * Out of the directory.
 */
static int
read_entries(const struct conf *conf, struct buf *out, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < EXPORT_ENTRIES; i++) {
		char *path = path_join(conf->keys_dir, export_names[i]);

		rc = file_read(path, EXPORT_MAX / EXPORT_ENTRIES, out, e);
		if (rc == ERR_NOT_FOUND && i + 1 == EXPORT_ENTRIES)
			rc = 0;		/* no card was ever written */
		free(path);
	}
	return rc;
}

static int
export_to(const struct conf *conf, const char *path, struct err *e)
{
	struct buf text = BUF_INIT;
	int rc;

	(void)buf_room(&text, 4 * EXPORT_MAX);
	rc = read_entries(conf, &text, e);
	if (rc == 0)
		rc = path != NULL ? keyfiles_write_secret(path,
		    buf_slice(&text), (uid_t)-1, (gid_t)-1, e) :
		    file_write_all(STDOUT_FILENO, text.ptr, text.len, e);
	keyfiles_wipe(&text);
	return rc;
}

static int
key_export(struct key_args *a)
{
	struct conf *conf = NULL;
	struct keys *keys = NULL;
	struct err e = ERR_INIT;
	const char *path = a->argc > 0 ? a->argv[0] : NULL;
	int status;

	if (path == NULL && isatty(STDOUT_FILENO))
		return cli_fail(a->cli, EX_USAGE, "these keys are secret and "
		    "not for a terminal: name a FILE");
	status = cli_keys_open(a->cli, KEYFILES_READ, &conf, &keys);
	if (status != EX_OK)
		return status;
	if (export_to(conf, path, &e) != 0)
		status = cli_fail(a->cli, cli_status(e.code), "%s", e.text);
	keys_close(keys);
	conf_free(conf);
	return status;
}

static int
key_psk(struct key_args *a)
{
	struct conf *conf = NULL;
	struct err e = ERR_INIT;
	uid_t uid;
	gid_t gid;
	int status;

	if (a->argc != 1)
		return usage();
	status = cli_conf(a->cli, &conf);
	if (status != EX_OK)
		return status;
	if (account_find(conf, &uid, &gid, &e) != 0 ||
	    keyfiles_make_psk(a->argv[0], rng_real(), uid, gid, &e) != 0)
		status = cli_fail(a->cli, cli_status(e.code), "%s", e.text);
	else
		printf("%s is made: give the peer a copy by a safe way, and "
		    "write psk-file in both sections peer\n", a->argv[0]);
	conf_free(conf);
	return status;
}

static int
get_options(struct key_args *a, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "replace", no_argument, NULL, 'r' },
		{ "from", required_argument, NULL, 'f' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	optind = 0;	/* glibc: begin anew */
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'j' && strcmp(a->verb, "list") == 0)
			a->json = true;
		else if (c == 'r' && strcmp(a->verb, "new") == 0)
			a->replace = true;
		else if (c == 'f' && strcmp(a->verb, "new") == 0)
			a->from = optarg;
		else
			return -1;
	}
	a->argc = argc - optind;
	a->argv = argv + optind;
	return 0;
}

int
cmd_key(struct cli *cli, int argc, char **argv)
{
	static const struct {
		const char *verb;
		int (*run)(struct key_args *);
		int most;	/* arguments */
	} rows[] = {
		{ "list", key_list, 0 }, { "new", key_new, 0 },
		{ "rotate", key_rotate, 0 }, { "export", key_export, 1 },
		{ "psk", key_psk, 1 },
	};
	struct key_args a = { .cli = cli };
	int status = -1;

	if (argc < 2)
		return cli_written(cli, key_show(&a));
	a.verb = argv[1];
	argv[1] = argv[0];
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].verb, a.verb) == 0 &&
		    get_options(&a, argc - 1, argv + 1) == 0 &&
		    a.argc <= rows[i].most)
			status = rows[i].run(&a);
	return cli_written(cli, status == -1 ? usage() : status);
}
