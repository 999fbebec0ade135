/* SPDX-License-Identifier: ISC */
/*
 * The line and the files for tests of the link.  Distances to the next fault
 * are drawn, not each character's fate, so that a clean megabyte costs
 * nothing.
 */
#include "link_world.h"
#include "base/mem.h"
#include "base/text.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define US 1000
#define CHUNK 512

static double
draw(struct air *w, double probability)
{
	double u = ((double)(rng_u64(&w->rng.rng) >> 11) + 1) / 0x1p53;

	return probability <= 0 ? INFINITY : log(u) / log1p(-probability);
}

void
air_change(struct air *w, const struct air_line *line)
{
	w->line = *line;
	for (int i = 0; i < 2; i++) {
		w->ends[i].next_error = draw(w, line->bit_errors);
		w->ends[i].next_drop = draw(w, line->drops);
		w->ends[i].next_burst = draw(w, line->bursts);
	}
}

void
air_init(struct air *w, const struct air_line *line, uint64_t seed)
{
	*w = (struct air){ .now_us = 0 };
	rng_seeded_init(&w->rng, seed);
	rng_seeded_init(&w->link_rng, seed + 1000);
	memset(w->secret, 7, sizeof(w->secret));
	for (int i = 0; i < 2; i++) {
		struct air_end *e = &w->ends[i];

		e->air = w;
		e->config.caller = i == 0;
		e->config.rate = line->rate;
	}
	air_change(w, line);
}

void
air_release(struct air *w)
{
	for (int i = 0; i < 2; i++) {
		struct air_end *e = &w->ends[i];

		link_free(e->link);
		for (size_t k = 0; k < e->nfiles; k++)
			buf_release(&e->files[k].content);
		for (size_t k = 0; k < e->ngot; k++)
			buf_release(&e->got[k].have);
		buf_release(&e->chars);
		free(e->times_us);
	}
}

size_t
air_file(struct air *w, int end, uint64_t size, uint8_t priority)
{
	struct air_end *e = &w->ends[end];
	size_t n = e->nfiles++;
	struct air_file *f = &e->files[n];
	struct sha256 h;

	assert_true(n < WORLD_FILES_MAX);
	snprintf(f->name, sizeof(f->name), "f%d-%zu", end, n);
	rng_fill(&w->rng.rng, buf_room(&f->content, size), size);
	buf_grown(&f->content, size);
	f->f = (struct link_file){ .tag = n, .name = f->name, .size = size,
	    .priority = priority };
	sha256_init(&h);
	sha256_add(&h, f->content.ptr, size);
	sha256_end(&h, f->f.hash);
	f->arrived_us = -1;
	if (e->link != NULL)
		f->queued = link_offer(e->link, &f->f);
	return n;
}

static int
host_read(void *ctx, uint64_t tag, uint64_t offset, void *into, size_t len)
{
	struct air_end *e = ctx;
	const struct buf *c = &e->files[tag].content;

	assert_true(offset + len <= c->len && len > 0);
	memcpy(into, c->ptr + offset, len);
	return (int)len;
}

static void
host_sent(void *ctx, uint64_t tag)
{
	struct air_end *e = ctx;

	assert_false(e->files[tag].sent);
	e->files[tag].sent = true;
}

static void
host_failed(void *ctx, uint64_t tag, bool permanent, struct slice text)
{
	struct air_end *e = ctx;

	(void)permanent;
	assert_true(text.len > 0);
	e->files[tag].failed++;
	e->files[tag].queued = false;
}

static struct air_got *
find_got(struct air_end *e, uint64_t id)
{
	for (size_t i = 0; i < e->ngot; i++)
		if (e->got[i].id == id)
			return &e->got[i];
	return NULL;
}

static enum link_verdict
host_open(void *ctx, unsigned slot, const struct link_file *f,
    uint64_t *have_out)
{
	struct air_end *e = ctx;
	struct air_got *g = find_got(e, link_file_id(f));

	if (e->full)
		return LINK_REFUSE_LATER;
	if (g == NULL) {
		assert_true(e->ngot < WORLD_FILES_MAX);
		g = &e->got[e->ngot++];
		*g = (struct air_got){ .id = link_file_id(f),
		    .size = f->size };
		memcpy(g->hash, f->hash, sizeof(g->hash));
	}
	if (g->closed > 0)
		return LINK_HAVE_ALL;
	e->slots[slot] = g;
	*have_out = g->have.len;
	return LINK_TAKE;
}

