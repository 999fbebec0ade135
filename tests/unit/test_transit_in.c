/* SPDX-License-Identifier: ISC */
/*
 * Parcels that are not what they should be, and limits of what is taken from a
 * neighbour.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bundle/frame.h"
#include "node/transit_private.h"
#include "tests/unit/transit_texts.h"

static struct tw *
pair(const char *london)
{
	char *text = mem_printf("%s%s%s}\n", TW_SITE("london")
	    "peer paris {\n dialect = native\n transport = /bin/true\n",
	    london, "");
	const char *texts[2] = { TW_SITE("paris") TW_PEER("london", ""),
		text };
	struct tw *w = tw_new(tw_names, texts, 2, 1);

	free(text);
	return w;
}

static void
octets(struct buf *out, size_t len, uint64_t seed)
{
	struct rng_seeded rng;

	rng_seeded_init(&rng, seed);
	rng_fill(&rng.rng, buf_room(out, len), len);
	buf_grown(out, len);
}

/* Adds a frame and what belongs to it to a parcel. */
static void
add_frame(struct buf *out, const struct frame *f, struct slice bytes)
{
	struct err e = ERR_INIT;

	if (frame_put(out, f, &e) != 0)
		fail_msg("%s", e.text);
	buf_addslice(out, bytes);
}

/* Octets offset.. of a bundle of `total`, which follows from seed. */
static void
add_fragment(struct buf *out, size_t total, uint64_t seed, size_t offset,
    size_t len, const char *destination)
{
	unsigned char digest[SHA256_LEN];
	struct frame f = { .kind = FRAME_FRAGMENT, .lifetime_secs = 3600,
	    .hops = 5, .total = total, .offset = offset, .length = len,
	    .direct = destination == NULL };
	struct buf all = BUF_INIT;
	struct sha256 h;

	octets(&all, total, seed);
	sha256_init(&h);
	sha256_add(&h, all.ptr, all.len);
	sha256_end(&h, digest);
	memcpy(f.name, digest, sizeof(f.name));
	if (destination != NULL)
		(void)snprintf(f.destination, sizeof(f.destination), "%s",
		    destination);
	add_frame(out, &f, (struct slice){ all.ptr + offset, len });
	buf_release(&all);
}

static enum inbound_outcome
feed_frames(struct tw *w, struct buf *frames)
{
	struct tw_road *road = tw_road(w, "paris", "london");
	struct buf parcel = BUF_INIT;
	enum inbound_outcome outcome;

	tw_parcel(road, buf_slice(frames), &parcel);
	outcome = tw_feed(road, buf_slice(&parcel));
	buf_release(&parcel);
	buf_clear(frames);
	return outcome;
}

static struct transit_counters
counters(struct tw *w, const char *name)
{
	struct transit_counters c;

	transit_counters(tw_node(w, name)->x, &c);
	return c;
}

static void
assert_logged(struct tw *w, const char *name, const char *text)
{
	struct tw_node *node = tw_node(w, name);

	if (strstr(buf_cstr(&node->log), text) == NULL)
		fail_msg("\"%s\" is not in the log of %s", text, name);
}

static size_t
count_logged(struct tw *w, const char *name, const char *text)
{
	const char *at = buf_cstr(&tw_node(w, name)->log);
	size_t n = 0;

	for (; (at = strstr(at, text)) != NULL; at++)
		n++;
	return n;
}

/*
 * What is not genuine costs no write, and the road nothing.
 */
