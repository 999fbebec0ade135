/* SPDX-License-Identifier: ISC */
#ifndef SPOOL_CUSTODY_H
#define SPOOL_CUSTODY_H
/*
 * What the native dialect keeps in the spool, beside messages and objects:
 * bundles with their octets, flows and their serials, the memory against
 * doing a thing twice, and what is known of other sites.
 *
 * Every record is one value under one key, with a CRC over both: a damaged
 * one fails alone.  The functions come in fours:
 *
 *	spool_get_X	0; ERR_NOT_FOUND; ERR_CORRUPT: this one is damaged.
 *			X is initialised in every case: release it or not.
 *	spool_next_X	walks in the order of the keys.  Begin with an empty
 *			buf (or id 0), which holds the place; ERR_NOT_FOUND at
 *			the end.  ERR_CORRUPT moves on too, and sets those
 *			members that are the key, so that it can be deleted.
 *			The walk bears any change in between; the caller
 *			releases the buf.
 *	spool_put_X	in a unit: sets or replaces, copies what it is given.
 *	spool_del_X	in a unit; what is not there is no error.
 *
 * Names of sites and peers have 1 to SPOOL_NAME_MAX octets, and no record is
 * larger than SPOOL_RECORD_MAX: a put fails with ERR_LIMIT otherwise.  As with
 * all of a unit, after an error it can only be aborted.  All times named
 * _secs are spool_elapsed_secs.
 */
#include "spool/spool.h"

#define SPOOL_NAME_MAX 255
#define SPOOL_RECORD_MAX (SPOOL_UNIT_MAX / 2)
#define SPOOL_PIECE_MAX 65536	/* octets of one piece of a bundle */
#define SPOOL_SEEN_MAX 40	/* octets of a key of `seen` */
#define BUNDLE_NAME_LEN 16

/*
 * Bundles.  The record is small and says how far each part is; the octets are
 * pieces of up to SPOOL_PIECE_MAX, each with its own CRC.
 *
 *	made here:	number taken, pieces put, record put: LEAVING
 *	from a peer:	record and pieces as they come: ARRIVING; whole:
 *			ARRIVED (for us) or LEAVING (for another)
 *
 * A record goes at once, its pieces step by step later (spool_maintain);
 * pieces that belong to no record are swept when the spool is opened.
 */
enum bundle_role {
	BUNDLE_LEAVING,		/* whole, for a neighbour */
	BUNDLE_ARRIVING,	/* not yet whole */
	BUNDLE_ARRIVED,		/* whole, for us */
};

/* LEAVING: handed to the road at secs, or (done) acknowledged by the next
 * holder.  ARRIVING: held (done). */
struct bundle_range {
	uint64_t offset, octets;
	bool done;
	uint64_t secs;
};

struct bundle {
	uint64_t id;		/* local number; 0 gets a new one on put */
	unsigned char name[BUNDLE_NAME_LEN];	/* the bundle id */
	enum bundle_role role;
	bool direct;		/* for the neighbour itself, without a seal */
	char *from;		/* neighbour it came from; NULL: made here */
	char *destination;	/* site */
	char *peer;		/* LEAVING: neighbour it is queued for; NULL:
				 * not routed now */
	int priority;
	unsigned hops;		/* left */
	uint64_t octets;	/* in all */
	uint64_t born_secs, expire_secs;
	uint64_t epoch, serial;	/* of our own flow to the destination, if made
				 * here and it has a serial; else 0 */
	/* Sorted and disjoint; of a damaged record NULL. */
	struct bundle_range *range;
	size_t nranges;
};

void bundle_init(struct bundle *b);
void bundle_release(struct bundle *b);
/* Lays r over the list (allocated, NULL if empty; r.octets 0: no change): what
 * it covers becomes as r says, parts that stick out stay as they were,
 * neighbours that touch and are equal in done and secs become one. */
void bundle_range_set(struct bundle_range **range, size_t *nranges,
    struct bundle_range r);
/* Takes offset .. offset + octets out of the list. */
void bundle_range_clear(struct bundle_range **range, size_t *nranges,
    uint64_t offset, uint64_t octets);

int spool_get_bundle(struct spool *sp, uint64_t id, struct bundle *b_out,
    struct err *e) MUST_CHECK;
int spool_next_bundle(struct spool *sp, uint64_t *id_io,
    struct bundle *b_out, struct err *e) MUST_CHECK;
/* ERR_STATE: the ranges are not sorted and disjoint within octets. */
int spool_put_bundle(struct spool_unit *u, struct bundle *b, struct err *e)
    MUST_CHECK;
