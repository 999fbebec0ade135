/* SPDX-License-Identifier: ISC */
/*
 * Epochs: the current one and those before, each with the number of the first
 * message accepted under it.  The list is short and stands in memory; an
 * epoch that no message is left of is forgotten when the next one is opened.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "spool/kept.h"

/* Beyond it the oldest is forgotten: its messages, if there still are any,
 * count as the next one's then, in which their numbers do not occur. */
#define EPOCHS_MAX 256

uint64_t
spool_epoch(const struct spool *sp)
{
	return sp->epochs.v[sp->epochs.n - 1].epoch;
}

uint64_t
spool_numbers_reserved(const struct spool *sp)
{
	return sp->messages.limit;
}

uint64_t
spool_epoch_of(const struct spool *sp, uint64_t id)
{
	size_t i = sp->epochs.n - 1;

	while (i > 0 && sp->epochs.v[i].first > id)
		i--;
	return sp->epochs.v[i].epoch;
}

void
spool_message_origin(const struct spool *sp, const struct message *m,
    uint64_t *epoch_out, uint64_t *number_out)
{
	bool imported = m->was_epoch != 0;

	*epoch_out = imported ? m->was_epoch : spool_epoch_of(sp, m->id);
	*number_out = imported ? m->was_number : m->id;
}

static int
write_epochs(struct spool *sp, struct err *e)
{
	record_begin(&sp->value);
	buf_put32(&sp->value, (uint32_t)sp->epochs.n);
	for (size_t i = 0; i < sp->epochs.n; i++) {
		buf_put64(&sp->value, sp->epochs.v[i].epoch);
		buf_put64(&sp->value, sp->epochs.v[i].first);
	}
	return meta_put(sp->store, "epochs", &sp->value, e);
}

/* How many at the front have no message left. */
static int
count_spent(struct spool *sp, size_t *n_out, struct err *e)
{
	const struct epochs *l = &sp->epochs;
	uint64_t lowest = 0;
	int rc = spool_next_id(sp, STORE_MESSAGE, &lowest, 1, e);

	if (rc == ERR_NOT_FOUND)
		lowest = UINT64_MAX;
	else if (rc < 0)
		return rc;
	*n_out = l->n >= EPOCHS_MAX ? l->n - EPOCHS_MAX + 1 : 0;
	while (*n_out < l->n && (*n_out + 1 < l->n ?
	    l->v[*n_out + 1].first : sp->messages.next) <= lowest)
		(*n_out)++;
	return 0;
}

int
spool_new_epoch(struct spool_unit *u, struct err *e)
{
	struct spool *sp = u->sp;
	struct epochs old = sp->epochs;
	size_t spent, n;
	int rc = count_spent(sp, &spent, e);

	if (rc < 0)
		return rc;
	n = old.n - spent;
	sp->epochs.v = mem_alloc(n + 1, sizeof(*old.v));
	for (size_t i = 0; i < n; i++)
		sp->epochs.v[i] = old.v[spent + i];
	do {
		sp->epochs.v[n].epoch = rng_u64(sp->opts.rng);
	} while (sp->epochs.v[n].epoch == 0);
	sp->epochs.v[n].first = sp->messages.next;
	sp->epochs.n = n + 1;
	/* What an abort goes back to is from before the first of the unit. */
	if (u->epochs_changed)
		free(old.v);
	else
		u->epochs_before = old;
	u->epochs_changed = true;
	return write_epochs(sp, e);
}

void
epochs_settle(struct spool_unit *u, bool committed)
{
	if (!u->epochs_changed)
		return;
	if (committed) {
		free(u->epochs_before.v);
	} else {
		free(u->sp->epochs.v);
		u->sp->epochs = u->epochs_before;
	}
	u->epochs_before = (struct epochs){ 0 };
	u->epochs_changed = false;
}

int
epochs_renew(struct spool *sp, struct err *e)
{
	struct spool_unit *u;
	int rc = spool_begin(sp, &u, e);

	if (rc < 0)
		return rc;
	rc = spool_new_epoch(u, e);
	if (rc == 0)
		return spool_commit(u, true, e);
	spool_abort(u);
	return rc;
}

/* A list that tells nothing is damage, CRC or not. */
static int
read_epochs(struct spool *sp, struct reader *r, struct err *e)
{
	struct epochs *l = &sp->epochs;

	l->n = record_count(r, 16);
	l->v = mem_alloc(l->n + 1, sizeof(*l->v));
	for (size_t i = 0; i < l->n; i++) {
		l->v[i].epoch = read64(r);
		l->v[i].first = read64(r);
		if (l->v[i].epoch == 0 ||
		    (i > 0 && l->v[i].first < l->v[i - 1].first))
			r->failed = true;
	}
	if (record_finish(r) == 0 && l->n > 0)
		return 0;
	return err_set(e, ERR_CORRUPT,
	    "spool: the record \"epochs\" is damaged");
}

int
epochs_load(struct spool *sp, struct err *e)
{
	struct reader r;
	int rc = meta_get(sp->store, "epochs", &sp->value, &r, e);

	if (rc == ERR_NOT_FOUND)
		return epochs_renew(sp, e);
	return rc < 0 ? rc : read_epochs(sp, &r, e);
}
