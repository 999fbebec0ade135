/* SPDX-License-Identifier: ISC */
/*
 * The front of the engines.  It holds the contract that both share: one
 * transaction at a time, none kept across a return to the event loop, nothing
 * but closing after a failure.  A caller that breaks it is a bug of ours, and
 * a spool is no place to go on with one: the program aborts.
 */
#include "spool/store.h"

#include <stdlib.h>

#include "spool/store_impl.h"

static void
require(bool kept)
{
	if (!kept)
		abort();
}

static int
check_alive(const struct store *s, struct err *e)
{
	if (!s->failed)
		return 0;
	return err_set(e, ERR_IO, "the spool failed earlier and is closed to "
	    "all work until the program starts again");
}

void
store_options_default(struct store_options *opts)
{
	*opts = (struct store_options){
		.cache_bytes = 8 << 20,
		.log_buffer_bytes = 1 << 20,
		.log_file_bytes = 32 << 20,
		.checkpoint_bytes = 16 << 20,
		.create = true,
	};
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	if (s->busy)
		store_abort(s);
	s->ops->close(s);
}

int
store_get(struct store *s, enum store_table t, struct slice key, size_t max,
    struct buf *value_out, struct err *e)
{
	int rc = check_alive(s, e);

	return rc < 0 ? rc : s->ops->get(s, t, key, max, value_out, e);
}

int
store_next(struct store *s, enum store_table t, bool from, struct buf *key_io,
    size_t max, struct buf *value_out, struct err *e)
{
	int rc = check_alive(s, e);

	return rc < 0 ? rc : s->ops->next(s, t, from, key_io, max, value_out,
	    e);
}

int
store_begin(struct store *s, struct err *e)
{
	int rc = check_alive(s, e);

	require(!s->busy);
	if (rc == 0)
		rc = s->ops->begin(s, e);
	s->busy = rc == 0;
	return rc;
}

int
store_put(struct store *s, enum store_table t, struct slice key,
    struct slice value, struct err *e)
{
	int rc = check_alive(s, e);

	require(s->busy);
	return rc < 0 ? rc : s->ops->put(s, t, key, value, e);
}

int
store_del(struct store *s, enum store_table t, struct slice key, struct err *e)
{
	int rc = check_alive(s, e);

	require(s->busy);
	return rc < 0 ? rc : s->ops->del(s, t, key, e);
}

int
store_commit(struct store *s, bool sync, struct err *e)
{
	int rc = check_alive(s, e);

	require(s->busy);
	if (rc < 0) {
		store_abort(s);
		return rc;
	}
	s->busy = false;
	return s->ops->commit(s, sync, e);
}

void
store_abort(struct store *s)
{
	require(s->busy);
	s->busy = false;
	s->ops->abort(s);
}

int
store_flush(struct store *s, struct err *e)
{
	int rc = check_alive(s, e);

	return rc < 0 ? rc : s->ops->flush(s, e);
}

bool
store_failed(const struct store *s)
{
	return s->failed;
}

bool
store_damaged(const struct store *s)
{
	return s->failed && s->damaged;
}

void
store_assert_idle(const struct store *s)
{
	require(!s->busy);
}

int
store_maintain(struct store *s, struct err *e)
{
	int rc = check_alive(s, e);

	require(!s->busy);
	return rc < 0 ? rc : s->ops->maintain(s, e);
}

int
store_backup(struct store *s, const char *dir, struct err *e)
{
	int rc = check_alive(s, e);

	require(!s->busy);
	return rc < 0 ? rc : s->ops->backup(s, dir, e);
}

void
store_stats(struct store *s, struct store_stats *out)
{
	*out = (struct store_stats){ 0 };
	s->ops->stats(s, out);
}
