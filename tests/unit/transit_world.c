/* SPDX-License-Identifier: ISC */
/*
 * Exchanges side by side: their actions are carried out at once, files travel
 * as letters that may be lost, doubled, damaged and late.
 */
#include "tests/unit/octets.h"
#include "tests/unit/transit_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/ed25519.h"
#include "base/text.h"
#include "base/x25519.h"
#include "node/transit_private.h"
#include "tests/unit/exchange_world.h"

struct tw_file {
	struct list link;
	char *name;
	struct buf bytes;
};

static int64_t
wall(struct clock *c)
{
	return 1700000000000 + ((struct tw *)c)->now_ms;
}

static int64_t
mono(struct clock *c)
{
	return ((struct tw *)c)->now_ms;
}

static uint64_t
room(void *ctx)
{
	return ((struct tw *)ctx)->full ? 0 : UINT64_C(1) << 40;
}

static void
keep_line(void *ctx, enum log_level level, const char *line)
{
	struct tw_node *node = ctx;

	(void)level;
	if (getenv("TRANSIT_LOG") != NULL)
		print_message("%7.3f %s %s\n",
		    (double)node->w->now_ms / 1000, node->name, line);
	buf_adds(&node->log, line);
	buf_addc(&node->log, '\n');
}

struct tw_node *
tw_node(struct tw *w, const char *name)
{
	size_t i;

	for (i = 0; i < w->n; i++) {
		if (strcmp(w->node[i].name, name) == 0)
			return &w->node[i];
	}
	fail_msg("no node %s", name);
	return NULL;
}

struct tw_road *
tw_road_of(struct tw_node *node, const char *to)
{
	return &node->road[tw_node(node->w, to) - node->w->node];
}

struct tw_road *
tw_road(struct tw *w, const char *from, const char *to)
{
	return tw_road_of(tw_node(w, from), to);
}

/*
 * Life.
 */
static void
node_start(struct tw_node *node)
{
	struct log *log = log_new_sink(keep_line, node);
	struct spool_options so = { .clock = &node->w->clock,
	    .rng = &node->rng.rng, .log = log, .min_free_bytes = 1 << 20,
	    .free_bytes = room, .free_ctx = node->w,
	    .dir = "/tmp" };
	struct exchange_options xo = { .clock = &node->w->clock,
	    .rng = &node->rng.rng, .log = log, .conf = node->conf };
	struct store *store;
	struct err e = ERR_INIT;

	log_set_level(log, LOG_LEVEL_DEBUG);
	assert_int_equal(0, store_open_mem(node->disk, &store, &e));
	if (spool_open(store, &so, &node->spool, &e) != 0)
		fail_msg("%s", e.text);
	xo.spool = node->spool;
	node->x = exchange_new(&xo);
	transit_set_hooks(node->x, &tw_hooks, node);
	if (exchange_start(node->x, &e) != 0)
		fail_msg("%s", e.text);
}

static void
node_stop(struct tw_node *node)
{
	struct log *log = node->x->log;

	exchange_free(node->x);
	spool_close(node->spool);
	log_free(log);
}

static void
drop_file(struct tw_file *f)
{
	list_del(&f->link);
	free(f->name);
	buf_release(&f->bytes);
	free(f);
}

void
tw_forget_files(struct tw_road *road)
{
	struct list *item, *after;

	list_for_each_safe(item, after, &road->files)
		drop_file(list_entry(item, struct tw_file, link));
}

void
tw_damage_file(struct tw_road *road)
{
	struct tw_file *f = list_entry(road->files.prev, struct tw_file, link);

	assert_false(list_empty(&road->files));
	buf_truncate(&f->bytes, f->bytes.len / 2);
}

void
tw_crash(struct tw_node *node)
{
	struct err e = ERR_INIT;

	store_mem_disk_crash_at(node->disk, 1, &node->rng.rng);
	(void)!store_flush(spool_store(node->spool), &e);
	node_stop(node);
	store_mem_disk_revive(node->disk);
	node->narrived = 0;
	node_start(node);
}

void
tw_reload(struct tw_node *node, const char *text)
{
	struct conf *conf = xw_conf_of(text);

	exchange_reload(node->x, conf);
	conf_free(node->conf);
	node->conf = conf;
}

