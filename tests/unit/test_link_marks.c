/* SPDX-License-Identifier: ISC */
/*
 * How much of a line's rate the link makes use of, in virtual time: the rows
 * of the serial benchmark, measured at the protocol itself.  "whole" is from
 * the start of both ends to the end of the calling one for one file of
 * 200 KiB, "steady" the rate between the end of the first and of the last of
 * several files.  Where luck has a part, the median of some seeds counts;
 * LINK_SEEDS says how many.
 */
#include "link_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define KIB 1024
#define FILE_SIZE (200 * KIB)
#define HOUR_MS 3600000
#define SEEDS 9
#define SEEDS_MAX 1000

struct mark {
	const char *name;
	struct air_line line;
	unsigned needs;
	double whole, steady;	/* at least; of 1.0, both ways of 2.0 */
	bool both;
};

static const struct mark marks[] = {
	{ "clean, 9600", { .rate = 960 }, 0, 0.97, 0.98, false },
	{ "clean, 115200", { .rate = 11520 }, 0, 0.97, 0.98, false },
	{ "clean, 9600, both ways", { .rate = 960 }, 0, 0, 1.97, true },
	{ "clean, 115200, both ways", { .rate = 11520 }, 0, 0, 1.97, true },
	{ "115200, 250 ms", { .rate = 11520, .delay_ms = 250 }, 0, 0, 0.98,
	    false },
	{ "115200, 1000 ms", { .rate = 11520, .delay_ms = 1000 }, 0, 0.80,
	    0.98, false },
	{ "bit errors 1e-6", { .rate = 11520, .bit_errors = 1e-6 }, 0, 0.96,
	    0, false },
	{ "bit errors 1e-5", { .rate = 11520, .bit_errors = 1e-5 }, 0, 0.90,
	    0, false },
	{ "bit errors 1e-5, 250 ms", { .rate = 11520, .bit_errors = 1e-5,
	    .delay_ms = 250 }, 0, 0.90, 0, false },
	{ "bit errors 1e-4", { .rate = 11520, .bit_errors = 1e-4 }, 0, 0.75,
	    0, false },
	{ "bit errors 1e-4, both ways", { .rate = 11520,
	    .bit_errors = 1e-4 }, 0, 0, 1.5, true },
	{ "bit errors 1e-3", { .rate = 11520, .bit_errors = 1e-3 }, 0, 0.30,
	    0, false },
	{ "bit errors 3e-3", { .rate = 11520, .bit_errors = 3e-3 }, 0, 0.15,
	    0, false },
	{ "lost octets 1e-4", { .rate = 11520, .drops = 1e-4 }, 0, 0.75, 0,
	    false },
	{ "bursts", { .rate = 11520, .bursts = 1e-4, .burst_len = 20 }, 0,
	    0.75, 0, false },
	{ "XON/XOFF eaten", { .rate = 11520, .eat_xon = true }, 0, 0.95, 0,
	    false },
	{ "7-bit path", { .rate = 11520, .eat_top = true }, 0, 0.82, 0,
	    false },
	{ "7-bit path, XON/XOFF eaten", { .rate = 11520, .eat_top = true,
	    .eat_xon = true }, 0, 0.80, 0, false },
	{ "half duplex, 9600, 100 ms", { .rate = 960, .delay_ms = 100,
	    .half = true }, LINK_HALF, 0.95, 0.93, false },
};

#define NMARKS (sizeof(marks) / sizeof(marks[0]))

static void
start(struct air *w, const struct mark *m, size_t files, uint64_t seed)
{
	air_init(w, &m->line, seed);
	for (size_t i = 0; i < files; i++) {
		air_file(w, 0, FILE_SIZE, 1);
		if (m->both)
			air_file(w, 1, FILE_SIZE, 1);
	}
	w->ends[0].config.needs = m->needs;
	air_start(w, 0);
	air_start(w, 1);
	assert_true(air_run(w, HOUR_MS));
	assert_int_equal(link_state(w->ends[0].link), LINK_CLOSED);
	assert_int_equal(link_state(w->ends[1].link), LINK_CLOSED);
	assert_true(air_all_there(w, 0) && air_all_there(w, 1));
	air_check(w);
}

static double
measure_whole(const struct mark *m, uint64_t seed)
{
	struct air w;
	double share;

	start(&w, m, 1, seed);
	share = (m->both ? 2.0 : 1.0) * FILE_SIZE /
	    ((double)w.ends[0].over_us / 1e6) / m->line.rate;
	air_release(&w);
	return share;
}

/* The sum of both ends' rates, each between its first and last file. */
static double
measure_steady(const struct mark *m, uint64_t seed)
{
	struct air w;
	double share = 0;
	const size_t n = 5;

	start(&w, m, n, seed);
	for (int i = 0; i < (m->both ? 2 : 1); i++) {
		const struct air_file *f = w.ends[i].files;

		share += (double)((n - 1) * FILE_SIZE) /
		    ((double)(f[n - 1].arrived_us - f[0].arrived_us) /
		    1e6) / m->line.rate;
	}
	air_release(&w);
	return share;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static size_t
seeds(const struct mark *m)
{
	const char *many = getenv("LINK_SEEDS");
	size_t n = many == NULL ? SEEDS : strtoul(many, NULL, 10);

	if (m->line.bit_errors <= 0 && m->line.drops <= 0 &&
	    m->line.bursts <= 0)
		return 1;
	return n < 1 ? 1 : n > SEEDS_MAX ? SEEDS_MAX : n;
}

/* Whether the row keeps its marks. */
static bool
measure(const struct mark *m)
{
	double wholes[SEEDS_MAX], steady = measure_steady(m, 1), median;
	size_t n = seeds(m);
	bool kept;

	for (size_t i = 0; i < n; i++)
		wholes[i] = measure_whole(m, i + 1);
	qsort(wholes, n, sizeof(wholes[0]), compare);
	median = wholes[n / 2];
	kept = median >= m->whole && steady >= m->steady;
	printf("%-28s whole %.3f (%.2f), worst %.3f; steady %.3f (%.2f)%s\n",
	    m->name, median, m->whole, wholes[0], steady, m->steady,
	    kept ? "" : " MISSED");
	return kept;
}

static void
test_marks(void **state)
{
	int missed = 0;

	(void)state;
	for (size_t i = 0; i < NMARKS; i++)
		missed += !measure(&marks[i]);
	assert_int_equal(missed, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
