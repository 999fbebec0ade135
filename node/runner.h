/* SPDX-License-Identifier: ISC */
#ifndef NODE_RUNNER_H
#define NODE_RUNNER_H
/*
 * Runs one peer's transport program on the contract of
 * postrider-transport(7): arguments, lines on standard input and output,
 * exit status; what it writes on standard error goes to the log.
 *
 *	idle --runner_start--> running --exit--> idle (hooks.exited)
 */
#include <event2/event.h>

#include "base/log.h"

enum runner_report {
	RUNNER_SENDING, RUNNER_SENT, RUNNER_RECEIVED, RUNNER_FAILED_TEMPORARY,
	RUNNER_FAILED_PERMANENT, RUNNER_NOTE
};

struct runner_hooks {
	void *ctx;
	/* name: of the file, checked to be a plain name ("" for a note); text
	 * of failed and note; done and total for sending. */
	void (*report)(void *ctx, enum runner_report what, const char *name,
	    const char *text, uint64_t done, uint64_t total);
	/* status: as of exit(3); -1 with the signal's name in text where it
	 * was killed or could not be started. */
	void (*exited)(void *ctx, int status, const char *text);
};

struct runner;
struct runner *runner_new(struct event_base *base, struct log *log,
    const char *peer, const struct runner_hooks *hooks);
/* Ends a running program: SIGTERM, then SIGKILL; hooks are not called. */
void runner_free(struct runner *r);
/* program: path; set: n texts "KEY=VALUE".  The child gets a clean
 * environment (PATH, LANG, TZ, HOME), its own process group, no descriptors
 * but 0, 1, 2. */
int runner_start(struct runner *r, const char *program, const char *out_dir,
    const char *in_dir, char *const *set, size_t nset, struct err *e)
    MUST_CHECK;
bool runner_running(const struct runner *r);
void runner_more(struct runner *r);
/* Asks it to end; SIGTERM follows after grace_secs, SIGKILL after as many
 * again. */
void runner_stop(struct runner *r, unsigned grace_secs);

#endif
