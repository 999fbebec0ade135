/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_LINK_KEYS_H
#define TRANSPORTS_LINK_KEYS_H
/*
 * The keys of one session: Noise_NNpsk0 makes them, the records of the
 * stream are sealed with them.
 *
 *	calling:	link_keys_call; the answer: link_keys_answered
 *	answering:	link_keys_called, for each secret until one fits;
 *			link_keys_answer
 *	then		link_keys_seal, link_keys_open, records in turn
 *	link_keys_release
 *
 * Where the law forbids encryption a record stays as it is and its tag
 * authenticates it.
 */
#include "base/noise.h"

#define LINK_KEYS_SECRET_LEN 32

struct link_keys {
	struct noise noise;
	struct noise_cipher send, receive;
	uint32_t seed;		/* of the frames' CRC, for this session */
	bool plain;
};

#define LINK_KEYS_INIT { .seed = 0 }

/* Each appends to out: our message, or the payload of the peer's.  0 or an
 * error of base/noise.h. */
int link_keys_call(struct link_keys *k,
    const unsigned char secret[LINK_KEYS_SECRET_LEN],
    struct rng *rng, struct slice payload, struct buf *out, struct err *e)
    MUST_CHECK;
int link_keys_answered(struct link_keys *k, struct slice message,
    struct buf *out, struct err *e) MUST_CHECK;
int link_keys_called(struct link_keys *k,
    const unsigned char secret[LINK_KEYS_SECRET_LEN],
    struct rng *rng, struct slice message, struct buf *out, struct err *e)
    MUST_CHECK;
int link_keys_answer(struct link_keys *k, struct slice payload, struct buf *out,
    struct err *e) MUST_CHECK;
/* NOISE_TAG_LEN octets more, or fewer. */
int link_keys_seal(struct link_keys *k, struct slice record, struct buf *out,
    struct err *e) MUST_CHECK;
int link_keys_open(struct link_keys *k, struct slice sealed, struct buf *out,
    struct err *e) MUST_CHECK;
void link_keys_release(struct link_keys *k);

#endif
