/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_REPORT_H
#define TRANSPORTS_REPORT_H
/*
 * One line that a transport writes on its standard output, as
 * postrider-transport(7) specifies it:
 *
 *	sending NAME DONE TOTAL
 *	sent NAME
 *	received NAME
 *	failed NAME temporary|permanent TEXT
 *	returned NAME temporary|permanent TEXT
 *	note TEXT
 *	progress KEY=NUMBER...
 *
 * Words are separated by single blanks.  Both directions are here, so that
 * the protocol is written once: transports format, the daemon parses.
 */
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define REPORT_LINE_MAX 4096	/* octets, the line end not counted */
#define REPORT_NAME_MAX 255

enum report_kind {
	REPORT_SENDING, REPORT_SENT, REPORT_RECEIVED, REPORT_FAILED_TEMPORARY,
	REPORT_FAILED_PERMANENT, REPORT_RETURNED_TEMPORARY,
	REPORT_RETURNED_PERMANENT, REPORT_NOTE, REPORT_PROGRESS, REPORT_KINDS
};

/* How a transport fares, in octets but for the last two. */
struct report_progress {
	uint64_t sent, left;	/* of the files that were before it */
	uint64_t received;	/* since it began */
	uint64_t rate;		/* a second, now, both ways */
	uint64_t again;		/* sent again, since it began */
	uint64_t errors;	/* of a million frames sent, lost */
	uint64_t damaged;	/* frames that came so, since it began */
};

struct report {
	enum report_kind kind;
	struct slice name;	/* all but note and progress */
	struct slice text;	/* failed, returned, note; else empty */
	uint64_t done, total;	/* sending: octets, done at most total */
	struct report_progress progress;
};

/* Whether it is a plain name that a report can carry: 1 to 255 octets, no
 * leading dot, no slash, no blank, no control character. */
bool report_name_ok(struct slice name);
/* line: without its end.  The slices of r_out point into it.  0 or
 * ERR_SYNTAX with the reason, ERR_LIMIT where the line is too long. */
int report_parse(struct slice line, struct report *r_out, struct err *e)
    MUST_CHECK;
/* Appends the line and its LF.  Control characters of the text become
 * blanks; it is cut so that the line stays in its limit.  The name must be
 * one that report_name_ok takes. */
void report_format(struct buf *out, const struct report *r);

#endif
