/* SPDX-License-Identifier: ISC */
/*
 * What is in a parcel from a neighbour.  Whatever we hold already is
 * acknowledged again and not kept again; what we may or can not take is passed
 * over and not acknowledged, so that it stays his.
 */
#include "node/parcel_in.h"

#include <stdlib.h>

static struct exchange *
exchange_of(const struct parcel_in *in)
{
	return in->base.x;
}

static const struct conf_peer *
peer_of(const struct parcel_in *in)
{
	return in->nb->target->peer;
}

static bool
is_for_us(const struct parcel_in *in, const struct frame *f)
{
	return f->direct || strcmp(f->destination,
	    exchange_of(in)->conf->site) == 0;
}

static void
refuse(struct parcel_in *in, const char *reason)
{
	struct exchange *x = exchange_of(in);
	unsigned untold;

	in->mode = TAKE_NOTHING;
	x->transit->counters.dropped++;
	if (!may_tell(x, &in->nb->refused, &untold))
		return;
	log_event(x->log, LOG_LEVEL_WARNING, "bundle-not-taken",
	    "peer", in->base.peer, "destination",
	    in->head.direct ? NULL : in->head.destination,
	    "octets", num_str(in->head.total).s, "reason", reason,
	    "untold", untold > 0 ? num_str(untold).s : NULL, NULL);
}

/*
 * What there is.
 */

/* 1: a bundle of this name was passed on, opened, or is here whole. */
static int
is_known(struct parcel_in *in, const unsigned char name[BUNDLE_NAME_LEN],
    struct err *e)
{
	struct exchange *x = exchange_of(in);
	struct passage *p;

	for (p = passage_find(x, name); p != NULL; p = p->same) {
		/* One of our own for a neighbour has no seal that makes its
		 * name its own. */
		if (p->b.role != BUNDLE_ARRIVING &&
		    (p->b.from != NULL || !p->b.direct))
			return 1;
	}
	if (hoard_find(&in->hoard, name, BUNDLE_ARRIVED) != NULL ||
	    hoard_find(&in->hoard, name, BUNDLE_LEAVING) != NULL)
		return 1;
	return spool_get_seen(x->spool, SEEN_BUNDLE, bundle_name_slice(name),
	    e);
}

/* The set of this name that this neighbour began. */
static struct passage *
find_arriving(struct parcel_in *in, const unsigned char name[BUNDLE_NAME_LEN])
{
	struct passage *p = passage_find(exchange_of(in), name);

	while (p != NULL && (p->b.role != BUNDLE_ARRIVING ||
	    p->from != in->nb))
		p = p->same;
	return p;
}

/* The same as it will be; NULL: it is new, or has gone. */
static struct hoarded *
find_set(struct parcel_in *in)
{
	struct hoarded *one = hoard_find(&in->hoard, in->head.name,
	    BUNDLE_ARRIVING);
	struct passage *p;

	if (one != NULL)
		return one;
	p = find_arriving(in, in->head.name);
	return p != NULL ? hoard_touch(&in->hoard, p) : NULL;
}

/* Sets of this neighbour, and octets held for him, with what is in the hoard:
 * no more than the configuration allows. */
static const char *
beyond_limits(struct parcel_in *in, uint64_t total, bool set)
{
	const struct conf_peer *peer = peer_of(in);
	uint64_t n = in->nb->narriving, octets = in->nb->held_octets;
	struct hoarded *one;
	struct list *item;

	list_for_each(item, &in->hoard.bundles) {
		one = list_entry(item, struct hoarded, link);
		if (one->p != NULL)
			continue;
		n += one->b.role == BUNDLE_ARRIVING &&
		    one->end != HOARDED_PART;
		octets += one->b.octets;
	}
	if (set && n >= peer->held_bundles)
		return "too many bundles of this neighbour are incomplete "
		    "(held-bundles)";
	if (total > peer->held_octets || octets > peer->held_octets - total)
		return "too much of this neighbour's is held here "
		    "(held-size)";
	return NULL;
}

/*
 * Beginning.
 */
