/* SPDX-License-Identifier: ISC */
/*
 * Answers of an IMAP server.  An answer is lines with literals between; its
 * text is gathered, with "" in the place of each literal, and read when it is
 * whole.  The literal of a BODY[...] is told on as it comes; others are
 * passed over, as nothing that is asked for stands in one.
 */
#include "transports/imap.h"
#include "base/mem.h"
#include "base/text.h"
#include "transports/imap_answer.h"

#include <stdlib.h>

struct imap {
	struct buf in, out;
	size_t scanned;		/* octets of in without a line end */
	size_t given;		/* octets of in that an event lent */
	struct buf text;	/* of the answer, so far */
	uint64_t literal;	/* octets of one that are to come */
	bool is_body;		/* it is told on */
	struct buf quoted;	/* a body that came as a string */
	bool told;		/* which has been told */
	uint32_t tag;
	struct imap_answer answer;
	bool waiting;		/* an answer that follows its body */
	unsigned can;
	uint32_t uidvalidity;
	bool read_only;
	int failed;
	struct err why;
};

struct imap *
imap_new(void)
{
	return mem_alloc(1, sizeof(struct imap));
}

void
imap_free(struct imap *m)
{
	if (m == NULL)
		return;
	buf_release(&m->in);
	buf_release(&m->out);
	buf_release(&m->text);
	buf_release(&m->quoted);
	free(m);
}

void
imap_say(struct imap *m, const char *fmt, ...)
{
	va_list ap;

	buf_addf(&m->out, "p%u ", ++m->tag);
	va_start(ap, fmt);
	buf_vaddf(&m->out, fmt, ap);
	va_end(ap);
	buf_adds(&m->out, "\r\n");
}

void
imap_say_done(struct imap *m)
{
	buf_adds(&m->out, "DONE\r\n");
}

void
imap_quote(struct buf *out, const char *text)
{
	buf_addc(out, '"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			buf_addc(out, '\\');
		buf_addc(out, *text);
	}
	buf_addc(out, '"');
}

struct buf *
imap_output(struct imap *m)
{
	return &m->out;
}

void
imap_feed(struct imap *m, const char *octets, size_t len)
{
	buf_add(&m->in, octets, len);
}

unsigned
imap_can(const struct imap *m)
{
	return m->can;
}

uint32_t
imap_uidvalidity(const struct imap *m)
{
	return m->uidvalidity;
}

bool
imap_read_only(const struct imap *m)
{
	return m->read_only;
}

/* The next octets of the literal at hand, if it is one to be told. */
static int
take_literal(struct imap *m, struct imap_event *ev)
{
	size_t n = m->in.len < m->literal ? m->in.len : (size_t)m->literal;

	m->literal -= n;
	if (!m->is_body) {
		buf_consume(&m->in, n);
		return 0;
	}
	*ev = (struct imap_event){ .kind = IMAP_CONTENT,
	    .text = { m->in.ptr, n } };
	m->given = n;
	return 1;
}

/* "{123}" or "~{123}" at the end of a line; its length, 0 if there is none. */
static size_t
literal_mark(struct slice line, uint64_t *octets_out)
{
	const char *open = memrchr(line.ptr, '{', line.len);
	struct slice digits;
	size_t len;

	if (open == NULL || line.ptr[line.len - 1] != '}')
		return 0;
	len = line.len - (size_t)(open - line.ptr);
	digits = (struct slice){ open + 1, len - 2 };
	if (num_parse(digits, UINT32_MAX, octets_out) < 0)
		return 0;
	return open > line.ptr && open[-1] == '~' ? len + 1 : len;
}

/* Takes a line into the text; 1: the answer is whole, 0: it is not, or there
 * is no line. */
