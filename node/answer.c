/* SPDX-License-Identifier: ISC */
/*
 * Calls that answer.  By stick the result of what a call brings would go with
 * the call after it, and a bad address would be known after two round trips.
 * So a call that brought bundles is followed by one more, as soon as all that
 * it brought is read and the answers are made, while the stick is in.  What
 * that one brings is not answered so: two sites would call each other for ever.
 *
 * NONE --a call brings bundles--> OWED --all is read and made--> a call
 *  ^                               |                              |
 *  +-------nothing to say----------+        GIVEN, until the next call begins
 */
#include "node/dialect.h"

void
answer_brought(struct exchange *x, struct target *t)
{
	if (t->peer == NULL || t->peer->stays || !t->peer->answer ||
	    !t->brings || t->answer != ANSWER_NONE ||
	    schedule_is_empty(t->peer->call))
		return;
	t->answer = ANSWER_OWED;
	/* A call that found nothing of what waits has set the pause. */
	if (t->failures == 0)
		t->pause_ms = 0;
	x->dirty = true;
}

bool
answer_is_due(struct exchange *x, const struct target *t)
{
	return t->answer == ANSWER_OWED &&
	    t->pause_ms <= clock_mono_ms(x->clock) &&
	    !dialect_of_peer(t->peer)->making(x, t);
}

void
answer_none(struct exchange *x, struct target *t)
{
	t->answer = ANSWER_NONE;
	if (road_has_load(x, t))
		t->pause_ms = clock_mono_ms(x->clock) +
		    (int64_t)t->peer->retry_min_secs * 1000;
}

void
answer_begins(struct target *t)
{
	if (t->wanted)
		t->answer = ANSWER_NONE;
	else if (t->answer == ANSWER_OWED)
		t->answer = ANSWER_GIVEN;
	else if (!t->again)
		t->answer = ANSWER_NONE;
	t->brings = true;
}

void
exchange_taking_in(struct exchange *x, const char *peer, bool taking)
{
	struct target *t = queue_peer(x, peer);

	if (t == NULL)
		return;
	t->taking = taking;
	if (!taking && !t->up)
		t->brings = false;
	x->dirty = true;
}
