/* SPDX-License-Identifier: ISC */
/*
 * The Noise framework: the vectors of other implementations, where they are
 * at hand, and for every pattern what must not open.
 */
#include "base/noise.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/secret.h"
#include "base/text.h"

#define VECTORS "../shared/vectors/noise.json"

/* Gives the octets it was given, once. */
struct fixed_rng {
	struct rng rng;
	unsigned char bytes[X25519_LEN];
};

static void
fixed_fill(struct rng *r, void *bytes, size_t len)
{
	struct fixed_rng *f = (struct fixed_rng *)(void *)r;

	assert_int_equal(len, X25519_LEN);
	memcpy(bytes, f->bytes, len);
}

static int
nibble(char c)
{
	const char *digits = "0123456789abcdef", *at = strchr(digits, c);

	assert_true(c != '\0' && at != NULL);
	return (int)(at - digits);
}

static void
unhex(struct buf *out, const char *hex)
{
	for (; *hex != '\0'; hex += 2)
		buf_addc(out, (char)(nibble(hex[0]) << 4 | nibble(hex[1])));
}

/* A key of the vector, or NULL. */
static const unsigned char *
vector_key(json_t *v, const char *name, unsigned char out[32])
{
	json_t *value = json_object_get(v, name);
	struct buf b = BUF_INIT;

	if (json_is_array(value))
		value = json_array_get(value, 0);
	if (value == NULL)
		return NULL;
	unhex(&b, json_string_value(value));
	assert_int_equal(b.len, 32);
	memcpy(out, b.ptr, 32);
	buf_release(&b);
	return out;
}

static enum noise_pattern
vector_pattern(json_t *v)
{
	const char *name = json_string_value(json_object_get(v,
	    "protocol_name"));
	int i = 0;

	assert_non_null(name);
	while (i < NOISE_PATTERNS &&
	    strcmp(noise_pattern_name((enum noise_pattern)i), name) != 0)
		i++;
	assert_true(i < NOISE_PATTERNS);
	return (enum noise_pattern)i;
}

static void
vector_init(struct noise *n, struct fixed_rng *rng, json_t *v, bool initiator)
{
	unsigned char secret[32], remote[32], psk[32];
	struct buf prologue = BUF_INIT;
	struct noise_params p = { .pattern = vector_pattern(v),
	    .initiator = initiator, .rng = &rng->rng };

	unhex(&prologue, json_string_value(json_object_get(v,
	    initiator ? "init_prologue" : "resp_prologue")));
	p.prologue = buf_slice(&prologue);
	p.secret = vector_key(v, initiator ? "init_static" : "resp_static",
	    secret);
	p.remote = vector_key(v, initiator ? "init_remote_static" :
	    "resp_remote_static", remote);
	p.psk = vector_key(v, initiator ? "init_psks" : "resp_psks", psk);
	rng->rng.fill = fixed_fill;
	vector_key(v, initiator ? "init_ephemeral" : "resp_ephemeral",
	    rng->bytes);
	noise_init(n, &p);
	buf_release(&prologue);
}

/* The two ends of a conversation, [0] the initiator. */
struct ends {
	struct noise n[2];
	struct fixed_rng rng[2];
	struct noise_cipher send[2], receive[2];
	bool split;
};

static void
vector_message(struct ends *ends, json_t *message, int from)
{
	struct buf plain = BUF_INIT, want = BUF_INIT;
	struct buf sealed = BUF_INIT, opened = BUF_INIT;
	struct err e = ERR_INIT;

	unhex(&plain, json_string_value(json_object_get(message, "payload")));
	unhex(&want,
	    json_string_value(json_object_get(message, "ciphertext")));
	if (!ends->split) {
		int step = ends->n[from].step;

		assert_int_equal(noise_write(&ends->n[from],
		    buf_slice(&plain), &sealed, &e), 0);
		assert_int_equal(sealed.len - plain.len,
		    noise_overhead(ends->n[from].p.pattern, step));
		assert_int_equal(noise_read(&ends->n[!from],
		    buf_slice(&sealed), &opened, &e), 0);
	} else {
		assert_int_equal(noise_encrypt(&ends->send[from],
		    SLICE_LIT(""), buf_slice(&plain), &sealed, &e), 0);
		assert_int_equal(noise_decrypt(&ends->receive[!from],
		    SLICE_LIT(""), buf_slice(&sealed), &opened, &e), 0);
	}
	assert_true(slice_eq(buf_slice(&sealed), buf_slice(&want)));
	assert_true(slice_eq(buf_slice(&opened), buf_slice(&plain)));
	buf_release(&plain);
	buf_release(&want);
	buf_release(&sealed);
	buf_release(&opened);
}

