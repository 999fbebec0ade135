/* SPDX-License-Identifier: ISC */
#ifndef NODE_ARRIVALS_H
#define NODE_ARRIVALS_H
/*
 * Messages and notices that came in together and become durable together,
 * with whatever tells how far their object or bundle was read.
 *
 *	arrivals_add ... until arrivals_are_full
 *	spool_begin; arrivals_put; the progress; spool_commit
 *	arrivals_index				durable: they wait from now on
 */
#include "node/exchange_private.h"

struct arrivals {
	struct list group;
	size_t count, octets;
};

void arrivals_init(struct arrivals *a);
/* Frees what was not indexed; usable again. */
void arrivals_clear(struct arrivals *a);
/* Takes the draft and the message over. */
void arrivals_add(struct arrivals *a, struct spool_draft *d,
    struct message *m);
/* As many as one transaction should take? */
bool arrivals_are_full(const struct arrivals *a);
int arrivals_put(struct arrivals *a, struct spool_unit *u, struct err *e)
    MUST_CHECK;
/* The unit has committed: logs them, puts them into the index, clears. */
void arrivals_index(struct exchange *x, struct arrivals *a);

#endif
