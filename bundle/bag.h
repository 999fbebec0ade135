/* SPDX-License-Identifier: ISC */
#ifndef BUNDLE_BAG_H
#define BUNDLE_BAG_H
/*
 * What is inside a bundle (postrider-parcel(5), "The bag").  No I/O, no crypto.
 * There are three sorts, told apart by the kind of the seal around them:
 *
 *	BAG_FLOW	of a bundle (sealed, or a direct one): flow epoch,
 *			serial, floor, then voids, results, cards, and last
 *			the batch; a batch is there if the serial is not 0
 *	BAG_ONION	of an onion layer: one ONWARD and nothing else
 *	BAG_REQUEST	of a key request: one card and nothing else
 *
 * Behind all of it may be padding, zeros to the end.
 *
 *	w = bag_writer_new(sort, sink, ctx)
 *	bag_writer_flow			BAG_FLOW only, first
 *	bag_writer_void, _result, _card	in any order
 *	bag_writer_batch or _onward, then bag_writer_octets ...,
 *	    bag_writer_over
 *	bag_writer_pad with what seal_padding says of bag_writer_size
 *	bag_writer_finish
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "bundle/filter.h"
#include "bundle/wire.h"

#define BAG_VOIDS_MAX 1024		/* serials in one item */
#define BAG_RECIPIENTS_MAX (1 << 24)	/* of one serial */
#define BAG_TEXT_MAX 512		/* octets of a refusal's text */
#define BAG_DIGEST_LEN 8		/* first octets of a batch's SHA-256 */
#define BAG_PIECE_MAX 65535		/* octets of a piece of a stretch */

enum bag_sort { BAG_FLOW, BAG_ONION, BAG_REQUEST };

struct bag_flow {
	uint64_t epoch;		/* of the origin's flow to this destination */
	uint64_t serial;	/* 0: the bag carries no batch */
	uint64_t floor;		/* all serials below it are settled */
};

enum bag_verdict {
	BAG_TAKEN,	/* the destination owns its delivery now */
	BAG_REFUSED,	/* for good: status, text */
	BAG_PENDING,	/* not decided: a later result says */
	BAG_VERDICTS
};

/*
 * What became of so many recipients in a row, in the order of the batch (all
 * recipients of its first transaction, then those of the next).  The last run
 * of a result has count 0: these and all that follow.
 */
struct bag_run {
	uint64_t count;
	enum bag_verdict verdict;
	unsigned status[3];	/* REFUSED: RFC 3463, 2, 4 or 5, then 0..999 */
	struct slice text;	/* REFUSED: UTF-8 without control characters,
				 * at most BAG_TEXT_MAX octets, may be empty */
};

/* Names a serial of a flow whose batches came to who writes the result. */
struct bag_result {
	uint64_t epoch, serial;		/* as they were in the batch's bag */
	/* Of the batch that the ledger has under this serial: who gets the
	 * result and sent another one sees a conflict of flows. */
	unsigned char digest[BAG_DIGEST_LEN];
};

struct bag_onward {
	char destination[SITE_NAME_MAX + 1];
	int priority;
	uint64_t lifetime_secs;		/* written rounded up to a step */
};

struct bag_writer;
struct bag_writer *bag_writer_new(enum bag_sort sort, sink_fn *sink,
    void *ctx);
void bag_writer_free(struct bag_writer *w);
/* All of these: 0, what the sink returned, ERR_SYNTAX or ERR_LIMIT for what a
 * reader would refuse (then nothing was written), ERR_STATE out of order. */
int bag_writer_flow(struct bag_writer *w, const struct bag_flow *flow,
    struct err *e) MUST_CHECK;
/* Serials of this flow that will never come: ascending, none 0, at most
 * BAG_VOIDS_MAX; more than one item may be written. */
int bag_writer_void(struct bag_writer *w, const uint64_t *serial, size_t n,
    struct err *e) MUST_CHECK;
/* Runs of which two in a row are never of the same verdict, status and text,
 * the last with count 0 and no other; one run { 0, BAG_TAKEN } says: all
 * taken. */
int bag_writer_result(struct bag_writer *w, const struct bag_result *result,
    const struct bag_run *run, size_t n, struct err *e) MUST_CHECK;
int bag_writer_card(struct bag_writer *w, struct slice card, struct err *e)
    MUST_CHECK;
/* Its octets are those of bundle/squeeze.h. */
int bag_writer_batch(struct bag_writer *w, struct err *e) MUST_CHECK;
int bag_writer_onward(struct bag_writer *w, const struct bag_onward *onward,
    struct err *e) MUST_CHECK;
/* Octets of the batch or of the bundle to send on; they are held until a
 * piece is full or they are over. */
int bag_writer_octets(struct bag_writer *w, const char *bytes, size_t len,
    struct err *e) MUST_CHECK;
int bag_writer_over(struct bag_writer *w, struct err *e) MUST_CHECK;
/* Octets given to the sink so far. */
uint64_t bag_writer_size(const struct bag_writer *w);
int bag_writer_pad(struct bag_writer *w, uint64_t octets, struct err *e)
    MUST_CHECK;
/* ERR_STATE if something is missing: the batch of a serial, the card of a
 * request, the end of a stretch.  Does not finish the sink. */
int bag_writer_finish(struct bag_writer *w, struct err *e) MUST_CHECK;

enum bag_event_kind {
	BAG_EVENT_FLOW,		/* flow; first in a BAG_FLOW */
	BAG_EVENT_VOID,		/* serials: of this flow, ascending */
	BAG_EVENT_RESULT,	/* result; then RUNs, at least one */
	BAG_EVENT_RUN,		/* run; first: number of its first recipient,
				 * from 0; the last has run.count 0 */
	BAG_EVENT_CARD,		/* bytes: the sender's card */
	BAG_EVENT_ONWARD,	/* onward; then OCTETS ..., OVER */
	BAG_EVENT_BATCH,	/* OCTETS ... (of bundle/squeeze.h), OVER */
	BAG_EVENT_OCTETS,	/* bytes, at least one octet */
	BAG_EVENT_OVER,		/* that was all of it */
};

struct bag_event {
	enum bag_event_kind kind;
	struct bag_flow flow;
	const uint64_t *serial;
	size_t nserials;
	struct bag_result result;
	struct bag_run run;
	uint64_t first;
	struct bag_onward onward;
	struct slice bytes;
};

struct bag_reader;
struct bag_reader *bag_reader_new(enum bag_sort sort);
void bag_reader_free(struct bag_reader *r);
/* 1: an event (call again with what is behind `used`); 0: all input is used,
 * more is needed; ERR_SYNTAX, ERR_LIMIT, ERR_UNSUPPORTED (an item that we
 * do not know and may not skip): from then on always that.  Pointers in
 * the event live until the next call.  Memory: one item, at most some 16 KiB;
 * stretches and runs are never held. */
int bag_reader_next(struct bag_reader *r, const char *in, size_t len,
    size_t *used_out, struct bag_event *ev, struct err *e) MUST_CHECK;
/* The input has ended: 0; ERR_SYNTAX inside an item, or if the batch of a
 * serial, the ONWARD of an onion or the card of a request is missing. */
int bag_reader_end(struct bag_reader *r, struct err *e) MUST_CHECK;

#endif
