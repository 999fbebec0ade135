/* SPDX-License-Identifier: ISC */
/*
 * TLS by OpenSSL.  A fingerprint is checked here, behind the handshake, since
 * it makes a certificate good whoever signed it; the chain and the name are
 * checked by OpenSSL inside.
 */
#include "node/tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One name of OpenSSL's is ours too. */
#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#undef ERR_STATE

#include "base/mem.h"

struct tls_context {
	SSL_CTX *ssl;
	enum conf_tls_mode mode;
	unsigned char (*fingerprint)[CONF_FINGERPRINT_LEN];
	size_t nfingerprints;
	unsigned refs;
};

struct tls {
	struct tls_context *ctx;
	SSL *ssl;
	bool done;		/* the handshake */
	bool broken;		/* no close_notify any more */
	bool wants_write;
};

/* The first of OpenSSL's errors, which names the cause. */
static int
tls_error(struct err *e, const char *what)
{
	unsigned long code = ERR_peek_error();
	const char *why = code != 0 ? ERR_reason_error_string(code) : NULL;

	ERR_clear_error();
	return err_set(e, ERR_IO, "%s: %s", what,
	    why != NULL ? why : "the connection broke");
}

static int
load_certificate(SSL_CTX *ssl, const char *certificate, const char *key,
    struct err *e)
{
	if (SSL_CTX_use_certificate_chain_file(ssl, certificate) != 1)
		return tls_error(e, certificate);
	if (key == NULL)
		key = certificate;
	if (SSL_CTX_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM) != 1)
		return tls_error(e, key);
	if (SSL_CTX_check_private_key(ssl) != 1)
		return tls_error(e, key);
	return 0;
}

static struct tls_context *
context_new(const SSL_METHOD *method)
{
	struct tls_context *ctx = mem_alloc(1, sizeof(*ctx));

	ctx->refs = 1;
	ctx->ssl = SSL_CTX_new(method);
	if (ctx->ssl == NULL)
		abort();
	SSL_CTX_set_min_proto_version(ctx->ssl, TLS1_2_VERSION);
	SSL_CTX_set_mode(ctx->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	/* Many clients hang up without close_notify; the protocols above
	 * know their end. */
	SSL_CTX_set_options(ctx->ssl, SSL_OP_NO_RENEGOTIATION |
	    SSL_OP_IGNORE_UNEXPECTED_EOF);
	return ctx;
}

/* Any certificate will do: it is looked up, not believed. */
static int
take_any(int ok, X509_STORE_CTX *store)
{
	(void)ok;
	(void)store;
	return 1;
}

struct tls_context *
tls_server_context(const char *certificate, const char *key, bool ask,
    struct err *e)
{
	static const unsigned char id[] = "postrider";
	struct tls_context *ctx = context_new(TLS_server_method());

	SSL_CTX_set_session_id_context(ctx->ssl, id, sizeof(id) - 1);
	if (ask)
		SSL_CTX_set_verify(ctx->ssl, SSL_VERIFY_PEER, take_any);
	if (load_certificate(ctx->ssl, certificate, key, e) == 0)
		return ctx;
	tls_context_free(ctx);
	return NULL;
}

/* As OpenSSL looks for it. */
const char *
tls_default_ca(void)
{
	const char *path = secure_getenv(X509_get_default_cert_file_env());

	return path != NULL ? path : X509_get_default_cert_file();
}

static int
load_authorities(SSL_CTX *ssl, const char *ca, struct err *e)
{
	if (ca == NULL) {
		if (SSL_CTX_set_default_verify_paths(ssl) != 1)
			return tls_error(e, "certificates of the system");
	} else if (SSL_CTX_load_verify_file(ssl, ca) != 1) {
		return tls_error(e, ca);
	}
	return 0;
}

struct tls_context *
tls_client_context(const struct conf_tls *conf, const char *certificate,
    const char *key, struct err *e)
{
	struct tls_context *ctx = context_new(TLS_client_method());
	bool verify = conf->mode == CONF_TLS_CA || conf->mode == CONF_TLS_NAME;
	int rc = 0;

	ctx->mode = conf->mode;
	ctx->nfingerprints = conf->nfingerprints;
	ctx->fingerprint = mem_alloc(conf->nfingerprints + 1,
	    sizeof(*ctx->fingerprint));
	if (conf->nfingerprints > 0)
		memcpy(ctx->fingerprint, conf->fingerprint,
		    conf->nfingerprints * sizeof(*ctx->fingerprint));
	SSL_CTX_set_verify(ctx->ssl, verify ? SSL_VERIFY_PEER :
	    SSL_VERIFY_NONE, NULL);
	if (verify)
		rc = load_authorities(ctx->ssl, conf->ca, e);
	if (rc == 0 && certificate != NULL)
		rc = load_certificate(ctx->ssl, certificate, key, e);
	if (rc == 0)
		return ctx;
	tls_context_free(ctx);
	return NULL;
}

void
tls_context_free(struct tls_context *ctx)
{
	if (ctx == NULL || --ctx->refs > 0)
		return;
	SSL_CTX_free(ctx->ssl);
	free(ctx->fingerprint);
	free(ctx);
}

static struct tls *
tls_new(struct tls_context *ctx, int fd)
{
	struct tls *t = mem_alloc(1, sizeof(*t));

	t->ctx = ctx;
	ctx->refs++;
	t->ssl = SSL_new(ctx->ssl);
	if (t->ssl == NULL || SSL_set_fd(t->ssl, fd) != 1)
		abort();
	return t;
}

struct tls *
tls_accept(struct tls_context *ctx, int fd)
{
	struct tls *t = tls_new(ctx, fd);

	SSL_set_accept_state(t->ssl);
	return t;
}

static bool
is_literal(const char *name)
{
	ASN1_OCTET_STRING *ip = a2i_IPADDRESS(name);

	ASN1_OCTET_STRING_free(ip);
	ERR_clear_error();
	return ip != NULL;
}

struct tls *
tls_connect(struct tls_context *ctx, int fd, const char *name)
{
	struct tls *t = tls_new(ctx, fd);
	bool literal = is_literal(name);

	SSL_set_connect_state(t->ssl);
	if (!literal)
		SSL_set_tlsext_host_name(t->ssl, name);
	if (ctx->mode != CONF_TLS_NAME)
		return t;
	/* A name that cannot be set must not mean that any will do. */
	if (literal ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(t->ssl),
	    name) != 1 : SSL_set1_host(t->ssl, name) != 1)
		t->broken = true;
	return t;
}

