/* SPDX-License-Identifier: ISC */
#ifndef NODE_CHILD_H
#define NODE_CHILD_H
/*
 * Child processes: started in a group of their own with a clean environment,
 * and watched through a pidfd, so that nobody needs a common handler of
 * SIGCHLD.
 *
 *	child_start; child_watch	ended is called once
 *	in ended: child_reap		kills the rest of its group before
 *	child_forget			ready for the next
 */
#include <stdbool.h>
#include <sys/types.h>

#include <event2/event.h>

#include "base/err.h"

#define CHILD_FDS 4

struct child {
	pid_t pid;		/* 0: none */
	int pidfd;		/* -1: looked for by the clock */
	struct event *ev;
	void (*ended)(void *ctx, bool ours);
	void *ctx;
};

#define CHILD_INIT { 0, -1, NULL, NULL, NULL }

/* argv[0]: absolute path.  It gets PATH, LANG, TZ and HOME of ours, no
 * descriptors but fd[0..3] as 0 to 3 (the last may be -1: none), and every
 * signal as it is by default.
 * ERR_IO and others: it was not started. */
int child_start(struct child *c, char *const *argv, const int fd[CHILD_FDS],
    struct err *e) MUST_CHECK;
/* ours: it is a zombie and child_reap tells its end; else another has reaped
 * it, and what became of it is unknown. */
void child_watch(struct child *c, struct event_base *base,
    void (*ended)(void *ctx, bool ours), void *ctx);
/* A signal to its group, and to itself if it has left that. */
void child_kill(const struct child *c, int sig);
/* Status as of exit(3); -1 with the signal's name in text where it was
 * killed. */
int child_reap(struct child *c, char *text, size_t size);
/* Waits grace_ms for one that was told to end, then kills it. */
void child_end(struct child *c, int grace_ms);
void child_forget(struct child *c);

#endif
