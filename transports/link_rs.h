/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_LINK_RS_H
#define TRANSPORTS_LINK_RS_H
/*
 * Reed-Solomon codes over GF(256), for the forward error correction of the
 * link protocol, postrider-link(7): polynomial 0x11d, generator roots
 * 2^0 .. 2^(n-1), the first octet of a word is the highest coefficient, so
 * words may be shortened.  With n octets of parity n/2 wrong octets are put
 * right, wherever they are.
 */
#include <stddef.h>

#define RS_WORD_MAX 255		/* octets, parity included */
#define RS_PARITY_MAX 32

struct rs {
	unsigned char exp[512], log[256];
	unsigned char gen[RS_PARITY_MAX + 1][RS_PARITY_MAX + 1];
};

void rs_init(struct rs *rs);
/* parity: 2 to RS_PARITY_MAX, even; len + parity at most RS_WORD_MAX. */
void rs_encode(const struct rs *rs, const unsigned char *data, size_t len,
    size_t parity, unsigned char *parity_out);
/* Puts the word (len octets, parity included) right in place.  How many
 * octets were wrong, or -1: too many. */
int rs_decode(const struct rs *rs, unsigned char *word, size_t len,
    size_t parity);

#endif
