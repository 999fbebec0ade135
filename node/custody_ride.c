/* SPDX-License-Identifier: ISC */
/*
 * Results under way, and cards.  They are owed until they are in a bundle, so a
 * bundle that does not reach the next hop, since another takes its place or the
 * site has other keys now, would take them along: until the origin repeats its
 * batch, since nobody acknowledges results.  So it is kept in memory which of
 * them ride in which bundle, until the neighbour has all of it.
 */
#include <stdlib.h>

#include "node/custody_private.h"

struct ride {
	uint64_t bundle;
	char *site;
	bool lost;		/* they are said again at the next tick */
	struct owed_result *result;
	size_t n;
	bool card;
};

static void
ride_free(struct ride *r)
{
	if (r == NULL)
		return;
	free(r->site);
	free(r->result);
	free(r);
}

void
ride_begin(struct custody *c, uint64_t bundle, const char *site,
    const struct serial_in *result, size_t n, bool card)
{
	struct ride *r;
	size_t i;

	if (n == 0 && !card)
		return;
	r = mem_alloc(1, sizeof(*r));
	r->card = card;
	r->bundle = bundle;
	r->site = mem_strdup(site);
	r->result = mem_alloc(n + 1, sizeof(*r->result));
	r->n = n;
	for (i = 0; i < n; i++)
		r->result[i] = (struct owed_result){ result[i].epoch,
			result[i].serial };
	ride_free(map_put_u64(c->rides, bundle, r));
}

void
ride_over(struct custody *c, uint64_t bundle)
{
	ride_free(map_del_u64(c->rides, bundle));
}

void
ride_lost(struct custody *c, uint64_t bundle)
{
	struct ride *r = map_get_u64(c->rides, bundle);

	if (r != NULL)
		r->lost = c->rides_lost = true;
}

void
rides_of_site_lost(struct custody *c, const char *site)
{
	struct ride *r;
	size_t pos = 0;
	void *value;

	while (map_next(c->rides, &pos, NULL, &value)) {
		r = value;
		if (strcmp(r->site, site) != 0)
			continue;
		r->lost = c->rides_lost = true;
	}
}

/* What the origin has not settled since is owed again, once. */
static int
owe_again(struct custody *c, const struct ride *r, struct spool_unit *u,
    struct err *e)
{
	struct serial_in in;
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < r->n; i++) {
		rc = spool_get_serial_in(c->x->spool, r->site,
		    r->result[i].epoch, r->result[i].serial, &in, e);
		if (rc == 0 && !in.owed) {
			in.owed = true;
			rc = spool_put_serial_in(u, &in, e);
			if (rc == 0)
				answer_owe(c, &in);
		}
		serial_in_release(&in);
		rc = rc == ERR_NOT_FOUND || rc == ERR_CORRUPT ? 0 : rc;
	}
	return rc;
}

/* That the answer lists more than became durable does no harm: what the ledger
 * does not owe is passed over. */
int
ride_again(struct custody *c, uint64_t bundle, struct err *e)
{
	const struct ride *r = map_get_u64(c->rides, bundle);
	struct spool_unit *u;
	int rc;

	if (r == NULL)
		return 0;
	rc = spool_begin(c->x->spool, &u, e);
	if (rc != 0)
		return rc;
	spool_unit_use_reserve(u);
	rc = owe_again(c, r, u, e);
	if (rc == 0)
		rc = spool_commit(u, false, e);
	else
		spool_abort(u);
	if (rc != 0)
		return rc;
	if (r->card)
		directory_untold(c->x->directory, r->site);
	ride_over(c, bundle);
	return 0;
}

/* What there is no room for now is said at a later tick. */
void
rides_tick(struct custody *c)
{
	struct err e = ERR_INIT;
	const struct ride *r;
	size_t pos = 0;
	void *value;

	if (!c->rides_lost)
		return;
	while (map_next(c->rides, &pos, NULL, &value)) {
		r = value;
		if (r->lost && ride_again(c, r->bundle, &e) != 0)
			return;
	}
	c->rides_lost = false;
}

void
rides_free(struct custody *c)
{
	size_t pos = 0;
	void *value;

	while (map_next(c->rides, &pos, NULL, &value))
		ride_free(value);
	map_free(c->rides);
}
