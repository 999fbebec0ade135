/* SPDX-License-Identifier: ISC */
#ifndef BUNDLE_CONVERT_PLAN_H
#define BUNDLE_CONVERT_PLAN_H
/*
 * What convert.c, which takes content apart, and convert_plan.c, which says
 * what becomes of each part, know of each other; nobody else includes it.
 */
#include "bundle/convert.h"
#include "bundle/mime.h"

enum part_kind {
	PART_LEAF,		/* its body may be encoded */
	PART_FIXED,		/* a leaf whose body may not (or is already) */
	PART_MULTIPART,
	PART_MESSAGE,		/* RFC 2046 5.2.1: a message inside */
};

enum part_fault {
	PART_8BIT = 1 << 0,
	PART_BARE = 1 << 1,	/* CR or LF on its own */
	PART_OPEN = 1 << 2,	/* ends the message without CR LF */
	PART_LONG = 1 << 3,
	PART_NUL = 1 << 4,
};

enum part_how {
	PART_KEEP,
	PART_LABEL,		/* its encoding is named as what it is now */
	PART_QP,
	PART_BASE64,
};

/* An entity: of a multipart the body is what stands around its parts. */
struct part {
	enum part_kind kind;
	enum mime_encoding declared;
	enum part_how how;
	bool text, sealed;	/* sealed: inside of what is signed */
	unsigned header_faults, faults;
	uint64_t octets, coded;	/* of the body; that quoted-printable codes */
};

/* From its header. */
void part_learn(struct part *p, const struct mime_header *h, bool in_digest);
/* Do its parts belong to what is signed or encrypted? */
bool part_seals(const struct part *p, const struct mime_header *h);
bool part_is_digest(const struct mime_header *h);
/* Sets `how`, or says why it cannot be. */
int part_decide(struct part *p, enum convert_target target,
    struct smtp_refusal *r) MUST_CHECK;
/* Appends the header with what `how` changes.  message: it is that of a
 * message, which may lack the fields of MIME (RFC 1428 3). */
void part_write_header(const struct part *p, const struct mime_header *h,
    enum convert_target target, bool message, struct slice fields,
    struct buf *out);

#endif
