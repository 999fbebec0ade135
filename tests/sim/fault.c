/* SPDX-License-Identifier: ISC */
/*
 * What goes wrong with whole sites and links.  What happens to single files is
 * in haul.c.
 */
#include "tests/sim/sim.h"

#include <inttypes.h>

static void
order_crash(struct world *w, struct site *s)
{
	uint64_t n = 1 + roll(w, 30);

	if (s->disk == NULL || roll(w, 4) == 0) {
		site_crash(s);
		return;
	}
	tell(w, s->name, "sim: crash ordered in %" PRIu64 " writes", n);
	store_mem_disk_crash_at(s->disk, n, &w->rng.rng);
}

static void
fill_disk(struct world *w, struct site *s)
{
	if (!w->weather.full_disks)
		return;
	s->full_until_ms = w->now_ms + (int64_t)roll(w,
	    12 * (uint64_t)HOUR_MS);
	tell(w, s->name, "sim: disk full until %" PRId64,
	    s->full_until_ms / 1000);
}

static void
jump(struct world *w, struct site *s)
{
	if (!w->weather.jumps)
		return;
	s->wall_offset_ms = s->wall_wrong_ms + (int64_t)roll(w,
	    6 * (uint64_t)DAY_MS) - 3 * DAY_MS;
	tell(w, s->name, "sim: wall clock jumps");
}

/* Mostly hours, now and then days. */
static int64_t
some_while(struct world *w)
{
	return HOUR_MS + (int64_t)roll(w, (uint64_t)(roll(w, 3) == 0 ?
	    8 * DAY_MS : 10 * HOUR_MS));
}

static void
partition(struct world *w)
{
	struct link *l = &w->link[roll(w, w->nlinks)];

	if (!w->weather.partitions)
		return;
	w->partitions++;
	l->dead_until_ms = w->now_ms + some_while(w);
	tell(w, "sim", "the link %s - %s is dead until %" PRId64,
	    w->site[l->site[0]].name, w->site[l->site[1]].name,
	    l->dead_until_ms / 1000);
}

static void
absence(struct world *w, struct site *s)
{
	if (!w->weather.absences)
		return;
	w->absences++;
	site_absent(s, some_while(w));
}

static void
make_backup(struct world *w, struct site *s)
{
	if (!w->weather.restores || s->disk == NULL)
		return;
	backup_make(s);
	tell(w, s->name, "sim: backup");
}

/* Sites with a spool of their own, that nobody depends on without knowing. */
static void
lose_state(struct world *w, struct site *s)
{
	if (w->weather.restores && !list_empty(&s->backups)) {
		site_absent(s, some_while(w) / 4);
		backup_restore(s);
	} else if (w->weather.rebuilds) {
		site_absent(s, some_while(w) / 4);
		backup_rebuild(s);
	}
}

static void
death(struct world *w, struct site *s)
{
	if (!w->weather.deaths || w->deaths > w->nsites / 10)
		return;
	w->deaths++;
	site_die(s);
}

static void
rotate(struct world *w, struct site *s)
{
	if (!w->weather.rotations)
		return;
	w->rotations++;
	safe_rotate(s);
}

/* Once: for so long that nobody has a key of it any more. */
static void
silence(struct world *w, struct site *s)
{
	if (!w->weather.silence || w->now_ms > 10 * DAY_MS)
		return;
	w->weather.silence = false;
	site_absent(s, 30 * DAY_MS + (int64_t)roll(w, 50 *
	    (uint64_t)DAY_MS));
}

/* What happens to a site that is up. */
static void
site_fault(struct world *w, struct site *s)
{
	switch (roll(w, 14)) {
	case 0:
		absence(w, s);
		break;
	case 1:
	case 2:
		make_backup(w, s);
		break;
	case 3:
		lose_state(w, s);
		break;
	case 4:
		death(w, s);
		break;
	case 5:
		rotate(w, s);
		break;
	case 6:
		silence(w, s);
		break;
	default:
		order_crash(w, s);
		break;
	}
}

/* From now on all goes well. */
static void
faults_end(struct world *w)
{
	size_t i;

	w->quiet = true;
	for (i = 0; i < w->nsites; i++) {
		w->site[i].full_until_ms = 0;
		if (w->site[i].disk != NULL)
			store_mem_disk_crash_at(w->site[i].disk, 0, NULL);
	}
	for (i = 0; i < w->nlinks; i++)
		w->link[i].dead_until_ms = 0;
	tell(w, "sim", "faults are over");
}

void
fault(struct world *w)
{
	struct site *s = &w->site[roll(w, w->nsites)];

	if (w->now_ms >= w->faults_end_ms) {
		faults_end(w);
		return;
	}
	switch (roll(w, 10)) {
	case 0:
	case 1:
		fill_disk(w, s);
		break;
	case 2:
		jump(w, s);
		break;
	case 3:
		partition(w);
		break;
	default:
		if (s->up)
			site_fault(w, s);
		break;
	}
	event_add(w, (int64_t)roll(w, w->weather.fault_gap_ms * (w->now_ms >
	    10 * DAY_MS ? 20 : 1)), EVENT_FAULT, NULL, 0, NULL);
}
