/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_PICKUP_H
#define TRANSPORTS_PICKUP_H
/*
 * Moves the files of a pick-up directory into in/.  The name in in/ is made
 * of name, inode and time of the file (filename_in), so that a pick-up
 * repeated after a crash gives the same name and the daemon can tell it from
 * a new file with the same content.
 */
#include "transports/contract.h"
#include "transports/medium.h"

struct pickup;

/* settle_ms: how long size and times of a file must have been unchanged
 * under our eyes before it is taken. */
struct pickup *pickup_new(struct contract *c, int settle_ms);
void pickup_free(struct pickup *p);
/* Takes what there is: copied, reported, then removed.  0 or more: so many
 * files are not settled yet; ERR_NOT_FOUND never; any other error: nothing
 * that it concerns was removed, and later is another try.  Stops early when
 * the daemon says stop. */
int pickup_pass(struct pickup *p, const struct medium *m, struct err *e)
    MUST_CHECK;

#endif
