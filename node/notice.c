/* SPDX-License-Identifier: ISC */
/*
 * Delivery status notifications (RFC 3461, 3464, 6522, 6533).  The parts are
 * put together in buffers first, so that their transfer encodings tell the
 * truth; a message that is returned whole is then streamed into the draft.
 *
 * A message/rfc822 part can hold neither NUL nor bare CR or LF nor endless
 * lines, and must not be base64 (RFC 2046 5.2.1): of such a message the
 * header alone is returned, its lines made whole.
 */
#include "node/notice.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "node/notice_status.h"

#define RETURN_MAX (1 << 20)	/* octets of a message returned whole */
#define REST_MAX 16384		/* octets of a notice but for that message */
#define HEADER_MAX 65536	/* octets of a header returned */
#define HEADER_LINE_MAX 990
#define ENCODED_WORD_MAX 45	/* octets in one word of RFC 2047 */

/* A part of the report. */
struct part {
	const char *type;
	struct buf body;
	bool base64, eightbit;
};

void
notice_boundary_add(struct buf *b, struct rng *rng)
{
	unsigned char random[12];

	rng_fill(rng, random, sizeof(random));
	buf_adds(b, "=_");
	hex_encode(b, random, sizeof(random));
}

/* As encoded words where it is not ASCII, cut between characters. */
static void
add_subject(struct buf *b, const char *subject)
{
	struct slice s = slice_of(subject);
	size_t n;

	buf_adds(b, "Subject: ");
	if (slice_is_ascii(s)) {
		notice_fold(b, s, 9, " ");
		buf_adds(b, "\r\n");
		return;
	}
	while (s.len > 0) {
		n = s.len < ENCODED_WORD_MAX ? s.len : ENCODED_WORD_MAX;
		while (n < s.len && ((unsigned char)s.ptr[n] & 0xc0) == 0x80)
			n--;
		buf_adds(b, "=?utf-8?B?");
		base64_encode(b, s.ptr, n);
		s.ptr += n;
		s.len -= n;
		buf_adds(b, s.len > 0 ? "?=\r\n " : "?=\r\n");
	}
}

void
notice_header_add(struct buf *b, const struct notice_head *head,
    const char *subject)
{
	unsigned char random[12];

	buf_addf(b, "From: Mail Delivery System <MAILER-DAEMON@%s>\r\n",
	    head->hostname);
	buf_addf(b, "To: <%s>\r\n", head->to);
	add_subject(b, subject);
	buf_adds(b, "Date: ");
	date_format(b, clock_wall_ms(head->clock));
	buf_adds(b, "\r\nMessage-ID: <");
	rng_fill(head->rng, random, sizeof(random));
	hex_encode(b, random, sizeof(random));
	buf_addf(b, ".notice@%s>\r\n", head->hostname);
	buf_adds(b, "Auto-Submitted: auto-replied\r\n"
	    "MIME-Version: 1.0\r\n");
}

/*
 * The text.
 */
static void
add_sentence(struct buf *b, const char *first, struct slice rest, bool utf8)
{
	struct buf line = BUF_INIT;

	buf_adds(&line, first);
	text_escape(&line, rest, 800, utf8);
	buf_adds(b, "    ");
	notice_fold(b, buf_slice(&line), 4, "    ");
	buf_adds(b, "\r\n");
	buf_release(&line);
}

/* What became of one recipient, in words. */
static void
add_words(struct buf *b, const struct notice *n,
    const struct notice_recipient *r)
{
	struct notice_said said;
	char *first;

	if (r->why != NULL)
		add_sentence(b, "", slice_of(r->why), n->global);
	if (r->said == NULL || r->action == NOTICE_DELIVERED)
		return;
	notice_said_parse(r->said, n->server, &said);
	if (said.reply.len == 0) {
		add_sentence(b, said.server ? "its mail server" : "",
		    said.rest, n->global);
		return;
	}
	first = mem_printf("the mail server of %s said%s%.*s: ", n->site,
	    said.step.len > 0 ? " after " : "", (int)said.step.len,
	    said.step.len > 0 ? said.step.ptr : "");
	if (said.step.len > 0)
		add_sentence(b, first, said.reply, n->global);
	else
		add_sentence(b, "", said.reply, n->global);
	free(first);
}

static void
add_recipients(struct buf *b, const struct notice *n,
    enum notice_action action)
{
	const struct notice_recipient *r;
	size_t i;

	for (i = 0; i < n->nrcpt; i++) {
		r = &n->rcpt[i];
		if (r->action != action)
			continue;
		buf_adds(b, "  <");
		notice_address_add(b, r->address, n->global);
		buf_adds(b, ">\r\n");
		add_words(b, n, r);
	}
}

