/* SPDX-License-Identifier: ISC */
#ifndef NODE_NOTICE_H
#define NODE_NOTICE_H
/*
 * Notices: the messages that we write ourselves.  A delivery status
 * notification is a multipart/report (RFC 6522) with a text for people, a
 * message/delivery-status (RFC 3464) and the header of the message, or all of
 * it where RET=FULL asks.
 */
#include "base/clock.h"
#include "base/err.h"
#include "spool/spool.h"

struct notice_recipient {
	const char *address;
	const char *orcpt;	/* as written on RCPT, or NULL */
	const char *action;	/* "failed", "delayed", ... */
	const char *status;	/* "5.1.1" */
	const char *text;	/* what was said, and by whom; one line */
};

struct notice {
	struct clock *clock;
	struct rng *rng;
	const char *hostname, *site;
	const char *to;			/* whom it is sent to */
	const struct message *about;
	const struct notice_recipient *rcpt;
	size_t nrcpt;
	struct slice header;
	/* NULL or a sentence why this comes to the postmaster */
	const char *why_postmaster;
};

/* The whole content into the draft, which is ended.  What is returned of the
 * message is read from the spool (about->id), or is `header` where that is
 * given: the message itself is not stored then. */
int notice_write(const struct notice *n, struct spool *sp,
    struct spool_draft *d, struct err *e) MUST_CHECK;

/* A message to the postmaster about a broken object; the octets of the object
 * follow by notice_object_add, as an attachment, up to 1 MiB or, where
 * octets is more, an excerpt of the first 64 KiB. */
struct notice_object;
struct notice_object *notice_object_new(struct clock *clock, struct rng *rng,
    const char *hostname, const char *to, const char *peer, const char *name,
    const char *reason, uint64_t octets, unsigned untold,
    struct spool_draft *d);
int notice_object_add(struct notice_object *no, const char *bytes, size_t len,
    struct err *e) MUST_CHECK;
/* Ends the draft; frees. */
int notice_object_end(struct notice_object *no, struct err *e) MUST_CHECK;
void notice_object_abort(struct notice_object *no);

#endif
