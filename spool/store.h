/* SPDX-License-Identifier: ISC */
#ifndef SPOOL_STORE_H
#define SPOOL_STORE_H
/*
 * The engine under the spool: a few tables of ordered keys and values with
 * one write transaction at a time.  Two engines stand behind it: Berkeley DB
 * (store_bdb.c) and, for the simulation, one in memory with exact crash
 * semantics (store_mem.c): what was not flushed is gone.
 *
 *	store_begin; store_put, store_del ...; store_commit or store_abort
 *
 * Reads outside a transaction see what was committed; inside, its own changes
 * too.  A transaction is never kept open across a return to the event loop
 * (store_assert_idle), and stays under about 1 MiB.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

enum store_table {
	STORE_META,	/* schema, spool id, counters */
	STORE_MESSAGE,	/* envelope, facts and a small body */
	STORE_BODY,	/* chunks of large bodies, each with its own CRC */
	STORE_STATE,	/* what became of each recipient */
	STORE_OBJECT,	/* objects cut for a peer and not yet done with */
	STORE_LEDGER,	/* what was received */
	STORE_BROKEN,	/* the quarantine */
	/* From schema 2 on: */
	STORE_BUNDLE,	/* bundles on their way */
	STORE_PIECE,	/* their octets, each piece with its own CRC */
	STORE_SERIAL_OUT,	/* batches cut for a far site */
	STORE_SERIAL_IN,	/* what was received of one, its results */
	STORE_FLOW,	/* flows in both directions, mails sent */
	STORE_TAKEN,	/* messages taken over from another site */
	STORE_SEEN,	/* parcels and bundles not to be taken again */
	STORE_OWED,	/* acknowledgements to be sent */
	STORE_SITE,	/* what is known of other sites */
	STORE_HISTORY,	/* how messages went */
	STORE_TABLES
};

struct store;

struct store_options {
	const char *dir;		/* home of its environment */
	uint64_t cache_bytes;		/* 8 MiB */
	uint64_t log_buffer_bytes;	/* 1 MiB */
	uint64_t log_file_bytes;	/* 32 MiB */
	uint64_t checkpoint_bytes;	/* of log between two: 16 MiB */
	/* Until the next backup; else they are removed once a checkpoint
	 * makes them needless. */
	bool keep_logs;
	bool create;			/* make a new one if there is none */
};

void store_options_default(struct store_options *opts);
/* Takes the flock beside it (ERR_STATE names the holder's process id), runs
 * recovery.  ERR_CORRUPT where the engine gives the environment up. */
int store_open_bdb(const struct store_options *opts, struct store **store_out,
    struct err *e) MUST_CHECK;

/* The engine in memory.  The disk outlives the store: crash it and open
 * another store on it to see what a restart would. */
struct store_mem_disk;
struct store_mem_disk *store_mem_disk_new(void);
void store_mem_disk_free(struct store_mem_disk *disk);
/* From now on the n-th durable write (1 is the next) fails and so does all
 * after it, until store_mem_disk_revive; 0 takes the order back.  What was
 * committed without a flush is lost with it (a seeded share of it, from the
 * oldest on, may survive: order is kept). */
void store_mem_disk_crash_at(struct store_mem_disk *disk, uint64_t n,
    struct rng *rng);
bool store_mem_disk_crashed(const struct store_mem_disk *disk);
/* What would survive a crash now, as a disk of its own: a backup. */
struct store_mem_disk *store_mem_disk_copy(const struct store_mem_disk *disk);
/* What survived becomes the content. */
void store_mem_disk_revive(struct store_mem_disk *disk);
uint64_t store_mem_disk_writes(const struct store_mem_disk *disk);
int store_open_mem(struct store_mem_disk *disk, struct store **store_out,
    struct err *e) MUST_CHECK;

void store_close(struct store *s);

/* ERR_NOT_FOUND without a text if there is none.  max: octets at most from
 * the front of the value (0: all); the value replaces value_out's content. */
int store_get(struct store *s, enum store_table t, struct slice key,
    size_t max, struct buf *value_out, struct err *e) MUST_CHECK;
/* The first entry whose key is above (or, with `from`, at or above) key_io;
 * key_io becomes its key.  ERR_NOT_FOUND at the end. value_out may be NULL. */
int store_next(struct store *s, enum store_table t, bool from,
    struct buf *key_io, size_t max, struct buf *value_out, struct err *e)
    MUST_CHECK;

int store_begin(struct store *s, struct err *e) MUST_CHECK;
int store_put(struct store *s, enum store_table t, struct slice key,
    struct slice value, struct err *e) MUST_CHECK;
/* Deleting what is not there is no error. */
int store_del(struct store *s, enum store_table t, struct slice key,
    struct err *e) MUST_CHECK;
/* sync: durable when it returns 0.  On error nothing of it happened, or, where
 * the engine cannot tell (a failed flush), the store is failed and must be
 * closed; store_failed says which. */
int store_commit(struct store *s, bool sync, struct err *e) MUST_CHECK;
void store_abort(struct store *s);
/* Makes all that was committed durable. */
int store_flush(struct store *s, struct err *e) MUST_CHECK;
bool store_failed(const struct store *s);
/* It failed because a page is damaged: another start does not mend that. */
bool store_damaged(const struct store *s);
/* Aborts the program if a transaction is open: our own contract. */
void store_assert_idle(const struct store *s);

/* Upkeep, in bounded steps; call when idle.  Returns 1 while there is more. */
int store_maintain(struct store *s, struct err *e) MUST_CHECK;
int store_backup(struct store *s, const char *dir, struct err *e) MUST_CHECK;

struct store_stats {
	uint64_t flushes;	/* of the log since open */
	uint64_t commits, bytes_on_disk;
};
void store_stats(struct store *s, struct store_stats *out);

#endif
