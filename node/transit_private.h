/* SPDX-License-Identifier: ISC */
#ifndef NODE_TRANSIT_PRIVATE_H
#define NODE_TRANSIT_PRIVATE_H
/*
 * What the files of the hop layer share: the index of bundles, in memory
 * beside their records.
 *
 *	transit.c        life, hooks, lists	transit_draft.c  made here
 *	transit_queue.c  roads and queues	transit_retry.c  time
 *	transit_check.c  what is whole		neighbour.c      what we owe
 *	hoard.c          what one commit takes	parcel.c         objects
 *	parcel_text.c    their records		parcel_out.c     their octets
 *	parcel_in.c      parcels that come	parcel_frames.c  what is in them
 */
#include "base/text.h"
#include "node/dialect.h"
#include "node/transit.h"
#include "spool/custody.h"

#define SEEN_PARCEL 'p'
#define SEEN_BUNDLE 'b'

struct frame;
struct neighbour;

/* A bundle.  LEAVING: in its neighbour's `ready` while some of it is neither
 * in a parcel nor handed over, else in `waiting`; in limbo without a road. */
struct passage {
	struct list link;
	struct passage *same;		/* next of this name */
	struct bundle b;
	struct neighbour *to;		/* LEAVING: or NULL */
	struct neighbour *from;		/* or NULL: made here */
	struct neighbour *past;		/* was handed all of it before `to`,
					 * or NULL */
	/* Whose counts have it; see passage_place. */
	struct neighbour *counted_to, *counted_from;
	bool counted_arriving;
	uint64_t counted_octets;
	/* LEAVING: what is in parcels of `to` that are not sent yet. */
	struct bundle_range *cut;
	size_t ncut;
	unsigned attempts;		/* repetitions without an answer */
	uint64_t timeout_secs;		/* of this attempt; 0: not drawn yet */
	const struct lane *by;		/* that had the last of it; NULL: not
					 * known since the start */
	/* ARRIVING and whole: how far its name is checked. */
	struct sha256 hash;
	uint64_t hashed;
};

/* A hop acknowledgement that a neighbour has to get. */
struct owed {
	struct list link;
	struct owed_ack ack;
	uint64_t parcel;		/* object that carries it; 0: none */
	int64_t since_ms;		/* monotonic */
};

/* Lines for the log, so many an hour. */
struct told {
	int64_t hour_ms;
	unsigned lines, untold;
};

/* A peer as this layer sees it. */
struct neighbour {
	struct target *target;
	struct list ready, waiting;	/* passages to it */
	struct list arriving;		/* from it, not whole or not checked */
	uint64_t narriving;
	uint64_t held_octets;		/* arriving, or to be forwarded */
	uint64_t queued_octets, nqueued;	/* leaving to it */
	struct list owed;
	struct map *owed_by_name;
	size_t nowed;			/* of them in no parcel */
	uint64_t card_told;		/* counter of our card it was told */
	uint64_t card_cut;		/* in a parcel under way */
	uint64_t back_cut;		/* the same of its own card */
	bool card_asked;		/* it asked for our keys */
	int64_t request_ms;		/* monotonic: ask for its not before */
	unsigned requests;
	int may;			/* can parcels be sealed for it? */
	int64_t may_until_ms;		/* monotonic: good so long */
	uint64_t rtt_secs;		/* smoothed, of a hop; 0: unknown */
	bool rtt_known;
	uint64_t patience_secs;		/* what had to be repeated was sent so
					 * long ago at least: no sample says
					 * yet how long it takes; or 0 */
	struct told forged, refused, silent;
};

struct transit {
	const struct transit_hooks *hooks;	/* or NULL */
	void *ctx;
	struct map *by_id;		/* u64: struct passage */
	struct map *by_name;		/* name: the first of `same` */
	struct list limbo;		/* LEAVING without a road */
	struct list arrived;
	struct list checks;		/* ARRIVING, whole: to be hashed */
	struct map *last_peer;		/* name: who has it now, as text */
	struct transit_counters counters;
	uint64_t due_secs;		/* when anything has to be looked at */
	int64_t looked_ms;		/* monotonic: when it was */
	bool reroute;
};

/* transit.c */
struct passage *passage_new(struct exchange *x, struct bundle *b);
/* Out of every list and map; frees. */
void passage_free(struct exchange *x, struct passage *p);
struct passage *passage_find(struct exchange *x,
    const unsigned char name[BUNDLE_NAME_LEN]);
struct slice bundle_name_slice(const unsigned char name[BUNDLE_NAME_LEN]);
struct bundle_text {
	char s[2 * BUNDLE_NAME_LEN + 1];
};
/* A bundle's id as people see it: hexadecimal. */
struct bundle_text bundle_text(const unsigned char name[BUNDLE_NAME_LEN]);
void bundle_copy(struct bundle *to, const struct bundle *from);
/* Is it for us? */
bool bundle_is_ours(const struct exchange *x, const struct bundle *b);
/* May the log have another line of this kind? untold_out: how many went
 * without since the last. */
