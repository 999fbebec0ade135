/* SPDX-License-Identifier: ISC */
/*
 * Time, events and faults.  Faults stop after some days; then everything has
 * to come to rest, and what was promised is held against what came.
 */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FAULTS_END (3 * DAY_MS)
#define THE_END (60 * DAY_MS)
#define EVENTS_MAX 300000

uint64_t
roll(struct world *w, uint64_t limit)
{
	return rng_below(&w->rng.rng, limit);
}

bool
mishap(struct world *w, uint64_t n)
{
	return !w->set.calm && !w->quiet && roll(w, n) == 0;
}

void
tell(struct world *w, const char *who, const char *fmt, ...)
{
	va_list ap;

	buf_addf(&w->story, "%9.3f %-6s ", (double)w->now_ms / 1000, who);
	va_start(ap, fmt);
	buf_vaddf(&w->story, fmt, ap);
	va_end(ap);
	buf_addc(&w->story, '\n');
}

void
wrong(struct world *w, const char *fmt, ...)
{
	struct buf text = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	tell(w, "WRONG", "%s", buf_cstr(&text));
	if (w->wrongs++ < 10)
		fprintf(stderr, "sim: seed %" PRIu64 ": %s\n", w->set.seed,
		    buf_cstr(&text));
	buf_release(&text);
}

static bool
before(const struct event *a, const struct event *b)
{
	return a->at_ms != b->at_ms ? a->at_ms < b->at_ms :
	    a->number < b->number;
}

static void
swap(struct world *w, size_t i, size_t k)
{
	struct event e = w->heap[i];

	w->heap[i] = w->heap[k];
	w->heap[k] = e;
}

void
event_add(struct world *w, int64_t in_ms, enum event_kind kind,
    struct site *site, uint64_t arg, struct parcel *parcel)
{
	size_t i = w->nheap;

	if (w->nheap == w->cap) {
		w->cap = w->cap == 0 ? 64 : 2 * w->cap;
		w->heap = mem_realloc(w->heap, w->cap, sizeof(*w->heap));
	}
	w->heap[w->nheap++] = (struct event){ .at_ms = w->now_ms + in_ms,
	    .number = w->numbers++, .kind = kind, .site = site,
	    .life = kind == EVENT_ARRIVE || kind == EVENT_SUBMIT ||
	    kind == EVENT_RESTART || site == NULL ? 0 : site->life,
	    .arg = arg, .parcel = parcel };
	for (; i > 0 && before(&w->heap[i], &w->heap[(i - 1) / 2]);
	    i = (i - 1) / 2)
		swap(w, i, (i - 1) / 2);
}

static struct event
event_take(struct world *w)
{
	struct event first = w->heap[0];
	size_t i = 0, k;

	w->heap[0] = w->heap[--w->nheap];
	for (;;) {
		k = 2 * i + 1;
		if (k >= w->nheap)
			return first;
		if (k + 1 < w->nheap && before(&w->heap[k + 1], &w->heap[k]))
			k++;
		if (!before(&w->heap[k], &w->heap[i]))
			return first;
		swap(w, i, k);
		i = k;
	}
}

static void
order_crash(struct world *w, struct site *s)
{
	uint64_t n = 1 + roll(w, 30);

	if (!s->up)
		return;
	if (s->disk == NULL || roll(w, 4) == 0) {
		site_crash(s);
		return;
	}
	tell(w, s->name, "sim: crash ordered in %" PRIu64 " writes", n);
	store_mem_disk_crash_at(s->disk, n, &w->rng.rng);
}

static void
fault(struct world *w)
{
	struct site *s = &w->site[roll(w, SITES)];

	if (w->now_ms >= FAULTS_END) {
		w->quiet = true;
		for (size_t i = 0; i < SITES; i++) {
			w->site[i].full = false;
			if (w->site[i].disk != NULL)
				store_mem_disk_crash_at(w->site[i].disk, 0,
				    NULL);
		}
		tell(w, "sim", "faults are over");
		return;
	}
	switch (roll(w, 8)) {
	case 0:
		s->full = !s->full;
		tell(w, s->name, "sim: disk %s", s->full ? "full" : "empty");
		break;
	case 1:
		s->wall_offset_ms += (int64_t)roll(w, 6 * DAY_MS) - 3 * DAY_MS;
		w->jumped = true;
		tell(w, s->name, "sim: wall clock jumps");
		break;
	case 2:
		w->site[0].full = w->site[1].full = w->site[2].full = false;
		break;
	default:
		order_crash(w, s);
		break;
	}
	event_add(w, (int64_t)roll(w, 3 * HOUR_MS), EVENT_FAULT, NULL, 0, NULL);
}

