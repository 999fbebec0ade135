/* SPDX-License-Identifier: ISC */
/*
 * Flows, serials and what is remembered, over each engine.  Every kind is put
 * through the same walk: put, read after a new start, damage, delete.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "spool/custody.h"
#include "tests/unit/kept_kinds.h"
#include "tests/unit/spool_world.h"

/* One octet of the n-th record of a table changes. */
static void
damage(struct spool *sp, enum store_table t, size_t n, size_t at)
{
	struct buf k = BUF_INIT, v = BUF_INIT;
	struct store *s = spool_store(sp);
	struct err e = ERR_INIT;

	for (size_t i = 0; i <= n; i++)
		assert_int_equal(store_next(s, t, false, &k, 0, &v, &e), 0);
	v.ptr[at % v.len] ^= 32;
	assert_int_equal(store_begin(s, &e), 0);
	assert_int_equal(store_put(s, t, buf_slice(&k), buf_slice(&v), &e),
	    0);
	assert_int_equal(store_commit(s, true, &e), 0);
	buf_release(&v);
	buf_release(&k);
}

static size_t
value_len(struct spool *sp, enum store_table t, size_t n)
{
	struct buf k = BUF_INIT, v = BUF_INIT;
	struct err e = ERR_INIT;
	size_t len;

	for (size_t i = 0; i <= n; i++)
		assert_int_equal(store_next(spool_store(sp), t, false, &k, 0,
		    &v, &e), 0);
	len = v.len;
	buf_release(&v);
	buf_release(&k);
	return len;
}

/* From the last to the first: their order is the keys', not ours. */
static void
put_all(struct spool *sp, const struct kept_kind *k)
{
	struct spool_unit *u;
	struct err e = ERR_INIT;

	sw_begin(sp, &u);
	for (unsigned i = k->ncases; i-- > 0;)
		assert_int_equal(k->put(u, i, &e), 0);
	sw_commit(u);
}

static void
walk(struct spool *sp, const struct kept_kind *k, unsigned damaged)
{
	struct buf at = BUF_INIT;
	struct err e = ERR_INIT;

	for (unsigned i = 0; i < k->ncases; i++) {
		int want = i == damaged ? ERR_CORRUPT : 0;

		assert_int_equal(k->get(sp, i, &e), want);
		assert_int_equal(k->next(sp, &at, i, &e), want);
	}
	assert_int_equal(k->next(sp, &at, 0, &e), ERR_NOT_FOUND);
	assert_int_equal(k->next(sp, &at, 0, &e), ERR_NOT_FOUND);
	buf_release(&at);
}

static void
damage_each(struct spool *sp, const struct kept_kind *k)
{
	unsigned i = k->ncases - 1;
	/* In the table of flows, behind those of the other direction. */
	size_t n = strcmp(k->name, "flow_out") == 0 ? KEPT_CASES / 2 + i : i;
	size_t len = value_len(sp, k->table, n), step = len > 150 ? 7 : 1;

	for (size_t at = 0; at < len; at += step) {
		damage(sp, k->table, n, at);
		walk(sp, k, i);
		damage(sp, k->table, n, at);
	}
	walk(sp, k, UINT_MAX);
}

static void
delete_each(struct spool *sp, const struct kept_kind *k)
{
	struct spool_unit *u;
	struct err e = ERR_INIT;

	for (unsigned i = 0; i < k->ncases; i++) {
		sw_begin(sp, &u);
		assert_int_equal(k->del(u, i, &e), 0);
		assert_int_equal(k->del(u, i, &e), 0);
		spool_abort(u);
		assert_int_equal(k->get(sp, i, &e), 0);
		sw_begin(sp, &u);
		assert_int_equal(k->del(u, i, &e), 0);
		sw_commit(u);
		assert_int_equal(k->get(sp, i, &e), ERR_NOT_FOUND);
		assert_true(strlen(e.text) > 20);
		if (i + 1 < k->ncases)
			assert_int_equal(k->get(sp, i + 1, &e), 0);
	}
}

static void
test_kinds(void **state)
{
	struct spool_world *f = *state;
	size_t nkinds = KEPT_KINDS;

	for (size_t i = 0; i < nkinds; i++)
		put_all(f->sp, &kept_kinds[i]);
	sw_reopen(f);
	for (size_t i = 0; i < nkinds; i++)
		walk(f->sp, &kept_kinds[i], UINT_MAX);
	for (size_t i = 0; i < nkinds; i++)
		damage_each(f->sp, &kept_kinds[i]);
	for (size_t i = 0; i < nkinds; i++)
		put_all(f->sp, &kept_kinds[i]);	/* again: replaced */
	for (size_t i = 0; i < nkinds; i++) {
		walk(f->sp, &kept_kinds[i], UINT_MAX);
		if (kept_kinds[i].del != NULL)
			delete_each(f->sp, &kept_kinds[i]);
	}
	assert_int_equal(sw_count(f->sp, STORE_FLOW), 0);
	assert_int_equal(sw_count(f->sp, STORE_TAKEN), KEPT_CASES);
}

