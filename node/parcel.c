/* SPDX-License-Identifier: ISC */
/*
 * Parcels, the objects of the native dialect: one is filled at a time with
 * what is owed to the neighbour and with the bundles that wait for him, best
 * first, and only a few lie ready before the transport, so that what is more
 * urgent overtakes.  That a parcel was sent settles nothing but
 * acknowledgements: bundles are settled by the neighbour's.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bundle/frame.h"
#include "bundle/seal.h"
#include "node/returned.h"
#include "node/transit_private.h"

#define READY_MAX 2		/* parcels before an open road */
#define MISSES_MAX 16		/* bundles that did not fit any more */
#define ACK_MS 2000		/* that acknowledgements wait for company */
#define MAY_MS 1000		/* an answer about keys is good for */
#define RANGES_MANY 64		/* of a bundle, handed over one by one */
#define MOMENT_SECS 15

static const struct transit_hooks *
hooks_of(const struct exchange *x)
{
	return x->transit->hooks;
}

/*
 * Whether.
 */
static int
ask_keys(struct exchange *x, struct neighbour *nb)
{
	const char *name = nb->target->name;
	struct err e = ERR_INIT;
	struct seal_to to;
	int rc;

	memset(&to, 0, sizeof(to));
	rc = hooks_of(x)->seal_to(x->transit->ctx, name, false, &to, &e);
	if (rc == 0) {
		nb->requests = 0;
		return 1;
	}
	if (rc != ERR_NOT_FOUND || nb->request_ms > clock_mono_ms(x->clock))
		return 0;
	return hooks_of(x)->seal_to(x->transit->ctx, name, true, &to, &e) ==
	    0 ? -1 : 0;
}

/* Can a parcel be sealed for him now?  1: yes; 0: no; negative: a request for
 * his keys can.  Asked often, so the answer is good for a moment. */
static int
may_seal(struct exchange *x, struct neighbour *nb)
{
	int64_t now = clock_mono_ms(x->clock);

	if (nb->may_until_ms <= now) {
		nb->may = ask_keys(x, nb);
		nb->may_until_ms = now + MAY_MS;
	}
	return nb->may;
}

/*
 * When.
 */
/* Acknowledgements and cards are small, and others wait for them: they go by
 * the first lane that can be used, whatever that takes. */
static bool
is_first(struct exchange *x, const struct lane *l)
{
	const struct target *t = l->target;
	size_t i;

	for (i = 0; t->lane[i] != l; i++)
		if (lane_is_usable(x, t->lane[i]))
			return false;
	return true;
}

/* Would an acknowledgement or a card go alone? */
static bool
small_things_wait(struct exchange *x, struct neighbour *nb, int64_t wait_ms)
{
	int64_t since = owed_since_ms(nb);

	if (since != INT64_MAX && clock_mono_ms(x->clock) >= since + wait_ms)
		return true;
	return parcel_card_is_due(x, nb) || parcel_back_is_due(x, nb);
}

/* Would one of the bundles that are ready go by l? */
static bool
has_ready(struct exchange *x, const struct lane *l)
{
	const struct neighbour *nb = l->target->neighbour;
	const struct passage *p;
	struct list *item;

	if (nb == NULL || list_empty(&nb->ready))
		return false;
	if (!lane_has_others(l))
		return true;
	list_for_each(item, &nb->ready) {
		p = list_entry(item, struct passage, link);
		if (lane_gets(x, l, p->b.priority, p->b.octets))
			return true;
	}
	return false;
}

static bool
parcel_waits(struct exchange *x, const struct lane *l)
{
	const struct transit *tr = x->transit;
	struct neighbour *nb = l->target->neighbour;

	if (tr->hooks == NULL)
		return false;
	if (tr->hooks->waits(tr->ctx, l->target->name, l))
		return true;
	return nb != NULL && (has_ready(x, l) || (is_first(x, l) &&
	    (owed_since_ms(nb) <= clock_mono_ms(x->clock) - ACK_MS ||
	    parcel_card_waits(x, nb, l)))) && may_seal(x, nb) != 0;
}

static bool
parcel_making(struct exchange *x, const struct lane *l)
{
	const struct transit *tr = x->transit;

	return tr->hooks != NULL &&
	    (l->target->taking || !list_empty(&tr->checks) ||
	    tr->hooks->making(tr->ctx, l->target->name));
}

