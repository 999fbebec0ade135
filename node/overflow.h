/* SPDX-License-Identifier: ISC */
#ifndef NODE_OVERFLOW_H
#define NODE_OVERFLOW_H
/*
 * Watches the folder in/ of a peer while a transport runs, so that one that
 * writes without end is found out before the disk is full and harms others.
 *
 *	overflow_start	it looks at once, and then as often as it must
 *	over		is told once; end the transport
 *	overflow_stop	when it has ended; overflow_clean
 */
#include <event2/event.h>

#include "base/err.h"

struct overflow_bounds {
	uint64_t max;	/* octets in in/; 0: no limit but the room */
	uint64_t room;	/* octets that may be written until min-free */
};

struct overflow_hooks {
	void *ctx;
	/* What holds now. */
	void (*bounds)(void *ctx, struct overflow_bounds *bounds_out);
	/* May be called before the event loop runs again, but not by
	 * overflow_start. */
	void (*over)(void *ctx, const char *why, uint64_t octets);
};

struct overflow;

/* octets: in the folder now; before: at the look before.  NULL: all is well,
 * which it is where nothing was added; else what is wrong, in words.  Of the
 * room that there was a transport may take four fifths. */
const char *overflow_judge(uint64_t octets, uint64_t before,
    const struct overflow_bounds *bounds);
/* How long after a look the next one is due, in ms: half of the time after
 * which what was added in ms milliseconds would be too much, in bounds. */
unsigned overflow_pause_ms(uint64_t octets, uint64_t before,
    const struct overflow_bounds *bounds, unsigned ms);
/* Octets that plain files take on the disk, those in folders with a dot in
 * front included.  0 where there is no such folder. */
uint64_t overflow_measure(const char *dir);

/* dir and hooks are copied. */
struct overflow *overflow_start(struct event_base *base, const char *dir,
    const struct overflow_hooks *hooks);
/* Harmless for NULL. */
void overflow_stop(struct overflow *o);
/* Removes what was begun and not finished: plain files with a dot in front,
 * there and in folders with one, but for the journal of the link, which knows
 * what has been received. */
void overflow_clean(const char *dir);

#endif
