/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_STREAM_H
#define TRANSPORTS_STREAM_H
/*
 * A connection to a server, whatever is below it (a socket, TLS): octets both
 * ways, and each wait for them with an end.  Whoever makes one embeds it in
 * something of its own.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

struct stream;

struct stream_kind {
	/* Octets; 0 at the end (of reading); STREAM_AGAIN: not now; else an
	 * error, which is set. */
	ssize_t (*read)(struct stream *s, void *into, size_t len,
	    struct err *e);
	ssize_t (*write)(struct stream *s, const void *octets, size_t len,
	    struct err *e);
	void (*close)(struct stream *s);
};

#define STREAM_AGAIN (-100)

struct stream {
	const struct stream_kind *kind;
	int fd;			/* to wait for */
};

/* Connects to "HOST:PORT", "[IPV6]:PORT" or "unix:/path" without TLS; ms for
 * each address. */
int stream_connect(const char *server, int ms, struct stream **s_out,
    struct err *e) MUST_CHECK;
/* Is it an address as above?  ERR_CONFIG says what is wrong. */
int stream_check(const char *server, struct err *e) MUST_CHECK;
/* NULL is fine. */
void stream_close(struct stream *s);
/* At least one octet; 0: the other end has closed.  ERR_IO: nothing came for
 * ms, or it broke. */
ssize_t stream_read(struct stream *s, void *into, size_t len, int ms,
    struct err *e) MUST_CHECK;
/* At least one octet has gone.  Errors as above. */
ssize_t stream_write(struct stream *s, const void *octets, size_t len, int ms,
    struct err *e) MUST_CHECK;
/* As stream_read, but with 0 octets to *len_out where fd (-1: none) can be
 * read first, or neither within ms.  0, ERR_IO. */
int stream_listen(struct stream *s, int fd, void *into, size_t *len_io,
    int ms, struct err *e) MUST_CHECK;

#endif
