/* SPDX-License-Identifier: ISC */
/*
 * What a parcel brings, gathered for one commit: bundles as they will be, new
 * pieces, acknowledgements that we will owe for them.  The index changes when
 * the commit has gone well, so nothing is acknowledged that a crash could
 * take, and a failure leaves everything as it was.
 */
#include "node/returned.h"
#include "node/transit_private.h"

#include <stdlib.h>

struct hoarded_piece {
	struct list link;
	struct hoarded *of;
	uint64_t offset;
	struct buf bytes;
};

struct hoarded_ack {
	struct list link;
	struct owed_ack ack;
	bool none;			/* nothing is owed any more */
};

void
hoard_init(struct hoard *h, struct exchange *x, struct neighbour *nb)
{
	memset(h, 0, sizeof(*h));
	h->x = x;
	h->nb = nb;
	list_init(&h->bundles);
	list_init(&h->pieces);
	list_init(&h->acks);
}

static void
free_one(struct hoarded *one)
{
	list_del(&one->link);
	bundle_release(&one->b);
	free(one);
}

static void
free_piece(struct hoarded_piece *piece)
{
	list_del(&piece->link);
	buf_release(&piece->bytes);
	free(piece);
}

static void
free_ack(struct hoarded_ack *a)
{
	list_del(&a->link);
	owed_ack_release(&a->ack);
	free(a);
}

void
hoard_drop(struct hoard *h, struct hoarded *one)
{
	struct list *item, *after;
	struct hoarded_piece *piece;

	list_for_each_safe(item, after, &h->pieces) {
		piece = list_entry(item, struct hoarded_piece, link);
		if (piece->of == one)
			free_piece(piece);
	}
	/* Pieces that are in the spool without a record. */
	if (one->in_spool)
		spool_drop_bundle_id(h->x->spool, one->b.id);
	free_one(one);
}

void
hoard_release(struct hoard *h)
{
	struct list *item, *after;

	list_for_each_safe(item, after, &h->bundles)
		hoard_drop(h, list_entry(item, struct hoarded, link));
	list_for_each_safe(item, after, &h->acks)
		free_ack(list_entry(item, struct hoarded_ack, link));
}

/*
 * Gathering.
 */
struct hoarded *
hoard_touch(struct hoard *h, struct passage *p)
{
	struct hoarded *one;
	struct list *item;

	list_for_each(item, &h->bundles) {
		one = list_entry(item, struct hoarded, link);
		if (one->p == p)
			return one;
	}
	one = mem_alloc(1, sizeof(*one));
	one->p = p;
	bundle_copy(&one->b, &p->b);
	list_add_tail(&h->bundles, &one->link);
	return one;
}

struct hoarded *
hoard_add(struct hoard *h, struct bundle *b, enum hoarded_end end)
{
	struct hoarded *one = mem_alloc(1, sizeof(*one));

	one->b = *b;
	one->end = end;
	bundle_init(b);
	list_add_tail(&h->bundles, &one->link);
	return one;
}

struct hoarded *
hoard_find(struct hoard *h, const unsigned char name[BUNDLE_NAME_LEN],
    enum bundle_role role)
{
	struct hoarded *one;
	struct list *item;

	list_for_each(item, &h->bundles) {
		one = list_entry(item, struct hoarded, link);
		if (one->end != HOARDED_PART && one->b.role == role &&
		    memcmp(one->b.name, name, BUNDLE_NAME_LEN) == 0)
			return one;
	}
	return NULL;
}

void
hoard_piece(struct hoard *h, struct hoarded *one, uint64_t offset,
    struct buf *bytes)
{
	struct hoarded_piece *piece = mem_alloc(1, sizeof(*piece));

	piece->of = one;
	piece->offset = offset;
	piece->bytes = *bytes;
	buf_init(bytes);
	list_add_tail(&h->pieces, &piece->link);
}

/* What is owed under a name, as it will be. */
static struct hoarded_ack *
need_ack(struct hoard *h, const unsigned char name[BUNDLE_NAME_LEN])
{
	struct owed *before = owed_find(h->nb, name);
	struct hoarded_ack *a;
	struct list *item;

	list_for_each(item, &h->acks) {
		a = list_entry(item, struct hoarded_ack, link);
		if (memcmp(a->ack.name, name, BUNDLE_NAME_LEN) == 0)
			return a;
	}
	a = mem_alloc(1, sizeof(*a));
	if (before != NULL) {
		owed_ack_copy(&a->ack, &before->ack);
	} else {
		a->ack.peer = mem_strdup(h->nb->target->name);
		memcpy(a->ack.name, name, BUNDLE_NAME_LEN);
		a->none = true;
	}
	list_add_tail(&h->acks, &a->link);
	return a;
}

