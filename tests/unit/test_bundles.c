/* SPDX-License-Identifier: ISC */
/* Bundles, their pieces, ranges and epochs, over each engine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "spool/custody.h"
#include "tests/unit/spool_world.h"

/* The octet at a place of bundle `seed`. */
static char
octet(uint64_t at, unsigned seed)
{
	return (char)(unsigned char)(at * 7 + at / 251 + seed * 101);
}

static void
make_piece(struct buf *b, uint64_t from, size_t len, unsigned seed)
{
	buf_clear(b);
	for (size_t i = 0; i < len; i++)
		buf_addc(b, octet(from + i, seed));
}

static void
put_piece(struct spool *sp, uint64_t id, uint64_t from, size_t len,
    unsigned seed)
{
	struct buf b = BUF_INIT;
	struct spool_unit *u;
	struct err e = ERR_INIT;

	make_piece(&b, from, len, seed);
	sw_begin(sp, &u);
	assert_int_equal(spool_put_piece(u, id, from, buf_slice(&b), &e), 0);
	assert_int_equal(spool_commit(u, false, &e), 0);
	buf_release(&b);
}

/* What is read at `at` ends at `end`; 0: nothing is there. */
static void
expect_piece(struct spool *sp, uint64_t id, uint64_t at, uint64_t end,
    unsigned seed)
{
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	buf_adds(&b, "before");
	assert_int_equal(spool_read_piece(sp, id, at, &b, &e), end != 0);
	assert_int_equal(b.len, 6 + (end != 0 ? end - at : 0));
	assert_memory_equal(b.ptr, "before", 6);
	for (size_t i = 6; i < b.len; i++)
		if (b.ptr[i] != octet(at + i - 6, seed))
			fail_msg("octet %zu", i);
	buf_release(&b);
}

static void
fill_bundle(struct bundle *b, unsigned seed)
{
	bundle_init(b);
	memset(b->name, (int)seed, sizeof(b->name));
	b->role = BUNDLE_LEAVING;
	b->direct = seed % 2 == 1;
	b->from = seed % 2 == 0 ? NULL : mem_strdup("paris");
	b->destination = mem_strdup("oslo");
	b->peer = seed % 3 == 0 ? NULL : mem_strdup("london");
	b->priority = -4;
	b->hops = 31;
	b->octets = 1ULL << 40;
	b->born_secs = 12345;
	b->expire_secs = UINT64_MAX;
	b->epoch = UINT64_MAX - seed;
	b->serial = seed;
	for (uint64_t i = 0; i < seed; i++)
		bundle_range_set(&b->range, &b->nranges, (struct bundle_range)
		    { .offset = i * 100, .octets = 50, .done = i % 2 == 0,
		    .secs = i });
}

static void
expect_bundle(const struct bundle *got, unsigned seed)
{
	struct bundle b;

	fill_bundle(&b, seed);
	assert_memory_equal(got->name, b.name, sizeof(b.name));
	assert_int_equal(got->role, b.role);
	assert_int_equal(got->direct, b.direct);
	if (b.from == NULL)
		assert_null(got->from);
	else
		assert_string_equal(got->from, b.from);
	assert_string_equal(got->destination, b.destination);
	if (b.peer == NULL)
		assert_null(got->peer);
	else
		assert_string_equal(got->peer, b.peer);
	assert_int_equal(got->priority, -4);
	assert_int_equal(got->hops, 31);
	assert_true(got->octets == b.octets);
	assert_int_equal(got->born_secs, 12345);
	assert_true(got->expire_secs == UINT64_MAX);
	assert_true(got->epoch == b.epoch && got->serial == b.serial);
	assert_int_equal(got->nranges, seed);
	for (unsigned i = 0; i < seed; i++) {
		assert_int_equal(got->range[i].offset, i * 100);
		assert_int_equal(got->range[i].octets, 50);
		assert_int_equal(got->range[i].done, i % 2 == 0);
		assert_int_equal(got->range[i].secs, i);
	}
	bundle_release(&b);
}

