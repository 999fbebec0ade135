/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_FILEDROP_H
#define TRANSPORTS_FILEDROP_H
/*
 * The transport "file": a drop directory and a pick-up directory, perhaps on
 * a removable medium; postrider-file(8) lists its settings.
 *
 *	start -> look <-> wait (stay=yes; medium not there) -> exit status
 */
#include "transports/contract.h"

struct filedrop;

/* Whether the settings are right; nothing else is done.  ERR_CONFIG. */
int filedrop_check(struct contract *c, struct err *e) MUST_CHECK;

/* Reads and checks the settings; ERR_CONFIG. */
int filedrop_new(struct contract *c, struct filedrop **f_out, struct err *e)
    MUST_CHECK;
void filedrop_free(struct filedrop *f);
/* Works until all is done, or with stay=yes until it is told to stop or
 * something fails; the exit status. */
enum contract_exit filedrop_run(struct filedrop *f);

#endif
