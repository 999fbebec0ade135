/* SPDX-License-Identifier: ISC */
/*
 * The keyring: epochs of the receiving key.  What changes is durable first
 * and in memory then; so a crash between the two loses nothing but a key that
 * nobody was told of.
 */
#include "node/keyring.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"
#include "node/keyring_impl.h"

#define SAVE_SECS 3600			/* the state, at least so often */
#define RETRY_MS 60000			/* after an error of the store */
#define GAP_MAX_SECS (7 * 86400)	/* what a restart may have taken */

int
keyring_policy_check(const struct keyring_policy *p, struct err *e)
{
	struct buf life = BUF_INIT, need = BUF_INIT;
	int rc = 0;

	if (p->life_secs / 2 < p->lifetime_secs + p->gap_secs) {
		duration_format(&life, p->life_secs / 2);
		duration_format(&need, p->lifetime_secs + p->gap_secs);
		rc = err_set(e, ERR_CONFIG, "half of it, %s, is how long an "
		    "old key and the next are both good; the longest lifetime "
		    "of mail and the longest gap between contacts take %s",
		    buf_cstr(&life), buf_cstr(&need));
	}
	buf_release(&life);
	buf_release(&need);
	return rc;
}

struct keyring *
keyring_new(const char *site, const struct keyring_policy *policy,
    struct clock *clock, struct rng *rng, const struct keyring_store *store,
    void *ctx)
{
	struct keyring *k = mem_alloc(1, sizeof(*k));

	k->site = mem_strdup(site);
	k->policy = *policy;
	k->clock = clock;
	k->rng = rng;
	k->store = store;
	k->ctx = ctx;
	k->mono_base_ms = clock_mono_ms(clock);
	k->retry_ms = INT64_MIN;
	return k;
}

void
keyring_free(struct keyring *k)
{
	if (k == NULL)
		return;
	free(k->site);
	buf_release(&k->body);
	buf_release(&k->text);
	secret_wipe(k, sizeof(*k));
	free(k);
}

void
keyring_set_policy(struct keyring *k, const struct keyring_policy *p)
{
	k->policy = *p;
}

/*
 * The clock.
 */
uint64_t
keyring_now(const struct keyring *k)
{
	return k->elapsed_base +
	    (uint64_t)(clock_mono_ms(k->clock) - k->mono_base_ms) / 1000;
}

int64_t
keyring_wall_secs(const struct keyring *k)
{
	return clock_wall_ms(k->clock) / 1000;
}

int64_t
keyring_card_secs(const struct keyring *k)
{
	int64_t at = keyring_wall_secs(k), told = (int64_t)k->counter;
	uint64_t now = keyring_now(k);

	at = told > at ? told : at;
	for (size_t i = 0; i < k->nepochs; i++) {
		const struct keyring_epoch *ep = &k->epoch[i];

		if (ep->end_secs <= now)
			continue;
		told = ep->not_after_secs - 1 - (int64_t)(ep->end_secs - now);
		at = told > at ? told : at;
	}
	return at > 0 ? at : 0;
}

/* From where the last run left off, and not before any key was made. */
static void
start_clock(struct keyring *k)
{
	int64_t gap = keyring_wall_secs(k) - k->saved_wall_secs;

	k->mono_base_ms = clock_mono_ms(k->clock);
	k->elapsed_base = k->saved_secs;
	if (k->has_state && gap > 0)
		k->elapsed_base +=
		    gap < GAP_MAX_SECS ? (uint64_t)gap : GAP_MAX_SECS;
	for (size_t i = 0; i < k->nepochs; i++)
		if (k->elapsed_base < k->epoch[i].born_secs)
			k->elapsed_base = k->epoch[i].born_secs;
}

/*
 * Epochs.
 */
static int
make_epoch(struct keyring *k, struct err *e)
{
	struct keyring_epoch ep = { .born_secs = keyring_now(k) };
	int rc;

	x25519_secret(k->rng, ep.secret);
	x25519_public(ep.secret, ep.public);
	ep.id = key_id(KEY_SUITE_X25519, ep.public, X25519_LEN);
	ep.end_secs = ep.born_secs + k->policy.life_secs;
	/* Who has a card writes to the key that ends last: that is to be the
	 * newest, also of two that are made in one second. */
	if (k->nepochs > 0 && ep.end_secs <= k->epoch[k->nepochs - 1].end_secs)
		ep.end_secs = k->epoch[k->nepochs - 1].end_secs + 1;
	ep.not_after_secs = keyring_card_secs(k) + 1 +
	    (int64_t)(ep.end_secs - ep.born_secs);
	rc = keyring_put_epoch(k, &ep, e);
	if (rc == 0)
		k->epoch[k->nepochs++] = ep;
	secret_wipe(&ep, sizeof(ep));
	return rc;
}

static int
destroy_epoch(struct keyring *k, size_t at, struct err *e)
{
	int rc = keyring_del_epoch(k, &k->epoch[at], e);

	if (rc != 0)
		return rc;
	k->nepochs--;
	memmove(k->epoch + at, k->epoch + at + 1,
	    (k->nepochs - at) * sizeof(k->epoch[0]));
	secret_wipe(&k->epoch[k->nepochs], sizeof(k->epoch[0]));
	return 0;
}

/* When the next one is made: at half the newest one's life, or sooner where
 * the configuration asks for a longer overlap than when it was made. */
static uint64_t
next_due(const struct keyring *k)
{
	uint64_t need = k->policy.lifetime_secs + k->policy.gap_secs;
	const struct keyring_epoch *newest;
	uint64_t life, overlap;

	if (k->nepochs == 0)
		return 0;
	newest = &k->epoch[k->nepochs - 1];
	life = newest->end_secs - newest->born_secs;
	overlap = life / 2 > need ? life / 2 : need;
	return overlap >= life ? newest->born_secs :
	    newest->end_secs - overlap;
}

