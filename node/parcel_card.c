/* SPDX-License-Identifier: ISC */
/*
 * Cards between neighbours: ours in a parcel like any other, or in a request
 * where the neighbour's receiving keys are not known; and the neighbour's own,
 * which it gets back in a request where it has forgotten how far its cards
 * counted.  A request is all that a site opens that has lost its keys.
 */
#include "bundle/frame.h"
#include "bundle/seal.h"
#include "node/transit_private.h"

#define REQUEST_MIN_SECS 3600
#define REQUEST_MAX_SECS 86400

static const struct transit_hooks *
hooks_of(const struct exchange *x)
{
	return x->transit->hooks;
}

static bool
card_due(struct exchange *x, const struct neighbour *nb,
    struct buf *card_out, uint64_t *counter_out)
{
	uint64_t counter;

	buf_clear(card_out);
	counter = hooks_of(x)->our_card(x->transit->ctx, card_out);
	*counter_out = counter;
	return counter != 0 && card_out->len <= CARD_OCTETS_MAX &&
	    nb->card_cut != counter &&
	    (nb->card_asked || nb->card_told != counter);
}

bool
parcel_card_is_due(struct exchange *x, const struct neighbour *nb)
{
	struct buf card = BUF_INIT;
	uint64_t counter;
	bool due = card_due(x, nb, &card, &counter);

	buf_release(&card);
	return due;
}

bool
parcel_back_is_due(struct exchange *x, const struct neighbour *nb)
{
	return nb->back_cut == 0 && hooks_of(x)->back_is_due(x->transit->ctx,
	    nb->target->name);
}

bool
parcel_card_waits(struct exchange *x, const struct neighbour *nb,
    const struct lane *l)
{
	bool back = parcel_back_is_due(x, nb);

	if (schedule_is_empty(l->conf->call) ||
	    (!nb->card_asked && !back && schedule_is_timed(l->conf->call)))
		return false;
	return back || parcel_card_is_due(x, nb);
}

void
parcel_gather_card(struct exchange *x, struct neighbour *nb, struct parcel *p,
    uint64_t *room_io)
{
	struct frame f = { .kind = FRAME_SITE };
	struct buf card = BUF_INIT;
	uint64_t counter, size;

	if (card_due(x, nb, &card, &counter)) {
		f.bytes = buf_slice(&card);
		size = parcel_head_octets(&f);
		if (size != 0 && size <= *room_io) {
			p->card = counter;
			*room_io -= size;
		}
	}
	buf_release(&card);
}

/* His receiving keys are not known, or have come to their end: our card goes
 * to his other key, and his card comes back. */
bool
parcel_cut_request(struct exchange *x, struct lane *l)
{
	struct neighbour *nb = l->target->neighbour;
	struct buf card = BUF_INIT;
	struct parcel p;
	bool good = false;

	parcel_init(&p);
	p.request = true;
	p.card = hooks_of(x)->our_card(x->transit->ctx, &card);
	if (p.card != 0)
		good = parcel_record(x, l, &p);
	nb->request_ms = clock_mono_ms(x->clock) + (int64_t)backoff_secs(x,
	    ++nb->requests, REQUEST_MIN_SECS, REQUEST_MAX_SECS) * 1000;
	nb->may_until_ms = 0;
	parcel_release(&p);
	buf_release(&card);
	return good;
}

bool
parcel_cut_back(struct exchange *x, struct lane *l)
{
	const struct conf_peer *peer = l->target->peer;
	struct buf card = BUF_INIT;
	struct parcel p;
	bool good;

	parcel_init(&p);
	/* Where all is signed, nothing is sealed to a key. */
	p.request = !peer->sign;
	p.back = hooks_of(x)->card_back(x->transit->ctx, peer->name, &card);
	good = parcel_record(x, l, &p);
	if (good)
		hooks_of(x)->gave_back(x->transit->ctx, peer->name);
	parcel_release(&p);
	buf_release(&card);
	return good;
}
