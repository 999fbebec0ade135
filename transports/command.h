/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_COMMAND_H
#define TRANSPORTS_COMMAND_H
/*
 * One command, run to its end with a file as its standard input.  No shell is
 * between: a name or a setting can never become another command.
 */
#include "base/buf.h"
#include "base/err.h"

#define COMMAND_SAID_MAX 1000	/* octets kept of what a command says */

enum command_end {
	COMMAND_EXITED,		/* with the status told */
	COMMAND_KILLED,		/* by a signal, which the status is */
	COMMAND_LATE		/* it was killed at the deadline */
};

/* argv[0] is looked for in PATH where it has no slash.  input_fd: its standard
 * input, from where that stands; the descriptor stays the caller's.  What it
 * writes on standard output and standard error is added to said, at most
 * COMMAND_SAID_MAX octets of it, line ends as blanks.  What it leaves running
 * is not waited for.  deadline_ms: 0 for none.  ERR_NOT_FOUND, ERR_DENIED and
 * others: it could not be started. */
int command_run(char *const *argv, int input_fd, int deadline_ms,
    struct buf *said, enum command_end *end_out, int *status_out,
    struct err *e) MUST_CHECK;

#endif
