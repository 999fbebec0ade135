/* SPDX-License-Identifier: ISC */
/*
 * The Noise handshake.  A pattern is a row of tokens and one loop runs them
 * for both ends, so a new pattern is a new row.  The responder stops at the
 * first token that does not hold: a forged message of pattern X costs it one
 * multiplication.
 */
#include "base/noise.h"

#include <assert.h>

#include "base/kdf.h"
#include "base/secret.h"
#include "base/text.h"

#define MESSAGES 3
#define TOKENS 6
#define SUITE "_25519_ChaChaPoly_SHA256"

enum token { END, E, S, EE, ES, SE, SS, PSK };

/* Whose static key is known before the first message. */
enum { PRE_INITIATOR = 1, PRE_RESPONDER = 2 };

struct pattern {
	const char *name;
	bool psk;
	int pre;
	unsigned char tokens[MESSAGES][TOKENS];
};

static const struct pattern patterns[] = {
	[NOISE_N] = { "Noise_N" SUITE, false, PRE_RESPONDER,
	    { { E, ES } } },
	[NOISE_NPSK0] = { "Noise_Npsk0" SUITE, true, PRE_RESPONDER,
	    { { PSK, E, ES } } },
	[NOISE_X] = { "Noise_X" SUITE, false, PRE_RESPONDER,
	    { { E, ES, S, SS } } },
	[NOISE_XPSK1] = { "Noise_Xpsk1" SUITE, true, PRE_RESPONDER,
	    { { E, ES, S, SS, PSK } } },
	[NOISE_NN] = { "Noise_NN" SUITE, false, 0,
	    { { E }, { E, EE } } },
	[NOISE_NNPSK0] = { "Noise_NNpsk0" SUITE, true, 0,
	    { { PSK, E }, { E, EE } } },
	[NOISE_NNPSK2] = { "Noise_NNpsk2" SUITE, true, 0,
	    { { E }, { E, EE, PSK } } },
	[NOISE_KK] = { "Noise_KK" SUITE, false, PRE_INITIATOR | PRE_RESPONDER,
	    { { E, ES, SS }, { E, EE, SE } } },
	[NOISE_KKPSK0] = { "Noise_KKpsk0" SUITE, true,
	    PRE_INITIATOR | PRE_RESPONDER,
	    { { PSK, E, ES, SS }, { E, EE, SE } } },
	[NOISE_KKPSK2] = { "Noise_KKpsk2" SUITE, true,
	    PRE_INITIATOR | PRE_RESPONDER,
	    { { E, ES, SS }, { E, EE, SE, PSK } } },
	[NOISE_IK] = { "Noise_IK" SUITE, false, PRE_RESPONDER,
	    { { E, ES, S, SS }, { E, EE, SE } } },
	[NOISE_IKPSK1] = { "Noise_IKpsk1" SUITE, true, PRE_RESPONDER,
	    { { E, ES, S, SS, PSK }, { E, EE, SE } } },
	[NOISE_IKPSK2] = { "Noise_IKpsk2" SUITE, true, PRE_RESPONDER,
	    { { E, ES, S, SS }, { E, EE, SE, PSK } } },
	[NOISE_XX] = { "Noise_XX" SUITE, false, 0,
	    { { E }, { E, EE, S, ES }, { S, SE } } },
	[NOISE_XXPSK3] = { "Noise_XXpsk3" SUITE, true, 0,
	    { { E }, { E, EE, S, ES }, { S, SE, PSK } } },
};
_Static_assert(sizeof(patterns) / sizeof(patterns[0]) == NOISE_PATTERNS,
    "a row for each pattern");

static struct slice
octets(const unsigned char *bytes, size_t len)
{
	return (struct slice){ (const char *)bytes, len };
}

static const unsigned char *
tokens_of(enum noise_pattern pattern, int step)
{
	static const unsigned char none[TOKENS];

	return step >= 0 && step < MESSAGES ?
	    patterns[pattern].tokens[step] : none;
}

/*
 * The symmetric state (Noise 5.2).
 */
static void
mix_hash(struct noise *n, struct slice data)
{
	struct sha256 h;

	sha256_init(&h);
	sha256_add(&h, n->hash, sizeof(n->hash));
	sha256_add(&h, data.ptr, data.len);
	sha256_end(&h, n->hash);
}