bool may_tell(struct exchange *x, struct told *told, unsigned *untold_out);
/* The record goes, in the unit; its name is remembered where that matters. */
int passage_end(struct exchange *x, struct spool_unit *u,
    const struct bundle *b, struct err *e) MUST_CHECK;
/* The same in a unit of its own, for one that cannot be handed on: told. */
int passage_lose(struct exchange *x, struct passage *p, const char *reason,
    struct err *e) MUST_CHECK;
/* This neighbour has all of one of our own. */
void transit_handed(struct exchange *x, const struct bundle *b);
/* Look again at this time at the latest. */
void transit_due(struct exchange *x, uint64_t secs);

/* transit_queue.c */
struct neighbour *neighbour_of(struct target *t);
struct neighbour *neighbour_find(struct exchange *x, const char *peer);
void neighbour_free(struct neighbour *nb);
/* Into the list where it belongs, by its role and what is left of it. */
void passage_place(struct exchange *x, struct passage *p);
/* Out of it; before its role or its octets change. */
void passage_unplace(struct passage *p);
/* Chooses its road: p->to and b.peer. */
void passage_route(struct exchange *x, struct passage *p);
/* The first stretch from `from` on that is neither cut nor handed over. */
bool passage_gap(const struct passage *p, uint64_t from, uint64_t *offset_out,
    uint64_t *octets_out);
/* Is another neighbour the one to go to, since p->to is down? */
bool passage_has_detour(struct exchange *x, const struct passage *p);
/* May this bundle go over the road to this neighbour? */
bool passage_may_use(const struct conf_peer *peer, bool direct);

/* transit_retry.c */
/* What was handed over and not acknowledged in time waits again; what is too
 * old goes.  ERR_IO: the store failed. */
int retry_look(struct exchange *x, struct err *e) MUST_CHECK;
/* Since what is not acknowledged of p was handed over; 0: nothing is. */
uint64_t retry_silent_secs(struct exchange *x, const struct passage *p);
/* When p has to be looked at. */
uint64_t retry_due_secs(struct exchange *x, struct passage *p);
/* An answer: so many seconds after handing over. */
void retry_answer(struct neighbour *nb, uint64_t secs);

/* transit_check.c */
/* Hashes a bounded share of what waits for it; 1 while there is more. */
int check_step(struct exchange *x, struct err *e) MUST_CHECK;
bool bundle_is_whole(const struct bundle *b);
/* From one that is whole to one that arrived, or leaves with a hop less. */
void bundle_turn(const struct exchange *x, struct bundle *b);

/* neighbour.c: acknowledgements */
struct owed *owed_find(const struct neighbour *nb,
    const unsigned char name[BUNDLE_NAME_LEN]);
/* Takes the ack over, in place of the one of its name; nothing in it: that one
 * goes. */
void owed_set(struct exchange *x, struct neighbour *nb, struct owed_ack *ack,
    bool none);
void owed_ack_copy(struct owed_ack *to, const struct owed_ack *from);
/* Takes `carried` away from `ack`; true if nothing is left. */
bool owed_subtract(struct owed_ack *ack, const struct owed_ack *carried);
/* It is in this parcel from now on; 0: in none. */
void owed_ride(struct neighbour *nb, struct owed *o, uint64_t parcel);
/* One that could not be carried while a bundle lives is not owed any more. */
void owed_expire(struct exchange *x, struct neighbour *nb, struct owed *o);
/* When the oldest that is in no parcel began to wait; INT64_MAX. */
int64_t owed_since_ms(const struct neighbour *nb);
int owed_load(struct exchange *x, struct err *e) MUST_CHECK;

/* parcel_text.c: what an object record says of a parcel */
struct parcel_piece {
	uint64_t id, offset, octets;
};

struct parcel {
	bool request;			/* for keys: a card alone */
	uint64_t card;			/* counter of our card; 0: not in it */
	uint64_t back;			/* of the neighbour's own; 0: not */
	struct owed_ack *ack;
	size_t nacks;
	struct parcel_piece *piece;
	size_t npieces;
};

#define PARCEL_PIECES_MAX 2048
#define PARCEL_ACKS_MAX 512
#define PARCEL_WORD "parcel\n"

void parcel_init(struct parcel *p);
void parcel_release(struct parcel *p);
struct parcel_piece *parcel_add_piece(struct parcel *p, uint64_t id,
    uint64_t offset, uint64_t octets);
struct owed_ack *parcel_add_ack(struct parcel *p);
/* The caller frees. */
char *parcel_text(const struct parcel *p);
int parcel_parse(const char *text, struct parcel *p_out, struct err *e)
    MUST_CHECK;

/* hoard.c: what comes in, until one commit takes it.  Between two turns of the
 * event loop nothing is in it but pieces of a bundle that is not yet whole. */