/* The record; its pieces are swept once the unit has committed. */
int spool_del_bundle(struct spool_unit *u, uint64_t id, struct err *e)
    MUST_CHECK;
/* A number for a bundle whose pieces are written before its record. */
int spool_take_bundle_id(struct spool_unit *u, uint64_t *id_out,
    struct err *e) MUST_CHECK;
/* A number taken whose record will never come: its pieces are swept.  Not
 * while a unit is open that puts pieces of it. */
void spool_drop_bundle_id(struct spool *sp, uint64_t id);

/* Puts 1 .. SPOOL_PIECE_MAX octets of the bundle at offset (ERR_LIMIT).  The
 * same piece may be put again; pieces never overlap otherwise: that is the
 * caller's to see to.  ERR_LIMIT also if the unit has SPOOL_UNIT_MAX octets
 * already: commit it first.  The commit fails with ERR_FULL where there is no
 * room. */
int spool_put_piece(struct spool_unit *u, uint64_t id, uint64_t offset,
    struct slice bytes, struct err *e) MUST_CHECK;
/* Appends the octets of the stored piece that covers offset, from offset on:
 * 1.  0: none covers it.  ERR_CORRUPT: the piece is damaged. */
int spool_read_piece(struct spool *sp, uint64_t id, uint64_t offset,
    struct buf *out, struct err *e) MUST_CHECK;
/* The unit helps mail to leave (it makes a bundle of our own): it may use half
 * of what min_free_bytes keeps free.  Else a full spool could never empty. */
void spool_unit_use_reserve(struct spool_unit *u);

/*
 * Epochs.  A flow is (origin, destination, epoch); the epoch is a random
 * number, never 0, that belongs to this instance of the spool.  A new one is
 * opened when the spool is made, restored, imported into or salvaged, and by
 * spool_new_epoch.  Messages accepted before keep theirs: with its epoch the
 * number of a message is its name for all sites and all time.
 */
uint64_t spool_epoch(const struct spool *sp);
/* Opens a new one, which is current at once; it is taken back if the unit is
 * aborted. */
int spool_new_epoch(struct spool_unit *u, struct err *e) MUST_CHECK;
/* Numbers of messages below it are reserved: the next start goes on from
 * there. */
uint64_t spool_numbers_reserved(const struct spool *sp);
/* That under which message id was accepted. */
uint64_t spool_epoch_of(const struct spool *sp, uint64_t id);
/* The name of a message for other sites: of an imported one that which it had
 * in the spool it came from, so that it is not delivered again if it had been
 * on its way there. */
void spool_message_origin(const struct spool *sp, const struct message *m,
    uint64_t *epoch_out, uint64_t *number_out);

/*
 * Flows to other sites: (site, epoch), and the serials cut for them.
 *
 *	CUT ---> UNDERWAY ---> SETTLED ---> deleted
 *
 * CUT: these messages in this order, its bundle not yet made; UNDERWAY: its
 * bundle was given to transit; SETTLED: its result record came, or it is
 * void, and its floor has not yet passed it.
 */
enum serial_status {
	SERIAL_CUT,
	SERIAL_UNDERWAY,
	SERIAL_SETTLED,
};

struct serial_out {
	char *site;
	uint64_t epoch, serial;
	enum serial_status status;
	unsigned char digest[32];	/* SHA-256 of the batch */
	uint64_t cut_secs;
	int64_t cut_wall_ms;
	unsigned attempts;		/* bundles made for it */
	uint64_t next_secs;		/* repeat not before */
	uint64_t bundle;		/* local number of the last; 0: none */
	unsigned char name[BUNDLE_NAME_LEN];	/* of the last */
	char *params;			/* how to write the batch; node/'s */
	int priority;
	struct object_part *part;
	size_t nparts;
};

void serial_out_init(struct serial_out *s);
void serial_out_release(struct serial_out *s);
int spool_get_serial_out(struct spool *sp, const char *site, uint64_t epoch,
    uint64_t serial, struct serial_out *s_out, struct err *e) MUST_CHECK;
/* site NULL: all; else those of the flow (site, epoch), by serial. */
int spool_next_serial_out(struct spool *sp, const char *site,
    uint64_t epoch, struct buf *at_io, struct serial_out *s_out,
    struct err *e) MUST_CHECK;
int spool_put_serial_out(struct spool_unit *u, const struct serial_out *s,
    struct err *e) MUST_CHECK;
int spool_del_serial_out(struct spool_unit *u, const char *site,
    uint64_t epoch, uint64_t serial, struct err *e) MUST_CHECK;

struct flow_out {
	char *site;
	uint64_t epoch;
	uint64_t next_serial;	/* the first is 1 */
	uint64_t reserved;	/* serials below are reserved outside too */
};