static void
fill_bundle(struct parcel_in *in, struct bundle *b)
{
	const struct frame *f = &in->head;
	uint64_t now = now_secs(exchange_of(in));

	bundle_init(b);
	if (f->kind == FRAME_FRAGMENT)
		memcpy(b->name, f->name, BUNDLE_NAME_LEN);
	b->role = BUNDLE_ARRIVING;
	b->direct = f->direct;
	b->from = mem_strdup(in->base.peer);
	b->destination = mem_strdup(f->direct ?
	    exchange_of(in)->conf->site : f->destination);
	b->priority = f->priority;
	b->hops = f->direct ? 0 : f->hops;
	b->octets = f->total;
	b->born_secs = now;
	b->expire_secs = now + f->lifetime_secs;
}

/* Why nothing of it may be taken; NULL: it may. */
static const char *
vet(const struct parcel_in *in)
{
	const struct conf_peer *peer = peer_of(in);
	const struct frame *f = &in->head;

	if (peer == NULL)
		return "the peer has left the configuration";
	if (!passage_may_use(peer, f->direct))
		return "it is sealed, and the road is for what is signed only "
		    "(forward-signed)";
	if (!is_for_us(in, f) && !peer->may_relay)
		return "it is for another site, and this neighbour may not "
		    "have us forward (may-relay)";
	return NULL;
}

static void
begin_whole(struct parcel_in *in, bool dead)
{
	const char *reason;
	struct bundle b;

	sha256_init(&in->hash);
	if (dead) {
		in->mode = TAKE_NAME;
		return;
	}
	reason = beyond_limits(in, in->head.total, false);
	if (reason != NULL) {
		refuse(in, reason);
		return;
	}
	fill_bundle(in, &b);
	in->mode = TAKE_WHOLE;
	in->one = hoard_add(&in->hoard, &b, HOARDED_PART);
}

static bool
fits_set(const struct frame *f, const struct bundle *b)
{
	return f->total == b->octets && f->direct == b->direct &&
	    (f->direct || strcmp(f->destination, b->destination) == 0);
}

static void
begin_set(struct parcel_in *in)
{
	const char *reason = beyond_limits(in, in->head.total, true);
	struct bundle b;

	if (reason != NULL) {
		refuse(in, reason);
		return;
	}
	fill_bundle(in, &b);
	in->one = hoard_add(&in->hoard, &b, HOARDED_KEEP);
	in->mode = TAKE_FRAGMENT;
}

static int
begin_fragment(struct parcel_in *in, bool dead, struct err *e)
{
	int rc = dead ? 1 : is_known(in, in->head.name, e);

	if (rc < 0)
		return rc;
	if (rc == 1) {
		hoard_owe(&in->hoard, in->head.name, 0, 0);
		return 0;
	}
	in->one = find_set(in);
	if (in->one == NULL)
		begin_set(in);
	else if (!fits_set(&in->head, &in->one->b))
		refuse(in, "a fragment does not fit those before it");
	/* One that is whole is being checked. */
	else if (!bundle_is_whole(&in->one->b))
		in->mode = TAKE_FRAGMENT;
	return 0;
}

static int
begin(struct parcel_in *in, const struct frame *f, struct err *e)
{
	struct exchange *x = exchange_of(in);
	const char *reason;
	bool dead;

	in->head = *f;
	in->head.range = NULL;
	in->head.nranges = 0;
	in->mode = TAKE_NOTHING;
	in->one = NULL;
	in->at = 0;
	buf_clear(&in->piece);
	reason = vet(in);
	if (reason != NULL) {
		refuse(in, reason);
		return 0;
	}
	/* It has gone in a circle: here it ends, and he need not know. */
	dead = !is_for_us(in, f) && f->hops == 0;
	if (dead) {
		refuse(in, "it has no hops left: a loop?");
		x->transit->counters.dead++;
	}
	if (f->kind == FRAME_FRAGMENT) {
		in->fragments++;
		return begin_fragment(in, dead, e);
	}
	in->bundles++;
	begin_whole(in, dead);
	return 0;
}

/*
 * Octets.
 */

/* The set at hand; after a commit it has to be found again. */
static struct hoarded *
at_hand(struct parcel_in *in)
{
	if (in->one == NULL)
		in->one = find_set(in);
	if (in->one == NULL || bundle_is_whole(&in->one->b))
		in->mode = TAKE_NOTHING;
	return in->mode == TAKE_NOTHING ? NULL : in->one;
}

