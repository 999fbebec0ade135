/* SPDX-License-Identifier: ISC */
/*
 * The engines under the spool: one table of cases, run over each of them,
 * and what only one of them promises (exact crash semantics; recovery, faults
 * below Berkeley DB, backup).
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <db.h>

#include "base/mem.h"
#include "spool/store.h"

struct fixture {
	bool bdb;
	char dir[64];
	struct store_mem_disk *disk;
	struct store *store;
};

static void
reopen(struct fixture *f)
{
	struct store_options opts;
	struct err e = ERR_INIT;
	int rc;

	store_close(f->store);
	f->store = NULL;
	store_options_default(&opts);
	opts.dir = f->dir;
	rc = f->bdb ? store_open_bdb(&opts, &f->store, &e) :
	    store_open_mem(f->disk, &f->store, &e);
	if (rc < 0)
		print_error("open: %s\n", e.text);
	assert_int_equal(rc, 0);
}

static void
make_dir(char *dir, size_t size)
{
	snprintf(dir, size, "/tmp/test_store.XXXXXX");
	assert_non_null(mkdtemp(dir));
}

static void
remove_dir(const char *dir)
{
	char *command = mem_printf("rm -rf '%s'", dir);

	assert_int_equal(system(command), 0);
	free(command);
}

static struct fixture *
fixture_new(bool bdb)
{
	struct fixture *f = mem_alloc(1, sizeof(*f));

	f->bdb = bdb;
	make_dir(f->dir, sizeof(f->dir));
	f->disk = store_mem_disk_new();
	reopen(f);
	return f;
}

static int
setup_bdb(void **state)
{
	*state = fixture_new(true);
	return 0;
}

static int
setup_mem(void **state)
{
	*state = fixture_new(false);
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	store_close(f->store);
	store_mem_disk_free(f->disk);
	remove_dir(f->dir);
	free(f);
	return 0;
}

static void
begin(struct store *s)
{
	struct err e = ERR_INIT;

	assert_int_equal(store_begin(s, &e), 0);
}

static void
put(struct store *s, enum store_table t, const char *key, const char *value)
{
	struct err e = ERR_INIT;

	assert_int_equal(store_put(s, t, slice_of(key), slice_of(value), &e),
	    0);
}

static void
commit(struct store *s, bool sync)
{
	struct err e = ERR_INIT;

	assert_int_equal(store_commit(s, sync, &e), 0);
}

static void
put_alone(struct store *s, const char *key, const char *value, bool sync)
{
	begin(s);
	put(s, STORE_MESSAGE, key, value);
	commit(s, sync);
}

/* value NULL: there is none. */
static void
expect(struct store *s, enum store_table t, const char *key,
    const char *value)
{
	struct buf v = BUF_INIT;
	struct err e = ERR_INIT;
	int rc = store_get(s, t, slice_of(key), 0, &v, &e);

	if (value == NULL) {
		assert_int_equal(rc, ERR_NOT_FOUND);
		assert_string_equal(e.text, "");
	} else {
		assert_int_equal(rc, 0);
		assert_string_equal(buf_cstr(&v), value);
	}
	buf_release(&v);
}

static void
test_put_get_del(void **state)
{
	struct store *s = ((struct fixture *)*state)->store;
	struct err e = ERR_INIT;

	begin(s);
	for (int t = 0; t < STORE_TABLES; t++)
		put(s, (enum store_table)t, "key", t % 2 ? "odd" : "even");
	put(s, STORE_META, "key", "replaced");
	put(s, STORE_META, "empty", "");
	expect(s, STORE_META, "key", "replaced");
	commit(s, true);
	expect(s, STORE_META, "key", "replaced");
	expect(s, STORE_META, "empty", "");
	expect(s, STORE_META, "ke", NULL);
	expect(s, STORE_META, "keys", NULL);
	expect(s, STORE_MESSAGE, "key", "odd");
	expect(s, STORE_BROKEN, "key", "even");
	begin(s);
	assert_int_equal(store_del(s, STORE_META, slice_of("key"), &e), 0);
	assert_int_equal(store_del(s, STORE_META, slice_of("none"), &e), 0);
	expect(s, STORE_META, "key", NULL);
	commit(s, true);
	expect(s, STORE_META, "key", NULL);
	reopen(*state);
	s = ((struct fixture *)*state)->store;
	expect(s, STORE_META, "key", NULL);
	expect(s, STORE_MESSAGE, "key", "odd");
}