static void
test_forged(void **state)
{
	struct tw *w = pair("");
	struct tw_node *london = tw_node(w, "london");
	struct tw_road *road = tw_road(w, "paris", "london");
	struct buf junk = BUF_INIT, parcel = BUF_INIT, frames = BUF_INIT;
	uint64_t writes;
	size_t i;

	(void)state;
	tw_pass(w, 5);
	add_fragment(&frames, 5000, 1, 0, 2000, NULL);
	tw_parcel(road, buf_slice(&frames), &parcel);
	writes = store_mem_disk_writes(london->disk);
	/* Every octet of a genuine one matters. */
	for (i = 0; i < parcel.len; i += 7) {
		parcel.ptr[i] ^= 4;
		assert_int_equal(INBOUND_ASIDE, tw_feed(road,
		    buf_slice(&parcel)));
		parcel.ptr[i] ^= 4;
	}
	for (i = 0; i < 300; i++) {
		buf_clear(&junk);
		octets(&junk, i * 11, i);
		assert_int_equal(INBOUND_ASIDE, tw_feed(road,
		    buf_slice(&junk)));
	}
	/* From another, to another. */
	buf_clear(&junk);
	tw_parcel(tw_road(w, "london", "paris"), buf_slice(&frames), &junk);
	assert_int_equal(INBOUND_ASIDE, tw_feed(road, buf_slice(&junk)));
	assert_int_equal(writes, store_mem_disk_writes(london->disk));
	assert_int_equal(0, map_count(london->x->transit->by_id));
	assert_true(counters(w, "london").forged > 500);
	assert_int_equal(10, count_logged(w, "london", "parcel-refused"));
	/* An hour later the next line tells of the others. */
	tw_pass(w, 3700);
	assert_int_equal(INBOUND_ASIDE, tw_feed(road, buf_slice(&junk)));
	assert_logged(w, "london", "untold=");
	assert_int_equal(0, tw_road(w, "london", "paris")->parcels);
	buf_release(&junk);
	buf_release(&parcel);
	buf_release(&frames);
	tw_free(w);
}

static void
test_replayed(void **state)
{
	struct tw *w = pair("");
	struct tw_road *road = tw_road(w, "paris", "london");
	struct tw_node *london = tw_node(w, "london");
	unsigned char name[BUNDLE_NAME_LEN];
	struct buf kept = BUF_INIT;
	uint64_t writes;

	(void)state;
	tw_bundle(tw_node(w, "paris"), &tw_to_london, 3000, 1, name);
	tw_pass(w, 10);
	assert_int_equal(1, tw_opened(london, name));
	road->octets = 0;
	tw_bundle(tw_node(w, "paris"), &tw_to_london, 3000, 2, name);
	tw_pass(w, 10);
	tw_pass(w, 1);
	buf_addslice(&kept, buf_slice(&w->kept));
	/* The last letter was london's acknowledgement: to paris. */
	writes = store_mem_disk_writes(tw_node(w, "paris")->disk);
	assert_int_equal(INBOUND_DUPLICATE, tw_feed(tw_road(w, "london",
	    "paris"), buf_slice(&kept)));
	assert_int_equal(writes,
	    store_mem_disk_writes(tw_node(w, "paris")->disk));
	tw_crash(tw_node(w, "paris"));
	assert_int_equal(INBOUND_DUPLICATE, tw_feed(tw_road(w, "london",
	    "paris"), buf_slice(&kept)));
	assert_int_equal(1, counters(w, "paris").replayed);
	assert_logged(w, "paris", "fault=replayed");
	buf_release(&kept);
	tw_free(w);
}

/* The same bundle in a fresh parcel: acknowledged again, not taken again. */
static void
test_twice(void **state)
{
	struct tw *w = pair("");
	struct tw_node *london = tw_node(w, "london");
	struct tw_road *back = tw_road(w, "london", "paris");
	struct buf frames = BUF_INIT, all = BUF_INIT;
	struct frame f = { .kind = FRAME_WHOLE, .direct = true,
	    .total = 1500, .length = 1500, .lifetime_secs = 100 };
	int i;

	(void)state;
	octets(&all, 1500, 3);
	for (i = 1; i <= 3; i++) {
		add_frame(&frames, &f, buf_slice(&all));
		assert_int_equal(INBOUND_DONE, feed_frames(w, &frames));
		tw_pass(w, 100);
		assert_int_equal(1, london->opened);
		assert_int_equal(i, back->parcels);
	}
	/* Also twice in one parcel, whole and in fragments. */
	add_fragment(&frames, 3000, 4, 0, 2000, NULL);
	add_fragment(&frames, 3000, 4, 1500, 1500, NULL);
	buf_clear(&all);
	octets(&all, 3000, 4);
	f.total = f.length = 3000;
	add_frame(&frames, &f, buf_slice(&all));
	add_frame(&frames, &f, buf_slice(&all));
	add_fragment(&frames, 3000, 4, 0, 1024, NULL);
	assert_int_equal(INBOUND_DONE, feed_frames(w, &frames));
	tw_pass(w, 100);
	assert_int_equal(2, london->opened);
	tw_assert_empty(london);
	buf_release(&frames);
	buf_release(&all);
	tw_free(w);
}

