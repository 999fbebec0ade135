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

/* Of the road: true if it is what mail waits for. */
static bool
road_waits(struct exchange *x, struct buf *out, struct target *road)
{
	int64_t wall = clock_wall_ms(x->clock), call;
	int64_t pause = road->pause_ms - clock_mono_ms(x->clock);

	if (road->peer == NULL) {
		buf_addf(out, "%s is not in the configuration any more",
		    road->name);
	} else if (road->up) {
		return false;
	} else if (pause > 0) {
		buf_addf(out, "for the next try of the road to %s, in ",
		    road->name);
		add_in(out, pause);
		if (road->last_error != NULL)
			buf_addf(out, ": %s", road->last_error);
	} else if (!schedule_is_empty(road->peer->call)) {
		call = schedule_next(road->peer->call, wall,
		    road->last_call_ms, true);
		buf_addf(out, "for a call of %s, ", road->name);
		if (call == INT64_MAX)
			buf_adds(out, "when it is ordered");
		else if (call <= wall)
			buf_adds(out, "which is due");
		else
			buf_adds(out, "in ");
		if (call != INT64_MAX && call > wall)
			add_in(out, call - wall);
	}
	return out->len > 0;
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
	if (road == NULL)
		buf_addf(out, "no road leads to %s now", t->name);
	else if (!keys_wait(x, out, t) &&
	    !road_waits(x, out, queue_peer_or_gone(x, road->name)))
		buf_addf(out, "for its bundle, which is about to be made for "
		    "%s", road->name);
}

bool
waiting_for(struct exchange *x, uint64_t message, size_t rcpt,
    struct buf *out)
{
	struct entry *entry = map_get_u64(x->entries, message);
	const struct leg *leg = entry != NULL ? leg_with(entry, rcpt) : NULL;

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
		(void)road_waits(x, out, leg->target);
	return out->len > 0;
}