static void
set_key(struct noise *n, const unsigned char key[NOISE_KEY_LEN])
{
	memcpy(n->cipher.key, key, NOISE_KEY_LEN);
	n->cipher.keyed = true;
	n->cipher.nonce = 0;
}

static void
mix_key(struct noise *n, const unsigned char input[KDF_LEN])
{
	unsigned char key[NOISE_KEY_LEN];

	hkdf_noise(n->chaining, octets(input, KDF_LEN), n->chaining, key,
	    NULL);
	set_key(n, key);
	secret_wipe(key, sizeof(key));
}

static void
mix_psk(struct noise *n)
{
	unsigned char key[NOISE_KEY_LEN], hash[NOISE_HASH_LEN];

	hkdf_noise(n->chaining, octets(n->psk, NOISE_KEY_LEN), n->chaining,
	    hash, key);
	mix_hash(n, octets(hash, sizeof(hash)));
	set_key(n, key);
	secret_wipe(key, sizeof(key));
	secret_wipe(hash, sizeof(hash));
}

/* EncryptAndHash. */
static int
put_sealed(struct noise *n, struct slice plain, struct buf *out,
    struct err *e)
{
	size_t before = out->len;
	int rc = 0;

	if (n->cipher.keyed)
		rc = noise_encrypt(&n->cipher,
		    octets(n->hash, sizeof(n->hash)), plain, out, e);
	else
		buf_addslice(out, plain);
	mix_hash(n, (struct slice){ out->ptr + before, out->len - before });
	return rc;
}

/* DecryptAndHash. */
static int
take_sealed(struct noise *n, struct slice sealed, struct buf *out,
    struct err *e)
{
	int rc = 0;

	if (n->cipher.keyed)
		rc = noise_decrypt(&n->cipher,
		    octets(n->hash, sizeof(n->hash)), sealed, out, e);
	else
		buf_addslice(out, sealed);
	mix_hash(n, sealed);
	return rc;
}

/*
 * Tokens (Noise 5.3).
 */
static int
agree(struct noise *n, const unsigned char *secret, const unsigned char *peer,
    unsigned char *shared_out)
{
	struct noise_memo *memo = n->p.memo;
	int rc;

	if (memo != NULL && memo->set &&
	    secret_equal(memo->secret, secret, X25519_LEN) &&
	    secret_equal(memo->peer, peer, X25519_LEN)) {
		memcpy(shared_out, memo->shared, X25519_LEN);
		return 0;
	}
	rc = x25519_shared(secret, peer, shared_out);
	if (rc == 0 && memo != NULL && !memo->set) {
		memcpy(memo->secret, secret, X25519_LEN);
		memcpy(memo->peer, peer, X25519_LEN);
		memcpy(memo->shared, shared_out, X25519_LEN);
		memo->set = true;
	}
	return rc;
}

/* In the tokens' names the initiator's key comes first. */
static int
do_agreement(struct noise *n, enum token t, struct err *e)
{
	bool ours_is_e = t == EE || t == (n->p.initiator ? ES : SE);
	bool theirs_is_e = t == EE || t == (n->p.initiator ? SE : ES);
	unsigned char shared[X25519_LEN];
	int rc;

	rc = agree(n, ours_is_e ? n->e_secret : n->secret,
	    theirs_is_e ? n->e_remote : n->remote, shared);
	if (rc == 0)
		mix_key(n, shared);
	else
		err_set(e, rc, "the peer's key is a point of low order");
	secret_wipe(shared, sizeof(shared));
	return rc;
}

static void
mix_ephemeral(struct noise *n, const unsigned char public[X25519_LEN])
{
	mix_hash(n, octets(public, X25519_LEN));
	if (patterns[n->p.pattern].psk)
		mix_key(n, public);
}

static void
write_ephemeral(struct noise *n, struct buf *out)
{
	unsigned char bit = 0;

	assert(n->p.rng != NULL);
	x25519_secret(n->p.rng, n->e_secret);
	x25519_public(n->e_secret, n->e_public);
	if (n->p.mask)
		rng_fill(n->p.rng, &bit, 1);
	n->e_public[31] |= bit & 0x80;
	buf_add(out, n->e_public, sizeof(n->e_public));
	mix_ephemeral(n, n->e_public);
}

