/* SPDX-License-Identifier: ISC */
#ifndef BUNDLE_UNWRAP_H
#define BUNDLE_UNWRAP_H
/*
 * Private to bundle/: from the octets of an object to those of its batch.
 *
 *	while there is input:
 *		use what unwrap_batch holds
 *		if unwrap_advance, begin again
 *		if unwrap_take took some of the input, begin again
 *		unwrap_raise; get more input
 *	at the end the same with unwrap_end in place of unwrap_take
 *
 * and look at the verdict after every call.
 */
#include "bundle/mime.h"
#include "bundle/reader.h"

/*
 *	                 +--> NOT_BATCH
 *	UNDECIDED -------+--> BATCH ---> BROKEN
 *	                 +-------------> BROKEN
 */
enum unwrap_verdict {
	UNWRAP_UNDECIDED,
	UNWRAP_BATCH,		/* its octets come */
	UNWRAP_NOT_BATCH,	/* for a reason */
	UNWRAP_BROKEN,		/* for a reason; what came before is good */
};

struct unwrap;

/* opts must live as long. */
struct unwrap *unwrap_new(const struct bundle_reader_options *opts);
void unwrap_free(struct unwrap *u);

enum unwrap_verdict unwrap_verdict(const struct unwrap *u);
/* Why it is NOT_BATCH or BROKEN; valid until unwrap_free. */
const char *unwrap_reason(struct unwrap *u);
enum bundle_format unwrap_format(const struct unwrap *u);
enum compression unwrap_compression(const struct unwrap *u);
/* Of a MIME object; otherwise all is NULL in it. */
const struct mime_header *unwrap_header(const struct unwrap *u);
/* The extensions that required-extensions names, as far as they are known. */
unsigned unwrap_named(const struct unwrap *u);
/* The octets of the batch that wait; the caller consumes them. */
struct buf *unwrap_batch(struct unwrap *u);

/* Moves what waits inside one step on; false: nothing moved. */
bool unwrap_advance(struct unwrap *u);
/* Takes a piece of the input; false: all of it is used. */
bool unwrap_take(struct unwrap *u, const char *in, size_t len,
    size_t *used_out);
/* Nothing is left of what came before a fault, if there was one: tell it. */
void unwrap_raise(struct unwrap *u);
/* The input is over and nothing moves; false: that was all of it. */
bool unwrap_end(struct unwrap *u);

/* Is this the first word of the text, without regard to case? */
bool unwrap_begins(struct slice text, const char *word);

#endif
