/* SPDX-License-Identifier: ISC */
/*
 * The engine on Berkeley DB: a private environment, opened with recovery
 * under a flock, one file for each table.
 *
 * Pages are 4 KiB everywhere.  Larger ones would be walked and swept a little
 * faster, but a kill or a power cut can leave half of one written, and then
 * recovery takes the new half's word for the old; 4 KiB are what the kernel
 * writes whole.
 *
 * A page checksum that fails makes Berkeley DB give up the whole environment.
 * So only the small tables have them; messages, bodies, the quarantine and
 * the pieces of bundles go without, and the records carry their own CRC-32C:
 * a damaged one hurts its message alone.
 */
#include "spool/store_bdb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "spool/store_salvage.h"

/* A unit of 1 MiB on 4 KiB pages locks a few hundred of them. */
#define LOCKS_MAX 20000
#define PAGE_BYTES 4096

/* A spool of an older schema lacks what is younger: it is made when it is
 * opened, be it only for an upgrade. */
static const struct table {
	const char *file;
	bool checksums;
	bool younger;
} tables[] = {
	[STORE_META] = { "meta.db", true, false },
	[STORE_MESSAGE] = { "message.db", false, false },
	[STORE_BODY] = { "body.db", false, false },
	[STORE_STATE] = { "state.db", true, false },
	[STORE_OBJECT] = { "object.db", true, false },
	[STORE_LEDGER] = { "ledger.db", true, false },
	[STORE_BROKEN] = { "broken.db", false, false },
	[STORE_BUNDLE] = { "bundle.db", true, true },
	[STORE_PIECE] = { "piece.db", false, true },
	[STORE_SERIAL_OUT] = { "serial-out.db", true, true },
	[STORE_SERIAL_IN] = { "serial-in.db", true, true },
	[STORE_FLOW] = { "flow.db", true, true },
	[STORE_TAKEN] = { "taken.db", true, true },
	[STORE_SEEN] = { "seen.db", true, true },
	[STORE_OWED] = { "owed.db", true, true },
	[STORE_SITE] = { "site.db", true, true },
	[STORE_HISTORY] = { "history.db", true, true },
};
_Static_assert(sizeof(tables) / sizeof(tables[0]) == STORE_TABLES,
    "a file for each table");

const char *
bdb_table_file(enum store_table t)
{
	return tables[t].file;
}

bool
bdb_table_is_younger(enum store_table t)
{
	return tables[t].younger;
}

static void
hear(const DB_ENV *env, const char *prefix, const char *text)
{
	struct bdb *s = env->app_private;

	size_t len = strlen(s->said);

	(void)prefix;
	/* The first words of many tell the cause. */
	snprintf(s->said + len, sizeof(s->said) - len, "%s%s",
	    len > 0 ? "; " : "", text);
	if (strstr(text, strerror(ENOSPC)) != NULL ||
	    strstr(text, strerror(EIO)) != NULL)
		s->disk = true;
	if (strstr(text, "checksum error") != NULL ||
	    strstr(text, "illegal page type") != NULL)
		s->base.damaged = true;
}

static void
hear_message(const DB_ENV *env, const char *text)
{
	(void)env;
	(void)text;
}

static void
hear_event(DB_ENV *env, uint32_t event, void *info)
{
	struct bdb *s = env->app_private;

	(void)info;
	if (event == DB_EVENT_PANIC)
		s->panicked = true;
}

int
bdb_error(struct bdb *s, int ret, const char *what, struct err *e)
{
	int code = ERR_IO;

	if (ret == DB_RUNRECOVERY || s->panicked)
		s->base.failed = true;
	else if (ret == ENOSPC || ret == EDQUOT)
		code = ERR_FULL;
	else if (ret == DB_PAGE_NOTFOUND || ret == DB_VERIFY_BAD ||
	    ret == DB_CHKSUM_FAIL || ret == DB_SECONDARY_BAD)
		code = ERR_CORRUPT;
	err_set(e, code, "spool %s: %s: %s%s%s%s", s->dir, what,
	    db_strerror(ret), s->said[0] != '\0' ? ": " : "", s->said,
	    !s->base.failed ? "" : s->base.damaged ?
	    "; a page is damaged, see `postrider spool salvage`" :
	    "; the engine has given up, start again");
	s->said[0] = '\0';
	return code;
}

void
bdb_cursor_close(struct bdb *s)
{
	if (s->cursor != NULL)
		(void)s->cursor->close(s->cursor);
	s->cursor = NULL;
}

static DBT
dbt_of(struct slice v)
{
	/* The engine does not write through a key or value given to it. */
	return (DBT){ .data = (void *)(uintptr_t)v.ptr,
	    .size = (uint32_t)v.len };
}

