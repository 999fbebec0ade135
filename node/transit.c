/* SPDX-License-Identifier: ISC */
/*
 * The hop layer's index of bundles: made from the spool at start, changed only
 * after the commit that made the change durable.
 */
#include "node/transit_private.h"

#include <stdlib.h>

#include "base/text.h"

#define HANDED_MAX 10000	/* names remembered for people */
#define TOLD_HOURLY 10		/* lines of one kind for one neighbour */
/* A neighbour may repeat what it was not told of, long after its end: its
 * clock may have stood still for a week. */
#define SEEN_BEYOND_SECS (8 * 86400)

struct slice
bundle_name_slice(const unsigned char name[BUNDLE_NAME_LEN])
{
	struct slice s = { (const char *)name, BUNDLE_NAME_LEN };

	return s;
}

struct bundle_text
bundle_text(const unsigned char name[BUNDLE_NAME_LEN])
{
	struct bundle_text text;
	struct buf b = BUF_INIT;

	hex_encode(&b, name, BUNDLE_NAME_LEN);
	memcpy(text.s, buf_cstr(&b), sizeof(text.s));
	buf_release(&b);
	return text;
}

static char *
copy_text(const char *text)
{
	return text != NULL ? mem_strdup(text) : NULL;
}

void
bundle_copy(struct bundle *to, const struct bundle *from)
{
	*to = *from;
	to->from = copy_text(from->from);
	to->destination = copy_text(from->destination);
	to->peer = copy_text(from->peer);
	to->range = NULL;
	if (from->nranges == 0)
		return;
	to->range = mem_alloc(from->nranges, sizeof(*to->range));
	memcpy(to->range, from->range, from->nranges * sizeof(*to->range));
}

bool
bundle_is_ours(const struct exchange *x, const struct bundle *b)
{
	return b->from != NULL && (b->direct ||
	    strcmp(b->destination, x->conf->site) == 0);
}

bool
may_tell(struct exchange *x, struct told *told, unsigned *untold_out)
{
	int64_t now = clock_mono_ms(x->clock);

	if (told->lines == 0 || now - told->hour_ms >= 3600000) {
		told->hour_ms = now;
		told->lines = 0;
	}
	if (told->lines >= TOLD_HOURLY) {
		told->untold++;
		return false;
	}
	told->lines++;
	*untold_out = told->untold;
	told->untold = 0;
	return true;
}

void
transit_due(struct exchange *x, uint64_t secs)
{
	if (secs < x->transit->due_secs)
		x->transit->due_secs = secs;
}

/*
 * Passages.
 */
struct passage *
passage_find(struct exchange *x, const unsigned char name[BUNDLE_NAME_LEN])
{
	return map_get(x->transit->by_name, bundle_name_slice(name));
}

/* Takes b over. */
struct passage *
passage_new(struct exchange *x, struct bundle *b)
{
	struct passage *p = mem_alloc(1, sizeof(*p));

	list_init(&p->link);
	p->b = *b;
	bundle_init(b);
	if (p->b.from != NULL)
		p->from = neighbour_of(queue_peer_or_gone(x, p->b.from));
	p->same = passage_find(x, p->b.name);
	map_put_u64(x->transit->by_id, p->b.id, p);
	map_put(x->transit->by_name, bundle_name_slice(p->b.name), p);
	transit_due(x, p->b.expire_secs);
	return p;
}

static void
forget_name(struct exchange *x, struct passage *p)
{
	struct passage *first = passage_find(x, p->b.name);
	struct slice name = bundle_name_slice(p->b.name);

	if (first == p && p->same == NULL)
		map_del(x->transit->by_name, name);
	else if (first == p)
		map_put(x->transit->by_name, name, p->same);
	for (; first != NULL; first = first->same) {
		if (first->same == p)
			first->same = p->same;
	}
}

static void
passage_release(struct passage *p)
{
	bundle_release(&p->b);
	free(p->cut);
	free(p);
}

void
passage_free(struct exchange *x, struct passage *p)
{
	size_t i;

	for (i = 0; p->ncut > 0 && p->to != NULL &&
	    i < p->to->target->nlanes; i++)
		p->to->target->lane[i]->stale = true;
	passage_unplace(p);
	forget_name(x, p);
	map_del_u64(x->transit->by_id, p->b.id);
	passage_release(p);
}

int
passage_end(struct exchange *x, struct spool_unit *u, const struct bundle *b,
    struct err *e)
{
	int rc = spool_del_bundle(u, b->id, e);

	(void)x;
	/* What was made here for a neighbour has a name that its own might
	 * have too: the same words. */
	if (rc == 0 && (b->from != NULL || !b->direct))
		rc = spool_put_seen(u, SEEN_BUNDLE,
		    bundle_name_slice(b->name),
		    b->expire_secs + SEEN_BEYOND_SECS, e);
	return rc;
}

