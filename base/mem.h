/* SPDX-License-Identifier: ISC */
#ifndef BASE_MEM_H
#define BASE_MEM_H
/*
 * Allocation.  Every one of these aborts with a message on standard error
 * when memory is exhausted, so callers never test for NULL.  Lengths that
 * come from a peer meet a named limit before they get here.
 */
#include <stddef.h>

/* Zeroed memory for n objects of size bytes; the caller frees it. */
void *mem_alloc(size_t n, size_t size);
/* Like realloc(3) for n objects of size bytes; new bytes are not zeroed. */
void *mem_realloc(void *old, size_t n, size_t size);
/* A NUL-terminated copy of the string, or of len bytes of it. */
char *mem_strdup(const char *text);
char *mem_strndup(const char *text, size_t len);
/* printf(3) into fresh memory; the caller frees it. */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
