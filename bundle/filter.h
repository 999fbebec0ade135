/* SPDX-License-Identifier: ISC */
#ifndef BUNDLE_FILTER_H
#define BUNDLE_FILTER_H
/*
 * Streams of octets through compression, in constant memory.
 */
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Where bytes go.  Returns 0 or an error that stops the stream. */
typedef int sink_fn(void *ctx, const char *bytes, size_t len, struct err *e);

/* RFC 1952; time 0, no name: the same in, the same out. */
struct gzip_writer;
struct gzip_writer *gzip_writer_new(int level, sink_fn *sink, void *ctx);
int gzip_writer_add(struct gzip_writer *w, const char *bytes, size_t len,
    struct err *e) MUST_CHECK;
int gzip_writer_end(struct gzip_writer *w, struct err *e) MUST_CHECK;
void gzip_writer_free(struct gzip_writer *w);

struct gzip_reader;
/* Refuses (ERR_LIMIT) more than max_octets out (0: no limit), and a ratio
 * above 1032:1 cannot occur in deflate; what bounds a bomb is the caller
 * taking output in pieces. */
struct gzip_reader *gzip_reader_new(uint64_t max_octets);
/* Appends at most 64 KiB to out.  1: made some output or progress; 0: needs
 * more input; ERR_SYNTAX (damaged), ERR_LIMIT.  Several members in a row are
 * one stream (RFC 1952 2.2). */
int gzip_reader_next(struct gzip_reader *r, const char *in, size_t len,
    size_t *used_out, struct buf *out, struct err *e) MUST_CHECK;
/* Did the input end at the end of a member? */
int gzip_reader_end(struct gzip_reader *r, struct err *e) MUST_CHECK;
void gzip_reader_free(struct gzip_reader *r);

#endif
