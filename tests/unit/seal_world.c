/* SPDX-License-Identifier: ISC */
#include "tests/unit/seal_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/ed25519.h"
#include "base/x25519.h"

void
seal_world_init(struct seal_world *w, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	rng_seeded_init(&w->rng, seed);
	for (int i = 0; i < 2; i++) {
		x25519_secret(&w->rng.rng, w->auth[i]);
		x25519_public(w->auth[i], w->auth_public[i]);
	}
	for (int i = 0; i < RECEIVING; i++) {
		x25519_secret(&w->rng.rng, w->receive[i]);
		x25519_public(w->receive[i], w->receive_public[i]);
	}
	ed25519_secret(&w->rng.rng, w->identity);
	ed25519_public(w->identity, w->identity_public);
	rng_fill(&w->rng.rng, w->psk, sizeof(w->psk));
}

struct seal_to
seal_world_to(struct seal_world *w, enum seal_kind kind)
{
	return (struct seal_to){ .kind = kind, .destination = "oslo",
		.remote = kind == SEAL_REQUEST ? w->auth_public[1] :
						 w->receive_public[1],
		.secret = w->auth[0], .rng = &w->rng.rng, .origin = "paris",
		.sign_secret = w->identity };
}

static bool
seen(void *ctx, const unsigned char tag[SEAL_TAG_LEN])
{
	struct seal_world *w = ctx;

	(void)tag;
	return w->seen;
}

static int
sender(void *ctx, enum seal_kind kind, const unsigned char key[32],
    struct open_peer *peer_out, struct err *e)
{
	struct seal_world *w = ctx;

	(void)kind;
	if (w->unknown || memcmp(key, w->auth_public[0], 32) != 0)
		return err_set(e, ERR_DENIED, "unknown");
	peer_out->psk = w->psk_wanted;
	if (w->psk_wanted)
		memcpy(peer_out->key, w->psk, 32);
	peer_out->sign = w->sign_wanted;
	return 0;
}

static int
signer(void *ctx, enum seal_kind kind, const char *site,
    unsigned char public_out[32], struct open_peer *peer_out, struct err *e)
{
	struct seal_world *w = ctx;

	(void)kind;
	if (w->unknown || strcmp(site, "paris") != 0)
		return err_set(e, ERR_DENIED, "unknown");
	memcpy(public_out, w->identity_public, 32);
	peer_out->sign = w->sign_wanted;
	return 0;
}

struct open_with
seal_world_with(struct seal_world *w, unsigned kinds)
{
	struct open_with with = { .site = "oslo", .kinds = kinds,
		.nkeys = RECEIVING + 1, .seen = seen, .sender = sender,
		.signer = signer, .ctx = w };

	for (size_t i = 0; i < RECEIVING; i++)
		with.key[i] = (struct open_key){ ~SEAL_BIT(SEAL_REQUEST),
			10 + i, w->receive[i], w->receive_public[i] };
	with.key[RECEIVING] = (struct open_key){ SEAL_BIT(SEAL_REQUEST), 99,
		w->auth[1], w->auth_public[1] };
	return with;
}

int
seal_octets(const struct seal_to *to, struct slice plain, size_t piece,
    struct buf *out)
{
	struct sealer *s = sealer_new(to, sink_to_buf, out);
	int rc = 0;

	for (size_t at = 0, n; rc == 0 && at < plain.len; at += n) {
		n = plain.len - at < piece ? plain.len - at : piece;
		rc = sealer_add(s, plain.ptr + at, n, NULL);
	}
	if (rc == 0)
		rc = sealer_finish(s, NULL);
	sealer_free(s);
	return rc;
}

static int
verify(struct opener *o, struct slice object, size_t piece, struct err *e)
{
	int rc = 0;

	for (size_t at = 0, n; rc == 0 && at < object.len; at += n) {
		n = object.len - at < piece ? object.len - at : piece;
		rc = opener_verify(o, object.ptr + at, n, e);
	}
	return rc == 0 ? opener_verify_end(o, e) : rc;
}

int
open_octets(const struct open_with *with, struct slice object, size_t piece,
    struct buf *plain, enum open_fault *fault_out, struct opener **opener_out)
{
	struct opener *o = opener_new(with);
	struct err e = ERR_INIT;
	int rc = verify(o, object, piece, &e);

	if (fault_out != NULL)
		*fault_out = opener_fault(o);
	assert_int_equal(rc == 0, opener_fault(o) == OPEN_GOOD);
	assert_int_equal(rc == 0, e.text[0] == '\0');
	if (rc == 0) {
		opener_rewind(o);
		for (size_t at = 0, n; at < object.len; at += n) {
			n = object.len - at < piece ? object.len - at : piece;
			assert_int_equal(opener_read(o, object.ptr + at, n,
			    plain, NULL), 0);
		}
		assert_int_equal(opener_read_end(o, plain, NULL), 0);
		assert_int_equal(opener_plain_octets(o), plain->len);
	}
	if (opener_out != NULL && rc == 0)
		*opener_out = o;
	else
		opener_free(o);
	return rc;
}
