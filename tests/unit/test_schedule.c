/* SPDX-License-Identifier: ISC */
/* Schedules in the time of Paris, where summer time of 2024 began on 31 March
 * at 01:00 UTC and ended on 27 October at 01:00 UTC. */
#include "node/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define NEVER INT64_MAX

/* "2024-03-31 01:00" or with seconds, in UTC. */
static int64_t
utc(const char *text)
{
	struct tm tm = { .tm_isdst = 0 };

	if (sscanf(text, "%d-%d-%d %d:%d:%d", &tm.tm_year, &tm.tm_mon,
	    &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec) < 5)
		fail_msg("%s", text);
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return (int64_t)timegm(&tm) * 1000;
}

static struct schedule *
make(const char *rule)
{
	struct schedule *s = schedule_new();
	struct err e = ERR_INIT;

	if (schedule_add(s, rule, &e) < 0)
		fail_msg("%s: %s", rule, e.text);
	return s;
}

static void
expect(int64_t got, const char *want, const char *rule, const char *now)
{
	int64_t t = want == NULL ? NEVER : utc(want);

	if (got != t)
		fail_msg("%s after %s: %lld s off", rule, now,
		    (long long)((got - t) / 1000));
}

struct next_case {
	const char *rule;
	const char *now, *last;	/* UTC; last NULL: never */
	bool wanted;
	const char *want;	/* UTC; NULL: not before somebody asks */
};

static void
run_cases(const struct next_case *c, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++, c++) {
		struct schedule *s = make(c->rule);

		expect(schedule_next(s, utc(c->now), c->last != NULL ?
		    utc(c->last) : INT64_MIN, c->wanted), c->want, c->rule,
		    c->now);
		schedule_free(s);
	}
}

static void
test_every(void **state)
{
	static const struct next_case cases[] = {
		{ "every 15m", "2024-06-03 10:00", NULL, false,
		    "2024-06-03 10:00" },
		{ "every 15m", "2024-06-03 10:00", "2024-06-03 09:50", false,
		    "2024-06-03 10:05" },
		{ "every 15m", "2024-06-03 10:00", "2024-06-03 08:00", true,
		    "2024-06-03 10:00" },
		/* The clock was set back: no call is in the future. */
		{ "every 15m", "2024-06-03 10:00", "2024-07-03 08:00", true,
		    "2024-06-03 10:15" },
		{ " Every  1h30m ", "2024-06-03 10:00", "2024-06-03 10:00",
		    false, "2024-06-03 11:30" },
	};

	(void)state;
	run_cases(cases, sizeof(cases) / sizeof(cases[0]));
}

static void
test_cron(void **state)
{
	static const struct next_case cases[] = {
		/* 10:00 UTC is 12:00 in summer; 3 June 2024 is a Monday. */
		{ "cron 0 6,18 * * 1-5", "2024-06-03 10:00", NULL, false,
		    "2024-06-03 16:00" },
		{ "cron 0 6,18 * * 1-5", "2024-06-07 16:01", NULL, false,
		    "2024-06-10 04:00" },
		{ "cron */20 * * * *", "2024-06-03 10:01", NULL, false,
		    "2024-06-03 10:20" },
		{ "cron 10-30/10 12 * * *", "2024-06-03 10:21", NULL, false,
		    "2024-06-03 10:30" },
		/* Inside the minute: now, unless it has run. */
		{ "cron 0 12 * * *", "2024-06-03 10:00:30", NULL, false,
		    "2024-06-03 10:00:30" },
		{ "cron 0 12 * * *", "2024-06-03 10:00:30",
		    "2024-06-03 10:00:05", false, "2024-06-04 10:00" },
		{ "cron 0 12 * * *", "2024-06-03 10:00:30",
		    "2024-06-03 09:59:59", false, "2024-06-03 10:00:30" },
		/* 0 and 7 are Sunday; names. */
		{ "cron 0 12 * * 0", "2024-06-03 00:00", NULL, false,
		    "2024-06-09 10:00" },
		{ "cron 0 12 * * 7", "2024-06-03 00:00", NULL, false,
		    "2024-06-09 10:00" },
		{ "cron 0 12 * * Sat-7", "2024-06-03 00:00", NULL, false,
		    "2024-06-08 10:00" },
		{ "cron 0 12 * JAN mon", "2024-06-03 00:00", NULL, false,
		    "2025-01-06 11:00" },
		/* cron(5): the 13th or a Friday. */
		{ "cron 0 12 13 * fri", "2024-06-03 00:00", NULL, false,
		    "2024-06-07 10:00" },
		{ "cron 0 12 13 * fri", "2024-06-08 00:00", NULL, false,
		    "2024-06-13 10:00" },
		/* A star: both must hold. */
		{ "cron 0 12 */2 * fri", "2024-06-08 00:00", NULL, false,
		    "2024-06-21 10:00" },
		{ "cron 0 12 29 2 *", "2024-03-01 00:00", NULL, false,
		    "2028-02-29 11:00" },
		{ "cron 0 12 29 2 *", "2096-03-01 00:00", NULL, false,
		    "2104-02-29 11:00" },
		{ "cron 0 0 31 * *", "2024-06-03 00:00", NULL, false,
		    "2024-07-30 22:00" },
	};

	(void)state;
	run_cases(cases, sizeof(cases) / sizeof(cases[0]));
}

