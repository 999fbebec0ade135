/* SPDX-License-Identifier: ISC */
/*
 * With which keys things are sealed and opened.  Whose key is live is counted
 * from when his card was heard of, so that clocks may disagree.
 */
#include <string.h>

#include "node/directory_private.h"
#include "node/exchange_private.h"

#define OPENING_KEYS_MAX 3
#define AUTH_KEY_SECS (400 * (uint64_t)86400)	/* replay memory of what is
						 * sealed to the auth key */

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
	const struct known *k = directory_find(d, site);
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
	describe(d, directory_find(d, site), peer);
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
	with->ctx = peer != NULL ? (void *)directory_need(d, peer) : (void *)d;
	return 0;
}

uint64_t
directory_key_end_secs(struct directory *d, uint64_t id)
{
	uint64_t left = id != 0 && d->keyring != NULL ?
	    keyring_left_secs(d->keyring, id) : 0;

	return now_secs(d->x) + (left != 0 ? left : AUTH_KEY_SECS);
}

