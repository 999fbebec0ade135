/* SPDX-License-Identifier: ISC */
/*
 * Messages, states, objects, the ledger and the quarantine: each a table of
 * records, read and walked one at a time.  Of a message only the front is
 * read, as long as its envelope is not asked for with its content.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "spool/kept.h"
#include "spool/spool_impl.h"

static int
damaged(const char *what, uint64_t id, struct err *e)
{
	return err_set(e, ERR_CORRUPT, "spool: %s %s is damaged", what,
	    message_name(id).s);
}

static int
absent(int rc, const char *what, uint64_t id, struct err *e)
{
	return rc != ERR_NOT_FOUND ? rc : err_set(e, rc,
	    "spool: there is no %s %s", what, message_name(id).s);
}

int
spool_next_id(struct spool *sp, enum store_table t, uint64_t *id_io, size_t max,
    struct err *e)
{
	struct id_key key = id_key(*id_io);
	int rc;

	buf_clear(&sp->key);
	buf_addslice(&sp->key, id_slice(&key));
	do {
		rc = store_next(sp->store, t, false, &sp->key, max,
		    &sp->value, e);
	} while (rc == 0 && id_of_key(buf_slice(&sp->key), id_io) < 0);
	return rc;
}

/* sp->value holds the front of the record: reads on if the head is longer. */
static int
finish_message(struct spool *sp, uint64_t id, struct message *m_out,
    struct err *e)
{
	struct id_key key = id_key(id);
	size_t head = message_record_head(buf_slice(&sp->value));
	int rc = 0;

	if (head > sp->value.len)
		rc = store_get(sp->store, STORE_MESSAGE, id_slice(&key), head,
		    &sp->value, e);
	if (rc < 0)
		return rc;
	rc = message_record_get(buf_slice(&sp->value), id, m_out, NULL);
	if (rc < 0) {
		message_release(m_out);
		m_out->id = id;
		return damaged("message", id, e);
	}
	return 0;
}

int
spool_get_message(struct spool *sp, uint64_t id, struct message *m_out,
    struct err *e)
{
	struct id_key key = id_key(id);
	int rc = store_get(sp->store, STORE_MESSAGE, id_slice(&key),
	    MESSAGE_HEAD, &sp->value, e);

	message_init(m_out);
	if (rc < 0)
		return absent(rc, "message", id, e);
	return finish_message(sp, id, m_out, e);
}

int
spool_next_message(struct spool *sp, uint64_t *id_io, struct message *m_out,
    struct err *e)
{
	int rc = spool_next_id(sp, STORE_MESSAGE, id_io, MESSAGE_HEAD, e);

	message_init(m_out);
	return rc < 0 ? rc : finish_message(sp, *id_io, m_out, e);
}

int
spool_get_state(struct spool *sp, uint64_t id, size_t nrcpt,
    struct message_state *st_out, struct err *e)
{
	struct id_key key = id_key(id);
	int rc = store_get(sp->store, STORE_STATE, id_slice(&key), 0,
	    &sp->value, e);

	*st_out = (struct message_state){ 0 };
	if (rc == ERR_NOT_FOUND) {
		message_state_init(st_out, nrcpt);
		return 0;
	}
	if (rc < 0)
		return rc;
	if (state_record_get(buf_slice(&sp->value), id, nrcpt, st_out) == 0)
		return 0;
	message_state_release(st_out);
	return damaged("the state of", id, e);
}

int
spool_put_state(struct spool_unit *u, uint64_t id,
    const struct message_state *st, struct err *e)
{
	struct spool *sp = u->sp;
	struct id_key key = id_key(id);

	state_record_put(&sp->value, id, st);
	return unit_put(u, STORE_STATE, id_slice(&key),
	    buf_slice(&sp->value), e);
}

/* The record's own word on its size is enough to know whether there are
 * chunks: if it is damaged the next start finds them. */
int
spool_del_message(struct spool_unit *u, uint64_t id, struct err *e)
{
	struct spool *sp = u->sp;
	struct id_key key = id_key(id);
	uint64_t octets;
	int rc = store_get(sp->store, STORE_MESSAGE, id_slice(&key),
	    MESSAGE_PEEK, &sp->value, e);

	if (rc < 0)
		return rc == ERR_NOT_FOUND ? 0 : rc;
	if (message_record_octets(buf_slice(&sp->value), &octets) < 0)
		octets = 0;
	if (octets > SPOOL_INLINE_MAX)
		ids_add(&u->dead, id);
	else
		u->octets += octets;
	if ((rc = store_del(sp->store, STORE_MESSAGE, id_slice(&key), e)) < 0)
		return rc;
	return store_del(sp->store, STORE_STATE, id_slice(&key), e);
}

