/* SPDX-License-Identifier: ISC */
/*
 * What becomes of each part of a message that is converted.  Where RFC 2045
 * allows no encoding (multipart, message/rfc822, what is encoded already, what
 * is signed) the part is kept, and refused if it cannot be sent so.
 */
#include "bundle/convert_plan.h"

#include <string.h>

#include "base/err.h"

static bool
type_is(const struct mime_header *h, const char *type)
{
	return h->type != NULL && strcmp(h->type, type) == 0;
}

static bool
type_begins(const struct mime_header *h, const char *start)
{
	return h->type != NULL &&
	    strncmp(h->type, start, strlen(start)) == 0;
}

bool
part_is_digest(const struct mime_header *h)
{
	return type_is(h, "multipart/digest");
}

/* RFC 1847 2.1, 2.2 */
bool
part_seals(const struct part *p, const struct mime_header *h)
{
	return p->sealed || type_is(h, "multipart/signed") ||
	    type_is(h, "multipart/encrypted");
}

static bool
is_identity(enum mime_encoding encoding)
{
	return encoding == MIME_7BIT || encoding == MIME_8BIT ||
	    encoding == MIME_BINARY;
}

/* Of message/ only what RFC 6532 3.7 and RFC 6533 add may be encoded; the
 * others are 7bit by their definitions, or messages. */
static enum part_kind
kind_of(const struct part *p, const struct mime_header *h, bool in_digest)
{
	bool message = type_is(h, "message/rfc822") ||
	    (!h->typed && in_digest);

	if (!is_identity(p->declared) || (h->typed && h->type == NULL))
		return PART_FIXED;
	if (message)
		return PART_MESSAGE;
	if (type_begins(h, "multipart/"))
		return h->boundary != NULL ? PART_MULTIPART : PART_FIXED;
	if (type_begins(h, "message/") && !type_begins(h, "message/global"))
		return PART_FIXED;
	return PART_LEAF;
}

void
part_learn(struct part *p, const struct mime_header *h, bool in_digest)
{
	p->declared = h->encoding;
	p->kind = kind_of(p, h, in_digest);
	p->text = !h->typed || type_begins(h, "text/") ||
	    type_begins(h, "message/");
}

static enum mime_encoding
target_encoding(enum convert_target target)
{
	return target == CONVERT_7BIT ? MIME_7BIT : MIME_8BIT;
}

/* RFC 2045 6.7, 6.8: mostly text stays readable; what is not text has no line
 * ends that a decoder may change. */
static enum part_how
smaller(const struct part *p)
{
	return p->text && p->coded * 6 <= p->octets ? PART_QP : PART_BASE64;
}

static int
refuse(const struct part *p, unsigned faults, struct smtp_refusal *r)
{
	bool octets = (faults & PART_8BIT) != 0;

	smtp_refuse(r, 554, octets ? "5.6.3" : "5.6.1", "%s %s",
	    octets ? "8-bit content" : "a CR or LF on its own",
	    p->sealed ? "in a signed or encrypted part must not be converted" :
	    "stands where MIME allows no encoding");
	return ERR_UNSUPPORTED;
}

int
part_decide(struct part *p, enum convert_target target,
    struct smtp_refusal *r)
{
	unsigned hard = PART_BARE | (target == CONVERT_7BIT ? PART_8BIT : 0);
	unsigned faults = p->faults & (hard | PART_OPEN | PART_LONG |
	    PART_NUL);

	p->how = PART_KEEP;
	if ((p->header_faults & hard) != 0)
		return refuse(p, p->header_faults & hard, r);
	if (p->kind == PART_LEAF && !p->sealed && faults != 0)
		p->how = smaller(p);
	else if ((faults & hard) != 0)
		return refuse(p, faults & hard, r);
	else if (!p->sealed && is_identity(p->declared) &&
	    p->declared > target_encoding(target))
		p->how = PART_LABEL;
	return 0;
}

static const char *
encoding_of(const struct part *p, enum convert_target target)
{
	if (p->how == PART_QP)
		return mime_encoding_name(MIME_QUOTED_PRINTABLE);
	if (p->how == PART_BASE64)
		return mime_encoding_name(MIME_BASE64);
	return mime_encoding_name(target_encoding(target));
}

static bool
is_field(struct slice field, const char *name)
{
	size_t n = strlen(name);

	return field.len > n && slice_ieqs((struct slice){ field.ptr, n },
	    name) && memchr(":\t ", field.ptr[n], 3) != NULL;
}

/* RFC 1428 3: nobody said what the octets mean. */
static void
add_mime_fields(const struct part *p, const struct mime_header *h,
    struct buf *out)
{
	if (!h->version)
		buf_adds(out, "MIME-Version: 1.0\r\n");
	if (!h->version && !h->typed)
		buf_addf(out, "Content-Type: text/plain; charset=%s\r\n",
		    (p->faults & PART_8BIT) != 0 ? "unknown-8bit" :
		    "us-ascii");
}

void
part_write_header(const struct part *p, const struct mime_header *h,
    enum convert_target target, bool message, struct slice fields,
    struct buf *out)
{
	bool open = fields.len > 0 && fields.ptr[fields.len - 1] != '\n';
	size_t n;

	if (p->how == PART_KEEP) {
		buf_addslice(out, fields);
		return;
	}
	for (; fields.len > 0; fields.ptr += n, fields.len -= n) {
		n = mime_field_len(fields);
		if (!is_field(fields, "Content-Transfer-Encoding"))
			buf_add(out, fields.ptr, n);
	}
	if (open)
		buf_adds(out, "\r\n");
	if (message)
		add_mime_fields(p, h, out);
	buf_addf(out, "Content-Transfer-Encoding: %s\r\n",
	    encoding_of(p, target));
}
