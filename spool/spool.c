/* SPDX-License-Identifier: ISC */
/*
 * The spool as a whole: its identity, its ids, its clock, its room.  What is
 * kept in STORE_META is written seldom: ids are reserved by the block and the
 * count of elapsed time about once a minute.
 */
#include "spool/spool.h"

#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "spool/spool_impl.h"
#include "spool/store_salvage.h"

#define SECS_PER_DAY 86400
#define STANDSTILL_MAX_SECS (7 * SECS_PER_DAY)

void
ids_add(struct ids *l, uint64_t id)
{
	if (l->n == l->cap) {
		l->cap = l->cap == 0 ? 16 : 2 * l->cap;
		l->v = mem_realloc(l->v, l->cap, sizeof(*l->v));
	}
	l->v[l->n++] = id;
}

int
meta_get(struct store *store, const char *key, struct buf *out,
    struct reader *r_out, struct err *e)
{
	int rc = store_get(store, STORE_META, slice_of(key), 0, out, e);

	if (rc < 0)
		return rc;
	*r_out = record_open(slice_of(key), buf_slice(out));
	return r_out->failed ? err_set(e, ERR_CORRUPT,
	    "spool: the record \"%s\" is damaged", key) : 0;
}

int
meta_put(struct store *store, const char *key, struct buf *value,
    struct err *e)
{
	record_end(value, slice_of(key));
	return store_put(store, STORE_META, slice_of(key), buf_slice(value),
	    e);
}

int
counter_cover(struct spool *sp, struct counter *c, uint64_t id,
    struct err *e)
{
	struct buf v = BUF_INIT;
	int rc;

	if (id < c->limit)
		return 0;
	record_begin(&v);
	buf_put64(&v, id + ID_BLOCK);
	rc = meta_put(sp->store, c->key, &v, e);
	if (rc == 0)
		c->limit = id + ID_BLOCK;
	buf_release(&v);
	return rc;
}

int
counter_take(struct spool *sp, struct counter *c, uint64_t *id_out,
    struct err *e)
{
	int rc = counter_cover(sp, c, c->next, e);

	if (rc == 0)
		*id_out = c->next++;
	return rc;
}

void
counter_settle(struct counter *c, bool committed)
{
	if (committed)
		c->limit_before = c->limit;
	else
		c->limit = c->limit_before;
}

static int
counter_open(struct spool *sp, struct counter *c, const char *key,
    struct err *e)
{
	struct reader r;
	int rc = meta_get(sp->store, key, &sp->value, &r, e);

	c->key = key;
	c->next = 1;
	if (rc == 0)
		c->next = read64(&r);
	c->limit = c->limit_before = c->next;
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

uint64_t
spool_elapsed_secs(const struct spool *sp)
{
	int64_t ms = clock_mono_ms(sp->opts.clock) - sp->mono_base;

	return sp->elapsed_base + (ms > 0 ? (uint64_t)ms / 1000 : 0);
}

static void
elapsed_record(struct spool *sp)
{
	record_begin(&sp->value);
	buf_put64(&sp->value, spool_elapsed_secs(sp));
	buf_put64(&sp->value, (uint64_t)clock_wall_ms(sp->opts.clock));
}

/* While nobody ran, the wall clock is all there is; it is believed as far as
 * a week. */
static int
elapsed_open(struct spool *sp, struct err *e)
{
	struct reader r;
	int rc = meta_get(sp->store, "elapsed", &sp->value, &r, e);
	int64_t gap;

	sp->mono_base = clock_mono_ms(sp->opts.clock);
	sp->elapsed_base = SPOOL_ELAPSED_START;
	if (rc < 0)
		return rc == ERR_NOT_FOUND ? 0 : rc;
	sp->elapsed_base = read64(&r);
	gap = (clock_wall_ms(sp->opts.clock) - (int64_t)read64(&r)) / 1000;
	if (gap > STANDSTILL_MAX_SECS)
		gap = STANDSTILL_MAX_SECS;
	if (gap > 0)
		sp->elapsed_base += (uint64_t)gap;
	return 0;
}

int
spool_tick(struct spool *sp, struct err *e)
{
	int rc = store_begin(sp->store, e);

	if (rc < 0)
		return rc;
	elapsed_record(sp);
	rc = meta_put(sp->store, "elapsed", &sp->value, e);
	if (rc == 0)
		return store_commit(sp->store, false, e);
	store_abort(sp->store);
	return rc;
}

static uint64_t
free_bytes(struct spool *sp)
{
	struct statvfs v;

	if (sp->opts.free_bytes != NULL)
		return sp->opts.free_bytes(sp->opts.free_ctx);
	if (sp->opts.dir == NULL || statvfs(sp->opts.dir, &v) < 0)
		return UINT64_MAX;
	return (uint64_t)v.f_bavail * v.f_frsize;
}

int
spool_check_reserve(struct spool *sp, uint64_t octets, uint64_t keep,
    struct err *e)
{
	uint64_t room = free_bytes(sp);

