/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_LINK_CODING_H
#define TRANSPORTS_LINK_CODING_H
/*
 * How the octets of frames become characters of the line, and back.
 *
 * On a line that carries all octets they are sent as they are.  Where the
 * line eats XON and XOFF, or the top bit, each frame begins with a flag that
 * occurs nowhere else; XON, XOFF, the flag and the escape are escaped, and
 * seven octets are packed into eight characters.  After the flag the decoder
 * starts anew, so damage ends with the frame.
 */
#include <stdbool.h>

#include "base/buf.h"

#define CODING_7BIT 1U	/* the path eats the top bit */
#define CODING_XON 2U	/* the path eats XON and XOFF */

#define CODING_FLAG 0x7e
#define CODING_ESCAPE 0x7d
#define CODING_FLIP 0x20
#define CODING_XON_CHAR 0x11
#define CODING_XOFF_CHAR 0x13

/* Appends the characters for one frame. */
void coding_encode(struct buf *out, const unsigned char *frame, size_t len,
    unsigned needs);

struct decoding {
	unsigned needs;
	bool escaped;
	unsigned bits, nbits;	/* 7-bit: what has not made an octet yet */
};

void decoding_init(struct decoding *d, unsigned needs);
/* The octet that the character completes, or -1. */
int decoding_take(struct decoding *d, unsigned char c);

#endif
