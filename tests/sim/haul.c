/* SPDX-License-Identifier: ISC */
/*
 * Files between nodes: writing an object into out/, a transport with bad
 * luck, and taking in what arrived.  Directories survive a crash, a file that
 * was being written does not.
 */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>

struct parcel *
parcel_new(struct world *w, const char *name, struct slice b)
{
	struct parcel *p = mem_alloc(1, sizeof(*p));

	p->name = mem_strdup(name);
	p->inode = w->numbers++;
	buf_addslice(&p->bytes, b);
	list_init(&p->link);
	return p;
}

void
parcel_free(struct parcel *p)
{
	if (p == NULL)
		return;
	list_del(&p->link);
	free(p->name);
	buf_release(&p->bytes);
	free(p);
}

struct parcel *
parcel_find(struct list *dir, const char *name)
{
	struct list *item;

	list_for_each(item, dir) {
		struct parcel *p = list_entry(item, struct parcel, link);

		if (strcmp(p->name, name) == 0)
			return p;
	}
	return NULL;
}

/* To the exchange it is a number to compare: any digest will do, and this one
 * is fast. */
static void
digest_of(const struct buf *b, unsigned char digest[SHA256_LEN])
{
	(void)crypto_generichash(digest, SHA256_LEN,
	    (const unsigned char *)b->ptr, b->len, NULL, 0);
}

static uint64_t
road_number(const struct road *r)
{
	return (uint64_t)(r - r->site->road);
}

static bool
is_native(const struct road *r)
{
	return r->way->tongue == TONGUE_NATIVE;
}

/*
 * Writing.
 */
static void
write_over(struct road *r)
{
	exchange_outbound_free(r->outbound);
	r->outbound = NULL;
	free(r->name);
	r->name = NULL;
	buf_release(&r->bytes);
}

void
haul_write(struct road *r, const struct exchange_action *a)
{
	struct exchange *x = r->site->x;
	struct parcel *p = parcel_find(&r->out, a->name);
	unsigned char digest[SHA256_LEN];
	struct err e = ERR_INIT;

	if (r->outbound != NULL) {
		/* The one at hand was withdrawn meanwhile. */
		exchange_object_unwritten(x, a->object, "another object of "
		    "this peer is being written");
		return;
	}
	if (p != NULL && a->octets != 0 && p->bytes.len == a->octets) {
		digest_of(&p->bytes, digest);
		if (memcmp(digest, a->digest, sizeof(digest)) == 0) {
			if (exchange_object_written(x, a->object, a->octets,
			    digest, &e) != 0)
				exchange_object_unwritten(x, a->object,
				    e.text);
			return;
		}
	}
	if (exchange_outbound_new(x, a->object, &r->outbound, &e) != 0) {
		exchange_object_unwritten(x, a->object, e.text);
		return;
	}
	r->object = a->object;
	r->name = mem_strdup(a->name);
	event_add(r->site->world, 1, EVENT_WRITE, r->site, road_number(r),
	    NULL);
}

/* Made again, the octets must be those of the first time, also for another of
 * the peer's transports. */
static void
check_made(struct road *r, const unsigned char digest[SHA256_LEN])
{
	struct road *first = r - r->lane;
	struct list *item;
	struct made *m;

	list_for_each(item, &first->made) {
		m = list_entry(item, struct made, link);
		if (strcmp(m->name, r->name) != 0)
			continue;
		if (memcmp(m->digest, digest, SHA256_LEN) != 0)
			wrong(r->site->world, "object %s of %s was made "
			    "again to other octets", r->name, r->site->name);
		return;
	}
	m = mem_alloc(1, sizeof(*m));
	m->name = mem_strdup(r->name);
	memcpy(m->digest, digest, SHA256_LEN);
	list_add_tail(&first->made, &m->link);
}

static void
write_finish(struct road *r)
{
	unsigned char digest[SHA256_LEN];
	struct err e = ERR_INIT;
	int rc;

	digest_of(&r->bytes, digest);
	if (!is_native(r))
		check_made(r, digest);
	parcel_free(parcel_find(&r->out, r->name));
	list_add_tail(&r->out, &parcel_new(r->site->world, r->name,
	    buf_slice(&r->bytes))->link);
	rc = exchange_object_written(r->site->x, r->object, r->bytes.len,
	    digest, &e);
	/* It was withdrawn meanwhile: nobody shall send it. */
	if (rc == ERR_NOT_FOUND)
		parcel_free(parcel_find(&r->out, r->name));
	else if (rc != 0)
		exchange_object_unwritten(r->site->x, r->object, e.text);
	write_over(r);
}

