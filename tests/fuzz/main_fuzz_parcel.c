/* SPDX-License-Identifier: ISC */
/*
 * Parcels.  The octets as they are never open, and always for the same reason
 * however they are cut.  As what is inside, sealed (the first octet says how),
 * they come out again, their frames are read; and after one octet is changed
 * or the end is cut off, as the next three say, nothing comes out.
 */
#include "base/ed25519.h"
#include "base/x25519.h"
#include "bundle/frame.h"
#include "bundle/seal.h"
#include "tests/fuzz/fuzz.h"

#define ORDER 4		/* octets that say what to do */

enum { SIGN = 1, PSK = 2, CUT = 4 };

struct world {
	struct rng_seeded rng;
	unsigned char secret[2][32], public[2][32], identity[32];
	unsigned char identity_public[32], psk[32];
	bool sign, with_psk;
};

static void
world_init(struct world *w, unsigned how)
{
	memset(w, 0, sizeof(*w));
	rng_seeded_init(&w->rng, 1);
	for (int i = 0; i < 2; i++) {
		x25519_secret(&w->rng.rng, w->secret[i]);
		x25519_public(w->secret[i], w->public[i]);
	}
	ed25519_secret(&w->rng.rng, w->identity);
	ed25519_public(w->identity, w->identity_public);
	rng_fill(&w->rng.rng, w->psk, sizeof(w->psk));
	w->sign = (how & SIGN) != 0;
	w->with_psk = (how & PSK) != 0;
}

static int
sender(void *ctx, enum seal_kind kind, const unsigned char key[32],
    struct open_peer *peer_out, struct err *e)
{
	struct world *w = ctx;

	if (kind != SEAL_PARCEL || memcmp(key, w->public[0], 32) != 0)
		return err_set(e, ERR_DENIED, "unknown");
	*peer_out = (struct open_peer){ .psk = w->with_psk,
		.sign = w->sign };
	memcpy(peer_out->key, w->psk, sizeof(w->psk));
	return 0;
}

static int
signer(void *ctx, enum seal_kind kind, const char *site,
    unsigned char public_out[32], struct open_peer *peer_out, struct err *e)
{
	struct world *w = ctx;

	(void)kind;
	if (strcmp(site, "a") != 0)
		return err_set(e, ERR_DENIED, "unknown");
	*peer_out = (struct open_peer){ .sign = w->sign };
	memcpy(public_out, w->identity_public, 32);
	return 0;
}

static int
to_buf(void *ctx, const char *bytes, size_t len, struct err *e)
{
	(void)e;
	buf_add(ctx, bytes, len);
	return 0;
}

static void
seal(struct world *w, struct slice plain, struct buf *out)
{
	struct seal_to to = { .kind = SEAL_PARCEL, .destination = "b",
		.remote = w->public[1], .secret = w->secret[0],
		.psk = w->with_psk ? w->psk : NULL, .rng = &w->rng.rng,
		.sign = w->sign, .origin = "a", .sign_secret = w->identity };
	struct sealer *s = sealer_new(&to, to_buf, out);
	struct err e = ERR_INIT;

	FUZZ_CHECK(sealer_add(s, plain.ptr, plain.len, &e) == 0);
	FUZZ_CHECK(sealer_finish(s, &e) == 0);
	FUZZ_CHECK(out->len == seal_size(&to, plain.len));
	sealer_free(s);
}

static int
pass(struct opener *o, struct slice object, size_t piece, struct buf *plain)
{
	struct err e = ERR_INIT;
	int rc = 0;

	for (size_t at = 0, n; rc == 0 && at < object.len; at += n) {
		n = object.len - at < piece ? object.len - at : piece;
		char *copy = fuzz_copy(object.ptr + at, n);

		rc = plain == NULL ? opener_verify(o, copy, n, &e) :
				     opener_read(o, copy, n, plain, &e);
		free(copy);
	}
	if (rc == 0)
		rc = plain == NULL ? opener_verify_end(o, &e) :
				     opener_read_end(o, plain, &e);
	FUZZ_CHECK(rc == 0 || e.text[0] != '\0');
	return rc;
}

static enum open_fault
open_object(struct world *w, struct slice object, size_t piece,
    struct buf *plain)
{
	struct open_with with = { .site = "b", .kinds = ~0U, .nkeys = 1,
		.key = { { ~0U, 1, w->secret[1], w->public[1] } },
		.sender = sender, .signer = signer, .ctx = w };
	struct opener *o = opener_new(&with);
	enum open_fault fault;

	if (pass(o, object, piece, NULL) == 0) {
		opener_rewind(o);
		FUZZ_CHECK(pass(o, object, piece, plain) == 0);
		FUZZ_CHECK(opener_plain_octets(o) == plain->len);
	}
	fault = opener_fault(o);
	opener_free(o);
	return fault;
}

static void
read_frames(struct slice in)
{
	struct frame_reader *r = frame_reader_new();
	struct err e = ERR_INIT;
	struct frame f;
	size_t used;

	while (frame_reader_next(r, in.ptr, in.len, &used, &f, &e) == 1) {
		in.ptr += used;
		in.len -= used;
	}
	frame_reader_free(r);
}

static void
check_raw(struct world *w, struct slice in)
{
	struct buf plain = BUF_INIT;
	enum open_fault fault = open_object(w, in, SIZE_MAX, &plain);

	FUZZ_CHECK(fault != OPEN_GOOD);
	FUZZ_CHECK(open_object(w, in, 1, &plain) == fault);
	FUZZ_CHECK(plain.len == 0);
	buf_release(&plain);
}

static void
check_sealed(struct world *w, const uint8_t *order, struct slice in)
{
	struct buf object = BUF_INIT, plain = BUF_INIT;
	size_t at = (size_t)order[1] << 8 | order[2];

	seal(w, in, &object);
	FUZZ_CHECK(open_object(w, buf_slice(&object), order[3] + 1U, &plain)
	    == OPEN_GOOD);
	FUZZ_CHECK(slice_eq(buf_slice(&plain), in));
	read_frames(buf_slice(&plain));
	buf_clear(&plain);
	at %= object.len;
	if (order[0] & CUT)
		buf_truncate(&object, at);
	else
		object.ptr[at] = (char)(object.ptr[at] ^ (order[3] | 1));
	FUZZ_CHECK(open_object(w, buf_slice(&object), SIZE_MAX, &plain)
	    != OPEN_GOOD);
	FUZZ_CHECK(plain.len == 0);
	buf_release(&object);
	buf_release(&plain);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = { (const char *)data, size };
	struct world w;

	if (size < ORDER)
		return 0;
	world_init(&w, data[0]);
	check_raw(&w, in);
	in.ptr += ORDER;
	in.len -= ORDER;
	check_raw(&w, in);
	check_sealed(&w, data, in);
	return 0;
}
