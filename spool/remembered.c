/* SPDX-License-Identifier: ISC */
/*
 * What is remembered for a time: messages taken, names seen, how messages
 * went; and for as long as need be: acknowledgements owed, sites.
 */
#include <stdlib.h>

#include "spool/kept.h"

int
spool_get_taken(struct spool *sp, const char *origin, uint64_t epoch,
    uint64_t number, struct taken *t_out, struct err *e)
{
	taken_init(t_out);
	buf_clear(&sp->key);
	kept_key(&sp->key, &kept_taken, origin);
	buf_put64(&sp->key, epoch);
	buf_put64(&sp->key, number);
	return kept_get(sp, &kept_taken, t_out, e);
}

int
spool_next_taken(struct spool *sp, struct buf *at_io, struct taken *t_out,
    struct err *e)
{
	taken_init(t_out);
	buf_clear(&sp->key);
	return kept_next(sp, &kept_taken, at_io, t_out, e);
}

int
spool_put_taken(struct spool_unit *u, const struct taken *t, struct err *e)
{
	return kept_put(u, &kept_taken, t, e);
}

static bool
taken_is_old(struct slice key, struct slice value, uint64_t secs)
{
	struct taken t;
	bool old;

	taken_init(&t);
	old = kept_decode(&kept_taken, key, value, &t, NULL) == 0 &&
	    t.secs < secs;
	taken_release(&t);
	return old;
}

int
spool_expire_taken(struct spool *sp, uint64_t before_secs, struct err *e)
{
	return kept_expire(sp, STORE_TAKEN, taken_is_old, before_secs, e);
}

static void
seen_key(struct spool *sp, char kind, struct slice key)
{
	buf_clear(&sp->key);
	buf_addc(&sp->key, kind);
	buf_addslice(&sp->key, key);
}

int
spool_put_seen(struct spool_unit *u, char kind, struct slice key,
    uint64_t expire_secs, struct err *e)
{
	struct spool *sp = u->sp;

	if (key.len == 0 || key.len > SPOOL_SEEN_MAX)
		return err_set(e, ERR_LIMIT, "spool: what was seen has 1 to "
		    "%d octets, not %zu", SPOOL_SEEN_MAX, key.len);
	seen_key(sp, kind, key);
	record_begin(&sp->value);
	buf_put8(&sp->value, RECORD_VERSION);
	buf_put64(&sp->value, expire_secs);
	record_end(&sp->value, buf_slice(&sp->key));
	return unit_put(u, STORE_SEEN, buf_slice(&sp->key),
	    buf_slice(&sp->value), e);
}

int
spool_get_seen(struct spool *sp, char kind, struct slice key, struct err *e)
{
	int rc;

	seen_key(sp, kind, key);
	rc = store_get(sp->store, STORE_SEEN, buf_slice(&sp->key), 1,
	    &sp->value, e);
	if (rc == ERR_NOT_FOUND)
		return 0;
	return rc < 0 ? rc : 1;
}

int
seen_decode(struct slice key, struct slice value, uint64_t *expire_secs_out)
{
	struct reader r = record_open(key, value);

	if (read8(&r) != RECORD_VERSION)
		r.failed = true;
	*expire_secs_out = read64(&r);
	return record_finish(&r);
}

static bool
seen_is_old(struct slice key, struct slice value, uint64_t secs)
{
	uint64_t expire_secs;

	return seen_decode(key, value, &expire_secs) == 0 &&
	    expire_secs <= secs;
}

int
spool_expire_seen(struct spool *sp, uint64_t now_secs, struct err *e)
{
	return kept_expire(sp, STORE_SEEN, seen_is_old, now_secs, e);
}

static void
seek_owed(struct spool *sp, const char *peer,
    const unsigned char name[BUNDLE_NAME_LEN])
{
	buf_clear(&sp->key);
	kept_key(&sp->key, &kept_owed_ack, peer);
	if (name != NULL)
		buf_add(&sp->key, name, BUNDLE_NAME_LEN);
}

int
spool_get_owed_ack(struct spool *sp, const char *peer,
    const unsigned char name[BUNDLE_NAME_LEN], struct owed_ack *a_out,
    struct err *e)
{
	owed_ack_init(a_out);
	seek_owed(sp, peer, name);
	return kept_get(sp, &kept_owed_ack, a_out, e);
}

int
spool_next_owed_ack(struct spool *sp, const char *peer, struct buf *at_io,
    struct owed_ack *a_out, struct err *e)
{
	owed_ack_init(a_out);
	seek_owed(sp, peer, NULL);
	return kept_next(sp, &kept_owed_ack, at_io, a_out, e);
}

int
spool_put_owed_ack(struct spool_unit *u, const struct owed_ack *a,
    struct err *e)
{
	if (!bundle_ranges_valid(a->range, a->nranges, UINT64_MAX))
		return err_set(e, ERR_STATE, "spool: the ranges of an "
		    "acknowledgement for %s are in disorder", a->peer);
	return kept_put(u, &kept_owed_ack, a, e);
}

int
spool_del_owed_ack(struct spool_unit *u, const char *peer,
    const unsigned char name[BUNDLE_NAME_LEN], struct err *e)
{
	seek_owed(u->sp, peer, name);
	return kept_del(u, &kept_owed_ack, e);
}

static void
seek_site(struct spool *sp, const char *name)
{
	buf_clear(&sp->key);
	kept_key(&sp->key, &kept_site, name);
}

int
spool_get_site(struct spool *sp, const char *name,
    struct site_record *s_out, struct err *e)
{
	site_record_init(s_out);
	seek_site(sp, name);
	return kept_get(sp, &kept_site, s_out, e);
}

int
spool_next_site(struct spool *sp, struct buf *at_io,
    struct site_record *s_out, struct err *e)
{
	site_record_init(s_out);
	seek_site(sp, NULL);
	return kept_next(sp, &kept_site, at_io, s_out, e);
}

int
spool_put_site(struct spool_unit *u, const struct site_record *s,
    struct err *e)
{
	return kept_put(u, &kept_site, s, e);
}

int
spool_del_site(struct spool_unit *u, const char *name, struct err *e)
{
	seek_site(u->sp, name);
	return kept_del(u, &kept_site, e);
}

int
spool_get_history(struct spool *sp, uint64_t message, struct history *h_out,
    struct err *e)
{
	history_init(h_out);
	return kept_get_id(sp, &kept_history, message, h_out, e);
}

int
spool_next_history(struct spool *sp, uint64_t *message_io,
    struct history *h_out, struct err *e)
{
	history_init(h_out);
	return kept_next_id(sp, &kept_history, message_io, h_out, e);
}

int
spool_put_history(struct spool_unit *u, const struct history *h,
    struct err *e)
{
	return kept_put(u, &kept_history, h, e);
}

static bool
history_is_old(struct slice key, struct slice value, uint64_t secs)
{
	struct history h;
	bool old;

	history_init(&h);
	old = kept_decode(&kept_history, key, value, &h, NULL) == 0 &&
	    h.secs < secs;
	history_release(&h);
	return old;
}

int
spool_expire_history(struct spool *sp, uint64_t before_secs, struct err *e)
{
	return kept_expire(sp, STORE_HISTORY, history_is_old, before_secs, e);
}
