/* SPDX-License-Identifier: ISC */
/*
 * Upkeep of the engine on Berkeley DB: checkpoints, log files, space that
 * deletions leave, and the hot backup.
 *
 * Logs are kept since the last backup where the spool is told so, else until
 * a checkpoint makes them needless.  A backup begins with a checkpoint and
 * removes the logs it has copied at its end: nothing is written in between,
 * so backup and later logs have no gap.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "spool/store_bdb.h"
#include "spool/store_salvage.h"

#define COMPACT_PAGES 64		/* freed in one step */
#define COMPACT_DELS 1000		/* fewer are not worth a pass */
#define COMPACT_MIN_BYTES (16 << 20)	/* nor is a smaller file */
#define COMPACT_EVERY_MS (10 * 60 * 1000)

static int
remove_logs(struct bdb *s, struct err *e)
{
	int ret = s->env->log_archive(s->env, NULL, DB_ARCH_REMOVE);

	return ret == 0 ? 0 : bdb_error(s, ret, "remove logs", e);
}

int
bdb_checkpoint(struct bdb *s, bool force, struct err *e)
{
	uint32_t kbytes = (uint32_t)(s->opts.checkpoint_bytes / 1024);
	DB_TXN_STAT *st = NULL;
	int ret, rc = 0;

	bdb_cursor_close(s);
	ret = s->env->txn_checkpoint(s->env, kbytes, 0, force ? DB_FORCE : 0);
	if (ret == 0)
		ret = s->env->txn_stat(s->env, &st, 0);
	if (ret != 0)
		return bdb_error(s, ret, "checkpoint", e);
	if (st->st_last_ckp.file != s->checkpoint.file ||
	    st->st_last_ckp.offset != s->checkpoint.offset) {
		s->checkpoint = st->st_last_ckp;
		s->put_bytes = 0;
		if (!s->opts.keep_logs)
			rc = remove_logs(s, e);
	}
	free(st);
	return rc;
}

static uint64_t
file_bytes(const char *dir, const char *name)
{
	char *path = path_join(dir, name);
	struct stat st;
	uint64_t n = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;

	free(path);
	return n;
}

static bool
wants_compaction(struct bdb *s, enum store_table t)
{
	return s->dels[t] >= COMPACT_DELS &&
	    file_bytes(s->dir, bdb_table_file(t)) >= COMPACT_MIN_BYTES;
}

static void
choose_compaction(struct bdb *s)
{
	int64_t now = clock_mono_ms(clock_real());
	int t = 0;

	if (s->compacted_ms == 0)
		s->compacted_ms = now;
	if (now - s->compacted_ms < COMPACT_EVERY_MS)
		return;
	while (t < STORE_TABLES && !wants_compaction(s, (enum store_table)t))
		t++;
	if (t == STORE_TABLES) {
		s->compacted_ms = now;
		return;
	}
	s->compacting = (enum store_table)t;
	s->dels[t] = 0;
	buf_clear(&s->compact_from);
}

/* 1 while there is more. */
static int
compact_step(struct bdb *s, struct err *e)
{
	DB *db = s->db[s->compacting];
	DB_COMPACT c = { .compact_pages = COMPACT_PAGES };
	DBT from = { .data = s->compact_from.ptr,
	    .size = (uint32_t)s->compact_from.len };
	DBT end = { .flags = DB_DBT_MALLOC };
	int ret = db->compact(db, NULL, from.size > 0 ? &from : NULL, NULL,
	    &c, DB_FREE_SPACE, &end);

	if (ret != 0) {
		s->compacting = STORE_TABLES;
		return bdb_error(s, ret, "compaction", e);
	}
	buf_clear(&s->compact_from);
	buf_add(&s->compact_from, end.data, end.size);
	free(end.data);
	if (end.size == 0 || c.compact_pages_free < COMPACT_PAGES)
		s->compacting = STORE_TABLES;
	return 1;
}

int
bdb_maintain(struct store *base, struct err *e)
{
	struct bdb *s = (struct bdb *)base;
	int rc;

	if ((rc = bdb_checkpoint(s, false, e)) < 0)
		return rc;
	if (s->compacting == STORE_TABLES)
		choose_compaction(s);
	return s->compacting == STORE_TABLES ? 0 : compact_step(s, e);
}

int
bdb_backup(struct store *base, const char *dir, struct err *e)
{
	struct bdb *s = (struct bdb *)base;
	int ret, rc;

	if ((rc = file_make_dirs(dir, 0700, e)) < 0 ||
	    (rc = bdb_checkpoint(s, true, e)) < 0)
		return rc;
	ret = s->env->backup(s->env, dir, DB_CREATE | DB_BACKUP_CLEAN);
	if (ret != 0)
		return bdb_error(s, ret, "backup", e);
	rc = file_replace(dir, STORE_BACKUP_MARK, s->dir, strlen(s->dir),
	    0600, e);
	return rc < 0 ? rc : remove_logs(s, e);
}

void
bdb_stats(struct store *base, struct store_stats *out)
{
	struct bdb *s = (struct bdb *)base;
	struct dirent *ent;
	DIR *d = opendir(s->dir);

	out->flushes = s->flushes;
	out->commits = s->commits;
	while (d != NULL && (ent = readdir(d)) != NULL)
		if (store_salvage_is_table(ent->d_name) ||
		    store_salvage_is_log(ent->d_name))
			out->bytes_on_disk += file_bytes(s->dir, ent->d_name);
	if (d != NULL)
		closedir(d);
}
