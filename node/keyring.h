/* SPDX-License-Identifier: ISC */
#ifndef NODE_KEYRING_H
#define NODE_KEYRING_H
/*
 * The site's own keys, in memory.  Files are not known here: what must last
 * goes through struct keyring_store, so that a simulation can hold a hundred
 * keyrings under a virtual clock.
 *
 *	k = keyring_new(...)
 *	keyring_make			a new site: makes all keys; or
 *	keyring_restore ...		each entry that the store was given
 *	keyring_start			then, always (or keyring_peek)
 *	keyring_tick			now and whenever keyring_deadline_ms
 *	keyring_free
 *
 * A receiving key lives for `life`.  At half of it the next one is made and
 * announced by a newer card, and both are live for the other half, the
 * overlap; then it is destroyed:
 *
 *	          life/2        life/2
 *	made ------------> old ------------> destroyed
 *	 (newest)   next one made  (overlap)
 *
 * keyring_rotate makes the next one sooner; never more than three are live.
 *
 * Ages are counted by a clock of the keyring's own, which counts as the
 * spool's does (a monotonic clock; over a restart the difference of the wall
 * clock, from 0 to 7 days) but is not in the spool, so that neither a jump
 * nor a restored spool destroys or revives a key.  What cards say is to be
 * understood the same way: a key's end less the card's counter is how long it
 * lives from when the card was signed.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/key.h"
#include "routing/card.h"

#define KEYRING_LIVE_MAX CARD_RECEIVE_MAX
#define KEYRING_PSK_LEN 32

struct keyring;

/* What a site's receiving keys have to outlast. */
struct keyring_policy {
	uint64_t life_secs;	/* of a receiving key, made to destroyed */
	uint64_t lifetime_secs;	/* the longest of any mail */
	uint64_t gap_secs;	/* the longest between two contacts */
};

/* 0, or ERR_CONFIG: the overlap (half a life) is less than lifetime and gap
 * together, and mail could arrive for a key that is no more. */
int keyring_policy_check(const struct keyring_policy *p, struct err *e)
    MUST_CHECK;

/*
 * Entries that must last: "identity", "auth", "receive-ID" and "state".  put
 * replaces and has made the entry durable when it returns 0; del destroys it,
 * as far as that can be done, and one that is not there is no error.  Texts
 * hold secrets: they are to be wiped.
 */
struct keyring_store {
	int (*put)(void *ctx, const char *name, struct slice text,
	    struct err *e);
	int (*del)(void *ctx, const char *name, struct err *e);
};

/* site and policy are copied; clock, rng, store and ctx last as long as the
 * keyring.  store NULL: nothing lasts. */
struct keyring *keyring_new(const char *site,
    const struct keyring_policy *policy, struct clock *clock,
    struct rng *rng, const struct keyring_store *store, void *ctx);
/* Wipes everything. */
void keyring_free(struct keyring *k);
/* Makes identity and auth key unless they were restored.  What the store
 * says. */
int keyring_make(struct keyring *k, struct err *e) MUST_CHECK;
/* Takes an entry back.  ERR_SYNTAX, ERR_LIMIT: it is no such entry, or a
 * fourth receiving key; ERR_DENIED: it is another site's. */
int keyring_restore(struct keyring *k, const char *name, struct slice text,
    struct err *e) MUST_CHECK;
/* Sets the clock going, destroys what ended in the meantime, makes a receiving
 * key if none is fresh.  ERR_NOT_FOUND: there is no identity or no auth key.
 * What the store says. */
int keyring_start(struct keyring *k, struct err *e) MUST_CHECK;
/* Sets the clock going and nothing else: to look at keys that another process
 * has.  ERR_NOT_FOUND as above. */
int keyring_peek(struct keyring *k, struct err *e) MUST_CHECK;
/* The policy of a configuration that was read again; for keys made from now
 * on. */
void keyring_set_policy(struct keyring *k, const struct keyring_policy *p);

/* Makes, destroys and saves what is due.  After an error of the store it is
 * tried again at the next deadline; the keys in memory go on working.  A key
 * is never announced before it is durable. */
int keyring_tick(struct keyring *k, struct err *e) MUST_CHECK;
/* Monotonic: when keyring_tick is needed next. */
int64_t keyring_deadline_ms(const struct keyring *k);
/* Makes the next receiving key now.  ERR_FULL: three are live; the text says
 * when the oldest ends. */
int keyring_rotate(struct keyring *k, struct err *e) MUST_CHECK;

/* A card of this site counts as far as this, and is not the one of now: the
 * next keyring_card is a new one that goes beyond, and that is durable when it
 * returns 0.  A lower counter than ours changes nothing.  ERR_LIMIT: there is
 * none beyond; what the store says. */
int keyring_overtake(struct keyring *k, uint64_t counter, struct err *e)
    MUST_CHECK;

/*
 * Keys, valid until the next tick, rotate or free.
 */
struct keyring_key {
	uint64_t id;
	unsigned char secret[X25519_LEN], public[X25519_LEN];
	uint64_t age_secs, left_secs;	/* since it was made; until it goes */
};

/* Live receiving keys, the newest first; how many. */
size_t keyring_receiving(struct keyring *k,
    struct keyring_key keys_out[KEYRING_LIVE_MAX]);
/* Wipes what keyring_receiving filled. */
void keyring_keys_wipe(struct keyring_key keys[KEYRING_LIVE_MAX]);
/* How long the receiving key with this id will live; 0: there is none. */
uint64_t keyring_left_secs(struct keyring *k, uint64_t id);
const char *keyring_site(const struct keyring *k);
const unsigned char *keyring_identity_public(const struct keyring *k);
const unsigned char *keyring_identity_secret(const struct keyring *k);
const unsigned char *keyring_auth_public(const struct keyring *k);
const unsigned char *keyring_auth_secret(const struct keyring *k);
struct fingerprint keyring_fingerprint(const struct keyring *k);

/*
 * The card.
 */
struct keyring_about {
	const char *const *domain;	/* that the site owns */
	size_t ndomains;
	const char *const *reach;	/* as card_add_reach takes it */
	size_t nreaches;
};

/* Appends the current card.  While nothing changes it is the same octets;
 * else its counter is higher, and that is durable before it returns: at least
 * one more than before, at least the seconds since 1970, so that a site
 * that was made anew without its state goes on counting, and as many more
 * as have passed since the card before, though the clock was set back.
 * Domains that a card cannot hold (address literals, and what is beyond its
 * limits, in their order) are left out.  0 and the counter; what card_write
 * and the store say. */
int keyring_card(struct keyring *k, const struct keyring_about *about,
    struct buf *out, uint64_t *counter_out, struct err *e) MUST_CHECK;

/*
 * A secret that only this site and one other have, for one purpose: HKDF of
 * the agreement of the two auth keys, with their pre-shared key (or NULL) as
 * salt; both public keys, the smaller first, and the label are bound.  Both
 * sites compute the same.  For the link's handshake on descriptor 3 and the
 * like.  ERR_DENIED: the other's key is a point of low order.
 */
int keyring_pair_secret(const struct keyring *k,
    const unsigned char peer_auth[X25519_LEN], const unsigned char *psk,
    const char *label, unsigned char secret_out[KEYRING_PSK_LEN],
    struct err *e) MUST_CHECK;

#endif
