/* SPDX-License-Identifier: ISC */
/*
 * Selective repeat.  The sender keeps a list of segments ordered by offset;
 * an acknowledgement cuts ranges out of it, and the latest turn among what it
 * cuts tells which of the others are lost.
 */
#include "transports/link_stream.h"
#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

void
stream_sender_init(struct stream_sender *s, size_t window,
    void (*fate)(void *, const struct stream_fate *), void *ctx)
{
	*s = (struct stream_sender){ .held = BUF_INIT, .window = window,
	    .fate = fate, .ctx = ctx, .rtt_us = -1 };
	s->segments = mem_alloc(STREAM_SEGMENTS_MAX, sizeof(*s->segments));
}

void
stream_sender_release(struct stream_sender *s)
{
	buf_release(&s->held);
	free(s->segments);
	s->segments = NULL;
}

size_t
stream_unsent(const struct stream_sender *s)
{
	return s->held.len - (size_t)(s->next - s->una);
}

size_t
stream_room(const struct stream_sender *s)
{
	return s->held.len < s->window ? s->window - s->held.len : 0;
}

void
stream_give(struct stream_sender *s, const void *octets, size_t len)
{
	buf_add(&s->held, octets, len);
}

static struct stream_segment *
first_lost(const struct stream_sender *s, bool spare)
{
	for (size_t i = 0; i < s->nsegments; i++)
		if (s->segments[i].lost && s->segments[i].spare == spare)
			return &s->segments[i];
	return NULL;
}

static bool
may_send_new(const struct stream_sender *s)
{
	return stream_unsent(s) > 0 && s->next - s->una < s->window &&
	    s->nsegments + 2 < STREAM_SEGMENTS_MAX;
}

bool
stream_ready(const struct stream_sender *s)
{
	return first_lost(s, false) != NULL || may_send_new(s) ||
	    first_lost(s, true) != NULL;
}

bool
stream_is_spare(const struct stream_sender *s)
{
	return first_lost(s, false) == NULL && !may_send_new(s) &&
	    first_lost(s, true) != NULL;
}

struct slice
stream_next(struct stream_sender *s, size_t max, uint64_t *seq_out)
{
	const struct stream_segment *lost = first_lost(s, false);
	uint64_t from, end;

	if (lost == NULL && !may_send_new(s))
		lost = first_lost(s, true);
	if (lost != NULL) {
		from = lost->start;
		end = lost->end;
		/* Neighbours that are lost too go with it. */
		while (++lost < s->segments + s->nsegments && lost->lost &&
		    lost->start == end && lost->end - from <= max)
			end = lost->end;
	} else if (may_send_new(s)) {
		from = s->next;
		end = s->next + stream_unsent(s);
		if (end - s->una > s->window)
			end = s->una + s->window;
	} else {
		from = end = s->next;
	}
	if (end - from > max)
		end = from + max;
	*seq_out = from;
	return (struct slice){ end == from ? "" : s->held.ptr + (from - s->una),
	    (size_t)(end - from) };
}

static void
insert_segment(struct stream_sender *s, size_t at,
    const struct stream_segment *g)
{
	assert(s->nsegments < STREAM_SEGMENTS_MAX);
	memmove(s->segments + at + 1, s->segments + at,
	    (s->nsegments - at) * sizeof(*g));
	s->segments[at] = *g;
	s->nsegments++;
}

static void
remove_segments(struct stream_sender *s, size_t at, size_t count)
{
	memmove(s->segments + at, s->segments + at + count,
	    (s->nsegments - at - count) * sizeof(*s->segments));
	s->nsegments -= count;
}

/* Takes [start, end) out of segment i, which overlaps it.  The index of the
 * first segment behind.  Where a middle would be cut out and the list is
 * full, the segment stays whole. */
static size_t
cut_segment(struct stream_sender *s, size_t i, uint64_t start, uint64_t end)
{
	struct stream_segment *g = &s->segments[i], rest = *g;

	if (start <= g->start && end >= g->end) {
		remove_segments(s, i, 1);
		return i;
	}
	if (start <= g->start) {
		g->start = end;
		return i + 1;
	}
	if (end >= g->end) {
		g->end = start;
		return i + 1;
	}
	if (s->nsegments == STREAM_SEGMENTS_MAX)
		return i + 1;
	g->end = start;
	rest.start = end;
	insert_segment(s, i + 1, &rest);
	return i + 2;
}

