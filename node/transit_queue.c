/* SPDX-License-Identifier: ISC */
/*
 * Which neighbour a bundle goes to, and its place among those that wait for
 * him: by priority, then by age.  What was handed to one neighbour counts for
 * nothing with another, so a bundle that is half way stays on its road while
 * that is up; and one that was handed over to its end stays until its answer
 * is overdue, or every road that comes and goes would have a copy of it wander
 * through the net.
 */
#include "node/transit_private.h"

#include <stdlib.h>

/*
 * Neighbours.
 */
struct neighbour *
neighbour_of(struct target *t)
{
	struct neighbour *nb = t->neighbour;

	if (nb != NULL)
		return nb;
	nb = t->neighbour = mem_alloc(1, sizeof(*nb));
	nb->target = t;
	list_init(&nb->ready);
	list_init(&nb->waiting);
	list_init(&nb->arriving);
	list_init(&nb->owed);
	nb->owed_by_name = map_new();
	return nb;
}

struct neighbour *
neighbour_find(struct exchange *x, const char *peer)
{
	struct target *t = queue_peer(x, peer);

	return t != NULL ? neighbour_of(t) : NULL;
}

void
neighbour_free(struct neighbour *nb)
{
	struct list *item, *after;
	struct owed *o;

	if (nb == NULL)
		return;
	list_for_each_safe(item, after, &nb->owed) {
		o = list_entry(item, struct owed, link);
		owed_ack_release(&o->ack);
		free(o);
	}
	map_free(nb->owed_by_name);
	nb->target->neighbour = NULL;
	free(nb);
}

/*
 * Stretches.
 */

/* The end of the range that covers `at`, or at. */
static uint64_t
behind(const struct bundle_range *range, size_t n, uint64_t at)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (range[i].offset <= at &&
		    at < range[i].offset + range[i].octets)
			return range[i].offset + range[i].octets;
	}
	return at;
}

/* Where the first range behind `at` begins, or limit. */
static uint64_t
before(const struct bundle_range *range, size_t n, uint64_t at, uint64_t limit)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (range[i].offset > at && range[i].offset < limit)
			limit = range[i].offset;
	}
	return limit;
}

bool
passage_gap(const struct passage *p, uint64_t from, uint64_t *offset_out,
    uint64_t *octets_out)
{
	const struct bundle *b = &p->b;
	uint64_t at = from, next = from, end;

	do {
		at = next;
		next = behind(b->range, b->nranges, at);
		next = behind(p->cut, p->ncut, next);
	} while (next != at);
	if (at >= b->octets)
		return false;
	end = before(b->range, b->nranges, at, b->octets);
	end = before(p->cut, p->ncut, at, end);
	*offset_out = at;
	*octets_out = end - at;
	return true;
}

/*
 * Places.
 */
static bool
goes_before(const struct passage *a, const struct passage *b)
{
	if (a->b.priority != b->b.priority)
		return a->b.priority > b->b.priority;
	if (a->b.born_secs != b->b.born_secs)
		return a->b.born_secs < b->b.born_secs;
	return a->b.id < b->b.id;
}

static void
place_ready(struct neighbour *nb, struct passage *p)
{
	struct list *at = nb->ready.prev;

	while (at != &nb->ready &&
	    goes_before(p, list_entry(at, struct passage, link)))
		at = at->prev;
	list_add_head(at, &p->link);
}

static void
place_leaving(struct exchange *x, struct passage *p)
{
	uint64_t offset, octets;

	if (p->to == NULL) {
		list_add_tail(&x->transit->limbo, &p->link);
		return;
	}
	p->counted_to = p->to;
	p->to->nqueued++;
	p->to->queued_octets += p->b.octets;
	if (passage_gap(p, 0, &offset, &octets))
		place_ready(p->to, p);
	else
		list_add_tail(&p->to->waiting, &p->link);
	transit_due(x, retry_due_secs(x, p));
}

static void
place_arriving(struct exchange *x, struct passage *p)
{
	p->counted_arriving = true;
	p->from->narriving++;
	if (bundle_is_whole(&p->b))
		list_add_tail(&x->transit->checks, &p->link);
	else
		list_add_tail(&p->from->arriving, &p->link);
}

void
passage_place(struct exchange *x, struct passage *p)
{
	p->counted_octets = p->b.octets;
	if (p->b.role != BUNDLE_ARRIVED && p->from != NULL) {
		p->counted_from = p->from;
		p->from->held_octets += p->counted_octets;
	}
	if (p->b.role == BUNDLE_LEAVING)
		place_leaving(x, p);
	else if (p->b.role == BUNDLE_ARRIVING)
		place_arriving(x, p);
	else
		list_add_tail(&x->transit->arrived, &p->link);
}

