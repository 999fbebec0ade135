/* SPDX-License-Identifier: ISC */
/*
 * Schedules.  Rules are about the clock on the wall, so every candidate is
 * first a local minute of a calendar day and then turned into an instant; what
 * a change of summer time does to it is decided in that one place (instants).
 */
#include "node/schedule.h"

#include "base/mem.h"
#include "base/text.h"

#include <limits.h>
#include <stdlib.h>
#include <time.h>

#define NEVER INT64_MAX
#define DAY_MINUTES 1440
#define SEARCH_DAYS (366 * 9)	/* 29 February, over a year like 2100 */
#define WINDOW_DAYS 15
#define GAP_MINUTES 180		/* the clocks never jump by more */

struct cron {
	uint64_t minute;	/* bits */
	uint32_t hour, mday, month;	/* bits; of month 1 .. 12 */
	uint32_t wday;		/* bits; 0 is Sunday */
	bool any_mday, any_wday;	/* written with a star */
};

struct window {
	unsigned days;		/* bits; 0 is Sunday */
	unsigned from, to;	/* minutes of the day; to <= from passes
				 * midnight */
};

/* No window is open from `from` until `to`, as was found last: it is asked for
 * at every turn of the event loop, and calendars are slow. */
struct closed {
	int64_t from, to;
};

struct schedule {
	uint64_t *every;
	size_t nevery;
	struct cron *cron;
	size_t ncrons;
	struct window *window;
	size_t nwindows;
	bool windowed;		/* "Never" is a window without any time */
	uint64_t min_secs;
	struct closed *closed;
};

struct day {
	int year, month, mday;	/* month 0 .. 11 */
	int wday;
};

struct schedule *
schedule_new(void)
{
	struct schedule *s = mem_alloc(1, sizeof(*s));

	s->closed = mem_alloc(1, sizeof(*s->closed));
	return s;
}

void
schedule_free(struct schedule *s)
{
	if (s == NULL)
		return;
	free(s->every);
	free(s->cron);
	free(s->window);
	free(s->closed);
	free(s);
}

void
schedule_set_min_interval(struct schedule *s, uint64_t secs)
{
	s->min_secs = secs;
}

bool
schedule_is_empty(const struct schedule *s)
{
	return s->nevery == 0 && s->ncrons == 0 && !s->windowed;
}

/* ---- reading ---- */

static const char *const day_names[] = { "su", "mo", "tu", "we", "th", "fr",
	"sa" };
static const char *const cron_days[] = { "sun", "mon", "tue", "wed", "thu",
	"fri", "sat", NULL };
static const char *const cron_months[] = { "jan", "feb", "mar", "apr", "may",
	"jun", "jul", "aug", "sep", "oct", "nov", "dec", NULL };

struct field {
	const char *name;
	unsigned min, max;
	const char *const *words;	/* for min, min + 1, ... */
};

static int
cron_number(const struct field *f, struct slice s, unsigned *n_out,
    struct err *e)
{
	uint64_t n;
	unsigned i;

	for (i = 0; f->words != NULL && f->words[i] != NULL; i++)
		if (slice_ieqs(s, f->words[i])) {
			*n_out = f->min + i;
			return 0;
		}
	if (num_parse(s, f->max, &n) < 0 || n < f->min)
		return err_set(e, ERR_SYNTAX, "cron: %s is from %u to %u, not "
		    "\"%.*s\"", f->name, f->min, f->max, (int)s.len, s.ptr);
	*n_out = (unsigned)n;
	return 0;
}

/* Cuts s at the first c; false if there is none. */
static bool
cut(struct slice *s, char c, struct slice *rest_out)
{
	const char *at = s->len > 0 ? memchr(s->ptr, c, s->len) : NULL;

	if (at == NULL)
		return false;
	rest_out->ptr = at + 1;
	rest_out->len = s->len - (size_t)(at - s->ptr) - 1;
	s->len = (size_t)(at - s->ptr);
	return true;
}