static uint64_t
add_bundle(struct spool *sp, unsigned seed)
{
	struct spool_unit *u;
	struct bundle b;
	struct err e = ERR_INIT;
	uint64_t id;

	fill_bundle(&b, seed);
	sw_begin(sp, &u);
	assert_int_equal(spool_put_bundle(u, &b, &e), 0);
	sw_commit(u);
	id = b.id;
	bundle_release(&b);
	return id;
}

static void
test_bundles(void **state)
{
	struct spool_world *f = *state;
	struct spool_unit *u;
	struct bundle b;
	struct err e = ERR_INIT;
	uint64_t ids[5], id = 0;

	for (unsigned i = 0; i < 5; i++) {
		ids[i] = add_bundle(f->sp, i);
		assert_true(i == 0 || ids[i] > ids[i - 1]);
	}
	sw_reopen(f);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(spool_next_bundle(f->sp, &id, &b, &e), 0);
		assert_int_equal(id, ids[i]);
		assert_int_equal(b.id, ids[i]);
		expect_bundle(&b, i);
		bundle_release(&b);
	}
	assert_int_equal(spool_next_bundle(f->sp, &id, &b, &e),
	    ERR_NOT_FOUND);
	bundle_release(&b);
	/* Changed, deleted, and what is not there. */
	assert_int_equal(spool_get_bundle(f->sp, ids[1], &b, &e), 0);
	b.role = BUNDLE_ARRIVED;
	b.direct = false;
	sw_begin(f->sp, &u);
	assert_int_equal(spool_put_bundle(u, &b, &e), 0);
	assert_int_equal(b.id, ids[1]);
	assert_int_equal(spool_del_bundle(u, ids[2], &e), 0);
	assert_int_equal(spool_del_bundle(u, 99999, &e), 0);
	sw_commit(u);
	bundle_release(&b);
	assert_int_equal(spool_get_bundle(f->sp, ids[1], &b, &e), 0);
	assert_int_equal(b.role, BUNDLE_ARRIVED);
	assert_false(b.direct);
	bundle_release(&b);
	assert_int_equal(spool_get_bundle(f->sp, ids[2], &b, &e),
	    ERR_NOT_FOUND);
	assert_non_null(strstr(e.text, "bundle"));
	assert_null(b.destination);
	/* Numbers do not come again. */
	assert_true(add_bundle(f->sp, 1) > ids[4]);
}

/* A number that was taken in a unit that came to nothing is still good, and
 * nobody else's. */
static void
test_id_after_abort(void **state)
{
	struct spool_world *f = *state;
	struct spool_unit *u;
	struct bundle b;
	char peer[] = "oslo";
	struct object o = { .road = peer };
	struct err e = ERR_INIT;

	fill_bundle(&b, 2);
	sw_begin(f->sp, &u);
	assert_int_equal(spool_put_bundle(u, &b, &e), 0);
	assert_int_equal(spool_put_object(u, &o, &e), 0);
	spool_abort(u);
	assert_true(b.id != 0 && o.id != 0);
	sw_begin(f->sp, &u);
	assert_int_equal(spool_put_bundle(u, &b, &e), 0);
	assert_int_equal(spool_put_object(u, &o, &e), 0);
	sw_commit(u);
	sw_reopen(f);
	assert_true(add_bundle(f->sp, 1) > b.id);
	sw_begin(f->sp, &u);
	o.id = 0;
	assert_int_equal(spool_put_object(u, &o, &e), 0);
	sw_commit(u);
	assert_int_equal(sw_count(f->sp, STORE_OBJECT), 2);
	bundle_release(&b);
}