static void
flush_piece(struct parcel_in *in, struct hoarded *one)
{
	struct bundle_range range = { in->piece_at, in->piece.len, true, 0 };

	if (in->piece.len == 0)
		return;
	if (in->mode == TAKE_FRAGMENT)
		bundle_range_set(&one->b.range, &one->b.nranges, range);
	hoard_piece(&in->hoard, one, in->piece_at, &in->piece);
}

static void
keep(struct parcel_in *in, struct hoarded *one, uint64_t offset,
    const char *bytes, size_t len)
{
	size_t n;

	while (len > 0) {
		if (in->piece.len > 0 &&
		    in->piece_at + in->piece.len != offset)
			flush_piece(in, one);
		if (in->piece.len == 0)
			in->piece_at = offset;
		n = SPOOL_PIECE_MAX - in->piece.len;
		n = n < len ? n : len;
		buf_add(&in->piece, bytes, n);
		if (in->piece.len == SPOOL_PIECE_MAX)
			flush_piece(in, one);
		offset += n;
		bytes += n;
		len -= n;
	}
}

/* From `at` on: is it held, and how far does that go, up to limit? */
static bool
is_held(const struct bundle *b, uint64_t at, uint64_t limit,
    uint64_t *until_out)
{
	size_t i;

	*until_out = limit;
	for (i = 0; i < b->nranges; i++) {
		const struct bundle_range *r = &b->range[i];

		if (r->offset <= at && at < r->offset + r->octets) {
			if (r->offset + r->octets < limit)
				*until_out = r->offset + r->octets;
			return true;
		}
		if (r->offset > at && r->offset < *until_out)
			*until_out = r->offset;
	}
	return false;
}

/* What is missing of a fragment is kept, the rest is passed over. */
static void
fragment_octets(struct parcel_in *in, struct slice bytes)
{
	uint64_t at = in->head.offset + in->at, end = at + bytes.len, until;
	struct hoarded *one = at_hand(in);

	while (one != NULL && at < end) {
		if (!is_held(&one->b, at, end, &until))
			keep(in, one, at, bytes.ptr, (size_t)(until - at));
		bytes.ptr += until - at;
		at = until;
	}
}

static void
octets(struct parcel_in *in, struct slice bytes)
{
	switch (in->mode) {
	case TAKE_NOTHING:
		break;
	case TAKE_NAME:
		sha256_add(&in->hash, bytes.ptr, bytes.len);
		break;
	case TAKE_WHOLE:
		sha256_add(&in->hash, bytes.ptr, bytes.len);
		keep(in, in->one, in->at, bytes.ptr, bytes.len);
		break;
	case TAKE_FRAGMENT:
		fragment_octets(in, bytes);
		break;
	}
	in->at += bytes.len;
}

/*
 * The end of one.
 */

/* Sets of the same bundle that began before are of no use now. */
static void
drop_sets(struct parcel_in *in, const unsigned char name[BUNDLE_NAME_LEN])
{
	struct hoarded *one = hoard_find(&in->hoard, name, BUNDLE_ARRIVING);
	struct passage *p;

	if (one != NULL && one->p == NULL)
		hoard_drop(&in->hoard, one);
	for (p = passage_find(exchange_of(in), name); p != NULL; p = p->same) {
		if (p->b.role == BUNDLE_ARRIVING)
			hoard_touch(&in->hoard, p)->end = HOARDED_DROP;
	}
}

static int
whole_over(struct parcel_in *in, struct err *e)
{
	unsigned char digest[SHA256_LEN];
	struct hoarded *one = in->one;
	int known;

	flush_piece(in, one);
	sha256_end(&in->hash, digest);
	known = is_known(in, digest, e);
	if (known < 0)
		return known;
	hoard_owe(&in->hoard, digest, 0, 0);
	in->one = NULL;
	if (known == 1) {
		hoard_drop(&in->hoard, one);
		return 0;
	}
	drop_sets(in, digest);
	memcpy(one->b.name, digest, BUNDLE_NAME_LEN);
	bundle_turn(exchange_of(in), &one->b);
	one->end = HOARDED_KEEP;
	return 0;
}

