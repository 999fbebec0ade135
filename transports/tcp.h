/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_TCP_H
#define TRANSPORTS_TCP_H
/*
 * The transport "tcp", postrider-tcp(8): the conversation over a socket, that
 * calls or is called.
 */
#include "transports/contract.h"

/* Whether the settings are right; nothing else is done.  ERR_CONFIG. */
int tcp_check(struct contract *c, struct err *e) MUST_CHECK;
/* All of it; what is wrong with the settings goes to standard error. */
enum contract_exit tcp_run(struct contract *c);

#endif