void
haul_write_step(struct road *r)
{
	struct err e = ERR_INIT;
	int rc;

	if (r->outbound == NULL)
		return;
	if (mishap(r->site->world, r->site->world->weather.unwritten)) {
		exchange_object_unwritten(r->site->x, r->object, "a whim");
		write_over(r);
		return;
	}
	rc = exchange_outbound_read(r->outbound, &r->bytes, &e);
	if (rc == 1) {
		event_add(r->site->world, 1 + (int64_t)roll(r->site->world,
		    20), EVENT_WRITE, r->site, road_number(r), NULL);
	} else if (rc == 0) {
		write_finish(r);
	} else {
		if (rc == ERR_CORRUPT && !is_native(r))
			wrong(r->site->world, "%s: %s", r->site->name, e.text);
		exchange_object_unwritten(r->site->x, r->object, e.text);
		write_over(r);
	}
}

/*
 * The transport.
 */
static int64_t
travel_ms(const struct road *r)
{
	struct world *w = r->site->world;

	return 100 + (int64_t)roll(w, (uint64_t)(roll(w, 10) == 0 ?
	    r->way->worst_ms : r->way->way_ms));
}

static struct road *
way_back(struct road *r)
{
	struct site *s = r->to;
	size_t i;

	for (i = 0; s->road[i].way != r->way || s->road[i].lane != r->lane;)
		i++;
	return &s->road[i];
}

/* One of two transports is out of order for some hours now and then. */
static bool
is_out_of_order(const struct road *r)
{
	const struct world *w = r->site->world;

	return r->way->lanes > 1 && w->now_ms < w->faults_end_ms &&
	    plan_hash(w, r->way, (uint64_t)(w->now_ms / (2 * HOUR_MS)) * 2 +
	    r->lane) % 3 == 0;
}

static void
ship(struct road *r, const struct parcel *p, size_t octets)
{
	struct world *w = r->site->world;
	struct slice bytes = { p->bytes.ptr, octets };

	event_add(w, travel_ms(r), EVENT_ARRIVE, r->to,
	    road_number(way_back(r)), parcel_new(w, p->name, bytes));
}

/* A copy that is no longer what it was, or ends where it should not. */
static void
ship_damaged(struct road *r, const struct parcel *p)
{
	struct world *w = r->site->world;
	const struct weather *o = &w->weather;
	struct parcel *copy = parcel_new(w, p->name, buf_slice(&p->bytes));
	struct road *to = way_back(r);
	struct site *s;

	w->damaged++;
	if (mishap(w, o->flipped))
		copy->bytes.ptr[roll(w, copy->bytes.len)] ^=
		    (char)(1 << roll(w, 8));
	if (mishap(w, o->shortened))
		buf_truncate(&copy->bytes, roll(w, copy->bytes.len));
	if (mishap(w, o->lengthened))
		buf_add(&copy->bytes, p->bytes.ptr, 1 + roll(w,
		    p->bytes.len));
	if (mishap(w, o->astray)) {
		s = &w->site[roll(w, w->nsites)];
		to = &s->road[roll(w, s->nroads)];
	}
	if (!is_native(to) || mishap(w, o->lost)) {
		parcel_free(copy);
		return;
	}
	event_add(w, travel_ms(r), EVENT_ARRIVE, to->site, road_number(to),
	    copy);
}

/* Some are kept, and come again some day. */
static void
keep_past(struct road *r, const struct parcel *p)
{
	struct world *w = r->site->world;
	struct parcel *old;

	if (w->weather.replayed == 0 || roll(w, 3) != 0)
		return;
	list_add_tail(&r->past, &parcel_new(w, p->name,
	    buf_slice(&p->bytes))->link);
	if (++r->npast > 5) {
		r->npast--;
		parcel_free(list_entry(r->past.next, struct parcel, link));
	}
	old = list_entry(r->past.next, struct parcel, link);
	if (mishap(w, w->weather.replayed)) {
		w->repeats++;
		ship(r, old, old->bytes.len);
	}
}

