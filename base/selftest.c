/* SPDX-License-Identifier: ISC */
/*
 * Known answers at start.  Those of SHA-256, HMAC, HKDF, X25519 and Ed25519
 * are the RFCs' (6234, 4231, 5869, 7748, 8032); the others were computed with
 * another implementation.  A wrong build of the library, or of ours, is found
 * before it seals anything.
 */
#include "base/selftest.h"

#include <sodium.h>

#include "base/ed25519.h"
#include "base/kdf.h"
#include "base/noise.h"
#include "base/text.h"

struct known {
	const char *name, *answer;	/* in hex */
	/* Appends the answer in octets; false: something did not hold. */
	bool (*compute)(struct buf *out);
};

/* Counts up from first. */
static void
count_up(unsigned char *bytes, size_t len, unsigned char first)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (unsigned char)(first + i);
}

static bool
know_sha256(struct buf *out)
{
	unsigned char digest[SHA256_LEN];
	struct sha256 h;

	sha256_init(&h);
	sha256_add(&h, "abc", 3);
	sha256_end(&h, digest);
	buf_add(out, digest, sizeof(digest));
	return true;
}

static bool
know_hmac(struct buf *out)
{
	unsigned char mac[KDF_LEN];

	hmac_sha256(SLICE_LIT("Jefe"),
	    SLICE_LIT("what do ya want for nothing?"), mac);
	buf_add(out, mac, sizeof(mac));
	return true;
}

static bool
know_hkdf(struct buf *out)
{
	unsigned char salt[13], info[10], prk[KDF_LEN];
	unsigned char *okm = (unsigned char *)buf_room(out, 42);

	count_up(salt, sizeof(salt), 0);
	count_up(info, sizeof(info), 0xf0);
	hkdf_extract((struct slice){ (char *)salt, sizeof(salt) },
	    SLICE_LIT("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"
	    "\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"), prk);
	hkdf_expand(prk, (struct slice){ (char *)info, sizeof(info) },
	    okm, 42);
	buf_grown(out, 42);
	return true;
}

/* RFC 7748 5.2, the second: a peer's key with bit 255 set. */
static bool
know_x25519(struct buf *out)
{
	static const unsigned char secret[X25519_LEN] = {
		0x4b, 0x66, 0xe9, 0xd4, 0xd1, 0xb4, 0x67, 0x3c,
		0x5a, 0xd2, 0x26, 0x91, 0x95, 0x7d, 0x6a, 0xf5,
		0xc1, 0x1b, 0x64, 0x21, 0xe0, 0xea, 0x01, 0xd4,
		0x2c, 0xa4, 0x16, 0x9e, 0x79, 0x18, 0xba, 0x0d,
	};
	static const unsigned char peer[X25519_LEN] = {
		0xe5, 0x21, 0x0f, 0x12, 0x78, 0x68, 0x11, 0xd3,
		0xf4, 0xb7, 0x95, 0x9d, 0x05, 0x38, 0xae, 0x2c,
		0x31, 0xdb, 0xe7, 0x10, 0x6f, 0xc0, 0x3c, 0x3e,
		0xfc, 0x4c, 0xd5, 0x49, 0xc7, 0x15, 0xa4, 0x93,
	};
	static const unsigned char zero[X25519_LEN];
	unsigned char shared[X25519_LEN];

	if (x25519_shared(secret, zero, shared) != ERR_DENIED ||
	    x25519_shared(secret, peer, shared) != 0)
		return false;
	buf_add(out, shared, sizeof(shared));
	return true;
}

static bool
know_aead(struct buf *out)
{
	struct noise_cipher c = { .keyed = true,
	    .nonce = UINT64_C(0x0807060504030201) };
	struct noise_cipher d = c;
	struct slice ad = SLICE_LIT("label");
	bool good;

	count_up(c.key, sizeof(c.key), 0x80);
	d = c;
	good = noise_encrypt(&c, ad, SLICE_LIT("nothing in clear"), out,
	    NULL) == 0;
	good = good && noise_verify(&d, SLICE_LIT("libel"), buf_slice(out),
	    NULL) == ERR_CORRUPT;
	return good && noise_verify(&d, ad, buf_slice(out), NULL) == 0;
}

static bool
know_ed25519(struct buf *out)
{
	static const unsigned char secret[ED25519_LEN] = {
		0x4c, 0xcd, 0x08, 0x9b, 0x28, 0xff, 0x96, 0xda,
		0x9d, 0xb6, 0xc3, 0x46, 0xec, 0x11, 0x4e, 0x0f,
		0x5b, 0x8a, 0x31, 0x9f, 0x35, 0xab, 0xa6, 0x24,
		0xda, 0x8c, 0xf6, 0xed, 0x4f, 0xb8, 0xa6, 0xfb,
	};
	unsigned char public[ED25519_LEN];
	unsigned char signature[ED25519_SIGNATURE_LEN];

	ed25519_public(secret, public);
	ed25519_sign(secret, SLICE_LIT("\x72"), signature);
	buf_add(out, public, sizeof(public));
	buf_add(out, signature, sizeof(signature));
	return ed25519_verify(public, SLICE_LIT("\x72"), signature) == 0 &&
	    ed25519_verify(public, SLICE_LIT("\x73"), signature) != 0;
}

