/* SPDX-License-Identifier: ISC */
#ifndef TESTS_DELIVERY_WORLD_H
#define TESTS_DELIVERY_WORLD_H
/*
 * What a delivery agent lives in: an event loop, a spool in memory, hooks that
 * keep what they were told, and a temporary directory.
 */
#include "node/delivery.h"
#include "spool/store.h"

#define RCPT_ALL 256

/*
 * What was told of one job.
 */
struct world;

struct seen {
	struct world *w;
	struct delivery_job job;
	size_t rcpt[RCPT_ALL];
	unsigned told[RCPT_ALL], overs;
	enum delivery_outcome outcome[RCPT_ALL];
	char status[RCPT_ALL][12];
	char text[RCPT_ALL][512];
};

struct world {
	struct event_base *base;
	struct store_mem_disk *disk;
	struct store *store;
	struct spool *spool;
	char dir[64];
	struct delivery_hooks hooks;
	struct conf_delivery conf;
	struct delivery *agent;
	size_t running;
	bool own;
};

void world_open(struct world *w);
void world_close(struct world *w);
/* Makes w->agent anew; takes target. */
void world_agent(struct world *w, enum conf_delivery_kind kind, char *target);
/* A message in the spool; its id. */
uint64_t world_add_mail(struct world *w, const char *const *rcpt, size_t n,
    const char *content, size_t len);
uint64_t world_add_text(struct world *w, const char *rcpt, const char *content);
/* Starts a job for recipients 0 .. n-1. */
void world_start(struct world *w, struct seen *s, uint64_t id, size_t n);
/* Runs until all that was started is over. */
void world_run(struct world *w);
/* Both, for recipient 0. */
void world_deliver(struct world *w, struct seen *s, uint64_t id);
/* Runs for a while, for what follows the last result. */
void world_linger(struct world *w, int ms);
/* Flips a bit in the middle of a chunk of some body. */
void world_damage_body(struct world *w);
/* Was this recipient told once, and so? */
void seen_check(const struct seen *s, size_t rcpt,
    enum delivery_outcome outcome, const char *status);

#endif