/* A value is read straight into the caller's buffer; most are small. */
static DBT
dbt_into(struct buf *b, size_t room, size_t max)
{
	DBT d = { .flags = DB_DBT_USERMEM };

	buf_clear(b);
	d.data = buf_room(b, room);
	d.ulen = (uint32_t)room;
	if (max != 0) {
		d.flags |= DB_DBT_PARTIAL;
		d.dlen = (uint32_t)max;
	}
	return d;
}

static int
bdb_get(struct store *base, enum store_table t, struct slice key, size_t max,
    struct buf *value_out, struct err *e)
{
	struct bdb *s = (struct bdb *)base;
	DBT k = dbt_of(key);
	size_t room = max != 0 ? max : 8192;
	int ret;

	for (;;) {
		DBT v = dbt_into(value_out, room, max);

		ret = s->db[t]->get(s->db[t], s->txn, &k, &v, 0);
		if (ret == DB_BUFFER_SMALL && v.size > room) {
			room = v.size;
			continue;
		}
		if (ret == 0)
			buf_grown(value_out, v.size);
		break;
	}
	if (ret == DB_NOTFOUND)
		return err_set(e, ERR_NOT_FOUND, "%s", "");
	return ret == 0 ? 0 : bdb_error(s, ret, tables[t].file, e);
}

/* One step of a cursor; key_io is replaced by the key found. */
static int
cursor_step(struct bdb *s, DBC *c, uint32_t how, struct buf *key_io,
    size_t max, struct buf *value_out)
{
	DBT k = dbt_of(buf_slice(key_io)), v;
	size_t room = max != 0 ? max : 8192;
	struct buf found = BUF_INIT;
	int ret;

	(void)s;
	do {
		k.flags = 0;
		if (value_out != NULL) {
			v = dbt_into(value_out, room, max);
		} else {
			v = (DBT){ .flags = DB_DBT_USERMEM | DB_DBT_PARTIAL };
		}
		ret = c->get(c, &k, &v, how);
		if (ret == DB_BUFFER_SMALL)
			room = v.size;
	} while (ret == DB_BUFFER_SMALL && value_out != NULL);
	if (ret != 0)
		return ret;
	if (value_out != NULL)
		buf_grown(value_out, v.size);
	buf_add(&found, k.data, k.size);
	buf_release(key_io);
	*key_io = found;
	return 0;
}

/* Puts a fresh cursor on the entry at or above key_io, and one on if that is
 * the key itself and not wanted. */
static int
cursor_seek(struct bdb *s, DBC *c, bool from, struct buf *key_io, size_t max,
    struct buf *value_out)
{
	struct buf sought = BUF_INIT;
	int ret;

	buf_addslice(&sought, buf_slice(key_io));
	ret = cursor_step(s, c, sought.len == 0 ? DB_FIRST : DB_SET_RANGE,
	    key_io, max, value_out);
	if (ret == 0 && !from && slice_eq(buf_slice(&sought),
	    buf_slice(key_io)))
		ret = cursor_step(s, c, DB_NEXT, key_io, max, value_out);
	buf_release(&sought);
	return ret;
}

static int
bdb_next(struct store *base, enum store_table t, bool from,
    struct buf *key_io, size_t max, struct buf *value_out, struct err *e)
{
	struct bdb *s = (struct bdb *)base;
	DBC *c = s->cursor;
	int ret;

	if (c != NULL && !from && s->cursor_table == t &&
	    slice_eq(buf_slice(key_io), buf_slice(&s->cursor_key))) {
		ret = cursor_step(s, c, DB_NEXT, key_io, max, value_out);
	} else {
		bdb_cursor_close(s);
		ret = s->db[t]->cursor(s->db[t], s->txn, &c, 0);
		if (ret != 0)
			return bdb_error(s, ret, tables[t].file, e);
		s->cursor = c;
		s->cursor_table = t;
		ret = cursor_seek(s, c, from, key_io, max, value_out);
	}
	if (ret == 0) {
		buf_clear(&s->cursor_key);
		buf_addslice(&s->cursor_key, buf_slice(key_io));
	}
	/* In a transaction the next change may meet the cursor's place. */
	if (ret != 0 || s->txn != NULL)
		bdb_cursor_close(s);
	if (ret == DB_NOTFOUND)
		return err_set(e, ERR_NOT_FOUND, "%s", "");
	/* No walk gets past a page that cannot be read: whoever goes on from
	 * the same key would do so for ever. */
	if (ret == DB_PAGE_NOTFOUND || ret == DB_VERIFY_BAD)
		s->base.failed = s->base.damaged = true;
	return ret == 0 ? 0 : bdb_error(s, ret, tables[t].file, e);
}

