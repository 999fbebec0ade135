/* SPDX-License-Identifier: ISC */
#ifndef BUNDLE_FRAME_H
#define BUNDLE_FRAME_H
/*
 * What is inside a parcel (postrider-parcel(5), "The frames"): bundles whole
 * or in fragments, hop acknowledgements, cards of sites, padding.  No I/O, no
 * crypto: these are the octets that bundle/seal.h seals and opens.
 *
 * Writing: a head is appended to a buf; behind the head of a WHOLE or FRAGMENT
 * the caller writes exactly `length` octets of the bundle itself.  Padding is
 * zeros, written by the caller too, to the end of the parcel.
 *
 * Reading, of what a seal has verified:
 *
 *	while ((rc = frame_reader_next(r, in, len, &used, &f, &e)) == 1)
 *		look at f; drop `used` octets of input
 *	rc 0: give more; rc < 0: refused, the parcel is to be put aside
 *	at the end of the input: frame_reader_end
 *
 * A WHOLE or FRAGMENT is its head, then any number of OCTETS, then OVER.
 * A parcel with no frame at all is good: it is there to be seen.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "bundle/wire.h"

#define FRAME_BUNDLE_MAX (UINT64_C(1) << 40)	/* octets of one bundle */
/* A fragment is not smaller, unless it ends its bundle. */
#define FRAME_FRAGMENT_MIN 1024
#define FRAME_RANGES_MAX 256	/* of one acknowledgement */
/* No head of a WHOLE or FRAGMENT is longer. */
#define FRAME_HEAD_MAX (1 + BUNDLE_ID_LEN + 1 + SITE_NAME_MAX + 3 + \
	    3 * VARINT_MAX)

enum frame_kind {
	FRAME_WHOLE,	/* direct, destination, priority, lifetime, hops,
			 * total; length is total.  Its id is not written: the
			 * reader hashes the octets */
	FRAME_FRAGMENT,	/* these and name, offset, length */
	FRAME_OCTETS,	/* bytes: the next ones of it (reading only) */
	FRAME_OVER,	/* all of its length has come (reading only) */
	FRAME_ACK,	/* name; ranges, none of them means: all of it */
	FRAME_SITE,	/* bytes: a card, at most CARD_OCTETS_MAX */
};

/* Octets [offset, offset + length) of a bundle. */
struct frame_range {
	uint64_t offset, length;
};

/* One frame.  What the kind does not name is zero after reading and not
 * looked at in writing. */
struct frame {
	enum frame_kind kind;
	bool direct;		/* for the neighbour itself: no destination,
				 * no hops */
	unsigned char name[BUNDLE_ID_LEN];
	char destination[SITE_NAME_MAX + 1];
	int priority;		/* -9 .. 9 */
	uint64_t lifetime_secs;	/* remaining; written rounded up to a step */
	unsigned hops;		/* that are left, 0 .. HOPS_MAX; a reader that
				 * is not the destination sends it on with one
				 * less, and not at all with 0 */
	uint64_t total, offset, length;
	/* Ascending, each of at least one octet, with a gap between any two.
	 * Reading: lives until the next call. */
	const struct frame_range *range;
	size_t nranges;
	struct slice bytes;	/* reading: lives until the next call */
};

/* Appends the frame, for WHOLE and FRAGMENT its head alone.  0; ERR_LIMIT or
 * ERR_SYNTAX for what a reader would refuse: a name that is none, a value out
 * of its limits, a FRAGMENT of under FRAME_FRAGMENT_MIN octets that does not
 * end its bundle, one that is all of it (that is a WHOLE), ranges that are not
 * sorted and apart; then nothing is appended. */
int frame_put(struct buf *out, const struct frame *f, struct err *e)
    MUST_CHECK;

struct frame_reader;
struct frame_reader *frame_reader_new(void);
void frame_reader_free(struct frame_reader *r);
/* 1: a frame (call again with what is behind `used`); 0: all input is used,
 * more is needed; ERR_SYNTAX, ERR_LIMIT, ERR_UNSUPPORTED (a type that we do
 * not know and may not skip): from then on always that.  Frames of unknown
 * types that may be skipped are.  Memory: one head, at most some 16 KiB. */
int frame_reader_next(struct frame_reader *r, const char *in, size_t len,
    size_t *used_out, struct frame *frame_out, struct err *e) MUST_CHECK;
/* The input has ended: 0, or ERR_SYNTAX if that was inside a frame. */
int frame_reader_end(struct frame_reader *r, struct err *e) MUST_CHECK;

#endif
