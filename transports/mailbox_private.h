/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_MAILBOX_PRIVATE_H
#define TRANSPORTS_MAILBOX_PRIVATE_H
/*
 * What mailbox.c shares with the two protocols, mailbox_imap.c and
 * mailbox_pop3.c.
 */
#include "transports/imap.h"
#include "transports/mailbox.h"
#include "transports/pop3.h"
#include "transports/seen.h"

#define MAILBOX_STEP 16384	/* octets read at once */

struct mailbox {
	struct mailbox_options opts;
	char *name;			/* what tells it from others */
	struct taker *taker;
	struct seen *seen;
	struct stream *stream;		/* NULL: not connected */
	struct imap *imap;		/* with a stream, one of these */
	struct pop3 *pop3;
	bool news;			/* IMAP: something has come since the
					 * last list */
	bool noted;			/* that nothing can be deleted */
};

/* Sends what waits in out. */
int mailbox_send(struct mailbox *b, struct buf *out, struct err *e)
    MUST_CHECK;
/* Some octets of the server; the end of them is ERR_IO. */
int mailbox_hear(struct mailbox *b, char *into, size_t *len_out,
    struct err *e) MUST_CHECK;

int mailbox_imap_look(struct mailbox *b, struct err *e) MUST_CHECK;
int mailbox_imap_wait(struct mailbox *b, int ms, struct err *e) MUST_CHECK;
void mailbox_imap_leave(struct mailbox *b);
/* 1: the rest takes another session. */
int mailbox_pop3_look(struct mailbox *b, struct err *e) MUST_CHECK;

#endif
