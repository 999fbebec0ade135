/* SPDX-License-Identifier: ISC */
#ifndef NODE_SESSION_STATE_H
#define NODE_SESSION_STATE_H
/*
 * What the two halves of a session share: session.c, which has the socket, and
 * session_mail.c, which has the transaction.
 */
#include "node/mailed.h"
#include "node/session.h"
#include "smtp/server.h"

struct session {
	const struct session_host *host;
	void *cookie;
	char *source;
	int fd;
	const struct session_service *service;
	struct tls *tls;	/* NULL: in clear */
	bool tls_due;		/* as soon as 220 is sent */
	bool handshake;		/* under way */
	bool trusted;		/* may submit */
	struct event *readable, *writable;
	bool reading, writing;	/* the events are armed */
	struct smtp_server *smtp;
	struct buf in;		/* read, not yet used */
	struct spool_draft *draft;
	uint64_t octets;	/* of the content at hand */
	bool for_bundles;	/* the message at hand is for that address, */
	char *object_peer;	/* from this peer; NULL: from nobody */
	struct mailed *mailed;
	bool committing;	/* the exchange has a message of ours */
	bool welcome;
	bool stopping;
	bool eof;		/* the client has said all */
	bool eof_told;
	bool ended;		/* no more commands; replies may be unsent */
	bool quit;
	bool shut;		/* all is sent, and it knows: no more comes */
	bool dead;		/* the socket is of no more use */
	unsigned logged;
	int64_t active_ms;
	uint64_t messages;
};

/* An event of the protocol. */
void session_handle(struct session *s, const struct smtp_event *ev);
/* Answers the event at hand with a refusal, and logs it. */
void session_refuse(struct session *s, const char *command,
    const struct smtp_event *ev, const struct smtp_refusal *r);
/* Forgets the transaction. */
void session_drop(struct session *s);
/* No more commands; what is in the output is still sent. */
void session_end(struct session *s);

#endif
