/* SPDX-License-Identifier: ISC */
#ifndef NODE_RETURNED_H
#define NODE_RETURNED_H
/*
 * Mails of the road that come back.  What each of them carried is kept for
 * `return-expire` from when its transport sent it:
 *
 *	parcels	their pieces wait again, with back-off: it is the hop's loss
 *	batches	their messages' senders get notices, as custody ended there
 *
 * The name of the file, 128 random bits, stands in its Message-ID; who knows
 * it has seen the mail, and who does not changes nothing here.
 */
#include "bundle/mail_reader.h"
#include "node/exchange_private.h"
#include "spool/custody.h"

/* May what this transport sends come back? */
bool returned_is_kept(const struct lane *l);
/* A record about a file that has been sent; what it carried follows in
 * s_out->what.  The caller releases it. */
void returned_begin(struct exchange *x, const struct object *o,
    struct sent_mail *s_out);
/* Of an object of batches: parts i .. end-1, which are still in the spool. */
int returned_gather(struct exchange *x, const struct object *o, size_t i,
    size_t end, struct sent_mail *s_out, struct err *e) MUST_CHECK;
/* Is what this transport carries coming back?  Then what it sends proves
 * nothing of it, for a time. */
bool returned_lately(struct exchange *x, struct lane *l);
/* Something that was sent there has arrived. */
void returned_no_more(struct target *t);

#endif
