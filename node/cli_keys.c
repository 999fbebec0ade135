/* SPDX-License-Identifier: ISC */
/* The site's keys, for commands. */
#include "node/cli_keys.h"

#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/selftest.h"
#include "node/account.h"

int
cli_keys_ask(const struct cli *cli, json_t *request, json_t **lines_out,
    json_t **end_out)
{
	struct cli_call call = { .fd = -1, .silent = true };
	json_t *line, *lines = json_array();
	int got = 0, status = EX_OK;

	if (cli_ask(cli, &call, request) != EX_OK) {
		status = -1;
	} else {
		while ((got = cli_next(&call, &line)) == 1)
			json_array_append_new(lines, line);
		if (got < 0)
			status = cli_fail(cli, call.status, "%s",
			    call.err.text);
	}
	if (status == EX_OK) {
		*lines_out = json_incref(lines);
		*end_out = json_incref(call.end);
	}
	json_decref(lines);
	cli_hang_up(&call);
	return status;
}

/* What is written is to be the daemon's own. */
static int
become_daemon(const struct conf *conf, struct err *e)
{
	uid_t uid;
	gid_t gid;
	int rc = account_find(conf, &uid, &gid, e);

	return rc != 0 ? rc : account_become(conf, uid, gid, e);
}

int
cli_keys_open(const struct cli *cli, enum keyfiles_how how,
    struct conf **conf_out, struct keys **keys_out)
{
	struct err e = ERR_INIT;
	int status = cli_conf(cli, conf_out);
	int rc;

	if (status != EX_OK)
		return status;
	(void)umask(0077);
	rc = crypto_selftest(&e);
	if (rc == 0 && how != KEYFILES_READ)
		rc = become_daemon(*conf_out, &e);
	if (rc == 0)
		rc = keys_open(*conf_out, how, clock_real(), rng_real(),
		    keys_out, &e);
	if (rc == 0)
		return EX_OK;
	status = cli_fail(cli, cli_status(rc), "%s%s", e.text,
	    rc == ERR_NOT_FOUND ? " (\"postrider key new\" makes keys)" : "");
	conf_free(*conf_out);
	*conf_out = NULL;
	return status;
}
