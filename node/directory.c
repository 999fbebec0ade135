/* SPDX-License-Identifier: ISC */
/*
 * Who is who.  A site is known by a card that the operator gave; what is
 * learned later has to be signed by the same identity and be newer, so nobody
 * on the way can put himself in its place.
 */
#include "node/directory.h"

#include <stdlib.h>
#include <string.h>

#include "node/custody.h"
#include "node/exchange_private.h"
#include "node/keys.h"
#include "node/transit.h"

#define OPENING_KEYS_MAX 3
#define ASK_SECS 3600		/* between two key requests to a site */
#define ASK_MAX_SECS 86400	/* while none is answered, ever later */
#define AUTH_KEY_SECS (400 * (uint64_t)86400)	/* replay memory of what is
						 * sealed to the auth key */

struct known {
	struct directory *dir;
	struct card card;
	char *text;		/* of it */
	struct site_record rec;
	bool vouched;		/* else only the spool's record */
	bool replaced;		/* it was another identity at the last end */
	bool dirty;
	unsigned asks;		/* since its card changed, or the start */
};

struct directory {
	struct exchange *x;
	struct keyring *keyring;
	struct known **known;
	size_t n;
	struct keyring_key key[KEYRING_LIVE_MAX];
	struct buf card;	/* our own */
	uint64_t counter;
	bool foreign;		/* a bundle came for keys that are no more */
};

static struct known *
find(const struct directory *d, const char *site)
{
	size_t i;

	for (i = 0; i < d->n; i++) {
		if (strcmp(d->known[i]->rec.name, site) == 0)
			return d->known[i];
	}
	return NULL;
}

static struct known *
need(struct directory *d, const char *site)
{
	struct known *k = find(d, site);

	if (k != NULL)
		return k;
	k = mem_alloc(1, sizeof(*k));
	k->dir = d;
	card_init(&k->card);
	site_record_init(&k->rec);
	k->rec.name = mem_strdup(site);
	d->known = mem_realloc(d->known, d->n + 1, sizeof(struct known *));
	d->known[d->n++] = k;
	return k;
}

struct directory *
directory_new(struct exchange *x, struct keyring *k)
{
	struct directory *d = mem_alloc(1, sizeof(*d));

	d->x = x;
	d->keyring = k;
	return d;
}

void
directory_free(struct directory *d)
{
	size_t i;

	if (d == NULL)
		return;
	for (i = 0; i < d->n; i++) {
		card_release(&d->known[i]->card);
		site_record_release(&d->known[i]->rec);
		free(d->known[i]->text);
		free(d->known[i]);
	}
	free(d->known);
	keyring_keys_wipe(d->key);
	buf_release(&d->card);
	free(d);
}

/*
 * Cards.
 */
static void
take_card(struct known *k, struct card *fresh, struct slice text)
{
	card_release(&k->card);
	k->card = *fresh;
	card_init(fresh);
	free(k->text);
	k->text = slice_dup(text);
	free(k->rec.card);
	k->rec.card = mem_strdup(k->text);
	k->rec.counter = k->card.counter;
	k->rec.seen_secs = now_secs(k->dir->x);
	k->rec.fresh = false;
	k->dirty = true;
	k->asks = 0;
}

/* What the spool had learned, against the card that the operator gave: the
 * newer one stands, and the same one is as old as the spool says.  true: the
 * site has another identity than it had when that was learned. */
static bool
believe_stored(struct known *k, const char *stored, uint64_t seen_secs,
    bool fresh)
{
	struct err e = ERR_INIT;
	struct card card;
	int rc;

	if (stored == NULL || card_parse(slice_of(stored), &card, &e) != 0)
		return false;
	rc = card_succeeds(&k->card, &card, &e);
	if (rc == 1)
		take_card(k, &card, slice_of(stored));
	if (rc >= 0) {
		k->rec.seen_secs = seen_secs;
		k->rec.fresh = fresh;
	}
	card_release(&card);
	return rc == ERR_DENIED;
}

