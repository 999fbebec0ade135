/* SPDX-License-Identifier: ISC */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H
/*
 * What secrets need: to be read from files that nobody else reads, to lie in
 * memory that is not written to a disk, to be overwritten in a way that no
 * compiler removes, and to be compared in a time that does not depend on
 * them.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define SECRET_TEXT_MAX 16384

/* Overwrites len octets with zeros. */
void secret_wipe(void *bytes, size_t len);
/* Whether len octets are the same, in constant time. */
bool secret_equal(const void *a, const void *b, size_t len);
/* Whether all of len octets are zero, in constant time. */
bool secret_is_zero(const void *bytes, size_t len);

/* Is it a plain file that its owner alone can read or write?  ERR_DENIED,
 * ERR_NOT_FOUND and others say what is wrong with it. */
int secret_file_check(const char *path, struct err *e) MUST_CHECK;
/* The first line of such a file, without its line end, 1 to SECRET_TEXT_MAX
 * octets and none of them NUL; the caller frees it with secret_free.
 * ERR_SYNTAX: it is empty, or no such line. */
int secret_read_file(const char *path, char **text_out, struct err *e)
    MUST_CHECK;
/* The same from what a descriptor gives until its end; it stays open. */
int secret_read_fd(int fd, char **text_out, struct err *e) MUST_CHECK;
/* Memory for a secret, zeroed: not swapped and not in core dumps, where the
 * system allows. */
void *secret_alloc(size_t len);
/* Wipes and frees; NULL is fine. */
void secret_free(void *bytes);

#endif
