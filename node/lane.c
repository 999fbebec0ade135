/* SPDX-License-Identifier: ISC */
/*
 * Lanes: which of a peer's transports something goes by.  It is the first, in
 * the order of the configuration, that takes its priority and size and that can
 * be used now.  An only lane gets whatever there is; when it is used, its
 * schedule says.
 */
#include <stdlib.h>

#include "node/conf_lane.h"
#include "node/exchange_private.h"

/*
 * Life.
 */
static struct lane *
lane_new(struct target *t, const char *name)
{
	struct lane *l = mem_alloc(1, sizeof(*l));

	l->target = t;
	l->name = mem_strdup(name);
	l->road = name[0] == '\0' ? mem_strdup(t->name) :
	    mem_printf("%s/%s", t->name, name);
	list_init(&l->objects);
	l->last_call_ms = INT64_MIN;
	return l;
}

static struct lane *
named(const struct target *t, const char *name)
{
	size_t i;

	for (i = 0; i < t->nlanes; i++)
		if (strcmp(t->lane[i]->name, name) == 0)
			return t->lane[i];
	return NULL;
}

static void
put(struct target *t, size_t at, struct lane *l)
{
	t->lane = mem_realloc(t->lane, t->nlanes + 1, sizeof(struct lane *));
	memmove(&t->lane[at + 1], &t->lane[at],
	    (t->nlanes - at) * sizeof(struct lane *));
	t->lane[at] = l;
	t->nlanes++;
}

/* Takes the lane of this name out, or makes one. */
static struct lane *
take(struct target *t, const char *name)
{
	struct lane *l = named(t, name);
	size_t i;

	if (l == NULL)
		return lane_new(t, name);
	for (i = 0; t->lane[i] != l; i++)
		;
	t->nlanes--;
	memmove(&t->lane[i], &t->lane[i + 1],
	    (t->nlanes - i) * sizeof(struct lane *));
	return l;
}

void
lanes_configure(struct target *t)
{
	size_t i;

	for (i = 0; i < t->nlanes; i++)
		t->lane[i]->conf = NULL;
	for (i = 0; t->peer != NULL && i < t->peer->nlanes; i++) {
		struct lane *l = take(t, t->peer->lane[i].name);

		l->conf = &t->peer->lane[i];
		put(t, i, l);
	}
	/* Those that are gone are told to end; should they come back, they
	 * begin anew. */
	for (; i < t->nlanes; i++) {
		t->lane[i]->told = false;
		t->lane[i]->down = false;
		t->lane[i]->failures = 0;
		t->lane[i]->pause_ms = 0;
		t->lane[i]->shun_ms = 0;
	}
}

void
lanes_free(struct target *t)
{
	size_t i;

	for (i = 0; i < t->nlanes; i++) {
		free(t->lane[i]->name);
		free(t->lane[i]->road);
		free(t->lane[i]->last_error);
		free(t->lane[i]);
	}
	free(t->lane);
}

/* The peer's part of a road; what stands behind its slash in name_out. */
static char *
split(const char *road, const char **name_out)
{
	const char *slash = strchr(road, '/');

	*name_out = slash != NULL ? slash + 1 : "";
	return slash != NULL ? mem_strndup(road, (size_t)(slash - road)) :
	    mem_strdup(road);
}

struct lane *
lane_find(const struct exchange *x, const char *road)
{
	const char *name;
	char *peer = split(road, &name);
	struct target *t = queue_peer(x, peer);

	free(peer);
	return t != NULL ? named(t, name) : NULL;
}

struct lane *
lane_find_or_gone(struct exchange *x, const char *road)
{
	const char *name;
	char *peer = split(road, &name);
	struct target *t = queue_peer_or_gone(x, peer);

	free(peer);
	if (named(t, name) == NULL)
		put(t, t->nlanes, lane_new(t, name));
	return named(t, name);
}

uint64_t
lanes_octets(const struct target *t)
{
	uint64_t octets = 0;
	size_t i;

	for (i = 0; i < t->nlanes; i++)
		octets += t->lane[i]->object_octets;
	return octets;
}

bool
lane_has_others(const struct lane *l)
{
	return l->target->peer != NULL && l->target->peer->nlanes > 1;
}

const char *
lane_word(const struct lane *l)
{
	return l->name[0] != '\0' ? l->name : NULL;
}

/*
 * Choice.
 */
bool
lane_takes(const struct lane *l, int priority, uint64_t octets)
{
	return l->conf != NULL && priority >= l->conf->priority_min &&
	    priority <= l->conf->priority_max &&
	    (l->conf->size_max == 0 || octets <= l->conf->size_max);
}

bool
lane_is_usable(struct exchange *x, const struct lane *l)
{
	if (l->conf == NULL)
		return false;
	if (l->wanted)
		return true;
	return l->shun_ms <= clock_mono_ms(x->clock) && (l->failures == 0 ||
	    l->pause_ms <= clock_mono_ms(x->clock)) && road_is_open(x, l);
}

bool
lane_gets(struct exchange *x, const struct lane *l, int priority,
    uint64_t octets)
{
	const struct target *t = l->target;
	size_t i;

	if (!lane_takes(l, priority, octets))
		return false;
	for (i = 0; t->lane[i] != l; i++)
		if (lane_takes(t->lane[i], priority, octets) &&
		    lane_is_usable(x, t->lane[i]))
			return false;
	return true;
}

struct lane *
lane_for(struct exchange *x, const struct target *t, int priority,
    uint64_t octets)
{
	size_t i;

	for (i = 0; i < t->nlanes; i++)
		if (lane_takes(t->lane[i], priority, octets) &&
		    lane_is_usable(x, t->lane[i]))
			return t->lane[i];
	return NULL;
}

bool
share_is_full(const struct conf_peer *p, const struct share *s)
{
	return (p->batch_octets != 0 && s->octets >= p->batch_octets) ||
	    (p->batch_count != 0 && s->count >= p->batch_count);
}

bool
lane_gets_leg(struct exchange *x, const struct lane *l, const struct leg *leg)
{
	return lane_gets(x, l, leg->entry->rank, leg->entry->octets);
}

struct share
lane_share(struct exchange *x, const struct target *t, const struct lane *l)
{
	struct share s = { t->ready_count, t->ready_octets, NULL };
	struct list *item;
	struct leg *leg;

	if (!lane_has_others(l)) {
		if (!list_empty(&t->ready))
			s.first = list_entry(t->ready.next, struct leg, link);
		return s;
	}
	s.count = s.octets = 0;
	list_for_each(item, &t->ready) {
		leg = list_entry(item, struct leg, link);
		if (!lane_gets_leg(x, l, leg))
			continue;
		s.first = s.first == NULL ? leg : s.first;
		s.count++;
		s.octets += leg->entry->octets;
		if (share_is_full(l->target->peer, &s))
			break;
	}
	return s;
}

static bool
was_tried(const struct lane *l, uint64_t since_secs)
{
	return l->chance && l->last_chance_secs >= since_secs;
}

bool
lanes_were_tried(const struct target *t, int priority, uint64_t octets,
    uint64_t since_secs)
{
	bool any = false;
	size_t i;

	for (i = 0; i < t->nlanes; i++) {
		if (!lane_takes(t->lane[i], priority, octets))
			continue;
		any = true;
		if (was_tried(t->lane[i], since_secs))
			return true;
	}
	return !any;
}

bool
lanes_any_tried(const struct target *t, uint64_t since_secs)
{
	size_t i;

	for (i = 0; i < t->nlanes; i++) {
		if (was_tried(t->lane[i], since_secs))
			return true;
	}
	return false;
}
