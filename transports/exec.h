/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_EXEC_H
#define TRANSPORTS_EXEC_H
/*
 * The transport "exec", postrider-exec(8): the conversation over a command's
 * standard input and output, or a command for each file.
 */
#include "transports/contract.h"

/* Whether the settings are right; nothing else is done.  ERR_CONFIG. */
int exec_check(struct contract *c, struct err *e) MUST_CHECK;
/* All of it; what is wrong with the settings goes to standard error. */
enum contract_exit exec_run(struct contract *c);

#endif
