/* SPDX-License-Identifier: ISC */
#ifndef NODE_CUSTODY_PRIVATE_H
#define NODE_CUSTODY_PRIVATE_H
/*
 * What the files of custody share.
 *
 *	custody.c		life, the order of work, time
 *	custody_lot.c		flows and lots
 *	custody_load.c		at start
 *	custody_cut.c		mail for a site becomes lots
 *	custody_seal.c		lots and answers become bundles
 *	custody_keys.c		which sites can be sealed for
 *	custody_ride.c		results that are in bundles under way
 *	custody_open.c		bundles that arrived are opened
 *	custody_unpack.c	their messages are taken or refused
 *	custody_result.c	what the results say
 *	custody_story.c		for people: where it is, how it went
 */
#include "bundle/bag.h"
#include "node/custody.h"
#include "node/directory.h"
#include "node/exchange_private.h"
#include "node/transit.h"
#include "spool/custody.h"

/* Results are small and end the far end's custody: they go where what is
 * urgent goes. */
#define ANSWER_PRIORITY 1

enum lot_state {
	LOT_SEALING,	/* a bundle is to be made of it */
	LOT_UNDERWAY,
	LOT_VOID,
};

/* A serial of the present epoch. */
struct lot {
	struct list link;	/* in flow->lots, by serial */
	struct list seal_link;	/* in custody->to_seal, or alone */
	struct flow *flow;
	uint64_t handle;	/* what its legs have as `object` */
	uint64_t serial;
	enum lot_state state;
	struct serial_out *rec;	/* until its first bundle is made, else NULL */
	uint64_t bundle;	/* local number; 0: none in transit */
	unsigned char digest[32];
	uint64_t cut_secs, expire_secs;
	uint64_t next_secs;	/* repeat then */
	unsigned attempts;
	bool hop_done;
	bool direct;		/* its bundle is for the neighbour alone */
	bool test;		/* carries no mail */
	size_t legs;		/* not yet settled */
	int priority;
};

/* To one site, in the present epoch. */
struct flow {
	struct list link;
	struct target *target;	/* TARGET_SITE */
	uint64_t next, reserved;
	struct list lots;
	size_t nlots;		/* that are not void */
	int64_t cut_ms;		/* monotonic: the last cut, or 0 */
	/* the last test that was answered */
	uint64_t tested_serial, tested_secs;
};

struct owed_result {
	uint64_t epoch, serial;
};

/* A site that is owed results, or our card. */
struct answer {
	struct list link;
	char *site;
	struct owed_result *owed;
	size_t nowed;
	bool card;		/* it asked for our keys, or has old ones */
	bool postponed;		/* and that was logged */
	int64_t due_ms;		/* monotonic */
};

/* A bundle for us that waits to be opened. */
struct arrival {
	struct list link;
	uint64_t id;
	bool direct;
	char *from;
	unsigned hops;		/* left */
	int64_t pause_ms;	/* monotonic: not before */
};

struct sealing;
struct opening;
struct story;

struct custody {
	struct exchange *x;
	struct list flows, to_seal, answers, arrivals;
	struct map *lots;	/* handle -> struct lot */
	uint64_t next_handle;
	struct sealing *sealing;
	struct opening *opening;
	struct story *story;		/* histories to be written */
	int64_t pause_ms;	/* monotonic: no bundle is made before */
	int64_t last_tick_ms;
	bool renew;		/* a new epoch is to be opened */
	struct map *rides;	/* bundle -> its results */
	bool rides_lost;	/* some are to be said again */
	struct custody_counters counters;
};

/* custody_lot.c */
struct flow *flow_need(struct custody *c, struct target *t);
struct flow *flow_find(struct custody *c, const char *site);
/* The lowest serial that is not settled. */
uint64_t flow_floor(const struct flow *f);
struct lot *lot_new(struct custody *c, struct flow *f, uint64_t serial);
struct lot *lot_find(struct custody *c, const char *site, uint64_t serial);
void lot_free(struct custody *c, struct lot *lot);
/* The leg of a message that is in this lot, or NULL. */
struct leg *lot_leg(struct custody *c, const struct lot *lot,
    uint64_t message);
/* To be made a bundle of (again). */
void lot_queue(struct custody *c, struct lot *lot);
/* It cannot be sealed now: its mail waits, or it does. */
void lot_postpone(struct custody *c, struct lot *lot);
/* All of it is settled: the record goes. */
void lot_complete(struct custody *c, struct lot *lot);
/* Its legs wait again; rec: its parts. */
void lot_release(struct custody *c, struct lot *lot,
    const struct serial_out *rec);
/* The serial will never be used again, durably; its legs are the caller's.
 * unsure: its parts, where they are to fail as not confirmed, also if there is
 * a crash before they have; or NULL. */
int lot_void(struct custody *c, struct lot *lot,
    const struct serial_out *unsure, struct err *e) MUST_CHECK;
/* The legs of such a lot, of the parts of s, that have not failed do; they stay
 * in it while there is no room for the notice. */
void lot_unconfirmed(struct custody *c, struct lot *lot,
    const struct serial_out *s);
uint64_t lot_repeat_secs(struct custody *c, const struct lot *lot);
const char *lot_site(const struct lot *lot);
/* The record goes, and the bundle with it; of the parts of `doubt` (or NULL)
 * it is noted that they may have arrived. */
int lot_forget_record(struct custody *c, const struct lot *lot,
    const struct serial_out *doubt, struct err *e) MUST_CHECK;
