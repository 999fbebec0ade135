/* SPDX-License-Identifier: ISC */
/*
 * Reading, walking, writing and expiring the kept records of every kind.
 * The typed functions around these make the key and hand on the rest.
 */
#include "spool/kept.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

#define EXPIRE_STEP 256		/* records looked at in one call */
#define TELL_MAX 60

void
kept_key(struct buf *out, const struct kept *k, const char *name)
{
	if (k->lead != 0)
		buf_addc(out, k->lead);
	if (name != NULL)
		buf_add(out, name, strlen(name) + 1);
}

char *
kept_read_name(struct reader *r)
{
	const char *end = r->len > 0 ? memchr(r->ptr, '\0', r->len) : NULL;
	char *name;

	if (r->failed || end == NULL) {
		r->failed = true;
		return NULL;
	}
	name = mem_strdup(r->ptr);
	r->len -= (size_t)(end + 1 - r->ptr);
	r->ptr = end + 1;
	return name;
}

/* "incoming serial paris/8d2c.../12": the key as people see it. */
static void
tell_key(struct buf *out, const struct kept *k, struct slice key)
{
	struct reader r = reader_of(key.ptr, key.len);
	char *name;

	buf_addf(out, "%s ", k->what);
	if (k->numbered) {
		buf_adds(out, message_name(read64(&r)).s);
		return;
	}
	if (k->lead != 0)
		(void)read8(&r);
	name = kept_read_name(&r);
	if (name != NULL)
		text_escape(out, slice_of(name), TELL_MAX, false);
	free(name);
	if (r.len >= 8)
		buf_addf(out, "/%016llx", (unsigned long long)read64(&r));
	if (r.len >= 8)
		buf_addf(out, "/%llu", (unsigned long long)read64(&r));
}

static int
fail(const struct kept *k, struct slice key, int code, const char *how,
    struct err *e)
{
	struct buf b = BUF_INIT;

	tell_key(&b, k, key);
	err_set(e, code, "spool: %s %s", buf_cstr(&b), how);
	buf_release(&b);
	return code;
}

int
kept_decode(const struct kept *k, struct slice key, struct slice value,
    void *v_out, struct err *e)
{
	struct reader kr = reader_of(key.ptr, key.len);
	struct reader r = record_open(key, value);

	k->key_read(&kr, v_out);
	if (r.failed || read8(&r) != RECORD_VERSION)
		r.failed = true;
	if (!r.failed)
		k->read(&r, v_out);
	if (record_finish(&kr) == 0 && record_finish(&r) == 0)
		return 0;
	k->release(v_out);
	kr = reader_of(key.ptr, key.len);
	k->key_read(&kr, v_out);
	if (record_finish(&kr) < 0)
		k->release(v_out);
	return fail(k, key, ERR_CORRUPT, "is damaged", e);
}

int
kept_get(struct spool *sp, const struct kept *k, void *v_out, struct err *e)
{
	int rc = store_get(sp->store, k->table, buf_slice(&sp->key), 0,
	    &sp->value, e);

	if (rc == ERR_NOT_FOUND)
		return fail(k, buf_slice(&sp->key), rc, "is not there", e);
	return rc < 0 ? rc : kept_decode(k, buf_slice(&sp->key),
	    buf_slice(&sp->value), v_out, e);
}

static bool
begins(struct slice s, struct slice with)
{
	return s.len >= with.len && (with.len == 0 ||
	    memcmp(s.ptr, with.ptr, with.len) == 0);
}

int
kept_next(struct spool *sp, const struct kept *k, struct buf *at_io,
    void *v_out, struct err *e)
{
	int rc;

	if (at_io->len == 0)
		buf_addslice(at_io, buf_slice(&sp->key));
	rc = store_next(sp->store, k->table, false, at_io, 0, &sp->value, e);
	if (rc == 0 && !begins(buf_slice(at_io), buf_slice(&sp->key)))
		rc = err_set(e, ERR_NOT_FOUND, "%s", "");
	return rc < 0 ? rc : kept_decode(k, buf_slice(at_io),
	    buf_slice(&sp->value), v_out, e);
}

int
kept_get_id(struct spool *sp, const struct kept *k, uint64_t id, void *v_out,
    struct err *e)
{
	buf_clear(&sp->key);
	buf_put64(&sp->key, id);
	return kept_get(sp, k, v_out, e);
}

int
kept_next_id(struct spool *sp, const struct kept *k, uint64_t *id_io,
    void *v_out, struct err *e)
{
	int rc = spool_next_id(sp, k->table, id_io, 0, e);
	struct id_key key = id_key(*id_io);

	return rc < 0 ? rc : kept_decode(k, id_slice(&key),
	    buf_slice(&sp->value), v_out, e);
}

static int
check_limits(struct spool *sp, const struct kept *k, struct err *e)
{
	size_t front = k->lead != 0 ? 1 : 0, len = sp->key.len;

	if (!k->numbered && (len < front + 2 + k->key_rest ||
	    len > front + SPOOL_NAME_MAX + 1 + k->key_rest))
		return err_set(e, ERR_LIMIT, "spool: %s: a name has 1 to %d "
		    "octets", k->what, SPOOL_NAME_MAX);
	if (sp->value.len > SPOOL_RECORD_MAX)
		return err_set(e, ERR_LIMIT, "spool: %s: a record of %zu "
		    "octets, at most %d are kept", k->what, sp->value.len,
		    SPOOL_RECORD_MAX);
	return 0;
}

int
kept_put(struct spool_unit *u, const struct kept *k, const void *v,
    struct err *e)
{
	struct spool *sp = u->sp;
	int rc;

	buf_clear(&sp->key);
	k->key(&sp->key, v);
	record_begin(&sp->value);
	buf_put8(&sp->value, RECORD_VERSION);
	k->put(&sp->value, v);
	record_end(&sp->value, buf_slice(&sp->key));
	if ((rc = check_limits(sp, k, e)) < 0)
		return rc;
	return unit_put(u, k->table, buf_slice(&sp->key),
	    buf_slice(&sp->value), e);
}

int
kept_del(struct spool_unit *u, const struct kept *k, struct err *e)
{
	return store_del(u->sp->store, k->table, buf_slice(&u->sp->key), e);
}

static int
expire_some(struct spool *sp, enum store_table t, kept_old *is_old,
    uint64_t secs, struct err *e)
{
	struct buf *at = &sp->expire_at[t];
	int rc = 0;

	for (int n = 0; n < EXPIRE_STEP && rc == 0; n++) {
		rc = store_next(sp->store, t, false, at, 0, &sp->value, e);
		if (rc == 0 && is_old(buf_slice(at), buf_slice(&sp->value),
		    secs))
			rc = store_del(sp->store, t, buf_slice(at), e);
	}
	if (rc == ERR_NOT_FOUND) {
		buf_clear(at);
		return 0;
	}
	return rc < 0 ? rc : 1;
}

int
kept_expire(struct spool *sp, enum store_table t, kept_old *is_old,
    uint64_t secs, struct err *e)
{
	int rc = store_begin(sp->store, e), more;

	if (rc < 0)
		return rc;
	more = expire_some(sp, t, is_old, secs, e);
	if (more < 0) {
		store_abort(sp->store);
		return more;
	}
	rc = store_commit(sp->store, false, e);
	return rc < 0 ? rc : more;
}
