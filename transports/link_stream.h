/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_LINK_STREAM_H
#define TRANSPORTS_LINK_STREAM_H
/*
 * A reliable stream of octets each way, by selective repeat.  Offsets count
 * octets, not frames, so that what was lost can be sent again in frames of
 * another size.
 *
 * The line keeps its order: what was sent before something that has arrived,
 * and has not arrived itself, is lost.  No timer is needed for that, only for
 * the last frames before silence.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "transports/link_frame.h"

#define STREAM_SEGMENTS_MAX 4096	/* in flight */
#define STREAM_HOLES_MAX 512		/* ranges received out of order */

/* Octets sent and not yet acknowledged. */
struct stream_segment {
	uint64_t start, end;
	uint64_t turn;		/* which frame carried it last */
	int64_t gone_us;	/* when that had left for the line */
	size_t wire_len;
	unsigned level;
	bool lost;		/* to be sent again */
	bool spare;		/* but only when there is nothing else */
	bool echo;		/* and was: which of the two arrives? */
	bool again;		/* was sent more than once */
};

/* What became of a frame, for who tunes their size. */
struct stream_fate {
	bool arrived;
	size_t wire_len;
	unsigned level;
};

struct stream_sender {
	struct buf held;	/* from `una` on */
	uint64_t una, next;	/* first not acknowledged; first never sent */
	size_t window;
	struct stream_segment *segments;	/* by start */
	size_t nsegments;
	uint64_t turn;		/* of the next frame */
	uint64_t arrived_turn;	/* latest known to have arrived, plus 1 */
	uint64_t repeated;	/* octets sent again */
	void (*fate)(void *ctx, const struct stream_fate *f);
	void *ctx;
	int64_t rtt_us;		/* of the last acknowledgement; -1: none */
};

void stream_sender_init(struct stream_sender *s, size_t window,
    void (*fate)(void *, const struct stream_fate *), void *ctx);
void stream_sender_release(struct stream_sender *s);
/* Octets given and never sent so far. */
size_t stream_unsent(const struct stream_sender *s);
/* Octets that may be given now. */
size_t stream_room(const struct stream_sender *s);
void stream_give(struct stream_sender *s, const void *octets, size_t len);
/* Whether there is something that may be sent, again or for the first time. */
bool stream_ready(const struct stream_sender *s);
/* What to send next, at most max octets: its offset and a slice that lives
 * until the next call.  An empty one: nothing.  stream_gone says that it
 * was put on the line and when it will have left. */
struct slice stream_next(struct stream_sender *s, size_t max,
    uint64_t *seq_out);
void stream_gone(struct stream_sender *s, uint64_t seq, size_t len,
    size_t wire_len, unsigned level, int64_t gone_us);
/* An acknowledgement.  False: it acknowledges what was never sent, and is
 * not from this session.  *news_out: whether it said anything new. */
bool stream_acked(struct stream_sender *s, const struct frame *f,
    int64_t now_us, bool *news_out);
/* When the frame that was sent first among those in flight had left, or -1 if
 * nothing is in flight. */
int64_t stream_gone_us(const struct stream_sender *s);
/* The timer ran out: the first octets in flight are to be sent again.
 * blame: they count as lost for who tunes the size of frames. */
void stream_probe(struct stream_sender *s, bool blame);

/* What is in flight and was sent once is sent again, unasked, as long as
 * there is nothing better to send. */
void stream_echo(struct stream_sender *s);
/* Whether what stream_next would give now is of that kind. */
bool stream_is_spare(const struct stream_sender *s);
/* Nothing in flight can arrive any more. */
void stream_all_lost(struct stream_sender *s);

struct stream_receiver {
	char *ring;
	size_t window;
	uint64_t next;		/* all before it was given on */
	struct frame_range holes[STREAM_HOLES_MAX];	/* received beyond */
	size_t nholes;
	uint64_t doubled;	/* octets that came more than once */
};

void stream_receiver_init(struct stream_receiver *r, size_t window);
void stream_receiver_release(struct stream_receiver *r);
/* Takes a payload.  False: nothing of it was new or in the window. */
bool stream_take(struct stream_receiver *r, uint64_t seq, struct slice octets);
/* What has become complete, to be given on and passed over. */
struct slice stream_complete(const struct stream_receiver *r);
void stream_pass(struct stream_receiver *r, size_t len);
/* Sets the acknowledgement of the frame, at most max ranges. */
void stream_acknowledge(const struct stream_receiver *r, size_t max,
    struct frame *f);

#endif
