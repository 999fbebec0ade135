/* SPDX-License-Identifier: ISC */
/*
 * Content taken apart, in the same way each time it passes.
 *
 * Lines end in CR LF and in nothing else.  Such a line end waits until it is
 * known whether a boundary follows, to which it would belong (RFC 2046 5.1.1);
 * a line that could be a boundary waits until it is whole.  A header waits as
 * a whole.  While looking, the parts are counted and their faults noted; while
 * writing, the same count finds what was decided.
 */
#include "bundle/convert.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "bundle/convert_plan.h"

#define BOUNDARY_MAX 200	/* RFC 2046 5.1.1: 70 */
#define CANDIDATE_MAX 400	/* and blanks behind it */
#define LINE_MAX_OCTETS 998

struct level {
	char *boundary;
	size_t part;		/* the multipart */
	bool sealed, digest;	/* of its parts */
};

struct convert {
	enum convert_target target;
	bool writing;
	struct part *part;
	size_t nparts;		/* all, once decided */
	size_t seen;		/* begun in this pass */
	size_t current;		/* whose header or body this is */
	bool too_many, too_large;	/* parts; a header */
	struct level level[CONVERT_DEPTH_MAX];
	size_t depth;

	bool in_header, message;	/* the header is a message's */
	bool sealed, digest;	/* what the next part is inside of */
	struct buf header;	/* its fields so far */
	size_t line_start;	/* in it */
	struct buf line;	/* what may become a boundary */
	bool candidate;
	bool cr, crlf;		/* held */
	bool at_start;		/* of a line */
	size_t line_len;

	struct qp_encoder qp;
	struct base64_encoder base64;
	struct buf *out;
	bool any;		/* was written, and these last: */
	char last[2];
};

struct convert *
convert_new(enum convert_target target)
{
	struct convert *c = mem_alloc(1, sizeof(*c));

	c->target = target;
	convert_again(c);
	return c;
}

static void
pop_levels(struct convert *c, size_t depth)
{
	while (c->depth > depth)
		free(c->level[--c->depth].boundary);
}

void
convert_free(struct convert *c)
{
	if (c == NULL)
		return;
	pop_levels(c, 0);
	buf_release(&c->header);
	buf_release(&c->line);
	free(c->part);
	free(c);
}

static struct part *
part_of(struct convert *c)
{
	return &c->part[c->current];
}

/*
 * Out.
 */
static void
wrote(struct convert *c, size_t before)
{
	const struct buf *out = c->out;
	size_t n = out->len - before;

	if (n >= 2)
		c->last[0] = out->ptr[out->len - 2];
	else if (n == 1)
		c->last[0] = c->last[1];
	if (n >= 1)
		c->last[1] = out->ptr[out->len - 1];
	c->any = c->any || n > 0;
}

static bool
wrote_line_end(const struct convert *c)
{
	return c->last[0] == '\r' && c->last[1] == '\n';
}

static void
emit(struct convert *c, struct slice text)
{
	size_t before;

	if (!c->writing)
		return;
	before = c->out->len;
	buf_addslice(c->out, text);
	wrote(c, before);
}

static void
emit_body(struct convert *c, struct slice text)
{
	size_t before;

	if (!c->writing)
		return;
	before = c->out->len;
	if (part_of(c)->how == PART_QP)
		qp_encoder_add(&c->qp, c->out, text.ptr, text.len);
	else if (part_of(c)->how == PART_BASE64)
		base64_encoder_add(&c->base64, c->out, text.ptr, text.len);
	else
		buf_addslice(c->out, text);
	wrote(c, before);
}

/* The body is over.  What ends the message must end a line as well. */
static void
finish_body(struct convert *c, bool last)
{
	size_t before;

	if (!c->writing)
		return;
	before = c->out->len;
	if (part_of(c)->how == PART_QP)
		qp_encoder_end(&c->qp, c->out, last);
	else if (part_of(c)->how == PART_BASE64)
		base64_encoder_end(&c->base64, c->out);
	wrote(c, before);
}

/*
 * Bodies.
 */
