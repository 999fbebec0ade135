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

/* By which of its transports it came is not known: each that was on a call may
 * have brought it. */
void
answer_brought(struct exchange *x, struct target *t)
{
	size_t i;

	for (i = 0; i < t->nlanes; i++) {
		struct lane *l = t->lane[i];

		if (l->conf == NULL || l->conf->stays || !t->peer->answer ||
		    !l->brings || l->answer != ANSWER_NONE ||
		    schedule_is_empty(l->conf->call))
			continue;
		l->answer = ANSWER_OWED;
		/* A call that found nothing of what waits has set the
		 * pause. */
		if (l->failures == 0)
			l->pause_ms = 0;
		x->dirty = true;
	}
}

bool
answer_is_due(struct exchange *x, const struct lane *l)
{
	return l->answer == ANSWER_OWED &&
	    l->pause_ms <= clock_mono_ms(x->clock) &&
	    !dialect_of_peer(l->target->peer)->making(x, l);
}

void
answer_none(struct exchange *x, struct lane *l)
{
	l->answer = ANSWER_NONE;
	if (road_has_load(x, l))
		l->pause_ms = clock_mono_ms(x->clock) +
		    (int64_t)l->conf->retry_min_secs * 1000;
}

void
answer_begins(struct lane *l)
{
	if (l->wanted)
		l->answer = ANSWER_NONE;
	else if (l->answer == ANSWER_OWED)
		l->answer = ANSWER_GIVEN;
	else if (!l->again)
		l->answer = ANSWER_NONE;
	l->brings = true;
}

void
exchange_taking_in(struct exchange *x, const char *peer, bool taking)
{
	struct target *t = queue_peer(x, peer);
	size_t i;

	if (t == NULL)
		return;
	t->taking = taking;
	for (i = 0; taking && i < t->nlanes; i++)
		t->lane[i]->active_ms = clock_mono_ms(x->clock);
	for (i = 0; !taking && i < t->nlanes; i++)
		t->lane[i]->brings = t->lane[i]->brings && t->lane[i]->up;
	x->dirty = true;
}
