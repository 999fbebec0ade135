/* SPDX-License-Identifier: ISC */
/*
 * Who is who.  A site is known by a card that the operator gave; what is
 * learned later has to be signed by the same identity and be newer, so nobody
 * on the way can put himself in its place.
 */
#include <stdlib.h>
#include <string.h>

#include "node/custody.h"
#include "node/directory_private.h"
#include "node/exchange_private.h"
#include "node/keys.h"
#include "node/transit.h"

#define ASK_SECS 3600		/* between two key requests to a site */
#define ASK_MAX_SECS 86400	/* while none is answered, ever later */

struct known *
directory_find(const struct directory *d, const char *site)
{
	size_t i;

	for (i = 0; i < d->n; i++) {
		if (strcmp(d->known[i]->rec.name, site) == 0)
			return d->known[i];
	}
	return NULL;
}

struct known *
directory_need(struct directory *d, const char *site)
{
	struct known *k = directory_find(d, site);

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
refresh_card(struct directory *d)
{
	struct buf fresh = BUF_INIT;
	struct err e = ERR_INIT;
	uint64_t before = d->counter;

	if (keys_card(d->keyring, d->x->conf, NULL, &fresh, &d->counter,
	    &e) != 0) {
		log_event(d->x->log, LOG_LEVEL_WARNING, "keyring-failed",
		    "reason", e.text, NULL);
	} else {
		buf_clear(&d->card);
		buf_addslice(&d->card, buf_slice(&fresh));
	}
	d->stirred = d->counter != before || d->stirred;
	buf_release(&fresh);
}

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
	/* Of two copies of a site that overtake each other each is asked later
	 * and later. */
	if (!k->rec.behind)
		k->asks = 0;
	k->rec.behind = false;
}

/* What the spool had learned, against the card that the operator gave: the
 * newer one stands, and the same one is as old as the spool says.  true: the
 * site has another identity than it had when that was learned. */
static bool
believe_stored(struct known *k, const char *stored, uint64_t seen_secs,
    bool fresh, bool behind)
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
		k->rec.behind = behind;
	}
	card_release(&card);
	return rc == ERR_DENIED;
}

/* The site was made anew, and knows nothing of us: what was sealed for the one
 * before cannot be opened. */
static void
begin_anew(struct directory *d, struct known *k)
{
	k->rec.told = 0;
	k->rec.rtt_secs = 0;
	k->dirty = true;
	transit_site_replaced(d->x, k->rec.name);
	custody_site_replaced(d->x, k->rec.name);
}

/* Another identity. */
static void
replaced(struct directory *d, struct known *k)
{
	log_event(d->x->log, LOG_LEVEL_WARNING, "site-replaced",
	    "site", k->rec.name, "counter", num_str(k->card.counter).s,
	    NULL);
	begin_anew(d, k);
}

/* The same one, with other keys. */
static void
rekeyed(struct directory *d, struct known *k)
{
	k->rekeyed = false;
	log_event(d->x->log, LOG_LEVEL_INFO, "site-rekeyed",
	    "site", k->rec.name, "counter", num_str(k->card.counter).s,
	    NULL);
	begin_anew(d, k);
}

int
directory_add(struct directory *d, struct slice text, struct err *e)
{
	char *stored = NULL;
	struct known *k;
	struct card card;
	uint64_t seen_secs;
	bool other = false, fresh, behind;
	int rc;

	rc = card_parse(text, &card, e);
	if (rc != 0)
		return rc;
	k = directory_need(d, card.site);
	seen_secs = k->rec.seen_secs;
	fresh = k->rec.fresh;
	behind = k->rec.behind;
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
		other = believe_stored(k, stored, seen_secs, fresh, behind) ||
		    other;
		d->x->dirty = true;
	}
	if (other)
		replaced(d, k);
	free(stored);
	card_release(&card);
	return rc < 0 ? rc : 0;
}

/* Is this receiving key in the card? */
static bool
lists(const struct card *c, const struct card_key *key)
{
	for (size_t i = 0; i < c->nreceive; i++)
		if (c->receive[i].len == key->len &&
		    memcmp(c->receive[i].octets, key->octets, key->len) == 0)
			return true;
	return false;
}

static bool
lists_any(const struct card *c, const struct card *other)
{
	for (size_t i = 0; i < other->nreceive; i++)
		if (lists(c, &other->receive[i]))
			return true;
	return false;
}

/* An older card than ours, or another with its counter, and from the site
 * itself: was it only late, or does it not know how far it had counted? */
static void
came_behind(struct known *k, const char *from, const struct card *card)
{
	if (k->rec.behind || strcmp(from, card->site) != 0 ||
	    lists(&k->card, &card->receive[card->nreceive - 1]))
		return;
	k->rec.behind = k->dirty = true;
	k->dir->stirred = k->dir->x->dirty = true;
	log_event(k->dir->x->log, LOG_LEVEL_INFO, "card-behind",
	    "site", card->site, "counter", num_str(card->counter).s,
	    "held", num_str(k->card.counter).s, NULL);
}

