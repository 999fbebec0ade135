/* SPDX-License-Identifier: ISC */
#ifndef BUNDLE_OPENER_IMPL_H
#define BUNDLE_OPENER_IMPL_H
/* The opener's own; private to opener.c and opener_head.c. */
#include "bundle/seal_impl.h"

/* So many octets, or all that there are, are wanted before the head is
 * looked at: a signed one's is the longest. */
#define OPENER_HEAD_WANTED SEAL_HEADER_MAX

enum opener_stage {
	OPENER_HEAD,	/* held: the first octets */
	OPENER_BODY,	/* held: part of a chunk; signed: what may be the
			 * signature */
	OPENER_ENDED,	/* the last chunk has come */
};

struct opener_key {
	unsigned kinds;
	uint64_t id;
	unsigned char secret[X25519_LEN], public[X25519_LEN];
	struct noise_memo memo;
};

struct opener {
	const char *site;
	unsigned kinds;
	bool (*seen)(void *ctx, const unsigned char tag[SEAL_TAG_LEN]);
	int (*sender)(void *ctx, enum seal_kind kind,
	    const unsigned char key[SEAL_KEY_LEN], struct open_peer *peer_out,
	    struct err *e);
	int (*signer)(void *ctx, enum seal_kind kind, const char *site,
	    unsigned char public_out[SEAL_KEY_LEN], struct open_peer *peer_out,
	    struct err *e);
	void *ctx;
	struct opener_key key[SEAL_KEYS_MAX];
	size_t nkeys;

	enum open_fault fault;
	enum opener_stage stage;
	bool verified;
	struct buf held, scratch;
	uint64_t chunks, octets, skip;

	/* What the head told. */
	enum seal_kind kind;
	bool is_signed;
	size_t head_len;
	unsigned char tag[SEAL_TAG_LEN];
	uint64_t key_id;
	unsigned char sender_key[SEAL_KEY_LEN];
	struct noise_cipher first, cipher;	/* of chunk 0, of the next */
	char signer_name[SITE_NAME_MAX + 1];
	unsigned char signer_key[SEAL_KEY_LEN];
	struct ed25519_stream stream;
	/* Of the signed body, in this pass and in the first. */
	struct sha256 hash;
	unsigned char digest[SHA256_LEN];
	uint64_t plain_octets;
};

int opener_fail(struct opener *o, enum open_fault fault, int code,
    struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* Looks at the head in `held`: 0, and the head is taken out of it; or the
 * fault. */
int opener_head(struct opener *o, struct err *e) MUST_CHECK;

#endif
