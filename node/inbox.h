/* SPDX-License-Identifier: ISC */
#ifndef NODE_INBOX_H
#define NODE_INBOX_H
/*
 * Files that arrived from a peer, in SPOOL/peers/NAME/in or, where it has
 * several transports, in one folder in.LANE for each, and in mailed/ by the
 * listener, are processed one after the other, in the order of their names; a
 * file that has to wait is looked at again.
 */
#include "node/daemon.h"

struct inbox;

/* Makes in/ and mailed/, and takes up what lies there and in the others.
 * NULL: e says why. */
struct inbox *inbox_new(struct daemon *d, const char *peer, struct err *e);
void inbox_free(struct inbox *b);
/* Something may have arrived. */
void inbox_look(struct inbox *b);
/* What was put aside goes when it is old, or too much. */
void inbox_trim(const struct inbox *b);
/* The file at hand is the last. */
void inbox_stop(struct inbox *b);
bool inbox_busy(const struct inbox *b);

#endif