/* "*", "5", "1-5", and "/2" behind a star or a range. */
static int
cron_range(const struct field *f, struct slice s, uint64_t *bits,
    struct err *e)
{
	struct slice rest = { "", 0 };
	unsigned from = f->min, to = f->max;
	uint64_t step = 1;
	bool stepped = cut(&s, '/', &rest);
	int rc;

	if (stepped && (num_parse(rest, 59, &step) < 0 || step == 0))
		return err_set(e, ERR_SYNTAX, "cron: a step in %s is a number "
		    "from 1 on", f->name);
	if (!slice_eqs(s, "*")) {
		bool ranged = cut(&s, '-', &rest);

		rc = cron_number(f, s, &from, e);
		to = from;
		if (rc == 0 && ranged)
			rc = cron_number(f, rest, &to, e);
		if (rc < 0)
			return rc;
		if (stepped && !ranged)
			return err_set(e, ERR_SYNTAX, "cron: a step in %s "
			    "needs * or a range before it", f->name);
		if (to < from)
			return err_set(e, ERR_SYNTAX, "cron: a range in %s "
			    "runs backwards", f->name);
	}
	for (; from <= to; from += (unsigned)step)
		*bits |= UINT64_C(1) << from;
	return 0;
}

static int
cron_field(const struct field *f, struct slice s, uint64_t *bits_out,
    struct err *e)
{
	struct slice rest = { "", 0 };
	bool more;
	int rc;

	*bits_out = 0;
	do {
		more = cut(&s, ',', &rest);
		rc = cron_range(f, s, bits_out, e);
		s = rest;
	} while (rc == 0 && more);
	return rc;
}

static struct slice
take_word(struct slice *s)
{
	struct slice word, rest = { "", 0 };

	*s = slice_trim(*s);
	word = *s;
	if (!cut(&word, ' ', &rest))
		rest.len = 0;
	*s = rest;
	return word;
}

/* A day of the month that no month named has will never come. */
static bool
cron_is_possible(const struct cron *c)
{
	static const unsigned days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30,
		31, 30, 31 };
	unsigned month, mday;

	if (!c->any_wday && !c->any_mday)
		return true;	/* by the day of the week */
	for (month = 1; month <= 12; month++)
		for (mday = 1; mday <= days[month - 1]; mday++)
			if ((c->month >> month & 1) && (c->mday >> mday & 1))
				return true;
	return false;
}

static int
add_cron(struct schedule *s, struct slice text, struct err *e)
{
	static const struct field fields[5] = {
		{ "the minute", 0, 59, NULL },
		{ "the hour", 0, 23, NULL },
		{ "the day of the month", 1, 31, NULL },
		{ "the month", 1, 12, cron_months },
		{ "the day of the week", 0, 7, cron_days },
	};
	struct slice word[5];
	uint64_t bits[5];
	struct cron c;
	int i, rc;

	for (i = 0; i < 5; i++) {
		word[i] = take_word(&text);
		if (word[i].len == 0)
			return err_set(e, ERR_SYNTAX, "cron: five fields are "
			    "needed: minute, hour, day of the month, month, "
			    "day of the week");
		rc = cron_field(&fields[i], word[i], &bits[i], e);
		if (rc < 0)
			return rc;
	}
	if (slice_trim(text).len > 0)
		return err_set(e, ERR_SYNTAX, "cron: more than five fields");
	c = (struct cron){ bits[0], (uint32_t)bits[1], (uint32_t)bits[2],
		(uint32_t)bits[3],
		(uint32_t)((bits[4] & 0x7f) | (bits[4] >> 7 & 1)),
		word[2].ptr[0] == '*', word[4].ptr[0] == '*' };
	if (!cron_is_possible(&c))
		return err_set(e, ERR_SYNTAX, "cron: there is no such day in "
		    "any year");
	s->cron = mem_realloc(s->cron, s->ncrons + 1, sizeof(c));
	s->cron[s->ncrons++] = c;
	return 0;
}

static int
add_every(struct schedule *s, struct slice text, struct err *e)
{
	uint64_t secs;

	text = slice_trim(text);
	if (duration_parse(text, &secs) < 0 || secs == 0 ||
	    secs > INT64_MAX / 4000)
		return err_set(e, ERR_SYNTAX, "every: write a time such as "
		    "15m, 2h or 1d, not \"%.*s\"", (int)text.len, text.ptr);
	s->every = mem_realloc(s->every, s->nevery + 1, sizeof(secs));
	s->every[s->nevery++] = secs;
	return 0;
}