static void
test_bundle_limits(void **state)
{
	struct spool_world *f = *state;
	struct bundle_range bad[][2] = {
		{ { 10, 5, true, 0 }, { 14, 1, true, 0 } },
		{ { 10, 5, true, 0 }, { 2, 1, true, 0 } },
		{ { 10, 0, true, 0 }, { 14, 1, true, 0 } },
		{ { 90, 5, true, 0 }, { 95, 6, true, 0 } },
		{ { 90, 5, true, 0 }, { 101, 1, true, 0 } },
		{ { 90, 5, true, 0 }, { 96, UINT64_MAX, true, 0 } },
	};
	struct bundle_range *many;
	struct spool_unit *u;
	struct bundle b;
	struct err e = ERR_INIT;
	size_t n = SPOOL_RECORD_MAX / 25;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		bundle_init(&b);
		b.octets = 100;
		b.range = bad[i];
		b.nranges = 2;
		sw_begin(f->sp, &u);
		assert_int_equal(spool_put_bundle(u, &b, &e), ERR_STATE);
		spool_abort(u);
	}
	many = mem_alloc(n, sizeof(*many));
	for (size_t i = 0; i < n; i++)
		many[i] = (struct bundle_range){ 2 * i, 1, true, 0 };
	bundle_init(&b);
	b.octets = UINT64_MAX;
	b.range = many;
	b.nranges = n;
	sw_begin(f->sp, &u);
	assert_int_equal(spool_put_bundle(u, &b, &e), ERR_LIMIT);
	spool_abort(u);
	b.id = 0;
	b.nranges = n - 10;
	sw_begin(f->sp, &u);
	assert_int_equal(spool_put_bundle(u, &b, &e), 0);
	sw_commit(u);
	assert_int_equal(spool_get_bundle(f->sp, b.id, &b, &e), 0);
	assert_int_equal(b.nranges, n - 10);
	bundle_release(&b);
	free(many);
}

static void
test_pieces(void **state)
{
	struct spool_world *f = *state;
	struct spool_unit *u;
	uint64_t a, b, far = 1ULL << 33;
	struct err e = ERR_INIT;

	sw_begin(f->sp, &u);
	assert_int_equal(spool_take_bundle_id(u, &a, &e), 0);
	assert_int_equal(spool_take_bundle_id(u, &b, &e), 0);
	sw_commit(u);
	assert_true(b > a);
	expect_piece(f->sp, a, 0, 0, 1);
	put_piece(f->sp, a, 0, 1000, 1);
	put_piece(f->sp, a, 1000, SPOOL_PIECE_MAX, 1);
	put_piece(f->sp, a, 70000, 1, 1);
	put_piece(f->sp, a, far, 5000, 1);
	put_piece(f->sp, b, 500, 500, 2);
	put_piece(f->sp, a, 0, 1000, 1);	/* again */
	for (int round = 0; round < 2; round++) {
		expect_piece(f->sp, a, 0, 1000, 1);
		expect_piece(f->sp, a, 999, 1000, 1);
		expect_piece(f->sp, a, 1000, 66536, 1);
		expect_piece(f->sp, a, 66535, 66536, 1);
		expect_piece(f->sp, a, 66536, 0, 1);
		expect_piece(f->sp, a, 69999, 0, 1);
		expect_piece(f->sp, a, 70000, 70001, 1);
		expect_piece(f->sp, a, far - 1, 0, 1);
		expect_piece(f->sp, a, far + 4999, far + 5000, 1);
		expect_piece(f->sp, a, far + 5000, 0, 1);
		expect_piece(f->sp, a, UINT64_MAX, 0, 1);
		expect_piece(f->sp, b, 0, 0, 2);
		expect_piece(f->sp, b, 499, 0, 2);
		expect_piece(f->sp, b, 500, 1000, 2);
		expect_piece(f->sp, b, 1000, 0, 2);
		expect_piece(f->sp, b + 1, 0, 0, 2);
		if (round == 1)
			break;
		/* In a unit one reads one's own. */
		sw_begin(f->sp, &u);
		for (unsigned i = 0; i < 2; i++) {
			struct bundle bundle;

			fill_bundle(&bundle, 0);
			bundle.id = i == 0 ? a : b;
			assert_int_equal(spool_put_bundle(u, &bundle, &e), 0);
			bundle_release(&bundle);
		}
		expect_piece(f->sp, a, 500, 1000, 1);
		sw_commit(u);
		sw_reopen(f);
	}
	sw_begin(f->sp, &u);
	assert_int_equal(spool_del_bundle(u, a, &e), 0);
	sw_commit(u);
	sw_maintain(f->sp);
	expect_piece(f->sp, a, 0, 0, 1);
	expect_piece(f->sp, b, 500, 1000, 2);
	assert_int_equal(sw_count(f->sp, STORE_PIECE), 1);
}