/* Of one flow, or one peer, and not of those whose names begin alike. */
static void
test_walks_of_one(void **state)
{
	struct spool_world *f = *state;
	struct buf at = BUF_INIT;
	struct err e = ERR_INIT;
	unsigned i;
	int rc = 0;

	for (size_t k = 0; k < KEPT_KINDS; k++)
		put_all(f->sp, &kept_kinds[k]);
	for (i = 0; i < KEPT_CASES; i += 2) {
		struct kept_at c = kept_case(i);

		for (unsigned n = 0; n < 3; n++) {
			struct serial_out out;

			rc = spool_next_serial_out(f->sp, c.site, c.epoch,
			    &at, &out, &e);
			if (n < 2)
				(void)kept_check_serial_out(&out, i + n, rc);
			assert_int_equal(rc, n < 2 ? 0 : ERR_NOT_FOUND);
		}
		buf_clear(&at);
		for (unsigned n = 0; n < 3; n++) {
			struct serial_in in;

			rc = spool_next_serial_in(f->sp, c.site, c.epoch,
			    &at, &in, &e);
			if (n < 2)
				(void)kept_check_serial_in(&in, i + n, rc);
			assert_int_equal(rc, n < 2 ? 0 : ERR_NOT_FOUND);
		}
		buf_clear(&at);
	}
	for (i = 0; i < KEPT_CASES; i += 4) {
		for (unsigned n = 0; n < 5; n++) {
			struct owed_ack a;

			rc = spool_next_owed_ack(f->sp, kept_sites[i / 4],
			    &at, &a, &e);
			if (n < 4)
				(void)kept_check_owed_ack(&a, i + n, rc);
			assert_int_equal(rc, n < 4 ? 0 : ERR_NOT_FOUND);
		}
		buf_clear(&at);
	}
	buf_release(&at);
}

/* What is walked may be deleted on the way. */
static void
test_delete_in_walk(void **state)
{
	struct spool_world *f = *state;
	struct buf at = BUF_INIT;
	struct serial_in s;
	struct spool_unit *u;
	struct err e = ERR_INIT;
	unsigned n = 0;

	put_all(f->sp, &kept_kinds[1]);
	damage(f->sp, STORE_SERIAL_IN, 5, 40);
	for (;;) {
		int rc = spool_next_serial_in(f->sp, NULL, 0, &at, &s, &e);

		if (rc == ERR_NOT_FOUND)
			break;
		assert_int_equal(rc, n == 5 ? ERR_CORRUPT : 0);
		sw_begin(f->sp, &u);
		assert_int_equal(spool_del_serial_in(u, s.origin, s.epoch,
		    s.serial, &e), 0);
		sw_commit(u);
		serial_in_release(&s);
		n++;
	}
	assert_int_equal(n, KEPT_CASES);
	assert_int_equal(sw_count(f->sp, STORE_SERIAL_IN), 0);
	buf_release(&at);
}

static void
test_limits(void **state)
{
	struct spool_world *f = *state;
	char name[SPOOL_NAME_MAX + 2];
	struct flow_in flow = { .origin = name, .epoch = 1 };
	struct site_record site = { .name = name };
	struct serial_in in;
	struct owed_ack ack = { .peer = name };
	struct bundle_range bad[] = { { 5, 5, true, 0 }, { 9, 1, true, 0 } };
	struct spool_unit *u;
	struct err e = ERR_INIT;

	serial_in_init(&in);
	for (size_t len = 0; len < sizeof(name); len++) {
		int want = len >= 1 && len <= SPOOL_NAME_MAX ? 0 : ERR_LIMIT;

		memset(name, 'n', sizeof(name));
		name[len] = '\0';
		sw_begin(f->sp, &u);
		assert_int_equal(spool_put_flow_in(u, &flow, &e), want);
		assert_int_equal(spool_put_site(u, &site, &e), want);
		assert_int_equal(spool_put_owed_ack(u, &ack, &e), want);
		spool_abort(u);
	}
	flow.origin = NULL;
	sw_begin(f->sp, &u);
	assert_int_equal(spool_put_flow_in(u, &flow, &e), ERR_LIMIT);
	spool_abort(u);
	name[3] = '\0';
	ack.range = bad;
	ack.nranges = 2;
	sw_begin(f->sp, &u);
	assert_int_equal(spool_put_owed_ack(u, &ack, &e), ERR_STATE);
	spool_abort(u);
	in.origin = mem_strdup("oslo");
	for (int more = 0; more < 2; more++) {
		/* 58 octets of the record are not the results. */
		while (in.results.len < SPOOL_RECORD_MAX - 58U + (size_t)more)
			buf_addc(&in.results, 'r');
		sw_begin(f->sp, &u);
		assert_int_equal(spool_put_serial_in(u, &in, &e),
		    more ? ERR_LIMIT : 0);
		if (more)
			spool_abort(u);
		else
			sw_commit(u);
	}
	serial_in_release(&in);
}

