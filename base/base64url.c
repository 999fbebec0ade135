/* SPDX-License-Identifier: ISC */
/*
 * Keys as text: hex and base64url, both so strict that a text and its octets
 * stand for each other.
 */
#include "base/text.h"

#include <string.h>

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char digits[] = "0123456789abcdef";

/* The place of c in the characters, or -1. */
static int
place_of(const char *characters, char c)
{
	const char *at = c == '\0' ? NULL : strchr(characters, c);

	return at == NULL ? -1 : (int)(at - characters);
}

int
hex_decode(struct buf *out, struct slice hex)
{
	size_t before = out->len;

	if (hex.len % 2 != 0)
		return ERR_SYNTAX;
	for (size_t i = 0; i < hex.len; i += 2) {
		int high = place_of(digits, hex.ptr[i]);
		int low = place_of(digits, hex.ptr[i + 1]);

		if (high < 0 || low < 0) {
			buf_truncate(out, before);
			return ERR_SYNTAX;
		}
		buf_addc(out, (char)(high << 4 | low));
	}
	return 0;
}

void
base64url_encode(struct buf *out, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	uint32_t bits = 0;
	int nbits = 0;

	for (size_t i = 0; i < len; i++) {
		bits = bits << 8 | p[i];
		for (nbits += 8; nbits >= 6; nbits -= 6)
			buf_addc(out, alphabet[bits >> (nbits - 6) & 63]);
	}
	if (nbits > 0)
		buf_addc(out, alphabet[bits << (6 - nbits) & 63]);
}

int
base64url_decode(struct buf *out, struct slice text)
{
	size_t before = out->len;
	uint32_t bits = 0;
	int nbits = 0;

	for (size_t i = 0; i < text.len; i++) {
		int v = place_of(alphabet, text.ptr[i]);

		if (v < 0) {
			buf_truncate(out, before);
			return ERR_SYNTAX;
		}
		bits = bits << 6 | (uint32_t)v;
		nbits += 6;
		if (nbits >= 8) {
			nbits -= 8;
			buf_addc(out, (char)(bits >> nbits));
		}
	}
	if (nbits >= 6 || (bits & ((1U << nbits) - 1)) != 0) {
		buf_truncate(out, before);
		return ERR_SYNTAX;
	}
	return 0;
}
