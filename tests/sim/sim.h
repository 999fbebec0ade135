/* SPDX-License-Identifier: ISC */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H
/*
 * Three to fifty nodes and everything between them, in one process under one
 * virtual clock.  Each happening is an event in a heap; what a node does
 * follows from its events alone, so a seed tells the whole story again.
 *
 *	plan.c	what the world is like	site.c	a node: life, crash, actions
 *	world.c	time and events		haul.c	files between nodes
 *	fault.c	what goes wrong		mails.c	what is submitted
 *	crew.c	many worlds at once	truth.c	what was promised and came
 *	curve.c	key agreement, without a curve
 *	keys.c	keys, cards, backups	check.c	the reckoning
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "node/exchange.h"
#include "spool/store.h"

#define SITES_MAX 50
#define MINUTE_MS 60000
#define HOUR_MS (60 * (int64_t)MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)

struct world;
struct site;

enum event_kind {
	EVENT_SUBMIT,		/* of a site: arg mails come in */
	EVENT_TIMER,		/* its exchange asked for it; arg: which */
	EVENT_WRITE,		/* arg: road; a piece of an object */
	EVENT_HAUL,		/* arg: road; its transport does something */
	EVENT_ARRIVE,		/* arg: road; a file is there now */
	EVENT_INTAKE,		/* a piece of a file that came */
	EVENT_DELIVER,		/* arg: job */
	EVENT_RESTART,
	EVENT_FAULT,		/* of the world; no site */
	EVENT_KINDS
};

struct event {
	int64_t at_ms;
	uint64_t number;
	enum event_kind kind;
	struct site *site;
	unsigned life;		/* of the site; 0: whichever */
	uint64_t arg;
	struct parcel *parcel;	/* ARRIVE */
};

/* A file in some directory. */
struct parcel {
	struct list link;
	char *name;
	uint64_t inode;
	struct buf bytes;
	bool tried;		/* in the present run of the transport */
	bool damaged;
};

/* The octets of an object are the same whenever they are made. */
struct made {
	struct list link;
	char *name;
	unsigned char digest[SHA256_LEN];
};

/* OLD: nobody acknowledges anything.  MIXED: some sites at the edge speak old
 * dialects with their gates. */
enum realm { REALM_OLD, REALM_NATIVE, REALM_MIXED };

enum tongue { TONGUE_RFC2442, TONGUE_BSMTP, TONGUE_NATIVE };

/* How one end of a link is set up. */
struct side {
	unsigned every_hours;	/* calls; 0: when something waits */
	bool nights;		/* and in those hours only */
	unsigned batch_count;	/* 0: the default */
	unsigned batch_age_mins;
	bool binary;		/* carries what does not end in CR LF */
	uint64_t parcel_octets;	/* native; 0: the default */
	uint64_t shape;		/* 0: none, 1: padme, else so many octets */
	bool each;		/* compress */
};

struct link {
	size_t site[2];
	unsigned lanes;		/* transports at each end: 1 or 2 */
	unsigned cost;
	enum tongue tongue;
	bool gzip;
	bool sign;		/* native: in clear */
	int64_t way_ms, worst_ms;	/* how long files travel */
	int64_t dead_until_ms;
	struct side side[2];
};

/* Each happens one time in so many; 0: never. */
struct weather {
	uint64_t unwritten, carrier, killed, torn, failed, refused, twice,
	    deferred, returned, swept, stillborn;
	/* of native links alone */
	uint64_t lost, flipped, shortened, lengthened, replayed, astray;
	uint64_t fault_gap_ms;
	bool partitions, absences, jumps, full_disks;
	/* of native worlds alone */
	bool restores, rebuilds, deaths, rotations, silence;
};

/* Of each transport of a peer. */
struct road {
	struct site *site, *to;
	unsigned lane;		/* 0 or 1 */
	char *peer_lane;	/* what the exchange calls it */
	struct link *way;
	struct list out, in;	/* parcels */
	struct list past;	/* some that went, to come again */
	size_t npast;
	struct list made;
	bool running, stopping;
	struct outbound *outbound;
	uint64_t object;
	char *name;
	struct buf bytes;	/* written so far */
};

