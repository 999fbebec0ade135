/* SPDX-License-Identifier: ISC */
#ifndef NODE_EXCHANGE_PRIVATE_H
#define NODE_EXCHANGE_PRIVATE_H
/*
 * What the files of the exchange share among themselves: the index of what
 * waits, in memory, bounded by the quotas.  Each message is an entry; the
 * recipients of it that go to the same target are a leg; a target is a peer, a
 * site that native bundles go to, a delivery, or `limbo`, where legs stay that
 * lead nowhere now.  The road to a peer has one lane or more: a lane is one of
 * its transports, with the objects that are before it.
 *
 *	exchange.c  life, group commit	queue.c     the index
 *	action.c    what is to be done
 *	submit.c    what may come in	settle.c    outcomes
 *	report.c    who is told what
 *	lane.c      which transport	road.c      when it runs
 *	cut.c       objects for peers
 *	answer.c    calls for answers
 *	dialect.c   what differs	operate.c   orders
 *	batch.c     objects of batches	outbound.c  their octets
 *	returned.c  mails that come back
 *	inbound.c   batches from peers	quarantine.c  broken ones
 *	forget.c    what is not for ever	withhold.c  what filters refuse
 */
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "node/exchange.h"

enum target_kind { TARGET_PEER, TARGET_SITE, TARGET_DELIVERY, TARGET_LIMBO };

/* Of a call that brought bundles: see node/answer.c. */
enum road_answer { ANSWER_NONE, ANSWER_OWED, ANSWER_GIVEN };

enum leg_status {
	LEG_READY,	/* in target->ready */
	LEG_LATER,	/* in target->later until next_secs */
	LEG_HELD,	/* in target->held */
	LEG_CUT,	/* in an object */
	LEG_RUNNING,	/* in a delivery job, or being settled */
};

struct dialect;
struct lane;
struct neighbour;
struct notice_head;
struct notice_recipient;
struct target;
struct transit;

struct leg {
	struct list link;
	struct entry *entry;
	struct target *target;
	enum leg_status status;
	unsigned attempts;
	uint64_t next_secs;
	uint64_t object;	/* LEG_CUT: object, or handle of the lot */
	bool unsure;		/* of a serial that was never answered */
	bool doubtful;		/* it was under way in an older epoch */
	bool passed_over;	/* RUNNING: all others were routed anew */
	uint16_t *rcpt;		/* open recipients, or NULL: one, in `one` */
	uint16_t nrcpt, one;
};

struct entry {
	uint64_t id;
	uint64_t octets;
	uint64_t accepted_secs;
	enum message_kind kind;
	unsigned needs;		/* envelope_needs */
	unsigned uses;		/* envelope_uses */
	uint32_t open;		/* recipients not yet settled */
	uint32_t settling;	/* of them written as settled, not yet here */
	uint64_t release_secs;	/* FUTURERELEASE: not before; 0: none */
	uint64_t by_secs;	/* DELIVERBY with R: not after; 0: none */
	uint64_t late_secs;	/* with N: late from then on; 0: none */
	int8_t rank;		/* higher ones go first; above 0: at once */
	bool recorded;		/* has a state record */
	bool success;		/* somebody wants to know of success */
	bool delay_asked;	/* of delay, and has not been told */
	bool delay_left;	/* left NOTIFY away, and was not told of it */
	bool postponed;		/* a notice of it was, and that was logged */
	size_t nlegs;
	struct leg leg[];
};

struct target {
	enum target_kind kind;
	char *name;
	size_t index;			/* delivery number */
	const struct conf_peer *peer;	/* NULL: gone from the configuration */
	struct list ready, later, held;
	uint64_t ready_count, ready_octets, later_count, held_count;
	uint64_t later_octets;
	unsigned running;		/* jobs of a delivery */
	unsigned failures;		/* in a row, of a server */
	int64_t pause_ms;		/* monotonic: not before */
	/* peers */
	struct lane **lane;		/* as configured; then those that are
					 * gone */
	size_t nlanes;
	bool taking;			/* files that came are being read */
	unsigned urgent;		/* legs waiting of rank above 0 */
	bool down;			/* all lanes are: alternates are
					 * preferred */
	int64_t last_received_ms;
	struct neighbour *neighbour;	/* transit's; or NULL */
	char *stuck;			/* why objects from it wait; NULL */
	unsigned broken_told;		/* notices in the present hour */
	unsigned broken_untold;
	int64_t broken_hour_ms;
};

