/* SPDX-License-Identifier: ISC */
/*
 * Bundles under way, for people: those that are here, by number, and then
 * batches of ours whose bundle a neighbour has, until their result comes.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "node/control_impl.h"
#include "node/custody.h"
#include "node/transit.h"
#include "spool/custody.h"

#define SLICE_ENTRIES 50

struct bundle_walk {
	uint64_t cursor, count;
	bool beyond;			/* serials now */
	struct buf at;
};

static void
walk_free(void *state)
{
	struct bundle_walk *w = state;

	buf_release(&w->at);
	free(w);
}

static const char *
role_of(const struct transit_status *st)
{
	if (st->arrived)
		return "arrived";
	return st->arriving ? "arriving" : "leaving";
}

/* Where it was last known to be; the caller frees. */
static char *
where_of(const struct transit_status *st)
{
	struct buf silent = BUF_INIT;
	char *where;

	if (st->arrived)
		return mem_strdup("here, to be opened");
	if (st->arriving)
		return mem_printf("on its way here from %s", st->peer);
	if (st->peer == NULL)
		return mem_strdup("here: no road leads on");
	if (st->sent_octets == 0)
		return mem_printf("here, waiting for %s", st->peer);
	if (st->repeats == 0 || st->silent_secs == 0)
		return mem_printf("on its way to %s", st->peer);
	duration_format(&silent, st->silent_secs);
	where = mem_printf("handed to %s %s ago, not acknowledged%s",
	    st->peer, buf_cstr(&silent),
	    strcmp(st->peer, st->destination) != 0 ? " (may-relay there?)" :
	    "");
	buf_release(&silent);
	return where;
}

static json_t *
hex(const unsigned char *name)
{
	struct buf b = BUF_INIT;
	json_t *text;

	hex_encode(&b, name, TRANSIT_NAME_LEN);
	text = json_string(buf_cstr(&b));
	buf_release(&b);
	return text;
}

static void
say_bundle(struct control_conn *c, const struct transit_status *st)
{
	char *where = where_of(st);

	control_say(c, json_pack("{s:s, s:o, s:s, s:o, s:o, s:o, s:s, s:I, "
	    "s:I, s:I, s:i, s:I, s:I, s:I}",
	    "kind", "bundle", "id", hex(st->name), "state", role_of(st),
	    "destination", control_text(st->destination),
	    "peer", control_text(st->peer), "from", control_text(st->from),
	    "where", where,
	    "octets", (json_int_t)st->octets,
	    "sent_octets", (json_int_t)st->sent_octets,
	    "acknowledged_octets", (json_int_t)st->acked_octets,
	    "priority", st->priority,
	    "age_secs", (json_int_t)st->age_secs,
	    "left_secs", (json_int_t)st->left_secs,
	    "serial", (json_int_t)st->serial));
	free(where);
}

/* One whose bundle has left: the neighbour acknowledged it, or it will be made
 * again. */
static void
say_beyond(struct control_conn *c, const struct serial_out *s)
{
	const char *peer = custody_handed_to(c->d->exchange, s);
	uint64_t now = spool_elapsed_secs(c->d->spool);
	char *where = peer != NULL ? mem_printf("handed over to %s", peer) :
	    mem_strdup("handed over to the next site");

	control_say(c, json_pack("{s:s, s:o, s:s, s:o, s:o, s:n, s:s, s:i, "
	    "s:I, s:I}",
	    "kind", "bundle", "id", hex(s->name), "state", "beyond",
	    "destination", control_text(s->site),
	    "peer", control_text(peer), "from", "where", where,
	    "priority", s->priority,
	    "age_secs", (json_int_t)(now > s->cut_secs ?
	    now - s->cut_secs : 0),
	    "serial", (json_int_t)s->serial));
	free(where);
}

/* One entry; false at the end. */
static bool
step_beyond(struct control_conn *c, struct bundle_walk *w)
{
	struct serial_out s;
	struct err e = ERR_INIT;
	int r;

	r = spool_next_serial_out(c->d->spool, NULL, 0, &w->at, &s, &e);
	if (r == 0 && s.status == SERIAL_UNDERWAY &&
	    !transit_has(c->d->exchange, s.bundle)) {
		say_beyond(c, &s);
		w->count++;
	}
	serial_out_release(&s);
	return r == 0 || (r == ERR_CORRUPT &&
	    !store_failed(spool_store(c->d->spool)));
}

static bool
step(struct control_conn *c, struct bundle_walk *w)
{
	struct transit_status st;

	if (w->beyond)
		return step_beyond(c, w);
	if (transit_next_status(c->d->exchange, &w->cursor, &st)) {
		say_bundle(c, &st);
		w->count++;
	} else {
		w->beyond = true;
	}
	return true;
}

static bool
bundles_more(struct control_conn *c)
{
	struct bundle_walk *w = c->state;

	for (int i = 0; i < SLICE_ENTRIES; i++) {
		if (step(c, w))
			continue;
		control_end(c, json_pack("{s:I}", "count",
		    (json_int_t)w->count));
		control_set_state(c, NULL, NULL);
		return false;
	}
	return true;
}

void
control_bundles(struct control_conn *c, const json_t *request)
{
	(void)request;
	control_set_state(c, mem_alloc(1, sizeof(struct bundle_walk)),
	    walk_free);
	c->more = bundles_more;
}
