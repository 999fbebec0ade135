/* SPDX-License-Identifier: ISC */
/*
 * Many worlds at once: a process for each processor takes the next seed until
 * there were enough or the time is over.  What they share is a page of
 * counters; a process that dies is a seed that failed, and another takes its
 * place.
 */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX 64
#define BAD_MAX 1000		/* seeds that are listed at the end */
#define TIMES 65536		/* of the last worlds, for the median */
#define WORLD_SECS_MAX 600	/* a longer one hangs */

struct board {
	_Atomic uint64_t next, played, bad;
	_Atomic uint64_t seed[JOBS_MAX];	/* at work on it; 0: none */
	_Atomic uint64_t bad_seed[BAD_MAX];
	_Atomic uint32_t usecs[TIMES];
	struct tally tally;
};

static int64_t
now_ms(void)
{
	return clock_mono_ms(clock_real());
}

/* Of the processor: others may be busy too. */
static uint64_t
spent_usecs(void)
{
	struct rusage own, below;

	(void)getrusage(RUSAGE_SELF, &own);
	(void)getrusage(RUSAGE_CHILDREN, &below);
	return (uint64_t)(own.ru_utime.tv_sec + own.ru_stime.tv_sec +
	    below.ru_utime.tv_sec + below.ru_stime.tv_sec) * 1000000 +
	    (uint64_t)(own.ru_utime.tv_usec + own.ru_stime.tv_usec +
	    below.ru_utime.tv_usec + below.ru_stime.tv_usec);
}

static void
note_bad(struct board *b, uint64_t seed)
{
	uint64_t i = atomic_fetch_add(&b->bad, 1);

	if (i < BAD_MAX)
		b->bad_seed[i] = seed;
}

/* A crash on Berkeley DB leaves memory behind. */
static int
in_child(const struct settings *set)
{
	int status = 0;
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		(void)alarm(WORLD_SECS_MAX);
		status = world_run(set);
		(void)fflush(stdout);
		_exit(status);
	}
	if (pid == -1 || waitpid(pid, &status, 0) != pid)
		return 1;
	if (WIFEXITED(status) && WEXITSTATUS(status) <= 1)
		return WEXITSTATUS(status);
	printf("seed %" PRIu64 ": FAILED: the child ended with %d\n",
	    set->seed, status);
	return 1;
}

/* What kind of world a seed is. */
static void
settle_kind(struct settings *set, bool bdb)
{
	set->calm = set->seed % 8 == 0;
	set->bdb = bdb || set->seed % 40 == 3;
}

static void
work(const struct crew *c, struct board *b, unsigned job, int64_t end_ms)
{
	struct settings set = c->set;
	uint64_t i, began;

	set.tally = &b->tally;
	for (;;) {
		i = atomic_fetch_add(&b->next, 1);
		if (i >= c->runs || (i >= c->least && now_ms() >= end_ms))
			return;
		set.seed = c->set.seed + i;
		settle_kind(&set, c->bdb);
		b->seed[job] = set.seed;
		began = spent_usecs();
		(void)alarm(WORLD_SECS_MAX);
		if ((set.bdb ? in_child(&set) : world_run(&set)) != 0)
			note_bad(b, set.seed);
		b->usecs[b->played++ % TIMES] =
		    (uint32_t)(spent_usecs() - began);
		b->seed[job] = 0;
		(void)fflush(stdout);
	}
}

static pid_t
hire(const struct crew *c, struct board *b, unsigned job, int64_t end_ms)
{
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		work(c, b, job, end_ms);
		(void)fflush(stdout);
		_exit(0);
	}
	return pid;
}

static void
watch(const struct crew *c, struct board *b, int64_t end_ms)
{
	pid_t pid[JOBS_MAX], gone;
	unsigned k, n = c->jobs;
	int status;

	for (k = 0; k < c->jobs; k++)
		pid[k] = hire(c, b, k, end_ms);
	while (n > 0 && (gone = wait(&status)) > 0) {
		for (k = 0; k < c->jobs && pid[k] != gone; k++)
			;
		if (k == c->jobs || (WIFEXITED(status) &&
		    WEXITSTATUS(status) == 0)) {
			n -= k < c->jobs;
			continue;
		}
		printf("seed %" PRIu64 ": FAILED: its process ended with %d\n",
		    (uint64_t)b->seed[k], status);
		note_bad(b, b->seed[k]);
		b->played++;
		pid[k] = hire(c, b, k, end_ms);
	}
}

static int
by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void
tell_tally(struct tally *t)
{
	static const char *const size[SIZES] = { "3 sites", "4 sites",
		"5 or 6", "7 to 12", "13 to 50" };
	int i;

	for (i = 0; i < SIZES; i++)
		printf("sim: worlds of %s: %" PRIu64 " old, %" PRIu64
		    " native, %" PRIu64 " mixed\n", size[i],
		    (uint64_t)t->worlds[i][REALM_OLD],
		    (uint64_t)t->worlds[i][REALM_NATIVE],
		    (uint64_t)t->worlds[i][REALM_MIXED]);
	printf("sim: %" PRIu64 " mails, %" PRIu64 " files, %" PRIu64
	    " crashes\n", (uint64_t)t->mails, (uint64_t)t->files,
	    (uint64_t)t->crashes);
}

static void
sum_up(const struct crew *c, struct board *b, int64_t ms)
{
	uint64_t i, n = b->played, kept = n < TIMES ? n : TIMES;
	uint32_t *usecs = mem_alloc(kept + 1, sizeof(*usecs));

	for (i = 0; i < kept; i++)
		usecs[i] = b->usecs[i];
	qsort(usecs, kept, sizeof(*usecs), by_size);
	tell_tally(&b->tally);
	for (i = 0; i < b->bad && i < BAD_MAX; i++)
		printf("failed: seed %" PRIu64 "; again: make sim SEED=%"
		    PRIu64 " SEEDS=1\n", (uint64_t)b->bad_seed[i],
		    (uint64_t)b->bad_seed[i]);
	printf("sim: %" PRIu64 " worlds from seed %" PRIu64 " in %" PRId64
	    " s: %" PRIu64 " good, %" PRIu64 " failed; %.1f ms is the median, "
	    "%.1f ms the longest\n", n, c->set.seed, ms / 1000, n - b->bad,
	    (uint64_t)b->bad, kept > 0 ? usecs[kept / 2] / 1000.0 : 0.0,
	    kept > 0 ? usecs[kept - 1] / 1000.0 : 0.0);
	free(usecs);
}

uint64_t
crew_play(const struct crew *c)
{
	int64_t began = now_ms();
	struct crew all = *c;
	struct board *b;
	uint64_t bad;

	b = mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (b == MAP_FAILED)
		return 1;
	if (all.jobs > JOBS_MAX)
		all.jobs = JOBS_MAX;
	watch(&all, b, began + (int64_t)c->secs * 1000);
	sum_up(&all, b, now_ms() - began);
	bad = b->bad + (b->played < c->least && b->played < c->runs);
	(void)munmap(b, sizeof(*b));
	return bad;
}