/* Serials 1 .. n of a flow. */
static void
put_serials(struct spool *sp, const char *origin, uint64_t epoch, unsigned n,
    size_t octets)
{
	struct serial_in s;
	struct spool_unit *u;
	struct err e = ERR_INIT;

	serial_in_init(&s);
	s.origin = mem_strdup(origin);
	s.epoch = epoch;
	while (s.results.len < octets)
		buf_addc(&s.results, 'r');
	sw_begin(sp, &u);
	for (unsigned i = 1; i <= n; i++) {
		s.serial = i;
		assert_int_equal(spool_put_serial_in(u, &s, &e), 0);
		if (spool_unit_octets(u) > SPOOL_UNIT_MAX) {
			sw_commit(u);
			sw_begin(sp, &u);
		}
	}
	sw_commit(u);
	serial_in_release(&s);
}

/* How many units it takes. */
static unsigned
drop_below(struct spool *sp, const char *origin, uint64_t epoch,
    uint64_t floor)
{
	struct spool_unit *u;
	struct err e = ERR_INIT;
	unsigned steps = 0;
	int rc;

	do {
		sw_begin(sp, &u);
		rc = spool_drop_serials_in(u, origin, epoch, floor, &e);
		assert_true(rc >= 0);
		assert_true(spool_unit_octets(u) < 2 * SPOOL_UNIT_MAX);
		sw_commit(u);
		steps++;
	} while (rc == 1);
	return steps;
}

static void
test_drop_serials(void **state)
{
	struct spool_world *f = *state;
	struct serial_in s;
	struct err e = ERR_INIT;

	put_serials(f->sp, "paris", 7, 600, 10);
	put_serials(f->sp, "paris", 8, 10, 10);
	put_serials(f->sp, "pari", 7, 10, 10);
	put_serials(f->sp, "parisa", 7, 10, 300000);
	damage(f->sp, STORE_SERIAL_IN, 12, 30);
	assert_int_equal(drop_below(f->sp, "paris", 7, 0), 1);
	assert_int_equal(sw_count(f->sp, STORE_SERIAL_IN), 630);
	assert_int_equal(drop_below(f->sp, "paris", 7, 550), 3);
	assert_int_equal(sw_count(f->sp, STORE_SERIAL_IN), 630 - 549);
	assert_int_equal(spool_get_serial_in(f->sp, "paris", 7, 549, &s, &e),
	    ERR_NOT_FOUND);
	assert_int_equal(spool_get_serial_in(f->sp, "paris", 7, 550, &s, &e),
	    0);
	serial_in_release(&s);
	assert_int_equal(drop_below(f->sp, "paris", 7, UINT64_MAX), 1);
	assert_int_equal(sw_count(f->sp, STORE_SERIAL_IN), 30);
	/* Few, but large: a unit holds only so much. */
	assert_true(drop_below(f->sp, "parisa", 7, 11) > 2);
	assert_int_equal(sw_count(f->sp, STORE_SERIAL_IN), 20);
	assert_int_equal(drop_below(f->sp, "nobody", 7, 11), 1);
}

static int
expire_all(struct spool *sp, uint64_t secs,
    int (*expire)(struct spool *, uint64_t, struct err *))
{
	struct err e = ERR_INIT;
	int steps = 1, rc;

	while ((rc = expire(sp, secs, &e)) == 1)
		steps++;
	assert_int_equal(rc, 0);
	return steps;
}

