/* SPDX-License-Identifier: ISC */
#ifndef NODE_ASIDE_H
#define NODE_ASIDE_H
/*
 * Files of a peer that were not genuine parcels: kept for somebody to look at,
 * within a quota, and without a durable write.
 */
#include <stdint.h>

#include "base/err.h"

#define ASIDE_FILES 100			/* of one peer */
#define ASIDE_OCTETS (16 << 20)		/* a single larger one goes at once */

/* Moves path to dir/NAME, over another of that name; dir is made.  Where that
 * is not possible the file is removed. */
int aside_put(const char *dir, const char *path, const char *name,
    struct err *e) MUST_CHECK;
/* Removes what was put there over keep_secs ago (0: never for that), and the
 * oldest beyond the quota; how many.  now_ms: wall clock. */
unsigned aside_trim(const char *dir, int64_t now_ms, uint64_t keep_secs);

#endif
