/* SPDX-License-Identifier: ISC */
/*
 * Opening in two passes.  Both run the same loop over the same chunks; the
 * first drops what it decrypts and the second hands it out.  The second starts
 * behind the head with the cipher that the head gave, so no key is needed any
 * more.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/secret.h"
#include "bundle/opener_impl.h"

const char *
open_fault_name(enum open_fault fault)
{
	static const char *const names[] = {
		[OPEN_GOOD] = "good",
		[OPEN_FOREIGN] = "foreign",
		[OPEN_REPLAYED] = "replayed",
		[OPEN_UNKNOWN] = "unknown",
		[OPEN_PSK] = "psk",
		[OPEN_MODE] = "mode",
		[OPEN_DAMAGED] = "damaged",
		[OPEN_SHORT] = "short",
		[OPEN_LONG] = "long",
	};
	_Static_assert(sizeof(names) / sizeof(names[0]) == OPEN_FAULTS,
	    "a name for each");

	return names[fault];
}

struct opener *
opener_new(const struct open_with *with)
{
	struct opener *o = mem_alloc(1, sizeof(*o));

	assert(with->nkeys <= SEAL_KEYS_MAX && with->sender != NULL);
	o->site = with->site;
	o->kinds = with->kinds;
	o->seen = with->seen;
	o->sender = with->sender;
	o->signer = with->signer;
	o->ctx = with->ctx;
	o->nkeys = with->nkeys;
	for (size_t i = 0; i < o->nkeys; i++) {
		struct opener_key *key = &o->key[i];

		key->kinds = with->key[i].kinds;
		key->id = with->key[i].id;
		memcpy(key->secret, with->key[i].secret, X25519_LEN);
		memcpy(key->public, with->key[i].public, X25519_LEN);
	}
	buf_init(&o->held);
	buf_init(&o->scratch);
	return o;
}

void
opener_free(struct opener *o)
{
	if (o == NULL)
		return;
	buf_release(&o->held);
	buf_release(&o->scratch);
	secret_wipe(o, sizeof(*o));
	free(o);
}

int
opener_fail(struct opener *o, enum open_fault fault, int code, struct err *e,
    const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	o->fault = fault;
	return err_set(e, code, "%s", text);
}

static int
damaged(struct opener *o, struct err *e, const char *what)
{
	return opener_fail(o, OPEN_DAMAGED, ERR_CORRUPT, e, "%s", what);
}

/* The chunk that is held; out is NULL in pass 1. */
static int
take_chunk(struct opener *o, struct buf *out, struct err *e)
{
	struct slice plain;

	buf_clear(&o->scratch);
	if (o->held.len < SEAL_CHUNK_OVERHEAD)
		return opener_fail(o, OPEN_SHORT, ERR_SYNTAX, e, "it ends "
		    "inside a chunk");
	if (noise_decrypt(&o->cipher, SLICE_LIT(""), buf_slice(&o->held),
	    &o->scratch, NULL) != 0)
		return damaged(o, e, "a chunk does not open");
	plain = (struct slice){ o->scratch.ptr + SEAL_FLAG_LEN,
		o->scratch.len - SEAL_FLAG_LEN };
	if (*o->scratch.ptr != SEAL_MORE && *o->scratch.ptr != SEAL_LAST)
		return damaged(o, e, "a chunk says neither that it is the "
		    "last nor that it is not");
	if (plain.len == 0 && o->chunks > 0)
		return damaged(o, e, "an empty chunk behind others");
	if (*o->scratch.ptr == SEAL_LAST)
		o->stage = OPENER_ENDED;
	o->chunks++;
	o->octets += plain.len;
	if (out != NULL)
		buf_addslice(out, plain);
	buf_clear(&o->held);
	return 0;
}

static int
add_sealed(struct opener *o, const char *bytes, size_t len, struct buf *out,
    struct err *e)
{
	int rc = 0;

	while (rc == 0 && len > 0) {
		size_t n = SEAL_CHUNK_MAX - o->held.len;

		if (o->stage == OPENER_ENDED)
			return opener_fail(o, OPEN_LONG, ERR_SYNTAX, e,
			    "octets behind the last chunk");
		if (n > len)
			n = len;
		buf_add(&o->held, bytes, n);
		bytes += n;
		len -= n;
		if (o->held.len == SEAL_CHUNK_MAX)
			rc = take_chunk(o, out, e);
	}
	return rc;
}

static int
end_sealed(struct opener *o, struct buf *out, struct err *e)
{
	int rc = 0;

	if (o->held.len > 0)
		rc = take_chunk(o, out, e);
	if (rc == 0 && o->stage != OPENER_ENDED)
		rc = opener_fail(o, OPEN_SHORT, ERR_SYNTAX, e, "it ends "
		    "before its last chunk");
	return rc;
}