/*
 * Fragments.
 */
static void
test_fragments(void **state)
{
	static const struct {
		size_t offset, len;
	} piece[] = { { 4000, 2000 }, { 0, 1500 }, { 1000, 2500 },
		{ 5000, 5000 }, { 2000, 4000 }, { 0, 9000 } };
	struct tw *w = pair("");
	struct tw_node *london = tw_node(w, "london");
	struct buf frames = BUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(piece) / sizeof(piece[0]); i++) {
		assert_int_equal(0, london->opened);
		add_fragment(&frames, 10000, 7, piece[i].offset,
		    piece[i].len, NULL);
		assert_int_equal(INBOUND_DONE, feed_frames(w, &frames));
		if (i % 2 == 0)
			tw_crash(london);
		tw_pass(w, 1);
		if (i == 4)
			break;
	}
	assert_int_equal(1, london->opened);
	assert_int_equal(10000, london->opened_octets);
	tw_pass(w, 10);
	tw_assert_empty(london);
	/* What comes late is acknowledged, and starts nothing. */
	add_fragment(&frames, 10000, 7, 0, 9000, NULL);
	assert_int_equal(INBOUND_DONE, feed_frames(w, &frames));
	assert_int_equal(0, map_count(london->x->transit->by_id));
	buf_release(&frames);
	tw_free(w);
}

/* One octet at a time through the whole of a parcel of several slices. */
static void
test_long_parcel(void **state)
{
	struct tw *w = pair("");
	struct tw_road *road = tw_road(w, "paris", "london");
	struct buf frames = BUF_INIT, parcel = BUF_INIT;
	struct inbound *in;
	struct err e = ERR_INIT;
	int pass;
	size_t i;

	(void)state;
	add_fragment(&frames, 300000, 8, 100000, 190000, NULL);
	add_fragment(&frames, 300000, 8, 0, 120000, NULL);
	add_fragment(&frames, 300000, 8, 280000, 20000, NULL);
	tw_parcel(road, buf_slice(&frames), &parcel);
	in = exchange_inbound_new(road->to->x, "paris", "file",
	    SLICE_LIT("x"));
	for (pass = 0; pass < 2; pass++) {
		for (i = 0; i < parcel.len; i++)
			assert_int_equal(0, exchange_inbound_add(in,
			    parcel.ptr + i, 1, &e));
		assert_int_equal(pass == 0 ? INBOUND_AGAIN : INBOUND_DONE,
		    exchange_inbound_end(in));
	}
	exchange_inbound_free(in);
	tw_pass(w, 1);
	assert_int_equal(1, road->to->opened);
	assert_int_equal(300000, road->to->opened_octets);
	buf_release(&frames);
	buf_release(&parcel);
	tw_free(w);
}

/* A fragment that lies: all of the set is dropped, and nothing more is
 * acknowledged. */
