/* SPDX-License-Identifier: ISC */
#ifndef NODE_AGENTS_H
#define NODE_AGENTS_H
/*
 * All delivery agents of a node: one for each `delivery` section and one for
 * `via`.  A reload keeps those to which nothing has changed, with what they
 * have under way.
 */
#include "node/delivery.h"

struct agents;

/* hooks: hostname, certificate, key and trace are those of a configuration,
 * and set here. */
struct agents *agents_new(struct event_base *base,
    const struct delivery_hooks *hooks);
/* The agents of this configuration, which is not kept.  Jobs of those that are
 * not among them end as retry, told, before this returns. */
void agents_configure(struct agents *a, const struct conf *conf);
void agents_free(struct agents *a);
/* Of delivery number i, or of `via` behind the last; NULL: there is none. */
struct delivery *agents_get(const struct agents *a, size_t i);
bool agents_busy(const struct agents *a);

#endif
