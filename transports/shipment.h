/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_SHIPMENT_H
#define TRANSPORTS_SHIPMENT_H
/*
 * The files of out/ on their way through a link: which there are, which were
 * offered, which have arrived.  It outlasts links, so that a line that comes
 * back goes on with what is left.
 */
#include "transports/contract.h"
#include "transports/link.h"

struct shipment;

struct shipment *shipment_new(struct contract *c);
void shipment_free(struct shipment *s);
/* Looks into out/ for new files and forgets those that are gone. */
int shipment_look(struct shipment *s, struct err *e) MUST_CHECK;
/* Nothing is offered any more: there is a new link. */
void shipment_restart(struct shipment *s);
/* Offers the link what it has room for, small files first. */
void shipment_offer(struct shipment *s, struct link *l, int64_t now_ms);
/* Reports how far the files are that are under way. */
void shipment_progress(struct shipment *s, const struct link *l);
/* Whether all files that there were have been sent. */
bool shipment_done(const struct shipment *s);
/* How many octets have been sent, since there was nothing left last, and how
 * many are still to be. */
void shipment_octets(const struct shipment *s, const struct link *l,
    uint64_t *sent_out, uint64_t *left_out);

/* For struct link_host. */
int shipment_read(struct shipment *s, uint64_t tag, uint64_t offset,
    void *into, size_t len);
void shipment_sent(struct shipment *s, uint64_t tag);
void shipment_failed(struct shipment *s, uint64_t tag, bool permanent,
    struct slice text, int64_t now_ms);

#endif