static bool
one_way(const struct noise *n)
{
	return noise_overhead(n->p.pattern, 1) == 0;
}

static void
play_vector(json_t *v)
{
	json_t *messages = json_object_get(v, "messages");
	unsigned char hash[32];
	struct ends ends = { .split = false };
	size_t count = 0;

	vector_init(&ends.n[0], &ends.rng[0], v, true);
	vector_init(&ends.n[1], &ends.rng[1], v, false);
	assert_non_null(vector_key(v, "handshake_hash", hash));
	for (size_t i = 0; i < json_array_size(messages); i++) {
		vector_message(&ends, json_array_get(messages, i),
		    one_way(&ends.n[0]) ? 0 : (int)(i % 2));
		count++;
		if (ends.split || !noise_done(&ends.n[0]))
			continue;
		for (int k = 0; k < 2; k++) {
			assert_true(noise_done(&ends.n[k]));
			assert_memory_equal(ends.n[k].hash, hash, 32);
			noise_split(&ends.n[k], &ends.send[k],
			    &ends.receive[k]);
		}
		ends.split = true;
	}
	assert_true(ends.split && count > 3);
	noise_release(&ends.n[0]);
	noise_release(&ends.n[1]);
}

static void
test_vectors(void **state)
{
	bool seen[NOISE_PATTERNS] = { false };
	json_error_t error;
	json_t *all, *list;

	(void)state;
	if (access(VECTORS, R_OK) != 0)
		skip();
	all = json_load_file(VECTORS, 0, &error);
	assert_non_null(all);
	list = json_object_get(all, "vectors");
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *v = json_array_get(list, i);

		play_vector(v);
		seen[vector_pattern(v)] = true;
	}
	for (int i = 0; i < NOISE_PATTERNS; i++)
		assert_true(seen[i]);
	json_decref(all);
}

/*
 * Our own: each pattern with fresh keys.
 */
struct world {
	struct rng_seeded rng;
	unsigned char secret[2][32], public[2][32], psk[2][32];
	struct slice prologue[2];
	bool mask;
	struct noise n[2];
};

static void
world_init(struct world *w, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	rng_seeded_init(&w->rng, seed);
	for (int k = 0; k < 2; k++) {
		x25519_secret(&w->rng.rng, w->secret[k]);
		x25519_public(w->secret[k], w->public[k]);
		w->prologue[k] = SLICE_LIT("prologue");
	}
	rng_fill(&w->rng.rng, w->psk[0], 32);
	memcpy(w->psk[1], w->psk[0], 32);
}

static void
world_start(struct world *w, enum noise_pattern pattern)
{
	for (int k = 0; k < 2; k++) {
		struct noise_params p = { .pattern = pattern,
		    .initiator = k == 0, .prologue = w->prologue[k],
		    .secret = w->secret[k], .psk = w->psk[k],
		    .public = k == 1 ? w->public[k] : NULL,
		    .mask = w->mask, .rng = &w->rng.rng };

		p.remote = w->public[!k];
		noise_init(&w->n[k], &p);
	}
}

/* Plays the handshake; the message `at` has octet `octet` xored with bits.
 * Returns the first error, and leaves out as it was before it. */
static int
world_play(struct world *w, int at, size_t octet, int bits)
{
	struct buf sealed = BUF_INIT, opened = BUF_INIT;
	struct slice plain = SLICE_LIT("payload");
	int rc = 0;

	for (int i = 0; rc == 0 && !noise_done(&w->n[1]); i++) {
		buf_clear(&sealed);
		buf_clear(&opened);
		rc = noise_write(&w->n[i % 2], plain, &sealed, NULL);
		assert_int_equal(rc, 0);
		if (i == at && octet < sealed.len)
			sealed.ptr[octet] = (char)(sealed.ptr[octet] ^ bits);
		rc = noise_read(&w->n[!(i % 2)], buf_slice(&sealed), &opened,
		    NULL);
		if (rc != 0)
			assert_int_equal(opened.len, 0);
		else
			assert_true(at == i ||
			    slice_eq(buf_slice(&opened), plain));
	}
	buf_release(&sealed);
	buf_release(&opened);
	return rc;
}

