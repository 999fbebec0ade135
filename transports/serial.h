/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_SERIAL_H
#define TRANSPORTS_SERIAL_H
/*
 * The transport "serial", postrider-serial(8): a tty, a chat script, and the
 * conversation over it; again and again where it is to stay.
 */
#include "transports/contract.h"

struct serial;

/* Whether the settings are right; nothing else is done.  ERR_CONFIG. */
int serial_check(struct contract *c, struct err *e) MUST_CHECK;

/* Reads the settings and takes the secret from its descriptor, which must be
 * done before any other is opened.  ERR_CONFIG says what is wrong. */
int serial_new(struct contract *c, struct serial **s_out, struct err *e)
    MUST_CHECK;
void serial_free(struct serial *s);
enum contract_exit serial_run(struct serial *s);

#endif
