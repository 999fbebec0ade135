/* SPDX-License-Identifier: ISC */
#ifndef BUNDLE_DEFLATER_H
#define BUNDLE_DEFLATER_H
/*
 * Private to bundle/: zlib's compressor as a push filter, under the filters
 * that give its stream a head and an end.
 *
 * zlib gets its input in steps of exactly 64 KiB, however the caller cuts it,
 * so that the octets made depend on the content alone: an object that is made
 * again after a crash is the same object.
 */
#include <stdbool.h>
#include <zlib.h>

#include "base/buf.h"
#include "bundle/filter.h"

#define DEFLATER_STEP 65536

struct deflater {
	z_stream z;
	bool running;		/* zlib holds memory */
	sink_fn *sink;
	void *ctx;
	size_t nheld;
	char held[DEFLATER_STEP];
	char made[DEFLATER_STEP];
};

/* window_bits and mem_level as for deflateInit2; what zlib refuses shows at
 * the first octet as ERR_STATE. */
void deflater_init(struct deflater *d, int level, int window_bits,
    int mem_level, sink_fn *sink, void *ctx);
void deflater_release(struct deflater *d);
/* Raw deflate only: begins with these octets known (before any other). */
void deflater_prime(struct deflater *d, struct slice dictionary);
int deflater_add(struct deflater *d, const char *bytes, size_t len,
    struct err *e) MUST_CHECK;
/* Ends the stream with its last block. */
int deflater_end(struct deflater *d, struct err *e) MUST_CHECK;
/* Behind deflater_end: a new stream, with nothing of the old one. */
void deflater_restart(struct deflater *d);

/* zlib declares its input as not const unless told otherwise at compile
 * time; it never writes there. */
Bytef *deflater_input(const char *bytes);

#endif