/* Where the list is full, a part of a segment that is sent again stands for
 * all of it: what is missing behind it is found by its own loss. */
static bool
stands_for_whole(struct stream_sender *s, const struct stream_segment *g)
{
	if (s->nsegments < STREAM_SEGMENTS_MAX)
		return false;
	for (size_t i = 0; i < s->nsegments; i++) {
		struct stream_segment *old = &s->segments[i];
		struct stream_segment was = *old;

		if (was.start != g->start || was.end <= g->end)
			continue;
		*old = *g;
		old->end = was.end;
		old->echo = was.spare;
		return true;
	}
	return false;
}

void
stream_gone(struct stream_sender *s, uint64_t seq, size_t len,
    size_t wire_len, unsigned level, int64_t gone_us)
{
	struct stream_segment g = { .start = seq, .end = seq + len,
	    .turn = s->turn++, .gone_us = gone_us, .wire_len = wire_len,
	    .level = level, .again = seq < s->next };
	size_t i = 0;

	if (g.again)
		s->repeated += len;
	if (len == 0 || stands_for_whole(s, &g))
		return;
	while (i < s->nsegments && s->segments[i].start < g.end) {
		if (s->segments[i].end <= g.start) {
			i++;
			continue;
		}
		g.echo = g.echo || s->segments[i].spare;
		i = cut_segment(s, i, g.start, g.end);
	}
	for (i = s->nsegments; i > 0 && s->segments[i - 1].start > seq; i--)
		;
	insert_segment(s, i, &g);
	if (g.end > s->next)
		s->next = g.end;
}

static void
tell(struct stream_sender *s, const struct stream_segment *g, bool arrived)
{
	struct stream_fate f = { .arrived = arrived, .wire_len = g->wire_len,
	    .level = g->level };

	if (s->fate != NULL)
		s->fate(s->ctx, &f);
}

/* Segment i is received in part or whole. */
static void
segment_arrived(struct stream_sender *s, const struct stream_segment *g,
    int64_t now_us)
{
	if (g->echo)
		return;
	if (g->turn >= s->arrived_turn)
		s->arrived_turn = g->turn + 1;
	if (g->lost && g->again)
		return;
	tell(s, g, true);
	if (!g->again)
		s->rtt_us = now_us > g->gone_us ? now_us - g->gone_us : 0;
}

static bool
range_arrived(struct stream_sender *s, uint64_t start, uint64_t end,
    int64_t now_us)
{
	bool news = false;
	size_t i = 0;

	while (i < s->nsegments && s->segments[i].start < end) {
		if (s->segments[i].end <= start) {
			i++;
			continue;
		}
		segment_arrived(s, &s->segments[i], now_us);
		i = cut_segment(s, i, start, end);
		news = true;
	}
	return news;
}

static void
find_lost(struct stream_sender *s)
{
	for (size_t i = 0; i < s->nsegments; i++) {
		struct stream_segment *g = &s->segments[i];

		if ((g->lost && !g->spare) ||
		    g->turn + 1 >= s->arrived_turn)
			continue;
		g->lost = true;
		g->spare = false;
		tell(s, g, false);
	}
}

bool
stream_acked(struct stream_sender *s, const struct frame *f, int64_t now_us,
    bool *news_out)
{
	*news_out = false;
	if (f->ack > s->next || (f->nranges > 0 &&
	    f->ranges[f->nranges - 1].end > s->next))
		return false;
	if (f->ack > s->una) {
		*news_out = range_arrived(s, s->una, f->ack, now_us);
		buf_consume(&s->held, (size_t)(f->ack - s->una));
		s->una = f->ack;
	}
	for (size_t i = 0; i < f->nranges; i++)
		if (range_arrived(s, f->ranges[i].start, f->ranges[i].end,
		    now_us))
			*news_out = true;
	if (*news_out)
		find_lost(s);
	return true;
}

int64_t
stream_gone_us(const struct stream_sender *s)
{
	int64_t first = -1;

	for (size_t i = 0; i < s->nsegments; i++) {
		const struct stream_segment *g = &s->segments[i];

		if (!g->lost && (first < 0 || g->gone_us < first))
			first = g->gone_us;
	}
	return first;
}

