/* SPDX-License-Identifier: ISC */
#ifndef NODE_PARCEL_IN_H
#define NODE_PARCEL_IN_H
/*
 * A parcel being read, shared by its opening and its frames.
 */
#include "bundle/bag.h"
#include "bundle/frame.h"
#include "bundle/seal.h"
#include "node/transit_private.h"

enum parcel_in_mode {
	TAKE_NOTHING,		/* its octets are passed over */
	TAKE_NAME,		/* only to say that it is done with */
	TAKE_WHOLE,
	TAKE_FRAGMENT,
};

struct parcel_in {
	struct inbound base;
	struct neighbour *nb;
	struct open_with given;
	struct opener *opener;
	bool second;			/* pass: it is genuine */
	bool rewound;
	struct buf plain;
	struct frame_reader *frames;
	struct bag_reader *bag;		/* of a request */
	struct hoard hoard;
	uint64_t bundles, fragments, acks;
	/* The WHOLE or FRAGMENT at hand. */
	enum parcel_in_mode mode;
	struct frame head;
	struct hoarded *one;		/* NULL: to be found again */
	struct sha256 hash;
	uint64_t at;			/* octets of the frame that came */
	struct buf piece;		/* not in the hoard yet */
	uint64_t piece_at;
	/* How it ended. */
	bool failed, aside, replayed;
	char *later;
};

/* One frame; ERR_IO, ERR_FULL and the like from the spool's reads. */
int parcel_take_frame(struct parcel_in *in, const struct frame *f,
    struct err *e) MUST_CHECK;

#endif
