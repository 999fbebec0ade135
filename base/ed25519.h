/* SPDX-License-Identifier: ISC */
#ifndef BASE_ED25519_H
#define BASE_ED25519_H
/*
 * Signatures (RFC 8032), by libsodium.  A secret key is its 32-octet seed; the
 * public key is made anew for each signature, since a signature made with a
 * wrong one gives the secret away.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

#define ED25519_LEN 32
#define ED25519_SIGNATURE_LEN 64

void ed25519_secret(struct rng *rng, unsigned char secret_out[ED25519_LEN]);
void ed25519_public(const unsigned char secret[ED25519_LEN],
    unsigned char public_out[ED25519_LEN]);
/* RFC 8032 5.1.6, PureEdDSA. */
void ed25519_sign(const unsigned char secret[ED25519_LEN],
    struct slice message,
    unsigned char signature_out[ED25519_SIGNATURE_LEN]);
/* RFC 8032 5.1.7.  0, or ERR_CORRUPT: not this key's signature of this
 * message.  Keys of low order and signatures not in canonical form never
 * verify. */
int ed25519_verify(const unsigned char public[ED25519_LEN],
    struct slice message,
    const unsigned char signature[ED25519_SIGNATURE_LEN]) MUST_CHECK;

/*
 * Ed25519ph for what is too long to hold.  libsodium has it without the
 * context of RFC 8032 5.1, so the context is the first of the hashed octets:
 * its length in one octet, then itself.
 *
 *	ed25519_stream_init, ed25519_stream_add ...,
 *	ed25519_stream_sign or ed25519_stream_verify, which end it.
 */
struct ed25519_stream {
	unsigned char state[256];	/* crypto_sign_state */
} __attribute__((aligned(16)));

/* context: what the signature is for, at most 255 octets. */
void ed25519_stream_init(struct ed25519_stream *st, struct slice context);
void ed25519_stream_add(struct ed25519_stream *st, const void *bytes,
    size_t len);
void ed25519_stream_sign(struct ed25519_stream *st,
    const unsigned char secret[ED25519_LEN],
    unsigned char signature_out[ED25519_SIGNATURE_LEN]);
/* As ed25519_verify. */
int ed25519_stream_verify(struct ed25519_stream *st,
    const unsigned char public[ED25519_LEN],
    const unsigned char signature[ED25519_SIGNATURE_LEN]) MUST_CHECK;

#endif
