/* SPDX-License-Identifier: ISC */
/*
 * The engine in memory, for the simulation.  Each table exists twice: as the
 * program sees it and as the disk would give it back.  Changes that were
 * committed but not flushed stand in one list in their order; a flush plays
 * it into the durable tables, a crash plays a first part of it.  Cells are
 * counted references, so that both tables share them.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "spool/store_impl.h"

struct cell {
	size_t refs, klen, vlen;
	char bytes[];		/* key, then value */
};

struct table {
	struct cell **cell;	/* sorted by key */
	size_t n, cap;
};

/* Sets the cell, or takes the one of this key away. */
struct change {
	enum store_table table;
	bool del;
	struct cell *cell;
	struct cell *old;	/* what stood there in the live table */
};

struct changes {
	struct change *v;
	size_t n, cap;
};

struct store_mem_disk {
	struct table live[STORE_TABLES], durable[STORE_TABLES];
	struct changes pending;	/* committed, not flushed */
	size_t *txn_end;	/* where each transaction ends in pending */
	size_t ntxn, txn_cap;
	uint64_t writes, crash_at;
	struct rng *rng;
	bool crashed;
};

struct mem {
	struct store base;
	struct store_mem_disk *disk;
	struct changes txn;
	struct store_stats stats;
};

static struct cell *
cell_new(struct slice key, struct slice value)
{
	struct cell *c = mem_alloc(1, sizeof(*c) + key.len + value.len);

	c->refs = 1;
	c->klen = key.len;
	c->vlen = value.len;
	memcpy(c->bytes, key.ptr, key.len);
	if (value.len > 0)
		memcpy(c->bytes + key.len, value.ptr, value.len);
	return c;
}

static struct cell *
cell_ref(struct cell *c)
{
	if (c != NULL)
		c->refs++;
	return c;
}

static void
cell_unref(struct cell *c)
{
	if (c != NULL && --c->refs == 0)
		free(c);
}

static struct slice
cell_key(const struct cell *c)
{
	return (struct slice){ c->bytes, c->klen };
}

static int
compare(struct slice a, struct slice b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int cmp = len > 0 ? memcmp(a.ptr, b.ptr, len) : 0;

	if (cmp == 0)
		cmp = (a.len > b.len) - (a.len < b.len);
	return cmp;
}