static void
happen(struct world *w, const struct event *e)
{
	struct site *s = e->site;

	if (e->kind == EVENT_FAULT)
		fault(w);
	else if (e->kind == EVENT_ARRIVE)
		haul_arrive(&s->road[e->arg], e->parcel);
	else if (e->kind == EVENT_RESTART)
		site_start(s);
	else if (e->kind == EVENT_SUBMIT)
		truth_submit(s);
	else if (!s->up || e->life != s->life)
		return;
	else if (e->kind == EVENT_TIMER)
		site_timer(s, e->arg);
	else if (e->kind == EVENT_WRITE)
		haul_write_step(&s->road[e->arg]);
	else if (e->kind == EVENT_HAUL)
		haul_step(&s->road[e->arg]);
	else if (e->kind == EVENT_INTAKE)
		haul_intake(s);
	else if (e->kind == EVENT_DELIVER)
		site_deliver(s, e->arg);
	if (s != NULL && s->up)
		site_settle(s);
}

static bool
is_over(struct world *w)
{
	size_t i;

	if (!w->quiet || w->now_ms < FAULTS_END + DAY_MS)
		return false;
	for (i = 0; i < w->nheap; i++) {
		if (w->heap[i].kind != EVENT_TIMER)
			return false;
	}
	for (i = 0; i < SITES; i++) {
		if (!w->site[i].up || !site_is_empty(&w->site[i]))
			return false;
	}
	return true;
}

static void
play(struct world *w)
{
	struct event e;

	while (w->nheap > 0 && !is_over(w) && w->wrongs < 20) {
		e = event_take(w);
		w->now_ms = e.at_ms;
		if (w->now_ms > THE_END) {
			wrong(w, "it never comes to rest");
			parcel_free(e.parcel);
			return;
		}
		happen(w, &e);
		if (++w->events == EVENTS_MAX)
			wrong(w, "there is no end of events");
		if (w->events >= EVENTS_MAX)
			return;
	}
}

static void
write_story(struct world *w)
{
	char *path = mem_printf("%s/sim-%" PRIu64 ".story", w->set.dir,
	    w->set.seed);
	FILE *f = fopen(path, "we");

	if (f != NULL) {
		(void)fwrite(w->story.ptr, 1, w->story.len, f);
		(void)fclose(f);
		fprintf(stderr, "sim: seed %" PRIu64 ": the story is in %s\n",
		    w->set.seed, path);
	}
	free(path);
}

static void
world_release(struct world *w)
{
	size_t i;

	for (i = 0; i < SITES; i++)
		site_release(&w->site[i]);
	for (i = 0; i < w->nheap; i++)
		parcel_free(w->heap[i].parcel);
	free(w->heap);
	truth_free(w);
	buf_release(&w->story);
}

static void
finish(struct world *w)
{
	size_t i;

	truth_check(w);
	for (i = 0; i < SITES && w->wrongs == 0; i++)
		site_check_empty(&w->site[i]);
	if (w->wrongs > 0 || w->set.verbose)
		write_story(w);
}

int
world_run(const struct settings *set)
{
	struct world *w = mem_alloc(1, sizeof(*w));
	size_t i, n;
	int bad;

	w->set = *set;
	rng_seeded_init(&w->rng, set->seed);
	for (i = 0; i < SITES; i++)
		site_init(w, i);
	for (i = 0; i < SITES; i++)
		site_start(&w->site[i]);
	n = 20 + roll(w, set->bdb ? 20 : 60);
	for (i = 0; i < n; i++)
		event_add(w, (int64_t)roll(w, FAULTS_END), EVENT_SUBMIT,
		    &w->site[roll(w, SITES)], 0, NULL);
	w->quiet = set->calm;
	if (!set->calm)
		event_add(w, HOUR_MS, EVENT_FAULT, NULL, 0, NULL);
	play(w);
	finish(w);
	printf("seed %" PRIu64 "%s: %s: %zu mails, %" PRIu64 " crashes, %"
	    PRIu64 " files repeated, %" PRIu64 " runs lost, %" PRIu64
	    " torn\n", set->seed, set->calm ? " (calm)" : set->bdb ?
	    " (Berkeley DB)" : "", w->wrongs > 0 ? "FAILED" : "good",
	    w->nmails, w->crashes, w->repeats, w->losses, w->torn);
	bad = w->wrongs > 0;
	world_release(w);
	free(w);
	return bad;
}
