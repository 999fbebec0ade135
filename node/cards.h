/* SPDX-License-Identifier: ISC */
#ifndef NODE_CARDS_H
#define NODE_CARDS_H
/*
 * The cards that the operator vouches for: files SITE.card in a directory
 * (site: cards), as `postrider peer add` puts them there.
 */
#include "base/err.h"
#include "routing/card.h"

/* Reads all of them, in the order of their names.  taken: a good one; what it
 * returns beside 0 ends the walk.  told: a sentence for each that is bad, and
 * the walk goes on.  A directory that is not there is empty. */
int cards_walk(const char *dir, int (*taken)(void *ctx, struct slice text,
    const struct card *c, struct err *e),
    void (*told)(void *ctx, const char *text), void *ctx, struct err *e)
    MUST_CHECK;
/* Puts one there, replacing.  The directory is made.  1; 0: the same is there
 * already; ERR_DENIED, ERR_STATE: what is there is of another identity, or
 * newer (card_succeeds), unless `force`. */
int cards_put(const char *dir, struct slice text, const struct card *c,
    bool force, struct err *e) MUST_CHECK;

#endif
