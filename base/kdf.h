/* SPDX-License-Identifier: ISC */
#ifndef BASE_KDF_H
#define BASE_KDF_H
/*
 * Keys out of keys: HMAC (RFC 2104) and HKDF (RFC 5869) with SHA-256, and
 * HKDF the way the Noise framework uses it.  Octets come in, octets go out;
 * nothing fails.
 */
#include <stddef.h>

#include "base/buf.h"

#define KDF_LEN 32		/* octets of a digest and of a derived key */
#define KDF_EXPAND_MAX (255 * KDF_LEN)

/* RFC 2104. */
void hmac_sha256(struct slice key, struct slice data,
    unsigned char mac_out[KDF_LEN]);
/* RFC 5869 2.2; an empty salt stands for 32 zeros, as there. */
void hkdf_extract(struct slice salt, struct slice secret,
    unsigned char prk_out[KDF_LEN]);
/* RFC 5869 2.3: len octets, 1 .. KDF_EXPAND_MAX. */
void hkdf_expand(const unsigned char prk[KDF_LEN], struct slice info,
    void *key_out, size_t len);
/* Noise, 4.3 HKDF(chaining_key, input_key_material, 2 or 3): outputs of 32
 * octets each; the third is left out where its pointer is NULL.  Any output
 * may be the chaining key's own memory. */
void hkdf_noise(const unsigned char chaining[KDF_LEN], struct slice input,
    unsigned char *one_out, unsigned char *two_out, unsigned char *three_out);

#endif
