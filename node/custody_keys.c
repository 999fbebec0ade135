/* SPDX-License-Identifier: ISC */
/*
 * Whose keys we have: without a live one of a site nothing is sealed for it,
 * and it is asked; and who has to have ours.
 */
#include "node/custody_private.h"

/*
 * Theirs.
 */
static bool
is_live(struct exchange *x, const char *site, enum seal_kind kind)
{
	struct err e = ERR_INIT;
	struct seal_to to;

	return directory_seal_to(x->directory, site, kind, &to, &e) == 0;
}

bool
custody_has_keys(struct exchange *x, const char *site)
{
	const struct conf_strings *via = conf_find_via(x->conf, site);
	size_t i;

	for (i = 0; via != NULL && i < via->n; i++) {
		if (!is_live(x, via->item[i], SEAL_ONION))
			return false;
	}
	return is_live(x, site, SEAL_BUNDLE);
}

/* Is there a live key of this site?  If not, it is asked for one. */
static bool
has_key(struct custody *c, const char *site, enum seal_kind kind)
{
	struct directory *d = c->x->directory;
	struct err e = ERR_INIT;
	struct seal_to to;
	int rc = directory_seal_to(d, site, kind, &to, &e);

	if (rc == ERR_NOT_FOUND && directory_may_ask(d, site) &&
	    seal_request(c, site, false, &e) != 0)
		log_event(c->x->log, LOG_LEVEL_WARNING, "bundle-not-made",
		    "site", site, "reason", e.text, NULL);
	return rc == 0;
}

bool
seal_can(struct custody *c, const char *site)
{
	struct exchange *x = c->x;
	const struct target *road = custody_road(x, queue_site(x, site));
	const struct conf_strings *via = conf_find_via(x->conf, site);
	bool can = true;
	size_t i;

	if (road != NULL && strcmp(road->name, site) == 0 && via == NULL)
		return directory_knows(x->directory, site);
	for (i = 0; via != NULL && i < via->n; i++)
		can = has_key(c, via->item[i], SEAL_ONION) && can;
	return can && has_key(c, site, SEAL_BUNDLE);
}

/*
 * Ours.
 */
static void
give_back_to(struct custody *c, const char *site)
{
	struct err e = ERR_INIT;

	directory_gave_back(c->x->directory, site);
	if (seal_request(c, site, true, &e) != 0)
		log_event(c->x->log, LOG_LEVEL_WARNING, "bundle-not-made",
		    "site", site, "reason", e.text, NULL);
}

/* Correspondents that do not have our present keys get them, neighbours in a
 * parcel, the others here. */
static void
tell_ours(struct custody *c)
{
	const struct directory *d = c->x->directory;
	const char *site;
	size_t i;

	for (i = 0; (site = directory_site(d, i)) != NULL; i++) {
		if (directory_must_announce(c->x->directory, i) &&
		    conf_find_peer(c->x->conf, site) == NULL &&
		    transit_next_peer(c->x, site) != NULL)
			answer_card(c, site);
	}
}

/* Sites that forgot how far their cards had counted get back the one that is
 * here, the same way. */
static void
give_back(struct custody *c)
{
	struct directory *d = c->x->directory;
	const char *site;
	size_t i;

	for (i = 0; (site = directory_site(d, i)) != NULL; i++) {
		if (!directory_back_is_due(d, site))
			continue;
		if (conf_find_peer(c->x->conf, site) != NULL)
			c->x->dirty = true;
		else if (c->sealing == NULL &&
		    transit_next_peer(c->x, site) != NULL)
			give_back_to(c, site);
	}
}

void
keys_tell(struct custody *c)
{
	tell_ours(c);
	give_back(c);
}
