/* SPDX-License-Identifier: ISC */
/*
 * The one bounded parser of numbers, and sizes, durations and dates upon it.
 * Names of days and months are those of RFC 5322, whatever the locale.
 */
#include "base/text.h"

#include <time.h>

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Takes leading digits off s; at least one is needed. */
static int
take_number(struct slice *s, uint64_t max, uint64_t *n_out)
{
	uint64_t n = 0;

	if (s->len == 0 || !is_digit(s->ptr[0]))
		return ERR_SYNTAX;
	for (; s->len > 0 && is_digit(s->ptr[0]); s->ptr++, s->len--) {
		uint64_t digit = (uint64_t)(s->ptr[0] - '0');

		if (digit > max || n > (max - digit) / 10)
			return ERR_LIMIT;
		n = n * 10 + digit;
	}
	*n_out = n;
	return 0;
}

int
num_parse(struct slice s, uint64_t max, uint64_t *n_out)
{
	uint64_t n;
	int rc = take_number(&s, max, &n);

	if (rc < 0)
		return rc;
	if (s.len > 0)
		return ERR_SYNTAX;
	*n_out = n;
	return 0;
}

static const char digits32[] = "0123456789abcdefghjkmnpqrstvwxyz";

size_t
num32_format(char text_out[NUM32_MAX], uint64_t n)
{
	char reversed[NUM32_MAX];
	size_t len = 0;

	do {
		reversed[len++] = digits32[n % 32];
		n /= 32;
	} while (n > 0);
	for (size_t i = 0; i < len; i++)
		text_out[i] = reversed[len - 1 - i];
	text_out[len] = '\0';
	return len;
}

int
num32_parse(struct slice s, uint64_t *n_out)
{
	uint64_t n = 0;

	/* One number has one name: no zeros in front. */
	if (s.len == 0 || (s.ptr[0] == '0' && s.len > 1))
		return ERR_SYNTAX;
	for (size_t i = 0; i < s.len; i++) {
		const char *d = memchr(digits32, ascii_tolower(s.ptr[i]),
		    sizeof(digits32) - 1);

		if (d == NULL || n >> 59 != 0)
			return ERR_SYNTAX;
		n = n << 5 | (uint64_t)(d - digits32);
	}
	*n_out = n;
	return 0;
}

/* The shift that a unit's letter means, or -1. */
static int
unit_shift(char c)
{
	switch (ascii_tolower(c)) {
	case 'k':
		return 10;
	case 'm':
		return 20;
	case 'g':
		return 30;
	case 't':
		return 40;
	default:
		return -1;
	}
}

int
size_parse(struct slice s, uint64_t *bytes_out)
{
	uint64_t n;
	int rc, shift = 0;

	rc = take_number(&s, UINT64_MAX, &n);
	if (rc < 0)
		return rc;
	if (s.len > 0 && unit_shift(s.ptr[0]) > 0) {
		shift = unit_shift(s.ptr[0]);
		s.ptr++;
		s.len--;
		if (slice_ieqs(s, "iB"))
			s.len = 0;
	}
	if (s.len > 0 && !slice_ieqs(s, "B"))
		return ERR_SYNTAX;
	if (n > UINT64_MAX >> shift)
		return ERR_LIMIT;
	*bytes_out = n << shift;
	return 0;
}

static uint64_t
unit_secs(char c)
{
	switch (c) {
	case 's':
		return 1;
	case 'm':
		return 60;
	case 'h':
		return 3600;
	case 'd':
		return 86400;
	case 'w':
		return 604800;
	default:
		return 0;
	}
}

int
duration_parse(struct slice s, uint64_t *secs_out)
{
	uint64_t sum = 0, n, unit;
	int rc;

	if (num_parse(s, UINT64_MAX, secs_out) == 0)
		return 0;
	do {
		rc = take_number(&s, UINT64_MAX, &n);
		if (rc < 0)
			return rc;
		unit = s.len > 0 ? unit_secs(s.ptr[0]) : 0;
		if (unit == 0)
			return ERR_SYNTAX;
		if (n > (UINT64_MAX - sum) / unit)
			return ERR_LIMIT;
		sum += n * unit;
		s.ptr++;
		s.len--;
	} while (s.len > 0);
	*secs_out = sum;
	return 0;
}

void
size_format(struct buf *out, uint64_t bytes)
{
	static const char units[] = "KMGTPE";
	uint64_t unit = 1024, whole, tenths;
	size_t i = 0;

	if (bytes < 1024) {
		buf_addf(out, "%u B", (unsigned)bytes);
		return;
	}
	while (i + 1 < sizeof(units) - 1 && bytes / 1024 >= unit) {
		unit *= 1024;
		i++;
	}
	whole = bytes / unit;
	tenths = (bytes % unit / 16 * 10 + unit / 32) / (unit / 16);
	whole += tenths / 10;
	tenths %= 10;
	if (whole == 1024 && i + 1 < sizeof(units) - 1) {
		whole = 1;
		i++;
	}
	buf_addf(out, "%u", (unsigned)whole);
	if (tenths > 0)
		buf_addf(out, ".%u", (unsigned)tenths);
	buf_addf(out, " %ciB", units[i]);
}

void
duration_format(struct buf *out, uint64_t secs)
{
	static const char units[] = "dhms";
	size_t i = 0;

	while (i < 3 && secs < unit_secs(units[i]))
		i++;
	buf_addf(out, "%llu%c",
	    (unsigned long long)(secs / unit_secs(units[i])), units[i]);
	secs %= unit_secs(units[i]);
	if (i == 3 || secs < unit_secs(units[i + 1]))
		return;
	i++;
	buf_addf(out, " %llu%c",
	    (unsigned long long)(secs / unit_secs(units[i])), units[i]);
}

void
count_format(struct buf *out, uint64_t n, const char *one, const char *many)
{
	buf_addf(out, "%llu %s", (unsigned long long)n, n == 1 ? one : many);
}

/* The fields in UTC and the milliseconds beside them. */
static struct tm
split_time(int64_t wall_ms, int *ms_out)
{
	int64_t ms = wall_ms % 1000;
	struct tm tm = { .tm_mday = 1 };
	time_t secs;

	if (ms < 0)
		ms += 1000;
	secs = (time_t)((wall_ms - ms) / 1000);
	gmtime_r(&secs, &tm);
	*ms_out = (int)ms;
	return tm;
}

void
date_format(struct buf *out, int64_t wall_ms)
{
	static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu",
		"Fri", "Sat" };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May",
		"Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	int ms;
	struct tm tm = split_time(wall_ms, &ms);

	buf_addf(out, "%s, %02d %s %04d %02d:%02d:%02d +0000",
	    days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
	    tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void
timestamp_format(struct buf *out, int64_t wall_ms)
{
	int ms;
	struct tm tm = split_time(wall_ms, &ms);

	buf_addf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
	    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
	    tm.tm_min, tm.tm_sec, ms);
}
