/* SPDX-License-Identifier: ISC */
/*
 * Bundles and their pieces.
 *
 * A piece stands under its bundle's number and the offset at which it *ends*:
 * so the piece that covers an offset is the first one above it, which is a
 * single step forward in either engine.  Where it begins follows from its
 * length.
 */
#include <stdlib.h>

#include "base/text.h"
#include "spool/kept.h"

#define PIECE_FRONT 4		/* the CRC */

int
spool_get_bundle(struct spool *sp, uint64_t id, struct bundle *b_out,
    struct err *e)
{
	bundle_init(b_out);
	return kept_get_id(sp, &kept_bundle, id, b_out, e);
}

int
spool_next_bundle(struct spool *sp, uint64_t *id_io, struct bundle *b_out,
    struct err *e)
{
	bundle_init(b_out);
	return kept_next_id(sp, &kept_bundle, id_io, b_out, e);
}

int
spool_put_bundle(struct spool_unit *u, struct bundle *b, struct err *e)
{
	int rc;

	if (!bundle_ranges_valid(b->range, b->nranges, b->octets))
		return err_set(e, ERR_STATE, "spool: the ranges of bundle %s "
		    "are in disorder", message_name(b->id).s);
	rc = b->id == 0 ? spool_take_bundle_id(u, &b->id, e) :
	    counter_cover(u->sp, &u->sp->bundles, b->id, e);
	return rc < 0 ? rc : kept_put(u, &kept_bundle, b, e);
}

int
spool_del_bundle(struct spool_unit *u, uint64_t id, struct err *e)
{
	struct id_key key = id_key(id);

	ids_add(&u->dead_bundles, id);
	return store_del(u->sp->store, STORE_BUNDLE, id_slice(&key), e);
}

int
spool_take_bundle_id(struct spool_unit *u, uint64_t *id_out, struct err *e)
{
	return counter_take(u->sp, &u->sp->bundles, id_out, e);
}

void
spool_drop_bundle_id(struct spool *sp, uint64_t id)
{
	ids_add(&sp->dead_bundles, id);
}

static void
piece_key(struct buf *out, uint64_t id, uint64_t end)
{
	buf_clear(out);
	buf_put64(out, id);
	buf_put64(out, end);
}

static int
check_piece(struct spool_unit *u, uint64_t offset, struct slice bytes,
    struct err *e)
{
	if (bytes.len == 0 || bytes.len > SPOOL_PIECE_MAX ||
	    bytes.len > UINT64_MAX - offset)
		return err_set(e, ERR_LIMIT, "spool: a piece of %zu octets at "
		    "%llu, it may have 1 to %d", bytes.len,
		    (unsigned long long)offset, SPOOL_PIECE_MAX);
	if (u->octets >= SPOOL_UNIT_MAX)
		return err_set(e, ERR_LIMIT, "spool: a unit takes %d octets, "
		    "another piece is too much", SPOOL_UNIT_MAX);
	return 0;
}

int
spool_put_piece(struct spool_unit *u, uint64_t id, uint64_t offset,
    struct slice bytes, struct err *e)
{
	struct spool *sp = u->sp;
	int rc = check_piece(u, offset, bytes, e);

	if (rc < 0)
		return rc;
	piece_key(&sp->key, id, offset + bytes.len);
	record_begin(&sp->value);
	buf_addslice(&sp->value, bytes);
	record_end(&sp->value, buf_slice(&sp->key));
	u->adds = true;
	return unit_put(u, STORE_PIECE, buf_slice(&sp->key),
	    buf_slice(&sp->value), e);
}

static int
damaged(uint64_t id, uint64_t offset, struct err *e)
{
	return err_set(e, ERR_CORRUPT, "spool: bundle %s is damaged at octet "
	    "%llu", message_name(id).s, (unsigned long long)offset);
}

int
spool_read_piece(struct spool *sp, uint64_t id, uint64_t offset,
    struct buf *out, struct err *e)
{
	struct reader key, r;
	uint64_t start, end;
	int rc;

	piece_key(&sp->key, id, offset);
	rc = store_next(sp->store, STORE_PIECE, false, &sp->key, 0,
	    &sp->value, e);
	if (rc < 0)
		return rc == ERR_NOT_FOUND ? 0 : rc;
	key = reader_of(sp->key.ptr, sp->key.len);
	if (read64(&key) != id)
		return 0;
	end = read64(&key);
	if (record_finish(&key) < 0 || sp->value.len <= PIECE_FRONT ||
	    sp->value.len - PIECE_FRONT > end)
		return damaged(id, offset, e);
	start = end - (sp->value.len - PIECE_FRONT);
	if (start > offset)
		return 0;
	r = record_open(buf_slice(&sp->key), buf_slice(&sp->value));
	if (r.failed)
		return damaged(id, offset, e);
	buf_add(out, r.ptr + (offset - start), (size_t)(end - offset));
	return 1;
}

int
bundle_each(struct spool *sp, uint64_t id, uint64_t from, uint64_t to,
    bundle_sink *fn, void *ctx, struct err *e)
{
	struct buf b = BUF_INIT;
	int rc = 0;

	while (from < to && rc == 0) {
		buf_clear(&b);
		rc = spool_read_piece(sp, id, from, &b, e);
		if (rc == 0)
			rc = err_set(e, ERR_CORRUPT, "spool: bundle %s lacks "
			    "its octets from %llu on", message_name(id).s,
			    (unsigned long long)from);
		if (rc < 0)
			break;
		if (b.len > to - from)
			buf_truncate(&b, (size_t)(to - from));
		from += b.len;
		rc = fn(ctx, buf_slice(&b), e);
	}
	buf_release(&b);
	return rc;
}

void
spool_unit_use_reserve(struct spool_unit *u)
{
	u->reserve = true;
}
