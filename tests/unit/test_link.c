/* SPDX-License-Identifier: ISC */
/*
 * The link as a whole, on a line in virtual time: what it promises on a good
 * day, and that no day is so bad that files are lost, doubled or changed, or
 * that it stands still for ever.
 */
#include "link_world.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KIB 1024
#define MINUTE_MS 60000
#define HOUR_MS (60 * MINUTE_MS)
#define MEMORY_MAX (2U << 20)
#ifdef __SANITIZE_ADDRESS__	/* which takes ten times as long */
#define FAULTS 100000
#else
#define FAULTS 1000000
#endif

static const struct air_line good = { .rate = 11520, .delay_ms = 5 };

static void
start(struct air *w)
{
	air_start(w, 0);
	air_start(w, 1);
}

static void
finish(struct air *w, int64_t limit_ms)
{
	assert_true(air_run(w, limit_ms));
	assert_int_equal(link_state(w->ends[0].link), LINK_CLOSED);
	assert_int_equal(link_state(w->ends[1].link), LINK_CLOSED);
	assert_true(air_all_there(w, 0) && air_all_there(w, 1));
	air_check(w);
}

static void
test_files_both_ways(void **state)
{
	static const uint64_t sizes[] = { 0, 1, 100, 5000, 100000 };
	struct air w;

	(void)state;
	for (int octet_by_octet = 0; octet_by_octet < 2; octet_by_octet++) {
		air_init(&w, &good, 1);
		w.nagle = octet_by_octet;
		for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
			air_file(&w, 0, sizes[i], 1);
			air_file(&w, 1, sizes[i] + 7, 1);
		}
		start(&w);
		finish(&w, MINUTE_MS);
		air_release(&w);
	}
}

static void
test_nothing_to_do(void **state)
{
	struct air w;

	(void)state;
	air_init(&w, &good, 1);
	start(&w);
	finish(&w, 5000);
	air_release(&w);
}

static void
test_urgent_overtakes(void **state)
{
	struct air w;
	int64_t asked_us;

	(void)state;
	air_init(&w, &good, 2);
	air_file(&w, 0, 400 * KIB, 100);
	start(&w);
	assert_false(air_run(&w, 8000));
	asked_us = w.now_us;
	air_file(&w, 0, 1000, 1);
	finish(&w, 5 * MINUTE_MS);
	assert_true(w.ends[0].files[1].arrived_us - asked_us < 2000000);
	assert_true(w.ends[0].files[1].arrived_us <
	    w.ends[0].files[0].arrived_us);
	air_release(&w);
}

/* Each end dies in turn in the middle of a file; nothing starts over. */
static void
test_goes_on_where_it_was(void **state)
{
	uint64_t sent = 0;
	struct link_stats stats;
	struct air w;

	(void)state;
	air_init(&w, &good, 3);
	air_file(&w, 0, 500 * KIB, 1);
	start(&w);
	for (int i = 0; i < 10; i++) {
		assert_false(air_run(&w, 4000));
		link_stats(w.ends[0].link, &stats);
		sent += stats.sent;
		air_kill(&w, i % 2);
		air_start(&w, i % 2);
	}
	finish(&w, 5 * MINUTE_MS);
	link_stats(w.ends[0].link, &stats);
	sent += stats.sent;
	assert_true(sent < 700 * KIB);
	air_release(&w);
}

static void
test_full_disk(void **state)
{
	struct air w;

	(void)state;
	air_init(&w, &good, 4);
	air_file(&w, 0, 100 * KIB, 2);
	air_file(&w, 0, 1000, 1);
	start(&w);
	assert_false(air_run(&w, 2000));
	w.ends[1].full = true;
	assert_true(air_run(&w, MINUTE_MS));
	assert_true(w.ends[0].files[1].sent);
	assert_false(w.ends[0].files[0].sent);
	assert_int_equal(w.ends[0].files[0].failed, 1);
	w.ends[1].full = false;
	air_kill(&w, 0);
	air_kill(&w, 1);
	start(&w);
	finish(&w, MINUTE_MS);
	air_release(&w);
}

