/* SPDX-License-Identifier: ISC */
/*
 * Sweeping chunks of bodies and pieces of bundles that belong to nothing.
 *
 * Both begin their key with the id of their owner.  So what a crash left
 * behind is found by looking each id up once, in no memory to speak of, and
 * nothing needs to be written down about a sweep that is under way.
 */
#include <stdlib.h>

#include "base/text.h"
#include "spool/spool_impl.h"

#define SWEEP_STEP 15		/* their deletion logs them: under a unit */
#define OWNERS 2

/* Two tables of octets, and whose records own them. */
static const struct owned {
	enum store_table table;
	enum store_table owner[OWNERS];
} bodies = { STORE_BODY, { STORE_MESSAGE, STORE_BROKEN } },
    bundles = { STORE_PIECE, { STORE_BUNDLE, STORE_BUNDLE } };

static void
seek_id(struct buf *at, uint64_t id)
{
	struct id_key key = id_key(id);

	buf_clear(at);
	buf_addslice(at, id_slice(&key));
}

/* The id at the front of a key; -1 if there is none. */
static int
front_id(const struct buf *key, uint64_t *id_out)
{
	if (key->len < 8)
		return -1;
	return id_of_key((struct slice){ key->ptr, 8 }, id_out);
}

/* Deletes what one id owns from the first on; 1 if some is left. */
static int
sweep_some(struct spool *sp, enum store_table t, uint64_t id, struct err *e)
{
	uint64_t found;
	int rc = 0, n;

	seek_id(&sp->key, id);
	for (n = 0; n < SWEEP_STEP; n++) {
		rc = store_next(sp->store, t, n == 0, &sp->key, 0, NULL, e);
		if (rc < 0 || front_id(&sp->key, &found) < 0 || found != id)
			break;
		rc = store_del(sp->store, t, buf_slice(&sp->key), e);
		if (rc < 0)
			break;
	}
	if (rc == ERR_NOT_FOUND)
		rc = 0;
	return rc < 0 ? rc : n == SWEEP_STEP;
}

static int
sweep_list(struct spool *sp, enum store_table t, struct ids *dead,
    struct err *e)
{
	int rc, more;

	if ((rc = store_begin(sp->store, e)) < 0)
		return rc;
	more = sweep_some(sp, t, dead->v[dead->n - 1], e);
	if (more < 0) {
		store_abort(sp->store);
		return more;
	}
	if ((rc = store_commit(sp->store, false, e)) < 0)
		return rc;
	if (more == 0)
		dead->n--;
	return more || dead->n > 0;
}

int
spool_sweep(struct spool *sp, struct err *e)
{
	int rc;

	if (sp->dead_bundles.n > 0) {
		rc = sweep_list(sp, STORE_PIECE, &sp->dead_bundles, e);
		return rc < 0 ? rc : rc > 0 || sp->dead.n > 0;
	}
	return sp->dead.n > 0 ? sweep_list(sp, STORE_BODY, &sp->dead, e) : 0;
}

/* 1 if a record of an owner's table has that id, whole or not. */
static int
has_owner(struct spool *sp, const struct owned *o, uint64_t id,
    struct err *e)
{
	struct id_key key = id_key(id);
	int rc = ERR_NOT_FOUND;

	for (int i = 0; i < OWNERS && rc == ERR_NOT_FOUND; i++)
		rc = store_get(sp->store, o->owner[i], id_slice(&key), 1,
		    &sp->value, e);
	if (rc == ERR_NOT_FOUND)
		return 0;
	return rc < 0 ? rc : 1;
}

static int
sweep_all_of(struct spool *sp, const struct owned *o, uint64_t id,
    struct err *e)
{
	struct ids one = { .v = &id, .n = 1 };
	int rc;

	while ((rc = sweep_list(sp, o->table, &one, e)) > 0)
		continue;
	return rc;
}

static int
sweep_table(struct spool *sp, const struct owned *o, struct err *e)
{
	struct buf at = BUF_INIT;
	uint64_t id = 0;
	int rc = 0;

	/* No id is 0: each look begins behind the last one's. */
	while (rc >= 0 && id < UINT64_MAX) {
		seek_id(&at, id + 1);
		rc = store_next(sp->store, o->table, true, &at, 0, NULL, e);
		if (rc < 0)
			break;
		if (front_id(&at, &id) < 0)
			rc = err_set(e, ERR_CORRUPT, "spool: the key of a "
			    "%s is damaged", o->table == STORE_BODY ?
			    "chunk" : "piece");
		else
			rc = has_owner(sp, o, id, e);
		if (rc == 0)
			rc = sweep_all_of(sp, o, id, e);
	}
	buf_release(&at);
	return rc == ERR_NOT_FOUND || rc > 0 ? 0 : rc;
}

int
spool_sweep_orphans(struct spool *sp, struct err *e)
{
	int rc = sweep_table(sp, &bodies, e);

	return rc < 0 ? rc : sweep_table(sp, &bundles, e);
}
