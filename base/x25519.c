/* SPDX-License-Identifier: ISC */
/* Curve25519: libsodium's multiplication, with its edge cases spelled out. */
#include "base/x25519.h"

#include <sodium.h>
#include <string.h>

#include "base/secret.h"

_Static_assert(X25519_LEN == crypto_scalarmult_BYTES &&
    X25519_LEN == crypto_scalarmult_SCALARBYTES, "the same curve");

void
x25519_secret(struct rng *rng, unsigned char secret_out[X25519_LEN])
{
	rng_fill(rng, secret_out, X25519_LEN);
}

void
x25519_public(const unsigned char secret[X25519_LEN],
    unsigned char public_out[X25519_LEN])
{
	/* It fails for no secret: the base point is of prime order. */
	(void)crypto_scalarmult_base(public_out, secret);
}

int
x25519_shared(const unsigned char secret[X25519_LEN],
    const unsigned char peer[X25519_LEN],
    unsigned char shared_out[X25519_LEN])
{
	unsigned char point[X25519_LEN];

	memcpy(point, peer, X25519_LEN);
	point[31] &= 0x7f;
	if (crypto_scalarmult(shared_out, secret, point) == 0 &&
	    !secret_is_zero(shared_out, X25519_LEN))
		return 0;
	secret_wipe(shared_out, X25519_LEN);
	return ERR_DENIED;
}

bool
x25519_canonical(const unsigned char key[X25519_LEN])
{
	if (key[31] != 0x7f)
		return key[31] < 0x7f;
	for (size_t i = 30; i > 0; i--)
		if (key[i] != 0xff)
			return true;
	return key[0] < 0xed;
}
