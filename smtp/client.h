/* SPDX-License-Identifier: ISC */
#ifndef SMTP_CLIENT_H
#define SMTP_CLIENT_H
/*
 * The client half of a session: reply bytes in, events and command bytes out.
 * Delivery to a mail server and the batch generator both sit on it; in a batch
 * every command is taken to succeed (RFC 2442 3.1) and nothing is fed.
 *
 *	c = smtp_client_new(&opts)
 *	feed replies, take events until READY        (a batch is ready at once)
 *	smtp_client_begin(c, env, facts, rcpt, n)    MAIL, RCPT, DATA pipelined
 *	events RECIPIENT for each, then CONTENT: give content in pieces with
 *	smtp_client_content, then smtp_client_content_end
 *	by LMTP event FINAL for each recipient that was accepted;
 *	event RESULT for the message; READY follows: begin the next, or
 *	smtp_client_quit
 *
 * Output is taken with smtp_client_output at any time; a caller that feeds
 * large content waits while it is long.
 */
#include "smtp/command.h"
#include "smtp/envelope.h"

struct smtp_client;

/* RFC 5321 4.5.3.2; 0: as it says there. */
struct smtp_client_timeouts {
	uint64_t greeting_secs, hello_secs, mail_secs, rcpt_secs, data_secs,
	    content_secs, end_secs;
};

struct smtp_client_options {
	const char *helo;
	bool batch;
	unsigned assumed;	/* batch: extensions that may be used */
	bool lmtp;		/* RFC 2033 */
	struct smtp_client_timeouts timeouts;
	bool tls;		/* STARTTLS where it is offered, */
	bool tls_required;	/* and no mail without */
	bool plain;		/* batch: without parameters of MAIL and RCPT */
	bool native;		/* batch: as smtp/native.h wants it */
};

enum smtp_client_event_kind {
	SMTP_CLIENT_READY,
	SMTP_CLIENT_STARTTLS,	/* make TLS, then smtp_client_tls_on */
	SMTP_CLIENT_RECIPIENT,	/* reply for recipient `index` of begin */
	SMTP_CLIENT_CONTENT,	/* the server wants the content now */
	SMTP_CLIENT_FINAL,	/* LMTP: reply for recipient `index` behind the
				 * content; RESULT follows the last of them */
	SMTP_CLIENT_RESULT,	/* reply for the message: holds for every
				 * recipient that was accepted; also given when
				 * MAIL, all RCPT or DATA were refused */
	SMTP_CLIENT_CLOSED,	/* the session is over: by QUIT (code 221), by
				 * 421, or broken (code 0, text tells step and
				 * cause); a message without RESULT: retry */
};

struct smtp_client_event {
	enum smtp_client_event_kind kind;
	size_t index;
	struct smtp_reply reply;
	const char *step;	/* "MAIL FROM", "end of DATA", ...; static */
};

struct smtp_client *smtp_client_new(const struct smtp_client_options *opts);
void smtp_client_free(struct smtp_client *c);
/* All octets are used. */
void smtp_client_feed(struct smtp_client *c, const char *in, size_t len);
/* The connection ended or failed; why goes into the CLOSED event. */
void smtp_client_eof(struct smtp_client *c, const char *why);
/* 1 with an event, 0 if there is none now. */
int smtp_client_next(struct smtp_client *c, struct smtp_client_event *ev)
    MUST_CHECK;
/* RFC 3207 4.2: TLS is on, all that the server said before is forgotten. */
void smtp_client_tls_on(struct smtp_client *c);
/* Starts a transaction for recipients rcpt[0..n-1] (indexes into env->rcpt).
 * ERR_UNSUPPORTED, with the refusal filled (554 5.6.1, 5.6.3, 5.6.7, 552
 * 5.3.4), where the server does not offer what the message needs; nothing
 * was sent then.  env must stay until RESULT. */
int smtp_client_begin(struct smtp_client *c, const struct envelope *env,
    const struct content_facts *facts, const size_t *rcpt, size_t n,
    struct smtp_refusal *r) MUST_CHECK;
/* Content goes out dot-stuffed, or by BDAT where the message needs it (bare CR
 * or LF, open end, BINARYMIME) or the batch is native.  With BDAT exactly
 * facts->octets follow. */
void smtp_client_content(struct smtp_client *c, const char *bytes, size_t len);
void smtp_client_content_end(struct smtp_client *c);
/* A line between transactions that changes nothing (ids in batches). */
void smtp_client_noop(struct smtp_client *c, const char *text);
void smtp_client_quit(struct smtp_client *c);
struct buf *smtp_client_output(struct smtp_client *c);
/* The extensions that the server offers (or assumed). */
unsigned smtp_client_extensions(const struct smtp_client *c);
/* How long to wait for the reply that is due (RFC 5321 4.5.3.2). */
unsigned smtp_client_timeout_secs(const struct smtp_client *c);

#endif