/* For each kind of thing that happened its own words; the first, which is the
 * gravest, gives the subject. */
static void
make_text(const struct notice *n, struct buf *body, struct buf *subject)
{
	struct buf list = BUF_INIT, date = BUF_INIT, until = BUF_INIT;
	struct notice_words w = { .site = n->site, .hostname = n->hostname,
		.sender = n->to };
	unsigned a;

	date_format(&date, n->about->accepted_wall_ms != 0 ?
	    n->about->accepted_wall_ms : clock_wall_ms(n->clock));
	w.date = buf_cstr(&date);
	if (n->nrcpt > 0 && n->rcpt[0].until_ms != 0)
		date_format(&until, n->rcpt[0].until_ms);
	w.until = buf_cstr(&until);
	buf_addf(body, "This is the mail node of the site %s (%s).\r\n\r\n",
	    n->site, n->hostname);
	if (n->why_postmaster != NULL)
		buf_addf(body, "%s\r\n\r\n", n->why_postmaster);
	for (a = 0; a < NOTICE_ACTIONS; a++) {
		buf_clear(&list);
		add_recipients(&list, n, (enum notice_action)a);
		if (list.len == 0)
			continue;
		w.recipients = buf_cstr(&list);
		if (subject->len == 0)
			notice_text_subject(n->text, (enum notice_action)a,
			    &w, subject);
		notice_text_body(n->text, (enum notice_action)a, &w, body);
	}
	buf_release(&list);
	buf_release(&date);
	buf_release(&until);
}

/*
 * What is returned.
 */

/* The length of the header at the front of text, its empty line left out; it
 * may end its lines with LF alone. */
static size_t
header_len(struct slice text)
{
	const char *line = text.ptr, *end = text.ptr + text.len, *lf;
	size_t len;

	while (line < end) {
		lf = memchr(line, '\n', (size_t)(end - line));
		len = (size_t)((lf != NULL ? lf : end) - line);
		if (lf != NULL && (len == 0 || (len == 1 && line[0] == '\r')))
			break;
		line = lf != NULL ? lf + 1 : end;
	}
	return (size_t)(line - text.ptr);
}

/* Lines that end in CR LF, are not endless, and hold no NUL. */
static void
mend_lines(struct buf *out, struct slice text)
{
	size_t i, column = 0;
	char c;

	for (i = 0; i < text.len; i++) {
		c = text.ptr[i];
		if (c == '\r' && i + 1 < text.len && text.ptr[i + 1] == '\n')
			continue;
		if (c == '\n' || c == '\r') {
			buf_adds(out, "\r\n");
			column = 0;
		} else if (column++ < HEADER_LINE_MAX) {
			buf_addc(out, c != '\0' ? c : '?');
		}
	}
	if (column > 0)
		buf_adds(out, "\r\n");
}

static int
read_header(const struct notice *n, struct spool *sp, struct buf *out,
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
	if (rc >= 0 && head.len > 0) {
		head.len = header_len(head);
		mend_lines(out, head);
	}
	buf_release(&text);
	return rc < 0 ? rc : 0;
}

/* RET=FULL is about failures (RFC 3461 4.3); the postmaster gets what nobody
 * else will ever see, as a whole. */
static bool
returns_all(const struct notice *n)
{
	const struct message *m = n->about;
	unsigned bad = CONTENT_BARE | CONTENT_NUL | CONTENT_LONG;
	bool failed = false;
	size_t i;

	for (i = 0; i < n->nrcpt; i++)
		failed = failed || n->rcpt[i].action == NOTICE_FAILED;
	if (!failed || (n->header.ptr != NULL && !n->whole) ||
	    (m->env.ret != SMTP_RET_FULL && n->why_postmaster == NULL) ||
	    (m->kind != MESSAGE_MAIL && n->why_postmaster == NULL))
		return false;
	if ((m->facts.flags & CONTENT_8BIT_HEADER) != 0 && m->env.smtputf8 &&
	    !n->global)
		return false;
	if (n->limit != 0 && m->facts.octets + REST_MAX > n->limit)
		return false;
	return m->facts.octets <= RETURN_MAX && (m->facts.flags & bad) == 0;
}

static int
return_all(const struct notice *n, struct spool *sp, struct spool_draft *d,
    struct err *e)
{
	struct spool_body *body = NULL;
	struct buf text = BUF_INIT;
	int rc;

	if (n->header.ptr != NULL)
		return spool_draft_add(d, n->header.ptr, n->header.len, e);
	rc = spool_body_open(sp, n->about->id, &body, e);
	while (rc == 0 && (rc = spool_body_read(body, &text, e)) == 1) {
		rc = spool_draft_add(d, text.ptr, text.len, e);
		buf_clear(&text);
	}
	spool_body_close(body);
	buf_release(&text);
	return rc == ERR_CORRUPT ? 0 : rc;
}

