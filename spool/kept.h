/* SPDX-License-Identifier: ISC */
#ifndef SPOOL_KEPT_H
#define SPOOL_KEPT_H
/*
 * The records of spool/custody.h, described: for each kind its table, its key
 * and its value, so that reading, walking, writing and checking are written
 * once.  A key is a number, or
 *
 *	[octet of the kind] NAME NUL [numbers, big-endian]
 *
 * so that those of one name stand together in the order of their numbers.
 */
#include "spool/custody.h"
#include "spool/spool_impl.h"

struct kept {
	enum store_table table;
	const char *what;		/* for people: "incoming serial" */
	char lead;			/* the key's first octet; 0: none */
	bool numbered;			/* the key is a number */
	size_t key_rest;		/* octets behind NAME NUL */
	void (*key)(struct buf *out, const void *v);
	void (*key_read)(struct reader *r, void *v_out);
	void (*put)(struct buf *out, const void *v);
	void (*read)(struct reader *r, void *v_out);
	void (*release)(void *v);
};

extern const struct kept kept_bundle, kept_serial_out, kept_flow_out,
    kept_flow_in, kept_serial_in, kept_taken, kept_owed_ack, kept_site,
    kept_history, kept_sent_mail;

/* Appends the key, or its beginning, to out; name NULL: the lead alone. */
void kept_key(struct buf *out, const struct kept *k, const char *name);
/* NAME up to the NUL, which is passed; NULL and failed if there is none. */
char *kept_read_name(struct reader *r);

/* v_out initialised; the key in sp->key. */
int kept_get(struct spool *sp, const struct kept *k, void *v_out,
    struct err *e) MUST_CHECK;
/* The next one above at_io whose key begins as sp->key says. */
int kept_next(struct spool *sp, const struct kept *k, struct buf *at_io,
    void *v_out, struct err *e) MUST_CHECK;
int kept_put(struct spool_unit *u, const struct kept *k, const void *v,
    struct err *e) MUST_CHECK;
/* The key in sp->key. */
int kept_del(struct spool_unit *u, const struct kept *k, struct err *e)
    MUST_CHECK;
/* For numbered ones. */
int kept_get_id(struct spool *sp, const struct kept *k, uint64_t id,
    void *v_out, struct err *e) MUST_CHECK;
int kept_next_id(struct spool *sp, const struct kept *k, uint64_t *id_io,
    void *v_out, struct err *e) MUST_CHECK;
/* Decodes; on ERR_CORRUPT v_out has the key's members alone. */
int kept_decode(const struct kept *k, struct slice key, struct slice value,
    void *v_out, struct err *e) MUST_CHECK;

/* What kind a record is, or NULL (pieces and names seen are none). */
const struct kept *kept_of(enum store_table t, struct slice key);
/* 0, or ERR_CORRUPT: of any record of the tables that schema 2 brought. */
int kept_check(enum store_table t, struct slice key, struct slice value,
    struct err *e) MUST_CHECK;

/* Is a record older than secs?  Of a damaged one: no. */
typedef bool kept_old(struct slice key, struct slice value, uint64_t secs);
/* Removes some hundred of the table that are, in its own transaction, going
 * on from where the last call stopped; 1 while there is more. */
int kept_expire(struct spool *sp, enum store_table t, kept_old *is_old,
    uint64_t secs, struct err *e) MUST_CHECK;

/* The record of spool_put_seen. */
int seen_decode(struct slice key, struct slice value,
    uint64_t *expire_secs_out) MUST_CHECK;
/* Hands the stored octets from .. to of a bundle to fn, piece by piece; where
 * one is missing ERR_CORRUPT.  A negative result of fn ends it. */
typedef int bundle_sink(void *ctx, struct slice octets, struct err *e);
int bundle_each(struct spool *sp, uint64_t id, uint64_t from, uint64_t to,
    bundle_sink *fn, void *ctx, struct err *e) MUST_CHECK;

/* Room for a value of any kind. */
union kept_any {
	struct bundle bundle;
	struct serial_out serial_out;
	struct flow_out flow_out;
	struct flow_in flow_in;
	struct serial_in serial_in;
	struct taken taken;
	struct owed_ack owed_ack;
	struct site_record site;
	struct history history;
	struct sent_mail sent_mail;
};

bool bundle_ranges_valid(const struct bundle_range *range, size_t nranges,
    uint64_t octets);

#endif
