/* SPDX-License-Identifier: ISC */
/*
 * Labels.  A header is read whole (it has a limit); bodies pass in pieces.
 */
#include "node/labels.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

/* The mark of an mbox file, which is no field. */
static bool
is_mark(struct slice field)
{
	return field.len > 5 && memcmp(field.ptr, "From ", 5) == 0;
}

static bool
of_entity(struct slice field)
{
	static const char begin[] = "Content-";
	struct slice stem = { field.ptr, sizeof(begin) - 1 };

	return field.len > stem.len && slice_ieqs(stem, begin);
}

/* With CR LF at the end of each line. */
static void
add_field(struct buf *out, struct slice field)
{
	struct pour crlf;

	pour_init(&crlf, POUR_CRLF);
	pour_add(&crlf, out, field.ptr, field.len);
	pour_release(&crlf);
}

static void
sort_fields(struct labels *l, struct slice s)
{
	while (s.len > 0) {
		struct slice field = { s.ptr, mime_field_len(s) };

		s.ptr += field.len;
		s.len -= field.len;
		if (field.ptr[0] == '\r' || field.ptr[0] == '\n') {
			buf_addslice(&l->as_is, field);
		} else if (of_entity(field)) {
			add_field(&l->entity, field);
			buf_addslice(&l->as_is, field);
		} else if (!is_mark(field)) {
			add_field(&l->mail, field);
		}
	}
}

static int
read_header(int fd, struct mime_reader *r, struct err *e)
{
	char bytes[4096];
	uint64_t at = 0;
	size_t used;
	ssize_t n;
	int rc = 0;

	while (rc == 0) {
		n = pread(fd, bytes, sizeof(bytes), (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, "cannot read it");
		if (n == 0)
			return err_set(e, ERR_SYNTAX, "it has no header and "
			    "empty line");
		rc = mime_reader_add(r, bytes, (size_t)n, &used, e);
		at += used;
	}
	return rc < 0 ? rc : 0;
}

int
labels_read(int fd, struct labels *l, struct err *e)
{
	struct mime_reader r;
	int rc;

	memset(l, 0, sizeof(*l));
	mime_reader_init(&r);
	rc = read_header(fd, &r, e);
	if (rc == 0) {
		sort_fields(l, buf_slice(&r.held));
		l->body = r.held.len;
		l->typed = r.header.typed;
		l->encoding = r.header.encoding;
	}
	mime_reader_release(&r);
	return rc;
}

void
labels_release(struct labels *l)
{
	buf_release(&l->mail);
	buf_release(&l->entity);
	buf_release(&l->as_is);
}

/*
 * Pouring.
 */
void
pour_init(struct pour *p, enum pour_how how)
{
	memset(p, 0, sizeof(*p));
	p->how = how;
	base64_encoder_init(&p->enc);
	base64_decoder_init(&p->dec);
	qp_decoder_init(&p->qp);
}

void
pour_release(struct pour *p)
{
	qp_decoder_release(&p->qp);
}

static void
add_crlf(struct pour *p, struct buf *out, const char *in, size_t len)
{
	size_t i, from = 0;

	for (i = 0; i < len; i++) {
		if (in[i] == '\n' && !p->cr) {
			buf_add(out, in + from, i - from);
			buf_addc(out, '\r');
			from = i;
		}
		p->cr = in[i] == '\r';
	}
	buf_add(out, in + from, len - from);
}

void
pour_add(struct pour *p, struct buf *out, const char *in, size_t len)
{
	switch (p->how) {
	case POUR_AS_IS:
		buf_add(out, in, len);
		break;
	case POUR_CRLF:
		add_crlf(p, out, in, len);
		break;
	case POUR_TO_BASE64:
		base64_encoder_add(&p->enc, out, in, len);
		break;
	case POUR_FROM_BASE64:
		base64_decoder_add(&p->dec, out, in, len);
		break;
	case POUR_FROM_QP:
		qp_decoder_add(&p->qp, out, in, len);
		break;
	}
}

int
pour_end(struct pour *p, struct buf *out, struct err *e)
{
	if (p->how == POUR_TO_BASE64)
		base64_encoder_end(&p->enc, out);
	if (p->how == POUR_FROM_QP)
		qp_decoder_end(&p->qp, out);
	if (p->how == POUR_FROM_BASE64 && base64_decoder_end(&p->dec) < 0)
		return err_set(e, ERR_SYNTAX, "its base64 ends in the middle");
	return 0;
}

enum pour_how
pour_undoing(enum mime_encoding encoding)
{
	switch (encoding) {
	case MIME_BASE64:
		return POUR_FROM_BASE64;
	case MIME_QUOTED_PRINTABLE:
		return POUR_FROM_QP;
	case MIME_7BIT:
	case MIME_8BIT:
	case MIME_BINARY:
	case MIME_UNKNOWN:
		break;
	}
	return POUR_AS_IS;
}