struct job {
	struct list link;
	struct exchange_action a;
};

/* A spool as it was. */
struct backup {
	struct list link;
	struct store_mem_disk *disk;
	int64_t at_ms;
};

struct site {
	struct world *world;
	size_t index;
	const char *name;
	struct clock clock;
	int64_t wall_wrong_ms;	/* how wrong its clock is from the start */
	int64_t wall_offset_ms;
	struct log *log;
	struct conf *conf;
	struct store_mem_disk *disk;
	char *dir;		/* of Berkeley DB, or NULL */
	struct spool *spool;
	struct exchange *x;
	bool up, dead;
	int64_t full_until_ms;	/* its disk */
	bool lost_state;	/* it was restored or rebuilt */
	struct site *gate;	/* of one at the edge, its only neighbour */
	struct keyring *keyring;
	struct serials *serials;
	struct list key_files, backups;
	struct buf card;	/* as the operators have it */
	bool card_new;		/* those of the others have not */
	unsigned life;
	uint64_t timer;
	int64_t timer_ms;	/* when it comes; 0: not */
	int64_t wanted_ms;	/* when it should */
	struct road *road;
	size_t nroads;
	struct list jobs;
	/* the file being taken in */
	struct inbound *inbound;
	struct parcel *parcel;
	struct road *from;
	size_t fed;
	bool eaten;		/* done with, to be removed */
	bool asked_intake;
	uint64_t happened[EVENT_KINDS];
};

struct rcpt_truth {
	char *address;
	int notify;		/* as smtp_notify_parse says */
	unsigned delivered;
	unsigned failed, delayed, relayed, arrived;	/* told of */
	unsigned unsure;	/* of those failed: not confirmed */
	int64_t when_ms;	/* when it was delivered last */
	bool may_lose, may_repeat;	/* since a site lost its state */
	struct site *where;	/* delivered from this message there */
	uint64_t message;
};

struct mail {
	uint64_t id;
	struct site *at;	/* where it was submitted */
	char *sender;		/* "" is null */
	unsigned char digest[SHA256_LEN];
	struct rcpt_truth *rcpt;
	size_t nrcpt;
	bool open;		/* does not end in CR LF */
	bool accepted;
};

/* What was played, by all processes together. */
#define SIZES 5
struct tally {
	_Atomic uint64_t worlds[SIZES][3];	/* of a size, of a realm */
	_Atomic uint64_t mails, files, crashes;
};

struct settings {
	uint64_t seed;
	bool bdb;
	bool calm;		/* neither faults nor losses */
	size_t sites;		/* 0: as the seed says */
	size_t most;		/* sites; 0: SITES_MAX */
	int realm;		/* -1: as the seed says */
	uint64_t events;	/* at most; 0: the default */
	const char *dir;	/* for stories and databases */
	bool verbose;
	bool story;		/* is it written down? */
	struct tally *tally;	/* or NULL */
};

struct world {
	struct settings set;
	struct rng_seeded rng;
	struct weather weather;
	enum realm realm;
	bool strict;		/* results always get through in time */
	unsigned lifetime_days;
	uint64_t key_days;	/* that a receiving key lives */
	int64_t faults_end_ms, now_ms;
	struct link *link;
	size_t nlinks;
	struct event *heap;
	size_t nheap, cap, ntimers;
	uint64_t numbers, events;
	struct site *site;
	size_t nsites;
	struct mail **mail;
	size_t nmails;
	struct buf story;
	unsigned wrongs;
	bool quiet;		/* faults are over */
	bool chatting;		/* it ended while keys were announced */
	uint64_t files;		/* that were sent */
	uint64_t crashes, repeats, losses, torn, absences, partitions;
	uint64_t damaged, restores, rebuilds, deaths, rotations, unsure;
	size_t held_most;	/* octets that an exchange kept in memory */
};

/* curve.c */
/* From now on keys agree without any curve. */
void curve_pretend(bool pretend);

/* world.c */
/* 0, or 1 if something was wrong; prints a line about it. */
int world_run(const struct settings *set);
uint64_t roll(struct world *w, uint64_t limit);
/* One in n, while faults are on; never where n is 0. */
bool mishap(struct world *w, uint64_t n);
void event_add(struct world *w, int64_t in_ms, enum event_kind kind,
    struct site *site, uint64_t arg, struct parcel *parcel);
