/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_MAILHOST_PRIVATE_H
#define TRANSPORTS_MAILHOST_PRIVATE_H
/*
 * What mailhost.c reads from the settings and mailhost_curl.c makes a
 * connection of.  They are two, so that the daemon can check settings without
 * libcurl.  Texts are those of the settings unless said otherwise.
 */
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

#endif
