/* SPDX-License-Identifier: ISC */
#ifndef SPOOL_SPOOL_H
#define SPOOL_SPOOL_H
/*
 * Everything durable of a node, above an engine (spool/store.h): messages,
 * the state of each recipient, objects on their way, the ledger of what was
 * received, the quarantine.
 *
 * A message is written in two steps:
 *
 *	d = spool_draft_new(sp)			content streams in; beyond
 *	spool_draft_add(d, bytes, len) ...	SPOOL_INLINE_MAX it goes to disk
 *	spool_draft_end(d)			chunk by chunk, unsynchronised
 *	u = spool_begin(sp)
 *	spool_add_message(u, d, &new, &id)	any number of changes,
 *	spool_commit(u, true)			one flush: now it exists
 *
 * A message record never changes.  A state record is absent while every
 * recipient is as it was at the start (RCPT_QUEUED); an object record names
 * the recipients that are cut into it.  So accepting costs one record.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "smtp/envelope.h"
#include "spool/store.h"

#define SPOOL_SCHEMA 2
#define SPOOL_INLINE_MAX 60000	/* octets of content kept in the record */
#define SPOOL_CHUNK 65536	/* octets of a chunk of a larger one */
#define SPOOL_UNIT_MAX (1 << 20)	/* octets of a transaction, about */
/* The count of elapsed seconds of a new spool begins here, so that what is
 * imported can keep its age. */
#define SPOOL_ELAPSED_START 8640000

struct spool;

struct spool_options {
	struct clock *clock;
	struct rng *rng;
	struct log *log;
	uint64_t min_free_bytes;	/* below it drafts fail: ERR_FULL */
	/* Free octets on the spool's disk; NULL: statvfs on dir. */
	uint64_t (*free_bytes)(void *ctx);
	void *free_ctx;
	const char *dir;		/* for statvfs */
};

/* Owns the store from now on (also on error).  Checks the schema (ERR_STATE
 * names `postrider spool upgrade` for an older one, refuses a newer), makes a
 * new spool's id, sweeps orphan chunks.  ERR_CORRUPT where the spool is beyond
 * starting (salvage). */
int spool_open(struct store *store, const struct spool_options *opts,
    struct spool **sp_out, struct err *e) MUST_CHECK;
/* From now on, for the option of this name. */
void spool_set_min_free(struct spool *sp, uint64_t octets);
void spool_close(struct spool *sp);
struct store *spool_store(struct spool *sp);
/* Random, 16 octets as 32 hex digits: this spool since it was made, restored
 * or salvaged. */
const char *spool_id(const struct spool *sp);
/* Durable count of elapsed seconds, from SPOOL_ELAPSED_START on: a clock that
 * jumps ages nothing (design: Custody).  spool_tick writes it down now and
 * then; call it about once a minute. */
uint64_t spool_elapsed_secs(const struct spool *sp);
int spool_tick(struct spool *sp, struct err *e) MUST_CHECK;
/* Enough room to take new mail? */
bool spool_has_room(struct spool *sp);
/* Enough for what makes room, as mail that leaves: half of that. */
bool spool_has_reserve(struct spool *sp);
/* Octets that are free beyond what must stay free. */
uint64_t spool_room(struct spool *sp);

/*
 * Messages.
 */
enum message_kind {
	MESSAGE_MAIL,		/* somebody's */
	MESSAGE_NOTICE,		/* ours: never answered */
	MESSAGE_POSTMASTER,	/* ours to the postmaster: never dropped */
};

struct message {
	uint64_t id;
	enum message_kind kind;
	struct envelope env;
	struct content_facts facts;
	char *source;		/* "smtp 127.0.0.1", "peer london", ... */
	char *peer;		/* name of the peer it came from, or NULL */
	unsigned hops;		/* nodes it has passed */
	int64_t accepted_wall_ms;
	uint64_t accepted_secs;	/* spool_elapsed_secs then */
	/* Imported: its epoch and number in the spool where it was accepted
	 * (spool/custody.h); else 0. */
	uint64_t was_epoch, was_number;
};

