/* SPDX-License-Identifier: ISC */
/*
 * The octets of a parcel: acknowledgements and card first, then the pieces of
 * bundles, read from the spool as they are sealed, then zeros up to its shape.
 * Each making is another sealing.  So a parcel is made once; if its file is
 * gone, or a bundle in it, it is taken back, and what was in it goes with
 * others.
 */
#include <stdlib.h>

#include "base/secret.h"
#include "bundle/bag.h"
#include "bundle/frame.h"
#include "bundle/seal.h"
#include "node/transit_private.h"

#define PIECE 65536
#define PAUSE_MS 1000		/* before the next is tried */

struct parcel_out {
	struct outbound base;
	struct parcel parcel;
	char *peer;
	/* Keys of our own, wiped at the end. */
	unsigned char remote[SEAL_KEY_LEN], secret[SEAL_KEY_LEN];
	unsigned char psk[SEAL_KEY_LEN], sign_secret[SEAL_KEY_LEN];
	struct seal_to to;
	struct sealer *sealer;
	struct buf head;	/* what stands before the pieces */
	struct buf text, made;
	size_t piece;		/* at hand */
	uint64_t at;		/* octets of it that are sealed */
	bool begun;		/* its head is */
	uint64_t zeros;
	bool finished;
};

static struct parcel_out *
parcel_out_of(struct outbound *base)
{
	return list_entry(base, struct parcel_out, base);
}

static int
keep(void *ctx, const char *bytes, size_t len, struct err *e)
{
	struct parcel_out *po = ctx;

	(void)e;
	buf_add(&po->made, bytes, len);
	return 0;
}

static int
keep_head(void *ctx, const char *bytes, size_t len, struct err *e)
{
	struct parcel_out *po = ctx;

	(void)e;
	buf_add(&po->head, bytes, len);
	return 0;
}

/*
 * Beginning.
 */
static const unsigned char *
copy_key(unsigned char own[SEAL_KEY_LEN], const unsigned char *key)
{
	if (key == NULL)
		return NULL;
	memcpy(own, key, SEAL_KEY_LEN);
	return own;
}

static int
take_keys(struct parcel_out *po, const char *peer, struct err *e)
{
	struct exchange *x = po->base.x;
	struct transit *tr = x->transit;
	struct seal_to *to = &po->to;
	int rc;

	if (tr->hooks == NULL)
		return err_set(e, ERR_STATE, "no keys yet");
	rc = tr->hooks->seal_to(tr->ctx, peer, po->parcel.request, to, e);
	if (rc != 0)
		return rc;
	to->kind = po->parcel.request ? SEAL_REQUEST : SEAL_PARCEL;
	to->destination = po->peer;
	to->origin = x->conf->site;
	to->rng = x->rng;
	to->remote = copy_key(po->remote, to->remote);
	to->secret = copy_key(po->secret, to->secret);
	to->psk = copy_key(po->psk, to->psk);
	to->sign_secret = copy_key(po->sign_secret, to->sign_secret);
	return 0;
}

static int
write_request(struct parcel_out *po, struct slice card, struct err *e)
{
	struct bag_writer *w = bag_writer_new(BAG_REQUEST, keep_head, po);
	int rc = bag_writer_card(w, card, e);

	if (rc == 0)
		rc = bag_writer_finish(w, e);
	bag_writer_free(w);
	return rc;
}

static bool
has_card(const struct parcel_out *po, struct buf *card)
{
	const struct transit *tr = po->base.x->transit;

	if (po->parcel.back != 0)
		return tr->hooks->card_back(tr->ctx, po->peer, card) ==
		    po->parcel.back;
	return tr->hooks->our_card(tr->ctx, card) == po->parcel.card;
}

