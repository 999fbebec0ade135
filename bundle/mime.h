/* SPDX-License-Identifier: ISC */
#ifndef BUNDLE_MIME_H
#define BUNDLE_MIME_H
/*
 * The header of an object: what RFC 2045 says of its type and encoding.
 * Folding, comments, quoted strings and blanks anywhere they may stand are
 * understood; everything else of the header is passed over.
 */
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

#define MIME_HEADER_MAX 65536	/* octets of a header we read */

enum mime_encoding {
	MIME_7BIT, MIME_8BIT, MIME_BINARY, MIME_QUOTED_PRINTABLE, MIME_BASE64,
	MIME_UNKNOWN
};

struct mime_header {
	char *type;		/* "application/batch-smtp", lower case; NULL:
				 * no or broken Content-Type */
	bool version;		/* MIME-Version is there */
	enum mime_encoding encoding;
	char *encoding_text;	/* as written */
	char *required_extensions;	/* its parameter, unquoted, or NULL */
	char *message_id;	/* with its brackets, or NULL */
	bool lf_lines;		/* its lines end in LF alone */
};

struct mime_reader {
	struct buf held;
	struct mime_header header;
	bool done;
};

void mime_reader_init(struct mime_reader *r);
void mime_reader_release(struct mime_reader *r);
/* 1: the header is whole, used_out octets belong to it and its empty line;
 * 0: more; ERR_SYNTAX: this is no header (the octets held are in r->held);
 * ERR_LIMIT. */
int mime_reader_add(struct mime_reader *r, const char *in, size_t len,
    size_t *used_out, struct err *e) MUST_CHECK;

/* Quoted-printable as a stream (RFC 2045 6.7), lenient in the RFC's ways. */
struct qp_decoder {
	char held[4];
	size_t nheld;
	struct buf blanks;
};
void qp_decoder_init(struct qp_decoder *d);
void qp_decoder_release(struct qp_decoder *d);
void qp_decoder_add(struct qp_decoder *d, struct buf *out, const char *in,
    size_t len);
void qp_decoder_end(struct qp_decoder *d, struct buf *out);

#endif
