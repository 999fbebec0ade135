/* SPDX-License-Identifier: ISC */
/*
 * Bounded lines.  Octets given out are dropped at the next call only, so that
 * a line can be handed on without a copy.
 */
#include "transports/lines.h"

void
lines_init(struct lines *l, size_t max)
{
	buf_init(&l->held);
	l->max = max;
	l->taken = 0;
	l->skipping = false;
}

void
lines_release(struct lines *l)
{
	buf_release(&l->held);
	l->taken = 0;
	l->skipping = false;
}

void
lines_clear(struct lines *l)
{
	buf_clear(&l->held);
	l->taken = 0;
	l->skipping = false;
}

void
lines_add(struct lines *l, const void *bytes, size_t len)
{
	buf_add(&l->held, bytes, len);
}

static void
drop_taken(struct lines *l)
{
	buf_consume(&l->held, l->taken);
	l->taken = 0;
}

static int
too_long(struct lines *l, size_t taken, struct slice *line_out)
{
	line_out->ptr = l->held.ptr;
	line_out->len = l->max;
	l->taken = taken;
	return ERR_LIMIT;
}

/* Without the CR of CR LF. */
static struct slice
line_of(const char *ptr, size_t len)
{
	if (len > 0 && ptr[len - 1] == '\r')
		len--;
	return (struct slice){ ptr, len };
}

/* Passes over the rest of a line that was too long; false: no end yet. */
static bool
skip_rest(struct lines *l)
{
	const char *end;

	if (!l->skipping)
		return true;
	end = l->held.len == 0 ? NULL : memchr(l->held.ptr, '\n', l->held.len);
	if (end == NULL) {
		buf_clear(&l->held);
		return false;
	}
	buf_consume(&l->held, (size_t)(end - l->held.ptr) + 1);
	l->skipping = false;
	return true;
}

int
lines_next(struct lines *l, struct slice *line_out)
{
	const char *end;

	drop_taken(l);
	if (!skip_rest(l) || l->held.len == 0)
		return 0;
	end = memchr(l->held.ptr, '\n', l->held.len);
	if (end != NULL) {
		size_t len = (size_t)(end - l->held.ptr);

		*line_out = line_of(l->held.ptr, len);
		if (line_out->len > l->max)
			return too_long(l, len + 1, line_out);
		l->taken = len + 1;
		return 1;
	}
	/* One octet more may be the CR of an end still to come. */
	if (l->held.len <= l->max + 1)
		return 0;
	l->skipping = true;
	return too_long(l, l->held.len, line_out);
}

int
lines_last(struct lines *l, struct slice *line_out)
{
	drop_taken(l);
	if (l->skipping || l->held.len == 0)
		return 0;
	*line_out = line_of(l->held.ptr, l->held.len);
	if (line_out->len > l->max)
		line_out->len = l->max;
	l->taken = l->held.len;
	return 1;
}