static void
test_other_hash(void **state)
{
	struct air w;

	(void)state;
	air_init(&w, &good, 5);
	air_file(&w, 0, 30 * KIB, 1);
	w.ends[1].unlike = true;
	start(&w);
	finish(&w, MINUTE_MS);
	air_release(&w);
}

static void
test_secrets(void **state)
{
	unsigned char secrets[3][LINK_SECRET_LEN] = { { 1 }, { 2 }, { 3 } };
	struct link_stats stats;
	struct air w;

	(void)state;
	air_init(&w, &good, 6);
	air_file(&w, 1, 1000, 1);
	memcpy(w.secret, secrets[2], sizeof(w.secret));
	w.ends[1].config.secrets =
	    (const unsigned char (*)[LINK_SECRET_LEN])secrets;
	w.ends[1].config.nsecrets = 3;
	start(&w);
	finish(&w, MINUTE_MS);
	link_stats(w.ends[1].link, &stats);
	assert_int_equal(stats.peer, 2);
	air_release(&w);
}

static void
test_wrong_secret(void **state)
{
	struct air w;

	(void)state;
	air_init(&w, &good, 7);
	air_file(&w, 0, 1000, 1);
	w.ends[0].config.patience_ms = w.ends[1].config.patience_ms = 30000;
	air_start(&w, 0);
	w.secret[0] ^= 1;
	air_start(&w, 1);
	assert_true(air_run(&w, 35000));
	assert_int_equal(link_state(w.ends[0].link), LINK_FAILED);
	assert_int_equal(link_state(w.ends[1].link), LINK_FAILED);
	assert_int_equal(w.ends[1].ngot, 0);
	air_release(&w);
}

/* Whether the text passes over the line as it is. */
static bool
is_readable(unsigned needs)
{
	static const char text[] = "the quick brown fox jumps over";
	struct buf seen = BUF_INIT;
	struct air w;
	bool found;

	air_init(&w, &good, 8);
	air_file(&w, 0, sizeof(text), 1);
	memcpy(w.ends[0].files[0].content.ptr, text, sizeof(text));
	w.ends[0].config.needs = needs;
	w.tap = &seen;
	/* The hash belongs to other octets, which nobody minds here. */
	start(&w);
	assert_true(air_run(&w, MINUTE_MS));
	found = memmem(seen.ptr, seen.len, text, sizeof(text)) !=
	    NULL;
	buf_release(&seen);
	air_release(&w);
	return found;
}

static void
test_plain(void **state)
{
	(void)state;
	assert_true(is_readable(LINK_PLAIN));
	assert_false(is_readable(0));
}

/* Only the answering end's way needs it, and only the line knows. */
static void
test_needs_are_found(void **state)
{
	struct link_stats stats;
	struct air_line line = good;
	struct air w;

	(void)state;
	line.eat_top = line.eat_xon = true;
	air_init(&w, &line, 9);
	air_file(&w, 0, 20 * KIB, 1);
	air_file(&w, 1, 20 * KIB, 1);
	start(&w);
	finish(&w, MINUTE_MS);
	link_stats(w.ends[0].link, &stats);
	assert_int_equal(stats.needs, LINK_7BIT | LINK_XON);
	air_release(&w);
}

/* Two ends that never stop: mail that comes later goes at once. */
static void
test_stays(void **state)
{
	struct link_stats stats;
	struct air w;
	int64_t asked_us;

	(void)state;
	air_init(&w, &good, 10);
	w.ends[0].config.stay = w.ends[1].config.stay = true;
	start(&w);
	assert_false(air_run(&w, HOUR_MS));
	asked_us = w.now_us;
	air_file(&w, 1, 500, 1);
	assert_false(air_run(&w, 2000));
	assert_true(w.ends[1].files[0].sent);
	assert_true(w.ends[1].files[0].arrived_us - asked_us < 500000);
	link_stats(w.ends[0].link, &stats);
	assert_int_equal(stats.starts, 1);
	link_end(w.ends[1].link);
	finish(&w, 5000);
	air_release(&w);
}