void message_init(struct message *m);
void message_release(struct message *m);
/* An id as people see it: 1 to 13 characters of base32 digits and letters. */
struct message_name {
	char s[16];
};
struct message_name message_name(uint64_t id);
int message_name_parse(const char *text, uint64_t *id_out) MUST_CHECK;

struct spool_draft;
struct spool_draft *spool_draft_new(struct spool *sp);
/* ERR_FULL: no room; ERR_IO; the draft may only be freed then. */
int spool_draft_add(struct spool_draft *d, const char *bytes, size_t len,
    struct err *e) MUST_CHECK;
int spool_draft_end(struct spool_draft *d, struct err *e) MUST_CHECK;
/* Complete after spool_draft_end. */
const struct content_facts *spool_draft_facts(const struct spool_draft *d);
/* Frees; chunks already written are removed unless the message exists. */
void spool_draft_free(struct spool_draft *d);

/* ERR_NOT_FOUND, ERR_CORRUPT (the message alone is damaged). */
int spool_get_message(struct spool *sp, uint64_t id, struct message *m_out,
    struct err *e) MUST_CHECK;
/* Walks by id: start with *id_io 0; ERR_NOT_FOUND at the end.  ERR_CORRUPT
 * sets *id_io too, the walk can go on. */
int spool_next_message(struct spool *sp, uint64_t *id_io,
    struct message *m_out, struct err *e) MUST_CHECK;

struct spool_body;
int spool_body_open(struct spool *sp, uint64_t id, struct spool_body **b_out,
    struct err *e) MUST_CHECK;
/* Appends at most SPOOL_CHUNK octets to out: 1; at the end 0; ERR_CORRUPT.
 * May be used across returns to the event loop. */
int spool_body_read(struct spool_body *b, struct buf *out, struct err *e)
    MUST_CHECK;
void spool_body_close(struct spool_body *b);

/*
 * Recipients.
 */
enum recipient_status {
	RCPT_QUEUED,		/* waits for its peer or its delivery */
	RCPT_HELD,		/* until somebody releases it */
	RCPT_DONE,		/* handed on: nothing more to do */
	RCPT_FAILED,		/* and its notice is durable, or none is due */
};

struct recipient_state {
	enum recipient_status status;
	unsigned attempts;
	uint64_t next_secs;	/* not before this spool_elapsed_secs */
	bool delay_told;	/* a notice of delay went out */
	bool unsure;		/* it was under way when its epoch ended: it
				 * may have arrived */
	char status_code[12];	/* of the last answer: "4.4.1" or "" */
	char *text;		/* the last answer, or why held; or NULL */
	int64_t attempt_ms;	/* wall clock of the last attempt, or 0 */
};

struct message_state {
	size_t n;		/* env.nrcpt */
	struct recipient_state *rcpt;
};

/* All RCPT_QUEUED. */
void message_state_init(struct message_state *st, size_t nrcpt);
void message_state_release(struct message_state *st);
/* The record, or the state at the start where there is none. */
int spool_get_state(struct spool *sp, uint64_t id, size_t nrcpt,
    struct message_state *st_out, struct err *e) MUST_CHECK;

/*
 * Objects: frozen batches for one peer.  The record says everything that
 * determines the bytes, so a lost file can be made again.
 */
enum object_status {
	OBJECT_CUT,		/* to be written into out/ */
	OBJECT_WRITTEN,		/* whole in out/; octets and digest are known */
	OBJECT_SENT,		/* the transport's word; being cleared away */
};

struct object_part {
	uint64_t message;
	uint16_t *rcpt;		/* indexes into its recipients */
	size_t nrcpt;
};

struct object {
	uint64_t id;
	enum object_status status;
	char *road;		/* PEER, or PEER/TRANSPORT */
	char *name;		/* of its file in out/ */
	char *params;		/* how to write it; node/'s, opaque here */
	int64_t cut_wall_ms;
	uint64_t cut_secs;
	uint64_t octets;	/* once written */
	unsigned char digest[32];	/* SHA-256, once written */
	struct object_part *part;
	size_t nparts;
};

