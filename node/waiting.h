/* SPDX-License-Identifier: ISC */
#ifndef NODE_WAITING_H
#define NODE_WAITING_H
/*
 * What a recipient of a message waits for, told in the words of the
 * configuration: for `postrider trace`.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct exchange;

/* Appends a clause, as "for a call of london, in 5h".  rcpt: number in the
 * envelope.  false, and nothing: it is settled, is being delivered, or its
 * native bundle is on its way beyond the neighbour. */
bool waiting_for(struct exchange *x, uint64_t message, size_t rcpt,
    struct buf *out);

#endif
