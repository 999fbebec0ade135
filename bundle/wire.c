/* SPDX-License-Identifier: ISC */
/*
 * Canonical encodings.  Reading keeps the first fault, as base/buf.h's record
 * reader does, but tells apart what is wrong from what is not there yet.
 */
#include "bundle/wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LIFETIME_QUARTERS 4

void
wire_put_varint(struct buf *out, uint64_t n)
{
	for (; n > 0x7f; n >>= 7)
		buf_put8(out, (uint8_t)(0x80 | (n & 0x7f)));
	buf_put8(out, (uint8_t)n);
}

void
wire_put_site(struct buf *out, const char *name)
{
	buf_put8(out, (uint8_t)strlen(name));
	buf_adds(out, name);
}

static bool
is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	    (c >= 'a' && c <= 'z');
}

bool
wire_site_valid(struct slice name)
{
	if (name.len == 0 || name.len > SITE_NAME_MAX ||
	    !is_alnum(name.ptr[0]))
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!is_alnum(name.ptr[i]) && name.ptr[i] != '-' &&
		    name.ptr[i] != '_' && name.ptr[i] != '.')
			return false;
	return true;
}

uint64_t
wire_lifetime_secs(unsigned step)
{
	static const uint64_t quarter[LIFETIME_QUARTERS] = { 60, 71, 85, 101 };

	if (step > LIFETIME_STEP_MAX)
		step = LIFETIME_STEP_MAX;
	return quarter[step % LIFETIME_QUARTERS] << step / LIFETIME_QUARTERS;
}

unsigned
wire_lifetime_step(uint64_t secs)
{
	unsigned step = 0;

	while (step < LIFETIME_STEP_MAX && wire_lifetime_secs(step) < secs)
		step++;
	return step;
}

struct wire_reader
wire_reader_of(struct slice s, struct err *e)
{
	return (struct wire_reader){ s.ptr, s.len, 0, e };
}

void
wire_refuse(struct wire_reader *r, int code, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	if (r->state != 0)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->state = err_set(r->e, code, "%s", text);
}

struct slice
wire_get_bytes(struct wire_reader *r, size_t len)
{
	struct slice s = { NULL, 0 };

	if (r->state != 0)
		return s;
	if (r->len < len) {
		r->state = 1;
		return s;
	}
	s = (struct slice){ r->ptr, len };
	r->ptr += len;
	r->len -= len;
	return s;
}

uint8_t
wire_get8(struct wire_reader *r)
{
	struct slice s = wire_get_bytes(r, 1);

	return s.len == 1 ? (uint8_t)s.ptr[0] : 0;
}

uint64_t
wire_get64(struct wire_reader *r)
{
	uint64_t n = 0;

	for (int i = 0; i < 8; i++)
		n = n << 8 | wire_get8(r);
	return r->state == 0 ? n : 0;
}

uint64_t
wire_get_varint(struct wire_reader *r, uint64_t max, const char *what)
{
	uint64_t n = 0;
	uint8_t octet;
	int shift = 0;

	do {
		octet = wire_get8(r);
		if (shift == 63 && octet > 1)
			wire_refuse(r, ERR_SYNTAX, "%s: a number of more "
			    "than 64 bits", what);
		else if (shift > 0 && octet == 0)
			wire_refuse(r, ERR_SYNTAX, "%s: a number that could "
			    "be written shorter", what);
		n |= (uint64_t)(octet & 0x7f) << shift;
		shift += 7;
	} while (r->state == 0 && (octet & 0x80) != 0);
	if (n > max)
		wire_refuse(r, ERR_LIMIT, "%s: %llu is more than %llu", what,
		    (unsigned long long)n, (unsigned long long)max);
	return r->state == 0 ? n : 0;
}

void
wire_get_site(struct wire_reader *r, char name_out[SITE_NAME_MAX + 1])
{
	size_t len = wire_get8(r);
	struct slice name;

	name_out[0] = '\0';
	if (len > SITE_NAME_MAX)
		wire_refuse(r, ERR_LIMIT, "the name of a site has %zu octets, "
		    "more than %d", len, SITE_NAME_MAX);
	name = wire_get_bytes(r, len);
	if (r->state != 0)
		return;
	if (!wire_site_valid(name)) {
		wire_refuse(r, ERR_SYNTAX, "what should be the name of a site "
		    "is none");
		return;
	}
	memcpy(name_out, name.ptr, name.len);
	name_out[name.len] = '\0';
}

int
wire_get_priority(struct wire_reader *r)
{
	int priority = (int8_t)wire_get8(r);

	if (priority < -PRIORITY_MAX || priority > PRIORITY_MAX)
		wire_refuse(r, ERR_LIMIT, "priority %d is not within -%d..%d",
		    priority, PRIORITY_MAX, PRIORITY_MAX);
	return r->state == 0 ? priority : 0;
}

uint64_t
wire_get_lifetime(struct wire_reader *r)
{
	unsigned step = wire_get8(r);

	if (step > LIFETIME_STEP_MAX)
		wire_refuse(r, ERR_LIMIT, "lifetime step %u is more than %d",
		    step, LIFETIME_STEP_MAX);
	return r->state == 0 ? wire_lifetime_secs(step) : 0;
}

void
wire_gather_init(struct wire_gather *g)
{
	*g = (struct wire_gather){ .held = BUF_INIT };
}

void
wire_gather_release(struct wire_gather *g)
{
	buf_release(&g->held);
}

struct wire_reader
wire_gather_begin(struct wire_gather *g, const char *in, size_t len,
    struct err *e)
{
	if (g->whole)
		buf_clear(&g->held);
	g->whole = false;
	g->before = g->held.len;
	if (g->before == 0)
		return wire_reader_of((struct slice){ in, len }, e);
	if (len > WIRE_ITEM_MAX - g->before)
		len = WIRE_ITEM_MAX - g->before;
	buf_add(&g->held, in, len);
	return wire_reader_of(buf_slice(&g->held), e);
}

int
wire_gather_end(struct wire_gather *g, struct wire_reader *r, const char *in,
    size_t len, size_t *used_out)
{
	bool held = g->held.len > 0;

	*used_out = len;
	if (r->state == 0) {
		*used_out = (held ? g->held.len - g->before : len) - r->len;
		g->whole = true;
	} else if (r->state == 1 && g->held.len >= WIRE_ITEM_MAX) {
		r->state = err_set(r->e, ERR_LIMIT, "an item of more than %d "
		    "octets", WIRE_ITEM_MAX);
	} else if (r->state == 1 && !held) {
		buf_add(&g->held, in, len);
	}
	return r->state;
}

bool
wire_gather_inside(const struct wire_gather *g)
{
	return g->held.len > 0 && !g->whole;
}