struct lane {
	struct target *target;
	char *name;			/* of its section, or "" */
	char *road;			/* PEER, or PEER/NAME */
	const struct conf_lane *conf;	/* NULL: gone from the configuration */
	struct list objects;		/* struct cut */
	unsigned nobjects, nwritten;
	uint64_t object_octets;
	unsigned failures;		/* in a row */
	int64_t pause_ms;		/* monotonic: not before */
	int64_t shun_ms;		/* monotonic: gets nothing before */
	int64_t life_ms;		/* monotonic: the last sign of it */
	bool given_up;			/* told to end, for lack of one */
	bool renewed;			/* a reload has it begin anew */
	bool misconfigured;		/* so it said: it waits for that */
	int64_t cut_ms;			/* monotonic: the last cut, or 0 */
	bool wanted;			/* somebody asked: flush */
	enum road_answer answer;
	bool brings;			/* what comes was brought by a call */
	bool again;			/* its transport ended before it saw
					 * all that was written for it */
	bool ordered;			/* it stays, and was called out of
					 * hours: it ends when it is idle */
	int64_t active_ms;		/* monotonic: began, sent, received */
	bool up;			/* its transport runs */
	bool told;			/* nothing new since RUN was said */
	bool down;			/* it failed too often */
	bool refused;			/* a parcel was, in the last call */
	unsigned returned;		/* mails in a row (returned.h) */
	uint64_t returned_secs;		/* the last one was */
	bool last_full;			/* its last parcel was */
	bool stale;			/* something in its parcels is gone */
	int64_t last_call_ms;		/* wall; INT64_MIN: never */
	int64_t last_sent_ms;
	uint64_t last_chance_secs;	/* when it was last tried */
	bool chance;			/* it was tried at all */
	uint64_t call_secs;		/* when the last call began */
	uint64_t past_call_secs;	/* the last that went well to its end */
	char *last_error;
};

/* An object on its way; the parts stay in the spool's record. */
struct cut {
	struct list link;
	uint64_t id;
	const struct dialect *dialect;
	enum object_status status;
	struct lane *lane;
	char *name;
	uint64_t octets;	/* once written */
	uint64_t weight;	/* octets of its messages */
	int rank;		/* of the most urgent of them */
	const struct lane *refused;	/* the last that did so for good */
	uint64_t cut_secs;
	unsigned char digest[32];
	bool asked;		/* EXCHANGE_WRITE was said */
	bool missing;		/* not to be sent before written again */
	bool offered;		/* written when its transport began */
};

struct accepted {
	struct list link;
	struct spool_draft *draft;
	struct message m;
	void *cookie;
	bool waited;		/* somebody waits for the cookie */
};

struct completed {
	struct list link;
	struct exchange_completion c;
};

struct verdict {
	enum delivery_verdict verdict;	/* RETRY, DONE or FAILED */
	enum delivery_verdict how;	/* DONE: or RELAYED or PASSED */
	bool told;
	char status[12];
	char *text;
};

/* Outcomes of one leg, to be written with the next commit. */
struct outcome {
	struct list link;
	uint64_t job;
	struct leg *leg;
	struct verdict *verdict;	/* for each of leg->rcpt */
	bool expired;
	bool own_words;		/* the texts are ours, not an agent's */
	struct report *report;	/* the notice, while committing */
};

/* A notice that is written but not yet in the spool. */
struct report {
	struct list link;
	struct spool_draft *draft;
	struct message m;
	uint64_t about;
};

struct pending_action {
	struct list link;
	struct exchange_action a;
};

struct exchange {
	struct clock *clock;
	struct rng *rng;
	struct log *log;
	struct spool *spool;
	const struct conf *conf;
	struct map *entries;		/* u64 id -> struct entry */
	struct map *cuts;		/* u64 id -> struct cut */
	struct map *jobs;		/* u64 job -> struct outcome */
	struct serials *serials;
	struct directory *directory;
	struct custody *custody;
	uint64_t next_job;
	struct target **target;
	size_t ntargets;
	struct target *limbo;
	struct list accepted, completed, outcomes, actions;
	uint64_t accepted_octets;
	uint64_t messages, octets;
	uint64_t delays_asked;		/* entries with delay_asked */
	struct exchange_counters counters;
	struct transit *transit;
	int64_t last_tick_ms;
	int64_t walk_ms;		/* monotonic: the next begins */
	unsigned walk;			/* over which of the ledgers */
	uint64_t by_secs;		/* when the first DELIVERBY ends */
	bool maintain;			/* the spool has more upkeep to do */
	uint64_t commits;		/* of outcomes, so far */
	bool unflushed;			/* orders wait for the next flush */
	bool dirty;			/* something may be ready: pump */
};

