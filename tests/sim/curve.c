/* SPDX-License-Identifier: ISC */
/*
 * Curve25519 in place of base/x25519.c, with a memory: in one process both
 * ends of an agreement are computed, and most of the time of a world would go
 * into the multiplications.  What is remembered is what libsodium gave, so
 * nothing else changes; the curve itself is the unit tests' business.  This is
 * the one place of the simulation with state of its own, since the functions
 * of a curve have no context.
 */
#include "base/x25519.h"

#include <sodium.h>
#include <string.h>

#define PUBLICS 4096		/* secrets whose public keys are known */
#define SHARED 8192		/* pairs */

struct known_public {
	unsigned char secret[X25519_LEN], key[X25519_LEN];
	bool set;
};

struct known_shared {
	unsigned char a[X25519_LEN], b[X25519_LEN], key[X25519_LEN];
	bool set;
};

static struct known_public publics[PUBLICS];
static struct known_shared shareds[SHARED];

static size_t
slot(const unsigned char *a, const unsigned char *b, size_t slots)
{
	uint32_t x, y = 0;

	memcpy(&x, a + 8, sizeof(x));
	if (b != NULL)
		memcpy(&y, b + 8, sizeof(y));
	return ((uint64_t)x ^ ((uint64_t)y * 2654435761U)) % slots;
}

void
x25519_secret(struct rng *rng, unsigned char secret_out[X25519_LEN])
{
	rng_fill(rng, secret_out, X25519_LEN);
}

void
x25519_public(const unsigned char secret[X25519_LEN],
    unsigned char public_out[X25519_LEN])
{
	struct known_public *k = &publics[slot(secret, NULL, PUBLICS)];

	if (!k->set || memcmp(k->secret, secret, X25519_LEN) != 0) {
		memcpy(k->secret, secret, X25519_LEN);
		(void)crypto_scalarmult_base(k->key, secret);
		k->set = true;
	}
	memcpy(public_out, k->key, X25519_LEN);
}

/* The smaller of the two public keys first: either end asks. */
static struct known_shared *
find(const unsigned char *own, const unsigned char *peer, bool *known_out)
{
	bool less = memcmp(own, peer, X25519_LEN) < 0;
	const unsigned char *a = less ? own : peer, *b = less ? peer : own;
	struct known_shared *k = &shareds[slot(a, b, SHARED)];

	*known_out = k->set && memcmp(k->a, a, X25519_LEN) == 0 &&
	    memcmp(k->b, b, X25519_LEN) == 0;
	if (!*known_out) {
		k->set = false;
		memcpy(k->a, a, X25519_LEN);
		memcpy(k->b, b, X25519_LEN);
	}
	return k;
}

int
x25519_shared(const unsigned char secret[X25519_LEN],
    const unsigned char peer[X25519_LEN],
    unsigned char shared_out[X25519_LEN])
{
	unsigned char own[X25519_LEN], point[X25519_LEN];
	struct known_shared *k;
	bool known;

	memcpy(point, peer, X25519_LEN);
	point[31] &= 0x7f;
	x25519_public(secret, own);
	k = find(own, point, &known);
	if (!known)
		k->set = crypto_scalarmult(k->key, secret, point) == 0 &&
		    sodium_is_zero(k->key, X25519_LEN) == 0;
	memset(shared_out, 0, X25519_LEN);
	if (!k->set)
		return ERR_DENIED;
	memcpy(shared_out, k->key, X25519_LEN);
	return 0;
}

bool
x25519_canonical(const unsigned char key[X25519_LEN])
{
	static const unsigned char least[X25519_LEN] = { 0xed, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f };
	size_t i;

	for (i = X25519_LEN; i-- > 0;) {
		if (key[i] != least[i])
			return key[i] < least[i];
	}
	return false;
}
