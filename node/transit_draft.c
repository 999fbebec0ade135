/* SPDX-License-Identifier: ISC */
/*
 * Bundles that are made here, and those that were read here: their way into
 * the hop layer and out of it.  A small bundle costs its record and one piece,
 * in its maker's transaction; of a larger one all but the last piece is
 * written before, unsynchronised, under a number that no record has yet.
 */
#include "node/transit_private.h"

#include <stdlib.h>

#define HOPS_LEAST 16		/* of 16..31: what is left tells little */
#define PRIORITY_BOUND 9

struct transit_draft {
	struct exchange *x;
	struct bundle b;
	struct sha256 hash;
	struct buf piece;
	uint64_t piece_at;
	uint64_t number;		/* taken for it; 0: none yet */
};

int
transit_begin(struct exchange *x, const struct transit_new *n,
    struct transit_draft **out, struct err *e)
{
	struct transit_draft *d;
	uint64_t now = now_secs(x);

	if (n->priority < -PRIORITY_BOUND || n->priority > PRIORITY_BOUND)
		return err_set(e, ERR_LIMIT, "a priority of %d", n->priority);
	d = mem_alloc(1, sizeof(*d));
	d->x = x;
	bundle_init(&d->b);
	d->b.role = BUNDLE_LEAVING;
	d->b.direct = n->direct;
	d->b.destination = mem_strdup(n->destination);
	d->b.priority = n->priority;
	d->b.hops = n->direct ? 0 : n->hops != 0 ? n->hops :
	    HOPS_LEAST + (unsigned)rng_below(x->rng, HOPS_LEAST);
	d->b.born_secs = now;
	d->b.expire_secs = now + n->lifetime_secs;
	d->b.epoch = n->epoch;
	d->b.serial = n->serial;
	sha256_init(&d->hash);
	*out = d;
	return 0;
}

static int
put_piece(struct transit_draft *d, struct spool_unit *u, struct err *e)
{
	int rc = 0;

	if (d->number == 0)
		rc = spool_take_bundle_id(u, &d->number, e);
	if (rc == 0)
		rc = spool_put_piece(u, d->number, d->piece_at,
		    buf_slice(&d->piece), e);
	return rc;
}

static int
write_piece(struct transit_draft *d, struct err *e)
{
	struct spool_unit *u;
	uint64_t number = d->number;
	int rc = spool_begin(d->x->spool, &u, e);

	if (rc != 0)
		return rc;
	spool_unit_use_reserve(u);
	rc = put_piece(d, u, e);
	if (rc == 0)
		rc = spool_commit(u, false, e);
	else
		spool_abort(u);
	if (rc != 0) {
		d->number = number;
		return rc;
	}
	d->piece_at += d->piece.len;
	buf_clear(&d->piece);
	return 0;
}

int
transit_add(struct transit_draft *d, const void *bytes, size_t len,
    struct err *e)
{
	const char *at = bytes;
	size_t n;
	int rc = 0;

	sha256_add(&d->hash, bytes, len);
	while (rc == 0 && len > 0) {
		if (d->piece.len == SPOOL_PIECE_MAX)
			rc = write_piece(d, e);
		if (rc != 0)
			break;
		n = SPOOL_PIECE_MAX - d->piece.len;
		n = n < len ? n : len;
		buf_add(&d->piece, at, n);
		d->b.octets += n;
		at += n;
		len -= n;
	}
	return rc;
}

uint64_t
transit_draft_octets(const struct transit_draft *d)
{
	return d->b.octets;
}

int
transit_end(struct transit_draft *d, struct spool_unit *u, uint64_t *id_out,
    unsigned char name_out[TRANSIT_NAME_LEN], struct err *e)
{
	unsigned char digest[SHA256_LEN];
	uint64_t number = d->number;
	int rc;

	if (d->b.octets == 0)
		return err_set(e, ERR_STATE, "a bundle of no octets");
	sha256_end(&d->hash, digest);
	memcpy(d->b.name, digest, sizeof(d->b.name));
	spool_unit_use_reserve(u);
	rc = put_piece(d, u, e);
	d->b.id = d->number;
	if (rc == 0)
		rc = spool_put_bundle(u, &d->b, e);
	*id_out = d->b.id;
	memcpy(name_out, d->b.name, TRANSIT_NAME_LEN);
	/* Where it was taken in this unit it goes with the unit. */
	d->number = number;
	return rc;
}

static void
draft_free(struct transit_draft *d)
{
	bundle_release(&d->b);
	buf_release(&d->piece);
	free(d);
}

void
transit_ended(struct transit_draft *d, bool committed)
{
	struct exchange *x = d->x;
	struct passage *p;

	if (!committed) {
		transit_abort(d);
		return;
	}
	p = passage_new(x, &d->b);
	passage_route(x, p);
	passage_place(x, p);
	log_event(x->log, LOG_LEVEL_DEBUG, "bundle-queued", "bundle",
	    bundle_text(p->b.name).s, "destination", p->b.destination,
	    "octets", num_str(p->b.octets).s, NULL);
	x->dirty = true;
	draft_free(d);
}

void
transit_abort(struct transit_draft *d)
{
	if (d->number != 0)
		spool_drop_bundle_id(d->x->spool, d->number);
	draft_free(d);
}

/*
 * Taking back and consuming.
 */
int
transit_withdraw(struct exchange *x, struct spool_unit *u, uint64_t id,
    struct err *e)
{
	if (map_get_u64(x->transit->by_id, id) == NULL)
		return 0;
	return spool_del_bundle(u, id, e);
}

void
transit_withdrawn(struct exchange *x, uint64_t id)
{
	struct passage *p = map_get_u64(x->transit->by_id, id);

	if (p != NULL)
		passage_free(x, p);
	x->dirty = true;
}

int
transit_read(struct exchange *x, uint64_t id, uint64_t offset,
    struct buf *out, struct err *e)
{
	struct passage *p = map_get_u64(x->transit->by_id, id);
	int rc;

	if (p == NULL)
		return err_set(e, ERR_NOT_FOUND, "no bundle %llu",
		    (unsigned long long)id);
	if (offset >= p->b.octets)
		return 0;
	rc = spool_read_piece(x->spool, id, offset, out, e);
	if (rc == 0)
		return err_set(e, ERR_CORRUPT, "bundle %s: a piece of it is "
		    "missing", bundle_text(p->b.name).s);
	return rc;
}

int
transit_consume(struct exchange *x, struct spool_unit *u, uint64_t id,
    struct err *e)
{
	struct passage *p = map_get_u64(x->transit->by_id, id);

	if (p == NULL)
		return 0;
	return passage_end(x, u, &p->b, e);
}

void
transit_consumed(struct exchange *x, uint64_t id)
{
	transit_withdrawn(x, id);
}
