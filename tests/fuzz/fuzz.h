/* SPDX-License-Identifier: ISC */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H
/*
 * Fuzz targets.  Each main_fuzz_NAME.c holds the one function that libFuzzer
 * calls; built without libFuzzer, replay.c calls it with the files of
 * corpus/NAME.  A target looks for more than crashes: what it reads in other
 * pieces must come out the same, and what it writes must be read again.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <strings.h>

#include "base/buf.h"
#include "bundle/reader.h"
#include "smtp/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Aborts, as a crash does, and says what does not hold. */
#define FUZZ_CHECK(condition) \
	do { \
		if (!(condition)) \
			fuzz_fail(__FILE__, __LINE__, #condition); \
	} while (0)
void fuzz_fail(const char *file, int line, const char *what)
    __attribute__((noreturn));

/* The same octets in memory of exactly that size, so that one octet beyond
 * is seen; the caller frees it. */
char *fuzz_copy(const char *bytes, size_t len);
/* The same of the next octets of rest, at most so many, which go from it; NULL
 * when there are none. */
char *fuzz_piece(struct slice *rest, size_t most, size_t *len_out);
/* Aborts unless what read makes of in, told to feed it in pieces of that
 * size, is the same in one and in small ones. */
void fuzz_in_pieces(void (*read)(struct buf *out, struct slice in,
    size_t piece), struct slice in);
/* Aborts with both if they differ. */
void fuzz_same(const struct buf *one, const struct buf *other);
/* Takes the next line off the front, without its LF; false at the end. */
bool fuzz_line(struct slice *rest, struct slice *line_out);
/* All of an envelope that MAIL and RCPT carry, for comparing. */
void fuzz_show_envelope(struct buf *out, const struct envelope *env);
/* And when it is wanted. */
void fuzz_show_timing(struct buf *out, const struct smtp_timing *t);

/* The events of an object read in pieces of that size, as text. */
void fuzz_read_object(struct buf *out,
    const struct bundle_reader_options *opts, struct slice in, size_t piece);

#endif
