/* SPDX-License-Identifier: ISC */
#ifndef NODE_DIALECT_H
#define NODE_DIALECT_H
/*
 * What differs between the dialects of peers, as a table of functions: batches
 * (bsmtp and rfc2442) are made of mail that waits and end with the transport's
 * word; parcels (native) are made of bundles and are repeated until they are
 * acknowledged.  Objects, roads and files are the same for both.
 */
#include "node/exchange_private.h"

/* An object being read or written; each dialect has more behind it. */
struct inbound {
	const struct dialect *dialect;
	struct exchange *x;
	char *peer, *name;
	char *reason; /* why it is broken */
	uint64_t messages;
};

struct outbound {
	const struct dialect *dialect;
	struct exchange *x;
	struct object object;
};

struct dialect {
	/* Makes one object of what waits for l, if its limits and schedule
	 * say so; false: nothing to make now. */
	bool (*cut)(struct exchange *x, struct lane *l);
	/* Does something wait that is in no object and is worth a call? */
	bool (*waits)(struct exchange *x, const struct lane *l);
	/* Is it being made ready?  Then a call waits for it. */
	bool (*making)(struct exchange *x, const struct lane *l);
	/* Monotonic: when `cut` is to be asked again; INT64_MAX. */
	int64_t (*deadline_ms)(struct exchange *x, const struct lane *l);
	/* The transport has handed c over: settles it; its record goes. */
	int (*sent)(struct exchange *x, struct cut *c, struct err *e);
	/* The record has gone: what was in it waits again. */
	void (*withdrawn)(struct exchange *x, const struct object *o);
	/* Its lane cannot be used, and its transport has ended: whether and
	 * how it goes by another is for the dialect to say. */
	int (*hand_on)(struct exchange *x, struct cut *c, struct err *e);
	/* The transport cannot send it, for good. */
	void (*failed)(struct exchange *x, struct cut *c);
	/* At start. */
	int (*load)(struct exchange *x, const struct object *o, struct cut *c,
	    struct err *e);

	/* Takes the record over when it returns 0. */
	int (*outbound_new)(struct exchange *x, struct object *o,
	    struct outbound **ob_out, struct err *e);
	int (*outbound_read)(struct outbound *ob, struct buf *out,
	    struct err *e);
	void (*outbound_free)(struct outbound *ob);

	/* The members of struct inbound are set by the caller. */
	struct inbound *(*inbound_new)(struct exchange *x,
	    struct slice pickup);
	int (*inbound_add)(struct inbound *in, const char *bytes, size_t len,
	    struct err *e);
	enum inbound_outcome (*inbound_end)(struct inbound *in);
	void (*inbound_free)(struct inbound *in);
};

extern const struct dialect batch_dialect; /* batch.c */

/* peer NULL: it is gone. */
const struct dialect *dialect_of_peer(const struct conf_peer *peer);
const struct dialect *dialect_of_object(const struct object *o);

#endif
