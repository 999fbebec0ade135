/* SPDX-License-Identifier: ISC */
/*
 * Hop acknowledgements that a neighbour has to get.  Their records are written
 * with what they acknowledge; here is the index beside them.  One that is in a
 * parcel under way may grow meanwhile: what the parcel carried is taken away
 * when it was sent, the rest goes with the next.
 */
#include "node/transit_private.h"

#include <stdlib.h>

struct owed *
owed_find(const struct neighbour *nb,
    const unsigned char name[BUNDLE_NAME_LEN])
{
	return map_get(nb->owed_by_name, bundle_name_slice(name));
}

void
owed_ack_copy(struct owed_ack *to, const struct owed_ack *from)
{
	*to = *from;
	to->peer = mem_strdup(from->peer);
	to->range = NULL;
	if (from->nranges == 0)
		return;
	to->range = mem_alloc(from->nranges, sizeof(*to->range));
	memcpy(to->range, from->range, from->nranges * sizeof(*to->range));
}

static struct owed *
owed_new(struct exchange *x, struct neighbour *nb,
    const unsigned char name[BUNDLE_NAME_LEN])
{
	struct owed *o = mem_alloc(1, sizeof(*o));

	owed_ack_init(&o->ack);
	o->since_ms = clock_mono_ms(x->clock);
	list_add_tail(&nb->owed, &o->link);
	map_put(nb->owed_by_name, bundle_name_slice(name), o);
	nb->nowed++;
	return o;
}

static void
owed_free(struct neighbour *nb, struct owed *o)
{
	map_del(nb->owed_by_name, bundle_name_slice(o->ack.name));
	list_del(&o->link);
	nb->nowed -= o->parcel == 0;
	owed_ack_release(&o->ack);
	free(o);
}

void
owed_set(struct exchange *x, struct neighbour *nb, struct owed_ack *ack,
    bool none)
{
	struct owed *o = owed_find(nb, ack->name);

	if (none) {
		if (o != NULL)
			owed_free(nb, o);
		return;
	}
	if (o == NULL)
		o = owed_new(x, nb, ack->name);
	owed_ack_release(&o->ack);
	o->ack = *ack;
	owed_ack_init(ack);
}

bool
owed_subtract(struct owed_ack *ack, const struct owed_ack *carried)
{
	size_t i;

	if (carried->nranges == 0)
		return true;
	if (ack->nranges == 0)
		return false;
	for (i = 0; i < carried->nranges; i++)
		bundle_range_clear(&ack->range, &ack->nranges,
		    carried->range[i].offset, carried->range[i].octets);
	return ack->nranges == 0;
}

void
owed_ride(struct neighbour *nb, struct owed *o, uint64_t parcel)
{
	nb->nowed += (o->parcel != 0 && parcel == 0);
	nb->nowed -= (o->parcel == 0 && parcel != 0);
	o->parcel = parcel;
}

int64_t
owed_since_ms(const struct neighbour *nb)
{
	const struct owed *o;
	struct list *item;

	if (nb->nowed == 0)
		return INT64_MAX;
	list_for_each(item, &nb->owed) {
		o = list_entry(item, struct owed, link);
		if (o->parcel == 0)
			return o->since_ms;
	}
	return INT64_MAX;
}

/* Who gets no parcels any more needs none; should he come back, what he
 * repeats is acknowledged again. */
static int
forgive(struct exchange *x, const struct owed_ack *ack, struct err *e)
{
	struct spool_unit *u;
	int rc = spool_begin(x->spool, &u, e);

	if (rc != 0)
		return rc;
	rc = spool_del_owed_ack(u, ack->peer, ack->name, e);
	if (rc == 0)
		return spool_commit(u, false, e);
	spool_abort(u);
	return rc;
}

void
owed_expire(struct exchange *x, struct neighbour *nb, struct owed *o)
{
	int64_t age = clock_mono_ms(x->clock) - o->since_ms;
	struct err e = ERR_INIT;

	if (o->parcel == 0 && age / 1000 >
	    (int64_t)queue_lifetime_secs(x, nb->target) &&
	    forgive(x, &o->ack, &e) == 0)
		owed_free(nb, o);
}

static int
load_one(struct exchange *x, struct owed_ack *ack, struct err *e)
{
	const struct conf_peer *peer = conf_find_peer(x->conf, ack->peer);

	if (peer == NULL || peer->dialect != BUNDLE_NATIVE)
		return forgive(x, ack, e);
	owed_set(x, neighbour_of(queue_peer_or_gone(x, ack->peer)), ack,
	    false);
	return 0;
}

int
owed_load(struct exchange *x, struct err *e)
{
	struct buf at = BUF_INIT;
	struct owed_ack ack;
	int rc;

	do {
		owed_ack_init(&ack);
		rc = spool_next_owed_ack(x->spool, NULL, &at, &ack, e);
		if (rc == 0)
			rc = load_one(x, &ack, e);
		owed_ack_release(&ack);
	} while (rc == 0 || (rc == ERR_CORRUPT &&
	    !store_failed(spool_store(x->spool))));
	buf_release(&at);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}
