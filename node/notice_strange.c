/* SPDX-License-Identifier: ISC */
/*
 * The postmaster's message about a mail at the bundle address that nobody can
 * place.  No user ever wrote to that address, so it says first what it is.
 */
#include "node/notice.h"

#include <stdlib.h>

#include "base/text.h"

static void
add_words(struct buf *b, const struct notice_mail *mail)
{
	buf_adds(b, "A mail without a sender came to the bundle address of "
	    "this node, by which\r\nbundles of mail travel.  ");
	buf_adds(b, mail->is_return ?
	    "It says that a mail was returned, but not one\r\nthat this "
	    "node knows of: it may be about a bundle sent longer ago than\r\n"
	    "return-expire, or under an earlier spool, or be forged.\r\n" :
	    "It is no bundle, and it does not\r\nname one that was "
	    "returned: it may be an automatic answer.\r\n");
	buf_adds(b, "\r\nNothing was done about it.  If it tells that bundles "
	    "do not arrive, see\r\npostrider status for the peer, and the "
	    "log for the words mail-returned and\r\nobject-failed.\r\n"
	    "\r\nIt came from: ");
	text_escape(b, slice_of(mail->source), 200, false);
	buf_adds(b, mail->beginning.len < mail->octets ?
	    "\r\nIts beginning is attached.\r\n" :
	    "\r\nIt is attached.\r\n");
}

int
notice_strange(const struct notice_head *head, const struct notice_mail *mail,
    struct spool_draft *d, struct err *e)
{
	struct buf out = BUF_INIT, boundary = BUF_INIT;
	struct base64_encoder enc;
	int rc;

	notice_boundary_add(&boundary, head->rng);
	notice_header_add(&out, head,
	    "An unexpected mail at the bundle address");
	buf_addf(&out, "Content-Type: multipart/mixed; boundary=\"%s\""
	    "\r\n\r\n--%s\r\nContent-Type: text/plain; charset=us-ascii"
	    "\r\n\r\n", buf_cstr(&boundary), buf_cstr(&boundary));
	add_words(&out, mail);
	/* message/rfc822 may not be coded (RFC 2046 5.2.1), and this may be
	 * anything. */
	buf_addf(&out, "\r\n--%s\r\nContent-Type: text/plain; "
	    "charset=utf-8\r\nContent-Disposition: attachment; "
	    "filename=\"mail.txt\"\r\nContent-Transfer-Encoding: base64\r\n"
	    "\r\n", buf_cstr(&boundary));
	base64_encoder_init(&enc);
	base64_encoder_add(&enc, &out, mail->beginning.ptr,
	    mail->beginning.len);
	base64_encoder_end(&enc, &out);
	buf_addf(&out, "\r\n--%s--\r\n", buf_cstr(&boundary));
	rc = spool_draft_add(d, out.ptr, out.len, e);
	if (rc == 0)
		rc = spool_draft_end(d, e);
	buf_release(&out);
	buf_release(&boundary);
	return rc;
}
