/* SPDX-License-Identifier: ISC */
#ifndef NODE_DAEMON_MAIN_H
#define NODE_DAEMON_MAIN_H
/*
 * Running the daemon, for its main and for tests.
 */
#include "node/daemon.h"
#include "node/listener.h"

struct daemon_start {
	struct conf *conf;		/* owned by the daemon from now on */
	struct log *log;		/* not owned */
	struct listener_set *listeners;	/* bound; owned from now on */
	void (*ready)(void *ctx);	/* called once mail can be taken */
	void *ctx;
};

/* Opens the spool, runs until told to stop, closes everything.  0, or the
 * error that ended it: ERR_STATE (the spool is locked, or of another schema),
 * ERR_IO, ERR_CORRUPT. */
int daemon_run(const struct daemon_start *start, struct err *e) MUST_CHECK;

#endif