/* Whether both ends came to the same keys. */
static bool
world_agrees(struct world *w)
{
	struct noise_cipher a, b;
	struct buf sealed = BUF_INIT, opened = BUF_INIT;
	int rc;

	if (!noise_done(&w->n[0]) || !noise_done(&w->n[1]))
		return false;
	noise_split(&w->n[0], &a, NULL);
	noise_split(&w->n[1], NULL, &b);
	assert_int_equal(noise_encrypt(&a, SLICE_LIT(""), SLICE_LIT("bag"),
	    &sealed, NULL), 0);
	rc = noise_decrypt(&b, SLICE_LIT(""), buf_slice(&sealed), &opened,
	    NULL);
	buf_release(&sealed);
	buf_release(&opened);
	return rc == 0;
}

static void
world_end(struct world *w)
{
	noise_release(&w->n[0]);
	noise_release(&w->n[1]);
}

static bool
has_psk(enum noise_pattern pattern)
{
	return strstr(noise_pattern_name(pattern), "psk") != NULL;
}

static void
test_every_pattern(void **state)
{
	struct world w;

	(void)state;
	for (int p = 0; p < NOISE_PATTERNS; p++) {
		for (int masked = 0; masked < 2; masked++) {
			world_init(&w, 1 + (uint64_t)p);
			w.mask = masked;
			world_start(&w, (enum noise_pattern)p);
			assert_int_equal(world_play(&w, -1, 0, 0), 0);
			assert_true(world_agrees(&w));
			assert_memory_equal(w.n[0].hash, w.n[1].hash, 32);
			world_end(&w);
		}
	}
}

/* A flipped bit in any octet of any message is refused there, or, where no
 * key was agreed yet, at the latest by the first message behind. */
static void
test_flipped(void **state)
{
	struct world w;

	(void)state;
	for (int p = 0; p < NOISE_PATTERNS; p++) {
		for (int at = 0; noise_overhead((enum noise_pattern)p, at);
		    at++) {
			size_t len = noise_overhead((enum noise_pattern)p,
			    at) + strlen("payload");

			for (size_t octet = 0; octet < len; octet++) {
				world_init(&w, 7);
				world_start(&w, (enum noise_pattern)p);
				if (world_play(&w, at, octet,
				    1 << octet % 8) == 0)
					assert_false(world_agrees(&w));
				world_end(&w);
			}
		}
	}
}

/* With the mask bit 255 of an ephemeral is any; it is bound all the same. */
static void
test_mask(void **state)
{
	unsigned set = 0;
	struct world w;

	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct buf sealed = BUF_INIT, opened = BUF_INIT;

		world_init(&w, seed);
		w.mask = true;
		world_start(&w, NOISE_X);
		assert_int_equal(noise_write(&w.n[0], SLICE_LIT("payload"),
		    &sealed, NULL), 0);
		set += (sealed.ptr[31] & 0x80) != 0;
		w.n[1].p.mask = false;
		assert_int_equal(noise_read(&w.n[1], buf_slice(&sealed),
		    &opened, NULL), 0);
		assert_true(world_agrees(&w));
		buf_release(&sealed);
		buf_release(&opened);
		world_end(&w);
	}
	/* 200 coins: 60 to 140 are over five standard deviations */
	assert_in_range(set, 60, 140);
	for (int masked = 0; masked < 2; masked++) {
		world_init(&w, 3);
		w.mask = masked;
		world_start(&w, NOISE_X);
		assert_int_equal(world_play(&w, 0, 31, 0x80), ERR_CORRUPT);
		world_end(&w);
	}
}

