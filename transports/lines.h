/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_LINES_H
#define TRANSPORTS_LINES_H
/*
 * Lines out of a stream, bounded: what is longer than the limit is passed
 * over up to its line end and reported once.
 *
 *	lines_init; each time bytes have come: lines_add, then lines_next
 *	until it returns 0; at the end of the stream lines_last; lines_release
 */
#include "base/buf.h"
#include "base/err.h"

struct lines {
	struct buf held;
	size_t max;	/* longest line in octets, its end not counted */
	size_t taken;	/* octets at the front that were given out */
	bool skipping;	/* inside a line that was too long */
};

void lines_init(struct lines *l, size_t max);
void lines_release(struct lines *l);
/* Forgets what is held, for a new stream. */
void lines_clear(struct lines *l);
void lines_add(struct lines *l, const void *bytes, size_t len);
/* 1: line_out is the next line without LF or CR LF, valid until the next
 * call; 0: no whole line is there, and not more than max octets are held;
 * ERR_LIMIT: a line was too long, its first max octets are in line_out. */
int lines_next(struct lines *l, struct slice *line_out) MUST_CHECK;
/* What stands behind the last line end: 1 or 0. */
int lines_last(struct lines *l, struct slice *line_out) MUST_CHECK;

#endif
