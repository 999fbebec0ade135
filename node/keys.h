/* SPDX-License-Identifier: ISC */
#ifndef NODE_KEYS_H
#define NODE_KEYS_H
/*
 * The keys of the site as its configuration has them: the keyring over its
 * files, what the card says, and what is shared with peers.
 */
#include "node/conf.h"
#include "node/keyfiles.h"
#include "node/keyring.h"

struct keys {
	struct keyring *ring;
	struct keyfiles *files;
};

/* Default places and times, for what is not configured. */
void keys_complete(struct conf *conf);
/* The longest lifetime is that of the site and of its native peers. */
struct keyring_policy keys_policy(const struct conf *conf);

/* KEYFILES_READ: to be looked at, whoever has them.  KEYFILES_WRITE: to be
 * used.  KEYFILES_MAKE: the same, and what is missing is made.
 * ERR_NOT_FOUND: there are none, or not all; else what keyfiles_open and
 * keyfiles_load say.  *keys_out is NULL then. */
int keys_open(const struct conf *conf, enum keyfiles_how how,
    struct clock *clock, struct rng *rng, struct keys **keys_out,
    struct err *e) MUST_CHECK;
void keys_close(struct keys *keys);

/* Appends the site's card: its domains are those that are delivered here;
 * reach: NULL, or more ways than the configuration has, which come first.  As
 * keyring_card. */
int keys_card(struct keyring *ring, const struct conf *conf,
    const struct conf_strings *reach, struct buf *out, uint64_t *counter_out,
    struct err *e) MUST_CHECK;

/* Reads what is shared with each peer into the configuration.  The first
 * error names peer and file. */
int keys_read_psks(struct conf *conf, struct err *e) MUST_CHECK;

#endif