static int
write_token(struct noise *n, enum token t, struct buf *out, struct err *e)
{
	switch (t) {
	case E:
		write_ephemeral(n, out);
		return 0;
	case S:
		return put_sealed(n, octets(n->public, X25519_LEN), out, e);
	case PSK:
		mix_psk(n);
		return 0;
	default:
		return do_agreement(n, t, e);
	}
}

static int
take(struct slice *rest, size_t len, struct slice *taken_out, struct err *e)
{
	if (rest->len < len)
		return err_set(e, ERR_SYNTAX, "it ends inside the keys of "
		    "its seal");
	*taken_out = (struct slice){ rest->ptr, len };
	rest->ptr += len;
	rest->len -= len;
	return 0;
}

static int
read_ephemeral(struct noise *n, struct slice *rest, struct err *e)
{
	struct slice key = { NULL, 0 };
	int rc = take(rest, X25519_LEN, &key, e);

	if (rc != 0)
		return rc;
	memcpy(n->e_remote, key.ptr, X25519_LEN);
	mix_ephemeral(n, n->e_remote);
	return 0;
}

static int
read_static(struct noise *n, struct slice *rest, struct err *e)
{
	struct buf key = BUF_INIT;
	struct slice sealed = { NULL, 0 };
	int rc;

	rc = take(rest, X25519_LEN + (n->cipher.keyed ? NOISE_TAG_LEN : 0),
	    &sealed, e);
	if (rc == 0)
		rc = take_sealed(n, sealed, &key, e);
	if (rc == 0) {
		memcpy(n->remote, key.ptr, X25519_LEN);
		n->has_remote = true;
		if (n->p.known != NULL)
			rc = n->p.known(n->p.ctx, n->remote, n->psk, e);
	}
	buf_release(&key);
	return rc;
}

static int
read_token(struct noise *n, enum token t, struct slice *rest, struct err *e)
{
	switch (t) {
	case E:
		return read_ephemeral(n, rest, e);
	case S:
		return read_static(n, rest, e);
	case PSK:
		mix_psk(n);
		return 0;
	default:
		return do_agreement(n, t, e);
	}
}

/*
 * The handshake.
 */
const char *
noise_pattern_name(enum noise_pattern pattern)
{
	return patterns[pattern].name;
}

size_t
noise_overhead(enum noise_pattern pattern, int step)
{
	const struct pattern *p = &patterns[pattern];
	bool keyed = false;
	size_t len = 0;

	for (int m = 0; m <= step; m++) {
		const unsigned char *t = tokens_of(pattern, m);

		if (*t == END)
			return 0;
		len = 0;
		for (size_t i = 0; i < TOKENS && t[i] != END; i++) {
			if (t[i] == E || t[i] == S)
				len += X25519_LEN;
			if (t[i] == S && keyed)
				len += NOISE_TAG_LEN;
			if (t[i] != S && (t[i] != E || p->psk))
				keyed = true;
		}
		len += keyed ? NOISE_TAG_LEN : 0;
	}
	return len;
}

/* The first octets of hash and chaining key (Noise 5.2). */
static void
start_hash(struct noise *n)
{
	const char *name = patterns[n->p.pattern].name;
	size_t len = strlen(name);
	struct sha256 h;

	if (len <= sizeof(n->hash))
		memcpy(n->hash, name, len);
	else {
		sha256_init(&h);
		sha256_add(&h, name, len);
		sha256_end(&h, n->hash);
	}
	memcpy(n->chaining, n->hash, sizeof(n->chaining));
}

static bool
has_token(enum noise_pattern pattern, enum token t)
{
	for (int m = 0; m < MESSAGES; m++)
		for (size_t i = 0; i < TOKENS; i++)
			if (patterns[pattern].tokens[m][i] == t)
				return true;
	return false;
}

static void
check_params(const struct noise_params *p)
{
	int ours = p->initiator ? PRE_INITIATOR : PRE_RESPONDER;
	enum token with = p->initiator ? SE : ES;

	assert(p->secret != NULL || (!has_token(p->pattern, SS) &&
	    !has_token(p->pattern, with)));
	assert(p->remote != NULL ||
	    (patterns[p->pattern].pre & ~ours) == 0);
	assert(p->psk != NULL || p->known != NULL ||
	    !patterns[p->pattern].psk);
}