/* Days at the start of a window, taken off; 0: none. */
static unsigned
take_days(struct slice *s)
{
	static const struct {
		const char *name;
		unsigned days;
	} more[] = { { "any", 0x7f }, { "wk", 0x3e } };
	unsigned days = 0, was, i;

	do {
		struct slice two = { s->ptr, s->len < 2 ? s->len : 2 };
		struct slice three = { s->ptr, s->len < 3 ? s->len : 3 };

		was = days;
		for (i = 0; i < 7; i++)
			if (slice_ieqs(two, day_names[i])) {
				days |= 1U << i;
				s->ptr += 2;
				s->len -= 2;
				break;
			}
		if (i < 7)
			continue;
		for (i = 0; i < 2; i++)
			if (slice_ieqs(i == 0 ? three : two, more[i].name)) {
				days |= more[i].days;
				s->ptr += strlen(more[i].name);
				s->len -= strlen(more[i].name);
				break;
			}
	} while (days != was);
	return days;
}

/* HHMM, to 2400. */
static int
clock_time(struct slice s, unsigned *minutes_out)
{
	uint64_t n;

	if (s.len != 4 || num_parse(s, 2400, &n) < 0 || n % 100 > 59)
		return ERR_SYNTAX;
	*minutes_out = (unsigned)(n / 100 * 60 + n % 100);
	return 0;
}

static int
read_window(struct slice s, struct window *w, struct err *e)
{
	struct slice whole = s, end = { "", 0 };

	*w = (struct window){ take_days(&s), 0, DAY_MINUTES };
	if (w->days == 0)
		return err_set(e, ERR_SYNTAX, "\"%.*s\" is neither \"every "
		    "TIME\" nor \"cron ...\" nor a window that begins with "
		    "Any, Wk, Su, Mo, Tu, We, Th, Fr or Sa", (int)whole.len,
		    whole.ptr);
	if (s.len == 0)
		return 0;
	if (!cut(&s, '-', &end) || clock_time(s, &w->from) < 0 ||
	    w->from == DAY_MINUTES || clock_time(end, &w->to) < 0)
		return err_set(e, ERR_SYNTAX, "window \"%.*s\": write two "
		    "times such as 2305-0655 behind the days", (int)whole.len,
		    whole.ptr);
	return 0;
}

static int
add_windows(struct schedule *s, struct slice text, struct err *e)
{
	struct window *w = NULL;
	struct slice rest = text;
	size_t n = 0;
	bool more = true;
	int rc = 0;

	if (slice_ieqs(text, "never")) {
		s->windowed = true;
		return 0;
	}
	while (more && rc == 0) {
		text = rest;
		more = cut(&text, ',', &rest);
		w = mem_realloc(w, n + 1, sizeof(*w));
		rc = read_window(slice_trim(text), &w[n++], e);
	}
	if (rc == 0) {
		s->window = mem_realloc(s->window, s->nwindows + n,
		    sizeof(*w));
		memcpy(s->window + s->nwindows, w, n * sizeof(*w));
		s->nwindows += n;
		s->windowed = true;
		*s->closed = (struct closed){ 0, 0 };
	}
	free(w);
	return rc;
}

int
schedule_add(struct schedule *s, const char *rule, struct err *e)
{
	struct slice text = slice_trim(slice_of(rule)), rest = text;
	struct slice word = take_word(&rest);

	if (slice_ieqs(word, "every"))
		return add_every(s, rest, e);
	if (slice_ieqs(word, "cron"))
		return add_cron(s, rest, e);
	return add_windows(s, text, e);
}

/* ---- the calendar ---- */

static struct tm
local_time(int64_t ms)
{
	time_t secs = (time_t)(ms / 1000 - (ms % 1000 < 0));
	struct tm tm = { .tm_mday = 1 };

	localtime_r(&secs, &tm);
	return tm;
}

