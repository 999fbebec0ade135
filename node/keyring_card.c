/* SPDX-License-Identifier: ISC */
/*
 * What the keyring signs and derives: the site's card, and secrets of pairs
 * of sites.
 */
#include "base/kdf.h"
#include "base/secret.h"
#include "base/text.h"
#include "node/keyring_impl.h"

/* Beside domains: keys, ways to be reached and the signature. */
#define BESIDE_DOMAINS 8192
#define DRIFT_SECS 86400	/* between what cards say and what is */

/*
 * Who has a card counts a key's time from when he heard of it: what it says of
 * the key's end less its counter, which is its own time.  So that time goes
 * on evenly where the wall clock is set back.  If that clock jumped ahead, or
 * the node was off for longer than the keyring counts, ends are told anew.
 */
static int
follow_wall(struct keyring *k, struct err *e)
{
	int64_t at = keyring_card_secs(k);
	uint64_t now = keyring_now(k);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < k->nepochs; i++) {
		struct keyring_epoch ep = k->epoch[i];
		int64_t end = at + 1 + (int64_t)(ep.end_secs - now);
		int64_t drift = end - ep.not_after_secs;

		if (drift >= -DRIFT_SECS && drift <= DRIFT_SECS)
			continue;
		ep.not_after_secs = end;
		rc = keyring_put_epoch(k, &ep, e);
		if (rc == 0)
			k->epoch[i] = ep;
		secret_wipe(&ep, sizeof(ep));
	}
	return rc;
}

static void
add_domains(const struct keyring_about *about, struct card *c)
{
	size_t octets = 0;

	for (size_t i = 0; i < about->ndomains; i++) {
		size_t len = strlen(about->domain[i]) + sizeof("domain \n");

		if (about->domain[i][0] == '[' ||
		    c->ndomains == CARD_DOMAINS_MAX ||
		    octets + len > CARD_MAX - BESIDE_DOMAINS)
			continue;
		card_add_domain(c, about->domain[i]);
		octets += len;
	}
}

static int
fill_card(struct keyring *k, const struct keyring_about *about,
    struct card *c, struct err *e)
{
	uint64_t now = keyring_now(k);
	int rc = 0;

	card_set_site(c, k->site);
	card_set_identity(c, k->identity_public);
	card_set_auth(c, k->auth_public);
	for (size_t i = 0; i < k->nepochs; i++)
		if (k->epoch[i].end_secs > now)
			card_add_receive(c, k->epoch[i].public,
			    k->epoch[i].not_after_secs);
	add_domains(about, c);
	for (size_t i = 0; rc == 0 && i < about->nreaches; i++)
		rc = card_add_reach(c, about->reach[i], e);
	return rc;
}

/* Signs c and keeps the text. */
static int
sign_card(struct keyring *k, struct card *c, unsigned char digest[32],
    struct err *e)
{
	struct sha256 h;
	int rc;

	buf_clear(&k->text);
	buf_clear(&k->body);
	rc = card_write(c, k->identity_secret, &k->text, e);
	if (rc != 0)
		return rc;
	sha256_init(&h);
	sha256_add(&h, k->text.ptr, k->text.len);
	sha256_end(&h, digest);
	return 0;
}

static int
renew_card(struct keyring *k, struct card *c, struct err *e)
{
	uint64_t at = (uint64_t)keyring_card_secs(k);
	unsigned char digest[32];
	int rc = 0;

	/* What the last run signed, if nothing changed since. */
	if (k->counter > 0) {
		c->counter = k->counter;
		rc = sign_card(k, c, digest, e);
		if (rc != 0 || secret_equal(digest, k->told, sizeof(digest)))
			return rc;
	}
	c->counter = k->counter + 1 > at ? k->counter + 1 : at;
	rc = sign_card(k, c, digest, e);
	return rc != 0 ? rc : keyring_put_state(k, c->counter, digest, e);
}

int
keyring_card(struct keyring *k, const struct keyring_about *about,
    struct buf *out, uint64_t *counter_out, struct err *e)
{
	struct buf body = BUF_INIT;
	struct card c;
	int rc;

	card_init(&c);
	rc = follow_wall(k, e);
	if (rc == 0)
		rc = fill_card(k, about, &c, e);
	if (rc == 0) {
		c.counter = k->counter;
		card_body(&c, &body);
	}
	if (rc == 0 && (k->body.len == 0 ||
	    !slice_eq(buf_slice(&body), buf_slice(&k->body)))) {
		rc = renew_card(k, &c, e);
		if (rc == 0)
			card_body(&c, &k->body);
		else
			buf_clear(&k->body);
	}
	if (rc == 0) {
		buf_addslice(out, buf_slice(&k->text));
		*counter_out = k->counter;
	}
	card_release(&c);
	buf_release(&body);
	return rc;
}

struct fingerprint
keyring_fingerprint(const struct keyring *k)
{
	return fingerprint_of(KEY_SUITE_ED25519, k->identity_public,
	    ED25519_LEN);
}

int
keyring_pair_secret(const struct keyring *k,
    const unsigned char peer_auth[X25519_LEN], const unsigned char *psk,
    const char *label, unsigned char secret_out[KEYRING_PSK_LEN],
    struct err *e)
{
	const unsigned char *ours = k->auth_public;
	bool first = memcmp(ours, peer_auth, X25519_LEN) < 0;
	unsigned char shared[X25519_LEN], prk[KDF_LEN];
	struct slice salt = SLICE_LIT("");
	struct buf info = BUF_INIT;

	if (x25519_shared(k->auth_secret, peer_auth, shared) != 0)
		return err_set(e, ERR_DENIED, "the peer's auth key is a "
		    "point of low order");
	if (psk != NULL)
		salt = (struct slice){ (const char *)psk, KEYRING_PSK_LEN };
	hkdf_extract(salt, (struct slice){ (char *)shared, sizeof(shared) },
	    prk);
	buf_add(&info, "postrider pair", sizeof("postrider pair"));
	buf_add(&info, label, strlen(label) + 1);
	buf_add(&info, first ? ours : peer_auth, X25519_LEN);
	buf_add(&info, first ? peer_auth : ours, X25519_LEN);
	hkdf_expand(prk, buf_slice(&info), secret_out, KEYRING_PSK_LEN);
	secret_wipe(shared, sizeof(shared));
	secret_wipe(prk, sizeof(prk));
	buf_release(&info);
	return 0;
}