static int
take_line(struct imap *m, struct err *e)
{
	const char *start = m->in.ptr;
	const char *end = m->in.len == m->scanned ? NULL :
	    memchr(start + m->scanned, '\n', m->in.len - m->scanned);
	struct slice line = { start, end != NULL ? (size_t)(end - start) :
	    m->in.len };
	size_t mark = 0;

	if (line.len + m->text.len > IMAP_LINE_MAX)
		return err_set(e, ERR_LIMIT, "an answer of more than %d "
		    "octets", IMAP_LINE_MAX);
	m->scanned = line.len;
	if (end == NULL)
		return 0;
	if (line.len > 0 && line.ptr[line.len - 1] == '\r')
		line.len--;
	if (line.len > 0)
		mark = literal_mark(line, &m->literal);
	line.len -= mark;
	buf_addslice(&m->text, line);
	buf_consume(&m->in, m->scanned + 1);
	m->scanned = 0;
	if (mark == 0)
		return 1;
	m->is_body = imap_answer_wants_body(buf_slice(&m->text));
	buf_adds(&m->text, "\"\"");
	return 0;
}

static int
tell_end(const struct imap *m, struct imap_event *ev, struct err *e)
{
	const struct imap_answer *a = &m->answer;

	if (a->tag != m->tag)
		return err_set(e, ERR_SYNTAX, "an answer to what was not "
		    "asked: %.*s", (int)(m->text.len < 80 ? m->text.len : 80),
		    m->text.ptr);
	ev->kind = a->kind == IMAP_ANSWER_OK ? IMAP_OK : IMAP_NO;
	ev->text = a->text;
	return 1;
}

/* What the answer is; 1: worth an event. */
static int
tell_answer(struct imap *m, struct imap_event *ev, struct err *e)
{
	const struct imap_answer *a = &m->answer;

	m->can = a->has_can ? a->can : m->can;
	m->read_only = m->read_only || a->read_only;
	if (a->uidvalidity != 0)
		m->uidvalidity = a->uidvalidity;
	*ev = (struct imap_event){ .kind = IMAP_MESSAGE, .uid = a->uid,
	    .size = a->size, .deleted = a->deleted, .has_body = a->has_body,
	    .count = a->number };
	switch (a->kind) {
	case IMAP_ANSWER_OK:
	case IMAP_ANSWER_NO:
		return a->tag != 0 ? tell_end(m, ev, e) : 0;
	case IMAP_ANSWER_FETCH:
		return a->uid != 0;
	case IMAP_ANSWER_EXISTS:
		ev->kind = IMAP_NEWS;
		return 1;
	case IMAP_ANSWER_GO_ON:
		ev->kind = IMAP_GO_ON;
		return 1;
	case IMAP_ANSWER_BYE:
		ev->kind = IMAP_BYE;
		ev->text = a->text;
		return 1;
	case IMAP_ANSWER_OTHER:
		break;
	}
	return 0;
}

/* A body that came as a string is told before what it belongs to. */
static int
read_answer(struct imap *m, struct imap_event *ev, struct err *e)
{
	int rc = imap_answer_parse(buf_slice(&m->text), &m->answer,
	    &m->quoted, e);

	if (rc < 0)
		return rc;
	m->waiting = true;
	if (m->quoted.len == 0)
		return 0;
	*ev = (struct imap_event){ .kind = IMAP_CONTENT,
	    .text = buf_slice(&m->quoted) };
	return 1;
}

static int
step(struct imap *m, struct imap_event *ev, struct err *e)
{
	int rc;

	if (m->waiting) {
		m->waiting = false;
		m->told = true;
		return tell_answer(m, ev, e);
	}
	if (m->told) {
		m->told = false;
		buf_clear(&m->text);
		buf_clear(&m->quoted);
	}
	if (m->literal > 0)
		return take_literal(m, ev);
	rc = take_line(m, e);
	return rc == 1 ? read_answer(m, ev, e) : rc;
}

int
imap_next(struct imap *m, struct imap_event *ev, struct err *e)
{
	int rc = 0;

	buf_consume(&m->in, m->given);
	m->given = 0;
	if (m->failed != 0) {
		*e = m->why;
		return m->failed;
	}
	while (rc == 0 && (m->waiting || m->in.len > m->scanned))
		rc = step(m, ev, e);
	if (rc < 0) {
		m->failed = rc;
		m->why = *e;
	}
	return rc;
}
