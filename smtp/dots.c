/* SPDX-License-Identifier: ISC */
/*
 * Dot stuffing and its undoing.  Line ends are found by memchr, so the cost
 * is that of a few instructions for each line, not for each octet.
 *
 * The reader never has to give back an octet it withheld: a dot at the start
 * of a line is dropped anyway, and a CR behind such a dot either belongs to
 * the end of data or is bare, which no caller lets pass.
 */
#include "smtp/dots.h"

void
dot_reader_init(struct dot_reader *d, bool lf, size_t line_max)
{
	memset(d, 0, sizeof(*d));
	d->lf = lf;
	d->line_max = line_max;
}

static void
count_line(struct dot_reader *d, size_t more)
{
	d->line_len += more;
	if (d->line_len > d->line_max)
		d->too_long = true;
}

/* The octets from here to the next dot at the start of a line. */
static size_t
run_length(struct dot_reader *d, const char *in, size_t len)
{
	const char *p = in, *end = in + len, *nl;
	bool ends;

	while ((nl = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		ends = d->lf || (nl > in ? nl[-1] == '\r' : d->after_cr);
		count_line(d, (size_t)(nl - p));
		d->lines++;
		p = nl + 1;
		if (!ends)
			continue;
		d->line_len = 0;
		if (p == end || *p == '.') {
			d->state = DOT_LINE_START;
			d->after_cr = false;
			return (size_t)(p - in);
		}
	}
	count_line(d, (size_t)(end - p));
	d->state = DOT_IN_LINE;
	d->after_cr = end[-1] == '\r';
	return len;
}

/* The octet behind a dot (and CR) at the start of a line.  1: end of data;
 * 0: it was used; -1: it is content. */
static int
behind_dot(struct dot_reader *d, char ch)
{
	bool cr = d->state == DOT_AFTER_DOT_CR;

	if (ch == '\n' && (d->lf || cr)) {
		d->lines++;
		return 1;
	}
	if (ch == '\r' && !cr && !d->lf) {
		d->state = DOT_AFTER_DOT_CR;
		return 0;
	}
	d->bare = d->bare || cr;
	d->state = DOT_IN_LINE;
	d->after_cr = false;
	return -1;
}

int
dot_reader_next(struct dot_reader *d, const char *in, size_t len,
    size_t *used_out, struct slice *run_out)
{
	size_t pos = 0;
	int rc;

	*run_out = (struct slice){ in, 0 };
	while (pos < len && d->state != DOT_IN_LINE) {
		if (d->state == DOT_LINE_START) {
			if (in[pos] != '.')
				break;
			d->state = DOT_AFTER_DOT;
			pos++;
			continue;
		}
		rc = behind_dot(d, in[pos]);
		if (rc >= 0)
			pos++;
		if (rc == 1) {
			*used_out = pos;
			return 1;
		}
	}
	if (pos < len)
		*run_out = (struct slice){ in + pos,
		    run_length(d, in + pos, len - pos) };
	*used_out = pos + run_out->len;
	return 0;
}

void
dot_writer_init(struct dot_writer *w)
{
	w->last[0] = '\r';
	w->last[1] = '\n';
}

void
dot_writer_add(struct dot_writer *w, struct buf *out, const char *bytes,
    size_t len)
{
	const char *from = bytes, *p = bytes, *end = bytes + len, *nl;

	if (len == 0)
		return;
	if (w->last[1] == '\n' && bytes[0] == '.')
		buf_addc(out, '.');
	while ((nl = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		p = nl + 1;
		if (p < end && *p == '.') {
			buf_add(out, from, (size_t)(p - from));
			buf_addc(out, '.');
			from = p;
		}
	}
	buf_add(out, from, (size_t)(end - from));
	w->last[0] = len > 1 ? end[-2] : w->last[1];
	w->last[1] = end[-1];
}

void
dot_writer_end(struct dot_writer *w, struct buf *out)
{
	if (w->last[0] != '\r' || w->last[1] != '\n')
		buf_adds(out, "\r\n");
	buf_adds(out, ".\r\n");
}
