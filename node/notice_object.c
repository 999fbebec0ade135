/* SPDX-License-Identifier: ISC */
/*
 * The postmaster's message about a broken object: a text, and the object or
 * its beginning as an attachment, streamed as it is read again.
 */
#include "node/notice.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

static int
flush_to(struct spool_draft *d, struct buf *b, struct err *e)
{
	int rc = spool_draft_add(d, b->ptr, b->len, e);

	buf_clear(b);
	return rc;
}

/* One line of ASCII. */
static void
add_line(struct buf *b, const char *text)
{
	text_escape(b, slice_of(text), 800, false);
}

struct notice_object {
	struct spool_draft *draft;
	struct base64_encoder enc;
	struct buf out;
	char *boundary;
	uint64_t left;		/* octets still to be attached */
};

#define ATTACH_MAX (1 << 20)
#define EXCERPT 65536

static void
object_text(struct buf *b, const struct notice_broken *broken)
{
	buf_adds(b, "An object that came from the peer ");
	add_line(b, broken->peer);
	buf_adds(b, " could not be processed.\r\n\r\nFile:   ");
	add_line(b, broken->name);
	buf_adds(b, "\r\nReason: ");
	add_line(b, broken->reason);
	buf_addf(b, "\r\nOctets: %llu\r\n\r\n",
	    (unsigned long long)broken->octets);
	buf_adds(b, "What was whole before the fault has been delivered. "
	    "The object is kept in\r\nthe quarantine: "
	    "postrider queue list --broken\r\n");
	if (broken->untold > 0) {
		buf_adds(b, "\r\n");
		count_format(b, broken->untold, "more broken object of this "
		    "peer came without a notice of its own.\r\n", "more "
		    "broken objects of this peer came without a notice of "
		    "their own.\r\n");
	}
	if (broken->octets > ATTACH_MAX)
		buf_adds(b, "\r\nIts beginning is attached.\r\n");
	buf_adds(b, "\r\n");
}

struct notice_object *
notice_object_new(const struct notice_head *head,
    const struct notice_broken *broken, struct spool_draft *d)
{
	struct notice_object *no = mem_alloc(1, sizeof(*no));
	struct buf line = BUF_INIT;

	no->draft = d;
	no->left = broken->octets > ATTACH_MAX ? EXCERPT : broken->octets;
	base64_encoder_init(&no->enc);
	notice_boundary_add(&line, head->rng);
	no->boundary = buf_steal(&line);
	notice_header_add(&no->out, head, "A broken object came in");
	buf_addf(&no->out, "Content-Type: multipart/mixed; boundary=\"%s\""
	    "\r\n\r\n--%s\r\nContent-Type: text/plain; charset=us-ascii"
	    "\r\n\r\n", no->boundary, no->boundary);
	object_text(&no->out, broken);
	buf_addf(&no->out, "--%s\r\nContent-Type: application/octet-stream"
	    "\r\nContent-Disposition: attachment; filename=\"object\"\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\n", no->boundary);
	return no;
}

int
notice_object_add(struct notice_object *no, const char *bytes, size_t len,
    struct err *e)
{
	size_t n = len < no->left ? len : (size_t)no->left;

	no->left -= n;
	base64_encoder_add(&no->enc, &no->out, bytes, n);
	return flush_to(no->draft, &no->out, e);
}

int
notice_object_end(struct notice_object *no, struct err *e)
{
	int rc;

	base64_encoder_end(&no->enc, &no->out);
	buf_addf(&no->out, "\r\n--%s--\r\n", no->boundary);
	rc = flush_to(no->draft, &no->out, e);
	if (rc == 0)
		rc = spool_draft_end(no->draft, e);
	notice_object_abort(no);
	return rc;
}

void
notice_object_abort(struct notice_object *no)
{
	if (no == NULL)
		return;
	buf_release(&no->out);
	free(no->boundary);
	free(no);
}
