/* SPDX-License-Identifier: ISC */
/*
 * Time and events.  Faults stop after some days; then everything has to come
 * to rest, and what was promised is held against what came.  The story is
 * written only when a world is played for the second time, having failed:
 * most of the time of a good one would go into it.
 */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define REST_MS (60 * DAY_MS)	/* until it has to come, once all is well */
#define EVENTS_MAX 500000	/* and as many again for each ten sites */

uint64_t
roll(struct world *w, uint64_t limit)
{
	return rng_below(&w->rng.rng, limit);
}

bool
mishap(struct world *w, uint64_t n)
{
	return n != 0 && !w->set.calm && !w->quiet && roll(w, n) == 0;
}

void
tell(struct world *w, const char *who, const char *fmt, ...)
{
	va_list ap;

	if (!w->set.story)
		return;
	buf_addf(&w->story, "%11.3f %-6s ", (double)w->now_ms / 1000, who);
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
	if (w->wrongs++ < 3 && w->set.story)
		printf("seed %" PRIu64 ": %s\n", w->set.seed, buf_cstr(&text));
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
	w->ntimers += kind == EVENT_TIMER;
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

	w->ntimers -= first.kind == EVENT_TIMER;
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

/* Another time was set since, or the node has ended. */
static bool
is_stale(const struct event *e)
{
	return e->kind == EVENT_TIMER && (!e->site->up ||
	    e->life != e->site->life || e->arg != e->site->timer);
}

static void
happen(struct world *w, const struct event *e)
{
	struct site *s = e->site;

	if (s != NULL)
		s->happened[e->kind]++;
	if (e->kind == EVENT_FAULT)
		fault(w);
	else if (e->kind == EVENT_ARRIVE)
		haul_arrive(&s->road[e->arg], e->parcel);
	else if (e->kind == EVENT_RESTART)
		site_start(s);
	else if (e->kind == EVENT_SUBMIT)
		mails_submit(s, e->arg);
	else if (!s->up || e->life != s->life)
		return;
	else if (e->kind == EVENT_TIMER)
		site_timer(s);
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

/* In a large world somebody announces a key at any time, and where a relay is
 * dead those behind it are told in vain: mail is what has to come to rest. */
static bool
is_as_good_as_over(struct world *w)
{
	bool rests = w->nsites <= 6 && w->deaths == 0;
	size_t i;

	if (!w->quiet || rests || w->now_ms < w->faults_end_ms +
	    (int64_t)(2 * w->lifetime_days + 3) * DAY_MS)
		return false;
	for (i = 0; i < w->nsites; i++) {
		if (!w->site[i].dead && (!w->site[i].up ||
		    !site_has_no_mail(&w->site[i])))
			return false;
	}
	w->chatting = true;
	return true;
}

static bool
is_over(struct world *w)
{
	size_t i;

	if (w->events % 64 == 0 && is_as_good_as_over(w))
		return true;
	if (!w->quiet || w->now_ms < w->faults_end_ms + DAY_MS ||
	    w->nheap > w->ntimers)
		return false;
	for (i = 0; i < w->nsites; i++) {
		if (!w->site[i].dead && (!w->site[i].up ||
		    !site_is_empty(&w->site[i])))
			return false;
	}
	return true;
}

static void
play(struct world *w)
{
	uint64_t most = w->set.events != 0 ? w->set.events :
	    EVENTS_MAX * (1 + w->nsites / 10);
	struct event e;

	while (w->nheap > 0 && !is_over(w) && w->wrongs < 20) {
		e = event_take(w);
		if (is_stale(&e))
			continue;
		w->now_ms = e.at_ms;
		if (w->now_ms > w->faults_end_ms + REST_MS) {
			wrong(w, "it never comes to rest: %zu events",
			    w->nheap - w->ntimers);
			check_rest(w);
			parcel_free(e.parcel);
			return;
		}
		happen(w, &e);
		if (++w->events < most)
			continue;
		wrong(w, "there is no end of events");
		check_rest(w);
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
	}
	free(path);
}

static void
world_release(struct world *w)
{
	size_t i;

	for (i = 0; i < w->nsites; i++)
		site_release(&w->site[i]);
	free(w->site);
	free(w->link);
	for (i = 0; i < w->nheap; i++)
		parcel_free(w->heap[i].parcel);
	free(w->heap);
	mails_free(w);
	buf_release(&w->story);
}

static void
start(struct world *w)
{
	uint64_t i, n;

	plan_make(w);
	for (i = 0; i < w->nsites; i++)
		site_init(&w->site[i]);
	for (i = 0; i < w->nsites; i++)
		site_start(&w->site[i]);
	for (i = 0; i < w->nsites; i++)
		safe_give_cards(&w->site[i]);
	for (i = 0; i < w->nsites; i++) {
		w->site[i].card_new = false;
		/* Its clock ticks, though its first mail may be months off. */
		if (w->site[i].up)
			site_settle(&w->site[i]);
	}
	n = 4 + roll(w, 10) + w->nsites;
	for (i = 0; i < n; i++)
		event_add(w, (int64_t)roll(w, (uint64_t)w->faults_end_ms),
		    EVENT_SUBMIT, &w->site[roll(w, w->nsites)],
		    roll(w, 20) == 0 ? 20 : 1 + roll(w, 3), NULL);
	w->quiet = w->set.calm;
	if (!w->set.calm)
		event_add(w, HOUR_MS, EVENT_FAULT, NULL, 0, NULL);
}

/* Sizes are 3, 4, 5 and 6, 7 to 12, and more. */
static void
count(struct world *w)
{
	size_t n = w->nsites;
	size_t size = n < 5 ? n - 3 : n < 7 ? 2 : n < 13 ? 3 : 4;
	struct tally *t = w->set.tally;

	t->worlds[size][w->realm]++;
	t->mails += w->nmails;
	t->files += w->files;
	t->crashes += w->crashes;
}

static void
report(const struct world *w)
{
	static const char *const realm[] = { [REALM_OLD] = "old",
		[REALM_NATIVE] = "native", [REALM_MIXED] = "mixed" };

	printf("seed %" PRIu64 "%s: %s: %s, %zu sites, %zu mails, %" PRIu64
	    " crashes, %" PRIu64 " absences, %" PRIu64 " partitions, %" PRIu64
	    " files repeated, %" PRIu64 " runs lost, %" PRIu64 " torn, %"
	    PRIu64 " damaged; %" PRIu64 " restores, %" PRIu64 " rebuilds, %"
	    PRIu64 " deaths, %" PRIu64 " rotations; %" PRIu64
	    " not confirmed; %" PRIu64 " events, %"
	    PRIu64 " files, %zu KiB held at most\n",
	    w->set.seed, w->set.calm ? " (calm)" :
	    w->set.bdb ? " (Berkeley DB)" : "",
	    w->wrongs > 0 ? "FAILED" : "good", realm[w->realm], w->nsites,
	    w->nmails, w->crashes, w->absences, w->partitions, w->repeats,
	    w->losses,
	    w->torn, w->damaged, w->restores, w->rebuilds, w->deaths,
	    w->rotations, w->unsure, w->events, w->files,
	    w->held_most / 1024);
}

static bool
play_once(const struct settings *set)
{
	struct world *w = mem_alloc(1, sizeof(*w));
	bool bad;

	w->set = *set;
	rng_seeded_init(&w->rng, set->seed);
	curve_pretend(!set->bdb);
	start(w);
	play(w);
	if (w->wrongs == 0)
		check_all(w);
	bad = w->wrongs > 0;
	if (set->story)
		write_story(w);
	if (set->tally != NULL)
		count(w);
	if (!bad || set->story)
		report(w);
	world_release(w);
	free(w);
	return bad;
}

int
world_run(const struct settings *set)
{
	struct settings again = *set;
	bool bad;

	again.story = set->verbose;
	bad = play_once(&again);
	if (!bad || again.story)
		return bad;
	again.story = true;
	again.tally = NULL;
	if (!play_once(&again))
		printf("seed %" PRIu64 ": FAILED, but not when played again: "
		    "it does not follow from its seed\n", set->seed);
	return 1;
}
