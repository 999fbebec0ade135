/* SPDX-License-Identifier: ISC */
/*
 * Time: what was handed over and not acknowledged is handed over again, ever
 * later; what is too old goes.  A road that opens at times has to have been
 * open, from beginning to end, before its silence means anything.
 */
#include "bundle/seal.h"
#include "node/transit_private.h"

#define FIRST_SECS 60		/* the shortest wait for an answer */
#define LOOK_SECS 60		/* to see whether a road was open */
#define PATIENCE_MAX 4		/* times the longest pause */
#define SILENT_MANY 3		/* repetitions that are told */

static bool
lane_is_free(const struct lane *l)
{
	return l->conf == NULL || schedule_is_empty(l->conf->call);
}

/* Does it go when there is need?  Where there are calls, these are what an
 * answer waits for. */
static bool
is_free(const struct passage *p)
{
	const struct target *t = p->to->target;
	size_t i;

	if (p->by != NULL)
		return lane_is_free(p->by);
	for (i = 0; i < t->nlanes; i++)
		if (!lane_is_free(t->lane[i]))
			return false;
	return true;
}

static uint64_t
draw_timeout(struct exchange *x, struct passage *p)
{
	const struct conf_peer *peer = p->to->target->peer;
	uint64_t min = FIRST_SECS, max, patience = p->to->patience_secs, secs;

	if (peer != NULL && is_free(p) && 4 * p->to->rtt_secs > min)
		min = 4 * p->to->rtt_secs;
	max = peer != NULL && peer->retry_max_secs > min ?
	    peer->retry_max_secs : min;
	/* backoff_secs takes up to a quarter away. */
	secs = backoff_secs(x, p->attempts + 1, min + min / 3, max + max / 3);
	if (p->attempts > 0 && patience > max)
		patience = max;
	if (peer == NULL || !is_free(p) || patience <= secs)
		return secs;
	patience = backoff_secs(x, 1, patience, UINT64_MAX);
	return patience > secs ? patience : secs;
}

static uint64_t
timeout_of(struct exchange *x, struct passage *p)
{
	if (p->timeout_secs == 0)
		p->timeout_secs = draw_timeout(x, p);
	return p->timeout_secs;
}

void
retry_answer(struct neighbour *nb, uint64_t secs)
{
	nb->rtt_secs = nb->rtt_known ? (7 * nb->rtt_secs + secs) / 8 : secs;
	nb->rtt_known = true;
	nb->patience_secs = 0;
}

/* What is repeated says nothing of the time that answers take, so on a road
 * where they take longer than was thought there would never be a sample:
 * what goes first is given ever more time, until there is one (Karn). */
static void
retry_late(struct neighbour *nb, uint64_t timeout_secs)
{
	const struct conf_peer *peer = nb->target->peer;
	uint64_t secs = 2 * timeout_secs, most;

	most = PATIENCE_MAX * peer->retry_max_secs;
	secs = secs < most ? secs : most;
	if (secs > nb->patience_secs)
		nb->patience_secs = secs;
}

/* When the oldest of what was handed over and is not done was. */
static uint64_t
oldest_secs(const struct bundle *b)
{
	uint64_t secs = UINT64_MAX;
	size_t i;

	for (i = 0; i < b->nranges; i++) {
		if (!b->range[i].done && b->range[i].secs < secs)
			secs = b->range[i].secs;
	}
	return secs;
}

uint64_t
retry_silent_secs(struct exchange *x, const struct passage *p)
{
	uint64_t secs = oldest_secs(&p->b), now = now_secs(x);

	return p->b.role == BUNDLE_LEAVING && secs < now ? now - secs : 0;
}

/* Of a neighbour who is to forward it: he takes parcels, as far as we know, and
 * may have been told not to forward for us. */
static void
tell_silence(struct exchange *x, const struct passage *p)
{
	const char *peer = p->to->target->name;
	unsigned untold;

	if (p->attempts != SILENT_MANY || p->b.direct ||
	    strcmp(peer, p->b.destination) == 0 ||
	    !may_tell(x, &p->to->silent, &untold))
		return;
	log_event(x->log, LOG_LEVEL_WARNING, "bundle-unacknowledged",
	    "bundle", bundle_text(p->b.name).s, "destination",
	    p->b.destination, "peer", peer, "attempt",
	    num_str(p->attempts).s, "advice", "see whether it is up, and "
	    "forwards for this site (may-relay, at the peer)",
	    "untold", untold > 0 ? num_str(untold).s : NULL, NULL);
}

uint64_t
retry_due_secs(struct exchange *x, struct passage *p)
{
	uint64_t secs = oldest_secs(&p->b), now = now_secs(x);

	if (secs == UINT64_MAX || p->to->target->peer == NULL)
		return UINT64_MAX;
	secs += timeout_of(x, p);
	if (secs <= now || !is_free(p))
		secs = secs < now + LOOK_SECS ? now + LOOK_SECS : secs;
	return secs;
}

/* With windows alone calls are made when something waits: there may be none,
 * for all that was handed over waits for its answer. */
static bool
lane_had_a_chance(struct exchange *x, const struct lane *l, uint64_t secs,
    uint64_t timeout)
{
	if (lane_is_free(l) || l->past_call_secs > secs)
		return true;
	if (!schedule_is_timed(l->conf->call) && road_is_open(x, l))
		return true;
	return road_is_taking(x, l) && l->call_secs + timeout <= now_secs(x);
}

