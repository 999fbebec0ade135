/* SPDX-License-Identifier: ISC */
#ifndef NODE_EXCHANGE_H
#define NODE_EXCHANGE_H
/*
 * The exchange: the engine that turns events into actions.  It does no I/O of
 * its own but the spool, asks the injected clock for the time and the injected
 * random source for randomness, so that many of them run in one process under
 * a virtual clock.  The daemon is the same exchange with libevent around it.
 *
 *	x = exchange_new(&opts); exchange_start(x)	reads the spool
 *	forever:
 *		tell it what happened (functions below)
 *		exchange_commit(x)			one flush for all of it
 *		carry out exchange_next_action until 0
 *		sleep until exchange_deadline_ms or the next event
 *
 * What becomes of a recipient:
 *
 *	            accept                 cut / hand to delivery
 *	(nothing) ----------> QUEUED ------------------------------> on its way
 *	                        ^  ^                                   |  |  |
 *	                 release|  | retry, withdrawn, restart         |  |  |
 *	                        |  +-----------------------------------+  |  |
 *	                      HELD          sent, delivered: DONE <-------+  |
 *	                          refused, expired (notice written): FAILED <+
 *
 * When all recipients of a message are DONE or FAILED it is deleted.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "bundle/mail_reader.h"
#include "node/conf.h"
#include "node/keyring.h"
#include "smtp/command.h"
#include "spool/spool.h"

struct exchange;
struct keyring;
struct serials;

struct exchange_options {
	struct clock *clock;
	struct rng *rng;
	struct log *log;
	struct spool *spool;		/* not owned */
	const struct conf *conf;	/* not owned */
	struct keyring *keyring;	/* not owned; NULL: no native peers */
	struct serials *serials;	/* not owned; NULL: none outside the
					 * spool */
};

struct exchange *exchange_new(const struct exchange_options *opts);
void exchange_free(struct exchange *x);
/* Builds the queues from the spool; objects whose files are not known to be
 * whole are asked to be written again. */
int exchange_start(struct exchange *x, struct err *e) MUST_CHECK;
/* The card of a site, that the operator vouches for (node/directory.h). */
int exchange_add_card(struct exchange *x, struct slice card, struct err *e)
    MUST_CHECK;
/* The secret that we share with the site for a purpose, keyring_pair_secret.
 * ERR_NOT_FOUND: no card of it is known, or we have no keys. */
int exchange_pair_secret(struct exchange *x, const char *site,
    const char *label, unsigned char secret_out[KEYRING_PSK_LEN],
    struct err *e) MUST_CHECK;
/* A new configuration: what is not cut is routed anew, mail for a peer that
 * is gone is held.  The old one may be freed afterwards. */
void exchange_reload(struct exchange *x, const struct conf *conf);

/*
 * Submission.
 */
/* size: declared, 0 if unknown.  0: welcome; -1: refused with the reply. */
int exchange_check_recipient(struct exchange *x, const char *address,
    uint64_t size, struct smtp_refusal *r) MUST_CHECK;
/* May a message begin at all (disk, quota)? */
int exchange_check_room(struct exchange *x, uint64_t size,
    struct smtp_refusal *r) MUST_CHECK;
/* After the content: loops, sizes.  m: all but id; taken over (emptied) when
 * 0 is returned, and so is the draft.  It is not yet durable: the answer waits
 * for the completion with this cookie. */
int exchange_accept(struct exchange *x, struct spool_draft *d,
    struct message *m, void *cookie, struct smtp_refusal *r) MUST_CHECK;

struct exchange_completion {
	void *cookie;
	uint64_t id;
	bool durable;			/* else refusal says why not */
	struct smtp_refusal refusal;
};
/* Submitted messages wait for this. */
bool exchange_commit_pending(const struct exchange *x);
/* One transaction, one flush for all that was accepted.  ERR_FULL: they were
 * refused; other errors: the store failed, the daemon must end. */
int exchange_commit(struct exchange *x, struct err *e) MUST_CHECK;
/* 1 with the outcome of one, 0 when there is none. */
int exchange_next_completion(struct exchange *x,
    struct exchange_completion *c_out) MUST_CHECK;
