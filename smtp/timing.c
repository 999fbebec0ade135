/* SPDX-License-Identifier: ISC */
/*
 * The parameters that say when a message is wanted.  Numbers have one way to
 * be written, as the RFCs' grammars want, but for the zeros that RFC 2852 and
 * 4865 let stand in front.
 */
#include "smtp/timing.h"

#include <stdio.h>
#include <time.h>

#include "base/text.h"
#include "smtp/extension.h"

#define DIGITS_MAX 9		/* RFC 2852 4, RFC 4865 4 */

static bool
is_digit(char ch)
{
	return ch >= '0' && ch <= '9';
}

bool
smtp_timing_is_none(const struct smtp_timing *t)
{
	return !t->priority_given && t->by == SMTP_BY_NONE &&
	    t->hold == SMTP_HOLD_NONE;
}

bool
smtp_timing_traced(const struct smtp_timing *t, unsigned extensions)
{
	return (t->by != SMTP_BY_NONE && t->by_trace) ||
	    (t->by == SMTP_BY_NOTIFY && (extensions & SMTP_EXT_DELIVERBY) == 0);
}

/* RFC 6710 4.1: ["-"] NZDIGIT / "0" */
int
smtp_timing_priority(struct smtp_timing *t, struct slice value)
{
	bool minus = value.len > 0 && value.ptr[0] == '-';
	const char *digit = value.ptr + minus;

	if (value.len != 1u + minus || !is_digit(*digit) ||
	    (minus && *digit == '0'))
		return ERR_SYNTAX;
	t->priority = minus ? '0' - *digit : *digit - '0';
	t->priority_given = true;
	return 0;
}

/* RFC 2852 4: ["-" / "+"] 1*9DIGIT ";" ("N" / "R") ["T"] */
int
smtp_timing_by(struct smtp_timing *t, struct slice value)
{
	const char *semi = memchr(value.ptr, ';', value.len);
	struct slice number, mode;
	bool minus = value.len > 0 && value.ptr[0] == '-';
	bool sign = minus || (value.len > 0 && value.ptr[0] == '+');
	uint64_t n;

	if (semi == NULL)
		return ERR_SYNTAX;
	number = (struct slice){ value.ptr + sign,
	    (size_t)(semi - value.ptr) - sign };
	mode = (struct slice){ semi + 1,
	    value.len - (size_t)(semi + 1 - value.ptr) };
	if (number.len > DIGITS_MAX || num_parse(number, SMTP_BY_MAX, &n) < 0)
		return ERR_SYNTAX;
	t->by_trace = mode.len == 2 && ascii_tolower(mode.ptr[1]) == 't';
	if (mode.len != 1u + t->by_trace)
		return ERR_SYNTAX;
	if (ascii_tolower(mode.ptr[0]) == 'n')
		t->by = SMTP_BY_NOTIFY;
	else if (ascii_tolower(mode.ptr[0]) == 'r' && n > 0 && !minus)
		t->by = SMTP_BY_RETURN;
	else
		return ERR_SYNTAX;
	t->by_secs = minus ? -(int64_t)n : (int64_t)n;
	return 0;
}

int
smtp_timing_hold_for(struct smtp_timing *t, struct slice value)
{
	if (t->hold != SMTP_HOLD_NONE)
		return ERR_STATE;
	if (value.len > DIGITS_MAX ||
	    num_parse(value, UINT32_MAX, &t->hold_value) < 0)
		return ERR_SYNTAX;
	t->hold = SMTP_HOLD_FOR;
	return 0;
}

int
smtp_timing_hold_until(struct smtp_timing *t, struct slice value)
{
	int64_t secs;

	if (t->hold != SMTP_HOLD_NONE)
		return ERR_STATE;
	if (smtp_date_parse(value, &secs) < 0 || secs < 0)
		return ERR_SYNTAX;
	t->hold = SMTP_HOLD_UNTIL;
	t->hold_value = (uint64_t)secs;
	return 0;
}

void
smtp_timing_write(struct buf *out, const struct smtp_timing *t,
    unsigned extensions)
{
	if ((extensions & SMTP_EXT_MT_PRIORITY) != 0 && t->priority_given)
		buf_addf(out, " MT-PRIORITY=%d", t->priority);
	if ((extensions & SMTP_EXT_DELIVERBY) != 0 && t->by != SMTP_BY_NONE)
		buf_addf(out, " BY=%lld;%c%s", (long long)t->by_secs,
		    t->by == SMTP_BY_RETURN ? 'R' : 'N',
		    t->by_trace ? "T" : "");
}

