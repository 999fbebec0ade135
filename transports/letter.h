/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_LETTER_H
#define TRANSPORTS_LETTER_H
/*
 * A file of out/ as a mail.  An object of RFC 2442 is one already; a parcel
 * becomes the one part of a mail whose header shows nothing but what it must:
 * From, To, Date, Message-ID and the MIME fields.  The Message-ID is the
 * file's name before the domain of the sender, so a file that is sent again
 * is the same mail, and a bounce leads back to the file.
 *
 *	letter_open; letter_begin for the extensions that a server offers;
 *	letter_read until 0 (letter_begin starts anew); letter_close
 */
#include "smtp/envelope.h"
#include "transports/contract.h"

struct letter;

/* The most that the path is known to carry; what a server does not offer is
 * done without. */
enum letter_coding {
	LETTER_BASE64,
	LETTER_ARMOUR,		/* 8bit; needs 8BITMIME */
	LETTER_BINARY		/* needs BINARYMIME and CHUNKING */
};

struct letter_options {
	const char *from, *to;	/* addresses; NULL: those of the header of an
				 * object; a parcel needs both */
	uint64_t date_secs;	/* Date is the file's time, rounded down to a
				 * multiple of this; 0: not rounded, and that
				 * of an object is left as it is */
	enum letter_coding coding;	/* of parcels */
};

/* The settings from, to, date (a duration, at most a week, 1h) and encoding
 * (base64, 8bit or binary; base64) into o_out, whose texts are the contract's.
 * ERR_CONFIG. */
int letter_settings(struct contract *c, struct letter_options *o_out,
    struct err *e) MUST_CHECK;

/* Reads the file once; opts is not kept.  ERR_SYNTAX: a parcel without
 * addresses; other errors: it could not be read. */
int letter_open(const char *path, const struct letter_options *opts,
    struct letter **l_out, struct err *e) MUST_CHECK;
void letter_close(struct letter *l);
bool letter_is_parcel(const struct letter *l);
/* Octets of the file. */
uint64_t letter_octets(const struct letter *l);
/* Goes to the start.  extensions: enum smtp_extension bits that the server
 * offers, or that one who cannot ask it takes for granted.  An object that
 * this server could not take as it is becomes base64, if its header says 7bit,
 * 8bit or binary (RFC 2045 6.2). */
int letter_begin(struct letter *l, unsigned extensions, struct err *e)
    MUST_CHECK;
/* Both are those of the content that letter_read gives, octets exactly; until
 * letter_close. */
const struct envelope *letter_envelope(const struct letter *l);
const struct content_facts *letter_facts(const struct letter *l);
/* 1: appended some octets to out, lines ended by CR LF and no dots doubled;
 * 0: the end; else an error. */
int letter_read(struct letter *l, struct buf *out, struct err *e) MUST_CHECK;
/* After a refusal, why: where that was for the size of a parcel (552, 5.3.4),
 * adds what to do about it. */
void letter_advise(const struct letter *l, struct err *why);

#endif
