/* SPDX-License-Identifier: ISC */
#ifndef NODE_DEPARTURE_H
#define NODE_DEPARTURE_H
/*
 * Objects on their way into the out/ of one of a peer's transports: made in
 * pieces of 64 KiB, one for each turn of the event loop, through the peer's
 * filters if it has any, and told to the exchange as written, unwritten or
 * refused.  One at a time.
 *
 *	exchange -> out/NAME
 *	exchange -> work/NAME -> filters -> out/NAME
 */
#include "node/daemon.h"

struct departure;

/* Makes out, and the peer's work/. */
int departure_new(struct daemon *d, const char *peer, const char *out,
    struct departure **dp_out, struct err *e) MUST_CHECK;
/* What is under way is begun anew at the next start. */
void departure_free(struct departure *dp);
/* EXCHANGE_WRITE; a is only read. */
void departure_write(struct departure *dp, const struct exchange_action *a);
bool departure_busy(const struct departure *dp);
/* Removes a file from out/; none there is fine. */
void departure_unlink(const struct departure *dp, const char *name);

#endif
