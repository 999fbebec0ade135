/* SPDX-License-Identifier: ISC */
#ifndef NODE_TRANSIT_H
#define NODE_TRANSIT_H
/*
 * The hop layer of the native dialect: bundles, which are octets to it, are
 * stored for neighbours, cut into parcels, repeated until the neighbour
 * acknowledges them, and put together again at the other side.  It knows
 * nothing of flows and mail: that is custody's, above it, which is told of
 * what arrives by the functions of struct transit_hooks.
 *
 * A bundle made here:
 *
 *	transit_begin(x, &new, &d)
 *	transit_add(d, bytes, len) ...		no unit may be open
 *	spool_begin
 *	transit_end(d, u, &id, name)		its record, with the caller's
 *	spool_commit
 *	transit_ended(d, committed)
 *
 * A bundle that arrived for us:
 *
 *	hooks->arrived(ctx, b)			note it; work on a later turn
 *	transit_read(x, b->id, offset, &buf) ...
 *	spool_begin
 *	transit_consume(x, u, b->id)
 *	spool_commit
 *	transit_consumed(x, b->id)
 *
 * What becomes of one on its way:
 *
 *	        begin..end          routed          in a parcel, sent
 *	(nothing) ------> no road <--------> queued ------------> handed over
 *	                               ^                            |  |
 *	                               +--- no hop ack in time -----+  |
 *	   lost <--- expired, withdrawn (from anywhere)     hop ack ---+--> done
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "spool/spool.h"

struct bundle;			/* spool/custody.h */
struct exchange;
struct lane;
struct open_with;		/* bundle/seal.h */
struct seal_to;			/* bundle/seal.h */
struct target;			/* node/exchange_private.h */

#define TRANSIT_NAME_LEN 16	/* of SHA-256 of the bundle's octets */

/*
 * What custody (and the directory of sites) gives.  They are called between
 * units, after the commit that made true what they say.  None but `fill` and
 * `card` may begin a unit, and none takes a bundle back: that is for a later
 * turn.
 */
struct transit_hooks {
	/* A bundle for us is whole and durable.  After a start it is said
	 * again (transit_announce) of each that was not consumed.  b lives
	 * for the call. */
	void (*arrived)(void *ctx, const struct bundle *b);
	/* The neighbour has all of the bundle of this local number (as
	 * transit_end gave it), which carried this serial of our own (0: it
	 * had none); its record is gone. */
	void (*hop_done)(void *ctx, uint64_t id, uint64_t epoch,
	    uint64_t serial, const unsigned char name[TRANSIT_NAME_LEN]);
	/* It is gone undelivered, for the reason given; never said of one that
	 * custody withdrew. */
	void (*lost)(void *ctx, uint64_t id, uint64_t epoch, uint64_t serial,
	    const unsigned char name[TRANSIT_NAME_LEN],
	    const char *reason);
	/* A site record from this neighbour (its own or passed on), not
	 * checked yet.  request: it was in a request for our keys, and our
	 * own card goes back in the next parcel. */
	void (*card)(void *ctx, const char *peer, struct slice card,
	    bool request);
	/* Appends our own card and returns its counter; 0: there is none. */
	uint64_t (*our_card)(void *ctx, struct buf *out);
	/* Is the neighbour to have its own card back, now? */
	bool (*back_is_due)(void *ctx, const char *peer);
	/* Appends that card and returns its counter; 0: it is not to have it,
	 * now or later. */
	uint64_t (*card_back)(void *ctx, const char *peer, struct buf *out);
	/* It is in a parcel. */
	void (*gave_back)(void *ctx, const char *peer);
	/* The road to this neighbour takes something now (schedule, limits):
	 * mail that waits for it, and would go by this lane, may become
	 * bundles, at once or on later turns.  Said again and again while it
	 * is so. */
	void (*fill)(void *ctx, const char *peer, struct lane *lane);
	/* Does mail wait for this neighbour that is in no bundle yet, and
	 * would go by this lane? */
	bool (*waits)(void *ctx, const char *peer, const struct lane *lane);
	/* Are bundles for it being made right now?  A call waits for them. */
	bool (*making)(void *ctx, const char *peer);
	/* How a parcel (SEAL_PARCEL), or a request for keys, for this
	 * neighbour is sealed: all but kind, destination and rng.  What
	 * *to_out points to lives until the next return to the event loop.
	 * ERR_NOT_FOUND: no live receiving key is known; ERR_DENIED: nor an
	 * auth key. */
	int (*seal_to)(void *ctx, const char *peer, bool request,
	    struct seal_to *to_out, struct err *e);
	/* With what a file of this neighbour is opened: all but kinds, seen;
	 * its sender and signer take this neighbour alone.  ERR_NOT_FOUND: we
	 * have no keys. */
	int (*open_with)(void *ctx, const char *peer,
	    struct open_with *with_out, struct err *e);
	/* When (spool_elapsed_secs) the receiving key with this number, ours,
	 * is destroyed: until then what was sealed to it is remembered. */
	uint64_t (*key_end_secs)(void *ctx, uint64_t key_id);
};

/* For the exchange: made and freed with it. */
void transit_new(struct exchange *x);
void transit_free(struct exchange *x);
/* Roads are chosen anew where that is due; before objects are cut. */
void transit_pump(struct exchange *x);
/* Before transit_load; both live as long as x. */
void transit_set_hooks(struct exchange *x, const struct transit_hooks *hooks,
    void *ctx);
/* Everything from the spool; then, once custody has loaded too, announces
 * what arrived before. */
int transit_load(struct exchange *x, struct err *e) MUST_CHECK;
void transit_announce(struct exchange *x);

/*
 * Bundles made here.
 */
