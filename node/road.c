/* SPDX-License-Identifier: ISC */
/*
 * Roads to peers: when a transport is started, what its end means, when to
 * try again, and when alternates are preferred.
 */
#include <stdlib.h>

#include "node/dialect.h"
#include "node/returned.h"
#include "node/transit.h"

#define DOWN_AFTER 3	/* failures in a row make a peer "down" */

uint64_t
backoff_secs(struct exchange *x, unsigned failures, uint64_t min,
    uint64_t max)
{
	uint64_t wait = min;

	while (failures-- > 1 && wait < max)
		wait *= 2;
	if (wait > max)
		wait = max;
	/* Not all at the same moment: between three quarters and all of it. */
	return wait - (wait >= 4 ? rng_below(x->rng, wait / 4) : 0);
}

bool
road_is_open(struct exchange *x, struct target *t)
{
	return t->peer != NULL &&
	    schedule_is_open(t->peer->call, clock_wall_ms(x->clock));
}

bool
road_has_load(struct exchange *x, const struct target *t)
{
	return t->nobjects > 0 || dialect_of_peer(t->peer)->waits(x, t);
}

/* Where the clock was set back, the last call was now: an interval later the
 * next is due, and not when the clock is where it was. */
static int64_t
last_call_ms(struct exchange *x, struct target *t)
{
	if (t->last_call_ms > clock_wall_ms(x->clock))
		t->last_call_ms = clock_wall_ms(x->clock);
	return t->last_call_ms;
}

bool
road_is_due(struct exchange *x, struct target *t)
{
	int64_t now = clock_wall_ms(x->clock);

	return t->peer != NULL && schedule_next(t->peer->call, now,
	    last_call_ms(x, t), road_has_load(x, t)) <= now;
}

/* A transport that stays between calls that are timed waits for what comes in;
 * that it runs is no call. */
static bool
stays_between_calls(const struct target *t)
{
	return t->peer->stays && schedule_is_timed(t->peer->call);
}

bool
road_is_taking(struct exchange *x, struct target *t)
{
	return t->up && road_is_open(x, t) && !stays_between_calls(t);
}

static void
set_down(struct exchange *x, struct target *t, bool down)
{
	if (t->down == down)
		return;
	t->down = down;
	if (down)
		log_event(x->log, LOG_LEVEL_WARNING, "peer-down",
		    "peer", t->name, "reason", t->last_error, NULL);
	else
		log_event(x->log, LOG_LEVEL_INFO, "peer-up",
		    "peer", t->name, NULL);
	routing_set_down(x->conf->routing, t->name, down);
	queue_reroute(x);
	transit_reroute(x);
}

void
road_good(struct exchange *x, struct target *t)
{
	t->chance = true;
	t->last_chance_secs = now_secs(x);
	if (returned_lately(x, t))
		return;
	t->failures = 0;
	t->pause_ms = 0;
	free(t->last_error);
	t->last_error = NULL;
	set_down(x, t, false);
}

void
road_failed(struct exchange *x, struct target *t, const char *why)
{
	uint64_t wait = 60;

	t->failures++;
	t->chance = true;
	t->last_chance_secs = now_secs(x);
	if (why != NULL && why[0] != '\0') {
		free(t->last_error);
		t->last_error = mem_strdup(why);
	}
	if (t->peer != NULL)
		wait = backoff_secs(x, t->failures, t->peer->retry_min_secs,
		    t->peer->retry_max_secs);
	t->pause_ms = clock_mono_ms(x->clock) + (int64_t)wait * 1000;
	if (t->failures >= DOWN_AFTER && t->peer != NULL)
		set_down(x, t, true);
	x->dirty = true;
}

static void
call_begins(struct exchange *x, struct target *t)
{
	/* One that stays has ended the last call by now. */
	if (t->up)
		t->past_call_secs = t->call_secs;
	t->call_secs = now_secs(x);
	t->last_call_ms = clock_wall_ms(x->clock);
}