/* The fragment that makes a set whole is acknowledged with all of it, once
 * that was checked. */
static void
fragment_over(struct parcel_in *in)
{
	struct hoarded *one = at_hand(in);

	if (one == NULL)
		return;
	flush_piece(in, one);
	if (!bundle_is_whole(&one->b))
		hoard_owe(&in->hoard, in->head.name, in->head.offset,
		    in->head.length);
}

static int
over(struct parcel_in *in, struct err *e)
{
	unsigned char digest[SHA256_LEN];
	int rc = 0;

	if (in->mode == TAKE_NAME) {
		sha256_end(&in->hash, digest);
		hoard_owe(&in->hoard, digest, 0, 0);
	} else if (in->mode == TAKE_WHOLE) {
		rc = whole_over(in, e);
	} else if (in->mode == TAKE_FRAGMENT) {
		fragment_over(in);
	}
	in->mode = TAKE_NOTHING;
	buf_clear(&in->piece);
	return rc;
}

/*
 * Acknowledgements.
 */

/* When the oldest octets in this stretch were handed over, as far as they are
 * not done; UINT64_MAX. */
static uint64_t
since(const struct bundle *b, const struct bundle_range *range)
{
	uint64_t secs = UINT64_MAX;
	size_t i;

	for (i = 0; i < b->nranges; i++) {
		const struct bundle_range *r = &b->range[i];

		if (!r->done && r->offset < range->offset + range->octets &&
		    range->offset < r->offset + r->octets && r->secs < secs)
			secs = r->secs;
	}
	return secs;
}

static void
acknowledged(struct parcel_in *in, struct passage *p, struct bundle *b,
    uint64_t offset, uint64_t length)
{
	struct bundle_range range = { offset, length, true, 0 };
	uint64_t secs, now = now_secs(exchange_of(in));

	if (offset > b->octets || length > b->octets - offset)
		return;
	secs = since(b, &range);
	/* What was repeated does not say which of the two was answered. */
	if (secs <= now && p->attempts == 0)
		retry_answer(in->nb, now - secs);
	bundle_range_set(&b->range, &b->nranges, range);
}

/* He has had it all along: it need not go by the other road. */
static void
take_late_ack(struct parcel_in *in, struct passage *p)
{
	struct hoarded *one = hoard_touch(&in->hoard, p);

	free(one->b.peer);
	one->b.peer = mem_strdup(in->base.peer);
	one->end = HOARDED_DONE;
}

static void
take_ack(struct parcel_in *in, const struct frame *f)
{
	struct passage *p = passage_find(exchange_of(in), f->name);
	struct hoarded *one;
	size_t i;

	in->acks++;
	for (; p != NULL; p = p->same) {
		if (p->b.role == BUNDLE_LEAVING && p->past == in->nb &&
		    p->to != in->nb && f->nranges == 0)
			take_late_ack(in, p);
		if (p->b.role != BUNDLE_LEAVING || p->to != in->nb)
			continue;
		one = hoard_touch(&in->hoard, p);
		if (f->nranges == 0)
			acknowledged(in, p, &one->b, 0, one->b.octets);
		for (i = 0; i < f->nranges; i++)
			acknowledged(in, p, &one->b, f->range[i].offset,
			    f->range[i].length);
		p->attempts = 0;
		p->timeout_secs = 0;
		if (bundle_is_whole(&one->b))
			one->end = HOARDED_DONE;
	}
}

static void
take_card(struct parcel_in *in, struct slice card)
{
	struct transit *tr = exchange_of(in)->transit;

	tr->hooks->card(tr->ctx, in->base.peer, card, false);
	in->nb->may_until_ms = 0;
}

int
parcel_take_frame(struct parcel_in *in, const struct frame *f, struct err *e)
{
	switch (f->kind) {
	case FRAME_WHOLE:
	case FRAME_FRAGMENT:
		return begin(in, f, e);
	case FRAME_OCTETS:
		octets(in, f->bytes);
		return 0;
	case FRAME_OVER:
		return over(in, e);
	case FRAME_ACK:
		take_ack(in, f);
		return 0;
	case FRAME_SITE:
		take_card(in, f->bytes);
		return 0;
	}
	return 0;
}
