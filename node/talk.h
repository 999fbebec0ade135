/* SPDX-License-Identifier: ISC */
#ifndef NODE_TALK_H
#define NODE_TALK_H
/*
 * A session of SMTP between standard input and output and a socket.
 */
#include "base/buf.h"
#include "base/err.h"

/* Carries octets both ways until the other end of the socket closes it.
 * first: what was read from there already; it is used up.  ERR_IO where
 * either side failed. */
int talk(int fd, struct buf *first, struct err *e) MUST_CHECK;

#endif