void
tls_shut(struct tls *t)
{
	ERR_clear_error();
	if (t->done && !t->broken)
		(void)SSL_shutdown(t->ssl);
	ERR_clear_error();
}

void
tls_free(struct tls *t)
{
	if (t == NULL)
		return;
	tls_shut(t);
	SSL_free(t->ssl);
	ERR_clear_error();
	tls_context_free(t->ctx);
	free(t);
}

static bool
is_known(const struct tls *t)
{
	unsigned char digest[CONF_FINGERPRINT_LEN];

	if (!tls_peer_fingerprint(t, digest))
		return false;
	for (size_t i = 0; i < t->ctx->nfingerprints; i++)
		if (memcmp(t->ctx->fingerprint[i], digest,
		    sizeof(digest)) == 0)
			return true;
	return false;
}

static int
handshake_failed(struct tls *t, struct err *e)
{
	long why = SSL_get_verify_result(t->ssl);

	t->broken = true;
	if (why == X509_V_OK || t->ctx->mode < CONF_TLS_CA)
		return tls_error(e, "TLS handshake");
	ERR_clear_error();
	return err_set(e, ERR_DENIED, "certificate not accepted: %s",
	    X509_verify_cert_error_string(why));
}

int
tls_handshake(struct tls *t, struct err *e)
{
	int rc, why;

	if (t->broken)
		return err_set(e, ERR_CONFIG, "a name that no certificate "
		    "can have");
	ERR_clear_error();
	rc = SSL_do_handshake(t->ssl);
	t->wants_write = false;
	if (rc != 1) {
		why = SSL_get_error(t->ssl, rc);
		t->wants_write = why == SSL_ERROR_WANT_WRITE;
		if (why == SSL_ERROR_WANT_READ || t->wants_write)
			return 0;
		return handshake_failed(t, e);
	}
	if (t->ctx->mode == CONF_TLS_FINGERPRINT && !is_known(t)) {
		t->broken = true;
		return err_set(e, ERR_DENIED, "certificate not accepted: its "
		    "fingerprint is not among those configured");
	}
	t->done = true;
	return 1;
}

bool
tls_wants_write(const struct tls *t)
{
	return t->wants_write;
}

/* The outcome of a call that moved nothing. */
static ssize_t
moved_nothing(struct tls *t, int rc)
{
	int why = SSL_get_error(t->ssl, rc), saved = errno;

	ERR_clear_error();
	errno = EAGAIN;
	if (why == SSL_ERROR_WANT_READ)
		return -1;
	t->wants_write = why == SSL_ERROR_WANT_WRITE;
	if (t->wants_write)
		return -1;
	if (why == SSL_ERROR_ZERO_RETURN)
		return 0;
	t->broken = true;
	if (why == SSL_ERROR_SYSCALL && saved == 0)
		return 0;
	errno = why == SSL_ERROR_SYSCALL ? saved : EPROTO;
	return -1;
}

ssize_t
tls_read(struct tls *t, void *bytes, size_t len)
{
	size_t n = 0;
	int rc;

	ERR_clear_error();
	errno = 0;
	t->wants_write = false;
	rc = SSL_read_ex(t->ssl, bytes, len, &n);
	return rc == 1 ? (ssize_t)n : moved_nothing(t, rc);
}

ssize_t
tls_write(struct tls *t, const void *bytes, size_t len)
{
	size_t n = 0;
	ssize_t moved;
	int rc;

	ERR_clear_error();
	errno = 0;
	t->wants_write = false;
	rc = SSL_write_ex(t->ssl, bytes, len, &n);
	if (rc == 1)
		return (ssize_t)n;
	moved = moved_nothing(t, rc);
	if (moved == 0) {
		errno = EPIPE;
		return -1;
	}
	return moved;
}

bool
tls_pending(const struct tls *t)
{
	return SSL_has_pending(t->ssl) != 0;
}

const char *
tls_version(const struct tls *t)
{
	return SSL_get_version(t->ssl);
}

const char *
tls_cipher(const struct tls *t)
{
	return SSL_get_cipher_name(t->ssl);
}

bool
tls_peer_fingerprint(const struct tls *t, unsigned char digest_out[32])
{
	X509 *cert = SSL_get1_peer_certificate(t->ssl);
	unsigned len = 0;
	bool good;

	good = cert != NULL &&
	    X509_digest(cert, EVP_sha256(), digest_out, &len) == 1 &&
	    len == CONF_FINGERPRINT_LEN;
	X509_free(cert);
	ERR_clear_error();
	return good;
}
