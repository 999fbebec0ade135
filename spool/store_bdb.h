/* SPDX-License-Identifier: ISC */
#ifndef SPOOL_STORE_BDB_H
#define SPOOL_STORE_BDB_H
/* What the files store_bdb*.c share; nobody else includes it or db.h. */
#include <sys/types.h>

#include <db.h>

#include "spool/store_impl.h"

struct bdb {
	struct store base;
	struct store_options opts;
	char *dir;
	int lock_fd;
	DB_ENV *env;
	DB *db[STORE_TABLES];
	DB_TXN *txn;

	DBC *cursor;		/* where the last store_next stands, or NULL */
	enum store_table cursor_table;
	struct buf cursor_key;

	bool panicked;
	char said[256];		/* the engine's last words */
	bool disk;		/* it did not take a write */

	uint64_t commits, flushes;
	uint64_t put_bytes;	/* since the last checkpoint */
	DB_LSN checkpoint;	/* the last one that logs were removed for */

	/* Compaction: the table at work, or STORE_TABLES. */
	enum store_table compacting;
	struct buf compact_from;
	uint64_t dels[STORE_TABLES];	/* since the last compaction */
	int64_t compacted_ms;		/* on the monotonic clock */
};

const char *bdb_table_file(enum store_table t);
/* It came with a later schema than 1. */
bool bdb_table_is_younger(enum store_table t);
/* Fills e from an engine's return value and marks the store failed where the
 * environment was given up. */
int bdb_error(struct bdb *s, int ret, const char *what, struct err *e);
/* Makes the environment's handle, with its words going to s->said. */
int bdb_env_new(struct bdb *s, struct err *e);
void bdb_cursor_close(struct bdb *s);

/* store_bdb_upkeep.c */
int bdb_maintain(struct store *base, struct err *e);
int bdb_backup(struct store *base, const char *dir, struct err *e);
void bdb_stats(struct store *base, struct store_stats *out);
int bdb_checkpoint(struct bdb *s, bool force, struct err *e);

#endif
