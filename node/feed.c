/* SPDX-License-Identifier: ISC */
/*
 * From parts (messages and some of their recipients) to the calls of a
 * bundle_writer.  What is converted on the way is content.h's affair.
 */
#include "node/feed.h"

#include <string.h>

#include "spool/custody.h"

void
feed_init(struct feed *f, struct spool *spool, struct bundle_writer *writer,
    const struct object_part *part, size_t nparts, uint64_t cut_secs)
{
	memset(f, 0, sizeof(*f));
	f->spool = spool;
	f->writer = writer;
	f->part = part;
	f->nparts = nparts;
	f->cut_secs = cut_secs;
	message_init(&f->m);
}

void
feed_convert(struct feed *f, unsigned extensions)
{
	f->convert = true;
	f->extensions = extensions;
}

void
feed_release(struct feed *f)
{
	content_close(f->content);
	f->content = NULL;
	message_release(&f->m);
	buf_release(&f->text);
}

uint64_t
feed_message(const struct feed *f)
{
	return f->at < f->nparts ? f->part[f->at].message : 0;
}

const struct smtp_refusal *
feed_refusal(const struct feed *f)
{
	return &f->refusal;
}

/* The name of the message for all sites and all time, where the dialect has
 * one: a bag names the present epoch. */
static void
name_origin(struct feed *f)
{
	struct smtp_origin *o = &f->m.env.origin;

	spool_message_origin(f->spool, &f->m, &o->epoch, &o->number);
	if (o->epoch == spool_epoch(f->spool))
		o->epoch = 0;
}

/* Opens the content for the next recipients of the part at hand. */
static int
begin(struct feed *f, struct err *e)
{
	const struct object_part *part = &f->part[f->at];
	int rc = 0;

	if (f->rcpt == 0) {
		message_release(&f->m);
		message_init(&f->m);
		rc = spool_get_message(f->spool, part->message, &f->m, e);
		name_origin(f);
		/* Counted to when it was cut: made again it is the same. */
		smtp_timing_pass(&f->m.env.timing,
		    f->cut_secs > f->m.accepted_secs ?
		    f->cut_secs - f->m.accepted_secs : 0);
	}
	f->nchosen = 0;
	while (rc == 0 && f->nchosen < BUNDLE_RECIPIENTS_MAX &&
	    f->rcpt < part->nrcpt)
		f->chosen[f->nchosen++] = part->rcpt[f->rcpt++];
	if (rc == 0)
		rc = content_open(f->spool, &f->m, f->chosen, f->nchosen,
		    f->extensions, f->convert, &f->content, e);
	f->preparing = rc == 0;
	if (rc != 0)
		return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
	return 1;
}

/* A piece of getting it ready; then its transaction begins. */
static int
prepare(struct feed *f, struct err *e)
{
	int rc = content_prepare(f->content, &f->refusal, e);

	if (rc != 0)
		return rc;
	f->preparing = false;
	rc = bundle_writer_begin(f->writer, content_envelope(f->content),
	    content_facts(f->content), f->m.hops, f->chosen, f->nchosen, e);
	if (rc == ERR_UNSUPPORTED)
		f->refusal = *bundle_writer_refusal(f->writer);
	return rc == 0 ? 1 : rc;
}

/* The message at hand has all its content. */
static int
end(struct feed *f, struct err *e)
{
	int rc = bundle_writer_end_message(f->writer, e);

	content_close(f->content);	/* its envelope was in use */
	f->content = NULL;
	if (rc != 0)
		return rc;
	if (f->rcpt == f->part[f->at].nrcpt) {
		f->at++;
		f->rcpt = 0;
	}
	return 1;
}

int
feed_step(struct feed *f, struct err *e)
{
	bool more;
	int rc;

	if (f->content == NULL && f->at == f->nparts)
		return 0;
	if (f->content == NULL)
		return begin(f, e);
	if (f->preparing)
		return prepare(f, e);
	buf_clear(&f->text);
	rc = content_read(f->content, &f->text, e);
	if (rc < 0)
		return rc;
	more = rc == 1;
	rc = bundle_writer_content(f->writer, f->text.ptr, f->text.len, e);
	if (rc != 0)
		return rc;
	return more ? 1 : end(f, e);
}
