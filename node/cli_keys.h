/* SPDX-License-Identifier: ISC */
#ifndef NODE_CLI_KEYS_H
#define NODE_CLI_KEYS_H
/*
 * How commands get at the site's keys: from the daemon that has them, and
 * without one from their files.
 */
#include "node/cli.h"
#include "node/keys.h"

/* Asks the daemon (uses up request): EX_OK, the lines (an array) and the last
 * one, to be released; -1: there is no daemon to ask; else the exit status,
 * and the reason was printed. */
int cli_keys_ask(const struct cli *cli, json_t *request, json_t **lines_out,
    json_t **end_out) MUST_CHECK;
/* Opens the files that are there.  To write, root first becomes the daemon's
 * user, for good.  EX_OK and both, to be freed; else the exit status, and the
 * reason was printed. */
int cli_keys_open(const struct cli *cli, enum keyfiles_how how,
    struct conf **conf_out, struct keys **keys_out) MUST_CHECK;

#endif