static void
haul_exit(struct road *r, int status, const char *why)
{
	r->running = r->stopping = false;
	exchange_transport_exited(r->site->x, r->peer_lane, status, why);
}

void
haul_run(struct road *r)
{
	struct list *item;

	if (r->running)
		return;
	r->running = true;
	r->stopping = false;
	list_for_each(item, &r->out)
		list_entry(item, struct parcel, link)->tried = false;
	event_add(r->site->world, 500, EVENT_HAUL, r->site, road_number(r),
	    NULL);
}

static struct parcel *
next_parcel(struct road *r)
{
	struct list *item;

	list_for_each(item, &r->out) {
		struct parcel *p = list_entry(item, struct parcel, link);

		if (!p->tried && !p->damaged)
			return p;
	}
	return NULL;
}

/* Where a copy is torn: anywhere, or between two lines. */
static size_t
tear(struct world *w, const struct buf *b)
{
	size_t at = roll(w, b->len);
	const char *end = memchr(b->ptr + at, '\n', b->len - at);

	if (end == NULL || roll(w, 2) == 0)
		return at;
	at = (size_t)(end - b->ptr) + 1;
	return at < b->len ? at : at - 1;
}

/* 1: something bad happened instead; the run is over if it is not running. */
static bool
bad_luck(struct road *r, struct parcel *p)
{
	struct world *w = r->site->world;
	const struct weather *o = &w->weather;

	if (mishap(w, o->carrier)) {
		w->losses++;
		haul_exit(r, 75, "no carrier");
	} else if (mishap(w, o->killed)) {
		w->repeats++;
		ship(r, p, p->bytes.len);
		haul_exit(r, roll(w, 2) == 0 ? -1 : 1, "lost in mid air");
	} else if (mishap(w, o->torn)) {
		w->torn++;
		ship(r, p, tear(w, &p->bytes));
		haul_exit(r, 75, "torn");
	} else if (mishap(w, o->failed)) {
		exchange_transport_failed(r->site->x, r->peer_lane, p->name,
		    false, "not this one");
	} else if (mishap(w, o->refused)) {
		exchange_transport_failed(r->site->x, r->peer_lane, p->name,
		    true, "never this one");
	} else {
		return false;
	}
	return true;
}

void
haul_step(struct road *r)
{
	struct world *w = r->site->world;
	struct parcel *p = next_parcel(r);
	struct err e = ERR_INIT;
	char *name;

	if (!r->running)
		return;
	if (r->way->dead_until_ms > w->now_ms || r->to->dead ||
	    is_out_of_order(r)) {
		haul_exit(r, 75, "no link");
		return;
	}
	if (p == NULL || r->stopping) {
		haul_exit(r, 0, "");
		return;
	}
	p->tried = true;
	w->files++;
	if (bad_luck(r, p)) {
		if (r->running)
			event_add(w, 300, EVENT_HAUL, r->site, road_number(r),
			    NULL);
		return;
	}
	if (is_native(r) && p->bytes.len > 0 && mishap(w, 3))
		ship_damaged(r, p);
	else
		ship(r, p, p->bytes.len);
	if (is_native(r))
		keep_past(r, p);
	if (mishap(w, w->weather.twice)) {
		w->repeats++;
		ship(r, p, p->bytes.len);
	}
	name = mem_strdup(p->name);
	if (exchange_transport_sent(r->site->x, r->peer_lane, name, &e) != 0)
		tell(w, r->site->name, "sim: sent: %s", e.text);
	free(name);
	event_add(w, 300, EVENT_HAUL, r->site, road_number(r), NULL);
}

void
haul_arrive(struct road *r, struct parcel *p)
{
	if (r->site->dead) {
		parcel_free(p);
		return;
	}
	list_add_tail(&r->in, &p->link);
	tell(r->site->world, r->site->name, "sim: arrived %s from %s, %zu "
	    "octets", p->name, r->to->name, p->bytes.len);
	if (!r->site->up || r->site->asked_intake)
		return;
	r->site->asked_intake = true;
	event_add(r->site->world, 10, EVENT_INTAKE, r->site, 0, NULL);
}

/*
 * Taking in.
 */