/* Our own card, which we may have signed before this site was rebuilt: all who
 * have it believe none of today's until they count on from it. */
static int
learn_of_ourselves(struct directory *d, const char *from, struct slice text,
    const struct card *card, struct err *e)
{
	int rc;

	if (d->keyring == NULL || card->identity.len != ED25519_LEN ||
	    memcmp(card->identity.octets, keyring_identity_public(d->keyring),
	    ED25519_LEN) != 0)
		return err_set(e, ERR_DENIED, "the card of this site, which "
		    "came from %s, has another identity", from);
	if (d->counter == 0)
		refresh_card(d);
	if (card->counter < d->counter ||
	    slice_eq(text, buf_slice(&d->card)))
		return 0;
	rc = keyring_overtake(d->keyring, card->counter, e);
	if (rc != 0)
		return rc;
	log_event(d->x->log, LOG_LEVEL_WARNING, "card-overtaken",
	    "from", from, "counter", num_str(card->counter).s,
	    "ours", num_str(d->counter).s, NULL);
	refresh_card(d);
	d->foreign = d->x->dirty = true;
	return 0;
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
	if (strcmp(card.site, d->x->conf->site) == 0) {
		rc = learn_of_ourselves(d, from, text, &card, e);
		card_release(&card);
		return rc;
	}
	k = directory_find(d, card.site);
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
		k->rekeyed = !lists_any(&k->card, &card) || k->rekeyed;
		d->stirred = k->rekeyed || d->stirred;
		take_card(k, &card, text);
		d->x->dirty = true;
	}
	if (rc >= 0 && (!k->rec.fresh || k->rec.behind)) {
		k->rec.fresh = k->dirty = true;
		k->rec.behind = false;
	} else if (rc == ERR_STATE) {
		came_behind(k, from, &card);
	}
	card_release(&card);
	return rc < 0 && rc != ERR_STATE ? rc : 0;
}

bool
directory_knows(const struct directory *d, const char *site)
{
	const struct known *k = directory_find(d, site);

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
	const struct known *k = directory_find(d, site);

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
 * Our own card.
 */
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
	const struct known *k = directory_find(d, site);

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
	d->stirred = !d->foreign || d->stirred;
	d->foreign = true;
}

bool
directory_is_stirred(const struct directory *d)
{
	return d->stirred;
}

int
directory_told(struct directory *d, struct spool_unit *u, const char *site,
    struct err *e)
{
	struct known *k = directory_need(d, site);

	k->rec.told = d->counter;
	return spool_put_site(u, &k->rec, e);
}

void
directory_untold(struct directory *d, const char *site)
{
	struct known *k = directory_need(d, site);

	k->rec.told = 0;
	k->dirty = true;
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

static bool
may_ask(const struct known *k)
{
	return k->rec.asked_secs == 0 ||
	    k->rec.asked_secs + ask_pause_secs(k) <= now_secs(k->dir->x);
}

static void
note_ask(struct known *k)
{
	k->asks++;
	k->rec.asked_secs = now_secs(k->dir->x);
	k->dirty = true;
}

bool
directory_may_ask(struct directory *d, const char *site)
{
	struct known *k = directory_need(d, site);

	if (!may_ask(k))
		return false;
	note_ask(k);
	return true;
}

bool
directory_back_is_due(struct directory *d, const char *site)
{
	const struct known *k = directory_find(d, site);

	return k != NULL && k->vouched && k->rec.behind && may_ask(k) &&
	    d->keyring != NULL;
}

uint64_t
directory_back(const struct directory *d, const char *site, struct buf *out)
{
	const struct known *k = directory_find(d, site);

	if (k == NULL || !k->vouched || !k->rec.behind)
		return 0;
	buf_adds(out, k->text);
	return k->card.counter;
}

void
directory_gave_back(struct directory *d, const char *site)
{
	struct known *k = directory_find(d, site);

	if (k == NULL)
		return;
	note_ask(k);
	log_event(d->x->log, LOG_LEVEL_INFO, "card-given-back",
	    "site", site, "counter", num_str(k->card.counter).s, NULL);
}

uint64_t
directory_rtt_secs(const struct directory *d, const char *site)
{
	const struct known *k = directory_find(d, site);

	return k != NULL ? k->rec.rtt_secs : 0;
}

/* RFC 6298's weight for the old value. */
void
directory_rtt(struct directory *d, const char *site, uint64_t secs)
{
	struct known *k = directory_need(d, site);

	k->rec.rtt_secs = k->rec.rtt_secs == 0 ? secs + 1 :
	    (7 * k->rec.rtt_secs + secs) / 8 + 1;
	k->dirty = true;
}

void
directory_heard(struct directory *d, const char *site)
{
	struct known *k = directory_need(d, site);

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
		k = directory_need(d, rec.name);
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
		    rec.fresh, rec.behind);
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
	size_t i;
	int rc;

	d->stirred = false;
	for (i = 0; i < d->n; i++)
		if (d->known[i]->rekeyed)
			rekeyed(d, d->known[i]);
	rc = write_dirty(d, e);
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
