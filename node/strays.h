/* SPDX-License-Identifier: ISC */
#ifndef NODE_STRAYS_H
#define NODE_STRAYS_H
/*
 * Processes that a child of ours left behind in a group or session of their
 * own, so that they did not end with it.  Where the system can do it (Linux)
 * they become children of the daemon: their ends are taken note of, and at its
 * own end they are ended.  While it runs they may live: agents that programs
 * keep for the next call are such.  What this process was the parent of before
 * is left alone.  Elsewhere nothing of this is done.
 *
 *	strays_new		before the first child is started
 *	strays_end		when all children of node/child.h have ended
 */
#include <event2/event.h>

struct strays;

struct strays *strays_new(struct event_base *base);
/* SIGTERM to all, SIGKILL after grace_ms; frees.  Waits for them at most half
 * a second longer. */
void strays_end(struct strays *s, int grace_ms);

#endif