static void
node_init(struct tw *w, struct tw_node *node, const char *name,
    const char *text, uint64_t seed)
{
	size_t i;

	node->w = w;
	node->name = name;
	rng_seeded_init(&node->rng, seed);
	node->conf = xw_conf_of(text);
	node->disk = store_mem_disk_new();
	node->seen = map_new();
	x25519_secret(&node->rng.rng, node->auth);
	x25519_public(node->auth, node->auth_public);
	x25519_secret(&node->rng.rng, node->receiving);
	x25519_public(node->receiving, node->receiving_public);
	ed25519_secret(&node->rng.rng, node->identity);
	ed25519_public(node->identity, node->identity_public);
	for (i = 0; i < TW_NODES; i++) {
		node->road[i].from = node;
		node->road[i].to = &w->node[i];
		list_init(&node->road[i].files);
	}
	node_start(node);
}

struct tw *
tw_new(const char *const *name, const char *const *text, size_t n,
    uint64_t seed)
{
	struct tw *w = mem_alloc(1, sizeof(*w));
	size_t i;

	w->clock.wall_ms = wall;
	w->clock.mono_ms = mono;
	w->n = n;
	w->delay_ms = 1000;
	list_init(&w->air);
	rng_seeded_init(&w->rng, seed);
	for (i = 0; i < n; i++)
		node_init(w, &w->node[i], name[i], text[i], seed * 100 + i);
	return w;
}

static void
node_free(struct tw_node *node)
{
	size_t i, pos = 0;
	void *value;

	node_stop(node);
	store_mem_disk_free(node->disk);
	conf_free(node->conf);
	while (map_next(node->seen, &pos, NULL, &value))
		free(value);
	map_free(node->seen);
	buf_release(&node->log);
	for (i = 0; i < TW_NODES; i++)
		tw_forget_files(&node->road[i]);
}

static void
letter_free(struct tw_letter *l)
{
	list_del(&l->link);
	buf_release(&l->bytes);
	free(l);
}

void
tw_free(struct tw *w)
{
	size_t i;

	while (!list_empty(&w->air))
		letter_free(list_entry(w->air.next, struct tw_letter, link));
	for (i = 0; i < w->n; i++)
		node_free(&w->node[i]);
	buf_release(&w->kept);
	free(w);
}

/*
 * Files.
 */
static void
write_file(struct tw_node *node, const struct exchange_action *a)
{
	struct tw_road *road = tw_road_of(node, a->peer);
	struct tw_file *f = mem_alloc(1, sizeof(*f));
	unsigned char digest[32];
	struct outbound *ob;
	struct err e = ERR_INIT;
	struct sha256 h;
	int rc;

	list_init(&f->link);
	f->name = mem_strdup(a->name);
	rc = exchange_outbound_new(node->x, a->object, &ob, &e);
	if (rc == 0) {
		while ((rc = exchange_outbound_read(ob, &f->bytes, &e)) == 1)
			;
		exchange_outbound_free(ob);
	}
	if (rc != 0) {
		assert_int_equal(rc, ERR_NOT_FOUND);
		drop_file(f);
		return;
	}
	sha256_init(&h);
	sha256_add(&h, f->bytes.ptr, f->bytes.len);
	sha256_end(&h, digest);
	assert_int_equal(0, exchange_object_written(node->x, a->object,
	    f->bytes.len, digest, &e));
	list_add_tail(&road->files, &f->link);
}

static struct tw_file *
find_file(struct tw_road *road, const char *name)
{
	struct list *item;

	list_for_each(item, &road->files) {
		struct tw_file *f = list_entry(item, struct tw_file, link);

		if (strcmp(f->name, name) == 0)
			return f;
	}
	return NULL;
}

static void
post(struct tw_road *road, struct slice bytes)
{
	struct tw *w = road->from->w;
	struct tw_letter *l = mem_alloc(1, sizeof(*l));

	l->road = road;
	l->at_ms = w->now_ms + 1 +
	    (int64_t)rng_below(&w->rng.rng, w->delay_ms + 1);
	buf_addslice(&l->bytes, bytes);
	if (bytes.len > 0 && rng_below(&w->rng.rng, 100) < w->damage)
		l->bytes.ptr[rng_below(&w->rng.rng, bytes.len)] ^= 1;
	list_add_tail(&w->air, &l->link);
}