void
hoard_owe(struct hoard *h, const unsigned char name[BUNDLE_NAME_LEN],
    uint64_t offset, uint64_t octets)
{
	struct bundle_range range = { offset, octets, true, 0 };
	struct hoarded_ack *a = need_ack(h, name);
	bool all = !a->none && a->ack.nranges == 0;

	a->none = false;
	if (all)
		return;
	if (octets == 0)
		bundle_range_clear(&a->ack.range, &a->ack.nranges, 0,
		    UINT64_MAX);
	else
		bundle_range_set(&a->ack.range, &a->ack.nranges, range);
}

void
hoard_paid(struct hoard *h, const struct owed *o,
    const struct owed_ack *carried)
{
	struct hoarded_ack *a = need_ack(h, o->ack.name);

	a->none = owed_subtract(&a->ack, carried);
}

/*
 * Committing.
 */
static int
put_one(struct hoard *h, struct spool_unit *u, struct hoarded *one,
    struct err *e)
{
	switch (one->end) {
	case HOARDED_KEEP:
		return spool_put_bundle(u, &one->b, e);
	case HOARDED_DONE:
		return passage_end(h->x, u, &one->b, e);
	case HOARDED_DROP:
		return spool_del_bundle(u, one->b.id, e);
	case HOARDED_PART:
		break;
	}
	return 0;
}

static int
put_bundles(struct hoard *h, struct spool_unit *u, struct err *e)
{
	struct hoarded *one;
	struct list *item;
	int rc = 0;

	list_for_each(item, &h->bundles) {
		one = list_entry(item, struct hoarded, link);
		if (rc == 0 && one->b.id == 0)
			rc = spool_take_bundle_id(u, &one->b.id, e);
		if (rc == 0)
			rc = put_one(h, u, one, e);
	}
	return rc;
}

static int
put_ack(struct spool_unit *u, const struct hoarded_ack *a, struct err *e)
{
	if (a->none)
		return spool_del_owed_ack(u, a->ack.peer, a->ack.name, e);
	return spool_put_owed_ack(u, &a->ack, e);
}

static int
put_told(struct hoard *h, struct spool_unit *u, struct err *e)
{
	const char *name = h->nb->target->name;
	struct site_record site;
	int rc;

	rc = spool_get_site(h->x->spool, name, &site, e);
	if (rc == ERR_NOT_FOUND || rc == ERR_CORRUPT) {
		site_record_release(&site);
		site_record_init(&site);
		site.name = mem_strdup(name);
		rc = 0;
	}
	site.told = h->card;
	if (rc == 0)
		rc = spool_put_site(u, &site, e);
	site_record_release(&site);
	return rc;
}

static int
put_all(struct hoard *h, struct spool_unit *u, struct err *e)
{
	struct hoarded_piece *piece;
	struct list *item;
	int rc = put_bundles(h, u, e);

	list_for_each(item, &h->pieces) {
		piece = list_entry(item, struct hoarded_piece, link);
		if (rc == 0)
			rc = spool_put_piece(u, piece->of->b.id,
			    piece->offset, buf_slice(&piece->bytes), e);
	}
	list_for_each(item, &h->acks) {
		if (rc == 0)
			rc = put_ack(u, list_entry(item, struct hoarded_ack,
			    link), e);
	}
	if (rc == 0 && h->sent != 0)
		rc = spool_del_object(u, h->sent, e);
	if (rc == 0 && h->sent_mail != NULL)
		rc = spool_put_sent_mail(u, h->sent_mail, e);
	if (rc == 0 && h->card != 0)
		rc = put_told(h, u, e);
	if (rc == 0 && h->tag_secs != 0)
		rc = spool_put_seen(u, SEEN_PARCEL, (struct slice){
		    (const char *)h->tag, sizeof(h->tag) }, h->tag_secs, e);
	return rc;
}