static int
finish_object(struct spool *sp, uint64_t id, struct object *o_out,
    struct err *e)
{
	if (object_record_get(buf_slice(&sp->value), id, o_out) == 0)
		return 0;
	object_release(o_out);
	return damaged("object", id, e);
}

int
spool_get_object(struct spool *sp, uint64_t id, struct object *o_out,
    struct err *e)
{
	struct id_key key = id_key(id);
	int rc = store_get(sp->store, STORE_OBJECT, id_slice(&key), 0,
	    &sp->value, e);

	object_init(o_out);
	if (rc < 0)
		return absent(rc, "object", id, e);
	return finish_object(sp, id, o_out, e);
}

int
spool_next_object(struct spool *sp, uint64_t *id_io, struct object *o_out,
    struct err *e)
{
	int rc = spool_next_id(sp, STORE_OBJECT, id_io, 0, e);

	object_init(o_out);
	return rc < 0 ? rc : finish_object(sp, *id_io, o_out, e);
}

int
spool_put_object(struct spool_unit *u, struct object *o, struct err *e)
{
	struct spool *sp = u->sp;
	struct id_key key;
	int rc = o->id == 0 ? counter_take(sp, &sp->objects, &o->id, e) :
	    counter_cover(sp, &sp->objects, o->id, e);

	if (rc < 0)
		return rc;
	key = id_key(o->id);
	object_record_put(&sp->value, o);
	return unit_put(u, STORE_OBJECT, id_slice(&key),
	    buf_slice(&sp->value), e);
}

int
spool_del_object(struct spool_unit *u, uint64_t id, struct err *e)
{
	struct id_key key = id_key(id);

	return store_del(u->sp->store, STORE_OBJECT, id_slice(&key), e);
}

int
spool_get_ledger(struct spool *sp, const char *peer, struct slice key,
    struct ledger_entry *l_out, struct err *e)
{
	int rc;

	*l_out = (struct ledger_entry){ 0 };
	ledger_key(&sp->key, peer, key);
	rc = store_get(sp->store, STORE_LEDGER, buf_slice(&sp->key), 0,
	    &sp->value, e);
	if (rc < 0)
		return rc == ERR_NOT_FOUND ? 0 : rc;
	if (ledger_record_get(buf_slice(&sp->value), buf_slice(&sp->key),
	    l_out) == 0)
		return 0;
	return err_set(e, ERR_CORRUPT, "spool: an entry of peer %s in the "
	    "ledger is damaged", peer);
}

int
spool_put_ledger(struct spool_unit *u, const char *peer, struct slice key,
    const struct ledger_entry *l, struct err *e)
{
	struct spool *sp = u->sp;

	ledger_key(&sp->key, peer, key);
	ledger_record_put(&sp->value, buf_slice(&sp->key), l);
	return unit_put(u, STORE_LEDGER, buf_slice(&sp->key),
	    buf_slice(&sp->value), e);
}

/* A damaged one is kept: nothing is taken twice. */
static bool
is_old(struct slice key, struct slice value, uint64_t secs)
{
	struct ledger_entry l;

	return ledger_record_get(value, key, &l) == 0 && l.done &&
	    l.first_secs < secs;
}

int
spool_expire_ledger(struct spool *sp, uint64_t before_secs, struct err *e)
{
	return kept_expire(sp, STORE_LEDGER, is_old, before_secs, e);
}

int
spool_next_broken(struct spool *sp, uint64_t *id_io, struct broken *b_out,
    struct err *e)
{
	int rc = spool_next_id(sp, STORE_BROKEN, id_io, 0, e);

	broken_init(b_out);
	if (rc < 0)
		return rc;
	if (broken_record_get(buf_slice(&sp->value), *id_io, b_out,
	    NULL) == 0)
		return 0;
	broken_release(b_out);
	return damaged("broken object", *id_io, e);
}

int
spool_del_broken(struct spool_unit *u, uint64_t id, struct err *e)
{
	struct spool *sp = u->sp;
	struct id_key key = id_key(id);

	/* Seldom: whether it has chunks is left to the sweep to see. */
	ids_add(&u->dead, id);
	return store_del(sp->store, STORE_BROKEN, id_slice(&key), e);
}