	if (room >= octets && room - octets >= keep)
		return 0;
	return err_set(e, ERR_FULL, "spool: %llu octets are free, %llu are "
	    "wanted and %llu must stay free", (unsigned long long)room,
	    (unsigned long long)octets, (unsigned long long)keep);
}

void
spool_set_min_free(struct spool *sp, uint64_t octets)
{
	sp->opts.min_free_bytes = octets;
}

int
spool_check_room(struct spool *sp, uint64_t octets, struct err *e)
{
	return spool_check_reserve(sp, octets, sp->opts.min_free_bytes, e);
}

bool
spool_has_room(struct spool *sp)
{
	struct err ignored = ERR_INIT;

	return spool_check_room(sp, 0, &ignored) == 0;
}

bool
spool_has_reserve(struct spool *sp)
{
	struct err ignored = ERR_INIT;

	return spool_check_reserve(sp, 0, sp->opts.min_free_bytes / 2,
	    &ignored) == 0;
}

uint64_t
spool_room(struct spool *sp)
{
	uint64_t room = free_bytes(sp);

	return room > sp->opts.min_free_bytes ?
	    room - sp->opts.min_free_bytes : 0;
}

static int
new_identity(struct spool *sp, bool fresh, struct err *e)
{
	unsigned char random[16];
	struct buf hex = BUF_INIT;
	int rc = store_begin(sp->store, e);

	if (rc < 0)
		return rc;
	rng_fill(sp->opts.rng, random, sizeof(random));
	hex_encode(&hex, random, sizeof(random));
	memcpy(sp->id, hex.ptr, 32);
	record_begin(&sp->value);
	buf_put_text(&sp->value, sp->id);
	rc = meta_put(sp->store, "id", &sp->value, e);
	record_begin(&sp->value);
	buf_put32(&sp->value, SPOOL_SCHEMA);
	if (rc == 0)
		rc = meta_put(sp->store, "schema", &sp->value, e);
	elapsed_record(sp);
	if (rc == 0 && fresh)
		rc = meta_put(sp->store, "elapsed", &sp->value, e);
	buf_release(&hex);
	if (rc == 0)
		return store_commit(sp->store, true, e);
	store_abort(sp->store);
	return rc;
}

static int
check_schema(uint32_t schema, struct err *e)
{
	if (schema > SPOOL_SCHEMA)
		return err_set(e, ERR_STATE, "spool: schema %u is newer than "
		    "this program's %u", schema, SPOOL_SCHEMA);
	if (schema < SPOOL_SCHEMA)
		return err_set(e, ERR_STATE, "spool: schema %u is older than "
		    "this program's %u: run `postrider spool upgrade`",
		    schema, SPOOL_SCHEMA);
	return 0;
}

static int
identity_open(struct spool *sp, struct err *e)
{
	struct reader r;
	char *id;
	int rc = meta_get(sp->store, "schema", &sp->value, &r, e);

	if (rc == ERR_NOT_FOUND)
		return new_identity(sp, true, e);
	if (rc < 0 || (rc = check_schema(read32(&r), e)) < 0 ||
	    (rc = meta_get(sp->store, "id", &sp->value, &r, e)) < 0)
		return rc;
	id = read_text(&r);
	if (id == NULL || strlen(id) != 32)
		rc = err_set(e, ERR_CORRUPT, "spool: its id is damaged");
	else
		memcpy(sp->id, id, 32);
	free(id);
	return rc;
}

/* Who copied a backup into place has a restored spool: what was sent since is
 * unknown to it, so its flows begin anew. */
static int
notice_restoration(struct spool *sp, struct err *e)
{
	char *mark;
	int rc = 0;

	if (sp->opts.dir == NULL)
		return 0;
	mark = path_join(sp->opts.dir, STORE_BACKUP_MARK);
	if (access(mark, F_OK) == 0) {
		rc = new_identity(sp, false, e);
		if (rc == 0)
			rc = epochs_renew(sp, e);
		if (rc == 0 && unlink(mark) < 0)
			rc = err_errno(e, "remove %s", mark);
		log_event(sp->opts.log, LOG_LEVEL_WARNING, "spool-restored",
		    "id", sp->id, NULL);
	}
	free(mark);
	return rc;
}

/* What makes the engine give up now will do so at every start. */
static int
tell_damaged(struct err *e)
{
	char *why = mem_strdup(e != NULL ? e->text : "");
	int rc = err_set(e, ERR_CORRUPT, "%s; see `postrider spool salvage`",
	    why);

	free(why);
	return rc;
}

int
spool_open(struct store *store, const struct spool_options *opts,
    struct spool **sp_out, struct err *e)
{
	struct spool *sp = mem_alloc(1, sizeof(*sp));
	int rc;

