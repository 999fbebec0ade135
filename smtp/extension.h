/* SPDX-License-Identifier: ISC */
#ifndef SMTP_EXTENSION_H
#define SMTP_EXTENSION_H
/*
 * The service extensions we know, as bits, with their EHLO keywords.
 * RFC 2442's NOTARY is another name of DSN.
 */
#include "base/buf.h"

enum smtp_extension {
	SMTP_EXT_PIPELINING = 1 << 0,		/* RFC 2920 */
	SMTP_EXT_SIZE = 1 << 1,			/* RFC 1870 */
	SMTP_EXT_8BITMIME = 1 << 2,		/* RFC 6152 */
	SMTP_EXT_DSN = 1 << 3,			/* RFC 3461 */
	SMTP_EXT_ENHANCEDSTATUSCODES = 1 << 4,	/* RFC 2034 */
	SMTP_EXT_CHUNKING = 1 << 5,		/* RFC 3030 */
	SMTP_EXT_BINARYMIME = 1 << 6,		/* RFC 3030 */
	SMTP_EXT_SMTPUTF8 = 1 << 7,		/* RFC 6531 */
	SMTP_EXT_STARTTLS = 1 << 8,		/* RFC 3207 */
	SMTP_EXT_MT_PRIORITY = 1 << 9,		/* RFC 6710 */
	SMTP_EXT_DELIVERBY = 1 << 10,		/* RFC 2852 */
	SMTP_EXT_FUTURERELEASE = 1 << 11,	/* RFC 4865 */
	SMTP_EXT_XGZIP = 1 << 12,		/* ours: a gzip batch in an
						 * RFC 2442 object */
	SMTP_EXT_XORIGIN = 1 << 13,		/* ours: XID and XHOP, in native
						 * batches alone */
};

/* What RFC 2442 lets every generator use without saying so. */
#define SMTP_EXT_RFC2442 \
	(SMTP_EXT_8BITMIME | SMTP_EXT_SIZE | SMTP_EXT_DSN)

/* What a native batch has, neither more nor less. */
#define SMTP_EXT_NATIVE \
	(SMTP_EXT_8BITMIME | SMTP_EXT_DSN | SMTP_EXT_CHUNKING | \
	SMTP_EXT_BINARYMIME | SMTP_EXT_SMTPUTF8 | SMTP_EXT_MT_PRIORITY | \
	SMTP_EXT_DELIVERBY | SMTP_EXT_XORIGIN)

/* The bit of a keyword, without regard to case; 0 if it is unknown. */
unsigned smtp_extension_parse(struct slice keyword);
/* The keyword of one bit; static. */
const char *smtp_extension_name(unsigned bit);

#endif