/* Of mail whose far site may have it (design: Custody). */
#define NOT_CONFIRMED "not confirmed: no word came back from the far site " \
	"within its lifetime; it may have been delivered"
#define STATUS_DAMAGED "5.3.0"	/* the spool lost the content */
#define JOBS_MAX 128	/* handed to one delivery at a time */
#define OBJECTS_MAX 64	/* outstanding for one peer */

/* queue.c */
void queue_targets(struct exchange *x);		/* after (re)configuration */
void queue_free(struct exchange *x);
struct target *queue_peer(const struct exchange *x, const char *name);
/* Of a site that native bundles go to. */
struct target *queue_site(struct exchange *x, const char *site);
/* The peer that a target's mail leaves by: itself, or of a site the road
 * there; NULL: none. */
const struct target *queue_road(struct exchange *x, const struct target *t);
/* How long mail may wait for t; NULL: for nothing in particular. */
uint64_t queue_lifetime_secs(struct exchange *x, const struct target *t);
/* For an object whose peer may have left the configuration. */
struct target *queue_peer_or_gone(struct exchange *x, const char *name);
/* Puts a message into the index; st may be NULL: all queued. */
struct entry *queue_add(struct exchange *x, const struct message *m,
    const struct message_state *st);
/* Gives these recipients of a message, which wait, a leg of their own for t,
 * LEG_CUT; NULL if they do not wait.  Only while the spool is loaded. */
struct leg *queue_claim(struct exchange *x, uint64_t message,
    const uint16_t *rcpt, size_t n, struct target *t);
void queue_forget(struct exchange *x, struct entry *entry);
const uint16_t *leg_rcpt(const struct leg *leg);
void leg_set_rcpt(struct leg *leg, const uint16_t *rcpt, size_t n);
/* Takes a leg out of whatever list it is in; puts it into another. */
void leg_ready(struct leg *leg);
/* The same, unless its message is not to be released yet: true. */
bool leg_wake(struct leg *leg, uint64_t now_secs);
void leg_later(struct leg *leg, uint64_t next_secs);
void leg_hold(struct leg *leg);
void leg_take(struct leg *leg, enum leg_status status);
/* Routes everything that waits anew. */
void queue_reroute(struct exchange *x);
/* One of a delivery is back to be tried again: if that was while the others
 * were routed, it is now.  The entry may be another from then on. */
void queue_reroute_late(struct exchange *x, struct leg *leg);
/* Legs whose time has come become ready. */
void queue_wake(struct target *t, uint64_t now_secs);
/* All that wait for their next attempt become ready. */
void queue_wake_all(struct target *t, uint64_t now_secs);
struct target *queue_route(struct exchange *x, const char *address,
    enum message_kind kind);

/* submit.c */
bool submit_may_send(const struct conf_peer *from, const char *sender);
/* All that an arriving message's recipient is held against.  from: NULL is
 * nobody we know.  m: envelope, facts, hops.  -1 with the refusal. */
int submit_vet(struct exchange *x, const struct conf_peer *from,
    const struct message *m, const char *address, struct smtp_refusal *r)
    MUST_CHECK;
/* The address that mail for it is stored under ("postmaster" is ours). */
const char *submit_address(const struct exchange *x, const char *address);

/* Leaves each address in the envelope once, the first. */
void submit_unique(struct envelope *env);

/* settle.c */
struct outcome *outcome_new(struct exchange *x, struct leg *leg);
void outcome_free(struct outcome *o);
void outcome_set(struct outcome *o, size_t i, enum delivery_verdict v,
    const char *status, const char *text);
/* To be written with the next commit. */
void outcome_queue(struct exchange *x, struct outcome *o);
/* Before the unit begins: builds notices.  In it: changes.  After: index. */
int settle_prepare(struct exchange *x, struct list *batch, struct err *e)
    MUST_CHECK;
int settle_write(struct exchange *x, struct spool_unit *u,
    struct outcome *o, struct err *e) MUST_CHECK;