static struct day
day_of(int64_t ms)
{
	struct tm tm = local_time(ms);

	return (struct day){ tm.tm_year + 1900, tm.tm_mon, tm.tm_mday,
		tm.tm_wday };
}

static int
month_days(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
		31 };

	return days[month] + (month == 1 && year % 4 == 0 &&
	    (year % 100 != 0 || year % 400 == 0));
}

static void
next_day(struct day *d)
{
	d->wday = (d->wday + 1) % 7;
	if (++d->mday <= month_days(d->year, d->month))
		return;
	d->mday = 1;
	if (++d->month < 12)
		return;
	d->month = 0;
	d->year++;
}

/* A local minute as a number that grows with it. */
static int64_t
wall_number(int year, int month, int mday, int minute)
{
	return ((int64_t)(year * 12 + month) * 32 + mday) * DAY_MINUTES +
	    minute;
}

static int64_t
wall_number_at(int64_t ms)
{
	struct tm tm = local_time(ms);

	return wall_number(tm.tm_year + 1900, tm.tm_mon, tm.tm_mday,
	    tm.tm_hour * 60 + tm.tm_min);
}

static int64_t
make_time(const struct day *d, int minute, int isdst)
{
	struct tm tm = { .tm_year = d->year - 1900, .tm_mon = d->month,
		.tm_mday = d->mday, .tm_hour = minute / 60,
		.tm_min = minute % 60, .tm_isdst = isdst };

	return (int64_t)mktime(&tm) * 1000;
}

/* The instants at which the clock on the wall begins to show this minute:
 * one; two where it is set back; where it is set forward over the minute, the
 * one at which it next shows a later one. In order. */
static size_t
instants(const struct day *d, int minute, int64_t out[2])
{
	int64_t want = wall_number(d->year, d->month, d->mday, minute);
	int64_t a = make_time(d, minute, 1), b = make_time(d, minute, 0), t;
	bool is_a = wall_number_at(a) == want, is_b = wall_number_at(b) == want;

	if (is_a || is_b) {
		out[0] = is_a && (!is_b || a < b) ? a : b;
		out[1] = is_a && is_b && a < b ? b : a;
		return is_a && is_b && a != b ? 2 : 1;
	}
	t = make_time(d, minute, -1);
	if (wall_number_at(t) != want) {
		t -= GAP_MINUTES * 60000;
		while (wall_number_at(t) < want)
			t += 60000;
	}
	out[0] = t;
	return 1;
}

/* ---- asking ---- */

static bool
window_holds(const struct window *w, int wday, unsigned minute)
{
	unsigned today = 1U << wday, yesterday = 1U << ((wday + 6) % 7);

	if (w->to > w->from)
		return (w->days & today) != 0 && minute >= w->from &&
		    minute < w->to;
	return ((w->days & today) != 0 && minute >= w->from) ||
	    ((w->days & yesterday) != 0 && minute < w->to);
}

bool
schedule_is_open(const struct schedule *s, int64_t wall_ms)
{
	struct tm tm;
	unsigned minute;
	size_t i;

	if (!s->windowed)
		return true;
	if (wall_ms >= s->closed->from && wall_ms < s->closed->to)
		return false;
	tm = local_time(wall_ms);
	minute = (unsigned)(tm.tm_hour * 60 + tm.tm_min);
	for (i = 0; i < s->nwindows; i++)
		if (window_holds(&s->window[i], tm.tm_wday, minute))
			return true;
	return false;
}

/* The first instant of this day, later than t, at which a window opens. */
static int64_t
opening_on(const struct schedule *s, const struct day *d, int64_t t)
{
	int64_t best = NEVER, at[2];
	size_t i, k, n;

	for (i = 0; i < s->nwindows; i++) {
		if ((s->window[i].days >> d->wday & 1) == 0)
			continue;
		n = instants(d, (int)s->window[i].from, at);
		for (k = 0; k < n; k++)
			if (at[k] > t && at[k] < best &&
			    schedule_is_open(s, at[k]))
				best = at[k];
	}
	return best;
}