void object_init(struct object *o);
void object_release(struct object *o);
int spool_get_object(struct spool *sp, uint64_t id, struct object *o_out,
    struct err *e) MUST_CHECK;
int spool_next_object(struct spool *sp, uint64_t *id_io, struct object *o_out,
    struct err *e) MUST_CHECK;

/*
 * The ledger: one entry for each object received, under (peer, key).  The key
 * is the id that the object carries, or a digest of its pick-up.
 */
struct ledger_entry {
	bool done;
	uint64_t transactions;	/* committed so far */
	uint64_t first_secs;	/* spool_elapsed_secs when first seen */
};
/* Absent: all zero, and 0 is returned. */
int spool_get_ledger(struct spool *sp, const char *peer, struct slice key,
    struct ledger_entry *l_out, struct err *e) MUST_CHECK;
/* Removes entries that are done and older; at most some hundred a call;
 * returns 1 while there is more.  Own transaction. */
int spool_expire_ledger(struct spool *sp, uint64_t before_secs, struct err *e)
    MUST_CHECK;

/*
 * The quarantine: what could not be processed, whole.
 */
struct broken {
	uint64_t id;
	char *peer, *name;	/* name: of the file, or the object's id */
	char *reason;		/* with the place */
	int64_t wall_ms;
	uint64_t secs;
	uint64_t octets;
};
void broken_init(struct broken *b);
void broken_release(struct broken *b);
int spool_next_broken(struct spool *sp, uint64_t *id_io, struct broken *b_out,
    struct err *e) MUST_CHECK;

/*
 * Units of work: one transaction.  At most one is open; it is never kept
 * across a return to the event loop.  After an error in any call the unit can
 * only be aborted.
 */
struct spool_unit;
int spool_begin(struct spool *sp, struct spool_unit **u_out, struct err *e)
    MUST_CHECK;
/* Octets put so far, to stay under SPOOL_UNIT_MAX. */
size_t spool_unit_octets(const struct spool_unit *u);
/* m: all but id and facts, which are set here.  The draft is used up when the
 * unit commits; free it afterwards all the same. */
int spool_add_message(struct spool_unit *u, struct spool_draft *d,
    struct message *m, struct err *e) MUST_CHECK;
int spool_put_state(struct spool_unit *u, uint64_t id,
    const struct message_state *st, struct err *e) MUST_CHECK;
/* Message, state and body.  A body of many chunks goes step by step later
 * (spool_sweep); the message is gone at once. */
int spool_del_message(struct spool_unit *u, uint64_t id, struct err *e)
    MUST_CHECK;
/* id 0 gets a new one, set in o. */
int spool_put_object(struct spool_unit *u, struct object *o, struct err *e)
    MUST_CHECK;
int spool_del_object(struct spool_unit *u, uint64_t id, struct err *e)
    MUST_CHECK;
int spool_put_ledger(struct spool_unit *u, const char *peer, struct slice key,
    const struct ledger_entry *l, struct err *e) MUST_CHECK;
/* The draft holds the broken object; b->id and octets are set here. */
int spool_add_broken(struct spool_unit *u, struct spool_draft *d,
    struct broken *b, struct err *e) MUST_CHECK;
int spool_del_broken(struct spool_unit *u, uint64_t id, struct err *e)
    MUST_CHECK;
/* Frees u.  sync: durable on return.  ERR_FULL: nothing happened, try later
 * (checked before anything is written); ERR_IO with store_failed: the daemon
 * must end. */
int spool_commit(struct spool_unit *u, bool sync, struct err *e) MUST_CHECK;
void spool_abort(struct spool_unit *u);
/* Bodies of deleted messages and leftovers, and the engine's upkeep, in
 * bounded steps; 1 while there is more.  Own transactions. */
int spool_maintain(struct spool *sp, struct err *e) MUST_CHECK;

#endif
