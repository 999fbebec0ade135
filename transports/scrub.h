/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_SCRUB_H
#define TRANSPORTS_SCRUB_H
/*
 * What a server says to a login, as far as a log may have it: some repeat what
 * they were told.
 */
#include "base/buf.h"

/* Appends the line, control octets escaped, at most max octets.  Words that
 * hold one of the n secrets (NULL ones are passed over), as it is or in
 * base64, become "***". */
void scrub_line(struct buf *out, struct slice line,
    const char *const *secrets, size_t n, size_t max);

#endif
