/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_FILENAME_H
#define TRANSPORTS_FILENAME_H
/*
 * Names of files on media: what goes out must be safe on FAT, what comes in
 * gets a name that is the same whenever the same file is picked up.
 */
#include <stdint.h>

#include "base/buf.h"

/* Whether it is safe on FAT and everywhere else: 1 to 200 of [a-z0-9.-], no
 * dot or hyphen in front, no dot behind, no name of a device in front of the
 * first dot (con, prn, aux, nul, com0 to com9, lpt0 to lpt9), not one that a
 * pick-up passes over. */
bool filename_fat_ok(struct slice name);
/* The name in a drop directory: name and suffix if that is safe, else
 * "x-" and the safe part of it and 16 hexadecimal digits of its SHA-256, so
 * that two names stay two names where case is ignored.  The suffix is ""
 * or safe when put behind a letter. */
void filename_drop(struct buf *out, struct slice name, const char *suffix);
/* Whether a pick-up passes over it: a dot in front, or .tmp or .part behind
 * in any case: still being written. */
bool filename_passed_over(struct slice name);
/* The name in in/: NAME~INODE-MTIME, where NAME has all but letters, digits,
 * dot, hyphen and underscore written as %HH (and is cut, with
 * 16 hexadecimal digits of its SHA-256 behind another ~, if it is long). */
void filename_in(struct buf *out, struct slice name, uint64_t inode,
    int64_t mtime_ns);

#endif