/* The first instant not before t inside a window. */
static int64_t
next_open(const struct schedule *s, int64_t t)
{
	int64_t at = NEVER;
	struct day d;
	int i;

	if (t >= s->closed->from && t < s->closed->to)
		return s->closed->to;
	if (schedule_is_open(s, t))
		return t;
	d = day_of(t);
	for (i = 0; i < WINDOW_DAYS && at == NEVER; i++) {
		at = opening_on(s, &d, t);
		next_day(&d);
	}
	if (at != NEVER)
		*s->closed = (struct closed){ t, at };
	return at;
}

static bool
cron_has_day(const struct cron *c, const struct day *d)
{
	bool mday = (c->mday >> d->mday & 1) != 0;
	bool wday = (c->wday >> d->wday & 1) != 0;

	if ((c->month >> (d->month + 1) & 1) == 0)
		return false;
	/* cron(5): where both are restricted, either is enough. */
	if (!c->any_mday && !c->any_wday)
		return mday || wday;
	return mday && wday;
}

/* The first run of this day not before t, from this minute on. */
static int64_t
cron_on(const struct cron *c, const struct day *d, int minute, int64_t t)
{
	int64_t at[2];

	for (; minute < DAY_MINUTES; minute++) {
		if ((c->hour >> (minute / 60) & 1) == 0 ||
		    (c->minute >> (minute % 60) & 1) == 0)
			continue;
		(void)instants(d, minute, at);
		if (at[0] >= t)
			return at[0];
	}
	return NEVER;
}

static int64_t
cron_next(const struct cron *c, int64_t t)
{
	struct day d = day_of(t);
	struct tm tm = local_time(t);
	int minute = tm.tm_hour * 60 + tm.tm_min - GAP_MINUTES;
	int64_t at = NEVER;
	int i;

	for (i = 0; i < SEARCH_DAYS && at == NEVER; i++) {
		if (cron_has_day(c, &d))
			at = cron_on(c, &d, minute > 0 ? minute : 0, t);
		minute = 0;
		next_day(&d);
	}
	return at;
}

static int64_t
minute_start(int64_t ms)
{
	int64_t over = ms % 60000;

	return ms - (over < 0 ? over + 60000 : over);
}

/* The first cron minute inside the windows that has not run yet; a minute that
 * is not over counts. */
static int64_t
cron_in_window(const struct schedule *s, const struct cron *c, int64_t now,
    int64_t last)
{
	int64_t from = minute_start(now), at;
	int i;

	if (last != INT64_MIN && last >= from)
		from = minute_start(last) + 60000;
	for (i = 0; i < SEARCH_DAYS; i++) {
		at = cron_next(c, from);
		if (at == NEVER || schedule_is_open(s, at < now ? now : at))
			return at;
		from = next_open(s, at);
		if (from == NEVER)
			return NEVER;
		from = minute_start(from);
		if (from <= at)
			from = at + 60000;
	}
	return NEVER;
}

bool
schedule_is_timed(const struct schedule *s)
{
	return s->nevery > 0 || s->ncrons > 0;
}

int64_t
schedule_next(const struct schedule *s, int64_t now_ms, int64_t last_ms,
    bool wanted)
{
	int64_t soonest = now_ms, best = NEVER, at;
	size_t i;

	if (last_ms > now_ms)
		last_ms = now_ms;	/* the clock was set back */
	if (last_ms != INT64_MIN && s->min_secs > 0 &&
	    last_ms + (int64_t)s->min_secs * 1000 > soonest)
		soonest = last_ms + (int64_t)s->min_secs * 1000;
	if (!schedule_is_timed(s))
		return wanted ? next_open(s, soonest) : NEVER;
	for (i = 0; i < s->nevery; i++) {
		at = last_ms == INT64_MIN ? soonest :
		    last_ms + (int64_t)s->every[i] * 1000;
		at = next_open(s, at < soonest ? soonest : at);
		best = at < best ? at : best;
	}
	for (i = 0; i < s->ncrons; i++) {
		at = cron_in_window(s, &s->cron[i], soonest, last_ms);
		if (at < soonest)
			at = soonest;
		best = at < best ? at : best;
	}
	return best;
}
