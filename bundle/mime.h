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
	bool typed;		/* a Content-Type is there, broken or not */
	char *boundary;		/* its parameter, unquoted, or NULL */
	bool version;		/* MIME-Version is there */
	enum mime_encoding encoding;	/* two that differ: unknown */
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

/* The fields of a header that was held whole, without its empty line, into h
 * (all zero before). */
void mime_header_parse(struct mime_header *h, struct slice fields);
void mime_header_release(struct mime_header *h);
/* Octets of the field that s begins with, its continuation lines included. */
size_t mime_field_len(struct slice s);
const char *mime_encoding_name(enum mime_encoding encoding);

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

/* The other way: CR LF stays a line end, all else comes back as it was; a CR
 * or LF on its own is coded.  Lines have at most 76 characters. */
struct qp_encoder {
	size_t column;
	char blank;		/* a blank or tab that a line end may follow */
	bool cr;
};
void qp_encoder_init(struct qp_encoder *q);
void qp_encoder_add(struct qp_encoder *q, struct buf *out, const char *in,
    size_t len);
/* What is held; then, where the last line is not ended, a soft line break. */
void qp_encoder_end(struct qp_encoder *q, struct buf *out, bool soft);
/* Does this octet, away from a line end, take three characters? */
bool qp_is_coded(char c);

#endif
