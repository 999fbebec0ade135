/* SPDX-License-Identifier: ISC */
#ifndef NODE_MAILED_H
#define NODE_MAILED_H
/*
 * Mails to this site's bundle address: objects and parcels that peers send,
 * which peer one is from, and its way into a folder of that peer's where no
 * transport writes, from where it is processed like any other; and what comes
 * back of our own.
 *
 *	mailed_peer at RCPT; mailed_new at DATA; mailed_add; mailed_end, after
 *	which it is durable: only then may 250 be said
 */
#include "node/daemon.h"

struct mailed;

/* Is this the bundle address, and may any peer write to it? */
bool mailed_is_address(const struct conf *conf, const char *address);
/* The most octets that a message to the listener can have. */
uint64_t mailed_message_max(const struct conf *conf);
/* Whose object this is, told by its sender and by the client on the socket
 * fd.  0 with the peer, or with NULL for one without a sender, as returned
 * mail is; -1: refused. */
int mailed_peer(const struct conf *conf, const char *sender, int fd,
    const struct conf_peer **peer_out, struct smtp_refusal *r) MUST_CHECK;
/* Would this message be one of our own objects, handed to ourselves to carry?
 * 0: no; -1: refused. */
int mailed_check_loop(const struct conf *conf, const char *sender,
    const char *recipient, struct smtp_refusal *r) MUST_CHECK;

/* peer: NULL: it has no sender.  source: as of a session; copied, and so is
 * the name of the peer. */
int mailed_new(struct daemon *d, const struct conf_peer *peer,
    const char *source, struct mailed **m_out, struct err *e) MUST_CHECK;
/* ERR_LIMIT: larger than object-max; ERR_FULL; ERR_IO; ERR_SYNTAX: a parcel
 * in it is damaged. */
int mailed_add(struct mailed *m, struct slice bytes, struct err *e)
    MUST_CHECK;
/* Flushes it to its name and has it taken up; or what follows from a
 * return, or the postmaster's message about it, is durable.  ERR_SYNTAX: there
 * is no sound parcel in it. */
int mailed_end(struct mailed *m, struct err *e) MUST_CHECK;
/* Forgets what has not ended; NULL is fine. */
void mailed_free(struct mailed *m);

#endif