/* The submitter is gone: nobody waits for this cookie's completion. */
void exchange_forget(struct exchange *x, void *cookie);

/*
 * Objects that arrive from a peer.  pickup: octets that tell this pick-up from
 * any other (name, inode, time, hash of the file), for objects that carry no
 * id of ours.
 */
struct inbound;

enum inbound_outcome {
	INBOUND_DONE,		/* all of it is durable: unlink the file */
	INBOUND_DUPLICATE,	/* processed before: unlink */
	INBOUND_BROKEN,		/* put it into the quarantine, then unlink */
	INBOUND_LATER,		/* no room, or the store failed: keep it */
	INBOUND_AGAIN,		/* it is genuine: feed the same octets once
				 * more, from the first, and end again */
	INBOUND_ASIDE,		/* nothing can be done with it, and nothing
				 * was: put the file aside, within a quota */
};

struct inbound *exchange_inbound_new(struct exchange *x, const char *peer,
    const char *name, struct slice pickup);
/* Feeds octets; groups of messages are committed as they fill.  ERR_FULL or
 * ERR_IO: end it, outcome LATER. */
int exchange_inbound_add(struct inbound *in, const char *bytes, size_t len,
    struct err *e) MUST_CHECK;
/* Before any octets: it is not to be looked at, since it is broken; reason is
 * copied.  exchange_inbound_end says BROKEN, or DUPLICATE. */
void exchange_inbound_refuse(struct inbound *in, const char *reason);
/* No more octets.  Commits the rest. */
enum inbound_outcome exchange_inbound_end(struct inbound *in);
/* Why it is broken; valid until freed. */
const char *exchange_inbound_reason(const struct inbound *in);
uint64_t exchange_inbound_messages(const struct inbound *in);
void exchange_inbound_free(struct inbound *in);

/* The quarantine: feed the same octets again.  in tells peer, name and
 * reason, and may be freed after _end; octets: how many there are. */
struct quarantine;
struct quarantine *exchange_quarantine_new(struct inbound *in,
    uint64_t octets);
int exchange_quarantine_add(struct quarantine *q, const char *bytes,
    size_t len, struct err *e) MUST_CHECK;
/* Object, notice to the postmaster and ledger in one transaction; frees q.
 * id_out: its number in the quarantine; may be NULL. */
int exchange_quarantine_end(struct quarantine *q, uint64_t *id_out,
    struct err *e) MUST_CHECK;
void exchange_quarantine_abort(struct quarantine *q);

/*
 * Objects that leave.
 */
struct outbound;
/* The octets of an object that an EXCHANGE_WRITE named. */
int exchange_outbound_new(struct exchange *x, uint64_t object,
    struct outbound **ob_out, struct err *e) MUST_CHECK;
/* Appends about 64 KiB: 1; at the end 0; ERR_CORRUPT: a message in it is
 * damaged: it is put aside, the object withdrawn, the others wait again;
 * ERR_NOT_FOUND: it was withdrawn, since something in it has gone or is
 * damaged, and what is left waits again. */
int exchange_outbound_read(struct outbound *ob, struct buf *out,
    struct err *e) MUST_CHECK;
void exchange_outbound_free(struct outbound *ob);
/* The file is whole and durable under its name in out/. */
int exchange_object_written(struct exchange *x, uint64_t object,
    uint64_t octets, const unsigned char digest[32], struct err *e)
    MUST_CHECK;
/* It could not be written: try later. */
void exchange_object_unwritten(struct exchange *x, uint64_t object,
    const char *why);
/* The filters of its peer refuse it: it is withdrawn, its messages are held
 * until they are released, and the postmaster is told. */
void exchange_object_refused(struct exchange *x, uint64_t object,
    const char *why);
/* A road is a transport of a peer, each with an out/ of its own: PEER, or
 * PEER/TRANSPORT where the configuration names several.  Is this name in its
 * out/ one of ours? (Others are leftovers: remove them.) */
bool exchange_knows_object(struct exchange *x, const char *road,
    const char *name);
/* Asks of each object written for the road whether its file is there, so many
 * octets long; one that is not is written again. */