void settle_done(struct exchange *x, struct outcome *o);
/* No room for its notice: what failed is to be tried again. */
void settle_postpone(struct exchange *x, struct outcome *o, const char *why);
/* The transaction with it came to nothing: it can be written again. */
void settle_undo(struct outcome *o);
/* Does it need a notice? */
bool settle_has_notice(const struct outcome *o);
/* Octets that deleting what this outcome settles puts into the log. */
size_t settle_weight(const struct outcome *o);
/* All recipients of a leg fail for one reason. */
void settle_fail(struct exchange *x, struct leg *leg, const char *status,
    const char *text, bool expired);

/* report.c */
/* Of a notice to the postmaster; lives as long as the configuration. */
struct notice_head report_head(const struct exchange *x);
struct report_about {
	const struct message *message;
	const struct notice_recipient *rcpt;
	size_t nrcpt;
	bool to_sender;			/* else to the postmaster */
	struct slice header;		/* of a message not in the spool */
	bool whole;			/* header: all of the message */
	const struct target *target;	/* whose words they are, or NULL */
};
int report_new(struct exchange *x, const struct report_about *about,
    struct report **r_out, struct err *e) MUST_CHECK;
void report_free(struct report *r);
/* In a transaction; then, when that is durable, into the index: frees r. */
int report_put(struct spool_unit *u, struct report *r, struct err *e)
    MUST_CHECK;
void report_done(struct exchange *x, struct report *r);
/* A notice about it cannot be stored now: logged until one can. */
void report_postponed(struct exchange *x, struct entry *entry,
    const char *why);
/* Is there somebody who can be told? */
bool report_has_sender(const struct message *m);
bool report_wants(const struct recipient *rcpt, enum smtp_notify what);
/* Did it not say NEVER? */
bool report_may_tell(const struct recipient *rcpt);
/* What of this the index keeps. */
void report_hints(const struct message *m, const struct message_state *st,
    struct entry *entry);
/* For a leg that went where the parameters of these extensions go; NULL: there
 * is nothing to tell, or it is for others. */
int report_relayed(struct exchange *x, const struct leg *leg,
    unsigned extensions,
    struct report **r_out, struct err *e) MUST_CHECK;
/* Tells of delays that are due; true while there are more. */
bool report_delays(struct exchange *x);

/* lane.c */
/* Makes the lanes that the configuration of t names; others stay for what is
 * before them. */
void lanes_configure(struct target *t);
void lanes_free(struct target *t);
/* By road: PEER or PEER/NAME; NULL: there is none. */
struct lane *lane_find(const struct exchange *x, const char *road);
/* For an object whose transport, or peer, may have left the configuration. */
struct lane *lane_find_or_gone(struct exchange *x, const char *road);
/* Of all that is before them. */
uint64_t lanes_octets(const struct target *t);
/* Not the only one of its peer? */
bool lane_has_others(const struct lane *l);
/* For the log: its name, NULL where the peer has one alone. */
const char *lane_word(const struct lane *l);
/* May it be used now: is its schedule open, and it not left alone? */
bool lane_is_usable(struct exchange *x, const struct lane *l);
/* Does it take this at all, as configured? */
bool lane_takes(const struct lane *l, int priority, uint64_t octets);
/* Would what has this priority and size go by it, were it usable? */
bool lane_gets(struct exchange *x, const struct lane *l, int priority,
    uint64_t octets);
/* By which it would go now; NULL: by none. */
struct lane *lane_for(struct exchange *x, const struct target *t,
    int priority, uint64_t octets);
/* What of the mail that is ready for a target would go by a lane; not more of
 * it than makes a bundle. */
struct share {
	uint64_t count, octets;
	const struct leg *first;	/* NULL: nothing */
};
struct share lane_share(struct exchange *x, const struct target *t,
    const struct lane *l);
/* Is it enough for an object to p, by its count or its octets? */
bool share_is_full(const struct conf_peer *p, const struct share *s);
/* Would this mail go by l, were it usable? */
bool lane_gets_leg(struct exchange *x, const struct lane *l,
    const struct leg *leg);
/* Has one that takes it been tried since then?  True where none does. */
bool lanes_were_tried(const struct target *t, int priority, uint64_t octets,
    uint64_t since_secs);
/* Has any been, whatever it takes? */
bool lanes_any_tried(const struct target *t, uint64_t since_secs);

