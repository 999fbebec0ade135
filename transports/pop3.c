/* SPDX-License-Identifier: ISC */
/*
 * Answers of a POP3 server.  Lines of a mail may have any length, so they are
 * told as octets, by the reader of dots that SMTP has too.
 */
#include "transports/pop3.h"
#include "base/mem.h"
#include "smtp/dots.h"

#include <stdlib.h>

enum awaited { NOTHING, STATUS, LINES, OCTETS };

struct pop3 {
	struct buf in, out;
	size_t given;		/* octets of in that an event lent */
	enum awaited awaited;
	enum pop3_form form;
	struct dot_reader dots;
	int failed;
	struct err why;
};

struct pop3 *
pop3_new(void)
{
	return mem_alloc(1, sizeof(struct pop3));
}

void
pop3_free(struct pop3 *p)
{
	if (p == NULL)
		return;
	buf_release(&p->in);
	buf_release(&p->out);
	free(p);
}

void
pop3_say(struct pop3 *p, enum pop3_form form, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&p->out, fmt, ap);
	va_end(ap);
	buf_adds(&p->out, "\r\n");
	p->form = form;
	p->awaited = STATUS;
}

struct buf *
pop3_output(struct pop3 *p)
{
	return &p->out;
}

void
pop3_feed(struct pop3 *p, const char *octets, size_t len)
{
	buf_add(&p->in, octets, len);
}

/* The next line without its end; 1, 0 or ERR_LIMIT. */
static int
take_line(struct pop3 *p, struct slice *line_out, struct err *e)
{
	const char *end = memchr(p->in.ptr, '\n', p->in.len);
	size_t len = end != NULL ? (size_t)(end - p->in.ptr) : p->in.len;

	if (len > POP3_LINE_MAX)
		return err_set(e, ERR_LIMIT, "an answer of more than %d "
		    "octets", POP3_LINE_MAX);
	if (end == NULL)
		return 0;
	p->given = len + 1;
	*line_out = (struct slice){ p->in.ptr, len };
	if (len > 0 && line_out->ptr[len - 1] == '\r')
		line_out->len--;
	return 1;
}

static bool
begins(struct slice line, const char *word)
{
	size_t n = strlen(word);

	return line.len >= n && memcmp(line.ptr, word, n) == 0 &&
	    (line.len == n || line.ptr[n] == ' ');
}

static int
take_status(struct pop3 *p, struct slice line, struct pop3_event *ev,
    struct err *e)
{
	size_t skip = line.len > 4 ? 4 : line.len;

	if (begins(line, "+OK")) {
		ev->kind = POP3_OK;
		p->awaited = p->form == POP3_PLAIN ? NOTHING :
		    p->form == POP3_LIST ? LINES : OCTETS;
		dot_reader_init(&p->dots, false, 0);
	} else if (begins(line, "-ERR")) {
		ev->kind = POP3_ERR;
		p->awaited = NOTHING;
	} else {
		return err_set(e, ERR_SYNTAX, "no answer of POP3: %.*s",
		    (int)(line.len < 80 ? line.len : 80), line.ptr);
	}
	ev->text = slice_trim((struct slice){ line.ptr + skip,
	    line.len - skip });
	return 1;
}

static int
take_listed(struct pop3 *p, struct slice line, struct pop3_event *ev)
{
	if (slice_eqs(line, ".")) {
		ev->kind = POP3_END;
		p->awaited = NOTHING;
		return 1;
	}
	if (line.len > 0 && line.ptr[0] == '.') {
		line.ptr++;
		line.len--;
	}
	*ev = (struct pop3_event){ POP3_LINE, line };
	return 1;
}

static int
take_octets(struct pop3 *p, struct pop3_event *ev)
{
	struct slice run;
	size_t used;

	if (dot_reader_next(&p->dots, p->in.ptr, p->in.len, &used,
	    &run) == 1) {
		p->given = used;
		p->awaited = NOTHING;
		*ev = (struct pop3_event){ POP3_END, { NULL, 0 } };
		return 1;
	}
	if (run.len == 0) {
		buf_consume(&p->in, used);
		return 0;
	}
	p->given = used;
	*ev = (struct pop3_event){ POP3_CONTENT, run };
	return 1;
}

static int
step(struct pop3 *p, struct pop3_event *ev, struct err *e)
{
	struct slice line = { NULL, 0 };
	int rc;

	if (p->awaited == OCTETS)
		return take_octets(p, ev);
	rc = take_line(p, &line, e);
	if (rc != 1)
		return rc;
	if (p->awaited == LINES)
		return take_listed(p, line, ev);
	return take_status(p, line, ev, e);
}

int
pop3_next(struct pop3 *p, struct pop3_event *ev, struct err *e)
{
	int rc = 0;
	size_t before;

	buf_consume(&p->in, p->given);
	p->given = 0;
	if (p->failed != 0) {
		*e = p->why;
		return p->failed;
	}
	*ev = (struct pop3_event){ POP3_END, { NULL, 0 } };
	do {
		before = p->in.len;
		if (p->awaited != NOTHING && p->in.len > 0)
			rc = step(p, ev, e);
	} while (rc == 0 && p->in.len < before);
	if (rc < 0) {
		p->failed = rc;
		p->why = *e;
	}
	return rc;
}
