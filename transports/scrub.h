/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_SCRUB_H
#define TRANSPORTS_SCRUB_H
/*
 * What a server says, as far as a log may have it: some repeat what they were
 * told.
 */
#include "base/buf.h"

/* Appends the text.  Words that hold one of the n secrets (NULL ones are
 * passed over), as it is or in base64, become "***", and so does the last one
 * with the first four octets of one, since texts are cut. */
void scrub_text(struct buf *out, struct slice text,
    const char *const *secrets, size_t n);
/* The same with control octets escaped, and at most max octets. */
void scrub_line(struct buf *out, struct slice line,
    const char *const *secrets, size_t n, size_t max);

#endif
