/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_POP3_H
#define TRANSPORTS_POP3_H
/*
 * The client's half of POP3 (RFC 1939) behind the login: answers in any
 * pieces in, events and commands out.
 *
 *	pop3_new; pop3_say a command; send the output, feed what comes, take
 *	events until ERR, or OK or (of one with lines) END; pop3_free
 */
#include "base/buf.h"
#include "base/err.h"

#define POP3_LINE_MAX 4096	/* octets of an answer or a line of a list */

/* What follows an OK. */
enum pop3_form {
	POP3_PLAIN,		/* nothing */
	POP3_LIST,		/* lines: LINE events, then END */
	POP3_MAIL		/* octets: CONTENT events, then END */
};

enum pop3_event_kind {
	POP3_OK, POP3_ERR,	/* text: what was said behind it */
	POP3_LINE,		/* text: one line of a list */
	POP3_CONTENT,		/* text: octets of a mail, lines as they were */
	POP3_END
};

struct pop3_event {
	enum pop3_event_kind kind;
	struct slice text;	/* valid until the next call */
};

struct pop3;

struct pop3 *pop3_new(void);
void pop3_free(struct pop3 *p);
void pop3_say(struct pop3 *p, enum pop3_form form, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
struct buf *pop3_output(struct pop3 *p);
void pop3_feed(struct pop3 *p, const char *octets, size_t len);
/* 1: an event; 0: none now; ERR_SYNTAX, ERR_LIMIT: the session is of no more
 * use. */
int pop3_next(struct pop3 *p, struct pop3_event *ev, struct err *e)
    MUST_CHECK;

#endif
