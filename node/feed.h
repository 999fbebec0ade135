/* SPDX-License-Identifier: ISC */
#ifndef NODE_FEED_H
#define NODE_FEED_H
/*
 * Messages of the spool, in order, as transactions of a batch: what objects of
 * every dialect are made of.  A message with more recipients than one
 * transaction takes (RFC 5321 4.5.3.1.8) becomes several.
 *
 *	feed_init(&f, ...); feed_convert, where content may be
 *	while ((rc = feed_step(&f, e)) == 1) ...
 *	bundle_writer_finish is the caller's
 */
#include "bundle/writer.h"
#include "node/content.h"

struct feed {
	struct spool *spool;
	struct bundle_writer *writer;
	const struct object_part *part;
	size_t nparts;
	uint64_t cut_secs;	/* when time passed is counted to */
	size_t at;		/* part at hand */
	size_t rcpt;		/* of it, written so far */
	size_t chosen[BUNDLE_RECIPIENTS_MAX], nchosen;
	struct message m;
	bool convert;
	unsigned extensions;	/* beyond them it is converted */
	struct content *content;
	bool preparing;		/* it */
	struct smtp_refusal refusal;	/* of the message at hand */
	struct buf text;
};

/* part and writer live as long as f, and stay the caller's. */
void feed_init(struct feed *f, struct spool *spool,
    struct bundle_writer *writer, const struct object_part *part,
    size_t nparts, uint64_t cut_secs);
/* Content that these extensions do not carry is converted from now on; without
 * this nothing is. */
void feed_convert(struct feed *f, unsigned extensions);
void feed_release(struct feed *f);
/* Reads the next 64 KiB or so, of which the writer gets what is for it: 1
 * while there is more, 0 when all is given; ERR_CORRUPT, ERR_UNSUPPORTED: the
 * message feed_message cannot be written; others as the spool and the writer
 * have them. */
int feed_step(struct feed *f, struct err *e) MUST_CHECK;
/* Why the last ERR_UNSUPPORTED was. */
const struct smtp_refusal *feed_refusal(const struct feed *f);
/* The message at hand. */
uint64_t feed_message(const struct feed *f);

#endif