static int
end_alone(struct exchange *x, const struct bundle *b, struct err *e)
{
	struct spool_unit *u;
	int rc = spool_begin(x->spool, &u, e);

	if (rc != 0)
		return rc;
	/* An incomplete one may still come whole by another road. */
	rc = b->role == BUNDLE_ARRIVING ? spool_del_bundle(u, b->id, e) :
	    passage_end(x, u, b, e);
	if (rc == 0)
		return spool_commit(u, false, e);
	spool_abort(u);
	return rc;
}

int
passage_lose(struct exchange *x, struct passage *p, const char *reason,
    struct err *e)
{
	struct transit *tr = x->transit;
	struct bundle b;
	int rc = end_alone(x, &p->b, e);

	if (rc != 0)
		return rc;
	bundle_copy(&b, &p->b);
	passage_free(x, p);
	tr->counters.dropped++;
	log_event(x->log, LOG_LEVEL_WARNING, "bundle-lost", "bundle",
	    bundle_text(b.name).s, "destination", b.destination, "from",
	    b.from, "peer", b.peer, "reason", reason, NULL);
	if (b.from == NULL && tr->hooks != NULL)
		tr->hooks->lost(tr->ctx, b.id, b.epoch, b.serial, b.name,
		    reason);
	bundle_release(&b);
	x->dirty = true;
	return 0;
}

/*
 * Life.
 */
void
transit_set_hooks(struct exchange *x, const struct transit_hooks *hooks,
    void *ctx)
{
	x->transit->hooks = hooks;
	x->transit->ctx = ctx;
}

void
transit_new(struct exchange *x)
{
	struct transit *tr = mem_alloc(1, sizeof(*tr));

	tr->by_id = map_new();
	tr->by_name = map_new();
	tr->last_peer = map_new();
	list_init(&tr->limbo);
	list_init(&tr->arrived);
	list_init(&tr->checks);
	tr->due_secs = UINT64_MAX;
	x->transit = tr;
}

static void
forget_handed(struct transit *tr)
{
	size_t pos = 0;
	void *value;

	while (map_next(tr->last_peer, &pos, NULL, &value))
		free(value);
	map_free(tr->last_peer);
	tr->last_peer = map_new();
}

void
transit_free(struct exchange *x)
{
	struct transit *tr = x->transit;
	void *value;
	size_t i, pos = 0;

	while (map_next(tr->by_id, &pos, NULL, &value))
		passage_release(value);
	for (i = 0; i < x->ntargets; i++)
		neighbour_free(x->target[i]->neighbour);
	forget_handed(tr);
	map_free(tr->last_peer);
	map_free(tr->by_id);
	map_free(tr->by_name);
	free(tr);
	x->transit = NULL;
}

