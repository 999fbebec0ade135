/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_TRANSIT_WORLD_H
#define TESTS_UNIT_TRANSIT_WORLD_H
/*
 * Some exchanges with bundles of any octets between them, under one clock that
 * the test turns, and a custody that only counts what arrives.  Files travel
 * with the faults that are asked for.
 */
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "bundle/seal.h"
#include "node/exchange_private.h"
#include "node/transit.h"
#include "spool/custody.h"

#define TW_NODES 4

struct tw;
struct tw_node;

/* One node's view of another. */
struct tw_road {
	struct tw_node *from, *to;
	struct list files;		/* in out/ */
	bool broken;			/* every run fails */
	bool blocked;			/* runs, and sends nothing */
	bool keyless;			/* his receiving keys are not known */
	bool waits, making;		/* what custody says */
	uint64_t back, back_held;	/* his own card: due; its counter */
	uint64_t fills, cards, requests;
	uint64_t octets, parcels;	/* handed over */
	size_t smallest, largest;
	int lose_next;			/* so many parcels */
	int64_t gap_ms;			/* a slow line: one file at a time */
	int64_t free_ms;
	bool running;
};

struct tw_node {
	struct tw *w;
	const char *name;
	struct conf *conf;
	struct store_mem_disk *disk;
	struct spool *spool;
	struct exchange *x;
	struct rng_seeded rng;
	unsigned char auth[32], auth_public[32], receiving[32],
	    receiving_public[32], identity[32], identity_public[32];
	struct tw_road road[TW_NODES];
	uint64_t arrived[10000];	/* local numbers, to be opened */
	size_t narrived;
	uint64_t opened, opened_octets;
	unsigned char last_opened[BUNDLE_NAME_LEN];
	struct map *seen;		/* names: how often opened */
	uint64_t hop_done, lost;
	char lost_reason[80];
	uint64_t card;			/* counter; 0: none */
	enum inbound_outcome last_outcome;
	uint64_t outcome[INBOUND_ASIDE + 1];
	bool lazy;			/* does not open what arrives */
	struct buf log;
};

/* A file between two nodes. */
struct tw_letter {
	struct list link;
	struct tw_road *road;
	struct buf bytes;
	int64_t at_ms;
};

struct tw {
	struct clock clock;		/* first */
	int64_t now_ms;
	struct rng_seeded rng;		/* of the faults */
	struct tw_node node[TW_NODES];
	size_t n;
	struct list air;
	unsigned loss, twice, damage;	/* in a hundred */
	uint64_t delay_ms;		/* at most */
	struct buf kept;		/* the last one handed over */
	bool full;			/* all disks */
};

extern const struct transit_hooks tw_hooks;	/* transit_stub.c */
/* Reads and consumes the last that arrived. */
void tw_open_arrived(struct tw_node *node);
struct tw_road *tw_road_of(struct tw_node *node, const char *to);

/* text: configurations, one for each node, in the order of the names. */
struct tw *tw_new(const char *const *name, const char *const *text, size_t n,
    uint64_t seed);
void tw_free(struct tw *w);
struct tw_node *tw_node(struct tw *w, const char *name);
struct tw_road *tw_road(struct tw *w, const char *from, const char *to);
/* Power goes and comes back. */
void tw_crash(struct tw_node *node);
/* Another configuration. */
void tw_reload(struct tw_node *node, const char *text);
/* Everything that is due within so many seconds. */
void tw_pass(struct tw *w, uint64_t secs);
/* A bundle of len octets that follow from seed. */
uint64_t tw_bundle(struct tw_node *node, const struct transit_new *n,
    size_t len, uint64_t seed, unsigned char name_out[BUNDLE_NAME_LEN]);
/* Feeds a file as if it came from this road. */
enum inbound_outcome tw_feed(struct tw_road *road, struct slice bytes);
/* A parcel of these frames, sealed as this road's node would. */
void tw_parcel(struct tw_road *road, struct slice frames, struct buf *out);
/* Its files in out/ are gone. */
void tw_forget_files(struct tw_road *road);
/* The last of them loses its end. */
void tw_damage_file(struct tw_road *road);
/* How often it was opened there. */
size_t tw_opened(const struct tw_node *node,
    const unsigned char name[BUNDLE_NAME_LEN]);
/* Nothing of it is left anywhere, in memory or spool. */
void tw_assert_empty(const struct tw_node *node);

#endif
