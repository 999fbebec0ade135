/* SPDX-License-Identifier: ISC */
/*
 * From parts (messages and some of their recipients) to the calls of a
 * bundle_writer.
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
feed_release(struct feed *f)
{
	spool_body_close(f->body);
	f->body = NULL;
	message_release(&f->m);
	buf_release(&f->text);
}

uint64_t
feed_message(const struct feed *f)
{
	return f->at < f->nparts ? f->part[f->at].message : 0;
}

/* The name of the message for all sites and all time, where the dialect has
 * one: a bag names the present epoch. */
static void
name_origin(struct feed *f)
{
	uint64_t epoch = spool_epoch_of(f->spool, f->m.id);

	f->m.env.origin.number = f->m.id;
	f->m.env.origin.epoch = epoch != spool_epoch(f->spool) ? epoch : 0;
}

/* Begins the transaction for the next recipients of the part at hand. */
static int
begin(struct feed *f, struct err *e)
{
	const struct object_part *part = &f->part[f->at];
	size_t n = 0;
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
	if (rc == 0)
		rc = spool_body_open(f->spool, part->message, &f->body, e);
	if (rc != 0)
		return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
	while (n < BUNDLE_RECIPIENTS_MAX && f->rcpt < part->nrcpt)
		f->chosen[n++] = part->rcpt[f->rcpt++];
	rc = bundle_writer_begin(f->writer, &f->m.env, &f->m.facts,
	    f->m.hops, f->chosen, n, e);
	return rc == 0 ? 1 : rc;
}

int
feed_step(struct feed *f, struct err *e)
{
	int rc;

	if (f->body == NULL && f->at == f->nparts)
		return 0;
	if (f->body == NULL)
		return begin(f, e);
	buf_clear(&f->text);
	rc = spool_body_read(f->body, &f->text, e);
	if (rc == 1) {
		rc = bundle_writer_content(f->writer, f->text.ptr,
		    f->text.len, e);
		return rc == 0 ? 1 : rc;
	}
	if (rc != 0)
		return rc;
	spool_body_close(f->body);
	f->body = NULL;
	rc = bundle_writer_end_message(f->writer, e);
	if (rc != 0)
		return rc;
	if (f->rcpt == f->part[f->at].nrcpt) {
		f->at++;
		f->rcpt = 0;
	}
	return 1;
}
