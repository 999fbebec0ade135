/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_IMAP_ANSWER_H
#define TRANSPORTS_IMAP_ANSWER_H
/*
 * One answer of an IMAP server (RFC 3501 7), whole, with "" where literals
 * were: what of it concerns who fetches mail.
 */
#include "transports/imap.h"

enum imap_answer_kind {
	IMAP_ANSWER_OK,		/* tagged, or of itself: tag 0 */
	IMAP_ANSWER_NO,		/* NO or BAD */
	IMAP_ANSWER_BYE, IMAP_ANSWER_GO_ON, IMAP_ANSWER_FETCH,
	IMAP_ANSWER_EXISTS, IMAP_ANSWER_OTHER
};

struct imap_answer {
	enum imap_answer_kind kind;
	uint32_t tag;		/* the number behind "p" */
	uint32_t number;	/* of EXISTS, FETCH */
	struct slice text;	/* of OK, NO, BYE */
	bool has_can, read_only;
	unsigned can;		/* enum imap_can bits */
	uint32_t uidvalidity;	/* 0: not told */
	uint32_t uid;		/* FETCH; 0: not told */
	uint64_t size;
	bool deleted, has_body;
};

/* Is what stands so far a FETCH whose next value is that of BODY[...]? */
bool imap_answer_wants_body(struct slice text);
/* A body that stands in quotes is added to body.  What is not known is
 * IMAP_ANSWER_OTHER; ERR_SYNTAX: it begins as something that is known. */
int imap_answer_parse(struct slice text, struct imap_answer *a_out,
    struct buf *body, struct err *e) MUST_CHECK;

#endif
