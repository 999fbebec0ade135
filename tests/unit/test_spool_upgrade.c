/* SPDX-License-Identifier: ISC */
/*
 * From schema 1 to 2.  The old spool is made by hand with Berkeley DB alone:
 * the seven tables of schema 1, and in them the records of today, of which
 * none changed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <db.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "tests/unit/carry_world.h"

/* As they were: with a checksum on each page, or without. */
static const struct {
	enum store_table table;
	const char *file;
	bool checksums;
} old_tables[] = {
	{ STORE_META, "meta.db", true },
	{ STORE_MESSAGE, "message.db", false },
	{ STORE_BODY, "body.db", false },
	{ STORE_STATE, "state.db", true },
	{ STORE_OBJECT, "object.db", true },
	{ STORE_LEDGER, "ledger.db", true },
	{ STORE_BROKEN, "broken.db", false },
};

#define OLD_TABLES (sizeof(old_tables) / sizeof(old_tables[0]))

static void
must(int ret)
{
	if (ret != 0)
		fail_msg("%s", db_strerror(ret));
}

static void
put(DB *db, struct slice key, struct slice value)
{
	DBT k = { .data = (void *)(uintptr_t)key.ptr,
	    .size = (uint32_t)key.len };
	DBT v = { .data = (void *)(uintptr_t)value.ptr,
	    .size = (uint32_t)value.len };

	must(db->put(db, NULL, &k, &v, DB_AUTO_COMMIT));
}

static void
put_schema(DB *db, uint32_t schema)
{
	struct buf v = BUF_INIT, all = BUF_INIT;

	buf_adds(&all, "schema");
	buf_put32(&all, schema);
	buf_put32(&v, crc32c(0, all.ptr, all.len));
	buf_put32(&v, schema);
	put(db, slice_of("schema"), buf_slice(&v));
	buf_release(&v);
	buf_release(&all);
}

/* What schema 1 did not know. */
static bool
is_new(struct slice key)
{
	return slice_eqs(key, "epochs") || slice_eqs(key, "next-bundle") ||
	    slice_eqs(key, "schema");
}

static void
copy_table(struct store *from, size_t i, DB_ENV *env, uint32_t schema)
{
	struct buf key = BUF_INIT, value = BUF_INIT;
	bool meta = old_tables[i].table == STORE_META;
	struct err e = ERR_INIT;
	DB *db;

	must(db_create(&db, env, 0));
	must(db->set_pagesize(db, 4096));
	if (old_tables[i].checksums)
		must(db->set_flags(db, DB_CHKSUM));
	must(db->open(db, NULL, old_tables[i].file, NULL, DB_BTREE,
	    DB_AUTO_COMMIT | DB_CREATE, 0600));
	while (store_next(from, old_tables[i].table, false, &key, 0, &value,
	    &e) == 0)
		if (!meta || !is_new(buf_slice(&key)))
			put(db, buf_slice(&key), buf_slice(&value));
	if (meta)
		put_schema(db, schema);
	must(db->close(db, 0));
	buf_release(&key);
	buf_release(&value);
}

/* The spool of a in f->out, as a program of that schema left it. */
static void
write_old(struct carry_world *f, uint32_t schema)
{
	DB_ENV *env;

	must(db_env_create(&env, 0));
	must(env->open(env, f->out, DB_CREATE | DB_PRIVATE | DB_INIT_LOCK |
	    DB_INIT_LOG | DB_INIT_MPOOL | DB_INIT_TXN, 0600));
	for (size_t i = 0; i < OLD_TABLES; i++)
		copy_table(spool_store(f->a->sp), i, env, schema);
	must(env->txn_checkpoint(env, 0, 0, DB_FORCE));
	must(env->close(env, 0));
}

static int
open_in(struct carry_world *f, const char *dir, bool create,
    struct spool **sp_out, struct err *e)
{
	struct store_options opts = sw_small_store(dir);
	struct spool_options sopts = { .clock = &f->a->clock.clock,
	    .rng = rng_real(), .dir = dir };
	struct store *store;
	int rc;

	opts.create = create;
	rc = store_open_bdb(&opts, &store, e);
	return rc < 0 ? rc : spool_open(store, &sopts, sp_out, e);
}

static bool
exists(const char *dir, const char *name)
{
	char *path = path_join(dir, name);
	bool there = access(path, F_OK) == 0;

	free(path);
	return there;
}

/* A large and a small message, a state, an object, an entry, a broken one. */
static void
fill_old(struct spool *sp)
{
	char peer[] = "london", name[] = "o1";
	struct object o = { .road = peer, .name = name };
	struct ledger_entry l = { true, 3, 77 };
	struct broken b = { .peer = peer, .secs = 5 };
	struct spool_draft *d = spool_draft_new(sp);
	struct message_state st;
	struct spool_unit *u;
	struct err e = ERR_INIT;
	struct message m;
	char *large = mem_alloc(1, 150000);

	(void)cw_add_message(sp);
	memset(large, 'L', 150000);
	assert_int_equal(spool_draft_add(d, large, 150000, &e), 0);
	assert_int_equal(spool_draft_end(d, &e), 0);
	message_init(&m);
	m.env.sender = mem_strdup("s@example.org");
	envelope_add_recipient(&m.env, "r@example.org", NULL, NULL);
	message_state_init(&st, 1);
	st.rcpt[0].attempts = 7;
	sw_begin(sp, &u);
	assert_int_equal(spool_add_message(u, d, &m, &e), 0);
	assert_int_equal(spool_put_state(u, m.id, &st, &e), 0);
	assert_int_equal(spool_put_object(u, &o, &e), 0);
	assert_int_equal(spool_put_ledger(u, "london", slice_of("key"), &l,
	    &e), 0);
	sw_commit(u);
	spool_draft_free(d);
	d = spool_draft_new(sp);
	assert_int_equal(spool_draft_end(d, &e), 0);
	sw_begin(sp, &u);
	assert_int_equal(spool_add_broken(u, d, &b, &e), 0);
	sw_commit(u);
	spool_draft_free(d);
	message_release(&m);
	message_state_release(&st);
	free(large);
}