void flow_out_init(struct flow_out *f);
void flow_out_release(struct flow_out *f);
int spool_get_flow_out(struct spool *sp, const char *site, uint64_t epoch,
    struct flow_out *f_out, struct err *e) MUST_CHECK;
int spool_next_flow_out(struct spool *sp, struct buf *at_io,
    struct flow_out *f_out, struct err *e) MUST_CHECK;
int spool_put_flow_out(struct spool_unit *u, const struct flow_out *f,
    struct err *e) MUST_CHECK;
int spool_del_flow_out(struct spool_unit *u, const char *site,
    uint64_t epoch, struct err *e) MUST_CHECK;

/*
 * Flows from other sites: what was received of each, and the result records
 * that are kept until the origin's floor has passed them.
 */
struct flow_in {
	char *origin;
	uint64_t epoch;
	uint64_t floor;		/* the origin's: all below is settled there */
	uint64_t last_secs;	/* anything of it was heard */
};

void flow_in_init(struct flow_in *f);
void flow_in_release(struct flow_in *f);
int spool_get_flow_in(struct spool *sp, const char *origin, uint64_t epoch,
    struct flow_in *f_out, struct err *e) MUST_CHECK;
int spool_next_flow_in(struct spool *sp, struct buf *at_io,
    struct flow_in *f_out, struct err *e) MUST_CHECK;
int spool_put_flow_in(struct spool_unit *u, const struct flow_in *f,
    struct err *e) MUST_CHECK;
int spool_del_flow_in(struct spool_unit *u, const char *origin,
    uint64_t epoch, struct err *e) MUST_CHECK;

struct serial_in {
	char *origin;
	uint64_t epoch, serial;
	bool done;		/* every transaction of it */
	bool voided;		/* announced void: never to be processed */
	bool owed;		/* its result is to go out */
	uint64_t transactions;	/* committed so far */
	unsigned char digest[32];	/* SHA-256 of the batch */
	uint64_t first_secs;
	struct buf results;	/* encoded by node/; owned */
};

void serial_in_init(struct serial_in *s);
void serial_in_release(struct serial_in *s);
int spool_get_serial_in(struct spool *sp, const char *origin,
    uint64_t epoch, uint64_t serial, struct serial_in *s_out, struct err *e)
    MUST_CHECK;
/* origin NULL: all; else those of the flow (origin, epoch), by serial. */
int spool_next_serial_in(struct spool *sp, const char *origin,
    uint64_t epoch, struct buf *at_io, struct serial_in *s_out,
    struct err *e) MUST_CHECK;
int spool_put_serial_in(struct spool_unit *u, const struct serial_in *s,
    struct err *e) MUST_CHECK;
int spool_del_serial_in(struct spool_unit *u, const char *origin,
    uint64_t epoch, uint64_t serial, struct err *e) MUST_CHECK;
/* Deletes those of the flow with a serial below the floor, some hundred at
 * most; 1 while there are more (in another unit). */
int spool_drop_serials_in(struct spool_unit *u, const char *origin,
    uint64_t epoch, uint64_t floor, struct err *e) MUST_CHECK;

/*
 * What was taken into custody, by the origin's name for the message (the
 * epoch under which it accepted it, and its number): mail that comes again in
 * a new flow is answered from here.
 */
struct taken_rcpt {
	uint64_t address_hash;	/* node/'s */
	uint8_t verdict;	/* node/'s */
};

struct taken {
	char *origin;
	uint64_t epoch, number;
	uint64_t secs;		/* taken then */
	struct taken_rcpt *rcpt;
	size_t nrcpt;
};

void taken_init(struct taken *t);
void taken_release(struct taken *t);
int spool_get_taken(struct spool *sp, const char *origin, uint64_t epoch,
    uint64_t number, struct taken *t_out, struct err *e) MUST_CHECK;
int spool_next_taken(struct spool *sp, struct buf *at_io,
    struct taken *t_out, struct err *e) MUST_CHECK;
int spool_put_taken(struct spool_unit *u, const struct taken *t,
    struct err *e) MUST_CHECK;
/* As spool_expire_ledger: removes what is older, in its own transaction, a
 * few hundred records a call; 1 while there is more to look at.  What is
 * damaged stays. */
int spool_expire_taken(struct spool *sp, uint64_t before_secs,
    struct err *e) MUST_CHECK;

/* Names seen once, by kind: 'p', a parcel's tag under its receiving key; 'b',
 * a bundle already passed on or opened.  key: 1 .. SPOOL_SEEN_MAX octets
 * (ERR_LIMIT). */