/* All but the last octets, which may be the signature. */
static void
add_signed(struct opener *o, const char *bytes, size_t len, struct buf *out)
{
	while (len > 0) {
		size_t n = len < SEAL_CHUNK_MAX ? len : SEAL_CHUNK_MAX;
		size_t sure;

		buf_add(&o->held, bytes, n);
		bytes += n;
		len -= n;
		if (o->held.len <= ED25519_SIGNATURE_LEN)
			continue;
		sure = o->held.len - ED25519_SIGNATURE_LEN;
		if (!o->verified)
			ed25519_stream_add(&o->stream, o->held.ptr, sure);
		sha256_add(&o->hash, o->held.ptr, sure);
		if (out != NULL)
			buf_add(out, o->held.ptr, sure);
		o->octets += sure;
		buf_consume(&o->held, sure);
	}
}

static int
end_signed(struct opener *o, struct err *e)
{
	unsigned char signature[ED25519_SIGNATURE_LEN];

	if (o->held.len < sizeof(signature))
		return opener_fail(o, OPEN_SHORT, ERR_SYNTAX, e, "it ends "
		    "inside the signature");
	memcpy(signature, o->held.ptr, sizeof(signature));
	if (ed25519_stream_verify(&o->stream, o->signer_key, signature) != 0)
		return damaged(o, e, "the signature does not hold");
	o->stage = OPENER_ENDED;
	sha256_end(&o->hash, o->digest);
	return 0;
}

/* Octets of held that are behind the head go the way of those that come. */
static int
begin_body(struct opener *o, struct err *e)
{
	struct buf rest;
	int rc = opener_head(o, e);

	if (rc != 0)
		return rc;
	rest = o->held;
	buf_init(&o->held);
	if (o->is_signed)
		add_signed(o, rest.ptr, rest.len, NULL);
	else
		rc = add_sealed(o, rest.ptr, rest.len, NULL, e);
	buf_release(&rest);
	return rc;
}

int
opener_verify(struct opener *o, const char *bytes, size_t len, struct err *e)
{
	int rc = 0;

	if (o->stage == OPENER_HEAD) {
		size_t n = OPENER_HEAD_WANTED - o->held.len;

		if (n > len)
			n = len;
		buf_add(&o->held, bytes, n);
		bytes += n;
		len -= n;
		if (o->held.len == OPENER_HEAD_WANTED)
			rc = begin_body(o, e);
	}
	if (rc != 0 || len == 0)
		return rc;
	if (!o->is_signed)
		return add_sealed(o, bytes, len, NULL, e);
	add_signed(o, bytes, len, NULL);
	return 0;
}

int
opener_verify_end(struct opener *o, struct err *e)
{
	int rc = 0;

	if (o->stage == OPENER_HEAD)
		rc = begin_body(o, e);
	if (rc == 0)
		rc = o->is_signed ? end_signed(o, e) : end_sealed(o, NULL, e);
	if (rc == 0) {
		o->verified = true;
		o->plain_octets = o->octets;
	}
	return rc;
}

enum open_fault
opener_fault(const struct opener *o)
{
	return o->fault;
}

enum seal_kind
opener_kind(const struct opener *o)
{
	return o->kind;
}

bool
opener_signed(const struct opener *o)
{
	return o->is_signed;
}

const unsigned char *
opener_sender(const struct opener *o)
{
	return o->is_signed || o->kind == SEAL_ONION ? NULL : o->sender_key;
}

const char *
opener_signer(const struct opener *o)
{
	return o->is_signed ? o->signer_name : NULL;
}

uint64_t
opener_key_id(const struct opener *o)
{
	return o->is_signed ? 0 : o->key_id;
}

const unsigned char *
opener_tag(const struct opener *o)
{
	return o->tag;
}

uint64_t
opener_plain_octets(const struct opener *o)
{
	return o->plain_octets;
}

void
opener_rewind(struct opener *o)
{
	assert(o->verified);
	o->stage = OPENER_BODY;
	o->skip = o->head_len;
	o->chunks = 0;
	o->octets = 0;
	o->cipher = o->first;
	sha256_init(&o->hash);
	buf_clear(&o->held);
}

/* Whatever pass 2 finds wrong has changed since pass 1. */
static int
changed(struct err *e)
{
	return err_set(e, ERR_CORRUPT, "it changed while it was read");
}

int
opener_read(struct opener *o, const char *bytes, size_t len, struct buf *out,
    struct err *e)
{
	size_t skip = len < o->skip ? len : (size_t)o->skip;

	o->skip -= skip;
	bytes += skip;
	len -= skip;
	if (len == 0)
		return 0;
	if (o->is_signed)
		add_signed(o, bytes, len, out);
	else if (add_sealed(o, bytes, len, out, e) != 0)
		return changed(e);
	return 0;
}

int
opener_read_end(struct opener *o, struct buf *out, struct err *e)
{
	unsigned char digest[SHA256_LEN];

	if (!o->is_signed && end_sealed(o, out, e) != 0)
		return changed(e);
	if (o->octets != o->plain_octets)
		return changed(e);
	if (!o->is_signed)
		return 0;
	sha256_end(&o->hash, digest);
	return secret_equal(digest, o->digest, sizeof(digest)) ? 0 :
								 changed(e);
}
