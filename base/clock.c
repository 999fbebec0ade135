/* SPDX-License-Identifier: ISC */
/*
 * The seam for time and randomness.  The real ones are constants without
 * state; the interfaces take them as mutable because a simulated clock or a
 * seeded generator has some.
 */
#include "base/clock.h"

#include <sodium.h>
#include <string.h>
#include <time.h>

static int64_t
read_clock(clockid_t which)
{
	struct timespec ts = { 0, 0 };

	clock_gettime(which, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t
real_wall_ms(struct clock *c)
{
	(void)c;
	return read_clock(CLOCK_REALTIME);
}

static int64_t
real_mono_ms(struct clock *c)
{
	(void)c;
	return read_clock(CLOCK_BOOTTIME);
}

static void
real_fill(struct rng *r, void *bytes, size_t len)
{
	(void)r;
	randombytes_buf(bytes, len);
}

struct clock *
clock_real(void)
{
	static const struct clock real = { real_wall_ms, real_mono_ms };

	return (struct clock *)(uintptr_t)&real;
}

int64_t
clock_wall_ms(struct clock *c)
{
	return c->wall_ms(c);
}

int64_t
clock_mono_ms(struct clock *c)
{
	return c->mono_ms(c);
}

struct rng *
rng_real(void)
{
	static const struct rng real = { real_fill };

	return (struct rng *)(uintptr_t)&real;
}

void
rng_fill(struct rng *r, void *bytes, size_t len)
{
	r->fill(r, bytes, len);
}

uint64_t
rng_u64(struct rng *r)
{
	uint64_t v;

	rng_fill(r, &v, sizeof(v));
	return v;
}

uint64_t
rng_below(struct rng *r, uint64_t limit)
{
	/* 2^64 mod limit: values below it would favour the small results. */
	uint64_t unfair = (0 - limit) % limit;
	uint64_t v;

	do
		v = rng_u64(r);
	while (v < unfair);
	return v % limit;
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t
seeded_next(struct rng_seeded *r)
{
	uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void
seeded_fill(struct rng *rng, void *bytes, size_t len)
{
	struct rng_seeded *r = (struct rng_seeded *)(void *)rng;
	unsigned char *p = bytes;

	while (len > 0) {
		uint64_t v = seeded_next(r);
		size_t n = len < sizeof(v) ? len : sizeof(v);

		memcpy(p, &v, n);
		p += n;
		len -= n;
	}
}

void
rng_seeded_init(struct rng_seeded *r, uint64_t seed)
{
	r->rng.fill = seeded_fill;
	r->state = seed;
}
