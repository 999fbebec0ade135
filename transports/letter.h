/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_LETTER_H
#define TRANSPORTS_LETTER_H
/*
 * An object of RFC 2442 as a mail: what its header says of sender and
 * recipient, and its octets as a server can take them.
 *
 *	letter_open; letter_begin for the extensions that a server offers;
 *	letter_read until 0 (letter_begin starts anew); letter_close
 */
#include "smtp/envelope.h"

struct letter;

/* Reads the file once.  from, to: the addresses; NULL: those of its header.
 * ERR_SYNTAX: it is no mail, or names no address; other errors: it could not
 * be read. */
int letter_open(const char *path, const char *from, const char *to,
    struct letter **l_out, struct err *e) MUST_CHECK;
void letter_close(struct letter *l);
/* Octets of the file. */
uint64_t letter_octets(const struct letter *l);
/* Goes to the start.  Content that this server could not take as it is
 * becomes base64, if its header says 7bit, 8bit or binary (RFC 2045 6.2). */
int letter_begin(struct letter *l, unsigned extensions, struct err *e)
    MUST_CHECK;
/* Both are those of the content that letter_read gives; until letter_close. */
const struct envelope *letter_envelope(const struct letter *l);
const struct content_facts *letter_facts(const struct letter *l);
/* 1: appended some octets to out; 0: the end; else an error. */
int letter_read(struct letter *l, struct buf *out, struct err *e) MUST_CHECK;

#endif
