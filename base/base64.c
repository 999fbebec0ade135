/* SPDX-License-Identifier: ISC */
/*
 * Binary as text: hex, base32, base64.  Base64 carries whole bundles, so both
 * its directions have a fast path of whole groups; everything irregular goes
 * through the slow one, an octet at a time.
 */
#include "base/text.h"

#include <string.h>

#define LINE_OCTETS 57	/* 76 characters */

static const char alphabet64[64] __attribute__((nonstring)) =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

enum { OTHER = 0x40, PAD = 0x41 };

/* Values of base64 characters. */
static const unsigned char value64[256] = {
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 62, 64, 64, 64, 63,
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 64, 64, 64, 65, 64, 64,
	64, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
	15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 64, 64, 64, 64, 64,
	64, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
};

void
hex_encode(struct buf *out, const void *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = bytes;
	char *o = buf_room(out, len * 2);

	for (size_t i = 0; i < len; i++) {
		*o++ = digits[p[i] >> 4];
		*o++ = digits[p[i] & 15];
	}
	buf_grown(out, len * 2);
}

void
base32_encode(struct buf *out, const void *bytes, size_t len)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
	const unsigned char *p = bytes;
	uint32_t bits = 0;
	int nbits = 0;

	for (size_t i = 0; i < len; i++) {
		bits = bits << 8 | p[i];
		for (nbits += 8; nbits >= 5; nbits -= 5)
			buf_addc(out, digits[bits >> (nbits - 5) & 31]);
	}
	if (nbits > 0)
		buf_addc(out, digits[bits << (5 - nbits) & 31]);
}

/* len octets at p to text at o; returns where the text ends. */
static char *
encode64(char *o, const unsigned char *p, size_t len)
{
	for (; len >= 3; p += 3, len -= 3) {
		uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];

		*o++ = alphabet64[v >> 18];
		*o++ = alphabet64[v >> 12 & 63];
		*o++ = alphabet64[v >> 6 & 63];
		*o++ = alphabet64[v & 63];
	}
	if (len > 0) {
		uint32_t v = (uint32_t)p[0] << 16 |
		    (len > 1 ? (uint32_t)p[1] << 8 : 0);

		*o++ = alphabet64[v >> 18];
		*o++ = alphabet64[v >> 12 & 63];
		*o++ = len > 1 ? alphabet64[v >> 6 & 63] : '=';
		*o++ = '=';
	}
	return o;
}

void
base64_encode(struct buf *out, const void *bytes, size_t len)
{
	size_t text = (len / 3 + (len % 3 != 0)) * 4;

	encode64(buf_room(out, text), bytes, len);
	buf_grown(out, text);
}

void
base64_encoder_init(struct base64_encoder *enc)
{
	enc->nheld = 0;
}

static void
encode_line(struct buf *out, const unsigned char *p, size_t len)
{
	char *o = buf_room(out, 78);
	char *end = encode64(o, p, len);

	*end++ = '\r';
	*end++ = '\n';
	buf_grown(out, (size_t)(end - o));
}

void
base64_encoder_add(struct base64_encoder *enc, struct buf *out,
    const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	size_t n;

	if (enc->nheld > 0) {
		n = LINE_OCTETS - enc->nheld;
		if (n > len)
			n = len;
		if (n > 0)
			memcpy(enc->held + enc->nheld, p, n);
		enc->nheld += n;
		p += n;
		len -= n;
		if (enc->nheld < LINE_OCTETS)
			return;
		encode_line(out, enc->held, LINE_OCTETS);
		enc->nheld = 0;
	}
	for (; len >= LINE_OCTETS; p += LINE_OCTETS, len -= LINE_OCTETS)
		encode_line(out, p, LINE_OCTETS);
	if (len > 0)
		memcpy(enc->held, p, len);
	enc->nheld = len;
}

void
base64_encoder_end(struct base64_encoder *enc, struct buf *out)
{
	if (enc->nheld > 0)
		encode_line(out, enc->held, enc->nheld);
	enc->nheld = 0;
}

void
base64_decoder_init(struct base64_decoder *dec)
{
	dec->bits = 0;
	dec->nbits = 0;
	dec->padded = false;
}

/* Padding counts like characters, so that a whole group ends at zero again; a
 * group with nothing in it to pad never does. */
static void
decode_pad(struct base64_decoder *dec, struct buf *out)
{
	if (!dec->padded) {
		dec->padded = true;
		if (dec->nbits >= 12)
			buf_addc(out, (char)(dec->bits >> (dec->nbits - 8)));
		if (dec->nbits == 18)
			buf_addc(out, (char)(dec->bits >> 2));
		if (dec->nbits < 12)
			dec->nbits = -6;
	}
	if (dec->nbits > 0)
		dec->nbits = (dec->nbits + 6) % 24;
}

static void
decode_one(struct base64_decoder *dec, struct buf *out, unsigned char v)
{
	if (v == PAD)
		decode_pad(dec, out);
	if (v >= OTHER || dec->padded)
		return;
	dec->bits = dec->bits << 6 | v;
	dec->nbits += 6;
	if (dec->nbits == 24) {
		buf_addc(out, (char)(dec->bits >> 16));
		buf_addc(out, (char)(dec->bits >> 8));
		buf_addc(out, (char)dec->bits);
		dec->nbits = 0;
	}
}

/* Whole groups of plain characters; returns how many characters it took. */
static size_t
decode_groups(struct buf *out, const unsigned char *p, size_t len)
{
	char *o = buf_room(out, len / 4 * 3);
	char *start = o;
	size_t i = 0;

	for (; len - i >= 4; i += 4) {
		uint32_t a = value64[p[i]], b = value64[p[i + 1]];
		uint32_t c = value64[p[i + 2]], d = value64[p[i + 3]];

		if ((a | b | c | d) >= OTHER)
			break;
		*o++ = (char)(a << 2 | b >> 4);
		*o++ = (char)(b << 4 | c >> 2);
		*o++ = (char)(c << 6 | d);
	}
	buf_grown(out, (size_t)(o - start));
	return i;
}

void
base64_decoder_add(struct base64_decoder *dec, struct buf *out,
    const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t n;

	while (len > 0) {
		if (dec->nbits == 0 && !dec->padded && len >= 4) {
			n = decode_groups(out, p, len);
			p += n;
			len -= n;
			if (len == 0)
				break;
		}
		decode_one(dec, out, value64[*p++]);
		len--;
	}
}

int
base64_decoder_end(struct base64_decoder *dec)
{
	return dec->nbits == 0 ? 0 : ERR_SYNTAX;
}