/* The line is dead for a time longer than the silence: a fresh start. */
static void
test_dead_line(void **state)
{
	struct air_line dead = good;
	struct air w;

	(void)state;
	air_init(&w, &good, 11);
	air_file(&w, 0, 200 * KIB, 1);
	air_file(&w, 1, 200 * KIB, 1);
	start(&w);
	assert_false(air_run(&w, 5000));
	dead.drops = 1;
	air_change(&w, &dead);
	assert_false(air_run(&w, 4 * MINUTE_MS));
	air_change(&w, &good);
	finish(&w, 5 * MINUTE_MS);
	air_release(&w);
}

/* On a line for one at a time nobody talks while the other does, whether
 * there is more to send than the window takes, or nothing for long. */
static void
test_half_duplex(void **state)
{
	static const int64_t delays[] = { 0, 100, 1000 };

	(void)state;
	for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
		struct air_line radio = { .rate = 960,
		    .delay_ms = delays[i], .half = true };
		struct air w;
		int64_t asked_us;

		air_init(&w, &radio, 15);
		w.ends[1].config.needs = LINK_HALF;
		w.ends[0].config.stay = w.ends[1].config.stay = true;
		air_file(&w, 0, 100 * KIB, 1);
		air_file(&w, 1, 50 * KIB, 1);
		start(&w);
		assert_false(air_run(&w, 5000));
		w.ends[0].garbled = w.ends[1].garbled = 0;
		assert_false(air_run(&w, 3 * MINUTE_MS + 30000));
		assert_true(air_all_there(&w, 0) && air_all_there(&w, 1));
		assert_false(air_run(&w, 20 * MINUTE_MS));
		asked_us = w.now_us;
		air_file(&w, 1, 500, 1);
		assert_false(air_run(&w, 30000));
		assert_true(w.ends[1].files[1].sent);
		assert_true(w.ends[1].files[1].arrived_us - asked_us <
		    12000000);
		assert_int_equal(w.ends[0].garbled, 0);
		assert_int_equal(w.ends[1].garbled, 0);
		link_end(w.ends[0].link);
		finish(&w, 15000);
		air_release(&w);
	}
}

/* Many small files do not wait for each other's answers. */
static void
test_many_files(void **state)
{
	struct air_line far = good;
	struct air w;

	(void)state;
	far.delay_ms = 500;
	air_init(&w, &far, 14);
	for (int i = 0; i < 60; i++)
		air_file(&w, 0, 300, 1);
	start(&w);
	finish(&w, 8000);
	air_release(&w);
}

/* A socket does not tell its rate; it just takes no more. */
static void
test_unknown_rate(void **state)
{
	struct link_stats stats;
	struct air w;

	(void)state;
	air_init(&w, &good, 13);
	w.ends[0].config.rate = w.ends[1].config.rate = 0;
	air_file(&w, 0, 300 * KIB, 2);
	air_file(&w, 1, 300 * KIB, 2);
	start(&w);
	finish(&w, 40000);
	link_stats(w.ends[0].link, &stats);
	assert_true(stats.repeated < 20 * KIB);
	air_release(&w);
}

static void
test_garbage(void **state)
{
	struct rng_seeded rng;
	struct air w;

	(void)state;
	rng_seeded_init(&rng, 12);
	air_init(&w, &good, 12);
	air_file(&w, 0, 100 * KIB, 1);
	start(&w);
	for (int i = 0; i < 200; i++) {
		unsigned char junk[300];

		rng_fill(&rng.rng, junk, sizeof(junk));
		link_feed(w.ends[i & 1].link, junk,
		    (size_t)rng_below(&rng.rng, sizeof(junk)),
		    w.now_us / 1000);
		(void)air_run(&w, 50);
	}
	finish(&w, 10 * MINUTE_MS);
	air_release(&w);
}

/* One of the lines on which a year of bad luck happens. */
static struct air_line
bad_line(struct rng *rng, const struct air_line *now)
{
	static const double rates[] = { 0, 0, 1e-5, 1e-4, 1e-3, 4e-3 };
	struct air_line line = *now;

	line.bit_errors = rates[rng_below(rng, 6)];
	line.drops = rates[rng_below(rng, 5)];
	line.bursts = rates[rng_below(rng, 5)] / 4;
	line.burst_len = 1 + (unsigned)rng_below(rng, 400);
	if (rng_below(rng, 8) == 0)
		line.bit_errors = 0.1;	/* a storm */
	return line;
}