int spool_put_seen(struct spool_unit *u, char kind, struct slice key,
    uint64_t expire_secs, struct err *e) MUST_CHECK;
/* 1: seen (also where the record is damaged, or is past its time and not yet
 * removed); 0: not; or negative. */
int spool_get_seen(struct spool *sp, char kind, struct slice key,
    struct err *e) MUST_CHECK;
/* In steps like spool_expire_taken: what expires at now_secs or before. */
int spool_expire_seen(struct spool *sp, uint64_t now_secs, struct err *e)
    MUST_CHECK;

/*
 * Hop acknowledgements that a peer has to get.
 */
struct owed_ack {
	char *peer;
	unsigned char name[BUNDLE_NAME_LEN];
	struct bundle_range *range;	/* none: all of it */
	size_t nranges;
};

void owed_ack_init(struct owed_ack *a);
void owed_ack_release(struct owed_ack *a);
int spool_get_owed_ack(struct spool *sp, const char *peer,
    const unsigned char name[BUNDLE_NAME_LEN], struct owed_ack *a_out,
    struct err *e) MUST_CHECK;
/* peer NULL: all. */
int spool_next_owed_ack(struct spool *sp, const char *peer,
    struct buf *at_io, struct owed_ack *a_out, struct err *e) MUST_CHECK;
/* ERR_STATE: the ranges are not sorted and disjoint. */
int spool_put_owed_ack(struct spool_unit *u, const struct owed_ack *a,
    struct err *e) MUST_CHECK;
int spool_del_owed_ack(struct spool_unit *u, const char *peer,
    const unsigned char name[BUNDLE_NAME_LEN], struct err *e) MUST_CHECK;

/*
 * What is known of another site.
 */
struct site_record {
	char *name;
	char *card;		/* its newest card, as text; or NULL */
	uint64_t counter;	/* of that card: older ones are refused */
	uint64_t told;		/* counter of our own card that it was told */
	uint64_t heard_secs;	/* anything of it arrived; 0: never */
	uint64_t asked_secs;	/* a key request went; 0: never */
	uint64_t rtt_secs;	/* smoothed, from cut to result; 0: unknown */
	uint64_t seen_secs;	/* when that card came here first */
	bool fresh;		/* it came from the site, not from a file */
	bool behind;		/* the site itself has an older one since */
};

void site_record_init(struct site_record *s);
void site_record_release(struct site_record *s);
int spool_get_site(struct spool *sp, const char *name,
    struct site_record *s_out, struct err *e) MUST_CHECK;
int spool_next_site(struct spool *sp, struct buf *at_io,
    struct site_record *s_out, struct err *e) MUST_CHECK;
int spool_put_site(struct spool_unit *u, const struct site_record *s,
    struct err *e) MUST_CHECK;
int spool_del_site(struct spool_unit *u, const char *name, struct err *e)
    MUST_CHECK;

/*
 * How a message that is gone went, for `postrider trace`.
 */
struct history {
	uint64_t message;
	uint64_t secs;		/* when it went */
	char *text;		/* node/'s lines */
};

void history_init(struct history *h);
void history_release(struct history *h);
int spool_get_history(struct spool *sp, uint64_t message,
    struct history *h_out, struct err *e) MUST_CHECK;
int spool_next_history(struct spool *sp, uint64_t *message_io,
    struct history *h_out, struct err *e) MUST_CHECK;
int spool_put_history(struct spool_unit *u, const struct history *h,
    struct err *e) MUST_CHECK;
/* In steps like spool_expire_taken. */
int spool_expire_history(struct spool *sp, uint64_t before_secs,
    struct err *e) MUST_CHECK;

/*
 * Mails of the road that a transport has sent, for the case that they are
 * returned: what was in each, in one or more parts.
 */
struct sent_mail {
	char *name;		/* of its file in out/ */
	uint64_t part;
	char *road;		/* by which it was */
	uint64_t secs;		/* when it was sent */
	struct buf what;	/* node/'s */
};

void sent_mail_init(struct sent_mail *s);
void sent_mail_release(struct sent_mail *s);
/* The first part that there still is of the mail of that name. */
int spool_first_sent_mail(struct spool *sp, const char *name,
    struct sent_mail *s_out, struct err *e) MUST_CHECK;
int spool_put_sent_mail(struct spool_unit *u, const struct sent_mail *s,
    struct err *e) MUST_CHECK;
int spool_del_sent_mail(struct spool_unit *u, const char *name,
    uint64_t part, struct err *e) MUST_CHECK;
/* In steps like spool_expire_taken. */
int spool_expire_sent_mail(struct spool *sp, uint64_t before_secs,
    struct err *e) MUST_CHECK;

#endif
