/* SPDX-License-Identifier: ISC */
/*
 * The cipher of the Noise framework: ChaCha20-Poly1305 (RFC 8439) with the
 * nonce of 32 zero bits and a 64-bit little-endian number (Noise 12.3).
 */
#include "base/noise.h"

#include <sodium.h>

#include "base/secret.h"

#define NONCE_LEN crypto_aead_chacha20poly1305_IETF_NPUBBYTES

_Static_assert(NOISE_TAG_LEN == crypto_aead_chacha20poly1305_IETF_ABYTES &&
    NOISE_KEY_LEN == crypto_aead_chacha20poly1305_IETF_KEYBYTES,
    "the same cipher");

static void
nonce_bytes(uint64_t nonce, unsigned char out[NONCE_LEN])
{
	memset(out, 0, NONCE_LEN);
	for (size_t i = 0; i < 8; i++)
		out[4 + i] = (unsigned char)(nonce >> 8 * i);
}

static int
check_nonce(const struct noise_cipher *c, struct err *e)
{
	if (c->nonce != UINT64_MAX)
		return 0;
	return err_set(e, ERR_LIMIT, "this key has sealed 2^64-1 messages "
	    "and seals no more");
}

static int
check_sealed(const struct noise_cipher *c, struct slice sealed,
    struct err *e)
{
	if (sealed.len > NOISE_MESSAGE_MAX)
		return err_set(e, ERR_LIMIT, "%zu octets are more than a "
		    "Noise message has (%d)", sealed.len, NOISE_MESSAGE_MAX);
	if (sealed.len < NOISE_TAG_LEN)
		return err_set(e, ERR_SYNTAX, "%zu octets are fewer than a "
		    "tag has (%d)", sealed.len, NOISE_TAG_LEN);
	return check_nonce(c, e);
}

int
noise_encrypt(struct noise_cipher *c, struct slice ad, struct slice plain,
    struct buf *out, struct err *e)
{
	unsigned char nonce[NONCE_LEN];
	unsigned char *to;
	int rc;

	if (plain.len > NOISE_MESSAGE_MAX - NOISE_TAG_LEN)
		return err_set(e, ERR_LIMIT, "%zu octets do not fit into a "
		    "Noise message (%d)", plain.len,
		    NOISE_MESSAGE_MAX - NOISE_TAG_LEN);
	rc = check_nonce(c, e);
	if (rc != 0)
		return rc;
	nonce_bytes(c->nonce++, nonce);
	to = (unsigned char *)buf_room(out, plain.len + NOISE_TAG_LEN);
	(void)crypto_aead_chacha20poly1305_ietf_encrypt(to, NULL,
	    (const unsigned char *)plain.ptr, plain.len,
	    (const unsigned char *)ad.ptr, ad.len, NULL, nonce, c->key);
	buf_grown(out, plain.len + NOISE_TAG_LEN);
	return 0;
}

/* Decrypts to `to`; NULL only verifies. */
static int
open_sealed(struct noise_cipher *c, struct slice ad, struct slice sealed,
    unsigned char *to, struct err *e)
{
	const unsigned char *from = (const unsigned char *)sealed.ptr;
	size_t len = sealed.len - NOISE_TAG_LEN;
	unsigned char nonce[NONCE_LEN];

	nonce_bytes(c->nonce, nonce);
	if (crypto_aead_chacha20poly1305_ietf_decrypt_detached(to, NULL,
	    from, len, from + len, (const unsigned char *)ad.ptr, ad.len,
	    nonce, c->key) != 0)
		return err_set(e, ERR_CORRUPT, "it was changed, or sealed "
		    "with other keys");
	c->nonce++;
	return 0;
}

int
noise_decrypt(struct noise_cipher *c, struct slice ad, struct slice sealed,
    struct buf *out, struct err *e)
{
	int rc = check_sealed(c, sealed, e);

	/* There is room even for nothing, since NULL only verifies. */
	if (rc == 0)
		rc = open_sealed(c, ad, sealed,
		    (unsigned char *)buf_room(out, sealed.len), e);
	if (rc == 0)
		buf_grown(out, sealed.len - NOISE_TAG_LEN);
	return rc;
}

int
noise_verify(struct noise_cipher *c, struct slice ad, struct slice sealed,
    struct err *e)
{
	int rc = check_sealed(c, sealed, e);

	return rc != 0 ? rc : open_sealed(c, ad, sealed, NULL, e);
}

void
noise_cipher_release(struct noise_cipher *c)
{
	secret_wipe(c, sizeof(*c));
}