static void
restart_the_dead(struct air *w)
{
	for (int i = 0; i < 2; i++) {
		if (w->ends[i].link != NULL &&
		    link_state(w->ends[i].link) <= LINK_OPEN)
			continue;
		air_kill(w, i);
		air_start(w, i);
	}
}

static void
check_memory(const struct air *w)
{
	struct link_stats stats;

	for (int i = 0; i < 2; i++) {
		link_stats(w->ends[i].link, &stats);
		assert_true(stats.memory < MEMORY_MAX);
	}
}

static uint64_t
one_year(uint64_t seed)
{
	static const int64_t delays[] = { 0, 20, 250, 1000 };
	struct rng_seeded r;
	struct rng *rng = &r.rng;
	struct air_line line = { .rate = 11520 };
	struct air w;
	uint64_t faults;

	rng_seeded_init(&r, seed);
	line.rate = rng_below(rng, 3) == 0 ? 960 : 11520;
	line.delay_ms = delays[rng_below(rng, 4)];
	line.eat_top = rng_below(rng, 4) == 0;
	line.eat_xon = rng_below(rng, 4) == 0;
	air_init(&w, &line, seed);
	w.ends[0].config.needs = rng_below(rng, 8) == 0 ? LINK_HALF : 0;
	w.ends[1].config.needs = rng_below(rng, 4) == 0 ? LINK_PLAIN : 0;
	for (uint64_t i = 0, n = 1 + rng_below(rng, 6); i < n; i++)
		air_file(&w, (int)rng_below(rng, 2),
		    rng_below(rng, 60 * KIB), (uint8_t)rng_below(rng, 3));
	start(&w);
	for (int phase = 0; phase < 40; phase++) {
		struct air_line bad = bad_line(rng, &line);

		air_change(&w, &bad);
		(void)air_run(&w, (int64_t)rng_below(rng, 30000));
		air_check(&w);
		check_memory(&w);
		if (rng_below(rng, 4) == 0)
			air_kill(&w, (int)rng_below(rng, 2));
		if (air_all_there(&w, 0) && air_all_there(&w, 1))
			break;
		restart_the_dead(&w);
	}
	air_change(&w, &line);
	for (int tries = 0; tries < 3 &&
	    !(air_all_there(&w, 0) && air_all_there(&w, 1)); tries++) {
		restart_the_dead(&w);
		(void)air_run(&w, HOUR_MS / 4);
	}
	if (!air_all_there(&w, 0) || !air_all_there(&w, 1))
		printf("seed %llu\n", (unsigned long long)seed);
	assert_true(air_all_there(&w, 0) && air_all_there(&w, 1));
	air_check(&w);
	faults = w.ends[0].faults + w.ends[1].faults;
	air_release(&w);
	return faults;
}

/* LINK_FAULTS says how many, LINK_SEED where to begin. */
static void
test_faults(void **state)
{
	const char *many = getenv("LINK_FAULTS"), *from = getenv("LINK_SEED");
	uint64_t want = many == NULL ? FAULTS : strtoull(many, NULL, 10);
	uint64_t seed = from == NULL ? 1 : strtoull(from, NULL, 10);
	uint64_t faults = 0, first = seed;

	(void)state;
	while (faults < want)
		faults += one_year(seed++);
	printf("%llu faults, seeds %llu to %llu\n",
	    (unsigned long long)faults, (unsigned long long)first,
	    (unsigned long long)seed - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files_both_ways),
		cmocka_unit_test(test_nothing_to_do),
		cmocka_unit_test(test_urgent_overtakes),
		cmocka_unit_test(test_goes_on_where_it_was),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_other_hash),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_wrong_secret),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_needs_are_found),
		cmocka_unit_test(test_stays),
		cmocka_unit_test(test_dead_line),
		cmocka_unit_test(test_half_duplex),
		cmocka_unit_test(test_many_files),
		cmocka_unit_test(test_unknown_rate),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
