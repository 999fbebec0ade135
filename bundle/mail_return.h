/* SPDX-License-Identifier: ISC */
#ifndef BUNDLE_MAIL_RETURN_H
#define BUNDLE_MAIL_RETURN_H
/*
 * Private to bundle/: is a mail the return of another, and what does it tell?
 * It is fed the header of the mail, then line by line what its parts are in
 * plain text, and decides at the end.
 */
#include "bundle/mail_reader.h"

enum mail_part {
	MAIL_PART_TEXT,		/* words for people, perhaps a quoted mail */
	MAIL_PART_STATUS,	/* message/delivery-status, RFC 3464 */
	MAIL_PART_QUOTED	/* the mail that it is about, or its header */
};

struct mail_return {
	struct mail_facts *facts;	/* ids, status and text go here */
	bool automatic;		/* a program wrote it */
	bool folded;		/* "Message-ID:" without an id: next line */
	bool quoting;		/* a quoted mail has begun */
	bool body;		/* QUOTED: its header is over */
	/* of words for people */
	bool failed, delayed;
	char code;		/* first digit of what was said; 0: nothing */
	char status[12];
	char *said;
	/* of a delivery status */
	bool reported;
	struct buf field;	/* unfolded */
	enum mail_action action;
	bool has_action;
	char action_status[12];
	char *diagnostic;
};

void mail_return_init(struct mail_return *r, struct mail_facts *facts);
void mail_return_release(struct mail_return *r);
/* header: whole, without its empty line. */
void mail_return_header(struct mail_return *r, struct slice header);
/* line: without its end. */
void mail_return_line(struct mail_return *r, enum mail_part part,
    struct slice line);
void mail_return_part_end(struct mail_return *r, enum mail_part part);
/* Fills action, status and text of the facts; false: it is no return. */
bool mail_return_end(struct mail_return *r);
/* The value of the first field of that name, folded as it is; a slice without
 * a pointer: there is none. */
struct slice mail_field(struct slice header, const char *name);

#endif
