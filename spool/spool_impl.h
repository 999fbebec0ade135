/* SPDX-License-Identifier: ISC */
#ifndef SPOOL_SPOOL_IMPL_H
#define SPOOL_SPOOL_IMPL_H
/* What the files of the spool share among themselves. */
#include "spool/record.h"
#include "spool/spool.h"

#define ID_BLOCK 1024		/* ids reserved at once */

/* Ids never come twice.  A block is reserved in the transaction that first
 * uses one of it; what a crash leaves of it is skipped. */
struct counter {
	const char *key;	/* in STORE_META */
	uint64_t next, limit;	/* ids below limit are reserved */
	uint64_t limit_before;	/* of the open transaction */
};

struct ids {
	uint64_t *v;
	size_t n, cap;
};

struct added {
	struct spool_draft *draft;	/* NULL: freed too early */
	uint64_t chunks_id;
};

/* The history of epochs: which message was the first of each. */
struct epoch {
	uint64_t epoch, first;
};

struct epochs {
	struct epoch *v;	/* oldest first */
	size_t n;
};

struct spool_unit {
	struct spool *sp;
	size_t octets;
	bool adds;		/* needs room on the disk */
	bool reserve;		/* and may use half of the reserve */
	struct added *added;
	size_t nadded, added_cap;
	struct ids dead;	/* whose chunks go when this commits */
	struct ids dead_bundles;	/* whose pieces do */
	bool epochs_changed;
	struct epochs epochs_before;	/* then: for an abort */
};

struct spool {
	struct store *store;
	struct spool_options opts;
	char id[33];
	uint64_t elapsed_base;	/* seconds at mono_base */
	int64_t mono_base;
	struct counter messages, objects, bundles;
	struct epochs epochs;
	struct ids dead;	/* deleted; their chunks are still there */
	struct ids dead_bundles;	/* their pieces are */
	struct spool_unit unit;
	struct buf key, value;	/* scratch, never kept across calls */
	struct buf expire_at[STORE_TABLES];	/* how far kept_expire is */
};

struct spool_draft {
	struct spool *sp;
	struct spool_unit *unit;	/* added to it, not yet committed */
	struct content_scanner scan;
	struct buf held;
	uint64_t id;		/* of the chunks; 0: none written */
	uint32_t chunks;
	bool ended, failed, used;
};

void ids_add(struct ids *l, uint64_t id);

/* spool.c: keep is what must stay free. */
int spool_check_room(struct spool *sp, uint64_t octets, struct err *e)
    MUST_CHECK;
int spool_check_reserve(struct spool *sp, uint64_t octets, uint64_t keep,
    struct err *e) MUST_CHECK;
/* Inside a transaction; counter_settle when it is over. */
int counter_take(struct spool *sp, struct counter *c, uint64_t *id_out,
    struct err *e) MUST_CHECK;
/* The same for an id that comes from outside: it may have been taken in a
 * unit that was aborted. */
int counter_cover(struct spool *sp, struct counter *c, uint64_t id,
    struct err *e) MUST_CHECK;
void counter_settle(struct counter *c, bool committed);
int meta_get(struct store *store, const char *key, struct buf *out,
    struct reader *r_out, struct err *e) MUST_CHECK;
/* value: begun with record_begin. */
int meta_put(struct store *store, const char *key, struct buf *value,
    struct err *e) MUST_CHECK;
/* unit.c */
int unit_put(struct spool_unit *u, enum store_table t, struct slice key,
    struct slice value, struct err *e) MUST_CHECK;
/* items.c: the id of the next entry, its record in sp->value; what has no id
 * for a key is passed over. */
int spool_next_id(struct spool *sp, enum store_table t, uint64_t *id_io,
    size_t max, struct err *e) MUST_CHECK;
/* sweep.c: removes up to a transaction's worth of the chunks or pieces of one
 * id, from the last of the dead on; 1 while there is more. */
int spool_sweep(struct spool *sp, struct err *e) MUST_CHECK;
/* Finds chunks and pieces that belong to nothing. */
int spool_sweep_orphans(struct spool *sp, struct err *e) MUST_CHECK;
/* epoch.c */
int epochs_load(struct spool *sp, struct err *e) MUST_CHECK;
/* A new epoch in a unit of its own. */
int epochs_renew(struct spool *sp, struct err *e) MUST_CHECK;
void epochs_settle(struct spool_unit *u, bool committed);

#endif
