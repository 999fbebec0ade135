/* SPDX-License-Identifier: ISC */
#ifndef NODE_CUSTODY_H
#define NODE_CUSTODY_H
/*
 * Custody from end to end (the native dialect): mail for a far site is cut
 * into lots, each a serial of the flow to that site and one immutable batch.
 * Its bundle goes to transit, and again, until the site's result record says
 * of each recipient what became of it.  Bundles that arrive are opened here,
 * and each of their messages is taken once.
 *
 *	legs for a site --cut--> lot: SEALING --bundle in transit--> UNDERWAY
 *	      ^                        ^                              |  |  |
 *	      |                        +-- lost, or no result yet ----+  |  |
 *	      +-- a new epoch was opened -----------------------------+  |  |
 *	                    result: every leg is settled: gone <---------+  |
 *	  lifetime and grace over: "not confirmed" notices, VOID <----------+
 *
 * A VOID serial is announced, and forgotten once the floor has passed it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct exchange;
struct target;

/* With transit's hooks; keys and serials come from the exchange's options. */
void custody_new(struct exchange *x);
void custody_free(struct exchange *x);
/* After messages and transit: lots claim their legs again. */
int custody_load(struct exchange *x, struct err *e) MUST_CHECK;
/* One bounded step of the work there is: 1 while there is more to do at once,
 * 0 none; negative: the store failed. */
int custody_work(struct exchange *x, struct err *e) MUST_CHECK;
/* Repetitions, expiry, announcements; about once a second is enough. */
int custody_tick(struct exchange *x, struct err *e) MUST_CHECK;
/* Monotonic; INT64_MAX: only when something happens. */
int64_t custody_deadline_ms(struct exchange *x);
/* Forgets flows from other sites of which nothing was heard since; 1 while
 * there is more to do. */
int custody_expire_flows(struct exchange *x, uint64_t before_secs,
    struct err *e) MUST_CHECK;
/* A leg of the lot with this handle is settled, durably; 0: of none. */
void custody_leg_over(struct exchange *x, uint64_t handle);
/* The lot with this handle was handed over, and is to go again now, whatever
 * the wait for its result; nothing if it was not, or is too old. */
void custody_retry(struct exchange *x, uint64_t handle);
/* This site has another identity now, or has lost its keys: what was sealed for
 * the one before goes again. */
void custody_site_replaced(struct exchange *x, const char *site);
/* The peer that mail for a TARGET_SITE leaves by now; NULL: no road. */
struct target *custody_road(struct exchange *x, const struct target *site);

/* `postrider peer test`: an empty serial goes there and its result comes
 * back.  There is one at a time: asked for again, it goes again.  serial_out
 * names it to custody_test_status.  ERR_NOT_FOUND: there is no way to seal
 * anything for that site; the text says what is missing. */
int custody_test(struct exchange *x, const char *site, uint64_t *serial_out,
    struct err *e) MUST_CHECK;

enum custody_stage {
	CUSTODY_SEALING,	/* its bundle is being made, or waits for a
				 * key of the site */
	CUSTODY_QUEUED,		/* sealed; not all of it has left */
	CUSTODY_SENT,		/* to the neighbour, who has not
				 * acknowledged it */
	CUSTODY_UNDERWAY,	/* the neighbour has it */
	CUSTODY_ANSWERED,	/* the site has it, and said so */
};
struct custody_status {
	enum custody_stage stage;
	uint64_t age_secs;	/* since it was cut */
	uint64_t rtt_secs;	/* ANSWERED: from then to the answer */
	unsigned attempts;
	const char *peer;	/* the road, or who has it; NULL: none */
	const char *error;	/* why it cannot be sent there now, or NULL */
};
/* false: there is no such test (any more). */
bool custody_test_status(struct exchange *x, const char *site,
    uint64_t serial, struct custody_status *st_out);

/* Where a recipient is whose mail is in a lot. */
struct custody_where {
	uint64_t epoch, serial;
	enum custody_stage stage;
	unsigned attempts;		/* bundles made of it */
	uint64_t age_secs;		/* since it was cut */
	uint64_t repeat_secs;		/* until it goes again */
	unsigned char bundle[16];	/* id of the last one made; attempts 0:
					 * none */
	/* Of that bundle, while the neighbour does not have all of it. */
	uint64_t octets, sent_octets, acked_octets;
	uint64_t silent_secs;		/* as in struct transit_status */
	unsigned repeats;
	const char *peer;		/* the road; NULL: none */
};
/* Are live keys known of this site, and of those that `via` names for it?  No
 * bundle for it is made before. */
bool custody_has_keys(struct exchange *x, const char *site);
/* rcpt: number in the envelope.  false: it is in none. */
bool custody_where(struct exchange *x, uint64_t message, size_t rcpt,
    struct custody_where *w_out);

/* What a serial's record says of its writing, the neighbour that its bundle is
 * for among it; the caller frees. */
char *custody_params(struct exchange *x, const char *site);
/* Who has taken over the bundle of a serial of ours, as far as is known: the
 * neighbour that acknowledged it, or, when that was before the last start, the
 * one that it was made for; NULL: not known. */
struct serial_out;
const char *custody_handed_to(struct exchange *x, const struct serial_out *s);

struct custody_counters {
	uint64_t lots, results, repeats, unconfirmed, epochs, conflicts;
	uint64_t opened, refused, duplicates;
};
void custody_counters(const struct exchange *x,
    struct custody_counters *out);

#endif