static int
bdb_begin(struct store *base, struct err *e)
{
	struct bdb *s = (struct bdb *)base;
	int ret;

	/* A cursor holds a lock that our own writes would wait for. */
	bdb_cursor_close(s);
	ret = s->env->txn_begin(s->env, NULL, &s->txn, 0);
	return ret == 0 ? 0 : bdb_error(s, ret, "begin", e);
}

static int
bdb_put(struct store *base, enum store_table t, struct slice key,
    struct slice value, struct err *e)
{
	struct bdb *s = (struct bdb *)base;
	DBT k = dbt_of(key), v = dbt_of(value);
	int ret = s->db[t]->put(s->db[t], s->txn, &k, &v, 0);

	s->put_bytes += key.len + value.len;
	return ret == 0 ? 0 : bdb_error(s, ret, tables[t].file, e);
}

static int
bdb_del(struct store *base, enum store_table t, struct slice key,
    struct err *e)
{
	struct bdb *s = (struct bdb *)base;
	DBT k = dbt_of(key);
	int ret = s->db[t]->del(s->db[t], s->txn, &k, 0);

	s->dels[t]++;
	if (ret == 0 || ret == DB_NOTFOUND)
		return 0;
	return bdb_error(s, ret, tables[t].file, e);
}

static int
bdb_commit(struct store *base, bool sync, struct err *e)
{
	struct bdb *s = (struct bdb *)base;
	DB_TXN *txn = s->txn;
	struct err ignored = ERR_INIT;
	int ret;

	s->txn = NULL;
	s->commits++;
	s->flushes += sync;
	/* A commit that flushes by itself (DB_TXN_SYNC) takes a failed write
	 * for success where that write is the first of a new log file
	 * (Berkeley DB 5.3, __log_flush_commit); log_flush tells. */
	ret = txn->commit(txn, DB_TXN_NOSYNC);
	if (ret == 0 && sync)
		ret = s->env->log_flush(s->env, NULL);
	if (ret != 0) {
		/* Whether it reached the disk cannot be told. */
		s->base.failed = true;
		return bdb_error(s, ret, "commit", e);
	}
	/* Upkeep is for idle moments, but a log cannot grow without end. */
	if (s->put_bytes > 4 * s->opts.checkpoint_bytes &&
	    bdb_checkpoint(s, false, &ignored) < 0)
		s->put_bytes = 0;	/* the commit stands all the same */
	return 0;
}

static void
bdb_abort(struct store *base)
{
	struct bdb *s = (struct bdb *)base;

	if (s->txn != NULL && s->txn->abort(s->txn) != 0)
		s->base.failed = true;
	s->txn = NULL;
}

static int
bdb_flush(struct store *base, struct err *e)
{
	struct bdb *s = (struct bdb *)base;
	int ret = s->env->log_flush(s->env, NULL);

	s->flushes++;
	if (ret == 0)
		return 0;
	s->base.failed = true;
	return bdb_error(s, ret, "flush", e);
}

static void
bdb_close(struct store *base)
{
	struct bdb *s = (struct bdb *)base;
	struct err ignored = ERR_INIT;

	bdb_cursor_close(s);
	if (s->env != NULL && !s->base.failed)
		(void)bdb_checkpoint(s, true, &ignored);
	for (int t = 0; t < STORE_TABLES; t++)
		if (s->db[t] != NULL)
			(void)s->db[t]->close(s->db[t], DB_NOSYNC);
	if (s->env != NULL)
		(void)s->env->close(s->env, 0);
	if (s->lock_fd >= 0)
		(void)close(s->lock_fd);
	buf_release(&s->cursor_key);
	buf_release(&s->compact_from);
	free(s->dir);
	free(s);
}

/* The lock file stays: removing it would let two in. */
int
store_salvage_lock(const char *dir, struct err *e)
{
	char *path = path_join(dir, "lock"), pid[32] = "";
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), rc = fd;
	ssize_t n;

	if (fd < 0) {
		rc = err_errno(e, "open %s", path);
	} else if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		n = pread(fd, pid, sizeof(pid) - 1, 0);
		pid[n > 0 ? strcspn(pid, "\n") : 0] = '\0';
		rc = err_set(e, ERR_STATE, "spool %s is in use by process %s",
		    dir, pid);
	} else {
		n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
		if (ftruncate(fd, 0) < 0 ||
		    pwrite(fd, pid, (size_t)n, 0) != n)
			rc = err_errno(e, "write %s", path);
	}
	if (rc < 0 && fd >= 0)
		(void)close(fd);
	free(path);
	return rc;
}