static void
test_abort(void **state)
{
	struct store *s = ((struct fixture *)*state)->store;
	struct err e = ERR_INIT;

	put_alone(s, "stays", "1", true);
	put_alone(s, "replaced", "1", true);
	begin(s);
	put(s, STORE_MESSAGE, "new", "2");
	put(s, STORE_MESSAGE, "replaced", "2");
	put(s, STORE_MESSAGE, "replaced", "3");
	assert_int_equal(store_del(s, STORE_MESSAGE, slice_of("stays"), &e),
	    0);
	store_abort(s);
	store_assert_idle(s);
	expect(s, STORE_MESSAGE, "new", NULL);
	expect(s, STORE_MESSAGE, "replaced", "1");
	expect(s, STORE_MESSAGE, "stays", "1");
}

static void
test_large_values(void **state)
{
	static const size_t lens[] = { 1, 4000, 8191, 8192, 8193, 65540 };
	struct store *s = ((struct fixture *)*state)->store;
	struct buf v = BUF_INIT, got = BUF_INIT;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		buf_clear(&v);
		for (size_t k = 0; k < lens[i]; k++)
			buf_addc(&v, (char)(k * 7 + i));
		begin(s);
		assert_int_equal(store_put(s, STORE_BODY, slice_of("big"),
		    buf_slice(&v), &e), 0);
		commit(s, false);
		assert_int_equal(store_get(s, STORE_BODY, slice_of("big"), 0,
		    &got, &e), 0);
		assert_true(slice_eq(buf_slice(&v), buf_slice(&got)));
		assert_int_equal(store_get(s, STORE_BODY, slice_of("big"),
		    100, &got, &e), 0);
		assert_int_equal(got.len, lens[i] < 100 ? lens[i] : 100);
		assert_memory_equal(got.ptr, v.ptr, got.len);
	}
	buf_release(&v);
	buf_release(&got);
}

static void
test_order(void **state)
{
	static const char *const sorted[] = { "a", "aa", "ab", "b", "ba" };
	static const int order[] = { 3, 0, 4, 2, 1 };
	struct store *s = ((struct fixture *)*state)->store;
	struct buf key = BUF_INIT, value = BUF_INIT;
	struct err e = ERR_INIT;
	size_t n = 0;

	begin(s);
	for (size_t i = 0; i < 5; i++)
		put(s, STORE_LEDGER, sorted[order[i]], sorted[order[i]]);
	commit(s, false);
	while (store_next(s, STORE_LEDGER, false, &key, 0, &value, &e) == 0) {
		assert_true(n < 5);
		assert_string_equal(buf_cstr(&key), sorted[n]);
		assert_string_equal(buf_cstr(&value), sorted[n++]);
	}
	assert_int_equal(n, 5);
	buf_clear(&key);
	buf_adds(&key, "aa");
	assert_int_equal(store_next(s, STORE_LEDGER, true, &key, 0, NULL, &e),
	    0);
	assert_string_equal(buf_cstr(&key), "aa");
	buf_clear(&key);
	buf_adds(&key, "ac");
	assert_int_equal(store_next(s, STORE_LEDGER, true, &key, 1, &value,
	    &e), 0);
	assert_string_equal(buf_cstr(&key), "b");
	buf_release(&key);
	buf_release(&value);
}

/* A walk goes on while what it walks over is changed between its steps. */
static void
test_walk_and_change(void **state)
{
	struct store *s = ((struct fixture *)*state)->store;
	struct buf key = BUF_INIT;
	struct err e = ERR_INIT;
	char name[16];
	int n = 0;

	begin(s);
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "%04d", i);
		put(s, STORE_MESSAGE, name, "value");
	}
	commit(s, false);
	while (store_next(s, STORE_MESSAGE, false, &key, 0, NULL, &e) == 0) {
		snprintf(name, sizeof(name), "%04d", n++);
		assert_string_equal(buf_cstr(&key), name);
		if (n % 3 != 0)
			continue;
		begin(s);
		assert_int_equal(store_del(s, STORE_MESSAGE, slice_of(name),
		    &e), 0);
		snprintf(name, sizeof(name), "%04d", 9999 - n);
		put(s, STORE_STATE, name, "x");
		commit(s, false);
	}
	assert_int_equal(n, 500);
	expect(s, STORE_MESSAGE, "0002", NULL);
	expect(s, STORE_MESSAGE, "0003", "value");
	buf_release(&key);
}

static void
abort_in_child(void (*fn)(struct store *s), struct store *s)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		fn(s);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void
begin_again(struct store *s)
{
	struct err e = ERR_INIT;

	if (store_begin(s, &e) < 0)
		_exit(1);
}

