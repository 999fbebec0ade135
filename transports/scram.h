/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_SCRAM_H
#define TRANSPORTS_SCRAM_H
/*
 * The client of SCRAM (RFC 5802, RFC 7677): it shows that it knows a password
 * without saying it, and the server shows that it knows it too.
 *
 *	scram_new; scram_step for each challenge; once the server says that
 *	we are in, scram_is_proved; scram_free
 */
#include "base/buf.h"
#include "base/err.h"

/* Of a server that asks for more, so that it cannot keep us busy for hours. */
#define SCRAM_ITERATIONS_MAX 1000000

struct scram;

/* name: "SCRAM-SHA-1" or "SCRAM-SHA-256".  user and password are copied.
 * ERR_UNSUPPORTED: it cannot be had here. */
int scram_new(const char *name, const char *user, const char *password,
    struct scram **s_out, struct err *e) MUST_CHECK;
void scram_free(struct scram *s);
/* Appends the answer to a challenge, both in base64; the first challenge is
 * empty.  ERR_SYNTAX: it is none, or not of one who knows the password;
 * ERR_LIMIT. */
int scram_step(struct scram *s, struct slice challenge, struct buf *out,
    struct err *e) MUST_CHECK;
/* The server has shown that it knows the password. */
bool scram_is_proved(const struct scram *s);

#endif