static void
note_line_len(struct convert *c, size_t more)
{
	c->line_len += more;
	if (c->line_len > LINE_MAX_OCTETS)
		part_of(c)->faults |= PART_LONG;
}

/* Octets without a CR LF in them. */
static void
note(struct convert *c, struct slice text)
{
	struct part *p = part_of(c);

	for (size_t i = 0; i < text.len; i++) {
		char ch = text.ptr[i];

		if ((unsigned char)ch >= 0x80)
			p->faults |= PART_8BIT;
		else if (ch == '\r' || ch == '\n')
			p->faults |= PART_BARE;
		else if (ch == '\0')
			p->faults |= PART_NUL;
		p->coded += qp_is_coded(ch);
	}
	p->octets += text.len;
	note_line_len(c, text.len);
}

/* The line end that was held is the body's. */
static void
flush_crlf(struct convert *c)
{
	if (!c->crlf)
		return;
	c->crlf = false;
	if (!c->writing)
		part_of(c)->octets += 2;
	emit_body(c, SLICE_LIT("\r\n"));
}

static void
body(struct convert *c, struct slice text)
{
	if (text.len == 0)
		return;
	flush_crlf(c);
	c->at_start = false;
	if (!c->writing)
		note(c, text);
	emit_body(c, text);
}

static void
flush_candidate(struct convert *c)
{
	if (!c->candidate)
		return;
	c->candidate = false;
	body(c, buf_slice(&c->line));
	buf_clear(&c->line);
}

/*
 * Headers.
 */
static void
push_level(struct convert *c, struct mime_header *h)
{
	struct level *l = &c->level[c->depth++];

	l->boundary = h->boundary;
	h->boundary = NULL;
	l->part = c->current;
	l->sealed = part_seals(part_of(c), h);
	l->digest = part_is_digest(h);
}

static void
begin_header(struct convert *c, bool message)
{
	c->in_header = true;
	c->message = message;
	buf_clear(&c->header);
	c->line_start = 0;
	if (c->seen == CONVERT_PARTS_MAX) {
		c->too_many = true;
		c->seen--;
	}
	c->current = c->seen++;
	if (c->writing)
		return;
	if ((c->current & (c->current - 1)) == 0)
		c->part = mem_realloc(c->part, c->current == 0 ? 1 :
		    c->current * 2, sizeof(*c->part));
	c->part[c->current] = (struct part){ .sealed = c->sealed };
}

static void
note_header(struct convert *c)
{
	struct part *p = part_of(c);
	struct slice text = buf_slice(&c->header);

	for (size_t i = 0; i < text.len; i++) {
		char ch = text.ptr[i];
		bool ends = i + 1 < text.len && ch == '\r' &&
		    text.ptr[i + 1] == '\n';

		if ((unsigned char)ch >= 0x80)
			p->header_faults |= PART_8BIT;
		else if (!ends && (ch == '\r' || ch == '\n'))
			p->header_faults |= PART_BARE;
		i += ends;
	}
}

static bool
fits(const struct convert *c, const struct mime_header *h)
{
	return c->depth < CONVERT_DEPTH_MAX &&
	    strlen(h->boundary) <= BOUNDARY_MAX;
}

/* The fields are whole.  blank: the empty line that ended them. */
static void
end_header(struct convert *c, struct slice blank)
{
	struct mime_header h = { 0 };
	struct part *p = part_of(c);
	struct buf text = BUF_INIT;

	c->in_header = false;
	c->at_start = true;
	c->crlf = false;
	c->line_len = 0;
	mime_header_parse(&h, buf_slice(&c->header));
	if (!c->writing) {
		part_learn(p, &h, c->digest);
		note_header(c);
		if (p->kind == PART_MULTIPART && !fits(c, &h))
			p->kind = PART_FIXED;
	} else {
		part_write_header(p, &h, c->target, c->message,
		    buf_slice(&c->header), &text);
	}
	emit(c, buf_slice(&text));
	emit(c, blank);
	qp_encoder_init(&c->qp);
	base64_encoder_init(&c->base64);
	if (p->kind == PART_MULTIPART) {
		push_level(c, &h);
	} else if (p->kind == PART_MESSAGE && blank.len > 0) {
		c->sealed = p->sealed;
		c->digest = false;
		begin_header(c, true);
	}
	buf_release(&text);
	mime_header_release(&h);
}