static int
write_card(struct parcel_out *po, struct err *e)
{
	struct frame f = { .kind = FRAME_SITE };
	struct buf card = BUF_INIT;
	int rc = 0;

	if (po->parcel.card == 0 && po->parcel.back == 0)
		return 0;
	if (!has_card(po, &card))
		rc = err_set(e, ERR_STATE, "the card is another by now");
	else if (po->parcel.request)
		rc = write_request(po, buf_slice(&card), e);
	else {
		f.bytes = buf_slice(&card);
		rc = frame_put(&po->head, &f, e);
	}
	buf_release(&card);
	return rc;
}

static int
write_head(struct parcel_out *po, struct err *e)
{
	struct frame_range range[FRAME_RANGES_MAX];
	struct frame f;
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < po->parcel.nacks; i++) {
		parcel_ack_frame(&po->parcel.ack[i], &f, range);
		rc = frame_put(&po->head, &f, e);
	}
	return rc == 0 ? write_card(po, e) : rc;
}

/* The head of the piece, in po->text; the bundle must still be there. */
static int
piece_head(struct parcel_out *po, const struct parcel_piece *piece,
    struct err *e)
{
	struct exchange *x = po->base.x;
	struct passage *p = map_get_u64(x->transit->by_id, piece->id);
	struct frame f;

	if (p == NULL || p->b.role != BUNDLE_LEAVING)
		return err_set(e, ERR_NOT_FOUND, "a bundle in it is gone");
	parcel_frame(x, &p->b, piece->offset, piece->octets, &f);
	buf_clear(&po->text);
	return frame_put(&po->text, &f, e);
}

static int
measure(struct parcel_out *po, struct err *e)
{
	const struct conf_peer *peer = conf_find_peer(po->base.x->conf,
	    po->peer);
	uint64_t plain = po->head.len;
	size_t i;
	int rc = 0;

	if (peer == NULL)
		return err_set(e, ERR_NOT_FOUND, "the peer is gone from the "
		    "configuration");
	for (i = 0; rc == 0 && i < po->parcel.npieces; i++) {
		rc = piece_head(po, &po->parcel.piece[i], e);
		plain += po->text.len + po->parcel.piece[i].octets;
	}
	if (rc == 0)
		rc = seal_padding(&po->to, &peer->shape, plain, &po->zeros,
		    e);
	return rc;
}

static int
begin(struct parcel_out *po, struct err *e)
{
	const struct object *o = &po->base.object;
	int rc = parcel_parse(o->params, &po->parcel, e);

	if (rc == 0 && o->status != OBJECT_CUT)
		rc = err_set(e, ERR_STATE, "its file is gone");
	if (rc == 0)
		rc = take_keys(po, po->peer, e);
	if (rc == 0)
		rc = write_head(po, e);
	if (rc == 0)
		rc = measure(po, e);
	return rc;
}

/* What was in it waits again.  This is no damage, whatever the reason: what is
 * damaged was lost with its bundle. */
static int
give_up(struct exchange *x, uint64_t object, struct err *e)
{
	int64_t pause = clock_mono_ms(x->clock) + PAUSE_MS;
	struct cut *c = map_get_u64(x->cuts, object);
	struct err e2 = ERR_INIT;

	if (c == NULL)
		return err_set(e, ERR_NOT_FOUND, "it was taken back meanwhile");
	if (c->lane->pause_ms < pause)
		c->lane->pause_ms = pause;
	log_event(x->log, LOG_LEVEL_INFO, "parcel-taken-back", "peer",
	    c->lane->target->name, "name", c->name, "reason", e->text,
	    "transport", lane_word(c->lane), NULL);
	if (cut_withdraw(x, c, &e2) != 0)
		return err_set(e, e2.code, "%s", e2.text);
	return err_set(e, ERR_NOT_FOUND, "it was taken back");
}

int
parcel_out_new(struct exchange *x, struct object *o, struct outbound **ob_out,
    struct err *e)
{
	struct parcel_out *po = mem_alloc(1, sizeof(*po));
	int rc;

