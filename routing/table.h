/* SPDX-License-Identifier: ISC */
#ifndef ROUTING_TABLE_H
#define ROUTING_TABLE_H
/*
 * The table of sites: addresses to sites, sites to next peers.  It only
 * decides, and can say why in words.
 *
 *	t = routing_new("paris")
 *	routing_add_...			from the configuration or a map file
 *	routing_check(t)		unknown sites, sites out of reach
 *	routing_lookup(t, address, ...)
 *
 * An address is looked up as user@domain, then its domain, then .suffix (the
 * longest first; ".example" does not match "example" itself), then the
 * default "*".  Domains are compared without regard to case, addresses also
 * without regard to quotation marks that they do not need.  Exact matches
 * and local domains of the same length: the configuration's local domains win
 * over routes of the same pattern, which routing_add_rule refuses.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct routing;

struct routing *routing_new(const char *site);
void routing_free(struct routing *t);

/* Where that which is added from now on was written, for explanations and
 * refusals: FILE and line; file NULL: nowhere. */
void routing_set_origin(struct routing *t, const char *file, unsigned line);

/* A domain that this site delivers itself; delivery: an index that the caller
 * chose, given back in the decision.  Users may be added; where none is, any
 * local part is taken.  User names are compared without regard to case, and
 * up to a "+" where the whole is not found. */
int routing_add_local(struct routing *t, const char *domain, size_t delivery,
    struct err *e) MUST_CHECK;
/* What a delivery is called in explanations, in place of its number. */
void routing_name_delivery(struct routing *t, size_t delivery,
    const char *name);
int routing_add_user(struct routing *t, const char *domain, const char *user,
    struct err *e) MUST_CHECK;
/* pattern: user@domain, domain, .suffix or "*"; to the name of a site.  To
 * our own site only what is local anyway may lead, and changes nothing: so
 * one map file can serve all sites.  ERR_EXISTS: the pattern is local, or has
 * a rule already. */
int routing_add_rule(struct routing *t, const char *pattern, const char *site,
    struct err *e) MUST_CHECK;
/* A neighbour that we exchange objects with. cost at least 1. */
int routing_add_peer(struct routing *t, const char *peer, unsigned cost,
    struct err *e) MUST_CHECK;
/* A link between two other sites, both ways, as far as we know. */
int routing_add_link(struct routing *t, const char *a, const char *b,
    unsigned cost, struct err *e) MUST_CHECK;
/* A map file: lines "pattern site", "#" comments, blank lines.  Every fault
 * is told with file and line; returns the first error, having read all.
 * A file that cannot be read is not told, only returned.  Local domains must
 * be there before. */
int routing_add_map(struct routing *t, const char *path,
    void (*told)(void *ctx, const char *text), void *ctx, struct err *e)
    MUST_CHECK;
/* Rules whose site is unknown or cannot be reached, as sentences that begin
 * with the rule's origin; number of them. */
size_t routing_check(struct routing *t,
    void (*told)(void *ctx, const char *text), void *ctx);

/* A peer that is down is passed over while an alternate is up. */
void routing_set_down(struct routing *t, const char *peer, bool down);

enum routing_kind {
	ROUTING_LOCAL,		/* delivery */
	ROUTING_SITE,		/* site, peers */
	ROUTING_UNKNOWN_USER,	/* our domain, no such user: 550 5.1.1 */
	ROUTING_NONE,		/* neither local nor routed: 550 5.7.1 */
	ROUTING_UNREACHABLE,	/* routed to a site no link leads to: wait */
};

#define ROUTING_PEERS_MAX 8

struct routing_decision {
	enum routing_kind kind;
	size_t delivery;
	const char *site;		/* owned by the table */
	const char *peer[ROUTING_PEERS_MAX];	/* by cost, the first is it;
						 * those that are up first */
	unsigned cost[ROUTING_PEERS_MAX];
	size_t npeers;
};

/* explain may be NULL; else each step is added as a line of words. */
void routing_lookup(struct routing *t, const char *address,
    struct routing_decision *d_out, struct buf *explain);
/* The same for the name of a site; our own is ROUTING_NONE. */
void routing_site(struct routing *t, const char *site,
    struct routing_decision *d_out, struct buf *explain);
/* Does a pattern (user@domain, domain, .suffix, "*") cover this address?
 * For may-reach and may-send-as. */
bool routing_pattern_match(const char *pattern, const char *address);
int routing_pattern_check(const char *pattern, struct err *e) MUST_CHECK;

#endif