/* The first place whose key is not below; *hit_out: it is the key itself. */
static size_t
table_find(const struct table *t, struct slice key, bool *hit_out)
{
	size_t low = 0, high = t->n;

	*hit_out = false;
	if (t->n > 0 && compare(cell_key(t->cell[t->n - 1]), key) < 0)
		return t->n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int cmp = compare(cell_key(t->cell[mid]), key);

		if (cmp == 0) {
			*hit_out = true;
			return mid;
		}
		if (cmp < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Takes a reference of its own; returns the table's on what stood there. */
static struct cell *
table_set(struct table *t, struct cell *c)
{
	bool hit;
	size_t i = table_find(t, cell_key(c), &hit);
	struct cell *old = hit ? t->cell[i] : NULL;

	if (!hit) {
		if (t->n == t->cap) {
			t->cap = t->cap == 0 ? 64 : 2 * t->cap;
			t->cell = mem_realloc(t->cell, t->cap,
			    sizeof(*t->cell));
		}
		memmove(t->cell + i + 1, t->cell + i,
		    (t->n - i) * sizeof(*t->cell));
		t->n++;
	}
	t->cell[i] = cell_ref(c);
	return old;
}

static struct cell *
table_take(struct table *t, struct slice key)
{
	bool hit;
	size_t i = table_find(t, key, &hit);
	struct cell *old;

	if (!hit)
		return NULL;
	old = t->cell[i];
	t->n--;
	memmove(t->cell + i, t->cell + i + 1, (t->n - i) * sizeof(*t->cell));
	return old;
}

static void
table_clear(struct table *t)
{
	for (size_t i = 0; i < t->n; i++)
		cell_unref(t->cell[i]);
	free(t->cell);
	*t = (struct table){ 0 };
}

static void
table_copy(struct table *to, const struct table *from)
{
	table_clear(to);
	to->n = to->cap = from->n;
	to->cell = mem_realloc(NULL, from->n + 1, sizeof(*to->cell));
	for (size_t i = 0; i < from->n; i++)
		to->cell[i] = cell_ref(from->cell[i]);
}

static struct cell *
play(struct table *tables, const struct change *c)
{
	struct table *t = &tables[c->table];

	return c->del ? table_take(t, cell_key(c->cell)) :
	    table_set(t, c->cell);
}

static void
changes_add(struct changes *l, struct change c)
{
	if (l->n == l->cap) {
		l->cap = l->cap == 0 ? 64 : 2 * l->cap;
		l->v = mem_realloc(l->v, l->cap, sizeof(*l->v));
	}
	l->v[l->n++] = c;
}

static void
changes_clear(struct changes *l)
{
	for (size_t i = 0; i < l->n; i++) {
		cell_unref(l->v[i].cell);
		cell_unref(l->v[i].old);
	}
	l->n = 0;
}

/* The first ntxn transactions reach the disk, the others are forgotten. */
static void
settle(struct store_mem_disk *d, size_t ntxn)
{
	size_t n = ntxn > 0 ? d->txn_end[ntxn - 1] : 0;

	for (size_t i = 0; i < n; i++)
		cell_unref(play(d->durable, &d->pending.v[i]));
	changes_clear(&d->pending);
	d->ntxn = 0;
}

struct store_mem_disk *
store_mem_disk_new(void)
{
	return mem_alloc(1, sizeof(struct store_mem_disk));
}

void
store_mem_disk_free(struct store_mem_disk *disk)
{
	if (disk == NULL)
		return;
	for (int t = 0; t < STORE_TABLES; t++) {
		table_clear(&disk->live[t]);
		table_clear(&disk->durable[t]);
	}
	changes_clear(&disk->pending);
	free(disk->pending.v);
	free(disk->txn_end);
	free(disk);
}

/* Cells never change, so both disks share them. */
struct store_mem_disk *
store_mem_disk_copy(const struct store_mem_disk *disk)
{
	struct store_mem_disk *copy = store_mem_disk_new();

	for (int t = 0; t < STORE_TABLES; t++) {
		table_copy(&copy->durable[t], &disk->durable[t]);
		table_copy(&copy->live[t], &disk->durable[t]);
	}
	return copy;
}

void
store_mem_disk_crash_at(struct store_mem_disk *disk, uint64_t n,
    struct rng *rng)
{
	disk->crash_at = n == 0 ? 0 : disk->writes + n;
	disk->rng = rng;
}

bool
store_mem_disk_crashed(const struct store_mem_disk *disk)
{
	return disk->crashed;
}

void
store_mem_disk_revive(struct store_mem_disk *disk)
{
	settle(disk, 0);
	for (int t = 0; t < STORE_TABLES; t++)
		table_copy(&disk->live[t], &disk->durable[t]);
	disk->crashed = false;
	disk->crash_at = 0;
}

uint64_t
store_mem_disk_writes(const struct store_mem_disk *disk)
{
	return disk->writes;
}

static int
lost(struct err *e)
{
	return err_set(e, ERR_IO, "spool in memory: the disk has crashed");
}

/* One durable write: everything pending, or the crash that was ordered. */
static int
durable_write(struct mem *m, struct err *e)
{
	struct store_mem_disk *d = m->disk;

	if (d->crashed)
		return lost(e);
	if (d->ntxn == 0)
		return 0;
	d->writes++;
	m->stats.flushes++;
	if (d->writes != d->crash_at) {
		settle(d, d->ntxn);
		return 0;
	}
	d->crashed = true;
	settle(d, d->rng == NULL ? 0 : rng_below(d->rng, d->ntxn + 1));
	m->base.failed = true;
	return lost(e);
}

static void
value_cut(const struct cell *c, size_t max, struct buf *out)
{
	size_t len = max != 0 && max < c->vlen ? max : c->vlen;

	buf_clear(out);
	buf_add(out, c->bytes + c->klen, len);
}

static int
mem_get(struct store *base, enum store_table t, struct slice key, size_t max,
    struct buf *value_out, struct err *e)
{
	struct mem *m = (struct mem *)base;
	const struct table *tab = &m->disk->live[t];
	bool hit;
	size_t i = table_find(tab, key, &hit);

	if (!hit)
		return err_set(e, ERR_NOT_FOUND, "%s", "");
	value_cut(tab->cell[i], max, value_out);
	return 0;
}

static int
mem_next(struct store *base, enum store_table t, bool from,
    struct buf *key_io, size_t max, struct buf *value_out, struct err *e)
{
	struct mem *m = (struct mem *)base;
	const struct table *tab = &m->disk->live[t];
	bool hit;
	size_t i = table_find(tab, buf_slice(key_io), &hit);

	if (hit && !from)
		i++;
	if (i == tab->n)
		return err_set(e, ERR_NOT_FOUND, "%s", "");
	buf_clear(key_io);
	buf_addslice(key_io, cell_key(tab->cell[i]));
	if (value_out != NULL)
		value_cut(tab->cell[i], max, value_out);
	return 0;
}

static int
mem_begin(struct store *base, struct err *e)
{
	struct mem *m = (struct mem *)base;

	return m->disk->crashed ? lost(e) : 0;
}

static int
change(struct store *base, struct change c)
{
	struct mem *m = (struct mem *)base;

	c.old = play(m->disk->live, &c);
	changes_add(&m->txn, c);
	return 0;
}

static int
mem_put(struct store *base, enum store_table t, struct slice key,
    struct slice value, struct err *e)
{
	(void)e;
	return change(base, (struct change){ .table = t,
	    .cell = cell_new(key, value) });
}

static int
mem_del(struct store *base, enum store_table t, struct slice key,
    struct err *e)
{
	(void)e;
	return change(base, (struct change){ .table = t, .del = true,
	    .cell = cell_new(key, (struct slice){ NULL, 0 }) });
}

static void
mem_abort(struct store *base)
{
	struct mem *m = (struct mem *)base;

	for (size_t i = m->txn.n; i-- > 0;) {
		struct change *c = &m->txn.v[i];
		struct table *t = &m->disk->live[c->table];

		if (c->old != NULL)
			cell_unref(table_set(t, c->old));
		else
			cell_unref(table_take(t, cell_key(c->cell)));
	}
	changes_clear(&m->txn);
}

static int
mem_commit(struct store *base, bool sync, struct err *e)
{
	struct mem *m = (struct mem *)base;
	struct store_mem_disk *d = m->disk;

	if (d->crashed) {
		mem_abort(base);
		return lost(e);
	}
	m->stats.commits++;
	for (size_t i = 0; i < m->txn.n; i++) {
		cell_unref(m->txn.v[i].old);
		m->txn.v[i].old = NULL;
		changes_add(&d->pending, m->txn.v[i]);
	}
	if (m->txn.n > 0) {
		if (d->ntxn == d->txn_cap) {
			d->txn_cap = d->txn_cap == 0 ? 64 : 2 * d->txn_cap;
			d->txn_end = mem_realloc(d->txn_end, d->txn_cap,
			    sizeof(*d->txn_end));
		}
		d->txn_end[d->ntxn++] = d->pending.n;
	}
	m->txn.n = 0;
	return sync ? durable_write(m, e) : 0;
}

static int
mem_flush(struct store *base, struct err *e)
{
	return durable_write((struct mem *)base, e);
}

static void
mem_close(struct store *base)
{
	struct mem *m = (struct mem *)base;
	struct err ignored = ERR_INIT;

	if (durable_write(m, &ignored) < 0)
		m->base.failed = true;
	free(m->txn.v);
	free(m);
}

static int
mem_maintain(struct store *base, struct err *e)
{
	(void)base;
	(void)e;
	return 0;
}

static int
mem_backup(struct store *base, const char *dir, struct err *e)
{
	(void)base;
	return err_set(e, ERR_UNSUPPORTED, "backup into %s: a spool in memory "
	    "has none", dir);
}

static void
mem_stats(struct store *base, struct store_stats *out)
{
	*out = ((struct mem *)base)->stats;
}

static const struct store_ops mem_ops = {
	.close = mem_close,
	.get = mem_get,
	.next = mem_next,
	.begin = mem_begin,
	.put = mem_put,
	.del = mem_del,
	.commit = mem_commit,
	.abort = mem_abort,
	.flush = mem_flush,
	.maintain = mem_maintain,
	.backup = mem_backup,
	.stats = mem_stats,
};

int
store_open_mem(struct store_mem_disk *disk, struct store **store_out,
    struct err *e)
{
	struct mem *m;

	if (disk->crashed)
		return lost(e);
	m = mem_alloc(1, sizeof(*m));
	m->base.ops = &mem_ops;
	m->disk = disk;
	*store_out = &m->base;
	return 0;
}
