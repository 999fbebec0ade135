/* SPDX-License-Identifier: ISC */
#ifndef BUNDLE_SEAL_IMPL_H
#define BUNDLE_SEAL_IMPL_H
/* What sealer and opener share; private to bundle/seal.h's files. */
#include "base/ed25519.h"
#include "base/noise.h"
#include "base/text.h"
#include "bundle/seal.h"

#define SEAL_MAGIC "postrider"
#define SEAL_VERSION 1
/* Says whether an object goes on behind this chunk. */
#define SEAL_FLAG_LEN 1
#define SEAL_CHUNK_OVERHEAD (SEAL_FLAG_LEN + NOISE_TAG_LEN)
#define SEAL_DATA_MAX (SEAL_CHUNK_MAX - SEAL_CHUNK_OVERHEAD)
#define SEAL_NONCE_LEN 8	/* of a signed object */
/* Context of the signature. */
#define SEAL_SIGN_CONTEXT "postrider signed"

enum seal_suite {
	SEAL_SUITE_NOISE = 1,	/* 25519, ChaChaPoly, SHA256 */
	SEAL_SUITE_SIGN = 2	/* Ed25519ph */
};

enum seal_flag { SEAL_MORE, SEAL_LAST };

/* Magic, version, suite, kind, destination: the whole prologue of a sealed
 * object, and the beginning of a signed one. */
#define SEAL_LABEL_MAX (sizeof(SEAL_MAGIC) - 1 + 3 + 1 + SITE_NAME_MAX)
void seal_put_label(struct buf *out, enum seal_suite suite,
    enum seal_kind kind, const char *destination);
/* Octets before the first chunk, of any pattern for this kind. */
size_t seal_head_len(enum seal_kind kind);
#define SEAL_HEADER_MAX (SEAL_LABEL_MAX + 1 + SITE_NAME_MAX + SEAL_NONCE_LEN)

#endif