/* Another identity: the site was made anew, and knows nothing of us. */
static void
replaced(struct directory *d, struct known *k)
{
	k->rec.told = 0;
	k->rec.rtt_secs = 0;
	log_event(d->x->log, LOG_LEVEL_WARNING, "site-replaced",
	    "site", k->rec.name, "counter", num_str(k->card.counter).s,
	    NULL);
	transit_site_replaced(d->x, k->rec.name);
	custody_site_replaced(d->x, k->rec.name);
}

int
directory_add(struct directory *d, struct slice text, struct err *e)
{
	char *stored = NULL;
	struct known *k;
	struct card card;
	uint64_t seen_secs;
	bool other = false, fresh;
	int rc;

	rc = card_parse(text, &card, e);
	if (rc != 0)
		return rc;
	k = need(d, card.site);
	seen_secs = k->rec.seen_secs;
	fresh = k->rec.fresh;
	if (k->vouched) {
		rc = card_succeeds(&k->card, &card, e);
		other = rc == ERR_DENIED;
		rc = rc == ERR_STATE ? 0 : other ? 1 : rc;
	} else {
		stored = k->rec.card != NULL ? mem_strdup(k->rec.card) : NULL;
		rc = 1;
	}
	if (rc == 1) {
		take_card(k, &card, text);
		k->vouched = true;
		other = believe_stored(k, stored, seen_secs, fresh) || other;
		d->x->dirty = true;
	}
	if (other)
		replaced(d, k);
	free(stored);
	card_release(&card);
	return rc < 0 ? rc : 0;
}

int
directory_learn(struct directory *d, const char *from, struct slice text,
    struct err *e)
{
	struct known *k;
	struct card card;
	int rc;

	rc = card_parse(text, &card, e);
	if (rc != 0)
		return rc;
	k = find(d, card.site);
	if (k == NULL || !k->vouched)
		rc = err_set(e, ERR_NOT_FOUND, "the card of %s, which came "
		    "from %s, is of a site that nobody vouched for: get its "
		    "card and use `postrider peer add`", card.site, from);
	else
		rc = card_succeeds(&k->card, &card, e);
	if (rc == 1) {
		log_event(d->x->log, LOG_LEVEL_INFO, "card-learned",
		    "site", card.site, "from", from,
		    "counter", num_str(card.counter).s, NULL);
		take_card(k, &card, text);
		d->x->dirty = true;
	}
	if (rc >= 0 && !k->rec.fresh)
		k->rec.fresh = k->dirty = true;
	card_release(&card);
	return rc < 0 && rc != ERR_STATE ? rc : 0;
}

bool
directory_knows(const struct directory *d, const char *site)
{
	const struct known *k = find(d, site);

	return k != NULL && k->vouched;
}

const char *
directory_site(const struct directory *d, size_t i)
{
	return i < d->n ? d->known[i]->rec.name : NULL;
}

const struct card *
directory_card(const struct directory *d, const char *site)
{
	const struct known *k = find(d, site);

	return k != NULL && k->vouched ? &k->card : NULL;
}

const char *
directory_site_of(const struct directory *d, const unsigned char auth[32])
{
	size_t i;

	for (i = 0; i < d->n; i++) {
		const struct known *k = d->known[i];

		if (k->vouched && k->card.auth.len == X25519_LEN &&
		    memcmp(k->card.auth.octets, auth, X25519_LEN) == 0)
			return k->rec.name;
	}
	return NULL;
}

/*
 * Sealing and opening.
 */
static const unsigned char *
psk_of(const struct directory *d, const char *site)
{
	const struct conf_peer *peer = conf_find_peer(d->x->conf, site);

	return peer != NULL && peer->has_psk ? peer->psk : NULL;
}

int
directory_pair_secret(const struct directory *d, const char *site,
    const char *label, unsigned char secret_out[KEYRING_PSK_LEN],
    struct err *e)
{
	const struct card *card = directory_card(d, site);

