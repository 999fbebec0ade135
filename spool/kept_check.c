/* SPDX-License-Identifier: ISC */
/*
 * Checking a record of which only the table is known, as verify and salvage
 * meet them.
 */
#include "base/text.h"
#include "spool/kept.h"

#define PIECE_KEY 16

const struct kept *
kept_of(enum store_table t, struct slice key)
{
	static const struct kept *const kinds[] = { &kept_bundle,
		&kept_serial_out, &kept_flow_out, &kept_flow_in,
		&kept_serial_in, &kept_taken, &kept_owed_ack, &kept_site,
		&kept_history, &kept_sent_mail };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i]->table == t && (kinds[i]->lead == 0 ||
		    (key.len > 0 && key.ptr[0] == kinds[i]->lead)))
			return kinds[i];
	return NULL;
}

int
kept_check(enum store_table t, struct slice key, struct slice value,
    struct err *e)
{
	const struct kept *k = kept_of(t, key);
	union kept_any v = { .bundle = { 0 } };
	uint64_t secs;
	int rc;

	if (k != NULL) {
		memset(&v, 0, sizeof(v));
		rc = kept_decode(k, key, value, &v, e);
		k->release(&v);
		return rc;
	}
	if (t == STORE_PIECE && key.len == PIECE_KEY &&
	    !record_open(key, value).failed)
		return 0;
	if (t == STORE_SEEN && seen_decode(key, value, &secs) == 0)
		return 0;
	return err_set(e, ERR_CORRUPT, "spool: %s is damaged",
	    t == STORE_PIECE ? "a piece of a bundle" :
	    t == STORE_SEEN ? "a name seen" : "a flow");
}