/* Does the road take a parcel now? */
static bool
road_takes(struct exchange *x, struct lane *l)
{
	if (lane_has_others(l) && !lane_is_usable(x, l))
		return false;
	if (l->wanted || answer_is_due(x, l))
		return true;
	if (!schedule_is_empty(l->conf->call))
		return road_is_due(x, l) || road_is_taking(x, l);
	return l->nobjects < READY_MAX &&
	    l->pause_ms <= clock_mono_ms(x->clock) &&
	    (l->last_full || cut_pace_ms(l) <= clock_mono_ms(x->clock));
}

static bool
has_content(struct exchange *x, struct lane *l)
{
	struct neighbour *nb = neighbour_of(l->target);
	bool alone = schedule_is_empty(l->conf->call) && !l->wanted;

	return has_ready(x, l) || (is_first(x, l) &&
	    small_things_wait(x, nb, alone ? ACK_MS : 0));
}

static int64_t
parcel_deadline_ms(struct exchange *x, const struct lane *l)
{
	int64_t mono = clock_mono_ms(x->clock), at = INT64_MAX, since;
	struct neighbour *nb = l->target->neighbour;

	if (nb == NULL || x->transit->hooks == NULL ||
	    !schedule_is_empty(l->conf->call))
		return INT64_MAX;
	if (!list_empty(&nb->ready) && cut_pace_ms(l) > mono)
		at = cut_pace_ms(l);
	since = owed_since_ms(nb);
	if (since != INT64_MAX && since + ACK_MS > mono &&
	    since + ACK_MS < at)
		at = since + ACK_MS;
	if (!list_empty(&nb->ready) && nb->request_ms > mono &&
	    nb->request_ms < at)
		at = nb->request_ms;
	return at;
}

/*
 * What.
 */

/* Octets that a parcel for l has room for inside. */
static uint64_t
room_of(const struct exchange *x, const struct lane *l)
{
	const struct conf_peer *peer = l->target->peer;
	struct seal_to to = { .kind = SEAL_PARCEL, .sign = peer->sign,
	    .origin = x->conf->site, .destination = peer->name };
	uint64_t plain, size = peer->shape.kind == SHAPE_EXACT ?
	    peer->shape.octets : l->conf->parcel_octets;

	if (!seal_room(&to, size, &plain))
		return 0;
	/* What is padded up may grow by an eighth. */
	if (peer->shape.kind == SHAPE_PADME) {
		while (plain > 0 && padme(seal_size(&to, plain)) > size)
			plain -= plain / 64 + 1;
	}
	return plain;
}

uint64_t
parcel_head_octets(const struct frame *f)
{
	struct buf b = BUF_INIT;
	uint64_t n = frame_put(&b, f, NULL) == 0 ? b.len : 0;

	buf_release(&b);
	return n;
}

/* At most FRAME_RANGES_MAX of what is owed, as one frame has it. */
static void
copy_ranges(struct owed_ack *to, const struct owed_ack *from)
{
	size_t i;

	memcpy(to->name, from->name, BUNDLE_NAME_LEN);
	for (i = 0; i < from->nranges && i < FRAME_RANGES_MAX; i++)
		bundle_range_set(&to->range, &to->nranges, from->range[i]);
}

void
parcel_ack_frame(const struct owed_ack *ack, struct frame *f_out,
    struct frame_range *range_out)
{
	size_t i;

	memset(f_out, 0, sizeof(*f_out));
	f_out->kind = FRAME_ACK;
	memcpy(f_out->name, ack->name, BUNDLE_NAME_LEN);
	for (i = 0; i < ack->nranges && i < FRAME_RANGES_MAX; i++) {
		range_out[i].offset = ack->range[i].offset;
		range_out[i].length = ack->range[i].octets;
	}
	f_out->range = range_out;
	f_out->nranges = i;
}

static void
gather_acks(struct neighbour *nb, struct parcel *p, uint64_t *room_io)
{
	struct frame_range range[FRAME_RANGES_MAX];
	struct list *item;
	struct owed *o;
	struct frame f;
	uint64_t size;

	list_for_each(item, &nb->owed) {
		o = list_entry(item, struct owed, link);
		if (o->parcel != 0)
			continue;
		parcel_ack_frame(&o->ack, &f, range);
		size = parcel_head_octets(&f);
		if (p->nacks >= PARCEL_ACKS_MAX || size == 0 ||
		    size > *room_io)
			return;
		copy_ranges(parcel_add_ack(p), &o->ack);
		*room_io -= size;
	}
}