static void
test_piece_limits(void **state)
{
	struct spool_world *f = *state;
	struct buf b = BUF_INIT;
	struct spool_unit *u;
	struct err e = ERR_INIT;
	static const struct {
		uint64_t offset;
		size_t len;
		int rc;
	} cases[] = {
		{ 0, 0, ERR_LIMIT },
		{ 0, SPOOL_PIECE_MAX, 0 },
		{ 0, SPOOL_PIECE_MAX + 1, ERR_LIMIT },
		{ UINT64_MAX - 5, 6, ERR_LIMIT },
		{ UINT64_MAX - 5, 5, 0 },
	};
	int n;

	make_piece(&b, 0, SPOOL_PIECE_MAX + 1, 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		sw_begin(f->sp, &u);
		assert_int_equal(spool_put_piece(u, 1, cases[i].offset,
		    (struct slice){ b.ptr, cases[i].len }, &e), cases[i].rc);
		spool_abort(u);
	}
	/* A unit takes about 1 MiB of them. */
	sw_begin(f->sp, &u);
	for (n = 0; n < 100; n++)
		if (spool_put_piece(u, 1, (uint64_t)n * SPOOL_PIECE_MAX,
		    (struct slice){ b.ptr, SPOOL_PIECE_MAX }, &e) != 0)
			break;
	assert_int_equal(n, SPOOL_UNIT_MAX / SPOOL_PIECE_MAX);
	assert_int_equal(e.code, ERR_LIMIT);
	spool_abort(u);
	assert_int_equal(sw_count(f->sp, STORE_PIECE), 0);
	buf_release(&b);
}

/* The world keeps 1000 octets free; mail that leaves may use half of them. */
static void
test_piece_room(void **state)
{
	struct spool_world *f = *state;
	static const struct {
		uint64_t room;
		bool reserve;
		int rc;
	} cases[] = {
		{ 5000, false, 0 }, { 1500, false, ERR_FULL },
		{ 1500, true, ERR_FULL }, { 1800, true, 0 },
		{ 1800, false, ERR_FULL },
	};
	char bytes[1200] = "x";
	struct spool_unit *u;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		f->room = cases[i].room;
		sw_begin(f->sp, &u);
		assert_int_equal(spool_put_piece(u, 1, i * 1200,
		    (struct slice){ bytes, sizeof(bytes) }, &e), 0);
		if (cases[i].reserve)
			spool_unit_use_reserve(u);
		assert_int_equal(spool_commit(u, true, &e), cases[i].rc);
	}
	assert_int_equal(sw_count(f->sp, STORE_PIECE), 2);
	/* Records go on in the reserve. */
	f->room = 100;
	(void)add_bundle(f->sp, 1);
	f->room = UINT64_MAX;
}

static void
test_orphan_pieces(void **state)
{
	struct spool_world *f = *state;
	struct spool_unit *u;
	struct err e = ERR_INIT;
	uint64_t kept, lost[3];

	kept = add_bundle(f->sp, 0);
	for (unsigned i = 0; i < 40; i++)
		put_piece(f->sp, kept, i * 1000, 1000, 0);
	sw_begin(f->sp, &u);
	for (int i = 0; i < 3; i++)
		assert_int_equal(spool_take_bundle_id(u, &lost[i], &e), 0);
	sw_commit(u);
	for (unsigned i = 0; i < 40; i++) {
		put_piece(f->sp, lost[0], i * 1000, 1000, 1);
		put_piece(f->sp, lost[1], i * 1000, 1000, 2);
		put_piece(f->sp, lost[2], i * 1000, 1000, 2);
	}
	/* Given up while it runs. */
	spool_drop_bundle_id(f->sp, lost[1]);
	sw_maintain(f->sp);
	assert_int_equal(sw_count(f->sp, STORE_PIECE), 120);
	/* Deleted in a unit that is aborted: nothing happened. */
	sw_begin(f->sp, &u);
	assert_int_equal(spool_del_bundle(u, kept, &e), 0);
	spool_abort(u);
	sw_maintain(f->sp);
	assert_int_equal(sw_count(f->sp, STORE_PIECE), 120);
	/* What belongs to nothing at the start. */
	sw_reopen(f);
	assert_int_equal(sw_count(f->sp, STORE_PIECE), 40);
	expect_piece(f->sp, kept, 39500, 40000, 0);
}

