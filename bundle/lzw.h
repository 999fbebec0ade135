/* SPDX-License-Identifier: ISC */
#ifndef BUNDLE_LZW_H
#define BUNDLE_LZW_H
/*
 * What compress(1) writes (.Z): read only, nobody should make any more of it.
 */
#include "base/buf.h"
#include "base/err.h"

struct lzw_reader;
struct lzw_reader *lzw_reader_new(void);
void lzw_reader_free(struct lzw_reader *r);
/* Appends at most some 128 KiB to out.  1: made some output or progress; 0:
 * needs more input; ERR_SYNTAX: damaged. */
int lzw_reader_next(struct lzw_reader *r, const char *in, size_t len,
    size_t *used_out, struct buf *out, struct err *e) MUST_CHECK;
/* The format has no end of its own: only a cut header is an error. */
int lzw_reader_end(struct lzw_reader *r, struct err *e) MUST_CHECK;

#endif
