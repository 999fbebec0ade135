/* SPDX-License-Identifier: ISC */
#ifndef NODE_INBOX_H
#define NODE_INBOX_H
/*
 * SPOOL/peers/NAME/in: files that arrived from a peer, by whichever of its
 * transports, are processed one after the other, in the order of their names;
 * a file that has to wait is looked at again.
 */
#include "node/daemon.h"

struct inbox;

/* Makes the folder and takes up what lies in it.  NULL: e says why. */
struct inbox *inbox_new(struct daemon *d, const char *peer, struct err *e);
void inbox_free(struct inbox *b);
/* The folder's path; lives as long as b. */
const char *inbox_dir(const struct inbox *b);
/* Something may have arrived. */
void inbox_look(struct inbox *b);
/* What was put aside goes when it is old, or too much. */
void inbox_trim(const struct inbox *b);
/* The file at hand is the last. */
void inbox_stop(struct inbox *b);
bool inbox_busy(const struct inbox *b);

#endif
