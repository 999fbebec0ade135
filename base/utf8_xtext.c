/* SPDX-License-Identifier: ISC */
/*
 * Addresses beyond ASCII where only ASCII may stand: each such character, and
 * what xtext holds special, as \x{HEX} (RFC 6533 3).
 */
#include "base/text.h"

/* The code point at p, valid UTF-8, and how many octets it has. */
static uint32_t
code_point(const unsigned char *p, size_t *len_out)
{
	static const unsigned char mask[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	size_t i, len = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 :
	    4;
	uint32_t c = p[0] & mask[len];

	for (i = 1; i < len; i++)
		c = c << 6 | (p[i] & 0x3f);
	*len_out = len;
	return c;
}

void
utf8_xtext_encode(struct buf *out, struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.ptr;
	size_t i, len;
	uint32_t c;

	for (i = 0; i < s.len; i += len) {
		c = code_point(p + i, &len);
		if (c > 0x20 && c < 0x7f && strchr("\\+=", (int)c) == NULL)
			buf_addc(out, (char)c);
		else
			buf_addf(out, "\\x{%X}", (unsigned)c);
	}
}

static void
add_code_point(struct buf *out, uint32_t c)
{
	if (c < 0x80) {
		buf_addc(out, (char)c);
		return;
	}
	if (c < 0x800) {
		buf_addc(out, (char)(0xc0 | c >> 6));
	} else if (c < 0x10000) {
		buf_addc(out, (char)(0xe0 | c >> 12));
		buf_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
	} else {
		buf_addc(out, (char)(0xf0 | c >> 18));
		buf_addc(out, (char)(0x80 | (c >> 12 & 0x3f)));
		buf_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
	}
	buf_addc(out, (char)(0x80 | (c & 0x3f)));
}

/* "\x{E5}" at s: its code point; 0 if it is none. */
static uint32_t
embedded(struct slice s, size_t *len_out)
{
	static const char digits[] = "0123456789abcdef";
	const char *d;
	uint32_t c = 0;
	size_t i;

	if (s.len < 5 || memcmp(s.ptr, "\\x{", 3) != 0)
		return 0;
	for (i = 3; i < s.len && i < 9 && s.ptr[i] != '}'; i++) {
		d = strchr(digits, ascii_tolower(s.ptr[i]));
		if (d == NULL || *d == '\0')
			return 0;
		c = c << 4 | (uint32_t)(d - digits);
	}
	if (i == s.len || s.ptr[i] != '}' || c > 0x10ffff ||
	    (c >= 0xd800 && c < 0xe000))
		return 0;
	*len_out = i + 1;
	return c;
}

void
utf8_xtext_decode(struct buf *out, struct slice s)
{
	size_t i, len;
	uint32_t c;

	for (i = 0; i < s.len; i += len) {
		c = embedded((struct slice){ s.ptr + i, s.len - i }, &len);
		if (c != 0) {
			add_code_point(out, c);
		} else {
			buf_addc(out, s.ptr[i]);
			len = 1;
		}
	}
}
