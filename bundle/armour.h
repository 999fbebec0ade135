/* SPDX-License-Identifier: ISC */
#ifndef BUNDLE_ARMOUR_H
#define BUNDLE_ARMOUR_H
/*
 * Any octets as lines that 8-bit mail carries (RFC 6152): no NUL, no CR or LF
 * but at line ends, at most 998 octets a line, none that begins with a dot or
 * "From " and none that ends in a blank.  Random octets grow by 1.8 %.
 * postrider-mail(8) specifies it.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct armour_encoder {
	size_t column;		/* octets of the present line */
	uint64_t octets;
	uint32_t crc;
};

void armour_encoder_init(struct armour_encoder *a);
void armour_encoder_add(struct armour_encoder *a, struct buf *out,
    const void *bytes, size_t len);
/* Ends the last line and writes the trailer. */
void armour_encoder_end(struct armour_encoder *a, struct buf *out);

/* Line ends may be CR LF, LF or missing; blanks before a line end are passed
 * over, and so is what stands behind the trailer. */
struct armour_decoder {
	uint64_t octets;
	uint32_t crc;
	int state;
	char trailer[32];
	size_t ntrailer;
};

void armour_decoder_init(struct armour_decoder *d);
/* ERR_SYNTAX: an octet that no encoder writes, or the trailer does not tell
 * the truth; what was appended to out before is of no use. */
int armour_decoder_add(struct armour_decoder *d, struct buf *out,
    const char *in, size_t len, struct err *e) MUST_CHECK;
/* ERR_SYNTAX: there was no trailer. */
int armour_decoder_end(struct armour_decoder *d, struct err *e) MUST_CHECK;

#endif