enum hoarded_end {
	HOARDED_KEEP,		/* the record is put */
	HOARDED_DONE,		/* the neighbour has all of it: gone */
	HOARDED_DROP,		/* no longer wanted: gone */
	HOARDED_PART,		/* no record yet: more of it comes */
};

/* A bundle as it will be. */
struct hoarded {
	struct list link;
	struct passage *p;		/* NULL: it is new */
	struct bundle b;
	enum hoarded_end end;
	bool in_spool;			/* PART: some of its pieces are */
};

struct hoard {
	struct exchange *x;
	struct neighbour *nb;
	struct list bundles, pieces, acks;
	uint64_t sent;			/* this object goes, and is */
	const struct sent_mail *sent_mail;	/* remembered; or NULL */
	uint64_t card;			/* nb was told this one of ours */
	unsigned char tag[16];		/* of the parcel, once all is read */
	uint64_t tag_secs;		/* remembered until; 0: not yet */
};

void hoard_init(struct hoard *h, struct exchange *x, struct neighbour *nb);
/* What is not committed is forgotten. */
void hoard_release(struct hoard *h);
/* The bundle as it will be. */
struct hoarded *hoard_touch(struct hoard *h, struct passage *p);
/* Takes b over; its record is put, but for HOARDED_PART. */
struct hoarded *hoard_add(struct hoard *h, struct bundle *b,
    enum hoarded_end end);
/* One that will come to an end with the commit, or is new in it. */
struct hoarded *hoard_find(struct hoard *h,
    const unsigned char name[BUNDLE_NAME_LEN], enum bundle_role role);
/* Takes the bytes; at most SPOOL_PIECE_MAX. */
void hoard_piece(struct hoard *h, struct hoarded *one, uint64_t offset,
    struct buf *bytes);
/* It is forgotten, with its pieces. */
void hoard_drop(struct hoard *h, struct hoarded *one);
/* Owes nb an acknowledgement; octets 0: of all of it. */
void hoard_owe(struct hoard *h, const unsigned char name[BUNDLE_NAME_LEN],
    uint64_t offset, uint64_t octets);
/* A parcel has carried so much of what was owed. */
void hoard_paid(struct hoard *h, const struct owed *o,
    const struct owed_ack *carried);
/* One transaction; then the index follows, and custody is told. */
int hoard_commit(struct hoard *h, bool sync, struct err *e) MUST_CHECK;

extern const struct dialect parcel_dialect;	/* parcel.c */
/* Is the piece still one of p, which leaves by nb?  p may be NULL. */
bool parcel_piece_counts(const struct passage *p, const struct neighbour *nb,
    const struct parcel_piece *piece);

/* Octets of a frame's head; 0: it cannot be written. */
uint64_t parcel_head_octets(const struct frame *f);
/* Makes it durable as the next object of the lane; false: not now. */
bool parcel_record(struct exchange *x, struct lane *l,
    const struct parcel *p);

/* parcel_card.c */
bool parcel_card_is_due(struct exchange *x, const struct neighbour *nb);
/* Is the neighbour to get its own card back? */
bool parcel_back_is_due(struct exchange *x, const struct neighbour *nb);
/* Is a card worth a call?  Ours rides with what is timed; who asked for it, and
 * where calls are made when something waits, would else never get it. */
bool parcel_card_waits(struct exchange *x, const struct neighbour *nb,
    const struct lane *l);
/* Puts our card into p, if it is due and there is room. */
void parcel_gather_card(struct exchange *x, struct neighbour *nb,
    struct parcel *p, uint64_t *room_io);
/* A parcel for which no receiving key of the neighbour is needed: our card,
 * for its keys; or its own. */
bool parcel_cut_request(struct exchange *x, struct lane *l);
bool parcel_cut_back(struct exchange *x, struct lane *l);

/* parcel_out.c, parcel_in.c: in the table of the dialect */
/* range_out: room for FRAME_RANGES_MAX, which f_out points to. */
struct frame_range;
void parcel_ack_frame(const struct owed_ack *ack, struct frame *f_out,
    struct frame_range *range_out);
/* The head of a piece of p as a frame, and its kind. */
void parcel_frame(struct exchange *x, const struct bundle *b, uint64_t offset,
    uint64_t octets, struct frame *f_out);
int parcel_out_new(struct exchange *x, struct object *o,
    struct outbound **ob_out, struct err *e) MUST_CHECK;
int parcel_out_read(struct outbound *base, struct buf *out, struct err *e)
    MUST_CHECK;
void parcel_out_free(struct outbound *base);
struct inbound *parcel_in_new(struct exchange *x, struct slice pickup);
int parcel_in_add(struct inbound *base, const char *bytes, size_t len,
    struct err *e) MUST_CHECK;
enum inbound_outcome parcel_in_end(struct inbound *base);
void parcel_in_free(struct inbound *base);

#endif
