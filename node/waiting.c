/* SPDX-License-Identifier: ISC */
/*
 * Why mail still waits, in words: the first reason that holds, from the mail
 * itself over its road to what is about to happen anyway.
 */
#include "node/waiting.h"

#include "base/text.h"
#include "node/custody.h"
#include "node/directory.h"
#include "node/exchange_private.h"
#include "node/transit.h"

static void
add_in(struct buf *out, int64_t ms)
{
	duration_format(out, ms > 0 ? (uint64_t)(ms + 999) / 1000 : 0);
}

static void
add_until(struct exchange *x, struct buf *out, const struct leg *leg)
{
	uint64_t now = now_secs(x);

	buf_adds(out, leg->entry->release_secs > now ?
	    "for its release (FUTURERELEASE), in " :
	    "for the next attempt, in ");
	add_in(out, leg->next_secs > now ?
	    (int64_t)(leg->next_secs - now) * 1000 : 0);
}

/* Milliseconds until this lane is tried again. */
static int64_t
left_alone_ms(struct exchange *x, const struct lane *l)
{
	return (l->shun_ms > l->pause_ms ? l->shun_ms : l->pause_ms) -
	    clock_mono_ms(x->clock);
}

/* Milliseconds until this lane may take something; INT64_MAX: when somebody
 * orders it. */
static int64_t
lane_wait_ms(struct exchange *x, const struct lane *l)
{
	int64_t wall = clock_wall_ms(x->clock), call = wall;
	int64_t pause = left_alone_ms(x, l);

	if (!schedule_is_empty(l->conf->call))
		call = schedule_next(l->conf->call, wall, l->last_call_ms,
		    true);
	if (call == INT64_MAX)
		return INT64_MAX;
	return pause > call - wall ? pause : call - wall;
}

/* Of the lane that is the first to take something. */
static void
lane_waits(struct exchange *x, struct buf *out, const struct lane *l,
    int64_t wait)
{
	if (l->misconfigured)
		buf_addf(out, "until the transport of %s, which is "
		    "misconfigured, is mended and postrider reload is run; "
		    "tried anyway ", l->road);
	else if (left_alone_ms(x, l) > 0)
		buf_addf(out, "for the next try of the road to %s, ",
		    l->road);
	else
		buf_addf(out, "for a call of %s, ", l->road);
	if (wait == INT64_MAX) {
		buf_adds(out, "when it is ordered");
	} else if (wait <= 0) {
		buf_adds(out, "which is due");
	} else {
		buf_adds(out, "in ");
		add_in(out, wait);
	}
	if (l->last_error != NULL)
		buf_addf(out, ": %s", l->last_error);
}

/* Of the road: true if it is what mail waits for. */
static bool
road_waits(struct exchange *x, struct buf *out, const struct target *road)
{
	const struct lane *first = NULL;
	int64_t wait, best = INT64_MAX;
	size_t i;

	for (i = 0; i < road->nlanes; i++) {
		const struct lane *l = road->lane[i];

		if (l->conf == NULL)
			continue;
		wait = lane_wait_ms(x, l);
		if (road_is_taking(x, l) ||
		    (wait <= 0 && schedule_is_empty(l->conf->call)))
			return false;
		if (first == NULL || wait < best) {
			first = l;
			best = wait;
		}
	}
	if (first == NULL)
		buf_addf(out, "%s is not in the configuration any more",
		    road->name);
	else
		lane_waits(x, out, first, best);
	return true;
}

/* Of the site's keys. */
static bool
keys_wait(struct exchange *x, struct buf *out, const struct target *t)
{
	struct seal_to to;
	struct err e = ERR_INIT;

	if (t->kind != TARGET_SITE ||
	    directory_seal_to(x->directory, t->name, SEAL_BUNDLE, &to,
	    &e) == 0)
		return false;
	buf_adds(out, e.text);
	return true;
}

/* Of a road that is there, and carries nothing that is sealed for others. */
static bool
no_road(struct exchange *x, struct buf *out, const struct target *t)
{
	const char *peer = t->kind == TARGET_SITE ?
	    transit_signed_peer(x, t->name) : NULL;

	if (peer == NULL)
		return false;
	buf_addf(out, "no road leads to %s now: bundles sealed for others are "
	    "not sent to %s, where all is signed (forward-signed)", t->name,
	    peer);
	return true;
}

static void
ready_waits(struct exchange *x, struct buf *out, struct target *t)
{
	const struct target *road = queue_road(x, t);
	int64_t pause = t->pause_ms - clock_mono_ms(x->clock);

	if (t->kind == TARGET_DELIVERY) {
		buf_addf(out, "for the delivery %s", t->name);
		if (pause > 0) {
			buf_adds(out, ", which is tried in ");
			add_in(out, pause);
		}
		return;
	}
	if (no_road(x, out, t))
		return;
	if (road == NULL)
		buf_addf(out, "no road leads to %s now", t->name);
	else if (!keys_wait(x, out, t) &&
	    !road_waits(x, out, road))
		buf_addf(out, "for its bundle, which is about to be made for "
		    "%s", road->name);
}

/* Of the object that it is in: it lies before a transport, or waits for one. */
static void
cut_waits(struct exchange *x, struct buf *out, const struct leg *leg)
{
	const struct cut *c = map_get_u64(x->cuts, leg->object);

	if (c != NULL && c->lane->up)
		buf_addf(out, "for the transport of %s, which runs and has "
		    "it", c->lane->road);
	else
		(void)road_waits(x, out, leg->target);
}

/* Of the bundle that it is in. */
static void
hop_waits(struct exchange *x, struct buf *out, const struct target *t,
    const struct custody_where *w)
{
	if (w->peer == NULL) {
		if (!no_road(x, out, t))
			buf_addf(out, "no road leads to %s now", t->name);
		return;
	}
	if (w->stage != CUSTODY_SENT)
		return;
	buf_addf(out, "for %s to acknowledge it, which was handed all of it ",
	    w->peer);
	duration_format(out, w->silent_secs);
	buf_adds(out, " ago");
	if (w->repeats > 0)
		buf_addf(out, ", and %u time%s before", w->repeats,
		    w->repeats == 1 ? "" : "s");
	if (w->repeats > 0 && strcmp(w->peer, t->name) != 0)
		buf_adds(out, ": does it forward for this site (may-relay, "
		    "there)?");
}

bool
waiting_for(struct exchange *x, uint64_t message, size_t rcpt,
    struct buf *out)
{
	struct entry *entry = map_get_u64(x->entries, message);
	const struct leg *leg = entry != NULL ? leg_with(entry, rcpt) : NULL;
	struct custody_where w;

	if (leg == NULL)
		return false;
	if (leg->target == x->limbo)
		buf_adds(out, "no route leads anywhere: see postrider route");
	else if (leg->status == LEG_HELD)
		buf_adds(out, "it is held: see postrider queue release");
	else if (leg->status == LEG_LATER)
		add_until(x, out, leg);
	else if (leg->status == LEG_READY)
		ready_waits(x, out, leg->target);
	else if (leg->status == LEG_CUT && leg->target->kind == TARGET_PEER)
		cut_waits(x, out, leg);
	else if (custody_where(x, message, rcpt, &w))
		hop_waits(x, out, leg->target, &w);
	return out->len > 0;
}
