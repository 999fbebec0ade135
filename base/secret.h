/* SPDX-License-Identifier: ISC */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H
/*
 * What secrets need: to be overwritten in a way that no compiler removes, and
 * to be compared in a time that does not depend on them.
 */
#include <stdbool.h>
#include <stddef.h>

/* Overwrites len octets with zeros. */
void secret_wipe(void *bytes, size_t len);
/* Whether len octets are the same, in constant time. */
bool secret_equal(const void *a, const void *b, size_t len);
/* Whether all of len octets are zero, in constant time. */
bool secret_is_zero(const void *bytes, size_t len);

#endif
