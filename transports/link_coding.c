/* SPDX-License-Identifier: ISC */
/*
 * Line coding.  Only what the path really eats is escaped: two escaped
 * characters of 128 cost 1.6 %, and all control characters would cost 25.
 */
#include "transports/link_coding.h"

static void
put_char(struct buf *out, unsigned c, unsigned needs)
{
	bool special = c == CODING_FLAG || c == CODING_ESCAPE ||
	    ((needs & CODING_XON) != 0 &&
	    (c == CODING_XON_CHAR || c == CODING_XOFF_CHAR));

	if (special) {
		buf_addc(out, CODING_ESCAPE);
		c ^= CODING_FLIP;
	}
	buf_addc(out, (char)c);
}

static void
encode_7bit(struct buf *out, const unsigned char *frame, size_t len,
    unsigned needs)
{
	unsigned bits = 0, nbits = 0;

	for (size_t i = 0; i < len; i++) {
		bits = (bits << 8 | frame[i]) & 0x7fff;
		nbits += 8;
		while (nbits >= 7) {
			nbits -= 7;
			put_char(out, bits >> nbits & 0x7f, needs);
		}
	}
	if (nbits > 0)
		put_char(out, bits << (7 - nbits) & 0x7f, needs);
}

void
coding_encode(struct buf *out, const unsigned char *frame, size_t len,
    unsigned needs)
{
	if ((needs & (CODING_7BIT | CODING_XON)) == 0) {
		buf_add(out, frame, len);
		return;
	}
	buf_addc(out, CODING_FLAG);
	if (needs & CODING_7BIT) {
		encode_7bit(out, frame, len, needs);
		return;
	}
	for (size_t i = 0; i < len; i++)
		put_char(out, frame[i], needs);
}

void
decoding_init(struct decoding *d, unsigned needs)
{
	*d = (struct decoding){ .needs = needs };
}

static int
take_7bit(struct decoding *d, unsigned c)
{
	d->bits = (d->bits << 7 | c) & 0x7fff;
	d->nbits += 7;
	if (d->nbits < 8)
		return -1;
	d->nbits -= 8;
	return (int)(d->bits >> d->nbits & 0xff);
}

int
decoding_take(struct decoding *d, unsigned char c)
{
	if ((d->needs & (CODING_7BIT | CODING_XON)) == 0)
		return c;
	if (d->needs & CODING_7BIT)
		c &= 0x7f;
	if (c == CODING_FLAG) {
		decoding_init(d, d->needs);
		return -1;
	}
	if ((d->needs & CODING_XON) != 0 &&
	    (c == CODING_XON_CHAR || c == CODING_XOFF_CHAR))
		return -1;
	if (c == CODING_ESCAPE) {
		d->escaped = true;
		return -1;
	}
	if (d->escaped)
		c ^= CODING_FLIP;
	d->escaped = false;
	return d->needs & CODING_7BIT ? take_7bit(d, c) : c;
}
