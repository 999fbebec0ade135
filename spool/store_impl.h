/* SPDX-License-Identifier: ISC */
#ifndef SPOOL_STORE_IMPL_H
#define SPOOL_STORE_IMPL_H
/* What an engine gives to store.c: for the files store_*.c alone. */
#include "spool/store.h"

struct store_ops {
	void (*close)(struct store *s);
	int (*get)(struct store *s, enum store_table t, struct slice key,
	    size_t max, struct buf *value_out, struct err *e);
	int (*next)(struct store *s, enum store_table t, bool from,
	    struct buf *key_io, size_t max, struct buf *value_out,
	    struct err *e);
	int (*begin)(struct store *s, struct err *e);
	int (*put)(struct store *s, enum store_table t, struct slice key,
	    struct slice value, struct err *e);
	int (*del)(struct store *s, enum store_table t, struct slice key,
	    struct err *e);
	int (*commit)(struct store *s, bool sync, struct err *e);
	void (*abort)(struct store *s);
	int (*flush)(struct store *s, struct err *e);
	int (*maintain)(struct store *s, struct err *e);
	int (*backup)(struct store *s, const char *dir, struct err *e);
	void (*stats)(struct store *s, struct store_stats *out);
};

/* The first member of every engine's own struct. */
struct store {
	const struct store_ops *ops;
	bool busy;		/* a transaction is open */
	bool failed;		/* the engine gave up: only close is left */
	bool damaged;		/* and for good: over what it read */
};

#endif
