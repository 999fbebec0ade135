/* SPDX-License-Identifier: ISC */
#ifndef NODE_NOTICE_H
#define NODE_NOTICE_H
/*
 * Notices: the messages that we write ourselves.  A delivery status
 * notification is a multipart/report (RFC 6522) with a text for people, a
 * message/delivery-status (RFC 3464) and the header of the message, or all of
 * it where RET=FULL asks and the message has only lines that MIME can hold.
 *
 *	notice.c	the whole and what is returned
 *	notice_status.c	the fields for programs
 *	notice_text.c	the words for people
 *	notice_object.c	another kind: broken objects, to the postmaster
 *	notice_strange.c	and mails that nobody can place
 */
#include "base/clock.h"
#include "base/err.h"
#include "node/notice_text.h"
#include "spool/spool.h"

struct notice_recipient {
	const char *address;
	const char *orcpt;	/* as written on RCPT, or NULL */
	enum notice_action action;
	const char *status;	/* "5.1.1" */
	const char *why;	/* our own words, or NULL; one line */
	const char *said;	/* what an agent told (delivery.h), or NULL */
	int64_t attempt_ms;	/* wall clock of the last attempt, or 0 */
	int64_t until_ms;	/* delayed: when it is given up, or 0 */
};

struct notice {
	struct clock *clock;
	struct rng *rng;
	const char *hostname, *site;
	const struct notice_text *text;	/* NULL: built in */
	const char *to;			/* whom it is sent to */
	const struct message *about;
	const struct notice_recipient *rcpt;
	size_t nrcpt;
	struct slice header;
	bool whole;			/* header: it is all of the message */
	/* The delivery's target, whose name `said` may begin with; it stands
	 * in no text for people.  Or NULL. */
	const char *server;
	/* NULL or a sentence why this comes to the postmaster */
	const char *why_postmaster;
	/* May it be in UTF-8 (RFC 6533)?  The way to `to` carries that. */
	bool global;
	uint64_t limit;		/* octets that way carries; 0: any */
};

/* The whole content into the draft, which is ended.  What is returned of the
 * message is read from the spool (about->id), or is `header` where that is
 * given: the message itself is not stored then. */
int notice_write(const struct notice *n, struct spool *sp,
    struct spool_draft *d, struct err *e) MUST_CHECK;

/* What the header of any notice is made of. */
struct notice_head {
	struct clock *clock;
	struct rng *rng;
	const char *hostname;
	const char *to;
};

struct notice_broken {
	const char *peer, *name, *reason;
	uint64_t octets;
	unsigned untold;	/* broken ones of the peer before it of which
				 * nobody was told */
};

/* A message to the postmaster about a broken object; the octets of the object
 * follow by notice_object_add, as an attachment, up to 1 MiB or, where
 * octets is more, an excerpt of the first 64 KiB. */
struct notice_object;
struct notice_object *notice_object_new(const struct notice_head *head,
    const struct notice_broken *broken, struct spool_draft *d);
int notice_object_add(struct notice_object *no, const char *bytes, size_t len,
    struct err *e) MUST_CHECK;
/* Ends the draft; frees. */
int notice_object_end(struct notice_object *no, struct err *e) MUST_CHECK;
void notice_object_abort(struct notice_object *no);

struct notice_mail {
	const char *source;	/* whence it came */
	bool is_return;		/* it says that a mail was returned */
	struct slice beginning;
	uint64_t octets;	/* of all of it */
};

/* A message to the postmaster about a mail that came to the bundle address
 * without a sender and is not known to be about any of ours: words, and its
 * beginning.  Ends the draft. */
int notice_strange(const struct notice_head *head,
    const struct notice_mail *mail, struct spool_draft *d, struct err *e)
    MUST_CHECK;

/* What all of them have: a header up to MIME-Version (subject: UTF-8, coded as
 * RFC 2047 asks), and random boundaries. */
void notice_header_add(struct buf *b, const struct notice_head *head,
    const char *subject);
void notice_boundary_add(struct buf *b, struct rng *rng);

#endif
