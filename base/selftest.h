/* SPDX-License-Identifier: ISC */
#ifndef BASE_SELFTEST_H
#define BASE_SELFTEST_H
#include "base/err.h"

/*
 * Known answers for all that sealing and signing stand on: SHA-256, HMAC,
 * HKDF, X25519, ChaCha20-Poly1305, Ed25519 and Noise.  Every program that
 * touches keys calls it before it does (some milliseconds).  0, or ERR_CORRUPT
 * with the name of what is wrong: then no key may be used.
 */
int crypto_selftest(struct err *e) MUST_CHECK;

#endif
