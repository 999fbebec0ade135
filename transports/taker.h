/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_TAKER_H
#define TRANSPORTS_TAKER_H
/*
 * Mails of a mailbox on their way into in/: which are ours, and what is in
 * them.  A mail gets the same name in in/ however often it is fetched, so the
 * daemon takes it once.
 *
 *	taker_may_be_ours for a header; then, for the mail: taker_begin,
 *	taker_add ..., and taker_end or taker_drop
 */
#include "transports/contract.h"

enum taken {
	TAKEN,			/* it is in in/, durable and reported, or a
				 * return that the daemon has settled: it may
				 * go from the mailbox */
	TAKEN_LATER,		/* a return that it has not: the next look
				 * tells it again */
	TAKEN_FOREIGN,		/* not ours, or not whole: it stays there */
};

struct taker_options {
	struct contract *contract;
	const char *from;	/* the peer's address; NULL: whoever's */
	const char *own;	/* ours; NULL: not known */
	const char *box;	/* what the mailbox is told by, for names */
	uint64_t max_octets;	/* of a mail */
};

struct taker;

/* opts are kept; texts are the caller's. */
struct taker *taker_new(const struct taker_options *opts);
void taker_free(struct taker *t);
/* A header, or the fields From and Content-Type of it: false if the mail is
 * certainly not ours. */
bool taker_may_be_ours(struct taker *t, struct slice header);
/* id: what tells the mail in its mailbox for ever; size: octets, as far as
 * known.  ERR_FULL: no room for it now. */
int taker_begin(struct taker *t, const char *id, uint64_t size,
    struct err *e) MUST_CHECK;
/* ERR_FULL, ERR_IO: it cannot be stored now. */
int taker_add(struct taker *t, struct slice octets, struct err *e)
    MUST_CHECK;
/* The mail is whole. */
int taker_end(struct taker *t, enum taken *taken_out, struct err *e)
    MUST_CHECK;
/* It is not: nothing is left of it.  Harmless after taker_end. */
void taker_drop(struct taker *t);

#endif
