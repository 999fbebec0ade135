/* SPDX-License-Identifier: ISC */
#ifndef BUNDLE_EXPAND_H
#define BUNDLE_EXPAND_H
/*
 * Compressed octets of any kind that the field uses, told by their first ones,
 * expanded as a stream in bounded memory.
 */
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum compression {
	COMPRESSION_NONE,
	COMPRESSION_COMPRESS,	/* compress(1): LZW, .Z */
	COMPRESSION_GZIP,	/* RFC 1952 */
	COMPRESSION_BZIP2,
	COMPRESSION_XZ,
	COMPRESSION_ZSTD,	/* RFC 8878 */
	COMPRESSIONS
};

#define COMPRESSION_MAGIC_MAX 6	/* octets that tell */

/* "none", "compress", "gzip", "bzip2", "xz", "zstd"; static. */
const char *compression_name(enum compression kind);
/* 1: kind_out is it, NONE if it is none of these; 0: so few octets do not
 * tell yet. */
int compression_sniff(const char *bytes, size_t len,
    enum compression *kind_out) MUST_CHECK;

struct expander;
/* kind: not NONE. */
struct expander *expander_new(enum compression kind);
void expander_free(struct expander *x);
enum compression expander_kind(const struct expander *x);
/* Appends at most some 128 KiB to out.  1: made some output or progress; 0:
 * needs more input; ERR_SYNTAX: damaged; ERR_LIMIT: it would expand to more
 * than 1000 times its size and 64 MiB, which no mail does, or wants more than
 * 80 MiB of memory. */
int expander_next(struct expander *x, const char *in, size_t len,
    size_t *used_out, struct buf *out, struct err *e) MUST_CHECK;
/* Did the input end where it may? */
int expander_end(struct expander *x, struct err *e) MUST_CHECK;

#endif
