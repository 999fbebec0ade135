/* SPDX-License-Identifier: ISC */
#ifndef NODE_SCHEDULE_H
#define NODE_SCHEDULE_H
/*
 * When a peer is called.  A schedule is a set of rules, each one of
 *
 *	"every 15m"			an interval since the last call
 *	"cron 0 6,18 * * 1-5"		cron(5), five fields, local time
 *	"Wk2305-0655,Sa,Su0900-1700"	windows as UUCP writes them (Any, Wk, Su
 *					.. Sa; a window may pass midnight and
 *					belongs to the day it begins on); Never
 *
 * Windows restrict: outside them no call is made.  Intervals and cron start
 * calls inside the windows.  With windows alone the road is open all through
 * them.  Times are local; across a change to summer time a cron minute that
 * does not exist runs once at the next that does, one that exists twice runs
 * once.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct schedule;

struct schedule *schedule_new(void);
void schedule_free(struct schedule *s);
int schedule_add(struct schedule *s, const char *rule, struct err *e)
    MUST_CHECK;
/* No call begins sooner after the last one; a cron minute that falls there is
 * passed over. */
void schedule_set_min_interval(struct schedule *s, uint64_t secs);
bool schedule_is_empty(const struct schedule *s);
/* Do calls begin at times of their own (intervals, cron), and not whenever
 * something waits? */
bool schedule_is_timed(const struct schedule *s);
/* May a call be made at this time? (Without windows: always.) */
bool schedule_is_open(const struct schedule *s, int64_t wall_ms);
/* The earliest time at or after now_ms for a call, when the last one began at
 * last_ms (INT64_MIN: never).  wanted: something waits; with windows alone, or
 * an empty schedule, calls are made only when wanted.  INT64_MAX: not before
 * somebody asks. */
int64_t schedule_next(const struct schedule *s, int64_t now_ms,
    int64_t last_ms, bool wanted);

#endif
