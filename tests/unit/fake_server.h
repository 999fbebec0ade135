/* SPDX-License-Identifier: ISC */
#ifndef TESTS_FAKE_SERVER_H
#define TESTS_FAKE_SERVER_H
/*
 * A mail server of a few lines on the event loop of a test, which can be told
 * to misbehave.
 */
#include <sys/socket.h>

#include <event2/event.h>
#include <event2/listener.h>

#include "base/buf.h"

struct fake {
	struct event_base *base;
	struct evconnlistener *listener;
	char target[128];
	/* how it behaves */
	const char *greeting, *ehlo, *mail, *data, *end;
	long hang_after_in; /* octets taken, then the line drops; -1 not */
	long hang_after_out; /* octets said */
	unsigned per_line; /* messages, then 421 to MAIL; 0 any */
	bool slow; /* says an octet at a time */
	bool lmtp; /* LHLO, and `end` for each recipient */
	/* what it saw */
	struct buf content; /* of the last message, dots undone */
	unsigned messages, lines, open, open_max, rcpts, rcpts_max, quits;
	long in, out;
};

/* Listens on a port of 127.0.0.1; target names it. */
void fake_open(struct fake *f, struct event_base *base);
/* Listens at addr instead. */
void fake_listen(struct fake *f, const struct sockaddr *addr, socklen_t len);

#endif