	po->base.dialect = &parcel_dialect;
	po->base.x = x;
	po->base.object = *o;
	po->peer = mem_strndup(o->road, strcspn(o->road, "/"));
	rc = begin(po, e);
	if (rc != 0) {
		rc = give_up(x, o->id, e);
		object_init(&po->base.object);	/* still the caller's */
		parcel_out_free(&po->base);
		return rc;
	}
	po->sealer = sealer_new(&po->to, keep, po);
	*ob_out = &po->base;
	return 0;
}

void
parcel_out_free(struct outbound *base)
{
	struct parcel_out *po = parcel_out_of(base);

	if (po->sealer != NULL)
		sealer_free(po->sealer);
	object_release(&po->base.object);
	parcel_release(&po->parcel);
	free(po->peer);
	buf_release(&po->head);
	buf_release(&po->text);
	buf_release(&po->made);
	secret_wipe(po, sizeof(*po));
	free(po);
}

/*
 * Sealing.
 */
static int
seal(struct parcel_out *po, struct buf *bytes, struct err *e)
{
	int rc = sealer_add(po->sealer, bytes->ptr, bytes->len, e);

	buf_clear(bytes);
	return rc;
}

/* The bundle's octets are damaged: it fails alone. */
static int
damaged(struct parcel_out *po, uint64_t id, struct err *e)
{
	struct exchange *x = po->base.x;
	struct passage *p = map_get_u64(x->transit->by_id, id);
	struct err e2 = ERR_INIT;

	if (p != NULL && passage_lose(x, p, "its octets are damaged in the "
	    "spool", &e2) != 0)
		return err_set(e, e2.code, "%s", e2.text);
	return ERR_CORRUPT;
}

static int
seal_octets(struct parcel_out *po, const struct parcel_piece *piece,
    struct err *e)
{
	uint64_t left = piece->octets - po->at;
	int rc;

	buf_clear(&po->text);
	rc = spool_read_piece(po->base.x->spool, piece->id,
	    piece->offset + po->at, &po->text, e);
	if (rc == 0 || rc == ERR_CORRUPT)
		return damaged(po, piece->id, e);
	if (rc < 0)
		return rc;
	if (po->text.len > left)
		buf_truncate(&po->text, (size_t)left);
	po->at += po->text.len;
	return seal(po, &po->text, e);
}

static int
seal_piece(struct parcel_out *po, struct err *e)
{
	const struct parcel_piece *piece = &po->parcel.piece[po->piece];
	int rc;

	if (!po->begun) {
		po->begun = true;
		po->at = 0;
		rc = piece_head(po, piece, e);
		return rc == 0 ? seal(po, &po->text, e) : rc;
	}
	if (po->at < piece->octets)
		return seal_octets(po, piece, e);
	po->begun = false;
	po->piece++;
	return 0;
}

static int
seal_zeros(struct parcel_out *po, struct err *e)
{
	static const char zeros[PIECE];
	size_t n = po->zeros < PIECE ? (size_t)po->zeros : PIECE;

	po->zeros -= n;
	po->base.x->transit->counters.padding_out += n;
	return sealer_add(po->sealer, zeros, n, e);
}

static int
step(struct parcel_out *po, struct err *e)
{
	if (po->head.len > 0)
		return seal(po, &po->head, e);
	if (po->piece < po->parcel.npieces)
		return seal_piece(po, e);
	if (po->zeros > 0)
		return seal_zeros(po, e);
	po->finished = true;
	return sealer_finish(po->sealer, e);
}

int
parcel_out_read(struct outbound *base, struct buf *out, struct err *e)
{
	struct parcel_out *po = parcel_out_of(base);
	int rc = 0;

	while (rc == 0 && !po->finished && po->made.len < PIECE)
		rc = step(po, e);
	if (rc == ERR_IO && store_failed(spool_store(po->base.x->spool)))
		return rc;
	if (rc != 0)
		return give_up(po->base.x, po->base.object.id, e);
	if (po->made.len == 0)
		return 0;
	buf_addslice(out, buf_slice(&po->made));
	buf_clear(&po->made);
	return 1;
}
