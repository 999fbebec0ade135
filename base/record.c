/* SPDX-License-Identifier: ISC */
/*
 * Records of the spool: big-endian integers and length-prefixed octets.  A
 * text's length is stored plus one, so that zero is left to mean NULL.
 */
#include "base/buf.h"
#include "base/mem.h"

#include <assert.h>

static void
put_be(struct buf *b, uint64_t v, size_t octets)
{
	char *p = buf_room(b, octets);

	for (size_t i = 0; i < octets; i++)
		p[i] = (char)(unsigned char)(v >> (8 * (octets - 1 - i)));
	b->len += octets;
}

void
buf_put8(struct buf *b, uint8_t v)
{
	put_be(b, v, 1);
}

void
buf_put16(struct buf *b, uint16_t v)
{
	put_be(b, v, 2);
}

void
buf_put32(struct buf *b, uint32_t v)
{
	put_be(b, v, 4);
}

void
buf_put64(struct buf *b, uint64_t v)
{
	put_be(b, v, 8);
}

void
buf_put_text(struct buf *b, const char *text)
{
	size_t len;

	if (text == NULL) {
		buf_put32(b, 0);
		return;
	}
	len = strlen(text);
	assert(len < UINT32_MAX);
	buf_put32(b, (uint32_t)len + 1);
	buf_add(b, text, len);
}

void
buf_put_bytes(struct buf *b, const void *bytes, size_t len)
{
	assert(len <= UINT32_MAX);
	buf_put32(b, (uint32_t)len);
	buf_add(b, bytes, len);
}

struct reader
reader_of(const void *bytes, size_t len)
{
	return (struct reader){ bytes, len, false };
}

/* The next n octets, or NULL and the sticky error. */
static const char *
take(struct reader *r, size_t n)
{
	const char *p = r->ptr;

	if (r->failed || r->len < n) {
		r->failed = true;
		return NULL;
	}
	if (n > 0)
		r->ptr += n;
	r->len -= n;
	return p;
}

static uint64_t
read_be(struct reader *r, size_t octets)
{
	const char *p = take(r, octets);
	uint64_t v = 0;

	for (size_t i = 0; p != NULL && i < octets; i++)
		v = v << 8 | (unsigned char)p[i];
	return v;
}

uint8_t
read8(struct reader *r)
{
	return (uint8_t)read_be(r, 1);
}

uint16_t
read16(struct reader *r)
{
	return (uint16_t)read_be(r, 2);
}

uint32_t
read32(struct reader *r)
{
	return (uint32_t)read_be(r, 4);
}

uint64_t
read64(struct reader *r)
{
	return read_be(r, 8);
}

char *
read_text(struct reader *r)
{
	uint32_t len = read32(r);
	const char *p;

	if (len == 0)
		return NULL;
	p = take(r, len - 1);
	if (p == NULL)
		return NULL;
	return mem_strndup(p, len - 1);
}

struct slice
read_bytes(struct reader *r)
{
	uint32_t len = read32(r);
	const char *p = take(r, len);

	if (p == NULL)
		return (struct slice){ NULL, 0 };
	return (struct slice){ p, len };
}
