/* SPDX-License-Identifier: ISC */
#ifndef NODE_LAUNCH_H
#define NODE_LAUNCH_H
/*
 * What a transport is started with: its program, its settings, and the secret
 * that it shares with the far end.  A reload compares the marks of these, so
 * that it stops no transport to which nothing has changed.
 *
 *	launch_init; launch_mark or launch_secret_fd; launch_release
 */
#include "node/daemon.h"
#include "node/mark.h"

struct launch {
	char *program;			/* absolute path */
	struct conf_strings set;	/* "KEY=VALUE" for --set */
	bool has_secret;
	unsigned char secret[KEYRING_PSK_LEN];
};

/* As the configuration of now has it; the caller releases it. */
void launch_init(struct launch *l, const struct daemon *d, const char *peer,
    const struct conf_lane *lane);
/* Differs where the program, a setting, a plain file that either names, or the
 * secret does. */
struct mark launch_mark(const struct launch *l);
/* The reading end of a pipe with the secret in it, the caller's; -1: there is
 * none, which the transport finds out and tells. */
int launch_secret_fd(const struct launch *l);
/* Wipes and frees what it holds. */
void launch_release(struct launch *l);

#endif
