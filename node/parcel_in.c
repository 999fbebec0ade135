/* SPDX-License-Identifier: ISC */
/*
 * Parcels from neighbours: a first pass over the file says whether it is
 * genuine, and nothing of it is looked at before; a second reads its frames.
 * What cannot be opened leaves no trace but a count and a line in the log.
 */
#include "node/parcel_in.h"

#include <stdlib.h>

#define SLICE_MAX 65536		/* octets between two commits */

/* Of a signed parcel the last octet alone proves that the file is still the
 * one that was checked, so it is held until then. */
#define SIGNED_MAX (4 << 20)

static struct parcel_in *
parcel_in_of(struct inbound *base)
{
	return list_entry(base, struct parcel_in, base);
}

struct inbound *
parcel_in_new(struct exchange *x, struct slice pickup)
{
	struct parcel_in *in = mem_alloc(1, sizeof(*in));

	(void)x;
	(void)pickup;
	return &in->base;
}

void
parcel_in_free(struct inbound *base)
{
	struct parcel_in *in = parcel_in_of(base);

	if (in->opener != NULL) {
		opener_free(in->opener);
		hoard_release(&in->hoard);
	}
	frame_reader_free(in->frames);
	bag_reader_free(in->bag);
	buf_release(&in->plain);
	buf_release(&in->piece);
	free(in->later);
	free(in);
}

/*
 * Who.
 */
static bool
seen(void *ctx, const unsigned char tag[SEAL_TAG_LEN])
{
	struct parcel_in *in = ctx;
	struct slice key = { (const char *)tag, SEAL_TAG_LEN };

	return spool_get_seen(in->base.x->spool, SEEN_PARCEL, key, NULL) == 1;
}

static int
sender(void *ctx, enum seal_kind kind, const unsigned char key[SEAL_KEY_LEN],
    struct open_peer *peer_out, struct err *e)
{
	struct parcel_in *in = ctx;

	return in->given.sender(in->given.ctx, kind, key, peer_out, e);
}

static int
signer(void *ctx, enum seal_kind kind, const char *site,
    unsigned char public_out[SEAL_KEY_LEN], struct open_peer *peer_out,
    struct err *e)
{
	struct parcel_in *in = ctx;

	return in->given.signer(in->given.ctx, kind, site, public_out,
	    peer_out, e);
}

/* Once: with what it is opened. */
static int
start(struct parcel_in *in, struct err *e)
{
	struct exchange *x = in->base.x;
	struct transit *tr = x->transit;
	struct open_with with;
	int rc;

	if (in->opener != NULL)
		return 0;
	if (!spool_has_room(x->spool))
		return err_set(e, ERR_FULL, "the spool is full");
	in->nb = neighbour_find(x, in->base.peer);
	if (in->nb == NULL || tr->hooks == NULL)
		return err_set(e, ERR_FULL, "there are no keys yet");
	memset(&in->given, 0, sizeof(in->given));
	rc = tr->hooks->open_with(tr->ctx, in->base.peer, &in->given, e);
	if (rc != 0)
		return err_set(e, ERR_FULL, "there are no keys to open it");
	with = in->given;
	with.kinds = SEAL_BIT(SEAL_PARCEL) | SEAL_BIT(SEAL_REQUEST);
	with.site = x->conf->site;
	with.seen = seen;
	with.sender = in->given.sender != NULL ? sender : NULL;
	with.signer = in->given.signer != NULL ? signer : NULL;
	with.ctx = in;
	in->opener = opener_new(&with);
	hoard_init(&in->hoard, x, in->nb);
	return 0;
}

/*
 * How it ends badly.
 */

/* It cannot be taken now. */
static int
later(struct parcel_in *in, const struct err *e)
{
	if (!in->failed)
		in->later = mem_strdup(e->text);
	in->failed = true;
	return e->code == ERR_FULL ? ERR_FULL : ERR_IO;
}

static void
set_aside(struct parcel_in *in, const char *reason)
{
	if (in->base.reason == NULL)
		in->base.reason = mem_strdup(reason);
	in->aside = true;
}

