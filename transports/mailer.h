/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_MAILER_H
#define TRANSPORTS_MAILER_H
/*
 * The transport "mail": objects of RFC 2442 as mails through an SMTP server;
 * postrider-mail(8) lists its settings.  What comes back by mail comes to
 * the node's own listener, not here.
 */
#include "transports/contract.h"

struct mailer;

/* Reads and checks the settings; ERR_CONFIG. */
int mailer_new(struct contract *c, struct mailer **m_out, struct err *e)
    MUST_CHECK;
void mailer_free(struct mailer *m);
/* Sends what there is; the exit status. */
enum contract_exit mailer_run(struct mailer *m);

#endif
