/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_MAILHOST_PRIVATE_H
#define TRANSPORTS_MAILHOST_PRIVATE_H
/*
 * What mailhost.c reads from the settings and mailhost_curl.c makes a
 * connection of.  They are two, so that the daemon can check settings without
 * libcurl.  Texts are those of the settings unless said otherwise.
 */
#include "transports/login.h"
#include "transports/mailhost.h"

enum mailhost_tls {
	MAILHOST_TLS_NAME,	/* certified for its name by an authority */
	MAILHOST_TLS_CA,	/* for whatever name */
	MAILHOST_TLS_PIN,	/* its public key is known beforehand */
	MAILHOST_TLS_NO
};

struct mailhost {
	struct contract *contract;
	enum mailhost_protocol protocol;
	bool tls_first;			/* smtps, imaps, pop3s */
	char *host, *path, *user;	/* own; user: may be NULL */
	unsigned port;
	char *name;			/* own */
	/* how to log in */
	const char *mechanisms;		/* as libcurl wants them; static */
	unsigned ways;			/* those of ours: enum login_way */
	bool ours_first;		/* before what libcurl can */
	const char *password_file, *token_file;
	int password_fd;		/* -1: none */
	char *password;			/* that came from there; secret_free */
	char **token_command;		/* own; or NULL */
	/* who it is */
	enum mailhost_tls tls;
	const char *ca, *cert_name, *pin, *cert, *key;
	/* through whom */
	char *proxy;			/* as libcurl wants it; own; or NULL */
	const char *proxy_user, *proxy_password_file;
};

/* Logs in by one of h->ways; ms for all of it.  As login_next, or ERR_IO,
 * ERR_STATE. */
int mailhost_log_in(struct mailhost *h, struct stream *s,
    const char *password, const char *helo, int ms, struct err *e) MUST_CHECK;

#endif