/* Pass 1 says no. */
static int
not_genuine(struct parcel_in *in, const struct err *e)
{
	enum open_fault fault = opener_fault(in->opener);

	if (fault == OPEN_REPLAYED)
		in->replayed = true;
	set_aside(in, e->text);
	return e->code;
}

/*
 * Pass 2.
 */
static int
read_request(struct parcel_in *in, struct err *e)
{
	struct transit *tr = in->base.x->transit;
	struct bag_event ev;
	size_t used;
	int rc;

	for (;;) {
		rc = bag_reader_next(in->bag, in->plain.ptr, in->plain.len,
		    &used, &ev, e);
		if (rc == 1 && ev.kind == BAG_EVENT_CARD) {
			tr->hooks->card(tr->ctx, in->base.peer, ev.bytes,
			    true);
			in->nb->card_asked = true;
			in->nb->may_until_ms = 0;
			in->nb->card_cut = 0;
		}
		buf_consume(&in->plain, used);
		if (rc != 1)
			return rc;
	}
}

/* Of the first len octets; 0, or what the spool or the frames are refused
 * for. */
static int
read_frames(struct parcel_in *in, size_t len, bool *spool_out, struct err *e)
{
	struct frame f;
	size_t used;
	int rc;

	*spool_out = false;
	if (in->bag != NULL)
		return read_request(in, e);
	for (;;) {
		rc = frame_reader_next(in->frames, in->plain.ptr, len, &used,
		    &f, e);
		if (rc == 1) {
			rc = parcel_take_frame(in, &f, e);
			*spool_out = rc != 0;
			rc = rc == 0 ? 1 : rc;
		}
		buf_consume(&in->plain, used);
		len -= used;
		if (rc != 1)
			return rc;
	}
}

/* Reads some of what has come, and commits it: between two turns of the event
 * loop nothing is half done. */
static int
take_slice(struct parcel_in *in, struct err *e)
{
	size_t len = in->plain.len < SLICE_MAX ? in->plain.len : SLICE_MAX;
	bool spool;
	int rc = read_frames(in, len, &spool, e);

	if (rc < 0 && spool)
		return later(in, e);
	if (rc < 0)
		set_aside(in, e->text);
	if (hoard_commit(&in->hoard, false, e) != 0)
		return later(in, e);
	/* Sets are found again. */
	if (in->mode == TAKE_FRAGMENT)
		in->one = NULL;
	return rc;
}

static int
take_plain(struct parcel_in *in, struct err *e)
{
	int rc = 0;

	while (rc == 0 && in->plain.len > 0)
		rc = take_slice(in, e);
	return rc;
}

static void
begin_second(struct parcel_in *in)
{
	opener_rewind(in->opener);
	in->rewound = true;
	if (opener_kind(in->opener) == SEAL_REQUEST)
		in->bag = bag_reader_new(BAG_REQUEST);
	else
		in->frames = frame_reader_new();
}

/* Whatever is wrong inside, this sealing has been read. */
static void
remember(struct parcel_in *in)
{
	struct transit *tr = in->base.x->transit;

	memcpy(in->hoard.tag, opener_tag(in->opener), sizeof(in->hoard.tag));
	in->hoard.tag_secs = tr->hooks->key_end_secs(tr->ctx,
	    opener_key_id(in->opener));
	if (in->hoard.tag_secs == 0)
		in->hoard.tag_secs = now_secs(in->base.x) +
		    in->base.x->conf->ledger_secs;
}

static int
second_add(struct parcel_in *in, const char *bytes, size_t len, struct err *e)
{
	if (!in->rewound)
		begin_second(in);
	if (opener_read(in->opener, bytes, len, &in->plain, e) != 0)
		return later(in, e);	/* the file has changed */
	return opener_signed(in->opener) ? 0 : take_plain(in, e);
}

int
parcel_in_add(struct inbound *base, const char *bytes, size_t len,
    struct err *e)
{
	struct parcel_in *in = parcel_in_of(base);
	size_t n;
	int rc = start(in, e);