void
parcel_frame(struct exchange *x, const struct bundle *b, uint64_t offset,
    uint64_t octets, struct frame *f_out)
{
	uint64_t now = now_secs(x);

	memset(f_out, 0, sizeof(*f_out));
	f_out->kind = octets == b->octets ? FRAME_WHOLE : FRAME_FRAGMENT;
	f_out->direct = b->direct;
	memcpy(f_out->name, b->name, BUNDLE_NAME_LEN);
	if (!b->direct)
		(void)snprintf(f_out->destination, sizeof(f_out->destination),
		    "%s", b->destination);
	f_out->priority = b->priority;
	f_out->lifetime_secs = b->expire_secs > now ? b->expire_secs - now : 0;
	f_out->hops = b->hops;
	f_out->total = b->octets;
	f_out->offset = offset;
	f_out->length = octets;
}

/* How much of a stretch goes into this room, 0 if no legal fragment does.  A
 * stretch that is too small for one takes in what stands behind it. */
static uint64_t
fit(struct exchange *x, const struct bundle *b, uint64_t offset,
    uint64_t octets, uint64_t room)
{
	uint64_t head, left = b->octets - offset;
	struct frame f;

	if (octets < FRAME_FRAGMENT_MIN)
		octets = left < FRAME_FRAGMENT_MIN ? left : FRAME_FRAGMENT_MIN;
	parcel_frame(x, b, offset, octets, &f);
	head = parcel_head_octets(&f);
	if (head == 0 || head >= room)
		return 0;
	if (octets <= room - head)
		return octets;
	/* Not whole any more: another head. */
	parcel_frame(x, b, offset, octets - 1, &f);
	head = parcel_head_octets(&f);
	if (head == 0 || head >= room || room - head < FRAME_FRAGMENT_MIN)
		return 0;
	return octets < room - head ? octets - 1 : room - head;
}

/* Takes what fits of one bundle; false if nothing does. */
static bool
gather_bundle(struct exchange *x, struct passage *p, struct parcel *parcel,
    uint64_t *room_io)
{
	uint64_t at = 0, octets, n;
	struct frame f;
	bool any = false;

	while (parcel->npieces < PARCEL_PIECES_MAX &&
	    passage_gap(p, at, &at, &octets)) {
		n = fit(x, &p->b, at, octets, *room_io);
		if (n == 0)
			break;
		parcel_frame(x, &p->b, at, n, &f);
		(void)parcel_add_piece(parcel, p->b.id, at, n);
		*room_io -= parcel_head_octets(&f) + n;
		at += n;
		any = true;
	}
	return any;
}

static void
gather_bundles(struct exchange *x, struct lane *l, struct parcel *parcel,
    uint64_t *room_io)
{
	unsigned misses = 0;
	struct passage *p;
	struct list *item;

	list_for_each(item, &l->target->neighbour->ready) {
		p = list_entry(item, struct passage, link);
		if (!passage_may_use(l->target->peer, p->b.direct) ||
		    !lane_gets(x, l, p->b.priority, p->b.octets))
			continue;
		if (!gather_bundle(x, p, parcel, room_io) &&
		    ++misses >= MISSES_MAX)
			return;
	}
}

/*
 * Marks of what is in parcels.
 */
static void
mark_piece(struct exchange *x, struct neighbour *nb,
    const struct parcel_piece *piece, bool in)
{
	struct passage *p = map_get_u64(x->transit->by_id, piece->id);
	struct bundle_range range = { piece->offset, piece->octets, false, 0 };

	if (p == NULL || p->to != nb || p->b.role != BUNDLE_LEAVING ||
	    piece->offset > p->b.octets ||
	    piece->octets > p->b.octets - piece->offset)
		return;
	passage_unplace(p);
	if (in)
		bundle_range_set(&p->cut, &p->ncut, range);
	else
		bundle_range_clear(&p->cut, &p->ncut, piece->offset,
		    piece->octets);
	passage_place(x, p);
}

static void
mark(struct exchange *x, struct neighbour *nb, const struct parcel *p,
    uint64_t object, bool in)
{
	struct owed *o;
	size_t i;

	for (i = 0; i < p->npieces; i++)
		mark_piece(x, nb, &p->piece[i], in);
	for (i = 0; i < p->nacks; i++) {
		o = owed_find(nb, p->ack[i].name);
		if (o != NULL && (in || o->parcel == object))
			owed_ride(nb, o, in ? object : 0);
	}
	if (p->card != 0)
		nb->card_cut = in ? p->card : 0;
	if (p->back != 0)
		nb->back_cut = in ? p->back : 0;
}

/*
 * Cutting.
 */

static uint64_t
weight_of(const struct parcel *p)
{
	uint64_t octets = 0;
	size_t i;

	for (i = 0; i < p->npieces; i++)
		octets += p->piece[i].octets;
	return octets;
}

