/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_MAILBOX_H
#define TRANSPORTS_MAILBOX_H
/*
 * A mailbox that is looked into by IMAP or POP3.  What is ours goes into in/
 * and, once it is safe there, from the mailbox; all else stays as it is.
 *
 *	mailbox_new; mailbox_look, and between two looks mailbox_wait;
 *	mailbox_free
 */
#include "transports/mailhost.h"
#include "transports/taker.h"

struct mailbox_options {
	struct contract *contract;
	struct mailhost *host;
	const char *from, *own;		/* as of struct taker_options */
	uint64_t max_octets;		/* of a mail */
	int wait_ms;			/* longest wait for an answer */
	const char *move_to;		/* IMAP: what was taken goes there;
					 * NULL: it is deleted */
	bool idle;			/* IMAP: be told, where it can */
};

struct mailbox;

/* opts are copied, their texts are not. */
struct mailbox *mailbox_new(const struct mailbox_options *opts);
/* Takes leave where it can. */
void mailbox_free(struct mailbox *b);
/* Connects if need be, and takes what there is.  ERR_STATE: told to stop;
 * others as of mailhost_connect, and ERR_FULL: no room in in/.  On an error
 * the connection is closed, and later is another try. */
int mailbox_look(struct mailbox *b, struct err *e) MUST_CHECK;
/* Waits until there may be something new, the daemon has said something or ms
 * are over.  An error: the connection is gone. */
int mailbox_wait(struct mailbox *b, int ms, struct err *e) MUST_CHECK;

#endif
