/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_LINK_H
#define TRANSPORTS_LINK_H
/*
 * The link protocol, postrider-link(7): files both ways at once over any
 * stream of characters.  It does no I/O:
 *
 *	link_new; then for ever: link_feed what the line brought; link_tick;
 *	link_pull until it gives nothing, and put that on the line; wait until
 *	the line brings something, or can take more, or the time that
 *	link_tick named; link_free once the state is LINK_CLOSED or
 *	LINK_FAILED
 *
 *	            handshake              both idle, or link_end
 *	LINK_HELLO ----------> LINK_OPEN ----------------------> LINK_CLOSED
 *	   |  ^                    |
 *	   |  |  silence, or a damaged record, or the peer starts anew
 *	   |  +--------------------+
 *	   |
 *	   +--> LINK_FAILED	nobody answered for patience_ms
 *
 * Whatever goes wrong ends in a fresh start, and files go on from where they
 * were.  Files themselves are behind the functions of struct link_host.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "transports/link_coding.h"

#define LINK_SECRET_LEN 32
#define LINK_FILES_MAX 64	/* at once, each way */
#define LINK_NAME_MAX 255
#define LINK_PARTIALS_MAX 64
#define LINK_WINDOW_MAX (4U << 20)
#define LINK_NEVER INT64_MAX

/* What the line needs; the two ends agree on all that either asks for. */
#define LINK_7BIT CODING_7BIT
#define LINK_XON CODING_XON
#define LINK_HALF 4U	/* only one end can send at a time */
#define LINK_PLAIN 8U	/* the law forbids encryption */
#define LINK_NEEDS (LINK_7BIT | LINK_XON | LINK_HALF | LINK_PLAIN)

enum link_state {
	LINK_HELLO, LINK_OPEN, LINK_CLOSED, LINK_FAILED, LINK_STATES
};

struct link_file {
	uint64_t tag;		/* what the host calls it; not sent */
	const char *name;	/* at most LINK_NAME_MAX octets */
	uint64_t size;
	unsigned char hash[32];	/* SHA-256 of the content */
	uint8_t priority;	/* 0 goes first */
};

/* A file that was received in part, or whole: its id is link_file_id. */
struct link_partial {
	uint64_t id, have;
};

/* have: all of it, whatever its size. */
#define LINK_PARTIAL_WHOLE ((UINT64_C(1) << 40) - 1)

enum link_verdict {
	LINK_TAKE,		/* from *have_out on */
	LINK_HAVE_ALL,		/* it was received before */
	LINK_REFUSE_LATER,	/* no space, for instance */
	LINK_REFUSE_NEVER	/* a name or size that is not taken */
};

/* The files.  slot: which of the files that come at the same time, below
 * LINK_FILES_MAX.  No function may call back into the link. */
struct link_host {
	/* Octets of a file to send: how many were put there (at least 1), or
	 * negative: it cannot be read any more. */
	int (*read)(void *ctx, uint64_t tag, uint64_t offset, void *into,
	    size_t len);
	/* The peer has it, durably; or it refused it; or it could not be
	 * read.  The tag is free. */
	void (*sent)(void *ctx, uint64_t tag);
	void (*failed)(void *ctx, uint64_t tag, bool permanent,
	    struct slice text);
	/* The peer offers a file. */
	enum link_verdict (*open)(void *ctx, unsigned slot,
	    const struct link_file *f, uint64_t *have_out);
	/* The next octets.  0 or negative: refused for now. */
	int (*write)(void *ctx, unsigned slot, const void *octets,
	    size_t len);
	/* All octets are there: compares the hash, makes it durable.  0;
	 * ERR_CORRUPT: the hash differs, and what there was is forgotten;
	 * else refused for now.  Unless ERR_CORRUPT the slot is free. */
	int (*close)(void *ctx, unsigned slot);
	/* The slot is free; what was received is kept, or forgotten. */
	void (*leave)(void *ctx, unsigned slot, bool forget);
	/* Files received in part, and those received whole of which the peer
	 * may not know, to be told before data flows. */
	size_t (*partials)(void *ctx, struct link_partial *out, size_t max);
};

struct link_config {
	bool caller;		/* one end calls, the other answers */
	bool stay;		/* does not end when both ends are idle */
	unsigned needs;		/* LINK_ bits of this end */
	uint32_t rate;		/* octets a second on the line; 0: unknown,
				 * the line says when it is full */
	size_t window;		/* octets; 0: by the rate */
	/* The secret shared with the peer; an answering end may have several
	 * peers and learns by whose secret it is who calls.  Copied. */
	const unsigned char (*secrets)[LINK_SECRET_LEN];
	size_t nsecrets;
	int64_t patience_ms;	/* for the handshake; 0: for ever */
	int64_t silence_ms;	/* of the peer, before a fresh start; 0: 60 s */
	struct rng *rng;
	const struct link_host *host;
	void *ctx;
};

struct link_stats {
	unsigned peer;		/* index of the secret that fitted */
	unsigned needs;		/* agreed */
	uint64_t starts;	/* handshakes done */
	uint64_t sent, received;	/* octets of the stream */
	uint64_t repeated;	/* octets sent again */
	uint64_t damaged;	/* frames received */
	uint64_t arrived, lost;	/* frames sent, of known fate */
	uint64_t pending;	/* octets of files and words that were given
				 * to the stream and not acknowledged */
	int64_t rtt_ms;		/* -1: not known */
	unsigned level;		/* of error correction */
	size_t frame_size;
	size_t memory;		/* octets of buffers held */
};

struct link;

struct link *link_new(const struct link_config *c, int64_t now_ms);
void link_free(struct link *l);

/* Queues a file; the name is copied.  False: LINK_FILES_MAX are queued. */
bool link_offer(struct link *l, const struct link_file *f);
bool link_has_room(const struct link *l);
/* Octets of a queued file that have been sent, for display. */
uint64_t link_progress(const struct link *l, uint64_t tag);
/* Ends the session soon, whatever is queued. */
void link_end(struct link *l);

/* Characters from the line.  Times are of a clock that never jumps. */
void link_feed(struct link *l, const void *chars, size_t len, int64_t now_ms);
/* Does what is due; when it wants to be called again, or LINK_NEVER. */
int64_t link_tick(struct link *l, int64_t now_ms);
/* Characters for the line: how many there are, at most max.  Where the rate
 * is known no more than the line can take by now. */
size_t link_pull(struct link *l, void *chars, size_t max, int64_t now_ms);

/* When all that was pulled has left, if the line keeps its rate: who hangs up
 * waits until then. */
int64_t link_drained_ms(const struct link *l);

enum link_state link_state(const struct link *l);
void link_stats(const struct link *l, struct link_stats *stats_out);
/* Which file it is, across sessions: of size, hash and name. */
uint64_t link_file_id(const struct link_file *f);

#endif