int lot_doubt(struct custody *c, struct spool_unit *u,
    const struct serial_out *s, struct err *e) MUST_CHECK;

/* custody_load.c */
int custody_open_epoch(struct custody *c, struct err *e) MUST_CHECK;
/* The numbers of messages that may leave are noted outside the spool. */
int custody_reserve_numbers(struct custody *c, struct err *e) MUST_CHECK;

/* custody.c */
/* The site is to have our card. */
void answer_card(struct custody *c, const char *site);
/* It is owed the result of this serial: the ledger's record says so. */
void answer_owe(struct custody *c, const struct serial_in *in);
struct answer *answer_find(struct custody *c, const char *site);
/* The first n results went, and the card; what is left is due at once. */
void answer_gave(struct custody *c, const char *site, size_t n, bool card);
void answer_free(struct answer *a);
/* Does the road to this site lead over peer? */
bool custody_goes_by(struct custody *c, const char *site, const char *peer);

/* custody_cut.c */
/* Cuts a lot of what waits for t, if it is time; false: not now. */
bool cut_lot(struct custody *c, struct target *t, const struct lane *l);
/* Does mail for t wait that would go by l? */
bool cut_waits(struct exchange *x, const struct target *t,
    const struct lane *l);
/* Monotonic: when a lot may be cut that is not to be cut yet. */
int64_t cut_deadline_ms(struct custody *c);
/* Takes a serial, with a reserved block behind it. */
int take_serial(struct custody *c, struct flow *f, uint64_t *serial_out,
    struct err *e) MUST_CHECK;

/* custody_seal.c */
int seal_lot_begin(struct custody *c, struct lot *lot, struct err *e)
    MUST_CHECK;
int seal_answer(struct custody *c, struct answer *a, struct err *e)
    MUST_CHECK;
/* A step of the bundle at hand: 1 more, 0 it is made. */
int seal_step(struct custody *c, struct err *e) MUST_CHECK;
/* What became of it is forgotten; the lot stays to be sealed. */
void seal_abort(struct custody *c);
bool seal_is_of(const struct custody *c, const struct lot *lot);
/* Asks the site for its keys with our card; back: gives it its own. */
int seal_request(struct custody *c, const char *site, bool back,
    struct err *e) MUST_CHECK;

/* custody_keys.c */
/* Can something be sealed for the site now?  If it only lacks a live key, one
 * is asked for. */
bool seal_can(struct custody *c, const char *site);
/* Cards to those that are to have them: ours, or their own back. */
void keys_tell(struct custody *c);

/* custody_ride.c */
/* These n results, or our card, are in the bundle of this local number, to the
 * site. */
void ride_begin(struct custody *c, uint64_t bundle, const char *site,
    const struct serial_in *result, size_t n, bool card);
/* The neighbour has it. */
void ride_over(struct custody *c, uint64_t bundle);
/* It is gone, or cannot be opened any more: all that is said again soon. */
void ride_lost(struct custody *c, uint64_t bundle);
void rides_of_site_lost(struct custody *c, const char *site);
/* They are owed again, at once, in a unit of its own. */
int ride_again(struct custody *c, uint64_t bundle, struct err *e) MUST_CHECK;
void rides_tick(struct custody *c);
void rides_free(struct custody *c);

/* custody_open.c */
/* Begins with the next bundle, or goes on: 1 more, 0 nothing to open now;
 * negative: the store failed. */
int open_step(struct custody *c, struct err *e) MUST_CHECK;
void open_abort(struct custody *c);

/* custody_unpack.c	: the batch of one bundle. */
struct unpacking;
/* in: the ledger's record, taken over (emptied): what of it was committed
 * before is passed over. */
struct unpacking *unpacking_new(struct custody *c, struct serial_in *in);
/* Octets as the bag has them.  ERR_FULL, ERR_IO: later. */
int unpacking_add(struct unpacking *t, struct slice bytes, struct err *e)
    MUST_CHECK;
/* The batch is over: what was not committed yet is ready for unpacking_put. */
int unpacking_end(struct unpacking *t, struct err *e) MUST_CHECK;
/* The last group and the record, in the caller's unit; then, committed. */
int unpacking_put(struct unpacking *t, struct spool_unit *u, struct err *e)
    MUST_CHECK;
void unpacking_done(struct unpacking *t);
void unpacking_free(struct unpacking *t);
uint64_t unpacking_messages(const struct unpacking *t);

/* custody_result.c */
struct settling;
/* NULL: the result is of nothing that we wait for. */
struct settling *settling_new(struct custody *c, const char *site,
    const struct bag_result *result);
/* After the last run what it says is carried out. */
void settling_run(struct settling *s, const struct bag_run *run);
void settling_free(struct settling *s);
/* Runs of a result as the ledger keeps them. */
void results_add(struct buf *results, uint64_t count,
    enum bag_verdict verdict, const char *status, const char *text);
int results_write(struct bag_writer *w, const struct serial_in *in,
    struct err *e) MUST_CHECK;

/* custody_story.c */
/* This part of the lot is over, with an outcome of each of its recipients; o
 * NULL: no result came.  Written by story_end at the latest. */
void story_part(struct custody *c, const struct lot *lot,
    const struct serial_out *rec, size_t part, const struct outcome *o);
void story_end(struct custody *c);
/* How far it is; what w_out points to lives until anything changes. */
void lot_where(struct custody *c, const struct lot *lot,
    struct custody_where *w_out);

#endif
