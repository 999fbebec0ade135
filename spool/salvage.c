/* SPDX-License-Identifier: ISC */
/*
 * Salvage.  The old files are never worked on: they, or the backup with the
 * logs since, are copied and the engine's recovery runs over the copy.  Then
 * each table of the copy is read page by page, past what is damaged, and each
 * record whose CRC is right goes into a new store.  Only when that is whole
 * do the files change places.
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "spool/files.h"
#include "spool/kept.h"
#include "spool/store_salvage.h"
#include "spool/tool.h"

struct rescue {
	const char *dir, *backup;
	char *work, *copy, *fresh;	/* directories below dir */
	struct store *store;		/* in fresh */
	enum store_table table;
	bool open;			/* a transaction in store, of */
	size_t pending;			/* octets */
	uint64_t last_message, last_object, last_bundle, elapsed;
	uint64_t damaged;
	spool_told *told;
	void *told_ctx;
	struct err *e;
};

static void
tell(struct rescue *r, const char *what, const char *why)
{
	char *text = mem_printf("%s: %s", what, why);

	r->told(r->told_ctx, text);
	free(text);
}

static bool
is_any(const char *name)
{
	return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static bool
is_engine(const char *name)
{
	return store_salvage_is_table(name) || store_salvage_is_log(name);
}

static int
clear_dir(const char *dir, struct err *e)
{
	int rc = file_make_dirs(dir, 0700, e);

	return rc < 0 ? rc : files_each(dir, NULL, is_any, files_remove, e);
}

/* From the backup and the logs since. */
static int
copy_from_backup(struct rescue *r, struct err *e)
{
	int rc;

	if ((rc = clear_dir(r->copy, e)) < 0 ||
	    (rc = files_each(r->backup, r->copy, is_engine, files_copy,
	    e)) < 0 ||
	    (rc = files_each(r->dir, r->copy, store_salvage_is_log, files_copy,
	    e)) < 0)
		return rc;
	return store_salvage_recover(r->copy, true, e);
}

static int
ignore_record(void *ctx, struct slice key, struct slice value)
{
	(void)ctx;
	(void)key;
	(void)value;
	return 0;
}

/* Leaves the damaged tables out, so that the logs bring the others up to
 * date; then puts those as they are beside them. */
static int
copy_without_damaged(struct rescue *r, struct err *e)
{
	bool out[STORE_TABLES] = { false };
	struct err ignored = ERR_INIT;
	int rc = 0;

	if ((rc = clear_dir(r->copy, e)) < 0 ||
	    (rc = files_each(r->dir, r->copy, is_engine, files_copy, e)) < 0)
		return rc;
	for (int t = 0; t < STORE_TABLES && rc == 0; t++) {
		out[t] = store_salvage_table(r->dir, (enum store_table)t,
		    ignore_record, NULL, &ignored) != 0;
		if (out[t])
			rc = files_remove(r->copy, NULL,
			    store_salvage_file((enum store_table)t), e);
	}
	if (rc == 0 && (rc = store_salvage_recover(r->copy, false, e)) < 0)
		return rc;
	for (int t = 0; t < STORE_TABLES && rc == 0; t++)
		if (out[t])
			rc = files_copy(r->dir, r->copy,
			    store_salvage_file((enum store_table)t), e);
	return rc;
}

static int
copy_plain(struct rescue *r, bool recover, struct err *e)
{
	int rc;

	if ((rc = clear_dir(r->copy, e)) < 0 ||
	    (rc = files_each(r->dir, r->copy, is_engine, files_copy, e)) < 0)
		return rc;
	return recover ? store_salvage_recover(r->copy, false, e) : 0;
}

/* The best copy that can be had. */
static int
prepare_copy(struct rescue *r, struct err *e)
{
	struct err why = ERR_INIT;

	if (r->backup != NULL) {
		if (copy_from_backup(r, &why) == 0)
			return 0;
		tell(r, "the backup and the logs since cannot be recovered",
		    why.text);
	}
	if (copy_plain(r, true, &why) == 0)
		return 0;
	tell(r, "recovery from the logs fails", why.text);
	if (copy_without_damaged(r, &why) == 0)
		return 0;
	tell(r, "what was changed last may be lost", why.text);
	return copy_plain(r, false, e);
}

static void
raise_to(uint64_t *v, uint64_t at_least)
{
	if (*v < at_least)
		*v = at_least;
}

static bool
good_message(struct rescue *r, struct slice value, uint64_t id)
{
	struct message m;
	bool good;

	message_init(&m);
	good = message_record_get(value, id, &m, NULL) == 0;
	if (good)
		raise_to(&r->elapsed, m.accepted_secs);
	message_release(&m);
	return good;
}

static bool
good_object(struct slice value, uint64_t id)
{
	struct object o;
	bool good;

	object_init(&o);
	good = object_record_get(value, id, &o) == 0;
	object_release(&o);
	return good;
}

/* Ids that were in use, even in what is lost, are not used again. */
static bool
good_record(struct rescue *r, struct slice key, struct slice value)
{
	struct slice front = { key.ptr, 8 };
	uint64_t id = 0, *last = &r->last_message;
	bool good;

	if (r->table == STORE_LEDGER || r->table == STORE_META)
		return !record_open(key, value).failed;
	if (r->table > STORE_PIECE)
		return kept_check(r->table, key, value, NULL) == 0;
	if (key.len < 8 || id_of_key(front, &id) < 0)
		return false;
	if (r->table == STORE_MESSAGE) {
		good = good_message(r, value, id);
	} else if (r->table == STORE_OBJECT) {
		good = good_object(value, id);
		last = &r->last_object;
	} else if (r->table >= STORE_BUNDLE) {
		good = kept_check(r->table, key, value, NULL) == 0;
		last = &r->last_bundle;
	} else {
		good = !record_open(key, value).failed;
	}
	if (good)
		raise_to(last, id);
	return good;
}

/* The epochs alone go over as they are: messages keep theirs. */
static int
take_meta(struct rescue *r, struct slice key, struct slice value)
{
	struct reader in = record_open(key, value);

	if (slice_eqs(key, "elapsed"))
		raise_to(&r->elapsed, read64(&in));
	else if (slice_eqs(key, "next-message"))
		raise_to(&r->last_message, read64(&in));
	else if (slice_eqs(key, "next-object"))
		raise_to(&r->last_object, read64(&in));
	else if (slice_eqs(key, "next-bundle"))
		raise_to(&r->last_bundle, read64(&in));
	else if (slice_eqs(key, "epochs"))
		return store_put(r->store, STORE_META, key, value, r->e);
	return 0;
}

static void
tell_lost(struct rescue *r, struct slice key)
{
	struct buf b = BUF_INIT;
	uint64_t id;

	r->damaged++;
	buf_addf(&b, "lost from %s: ", store_salvage_file(r->table));
	if (key.len >= 8 && r->table != STORE_LEDGER &&
	    (r->table <= STORE_PIECE || r->table == STORE_HISTORY) &&
	    id_of_key((struct slice){ key.ptr, 8 }, &id) == 0 &&
	    id >> 40 == 0)
		buf_addf(&b, "a record of %s", message_name(id).s);
	else
		text_escape(&b, key, 60, false);
	r->told(r->told_ctx, buf_cstr(&b));
	buf_release(&b);
}

static int
renew_transaction(struct rescue *r, bool go_on)
{
	int rc = 0;

	if (r->open)
		rc = store_commit(r->store, false, r->e);
	r->open = false;
	r->pending = 0;
	if (rc == 0 && go_on) {
		rc = store_begin(r->store, r->e);
		r->open = rc == 0;
	}
	return rc;
}

static int
take_record(void *ctx, struct slice key, struct slice value)
{
	struct rescue *r = ctx;
	int rc;

	if (!good_record(r, key, value)) {
		tell_lost(r, key);
		return 0;
	}
	if (r->table == STORE_META)
		return take_meta(r, key, value);
	rc = store_put(r->store, r->table, key, value, r->e);
	r->pending += key.len + value.len;
	if (rc == 0 && r->pending > SPOOL_UNIT_MAX)
		rc = renew_transaction(r, true);
	return rc;
}

static int
put_number(struct rescue *r, const char *key, uint64_t n, bool with_time)
{
	struct buf v = BUF_INIT;
	int rc;

	record_begin(&v);
	buf_put64(&v, n);
	if (with_time)
		buf_put64(&v, (uint64_t)INT64_MAX);
	record_end(&v, slice_of(key));
	rc = store_put(r->store, STORE_META, slice_of(key), buf_slice(&v),
	    r->e);
	buf_release(&v);
	return rc;
}

/* No schema and no id: opening the spool makes new ones. */
static int
finish_meta(struct rescue *r)
{
	int rc = 0;

	if (r->elapsed != 0)
		rc = put_number(r, "elapsed", r->elapsed, true);
	if (rc == 0)
		rc = put_number(r, "next-message", r->last_message + ID_BLOCK,
		    false);
	if (rc == 0)
		rc = put_number(r, "next-object", r->last_object + ID_BLOCK,
		    false);
	if (rc == 0)
		rc = put_number(r, "next-bundle", r->last_bundle + ID_BLOCK,
		    false);
	return rc;
}

static int
fill(struct rescue *r)
{
	int rc = renew_transaction(r, true);

	for (int t = STORE_META; t < STORE_TABLES && rc >= 0; t++) {
		r->table = (enum store_table)t;
		rc = store_salvage_table(r->copy, r->table, take_record, r,
		    r->e);
		if (rc > 0) {
			tell(r, store_salvage_file(r->table),
			    "the file is damaged, and records of it may be "
			    "lost that have no name any more");
			r->damaged++;
		}
	}
	if (rc >= 0)
		rc = finish_meta(r);
	if (rc >= 0)
		rc = renew_transaction(r, false);
	else if (r->open)
		store_abort(r->store);
	return rc;
}

/* Fills the new store, and reads all of it as a spool. */
static int
rebuild(struct rescue *r, struct clock *clock, struct rng *rng,
    struct spool_report *report)
{
	struct spool_options opts = { .clock = clock, .rng = rng };
	struct store_options store_opts;
	struct spool *sp;
	int rc;

	store_options_default(&store_opts);
	store_opts.dir = r->fresh;
	if ((rc = clear_dir(r->fresh, r->e)) < 0 ||
	    (rc = store_open_bdb(&store_opts, &r->store, r->e)) < 0)
		return rc;
	if ((rc = fill(r)) < 0) {
		store_close(r->store);
		return rc;
	}
	if ((rc = spool_open(r->store, &opts, &sp, r->e)) < 0)
		return rc;
	/* What was sent since is not known for sure: flows begin anew. */
	rc = epochs_renew(sp, r->e);
	if (rc == 0)
		rc = spool_verify(sp, report, r->told, r->told_ctx, r->e);
	spool_close(sp);
	report->damaged += r->damaged;
	return rc;
}

/* damaged-YYYYMMDDTHHMMSS, and not one that exists. */
static int
keep_old(struct rescue *r, struct clock *clock)
{
	struct buf stamp = BUF_INIT;
	char *name, *dir;
	int rc = 0;

	timestamp_format(&stamp, clock_wall_ms(clock));
	name = mem_printf("damaged-%s", buf_cstr(&stamp));
	dir = path_join(r->dir, name);
	if (mkdir(dir, 0700) < 0)
		rc = err_errno(r->e, "make %s", dir);
	if (rc == 0)
		rc = files_each(r->dir, dir, is_engine, files_move, r->e);
	if (rc == 0)
		rc = file_sync_dir(dir, r->e);
	buf_release(&stamp);
	free(name);
	free(dir);
	return rc;
}

static int
change_places(struct rescue *r, struct clock *clock)
{
	struct err ignored = ERR_INIT;
	int rc;

	if ((rc = keep_old(r, clock)) < 0 ||
	    (rc = files_each(r->fresh, r->dir, is_engine, files_move,
	    r->e)) < 0 ||
	    (rc = file_sync_dir(r->dir, r->e)) < 0)
		return rc;
	if (clear_dir(r->fresh, &ignored) == 0 &&
	    clear_dir(r->copy, &ignored) == 0) {
		(void)rmdir(r->fresh);
		(void)rmdir(r->copy);
		(void)rmdir(r->work);
	}
	return 0;
}

int
spool_salvage(const char *dir, const char *backup, struct clock *clock,
    struct rng *rng, struct spool_report *report_out, spool_told *told,
    void *ctx, struct err *e)
{
	struct rescue r = { .dir = dir, .backup = backup, .told = told,
	    .told_ctx = ctx, .e = e };
	int lock = store_salvage_lock(dir, e), rc;

	*report_out = (struct spool_report){ 0 };
	if (lock < 0)
		return lock;
	r.work = path_join(dir, "salvage.tmp");
	r.copy = path_join(r.work, "copy");
	r.fresh = path_join(r.work, "new");
	if ((rc = prepare_copy(&r, e)) == 0 &&
	    (rc = rebuild(&r, clock, rng, report_out)) == 0)
		rc = change_places(&r, clock);
	free(r.work);
	free(r.copy);
	free(r.fresh);
	(void)close(lock);
	return rc;
}
