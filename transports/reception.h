/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_RECEPTION_H
#define TRANSPORTS_RECEPTION_H
/*
 * Files that a link brings, on their way into in/.  What has come in part
 * lies there under a name that begins with a dot, across sessions and runs;
 * and so does a journal of the files that have come whole, so that one that
 * is offered again, because our word did not reach the peer, is not received
 * twice; the last of them are told to the peer before it sends.
 */
#include "transports/contract.h"
#include "transports/link.h"

#define RECEPTION_JOURNAL ".link-done"

struct reception;

/* max_size: of one file, in octets. */
int reception_new(struct contract *c, uint64_t max_size,
    struct reception **r_out, struct err *e) MUST_CHECK;
void reception_free(struct reception *r);

/* For struct link_host. */
enum link_verdict reception_open(struct reception *r, unsigned slot,
    const struct link_file *f, uint64_t *have_out);
int reception_write(struct reception *r, unsigned slot, const void *octets,
    size_t len);
int reception_close(struct reception *r, unsigned slot);
void reception_leave(struct reception *r, unsigned slot, bool forget);
/* The peer knows of all that came whole: a conversation ended well. */
void reception_settled(struct reception *r);
size_t reception_partials(const struct reception *r,
    struct link_partial *out, size_t max);

#endif
