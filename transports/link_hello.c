/* SPDX-License-Identifier: ISC */
/*
 * Lines of the handshake.  A character that is no digit of the encoding is
 * taken as a wrong one, so that the count stays and error correction can do
 * its work; where the count itself is off the line is lost and comes again.
 */
#include "transports/link_hello.h"
#include "transports/link_coding.h"

#include <assert.h>
#include <zlib.h>

#define PARITY 16
#define CRC 4
#define TOP_BIT 0x80
#define MARK_LEN 5	/* "~~", "PR", kind, at least */
#define LENGTH_LEN 2

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Six bits a digit, the last one filled with zeros. */
static void
put_digits(struct buf *out, const unsigned char *octets, size_t len)
{
	unsigned bits = 0, nbits = 0;

	for (size_t i = 0; i < len; i++) {
		bits = (bits << 8 | octets[i]) & 0x3fff;
		nbits += 8;
		while (nbits >= 6) {
			nbits -= 6;
			buf_addc(out, digits[bits >> nbits & 0x3f]);
		}
	}
	if (nbits > 0)
		buf_addc(out, digits[bits << (6 - nbits) & 0x3f]);
}

static size_t
digits_len(size_t octets)
{
	return (octets * 8 + 5) / 6;
}

static unsigned
digit_value(char c)
{
	const char *at = strchr(digits, c & ~TOP_BIT);

	/* The NUL behind the digits is none of them. */
	return at == NULL || *at == '\0' ? 0 : (unsigned)(at - digits);
}

static void
take_digits(struct buf *out, const char *text, size_t octets)
{
	unsigned bits = 0, nbits = 0;

	while (octets > 0) {
		bits = (bits << 6 | digit_value(*text++)) & 0x3fff;
		nbits += 6;
		if (nbits < 8)
			continue;
		nbits -= 8;
		buf_put8(out, (uint8_t)(bits >> nbits));
		octets--;
	}
}

/* Of the kind and the body. */
static uint32_t
hello_crc(enum hello_kind kind, const void *body, size_t len)
{
	unsigned char first = (unsigned char)('0' + kind);
	uLong crc = crc32(crc32(0, NULL, 0), &first, 1);

	return (uint32_t)crc32(crc, body, (uInt)len);
}

void
hello_line(struct buf *out, const struct rs *rs, enum hello_kind kind,
    struct slice body)
{
	struct buf word = BUF_INIT;
	unsigned char parity[PARITY];

	assert(body.len <= HELLO_BODY_MAX);
	buf_addslice(&word, body);
	buf_put32(&word, hello_crc(kind, body.len == 0 ? "" : body.ptr,
	    body.len));
	rs_encode(rs, (const unsigned char *)word.ptr, word.len, PARITY,
	    parity);
	buf_add(&word, parity, sizeof(parity));
	buf_addc(out, '\r');
	buf_addc(out, (char)(CODING_FLAG | TOP_BIT));
	buf_addc(out, CODING_FLAG);
	buf_addc(out, CODING_XON_CHAR);
	buf_addf(out, "PR%d", (int)kind);
	buf_addc(out, digits[word.len >> 6]);
	buf_addc(out, digits[word.len & 0x3f]);
	put_digits(out, (const unsigned char *)word.ptr, word.len);
	buf_addc(out, '\r');
	buf_release(&word);
}

void
hello_finder_init(struct hello_finder *h, const struct rs *rs)
{
	*h = (struct hello_finder){ .rs = rs, .held = BUF_INIT,
	    .word = BUF_INIT };
}

void
hello_finder_release(struct hello_finder *h)
{
	buf_release(&h->held);
	buf_release(&h->word);
}

static int
seven(unsigned char c)
{
	return c & ~TOP_BIT;
}

/* How long the mark at the front is, with what it tells; 0: it may become
 * one; -1: there is none. */
static int
match_mark(const struct buf *held, struct hello *hello)
{
	const unsigned char *at = (const unsigned char *)held->ptr;
	size_t i = 2;

	if (seven(at[0]) != CODING_FLAG ||
	    (held->len > 1 && seven(at[1]) != CODING_FLAG))
		return -1;
	if (held->len < MARK_LEN)
		return 0;
	hello->needs = at[0] == CODING_FLAG ? CODING_7BIT : 0;
	if (seven(at[i]) == CODING_XON_CHAR)
		i++;
	else
		hello->needs |= CODING_XON;
	if (seven(at[i]) != 'P' || seven(at[i + 1]) != 'R' ||
	    held->len < i + 3)
		return held->len < i + 3 ? 0 : -1;
	if (seven(at[i + 2]) < '0' || seven(at[i + 2]) >= '0' + HELLO_KINDS)
		return -1;
	hello->kind = (enum hello_kind)(seven(at[i + 2]) - '0');
	return (int)i + 3;
}

/* 1: a line is at the front; 0: it may become one; -1: it is none. */
static int
match_line(struct hello_finder *h, struct hello *hello)
{
	int mark = match_mark(&h->held, hello), wrong;
	const char *at = h->held.ptr + mark;
	size_t len, body_len;
	struct reader crc;

	if (mark <= 0)
		return mark;
	if (h->held.len < (size_t)mark + LENGTH_LEN)
		return 0;
	len = (size_t)digit_value(at[0]) << 6 | digit_value(at[1]);
	if (len < CRC + PARITY || len > RS_WORD_MAX)
		return -1;
	if (h->held.len < (size_t)mark + LENGTH_LEN + digits_len(len))
		return 0;
	buf_clear(&h->word);
	take_digits(&h->word, at + LENGTH_LEN, len);
	wrong = rs_decode(h->rs, (unsigned char *)h->word.ptr, len, PARITY);
	body_len = len - CRC - PARITY;
	crc = reader_of(h->word.ptr + body_len, CRC);
	if (wrong < 0 || read32(&crc) !=
	    hello_crc(hello->kind, h->word.ptr, body_len))
		return -1;
	hello->body = (struct slice){ h->word.ptr, body_len };
	hello->wrong = (size_t)wrong;
	hello->len = len;
	return 1;
}

bool
hello_find(struct hello_finder *h, unsigned char c, struct hello *hello_out)
{
	int rc;

	if (h->held.len == 0 && seven(c) != CODING_FLAG)
		return false;
	buf_addc(&h->held, (char)c);
	while (h->held.len > 0 && (rc = match_line(h, hello_out)) != 0) {
		if (rc == 1) {
			buf_clear(&h->held);
			return true;
		}
		buf_consume(&h->held, 1);
	}
	return false;
}