static int
host_write(void *ctx, unsigned slot, const void *octets, size_t len)
{
	struct air_end *e = ctx;

	if (e->full)
		return ERR_FULL;
	buf_add(&e->slots[slot]->have, octets, len);
	return 0;
}

static int
host_close(void *ctx, unsigned slot)
{
	struct air_end *e = ctx;
	struct air_got *g = e->slots[slot];
	struct air_end *other = &e->air->ends[e == e->air->ends];

	assert_int_equal(g->have.len, g->size);
	if (e->unlike) {
		e->unlike = false;
		buf_clear(&g->have);
		return ERR_CORRUPT;
	}
	g->closed++;
	e->slots[slot] = NULL;
	for (size_t i = 0; i < other->nfiles; i++)
		if (link_file_id(&other->files[i].f) == g->id)
			other->files[i].arrived_us = e->air->now_us;
	return 0;
}

static void
host_leave(void *ctx, unsigned slot, bool forget)
{
	struct air_end *e = ctx;

	if (forget)
		buf_clear(&e->slots[slot]->have);
	e->slots[slot] = NULL;
}

static size_t
host_partials(void *ctx, struct link_partial *out, size_t max)
{
	const struct air_end *e = ctx;
	size_t n = 0;

	for (size_t i = 0; i < e->ngot && n < max; i++)
		if (e->got[i].closed == 0 && e->got[i].have.len > 0)
			out[n++] = (struct link_partial){ e->got[i].id,
			    e->got[i].have.len };
	return n;
}

static const struct link_host host = {
	.read = host_read, .sent = host_sent, .failed = host_failed,
	.open = host_open, .write = host_write, .close = host_close,
	.leave = host_leave, .partials = host_partials
};

void
air_start(struct air *w, int end)
{
	struct air_end *e = &w->ends[end];

	assert_null(e->link);
	e->config.host = &host;
	e->config.ctx = e;
	e->config.rng = &w->link_rng.rng;
	if (e->config.secrets == NULL) {
		e->config.secrets =
		    (const unsigned char (*)[LINK_SECRET_LEN])&w->secret;
		e->config.nsecrets = 1;
	}
	e->link = link_new(&e->config, w->now_us / US);
	for (size_t i = 0; i < e->nfiles; i++)
		e->files[i].queued = !e->files[i].sent &&
		    link_offer(e->link, &e->files[i].f);
}

void
air_kill(struct air *w, int end)
{
	struct air_end *e = &w->ends[end];

	link_free(e->link);
	e->link = NULL;
	memset(e->slots, 0, sizeof(e->slots));
}

/* What becomes of a character on the line; -1: it is lost. */
static int
damage(struct air *w, struct air_end *e, unsigned char c)
{
	while (e->next_error < 8) {
		c ^= (unsigned char)(1U << (unsigned)e->next_error);
		e->next_error += 1 + floor(draw(w, w->line.bit_errors));
		e->faults++;
	}
	e->next_error -= 8;
	if (e->next_burst < 1) {
		e->burst_left = 1 + (unsigned)rng_below(&w->rng.rng,
		    w->line.burst_len);
		e->next_burst = 1 + draw(w, w->line.bursts);
	}
	e->next_burst -= 1;
	if (e->burst_left > 0) {
		e->burst_left--;
		e->faults++;
		c = (unsigned char)rng_below(&w->rng.rng, 256);
	}
	if (e->next_drop < 1) {
		e->next_drop = 1 + draw(w, w->line.drops);
		e->faults++;
		return -1;
	}
	e->next_drop -= 1;
	if (w->line.eat_top)
		c &= 0x7f;
	return w->line.eat_xon && (c == 0x11 || c == 0x13) ? -1 : c;
}

