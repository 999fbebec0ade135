/* SPDX-License-Identifier: ISC */
#ifndef NODE_SD_H
#define NODE_SD_H
/*
 * The two conventions of systemd that a daemon needs, sd_notify(3) and
 * sd_listen_fds(3), without its library: they are environment variables, a
 * datagram and numbers of descriptors.
 */
#include <stddef.h>

#include "base/err.h"

/* Sends lines such as "READY=1\nSTATUS=..." to NOTIFY_SOCKET (a path, or "@"
 * and an abstract name); without that variable nothing happens and 0 is
 * returned. */
int sd_notify(struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* RELOADING=1 with the MONOTONIC_USEC that Type=notify-reload demands; to be
 * followed by READY=1. */
int sd_notify_reloading(struct err *e);

/* Sockets that were opened for us. */
struct sd_sockets {
	int *fd;	/* the taker of one puts -1 in its place */
	size_t n;
};

/* Those that LISTEN_FDS and LISTEN_PID give to this process, closed on exec
 * from now on; the variables are removed, so that a second call and the
 * programs that we start find none. */
void sd_sockets_take(struct sd_sockets *socks_out);
/* Closes those that nobody took. */
void sd_sockets_release(struct sd_sockets *socks);

#endif