static void
test_summer_time(void **state)
{
	static const struct next_case cases[] = {
		/* 02:30 does not exist on 31 March: 03:00 summer time. */
		{ "cron 30 2 * * *", "2024-03-30 12:00", NULL, false,
		    "2024-03-31 01:00" },
		{ "cron 30 2 * * *", "2024-03-31 01:00", NULL, false,
		    "2024-03-31 01:00" },
		{ "cron 30 2 * * *", "2024-03-31 01:00:10",
		    "2024-03-31 01:00:01", false, "2024-04-01 00:30" },
		/* Four quarters that do not exist, and 03:00: one run. */
		{ "cron */15 * * * *", "2024-03-31 00:46", NULL, false,
		    "2024-03-31 01:00" },
		{ "cron */15 * * * *", "2024-03-31 01:00",
		    "2024-03-31 01:00", false, "2024-03-31 01:15" },
		/* 02:30 comes twice on 27 October: the first counts. */
		{ "cron 30 2 * * *", "2024-10-26 12:00", NULL, false,
		    "2024-10-27 00:30" },
		{ "cron 30 2 * * *", "2024-10-27 00:31",
		    "2024-10-27 00:30", false, "2024-10-28 01:30" },
		{ "cron 30 2 * * *", "2024-10-27 01:30",
		    "2024-10-27 00:30", false, "2024-10-28 01:30" },
		/* A window opens again when the hour comes again. */
		{ "Su0200-0230", "2024-10-26 12:00", NULL, true,
		    "2024-10-27 00:00" },
		{ "Su0200-0230", "2024-10-27 00:40", NULL, true,
		    "2024-10-27 01:00" },
		/* A window of which half is skipped; one that is all. */
		{ "Su0230-0330", "2024-03-30 12:00", NULL, true,
		    "2024-03-31 01:00" },
		{ "Su0215-0245", "2024-03-30 12:00", NULL, true,
		    "2024-04-07 00:15" },
		/* An interval knows no summer time. */
		{ "every 1h", "2024-03-31 00:30", "2024-03-31 00:30", false,
		    "2024-03-31 01:30" },
	};

	(void)state;
	run_cases(cases, sizeof(cases) / sizeof(cases[0]));
}

static void
test_windows(void **state)
{
	static const struct next_case cases[] = {
		{ "Wk2305-0655", "2024-06-03 10:00", NULL, true,
		    "2024-06-03 21:05" },
		{ "Wk2305-0655", "2024-06-03 10:00", NULL, false, NULL },
		{ "Wk2305-0655", "2024-06-04 04:54", NULL, true,
		    "2024-06-04 04:54" },
		{ "Wk2305-0655", "2024-06-04 04:55", NULL, true,
		    "2024-06-04 21:05" },
		/* Friday's ends on Saturday; none begins on Saturday. */
		{ "Wk2305-0655", "2024-06-08 04:00", NULL, true,
		    "2024-06-08 04:00" },
		{ "Wk2305-0655", "2024-06-08 05:00", NULL, true,
		    "2024-06-10 21:05" },
		{ "Wk2305-0655,Sa,Su0900-1700", "2024-06-08 05:00", NULL, true,
		    "2024-06-08 05:00" },
		{ "Wk2305-0655,Sa,Su0900-1700", "2024-06-08 22:00", NULL, true,
		    "2024-06-09 07:00" },
		{ "Any", "2024-06-08 22:00", NULL, true, "2024-06-08 22:00" },
		{ "MoWe1000-1100", "2024-06-03 10:00", NULL, true,
		    "2024-06-05 08:00" },
		{ "su0000-2400", "2024-06-03 10:00", NULL, true,
		    "2024-06-08 22:00" },
		{ "Never", "2024-06-03 10:00", NULL, true, NULL },
	};

	(void)state;
	run_cases(cases, sizeof(cases) / sizeof(cases[0]));
}

static void
add(struct schedule *s, const char *rule)
{
	assert_int_equal(schedule_add(s, rule, NULL), 0);
}

