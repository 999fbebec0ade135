/* SPDX-License-Identifier: ISC */
/*
 * Text for wires, logs and terminals: xtext, escaping, UTF-8.
 */
#include "base/text.h"

#define CUT "..."
#define CUT_LEN (sizeof(CUT) - 1)

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_tolower(c);
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static bool
xtext_plain(char c)
{
	return c >= '!' && c <= '~' && c != '+' && c != '=';
}

void
xtext_encode(struct buf *out, struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (xtext_plain(s.ptr[i]))
			buf_addc(out, s.ptr[i]);
		else
			buf_addf(out, "+%02X",
			    (unsigned)(unsigned char)s.ptr[i]);
	}
}

/* RFC 3461 writes the digits in upper case; lower case is met and taken. */
int
xtext_decode(struct buf *out, struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		int hi, lo;

		if (xtext_plain(s.ptr[i])) {
			buf_addc(out, s.ptr[i]);
			continue;
		}
		if (s.ptr[i] != '+' || s.len - i < 3)
			return ERR_SYNTAX;
		hi = hex_value(s.ptr[i + 1]);
		lo = hex_value(s.ptr[i + 2]);
		if (hi < 0 || lo < 0)
			return ERR_SYNTAX;
		buf_addc(out, (char)(hi << 4 | lo));
		i += 2;
	}
	return 0;
}

/* Length of the UTF-8 sequence at p (RFC 3629), 0 if it is malformed. */
static size_t
utf8_len(const unsigned char *p, size_t left)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		low = 0xa0;	/* else it were shorter */
	else if (p[0] == 0xed)
		high = 0x9f;	/* surrogates */
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;	/* beyond U+10FFFF */
	if (left < len || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return len;
}

bool
utf8_valid(struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.ptr;
	size_t i = 0;

	while (i < s.len) {
		size_t n = utf8_len(p + i, s.len - i);

		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

/* How many octets at p may be shown as they are; 0 if none. */
static size_t
showable(const unsigned char *p, size_t left, bool utf8)
{
	size_t n;

	if (p[0] < 0x80)
		return (p[0] >= ' ' && p[0] < 0x7f) || p[0] == '\t';
	if (!utf8)
		return 0;
	n = utf8_len(p, left);
	if (n == 2 && p[0] == 0xc2 && p[1] < 0xa0)
		return 0;	/* C1 controls move a terminal too */
	return n;
}

void
text_escape(struct buf *out, struct slice s, size_t max, bool utf8)
{
	const unsigned char *p = (const unsigned char *)s.ptr;
	size_t start = out->len, fits = start;

	for (size_t i = 0; i < s.len;) {
		size_t n = showable(p + i, s.len - i, utf8);

		if (n > 0)
			buf_add(out, p + i, n);
		else
			buf_addf(out, "\\x%02X", (unsigned)p[i]);
		i += n > 0 ? n : 1;
		if (out->len - start > max) {
			buf_truncate(out, fits);
			if (max >= CUT_LEN)
				buf_adds(out, CUT);
			return;
		}
		if (out->len - start + CUT_LEN <= max)
			fits = out->len;
	}
}