static void
test_expire(void **state)
{
	struct spool_world *f = *state;
	struct err e = ERR_INIT;

	put_all(f->sp, &kept_kinds[4]);
	put_all(f->sp, &kept_kinds[7]);
	damage(f->sp, STORE_TAKEN, 0, 20);
	damage(f->sp, STORE_HISTORY, 1, 9);
	(void)expire_all(f->sp, 104, spool_expire_taken);
	(void)expire_all(f->sp, 104, spool_expire_history);
	for (unsigned i = 0; i < KEPT_CASES; i++) {
		assert_int_equal(kept_kinds[4].get(f->sp, i, &e), i == 0 ?
		    ERR_CORRUPT : i < 4 ? ERR_NOT_FOUND : 0);
		assert_int_equal(kept_kinds[7].get(f->sp, i, &e), i == 1 ?
		    ERR_CORRUPT : i < 4 ? ERR_NOT_FOUND : 0);
	}
}

static struct slice
seen_name(unsigned i, char key[SPOOL_SEEN_MAX])
{
	memset(key, 'k', SPOOL_SEEN_MAX);
	key[0] = (char)(i / 256);
	key[1] = (char)(i % 256);
	return (struct slice){ key, 2 + i % 39 };
}

static void
test_seen(void **state)
{
	struct spool_world *f = *state;
	char key[SPOOL_SEEN_MAX + 1] = { 0 };
	struct spool_unit *u;
	struct err e = ERR_INIT;

	sw_begin(f->sp, &u);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(spool_put_seen(u, 'p', seen_name(i, key),
		    5000 + i, &e), 0);
	assert_int_equal(spool_put_seen(u, 'b', seen_name(3, key), 1, &e),
	    0);
	sw_commit(u);
	sw_reopen(f);
	for (unsigned i = 0; i < 1010; i++)
		assert_int_equal(spool_get_seen(f->sp, 'p', seen_name(i,
		    key), &e), i < 1000);
	assert_int_equal(spool_get_seen(f->sp, 'b', seen_name(3, key), &e),
	    1);
	assert_int_equal(spool_get_seen(f->sp, 'b', seen_name(4, key), &e),
	    0);
	/* A damaged one is not forgotten. */
	damage(f->sp, STORE_SEEN, 1, 8);
	assert_int_equal(spool_get_seen(f->sp, 'p', seen_name(0, key), &e),
	    1);
	assert_int_equal(expire_all(f->sp, 5400, spool_expire_seen), 4);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(spool_get_seen(f->sp, 'p', seen_name(i,
		    key), &e), i == 0 || i > 400);
	assert_int_equal(spool_get_seen(f->sp, 'b', seen_name(3, key), &e),
	    0);
	for (size_t len = 0; len < 50; len += len == 0 ? 40 : 1) {
		char bytes[64] = { 0 };

		sw_begin(f->sp, &u);
		assert_int_equal(spool_put_seen(u, 'p', (struct slice){
		    bytes, len }, 1, &e), len == 40 ? 0 : ERR_LIMIT);
		spool_abort(u);
	}
}

/* A unit is whole or not there, whatever it touches. */
static void
test_crash(void **state)
{
	struct spool_world *f = *state;
	size_t nkinds = KEPT_KINDS;
	unsigned whole = 0, none = 0;

	for (unsigned round = 0; round < 40; round++) {
		struct rng_seeded rng;
		struct spool_unit *u;
		struct err e = ERR_INIT;
		unsigned i = round % KEPT_SITES, there = 0;
		bool done;

		rng_seeded_init(&rng, round);
		store_mem_disk_crash_at(f->disk, 1 + round % 2, &rng.rng);
		sw_begin(f->sp, &u);
		for (size_t k = 0; k < nkinds; k++)
			assert_int_equal(kept_kinds[k].put(u, i, &e), 0);
		done = spool_commit(u, true, &e) == 0;
		spool_close(f->sp);
		f->sp = NULL;
		store_mem_disk_revive(f->disk);
		sw_reopen(f);
		for (size_t k = 0; k < nkinds; k++)
			there += kept_kinds[k].get(f->sp, i, &e) == 0;
		assert_true(there == nkinds || (there == 0 && !done));
		whole += there == nkinds;
		none += there == 0;
		for (int t = STORE_SERIAL_OUT; t < STORE_TABLES; t++) {
			struct buf key = BUF_INIT;

			sw_begin(f->sp, &u);
			while (store_next(spool_store(f->sp),
			    (enum store_table)t, false, &key, 0, NULL,
			    &e) == 0)
				assert_int_equal(store_del(spool_store(f->sp),
				    (enum store_table)t, buf_slice(&key),
				    &e), 0);
			sw_commit(u);
			buf_release(&key);
		}
	}
	assert_true(whole >= 10 && none >= 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(kinds),
		BOTH(walks_of_one),
		BOTH(delete_in_walk),
		BOTH(limits),
		BOTH(drop_serials),
		BOTH(expire),
		BOTH(seen),
		ONE(crash, mem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