/* Pieces are not flushed, the record is: then all of them are there. */
static void
test_crash(void **state)
{
	struct spool_world *f = *state;
	unsigned whole = 0, none = 0;

	for (unsigned round = 0; round < 60; round++) {
		struct rng_seeded rng;
		struct spool_unit *u;
		struct bundle b, got;
		struct err e = ERR_INIT;
		uint64_t id = 0;
		bool done = false;

		rng_seeded_init(&rng, round);
		store_mem_disk_crash_at(f->disk, 1 + round % 2, &rng.rng);
		sw_begin(f->sp, &u);
		assert_int_equal(spool_take_bundle_id(u, &id, &e), 0);
		if (spool_commit(u, false, &e) == 0) {
			for (unsigned i = 0; i < 20; i++)
				put_piece(f->sp, id, i * 100, 100, round);
			fill_bundle(&b, 0);
			b.id = id;
			sw_begin(f->sp, &u);
			assert_int_equal(spool_put_bundle(u, &b, &e), 0);
			done = spool_commit(u, true, &e) == 0;
			bundle_release(&b);
		}
		spool_close(f->sp);
		f->sp = NULL;
		store_mem_disk_revive(f->disk);
		sw_reopen(f);
		if (spool_get_bundle(f->sp, id, &got, &e) == 0) {
			for (unsigned i = 0; i < 20; i++)
				expect_piece(f->sp, id, i * 100,
				    (i + 1) * 100, round);
			sw_begin(f->sp, &u);
			assert_int_equal(spool_del_bundle(u, id, &e), 0);
			sw_commit(u);
			sw_maintain(f->sp);
			whole++;
		} else {
			assert_false(done);
			none++;
		}
		bundle_release(&got);
		assert_int_equal(sw_count(f->sp, STORE_PIECE), 0);
	}
	assert_true(whole >= 10 && none >= 10);
}

/* One octet of a stored value changes. */
static void
damage(struct spool *sp, enum store_table t, uint64_t id, uint64_t end,
    size_t at)
{
	struct buf k = BUF_INIT, v = BUF_INIT;
	struct store *s = spool_store(sp);
	struct err e = ERR_INIT;

	buf_put64(&k, id);
	if (t == STORE_PIECE)
		buf_put64(&k, end);
	assert_int_equal(store_get(s, t, buf_slice(&k), 0, &v, &e), 0);
	assert_true(at < v.len);
	v.ptr[at] ^= 4;
	assert_int_equal(store_begin(s, &e), 0);
	assert_int_equal(store_put(s, t, buf_slice(&k), buf_slice(&v), &e),
	    0);
	assert_int_equal(store_commit(s, true, &e), 0);
	buf_release(&v);
	buf_release(&k);
}

/* Each octet of a record in turn: it alone is damaged. */
static void
test_damage(void **state)
{
	struct spool_world *f = *state;
	struct buf out = BUF_INIT;
	struct bundle b;
	struct err e = ERR_INIT;
	uint64_t ids[3];

	for (unsigned i = 0; i < 3; i++) {
		ids[i] = add_bundle(f->sp, i + 1);
		put_piece(f->sp, ids[i], 0, 100, i);
		put_piece(f->sp, ids[i], 100, 100, i);
	}
	for (size_t at = 0; at < 120; at++) {
		uint64_t id = 0;

		damage(f->sp, STORE_BUNDLE, ids[1], 0, at);
		assert_int_equal(spool_get_bundle(f->sp, ids[1], &b, &e),
		    ERR_CORRUPT);
		assert_non_null(strstr(e.text, message_name(ids[1]).s));
		assert_int_equal(b.id, ids[1]);
		assert_null(b.range);
		assert_null(b.destination);
		for (unsigned i = 0; i < 3; i++) {
			assert_int_equal(spool_next_bundle(f->sp, &id, &b,
			    &e), i == 1 ? ERR_CORRUPT : 0);
			assert_int_equal(id, ids[i]);
			bundle_release(&b);
		}
		damage(f->sp, STORE_BUNDLE, ids[1], 0, at);
	}
	for (size_t at = 0; at < 104; at++) {
		damage(f->sp, STORE_PIECE, ids[1], 200, at);
		expect_piece(f->sp, ids[1], 0, 100, 1);
		assert_int_equal(spool_read_piece(f->sp, ids[1], 150, &out,
		    &e), ERR_CORRUPT);
		assert_int_equal(out.len, 0);
		expect_piece(f->sp, ids[0], 150, 200, 0);
		damage(f->sp, STORE_PIECE, ids[1], 200, at);
	}
	expect_piece(f->sp, ids[1], 100, 200, 1);
	/* A damaged record's pieces are not swept. */
	damage(f->sp, STORE_BUNDLE, ids[1], 0, 20);
	sw_reopen(f);
	assert_int_equal(sw_count(f->sp, STORE_PIECE), 6);
	buf_release(&out);
}