void
passage_unplace(struct passage *p)
{
	list_del(&p->link);
	if (p->counted_arriving)
		p->counted_from->narriving--;
	if (p->counted_from != NULL)
		p->counted_from->held_octets -= p->counted_octets;
	if (p->counted_to != NULL) {
		p->counted_to->nqueued--;
		p->counted_to->queued_octets -= p->counted_octets;
	}
	p->counted_arriving = false;
	p->counted_from = p->counted_to = NULL;
}

/*
 * Roads.
 */
bool
passage_may_use(const struct conf_peer *peer, bool direct)
{
	return peer != NULL && peer->dialect == BUNDLE_NATIVE &&
	    (direct || !peer->sign || peer->forward_signed);
}

/* The neighbours that lead to a site, the best first. */
static size_t
candidates(struct exchange *x, const char *site, bool direct,
    const char *from, struct neighbour *nb_out[ROUTING_PEERS_MAX])
{
	struct routing_decision d;
	struct target *t;
	size_t i, n = 0;

	if (direct) {
		memset(&d, 0, sizeof(d));
		d.peer[0] = site;
		d.npeers = 1;
	} else {
		routing_site(x->conf->routing, site, &d, NULL);
	}
	for (i = 0; i < d.npeers; i++) {
		t = queue_peer(x, d.peer[i]);
		/* Never back to where it came from. */
		if (t != NULL && passage_may_use(t->peer, direct) &&
		    (from == NULL || strcmp(from, t->name) != 0))
			nb_out[n++] = neighbour_of(t);
	}
	return n;
}

/* He has all of it, or will have. */
static bool
is_handed_over(const struct passage *p)
{
	uint64_t offset, octets;

	return p->ncut == 0 && !passage_gap(p, 0, &offset, &octets);
}

static bool
stays(const struct passage *p, struct neighbour *const *nb, size_t n)
{
	size_t i;

	if (p->b.nranges == 0 && p->ncut == 0)
		return false;
	for (i = 0; i < n; i++) {
		if (nb[i] == p->to)
			return !p->to->target->down || nb[0]->target->down ||
			    is_handed_over(p);
	}
	return false;
}

/* Another neighbour has nothing of it. */
static void
turn_to(struct passage *p, struct neighbour *to)
{
	if (p->to != NULL && p->attempts > 0)
		p->past = p->to;
	bundle_range_clear(&p->b.range, &p->b.nranges, 0, p->b.octets);
	bundle_range_clear(&p->cut, &p->ncut, 0, p->b.octets);
	p->attempts = 0;
	p->timeout_secs = 0;
	p->by = NULL;
	p->to = to;
	free(p->b.peer);
	p->b.peer = to != NULL ? mem_strdup(to->target->name) : NULL;
}

void
passage_route(struct exchange *x, struct passage *p)
{
	struct neighbour *nb[ROUTING_PEERS_MAX];
	size_t n;

	if (p->b.role != BUNDLE_LEAVING)
		return;
	n = candidates(x, p->b.destination, p->b.direct, p->b.from, nb);
	if (stays(p, nb, n))
		return;
	if (p->to != (n > 0 ? nb[0] : NULL))
		turn_to(p, n > 0 ? nb[0] : NULL);
}

bool
passage_has_detour(struct exchange *x, const struct passage *p)
{
	struct neighbour *nb[ROUTING_PEERS_MAX];

	return p->to->target->down && candidates(x, p->b.destination,
	    p->b.direct, p->b.from, nb) > 0 && nb[0] != p->to;
}

/* What is for the neighbour himself needs no seal, so any road to him does. */
const char *
transit_next_peer(struct exchange *x, const char *site)
{
	struct routing_decision d;
	const struct target *t;
	size_t i;

	routing_site(x->conf->routing, site, &d, NULL);
	for (i = 0; i < d.npeers; i++) {
		t = queue_peer(x, d.peer[i]);
		if (t != NULL && passage_may_use(t->peer,
		    strcmp(t->name, site) == 0))
			return t->name;
	}
	return NULL;
}

const char *
transit_signed_peer(struct exchange *x, const char *site)
{
	struct routing_decision d;
	const struct target *t;
	size_t i;

	if (transit_next_peer(x, site) != NULL)
		return NULL;
	routing_site(x->conf->routing, site, &d, NULL);
	for (i = 0; i < d.npeers; i++) {
		t = queue_peer(x, d.peer[i]);
		if (t != NULL && passage_may_use(t->peer, true))
			return t->name;
	}
	return NULL;
}