static bool
know_ed25519ph(struct buf *out)
{
	unsigned char secret[ED25519_LEN], public[ED25519_LEN];
	unsigned char signature[ED25519_SIGNATURE_LEN];
	struct ed25519_stream st;

	count_up(secret, sizeof(secret), 0);
	ed25519_public(secret, public);
	ed25519_stream_init(&st, SLICE_LIT("parcel"));
	ed25519_stream_add(&st, "read me ", 8);
	ed25519_stream_add(&st, "on the air", 10);
	ed25519_stream_sign(&st, secret, signature);
	buf_add(out, signature, sizeof(signature));
	ed25519_stream_init(&st, SLICE_LIT("parcel"));
	ed25519_stream_add(&st, "read me on the air", 18);
	return ed25519_stream_verify(&st, public, signature) == 0;
}

static void
fill_counting(struct rng *r, void *bytes, size_t len)
{
	(void)r;
	count_up(bytes, len, 1);
}

/* A parcel's seal from one end to the other: the channel's hash and the first
 * message behind the handshake. */
static bool
know_noise(struct buf *out)
{
	struct rng counting = { fill_counting };
	unsigned char secret[X25519_LEN], psk[NOISE_KEY_LEN];
	unsigned char theirs[X25519_LEN], remote[X25519_LEN];
	struct noise_params p = { .pattern = NOISE_XPSK1, .initiator = true,
	    .prologue = SLICE_LIT("postrider"), .secret = secret,
	    .remote = remote, .psk = psk, .rng = &counting };
	struct buf message = BUF_INIT, plain = BUF_INIT;
	struct noise_cipher c;
	struct noise n, m;
	bool good;

	count_up(secret, sizeof(secret), 33);
	count_up(theirs, sizeof(theirs), 65);
	count_up(psk, sizeof(psk), 97);
	x25519_public(theirs, remote);
	noise_init(&n, &p);
	p.initiator = false;
	p.secret = theirs;
	noise_init(&m, &p);
	good = noise_write(&n, SLICE_LIT("self-test"), &message, NULL) == 0 &&
	    noise_read(&m, buf_slice(&message), &plain, NULL) == 0 &&
	    slice_eqs(buf_slice(&plain), "self-test");
	if (good) {
		buf_add(out, m.hash, sizeof(m.hash));
		noise_split(&n, &c, NULL);
		good = noise_encrypt(&c, SLICE_LIT(""),
		    SLICE_LIT("sealed bag"), out, NULL) == 0;
	}
	noise_release(&n);
	noise_release(&m);
	buf_release(&message);
	buf_release(&plain);
	return good;
}

static const struct known answers[] = {
	{ "SHA-256",
	    "ba7816bf8f01cfea414140de5dae2223"
	    "b00361a396177a9cb410ff61f20015ad", know_sha256 },
	{ "HMAC-SHA-256",
	    "5bdcc146bf60754e6a042426089575c7"
	    "5a003f089d2739839dec58b964ec3843", know_hmac },
	{ "HKDF-SHA-256",
	    "3cb25f25faacd57a90434f64d0362f2a"
	    "2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
	    "34007208d5b887185865", know_hkdf },
	{ "X25519",
	    "95cbde9476e8907d7aade45cb4b873f8"
	    "8b595a68799fa152e6f8f7647aac7957", know_x25519 },
	{ "ChaCha20-Poly1305",
	    "8fd660907e8b10d836f743df5589de52"
	    "efadcdaea75c15533ac62b42c78983b2", know_aead },
	{ "Ed25519",
	    "3d4017c3e843895a92b70aa74d1b7ebc"
	    "9c982ccf2ec4968cc0cd55f12af4660c"
	    "92a009a9f0d4cab8720e820b5f642540"
	    "a2b27b5416503f8fb3762223ebdb69da"
	    "085ac1e43e15996e458f3613d0f11d8c"
	    "387b2eaeb4302aeeb00d291612bb0c00", know_ed25519 },
	{ "Ed25519ph",
	    "9abe930073c4baeae830623da8b20892"
	    "879039513522c0c545a6e7578b3b127d"
	    "986a5db7052836ff660b48bec660fc2d"
	    "4c058737e537c6873e0cffdda9ddc80f", know_ed25519ph },
	{ "Noise",
	    "23d811da144c1e71069e204e4c74e58a"
	    "98c1b8756973fc34ea8795a63b1f999c"
	    "de1bcba9ccc8c298b5f7a2c8720fae9b"
	    "8f956a59f51503fe0533", know_noise },
};

static bool
answers_right(const struct known *k)
{
	struct buf got = BUF_INIT, hex = BUF_INIT;
	bool right = k->compute(&got);

	hex_encode(&hex, got.ptr, got.len);
	right = right && slice_eqs(buf_slice(&hex), k->answer);
	buf_release(&got);
	buf_release(&hex);
	return right;
}

int
crypto_selftest(struct err *e)
{
	if (sodium_init() < 0)
		return err_set(e, ERR_CORRUPT, "libsodium does not start");
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (!answers_right(&answers[i]))
			return err_set(e, ERR_CORRUPT, "%s gives wrong "
			    "answers: this machine, libsodium or this program "
			    "is broken, and nothing is sealed with it",
			    answers[i].name);
	return 0;
}
