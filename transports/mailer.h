/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_MAILER_H
#define TRANSPORTS_MAILER_H
/*
 * The transport "mail": parcels and objects of RFC 2442 as mails through an
 * SMTP server, and out of a mailbox; postrider-mail(8) lists its settings.
 */
#include "transports/contract.h"

struct mailer;

/* Reads and checks the settings; ERR_CONFIG. */
int mailer_new(struct contract *c, struct mailer **m_out, struct err *e)
    MUST_CHECK;
void mailer_free(struct mailer *m);
/* Sends and fetches what there is, and stays where poll says so; the exit
 * status.  What is misconfigured is said on standard error too. */
enum contract_exit mailer_run(struct mailer *m);

#endif