/* cut.c */
int cut_load(struct exchange *x, struct err *e) MUST_CHECK;
/* Makes objects of what waits for l, as its dialect says, and asks for their
 * files. */
void cut_pump(struct exchange *x, struct lane *l);
/* What lies before a lane that cannot be used now goes by another that can. */
void cut_hand_on(struct exchange *x, struct target *t);
/* For dialects: c, with all that is in it, goes by another lane. */
int cut_move(struct exchange *x, struct cut *c, struct lane *to,
    struct err *e) MUST_CHECK;
/* For dialects: records an object of parts or params for l, and gives it a
 * name; NULL, logged, if that fails. */
struct cut *cut_object(struct exchange *x, struct lane *l, struct object *o);
/* Adds to what it weighs. */
void cut_weigh(struct cut *c, uint64_t octets);
/* Writes the record anew, durably. */
int cut_record(struct exchange *x, struct object *o, struct err *e)
    MUST_CHECK;
/* Monotonic: until then what waits gathers for the next object. */
int64_t cut_pace_ms(const struct lane *l);
/* Takes an object back: its messages wait again. */
int cut_withdraw(struct exchange *x, struct cut *c, struct err *e) MUST_CHECK;

/* road.c */
void road_pump(struct exchange *x, struct lane *l);
void road_failed(struct exchange *x, struct lane *l, const char *why);
void road_good(struct exchange *x, struct lane *l);
/* What was misconfigured is tried with the configuration of now. */
void road_reload(struct target *t);
/* A peer is down when all its lanes are. */
void road_judge(struct exchange *x, struct target *t, const char *why);
int64_t road_deadline_ms(struct exchange *x, struct lane *l);
/* Is there something that a call would carry? */
bool road_has_load(struct exchange *x, const struct lane *l);
bool road_is_open(struct exchange *x, const struct lane *l);
/* Is a call due by the schedule now? */
bool road_is_due(struct exchange *x, struct lane *l);
/* Is a call under way that takes along what comes now? */
bool road_is_taking(struct exchange *x, const struct lane *l);
/* Is what lies before a transport that does nothing better given to another?
 * Then it is told to end. */
void road_lose_patience(struct exchange *x, struct lane *l);
/* Is a call under way, or about to begin, or not yet answered? */
bool road_is_calling(const struct lane *l);
/* Back-off for a number of failures, with a little chance in it. */
uint64_t backoff_secs(struct exchange *x, unsigned failures, uint64_t min,
    uint64_t max);

/* answer.c */
/* A parcel with bundles came in. */
void answer_brought(struct exchange *x, struct target *t);
/* Is what answers the last call to leave now, by one call more? */
bool answer_is_due(struct exchange *x, const struct lane *l);
/* It is due, and there is nothing to say after all. */
void answer_none(struct exchange *x, struct lane *l);
/* A transport is started. */
void answer_begins(struct lane *l);

/* operate.c */
/* The leg of a message that is in this object to a peer; NULL: none. */
struct leg *leg_cut_into(struct exchange *x, uint64_t message,
    uint64_t object);
/* Writes that the recipients of a leg are so; others stay as they were. */
int leg_record(struct exchange *x, struct spool_unit *u,
    const struct leg *leg, enum recipient_status status, struct err *e)
    MUST_CHECK;
/* The leg that has this recipient, NULL: it is settled. */
const struct leg *leg_with(const struct entry *entry, size_t rcpt);

/* quarantine.c */
/* Is the postmaster to be told of one more object of this peer now?  Else it
 * counts as untold. */
bool quarantine_may_tell(struct exchange *x, struct target *t);
/* All but the content of a message to him. */
void quarantine_fill_notice(struct exchange *x, struct message *m);
/* Removes the oldest broken object if it is due: 1, else 0. */
int quarantine_expire(struct exchange *x, struct err *e) MUST_CHECK;

/* forget.c */
/* A bounded step over what is remembered, if the time for it has come; 1 while
 * there is more.  now: spool_elapsed_secs. */
int forget_step(struct exchange *x, uint64_t now, struct err *e) MUST_CHECK;

/* action.c */
/* A new action at the end of those that are due, for the transport and its
 * peer. */
struct exchange_action *action_for_lane(struct exchange *x,
    enum exchange_action_kind kind, const struct lane *l);

/* exchange.c */
uint64_t now_secs(struct exchange *x);
void exchange_refused_full(struct smtp_refusal *r);

#endif