bool
parcel_record(struct exchange *x, struct lane *l, const struct parcel *p)
{
	struct object o;
	struct cut *c;

	object_init(&o);
	o.params = parcel_text(p);
	c = cut_object(x, l, &o);
	if (c != NULL) {
		cut_weigh(c, weight_of(p));
		mark(x, l->target->neighbour, p, c->id, true);
		log_event(x->log, LOG_LEVEL_INFO, "parcel-cut", "peer",
		    l->target->name, "name", c->name, "pieces",
		    num_str(p->npieces).s, "acks", num_str(p->nacks).s,
		    "octets", num_str(weight_of(p)).s,
		    "card", p->card != 0 ? num_str(p->card).s : NULL,
		    "request", p->request ? "yes" : NULL,
		    "back", p->back != 0 ? num_str(p->back).s : NULL,
		    "transport", lane_word(l), NULL);
	}
	object_release(&o);
	return c != NULL;
}

static bool
cut_full(struct exchange *x, struct lane *l)
{
	uint64_t all = room_of(x, l), room = all;
	struct neighbour *nb = l->target->neighbour;
	struct parcel p;
	bool good = false;

	parcel_init(&p);
	gather_acks(nb, &p, &room);
	parcel_gather_card(x, nb, &p, &room);
	gather_bundles(x, l, &p, &room);
	if (p.npieces > 0 || p.nacks > 0 || p.card != 0)
		good = parcel_record(x, l, &p);
	l->last_full = room < all / 8;
	parcel_release(&p);
	return good;
}

/* Parcels that lie before a closed road are made anew without what has gone:
 * it was settled, or its time is over, and it must not arrive any more. */
static void
freshen(struct exchange *x, struct lane *l)
{
	struct list *item, *after;
	struct err e = ERR_INIT;

	if (l->up || !l->stale)
		return;
	list_for_each_safe(item, after, &l->objects) {
		if (cut_withdraw(x, list_entry(item, struct cut, link),
		    &e) != 0)
			return;
	}
	l->stale = false;
}

static bool
parcel_cut(struct exchange *x, struct lane *l)
{
	struct neighbour *nb = neighbour_of(l->target);
	int may;

	freshen(x, l);
	if (x->transit->hooks == NULL || !road_takes(x, l))
		return false;
	hooks_of(x)->fill(x->transit->ctx, l->target->name, l);
	/* A call takes along what is being made; the road waits for it. */
	if (!l->up && !schedule_is_empty(l->conf->call) &&
	    parcel_making(x, l))
		return false;
	if (!has_content(x, l))
		return false;
	if (is_first(x, l) && parcel_back_is_due(x, nb))
		return parcel_cut_back(x, l);
	may = may_seal(x, nb);
	if (may < 0)
		return is_first(x, l) && parcel_cut_request(x, l);
	return may > 0 && cut_full(x, l);
}

/*
 * The end of a parcel.
 */

/* Many small stretches that left within moments of each other count as one:
 * the record stays small. */
static void
merge_ranges(struct bundle *b)
{
	struct bundle_range *r;
	size_t i;

	for (i = 1; i < b->nranges && b->nranges > RANGES_MANY; i++) {
		r = &b->range[i - 1];
		if (r[0].done || r[1].done || r[0].secs == r[1].secs ||
		    r[0].offset + r[0].octets != r[1].offset ||
		    r[0].secs + MOMENT_SECS < r[1].secs ||
		    r[1].secs + MOMENT_SECS < r[0].secs)
			continue;
		r[0].octets += r[1].octets;
		r[0].secs = r[0].secs > r[1].secs ? r[0].secs : r[1].secs;
		bundle_range_set(&b->range, &b->nranges, r[0]);
		i--;
	}
}

/* Octets of the piece that are not done were handed over at `now`. */
static void
hand_over(struct bundle *b, const struct parcel_piece *piece, uint64_t now)
{
	struct bundle_range range = { piece->offset, piece->octets, false,
		now };
	struct bundle before;
	size_t i;

	bundle_copy(&before, b);
	bundle_range_set(&b->range, &b->nranges, range);
	for (i = 0; i < before.nranges; i++) {
		if (before.range[i].done)
			bundle_range_set(&b->range, &b->nranges,
			    before.range[i]);
	}
	bundle_release(&before);
	merge_ranges(b);
}

bool
parcel_piece_counts(const struct passage *p, const struct neighbour *nb,
    const struct parcel_piece *piece)
{
	return p != NULL && p->to == nb && p->b.role == BUNDLE_LEAVING &&
	    piece->offset <= p->b.octets &&
	    piece->octets <= p->b.octets - piece->offset;
}

/* The hoard keeps the bundles as they will be; acknowledgements and the card
 * are written beside it. */
