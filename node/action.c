/* SPDX-License-Identifier: ISC */
/*
 * What the exchange wants done: each target is asked in turn, when something
 * has happened, and what it wants is told one action at a time.
 */
#include <stdlib.h>

#include "node/exchange_private.h"
#include "node/transit.h"

static struct exchange_action *
action_add(struct exchange *x, enum exchange_action_kind kind,
    const struct target *t)
{
	struct pending_action *p = mem_alloc(1, sizeof(*p));

	p->a.kind = kind;
	p->a.delivery = t->index;
	list_add_tail(&x->actions, &p->link);
	return &p->a;
}

struct exchange_action *
action_for_lane(struct exchange *x, enum exchange_action_kind kind,
    const struct lane *l)
{
	struct exchange_action *a = action_add(x, kind, l->target);

	a->peer = mem_strdup(l->target->name);
	a->road = mem_strdup(l->road);
	return a;
}

/* Gives a delivery as many legs as it may hold. */
static void
delivery_pump(struct exchange *x, struct target *t)
{
	struct exchange_action *a;
	struct outcome *o;
	struct leg *leg;
	size_t i, max = t->failures > 0 ? 1 : JOBS_MAX;

	if (t->pause_ms > clock_mono_ms(x->clock))
		return;
	while (t->running < max && !list_empty(&t->ready)) {
		leg = list_entry(t->ready.next, struct leg, link);
		leg_take(leg, LEG_RUNNING);
		o = outcome_new(x, leg);
		o->job = x->next_job++;
		map_put_u64(x->jobs, o->job, o);
		t->running++;
		a = action_add(x, EXCHANGE_DELIVER, t);
		a->job = o->job;
		a->message = leg->entry->id;
		a->nrcpt = leg->nrcpt;
		a->rcpt = mem_alloc(leg->nrcpt, sizeof(*a->rcpt));
		for (i = 0; i < leg->nrcpt; i++)
			a->rcpt[i] = leg_rcpt(leg)[i];
	}
}

static void
peer_pump(struct exchange *x, struct target *t)
{
	size_t i;

	for (i = 0; i < t->nlanes; i++)
		road_lose_patience(x, t->lane[i]);
	cut_hand_on(x, t);
	for (i = 0; i < t->nlanes; i++) {
		cut_pump(x, t->lane[i]);
		road_pump(x, t->lane[i]);
	}
}

static void
pump(struct exchange *x)
{
	struct target *t;
	size_t i;

	x->dirty = false;
	transit_pump(x);
	for (i = 0; i < x->ntargets; i++) {
		t = x->target[i];
		queue_wake(t, now_secs(x));
		if (t->kind == TARGET_DELIVERY)
			delivery_pump(x, t);
		if (t->kind == TARGET_PEER)
			peer_pump(x, t);
	}
}

int
exchange_next_action(struct exchange *x, struct exchange_action *a_out)
{
	struct pending_action *p;

	if (list_empty(&x->actions) && x->dirty)
		pump(x);
	if (list_empty(&x->actions))
		return 0;
	p = list_entry(x->actions.next, struct pending_action, link);
	list_del(&p->link);
	*a_out = p->a;
	free(p);
	return 1;
}

void
exchange_action_release(struct exchange_action *a)
{
	free(a->peer);
	free(a->road);
	free(a->name);
	free(a->rcpt);
	memset(a, 0, sizeof(*a));
}