static void
test_false_fragment(void **state)
{
	struct tw *w = pair("");
	struct tw_node *london = tw_node(w, "london");
	struct buf frames = BUF_INIT;

	(void)state;
	add_fragment(&frames, 4000, 9, 0, 2000, NULL);
	assert_int_equal(INBOUND_DONE, feed_frames(w, &frames));
	add_fragment(&frames, 4000, 9, 2000, 2000, NULL);
	frames.ptr[frames.len - 1] ^= 1;
	assert_int_equal(INBOUND_DONE, feed_frames(w, &frames));
	tw_pass(w, 10);
	assert_int_equal(0, london->opened);
	assert_logged(w, "london", "it is not what its id says");
	assert_int_equal(0, map_count(london->x->transit->by_id));
	/* Genuine from the start it is taken. */
	add_fragment(&frames, 4000, 9, 2000, 2000, NULL);
	add_fragment(&frames, 4000, 9, 0, 2000, NULL);
	assert_int_equal(INBOUND_DONE, feed_frames(w, &frames));
	tw_pass(w, 10);
	assert_int_equal(1, london->opened);
	/* Another total under the same name. */
	add_fragment(&frames, 9000, 10, 0, 2000, NULL);
	assert_int_equal(INBOUND_DONE, feed_frames(w, &frames));
	add_fragment(&frames, 9000, 10, 2000, 2000, "london");
	assert_int_equal(INBOUND_DONE, feed_frames(w, &frames));
	assert_logged(w, "london", "does not fit those before it");
	/* Its rest never comes. */
	tw_pass(w, 5000);
	assert_logged(w, "london", "the rest of it did not come");
	tw_assert_empty(london);
	buf_release(&frames);
	tw_free(w);
}

static void
test_malformed(void **state)
{
	struct tw *w = pair("");
	struct tw_node *london = tw_node(w, "london");
	struct buf frames = BUF_INIT, all = BUF_INIT;
	struct frame f = { .kind = FRAME_WHOLE, .direct = true,
	    .total = 1500, .length = 1500, .lifetime_secs = 100 };

	(void)state;
	octets(&all, 1500, 3);
	/* What stands before the fault is taken. */
	add_frame(&frames, &f, buf_slice(&all));
	buf_adds(&frames, "\x7f\x7f\x7f");
	assert_int_equal(INBOUND_ASIDE, feed_frames(w, &frames));
	tw_pass(w, 10);
	assert_int_equal(1, london->opened);
	assert_logged(w, "london", "fault=content");
	/* A parcel that ends inside a frame. */
	f.total = f.length = 1600;
	add_frame(&frames, &f, buf_slice(&all));
	assert_int_equal(INBOUND_ASIDE, feed_frames(w, &frames));
	tw_pass(w, 10);
	assert_int_equal(1, london->opened);
	tw_assert_empty(london);
	/* Nothing in it at all. */
	assert_int_equal(INBOUND_DONE, feed_frames(w, &frames));
	buf_release(&frames);
	buf_release(&all);
	tw_free(w);
}

/*
 * Limits.
 */
static void
test_limits(void **state)
{
	struct tw *w = pair(" held-bundles = 3\n held-size = 100000\n");
	struct tw_node *london = tw_node(w, "london");
	struct buf frames = BUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < 5; i++)
		add_fragment(&frames, 20000, 100 + i, 0, 2000, NULL);
	assert_int_equal(INBOUND_DONE, feed_frames(w, &frames));
	assert_int_equal(3, map_count(london->x->transit->by_id));
	assert_logged(w, "london", "held-bundles");
	/* Those that are there may go on. */
	add_fragment(&frames, 20000, 100, 2000, 18000, NULL);
	assert_int_equal(INBOUND_DONE, feed_frames(w, &frames));
	tw_pass(w, 1);
	assert_int_equal(1, london->opened);
	add_fragment(&frames, 60001, 200, 0, 2000, NULL);
	assert_int_equal(INBOUND_DONE, feed_frames(w, &frames));
	assert_int_equal(2, map_count(london->x->transit->by_id));
	assert_logged(w, "london", "held-size");
	add_fragment(&frames, 60000, 200, 0, 2000, NULL);
	assert_int_equal(INBOUND_DONE, feed_frames(w, &frames));
	assert_int_equal(3, map_count(london->x->transit->by_id));
	tw_pass(w, 2 * 3600);
	tw_assert_empty(london);
	buf_release(&frames);
	tw_free(w);
}

