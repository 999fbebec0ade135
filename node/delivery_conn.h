/* SPDX-License-Identifier: ISC */
#ifndef NODE_DELIVERY_CONN_H
#define NODE_DELIVERY_CONN_H
/*
 * What delivery_smtp.c, the agent, and delivery_conn.c, one connection of it,
 * know of each other; nobody else includes it.
 */
#include <sys/socket.h>

#include "node/content.h"
#include "node/delivery_agent.h"
#include "node/tls.h"
#include "smtp/client.h"

#define CONN_RCPT_MAX 100	/* RFC 5321 4.5.3.1.8 */
#define SMTP_ADDRS_MAX 8

/*
 *	             connected        READY       a job
 *	CONNECTING -----------> HELLO -----> IDLE -----> BUSY
 *	                                      |  <-----    |
 *	             5 s, or 100 messages     v   READY    |
 *	                                   QUITTING <------+
 *
 *	from each, by CLOSED, an error or a timeout: dead, and freed
 */
enum conn_state { CONN_CONNECTING, CONN_HELLO, CONN_IDLE, CONN_BUSY,
	CONN_QUITTING };

struct smtp_agent;

struct conn {
	struct list link;
	struct smtp_agent *agent;
	enum conn_state state;
	bool dead;
	bool broken;		/* the socket is of no use any more */
	bool deaf;		/* the server takes no more, but may speak */
	bool was_ready;
	const char *status;	/* why it broke: "4.4.1", "4.4.2" */
	unsigned served;	/* messages */
	size_t addr;		/* which of the agent's addresses */
	int error;		/* errno of the last one tried */
	int fd;
	struct event *rd, *wr, *timer;
	struct smtp_client *client;
	struct tls *tls;	/* NULL: in clear */
	bool handshake;		/* under way */
	bool in_clear;		/* it will not ask for TLS */

	/* The transaction: recipients first .. first + n - 1 of the job. */
	struct delivery_task *task;
	size_t first, n;
	bool accepted[CONN_RCPT_MAX];
	bool answered;		/* the server said something about it */
	struct buf trace;	/* the field that goes before the content */
	struct content_facts facts;	/* of both */
	struct content *content;
	bool preparing;		/* the content, a piece at each turn */
	bool sending;		/* the server wants it now */
	bool body_bad;		/* it could not be read: e tells */
	struct err e;
};

struct addr {
	struct sockaddr_storage ss;
	socklen_t len;
};

struct smtp_agent {
	struct delivery *agent;
	struct event *turn;
	struct list waiting;	/* tasks */
	struct list conns;
	size_t nconns, nopening;	/* those that quit don't count */
	int64_t failed_ms;	/* when a connection last could not be made */
	bool failed;
	struct addr addr[SMTP_ADDRS_MAX];
	size_t naddrs;		/* 0: to be looked up */
	struct buf piece;
	enum conf_tls_mode tls_mode;
	char *tls_name;
	struct tls_context *tls;	/* NULL: none, or why it is not */
	struct err tls_error;
	bool clear;		/* CONF_TLS_MAY, and TLS has failed */
};

/* Starts to connect; the agent has addresses.  Where that fails at once,
 * smtp_open_failed was called before it returns. */
void conn_open(struct smtp_agent *s);
/* A connection without a job: takes one that waits, or is idle, or quits. */
void conn_next(struct conn *c);
/* Handles all events there are and sends what came of them.  May free c. */
void conn_run(struct conn *c);
/* An idle one says QUIT, but nobody waits for the answer. */
void conn_free(struct conn *c);

/* The agent looks at its queue from the event loop. */
void smtp_turn_soon(struct smtp_agent *s);
/* A connection could not be made, or the server did not want to talk: if it
 * was the only one, all who wait are told. */
void smtp_open_failed(struct smtp_agent *s, enum delivery_outcome outcome,
    const char *status, const char *text);

#endif