	if (rc != 0)
		return later(in, e);
	while (rc == 0 && len > 0) {
		n = len < SLICE_MAX ? len : SLICE_MAX;
		if (in->second) {
			rc = second_add(in, bytes, n, e);
		} else {
			rc = opener_verify(in->opener, bytes, n, e);
			rc = rc != 0 ? not_genuine(in, e) : 0;
		}
		bytes += n;
		len -= n;
	}
	return rc;
}

/*
 * The end.
 */
static enum inbound_outcome
refused(struct parcel_in *in)
{
	struct exchange *x = in->base.x;
	struct transit *tr = x->transit;
	enum open_fault fault = opener_fault(in->opener);
	unsigned untold;

	if (in->replayed)
		tr->counters.replayed++;
	else
		tr->counters.forged++;
	if (may_tell(x, &in->nb->forged, &untold))
		log_event(x->log, LOG_LEVEL_WARNING, "parcel-refused",
		    "peer", in->base.peer, "name", in->base.name,
		    "fault", fault == OPEN_GOOD ? "content" :
		    open_fault_name(fault), "reason", in->base.reason,
		    "untold", untold > 0 ? num_str(untold).s : NULL, NULL);
	return in->replayed ? INBOUND_DUPLICATE : INBOUND_ASIDE;
}

static enum inbound_outcome
kept(struct parcel_in *in)
{
	log_event(in->base.x->log, LOG_LEVEL_WARNING, "object-later",
	    "peer", in->base.peer, "name", in->base.name, "reason",
	    in->later, NULL);
	return INBOUND_LATER;
}

static enum inbound_outcome
end_first(struct parcel_in *in)
{
	struct err e = ERR_INIT;

	if (opener_verify_end(in->opener, &e) != 0) {
		(void)not_genuine(in, &e);
		return refused(in);
	}
	in->second = true;
	if (opener_signed(in->opener) &&
	    opener_plain_octets(in->opener) > SIGNED_MAX) {
		set_aside(in, "a signed parcel of more than 4 MiB");
		return refused(in);
	}
	return INBOUND_AGAIN;
}

static void
received(struct parcel_in *in)
{
	struct exchange *x = in->base.x;

	x->transit->counters.parcels_in++;
	x->counters.objects_in++;
	in->nb->target->last_received_ms = clock_wall_ms(x->clock);
	if (in->bundles + in->fragments > 0)
		answer_brought(x, in->nb->target);
	log_event(x->log, LOG_LEVEL_INFO, "parcel-received", "peer",
	    in->base.peer, "name", in->base.name,
	    "bundles", num_str(in->bundles).s,
	    "fragments", num_str(in->fragments).s,
	    "acks", num_str(in->acks).s, NULL);
}

/* What was fed has been read, up to its end or to what is wrong in it: this
 * sealing is remembered, and all of it is durable. */
static enum inbound_outcome
close_second(struct parcel_in *in)
{
	struct err e = ERR_INIT;

	remember(in);
	if (hoard_commit(&in->hoard, true, &e) != 0) {
		(void)later(in, &e);
		return kept(in);
	}
	if (in->aside)
		return refused(in);
	received(in);
	return INBOUND_DONE;
}

static enum inbound_outcome
end_second(struct parcel_in *in)
{
	struct err e = ERR_INIT;
	int rc;

	if (in->aside)
		return close_second(in);
	if (!in->rewound)
		begin_second(in);
	if (opener_read_end(in->opener, &in->plain, &e) != 0) {
		(void)later(in, &e);
		return kept(in);
	}
	rc = take_plain(in, &e);
	if (rc == 0)
		rc = in->bag != NULL ? bag_reader_end(in->bag, &e) :
		    frame_reader_end(in->frames, &e);
	if (in->failed)
		return kept(in);
	if (rc != 0)
		set_aside(in, e.text);
	return close_second(in);
}

enum inbound_outcome
parcel_in_end(struct inbound *base)
{
	struct parcel_in *in = parcel_in_of(base);
	struct err e = ERR_INIT;

	if (!in->failed && start(in, &e) != 0)
		(void)later(in, &e);
	if (in->failed)
		return kept(in);
	in->base.x->dirty = true;
	if (in->second)
		return end_second(in);
	return in->aside ? refused(in) : end_first(in);
}
