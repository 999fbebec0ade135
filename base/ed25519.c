/* SPDX-License-Identifier: ISC */
/* Ed25519 by libsodium, from seeds, with a context for the hashed variant. */
#include "base/ed25519.h"

#include <assert.h>
#include <sodium.h>

#include "base/secret.h"

_Static_assert(sizeof(crypto_sign_state) <=
    sizeof(((struct ed25519_stream *)0)->state), "room for libsodium's state");

#define EXPANDED_LEN crypto_sign_SECRETKEYBYTES

void
ed25519_secret(struct rng *rng, unsigned char secret_out[ED25519_LEN])
{
	rng_fill(rng, secret_out, ED25519_LEN);
}

void
ed25519_public(const unsigned char secret[ED25519_LEN],
    unsigned char public_out[ED25519_LEN])
{
	unsigned char expanded[EXPANDED_LEN];

	(void)crypto_sign_seed_keypair(public_out, expanded, secret);
	secret_wipe(expanded, sizeof(expanded));
}

void
ed25519_sign(const unsigned char secret[ED25519_LEN], struct slice message,
    unsigned char signature_out[ED25519_SIGNATURE_LEN])
{
	unsigned char public[ED25519_LEN], expanded[EXPANDED_LEN];

	(void)crypto_sign_seed_keypair(public, expanded, secret);
	(void)crypto_sign_detached(signature_out, NULL,
	    (const unsigned char *)message.ptr, message.len, expanded);
	secret_wipe(expanded, sizeof(expanded));
}

int
ed25519_verify(const unsigned char public[ED25519_LEN], struct slice message,
    const unsigned char signature[ED25519_SIGNATURE_LEN])
{
	return crypto_sign_verify_detached(signature,
	    (const unsigned char *)message.ptr, message.len, public) == 0 ?
	    0 : ERR_CORRUPT;
}

static crypto_sign_state *
inner(struct ed25519_stream *st)
{
	return (crypto_sign_state *)(void *)st->state;
}

void
ed25519_stream_init(struct ed25519_stream *st, struct slice context)
{
	unsigned char len = (unsigned char)context.len;

	assert(context.len <= UINT8_MAX);
	(void)crypto_sign_init(inner(st));
	ed25519_stream_add(st, &len, 1);
	ed25519_stream_add(st, context.ptr, len);
}

void
ed25519_stream_add(struct ed25519_stream *st, const void *bytes, size_t len)
{
	if (len > 0)
		(void)crypto_sign_update(inner(st), bytes, len);
}

void
ed25519_stream_sign(struct ed25519_stream *st,
    const unsigned char secret[ED25519_LEN],
    unsigned char signature_out[ED25519_SIGNATURE_LEN])
{
	unsigned char public[ED25519_LEN], expanded[EXPANDED_LEN];

	(void)crypto_sign_seed_keypair(public, expanded, secret);
	(void)crypto_sign_final_create(inner(st), signature_out, NULL,
	    expanded);
	secret_wipe(expanded, sizeof(expanded));
}

int
ed25519_stream_verify(struct ed25519_stream *st,
    const unsigned char public[ED25519_LEN],
    const unsigned char signature[ED25519_SIGNATURE_LEN])
{
	return crypto_sign_final_verify(inner(st), signature, public) == 0 ?
	    0 : ERR_CORRUPT;
}
