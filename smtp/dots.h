/* SPDX-License-Identifier: ISC */
#ifndef SMTP_DOTS_H
#define SMTP_DOTS_H
/*
 * The transparency of DATA (RFC 5321 4.5.2), both ways.  Whole runs of lines
 * pass as they are; a run is broken only where a dot goes or comes.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum dot_state {
	DOT_LINE_START,		/* behind CR LF, or at the very start */
	DOT_IN_LINE,
	DOT_AFTER_DOT,		/* a dot at the start of a line, withheld */
	DOT_AFTER_DOT_CR,
};

struct dot_reader {
	enum dot_state state;
	bool lf;		/* lines end in LF alone (batches) */
	bool after_cr;
	bool bare;		/* a CR that had to be dropped was bare */
	bool too_long;		/* a line passed line_max */
	size_t line_len, line_max;
	uint64_t lines;		/* LF octets that went by */
};

void dot_reader_init(struct dot_reader *d, bool lf, size_t line_max);
/* Reads on: *run_out is a part of `in` that is content as it stands (it may
 * be empty), *used_out the octets done with, at least one.  1 at the end of
 * data: CR LF . CR LF and nothing else (with lf: LF . LF), else 0.  A bare CR
 * or LF is content; who minds looks for it in the runs, and at `bare`. */
int dot_reader_next(struct dot_reader *d, const char *in, size_t len,
    size_t *used_out, struct slice *run_out);

struct dot_writer {
	char last[2];		/* the last two octets written */
};

void dot_writer_init(struct dot_writer *w);
void dot_writer_add(struct dot_writer *w, struct buf *out, const char *bytes,
    size_t len);
/* Ends the last line if it is open, then the data. */
void dot_writer_end(struct dot_writer *w, struct buf *out);

#endif