void
stream_probe(struct stream_sender *s, bool blame)
{
	size_t i = 0;

	while (i < s->nsegments && s->segments[i].lost)
		i++;
	if (i == s->nsegments)
		return;
	s->segments[i].lost = true;
	if (blame)
		tell(s, &s->segments[i], false);
}

void
stream_all_lost(struct stream_sender *s)
{
	for (size_t i = 0; i < s->nsegments; i++) {
		s->segments[i].lost = true;
		s->segments[i].spare = false;
	}
}

void
stream_echo(struct stream_sender *s)
{
	for (size_t i = 0; i < s->nsegments; i++) {
		struct stream_segment *g = &s->segments[i];

		if (!g->again && !g->lost)
			g->lost = g->spare = true;
	}
}

void
stream_receiver_init(struct stream_receiver *r, size_t window)
{
	*r = (struct stream_receiver){ .window = window };
	r->ring = mem_alloc(1, window);
}

void
stream_receiver_release(struct stream_receiver *r)
{
	free(r->ring);
	r->ring = NULL;
}

/* Adds [start, end) to the ranges; false: there are too many. */
static bool
add_hole(struct stream_receiver *r, uint64_t start, uint64_t end)
{
	size_t i = 0, n;

	while (i < r->nholes && r->holes[i].end < start)
		i++;
	for (n = i; n < r->nholes && r->holes[n].start <= end; n++) {
		if (r->holes[n].start < start)
			start = r->holes[n].start;
		if (r->holes[n].end > end)
			end = r->holes[n].end;
	}
	if (n == i && r->nholes == STREAM_HOLES_MAX)
		return false;
	memmove(r->holes + i + 1, r->holes + n,
	    (r->nholes - n) * sizeof(r->holes[0]));
	r->nholes = r->nholes - (n - i) + 1;
	r->holes[i] = (struct frame_range){ start, end };
	return true;
}

static void
to_ring(struct stream_receiver *r, uint64_t seq, struct slice octets)
{
	size_t at = (size_t)(seq % r->window);
	size_t first = r->window - at;

	if (first > octets.len)
		first = octets.len;
	memcpy(r->ring + at, octets.ptr, first);
	memcpy(r->ring, octets.ptr + first, octets.len - first);
}

static bool
is_held(const struct stream_receiver *r, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < r->nholes; i++)
		if (r->holes[i].start <= start && r->holes[i].end >= end)
			return true;
	return false;
}

bool
stream_take(struct stream_receiver *r, uint64_t seq, struct slice octets)
{
	uint64_t end = seq + octets.len;

	if (end > r->next + r->window || octets.len == 0)
		return false;
	if (seq < r->next && end > r->next) {
		octets.ptr += r->next - seq;
		octets.len -= (size_t)(r->next - seq);
		seq = r->next;
	}
	if (end <= r->next || is_held(r, seq, end)) {
		r->doubled += octets.len;
		return false;
	}
	if (!add_hole(r, seq, end))
		return false;
	to_ring(r, seq, octets);
	return true;
}

struct slice
stream_complete(const struct stream_receiver *r)
{
	size_t at = (size_t)(r->next % r->window), len;

	if (r->nholes == 0 || r->holes[0].start > r->next)
		return SLICE_LIT("");
	len = (size_t)(r->holes[0].end - r->next);
	if (len > r->window - at)
		len = r->window - at;
	return (struct slice){ r->ring + at, len };
}

void
stream_pass(struct stream_receiver *r, size_t len)
{
	r->next += len;
	if (r->nholes > 0 && r->holes[0].end <= r->next) {
		r->nholes--;
		memmove(r->holes, r->holes + 1,
		    r->nholes * sizeof(r->holes[0]));
	} else if (r->nholes > 0 && r->holes[0].start < r->next) {
		r->holes[0].start = r->next;
	}
}

void
stream_acknowledge(const struct stream_receiver *r, size_t max,
    struct frame *f)
{
	if (max > FRAME_RANGES_MAX)
		max = FRAME_RANGES_MAX;
	f->flags |= FRAME_ACK;
	f->ack = r->next;
	f->nranges = 0;
	for (size_t i = 0; i < r->nholes && f->nranges < max; i++)
		if (r->holes[i].start > r->next)
			f->ranges[f->nranges++] = r->holes[i];
}
