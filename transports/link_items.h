/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_LINK_ITEMS_H
#define TRANSPORTS_LINK_ITEMS_H
/*
 * What the records of the link say: offers of files, their octets, and the
 * answers.  One struct for both directions, as answers of one are items of
 * the other.
 */
#include "transports/link.h"

#define ITEMS_CONTROL_MAX 65536	/* octets of answers that may wait */
#define ITEMS_TRIES 3		/* of a file whose hash does not agree */

enum out_state {
	OUT_FREE, OUT_WAITING, OUT_SENDING, OUT_SENT
};

struct out_slot {
	enum out_state state;
	struct link_file file;
	char *name;
	uint64_t id, pos, order;
};

enum in_state {
	IN_FREE, IN_TAKING, IN_SKIPPING
};

struct in_slot {
	enum in_state state;
	uint64_t id, size, have;
	uint64_t pos;		/* of the sender */
	unsigned tries;
};

struct items {
	const struct link_host *host;
	void *ctx;
	struct out_slot out[LINK_FILES_MAX];
	struct in_slot in[LINK_FILES_MAX];
	struct link_partial known[LINK_PARTIALS_MAX];	/* by the peer */
	size_t nknown, next_known;
	struct buf control;	/* u16 length and item, each */
	uint64_t order;
	bool told_idle;		/* the peer knows that we are idle */
	bool peer_idle;
	bool peer_ended;
};

void items_init(struct items *it, const struct link_host *host, void *ctx);
void items_release(struct items *it);
/* A new session: what was on its way is to be offered again. */
void items_restart(struct items *it);
bool items_offer(struct items *it, const struct link_file *f);
/* Whether nothing is queued, nor waits for the peer's word. */
bool items_idle(const struct items *it);
/* The same, and nothing is being received. */
bool items_quiet(const struct items *it);
/* Whether there is anything to send now. */
bool items_ready(const struct items *it);
/* The peer has that much of a file. */
void items_known(struct items *it, const struct link_partial *p);
/* Appends to record what is most urgent, at most max octets in all. */
void items_fill(struct items *it, struct buf *record, size_t max);
void items_end(struct items *it);
/* Takes a record of the peer.  ERR_SYNTAX, ERR_LIMIT: it makes no sense and
 * the session is broken. */
int items_take(struct items *it, struct slice record) MUST_CHECK;

#endif
