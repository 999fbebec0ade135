/* SPDX-License-Identifier: ISC */
#ifndef NODE_DAEMON_H
#define NODE_DAEMON_H
/*
 * The daemon around the exchange: what its parts (listeners, control socket,
 * carriers of objects, delivery agents) share.  Parts are made once the spool
 * is open and freed before it is closed.
 */
#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "node/conf.h"
#include "node/exchange.h"
#include "node/keys.h"
#include "spool/spool.h"

struct daemon {
	struct event_base *base;
	struct clock *clock;
	struct rng *rng;
	struct log *log;
	struct conf *conf;
	struct keys *keys;		/* NULL: the site has none */
	struct serials *serials;	/* beside the keys; NULL with them */
	struct spool *spool;
	struct exchange *exchange;
	struct listener_set *listeners;
	struct control *control;
	struct carrier *carrier;	/* transports, out/ and in/ */
	struct agents *agents;		/* of the deliveries */
	bool stopping;
	bool failed;			/* the store failed: end with 75 */
};

/* Something was told to the exchange: commit and actions follow before the
 * loop sleeps.  Cheap, may be called often. */
void daemon_wake(struct daemon *d);
/* Reads the configuration again.  Returns 0, or ERR_CONFIG and the old one
 * stays; every fault, and what needs a restart, is added to report as lines. */
int daemon_reload(struct daemon *d, struct buf *report, struct err *e)
    MUST_CHECK;
/* Ends when running work is done, or after a deadline. */
void daemon_stop(struct daemon *d);
/* Does a connected socket end at one of our own listeners? */
bool daemon_is_own(void *daemon, const struct sockaddr *addr, socklen_t len);

#endif
