/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_LINK_KEYS_H
#define TRANSPORTS_LINK_KEYS_H
/*
 * The keys of one session: Noise_NNpsk0 makes them, the records of the
 * stream are sealed with them.
 *
 *	calling:	keys_call; the answer: keys_answered
 *	answering:	keys_called, for each secret until one fits;
 *			keys_answer
 *	then		keys_seal and keys_open, each record in its turn
 *	keys_release
 *
 * Where the law forbids encryption a record stays as it is and its tag
 * authenticates it.
 */
#include "base/noise.h"

#define KEYS_SECRET_LEN 32

struct keys {
	struct noise noise;
	struct noise_cipher send, receive;
	uint32_t seed;		/* of the frames' CRC, for this session */
	bool plain;
};

#define KEYS_INIT { .seed = 0 }

/* Each appends to out: our message, or the payload of the peer's.  0 or an
 * error of base/noise.h. */
int keys_call(struct keys *k, const unsigned char secret[KEYS_SECRET_LEN],
    struct rng *rng, struct slice payload, struct buf *out, struct err *e)
    MUST_CHECK;
int keys_answered(struct keys *k, struct slice message, struct buf *out,
    struct err *e) MUST_CHECK;
int keys_called(struct keys *k, const unsigned char secret[KEYS_SECRET_LEN],
    struct rng *rng, struct slice message, struct buf *out, struct err *e)
    MUST_CHECK;
int keys_answer(struct keys *k, struct slice payload, struct buf *out,
    struct err *e) MUST_CHECK;
/* NOISE_TAG_LEN octets more, or fewer. */
int keys_seal(struct keys *k, struct slice record, struct buf *out,
    struct err *e) MUST_CHECK;
int keys_open(struct keys *k, struct slice sealed, struct buf *out,
    struct err *e) MUST_CHECK;
void keys_release(struct keys *k);

#endif
