/* SPDX-License-Identifier: ISC */
#ifndef BASE_X25519_H
#define BASE_X25519_H
/* Key agreement on Curve25519 (RFC 7748), by libsodium. */
#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"

#define X25519_LEN 32	/* octets of a secret, a public and a shared key */

/* A fresh secret key: 32 octets of the generator. */
void x25519_secret(struct rng *rng, unsigned char secret_out[X25519_LEN]);
/* The public key of a secret one. */
void x25519_public(const unsigned char secret[X25519_LEN],
    unsigned char public_out[X25519_LEN]);
/* What both ends share.  Bit 255 of the peer's key is passed over (RFC 7748
 * 5).  0, or ERR_DENIED if the peer's key is a point of low order, where the
 * result would be zero whatever our secret (RFC 7748 6.1); shared_out is then
 * zero. */
int x25519_shared(const unsigned char secret[X25519_LEN],
    const unsigned char peer[X25519_LEN],
    unsigned char shared_out[X25519_LEN]) MUST_CHECK;
/* Whether it is the one way to write its point: bit 255 is not set and the
 * number is below 2^255-19.  Keys in cards are to be so. */
bool x25519_canonical(const unsigned char key[X25519_LEN]);

#endif
