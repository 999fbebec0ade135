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

struct spool_unit {
	struct spool *sp;
	size_t octets;
	bool adds;		/* needs room on the disk */
	struct added *added;
	size_t nadded, added_cap;
	struct ids dead;	/* whose chunks go when this commits */
};

struct spool {
	struct store *store;
	struct spool_options opts;
	char id[33];
	uint64_t elapsed_base;	/* seconds at mono_base */
	int64_t mono_base;
	struct counter messages, objects;
	struct ids dead;	/* deleted; their chunks are still there */
	struct spool_unit unit;
	struct buf key, value;	/* scratch, never kept across calls */
	struct buf ledger_at;	/* how far spool_expire_ledger has come */
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

/* spool.c */
int spool_check_room(struct spool *sp, uint64_t octets, struct err *e)
    MUST_CHECK;
/* Inside a transaction; counter_settle when it is over. */
int counter_take(struct spool *sp, struct counter *c, uint64_t *id_out,
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
/* body.c: removes up to a transaction's worth of one body's chunks, from the
 * last of `dead` on; 1 while there is more. */
int spool_sweep(struct spool *sp, struct err *e) MUST_CHECK;
/* Finds bodies that belong to nothing. */
int spool_sweep_orphans(struct spool *sp, struct err *e) MUST_CHECK;
/* One chunk, checked, appended to out. */
int spool_read_chunk(struct spool *sp, uint64_t id, uint32_t n,
    struct buf *out, struct err *e) MUST_CHECK;

#endif