static void
test_forwarding(void **state)
{
	struct tw *w = pair(" may-relay = yes\n");
	struct tw_node *london = tw_node(w, "london");
	struct buf frames = BUF_INIT, all = BUF_INIT;
	struct frame f = { .kind = FRAME_WHOLE, .hops = 0, .total = 1500,
	    .length = 1500, .lifetime_secs = 100, .destination = "oslo" };

	(void)state;
	octets(&all, 1500, 3);
	add_frame(&frames, &f, buf_slice(&all));
	assert_int_equal(INBOUND_DONE, feed_frames(w, &frames));
	assert_int_equal(0, map_count(london->x->transit->by_id));
	assert_int_equal(1, counters(w, "london").dead);
	/* It is acknowledged: nobody needs it again. */
	tw_pass(w, 5);
	assert_int_equal(1, tw_road(w, "london", "paris")->parcels);
	add_fragment(&frames, 5000, 5, 0, 2000, "oslo");
	assert_int_equal(INBOUND_DONE, feed_frames(w, &frames));
	assert_int_equal(1, map_count(london->x->transit->by_id));
	/* With hops left it waits for a road, and never goes back. */
	buf_clear(&all);
	octets(&all, 1500, 4);
	f.hops = 1;
	add_frame(&frames, &f, buf_slice(&all));
	assert_int_equal(INBOUND_DONE, feed_frames(w, &frames));
	tw_pass(w, 10);
	assert_int_equal(2, map_count(london->x->transit->by_id));
	assert_false(list_empty(&london->x->transit->limbo));
	tw_pass(w, 2 * 3600);
	assert_int_equal(0, london->opened);
	tw_assert_empty(london);
	buf_release(&frames);
	buf_release(&all);
	tw_free(w);
}

/* Acknowledgements for what was never sent, or is not there. */
static void
test_false_acks(void **state)
{
	static const struct frame_range range[] = { { 0, 100 },
		{ 2000, UINT64_C(1) << 39 } };
	struct tw *w = pair("");
	struct tw_road *road = tw_road(w, "london", "paris");
	struct tw_node *paris = tw_node(w, "paris");
	struct frame f = { .kind = FRAME_ACK, .range = range,
	    .nranges = 2 };
	struct buf frames = BUF_INIT, parcel = BUF_INIT;
	unsigned char name[BUNDLE_NAME_LEN];

	(void)state;
	w->loss = 100;
	tw_bundle(paris, &tw_to_london, 3000, 1, name);
	tw_pass(w, 5);
	add_frame(&frames, &f, SLICE_LIT(""));
	memcpy(f.name, name, sizeof(name));
	add_frame(&frames, &f, SLICE_LIT(""));
	tw_parcel(road, buf_slice(&frames), &parcel);
	assert_int_equal(INBOUND_DONE, tw_feed(road, buf_slice(&parcel)));
	assert_int_equal(1, map_count(paris->x->transit->by_id));
	assert_int_equal(0, paris->hop_done);
	/* The rest goes again; a fragment is no smaller than the least. */
	w->loss = 0;
	tw_pass(w, 200);
	assert_int_equal(0, tw_opened(tw_node(w, "london"), name));
	assert_int_equal(1, map_count(tw_node(w,
	    "london")->x->transit->by_id));
	buf_release(&frames);
	buf_release(&parcel);
	tw_free(w);
}

/*
 * Bundles of our own.
 */
