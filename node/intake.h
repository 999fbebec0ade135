/* SPDX-License-Identifier: ISC */
#ifndef NODE_INTAKE_H
#define NODE_INTAKE_H
/*
 * One file as an inbound object: read in pieces, at most 64 KiB in each turn
 * of the event loop, given to the exchange, and put into the quarantine where
 * it is broken.
 *
 *	hash (for the pick-up) -> filters -> feed -> quarantine if broken
 *	     ^                       |       ^  |                      |
 *	     where there is none     |       +--+ once more if it is   v
 *	                             |            a genuine parcel    done
 *	                             +--> quarantine if they refuse it
 */
#include "node/daemon.h"

struct intake;

/* The outcome; intake_free may be called from it, and is owed anyway.
 *	INBOUND_DONE, INBOUND_DUPLICATE	unlink the file
 *	INBOUND_BROKEN	it is in the quarantine, durable: unlink the file
 *	INBOUND_LATER	keep it; also when the file could not be read
 *	INBOUND_ASIDE	no genuine parcel: put the file aside (node/aside.h)
 * reason: why it is broken or kept, else ""; valid during the call.
 * messages: how many were taken out of it. */
typedef void intake_done(void *ctx, enum inbound_outcome outcome,
    const char *reason, uint64_t messages);

/* name: as people know the object.  pickup: what tells this hand-in from any
 * other, or an empty slice: then it is made of name, inode, time and SHA-256
 * of the file.  done is called once, from the event loop, never from here. */
struct intake *intake_start(struct daemon *d, const char *peer,
    const char *path, const char *name, struct slice pickup,
    intake_done *done, void *ctx);
/* Before it is done: stops, and done is not called.  What was committed is
 * found again in the ledger when the same file comes again.  NULL is fine. */
void intake_free(struct intake *in);

#endif