/* The lists against an array of octets that does it the plain way. */
#define PLAIN 64
struct plain {
	struct bundle_range at[PLAIN];	/* octets 0: none */
};

static void
expect_ranges(const struct plain *p, const struct bundle_range *range,
    size_t n)
{
	size_t i = 0, k = 0;

	while (i < PLAIN) {
		size_t from = i++;

		if (p->at[from].octets == 0)
			continue;
		while (i < PLAIN && p->at[i].octets != 0 &&
		    p->at[i].done == p->at[from].done &&
		    p->at[i].secs == p->at[from].secs)
			i++;
		assert_true(k < n);
		assert_int_equal(range[k].offset, from);
		assert_int_equal(range[k].octets, i - from);
		assert_int_equal(range[k].done, p->at[from].done);
		assert_int_equal(range[k].secs, p->at[from].secs);
		k++;
	}
	assert_int_equal(k, n);
	assert_int_equal(range == NULL, n == 0);
}

static void
test_ranges(void **state)
{
	struct rng_seeded rng;

	(void)state;
	rng_seeded_init(&rng, 7);
	for (int round = 0; round < 300; round++) {
		struct bundle_range *range = NULL;
		struct plain p = { 0 };
		size_t n = 0;

		for (int step = 0; step < 40; step++) {
			uint64_t from = rng_below(&rng.rng, PLAIN);
			uint64_t len = rng_below(&rng.rng, PLAIN - from + 1);
			struct bundle_range r = { from, len,
				rng_below(&rng.rng, 2),
				rng_below(&rng.rng, 2) };
			bool set = rng_below(&rng.rng, 4) != 0;

			if (len > 8 && step % 8 != 0)
				r.octets = len = len % 8;
			if (set)
				bundle_range_set(&range, &n, r);
			else
				bundle_range_clear(&range, &n, from, len);
			r.octets = set;
			for (uint64_t i = from; i < from + len; i++)
				p.at[i] = r;
			expect_ranges(&p, range, n);
		}
		free(range);
	}
}

static void
test_ranges_at_the_end(void **state)
{
	struct bundle_range *range = NULL;
	size_t n = 0;

	(void)state;
	bundle_range_set(&range, &n, (struct bundle_range){ UINT64_MAX - 5,
	    100, true, 0 });
	assert_int_equal(n, 1);
	assert_int_equal(range[0].octets, 5);
	bundle_range_clear(&range, &n, 10, UINT64_MAX);
	assert_int_equal(n, 0);
	assert_null(range);
	bundle_range_set(&range, &n, (struct bundle_range){ 5, 0, true, 0 });
	assert_int_equal(n, 0);
}

static uint64_t
add_message(struct spool *sp)
{
	struct spool_draft *d = spool_draft_new(sp);
	struct spool_unit *u;
	struct message m;
	struct err e = ERR_INIT;
	uint64_t id;

	assert_int_equal(spool_draft_end(d, &e), 0);
	message_init(&m);
	sw_begin(sp, &u);
	assert_int_equal(spool_add_message(u, d, &m, &e), 0);
	sw_commit(u);
	spool_draft_free(d);
	id = m.id;
	message_release(&m);
	return id;
}

