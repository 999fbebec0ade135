/* SPDX-License-Identifier: ISC */
#ifndef SMTP_TIMING_H
#define SMTP_TIMING_H
/*
 * When a message is wanted: the parameters of MAIL that three extensions add,
 * MT-PRIORITY (RFC 6710), DELIVERBY (RFC 2852) and FUTURERELEASE (RFC 4865).
 * A plain value; all zero is what a message without any of them has.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define SMTP_PRIORITY_MAX 9	/* and -9 (RFC 6710 4.1) */
#define SMTP_BY_MAX 999999999	/* RFC 2852 4: nine digits */

enum smtp_by {
	SMTP_BY_NONE,
	SMTP_BY_RETURN,		/* "R": too late is a failure */
	SMTP_BY_NOTIFY,		/* "N": too late is told, and tried on */
};

enum smtp_hold {
	SMTP_HOLD_NONE,
	SMTP_HOLD_FOR,		/* seconds */
	SMTP_HOLD_UNTIL,	/* seconds since 1970-01-01 00:00 UTC */
};

struct smtp_timing {
	bool priority_given;
	int priority;
	enum smtp_by by;
	bool by_trace;		/* "T" */
	int64_t by_secs;	/* from when it was taken over; SMTP_BY_NOTIFY
				 * may have it behind */
	enum smtp_hold hold;
	uint64_t hold_value;
};

/* Is it all zero? */
bool smtp_timing_is_none(const struct smtp_timing *t);
/* Values of parameters, into t.  ERR_SYNTAX; ERR_STATE where a hold was given
 * already, by either name (RFC 4865 4). */
int smtp_timing_priority(struct smtp_timing *t, struct slice value) MUST_CHECK;
int smtp_timing_by(struct smtp_timing *t, struct slice value) MUST_CHECK;
int smtp_timing_hold_for(struct smtp_timing *t, struct slice value) MUST_CHECK;
int smtp_timing_hold_until(struct smtp_timing *t, struct slice value)
    MUST_CHECK;
/* Appends " MT-PRIORITY=3 BY=60;R" for what the extensions allow.  A hold is
 * kept by whom it was asked of and never written. */
void smtp_timing_write(struct buf *out, const struct smtp_timing *t,
    unsigned extensions);
/* Is the sender to be told that the message went on to one who takes these
 * extensions?  RFC 2852 4.1.4: with T always, with N where BY goes no
 * further. */
bool smtp_timing_traced(const struct smtp_timing *t, unsigned extensions);
/* Takes off the time that it lay here (RFC 2852 4.1.4). */
void smtp_timing_pass(struct smtp_timing *t, uint64_t secs);
/* Seconds since 1970 of an RFC 3339 date-time, and back ("...T00:00:00Z"). */
int smtp_date_parse(struct slice text, int64_t *secs_out) MUST_CHECK;
void smtp_date_write(struct buf *out, int64_t secs);

/* How many seconds a message that was taken over at taken_ms (wall clock) is
 * to be held; 0: none. */
uint64_t smtp_timing_hold_secs(const struct smtp_timing *t, int64_t taken_ms);

#endif
