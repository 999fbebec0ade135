/* SPDX-License-Identifier: ISC */
#ifndef NODE_DELIVERY_H
#define NODE_DELIVERY_H
/*
 * Delivery agents: one for each `delivery` section, and one for `via`.  An
 * agent is given jobs, a message and some of its recipients each, and tells
 * the outcome of every recipient, then that the job is over.  An outcome
 * nobody told is "retry".
 *
 *	a = delivery_new(base, delivery, &hooks)
 *	delivery_start(a, job)		as many as the exchange hands out
 *		hooks.result for each recipient, then hooks.over: frees the job
 *	delivery_free(a)		running jobs end as retry, told
 */
#include <event2/event.h>

#include "node/conf.h"
#include "spool/spool.h"

/* The last four are all success; they differ in who reports it where the
 * sender asked for that (RFC 3461 5.2). */
enum delivery_outcome {
	DELIVERY_RETRY,
	DELIVERY_DONE,		/* it is where it ends: we report "delivered" */
	DELIVERY_FAILED,
	DELIVERY_RELAYED,	/* to a server without DSN, or a command that
				 * may hand it on: we report "relayed" */
	DELIVERY_TRACED,	/* to any server, and the sender asked by
				 * DELIVERBY to be told of it (RFC 2852):
				 * we report "relayed" */
	DELIVERY_PASSED,	/* the server offers DSN and got all
				 * parameters: it reports */
};

struct delivery_job {
	uint64_t message;
	size_t *rcpt;		/* indexes into the message's recipients */
	size_t nrcpt;
	void *cookie;		/* the caller's */
};

struct delivery_hooks {
	void *ctx;
	struct spool *spool;
	struct log *log;
	struct clock *clock;
	const char *certificate, *key;	/* for servers that ask; or NULL */
	const char *hostname;	/* HELO name, Maildir file names */
	bool trace;		/* add one Received line (trace = delivery) */
	/* Our own listeners: an SMTP agent whose connection turns out to end
	 * at one (getpeername equals it) tells failed 5.4.6 instead. */
	bool (*is_own)(void *ctx, const struct sockaddr *addr, socklen_t len);
	/* status: "5.1.1"; text: for notice and log, names step and server.
	 * The reply of a server is told as "TARGET said after STEP: 550 5.1.1
	 * text", other words about it as "TARGET: text", where TARGET is that
	 * of the configuration: notices take this apart (notice_status.h). */
	void (*result)(void *ctx, struct delivery_job *job, size_t rcpt,
	    enum delivery_outcome outcome, const char *status,
	    const char *text);
	void (*over)(void *ctx, struct delivery_job *job);
};

struct delivery;
struct delivery *delivery_new(struct event_base *base,
    const struct conf_delivery *conf, const struct delivery_hooks *hooks);
void delivery_free(struct delivery *a);
/* The agent owns the job until hooks.over.  Results may come at once. */
void delivery_start(struct delivery *a, struct delivery_job *job);
size_t delivery_running(const struct delivery *a);

#endif