static void
new_epoch(struct spool *sp)
{
	struct spool_unit *u;
	struct err e = ERR_INIT;

	sw_begin(sp, &u);
	assert_int_equal(spool_new_epoch(u, &e), 0);
	sw_commit(u);
}

static void
del_message(struct spool *sp, uint64_t id)
{
	struct spool_unit *u;
	struct err e = ERR_INIT;

	sw_begin(sp, &u);
	assert_int_equal(spool_del_message(u, id, &e), 0);
	sw_commit(u);
}

static void
test_epochs(void **state)
{
	struct spool_world *f = *state;
	struct spool_unit *u;
	struct err e = ERR_INIT;
	uint64_t epoch[4], id[4];

	for (int i = 0; i < 4; i++) {
		if (i > 0)
			new_epoch(f->sp);
		epoch[i] = spool_epoch(f->sp);
		assert_true(epoch[i] != 0);
		for (int k = 0; k < i; k++)
			assert_true(epoch[i] != epoch[k]);
		id[i] = add_message(f->sp);
		assert_true(spool_epoch_of(f->sp, id[i]) == epoch[i]);
	}
	sw_reopen(f);
	assert_true(spool_epoch(f->sp) == epoch[3]);
	for (int i = 0; i < 4; i++)
		assert_true(spool_epoch_of(f->sp, id[i]) == epoch[i]);
	/* Aborted: as before, and twice in one unit too. */
	sw_begin(f->sp, &u);
	assert_int_equal(spool_new_epoch(u, &e), 0);
	assert_true(spool_epoch(f->sp) != epoch[3]);
	assert_int_equal(spool_new_epoch(u, &e), 0);
	spool_abort(u);
	assert_true(spool_epoch(f->sp) == epoch[3]);
	assert_true(spool_epoch_of(f->sp, id[0]) == epoch[0]);
	/* What has no message left is forgotten, the others stay. */
	del_message(f->sp, id[0]);
	del_message(f->sp, id[2]);
	new_epoch(f->sp);
	assert_true(spool_epoch_of(f->sp, id[0]) == epoch[1]);
	assert_true(spool_epoch_of(f->sp, id[1]) == epoch[1]);
	assert_true(spool_epoch_of(f->sp, id[3]) == epoch[3]);
	sw_reopen(f);
	assert_true(spool_epoch_of(f->sp, id[1]) == epoch[1]);
	assert_true(spool_epoch_of(f->sp, id[3]) == epoch[3]);
}

/* Whoever makes us open epochs fills neither memory nor the record. */
static void
test_epochs_bounded(void **state)
{
	struct spool_world *f = *state;
	struct buf v = BUF_INIT;
	struct err e = ERR_INIT;
	uint64_t ids[300], last;

	for (int i = 0; i < 300; i++) {
		ids[i] = add_message(f->sp);
		new_epoch(f->sp);
	}
	assert_int_equal(store_get(spool_store(f->sp), STORE_META,
	    slice_of("epochs"), 0, &v, &e), 0);
	assert_int_equal(v.len, 4 + 4 + 256 * 16);
	last = spool_epoch_of(f->sp, ids[299]);
	assert_true(last != spool_epoch(f->sp));
	sw_reopen(f);
	assert_true(last == spool_epoch_of(f->sp, ids[299]));
	for (int i = 0; i < 300; i++)
		del_message(f->sp, ids[i]);
	new_epoch(f->sp);
	assert_int_equal(store_get(spool_store(f->sp), STORE_META,
	    slice_of("epochs"), 0, &v, &e), 0);
	assert_int_equal(v.len, 4 + 4 + 16);
	buf_release(&v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(bundles),
		BOTH(id_after_abort),
		BOTH(bundle_limits),
		BOTH(pieces),
		BOTH(piece_limits),
		BOTH(piece_room),
		BOTH(orphan_pieces),
		ONE(crash, mem),
		BOTH(damage),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_ranges_at_the_end),
		BOTH(epochs),
		ONE(epochs_bounded, mem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
