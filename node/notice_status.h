/* SPDX-License-Identifier: ISC */
#ifndef NODE_NOTICE_STATUS_H
#define NODE_NOTICE_STATUS_H
/*
 * The fields of message/delivery-status (RFC 3464) and of
 * message/global-delivery-status (RFC 6533).
 */
#include "node/notice.h"

/* What an agent told, taken apart (see delivery.h); slices into it. */
struct notice_said {
	struct slice reply;	/* "550 5.1.1 no", or empty: nobody said so */
	struct slice step;	/* "RCPT TO", or empty */
	struct slice rest;	/* the words, where it is no reply */
	bool server;		/* rest begins where the server was named */
};

void notice_said_parse(const char *said, const char *server,
    struct notice_said *out);

/* All of it: the fields of the message, then those of each recipient. */
void notice_status_add(struct buf *out, const struct notice *n);
/* An address as the text shows it: UTF-8 only where n->global. */
void notice_address_add(struct buf *out, const char *address, bool global);
/* `text` in lines of at most 76 columns where blanks allow it; `first` octets
 * stand on the first line already, `indent` goes before the others. */
void notice_fold(struct buf *out, struct slice text, size_t first,
    const char *indent);

#endif
