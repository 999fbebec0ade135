/* SPDX-License-Identifier: ISC */
#ifndef NODE_INBOUND_H
#define NODE_INBOUND_H
/*
 * A batch being read, shared by its processing and the quarantine.
 */
#include "bundle/reader.h"
#include "node/arrivals.h"
#include "node/dialect.h"
#include "node/notice.h"

struct batch_in {
	struct inbound base;
	const struct conf_peer *conf;	/* of this turn; NULL: gone */
	struct buf key;			/* in the ledger */
	struct buf pickup;		/* the key, where there is no id */
	struct ledger_entry ledger;
	bool ours;			/* it carries an id of our kind */
	bool looked_up, duplicate;
	uint64_t skip;			/* transactions committed before */
	uint64_t index;			/* of the last one whole */
	struct bundle_reader *reader;
	struct spool_draft *draft;	/* of the message at hand */
	struct buf head;		/* its beginning, for notices */
	bool head_whole;
	struct notice_recipient *refused;
	size_t nrefused;
	char **words;			/* that `refused` points to */
	size_t nwords;
	struct arrivals arrivals;
	unsigned suffered;
	char *first_error;
	char *later;			/* why it has to wait */
	bool done, failed;
	bool torn;			/* another copy may hold more */
};

struct batch_in *batch_in_of(struct inbound *base);

/* In the table of the dialect. */
struct inbound *inbound_new(struct exchange *x, struct slice pickup);
int inbound_add(struct inbound *base, const char *bytes, size_t len,
    struct err *e) MUST_CHECK;
enum inbound_outcome inbound_end(struct inbound *base);
void inbound_free(struct inbound *base);

#endif