static void
expect_filled(struct carry_world *f, struct spool *sp)
{
	struct message_state st;
	struct ledger_entry l;
	struct message m;
	struct err e = ERR_INIT;

	cw_verify(f, sp);
	assert_int_equal(f->report.damaged, 0);
	assert_int_equal(f->report.messages, 2);
	assert_int_equal(f->report.octets, 150006);
	assert_int_equal(f->report.objects, 1);
	assert_int_equal(f->report.ledger, 1);
	assert_int_equal(f->report.broken, 1);
	assert_int_equal(spool_get_message(sp, 2, &m, &e), 0);
	assert_string_equal(m.env.sender, "s@example.org");
	message_release(&m);
	assert_int_equal(spool_get_state(sp, 2, 1, &st, &e), 0);
	assert_int_equal(st.rcpt[0].attempts, 7);
	message_state_release(&st);
	assert_int_equal(spool_get_ledger(sp, "london", slice_of("key"), &l,
	    &e), 0);
	assert_int_equal(l.transactions, 3);
}

static void
refuse(struct carry_world *f, const char *dir)
{
	struct spool *sp;
	struct err e = ERR_INIT;

	for (int create = 0; create < 2; create++) {
		assert_int_equal(open_in(f, dir, create, &sp, &e),
		    ERR_STATE);
		assert_non_null(strstr(e.text, "postrider spool upgrade"));
	}
}

static void
test_upgrade(void **state)
{
	struct carry_world *f = *state;
	char *backup = path_join(f->b->dir, "backup");
	struct spool *sp;
	struct err e = ERR_INIT;
	uint64_t epoch;
	char id[33];

	fill_old(f->a->sp);
	memcpy(id, spool_id(f->a->sp), sizeof(id));
	write_old(f, 1);
	assert_false(exists(f->out, "bundle.db"));
	refuse(f, f->out);
	if (spool_upgrade(f->out, backup, &e) < 0)
		fail_msg("upgrade: %s", e.text);
	/* The backup is of the old one. */
	refuse(f, backup);
	assert_int_equal(open_in(f, f->out, false, &sp, &e), 0);
	assert_string_equal(spool_id(sp), id);
	expect_filled(f, sp);
	epoch = spool_epoch(sp);
	assert_true(epoch != 0);
	cw_expect_origin(sp, 1, epoch, 1);
	cw_put_kinds(sp);
	(void)cw_add_bundle(sp, BUNDLE_ARRIVED, "paris", 100000, 1);
	assert_true(cw_add_message(sp) > 2);
	spool_close(sp);
	/* Again there is nothing to do, and no backup is made. */
	assert_int_equal(spool_upgrade(f->out, "/nonexistent/x", &e), 0);
	assert_int_equal(open_in(f, f->out, true, &sp, &e), 0);
	assert_true(spool_epoch(sp) == epoch);
	cw_expect_origin(sp, 2, epoch, 2);
	cw_expect_kinds(sp, true);
	spool_close(sp);
	free(backup);
}

/* Neither too old nor too new, nor without a backup. */
static void
test_refused(void **state)
{
	static const struct {
		uint32_t schema;
		int rc;
	} cases[] = {
		{ 0, ERR_UNSUPPORTED }, { SPOOL_SCHEMA + 1, ERR_STATE },
	};
	struct carry_world *f = *state;
	char *backup = path_join(f->b->dir, "backup");
	struct err e = ERR_INIT;

	for (size_t i = 0; i < 2; i++) {
		write_old(f, cases[i].schema);
		assert_int_equal(spool_upgrade(f->out, backup, &e),
		    cases[i].rc);
	}
	write_old(f, 1);
	assert_true(spool_upgrade(f->out, "/proc/nowhere", &e) < 0);
	refuse(f, f->out);
	free(backup);
}

/* Salvage of an old spool makes one of today. */
static void
test_salvaged(void **state)
{
	struct carry_world *f = *state;
	struct spool *sp;
	struct err e = ERR_INIT;

	fill_old(f->a->sp);
	write_old(f, 1);
	if (spool_salvage(f->out, NULL, &f->a->clock.clock, rng_real(),
	    &f->report, cw_on_told, f, &e) < 0)
		fail_msg("salvage: %s", e.text);
	assert_int_equal(f->report.damaged, 0);
	assert_string_equal(cw_told(f), "");
	assert_int_equal(open_in(f, f->out, false, &sp, &e), 0);
	expect_filled(f, sp);
	spool_close(sp);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(test_##name, cw_setup, cw_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(upgrade),
		TEST(refused),
		TEST(salvaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