static void
test_withdraw(void **state)
{
	struct tw *w = pair("");
	struct tw_node *paris = tw_node(w, "paris");
	struct tw_road *road = tw_road(w, "paris", "london");
	unsigned char name[BUNDLE_NAME_LEN];
	struct transit_draft *d;
	struct spool_unit *u;
	struct err e = ERR_INIT;
	uint64_t id;
	char bytes[70000];

	(void)state;
	road->blocked = true;
	id = tw_bundle(paris, &tw_to_london, 300000, 1, name);
	tw_pass(w, 2);
	assert_int_equal(0, spool_begin(paris->spool, &u, &e));
	assert_int_equal(0, transit_withdraw(paris->x, u, id, &e));
	assert_int_equal(0, spool_commit(u, true, &e));
	transit_withdrawn(paris->x, id);
	/* Its parcel is made once, so it may still go. */
	road->blocked = false;
	tw_pass(w, 100);
	assert_int_equal(0, paris->lost);
	assert_int_equal(0, paris->hop_done);
	tw_assert_empty(paris);
	/* Begun and given up. */
	memset(bytes, 1, sizeof(bytes));
	assert_int_equal(0, transit_begin(paris->x, &tw_to_london, &d, &e));
	assert_int_equal(0, transit_add(d, bytes, sizeof(bytes), &e));
	assert_int_equal(sizeof(bytes), transit_draft_octets(d));
	transit_abort(d);
	assert_int_equal(0, transit_begin(paris->x, &tw_to_london, &d, &e));
	assert_int_equal(0, spool_begin(paris->spool, &u, &e));
	assert_int_equal(ERR_STATE, transit_end(d, u, &id, name, &e));
	spool_abort(u);
	transit_ended(d, false);
	tw_assert_empty(paris);
	tw_free(w);
}

/* A parcel whose file is gone when the daemon starts is made again as
 * another. */
static void
test_lost_file(void **state)
{
	struct tw *w = pair("");
	struct tw_node *paris = tw_node(w, "paris");
	struct tw_road *road = tw_road(w, "paris", "london");
	unsigned char name[BUNDLE_NAME_LEN];

	(void)state;
	road->blocked = true;
	tw_bundle(paris, &tw_to_london, 3000, 1, name);
	tw_pass(w, 2);
	assert_false(list_empty(&road->files));
	tw_forget_files(road);
	tw_crash(paris);
	road->blocked = false;
	tw_pass(w, 100);
	assert_int_equal(1, tw_opened(tw_node(w, "london"), name));
	assert_logged(w, "paris", "its file is gone");
	tw_assert_empty(paris);
	/* And one whose file is there goes as it is. */
	road->blocked = true;
	tw_bundle(paris, &tw_to_london, 3000, 2, name);
	tw_pass(w, 2);
	tw_crash(paris);
	road->blocked = false;
	road->parcels = 0;
	tw_pass(w, 100);
	assert_int_equal(1, road->parcels);
	assert_int_equal(1, tw_opened(tw_node(w, "london"), name));
	tw_assert_empty(paris);
	tw_free(w);
}

/* The power fails at the end of a parcel: what was written before may be there
 * or not; the same file again brings the rest, and nothing twice. */
static void
crash_inside(uint64_t seed)
{
	struct frame f = { .kind = FRAME_WHOLE, .direct = true,
	    .lifetime_secs = 3600 };
	struct tw *w = pair("");
	struct tw_road *road = tw_road(w, "paris", "london");
	struct tw_node *london = road->to;
	struct buf frames = BUF_INIT, parcel = BUF_INIT, all = BUF_INIT;
	size_t i;

	rng_seeded_init(&london->rng, seed);
	for (i = 0; i < 8; i++) {
		buf_clear(&all);
		octets(&all, 1000 + i * 20000, seed * 100 + i);
		f.total = f.length = all.len;
		add_frame(&frames, &f, buf_slice(&all));
		add_fragment(&frames, 40000, seed * 50 + i, 0, 30000, NULL);
	}
	tw_parcel(road, buf_slice(&frames), &parcel);
	london->lazy = true;
	store_mem_disk_crash_at(london->disk, 1, &london->rng.rng);
	assert_int_equal(INBOUND_LATER, tw_feed(road, buf_slice(&parcel)));
	tw_crash(london);
	london->lazy = seed % 2 == 0;
	tw_pass(w, 1);
	assert_int_equal(INBOUND_DONE, tw_feed(road, buf_slice(&parcel)));
	london->lazy = false;
	buf_clear(&frames);
	for (i = 0; i < 8; i++)
		add_fragment(&frames, 40000, seed * 50 + i, 25000, 15000,
		    NULL);
	assert_int_equal(INBOUND_DONE, feed_frames(w, &frames));
	tw_pass(w, 10);
	assert_int_equal(16, london->opened);
	assert_int_equal(8 * 1000 + 28 * 20000 + 8 * 40000,
	    london->opened_octets);
	tw_assert_empty(london);
	buf_release(&frames);
	buf_release(&parcel);
	buf_release(&all);
	tw_free(w);
}

