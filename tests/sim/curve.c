/* SPDX-License-Identifier: ISC */
/*
 * Curve25519 in place of base/x25519.c.  Half of the time of a world would go
 * into multiplications, and no one in it tries to break them; so keys agree by
 * a hash over both public ones, which the right two ends alone come to, and a
 * public key is a hash of its secret.  In worlds on Berkeley DB the curve is
 * libsodium's.  This is the one place of the simulation with state of its own,
 * since the functions of a curve have no context.
 */
#include "tests/sim/sim.h"

#include <sodium.h>

#include "base/x25519.h"

static bool pretending;

void
curve_pretend(bool pretend)
{
	pretending = pretend;
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
	if (!pretending) {
		(void)crypto_scalarmult_base(public_out, secret);
		return;
	}
	(void)crypto_generichash(public_out, X25519_LEN, secret, X25519_LEN,
	    NULL, 0);
	public_out[31] &= 0x7f;
}

int
x25519_shared(const unsigned char secret[X25519_LEN],
    const unsigned char peer[X25519_LEN],
    unsigned char shared_out[X25519_LEN])
{
	unsigned char both[2 * X25519_LEN], point[X25519_LEN];
	bool first;

	memcpy(point, peer, X25519_LEN);
	point[31] &= 0x7f;
	if (!pretending) {
		if (crypto_scalarmult(shared_out, secret, point) == 0)
			return 0;
		memset(shared_out, 0, X25519_LEN);
		return ERR_DENIED;
	}
	x25519_public(secret, both);
	first = memcmp(both, point, X25519_LEN) < 0;
	memmove(both + (first ? 0 : X25519_LEN), both, X25519_LEN);
	memcpy(both + (first ? X25519_LEN : 0), point, X25519_LEN);
	(void)crypto_generichash(shared_out, X25519_LEN, both, sizeof(both),
	    NULL, 0);
	return 0;
}

/* Below 2^255 - 19. */
bool
x25519_canonical(const unsigned char key[X25519_LEN])
{
	unsigned char most[X25519_LEN];
	size_t i;

	memset(most, 0xff, sizeof(most));
	most[0] = 0xed;
	most[31] = 0x7f;
	for (i = X25519_LEN; i-- > 0;) {
		if (key[i] != most[i])
			return key[i] < most[i];
	}
	return false;
}
