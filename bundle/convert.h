/* SPDX-License-Identifier: ISC */
#ifndef BUNDLE_CONVERT_H
#define BUNDLE_CONVERT_H
/*
 * Content made fit for a road that carries less: 8-bit MIME to 7-bit (RFC
 * 6152 3), binary MIME to either (RFC 3030 3), and lines over 998 octets.  The
 * bodies of parts are put into quoted-printable or base64 and their header
 * fields changed accordingly (RFC 2045 6); the octets of each part stay what
 * they were.  What is signed or encrypted (RFC 1847) is never touched.
 *
 * The content passes twice, in pieces of any size:
 *
 *	c = convert_new(CONVERT_7BIT)
 *	convert_look(c, bytes, len) ...		all of it
 *	convert_decide(c, &refusal)
 *	convert_add(c, bytes, len, out) ...	all of it again
 *	convert_end(c, out)
 *
 * and once more after convert_again.  Held are one header, the beginning of a
 * line, and a few octets for each part.
 */
#include <stdbool.h>

#include "base/buf.h"
#include "smtp/command.h"

#define CONVERT_PARTS_MAX 1000	/* and no more: such a message is refused */
#define CONVERT_DEPTH_MAX 30	/* multiparts in each other */

enum convert_target {
	CONVERT_NONE,
	CONVERT_8BIT,	/* lines that end in CR LF, no NUL, 998 octets */
	CONVERT_7BIT,	/* and no octet above 127 */
};

struct convert;
struct convert *convert_new(enum convert_target target);
void convert_free(struct convert *c);
void convert_look(struct convert *c, const char *bytes, size_t len);
/* 0; or ERR_UNSUPPORTED with the refusal, 554 5.6.3 for octets above 127 and
 * 5.6.1 for line ends, in a place where nothing may be encoded.  Long lines
 * and NUL there are left as they are. */
int convert_decide(struct convert *c, struct smtp_refusal *r) MUST_CHECK;
/* Appends to out. */
void convert_add(struct convert *c, const char *bytes, size_t len,
    struct buf *out);
void convert_end(struct convert *c, struct buf *out);
void convert_again(struct convert *c);

#endif
