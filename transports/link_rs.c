/* SPDX-License-Identifier: ISC */
/*
 * Reed-Solomon: Berlekamp-Massey finds the error locator, trial of every
 * position its roots (Chien), Forney the values.  The tables are computed
 * when a link starts, as they are smaller than a way to say them.
 */
#include "transports/link_rs.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#define POLYNOMIAL 0x11d
#define ORDER 255

static unsigned char
mul(const struct rs *rs, unsigned char a, unsigned char b)
{
	if (a == 0 || b == 0)
		return 0;
	return rs->exp[rs->log[a] + rs->log[b]];
}

/* a / b; b is not 0. */
static unsigned char
divide(const struct rs *rs, unsigned char a, unsigned char b)
{
	if (a == 0)
		return 0;
	return rs->exp[rs->log[a] + ORDER - rs->log[b]];
}

/* 2 to the power n, n from 0 to ORDER * ORDER. */
static unsigned char
power(const struct rs *rs, size_t n)
{
	return rs->exp[n % ORDER];
}

/* gen[n] is the product of (x - 2^i) for i < n, highest coefficient first. */
static void
init_generators(struct rs *rs)
{
	memset(rs->gen, 0, sizeof(rs->gen));
	rs->gen[0][0] = 1;
	for (size_t n = 1; n <= RS_PARITY_MAX; n++) {
		rs->gen[n][0] = 1;
		for (size_t i = 1; i <= n; i++)
			rs->gen[n][i] = (unsigned char)(rs->gen[n - 1][i] ^
			    mul(rs, rs->gen[n - 1][i - 1],
			    power(rs, n - 1)));
	}
}

void
rs_init(struct rs *rs)
{
	unsigned x = 1;

	memset(rs->log, 0, sizeof(rs->log));
	for (unsigned i = 0; i < ORDER; i++) {
		rs->exp[i] = rs->exp[i + ORDER] = (unsigned char)x;
		rs->log[x] = (unsigned char)i;
		x <<= 1;
		if (x & 0x100)
			x ^= POLYNOMIAL;
	}
	rs->exp[510] = rs->exp[0];
	rs->exp[511] = rs->exp[1];
	init_generators(rs);
}

void
rs_encode(const struct rs *rs, const unsigned char *data, size_t len,
    size_t parity, unsigned char *parity_out)
{
	const unsigned char *gen;

	assert(parity <= RS_PARITY_MAX && len + parity <= RS_WORD_MAX);
	gen = rs->gen[parity];
	memset(parity_out, 0, parity);
	for (size_t i = 0; i < len; i++) {
		unsigned char feed = data[i] ^ parity_out[0];

		memmove(parity_out, parity_out + 1, parity - 1);
		parity_out[parity - 1] = 0;
		if (feed == 0)
			continue;
		for (size_t j = 0; j < parity; j++)
			parity_out[j] ^= mul(rs, feed, gen[j + 1]);
	}
}

/* Whether any syndrome is not 0. */
static bool
syndromes(const struct rs *rs, const unsigned char *word, size_t len,
    size_t parity, unsigned char *syn)
{
	bool wrong = false;

	for (size_t j = 0; j < parity; j++) {
		unsigned char s = 0;

		for (size_t i = 0; i < len; i++)
			s = mul(rs, s, power(rs, j)) ^ word[i];
		syn[j] = s;
		wrong = wrong || s != 0;
	}
	return wrong;
}

static unsigned char
discrepancy(const struct rs *rs, const unsigned char *syn,
    const unsigned char *loc, size_t degree, size_t n)
{
	unsigned char d = syn[n];

	for (size_t i = 1; i <= degree; i++)
		d ^= mul(rs, loc[i], syn[n - i]);
	return d;
}

/* loc becomes the error locator, lowest coefficient first; its degree. */
static size_t
locator(const struct rs *rs, const unsigned char *syn, size_t parity,
    unsigned char *loc)
{
	unsigned char prev[RS_PARITY_MAX + 1] = { 1 };
	unsigned char saved[RS_PARITY_MAX + 1], b = 1;
	size_t degree = 0, shift = 1;

	memset(loc, 0, RS_PARITY_MAX + 1);
	loc[0] = 1;
	for (size_t n = 0; n < parity; n++, shift++) {
		unsigned char d = discrepancy(rs, syn, loc, degree, n), scale;

		if (d == 0)
			continue;
		memcpy(saved, loc, sizeof(saved));
		scale = divide(rs, d, b);
		for (size_t i = 0; i + shift <= parity; i++)
			loc[i + shift] ^= mul(rs, scale, prev[i]);
		if (2 * degree > n)
			continue;
		degree = n + 1 - degree;
		memcpy(prev, saved, sizeof(prev));
		b = d;
		shift = 0;
	}
	return degree;
}

/* The value of a polynomial, lowest coefficient first, at 2^at. */
static unsigned char
value_at(const struct rs *rs, const unsigned char *poly, size_t count,
    size_t at)
{
	unsigned char v = 0;

	for (size_t i = 0; i < count; i++)
		v ^= mul(rs, poly[i], power(rs, at * i));
	return v;
}

/* What is wrong by how much at the position whose inverse locator is
 * 2^inverse (Forney's algorithm). */
static unsigned char
magnitude(const struct rs *rs, const unsigned char *syn,
    const unsigned char *loc, size_t parity, size_t inverse)
{
	unsigned char omega[RS_PARITY_MAX] = { 0 };
	unsigned char below = 0;

	for (size_t i = 0; i < parity; i++)
		for (size_t j = 0; j <= i; j++)
			omega[i] ^= mul(rs, syn[i - j], loc[j]);
	for (size_t i = 1; i <= parity; i += 2)
		below ^= mul(rs, loc[i], power(rs, inverse * (i - 1)));
	if (below == 0)
		return 0;
	/* The first root of the generator is 2^0, so X^(1-0) remains. */
	return mul(rs, divide(rs, value_at(rs, omega, parity, inverse),
	    below), power(rs, (ORDER - inverse) % ORDER));
}

int
rs_decode(const struct rs *rs, unsigned char *word, size_t len, size_t parity)
{
	unsigned char syn[RS_PARITY_MAX], loc[RS_PARITY_MAX + 1];
	size_t places[RS_PARITY_MAX], found = 0, degree;
	unsigned char fixes[RS_PARITY_MAX];

	assert(parity <= RS_PARITY_MAX && len <= RS_WORD_MAX);
	if (!syndromes(rs, word, len, parity, syn))
		return 0;
	degree = locator(rs, syn, parity, loc);
	if (degree == 0 || degree > parity / 2)
		return -1;
	for (size_t i = 0; i < len && found < degree; i++) {
		size_t inverse = (ORDER - (len - 1 - i)) % ORDER;

		if (value_at(rs, loc, degree + 1, inverse) != 0)
			continue;
		places[found] = i;
		fixes[found] = magnitude(rs, syn, loc, parity, inverse);
		if (fixes[found++] == 0)
			return -1;
	}
	if (found != degree)
		return -1;
	for (size_t k = 0; k < found; k++)
		word[places[k]] ^= fixes[k];
	return (int)found;
}
