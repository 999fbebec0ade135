/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_UUX_H
#define TRANSPORTS_UUX_H
/*
 * The transport "uucp": each file is the standard input of a command that
 * uux(1) has executed at the peer's system; postrider-uucp(8) lists its
 * settings.  What comes back comes from uuxqt(8) to rsmtp(8), not here.
 */
#include "transports/contract.h"

struct uux;

/* Whether the settings are right; nothing else is done.  ERR_CONFIG. */
int uux_check(struct contract *c, struct err *e) MUST_CHECK;

/* Reads and checks the settings; ERR_CONFIG. */
int uux_new(struct contract *c, struct uux **u_out, struct err *e) MUST_CHECK;
void uux_free(struct uux *u);
/* Sends what there is; the exit status. */
enum contract_exit uux_run(struct uux *u);

#endif
