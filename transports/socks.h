/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_SOCKS_H
#define TRANSPORTS_SOCKS_H
/*
 * A SOCKS5 proxy (RFC 1928), with a user and a password if it wants them
 * (RFC 1929).
 */
#include "base/buf.h"
#include "transports/place.h"

#define SOCKS_TEXT_MAX 255	/* octets of a name, a user, a password */

struct wire;

struct socks {
	struct place at;
	const char *user;	/* NULL: without */
	struct buf password;	/* wiped by socks_release */
};

/* ERR_CONFIG: the user or the password is empty or too long. */
int socks_check(const struct socks *s, struct err *e) MUST_CHECK;
void socks_release(struct socks *s);
/* Has the proxy at the other end of fd connect to the place, whose name is
 * the proxy's to resolve.  With a user no other method is offered, so that
 * what keeps users apart (Tor's circuits) is not lost in silence.
 * timeout_ms: for each answer.  ERR_STATE: told to stop; ERR_CONFIG: a place
 * that cannot be named to a proxy; ERR_IO: it said no, and the text why. */
int socks_ask(const struct socks *s, const struct wire *w, int fd,
    const struct place *to, int timeout_ms, struct err *e) MUST_CHECK;

#endif
