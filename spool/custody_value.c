/* SPDX-License-Identifier: ISC */
/*
 * The plain values of spool/custody.h, and lists of ranges: sorted, disjoint,
 * and with no two neighbours that could be one.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "spool/kept.h"

static void
free_parts(struct object_part *part, size_t nparts)
{
	for (size_t i = 0; part != NULL && i < nparts; i++)
		free(part[i].rcpt);
	free(part);
}

void
bundle_init(struct bundle *b)
{
	*b = (struct bundle){ 0 };
}

void
bundle_release(struct bundle *b)
{
	free(b->from);
	free(b->destination);
	free(b->peer);
	free(b->range);
	bundle_init(b);
}

void
serial_out_init(struct serial_out *s)
{
	*s = (struct serial_out){ 0 };
}

void
serial_out_release(struct serial_out *s)
{
	free(s->site);
	free(s->params);
	free_parts(s->part, s->nparts);
	serial_out_init(s);
}

void
flow_out_init(struct flow_out *f)
{
	*f = (struct flow_out){ 0 };
}

void
flow_out_release(struct flow_out *f)
{
	free(f->site);
	flow_out_init(f);
}

void
flow_in_init(struct flow_in *f)
{
	*f = (struct flow_in){ 0 };
}

void
flow_in_release(struct flow_in *f)
{
	free(f->origin);
	flow_in_init(f);
}

void
serial_in_init(struct serial_in *s)
{
	*s = (struct serial_in){ 0 };
}

void
serial_in_release(struct serial_in *s)
{
	free(s->origin);
	buf_release(&s->results);
	serial_in_init(s);
}

void
taken_init(struct taken *t)
{
	*t = (struct taken){ 0 };
}

void
taken_release(struct taken *t)
{
	free(t->origin);
	free(t->rcpt);
	taken_init(t);
}

void
owed_ack_init(struct owed_ack *a)
{
	*a = (struct owed_ack){ 0 };
}

void
owed_ack_release(struct owed_ack *a)
{
	free(a->peer);
	free(a->range);
	owed_ack_init(a);
}

void
site_record_init(struct site_record *s)
{
	*s = (struct site_record){ 0 };
}

void
site_record_release(struct site_record *s)
{
	free(s->name);
	free(s->card);
	site_record_init(s);
}

void
history_init(struct history *h)
{
	*h = (struct history){ 0 };
}

void
history_release(struct history *h)
{
	free(h->text);
	history_init(h);
}

bool
bundle_ranges_valid(const struct bundle_range *range, size_t nranges,
    uint64_t octets)
{
	uint64_t at = 0;

	for (size_t i = 0; i < nranges; i++) {
		const struct bundle_range *r = &range[i];

		if (r->octets == 0 || r->offset < at || r->offset > octets ||
		    r->octets > octets - r->offset)
			return false;
		at = r->offset + r->octets;
	}
	return true;
}

/* A list under construction; what fits the last one extends it. */
struct ranges {
	struct bundle_range *v;
	size_t n;
};

static void
append(struct ranges *l, struct bundle_range r)
{
	struct bundle_range *last = l->n > 0 ? &l->v[l->n - 1] : NULL;

	if (r.octets == 0)
		return;
	if (last != NULL && last->offset + last->octets == r.offset &&
	    last->done == r.done && last->secs == r.secs)
		last->octets += r.octets;
	else
		l->v[l->n++] = r;
}

/* The part of r below end. */
static struct bundle_range
below(struct bundle_range r, uint64_t end)
{
	if (r.offset >= end)
		r.octets = 0;
	else if (r.octets > end - r.offset)
		r.octets = end - r.offset;
	return r;
}

/* The part of r from start on. */
static struct bundle_range
from(struct bundle_range r, uint64_t start)
{
	if (r.offset >= start)
		return r;
	if (r.octets <= start - r.offset) {
		r.octets = 0;
	} else {
		r.octets -= start - r.offset;
		r.offset = start;
	}
	return r;
}

/* Cuts hole out of the list; if it is to be filled it takes the place. */
static void
rebuild(struct bundle_range **range, size_t *nranges,
    struct bundle_range hole, bool fill)
{
	struct ranges l = { mem_alloc(*nranges + 2, sizeof(*l.v)), 0 };
	uint64_t end;
	size_t i = 0;

	if (hole.octets > UINT64_MAX - hole.offset)
		hole.octets = UINT64_MAX - hole.offset;
	end = hole.offset + hole.octets;
	for (; i < *nranges && (*range)[i].offset < hole.offset; i++)
		append(&l, below((*range)[i], hole.offset));
	if (fill)
		append(&l, hole);
	for (i -= i > 0; i < *nranges; i++)
		append(&l, from((*range)[i], end));
	free(*range);
	*range = l.v;
	*nranges = l.n;
	if (l.n == 0) {
		free(*range);
		*range = NULL;
	}
}

void
bundle_range_set(struct bundle_range **range, size_t *nranges,
    struct bundle_range r)
{
	if (r.octets > 0)
		rebuild(range, nranges, r, true);
}

void
bundle_range_clear(struct bundle_range **range, size_t *nranges,
    uint64_t offset, uint64_t octets)
{
	struct bundle_range hole = { .offset = offset, .octets = octets };

	if (octets > 0)
		rebuild(range, nranges, hole, false);
}
