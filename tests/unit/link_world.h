/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_LINK_WORLD_H
#define TESTS_UNIT_LINK_WORLD_H
/*
 * Two ends of a link and the line between them, in one process and in virtual
 * time.  A character takes its time on the line, is delayed, and may be
 * damaged, eaten or lost, all from a seed.  Files live in memory and outlast
 * the links, as they outlast programs on a disk.
 */
#include "base/clock.h"
#include "base/map.h"
#include "transports/link.h"

#define WORLD_FILES_MAX 64

struct air_line {
	uint32_t rate;		/* characters a second */
	int64_t delay_ms;
	double bit_errors;	/* probability for each bit */
	double drops;		/* for each character: it is lost */
	double bursts;		/* for each character: damage begins */
	unsigned burst_len;	/* characters */
	bool eat_xon, eat_top;
	bool half;		/* who talks at the same time garbles both */
};

struct air_file {
	struct link_file f;
	char name[32];
	struct buf content;
	bool sent, queued;
	unsigned failed;
	int64_t arrived_us;	/* at the other end; -1 */
};

/* What one end has received: whole once `closed`. */
struct air_got {
	uint64_t id, size;
	unsigned char hash[32];
	struct buf have;
	unsigned closed;
};

struct air_end {
	struct air *air;
	struct link_config config;
	struct link *link;
	struct air_file files[WORLD_FILES_MAX];
	size_t nfiles;
	struct air_got got[WORLD_FILES_MAX];
	size_t ngot;
	struct air_got *slots[LINK_FILES_MAX];
	bool full;		/* its disk */
	bool unlike;		/* the next close finds another hash */
	/* the line away from it */
	struct buf chars;
	int64_t *times_us;	/* of arrival, for each of chars */
	size_t ntimes, times_cap;
	int64_t free_us;
	uint32_t free_part;	/* of a microsecond, in its rate-th parts */
	int64_t over_us;	/* when it was first seen closed */
	double next_error, next_drop, next_burst;	/* distances */
	unsigned burst_left;
	uint64_t faults;
	uint64_t garbled;	/* by who talked at the same time */
};

struct air {
	struct air_line line;
	struct air_end ends[2];	/* 0 calls */
	struct rng_seeded rng, link_rng;
	int64_t now_us;
	unsigned char secret[LINK_SECRET_LEN];
	bool nagle;		/* one character at a time */
	struct buf *tap;	/* all that is put on the line */
};

void air_init(struct air *w, const struct air_line *line,
    uint64_t seed);
void air_release(struct air *w);
/* The line becomes another one, of the same rate. */
void air_change(struct air *w, const struct air_line *line);
/* A file of so many octets to be sent by an end; its number. */
size_t air_file(struct air *w, int end, uint64_t size, uint8_t priority);
/* Opens a link at an end, with the files not yet sent. */
void air_start(struct air *w, int end);
/* The end dies as by SIGKILL; what is on the line stays there. */
void air_kill(struct air *w, int end);
/* Lets time pass until both ends are closed or failed, or the limit. False:
 * the limit. */
bool air_run(struct air *w, int64_t limit_ms);
/* Whether all files are at the other end, whole, once, and said sent. */
bool air_all_there(struct air *w, int from);
/* Aborts the test unless what was received is right as far as it goes. */
void air_check(struct air *w);

#endif
