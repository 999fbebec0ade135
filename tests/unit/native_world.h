/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_NATIVE_WORLD_H
#define TESTS_UNIT_NATIVE_WORLD_H
/*
 * Three sites in a row, paris, london and oslo, that speak the native dialect:
 * paris and oslo know each other's cards and have no road but over london.
 * Real custody, transit and keys, under a clock that the test turns.
 */
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "node/custody.h"
#include "node/directory.h"
#include "node/exchange_private.h"
#include "node/keyring.h"
#include "node/serials.h"
#include "spool/custody.h"

#define NW_SITES 3

struct nw;
struct nw_site;

/* Files on their way from one to another. */
struct nw_road {
	struct nw_site *from, *to;
	struct list out;	/* in out/ */
	struct list medium;	/* on the stick, if w->stick */
	struct list in;		/* taken from there, not yet read */
	int64_t read_ms;	/* when the next of them is */
	bool cut;		/* its transport fails */
	bool running;		/* until it is stopped, if w->stays */
	int lose;		/* so many of the next files */
	int twice;		/* so many arrive twice */
	unsigned sent;		/* files */
	uint64_t octets;
	struct buf seen;	/* all that was ever on it, if w->watch */
};

struct nw_site {
	struct clock clock;	/* first */
	int64_t wrong_ms;	/* of its wall clock */
	struct nw *w;
	const char *name;
	struct conf *conf;
	struct log *log;	/* told where NATIVE_LOG is set */
	struct store_mem_disk *disk;
	struct spool *spool;
	struct exchange *x;
	struct keyring *keyring;
	struct map *entries;	/* of the keyring's store: name -> char * */
	struct serials *serials;
	struct rng_seeded rng;
	struct nw_road road[NW_SITES];
	unsigned delivered;	/* recipients */
	struct buf mails;	/* what came: "to ADDRESS\n", content */
	bool down;
	bool full;		/* its disk */
};

struct nw {
	int64_t now_ms;
	struct nw_site site[NW_SITES];
	const char *more[NW_SITES];	/* in the configuration of the peers */
	struct smtp_timing timing;	/* of what is submitted */
	bool watch;
	bool stays;		/* transports run until they are stopped */
	bool stick;		/* files wait for the receiver's call */
};

enum { AT_PARIS, AT_LONDON, AT_OSLO };

int nw_set_up(void **state);
int nw_tear_down(void **state);
/* With other lines in the peers' sections of a site; before that the world
 * has to be torn down. */
struct nw *nw_new(const char *paris, const char *london, const char *oslo);
/* And with wall clocks that are wrong by so much, one for each site. */
struct nw *nw_new_wrong(const char *paris, const char *london,
    const char *oslo, const int64_t *wrong_secs);
void nw_free(struct nw *w);
/* The id of the message, 0: refused. */
uint64_t nw_submit(struct nw *w, int site, const char *from, const char *to,
    const char *content);
/* Lets things happen for so long. */
void nw_pass(struct nw *w, uint64_t secs);
/* As if the power had failed, and came again. */
void nw_crash(struct nw *w, int site);
void nw_stop(struct nw_site *s);
void nw_start(struct nw_site *s);
uint64_t nw_messages(struct nw *w, int site);
/* Is `what` in what was delivered at a site, or is it not? */
void nw_assert_mail(struct nw *w, int site, const char *what, bool there);
/* No site keeps a message. */
void nw_assert_settled(struct nw *w);

#endif
