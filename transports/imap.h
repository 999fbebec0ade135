/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_IMAP_H
#define TRANSPORTS_IMAP_H
/*
 * The client's half of IMAP (RFC 3501), as much of it as fetching mail needs,
 * behind the login: answers in any pieces in, events and commands out.
 *
 *	imap_new; imap_say a command; send the output, feed what comes, take
 *	events until OK or NO (one command at a time); imap_free
 *
 * What a mail holds is told in CONTENT events as it comes and never kept, and
 * nothing in it is taken for an answer.  Longer than a limit is only what a
 * server should not send.
 */
#include "base/buf.h"
#include "base/err.h"

#define IMAP_LINE_MAX 65536	/* octets of an answer, its literals apart */

enum imap_can {
	IMAP_CAN_UIDPLUS = 1,	/* RFC 4315 */
	IMAP_CAN_MOVE = 2,	/* RFC 6851 */
	IMAP_CAN_IDLE = 4	/* RFC 2177 */
};

enum imap_event_kind {
	IMAP_CONTENT,	/* octets of BODY[...] of the message that the next
			 * MESSAGE is about */
	IMAP_MESSAGE,	/* FETCH with a UID: uid, size, deleted, has_body */
	IMAP_NEWS,	/* EXISTS: the mailbox has count messages */
	IMAP_GO_ON,	/* "+" */
	IMAP_OK, IMAP_NO,	/* the end of the command (NO or BAD), text */
	IMAP_BYE	/* the server hangs up, text */
};

struct imap_event {
	enum imap_event_kind kind;
	uint32_t uid;
	uint64_t size;		/* RFC822.SIZE; 0 if it was not told */
	bool deleted;		/* has the flag \Deleted */
	bool has_body;
	uint32_t count;
	struct slice text;	/* CONTENT: octets; OK, NO, BYE: what was said;
				 * valid until the next call */
};

struct imap;

struct imap *imap_new(void);
void imap_free(struct imap *m);
/* Writes a tag, this and CR LF. */
void imap_say(struct imap *m, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* A line of a command that has begun: DONE (RFC 2177). */
void imap_say_done(struct imap *m);
/* A quoted string (RFC 3501 4.3); the text has visible ASCII only. */
void imap_quote(struct buf *out, const char *text);
struct buf *imap_output(struct imap *m);
void imap_feed(struct imap *m, const char *octets, size_t len);
/* 1: an event; 0: none now; ERR_SYNTAX, ERR_LIMIT: the session is of no more
 * use. */
int imap_next(struct imap *m, struct imap_event *ev, struct err *e)
    MUST_CHECK;

/* What has been told up to now: enum imap_can bits; 0 if not told. */
unsigned imap_can(const struct imap *m);
uint32_t imap_uidvalidity(const struct imap *m);
/* The mailbox was opened for reading only. */
bool imap_read_only(const struct imap *m);

#endif
