/* SPDX-License-Identifier: ISC */
#ifndef NODE_CHAIN_H
#define NODE_CHAIN_H
/*
 * A chain of commands through which a file goes: what the first writes is the
 * input of the second, and so on.  No shell is near.
 *
 * A command gets its input on standard input, and what it writes on standard
 * output is what comes out; where one of its words has %i or %o it is given
 * the path of the one or the other instead, as its standard input is then
 * empty, and its standard output goes where its standard error goes: into the
 * log and, should it fail, into the reason.  %n is the object's name, %p the
 * peer's, %% a percent sign.
 *
 *	chain_start --commands, one after the other--> done, once
 *
 * A command that does not end in time is killed with all of its group, one
 * that writes too much by the system; what it leaves behind in its group ends
 * with it.
 */
#include <event2/event.h>

#include "base/log.h"
#include "node/conf.h"

struct chain;

struct chain_spec {
	const struct conf_strings *commands;	/* copied */
	const char *which;	/* "filter-out", for log and reasons; static */
	const char *peer, *name;		/* copied */
	const char *input;	/* file that goes in; it stays */
	const char *stem;	/* paths of files begin so: "DIR/abc" */
	uint64_t deadline_secs;	/* of each command */
	uint64_t octets_max;	/* of what each may write */
	bool (*room)(void *ctx);	/* false: the disk is too full */
	void *ctx;		/* of it and of done */
};

enum chain_end {
	CHAIN_DONE,	/* all commands ended with 0 and wrote something */
	CHAIN_LATER,	/* 75, too late, ended from outside, no room, or a
			 * command that could not be run: try again */
	CHAIN_FAILED,	/* any other end */
};

/* path: what came out, else NULL; the file goes with the chain (where there are
 * no commands it is the input, which stays).  reason: "" or a sentence with
 * what the command said, control characters escaped; both texts live until the
 * hook returns. */
typedef void chain_done(void *ctx, enum chain_end end, const char *path,
    const char *reason);

/* done is called once, from the event loop, never from here; chain_free may be
 * called from it. */
struct chain *chain_start(struct event_base *base, struct log *log,
    const struct chain_spec *spec, chain_done *done);
/* Ends a command that runs and removes the files; NULL is fine. */
void chain_free(struct chain *c);

/* Is this a command that can be configured?  The program by its absolute
 * path, and no %X but those above. */
int chain_check(const char *command, struct err *e) MUST_CHECK;
/* The program of such a command; the caller frees. */
char *chain_program(const char *command);

#endif