/*
 * Boundaries.
 */

/* Is this line, without its end, a delimiter of l (RFC 2046 5.1.1)? */
static bool
delimits(const struct level *l, struct slice line, bool *closes_out)
{
	size_t n = strlen(l->boundary) + 2;

	if (line.len < n || memcmp(line.ptr, "--", 2) != 0 ||
	    memcmp(line.ptr + 2, l->boundary, n - 2) != 0)
		return false;
	*closes_out = line.len >= n + 2 &&
	    memcmp(line.ptr + n, "--", 2) == 0;
	n += *closes_out ? 2 : 0;
	return slice_trim((struct slice){ line.ptr + n, line.len - n }).len ==
	    0;
}

/* The innermost first; what is inside of the one found is over. */
static bool
find_level(struct convert *c, struct slice line, size_t *i_out,
    bool *closes_out)
{
	for (size_t i = c->depth; i > 0; i--) {
		*i_out = i - 1;
		if (delimits(&c->level[i - 1], line, closes_out))
			return true;
	}
	return false;
}

/* Behind base64 one line end is enough. */
static void
emit_delimiter(struct convert *c, struct slice line, struct slice end)
{
	if (c->crlf && (!wrote_line_end(c) ||
	    part_of(c)->how != PART_BASE64))
		emit(c, SLICE_LIT("\r\n"));
	c->crlf = false;
	emit(c, line);
	emit(c, end);
}

/* True if it was one; end: CR LF, or nothing at the end of all. */
static bool
take_delimiter(struct convert *c, struct slice line, struct slice end)
{
	const struct level *l;
	bool closes;
	size_t i;

	if (!find_level(c, line, &i, &closes))
		return false;
	finish_body(c, false);
	emit_delimiter(c, line, end);
	l = &c->level[i];
	c->current = l->part;
	c->line_len = 0;
	c->at_start = true;
	c->sealed = l->sealed;
	c->digest = l->digest;
	pop_levels(c, closes ? i : i + 1);
	if (!closes)
		begin_header(c, false);
	return true;
}

/*
 * In.
 */

/* A header may end without an empty line, where a boundary comes.  end: of the
 * line that was added to it last. */
static void
header_line(struct convert *c, struct slice line_end)
{
	struct slice line = { c->header.ptr + c->line_start,
		c->header.len - c->line_start - line_end.len };
	struct buf own = BUF_INIT;
	size_t i;
	bool closes;

	if (line.len > 0 && !find_level(c, line, &i, &closes)) {
		c->line_start = c->header.len;
		return;
	}
	buf_addslice(&own, line);
	buf_truncate(&c->header, c->line_start);
	end_header(c, own.len == 0 ? line_end : SLICE_LIT(""));
	if (own.len > 0)
		(void)take_delimiter(c, buf_slice(&own), line_end);
	buf_release(&own);
}

static size_t
feed_header(struct convert *c, const char *in, size_t len)
{
	const char *nl = memchr(in, '\n', len);
	size_t n = nl != NULL ? (size_t)(nl + 1 - in) : len;

	if (c->header.len + n > MIME_HEADER_MAX) {
		c->too_large = true;	/* and refused: what goes on here */
		buf_clear(&c->header);	/* does not matter */
		c->line_start = 0;
	}
	buf_add(&c->header, in, n);
	if (c->header.len >= c->line_start + 2 && nl != NULL &&
	    c->header.ptr[c->header.len - 2] == '\r')
		header_line(c, SLICE_LIT("\r\n"));
	return n;
}

static void
body_line(struct convert *c)
{
	if (c->candidate && take_delimiter(c, buf_slice(&c->line),
	    SLICE_LIT("\r\n"))) {
		c->candidate = false;
		return;
	}
	flush_candidate(c);
	flush_crlf(c);
	c->crlf = true;
	c->at_start = true;
	c->line_len = 0;
}

