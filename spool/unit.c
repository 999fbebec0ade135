/* SPDX-License-Identifier: ISC */
/*
 * Units of work.  The unit lives inside the spool, for there is one at most;
 * what it would change in memory (drafts used up, bodies to sweep, ids
 * reserved) happens only when it has committed.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "spool/spool_impl.h"

int
spool_begin(struct spool *sp, struct spool_unit **u_out, struct err *e)
{
	struct spool_unit *u = &sp->unit;
	int rc = store_begin(sp->store, e);

	if (rc < 0)
		return rc;
	u->octets = 0;
	u->adds = false;
	u->reserve = false;
	u->nadded = 0;
	u->dead.n = u->dead_bundles.n = 0;
	*u_out = u;
	return 0;
}

size_t
spool_unit_octets(const struct spool_unit *u)
{
	return u->octets;
}

int
unit_put(struct spool_unit *u, enum store_table t, struct slice key,
    struct slice value, struct err *e)
{
	u->octets += key.len + value.len;
	return store_put(u->sp->store, t, key, value, e);
}

/* Drafts are used up or free again; bodies without an owner are swept. */
static void
unit_settle(struct spool_unit *u, bool committed)
{
	struct spool *sp = u->sp;

	for (size_t i = 0; i < u->nadded; i++) {
		struct added *a = &u->added[i];

		if (a->draft != NULL) {
			a->draft->unit = NULL;
			a->draft->used = committed;
		} else if (!committed && a->chunks_id != 0) {
			ids_add(&sp->dead, a->chunks_id);
		}
	}
	for (size_t i = 0; committed && i < u->dead.n; i++)
		ids_add(&sp->dead, u->dead.v[i]);
	for (size_t i = 0; committed && i < u->dead_bundles.n; i++)
		ids_add(&sp->dead_bundles, u->dead_bundles.v[i]);
	counter_settle(&sp->messages, committed);
	counter_settle(&sp->objects, committed);
	counter_settle(&sp->bundles, committed);
	epochs_settle(u, committed);
	u->nadded = u->dead.n = u->dead_bundles.n = 0;
}

int
spool_commit(struct spool_unit *u, bool sync, struct err *e)
{
	struct spool *sp = u->sp;
	int rc = 0;

	if (u->adds)
		rc = spool_check_reserve(sp, u->octets, u->reserve ?
		    sp->opts.min_free_bytes / 2 : sp->opts.min_free_bytes, e);
	if (rc < 0)
		store_abort(sp->store);
	else
		rc = store_commit(sp->store, sync, e);
	unit_settle(u, rc == 0);
	return rc;
}

void
spool_abort(struct spool_unit *u)
{
	store_abort(u->sp->store);
	unit_settle(u, false);
}