void exchange_check_objects(struct exchange *x, const char *road,
    bool (*there)(void *ctx, const char *name, uint64_t octets), void *ctx);

/* Objects from this peer wait for another time, as its status then shows;
 * why NULL: they do not. */
void exchange_peer_stuck(struct exchange *x, const char *peer,
    const char *why);

/* What a transport said or did. */
int exchange_transport_sent(struct exchange *x, const char *road,
    const char *name, struct err *e) MUST_CHECK;
void exchange_transport_failed(struct exchange *x, const char *road,
    const char *name, bool permanent, const char *text);
/* It is to begin anew, with other settings, when it has ended or at once: what
 * it failed at before does not count. */
void exchange_transport_renewed(struct exchange *x, const char *road);
/* Something of a file has gone by it, or come. */
void exchange_transport_alive(struct exchange *x, const char *road);
/* A mail that it had sent came back (node/returned.h).  true: what follows
 * from it is durable, or it is a name that nobody knows, so what told of it
 * may be deleted; false: it cannot be stored now, or went to another peer. */
bool exchange_transport_returned(struct exchange *x, const char *road,
    const char *name, bool permanent, const char *text);
/* The same from another side: road NULL is whichever sent it.  1: it was one
 * of ours, and what follows from it is durable; 0: it is not known;
 * ERR_DENIED: it went to another peer than this road's; ERR_FULL, ERR_IO. */
int exchange_returned(struct exchange *x, const char *road, const char *name,
    enum mail_action action, const char *status, const char *text,
    struct err *e) MUST_CHECK;
/* A mail without a sender has come to the bundle address.  facts: of a return;
 * NULL: it is none.  Where nothing is known of it a message with an
 * explanation goes to the postmaster, with the beginning of the mail (at most
 * STRANGE_MAX) of so many octets.  0: durable; ERR_FULL, ERR_IO. */
#define STRANGE_MAX 65536
int exchange_mail_back(struct exchange *x, const char *source,
    const struct mail_facts *facts, struct slice beginning, uint64_t octets,
    struct err *e) MUST_CHECK;
/* It has ended, so that it sends nothing any more.  status: 0, 75, 78 or
 * another; -1: killed, or could not run. */
void exchange_transport_exited(struct exchange *x, const char *road,
    int status, const char *text);

/* Are files that came from this peer being read, or waiting for it?  What they
 * are answered with is gathered until then. */
void exchange_taking_in(struct exchange *x, const char *peer, bool taking);

/*
 * Delivery.
 */
enum delivery_verdict {
	VERDICT_RETRY,
	VERDICT_DONE,		/* it has arrived */
	VERDICT_FAILED,
	VERDICT_RELAYED,	/* handed on to one who tells nobody */
	VERDICT_TRACED,		/* handed on, and that is to be told */
	VERDICT_PASSED,		/* handed on, the duty to tell with it */
};
/* For each recipient of a job that an EXCHANGE_DELIVER gave.  text: as
 * delivery.h says. */
void exchange_delivery_result(struct exchange *x, uint64_t job, size_t rcpt,
    enum delivery_verdict verdict, const char *status, const char *text);
/* The job is over; recipients without a result are to be tried again. */
void exchange_delivery_over(struct exchange *x, uint64_t job);
/* The job was not begun, or is cut short by ourselves: it is ready again. */
void exchange_delivery_return(struct exchange *x, uint64_t job);

/*
 * Actions.
 */
enum exchange_action_kind {
	EXCHANGE_WRITE,		/* make the file of `object` in road's out/ */
	EXCHANGE_UNLINK,	/* remove `name` from road's out/ */
	EXCHANGE_RUN,		/* start road's transport, or tell it `more` */
	EXCHANGE_STOP,		/* the road closes: ask it to end */
	EXCHANGE_DELIVER,	/* hand `job` to delivery number `delivery`;
				 * conf->ndeliveries is `via` */
};

