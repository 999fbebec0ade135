/* SPDX-License-Identifier: ISC */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H
/*
 * Time and randomness enter the program here and nowhere else, so that a
 * simulation can give both.
 */
#include <stddef.h>
#include <stdint.h>

struct clock {
	/* Milliseconds since 1970-01-01 00:00 UTC; may jump. */
	int64_t (*wall_ms)(struct clock *c);
	/* Milliseconds of a clock that never jumps and counts sleep
	 * (CLOCK_BOOTTIME); its zero has no meaning. */
	int64_t (*mono_ms)(struct clock *c);
};

/* The machine's clocks; static, never freed. */
struct clock *clock_real(void);
int64_t clock_wall_ms(struct clock *c);
int64_t clock_mono_ms(struct clock *c);

struct rng {
	void (*fill)(struct rng *r, void *bytes, size_t len);
};

/* libsodium's generator; static, never freed. */
struct rng *rng_real(void);
void rng_fill(struct rng *r, void *bytes, size_t len);
uint64_t rng_u64(struct rng *r);
/* Evenly distributed in 0 .. limit-1; limit is not 0. */
uint64_t rng_below(struct rng *r, uint64_t limit);

/* A small reproducible generator for tests and the simulation. */
struct rng_seeded {
	struct rng rng;		/* first: pass &x.rng */
	uint64_t state;
};
void rng_seeded_init(struct rng_seeded *r, uint64_t seed);

#endif
