/* SPDX-License-Identifier: ISC */
/*
 * Keys, signatures and derivation: the answers of the RFCs beyond those of
 * the self-test, and what must not hold.
 */
#include "base/ed25519.h"
#include "base/kdf.h"
#include "base/secret.h"
#include "base/selftest.h"
#include "base/text.h"
#include "base/x25519.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void
assert_hex(const unsigned char *bytes, size_t len, const char *want)
{
	struct buf hex = BUF_INIT;

	hex_encode(&hex, bytes, len);
	assert_string_equal(buf_cstr(&hex), want);
	buf_release(&hex);
}

static void
test_selftest(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(crypto_selftest(&e), 0);
	assert_string_equal(e.text, "");
}

static void
test_secret(void **state)
{
	char a[40], b[40];

	(void)state;
	memset(a, 7, sizeof(a));
	memset(b, 7, sizeof(b));
	assert_true(secret_equal(a, b, sizeof(a)));
	b[39] = 6;
	assert_false(secret_equal(a, b, sizeof(a)));
	assert_true(secret_equal(a, b, 39));
	assert_false(secret_is_zero(a, sizeof(a)));
	secret_wipe(a, 39);
	assert_true(secret_is_zero(a, 39));
	assert_int_equal(a[39], 7);
}

/* RFC 4231, cases 1, 3 and 6 (a key longer than a block). */
static void
test_hmac(void **state)
{
	unsigned char key[131], data[50], mac[KDF_LEN];

	(void)state;
	memset(key, 0x0b, 20);
	hmac_sha256((struct slice){ (char *)key, 20 }, SLICE_LIT("Hi There"),
	    mac);
	assert_hex(mac, KDF_LEN, "b0344c61d8db38535ca8afceaf0bf12b"
	    "881dc200c9833da726e9376c2e32cff7");
	memset(key, 0xaa, sizeof(key));
	memset(data, 0xdd, sizeof(data));
	hmac_sha256((struct slice){ (char *)key, 20 },
	    (struct slice){ (char *)data, sizeof(data) }, mac);
	assert_hex(mac, KDF_LEN, "773ea91e36800e46854db8ebd09181a7"
	    "2959098b3ef8c122d9635514ced565fe");
	hmac_sha256((struct slice){ (char *)key, sizeof(key) },
	    SLICE_LIT("Test Using Larger Than Block-Size Key - Hash Key "
	    "First"), mac);
	assert_hex(mac, KDF_LEN, "60e431591ee0b67f0d8a26aacbf5b77f"
	    "8e0bc6213728c5140546040f0ee37f54");
}

/* RFC 5869, cases 2 (three blocks) and 3 (neither salt nor info). */
static void
test_hkdf(void **state)
{
	unsigned char bytes[256], prk[KDF_LEN], okm[82];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)i;
	hkdf_extract((struct slice){ (char *)bytes + 0x60, 80 },
	    (struct slice){ (char *)bytes, 80 }, prk);
	assert_hex(prk, KDF_LEN, "06a6b88c5853361a06104c9ceb35b45c"
	    "ef760014904671014a193f40c15fc244");
	hkdf_expand(prk, (struct slice){ (char *)bytes + 0xb0, 80 }, okm, 82);
	assert_hex(okm, 82, "b11e398dc80327a1c8e7f78c596a4934"
	    "4f012eda2d4efad8a050cc4c19afa97c"
	    "59045a99cac7827271cb41c65e590e09"
	    "da3275600c2f09b8367793a9aca3db71"
	    "cc30c58179ec3e87c14c01d5c1f3434f"
	    "1d87");
	memset(bytes, 0x0b, 22);
	hkdf_extract(SLICE_LIT(""), (struct slice){ (char *)bytes, 22 }, prk);
	assert_hex(prk, KDF_LEN, "19ef24a32c717b167f33a91d6f648bdf"
	    "96596776afdb6377ac434c1c293ccb04");
	hkdf_expand(prk, SLICE_LIT(""), okm, 42);
	assert_hex(okm, 42, "8da4e775a563c18f715f802a063c5a31"
	    "b8a11f5c5ee1879ec3454e5f3c738d2d"
	    "9d201395faa4b61a96c8");
}

/* Noise's form is the other with no info, cut up. */
static void
test_hkdf_noise(void **state)
{
	unsigned char ck[KDF_LEN] = "thirty-two octets of chaining k", two[32];
	unsigned char prk[KDF_LEN], okm[96], three[32], one[32];

	(void)state;
	hkdf_extract((struct slice){ (char *)ck, 32 }, SLICE_LIT("input"),
	    prk);
	hkdf_expand(prk, SLICE_LIT(""), okm, 96);
	hkdf_noise(ck, SLICE_LIT("input"), one, two, three);
	assert_memory_equal(one, okm, 32);
	assert_memory_equal(two, okm + 32, 32);
	assert_memory_equal(three, okm + 64, 32);
	hkdf_noise(ck, SLICE_LIT("input"), ck, two, NULL);
	assert_memory_equal(ck, okm, 32);
	assert_memory_equal(two, okm + 32, 32);
}