static void
test_together(void **state)
{
	struct schedule *s = schedule_new();
	int64_t now = utc("2024-06-03 10:00");

	(void)state;
	assert_true(schedule_is_empty(s));
	assert_true(schedule_is_open(s, now));
	assert_true(schedule_next(s, now, INT64_MIN, true) == now);
	assert_true(schedule_next(s, now, INT64_MIN, false) == NEVER);
	schedule_set_min_interval(s, 600);
	assert_true(schedule_next(s, now, now - 60000, true) == now + 540000);
	assert_true(schedule_is_empty(s));
	add(s, "every 15m");
	add(s, "Mo2000-2100");
	assert_false(schedule_is_empty(s));
	assert_false(schedule_is_open(s, now));
	expect(schedule_next(s, now, INT64_MIN, false), "2024-06-03 18:00",
	    "every and window", "Monday noon");
	expect(schedule_next(s, utc("2024-06-03 18:50"),
	    utc("2024-06-03 18:50"), false), "2024-06-10 18:00",
	    "every and window", "the end of the window");
	add(s, "cron 30 * * * *");
	expect(schedule_next(s, utc("2024-06-03 18:25"),
	    utc("2024-06-03 18:24"), false), "2024-06-03 18:39",
	    "cron passed over for the least interval", "18:24");
	schedule_set_min_interval(s, 0);
	expect(schedule_next(s, utc("2024-06-03 18:25"),
	    utc("2024-06-03 18:24"), false), "2024-06-03 18:30",
	    "cron in window", "18:24");
	schedule_free(s);
	s = make("cron 0 12 * * *");
	add(s, "Sa");
	expect(schedule_next(s, now, INT64_MIN, false), "2024-06-08 10:00",
	    "noon on Saturdays", "Monday");
	schedule_free(s);
	s = make("cron 0 12 * * *");
	add(s, "Any0000-0100");
	assert_true(schedule_next(s, now, INT64_MIN, false) == NEVER);
	schedule_free(s);
}

static void
test_bad(void **state)
{
	static const char *const bad[] = { "", " ", "every", "every day",
		"every 0", "every 5x", "every -5m", "cron", "cron 0 6 * *",
		"cron 0 6 * * * *", "cron 60 * * * *", "cron * 24 * * *",
		"cron * * 0 * *", "cron * * 32 * *", "cron * * * 13 *",
		"cron * * * 0 *", "cron * * * * 8", "cron 5-1 * * * *",
		"cron */0 * * * *", "cron 5/2 * * * *", "cron 1,,2 * * * *",
		"cron x * * * *", "cron 0 0 30 2 *", "cron 0 0 31 feb,apr *",
		"cron -1 * * * *", "cron * * * * fri-mon", "cron 1, * * * *",
		"Wx", "Wk2305", "Wk2305-", "Wk23-06", "Wk2360-0700",
		"Wk2401-0700", "Wk2400-0700", "Wk0000-2430", "2305-0655",
		"Wk2305-0655,", ",Wk", "Wk 2305 0655", "Wk2305-06555",
		"hourly", "Wk2305-0655;Sa" };
	struct schedule *s = schedule_new();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = ERR_INIT;

		if (schedule_add(s, bad[i], &e) >= 0)
			fail_msg("taken: %s", bad[i]);
		assert_true(e.text[0] != '\0');
	}
	assert_true(schedule_is_empty(s));
	schedule_free(s);
}

/* One that was asked at many times, forward and back, answers as one that
 * never was; and a window that is added counts at once. */
static void
test_asked_before(void **state)
{
	static const char *const rule[] = { "Any2200-0700", "Wk2305-0655",
		"Sa,Su0900-1700", "Mo0000-0001", "Never" };
	int64_t from = utc("2024-03-29 00:00"), t;
	struct schedule *s, *fresh;
	struct err e = ERR_INIT;
	uint32_t x = 1;
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(rule) / sizeof(rule[0]); i++) {
		s = make(rule[i]);
		for (k = 0; k < 2000; k++) {
			x = x * 1664525 + 1013904223;
			t = from + (int64_t)(x >> 8) % (4 * 86400) * 1000;
			fresh = make(rule[i]);
			assert_int_equal(schedule_is_open(fresh, t),
			    schedule_is_open(s, t));
			assert_int_equal(schedule_next(fresh, t, INT64_MIN,
			    true), schedule_next(s, t, INT64_MIN, true));
			schedule_free(fresh);
		}
		schedule_free(s);
	}
	s = make("Any2200-0700");
	t = utc("2024-01-10 12:00");
	assert_false(schedule_is_open(s, t));
	expect(schedule_next(s, t, INT64_MIN, true), "2024-01-10 21:00",
	    "Any2200-0700", "noon");
	assert_int_equal(0, schedule_add(s, "Any1200-1400", &e));
	assert_true(schedule_is_open(s, t));
	schedule_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every),
		cmocka_unit_test(test_cron),
		cmocka_unit_test(test_summer_time),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_asked_before),
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_bad),
	};

	setenv("TZ", "Europe/Paris", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
