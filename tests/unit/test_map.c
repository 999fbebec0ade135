/* SPDX-License-Identifier: ISC */
/* The hash table, and the generator of random numbers for simulations. */
#include "base/clock.h"
#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define MANY 5000

static void
test_texts(void **state)
{
	struct map *m = map_new();
	int a = 1, b = 2;

	(void)state;
	assert_null(map_get(m, SLICE_LIT("x")));
	assert_null(map_put(m, SLICE_LIT("x"), &a));
	assert_null(map_put(m, SLICE_LIT("x\0y"), &b));
	assert_null(map_put(m, (struct slice){ NULL, 0 }, &b));
	assert_ptr_equal(map_get(m, SLICE_LIT("x")), &a);
	assert_ptr_equal(map_get(m, SLICE_LIT("x\0y")), &b);
	assert_ptr_equal(map_get(m, SLICE_LIT("")), &b);
	assert_null(map_get(m, SLICE_LIT("X")));
	assert_int_equal(map_count(m), 3);
	assert_ptr_equal(map_put(m, SLICE_LIT("x"), &b), &a);
	assert_int_equal(map_count(m), 3);
	assert_ptr_equal(map_del(m, SLICE_LIT("x")), &b);
	assert_null(map_del(m, SLICE_LIT("x")));
	assert_null(map_get(m, SLICE_LIT("x")));
	assert_int_equal(map_count(m), 2);
	map_free(m);
	map_free(NULL);
}

static void
test_numbers_are_not_texts(void **state)
{
	struct map *m = map_new();
	uint64_t n = 77;
	struct slice same = { (const char *)&n, sizeof(n) };
	int a = 1, b = 2;

	(void)state;
	assert_null(map_put_u64(m, n, &a));
	assert_null(map_get(m, same));
	assert_null(map_put(m, same, &b));
	assert_ptr_equal(map_get_u64(m, n), &a);
	assert_null(map_get_u64(m, 78));
	assert_ptr_equal(map_del_u64(m, n), &a);
	assert_null(map_get_u64(m, n));
	assert_ptr_equal(map_get(m, same), &b);
	map_free(m);
}

static void
test_many(void **state)
{
	static char values[MANY];
	struct map *m = map_new();
	char key[16];

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < MANY; i++) {
			snprintf(key, sizeof(key), "key%zu", i);
			assert_null(map_put(m, slice_of(key), &values[i]));
		}
		assert_int_equal(map_count(m), MANY);
		for (size_t i = 0; i < MANY; i++) {
			snprintf(key, sizeof(key), "key%zu", i);
			assert_ptr_equal(map_get(m, slice_of(key)),
			    &values[i]);
		}
		for (size_t i = 0; i < MANY; i++) {
			snprintf(key, sizeof(key), "key%zu", i);
			assert_ptr_equal(map_del(m, slice_of(key)),
			    &values[i]);
		}
		assert_int_equal(map_count(m), 0);
	}
	map_free(m);
}

/* Every entry comes once though each is deleted as it comes. */
static void
test_walk(void **state)
{
	bool seen[100] = { false };
	struct map *m = map_new();
	struct slice key;
	size_t pos = 0, n = 0;
	void *value;

	(void)state;
	for (uint64_t i = 0; i < 100; i++)
		map_put_u64(m, i, &seen[i]);
	map_del_u64(m, 0);
	map_del_u64(m, 99);
	while (map_next(m, &pos, &key, &value)) {
		uint64_t i;
		bool *mark = value;

		assert_int_equal(key.len, sizeof(i));
		memcpy(&i, key.ptr, sizeof(i));
		assert_ptr_equal(mark, &seen[i]);
		assert_false(*mark);
		*mark = true;
		assert_ptr_equal(map_del_u64(m, i), mark);
		n++;
	}
	assert_int_equal(n, 98);
	assert_false(seen[0]);
	assert_false(seen[99]);
	assert_int_equal(map_count(m), 0);
	pos = 0;
	assert_false(map_next(m, &pos, NULL, NULL));
	map_free(m);
}

/* First outputs of SplitMix64 for seed 1234567, as published with it. */
static void
test_seeded(void **state)
{
	struct rng_seeded r;

	(void)state;
	rng_seeded_init(&r, 1234567);
	assert_true(rng_u64(&r.rng) == UINT64_C(6457827717110365317));
	assert_true(rng_u64(&r.rng) == UINT64_C(3203168211198807973));
	for (int i = 0; i < 1000; i++)
		assert_in_range(rng_below(&r.rng, 7), 0, 6);
	assert_int_equal(rng_below(&r.rng, 1), 0);
	assert_true(rng_u64(rng_real()) != rng_u64(rng_real()));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_numbers_are_not_texts),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_seeded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
