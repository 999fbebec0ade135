/* SPDX-License-Identifier: ISC */
#ifndef NODE_RUNNER_H
#define NODE_RUNNER_H
/*
 * Runs one peer's transport program on the contract of
 * postrider-transport(7): arguments, lines on standard input and output,
 * exit status; what it writes on standard error goes to the log.
 *
 *	idle --runner_start--> running --exit--> idle (hooks.exited)
 *
 * The program ignores SIGPIPE, as daemons do, and leaves the reaping of
 * these children to the runner.  From inside a hook runner_more,
 * runner_answer, runner_stop and, in exited, runner_start may be called, but
 * never runner_free.  Lines on standard output that are no reports, and those
 * on standard error, are logged as transport-said, so many a second; what the
 * program leaves behind in its process group ends with it.
 */
#include <event2/event.h>

#include "base/log.h"
#include "node/overflow.h"

enum runner_report {
	RUNNER_SENDING, RUNNER_SENT, RUNNER_RECEIVED, RUNNER_FAILED_TEMPORARY,
	RUNNER_FAILED_PERMANENT, RUNNER_RETURNED_TEMPORARY,
	RUNNER_RETURNED_PERMANENT, RUNNER_NOTE
};

struct report_progress;		/* transports/report.h */

struct runner_hooks {
	void *ctx;
	/* name: of the file, checked to be a plain name ("" for a note); text
	 * of failed, returned and note, its control characters escaped, else
	 * ""; done and total for sending.  Both texts live until the hook
	 * returns. */
	void (*report)(void *ctx, enum runner_report what, const char *name,
	    const char *text, uint64_t done, uint64_t total);
	/* status: as of exit(3), text "", or, if that is not 0 and it told
	 * no note, its last words on standard error; -1 with the signal's
	 * name in text where it was killed.  All its reports have been told
	 * before. */
	void (*exited)(void *ctx, int status, const char *text);
	/* How it fares; lives until the hook returns.  NULL: nobody asks. */
	void (*progress)(void *ctx, const struct report_progress *p);
	/* What holds for in/ while it runs: one that exceeds it is killed,
	 * which is logged as transport-ended, and what it had begun to write
	 * is removed.  NULL: in/ is not watched. */
	void (*bounds)(void *ctx, struct overflow_bounds *bounds_out);
};

struct runner;
/* peer and lane are for the log; lane: the name of the transport, NULL where
 * the peer has one alone. */
struct runner *runner_new(struct event_base *base, struct log *log,
    const char *peer, const char *lane, const struct runner_hooks *hooks);
/* Ends a running program: SIGTERM, then SIGKILL; hooks are not called. */
void runner_free(struct runner *r);
/* program: absolute path; set: n texts "KEY=VALUE".  The child gets a clean
 * environment (PATH, LANG, TZ, HOME), its own process group, no descriptors
 * but 0, 1, 2, and secret_fd (-1: none; it stays the caller's) as 3.  An
 * error means that it was not started, and exited is not called; ERR_STATE:
 * one is running already. */
int runner_start(struct runner *r, const char *program, const char *out_dir,
    const char *in_dir, char *const *set, size_t nset, int secret_fd,
    struct err *e) MUST_CHECK;
bool runner_running(const struct runner *r);
/* Has it been asked to end? */
bool runner_stopping(const struct runner *r);
/* Tells it that there are new files; nothing if none is running. */
void runner_more(struct runner *r);
/* Says "WORD NAME" in answer to a report.  Is left out when the program does
 * not read, or has been told to stop: it does without then. */
void runner_answer(struct runner *r, const char *word, const char *name);
/* Asks it to end: stop, and the end of its standard input.  SIGTERM follows
 * after grace_secs, SIGKILL after as many again. */
void runner_stop(struct runner *r, unsigned grace_secs);

#endif
