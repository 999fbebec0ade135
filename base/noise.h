/* SPDX-License-Identifier: ISC */
#ifndef BASE_NOISE_H
#define BASE_NOISE_H
/*
 * The Noise protocol framework, revision 34, for one suite:
 * 25519_ChaChaPoly_SHA256.
 *
 *	noise_init		what both ends know before
 *	noise_write, noise_read	the pattern's messages, each end its turn
 *	noise_done		after the last one: noise_split
 *	noise_release		wipes the keys; after every end, good or bad
 *
 * A handshake and a cipher are plain values that their owner keeps and may
 * copy (a copy is wiped as the original is).  What fails, fails for good: the
 * handshake then takes no further call but noise_release.
 *
 * No slice that goes into a call may lie in the buffer that it appends to.
 *
 * One-way patterns (N, X) have one message, written by the initiator; the
 * responder reads and sends nothing.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/x25519.h"

#define NOISE_KEY_LEN 32
#define NOISE_HASH_LEN 32
#define NOISE_TAG_LEN 16
#define NOISE_MESSAGE_MAX 65535		/* a message with keys and tags */

enum noise_pattern {
	NOISE_N,	/* es */
	NOISE_NPSK0,
	NOISE_X,	/* es, the initiator's key, ss */
	NOISE_XPSK1,
	NOISE_NN,
	NOISE_NNPSK0,
	NOISE_NNPSK2,
	NOISE_KK,
	NOISE_KKPSK0,
	NOISE_KKPSK2,
	NOISE_IK,
	NOISE_IKPSK1,
	NOISE_IKPSK2,
	NOISE_XX,
	NOISE_XXPSK3,
	NOISE_PATTERNS	/* how many */
};

/*
 * A cipher: a key and the number of the next message.  Without a key (only
 * inside a handshake) it passes octets as they are.
 */
struct noise_cipher {
	bool keyed;
	unsigned char key[NOISE_KEY_LEN];
	uint64_t nonce;
};

/*
 * An agreement that was just computed.  Who tries the same message under
 * several patterns or prologues lends all of them one memo and pays for one
 * multiplication.  Starts as zeros; wiped by its owner (secret_wipe).
 */
struct noise_memo {
	bool set;
	unsigned char secret[X25519_LEN], peer[X25519_LEN];
	unsigned char shared[X25519_LEN];
};

/* What is known before the first message.  Everything is copied but memo and
 * ctx, which are to last as long as the handshake.  A key that the pattern
 * does not ask for may be NULL. */
struct noise_params {
	enum noise_pattern pattern;
	bool initiator;
	struct slice prologue;
	const unsigned char *secret;	/* our static secret key */
	const unsigned char *remote;	/* the peer's static public key */
	const unsigned char *psk;	/* NOISE_KEY_LEN octets */
	/*
	 * The public half of `secret` where the caller has it: who tries one
	 * message under many prologues is spared a multiplication for each.
	 */
	const unsigned char *public;
	/*
	 * Bit 255 of each ephemeral key that we write is random, so that the
	 * key looks like any other octets but for the test whether it is on
	 * the curve.  The agreement passes that bit over (RFC 7748 5), the
	 * hash does not: it takes the key as it is on the wire, and a bit
	 * that was flipped there is found.  A reader need not set it.
	 */
	bool mask;
	/*
	 * The peer's static key, as soon as a message has told it and before
	 * any further agreement is computed.  To write psk_out gives the
	 * handshake a pre-shared key of this peer (it holds p->psk or zeros
	 * before).  0 goes on; a negative code ends the handshake with it.
	 * May be NULL: any key is taken.
	 */
	int (*known)(void *ctx, const unsigned char remote[X25519_LEN],
	    unsigned char psk_out[NOISE_KEY_LEN], struct err *e);
	void *ctx;
	struct noise_memo *memo;	/* may be NULL */
	struct rng *rng;	/* may be NULL for who writes no ephemeral */
};

struct noise {
	struct noise_params p;	/* p's pointers to keys are not used */
	unsigned char hash[NOISE_HASH_LEN];	/* done: the channel's name */
	unsigned char chaining[NOISE_HASH_LEN];
	struct noise_cipher cipher;
	unsigned char secret[X25519_LEN], public[X25519_LEN];
	unsigned char e_secret[X25519_LEN], e_public[X25519_LEN];
	/* The peer's; has_remote once it is known. */
	unsigned char remote[X25519_LEN], e_remote[X25519_LEN];
	unsigned char psk[NOISE_KEY_LEN];
	bool has_remote;
	int step;		/* messages done, or -1: failed */
};

/* "Noise_X_25519_ChaChaPoly_SHA256". */
const char *noise_pattern_name(enum noise_pattern pattern);
/* How many octets the keys and tags of message `step` (from 0) add to its
 * payload; 0 behind the last message. */
size_t noise_overhead(enum noise_pattern pattern, int step);

/* Starts a handshake.  What the pattern needs and p lacks is a fault of the
 * caller: it aborts. */
void noise_init(struct noise *n, const struct noise_params *p);
/* Wipes all of it. */
void noise_release(struct noise *n);
/* Whether all messages have passed. */
bool noise_done(const struct noise *n);

/* Appends our next message, with the payload in it, to out.  0; ERR_LIMIT if
 * it would have more than NOISE_MESSAGE_MAX octets; ERR_DENIED for a peer's
 * key of low order; ERR_STATE if it is not our turn. */
int noise_write(struct noise *n, struct slice payload, struct buf *out,
    struct err *e) MUST_CHECK;
/* Takes the peer's next message, one whole, and appends its payload to out.
 * 0; ERR_SYNTAX if it is too short, ERR_LIMIT if too long; ERR_DENIED for a
 * key of low order; ERR_CORRUPT if it does not open; ERR_STATE if it is not
 * the peer's turn; what `known` returned.  After an error out is as before. */
int noise_read(struct noise *n, struct slice message, struct buf *out,
    struct err *e) MUST_CHECK;
/* The two ciphers, once noise_done.  For a one-way pattern only the
 * initiator sends and only the responder receives: the other pointer may be
 * NULL, and what it gets is not to be used (Noise 7.4). */
void noise_split(const struct noise *n, struct noise_cipher *send_out,
    struct noise_cipher *receive_out);

/* Appends len plaintext octets sealed, NOISE_TAG_LEN more.  0; ERR_LIMIT if
 * that would be more than NOISE_MESSAGE_MAX or the nonces are used up (2^64-1
 * is never used, Noise 5.1). */
int noise_encrypt(struct noise_cipher *c, struct slice ad,
    struct slice plain, struct buf *out, struct err *e) MUST_CHECK;
/* Appends what was sealed.  0; ERR_SYNTAX if it is shorter than a tag,
 * ERR_LIMIT as above, ERR_CORRUPT if it does not open: then the nonce and out
 * stay as they were. */
int noise_decrypt(struct noise_cipher *c, struct slice ad,
    struct slice sealed, struct buf *out, struct err *e) MUST_CHECK;
/* The same, but only says whether it opens: for a first pass over an object
 * that is read in a second one. */
int noise_verify(struct noise_cipher *c, struct slice ad,
    struct slice sealed, struct err *e) MUST_CHECK;
void noise_cipher_release(struct noise_cipher *c);

#endif
