/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_MAILHOST_H
#define TRANSPORTS_MAILHOST_H
/*
 * A server of a mail provider: where it is, how it proves who it is, and who
 * we are there.  What is spoken after the login is not its concern.
 *
 *	mailhost_new; any number of mailhost_connect; mailhost_free
 *
 * Passwords and tokens are read anew for each login and wiped behind it.
 */
#include "transports/contract.h"
#include "transports/stream.h"

enum mailhost_protocol { MAILHOST_SMTP, MAILHOST_IMAP, MAILHOST_POP3 };

struct mailhost;

/* Reads the settings, postrider-mail(8): the URL of key ("submit" or
 * "fetch"), and, of the rest, "KEY-user" or "user" and so on.  The contract
 * must outlive it.  *h_out is NULL where key is not set.  ERR_CONFIG. */
int mailhost_new(struct contract *c, const char *key,
    struct mailhost **h_out, struct err *e) MUST_CHECK;
void mailhost_free(struct mailhost *h);
enum mailhost_protocol mailhost_protocol(const struct mailhost *h);
/* "imaps://mail.example.com:993", for messages. */
const char *mailhost_name(const struct mailhost *h);
/* What stands behind the slash, decoded: the mailbox; "" if nothing. */
const char *mailhost_path(const struct mailhost *h);
/* "" without one. */
const char *mailhost_user(const struct mailhost *h);
/* Whether the files that it names can be used: there, and those with secrets
 * closed to others.  ERR_CONFIG. */
int mailhost_check_files(const struct mailhost *h, struct err *e) MUST_CHECK;

/* Connects, by TLS unless tls=no, and logs in where there is a user.  helo:
 * for SMTP.  ERR_DENIED: the login was refused for good, with a password;
 * ERR_CONFIG: a file of the settings cannot be used; ERR_STATE: told to stop;
 * others: later is another try.  The texts hold nothing secret, and reports
 * of the contract will not hold what was read to log in. */
int mailhost_connect(struct mailhost *h, int ms, const char *helo,
    struct stream **s_out, struct err *e) MUST_CHECK;

#endif