static int
load_bundles(struct exchange *x, struct err *e)
{
	struct bundle b;
	struct passage *p;
	uint64_t id = 0;
	int rc;

	for (;;) {
		bundle_init(&b);
		rc = spool_next_bundle(x->spool, &id, &b, e);
		if (rc == ERR_CORRUPT && !store_failed(spool_store(x->spool))) {
			log_event(x->log, LOG_LEVEL_WARNING, "bundle-damaged",
			    "number", num_str(id).s, "reason", e->text, NULL);
			bundle_release(&b);
			continue;
		}
		if (rc != 0)
			break;
		p = passage_new(x, &b);
		if (p->b.role == BUNDLE_LEAVING && p->b.peer != NULL)
			p->to = neighbour_find(x, p->b.peer);
		passage_route(x, p);
		passage_place(x, p);
	}
	bundle_release(&b);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int
load_told(struct exchange *x, struct err *e)
{
	struct site_record site;
	struct buf at = BUF_INIT;
	struct neighbour *nb;
	int rc;

	do {
		site_record_init(&site);
		rc = spool_next_site(x->spool, &at, &site, e);
		nb = rc == 0 ? neighbour_find(x, site.name) : NULL;
		if (nb != NULL)
			nb->card_told = site.told;
		site_record_release(&site);
	} while (rc == 0 || (rc == ERR_CORRUPT &&
	    !store_failed(spool_store(x->spool))));
	buf_release(&at);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

int
transit_load(struct exchange *x, struct err *e)
{
	int rc = load_bundles(x, e);

	if (rc == 0)
		rc = owed_load(x, e);
	if (rc == 0)
		rc = load_told(x, e);
	transit_due(x, now_secs(x));
	return rc;
}

void
transit_announce(struct exchange *x)
{
	struct transit *tr = x->transit;
	struct list *item;

	if (tr->hooks == NULL)
		return;
	list_for_each(item, &tr->arrived)
		tr->hooks->arrived(tr->ctx,
		    &list_entry(item, struct passage, link)->b);
}

/*
 * Time.
 */
void
transit_reroute(struct exchange *x)
{
	x->transit->reroute = true;
	x->dirty = true;
}

static void
reroute(struct exchange *x)
{
	struct passage *p;
	size_t pos = 0;
	void *value;

	x->transit->reroute = false;
	while (map_next(x->transit->by_id, &pos, NULL, &value)) {
		p = value;
		if (p->b.role != BUNDLE_LEAVING)
			continue;
		passage_unplace(p);
		passage_route(x, p);
		passage_place(x, p);
	}
}

void
transit_pump(struct exchange *x)
{
	if (x->transit->reroute)
		reroute(x);
}

int
transit_tick(struct exchange *x, struct err *e)
{
	struct transit *tr = x->transit;
	int rc = 0, more;

	more = check_step(x, e);
	if (more < 0)
		return more;
	if (now_secs(x) >= tr->due_secs) {
		tr->looked_ms = clock_mono_ms(x->clock);
		rc = retry_look(x, e);
	}
	return rc < 0 ? rc : more;
}

int64_t
transit_deadline_ms(struct exchange *x)
{
	struct transit *tr = x->transit;
	uint64_t now = now_secs(x);
	int64_t mono = clock_mono_ms(x->clock);

	if (!list_empty(&tr->checks))
		return mono;
	if (tr->due_secs == UINT64_MAX)
		return INT64_MAX;
	/* Seconds are counted from a moment of their own: a look may come
	 * just before the second is full. */
	if (tr->due_secs <= now)
		return tr->looked_ms + 200 > mono ? tr->looked_ms + 200 : mono;
	return mono + (int64_t)(tr->due_secs - now) * 1000;
}

/*
 * For people.
 */
static uint64_t
sum(const struct bundle_range *range, size_t n, bool done_only)
{
	uint64_t octets = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (range[i].done || !done_only)
			octets += range[i].octets;
	}
	return octets;
}

static void
fill_status(struct exchange *x, const struct passage *p,
    struct transit_status *st)
{
	uint64_t now = now_secs(x);

	memset(st, 0, sizeof(*st));
	st->id = p->b.id;
	st->name = p->b.name;
	st->destination = p->b.destination;
	st->from = p->b.from;
	st->peer = p->b.role != BUNDLE_LEAVING ? p->b.from :
	    p->to != NULL ? p->to->target->name : NULL;
	st->arriving = p->b.role == BUNDLE_ARRIVING;
	st->arrived = p->b.role == BUNDLE_ARRIVED;
	st->priority = p->b.priority;
	st->octets = p->b.octets;
	st->sent_octets = sum(p->b.range, p->b.nranges, false);
	st->acked_octets = sum(p->b.range, p->b.nranges, true);
	st->age_secs = now > p->b.born_secs ? now - p->b.born_secs : 0;
	st->left_secs = p->b.expire_secs > now ? p->b.expire_secs - now : 0;
	st->silent_secs = retry_silent_secs(x, p);
	st->repeats = p->attempts;
	st->epoch = p->b.epoch;
	st->serial = p->b.serial;
}

/* The records are in the order of their numbers, the index is not. */
bool
transit_next_status(struct exchange *x, uint64_t *id_io,
    struct transit_status *st_out)
{
	const struct passage *p = NULL;
	struct err e = ERR_INIT;
	struct bundle b;
	int rc = 0;

	while (p == NULL && (rc == 0 || rc == ERR_CORRUPT)) {
		rc = spool_next_bundle(x->spool, id_io, &b, &e);
		bundle_release(&b);
		if (rc == 0)
			p = map_get_u64(x->transit->by_id, *id_io);
		else if (store_failed(spool_store(x->spool)))
			return false;
	}
	if (p != NULL)
		fill_status(x, p, st_out);
	return p != NULL;
}

void
transit_waiting(const struct exchange *x, const char *peer,
    uint64_t *count_out, uint64_t *octets_out)
{
	const struct passage *p;
	size_t pos = 0;
	void *value;

	*count_out = *octets_out = 0;
	while (map_next(x->transit->by_id, &pos, NULL, &value)) {
		p = value;
		if (p->b.role != BUNDLE_LEAVING || p->to == NULL ||
		    strcmp(p->to->target->name, peer) != 0)
			continue;
		++*count_out;
		*octets_out += p->b.octets;
	}
}

bool
transit_has(const struct exchange *x, uint64_t id)
{
	return map_get_u64(x->transit->by_id, id) != NULL;
}

void
transit_handed(struct exchange *x, const struct bundle *b)
{
	struct transit *tr = x->transit;

	if (b->from != NULL || b->serial == 0 || b->peer == NULL)
		return;
	if (map_count(tr->last_peer) >= HANDED_MAX)
		forget_handed(tr);
	free(map_put(tr->last_peer, bundle_name_slice(b->name),
	    mem_strdup(b->peer)));
}

const char *
transit_last_peer(const struct exchange *x,
    const unsigned char name[TRANSIT_NAME_LEN])
{
	return map_get(x->transit->last_peer, bundle_name_slice(name));
}

void
transit_counters(const struct exchange *x, struct transit_counters *out)
{
	*out = x->transit->counters;
}