	if (d->keyring == NULL || card == NULL ||
	    card->auth.len != X25519_LEN)
		return err_set(e, ERR_NOT_FOUND, "there is no card of %s, or "
		    "this site has no keys", site);
	return keyring_pair_secret(d->keyring, card->auth.octets,
	    psk_of(d, site), label, secret_out, e);
}

static bool
is_signed(const struct directory *d, const char *site)
{
	const struct conf_peer *peer = conf_find_peer(d->x->conf, site);

	return peer != NULL && peer->sign;
}

static int
need_keys(const struct directory *d, struct err *e)
{
	if (d->keyring != NULL)
		return 0;
	return err_set(e, ERR_DENIED, "this site has no keys: make them with "
	    "`postrider key new`");
}

/*
 * How long a key lives is counted from when its card was heard of, whatever
 * the clocks of the two sites say.  A card out of a file may have been old
 * then: there a date that is past is believed, and the site is asked.
 */
static const struct card_key *
live_key(const struct directory *d, const struct known *k)
{
	uint64_t now = now_secs(d->x), seen = k->rec.seen_secs;

	return card_receiving(&k->card, now > seen ? now - seen : 0,
	    k->rec.fresh ? INT64_MIN : clock_wall_ms(d->x->clock) / 1000);
}

static int
remote_key(const struct directory *d, const struct known *k,
    enum seal_kind kind, struct seal_to *to, struct err *e)
{
	const struct card_key *key;

	if (kind == SEAL_REQUEST) {
		to->remote = k->card.auth.octets;
		return 0;
	}
	key = live_key(d, k);
	if (key == NULL)
		return err_set(e, ERR_NOT_FOUND, "no live key of %s is known: "
		    "it is asked for a newer card", k->rec.name);
	to->remote = key->octets;
	return 0;
}

int
directory_seal_to(struct directory *d, const char *site, enum seal_kind kind,
    struct seal_to *to, struct err *e)
{
	const struct known *k = find(d, site);
	int rc = need_keys(d, e);

	memset(to, 0, sizeof(*to));
	if (rc != 0)
		return rc;
	if (k == NULL || !k->vouched)
		return err_set(e, ERR_DENIED, "there is no card of %s: get it "
		    "and use `postrider peer add FILE`", site);
	to->kind = kind;
	to->destination = k->rec.name;
	to->rng = d->x->rng;
	to->origin = d->x->conf->site;
	if (kind == SEAL_PARCEL && is_signed(d, site)) {
		to->sign = true;
		to->sign_secret = keyring_identity_secret(d->keyring);
		return 0;
	}
	if (kind != SEAL_ONION) {
		to->secret = keyring_auth_secret(d->keyring);
		to->psk = psk_of(d, site);
	}
	return remote_key(d, k, kind, to, e);
}

static void
describe(const struct directory *d, const struct known *k,
    struct open_peer *peer)
{
	const unsigned char *psk = psk_of(d, k->rec.name);

	memset(peer, 0, sizeof(*peer));
	peer->psk = psk != NULL;
	if (psk != NULL)
		memcpy(peer->key, psk, sizeof(peer->key));
}

static int
sender_of_any(void *ctx, enum seal_kind kind, const unsigned char key[32],
    struct open_peer *peer, struct err *e)
{
	struct directory *d = ctx;
	const char *site = directory_site_of(d, key);

	(void)kind;
	if (site == NULL)
		return err_set(e, ERR_DENIED, "its sender is not known here");
	describe(d, find(d, site), peer);
	return 0;
}

static int
sender_is_peer(void *ctx, enum seal_kind kind, const unsigned char key[32],
    struct open_peer *peer, struct err *e)
{
	const struct known *k = ctx;

	(void)kind;
	if (!k->vouched || k->card.auth.len != X25519_LEN ||
	    memcmp(k->card.auth.octets, key, X25519_LEN) != 0)
		return err_set(e, ERR_DENIED, "it was not sealed by %s",
		    k->rec.name);
	describe(k->dir, k, peer);
	peer->sign = is_signed(k->dir, k->rec.name);
	return 0;
}

