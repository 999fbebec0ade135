/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_LOGIN_H
#define TRANSPORTS_LOGIN_H
/*
 * Logins that libcurl does not make: by the commands of old (LOGIN of IMAP,
 * USER and PASS of POP3) and by SCRAM.  No I/O:
 *
 *	login_new; send the output, feed what comes and ask login_next, until
 *	that is not 0; login_free
 *
 * The connection is one whose greeting has been heard, within TLS if there is
 * any.  What is offered is asked for anew, and the first of SCRAM-SHA-256,
 * SCRAM-SHA-1 and the commands that the server offers is taken.
 */
#include "base/buf.h"
#include "base/err.h"

#define LOGIN_LINE_MAX 16384	/* octets of a reply */
#define LOGIN_LINES_MAX 1000

enum login_protocol { LOGIN_SMTP, LOGIN_IMAP, LOGIN_POP3 };

enum login_way {
	LOGIN_SCRAM_SHA_256 = 1, LOGIN_SCRAM_SHA_1 = 2,
	LOGIN_COMMAND = 4	/* which says the password */
};

/* The texts must outlive the login. */
struct login_options {
	enum login_protocol protocol;
	unsigned ways;		/* that are allowed: enum login_way bits */
	const char *user, *password;
	const char *helo;	/* SMTP */
};

struct login;

struct login *login_new(const struct login_options *opts);
/* Wipes what it was about to send. */
void login_free(struct login *l);
struct buf *login_output(struct login *l);
void login_feed(struct login *l, const char *octets, size_t len);
/* 1: we are in; 0: it goes on.  ERR_UNSUPPORTED: no way that is allowed is
 * offered; ERR_DENIED: refused, and the text is what the server said, as it
 * is; ERR_SYNTAX, ERR_LIMIT: nothing that a server may say. */
int login_next(struct login *l, struct err *e) MUST_CHECK;

#endif