void
noise_init(struct noise *n, const struct noise_params *p)
{
	int pre = patterns[p->pattern].pre;

	check_params(p);
	memset(n, 0, sizeof(*n));
	n->p = *p;
	if (p->secret != NULL) {
		memcpy(n->secret, p->secret, X25519_LEN);
		if (p->public != NULL)
			memcpy(n->public, p->public, X25519_LEN);
		else
			x25519_public(n->secret, n->public);
	}
	if (p->remote != NULL) {
		memcpy(n->remote, p->remote, X25519_LEN);
		n->has_remote = true;
	}
	if (p->psk != NULL)
		memcpy(n->psk, p->psk, NOISE_KEY_LEN);
	n->p.secret = n->p.public = n->p.remote = n->p.psk = NULL;
	n->p.prologue = SLICE_LIT("");
	start_hash(n);
	mix_hash(n, p->prologue);
	if (pre & PRE_INITIATOR)
		mix_hash(n, octets(p->initiator ? n->public : n->remote,
		    X25519_LEN));
	if (pre & PRE_RESPONDER)
		mix_hash(n, octets(p->initiator ? n->remote : n->public,
		    X25519_LEN));
}

void
noise_release(struct noise *n)
{
	secret_wipe(n, sizeof(*n));
	n->step = -1;
}

bool
noise_done(const struct noise *n)
{
	return n->step > 0 && *tokens_of(n->p.pattern, n->step) == END;
}

static int
check_turn(const struct noise *n, bool writing, struct err *e)
{
	bool initiators = n->step % 2 == 0;

	if (n->step < 0 || *tokens_of(n->p.pattern, n->step) == END ||
	    (n->p.initiator == initiators) != writing)
		return err_set(e, ERR_STATE, "the handshake has no message "
		    "to %s now", writing ? "write" : "read");
	return 0;
}

/* Counts the message, or ends the handshake; out is then as it was. */
static int
end_message(struct noise *n, struct buf *out, size_t before, int rc)
{
	if (rc == 0) {
		n->step++;
		return 0;
	}
	n->step = -1;
	buf_truncate(out, before);
	return rc;
}

int
noise_write(struct noise *n, struct slice payload, struct buf *out,
    struct err *e)
{
	const unsigned char *t;
	size_t before = out->len;
	int rc = check_turn(n, true, e);

	if (rc != 0)
		return rc;
	t = tokens_of(n->p.pattern, n->step);
	if (payload.len > NOISE_MESSAGE_MAX -
	    noise_overhead(n->p.pattern, n->step))
		rc = err_set(e, ERR_LIMIT, "%zu octets do not fit into a "
		    "Noise message", payload.len);
	for (size_t i = 0; rc == 0 && i < TOKENS && t[i] != END; i++)
		rc = write_token(n, t[i], out, e);
	if (rc == 0)
		rc = put_sealed(n, payload, out, e);
	return end_message(n, out, before, rc);
}

int
noise_read(struct noise *n, struct slice message, struct buf *out,
    struct err *e)
{
	const unsigned char *t;
	size_t before = out->len;
	int rc = check_turn(n, false, e);

	if (rc != 0)
		return rc;
	t = tokens_of(n->p.pattern, n->step);
	if (message.len > NOISE_MESSAGE_MAX)
		rc = err_set(e, ERR_LIMIT, "%zu octets are more than a Noise "
		    "message has (%d)", message.len, NOISE_MESSAGE_MAX);
	for (size_t i = 0; rc == 0 && i < TOKENS && t[i] != END; i++)
		rc = read_token(n, t[i], &message, e);
	if (rc == 0)
		rc = take_sealed(n, message, out, e);
	return end_message(n, out, before, rc);
}

void
noise_split(const struct noise *n, struct noise_cipher *send_out,
    struct noise_cipher *receive_out)
{
	struct noise_cipher ours = { .keyed = true }, theirs = ours;

	assert(noise_done(n));
	hkdf_noise(n->chaining, SLICE_LIT(""),
	    n->p.initiator ? ours.key : theirs.key,
	    n->p.initiator ? theirs.key : ours.key, NULL);
	if (send_out != NULL)
		*send_out = ours;
	if (receive_out != NULL)
		*receive_out = theirs;
	noise_cipher_release(&ours);
	noise_cipher_release(&theirs);
}
