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
#define STATUS_CONFIG 78	/* of a transport: EX_CONFIG */
#define MISCONFIGURED_SECS 86400	/* what was wrong may lie elsewhere */
#define LINGER_MS 10000	/* what may still come to one that stays */

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
road_is_open(struct exchange *x, const struct lane *l)
{
	return l->conf != NULL &&
	    schedule_is_open(l->conf->call, clock_wall_ms(x->clock));
}

bool
road_has_load(struct exchange *x, const struct lane *l)
{
	return l->nobjects > 0 || dialect_of_peer(l->target->peer)->waits(x, l);
}

/* Where the clock was set back, the last call was now: an interval later the
 * next is due, and not when the clock is where it was. */
static int64_t
last_call_ms(struct exchange *x, struct lane *l)
{
	if (l->last_call_ms > clock_wall_ms(x->clock))
		l->last_call_ms = clock_wall_ms(x->clock);
	return l->last_call_ms;
}

bool
road_is_due(struct exchange *x, struct lane *l)
{
	int64_t now = clock_wall_ms(x->clock);

	return l->conf != NULL && schedule_next(l->conf->call, now,
	    last_call_ms(x, l), road_has_load(x, l)) <= now;
}

/* A transport that stays between calls that are timed waits for what comes in;
 * that it runs is no call. */
static bool
stays_between_calls(const struct lane *l)
{
	return l->conf->stays && schedule_is_timed(l->conf->call);
}

/* Does it run until its window closes, or until it has done what it was
 * started for? */
static bool
stays(const struct lane *l)
{
	return l->conf->stays && !l->ordered;
}

bool
road_is_taking(struct exchange *x, const struct lane *l)
{
	return l->up && (l->ordered || (road_is_open(x, l) &&
	    !stays_between_calls(l)));
}

bool
road_is_calling(const struct lane *l)
{
	return l->conf != NULL && (l->wanted || l->again || l->target->taking ||
	    l->answer == ANSWER_OWED || (l->up && !stays(l)));
}

void
road_judge(struct exchange *x, struct target *t, const char *why)
{
	bool down = t->peer != NULL;
	size_t i;

	for (i = 0; i < t->nlanes; i++)
		down = down && (t->lane[i]->down || t->lane[i]->conf == NULL);
	if (t->down == down)
		return;
	t->down = down;
	if (down)
		log_event(x->log, LOG_LEVEL_WARNING, "peer-down",
		    "peer", t->name, "reason", why, NULL);
	else
		log_event(x->log, LOG_LEVEL_INFO, "peer-up",
		    "peer", t->name, NULL);
	routing_set_down(x->conf->routing, t->name, down);
	queue_reroute(x);
	transit_reroute(x);
}

static void
set_down(struct exchange *x, struct lane *l, bool down)
{
	bool tell = l->down != down && lane_has_others(l);

	if (tell && down)
		log_event(x->log, LOG_LEVEL_WARNING, "transport-down",
		    "peer", l->target->name, "transport", lane_word(l),
		    "reason", l->last_error, NULL);
	else if (tell)
		log_event(x->log, LOG_LEVEL_INFO, "transport-up",
		    "peer", l->target->name, "transport", lane_word(l), NULL);
	l->down = down;
	road_judge(x, l->target, l->last_error);
}

void
road_good(struct exchange *x, struct lane *l)
{
	l->life_ms = clock_mono_ms(x->clock);
	l->chance = true;
	l->last_chance_secs = now_secs(x);
	if (returned_lately(x, l))
		return;
	l->failures = 0;
	l->pause_ms = 0;
	l->shun_ms = 0;
	free(l->last_error);
	l->last_error = NULL;
	set_down(x, l, false);
}

void
road_failed(struct exchange *x, struct lane *l, const char *why)
{
	uint64_t wait = 60;

	l->failures++;
	l->again = false;
	/* What did not fit waits for the pause, as the rest does. */
	l->wanted = l->wanted && l->nobjects < OBJECTS_MAX;
	l->chance = true;
	l->last_chance_secs = now_secs(x);
	if (why != NULL && why[0] != '\0') {
		free(l->last_error);
		l->last_error = mem_strdup(why);
	}
	if (l->misconfigured)
		wait = MISCONFIGURED_SECS;
	else if (l->conf != NULL)
		wait = backoff_secs(x, l->failures, l->conf->retry_min_secs,
		    l->conf->retry_max_secs);
	l->pause_ms = clock_mono_ms(x->clock) + (int64_t)wait * 1000;
	if (l->conf != NULL && (l->misconfigured || l->failures >= DOWN_AFTER))
		set_down(x, l, true);
	x->dirty = true;
}

void
exchange_transport_alive(struct exchange *x, const char *road)
{
	struct lane *l = lane_find(x, road);

	if (l == NULL)
		return;
	l->life_ms = clock_mono_ms(x->clock);
	if (l->shun_ms == 0 || l->given_up)
		return;
	l->shun_ms = 0;
	l->failures = 0;
	set_down(x, l, false);
	x->dirty = true;
}