struct transit_new {
	const char *destination;	/* site; a neighbour if direct */
	bool direct;
	int priority;			/* -9 .. 9, higher first */
	uint64_t lifetime_secs;		/* from now */
	unsigned hops;			/* 0: random, 16 .. 31; else those left
					 * (an onion's layer is the same
					 * journey) */
	uint64_t epoch, serial;		/* of our flow, or 0 */
};

struct transit_draft;

/* n is copied.  ERR_FULL: the spool has no room. */
int transit_begin(struct exchange *x, const struct transit_new *n,
    struct transit_draft **out, struct err *e) MUST_CHECK;
/* Writes what is beyond a piece (64 KiB) in transactions of its own. */
int transit_add(struct transit_draft *d, const void *bytes, size_t len,
    struct err *e) MUST_CHECK;
uint64_t transit_draft_octets(const struct transit_draft *d);
/* The record and the last piece, in the caller's unit (at most 70 KiB).
 * id_out: local number; name_out: the bundle id. */
int transit_end(struct transit_draft *d, struct spool_unit *u,
    uint64_t *id_out, unsigned char name_out[TRANSIT_NAME_LEN], struct err *e)
    MUST_CHECK;
/* After the commit of that unit, or its failure: frees d. */
void transit_ended(struct transit_draft *d, bool committed);
/* At any time before transit_end: frees d. */
void transit_abort(struct transit_draft *d);

/* Takes a bundle back; what of it is in a parcel already may still go.
 * It is no error if there is none. */
int transit_withdraw(struct exchange *x, struct spool_unit *u, uint64_t id,
    struct err *e) MUST_CHECK;
void transit_withdrawn(struct exchange *x, uint64_t id);	/* committed */

/*
 * Bundles that arrived.
 */
/* Appends octets from offset on, at most 64 KiB: 1; 0 at the end of it;
 * ERR_CORRUPT, ERR_NOT_FOUND. */
int transit_read(struct exchange *x, uint64_t id, uint64_t offset,
    struct buf *out, struct err *e) MUST_CHECK;
/* The record goes, its name is remembered: repetitions are acknowledged and
 * dropped. */
int transit_consume(struct exchange *x, struct spool_unit *u, uint64_t id,
    struct err *e) MUST_CHECK;
void transit_consumed(struct exchange *x, uint64_t id);	/* committed */

/*
 * Roads.
 */
/* The neighbour that a bundle for this site would go to now; NULL: none.
 * Lives until the configuration changes. */
const char *transit_next_peer(struct exchange *x, const char *site);
/* Has a road to this peer that takes such octets been tried since then, or can
 * none be?  Without a card of it nothing is sealed for it; without a live key
 * it is asked for one by whichever road there is, and that is the try.  What is
 * too old then has had its opportunity. */
bool transit_was_tried(struct exchange *x, const struct target *t,
    int priority, uint64_t octets, uint64_t since_secs);
/* Peers went up or down, or the configuration changed. */
void transit_reroute(struct exchange *x);
/* Retries, expiry, hashing of what has arrived, a bounded step of each; 1
 * while there is more to do at once.  ERR_IO: the store failed. */
int transit_tick(struct exchange *x, struct err *e) MUST_CHECK;
/* Monotonic: when transit_tick is needed next; INT64_MAX: not at all. */
int64_t transit_deadline_ms(struct exchange *x);

/*
 * For people: one for each bundle under way or being put together.
 */
struct transit_status {
	uint64_t id;
	const unsigned char *name;	/* TRANSIT_NAME_LEN */
	const char *destination;
	const char *peer;		/* queued for, or coming from; NULL:
					 * no road */
	const char *from;		/* neighbour it came from; NULL: us */
	bool arriving, arrived;		/* else leaving */
	int priority;
	uint64_t octets, sent_octets, acked_octets;	/* arriving: held */
	uint64_t age_secs, left_secs;
	uint64_t silent_secs;		/* leaving: since the neighbour was
					 * handed what is not acknowledged */
	unsigned repeats;		/* so often before, in this run */
	uint64_t epoch, serial;
};
/* In the order of their numbers: *id_io 0 at first; false at the end.  What it
 * points to lives until anything changes. */
bool transit_next_status(struct exchange *x, uint64_t *id_io,
    struct transit_status *st_out);
/* The neighbour to whom a bundle for the site would go if he were sent anything
 * sealed for others (forward-signed); NULL: there is none, or another is. */
const char *transit_signed_peer(struct exchange *x, const char *site);
/* Bundles that wait for a neighbour to have them, and their octets. */
void transit_waiting(const struct exchange *x, const char *peer,
    uint64_t *count_out, uint64_t *octets_out);
/* Is there a bundle of this number? */
bool transit_has(const struct exchange *x, uint64_t id);
/* The neighbour that acknowledged a bundle of our own with a serial; NULL: not
 * known, none yet, or it was before the last start. */
const char *transit_last_peer(const struct exchange *x,
    const unsigned char name[TRANSIT_NAME_LEN]);

/* This site has another identity now, or has lost its keys: what a neighbour
 * was handed and has not acknowledged was sealed for the one before, and goes
 * again. */
void transit_site_replaced(struct exchange *x, const char *site);

struct transit_counters {
	uint64_t parcels_out, parcels_in;
	uint64_t octets_out, padding_out;	/* of parcels made */
	uint64_t repeated_octets;	/* of bundles, handed over again */
	uint64_t forged;		/* files that could not be opened */
	uint64_t replayed;
	uint64_t forwarded;		/* bundles for others, taken */
	uint64_t dropped;		/* expired, refused, unsound */
	uint64_t dead;			/* of these: no hops left */
	uint64_t hop_done;
};
void transit_counters(const struct exchange *x,
    struct transit_counters *out);

#endif