struct exchange_action {
	enum exchange_action_kind kind;
	char *peer;		/* name; freed by exchange_action_release */
	char *road;		/* PEER or PEER/TRANSPORT; the same */
	char *name;
	uint64_t object;
	uint64_t octets;	/* WRITE: of the file if it was whole before
				 * (0: it was not), and its digest: if it is
				 * still there nothing needs writing */
	unsigned char digest[32];
	uint64_t job;
	size_t delivery;
	uint64_t message;
	size_t *rcpt;
	size_t nrcpt;
};

/* 1: one action, which the caller carries out and releases; 0: none now. */
int exchange_next_action(struct exchange *x, struct exchange_action *a_out)
    MUST_CHECK;
void exchange_action_release(struct exchange_action *a);
/* Runs what is due (schedules, retries, expiry, upkeep). */
int exchange_tick(struct exchange *x, struct err *e) MUST_CHECK;
/* Monotonic time when exchange_tick is needed next; INT64_MAX: not at all. */
int64_t exchange_deadline_ms(struct exchange *x);

/*
 * For people: counts and lists, and what an operator orders.
 */
/* Of a transport, or of all that a peer has together. */
struct exchange_road_status {
	uint64_t objects, object_octets;	/* cut and not yet gone */
	bool running, down;
	bool calling;		/* or about to: not yet done with a call */
	bool misconfigured;	/* so it said: it waits for a reload */
	bool gone;		/* not in the configuration any more */
	unsigned failures;
	int64_t next_call_ms;	/* wall clock; INT64_MAX: when wanted */
	int64_t last_sent_ms;	/* wall; 0 never */
	const char *last_error;	/* or "" */
};

struct exchange_peer_status {
	const char *name;
	uint64_t waiting_count, waiting_octets;
	uint64_t held_count;
	uint64_t bundles, bundle_octets;	/* native: those that it does
						 * not have yet, of others
						 * too */
	uint64_t oldest_secs;		/* age of the oldest message */
	int64_t last_received_ms;	/* wall; 0 never */
	struct exchange_road_status road;
};
size_t exchange_peer_count(const struct exchange *x);
void exchange_peer_status(struct exchange *x, size_t i,
    struct exchange_peer_status *st_out);

/* One of a peer's transports. */
struct exchange_lane_status {
	const char *name;		/* "": the peer has one alone */
	const char *path;		/* PEER or PEER/NAME */
	const char *program;
	bool open;			/* by its schedule */
	int64_t retry_ms;		/* wall clock; 0: it is not left
					 * alone */
	struct exchange_road_status road;
};
/* Number k of peer number i; false: there are no more. */
bool exchange_lane_status(struct exchange *x, size_t i, size_t k,
    struct exchange_lane_status *st_out);

struct exchange_counters {
	uint64_t accepted, delivered, failed, notices;
	uint64_t objects_out, objects_in, duplicates, broken;
	uint64_t messages, octets;	/* in the spool now */
	uint64_t deliveries_waiting, deliveries_running;
};
void exchange_counters(const struct exchange *x,
    struct exchange_counters *c_out);

/* Where one recipient of one queued message is, in words. */
struct exchange_where {
	const char *state;	/* "queued" "held" "bundled" "delivering"
				 * "done" "failed" */
	const char *target;	/* "london", "delivery home", ... or "" */
	uint64_t object;	/* when bundled */
	uint64_t next_secs;	/* spool_elapsed_secs of the next attempt */
};
bool exchange_where(struct exchange *x, uint64_t message, size_t rcpt,
    struct exchange_where *w_out);

/* Cuts what waits for a peer and opens its road now: by all of its transports,
 * or by one, PEER/TRANSPORT. */
int exchange_flush(struct exchange *x, const char *road, struct err *e)
    MUST_CHECK;
/* These three are durable with the next exchange_commit, so that an order for
 * many costs one flush. */
int exchange_hold(struct exchange *x, uint64_t message, struct err *e)
    MUST_CHECK;
int exchange_release(struct exchange *x, uint64_t message, struct err *e)
    MUST_CHECK;
/* Deletes without a notice.  ERR_STATE while it is on its way. */
int exchange_delete(struct exchange *x, uint64_t message, struct err *e)
    MUST_CHECK;
/* Forget back-off: try now.  message 0: all. */
int exchange_retry(struct exchange *x, uint64_t message, struct err *e)
    MUST_CHECK;

#endif
