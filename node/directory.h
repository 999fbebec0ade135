/* SPDX-License-Identifier: ISC */
#ifndef NODE_DIRECTORY_H
#define NODE_DIRECTORY_H
/*
 * The sites that we can seal for and whose seals we know: a card for each,
 * given by the operator, and newer ones of the same identity as they are
 * announced.  With our own keyring it says how anything is sealed and opened.
 */
#include <stdbool.h>
#include <stdint.h>

#include "bundle/seal.h"
#include "node/keyring.h"
#include "spool/custody.h"

struct exchange;
struct directory;

/* k is not owned; NULL: this site has no keys, nothing can be sealed. */
struct directory *directory_new(struct exchange *x, struct keyring *k);
void directory_free(struct directory *d);
/* What the spool knows of sites; cards are believed once directory_add gave
 * one of the same identity. */
int directory_load(struct directory *d, struct err *e) MUST_CHECK;
/* After custody too has been loaded: what is under way to sites that have
 * another identity now is sealed anew. */
void directory_loaded(struct directory *d);
/* A card that the operator vouches for: one of another identity takes the
 * place of what was known of the site.  An older card of the same identity
 * changes nothing. */
int directory_add(struct directory *d, struct slice card, struct err *e)
    MUST_CHECK;
/* A card that came from `from`.  0 also if it is not newer; ERR_NOT_FOUND: of
 * a site nobody vouched for; ERR_DENIED; what card_parse says.  In memory: it
 * is written by the next tick.  One of ourselves that is not
 * behind ours is counted on from: what keyring_overtake says. */
int directory_learn(struct directory *d, const char *from, struct slice card,
    struct err *e) MUST_CHECK;
bool directory_knows(const struct directory *d, const char *site);

/* How an object of this kind is sealed for the site: all but kind, destination
 * and rng.  What it points to lives until the next call.  ERR_NOT_FOUND: no
 * live receiving key is known, but for a SEAL_REQUEST there is a key;
 * ERR_DENIED: not even that; the text says what to do. */
int directory_seal_to(struct directory *d, const char *site,
    enum seal_kind kind, struct seal_to *to_out, struct err *e) MUST_CHECK;
/* With what a file of the neighbour is opened, or (peer NULL) a bundle of
 * whichever site: all but kinds and seen.  Keys live until the next call, the
 * rest as long as d. */
int directory_open_with(struct directory *d, const char *peer,
    struct open_with *with_out, struct err *e) MUST_CHECK;
/* keyring_pair_secret with the site and what is shared with it.
 * ERR_NOT_FOUND: no card of it is known, or we have no keys. */
int directory_pair_secret(const struct directory *d, const char *site,
    const char *label, unsigned char secret_out[KEYRING_PSK_LEN],
    struct err *e) MUST_CHECK;
/* The site with this auth key; NULL: unknown. */
const char *directory_site_of(const struct directory *d,
    const unsigned char auth[32]);
/* When our receiving key with this number ends, spool_elapsed_secs. */
uint64_t directory_key_end_secs(struct directory *d, uint64_t key_id);

/* Our own card and its counter; 0: there is none. */
uint64_t directory_our_card(struct directory *d, struct buf *out);
/* Was the site not told of our present card? */
bool directory_must_tell(struct directory *d, const char *site);
/* The same of the i-th site, of which something was heard, or may have been:
 * see below. */
bool directory_must_announce(struct directory *d, size_t i);
/* A bundle for us was sealed to none of our keys.  It may be of a site that
 * has a card of those we lost (postrider key new --from), and cannot know:
 * from now on all whose card is here are told of ours, once. */
void directory_saw_foreign(struct directory *d);
/* In the unit that makes the bundle with our card durable. */
int directory_told(struct directory *d, struct spool_unit *u,
    const char *site, struct err *e) MUST_CHECK;
/* The bundle is lost: it has to be told again. */
void directory_untold(struct directory *d, const char *site);
/* Was no key request sent to the site lately?  Then one is noted. */
bool directory_may_ask(struct directory *d, const char *site);
/*
 * A site that was rebuilt from its exported keys while its clock is behind
 * signs cards that are older than those it signed before, and nobody would
 * ever believe them.  Who has a newer one, in which the key that it is now to
 * be written to is not, gives it that one back, and the site counts on from
 * there.
 * It goes in a request for keys, which such a site can open; again and again,
 * ever later, until its card is learned.
 */
bool directory_back_is_due(struct directory *d, const char *site);
/* Appends the card of a site that is to have it back and returns its counter;
 * 0: it is not. */
uint64_t directory_back(const struct directory *d, const char *site,
    struct buf *out);
/* It went. */
void directory_gave_back(struct directory *d, const char *site);

/* Smoothed time from a cut to its result; 0: not known. */
uint64_t directory_rtt_secs(const struct directory *d, const char *site);
void directory_rtt(struct directory *d, const char *site, uint64_t secs);
void directory_heard(struct directory *d, const char *site);
/* Is directory_tick to be called soon? */
bool directory_is_stirred(const struct directory *d);
/* Writes what is not written, looks after the keyring.  Sites that have to be
 * told of a new card are asked for with directory_must_tell. */
int directory_tick(struct directory *d, struct err *e) MUST_CHECK;
/* The sites that are known: NULL at the end. */
const char *directory_site(const struct directory *d, size_t i);
const struct card *directory_card(const struct directory *d,
    const char *site);

#endif