int
bdb_env_new(struct bdb *s, struct err *e)
{
	DB_ENV *env;
	int ret = db_env_create(&env, 0);

	if (ret != 0)
		return bdb_error(s, ret, "environment", e);
	s->env = env;
	env->app_private = s;
	env->set_errcall(env, hear);
	env->set_msgcall(env, hear_message);
	/* A log file that has its full size is flushed without the help of
	 * the file system's journal: a third less time. */
	if ((ret = env->set_event_notify(env, hear_event)) != 0 ||
	    (ret = env->log_set_config(env, DB_LOG_ZERO, 1)) != 0 ||
	    (ret = env->set_cachesize(env, 0, (uint32_t)s->opts.cache_bytes,
	    1)) != 0 ||
	    (ret = env->set_lg_bsize(env,
	    (uint32_t)s->opts.log_buffer_bytes)) != 0 ||
	    (ret = env->set_lg_max(env,
	    (uint32_t)s->opts.log_file_bytes)) != 0 ||
	    (ret = env->set_lk_max_locks(env, LOCKS_MAX)) != 0 ||
	    (ret = env->set_lk_max_objects(env, LOCKS_MAX)) != 0)
		return bdb_error(s, ret, "settings", e);
	return 0;
}

static int
open_table(struct bdb *s, enum store_table t, struct err *e)
{
	DB *db;
	int ret = db_create(&db, s->env, 0);

	if (ret != 0)
		return bdb_error(s, ret, tables[t].file, e);
	s->db[t] = db;
	if ((ret = db->set_pagesize(db, PAGE_BYTES)) != 0 ||
	    (tables[t].checksums &&
	    (ret = db->set_flags(db, DB_CHKSUM)) != 0) ||
	    (ret = db->open(db, NULL, tables[t].file, NULL, DB_BTREE,
	    DB_AUTO_COMMIT | (s->opts.create || tables[t].younger ?
	    DB_CREATE : 0), 0600)) != 0)
		return bdb_error(s, ret, tables[t].file, e);
	return 0;
}

static int
open_environment(struct bdb *s, struct err *e)
{
	int ret, rc = bdb_env_new(s, e);
	char *why;

	if (rc < 0)
		return rc;
	ret = s->env->open(s->env, s->dir, DB_CREATE | DB_PRIVATE |
	    DB_RECOVER | DB_INIT_LOCK | DB_INIT_LOG | DB_INIT_MPOOL |
	    DB_INIT_TXN, 0600);
	if (ret != 0)
		rc = bdb_error(s, ret, "recovery", e);
	for (int t = 0; rc == 0 && t < STORE_TABLES; t++)
		rc = open_table(s, (enum store_table)t, e);
	/* What is wrong here at the start does not mend by starting again,
	 * unless it was the disk that did not take a write. */
	if (rc < 0 && !s->disk && (s->base.failed || rc == ERR_CORRUPT)) {
		why = mem_strdup(e->text);
		rc = err_set(e, ERR_CORRUPT, "spool is damaged: %s; see "
		    "`postrider spool salvage`", why);
		free(why);
	}
	return rc;
}

static int
find_or_make(struct bdb *s, struct err *e)
{
	char *path = path_join(s->dir, tables[STORE_META].file);
	int rc = 0;

	if (s->opts.create)
		rc = file_make_dirs(s->dir, 0700, e);
	else if (access(path, F_OK) < 0)
		rc = err_set(e, ERR_NOT_FOUND, "no spool in %s", s->dir);
	free(path);
	return rc;
}

static const struct store_ops bdb_ops = {
	.close = bdb_close,
	.get = bdb_get,
	.next = bdb_next,
	.begin = bdb_begin,
	.put = bdb_put,
	.del = bdb_del,
	.commit = bdb_commit,
	.abort = bdb_abort,
	.flush = bdb_flush,
	.maintain = bdb_maintain,
	.backup = bdb_backup,
	.stats = bdb_stats,
};

int
store_open_bdb(const struct store_options *opts, struct store **store_out,
    struct err *e)
{
	struct bdb *s = mem_alloc(1, sizeof(*s));
	int rc;

	s->base.ops = &bdb_ops;
	s->opts = *opts;
	s->dir = mem_strdup(opts->dir);
	s->opts.dir = s->dir;
	s->lock_fd = -1;
	s->compacting = STORE_TABLES;
	buf_init(&s->cursor_key);
	buf_init(&s->compact_from);
	if ((rc = find_or_make(s, e)) < 0 ||
	    (rc = s->lock_fd = store_salvage_lock(s->dir, e)) < 0 ||
	    (rc = open_environment(s, e)) < 0) {
		s->base.failed = true;
		bdb_close(&s->base);
		return rc;
	}
	*store_out = &s->base;
	return 0;
}