static bool
begin_intake(struct site *s)
{
	struct buf pickup = BUF_INIT;
	size_t i;

	for (i = 0; i < s->nroads; i++) {
		if (!list_empty(&s->road[i].in))
			break;
	}
	if (i == s->nroads)
		return false;
	s->from = &s->road[i];
	s->parcel = list_entry(s->from->in.next, struct parcel, link);
	s->fed = 0;
	s->eaten = false;
	buf_put_text(&pickup, s->parcel->name);
	buf_put64(&pickup, s->parcel->inode);
	s->inbound = exchange_inbound_new(s->x, s->from->to->name,
	    s->parcel->name, buf_slice(&pickup));
	buf_release(&pickup);
	return true;
}

static void
end_intake(struct site *s)
{
	exchange_inbound_free(s->inbound);
	s->inbound = NULL;
	s->parcel = NULL;
}

static int
put_into_quarantine(struct site *s)
{
	const struct buf *b = &s->parcel->bytes;
	struct quarantine *q;
	struct err e = ERR_INIT;

	q = exchange_quarantine_new(s->inbound, b->len);
	if (exchange_quarantine_add(q, b->ptr, b->len, &e) != 0) {
		exchange_quarantine_abort(q);
		return -1;
	}
	return exchange_quarantine_end(q, NULL, &e);
}

/* The file is kept and looked at again in a minute. */
static int64_t
later(struct site *s)
{
	struct parcel *p = s->parcel;

	end_intake(s);
	list_del(&p->link);
	list_add_tail(&s->from->in, &p->link);
	return MINUTE_MS;
}

static int64_t
intake_step(struct site *s)
{
	const struct buf *b = &s->parcel->bytes;
	size_t n = b->len - s->fed < 65536 ? b->len - s->fed : 65536;
	enum inbound_outcome outcome;
	struct err e = ERR_INIT;

	if (s->eaten) {
		parcel_free(s->parcel);
		end_intake(s);
		return 1;
	}
	s->fed += n;
	if (n > 0 && exchange_inbound_add(s->inbound, b->ptr + s->fed - n, n,
	    &e) == 0)
		return 1;
	outcome = exchange_inbound_end(s->inbound);
	switch (outcome) {
	case INBOUND_LATER:
		return later(s);
	case INBOUND_BROKEN:
		if (put_into_quarantine(s) != 0)
			return later(s);
		break;
	case INBOUND_AGAIN:
		s->fed = 0;
		return 1 + (int64_t)roll(s->world, 5000);
	case INBOUND_DONE:
	case INBOUND_DUPLICATE:
	case INBOUND_ASIDE:
		break;
	}
	/* Between the commit and the unlink anything may happen. */
	s->eaten = true;
	return 1 + (int64_t)roll(s->world, 5000);
}

void
haul_intake(struct site *s)
{
	s->asked_intake = false;
	if (s->inbound == NULL && !begin_intake(s))
		return;
	s->asked_intake = true;
	event_add(s->world, intake_step(s), EVENT_INTAKE, s, 0, NULL);
}

void
haul_drop(struct site *s)
{
	size_t i;

	if (s->dir != NULL) {
		/* Freeing would touch the database that is left behind. */
		s->inbound = NULL;
		for (i = 0; i < s->nroads; i++)
			s->road[i].outbound = NULL;
	}
	end_intake(s);
	s->asked_intake = false;
	for (i = 0; i < s->nroads; i++) {
		write_over(&s->road[i]);
		s->road[i].running = s->road[i].stopping = false;
	}
}

/* No transport reads it any more; it has to be noticed and made again. */
static void
damage(struct parcel *p)
{
	buf_truncate(&p->bytes, p->bytes.len / 2);
	p->damaged = true;
}

void
haul_sweep(struct site *s)
{
	struct list *item, *after;
	size_t i;

	for (i = 0; i < s->nroads; i++) {
		struct road *r = &s->road[i];

		list_for_each_safe(item, after, &r->out) {
			struct parcel *p = list_entry(item, struct parcel,
			    link);

			if (!exchange_knows_object(s->x, r->peer_lane,
			    p->name) || mishap(s->world,
			    s->world->weather.swept))
				parcel_free(p);
			else if (mishap(s->world,
			    s->world->weather.swept))
				damage(p);
		}
		if (!list_empty(&r->in) && !s->asked_intake) {
			s->asked_intake = true;
			event_add(s->world, 10, EVENT_INTAKE, s, 0, NULL);
		}
	}
}
