/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_PASSWORD_H
#define TRANSPORTS_PASSWORD_H
/*
 * Passwords of transports come from files that settings name, so that none
 * stands in arguments, which everybody on the machine can read.
 */
#include "transports/contract.h"

#define PASSWORD_MAX 1024

/* The content of the file that the setting names, without line end, behind
 * what is in out, which password_release is for; nothing where there is no
 * such setting.  ERR_CONFIG: it cannot be read, or others than its owner can
 * read or write it. */
int password_read(struct contract *c, const char *key, struct buf *out,
    struct err *e) MUST_CHECK;
/* Wipes it. */
void password_release(struct buf *b);

#endif
