/* SPDX-License-Identifier: ISC */
/*
 * Bodies: reading them, whole in their record or chunk by chunk.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "spool/spool_impl.h"

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

/* One chunk, checked, appended to out. */
static int
read_chunk(struct spool *sp, uint64_t id, uint32_t n, struct buf *out,
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
		rc = read_chunk(b->sp, b->id, b->chunk++, out, e);
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