	sp->store = store;
	sp->opts = *opts;
	sp->opts.dir = opts->dir != NULL ? mem_strdup(opts->dir) : NULL;
	sp->unit.sp = sp;
	if ((rc = elapsed_open(sp, e)) < 0 ||
	    (rc = identity_open(sp, e)) < 0 ||
	    (rc = counter_open(sp, &sp->messages, "next-message", e)) < 0 ||
	    (rc = counter_open(sp, &sp->objects, "next-object", e)) < 0 ||
	    (rc = counter_open(sp, &sp->bundles, "next-bundle", e)) < 0 ||
	    (rc = epochs_load(sp, e)) < 0 ||
	    (rc = notice_restoration(sp, e)) < 0 ||
	    (rc = spool_sweep_orphans(sp, e)) < 0) {
		if (store_failed(store))
			rc = tell_damaged(e);
		spool_close(sp);
		return rc;
	}
	*sp_out = sp;
	return 0;
}

void
spool_close(struct spool *sp)
{
	struct err ignored = ERR_INIT;

	if (sp == NULL)
		return;
	store_assert_idle(sp->store);
	if (sp->messages.key != NULL && !store_failed(sp->store) &&
	    spool_tick(sp, &ignored) < 0)
		log_event(sp->opts.log, LOG_LEVEL_WARNING, "spool-close",
		    "error", ignored.text, NULL);
	store_close(sp->store);
	free(sp->dead.v);
	free(sp->dead_bundles.v);
	free(sp->epochs.v);
	free(sp->unit.dead.v);
	free(sp->unit.dead_bundles.v);
	free(sp->unit.added);
	buf_release(&sp->key);
	buf_release(&sp->value);
	for (int t = 0; t < STORE_TABLES; t++)
		buf_release(&sp->expire_at[t]);
	free((void *)(uintptr_t)sp->opts.dir);
	free(sp);
}

struct store *
spool_store(struct spool *sp)
{
	return sp->store;
}

const char *
spool_id(const struct spool *sp)
{
	return sp->id;
}

int
spool_maintain(struct spool *sp, struct err *e)
{
	int rc = spool_sweep(sp, e);

	return rc != 0 ? rc : store_maintain(sp->store, e);
}