static void
put_on_line(struct air *w, struct air_end *e, unsigned char c)
{
	const struct air_end *other = &w->ends[e == w->ends];
	bool both;
	int became;

	if (e->free_us < w->now_us) {
		e->free_us = w->now_us;
		e->free_part = 0;
	}
	both = w->line.half && other->free_us > e->free_us;
	e->free_us += (1000000 + e->free_part) / w->line.rate;
	e->free_part = (1000000 + e->free_part) % w->line.rate;
	if (both) {
		c ^= 0x55;
		e->garbled++;
	}
	if (w->tap != NULL)
		buf_addc(w->tap, (char)c);
	became = damage(w, e, c);
	if (became < 0)
		return;
	if (e->ntimes == e->times_cap) {
		e->times_cap = e->times_cap == 0 ? 65536 : e->times_cap * 2;
		e->times_us = mem_realloc(e->times_us, e->times_cap,
		    sizeof(*e->times_us));
	}
	e->times_us[e->ntimes++] = e->free_us + w->line.delay_ms * US;
	buf_addc(&e->chars, (char)became);
}

static void
pull(struct air *w, struct air_end *e)
{
	unsigned char chars[CHUNK];
	size_t n;

	/* A line whose end does not know its rate takes what it can hold. */
	while (e->link != NULL && (e->config.rate != 0 ||
	    e->free_us - w->now_us < 50 * US) &&
	    (n = link_pull(e->link, chars, w->nagle ? 1 : sizeof(chars),
	    w->now_us / US)) > 0)
		for (size_t i = 0; i < n; i++)
			put_on_line(w, e, chars[i]);
}

/* Gives the other end what has arrived by now. */
static void
arrive(struct air *w, struct air_end *e)
{
	struct air_end *other = &w->ends[e == w->ends];
	size_t n = 0, step;

	while (n < e->ntimes && e->times_us[n] <= w->now_us)
		n++;
	if (n == 0)
		return;
	step = w->nagle ? 1 : n;
	for (size_t i = 0; i < n && other->link != NULL; i += step)
		link_feed(other->link, e->chars.ptr + i, step,
		    w->now_us / US);
	buf_consume(&e->chars, n);
	e->ntimes -= n;
	memmove(e->times_us, e->times_us + n, e->ntimes * sizeof(int64_t));
}

static bool
over(const struct air_end *e)
{
	return e->link == NULL || link_state(e->link) > LINK_OPEN;
}

bool
air_run(struct air *w, int64_t limit_ms)
{
	int64_t limit_us = w->now_us + limit_ms * US;

	while (w->now_us < limit_us) {
		int64_t next_us = limit_us;

		for (int i = 0; i < 2; i++)
			arrive(w, &w->ends[i]);
		for (int i = 0; i < 2; i++) {
			struct air_end *e = &w->ends[i];
			int64_t at = LINK_NEVER;

			if (e->link != NULL) {
				link_tick(e->link, w->now_us / US);
				pull(w, e);
				at = link_tick(e->link, w->now_us / US);
			}
			if (at != LINK_NEVER && at * US < next_us)
				next_us = at * US;
			if (e->ntimes > 0 && e->times_us[0] < next_us)
				next_us = e->times_us[0];
		}
		for (int i = 0; i < 2; i++)
			if (w->ends[i].over_us == 0 && over(&w->ends[i]))
				w->ends[i].over_us = w->now_us;
		if (over(&w->ends[0]) && over(&w->ends[1]))
			return true;
		if (next_us < w->now_us + US)
			next_us = w->now_us + US;
		w->now_us = next_us;
	}
	return false;
}

bool
air_all_there(struct air *w, int from)
{
	const struct air_end *e = &w->ends[from];

	for (size_t i = 0; i < e->nfiles; i++)
		if (!e->files[i].sent)
			return false;
	return true;
}

void
air_check(struct air *w)
{
	for (int i = 0; i < 2; i++) {
		struct air_end *e = &w->ends[i], *other = &w->ends[!i];

		for (size_t k = 0; k < e->nfiles; k++) {
			struct air_file *f = &e->files[k];
			struct air_got *g = find_got(other,
			    link_file_id(&f->f));

			if (g != NULL) {
				assert_true(g->closed <= 1);
				assert_true(g->have.len <= f->content.len);
				assert_memory_equal(g->have.ptr,
				    f->content.ptr, g->have.len);
			}
			if (f->sent) {
				assert_non_null(g);
				assert_int_equal(g->closed, 1);
				assert_int_equal(g->have.len,
				    f->content.len);
			}
		}
	}
}
