/* SPDX-License-Identifier: ISC */
#ifndef SMTP_ORIGIN_H
#define SMTP_ORIGIN_H
/*
 * Where a message comes from and how far: the parameters of MAIL that a
 * native batch adds, XID and XHOP.  A plain value; all zero is what a message
 * of any other batch has.
 */
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define SMTP_HOPS_MAX 1000000

struct smtp_origin {
	uint64_t number;	/* in the spool of its origin; 0: none given */
	uint64_t epoch;		/* of the spool that gave the number; 0: the one
				 * that the bag names */
	unsigned hops;		/* nodes it has passed */
};

/* Values of parameters, into o.  ERR_SYNTAX, also for 0, which is not
 * written. */
int smtp_origin_number(struct smtp_origin *o, struct slice value) MUST_CHECK;
int smtp_origin_hops(struct smtp_origin *o, struct slice value) MUST_CHECK;
/* Appends " XID=4k2 XHOP=3", without what is 0; with an epoch
 * " XID=4k2.7ab1c". */
void smtp_origin_write(struct buf *out, const struct smtp_origin *o);

#endif