static void
say_run(struct exchange *x, struct target *t)
{
	(void)action_add(x, EXCHANGE_RUN, t);
	t->refused = t->refused && t->up;
	if (!t->up && (!stays_between_calls(t) || t->wanted ||
	    road_is_due(x, t)))
		call_begins(x, t);
	t->up = true;
	t->told = true;
	t->wanted = false;
}

static bool
should_run(struct exchange *x, struct target *t)
{
	if (t->wanted)
		return true;
	if (t->pause_ms > clock_mono_ms(x->clock))
		return false;
	if (!schedule_is_empty(t->peer->call))
		return road_is_due(x, t) ||
		    (stays_between_calls(t) && road_is_open(x, t));
	return t->peer->stays || t->nwritten > 0;
}

void
road_pump(struct exchange *x, struct target *t)
{
	const struct dialect *dialect = dialect_of_peer(t->peer);

	if (t->peer == NULL) {
		if (t->up && !t->told)
			(void)action_add(x, EXCHANGE_STOP, t);
		t->told = true;
		return;
	}
	/* An object is still being made or written: the call waits for it. */
	if (!t->up && !t->peer->stays && (dialect->making(x, t) ||
	    (t->nwritten < t->nobjects && t->nwritten == 0)))
		return;
	if (t->up) {
		if (!t->told && t->nwritten > 0)
			say_run(x, t);
		else if (t->peer->stays && !road_is_open(x, t) && t->told) {
			(void)action_add(x, EXCHANGE_STOP, t);
			t->told = false;
		}
		/* What waited has just been cut: that was the call. */
		if (stays_between_calls(t) && (t->wanted || road_is_due(x, t)))
			call_begins(x, t);
		if (!dialect->waits(x, t))
			t->wanted = false;
		return;
	}
	if (should_run(x, t))
		say_run(x, t);
}

void
exchange_transport_exited(struct exchange *x, const char *peer, int status,
    const char *text)
{
	struct target *t = queue_peer(x, peer);
	struct num_str code = num_str(status < 0 ? 0 : (uint64_t)status);

	if (t == NULL)
		return;
	t->up = false;
	if (status == 0)
		t->past_call_secs = t->call_secs;
	x->dirty = true;
	log_event(x->log, status == 0 ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING,
	    "transport-exited", "peer", peer, "status",
	    status < 0 ? "killed" : code.s, "reason", text, NULL);
	if (status == 0 && t->refused)
		return;		/* that it failed was told, and why */
	if (status == 0 && t->nwritten == 0) {
		road_good(x, t);
		/* One that should have stayed is not started in a circle, nor
		 * is one that found nothing of what waits. */
		if (t->peer != NULL && (t->peer->stays ||
		    (!schedule_is_empty(t->peer->call) &&
		    road_has_load(x, t))))
			t->pause_ms = clock_mono_ms(x->clock) +
			    (int64_t)t->peer->retry_min_secs * 1000;
	}
	else if (status == 0 && t->failures == 0 && t->last_error == NULL)
		road_failed(x, t, "the transport ended and left files unsent");
	else
		road_failed(x, t, text);
}

int64_t
road_deadline_ms(struct exchange *x, struct target *t)
{
	int64_t mono = clock_mono_ms(x->clock), at = INT64_MAX, call, wall;

	if (t->peer == NULL)
		return INT64_MAX;
	if (!schedule_is_empty(t->peer->call)) {
		wall = clock_wall_ms(x->clock);
		call = schedule_next(t->peer->call, wall, last_call_ms(x, t),
		    road_has_load(x, t));
		/* Looked at once a minute in any case: the wall clock may
		 * jump. */
		if (call != INT64_MAX && (!t->up || stays_between_calls(t)))
			call = mono + (call - wall < 60000 ? call - wall :
			    60000);
		else
			call = mono + 60000;
		/* One that is due and has not begun waits for what is being
		 * made, and is looked at when that is; or for the pause. */
		if (call <= mono)
			call = mono + 1000;
		return call > t->pause_ms ? call : t->pause_ms;
	}
	if (t->pause_ms > mono)
		at = t->pause_ms;
	call = dialect_of_peer(t->peer)->deadline_ms(x, t);
	return call < at ? call : at;
}
