/* SPDX-License-Identifier: ISC */
/*
 * Quoted-printable, written (RFC 2045 6.7).  A blank waits until it is known
 * whether a line end follows it, a CR whether it is half of one.  A "-" that
 * begins a line is coded: no line looks like a boundary then, though one be
 * made on purpose of what coding gives.
 */
#include <string.h>

#include "bundle/mime.h"

#define COLUMN_MAX 75		/* and "=" where the line goes on */

bool
qp_is_coded(char c)
{
	return c == '=' || c > '~' || (c < ' ' && c != '\t');
}

void
qp_encoder_init(struct qp_encoder *q)
{
	memset(q, 0, sizeof(*q));
}

static void
put(struct qp_encoder *q, struct buf *out, const char *text, size_t len)
{
	if (q->column + len > COLUMN_MAX) {
		buf_add(out, "=\r\n", 3);
		q->column = 0;
	}
	if (q->column == 0 && *text == '-') {
		text = "=2D";
		len = 3;
	}
	buf_add(out, text, len);
	q->column += len;
}

static void
put_coded(struct qp_encoder *q, struct buf *out, char c)
{
	static const char digits[] = "0123456789ABCDEF";
	unsigned char octet = (unsigned char)c;
	char text[3] = { '=', digits[octet >> 4], digits[octet & 15] };

	put(q, out, text, sizeof(text));
}

/* A blank that was held; `ends`: a line end follows it. */
static void
put_blank(struct qp_encoder *q, struct buf *out, bool ends)
{
	char c = q->blank;

	q->blank = '\0';
	if (c != '\0' && ends)
		put_coded(q, out, c);
	else if (c != '\0')
		put(q, out, &c, 1);
}

static void
add(struct qp_encoder *q, struct buf *out, char c)
{
	if (q->cr && c == '\n') {
		q->cr = false;
		put_blank(q, out, true);
		buf_add(out, "\r\n", 2);
		q->column = 0;
		return;
	}
	if (q->cr) {
		put_blank(q, out, false);
		put_coded(q, out, '\r');
	}
	q->cr = c == '\r';
	if (q->cr)
		return;
	put_blank(q, out, false);
	if (c == ' ' || c == '\t')
		q->blank = c;
	else if (qp_is_coded(c))
		put_coded(q, out, c);
	else
		put(q, out, &c, 1);
}

void
qp_encoder_add(struct qp_encoder *q, struct buf *out, const char *in,
    size_t len)
{
	for (size_t i = 0; i < len; i++)
		add(q, out, in[i]);
}

void
qp_encoder_end(struct qp_encoder *q, struct buf *out, bool soft)
{
	put_blank(q, out, !q->cr);
	if (q->cr)
		put_coded(q, out, '\r');
	q->cr = false;
	if (soft && q->column > 0)
		buf_add(out, "=\r\n", 3);
	q->column = 0;
}