static void
carry(struct tw_road *road, struct slice bytes)
{
	struct tw *w = road->from->w;

	road->parcels++;
	road->octets += bytes.len;
	if (road->smallest == 0 || bytes.len < road->smallest)
		road->smallest = bytes.len;
	if (bytes.len > road->largest)
		road->largest = bytes.len;
	buf_clear(&w->kept);
	buf_addslice(&w->kept, bytes);
	if (road->lose_next > 0) {
		road->lose_next--;
		return;
	}
	if (rng_below(&w->rng.rng, 100) >= w->loss)
		post(road, bytes);
	if (rng_below(&w->rng.rng, 100) < w->twice)
		post(road, bytes);
}

/* The transport goes on: all that lies there leaves, or on a slow line what
 * had the time to. */
static void
go_on(struct tw_road *road)
{
	struct tw_node *node = road->from;
	const char *peer = road->to->name;
	struct err e = ERR_INIT;
	struct tw_file *f;
	char *name;

	while (!list_empty(&road->files) && !road->blocked) {
		if (road->gap_ms > 0 && node->w->now_ms < road->free_ms)
			return;
		road->free_ms = node->w->now_ms + road->gap_ms;
		f = list_entry(road->files.next, struct tw_file, link);
		carry(road, buf_slice(&f->bytes));
		name = mem_strdup(f->name);
		drop_file(f);
		assert_int_equal(0, exchange_transport_sent(node->x, peer,
		    name, &e));
		free(name);
	}
	road->running = false;
	exchange_transport_exited(node->x, peer, 0, "");
}

static void
run(struct tw_node *node, const char *peer)
{
	struct tw_road *road = tw_road_of(node, peer);

	if (road->broken) {
		exchange_transport_exited(node->x, peer, 75, "no line");
		return;
	}
	road->running = true;
	go_on(road);
}

static void
act(struct tw_node *node, const struct exchange_action *a)
{
	struct tw_file *f;

	switch (a->kind) {
	case EXCHANGE_WRITE:
		f = find_file(tw_road_of(node, a->peer), a->name);
		if (f != NULL && a->octets == f->bytes.len) {
			struct err e = ERR_INIT;

			assert_int_equal(0, exchange_object_written(node->x,
			    a->object, a->octets, a->digest, &e));
			break;
		}
		if (f != NULL)
			drop_file(f);
		write_file(node, a);
		break;
	case EXCHANGE_UNLINK:
		f = find_file(tw_road_of(node, a->peer), a->name);
		if (f != NULL)
			drop_file(f);
		break;
	case EXCHANGE_RUN:
		run(node, a->peer);
		break;
	case EXCHANGE_STOP:
		break;
	case EXCHANGE_DELIVER:
		fail_msg("no mail here");
	}
}

enum inbound_outcome
tw_feed(struct tw_road *road, struct slice bytes)
{
	struct tw_node *node = road->to;
	struct inbound *in = exchange_inbound_new(node->x, road->from->name,
	    "file", SLICE_LIT("pickup"));
	enum inbound_outcome outcome = INBOUND_AGAIN;
	struct err e = ERR_INIT;
	int pass;

	for (pass = 0; pass < 2 && outcome == INBOUND_AGAIN; pass++) {
		if (exchange_inbound_add(in, bytes.ptr, bytes.len, &e) != 0)
			assert_int_not_equal(e.code, 0);
		outcome = exchange_inbound_end(in);
	}
	exchange_inbound_free(in);
	node->outcome[outcome]++;
	node->last_outcome = outcome;
	return outcome;
}

void
tw_parcel(struct tw_road *road, struct slice frames, struct buf *out)
{
	struct seal_to to = { .kind = SEAL_PARCEL,
		.destination = road->to->name,
		.origin = road->from->name,
		.rng = &road->from->rng.rng };
	struct sealer *s;
	struct err e = ERR_INIT;

	assert_int_equal(0, tw_hooks.seal_to(road->from, road->to->name,
	    false, &to, &e));
	s = sealer_new(&to, sink_to_buf, out);
	assert_int_equal(0, sealer_add(s, frames.ptr, frames.len, &e));
	assert_int_equal(0, sealer_finish(s, &e));
	sealer_free(s);
}

