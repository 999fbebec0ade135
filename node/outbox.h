/* SPDX-License-Identifier: ISC */
#ifndef NODE_OUTBOX_H
#define NODE_OUTBOX_H
/*
 * What lies in the out/ of a road, against what the exchange has written for
 * it: after a crash, and after a transport ran, which may have touched it.
 */
#include "node/daemon.h"

/* Removes files in out that no object has: leftovers of a crash, or the work
 * of a transport.  road: as the exchange calls it, or "" for one that is no
 * more.  Not while an object is being written there. */
void outbox_sweep(const struct daemon *d, const char *road, const char *out);
/* Has written again what ought to be there and is not, or not in its size. */
void outbox_check(const struct daemon *d, const char *road, const char *out);

#endif
