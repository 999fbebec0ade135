/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_OCTETS_H
#define TESTS_UNIT_OCTETS_H
/* Octets written down in tests: hex with blanks wherever they help. */
#include "base/buf.h"
#include "base/err.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Appends; fails the test for what is no hex. */
void unhex(struct buf *out, const char *hex);
/* Both as hex, where they differ. */
void assert_octets(const struct buf *is, struct slice wanted);
/* A sink that appends to the struct buf that is its context. */
int sink_to_buf(void *ctx, const char *bytes, size_t len, struct err *e);
/* One that has no room: ERR_FULL, "no room". */
int sink_refuses(void *ctx, const char *bytes, size_t len, struct err *e);

#endif
