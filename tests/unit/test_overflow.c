/* SPDX-License-Identifier: ISC */
/* The watch over in/: when it speaks, how often it looks, what it counts and
 * what it removes. */
#include "base/file.h"
#include "base/mem.h"
#include "node/overflow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MB (UINT64_C(1) << 20)

static void
judge(void **state)
{
	static const struct {
		uint64_t octets, before, room, max;
		const char *word;
	} cases[] = {
		{ 0, 0, 0, 0, NULL }, { 10 * MB, 10 * MB, 0, MB, NULL },
		{ 9 * MB, 10 * MB, 0, MB, NULL },
		{ 10 * MB, 0, 3 * MB, 0, NULL },
		{ 16 * MB, 15 * MB, 4 * MB, 0, NULL },
		{ 17 * MB, 15 * MB, 4 * MB, 0, "disk" },
		{ 17 * MB, 17 * MB, 4 * MB, 0, NULL },
		{ 4, 0, 0, 0, "disk" }, { MB, 0, 100 * MB, MB, NULL },
		{ MB + 1, MB, 100 * MB, MB, "in-max" },
		{ UINT64_MAX, 0, UINT64_MAX, 0, NULL },
		{ UINT64_MAX, 0, UINT64_MAX / 8, 0, "disk" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct overflow_bounds b = { cases[i].max, cases[i].room };
		const char *why = overflow_judge(cases[i].octets,
		    cases[i].before, &b);

		if (cases[i].word == NULL)
			assert_null(why);
		else
			assert_non_null(strstr(why, cases[i].word));
	}
}

/* One that writes evenly is found out before four fifths become nine tenths,
 * however fast it is; one that does not write costs a look a second. */
static void
pauses(void **state)
{
	static const uint64_t rates[] = { 1, 100, 10 * MB / 1000, MB,
		10 * MB };	/* octets a millisecond */
	uint64_t disk = UINT64_C(4096) * MB;

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct overflow_bounds b = { 0, disk };
		uint64_t octets = 0, before = 0;
		unsigned ms = 20, looks = 0;

		do {
			before = octets;
			octets += rates[i] * ms;
			assert_true(octets < disk / 10 * 9);
			b.room = disk - octets;
			ms = overflow_pause_ms(octets, before, &b, ms);
			assert_true(ms >= 20 && ms <= 1000);
		} while (overflow_judge(octets, before, &b) == NULL &&
		    ++looks < 10000);
		assert_true(rates[i] < MB / 100 || octets > disk / 4 * 3);
	}
	assert_int_equal(overflow_pause_ms(5, 5, &(struct overflow_bounds)
	    { 0, MB }, 1000), 1000);
	assert_int_equal(overflow_pause_ms(10 * MB, MB,
	    &(struct overflow_bounds){ MB, MB }, 1000), 20);
	assert_int_equal(overflow_pause_ms(MB, 0,
	    &(struct overflow_bounds){ 11 * MB, 9000 * MB }, 100), 500);
}

struct bench {
	char dir[64];
	struct event_base *base;
	struct overflow_bounds bounds;
	int told;
	uint64_t octets;
};

static int
set_up(void **state)
{
	struct bench *b = mem_alloc(1, sizeof(*b));

	snprintf(b->dir, sizeof(b->dir), "/tmp/test_overflow.XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->base = event_base_new();
	*state = b;
	return 0;
}

static char *
in_dir(const struct bench *b, const char *name)
{
	return path_join(b->dir, name);
}

static int
tear_down(void **state)
{
	struct bench *b = *state;
	char *command = mem_printf("rm -r %s", b->dir);

	event_base_free(b->base);
	assert_int_equal(system(command), 0);
	free(command);
	free(b);
	return 0;
}

/* A file of so many octets, none of them a hole. */
static void
put(const struct bench *b, const char *name, size_t octets)
{
	char *path = in_dir(b, name), *bytes = mem_alloc(1, octets + 1);
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	memset(bytes, 'x', octets);
	assert_int_equal(fwrite(bytes, 1, octets, f), octets);
	assert_int_equal(fclose(f), 0);
	free(bytes);
	free(path);
}

static void
make_dir(const struct bench *b, const char *name)
{
	char *path = in_dir(b, name);

	assert_int_equal(mkdir(path, 0700), 0);
	free(path);
}

static bool
is_there(const struct bench *b, const char *name)
{
	char *path = in_dir(b, name);
	struct stat st;
	bool there = lstat(path, &st) == 0;

	free(path);
	return there;
}

static void
fill(const struct bench *b)
{
	char *path = in_dir(b, "link"), *fifo = in_dir(b, ".fifo");

	put(b, "whole", MB);
	put(b, ".begun", MB);
	put(b, ".link-done", MB);
	make_dir(b, ".fetched");
	put(b, ".fetched/whole", MB);
	put(b, ".fetched/.begun", MB);
	make_dir(b, ".fetched/.deep");
	put(b, ".fetched/.deep/.begun", MB);
	make_dir(b, "odd");
	put(b, "odd/.begun", MB);
	assert_int_equal(symlink(".begun", path), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	free(path);
	free(fifo);
}

static void
measure_and_clean(void **state)
{
	struct bench *b = *state;
	uint64_t octets;

	assert_int_equal(overflow_measure(b->dir), 0);
	assert_int_equal(overflow_measure("/nonexistent"), 0);
	fill(b);
	octets = overflow_measure(b->dir);
	assert_true(octets >= 5 * MB && octets < 6 * MB);
	overflow_clean(b->dir);
	overflow_clean("/nonexistent");
	octets = overflow_measure(b->dir);
	assert_true(octets >= 3 * MB && octets < 4 * MB);
	assert_true(is_there(b, "whole"));
	assert_true(is_there(b, ".link-done"));
	assert_true(is_there(b, ".fetched/whole"));
	assert_true(is_there(b, ".fetched/.deep/.begun"));
	assert_true(is_there(b, "odd/.begun"));
	assert_true(is_there(b, "link"));
	assert_false(is_there(b, ".begun"));
	assert_false(is_there(b, ".fetched/.begun"));
}

static void
on_bounds(void *ctx, struct overflow_bounds *bounds_out)
{
	struct bench *b = ctx;

	*bounds_out = b->bounds;
}

static void
on_over(void *ctx, const char *why, uint64_t octets)
{
	struct bench *b = ctx;

	assert_non_null(strstr(why, "in-max"));
	b->told++;
	b->octets = octets;
}

static void
run_ms(struct bench *b, int ms)
{
	struct timeval t = { ms / 1000, (ms % 1000) * 1000 };

	event_base_loopexit(b->base, &t);
	event_base_dispatch(b->base);
}

static void
watches(void **state)
{
	struct bench *b = *state;
	struct overflow_hooks hooks = { b, on_bounds, on_over };
	struct overflow *o;

	b->bounds = (struct overflow_bounds){ 2 * MB, 1000 * MB };
	put(b, "before", 3 * MB);	/* of another run */
	o = overflow_start(b->base, b->dir, &hooks);
	run_ms(b, 100);
	assert_int_equal(b->told, 0);
	put(b, ".now", MB);
	for (int i = 0; i < 50 && b->told == 0; i++)
		run_ms(b, 100);
	assert_true(b->octets >= 4 * MB);
	put(b, ".more", MB);
	run_ms(b, 100);
	assert_int_equal(b->told, 1);
	overflow_stop(o);
	overflow_stop(NULL);
}

#define WITH_BENCH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judge),
		cmocka_unit_test(pauses),
		WITH_BENCH(measure_and_clean),
		WITH_BENCH(watches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
