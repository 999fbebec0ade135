/* SPDX-License-Identifier: ISC */
/* Keys and cards at the start of the daemon. */
#include "node/daemon_keys.h"

#include <stdlib.h>

#include "base/file.h"
#include "node/cards.h"
#include "node/serials.h"

static const char *
native_peer(const struct conf *conf)
{
	for (size_t i = 0; i < conf->npeers; i++)
		if (conf->peer[i].dialect == BUNDLE_NATIVE)
			return conf->peer[i].name;
	return NULL;
}

/* Beside the keys, which are outside the spool and its backups too. */
static int
open_serials(struct daemon *d, struct err *e)
{
	char *path = path_join(d->conf->keys_dir, "serials");
	int rc = serials_open(path, &d->serials, e);

	free(path);
	return rc;
}

int
daemon_keys_open(struct daemon *d, struct err *e)
{
	const char *peer = native_peer(d->conf);
	int rc = keys_open(d->conf, KEYFILES_WRITE, d->clock, d->rng,
	    &d->keys, e);

	if (rc == ERR_NOT_FOUND && peer == NULL)
		rc = 0;
	if (rc == ERR_NOT_FOUND)
		rc = err_set(e, ERR_CONFIG, "peer %s is native, and this site "
		    "has no keys in %s: \"postrider key new\" makes them",
		    peer, d->conf->keys_dir);
	return rc == 0 && d->keys != NULL ? open_serials(d, e) : rc;
}

bool
daemon_keys_missing(const struct daemon *d, const struct conf *conf)
{
	return d->keys == NULL && native_peer(conf) != NULL;
}

static void
refuse(struct daemon *d, const char *reason)
{
	log_event(d->log, LOG_LEVEL_WARNING, "card-file-refused",
	    "reason", reason, NULL);
}

static void
told(void *ctx, const char *text)
{
	refuse(ctx, text);
}

static int
taken(void *ctx, struct slice text, const struct card *c, struct err *e)
{
	struct daemon *d = ctx;
	struct err why = ERR_INIT;

	(void)e;
	if (strcmp(c->site, d->conf->site) == 0)
		return 0;
	if (exchange_add_card(d->exchange, text, &why) != 0)
		refuse(d, why.text);
	return 0;
}

void
daemon_keys_cards(struct daemon *d)
{
	struct err e = ERR_INIT;

	if (cards_walk(d->conf->cards_dir, taken, told, d, &e) != 0)
		refuse(d, e.text);
}