/* Monotonic: when the patience with l is at its end; INT64_MAX: never. */
static int64_t
patience_ms(const struct lane *l)
{
	if (l->conf == NULL || !lane_has_others(l) || !l->up || l->given_up ||
	    l->nwritten == 0 || l->conf->patience_secs == 0)
		return INT64_MAX;
	return l->life_ms + (int64_t)l->conf->patience_secs * 1000;
}

static bool
another_is_usable(struct exchange *x, const struct lane *l)
{
	const struct target *t = l->target;
	size_t i;

	for (i = 0; i < t->nlanes; i++)
		if (t->lane[i] != l && lane_is_usable(x, t->lane[i]))
			return true;
	return false;
}

void
road_lose_patience(struct exchange *x, struct lane *l)
{
	int64_t pause = l->pause_ms;

	if (patience_ms(l) > clock_mono_ms(x->clock))
		return;
	l->life_ms = clock_mono_ms(x->clock);
	if (!another_is_usable(x, l))
		return;
	road_failed(x, l, "nothing went for as long as there is patience");
	l->shun_ms = l->pause_ms;
	l->pause_ms = pause;
	l->given_up = true;
	(void)action_for_lane(x, EXCHANGE_STOP, l);
}

void
road_reload(struct target *t)
{
	size_t i;

	for (i = 0; i < t->nlanes; i++) {
		if (t->lane[i]->misconfigured)
			t->lane[i]->pause_ms = 0;
	}
}

void
exchange_transport_renewed(struct exchange *x, const char *road)
{
	struct lane *l = lane_find(x, road);

	if (l == NULL)
		return;
	l->renewed = l->up;
	l->pause_ms = l->shun_ms = 0;
	x->dirty = true;
}

static void
call_begins(struct exchange *x, struct lane *l)
{
	/* One that stays has ended the last call by now. */
	if (l->up)
		l->past_call_secs = l->call_secs;
	l->call_secs = now_secs(x);
	l->last_call_ms = clock_wall_ms(x->clock);
}

/* What its transport finds; what is written later it may miss. */
static void
offer(struct lane *l)
{
	struct list *item;

	list_for_each(item, &l->objects) {
		struct cut *c = list_entry(item, struct cut, link);

		c->offered = c->status == OBJECT_WRITTEN && !c->missing;
	}
}

/* Of what was offered, has it left something? */
static bool
left_unsent(const struct lane *l)
{
	struct list *item;

	list_for_each(item, &l->objects) {
		if (list_entry(item, struct cut, link)->offered)
			return true;
	}
	return false;
}

static void
say_run(struct exchange *x, struct lane *l)
{
	(void)action_for_lane(x, EXCHANGE_RUN, l);
	if (!l->up) {
		l->life_ms = clock_mono_ms(x->clock);
		if (!stays_between_calls(l) || l->wanted || road_is_due(x, l))
			call_begins(x, l);
		answer_begins(l);
		offer(l);
		l->again = false;
		l->refused = false;
		l->misconfigured = false;
		l->ordered = l->conf->stays && !road_is_open(x, l);
		l->active_ms = clock_mono_ms(x->clock);
	}
	/* What did not fit goes with the same call, or the next. */
	if (!l->up || l->conf->stays)
		l->wanted = l->wanted && l->nobjects == OBJECTS_MAX;
	l->up = true;
	l->told = true;
}

/* Nothing waits for a peer that is down where all of it goes by others, so
 * that his road would never be tried again. */
static bool
should_probe(struct exchange *x, struct lane *l)
{
	return l->down && l->target->down && x->conf->npeers > 1 &&
	    !schedule_is_timed(l->conf->call) && road_is_open(x, l);
}

static bool
should_run(struct exchange *x, struct lane *l)
{
	if (l->wanted || l->again)
		return true;
	if (l->pause_ms > clock_mono_ms(x->clock))
		return false;
	if (l->answer == ANSWER_OWED || should_probe(x, l))
		return true;
	if (!schedule_is_empty(l->conf->call))
		return road_is_due(x, l) ||
		    (stays_between_calls(l) && road_is_open(x, l));
	return l->conf->stays || l->nwritten > 0;
}

/* Files of the last run lie in out/ and have not been held against their
 * records yet: a transport would take one that the disk has damaged. */
static bool
has_unchecked(const struct lane *l)
{
	struct list *item;

	list_for_each(item, &l->objects) {
		const struct cut *c = list_entry(item, struct cut, link);

		if (c->missing && c->status == OBJECT_WRITTEN)
			return true;
	}
	return false;
}

/* One that was ordered waits for what there is to say, and for what may still
 * come. */
static bool
is_over(struct exchange *x, const struct lane *l)
{
	return !l->ordered || (l->nobjects == 0 &&
	    !dialect_of_peer(l->target->peer)->making(x, l) &&
	    l->active_ms + LINGER_MS <= clock_mono_ms(x->clock));
}