static void
sent_pieces(struct hoard *h, const struct parcel *p, const struct lane *by)
{
	struct passage *passage;
	size_t i;

	for (i = 0; i < p->npieces; i++) {
		passage = map_get_u64(h->x->transit->by_id, p->piece[i].id);
		if (!parcel_piece_counts(passage, h->nb, &p->piece[i]))
			continue;
		passage->by = by;
		hand_over(&hoard_touch(h, passage)->b, &p->piece[i],
		    now_secs(h->x));
	}
}

static void
sent_acks(struct hoard *h, const struct parcel *p)
{
	struct owed *o;
	size_t i;

	for (i = 0; i < p->nacks; i++) {
		o = owed_find(h->nb, p->ack[i].name);
		if (o != NULL)
			hoard_paid(h, o, &p->ack[i]);
	}
}

static int
parcel_sent(struct exchange *x, struct cut *c, struct err *e)
{
	struct neighbour *nb = neighbour_of(c->lane->target);
	struct sent_mail mail;
	struct parcel p;
	struct object o;
	struct hoard h;
	int rc;

	object_init(&o);
	parcel_init(&p);
	sent_mail_init(&mail);
	hoard_init(&h, x, nb);
	rc = spool_get_object(x->spool, c->id, &o, e);
	if (rc == 0)
		rc = parcel_parse(o.params, &p, e);
	if (rc == 0) {
		sent_pieces(&h, &p, c->lane);
		sent_acks(&h, &p);
		h.sent = c->id;
		h.card = p.card;
	}
	if (rc == 0 && returned_is_kept(c->lane)) {
		returned_begin(x, &o, &mail);
		h.sent_mail = &mail;
	}
	if (rc == 0)
		rc = hoard_commit(&h, false, e);
	if (rc == 0) {
		mark(x, nb, &p, c->id, false);
		x->transit->counters.parcels_out++;
		x->transit->counters.octets_out += c->octets;
	}
	if (rc == 0 && p.card != 0) {
		nb->card_told = p.card;
		nb->card_asked = false;
	}
	hoard_release(&h);
	sent_mail_release(&mail);
	parcel_release(&p);
	object_release(&o);
	return rc;
}

static void
parcel_withdrawn(struct exchange *x, const struct object *o)
{
	struct lane *l = lane_find(x, o->road);
	struct err e = ERR_INIT;
	struct owed *owed;
	struct parcel p;
	size_t i;

	if (l == NULL || parcel_parse(o->params, &p, &e) != 0)
		return;
	mark(x, neighbour_of(l->target), &p, o->id, false);
	for (i = 0; i < p.nacks; i++) {
		owed = owed_find(neighbour_of(l->target), p.ack[i].name);
		if (owed != NULL)
			owed_expire(x, neighbour_of(l->target), owed);
	}
	parcel_release(&p);
}

/* What one road cannot carry today it may another day, or another road: the
 * bundles wait, and so does the road. */
static void
parcel_failed(struct exchange *x, struct cut *c)
{
	struct lane *l = c->lane;
	struct err e = ERR_INIT;

	l->refused = true;
	if (cut_withdraw(x, c, &e) == 0)
		road_failed(x, l, NULL);
}

/* What is in it is cut anew, into parcels of the size that is best there. */
static int
parcel_hand_on(struct exchange *x, struct cut *c, struct err *e)
{
	const struct target *t = c->lane->target;
	size_t i;

	for (i = 0; i < t->nlanes; i++)
		if (t->lane[i] != c->lane && lane_is_usable(x, t->lane[i]))
			return cut_withdraw(x, c, e);
	return 0;
}

static int
parcel_load(struct exchange *x, const struct object *o, struct cut *c,
    struct err *e)
{
	struct parcel p;
	int rc = parcel_parse(o->params, &p, e);

	if (rc != 0)
		return rc;
	mark(x, neighbour_of(c->lane->target), &p, c->id, true);
	cut_weigh(c, weight_of(&p));
	parcel_release(&p);
	return 0;
}

const struct dialect parcel_dialect = {
	.cut = parcel_cut,
	.waits = parcel_waits,
	.making = parcel_making,
	.deadline_ms = parcel_deadline_ms,
	.sent = parcel_sent,
	.withdrawn = parcel_withdrawn,
	.hand_on = parcel_hand_on,
	.failed = parcel_failed,
	.load = parcel_load,
	.outbound_new = parcel_out_new,
	.outbound_read = parcel_out_read,
	.outbound_free = parcel_out_free,
	.inbound_new = parcel_in_new,
	.inbound_add = parcel_in_add,
	.inbound_end = parcel_in_end,
	.inbound_free = parcel_in_free,
};