static int
tick(struct keyring *k, struct err *e)
{
	uint64_t now = keyring_now(k);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < k->nepochs;)
		if (k->epoch[i].end_secs <= now)
			rc = destroy_epoch(k, i, e);
		else
			i++;
	if (rc == 0 && next_due(k) <= now && k->nepochs < KEYRING_LIVE_MAX)
		rc = make_epoch(k, e);
	if (rc == 0 && now >= k->saved_secs + SAVE_SECS)
		rc = keyring_put_state(k, k->counter, k->told, e);
	return rc;
}

int
keyring_tick(struct keyring *k, struct err *e)
{
	int rc = tick(k, e);

	k->retry_ms = rc == 0 ? INT64_MIN : clock_mono_ms(k->clock) + RETRY_MS;
	return rc;
}

int64_t
keyring_deadline_ms(const struct keyring *k)
{
	uint64_t due = k->saved_secs + SAVE_SECS, next = next_due(k);
	uint64_t now = keyring_now(k);
	int64_t at;

	if (k->nepochs < KEYRING_LIVE_MAX && next < due)
		due = next;
	for (size_t i = 0; i < k->nepochs; i++)
		if (k->epoch[i].end_secs < due)
			due = k->epoch[i].end_secs;
	at = clock_mono_ms(k->clock);
	if (due > now)
		at += (int64_t)(due - now) * 1000;
	return at > k->retry_ms ? at : k->retry_ms;
}

int
keyring_make(struct keyring *k, struct err *e)
{
	int rc = 0;

	if (!k->has_identity) {
		ed25519_secret(k->rng, k->identity_secret);
		ed25519_public(k->identity_secret, k->identity_public);
		rc = keyring_put_identity(k, e);
		k->has_identity = rc == 0;
	}
	if (rc == 0 && !k->has_auth) {
		x25519_secret(k->rng, k->auth_secret);
		x25519_public(k->auth_secret, k->auth_public);
		rc = keyring_put_auth(k, e);
		k->has_auth = rc == 0;
	}
	return rc;
}

int
keyring_peek(struct keyring *k, struct err *e)
{
	if (!k->has_identity || !k->has_auth)
		return err_set(e, ERR_NOT_FOUND, "site %s has no %s key: "
		    "\"postrider key new\" makes the keys", k->site,
		    k->has_identity ? "auth" : "identity");
	start_clock(k);
	return 0;
}

int
keyring_start(struct keyring *k, struct err *e)
{
	int rc = keyring_peek(k, e);

	if (rc == 0)
		rc = keyring_tick(k, e);
	if (rc == 0)
		rc = keyring_put_state(k, k->counter, k->told, e);
	return rc;
}

int
keyring_overtake(struct keyring *k, uint64_t counter, struct err *e)
{
	static const unsigned char none[sizeof(k->told)];
	int rc;

	if (counter < k->counter)
		return 0;
	if (counter >= INT64_MAX)
		return err_set(e, ERR_LIMIT, "no counter is higher than that "
		    "of the card");
	rc = keyring_put_state(k, counter, none, e);
	if (rc == 0)
		buf_clear(&k->body);
	return rc;
}

int
keyring_rotate(struct keyring *k, struct err *e)
{
	struct buf left = BUF_INIT;
	int rc = keyring_tick(k, e);

	if (rc != 0 || k->nepochs < KEYRING_LIVE_MAX)
		return rc != 0 ? rc : make_epoch(k, e);
	duration_format(&left, k->epoch[0].end_secs - keyring_now(k));
	rc = err_set(e, ERR_FULL, "%d receiving keys are live already; the "
	    "oldest ends in %s", KEYRING_LIVE_MAX, buf_cstr(&left));
	buf_release(&left);
	return rc;
}

/*
 * Lookups.
 */
size_t
keyring_receiving(struct keyring *k,
    struct keyring_key keys_out[KEYRING_LIVE_MAX])
{
	uint64_t now = keyring_now(k);
	size_t n = 0;

	for (size_t i = k->nepochs; i-- > 0;) {
		const struct keyring_epoch *ep = &k->epoch[i];
		struct keyring_key *out = &keys_out[n];

		if (ep->end_secs <= now)
			continue;
		out->id = ep->id;
		memcpy(out->secret, ep->secret, X25519_LEN);
		memcpy(out->public, ep->public, X25519_LEN);
		out->age_secs = now - ep->born_secs;
		out->left_secs = ep->end_secs - now;
		n++;
	}
	return n;
}

void
keyring_keys_wipe(struct keyring_key keys[KEYRING_LIVE_MAX])
{
	secret_wipe(keys, KEYRING_LIVE_MAX * sizeof(*keys));
}

uint64_t
keyring_left_secs(struct keyring *k, uint64_t id)
{
	uint64_t now = keyring_now(k);

	for (size_t i = 0; i < k->nepochs; i++)
		if (k->epoch[i].id == id && k->epoch[i].end_secs > now)
			return k->epoch[i].end_secs - now;
	return 0;
}

const char *
keyring_site(const struct keyring *k)
{
	return k->site;
}

const unsigned char *
keyring_identity_public(const struct keyring *k)
{
	return k->identity_public;
}

const unsigned char *
keyring_identity_secret(const struct keyring *k)
{
	return k->identity_secret;
}

const unsigned char *
keyring_auth_public(const struct keyring *k)
{
	return k->auth_public;
}

const unsigned char *
keyring_auth_secret(const struct keyring *k)
{
	return k->auth_secret;
}