/* Could an answer to what was handed over at `secs` have come? */
static bool
had_a_chance(struct exchange *x, const struct passage *p, uint64_t secs,
    uint64_t timeout)
{
	const struct target *t = p->to->target;
	size_t i;

	if (p->by != NULL)
		return lane_had_a_chance(x, p->by, secs, timeout);
	for (i = 0; i < t->nlanes; i++)
		if (!lane_had_a_chance(x, t->lane[i], secs, timeout))
			return false;
	return true;
}

/* True if something of p waits again. */
static bool
wait_again(struct exchange *x, struct passage *p)
{
	struct bundle *b = &p->b;
	uint64_t timeout = timeout_of(x, p);
	bool any = false, detour = passage_has_detour(x, p);
	size_t i;

	for (i = b->nranges; i-- > 0;) {
		struct bundle_range r = b->range[i];

		if (r.done || r.secs + timeout > now_secs(x) || (!detour &&
		    !had_a_chance(x, p, r.secs, timeout)))
			continue;
		bundle_range_clear(&b->range, &b->nranges, r.offset, r.octets);
		x->transit->counters.repeated_octets += r.octets;
		any = true;
	}
	if (any) {
		retry_late(p->to, timeout);
		p->attempts++;
		p->timeout_secs = 0;
		log_event(x->log, LOG_LEVEL_DEBUG, "bundle-repeated",
		    "bundle", bundle_text(b->name).s, "peer",
		    p->to->target->name, "attempt", num_str(p->attempts).s,
		    NULL);
		tell_silence(x, p);
	}
	return any;
}

bool
transit_was_tried(struct exchange *x, const struct target *t, int priority,
    uint64_t octets, uint64_t since_secs)
{
	const struct transit *tr = x->transit;
	struct err e = ERR_INIT;
	struct seal_to to;
	int rc;

	if (lanes_were_tried(t, priority, octets, since_secs))
		return true;
	if (t->peer == NULL || t->peer->dialect != BUNDLE_NATIVE ||
	    tr->hooks == NULL)
		return false;
	memset(&to, 0, sizeof(to));
	rc = tr->hooks->seal_to(tr->ctx, t->name, false, &to, &e);
	return rc == ERR_DENIED ||
	    (rc == ERR_NOT_FOUND && lanes_any_tried(t, since_secs));
}

void
transit_site_replaced(struct exchange *x, const char *site)
{
	struct target *t = queue_peer(x, site);
	struct passage *p;
	size_t pos = 0, i;
	void *value;

	if (t == NULL || t->neighbour == NULL)
		return;
	for (i = 0; i < t->nlanes; i++)
		t->lane[i]->stale = true;
	t->neighbour->may_until_ms = 0;
	t->neighbour->card_told = 0;
	while (map_next(x->transit->by_id, &pos, NULL, &value)) {
		p = value;
		if (p->b.role != BUNDLE_LEAVING || p->to != t->neighbour)
			continue;
		for (i = p->b.nranges; i-- > 0;) {
			struct bundle_range r = p->b.range[i];

			if (!r.done)
				bundle_range_clear(&p->b.range,
				    &p->b.nranges, r.offset, r.octets);
		}
		passage_unplace(p);
		passage_route(x, p);
		passage_place(x, p);
	}
	x->dirty = true;
}

/* What was made here has one opportunity at least. */
static bool
may_expire(struct exchange *x, const struct passage *p)
{
	const struct target *t = p->to != NULL ? p->to->target : NULL;

	if (p->b.role == BUNDLE_ARRIVED || p->b.expire_secs > now_secs(x))
		return false;
	return p->b.from != NULL || t == NULL || t->peer == NULL ||
	    transit_was_tried(x, t, p->b.priority, p->b.octets,
	    p->b.born_secs);
}

static uint64_t
due_secs(struct exchange *x, struct passage *p)
{
	uint64_t now = now_secs(x), due = UINT64_MAX, expire;

	if (p->b.role == BUNDLE_ARRIVED)
		return due;
	if (p->b.role == BUNDLE_LEAVING && p->to != NULL)
		due = retry_due_secs(x, p);
	expire = p->b.expire_secs > now ? p->b.expire_secs : now + LOOK_SECS;
	return expire < due ? expire : due;
}

int
retry_look(struct exchange *x, struct err *e)
{
	struct transit *tr = x->transit;
	struct passage *p;
	size_t pos = 0;
	void *value;
	int rc;

	tr->due_secs = UINT64_MAX;
	while (map_next(tr->by_id, &pos, NULL, &value)) {
		p = value;
		if (may_expire(x, p)) {
			rc = passage_lose(x, p, p->b.role == BUNDLE_ARRIVING ?
			    "the rest of it did not come in its lifetime" :
			    "its lifetime is over", e);
			if (rc != 0) {
				transit_due(x, now_secs(x) + LOOK_SECS);
				return rc;
			}
			continue;
		}
		if (p->b.role == BUNDLE_LEAVING && p->to != NULL &&
		    p->to->target->peer != NULL && wait_again(x, p)) {
			passage_unplace(p);
			passage_route(x, p);
			passage_place(x, p);
			x->dirty = true;
		}
		transit_due(x, due_secs(x, p));
	}
	return 0;
}