static void
test_disagreement(void **state)
{
	struct world w;

	(void)state;
	for (int p = 0; p < NOISE_PATTERNS; p++) {
		enum noise_pattern pattern = (enum noise_pattern)p;

		world_init(&w, 11);
		w.prologue[1] = SLICE_LIT("prologuf");
		world_start(&w, pattern);
		if (world_play(&w, -1, 0, 0) == 0)
			assert_false(world_agrees(&w));
		world_end(&w);
		world_init(&w, 12);
		w.psk[1][5] ^= 1;
		world_start(&w, pattern);
		if (has_psk(pattern))
			assert_int_equal(world_play(&w, -1, 0, 0),
			    ERR_CORRUPT);
		else
			assert_int_equal(world_play(&w, -1, 0, 0), 0);
		world_end(&w);
	}
	/* what was sealed for another key */
	world_init(&w, 13);
	world_start(&w, NOISE_X);
	x25519_secret(&w.rng.rng, w.n[1].secret);
	assert_int_equal(world_play(&w, -1, 0, 0), ERR_CORRUPT);
	world_end(&w);
}

static void
test_other_pattern(void **state)
{
	(void)state;
	for (int a = 0; a < NOISE_PATTERNS; a++) {
		for (int b = 0; b < NOISE_PATTERNS; b++) {
			struct world w;
			struct noise spare;

			if (a == b)
				continue;
			world_init(&w, 17);
			world_start(&w, (enum noise_pattern)b);
			spare = w.n[1];
			world_start(&w, (enum noise_pattern)a);
			w.n[1] = spare;
			noise_release(&spare);
			for (int i = 0; i < 3 && noise_overhead(
			    (enum noise_pattern)a, i) > 0; i++) {
				struct buf m = BUF_INIT, out = BUF_INIT;

				if (noise_write(&w.n[i % 2],
				    SLICE_LIT("payload"), &m, NULL) != 0 ||
				    noise_read(&w.n[!(i % 2)], buf_slice(&m),
				    &out, NULL) != 0)
					i = 3;
				buf_release(&m);
				buf_release(&out);
			}
			assert_false(world_agrees(&w));
			world_end(&w);
		}
	}
}

/*
 * Points of low order, and how else they can be written: 0, 1, the two of
 * order 8, p-1, p, p+1, each with and without bit 255.
 */
static const char *const low_order[] = {
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

static void
try_low_order(const char *hex, unsigned char top, bool mask)
{
	struct buf m = BUF_INIT, out = BUF_INIT;
	struct err e = ERR_INIT;
	struct world w;

	unhex(&m, hex);
	m.ptr[31] = (char)(m.ptr[31] | top);
	/* as an ephemeral key that arrives, with as many octets as it takes */
	world_init(&w, 19);
	w.mask = mask;
	world_start(&w, NOISE_X);
	buf_add(&m, w.psk[0], 32);
	buf_add(&m, w.psk[0], 32);
	assert_int_equal(noise_read(&w.n[1], buf_slice(&m), &out, &e),
	    ERR_DENIED);
	assert_non_null(strstr(e.text, "low order"));
	/* nothing goes on after an error */
	assert_int_equal(noise_read(&w.n[1], buf_slice(&m), &out, &e),
	    ERR_STATE);
	/* as the key we seal for */
	memcpy(w.n[0].remote, m.ptr, 32);
	assert_int_equal(noise_write(&w.n[0], SLICE_LIT(""), &out, &e),
	    ERR_DENIED);
	assert_int_equal(out.len, 0);
	world_end(&w);
	buf_release(&m);
	buf_release(&out);
}

static void
test_low_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(low_order) / sizeof(low_order[0]); i++) {
		try_low_order(low_order[i], 0, true);
		try_low_order(low_order[i], 0x80, true);
		try_low_order(low_order[i], 0, false);
		try_low_order(low_order[i], 0x80, false);
	}
}

