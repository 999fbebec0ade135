/* SPDX-License-Identifier: ISC */
/*
 * Delivery status notifications (RFC 3461, 3464, 6522).  The text is put
 * together in a buffer and streamed into a draft; the message that it is about
 * is read from the spool as far as it is returned.
 */
#include "node/notice.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

#define RETURN_MAX (1 << 20)	/* octets of a message returned whole */
#define HEADER_MAX 65536	/* octets of a header returned */

static void
add_boundary(struct buf *b, struct rng *rng)
{
	unsigned char random[12];

	rng_fill(rng, random, sizeof(random));
	buf_adds(b, "=_");
	hex_encode(b, random, sizeof(random));
}

static void
add_header(struct buf *b, struct clock *clock, struct rng *rng,
    const char *hostname, const char *to, const char *subject)
{
	unsigned char random[12];

	buf_addf(b, "From: Mail Delivery System <MAILER-DAEMON@%s>\r\n",
	    hostname);
	buf_addf(b, "To: <%s>\r\n", to);
	buf_addf(b, "Subject: %s\r\nDate: ", subject);
	date_format(b, clock_wall_ms(clock));
	buf_adds(b, "\r\nMessage-ID: <");
	rng_fill(rng, random, sizeof(random));
	hex_encode(b, random, sizeof(random));
	buf_addf(b, ".notice@%s>\r\n", hostname);
	buf_adds(b, "Auto-Submitted: auto-replied\r\n"
	    "MIME-Version: 1.0\r\n");
}

/* One line of ASCII for a field or the text. */
static void
add_line(struct buf *b, const char *text)
{
	text_escape(b, slice_of(text), 800, false);
}

static void
add_text(struct buf *b, const struct notice *n)
{
	size_t i;

	buf_addf(b, "This is the mail node of the site %s (%s).\r\n\r\n",
	    n->site, n->hostname);
	if (n->why_postmaster != NULL)
		buf_addf(b, "%s\r\n\r\n", n->why_postmaster);
	buf_adds(b, "A message could not be delivered to everyone it was "
	    "sent to.\r\nNothing more is tried for:\r\n\r\n");
	for (i = 0; i < n->nrcpt; i++) {
		buf_adds(b, "  <");
		add_line(b, n->rcpt[i].address);
		buf_adds(b, ">\r\n    ");
		add_line(b, n->rcpt[i].text != NULL ? n->rcpt[i].text :
		    n->rcpt[i].status);
		buf_adds(b, "\r\n");
	}
	buf_adds(b, "\r\n");
}

/* The value of ENVID or ORCPT leaves its xtext (RFC 3461 6.3). */
static void
add_xtext(struct buf *b, const char *xtext)
{
	struct buf plain = BUF_INIT;

	if (xtext_decode(&plain, slice_of(xtext)) == 0)
		text_escape(b, buf_slice(&plain), 800, false);
	else
		add_line(b, xtext);
	buf_release(&plain);
}

static void
add_orcpt(struct buf *b, const char *orcpt)
{
	const char *semi = strchr(orcpt, ';');

	if (semi == NULL)
		return;
	buf_addf(b, "Original-Recipient: %.*s;", (int)(semi - orcpt), orcpt);
	add_xtext(b, semi + 1);
	buf_adds(b, "\r\n");
}

static void
add_status(struct buf *b, const struct notice *n)
{
	const struct notice_recipient *r;
	size_t i;

	if (n->about->env.envid != NULL) {
		buf_adds(b, "Original-Envelope-Id: ");
		add_xtext(b, n->about->env.envid);
		buf_adds(b, "\r\n");
	}
	buf_addf(b, "Reporting-MTA: dns;%s\r\n", n->hostname);
	buf_adds(b, "Arrival-Date: ");
	date_format(b, n->about->accepted_wall_ms);
	buf_adds(b, "\r\n");
	for (i = 0; i < n->nrcpt; i++) {
		r = &n->rcpt[i];
		buf_adds(b, "\r\n");
		if (r->orcpt != NULL)
			add_orcpt(b, r->orcpt);
		buf_adds(b, "Final-Recipient: rfc822;");
		add_line(b, r->address);
		buf_addf(b, "\r\nAction: %s\r\nStatus: %s\r\n", r->action,
		    r->status[0] != '\0' ? r->status : "5.0.0");
		if (r->text != NULL) {
			buf_adds(b, "Diagnostic-Code: smtp; ");
			add_line(b, r->text);
			buf_adds(b, "\r\n");
		}
	}
}

static int
flush_to(struct spool_draft *d, struct buf *b, struct err *e)
{
	int rc = spool_draft_add(d, b->ptr, b->len, e);

	buf_clear(b);
	return rc;
}

/* The length of the header at the front of text, its empty line left out. */
static size_t
header_len(struct slice text)
{
	const char *end;

	if (text.len == 0)
		return 0;
	end = memmem(text.ptr, text.len, "\r\n\r\n", 4);
	if (text.len >= 2 && memcmp(text.ptr, "\r\n", 2) == 0)
		return 0;
	return end != NULL ? (size_t)(end - text.ptr) + 2 : text.len;
}

static int
return_header(const struct notice *n, struct spool *sp, struct buf *b,
    struct err *e)
{
	struct spool_body *body = NULL;
	struct buf text = BUF_INIT;
	struct slice head = n->header;
	int rc = 0;