void tell(struct world *w, const char *who, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Something that must not be. */
void wrong(struct world *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* plan.c */
/* Sites, links and weather; only names and numbers, nothing is started. */
/* A number that follows from the seed, the link and n, whatever happened
 * before. */
uint64_t plan_hash(const struct world *w, const struct link *l, uint64_t n);
void plan_make(struct world *w);
/* The configuration of a site. */
struct conf *plan_conf(struct site *s);
/* The site whose domain an address is in, or NULL. */
struct site *plan_home(struct world *w, const char *address);

/* fault.c */
void fault(struct world *w);

/* keys.c */
void safe_init(struct site *s);
void safe_release(struct site *s);
/* Makes the keyring from its files; keys where there are none. */
void safe_open(struct site *s);
void safe_close(struct site *s);
/* All files are lost: it will be another identity. */
void safe_forget(struct site *s);
/* The card of each other site, as its operator gave it. */
void safe_give_cards(struct site *s);
void safe_rotate(struct site *s);
void backup_make(struct site *s);
/* While it is down: an old spool takes the place of the present one, or a new
 * one does. */
void backup_restore(struct site *s);
void backup_rebuild(struct site *s);

/* crew.c */
struct crew {
	struct settings set;	/* of the first */
	uint64_t runs, secs, least;	/* so many, or for so long, but at
					 * least so many */
	unsigned jobs;
	bool bdb;		/* all of them */
};
/* Plays worlds until there were enough; how many were bad. */
uint64_t crew_play(const struct crew *c);

/* site.c */
void site_init(struct site *s);
void site_release(struct site *s);
void site_start(struct site *s);
/* As when the power fails; comes back after a while. */
void site_crash(struct site *s);
/* The same, and it stays away for so long. */
void site_absent(struct site *s, int64_t ms);
/* The same, for ever. */
void site_die(struct site *s);
/* Commits, answers submitters, carries out actions; after every event. */
void site_settle(struct site *s);
void site_timer(struct site *s);
void site_deliver(struct site *s, uint64_t number);
bool site_is_empty(struct site *s);
/* No mail, but announcements may be under way. */
bool site_has_no_mail(struct site *s);
/* By PEER, or PEER/TRANSPORT where it has several. */
struct road *site_road(struct site *s, const char *name);
int site_open_spool(struct site *s, struct err *e) MUST_CHECK;
/* Appends the content of a message. */
int site_read(struct site *s, uint64_t id, struct buf *content, struct err *e)
    MUST_CHECK;

/* haul.c */
struct parcel *parcel_new(struct world *w, const char *name, struct slice b);
void parcel_free(struct parcel *p);
struct parcel *parcel_find(struct list *dir, const char *name);
void haul_write(struct road *r, const struct exchange_action *a);
void haul_write_step(struct road *r);
void haul_run(struct road *r);
void haul_step(struct road *r);
void haul_arrive(struct road *r, struct parcel *p);
void haul_intake(struct site *s);
/* A crash ends what was under way. */
void haul_drop(struct site *s);
/* Leftovers of a crash in out/ go, and now and then something is lost. */
void haul_sweep(struct site *s);

/* mails.c */
void mails_submit(struct site *s, uint64_t n);
void mails_completed(struct site *s, const struct exchange_completion *c);
/* By its number, or NULL. */
struct mail *mails_find(struct world *w, uint64_t id);
struct rcpt_truth *mails_rcpt(struct mail *mail, struct slice address);
void mails_free(struct world *w);

/* truth.c */
/* What a Maildir would say; records what came. */
enum delivery_verdict truth_deliver(struct site *s, const struct message *m,
    size_t rcpt, struct slice content, const char **status_out);
/* Whatever this site keeps may be lost, what it delivered since then may come
 * again. */
void truth_excuse(struct site *s, int64_t since_ms);

/* check.c */
void check_all(struct world *w);
/* Tells why it does not come to rest. */
void check_rest(struct world *w);
/* Nothing is left in a spool that came to rest. */
void check_spool(struct site *s);

#endif
