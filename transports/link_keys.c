/* SPDX-License-Identifier: ISC */
/*
 * Keys of a session.  The seed of the frames' CRC comes from the hash of the
 * handshake, so a frame of another session is as good as damaged.
 */
#include "transports/link_keys.h"

static void
start(struct keys *k, bool caller, const unsigned char *secret,
    struct rng *rng)
{
	struct noise_params p = {
		.pattern = NOISE_NNPSK0, .initiator = caller,
		.prologue = SLICE_LIT("postrider link 1"), .psk = secret,
		.rng = rng
	};

	keys_release(k);
	noise_init(&k->noise, &p);
}

static void
finish(struct keys *k)
{
	const unsigned char *h = k->noise.hash;

	noise_split(&k->noise, &k->send, &k->receive);
	k->seed = (uint32_t)h[0] << 24 | (uint32_t)h[1] << 16 |
	    (uint32_t)h[2] << 8 | h[3];
}

int
keys_call(struct keys *k, const unsigned char secret[KEYS_SECRET_LEN],
    struct rng *rng, struct slice payload, struct buf *out, struct err *e)
{
	start(k, true, secret, rng);
	return noise_write(&k->noise, payload, out, e);
}

int
keys_answered(struct keys *k, struct slice message, struct buf *out,
    struct err *e)
{
	/* A failed attempt must not spoil the handshake: a copy tries. */
	struct noise before = k->noise;
	int rc = noise_read(&k->noise, message, out, e);

	if (rc < 0)
		k->noise = before;
	else
		finish(k);
	noise_release(&before);
	return rc;
}

int
keys_called(struct keys *k, const unsigned char secret[KEYS_SECRET_LEN],
    struct rng *rng, struct slice message, struct buf *out, struct err *e)
{
	start(k, false, secret, rng);
	return noise_read(&k->noise, message, out, e);
}

int
keys_answer(struct keys *k, struct slice payload, struct buf *out,
    struct err *e)
{
	int rc = noise_write(&k->noise, payload, out, e);

	if (rc == 0)
		finish(k);
	return rc;
}

int
keys_seal(struct keys *k, struct slice record, struct buf *out,
    struct err *e)
{
	if (!k->plain)
		return noise_encrypt(&k->send, SLICE_LIT(""), record, out, e);
	buf_addslice(out, record);
	return noise_encrypt(&k->send, record, SLICE_LIT(""), out, e);
}

int
keys_open(struct keys *k, struct slice sealed, struct buf *out,
    struct err *e)
{
	struct slice text, tag;
	int rc;

	if (!k->plain)
		return noise_decrypt(&k->receive, SLICE_LIT(""), sealed, out,
		    e);
	if (sealed.len < NOISE_TAG_LEN)
		return err_set(e, ERR_SYNTAX, "a record without its tag");
	text = (struct slice){ sealed.ptr, sealed.len - NOISE_TAG_LEN };
	tag = (struct slice){ sealed.ptr + text.len, NOISE_TAG_LEN };
	rc = noise_decrypt(&k->receive, text, tag, out, e);
	if (rc == 0)
		buf_addslice(out, text);
	return rc;
}

void
keys_release(struct keys *k)
{
	noise_release(&k->noise);
	noise_cipher_release(&k->send);
	noise_cipher_release(&k->receive);
}
