/* SPDX-License-Identifier: ISC */
#ifndef NODE_TLS_H
#define NODE_TLS_H
/*
 * TLS (OpenSSL) on a nonblocking socket that is somebody else's.  Reading and
 * writing look like read(2) and write(2), so that a session is the same with
 * and without it.
 *
 *	tls_accept or tls_connect
 *	tls_handshake until it is not 0; tls_wants_write says for what
 *	tls_read, tls_write; tls_pending after each read
 *	tls_free			says close_notify, as far as it can
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "node/conf.h"

struct tls_context;
struct tls;

/* The certificate (PEM, its chain behind it) and its key.  ask: clients are
 * asked for a certificate, any will do. */
struct tls_context *tls_server_context(const char *certificate,
    const char *key, bool ask, struct err *e);
/* The file of the system's authorities, which need not be there. */
const char *tls_default_ca(void);
/* mode, ca (NULL: the system's) and fingerprints as configured; certificate
 * and key may be NULL. */
struct tls_context *tls_client_context(const struct conf_tls *conf,
    const char *certificate, const char *key, struct err *e);
/* Contexts are counted: a connection keeps its own alive. */
void tls_context_free(struct tls_context *ctx);

struct tls *tls_accept(struct tls_context *ctx, int fd);
/* name: of the server, for SNI and where the name is verified. */
struct tls *tls_connect(struct tls_context *ctx, int fd, const char *name);
void tls_free(struct tls *t);
/* Says close_notify; reading goes on. */
void tls_shut(struct tls *t);
/* 1: done, and the peer is who it has to be; 0: wait for the socket. */
int tls_handshake(struct tls *t, struct err *e) MUST_CHECK;
/* Does it wait until the socket can be written to? */
bool tls_wants_write(const struct tls *t);
/* As read(2) and write(2): EAGAIN, or EPROTO for what only TLS knows; a
 * connection that is cut without close_notify is at its end too. */
ssize_t tls_read(struct tls *t, void *bytes, size_t len);
ssize_t tls_write(struct tls *t, const void *bytes, size_t len);
/* Has it octets that it read already? */
bool tls_pending(const struct tls *t);
const char *tls_version(const struct tls *t);	/* "TLSv1.3" */
const char *tls_cipher(const struct tls *t);
/* SHA-256 of the peer's certificate; false: it has none. */
bool tls_peer_fingerprint(const struct tls *t, unsigned char digest_out[32]);

#endif