/*
 * Time.
 */
static void
settle(struct tw_node *node)
{
	struct exchange_action a;
	struct err e = ERR_INIT;

	while (exchange_next_action(node->x, &a) == 1) {
		act(node, &a);
		exchange_action_release(&a);
	}
	assert_int_equal(0, exchange_commit(node->x, &e));
	while (node->narrived > 0 && !node->lazy)
		tw_open_arrived(node);
}

static int64_t
next_ms(struct tw *w, int64_t until)
{
	struct list *item;
	size_t i, k;

	list_for_each(item, &w->air) {
		struct tw_letter *l = list_entry(item, struct tw_letter,
		    link);

		until = l->at_ms < until ? l->at_ms : until;
	}
	for (i = 0; i < w->n; i++) {
		int64_t at = exchange_deadline_ms(w->node[i].x);

		until = at < until ? at : until;
		for (k = 0; k < w->n; k++) {
			if (w->node[i].road[k].running &&
			    w->node[i].road[k].free_ms < until)
				until = w->node[i].road[k].free_ms;
		}
	}
	return until;
}

static void
deliver(struct tw *w)
{
	struct list *item, *after;

	list_for_each_safe(item, after, &w->air) {
		struct tw_letter *l = list_entry(item, struct tw_letter,
		    link);

		if (l->at_ms > w->now_ms)
			continue;
		(void)tw_feed(l->road, buf_slice(&l->bytes));
		letter_free(l);
	}
}

void
tw_pass(struct tw *w, uint64_t secs)
{
	int64_t until = w->now_ms + (int64_t)secs * 1000, at;
	struct err e = ERR_INIT;
	size_t i, k;

	for (i = 0; i < w->n; i++)
		settle(&w->node[i]);
	while (w->now_ms < until) {
		at = next_ms(w, until);
		w->now_ms = at > w->now_ms ? at : w->now_ms + 1;
		deliver(w);
		for (i = 0; i < w->n; i++) {
			for (k = 0; k < w->n; k++) {
				if (w->node[i].road[k].running)
					go_on(&w->node[i].road[k]);
			}
		}
		for (i = 0; i < w->n; i++) {
			if (exchange_tick(w->node[i].x, &e) != 0)
				fail_msg("%s", e.text);
			settle(&w->node[i]);
		}
	}
}

uint64_t
tw_bundle(struct tw_node *node, const struct transit_new *n, size_t len,
    uint64_t seed, unsigned char name_out[BUNDLE_NAME_LEN])
{
	struct transit_draft *d;
	struct rng_seeded rng;
	struct spool_unit *u;
	struct err e = ERR_INIT;
	char bytes[5000];
	uint64_t id;
	size_t part;

	rng_seeded_init(&rng, seed);
	assert_int_equal(0, transit_begin(node->x, n, &d, &e));
	for (; len > 0; len -= part) {
		part = len < sizeof(bytes) ? len : sizeof(bytes);
		rng_fill(&rng.rng, bytes, part);
		assert_int_equal(0, transit_add(d, bytes, part, &e));
	}
	assert_int_equal(0, spool_begin(node->spool, &u, &e));
	assert_int_equal(0, transit_end(d, u, &id, name_out, &e));
	assert_int_equal(0, spool_commit(u, true, &e));
	transit_ended(d, true);
	return id;
}

void
tw_assert_empty(const struct tw_node *node)
{
	struct store *store = spool_store(node->spool);
	static const enum store_table tables[] = { STORE_OBJECT,
		STORE_BUNDLE, STORE_PIECE, STORE_OWED };
	struct buf key = BUF_INIT;
	struct err e = ERR_INIT;
	size_t i;

	assert_int_equal(0, map_count(node->x->transit->by_id));
	assert_int_equal(0, map_count(node->x->transit->by_name));
	while (spool_maintain(node->spool, &e) == 1)
		;
	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		buf_clear(&key);
		if (store_next(store, tables[i], false, &key, 0, NULL,
		    &e) != ERR_NOT_FOUND)
			fail_msg("%s: table %zu is not empty", node->name, i);
	}
	buf_release(&key);
}