static int
signer_is_peer(void *ctx, enum seal_kind kind, const char *site,
    unsigned char public_out[SEAL_KEY_LEN], struct open_peer *peer,
    struct err *e)
{
	const struct known *k = ctx;

	(void)kind;
	if (!k->vouched || strcmp(site, k->rec.name) != 0)
		return err_set(e, ERR_DENIED, "it was not signed by %s",
		    k->rec.name);
	describe(k->dir, k, peer);
	peer->sign = is_signed(k->dir, k->rec.name);
	memcpy(public_out, k->card.identity.octets, SEAL_KEY_LEN);
	return 0;
}

int
directory_open_with(struct directory *d, const char *peer,
    struct open_with *with, struct err *e)
{
	const unsigned kinds = SEAL_BIT(SEAL_PARCEL) | SEAL_BIT(SEAL_BUNDLE) |
	    SEAL_BIT(SEAL_ONION);
	int rc = need_keys(d, e);
	size_t i, n;

	memset(with, 0, sizeof(*with));
	if (rc != 0)
		return rc;
	with->site = d->x->conf->site;
	n = keyring_receiving(d->keyring, d->key);
	for (i = 0; i < n; i++)
		with->key[i] = (struct open_key){ kinds, d->key[i].id,
		    d->key[i].secret, d->key[i].public };
	/* At most three agreements on the curve, whatever arrives: while a
	 * rotation out of turn has three keys live nobody lacks one. */
	if (n < OPENING_KEYS_MAX)
		with->key[n++] = (struct open_key){ SEAL_BIT(SEAL_REQUEST), 0,
		    keyring_auth_secret(d->keyring),
		    keyring_auth_public(d->keyring) };
	with->nkeys = n;
	with->sender = peer != NULL ? sender_is_peer : sender_of_any;
	with->signer = peer != NULL ? signer_is_peer : NULL;
	with->ctx = peer != NULL ? (void *)need(d, peer) : (void *)d;
	return 0;
}

uint64_t
directory_key_end_secs(struct directory *d, uint64_t id)
{
	uint64_t left = id != 0 && d->keyring != NULL ?
	    keyring_left_secs(d->keyring, id) : 0;

	return now_secs(d->x) + (left != 0 ? left : AUTH_KEY_SECS);
}

/*
 * Our own card.
 */
static void
refresh_card(struct directory *d)
{
	struct buf fresh = BUF_INIT;
	struct err e = ERR_INIT;

	if (keys_card(d->keyring, d->x->conf, NULL, &fresh, &d->counter,
	    &e) != 0) {
		log_event(d->x->log, LOG_LEVEL_WARNING, "keyring-failed",
		    "reason", e.text, NULL);
	} else {
		buf_clear(&d->card);
		buf_addslice(&d->card, buf_slice(&fresh));
	}
	buf_release(&fresh);
}

uint64_t
directory_our_card(struct directory *d, struct buf *out)
{
	if (d->keyring == NULL)
		return 0;
	if (d->counter == 0)
		refresh_card(d);
	buf_addslice(out, buf_slice(&d->card));
	return d->counter;
}

bool
directory_must_tell(struct directory *d, const char *site)
{
	const struct known *k = find(d, site);

	if (d->keyring != NULL && d->counter == 0)
		refresh_card(d);
	return k != NULL && k->vouched && k->rec.told < d->counter;
}

bool
directory_must_announce(struct directory *d, size_t i)
{
	const struct known *k = i < d->n ? d->known[i] : NULL;

	return k != NULL && k->vouched && d->keyring != NULL &&
	    (k->rec.heard_secs != 0 || d->foreign) &&
	    k->rec.told < d->counter;
}

void
directory_saw_foreign(struct directory *d)
{
	d->foreign = true;
}

int
directory_told(struct directory *d, struct spool_unit *u, const char *site,
    struct err *e)
{
	struct known *k = need(d, site);

	k->rec.told = d->counter;
	return spool_put_site(u, &k->rec, e);
}

