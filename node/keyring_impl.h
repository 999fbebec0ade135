/* SPDX-License-Identifier: ISC */
#ifndef NODE_KEYRING_IMPL_H
#define NODE_KEYRING_IMPL_H
/* What the files of the keyring share. */
#include "node/keyring.h"

struct keyring_epoch {
	uint64_t id;
	unsigned char secret[X25519_LEN], public[X25519_LEN];
	uint64_t born_secs, end_secs;	/* by the keyring's clock */
	int64_t not_after_secs;		/* what cards say, by their time */
};

struct keyring {
	char *site;
	struct keyring_policy policy;
	struct clock *clock;
	struct rng *rng;
	const struct keyring_store *store;
	void *ctx;

	bool has_identity, has_auth, has_state;
	unsigned char identity_secret[ED25519_LEN];
	unsigned char identity_public[ED25519_LEN];
	unsigned char auth_secret[X25519_LEN], auth_public[X25519_LEN];
	struct keyring_epoch epoch[KEYRING_LIVE_MAX];	/* the oldest first */
	size_t nepochs;

	/* The clock: so many seconds at that moment of the monotonic one. */
	uint64_t elapsed_base;
	int64_t mono_base_ms;
	int64_t retry_ms;		/* not before that, after an error */

	/* As the entry "state" has them. */
	uint64_t saved_secs;
	int64_t saved_wall_secs;
	uint64_t counter;		/* of the last card, or of one that
					 * overtook it; 0: none yet */
	unsigned char told[32];		/* SHA-256 of that card */

	struct buf body, text;		/* of the last card; text empty: none */
};

/* Seconds of the keyring's clock. */
uint64_t keyring_now(const struct keyring *k);
int64_t keyring_wall_secs(const struct keyring *k);
/* The time that cards are written by: the wall clock's, but it never goes
 * back by what the cards have said so far, nor behind their counter. */
int64_t keyring_card_secs(const struct keyring *k);

/* Entries as text, into the store. */
int keyring_put_identity(struct keyring *k, struct err *e) MUST_CHECK;
int keyring_put_auth(struct keyring *k, struct err *e) MUST_CHECK;
int keyring_put_epoch(struct keyring *k, const struct keyring_epoch *ep,
    struct err *e) MUST_CHECK;
int keyring_del_epoch(struct keyring *k, const struct keyring_epoch *ep,
    struct err *e) MUST_CHECK;
/* With the time of now, and these in the place of k->counter and told. */
int keyring_put_state(struct keyring *k, uint64_t counter,
    const unsigned char told[32], struct err *e) MUST_CHECK;

#endif
