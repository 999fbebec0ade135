/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_EACH_H
#define TRANSPORTS_EACH_H
/*
 * The second way of the transport "exec": a command for each file that goes,
 * and one that fetches what comes; postrider-exec(8) has the settings.
 *
 *	send what there is -> fetch -> as often as the daemon has more
 *	                        ^          | stay: or it is time to look
 *	                        `----------'
 */
#include "transports/contract.h"

/* Whether the settings are right; nothing else is done.  ERR_CONFIG. */
int each_check(struct contract *c, struct err *e) MUST_CHECK;
/* All of it; what is wrong with the settings goes to standard error. */
enum contract_exit each_run(struct contract *c);

#endif