static void
test_crash_inside(void **state)
{
	uint64_t seed;

	(void)state;
	for (seed = 1; seed <= 20; seed++)
		crash_inside(seed);
}

/* What a full spool cannot keep stays in in/. */
static void
test_full(void **state)
{
	struct tw *w = pair("");
	struct tw_node *london = tw_node(w, "london");
	struct buf frames = BUF_INIT;

	(void)state;
	w->full = true;
	tw_pass(w, 61);
	add_fragment(&frames, 10000, 7, 0, 9000, NULL);
	assert_int_equal(INBOUND_LATER, feed_frames(w, &frames));
	assert_int_equal(0, map_count(london->x->transit->by_id));
	w->full = false;
	tw_pass(w, 61);
	add_fragment(&frames, 10000, 7, 0, 9000, NULL);
	assert_int_equal(INBOUND_DONE, feed_frames(w, &frames));
	assert_int_equal(1, map_count(london->x->transit->by_id));
	buf_release(&frames);
	tw_free(w);
}

/*
 * Records of parcels.
 */
static void
test_text(void **state)
{
	static const char good[] = "parcel\ncard 7\n"
	    "ack 000102030405060708090a0b0c0d0e0f\n"
	    "ack ff0102030405060708090a0b0c0d0e0f 0+100 2000+1\n"
	    "piece 5 0 18446744073709551615\npiece 6 1024 2000\n";
	static const char *const bad[] = {
		"", "parcels\n", "parcel\nhello\n", "parcel\ncard x\n",
		"parcel\nback\n", "parcel\nback 1x\n",
		"parcel\nack 00\n",
		"parcel\nack 000102030405060708090a0b0c0d0e0F\n",
		"parcel\nack 000102030405060708090a0b0c0d0e0f 1-2\n",
		"parcel\npiece 1 2\n", "parcel\npiece 1 2 -3\n",
		"parcel\npiece 1 2 18446744073709551616\n",
	};
	struct err e = ERR_INIT;
	struct parcel p;
	char *text;
	size_t i;

	(void)state;
	assert_int_equal(0, parcel_parse(good, &p, &e));
	assert_int_equal(2, p.nacks);
	assert_int_equal(0, p.ack[0].nranges);
	assert_int_equal(0xff, p.ack[1].name[0]);
	assert_int_equal(2, p.ack[1].nranges);
	assert_int_equal(2000, p.ack[1].range[1].offset);
	assert_int_equal(2, p.npieces);
	assert_int_equal(1024, p.piece[1].offset);
	text = parcel_text(&p);
	assert_string_equal(good, text);
	free(text);
	parcel_release(&p);
	assert_int_equal(0, parcel_parse("parcel\nrequest\ncard 3\n", &p,
	    &e));
	assert_true(p.request);
	assert_int_equal(3, p.card);
	parcel_release(&p);
	assert_int_equal(0, parcel_parse("parcel\nrequest\nback 4\n", &p,
	    &e));
	assert_true(p.request);
	assert_int_equal(0, p.card);
	assert_int_equal(4, p.back);
	text = parcel_text(&p);
	assert_string_equal("parcel\nrequest\nback 4\n", text);
	free(text);
	parcel_release(&p);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parcel_parse(bad[i], &p, &e) != ERR_CORRUPT)
			fail_msg("taken: %s", bad[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forged),
		cmocka_unit_test(test_replayed),
		cmocka_unit_test(test_twice),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_long_parcel),
		cmocka_unit_test(test_false_fragment),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_forwarding),
		cmocka_unit_test(test_false_acks),
		cmocka_unit_test(test_withdraw),
		cmocka_unit_test(test_lost_file),
		cmocka_unit_test(test_crash_inside),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
