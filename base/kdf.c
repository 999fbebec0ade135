/* SPDX-License-Identifier: ISC */
/*
 * HMAC and HKDF.  Debian's libsodium has no HKDF for SHA-256 (it came with
 * 1.0.19), so it is written here over its HMAC; the known answers of the RFCs
 * hold it in place.
 */
#include "base/kdf.h"

#include <assert.h>
#include <sodium.h>

#include "base/secret.h"

static void
mac_add(crypto_auth_hmacsha256_state *mac, struct slice s)
{
	if (s.len > 0)
		crypto_auth_hmacsha256_update(mac,
		    (const unsigned char *)s.ptr, s.len);
}

static void
mac_init(crypto_auth_hmacsha256_state *mac, struct slice key)
{
	static const unsigned char none[1];

	crypto_auth_hmacsha256_init(mac, key.len > 0 ?
	    (const unsigned char *)key.ptr : none, key.len);
}

static struct slice
octets(const unsigned char *bytes, size_t len)
{
	return (struct slice){ (const char *)bytes, len };
}

void
hmac_sha256(struct slice key, struct slice data,
    unsigned char mac_out[KDF_LEN])
{
	crypto_auth_hmacsha256_state mac;

	mac_init(&mac, key);
	mac_add(&mac, data);
	crypto_auth_hmacsha256_final(&mac, mac_out);
	secret_wipe(&mac, sizeof(mac));
}

void
hkdf_extract(struct slice salt, struct slice secret,
    unsigned char prk_out[KDF_LEN])
{
	/* HMAC pads its key with zeros, so no salt is 32 zeros. */
	hmac_sha256(salt, secret, prk_out);
}

void
hkdf_expand(const unsigned char prk[KDF_LEN], struct slice info,
    void *key_out, size_t len)
{
	crypto_auth_hmacsha256_state mac;
	unsigned char block[KDF_LEN];
	unsigned char *out = key_out;

	assert(len > 0 && len <= KDF_EXPAND_MAX);
	for (unsigned char i = 1; len > 0; i++) {
		size_t n = len < KDF_LEN ? len : KDF_LEN;

		mac_init(&mac, octets(prk, KDF_LEN));
		if (i > 1)
			mac_add(&mac, octets(block, KDF_LEN));
		mac_add(&mac, info);
		mac_add(&mac, octets(&i, 1));
		crypto_auth_hmacsha256_final(&mac, block);
		memcpy(out, block, n);
		out += n;
		len -= n;
	}
	secret_wipe(&mac, sizeof(mac));
	secret_wipe(block, sizeof(block));
}

void
hkdf_noise(const unsigned char chaining[KDF_LEN], struct slice input,
    unsigned char *one_out, unsigned char *two_out, unsigned char *three_out)
{
	unsigned char prk[KDF_LEN], keys[3 * KDF_LEN];

	hkdf_extract(octets(chaining, KDF_LEN), input, prk);
	hkdf_expand(prk, SLICE_LIT(""), keys,
	    (three_out != NULL ? 3 : 2) * KDF_LEN);
	memcpy(one_out, keys, KDF_LEN);
	memcpy(two_out, keys + KDF_LEN, KDF_LEN);
	if (three_out != NULL)
		memcpy(three_out, keys + 2 * KDF_LEN, KDF_LEN);
	secret_wipe(prk, sizeof(prk));
	secret_wipe(keys, sizeof(keys));
}
