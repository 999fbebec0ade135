/* SPDX-License-Identifier: ISC */
/*
 * SHA-256 by libsodium, behind a struct of our own so that its header stays
 * in here.
 */
#include "base/text.h"

#include <sodium.h>

_Static_assert(sizeof(crypto_hash_sha256_state) <=
    sizeof(((struct sha256 *)0)->state), "room for libsodium's state");

static crypto_hash_sha256_state *
inner(struct sha256 *h)
{
	return (crypto_hash_sha256_state *)(void *)h->state;
}

void
sha256_init(struct sha256 *h)
{
	crypto_hash_sha256_init(inner(h));
}

void
sha256_add(struct sha256 *h, const void *bytes, size_t len)
{
	if (len > 0)
		crypto_hash_sha256_update(inner(h), bytes, len);
}

void
sha256_end(struct sha256 *h, unsigned char digest_out[SHA256_LEN])
{
	crypto_hash_sha256_final(inner(h), digest_out);
}