/* The numbers taken in a unit that came to nothing are taken again. */
static void
forget_numbers(struct hoard *h)
{
	struct hoarded *one;
	struct list *item;

	list_for_each(item, &h->bundles) {
		one = list_entry(item, struct hoarded, link);
		if (one->p == NULL && !one->in_spool)
			one->b.id = 0;
	}
}

/*
 * After the commit.
 */
static void
hop_done(struct exchange *x, struct hoarded *one)
{
	struct transit *tr = x->transit;
	const struct bundle *b = &one->b;

	tr->counters.hop_done++;
	if (one->p->to != NULL)
		returned_no_more(one->p->to->target);
	log_event(x->log, LOG_LEVEL_INFO, "bundle-handed-over", "bundle",
	    bundle_text(b->name).s, "destination", b->destination, "peer",
	    b->peer, "octets", num_str(b->octets).s, NULL);
	passage_free(x, one->p);
	transit_handed(x, b);
	if (b->from == NULL && tr->hooks != NULL)
		tr->hooks->hop_done(tr->ctx, b->id, b->epoch, b->serial,
		    b->name);
}

static void
log_arrived(struct exchange *x, const struct bundle *b)
{
	struct bundle_text name = bundle_text(b->name);
	struct num_str octets = num_str(b->octets), hops = num_str(b->hops);

	if (b->role == BUNDLE_ARRIVED)
		log_event(x->log, LOG_LEVEL_INFO, "bundle-arrived", "bundle",
		    name.s, "destination", b->destination, "from", b->from,
		    "octets", octets.s, "hops", b->direct ? NULL : hops.s,
		    NULL);
	else
		log_event(x->log, LOG_LEVEL_INFO, "bundle-forwarded",
		    "bundle", name.s, "destination", b->destination, "from",
		    b->from, "octets", octets.s, "hops", hops.s, NULL);
}

/* The index follows the record. */
static void
keep_one(struct exchange *x, struct hoarded *one)
{
	struct transit *tr = x->transit;
	struct passage *p = one->p;
	bool came = p == NULL || p->b.role == BUNDLE_ARRIVING;

	if (p == NULL) {
		p = passage_new(x, &one->b);
	} else {
		passage_unplace(p);
		bundle_release(&p->b);
		p->b = one->b;
		bundle_init(&one->b);
	}
	if (came)
		passage_route(x, p);
	passage_place(x, p);
	if (!came || p->b.role == BUNDLE_ARRIVING)
		return;
	log_arrived(x, &p->b);
	if (p->b.role == BUNDLE_LEAVING)
		tr->counters.forwarded++;
	else if (tr->hooks != NULL)
		tr->hooks->arrived(tr->ctx, &p->b);
}

static void
follow(struct hoard *h, struct hoarded *one)
{
	switch (one->end) {
	case HOARDED_KEEP:
		keep_one(h->x, one);
		break;
	case HOARDED_DONE:
		hop_done(h->x, one);
		break;
	case HOARDED_DROP:
		passage_free(h->x, one->p);
		break;
	case HOARDED_PART:
		one->in_spool = true;
		return;
	}
	free_one(one);
}

static void
follow_all(struct hoard *h)
{
	struct list *item, *after;
	struct hoarded_ack *a;

	list_for_each_safe(item, after, &h->pieces)
		free_piece(list_entry(item, struct hoarded_piece, link));
	list_for_each_safe(item, after, &h->acks) {
		a = list_entry(item, struct hoarded_ack, link);
		owed_set(h->x, h->nb, &a->ack, a->none);
		free_ack(a);
	}
	list_for_each_safe(item, after, &h->bundles)
		follow(h, list_entry(item, struct hoarded, link));
	h->x->dirty = true;
}

static bool
is_empty(const struct hoard *h)
{
	return list_empty(&h->bundles) && list_empty(&h->pieces) &&
	    list_empty(&h->acks) && h->tag_secs == 0 && h->sent == 0;
}

int
hoard_commit(struct hoard *h, bool sync, struct err *e)
{
	struct spool_unit *u;
	int rc;

	if (is_empty(h))
		return 0;
	rc = spool_begin(h->x->spool, &u, e);
	if (rc != 0)
		return rc;
	rc = put_all(h, u, e);
	if (rc == 0)
		rc = spool_commit(u, sync, e);
	else
		spool_abort(u);
	if (rc != 0) {
		forget_numbers(h);
		return rc;
	}
	follow_all(h);
	return 0;
}