static void
test_lengths(void **state)
{
	struct buf m = BUF_INIT, out = BUF_INIT;
	size_t most = NOISE_MESSAGE_MAX - noise_overhead(NOISE_X, 0);
	char *plain = calloc(1, NOISE_MESSAGE_MAX);
	struct world w;

	(void)state;
	assert_int_equal(noise_overhead(NOISE_X, 0), 32 + 48 + 16);
	assert_int_equal(noise_overhead(NOISE_X, 1), 0);
	assert_int_equal(noise_overhead(NOISE_NN, 0), 32);
	assert_int_equal(noise_overhead(NOISE_XX, 1), 32 + 48 + 16);
	world_init(&w, 23);
	world_start(&w, NOISE_X);
	assert_int_equal(noise_write(&w.n[0], (struct slice){ plain, most },
	    &m, NULL), 0);
	assert_int_equal(m.len, NOISE_MESSAGE_MAX);
	assert_int_equal(noise_read(&w.n[1], buf_slice(&m), &out, NULL), 0);
	assert_int_equal(out.len, most);
	world_start(&w, NOISE_X);
	assert_int_equal(noise_write(&w.n[0],
	    (struct slice){ plain, most + 1 }, &m, NULL), ERR_LIMIT);
	buf_addc(&m, 0);
	assert_int_equal(noise_read(&w.n[1], buf_slice(&m), &out, NULL),
	    ERR_LIMIT);
	/* each shorter one */
	buf_clear(&m);
	world_start(&w, NOISE_X);
	assert_int_equal(noise_write(&w.n[0], SLICE_LIT(""), &m, NULL), 0);
	for (size_t len = 0; len < m.len; len++) {
		struct noise copy = w.n[1];
		int rc = noise_read(&copy, (struct slice){ m.ptr, len },
		    &out, NULL);

		assert_true(rc == ERR_SYNTAX || rc == ERR_CORRUPT);
		noise_release(&copy);
	}
	assert_int_equal(noise_read(&w.n[1], buf_slice(&m), &out, NULL), 0);
	world_end(&w);
	free(plain);
	buf_release(&m);
	buf_release(&out);
}

static void
test_turns(void **state)
{
	struct buf m = BUF_INIT, out = BUF_INIT;
	struct world w;

	(void)state;
	world_init(&w, 29);
	world_start(&w, NOISE_NN);
	assert_int_equal(noise_write(&w.n[1], SLICE_LIT(""), &m, NULL),
	    ERR_STATE);
	assert_int_equal(noise_read(&w.n[0], SLICE_LIT(""), &m, NULL),
	    ERR_STATE);
	assert_false(noise_done(&w.n[0]));
	assert_int_equal(noise_write(&w.n[0], SLICE_LIT(""), &m, NULL), 0);
	assert_int_equal(noise_write(&w.n[0], SLICE_LIT(""), &m, NULL),
	    ERR_STATE);
	assert_int_equal(noise_read(&w.n[1], buf_slice(&m), &out, NULL), 0);
	buf_clear(&m);
	assert_int_equal(noise_write(&w.n[1], SLICE_LIT(""), &m, NULL), 0);
	assert_int_equal(noise_read(&w.n[0], buf_slice(&m), &out, NULL), 0);
	assert_true(noise_done(&w.n[0]) && noise_done(&w.n[1]));
	assert_int_equal(noise_write(&w.n[0], SLICE_LIT(""), &m, NULL),
	    ERR_STATE);
	world_end(&w);
	assert_false(noise_done(&w.n[0]));
	assert_true(secret_is_zero(w.n[0].e_secret, 32));
	buf_release(&m);
	buf_release(&out);
}

