/* SPDX-License-Identifier: ISC */
/*
 * Bodies: reading them, and sweeping the chunks that belong to nothing.
 *
 * Chunks carry the id of their message or broken object.  So what a crash
 * left behind is found by looking each id up once, in no memory to speak of,
 * and nothing needs to be written down about a sweep that is under way.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "spool/spool_impl.h"

#define SWEEP_CHUNKS 15		/* their deletion logs them: under a unit */

struct spool_body {
	struct spool *sp;
	uint64_t id, octets, at;
	uint32_t chunk;		/* the next one */
	bool is_inline;
	struct buf whole;	/* an inline body */
};

static int
damaged(uint64_t id, const char *what, struct err *e)
{
	return err_set(e, ERR_CORRUPT, "spool: %s of %s is damaged", what,
	    message_name(id).s);
}

static int
open_of_message(struct spool_body *b, struct slice value, struct err *e)
{
	struct message m;
	uint32_t crc;
	size_t head;
	int rc;

	message_init(&m);
	rc = message_record_get(value, b->id, &m, &crc);
	b->octets = m.facts.octets;
	message_release(&m);
	if (rc < 0)
		return damaged(b->id, "the record", e);
	b->is_inline = b->octets <= SPOOL_INLINE_MAX;
	if (!b->is_inline)
		return 0;
	head = message_record_head(value);
	if (value.len - head != b->octets ||
	    crc32c(0, value.ptr + head, value.len - head) != crc)
		return damaged(b->id, "the content", e);
	buf_consume(&b->whole, head);
	return 0;
}

static int
open_of_broken(struct spool_body *b, struct slice value, struct err *e)
{
	struct broken broken;
	struct slice content;
	int rc;

	broken_init(&broken);
	rc = broken_record_get(value, b->id, &broken, &content);
	b->octets = broken.octets;
	broken_release(&broken);
	b->is_inline = b->octets <= SPOOL_INLINE_MAX;
	if (rc < 0 || (b->is_inline && content.len != b->octets))
		return damaged(b->id, "the record", e);
	buf_consume(&b->whole, b->whole.len - content.len);
	return 0;
}

int
spool_body_open(struct spool *sp, uint64_t id, struct spool_body **b_out,
    struct err *e)
{
	struct spool_body *b = mem_alloc(1, sizeof(*b));
	struct id_key key = id_key(id);
	int rc;

	b->sp = sp;
	b->id = id;
	rc = store_get(sp->store, STORE_MESSAGE, id_slice(&key), 0, &b->whole,
	    e);
	if (rc == 0) {
		rc = open_of_message(b, buf_slice(&b->whole), e);
	} else if (rc == ERR_NOT_FOUND) {
		rc = store_get(sp->store, STORE_BROKEN, id_slice(&key), 0,
		    &b->whole, e);
		if (rc == 0)
			rc = open_of_broken(b, buf_slice(&b->whole), e);
	}
	if (rc == ERR_NOT_FOUND)
		err_set(e, rc, "spool: there is no %s", message_name(id).s);
	if (rc < 0)
		spool_body_close(b);
	else
		*b_out = b;
	return rc;
}

int
spool_read_chunk(struct spool *sp, uint64_t id, uint32_t n, struct buf *out,
    struct err *e)
{
	struct chunk_key key = chunk_key(id, n);
	int rc = store_get(sp->store, STORE_BODY, chunk_slice(&key), 0,
	    &sp->value, e);
	struct reader r;

	if (rc < 0)
		return rc;
	r = record_open(chunk_slice(&key), buf_slice(&sp->value));
	if (r.failed)
		return damaged(id, "the content", e);
	buf_add(out, r.ptr, r.len);
	return 0;
}

/* A chunk that is gone with its message was deleted, else it is damage. */
static int
explain_missing(struct spool_body *b, struct err *e)
{
	struct id_key key = id_key(b->id);
	struct buf peek = BUF_INIT;
	int rc = store_get(b->sp->store, STORE_MESSAGE, id_slice(&key), 1,
	    &peek, e);

	if (rc == ERR_NOT_FOUND)
		rc = store_get(b->sp->store, STORE_BROKEN, id_slice(&key), 1,
		    &peek, e);
	buf_release(&peek);
	if (rc == 0)
		return damaged(b->id, "the content", e);
	return rc == ERR_NOT_FOUND ? err_set(e, rc,
	    "spool: %s was deleted meanwhile", message_name(b->id).s) : rc;
}