static void
test_contract(void **state)
{
	struct store *s = ((struct fixture *)*state)->store;

	begin(s);
	abort_in_child(begin_again, s);
	abort_in_child((void (*)(struct store *))store_assert_idle, s);
	store_abort(s);
	abort_in_child(store_abort, s);
}

static void
test_mem_crash(void **state)
{
	/* For each seed some first part of the three unflushed survives. */
	struct fixture *f = *state;
	unsigned survivors_seen = 0;

	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct store_mem_disk *disk = store_mem_disk_new();
		struct rng_seeded rng;
		struct store *s;
		struct buf v = BUF_INIT;
		struct err e = ERR_INIT;
		unsigned survivors = 0;

		rng_seeded_init(&rng, seed);
		assert_int_equal(store_open_mem(disk, &s, &e), 0);
		put_alone(s, "durable", "1", true);
		assert_int_equal(store_mem_disk_writes(disk), 1);
		store_mem_disk_crash_at(disk, 1, &rng.rng);
		put_alone(s, "one", "1", false);
		put_alone(s, "two", "2", false);
		begin(s);
		put(s, STORE_MESSAGE, "three", "3");
		assert_int_equal(store_commit(s, true, &e), ERR_IO);
		assert_true(store_failed(s));
		assert_true(store_mem_disk_crashed(disk));
		assert_int_equal(store_begin(s, &e), ERR_IO);
		assert_int_equal(store_get(s, STORE_MESSAGE, slice_of("one"),
		    0, &v, &e), ERR_IO);
		store_close(s);
		assert_int_equal(store_open_mem(disk, &s, &e), ERR_IO);
		store_mem_disk_revive(disk);
		assert_int_equal(store_open_mem(disk, &s, &e), 0);
		expect(s, STORE_MESSAGE, "durable", "1");
		for (int i = 0; i < 3; i++) {
			static const char *const keys[] = { "one", "two",
			    "three" };
			int rc = store_get(s, STORE_MESSAGE,
			    slice_of(keys[i]), 0, &v, &e);

			assert_true(rc == 0 || rc == ERR_NOT_FOUND);
			assert_true(rc != 0 || survivors == (unsigned)i);
			survivors += rc == 0;
		}
		survivors_seen |= 1u << survivors;
		buf_release(&v);
		store_close(s);
		store_mem_disk_free(disk);
	}
	assert_int_equal(survivors_seen, 15);
	(void)f;
}

static void
test_mem_crash_at_later_write(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;

	store_mem_disk_crash_at(f->disk, 3, NULL);
	put_alone(f->store, "one", "1", true);
	put_alone(f->store, "lost", "x", false);
	put_alone(f->store, "two", "2", true);
	put_alone(f->store, "three", "3", false);
	assert_int_equal(store_flush(f->store, &e), ERR_IO);
	store_mem_disk_revive(f->disk);
	reopen(f);
	expect(f->store, STORE_MESSAGE, "two", "2");
	expect(f->store, STORE_MESSAGE, "lost", "x");
	expect(f->store, STORE_MESSAGE, "three", NULL);
}

static void
test_bdb_locked(void **state)
{
	struct fixture *f = *state;
	struct store_options opts;
	struct store *second;
	struct err e = ERR_INIT;
	char *pid = mem_printf("process %ld", (long)getpid());

	store_options_default(&opts);
	opts.dir = f->dir;
	assert_int_equal(store_open_bdb(&opts, &second, &e), ERR_STATE);
	assert_non_null(strstr(e.text, pid));
	free(pid);
}

static void
test_bdb_absent(void **state)
{
	struct store_options opts;
	struct store *s;
	struct err e = ERR_INIT;

	(void)state;
	store_options_default(&opts);
	opts.dir = "/nonexistent/spool";
	opts.create = false;
	assert_int_equal(store_open_bdb(&opts, &s, &e), ERR_NOT_FOUND);
	assert_non_null(strstr(e.text, "/nonexistent/spool"));
}

#define BOTH(name) \
	{ "bdb: " #name, test_##name, setup_bdb, teardown, NULL }, \
	{ "mem: " #name, test_##name, setup_mem, teardown, NULL }
#define ONE(name, engine) \
	{ #name, test_##name, setup_##engine, teardown, NULL }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(put_get_del),
		BOTH(abort),
		BOTH(large_values),
		BOTH(order),
		BOTH(walk_and_change),
		BOTH(contract),
		ONE(mem_crash, mem),
		ONE(mem_crash_at_later_write, mem),
		ONE(bdb_locked, bdb),
		ONE(bdb_absent, bdb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
