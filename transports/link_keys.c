/* SPDX-License-Identifier: ISC */
/*
 * Keys of a session.  The seed of the frames' CRC comes from the hash of the
 * handshake, so a frame of another session is as good as damaged.
 */
#include "transports/link_keys.h"

static void
start(struct link_keys *k, bool caller, const unsigned char *secret,
    struct rng *rng)
{
	struct noise_params p = {
		.pattern = NOISE_NNPSK0, .initiator = caller,
		.prologue = SLICE_LIT("postrider link 1"), .psk = secret,
		.rng = rng
	};

	link_keys_release(k);
	noise_init(&k->noise, &p);
}

static void
finish(struct link_keys *k)
{
	const unsigned char *h = k->noise.hash;

	noise_split(&k->noise, &k->send, &k->receive);
	k->seed = (uint32_t)h[0] << 24 | (uint32_t)h[1] << 16 |
	    (uint32_t)h[2] << 8 | h[3];
}

int
link_keys_call(struct link_keys *k,
    const unsigned char secret[LINK_KEYS_SECRET_LEN],
    struct rng *rng, struct slice payload, struct buf *out, struct err *e)
{
	start(k, true, secret, rng);
	return noise_write(&k->noise, payload, out, e);
}

int
link_keys_answered(struct link_keys *k, struct slice message, struct buf *out,
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
link_keys_called(struct link_keys *k,
    const unsigned char secret[LINK_KEYS_SECRET_LEN],
    struct rng *rng, struct slice message, struct buf *out, struct err *e)
{
	start(k, false, secret, rng);
	return noise_read(&k->noise, message, out, e);
}

int
link_keys_answer(struct link_keys *k, struct slice payload, struct buf *out,
    struct err *e)
{
	int rc = noise_write(&k->noise, payload, out, e);

	if (rc == 0)
		finish(k);
	return rc;
}

int
link_keys_seal(struct link_keys *k, struct slice record, struct buf *out,
    struct err *e)
{
	if (!k->plain)
		return noise_encrypt(&k->send, SLICE_LIT(""), record, out, e);
	buf_addslice(out, record);
	return noise_encrypt(&k->send, record, SLICE_LIT(""), out, e);
}

int
link_keys_open(struct link_keys *k, struct slice sealed, struct buf *out,
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
link_keys_release(struct link_keys *k)
{
	noise_release(&k->noise);
	noise_cipher_release(&k->send);
	noise_cipher_release(&k->receive);
}