/* RFC 7748 5.2: a thousand times. */
static void
test_x25519_iterated(void **state)
{
	unsigned char k[32] = { 9 }, u[32] = { 9 }, next[32];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(x25519_shared(k, u, next), 0);
		memcpy(u, k, 32);
		memcpy(k, next, 32);
		if (i == 0)
			assert_hex(k, 32, "422c8e7a6227d7bca1350b3e2bb7279f"
			    "7897b87bb6854b783c60e80311ae3079");
	}
	assert_hex(k, 32, "684cf59ba83309552800ef566f2f4d3c"
	    "1c3887c49360e3875f2eb94d99532c51");
}

static void
test_x25519_both_ways(void **state)
{
	unsigned char a[32], b[32], pa[32], pb[32], one[32], other[32];
	struct rng_seeded rng;

	(void)state;
	rng_seeded_init(&rng, 5);
	x25519_secret(&rng.rng, a);
	x25519_secret(&rng.rng, b);
	x25519_public(a, pa);
	x25519_public(b, pb);
	assert_int_equal(x25519_shared(a, pb, one), 0);
	assert_int_equal(x25519_shared(b, pa, other), 0);
	assert_memory_equal(one, other, 32);
	pa[31] |= 0x80;
	assert_int_equal(x25519_shared(b, pa, other), 0);
	assert_memory_equal(one, other, 32);
	assert_true(x25519_canonical(pb));
	assert_false(x25519_canonical(pa));
}

static void
test_x25519_canonical(void **state)
{
	unsigned char key[32];

	(void)state;
	memset(key, 0xff, sizeof(key));
	key[31] = 0x7f;
	for (unsigned first = 0; first < 256; first++) {
		key[0] = (unsigned char)first;
		assert_int_equal(x25519_canonical(key), first < 0xed);
	}
	for (size_t i = 1; i < 31; i++) {
		key[i] = 0xfe;
		assert_true(x25519_canonical(key));
		key[i] = 0xff;
	}
	key[31] = 0x7e;
	assert_true(x25519_canonical(key));
	key[31] = 0x80;
	assert_false(x25519_canonical(key));
}

static void
test_ed25519(void **state)
{
	unsigned char secret[32], public[32], other[32], sig[64];
	struct slice text = SLICE_LIT("site paris\n");
	struct rng_seeded rng;

	(void)state;
	rng_seeded_init(&rng, 6);
	ed25519_secret(&rng.rng, secret);
	ed25519_public(secret, public);
	ed25519_sign(secret, text, sig);
	assert_int_equal(ed25519_verify(public, text, sig), 0);
	for (size_t i = 0; i < sizeof(sig) * 8; i++) {
		sig[i / 8] ^= (unsigned char)(1 << i % 8);
		assert_int_equal(ed25519_verify(public, text, sig),
		    ERR_CORRUPT);
		sig[i / 8] ^= (unsigned char)(1 << i % 8);
	}
	assert_int_equal(ed25519_verify(public, SLICE_LIT("site parit\n"),
	    sig), ERR_CORRUPT);
	ed25519_secret(&rng.rng, secret);
	ed25519_public(secret, other);
	assert_int_equal(ed25519_verify(other, text, sig), ERR_CORRUPT);
}

/* The identity: with it as a key R = S B verifies for any message, S = 0 for
 * the all-zero rest. */
static void
test_ed25519_low_order(void **state)
{
	unsigned char key[32] = { 1 }, sig[64] = { 1 };

	(void)state;
	assert_int_equal(ed25519_verify(key, SLICE_LIT("anything"), sig),
	    ERR_CORRUPT);
}

static int
stream_verify(const unsigned char *public, const char *context,
    const char *text, const unsigned char *sig)
{
	struct ed25519_stream st;

	ed25519_stream_init(&st, slice_of(context));
	for (; *text != '\0'; text++)
		ed25519_stream_add(&st, text, 1);
	return ed25519_stream_verify(&st, public, sig);
}

static void
test_ed25519_stream(void **state)
{
	unsigned char secret[32], public[32], sig[64];
	struct ed25519_stream st;
	struct rng_seeded rng;

	(void)state;
	rng_seeded_init(&rng, 8);
	ed25519_secret(&rng.rng, secret);
	ed25519_public(secret, public);
	ed25519_stream_init(&st, SLICE_LIT("parcel"));
	ed25519_stream_add(&st, "in clear", 8);
	ed25519_stream_sign(&st, secret, sig);
	assert_int_equal(stream_verify(public, "parcel", "in clear", sig), 0);
	assert_int_equal(stream_verify(public, "parcel", "in cleaR", sig),
	    ERR_CORRUPT);
	assert_int_equal(stream_verify(public, "bundle", "in clear", sig),
	    ERR_CORRUPT);
	/* context and message do not run into each other */
	assert_int_equal(stream_verify(public, "parceli", "n clear", sig),
	    ERR_CORRUPT);
	assert_int_equal(stream_verify(public, "parce", "lin clear", sig),
	    ERR_CORRUPT);
	/* and it is no signature of the other kind */
	assert_int_equal(ed25519_verify(public, SLICE_LIT("\006parcelin clear"),
	    sig), ERR_CORRUPT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_selftest),
		cmocka_unit_test(test_secret),
		cmocka_unit_test(test_hmac),
		cmocka_unit_test(test_hkdf),
		cmocka_unit_test(test_hkdf_noise),
		cmocka_unit_test(test_x25519_iterated),
		cmocka_unit_test(test_x25519_both_ways),
		cmocka_unit_test(test_x25519_canonical),
		cmocka_unit_test(test_ed25519),
		cmocka_unit_test(test_ed25519_low_order),
		cmocka_unit_test(test_ed25519_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