static void
test_cipher(void **state)
{
	struct noise_cipher a = { .keyed = true, .nonce = UINT64_MAX - 1 };
	struct noise_cipher b = a;
	struct buf m = BUF_INIT, out = BUF_INIT;
	struct slice none = SLICE_LIT(""), bag = SLICE_LIT("bag");

	(void)state;
	assert_int_equal(noise_encrypt(&a, none, bag, &m, NULL), 0);
	assert_int_equal(m.len, 3 + NOISE_TAG_LEN);
	for (size_t i = 0; i < m.len; i++) {
		m.ptr[i] = (char)(m.ptr[i] ^ 0x10);
		assert_int_equal(noise_decrypt(&b, none, buf_slice(&m), &out,
		    NULL), ERR_CORRUPT);
		assert_int_equal(noise_verify(&b, none, buf_slice(&m), NULL),
		    ERR_CORRUPT);
		m.ptr[i] = (char)(m.ptr[i] ^ 0x10);
	}
	assert_int_equal(out.len, 0);
	assert_int_equal(noise_decrypt(&b, none, (struct slice){ m.ptr, 15 },
	    &out, NULL), ERR_SYNTAX);
	assert_int_equal(noise_decrypt(&b, bag, buf_slice(&m), &out, NULL),
	    ERR_CORRUPT);
	/* what verified opens by the same number, and then no more */
	assert_int_equal(noise_verify(&b, none, buf_slice(&m), NULL), 0);
	assert_int_equal(b.nonce, UINT64_MAX);
	assert_int_equal(noise_verify(&b, none, buf_slice(&m), NULL),
	    ERR_LIMIT);
	assert_int_equal(noise_decrypt(&b, none, buf_slice(&m), &out, NULL),
	    ERR_LIMIT);
	b.nonce--;
	assert_int_equal(noise_decrypt(&b, none, buf_slice(&m), &out, NULL),
	    0);
	assert_true(slice_eq(buf_slice(&out), bag));
	assert_int_equal(noise_encrypt(&a, none, bag, &m, NULL), ERR_LIMIT);
	assert_int_equal(m.len, 3 + NOISE_TAG_LEN);
	/* nothing sealed is a tag, and opens to nothing */
	a.nonce = b.nonce = 0;
	buf_clear(&m);
	buf_release(&out);
	assert_int_equal(noise_encrypt(&a, none, none, &m, NULL), 0);
	assert_int_equal(noise_decrypt(&b, none, buf_slice(&m), &out, NULL),
	    0);
	assert_int_equal(out.len, 0);
	noise_cipher_release(&a);
	assert_true(secret_is_zero(&a, sizeof(a)));
	buf_release(&m);
	buf_release(&out);
}

/*
 * The sender's key is known before anything else is computed with it.
 */
struct sender {
	unsigned char seen[32];
	const unsigned char *psk;
	int rc;
};

static int
known_sender(void *ctx, const unsigned char remote[32],
    unsigned char psk_out[32], struct err *e)
{
	struct sender *s = ctx;

	memcpy(s->seen, remote, 32);
	if (s->rc != 0)
		return err_set(e, s->rc, "nobody knows this key");
	memcpy(psk_out, s->psk, 32);
	return 0;
}

static void
test_known(void **state)
{
	struct buf m = BUF_INIT, out = BUF_INIT;
	struct noise_memo memo = { .set = false };
	struct err e = ERR_INIT;
	struct noise_params p;
	struct sender s;
	struct world w;

	(void)state;
	world_init(&w, 31);
	s = (struct sender){ .psk = w.psk[0] };
	world_start(&w, NOISE_XPSK1);
	assert_int_equal(noise_write(&w.n[0], SLICE_LIT("x"), &m, NULL), 0);
	p = (struct noise_params){ .prologue = SLICE_LIT("prologue"),
	    .secret = w.secret[1], .known = known_sender, .ctx = &s,
	    .memo = &memo };
	/* as X first, which fails, and then as Xpsk1 with its agreement */
	p.pattern = NOISE_X;
	noise_init(&w.n[1], &p);
	assert_int_equal(noise_read(&w.n[1], buf_slice(&m), &out, &e),
	    ERR_CORRUPT);
	assert_true(memo.set && secret_is_zero(s.seen, 32));
	p.pattern = NOISE_XPSK1;
	noise_init(&w.n[1], &p);
	assert_int_equal(noise_read(&w.n[1], buf_slice(&m), &out, &e), 0);
	assert_memory_equal(s.seen, w.public[0], 32);
	assert_true(w.n[1].has_remote);
	/* the memo is used: a wrong one spoils it */
	memo.shared[0] ^= 1;
	noise_init(&w.n[1], &p);
	assert_int_equal(noise_read(&w.n[1], buf_slice(&m), &out, &e),
	    ERR_CORRUPT);
	p.memo = NULL;
	s.rc = ERR_NOT_FOUND;
	noise_init(&w.n[1], &p);
	assert_int_equal(noise_read(&w.n[1], buf_slice(&m), &out, &e),
	    ERR_NOT_FOUND);
	assert_string_equal(e.text, "nobody knows this key");
	world_end(&w);
	buf_release(&m);
	buf_release(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_every_pattern),
		cmocka_unit_test(test_flipped),
		cmocka_unit_test(test_mask),
		cmocka_unit_test(test_disagreement),
		cmocka_unit_test(test_other_pattern),
		cmocka_unit_test(test_low_order),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_cipher),
		cmocka_unit_test(test_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
