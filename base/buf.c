/* SPDX-License-Identifier: ISC */
/*
 * The growable buffer.  Consuming only advances a pointer.  When room is
 * needed the bytes are moved to the front only if at least as many have been
 * consumed as are left, so every octet is moved a constant number of times on
 * average, however the calls are mixed.
 */
#include "base/buf.h"
#include "base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define BUF_SMALLEST 64

void
buf_init(struct buf *b)
{
	b->ptr = b->base = NULL;
	b->len = b->cap = 0;
}

void
buf_release(struct buf *b)
{
	free(b->base);
	buf_init(b);
}

void
buf_clear(struct buf *b)
{
	b->ptr = b->base;
	b->len = 0;
}

static size_t
buf_new_cap(const struct buf *b, size_t need)
{
	size_t cap = b->cap < BUF_SMALLEST ? BUF_SMALLEST : b->cap;

	while (cap < need) {
		if (cap > SIZE_MAX / 2)
			return need;
		cap *= 2;
	}
	return cap;
}

/* Both ways of making room: to the front, or into a larger allocation. */
static void
buf_make_room(struct buf *b, size_t more)
{
	size_t need = b->len + more;
	size_t before = b->base == NULL ? 0 : (size_t)(b->ptr - b->base);
	char *fresh;

	if (need < more)
		need = SIZE_MAX;	/* mem_realloc refuses it */
	if (need <= b->cap && before >= b->len) {
		if (b->len > 0)
			memmove(b->base, b->ptr, b->len);
		b->ptr = b->base;
		return;
	}
	if (before == 0) {
		b->cap = buf_new_cap(b, need);
		b->base = mem_realloc(b->base, b->cap, 1);
		b->ptr = b->base;
		return;
	}
	b->cap = buf_new_cap(b, need > SIZE_MAX / 2 ? need : need * 2);
	fresh = mem_realloc(NULL, b->cap, 1);
	if (b->len > 0)
		memcpy(fresh, b->ptr, b->len);
	free(b->base);
	b->base = b->ptr = fresh;
}

char *
buf_room(struct buf *b, size_t more)
{
	size_t used;

	if (b->base == NULL) {
		buf_make_room(b, more);
		return b->ptr;
	}
	used = (size_t)(b->ptr - b->base) + b->len;
	if (b->cap - used < more)
		buf_make_room(b, more);
	return b->ptr + b->len;
}

void
buf_grown(struct buf *b, size_t used)
{
	assert(used == 0 ||
	    b->cap - (size_t)(b->ptr - b->base) - b->len >= used);
	b->len += used;
}

void
buf_add(struct buf *b, const void *bytes, size_t len)
{
	if (len == 0)
		return;
	memcpy(buf_room(b, len), bytes, len);
	b->len += len;
}

void
buf_adds(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

void
buf_addc(struct buf *b, char c)
{
	*buf_room(b, 1) = c;
	b->len++;
}

void
buf_addslice(struct buf *b, struct slice s)
{
	buf_add(b, s.ptr, s.len);
}

void
buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(b, fmt, ap);
	va_end(ap);
}

void
buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	size_t room = 128;
	int n;

	va_copy(again, ap);
	n = vsnprintf(buf_room(b, room), room, fmt, ap);
	if (n > 0 && (size_t)n >= room) {
		room = (size_t)n + 1;
		n = vsnprintf(buf_room(b, room), room, fmt, again);
	}
	va_end(again);
	assert(n >= 0);
	b->len += (size_t)n;
}

void
buf_consume(struct buf *b, size_t n)
{
	assert(n <= b->len);
	if (n == b->len) {
		buf_clear(b);
		return;
	}
	b->ptr += n;
	b->len -= n;
}

void
buf_truncate(struct buf *b, size_t len)
{
	assert(len <= b->len);
	b->len = len;
}

const char *
buf_cstr(struct buf *b)
{
	*buf_room(b, 1) = '\0';
	return b->ptr;
}

char *
buf_steal(struct buf *b)
{
	char *text;

	*buf_room(b, 1) = '\0';
	if (b->ptr != b->base)
		memmove(b->base, b->ptr, b->len + 1);
	text = b->base;
	buf_init(b);
	return text;
}

struct slice
buf_slice(const struct buf *b)
{
	return (struct slice){ b->ptr, b->len };
}
