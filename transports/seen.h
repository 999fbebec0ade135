/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_SEEN_H
#define TRANSPORTS_SEEN_H
/*
 * What of a mailbox has been looked at, from one run to the next, so that
 * mail that is not ours is not fetched again.  It is a file in in/ with a dot
 * before its name; who loses it loses time and nothing else.
 *
 *	seen_open; seen_upto and seen_advance (IMAP), or seen_has and seen_add
 *	(POP3); seen_save; seen_free
 */
#include "transports/contract.h"

#define SEEN_MAX 100000		/* mails of a mailbox by POP3 */

struct seen;

/* box: the text that tells the mailbox; what is kept of another is forgotten.
 * A file that cannot be read is as one that is not there. */
struct seen *seen_open(const struct contract *c, const char *box);
void seen_free(struct seen *s);
/* The highest UID that was settled under that UIDVALIDITY, or 0. */
uint32_t seen_upto(const struct seen *s, uint32_t uidvalidity);
void seen_advance(struct seen *s, uint32_t uidvalidity, uint32_t uid);
/* Whether this UIDL was settled; if so it is kept at the next seen_save, which
 * forgets those that nobody asked for or added since the last. */
bool seen_has(struct seen *s, struct slice uidl);
void seen_add(struct seen *s, struct slice uidl);
/* If something has changed. */
int seen_save(struct seen *s, struct err *e) MUST_CHECK;

#endif