/* RFC 6533 5 and 6: a header in UTF-8 has types of its own; they may be base64
 * where the way back is not in UTF-8. */
static int
make_returned(const struct notice *n, struct spool *sp, bool all,
    struct part *p, struct err *e)
{
	const struct message *m = n->about;
	int rc = 0;

	if (all)
		p->eightbit = (m->facts.flags & CONTENT_8BIT) != 0;
	else
		rc = read_header(n, sp, &p->body, e);
	if (rc != 0)
		return rc;
	if (all && m->env.smtputf8 &&
	    (m->facts.flags & CONTENT_8BIT_HEADER) != 0) {
		p->type = "message/global";
	} else if (all) {
		p->type = "message/rfc822";
	} else if (m->env.smtputf8 && !slice_is_ascii(buf_slice(&p->body))) {
		p->type = "message/global-headers";
		p->base64 = !n->global;
	} else {
		p->type = "text/rfc822-headers";
	}
	return 0;
}

/*
 * The whole.
 */
static void
add_part(struct buf *b, const struct part *p, const char *boundary)
{
	struct base64_encoder enc;

	buf_addf(b, "--%s\r\nContent-Type: %s\r\n", boundary, p->type);
	if (p->base64)
		buf_adds(b, "Content-Transfer-Encoding: base64\r\n\r\n");
	else if (p->eightbit)
		buf_adds(b, "Content-Transfer-Encoding: 8bit\r\n\r\n");
	else
		buf_adds(b, "\r\n");
	if (p->base64) {
		base64_encoder_init(&enc);
		base64_encoder_add(&enc, b, p->body.ptr, p->body.len);
		base64_encoder_end(&enc, b);
	} else {
		buf_addslice(b, buf_slice(&p->body));
	}
}

static void
make_parts(const struct notice *n, struct part part[2], struct buf *subject)
{
	make_text(n, &part[0].body, subject);
	part[0].type = "text/plain; charset=us-ascii";
	if (!slice_is_ascii(buf_slice(&part[0].body))) {
		part[0].type = "text/plain; charset=utf-8";
		part[0].base64 = !n->global;
	}
	notice_status_add(&part[1].body, n);
	part[1].type = slice_is_ascii(buf_slice(&part[1].body)) ?
	    "message/delivery-status" : "message/global-delivery-status";
}

static void
add_all(const struct notice *n, struct part part[3], const char *subject,
    const char *boundary, struct buf *b)
{
	struct notice_head head = { n->clock, n->rng, n->hostname, n->to };
	bool eightbit = false;
	size_t i;

	for (i = 0; i < 3; i++) {
		if (!part[i].base64 &&
		    !slice_is_ascii(buf_slice(&part[i].body)))
			part[i].eightbit = true;
		eightbit = eightbit || part[i].eightbit;
	}
	notice_header_add(b, &head, subject);
	if (eightbit)
		buf_adds(b, "Content-Transfer-Encoding: 8bit\r\n");
	buf_addf(b, "Content-Type: multipart/report; "
	    "report-type=delivery-status;\r\n\tboundary=\"%s\"\r\n\r\n",
	    boundary);
	for (i = 0; i < 3; i++) {
		add_part(b, &part[i], boundary);
		if (i < 2)
			buf_adds(b, "\r\n");
	}
}

int
notice_write(const struct notice *n, struct spool *sp, struct spool_draft *d,
    struct err *e)
{
	struct buf b = BUF_INIT, line = BUF_INIT, subject = BUF_INIT;
	bool all = returns_all(n);
	struct part part[3];
	size_t i;
	int rc;

	memset(part, 0, sizeof(part));
	make_parts(n, part, &subject);
	rc = make_returned(n, sp, all, &part[2], e);
	notice_boundary_add(&line, n->rng);
	add_all(n, part, buf_cstr(&subject), buf_cstr(&line), &b);
	if (rc == 0)
		rc = spool_draft_add(d, b.ptr, b.len, e);
	if (rc == 0 && all)
		rc = return_all(n, sp, d, e);
	buf_clear(&b);
	buf_addf(&b, "\r\n--%s--\r\n", buf_cstr(&line));
	if (rc == 0)
		rc = spool_draft_add(d, b.ptr, b.len, e);
	if (rc == 0)
		rc = spool_draft_end(d, e);
	for (i = 0; i < 3; i++)
		buf_release(&part[i].body);
	buf_release(&subject);
	buf_release(&line);
	buf_release(&b);
	return rc;
}
