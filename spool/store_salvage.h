/* SPDX-License-Identifier: ISC */
#ifndef SPOOL_STORE_SALVAGE_H
#define SPOOL_STORE_SALVAGE_H
/*
 * The engine's rescue, for spool/salvage.c: nothing here needs the store in
 * dir to be whole.  Nobody else may have it open.
 */
#include "spool/store.h"

/* A file in every backup: who opens a spool that has it opens a restored one
 * and gives it a new id. */
#define STORE_BACKUP_MARK "backup-of"

/* Takes the flock of the store in dir, which may be damaged: a descriptor to
 * be closed at the end. */
int store_salvage_lock(const char *dir, struct err *e) MUST_CHECK;

typedef int store_salvaged(void *ctx, struct slice key, struct slice value);
/* Hands on whatever looks like a record of the table, whole or not; a
 * negative result of fn ends the walk.  Returns 1 where the engine found the
 * file damaged, 0 where it did not; the file of a table that came with a later
 * schema may be missing. */
int store_salvage_table(const char *dir, enum store_table t,
    store_salvaged *fn, void *ctx, struct err *e) MUST_CHECK;
/* Runs recovery over the files in dir: catastrophic where they are a backup
 * and all logs since.  A table whose file is not there is no error. */
int store_salvage_recover(const char *dir, bool catastrophic, struct err *e)
    MUST_CHECK;
const char *store_salvage_file(enum store_table t);
/* Is it a table's file, or a log's? */
bool store_salvage_is_table(const char *name);
bool store_salvage_is_log(const char *name);

#endif