/* Behind a CR: is it a line's end? */
static size_t
feed_after_cr(struct convert *c, char ch)
{
	c->cr = false;
	if (ch == '\n') {
		body_line(c);
		return 1;
	}
	flush_candidate(c);
	body(c, SLICE_LIT("\r"));
	return 0;
}

static size_t
feed_candidate(struct convert *c, char ch)
{
	if (ch == '\r') {
		c->cr = true;
		return 1;
	}
	buf_addc(&c->line, ch);
	if (c->line.ptr[c->line.len == 1 ? 0 : 1] != '-' ||
	    c->line.len > CANDIDATE_MAX)
		flush_candidate(c);
	return 1;
}

static size_t
feed_body(struct convert *c, const char *in, size_t len)
{
	const char *cr;
	size_t n;

	if (c->cr)
		return feed_after_cr(c, *in);
	if (c->at_start && c->depth > 0 && *in == '-' && !c->candidate) {
		c->candidate = true;
		buf_clear(&c->line);
	}
	if (c->candidate)
		return feed_candidate(c, *in);
	cr = memchr(in, '\r', len);
	n = cr != NULL ? (size_t)(cr - in) : len;
	body(c, (struct slice){ in, n });
	c->cr = cr != NULL;
	return n + c->cr;
}

static void
feed(struct convert *c, const char *in, size_t len)
{
	size_t n;

	for (; len > 0; in += n, len -= n)
		n = c->in_header ? feed_header(c, in, len) :
		    feed_body(c, in, len);
}

/* All of it has passed. */
static void
end(struct convert *c)
{
	if (c->in_header && c->header.len > c->line_start)
		header_line(c, SLICE_LIT(""));
	if (c->candidate && !c->cr &&
	    take_delimiter(c, buf_slice(&c->line), SLICE_LIT("")))
		c->candidate = false;
	if (c->in_header)
		end_header(c, SLICE_LIT(""));
	flush_candidate(c);
	if (c->cr)
		body(c, SLICE_LIT("\r"));
	c->cr = false;
	if (!c->writing && !c->at_start)
		part_of(c)->faults |= PART_OPEN;
	flush_crlf(c);
}

void
convert_again(struct convert *c)
{
	pop_levels(c, 0);
	buf_clear(&c->line);
	c->seen = 0;
	c->candidate = c->cr = c->crlf = c->sealed = c->digest = false;
	c->any = false;
	c->last[0] = c->last[1] = '\0';
	begin_header(c, true);
}

void
convert_look(struct convert *c, const char *bytes, size_t len)
{
	feed(c, bytes, len);
}

int
convert_decide(struct convert *c, struct smtp_refusal *r)
{
	int rc = 0;

	end(c);
	c->nparts = c->seen;
	if (c->too_many || c->too_large) {
		smtp_refuse(r, 554, "5.6.1", c->too_many ?
		    "the message has more than %d parts" :
		    "a header has more than %d octets", c->too_many ?
		    CONVERT_PARTS_MAX : MIME_HEADER_MAX);
		return ERR_UNSUPPORTED;
	}
	for (size_t i = 0; rc == 0 && i < c->nparts; i++)
		rc = part_decide(&c->part[i], c->target, r);
	c->writing = true;
	convert_again(c);
	return rc;
}

void
convert_add(struct convert *c, const char *bytes, size_t len, struct buf *out)
{
	c->out = out;
	feed(c, bytes, len);
}

void
convert_end(struct convert *c, struct buf *out)
{
	c->out = out;
	end(c);
	finish_body(c, true);
	if (!c->any || wrote_line_end(c))
		return;
	/* What is quoted-printable already must not get a line more. */
	if (part_of(c)->declared == MIME_QUOTED_PRINTABLE && !c->at_start &&
	    c->last[1] != '=')
		emit(c, SLICE_LIT("="));
	emit(c, SLICE_LIT("\r\n"));
}