/* What is nearly late is late by a second only when it goes on: R knows no
 * zero. */
void
smtp_timing_pass(struct smtp_timing *t, uint64_t secs)
{
	int64_t least = t->by == SMTP_BY_RETURN ? 1 : -SMTP_BY_MAX;

	if (secs > SMTP_BY_MAX)
		secs = SMTP_BY_MAX;
	if (t->by == SMTP_BY_NONE)
		return;
	t->by_secs -= (int64_t)secs;
	if (t->by_secs < least)
		t->by_secs = least;
}

uint64_t
smtp_timing_hold_secs(const struct smtp_timing *t, int64_t taken_ms)
{
	uint64_t taken = taken_ms > 0 ? (uint64_t)taken_ms / 1000 : 0;

	switch (t->hold) {
	case SMTP_HOLD_FOR:
		return t->hold_value;
	case SMTP_HOLD_UNTIL:
		return t->hold_value > taken ? t->hold_value - taken : 0;
	case SMTP_HOLD_NONE:
		break;
	}
	return 0;
}

/*
 * Dates of RFC 3339 5.6.
 */

/* Takes `digits` digits and then the character `behind`, if it is none. */
static bool
take_number(struct slice *s, size_t digits, char behind, int max, int *n_out)
{
	uint64_t n;

	if (s->len < digits + (behind != '\0') || num_parse(
	    (struct slice){ s->ptr, digits }, (uint64_t)max, &n) < 0)
		return false;
	if (behind != '\0' && ascii_tolower(s->ptr[digits]) != behind)
		return false;
	*n_out = (int)n;
	s->ptr += digits + (behind != '\0');
	s->len -= digits + (behind != '\0');
	return true;
}

/* "Z", "+02:00", "-05:30" and nothing behind; east is positive. */
static bool
take_zone(struct slice s, int *secs_out)
{
	int hours, minutes, sign;

	*secs_out = 0;
	if (slice_ieqs(s, "Z"))
		return true;
	if (s.len != 6 || (s.ptr[0] != '+' && s.ptr[0] != '-'))
		return false;
	sign = s.ptr[0] == '+' ? 1 : -1;
	s.ptr++;
	s.len--;
	if (!take_number(&s, 2, ':', 23, &hours) ||
	    !take_number(&s, 2, '\0', 59, &minutes))
		return false;
	*secs_out = sign * (hours * 3600 + minutes * 60);
	return true;
}

static void
skip_fraction(struct slice *s)
{
	if (s->len < 2 || s->ptr[0] != '.' || !is_digit(s->ptr[1]))
		return;
	do {
		s->ptr++;
		s->len--;
	} while (s->len > 0 && is_digit(*s->ptr));
}

int
smtp_date_parse(struct slice text, int64_t *secs_out)
{
	struct tm tm, back;
	int zone;
	time_t t;

	memset(&tm, 0, sizeof(tm));
	if (!take_number(&text, 4, '-', 9999, &tm.tm_year) ||
	    !take_number(&text, 2, '-', 12, &tm.tm_mon) ||
	    !take_number(&text, 2, 't', 31, &tm.tm_mday) ||
	    !take_number(&text, 2, ':', 23, &tm.tm_hour) ||
	    !take_number(&text, 2, ':', 59, &tm.tm_min) ||
	    !take_number(&text, 2, '\0', 60, &tm.tm_sec))
		return ERR_SYNTAX;
	skip_fraction(&text);
	if (tm.tm_mon == 0 || tm.tm_mday == 0 || !take_zone(text, &zone))
		return ERR_SYNTAX;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	back = tm;
	t = timegm(&back);
	/* The thirtieth of February would have become another day. */
	if (tm.tm_sec < 60 && back.tm_mday != tm.tm_mday)
		return ERR_SYNTAX;
	*secs_out = (int64_t)t - zone;
	return 0;
}

void
smtp_date_write(struct buf *out, int64_t secs)
{
	time_t t = (time_t)secs;
	char text[32];
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL ||
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		return;
	buf_adds(out, text);
}
