/* SPDX-License-Identifier: ISC */
#ifndef NODE_CONTENT_H
#define NODE_CONTENT_H
/*
 * The content of a stored message on its way out, converted where the road
 * cannot carry it as it is and `convert` is configured.
 *
 *	content_open(spool, m, rcpt, n, extensions, convert, &c)
 *	content_prepare until it returns 0	one piece a call
 *	env and facts of the content are now those to send with
 *	content_read until it returns 0
 */
#include "bundle/convert.h"
#include "spool/spool.h"

struct content;

/* For recipients rcpt[0..n-1] of m, to one who takes these extensions.  m must
 * stay.  ERR_NOT_FOUND, ERR_CORRUPT, ERR_IO: as spool_body_open. */
int content_open(struct spool *sp, const struct message *m,
    const size_t *rcpt, size_t n, unsigned extensions, bool convert,
    struct content **c_out, struct err *e) MUST_CHECK;
void content_close(struct content *c);
/* 1: there is more to prepare; 0: ready, at once where nothing is converted;
 * ERR_UNSUPPORTED with the refusal; ERR_CORRUPT, ERR_IO. */
int content_prepare(struct content *c, struct smtp_refusal *r, struct err *e)
    MUST_CHECK;
/* They live as long as c; the strings of the envelope are the message's. */
const struct envelope *content_envelope(const struct content *c);
const struct content_facts *content_facts(const struct content *c);
/* Appends a piece to out: 1; the last one: 0; ERR_CORRUPT, where it has not
 * the length that it should have too; ERR_IO. */
int content_read(struct content *c, struct buf *out, struct err *e)
    MUST_CHECK;

#endif
