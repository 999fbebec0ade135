/* SPDX-License-Identifier: ISC */
/* From the configuration to the keyring. */
#include "node/keys.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"

#define LIFE_SECS (90 * 86400)	/* of a receiving key */

struct keyring_policy
keys_policy(const struct conf *conf)
{
	struct keyring_policy p = { conf->key_life_secs, conf->lifetime_secs,
		conf->gap_secs };

	for (size_t i = 0; i < conf->npeers; i++)
		if (conf->peer[i].dialect == BUNDLE_NATIVE &&
		    conf->peer[i].lifetime_secs > p.lifetime_secs)
			p.lifetime_secs = conf->peer[i].lifetime_secs;
	return p;
}

void
keys_complete(struct conf *conf)
{
	size_t dir = (size_t)(path_base(conf->file) - conf->file);
	struct keyring_policy p;

	if (conf->keys_dir == NULL && conf->spool_dir != NULL)
		conf->keys_dir = mem_printf("%s-keys", conf->spool_dir);
	if (conf->cards_dir == NULL)
		conf->cards_dir = mem_printf("%.*speers.d", (int)dir,
		    conf->file);
	if (conf->key_life_secs != 0)
		return;
	p = keys_policy(conf);
	conf->key_life_secs = 2 * (p.lifetime_secs + p.gap_secs);
	if (conf->key_life_secs < LIFE_SECS)
		conf->key_life_secs = LIFE_SECS;
}

static int
start(struct keys *keys, enum keyfiles_how how, struct err *e)
{
	int rc = 0;

	if (how == KEYFILES_MAKE)
		rc = keyring_make(keys->ring, e);
	if (rc != 0)
		return rc;
	return how == KEYFILES_READ ? keyring_peek(keys->ring, e) :
	    keyring_start(keys->ring, e);
}

int
keys_open(const struct conf *conf, enum keyfiles_how how, struct clock *clock,
    struct rng *rng, struct keys **keys_out, struct err *e)
{
	struct keys *keys = mem_alloc(1, sizeof(*keys));
	struct keyring_policy policy = keys_policy(conf);
	size_t n;
	int rc;

	*keys_out = NULL;
	rc = keyfiles_open(conf->keys_dir, how, &keys->files, e);
	if (rc == 0) {
		keys->ring = keyring_new(conf->site, &policy, clock, rng,
		    keyfiles_store(), keys->files);
		rc = keyfiles_load(keys->files, keys->ring, &n, e);
	}
	if (rc == 0)
		rc = start(keys, how, e);
	if (rc == 0)
		*keys_out = keys;
	else
		keys_close(keys);
	return rc;
}

void
keys_close(struct keys *keys)
{
	if (keys == NULL)
		return;
	keyring_free(keys->ring);
	keyfiles_close(keys->files);
	free(keys);
}

static void
add_texts(const char ***item, size_t *n, const struct conf_strings *more)
{
	if (more == NULL || more->n == 0)
		return;
	*item = mem_realloc(*item, *n + more->n, sizeof(**item));
	for (size_t i = 0; i < more->n; i++)
		(*item)[(*n)++] = more->item[i];
}

int
keys_card(struct keyring *ring, const struct conf *conf,
    const struct conf_strings *reach, struct buf *out, uint64_t *counter_out,
    struct err *e)
{
	const char **domain = NULL, **way = NULL;
	size_t ndomains = 0, nways = 0;
	struct keyring_about about;
	int rc;

	for (size_t i = 0; i < conf->ndeliveries; i++)
		add_texts(&domain, &ndomains, &conf->delivery[i].domains);
	add_texts(&way, &nways, reach);
	add_texts(&way, &nways, &conf->reach);
	about = (struct keyring_about){ domain, ndomains, way, nways };
	rc = keyring_card(ring, &about, out, counter_out, e);
	free(domain);
	free(way);
	return rc;
}

int
keys_read_psks(struct conf *conf, struct err *e)
{
	for (size_t i = 0; i < conf->npeers; i++) {
		struct conf_peer *peer = &conf->peer[i];
		int rc;

		peer->has_psk = false;
		if (peer->psk_file == NULL)
			continue;
		rc = keyfiles_read_psk(peer->psk_file, peer->psk, e);
		if (rc != 0) {
			err_prefix(e, "peer %s", peer->name);
			return rc;
		}
		peer->has_psk = true;
	}
	return 0;
}
