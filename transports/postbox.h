/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_POSTBOX_H
#define TRANSPORTS_POSTBOX_H
/*
 * A connection to an SMTP server that takes letters, one behind another.
 */
#include "transports/letter.h"
#include "transports/mailhost.h"

struct postbox;

enum postbox_outcome {
	POSTBOX_TAKEN,		/* the server has it */
	POSTBOX_LATER,		/* refused for now: why */
	POSTBOX_REFUSED,	/* refused for good: why */
	POSTBOX_GONE,		/* the connection is of no more use: why */
};

struct postbox_options {
	const char *server;	/* as stream.h's stream_connect wants it, */
	struct mailhost *host;	/* or NULL and this */
	const char *name;	/* of either, for messages */
	const char *helo;
	int wait_ms;		/* longest wait for a reply; 0: RFC 5321's */
	void (*progress)(void *ctx, uint64_t done);	/* may be NULL */
	void *ctx;
};

/* Connects, and logs in.  opts must live as long as the postbox.  ERR_DENIED:
 * the login was refused for good; ERR_CONFIG; other errors: later. */
int postbox_open(const struct postbox_options *opts, struct postbox **p_out,
    struct err *e) MUST_CHECK;
/* Says QUIT if it can, and hangs up. */
void postbox_close(struct postbox *p);
/* Waits until the outcome is known; why names step and reply. */
enum postbox_outcome postbox_send(struct postbox *p, struct letter *l,
    struct err *why);

#endif
