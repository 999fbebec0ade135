/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_POSTBOX_H
#define TRANSPORTS_POSTBOX_H
/*
 * A connection to an SMTP server that takes letters, one behind another.
 */
#include "transports/letter.h"

struct postbox;

enum postbox_outcome {
	POSTBOX_TAKEN,		/* the server has it */
	POSTBOX_LATER,		/* refused for now: why */
	POSTBOX_REFUSED,	/* refused for good: why */
	POSTBOX_GONE,		/* the connection is of no more use: why */
};

struct postbox_options {
	const char *server;	/* "HOST:PORT", "[IPV6]:PORT", "unix:/path" */
	const char *helo;
	int wait_ms;		/* longest wait for a reply; 0: RFC 5321's */
	void (*progress)(void *ctx, uint64_t done);	/* may be NULL */
	void *ctx;
};

/* Is it an address as above?  ERR_CONFIG says what is wrong. */
int postbox_check(const char *server, struct err *e) MUST_CHECK;
/* Connects.  opts must live as long as the postbox. */
int postbox_open(const struct postbox_options *opts, struct postbox **p_out,
    struct err *e) MUST_CHECK;
/* Says QUIT if it can, and hangs up. */
void postbox_close(struct postbox *p);
/* Waits until the outcome is known; why names step and reply. */
enum postbox_outcome postbox_send(struct postbox *p, struct letter *l,
    struct err *why);

#endif
