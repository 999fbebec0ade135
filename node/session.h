/* SPDX-License-Identifier: ISC */
#ifndef NODE_SESSION_H
#define NODE_SESSION_H
/*
 * One SMTP client on a connected socket: smtp/server.h between the socket and
 * the exchange.
 *
 *	session_new			greets
 *	   events of the socket; session_completed; session_tick
 *	host->over(cookie)		it has ended: session_free it there
 *
 * A message that was given to the exchange leaves the client waiting until
 * session_completed; what it sends meanwhile waits too.
 */
#include "node/daemon.h"
#include "node/tls.h"

struct session;

#define SESSION_READ_MAX 65536

/* How a listener serves; must stay while sessions begin and make TLS. */
struct session_service {
	bool lmtp;
	bool normalize;		/* bare line ends in DATA */
	unsigned hidden;	/* extensions that are not offered */
	bool tls_required;
	struct tls_context *tls;	/* NULL: not offered */
	bool by_certificate;	/* one can make somebody welcome */
	/* Who shows one of these may submit from anywhere. */
	const struct conf_net *allow;
	size_t nallow;
};

/* What all sessions share; must outlive them. */
struct session_host {
	struct daemon *daemon;
	char *scratch;		/* SESSION_READ_MAX octets to read into */
	void (*over)(void *cookie);	/* last thing a call or event does */
};

/* Owns fd, a nonblocking stream socket.  source: "smtp 192.0.2.1", for the
 * log and the message; copied.  Who is not welcome hears 554 and may QUIT,
 * unless a certificate can make him so. */
struct session *session_new(const struct session_host *host,
    const struct session_service *service, int fd, const char *source,
    bool welcome, void *cookie);
/* Closes; a message that is being committed stays, a draft goes. */
void session_free(struct session *s);
/* The outcome of its message: the cookie of the completion is the session. */
void session_completed(struct session *s,
    const struct exchange_completion *c);
/* Does its message wait to become durable? */
bool session_is_committing(const struct session *s);
/* Is it likely to have a message soon: heard from or answered since then,
 * and the turn is the client's? */
bool session_is_joining(const struct session *s, int64_t since_ms);
/* Ends with 421, after the transaction at hand. */
void session_stop(struct session *s);
/* Ends if it has been idle for too long; now_ms: monotonic. */
void session_tick(struct session *s, int64_t now_ms);
/* The last reply was given, only the closing is left. */
bool session_is_over(const struct session *s);

#endif