static uint64_t
ask_pause_secs(const struct known *k)
{
	uint64_t secs = ASK_SECS;
	unsigned i;

	for (i = 1; i < k->asks && secs < ASK_MAX_SECS; i++)
		secs *= 2;
	return secs < ASK_MAX_SECS ? secs : ASK_MAX_SECS;
}

bool
directory_may_ask(struct directory *d, const char *site)
{
	struct known *k = need(d, site);
	uint64_t now = now_secs(d->x);

	if (k->rec.asked_secs != 0 &&
	    k->rec.asked_secs + ask_pause_secs(k) > now)
		return false;
	k->asks++;
	k->rec.asked_secs = now;
	k->dirty = true;
	return true;
}

uint64_t
directory_rtt_secs(const struct directory *d, const char *site)
{
	const struct known *k = find(d, site);

	return k != NULL ? k->rec.rtt_secs : 0;
}

/* RFC 6298's weight for the old value. */
void
directory_rtt(struct directory *d, const char *site, uint64_t secs)
{
	struct known *k = need(d, site);

	k->rec.rtt_secs = k->rec.rtt_secs == 0 ? secs + 1 :
	    (7 * k->rec.rtt_secs + secs) / 8 + 1;
	k->dirty = true;
}

void
directory_heard(struct directory *d, const char *site)
{
	struct known *k = need(d, site);

	if (now_secs(d->x) < k->rec.heard_secs + 60)
		return;
	k->rec.heard_secs = now_secs(d->x);
	k->dirty = true;
}

/*
 * The spool.
 */
int
directory_load(struct directory *d, struct err *e)
{
	struct buf at = BUF_INIT;
	struct site_record rec;
	struct known *k;
	int rc;

	for (;;) {
		rc = spool_next_site(d->x->spool, &at, &rec, e);
		if (rc == ERR_CORRUPT &&
		    !store_failed(spool_store(d->x->spool))) {
			site_record_release(&rec);
			continue;
		}
		if (rc != 0)
			break;
		k = need(d, rec.name);
		if (!k->vouched) {
			site_record_release(&k->rec);
			k->rec = rec;
			continue;
		}
		k->rec.told = rec.told;
		k->rec.heard_secs = rec.heard_secs;
		k->rec.asked_secs = rec.asked_secs;
		k->rec.rtt_secs = rec.rtt_secs;
		k->replaced = believe_stored(k, rec.card, rec.seen_secs,
		    rec.fresh);
		site_record_release(&rec);
	}
	site_record_release(&rec);
	buf_release(&at);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

void
directory_loaded(struct directory *d)
{
	size_t i;

	for (i = 0; i < d->n; i++) {
		if (d->known[i]->replaced)
			replaced(d, d->known[i]);
		d->known[i]->replaced = false;
	}
}

static int
write_dirty(struct directory *d, struct err *e)
{
	struct spool_unit *u = NULL;
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < d->n; i++) {
		if (!d->known[i]->dirty)
			continue;
		if (u == NULL)
			rc = spool_begin(d->x->spool, &u, e);
		if (rc == 0)
			rc = spool_put_site(u, &d->known[i]->rec, e);
	}
	if (u == NULL)
		return rc;
	if (rc != 0)
		spool_abort(u);
	else
		rc = spool_commit(u, false, e);
	for (i = 0; rc == 0 && i < d->n; i++)
		d->known[i]->dirty = false;
	return rc;
}

int
directory_tick(struct directory *d, struct err *e)
{
	int rc = write_dirty(d, e);

	if (d->keyring == NULL || rc != 0)
		return rc == ERR_FULL ? 0 : rc;
	if (keyring_deadline_ms(d->keyring) > clock_mono_ms(d->x->clock))
		return 0;
	if (keyring_tick(d->keyring, e) != 0) {
		log_event(d->x->log, LOG_LEVEL_WARNING, "keyring-failed",
		    "reason", e->text, NULL);
		e->code = 0;
	}
	refresh_card(d);
	return 0;
}
