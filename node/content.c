/* SPDX-License-Identifier: ISC */
/*
 * Content for sending.  A conversion reads the message three times: to learn
 * its parts, to learn the size of what comes out, which goes before it, and
 * to send it.  Few messages need that, and no more than a piece is in memory.
 */
#include "node/content.h"

#include <stdlib.h>

#include "base/mem.h"
#include "smtp/extension.h"

#define CARRIED (SMTP_EXT_8BITMIME | SMTP_EXT_BINARYMIME | SMTP_EXT_CHUNKING)

enum pass { PASS_LOOK, PASS_MEASURE, PASS_SEND };

struct content {
	struct spool *spool;
	uint64_t id;
	struct spool_body *body;
	struct envelope env;	/* shallow */
	struct content_facts stored, facts;
	enum smtp_body declared;
	bool must;		/* it cannot be sent as it is */
	enum pass pass;
	struct convert *convert;	/* NULL: as it is */
	struct content_scanner scan;
	struct buf piece;
	uint64_t left;
};

/* What to make of it for one who takes these extensions. */
static enum convert_target
choose_target(struct content *c, const size_t *rcpt, size_t n,
    unsigned extensions)
{
	unsigned missing = envelope_needs_for(&c->env, &c->stored, rcpt, n) &
	    ~extensions;

	c->must = (missing & CARRIED) != 0;
	if (!c->must && (c->stored.flags & CONTENT_LONG) == 0)
		return CONVERT_NONE;
	if ((missing & SMTP_EXT_SMTPUTF8) != 0)
		return CONVERT_NONE;	/* nothing helps: RFC 6531 3.2 */
	return (extensions & SMTP_EXT_8BITMIME) != 0 ? CONVERT_8BIT :
	    CONVERT_7BIT;
}

/* Ready to be read, from its beginning. */
static void
begin_sending(struct content *c)
{
	c->pass = PASS_SEND;
	c->left = c->facts.octets;
}

static void
send_as_it_is(struct content *c)
{
	convert_free(c->convert);
	c->convert = NULL;
	c->facts = c->stored;
	c->env.body = c->declared;
	begin_sending(c);
}

int
content_open(struct spool *sp, const struct message *m, const size_t *rcpt,
    size_t n, unsigned extensions, bool convert, struct content **c_out,
    struct err *e)
{
	struct content *c = mem_alloc(1, sizeof(*c));
	enum convert_target target;
	int rc;

	c->spool = sp;
	c->id = m->id;
	c->env = m->env;
	c->declared = m->env.body;
	c->stored = m->facts;
	buf_init(&c->piece);
	target = convert ? choose_target(c, rcpt, n, extensions) :
	    CONVERT_NONE;
	if (target != CONVERT_NONE)
		c->convert = convert_new(target);
	else
		send_as_it_is(c);
	rc = spool_body_open(sp, c->id, &c->body, e);
	if (rc < 0) {
		content_close(c);
		return rc;
	}
	*c_out = c;
	return 0;
}

void
content_close(struct content *c)
{
	if (c == NULL)
		return;
	spool_body_close(c->body);
	convert_free(c->convert);
	buf_release(&c->piece);
	free(c);
}

static int
rewind_body(struct content *c, struct err *e)
{
	spool_body_close(c->body);
	c->body = NULL;
	return spool_body_open(c->spool, c->id, &c->body, e);
}

/* All was looked at. */
static int
decide(struct content *c, struct smtp_refusal *r, struct err *e)
{
	int rc = convert_decide(c->convert, r);

	if (rc < 0 && c->must)
		return err_set(e, rc, "%d %s %s", r->code, r->status,
		    r->text);
	if (rewind_body(c, e) < 0)
		return e->code;
	c->pass = PASS_MEASURE;
	content_scanner_init(&c->scan);
	if (rc < 0)
		send_as_it_is(c);
	return c->convert != NULL;
}

static int
measured(struct content *c, struct err *e)
{
	content_scanner_end(&c->scan);
	c->facts = c->scan.facts;
	c->env.body = SMTP_BODY_NONE;
	convert_again(c->convert);
	if (rewind_body(c, e) < 0)
		return e->code;
	begin_sending(c);
	return 0;
}

static int
read_piece(struct content *c, struct err *e)
{
	buf_clear(&c->piece);
	return spool_body_read(c->body, &c->piece, e);
}

int
content_prepare(struct content *c, struct smtp_refusal *r, struct err *e)
{
	struct buf made = BUF_INIT;
	int rc;

	if (c->pass == PASS_SEND)
		return 0;
	rc = read_piece(c, e);
	if (rc < 0)
		return rc;
	if (c->pass == PASS_LOOK) {
		convert_look(c->convert, c->piece.ptr, c->piece.len);
		return rc == 0 ? decide(c, r, e) : 1;
	}
	convert_add(c->convert, c->piece.ptr, c->piece.len, &made);
	if (rc == 0)
		convert_end(c->convert, &made);
	content_scanner_add(&c->scan, made.ptr, made.len);
	buf_release(&made);
	return rc == 0 ? measured(c, e) : 1;
}

const struct envelope *
content_envelope(const struct content *c)
{
	return &c->env;
}

const struct content_facts *
content_facts(const struct content *c)
{
	return &c->facts;
}

int
content_read(struct content *c, struct buf *out, struct err *e)
{
	size_t before = out->len, made;
	int rc;

	if (c->convert == NULL) {
		rc = spool_body_read(c->body, out, e);
	} else {
		rc = read_piece(c, e);
		convert_add(c->convert, c->piece.ptr, c->piece.len, out);
		if (rc == 0)
			convert_end(c->convert, out);
	}
	if (rc < 0)
		return rc;
	made = out->len - before;
	if (made > c->left || (rc == 0 && made < c->left))
		return err_set(e, ERR_CORRUPT, "the content has not the "
		    "length it should have");
	c->left -= made;
	return rc;
}