/* While its transport runs. */
static void
go_on(struct exchange *x, struct lane *l)
{
	if (!l->told && l->nwritten > 0)
		say_run(x, l);
	else if (l->conf->stays && !road_is_open(x, l) && l->told &&
	    is_over(x, l)) {
		(void)action_for_lane(x, EXCHANGE_STOP, l);
		l->told = false;
	}
	/* What waited has just been cut: that was the call. */
	if (stays_between_calls(l) && (l->wanted || road_is_due(x, l)))
		call_begins(x, l);
	/* One that does not stay may have had its look already. */
	if (l->conf->stays && !dialect_of_peer(l->target->peer)->waits(x, l))
		l->wanted = false;
}

void
road_pump(struct exchange *x, struct lane *l)
{
	const struct dialect *dialect = dialect_of_peer(l->target->peer);

	if (l->conf == NULL) {
		if (l->up && !l->told)
			(void)action_for_lane(x, EXCHANGE_STOP, l);
		l->told = true;
		return;
	}
	if (l->up) {
		go_on(x, l);
		return;
	}
	/* An object is still being made or written: the call waits for it. */
	if ((!l->conf->stays || !road_is_open(x, l)) &&
	    (dialect->making(x, l) ||
	    (l->nwritten < l->nobjects && l->nwritten == 0)))
		return;
	if (l->nobjects == 0 && answer_is_due(x, l))
		answer_none(x, l);
	if (should_run(x, l) && !has_unchecked(l))
		say_run(x, l);
}

/* One that should have stayed is not started in a circle, nor is one that
 * found nothing of what waits. */
static void
ended_well(struct exchange *x, struct lane *l, bool renewed)
{
	road_good(x, l);
	/* Also what was cut for this call and is still to be written. */
	l->again = (stays(l) ? l->nwritten : l->nobjects) > 0;
	if (l->again || l->wanted || l->answer == ANSWER_OWED || renewed)
		return;
	if (l->conf->stays || (!schedule_is_empty(l->conf->call) &&
	    road_has_load(x, l)))
		l->pause_ms = clock_mono_ms(x->clock) +
		    (int64_t)l->conf->retry_min_secs * 1000;
}

static void
log_exit(struct exchange *x, const struct lane *l, int status,
    const char *text)
{
	struct num_str code = num_str(status < 0 ? 0 : (uint64_t)status);

	log_event(x->log, status == 0 ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING,
	    "transport-exited", "peer", l->target->name, "status",
	    status < 0 ? "killed" : code.s, "reason", text, "advice",
	    status == STATUS_CONFIG ? "it waits until the configuration is "
	    "mended and read again (postrider reload), or for postrider "
	    "flush" : NULL, "transport", lane_word(l), NULL);
}

void
exchange_transport_exited(struct exchange *x, const char *road, int status,
    const char *text)
{
	struct lane *l = lane_find(x, road);
	bool renewed;

	if (l == NULL)
		return;
	renewed = l->renewed;
	l->up = l->ordered = l->renewed = false;
	l->misconfigured = status == STATUS_CONFIG && !renewed;
	if (!l->target->taking)
		l->brings = false;
	if (status == 0)
		l->past_call_secs = l->call_secs;
	x->dirty = true;
	log_exit(x, l, status, text);
	if (l->conf == NULL || l->given_up || (status == 0 && l->refused)) {
		/* Of what failed it was told, and why. */
		l->given_up = false;
		return;
	}
	/* How one ended that was told to says nothing of the next. */
	if (status == 0 && !left_unsent(l))
		ended_well(x, l, renewed);
	else if (renewed)
		l->again = l->nobjects > 0;
	else if (status != 0)
		road_failed(x, l, text);
	else
		road_failed(x, l, l->failures == 0 && l->last_error == NULL ?
		    "the transport ended and left files unsent" : text);
}

static int64_t
call_deadline_ms(struct exchange *x, struct lane *l)
{
	int64_t mono = clock_mono_ms(x->clock), at = INT64_MAX, call, wall;

	if (!schedule_is_empty(l->conf->call)) {
		wall = clock_wall_ms(x->clock);
		call = schedule_next(l->conf->call, wall, last_call_ms(x, l),
		    road_has_load(x, l));
		/* Looked at once a minute in any case: the wall clock may
		 * jump. */
		if (call != INT64_MAX && (!l->up || stays_between_calls(l)))
			call = mono + (call - wall < 60000 ? call - wall :
			    60000);
		else
			call = mono + 60000;
		/* One that is due and has not begun waits for what is being
		 * made, and is looked at when that is; or for the pause. */
		if (call <= mono)
			call = mono + 1000;
		if (l->up && l->ordered && l->active_ms + LINGER_MS > mono &&
		    l->active_ms + LINGER_MS < call)
			return l->active_ms + LINGER_MS;
		return call > l->pause_ms ? call : l->pause_ms;
	}
	if (l->pause_ms > mono)
		at = l->pause_ms;
	call = dialect_of_peer(l->target->peer)->deadline_ms(x, l);
	return call < at ? call : at;
}

int64_t
road_deadline_ms(struct exchange *x, struct lane *l)
{
	int64_t at, call;

	if (l->conf == NULL)
		return INT64_MAX;
	at = patience_ms(l);
	call = call_deadline_ms(x, l);
	if (l->shun_ms > clock_mono_ms(x->clock) && l->shun_ms < at)
		at = l->shun_ms;
	return call < at ? call : at;
}
