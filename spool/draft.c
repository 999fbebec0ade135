/* SPDX-License-Identifier: ISC */
/*
 * Drafts: content on its way in.  A small one stays in memory and goes into
 * the message's own record.  A larger one is written chunk by chunk as it
 * comes, each in a short transaction that nobody waits for; it is nothing
 * until a record names it, and is swept if none ever does.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "spool/spool_impl.h"

struct spool_draft *
spool_draft_new(struct spool *sp)
{
	struct spool_draft *d = mem_alloc(1, sizeof(*d));

	d->sp = sp;
	content_scanner_init(&d->scan);
	return d;
}

/* The first chunk takes the id that the message will have. */
static int
put_chunk(struct spool_draft *d, size_t len, struct err *e)
{
	struct spool *sp = d->sp;
	struct chunk_key key;
	uint64_t id = d->id;
	int rc = 0;

	if (id == 0)
		rc = counter_take(sp, &sp->messages, &id, e);
	if (rc < 0)
		return rc;
	key = chunk_key(id, d->chunks);
	record_begin(&sp->value);
	buf_add(&sp->value, d->held.ptr, len);
	record_end(&sp->value, chunk_slice(&key));
	rc = store_put(sp->store, STORE_BODY, chunk_slice(&key),
	    buf_slice(&sp->value), e);
	d->id = id;
	return rc;
}

static int
write_chunk(struct spool_draft *d, size_t len, struct err *e)
{
	struct spool *sp = d->sp;
	int rc = spool_check_room(sp, len, e);

	if (rc < 0 || (rc = store_begin(sp->store, e)) < 0)
		return rc;
	rc = put_chunk(d, len, e);
	if (rc < 0)
		store_abort(sp->store);
	else
		rc = store_commit(sp->store, false, e);
	counter_settle(&sp->messages, rc == 0);
	if (rc < 0)
		return rc;
	d->chunks++;
	buf_consume(&d->held, len);
	return 0;
}

int
spool_draft_add(struct spool_draft *d, const char *bytes, size_t len,
    struct err *e)
{
	int rc = 0;

	if (d->failed || d->ended)
		return err_set(e, ERR_STATE, "spool: the draft is closed");
	content_scanner_add(&d->scan, bytes, len);
	while (len > 0 && rc == 0) {
		size_t n = SPOOL_CHUNK - d->held.len;

		if (n > len)
			n = len;
		buf_add(&d->held, bytes, n);
		bytes += n;
		len -= n;
		if (d->held.len == SPOOL_CHUNK)
			rc = write_chunk(d, SPOOL_CHUNK, e);
	}
	d->failed = rc < 0;
	return rc;
}

int
spool_draft_end(struct spool_draft *d, struct err *e)
{
	int rc = 0;

	if (d->failed || d->ended)
		return err_set(e, ERR_STATE, "spool: the draft is closed");
	content_scanner_end(&d->scan);
	if (d->held.len > SPOOL_INLINE_MAX ||
	    (d->chunks > 0 && d->held.len > 0))
		rc = write_chunk(d, d->held.len, e);
	d->ended = rc == 0;
	d->failed = rc < 0;
	return rc;
}

const struct content_facts *
spool_draft_facts(const struct spool_draft *d)
{
	return &d->scan.facts;
}

void
spool_draft_free(struct spool_draft *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; d->unit != NULL && i < d->unit->nadded; i++)
		if (d->unit->added[i].draft == d)
			d->unit->added[i].draft = NULL;
	if (d->unit == NULL && !d->used && d->id != 0)
		ids_add(&d->sp->dead, d->id);
	buf_release(&d->held);
	free(d);
}

static void
remember(struct spool_unit *u, struct spool_draft *d)
{
	if (u->nadded == u->added_cap) {
		u->added_cap = u->added_cap == 0 ? 64 : 2 * u->added_cap;
		u->added = mem_realloc(u->added, u->added_cap,
		    sizeof(*u->added));
	}
	u->added[u->nadded++] = (struct added){ d, d->id };
	u->adds = true;
	d->unit = u;
}

static int
take_draft(struct spool_unit *u, struct spool_draft *d, uint64_t *id_out,
    struct err *e)
{
	int rc;

	if (!d->ended || d->used || d->unit != NULL)
		return err_set(e, ERR_STATE, "spool: the draft is not ready");
	if (!u->adds && (rc = spool_check_room(u->sp, 0, e)) < 0)
		return rc;
	*id_out = d->id;
	if (d->id == 0 && (rc = counter_take(u->sp, &u->sp->messages, id_out,
	    e)) < 0)
		return rc;
	remember(u, d);
	return 0;
}

int
spool_add_message(struct spool_unit *u, struct spool_draft *d,
    struct message *m, struct err *e)
{
	struct spool *sp = u->sp;
	struct id_key key;
	int rc = take_draft(u, d, &m->id, e);

	if (rc < 0)
		return rc;
	m->facts = d->scan.facts;
	key = id_key(m->id);
	message_record_put(&sp->value, m, buf_slice(&d->held));
	return unit_put(u, STORE_MESSAGE, id_slice(&key),
	    buf_slice(&sp->value), e);
}

int
spool_add_broken(struct spool_unit *u, struct spool_draft *d,
    struct broken *b, struct err *e)
{
	struct spool *sp = u->sp;
	struct id_key key;
	int rc = take_draft(u, d, &b->id, e);

	if (rc < 0)
		return rc;
	b->octets = d->scan.facts.octets;
	key = id_key(b->id);
	broken_record_put(&sp->value, b, buf_slice(&d->held));
	return unit_put(u, STORE_BROKEN, id_slice(&key),
	    buf_slice(&sp->value), e);
}
