/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_SOCKET_H
#define TRANSPORTS_SOCKET_H
/*
 * Sockets of the transport "tcp": to a place, by a SOCKS5 proxy where there
 * is one, and one to be called at.
 */
#include "transports/place.h"
#include "transports/wire.h"

struct socks;

/* Connected, non-blocking, closed on exec.  through: the proxy (socks.h),
 * which then resolves the name, or NULL.  ERR_STATE: told to stop;
 * ERR_NOT_FOUND, ERR_IO and others: it cannot be reached, and the text says
 * which and why. */
int socket_call(const struct wire *w, const struct place *to,
    const struct socks *through, int timeout_ms, int *fd_out, struct err *e)
    MUST_CHECK;
/* Listens.  A socket file that nobody listens at is replaced; the new one is
 * for the user and its group. */
int socket_listen(const struct place *at, int *fd_out, struct err *e)
    MUST_CHECK;
/* The next that calls.  As wire_wait; 1: *fd_out. */
int socket_accept(const struct wire *w, int listener, int ms, int *fd_out,
    struct err *e) MUST_CHECK;

#endif