int
spool_body_read(struct spool_body *b, struct buf *out, struct err *e)
{
	uint64_t want = b->octets - b->at;
	size_t before = out->len;
	int rc;

	if (want == 0)
		return 0;
	if (want > SPOOL_CHUNK)
		want = SPOOL_CHUNK;
	if (b->is_inline) {
		buf_addslice(out, buf_slice(&b->whole));
	} else {
		rc = spool_read_chunk(b->sp, b->id, b->chunk++, out, e);
		if (rc == ERR_NOT_FOUND)
			rc = explain_missing(b, e);
		if (rc < 0)
			return rc;
	}
	if (out->len - before != want) {
		buf_truncate(out, before);
		return damaged(b->id, "the content", e);
	}
	b->at += want;
	return 1;
}

void
spool_body_close(struct spool_body *b)
{
	if (b == NULL)
		return;
	buf_release(&b->whole);
	free(b);
}

/* Deletes the chunks of one id from its first on; 1 if some are left. */
static int
sweep_some(struct spool *sp, uint64_t id, struct err *e)
{
	struct chunk_key from = chunk_key(id, 0);
	uint64_t found;
	int rc = 0, n;

	buf_clear(&sp->key);
	buf_addslice(&sp->key, chunk_slice(&from));
	for (n = 0; n < SWEEP_CHUNKS; n++) {
		rc = store_next(sp->store, STORE_BODY, n == 0, &sp->key, 0,
		    NULL, e);
		if (rc < 0)
			break;
		if (sp->key.len < 8 || id_of_key((struct slice){ sp->key.ptr,
		    8 }, &found) < 0 || found != id)
			break;
		rc = store_del(sp->store, STORE_BODY, buf_slice(&sp->key), e);
		if (rc < 0)
			break;
	}
	if (rc == ERR_NOT_FOUND)
		rc = 0;
	return rc < 0 ? rc : n == SWEEP_CHUNKS;
}

int
spool_sweep(struct spool *sp, struct err *e)
{
	int rc, more;

	if (sp->dead.n == 0)
		return 0;
	if ((rc = store_begin(sp->store, e)) < 0)
		return rc;
	more = sweep_some(sp, sp->dead.v[sp->dead.n - 1], e);
	if (more < 0) {
		store_abort(sp->store);
		return more;
	}
	if ((rc = store_commit(sp->store, false, e)) < 0)
		return rc;
	if (more == 0)
		sp->dead.n--;
	return more || sp->dead.n > 0;
}

/* 1 if a message or a broken object has that id. */
static int
has_owner(struct spool *sp, uint64_t id, struct err *e)
{
	struct id_key key = id_key(id);
	int rc = store_get(sp->store, STORE_MESSAGE, id_slice(&key), 1,
	    &sp->value, e);

	if (rc == ERR_NOT_FOUND)
		rc = store_get(sp->store, STORE_BROKEN, id_slice(&key), 1,
		    &sp->value, e);
	if (rc == ERR_NOT_FOUND)
		return 0;
	return rc < 0 ? rc : 1;
}

static int
sweep_all_of(struct spool *sp, uint64_t id, struct err *e)
{
	int rc;

	ids_add(&sp->dead, id);
	while ((rc = spool_sweep(sp, e)) > 0)
		continue;
	return rc;
}

int
spool_sweep_orphans(struct spool *sp, struct err *e)
{
	struct buf at = BUF_INIT;
	struct chunk_key next;
	uint64_t id = 0;
	int rc = 0;

	while (rc >= 0) {
		next = chunk_key(id, UINT32_MAX);
		buf_clear(&at);
		buf_addslice(&at, chunk_slice(&next));
		rc = store_next(sp->store, STORE_BODY, false, &at, 0, NULL, e);
		if (rc < 0)
			break;
		if (at.len < 8 || id_of_key((struct slice){ at.ptr, 8 },
		    &id) < 0)
			rc = err_set(e, ERR_CORRUPT, "spool: a chunk's key "
			    "is damaged");
		else
			rc = has_owner(sp, id, e);
		if (rc == 0)
			rc = sweep_all_of(sp, id, e);
	}
	buf_release(&at);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}
