/* SPDX-License-Identifier: ISC */
#ifndef NODE_LABELS_H
#define NODE_LABELS_H
/*
 * The MIME labels of an object in a file: its header cut into the fields that
 * belong to the mail (From, To, Message-ID ...) and those that belong to the
 * MIME entity in it (Content-*, RFC 2045 3), so that a filter may see and
 * rewrite the one and leave the other alone; and bodies copied in pieces,
 * their encoding undone or made.
 */
#include "bundle/mime.h"
#include "base/text.h"

struct labels {
	struct buf mail;	/* fields, each ends in CR LF */
	struct buf entity;	/* the same; both without an empty line */
	struct buf as_is;	/* the entity's as they were written, and the
				 * empty line */
	uint64_t body;		/* where the body begins */
	bool typed;		/* there is a Content-Type */
	enum mime_encoding encoding;
};

/* Reads the header at the start of fd, whose place is left anywhere.
 * ERR_SYNTAX, ERR_LIMIT: there is none. */
int labels_read(int fd, struct labels *l, struct err *e) MUST_CHECK;
void labels_release(struct labels *l);

/* What becomes of octets on their way. */
enum pour_how {
	POUR_AS_IS,
	POUR_CRLF,		/* LF alone becomes CR LF */
	POUR_TO_BASE64,
	POUR_FROM_BASE64,
	POUR_FROM_QP
};

struct pour {
	enum pour_how how;
	bool cr;		/* the last octet was CR */
	struct base64_encoder enc;
	struct base64_decoder dec;
	struct qp_decoder qp;
};

void pour_init(struct pour *p, enum pour_how how);
void pour_release(struct pour *p);
void pour_add(struct pour *p, struct buf *out, const char *in, size_t len);
/* The input has ended.  ERR_SYNTAX: in the middle of something. */
int pour_end(struct pour *p, struct buf *out, struct err *e) MUST_CHECK;
/* How a body of this encoding is undone. */
enum pour_how pour_undoing(enum mime_encoding encoding);

#endif