	if (head.ptr == NULL) {
		rc = spool_body_open(sp, n->about->id, &body, e);
		if (rc == 0)
			rc = spool_body_read(body, &text, e);
		spool_body_close(body);
		head = buf_slice(&text);
	}
	/* A damaged body is no reason to keep silent about the failure. */
	if (rc == ERR_CORRUPT)
		rc = 0;
	if (head.len > HEADER_MAX)
		head.len = HEADER_MAX;
	if (rc >= 0) {
		head.len = header_len(head);
		buf_addslice(b, head);
	}
	buf_release(&text);
	return rc < 0 ? rc : 0;
}

static int
return_all(const struct notice *n, struct spool *sp, struct spool_draft *d,
    struct err *e)
{
	struct spool_body *body = NULL;
	struct buf text = BUF_INIT;
	int rc;

	rc = spool_body_open(sp, n->about->id, &body, e);
	while (rc == 0 && (rc = spool_body_read(body, &text, e)) == 1)
		rc = flush_to(d, &text, e);
	spool_body_close(body);
	buf_release(&text);
	return rc == ERR_CORRUPT ? 0 : rc;
}

/* The postmaster gets what nobody else will ever see, as a whole. */
static bool
returns_all(const struct notice *n)
{
	const struct message *m = n->about;

	if (m->env.ret != SMTP_RET_FULL && n->why_postmaster == NULL)
		return false;
	return n->header.ptr == NULL && m->facts.octets <= RETURN_MAX &&
	    (m->kind == MESSAGE_MAIL || n->why_postmaster != NULL) &&
	    (m->facts.flags & (CONTENT_BARE | CONTENT_NUL)) == 0;
}

int
notice_write(const struct notice *n, struct spool *sp, struct spool_draft *d,
    struct err *e)
{
	struct buf b = BUF_INIT, line = BUF_INIT;
	const char *boundary;
	bool all = returns_all(n);
	int rc;

	add_boundary(&line, n->rng);
	boundary = buf_cstr(&line);
	add_header(&b, n->clock, n->rng, n->hostname, n->to,
	    "Undelivered mail returned to sender");
	buf_addf(&b, "Content-Type: multipart/report; "
	    "report-type=delivery-status;\r\n\tboundary=\"%s\"\r\n\r\n",
	    boundary);
	buf_addf(&b, "--%s\r\nContent-Type: text/plain; charset=us-ascii"
	    "\r\n\r\n", boundary);
	add_text(&b, n);
	buf_addf(&b, "--%s\r\nContent-Type: message/delivery-status\r\n\r\n",
	    boundary);
	add_status(&b, n);
	buf_addf(&b, "\r\n--%s\r\nContent-Type: %s\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n\r\n", boundary,
	    all ? "message/rfc822" : "text/rfc822-headers");
	rc = all ? 0 : return_header(n, sp, &b, e);
	if (rc == 0)
		rc = flush_to(d, &b, e);
	if (rc == 0 && all)
		rc = return_all(n, sp, d, e);
	buf_addf(&b, "\r\n--%s--\r\n", boundary);
	if (rc == 0)
		rc = flush_to(d, &b, e);
	if (rc == 0)
		rc = spool_draft_end(d, e);
	buf_release(&line);
	buf_release(&b);
	return rc;
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
object_text(struct buf *b, const char *peer, const char *name,
    const char *reason, uint64_t octets, unsigned untold)
{
	buf_adds(b, "An object that came from the peer ");
	add_line(b, peer);
	buf_adds(b, " could not be processed.\r\n\r\nFile:   ");
	add_line(b, name);
	buf_adds(b, "\r\nReason: ");
	add_line(b, reason);
	buf_addf(b, "\r\nOctets: %llu\r\n\r\n", (unsigned long long)octets);
	buf_adds(b, "What was whole before the fault has been delivered. "
	    "The object is kept in\r\nthe quarantine: "
	    "postrider queue list --broken\r\n");
	if (untold > 0)
		buf_addf(b, "\r\n%u more broken objects of this peer came "
		    "without a notice of their own.\r\n", untold);
	if (octets > ATTACH_MAX)
		buf_adds(b, "\r\nIts beginning is attached.\r\n");
	buf_adds(b, "\r\n");
}

struct notice_object *
notice_object_new(struct clock *clock, struct rng *rng, const char *hostname,
    const char *to, const char *peer, const char *name, const char *reason,
    uint64_t octets, unsigned untold, struct spool_draft *d)
{
	struct notice_object *no = mem_alloc(1, sizeof(*no));
	struct buf line = BUF_INIT;

	no->draft = d;
	no->left = octets > ATTACH_MAX ? EXCERPT : octets;
	base64_encoder_init(&no->enc);
	add_boundary(&line, rng);
	no->boundary = buf_steal(&line);
	add_header(&no->out, clock, rng, hostname, to,
	    "A broken object came in");
	buf_addf(&no->out, "Content-Type: multipart/mixed; boundary=\"%s\""
	    "\r\n\r\n--%s\r\nContent-Type: text/plain; charset=us-ascii"
	    "\r\n\r\n", no->boundary, no->boundary);
	object_text(&no->out, peer, name, reason, octets, untold);
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
