/* SPDX-License-Identifier: ISC */
/*
 * Sealing and signing as a stream.  A chunk is sealed when more comes behind
 * it or when it is known to be the last, so one is held and no more.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/secret.h"
#include "bundle/seal_impl.h"

struct sealer {
	struct seal_to to;	/* its keys until begun */
	sink_fn *sink;
	void *ctx;
	bool begun;
	struct noise_cipher cipher;
	struct buf plain;	/* room for the flag, then octets of a chunk */
	struct buf out;
	struct ed25519_stream stream;
};

struct sealer *
sealer_new(const struct seal_to *to, sink_fn *sink, void *ctx)
{
	struct sealer *s = mem_alloc(1, sizeof(*s));

	assert(!to->sign || to->kind == SEAL_PARCEL ||
	    to->kind == SEAL_BUNDLE);
	s->to = *to;
	s->sink = sink;
	s->ctx = ctx;
	buf_init(&s->plain);
	buf_init(&s->out);
	return s;
}

void
sealer_free(struct sealer *s)
{
	if (s == NULL)
		return;
	noise_cipher_release(&s->cipher);
	buf_release(&s->plain);
	buf_release(&s->out);
	free(s);
}

static int
flush(struct sealer *s, struct err *e)
{
	int rc = s->sink(s->ctx, s->out.ptr, s->out.len, e);

	buf_clear(&s->out);
	return rc;
}

static int
begin_signed(struct sealer *s, struct err *e)
{
	unsigned char nonce[SEAL_NONCE_LEN];

	rng_fill(s->to.rng, nonce, sizeof(nonce));
	seal_put_label(&s->out, SEAL_SUITE_SIGN, s->to.kind,
	    s->to.destination);
	wire_put_site(&s->out, s->to.origin);
	buf_add(&s->out, nonce, sizeof(nonce));
	ed25519_stream_init(&s->stream, SLICE_LIT(SEAL_SIGN_CONTEXT));
	ed25519_stream_add(&s->stream, s->out.ptr, s->out.len);
	return flush(s, e);
}

static enum noise_pattern
pattern_of(const struct seal_to *to)
{
	if (to->kind == SEAL_ONION)
		return NOISE_N;
	return to->psk != NULL ? NOISE_XPSK1 : NOISE_X;
}

static int
begin_sealed(struct sealer *s, struct err *e)
{
	struct noise_params p = { .pattern = pattern_of(&s->to),
		.initiator = true, .remote = s->to.remote, .mask = true,
		.rng = s->to.rng };
	struct buf prologue = BUF_INIT;
	struct noise n;
	int rc;

	seal_put_label(&prologue, SEAL_SUITE_NOISE, s->to.kind,
	    s->to.destination);
	p.prologue = buf_slice(&prologue);
	if (s->to.kind != SEAL_ONION) {
		p.secret = s->to.secret;
		p.psk = s->to.psk;
	}
	noise_init(&n, &p);
	rc = noise_write(&n, SLICE_LIT(""), &s->out, e);
	if (rc == 0) {
		noise_split(&n, &s->cipher, NULL);
		rc = flush(s, e);
	}
	noise_release(&n);
	buf_release(&prologue);
	buf_put8(&s->plain, SEAL_MORE);
	return rc;
}

static int
begin(struct sealer *s, struct err *e)
{
	if (s->begun)
		return 0;
	s->begun = true;
	return s->to.sign ? begin_signed(s, e) : begin_sealed(s, e);
}

/* The chunk that is held; plain then has room for the next one's flag. */
static int
put_chunk(struct sealer *s, enum seal_flag flag, struct err *e)
{
	int rc;

	s->plain.ptr[0] = (char)flag;
	rc = noise_encrypt(&s->cipher, SLICE_LIT(""), buf_slice(&s->plain),
	    &s->out, e);
	buf_truncate(&s->plain, SEAL_FLAG_LEN);
	return rc == 0 ? flush(s, e) : rc;
}

static int
add_sealed(struct sealer *s, const char *bytes, size_t len, struct err *e)
{
	int rc = 0;

	while (rc == 0 && len > 0) {
		size_t n = SEAL_FLAG_LEN + SEAL_DATA_MAX - s->plain.len;

		if (n == 0) {
			rc = put_chunk(s, SEAL_MORE, e);
			continue;
		}
		if (n > len)
			n = len;
		buf_add(&s->plain, bytes, n);
		bytes += n;
		len -= n;
	}
	return rc;
}

int
sealer_add(struct sealer *s, const char *bytes, size_t len, struct err *e)
{
	int rc = begin(s, e);

	if (rc != 0 || len == 0)
		return rc;
	if (!s->to.sign)
		return add_sealed(s, bytes, len, e);
	ed25519_stream_add(&s->stream, bytes, len);
	return s->sink(s->ctx, bytes, len, e);
}

int
sealer_finish(struct sealer *s, struct err *e)
{
	unsigned char signature[ED25519_SIGNATURE_LEN];
	int rc = begin(s, e);

	if (rc != 0)
		return rc;
	if (!s->to.sign)
		return put_chunk(s, SEAL_LAST, e);
	ed25519_stream_sign(&s->stream, s->to.sign_secret, signature);
	buf_add(&s->out, signature, sizeof(signature));
	return flush(s, e);
}
