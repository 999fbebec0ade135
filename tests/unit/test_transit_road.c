/* SPDX-License-Identifier: ISC */
/*
 * Roads of the hop layer: splitting, repeating, shapes, schedules, roads that
 * go down, keys that are not known.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/transit_private.h"
#include "tests/unit/transit_texts.h"

static size_t
parcels(struct tw *w, const char *from, const char *to)
{
	return tw_road(w, from, to)->parcels;
}

/*
 * Splitting.
 */
static void
test_split(void **state)
{
	static const char *const text[] = TW_PAIR(" parcel-size = 2K\n",
	    "");
	unsigned char name[BUNDLE_NAME_LEN];
	struct tw *w = tw_new(tw_names, text, 2, 1);
	struct tw_road *road = tw_road(w, "paris", "london");
	struct transit_counters c;
	size_t whole, octets;

	(void)state;
	tw_bundle(tw_node(w, "paris"), &tw_to_london, 40000, 1, name);
	tw_pass(w, 10);
	assert_int_equal(1, tw_opened(tw_node(w, "london"), name));
	assert_true(road->largest <= 2048);
	whole = road->parcels;
	octets = road->octets;
	/* 2048 less 113 octets of seal and 25 to 27 of head: 1908 to 1910. */
	assert_int_equal(21, whole);
	tw_assert_empty(tw_node(w, "london"));
	/* Another, of which three are lost: these alone go again. */
	tw_bundle(tw_node(w, "paris"), &tw_to_london, 40000, 2, name);
	road->gap_ms = 10;
	tw_pass(w, 10);
	assert_int_equal(1, tw_opened(tw_node(w, "london"), name));
	road->parcels = road->octets = 0;
	tw_bundle(tw_node(w, "paris"), &tw_to_london, 40000, 3, name);
	road->lose_next = 3;
	tw_pass(w, 20);
	assert_int_equal(0, tw_opened(tw_node(w, "london"), name));
	assert_int_equal(whole, road->parcels);
	tw_pass(w, 200);
	assert_int_equal(1, tw_opened(tw_node(w, "london"), name));
	assert_int_equal(whole + 3, road->parcels);
	assert_true(road->octets <= octets + 3 * 2048);
	transit_counters(tw_node(w, "paris")->x, &c);
	assert_in_range(c.repeated_octets, 3 * 1800, 3 * 2048);
	tw_assert_empty(tw_node(w, "paris"));
	tw_assert_empty(tw_node(w, "london"));
	tw_free(w);
}

static void
test_overtake(void **state)
{
	static const char *const text[] = TW_PAIR(" parcel-size = 2K\n", "");
	unsigned char bulk[BUNDLE_NAME_LEN], first[BUNDLE_NAME_LEN];
	struct tw *w = tw_new(tw_names, text, 2, 1);
	struct tw_road *road = tw_road(w, "paris", "london");
	struct transit_new n = tw_to_london;
	size_t before;

	(void)state;
	road->gap_ms = 1000;
	n.priority = -3;
	tw_bundle(tw_node(w, "paris"), &n, 100000, 1, bulk);
	tw_pass(w, 10);
	before = road->parcels;
	assert_in_range(before, 9, 11);
	n.priority = 4;
	tw_bundle(tw_node(w, "paris"), &n, 1500, 2, first);
	/* What lay before the transport goes first: two parcels. */
	tw_pass(w, 5);
	assert_int_equal(1, tw_opened(tw_node(w, "london"), first));
	assert_int_equal(0, tw_opened(tw_node(w, "london"), bulk));
	tw_pass(w, 100);
	assert_int_equal(1, tw_opened(tw_node(w, "london"), bulk));
	tw_free(w);
}

/*
 * Repeating.
 */

/* When the n-th parcel went, in seconds from the first. */
static int64_t
parcel_at(struct tw *w, struct tw_road *road, uint64_t n)
{
	int64_t begin = w->now_ms;

	while (road->parcels < n && w->now_ms - begin < 86400000)
		tw_pass(w, 1);
	return (w->now_ms - begin) / 1000;
}

static void
test_back_off(void **state)
{
	static const char *const text[] = TW_PAIR("", "");
	unsigned char name[BUNDLE_NAME_LEN];
	struct tw *w = tw_new(tw_names, text, 2, 1);
	struct tw_road *road = tw_road(w, "paris", "london");
	int i;

	(void)state;
	w->loss = 100;
	tw_bundle(tw_node(w, "paris"), &tw_to_london, 1000, 1, name);
	tw_pass(w, 1);
	assert_int_equal(1, road->parcels);
	assert_in_range(parcel_at(w, road, 2), 58, 85);
	assert_in_range(parcel_at(w, road, 3), 118, 165);
	assert_in_range(parcel_at(w, road, 4), 238, 325);
	for (i = 5; i < 9; i++)
		(void)parcel_at(w, road, (uint64_t)i);
	/* retry-max and what jitter adds. */
	assert_in_range(parcel_at(w, road, 9), 2700, 4860);
	w->loss = 0;
	tw_pass(w, 5000);
	assert_int_equal(1, tw_opened(tw_node(w, "london"), name));
	tw_assert_empty(tw_node(w, "paris"));
	tw_free(w);
}

/* Answers take hours, and what is repeated does not tell how many: soon each
 * bundle goes once all the same. */
static void
test_slow_answers(void **state)
{
	static const char *const text[] = TW_PAIR("", "");
	unsigned char name[BUNDLE_NAME_LEN];
	struct tw *w = tw_new(tw_names, text, 2, 1);
	struct tw_road *road = tw_road(w, "paris", "london");
	struct transit_new n = tw_to_london;
	uint64_t i;

	(void)state;
	n.lifetime_secs = 30 * 86400;
	w->delay_ms = 3600000;
	for (i = 0; i < 20; i++) {
		if (i == 10)
			road->parcels = 0;
		tw_bundle(tw_node(w, "paris"), &n, 1000, i, name);
		tw_pass(w, 20000);
	}
	assert_in_range(road->parcels, 10, 12);
	assert_int_equal(20, tw_node(w, "paris")->hop_done);
	/* And soon after it has become fast, what is lost is repeated. */
	w->delay_ms = 1000;
	for (; i < 60; i++) {
		tw_bundle(tw_node(w, "paris"), &n, 1000, i, name);
		tw_pass(w, 100);
	}
	road->lose_next = 1;
	tw_bundle(tw_node(w, "paris"), &n, 1000, i, name);
	tw_pass(w, 100);
	assert_int_equal(1, tw_opened(tw_node(w, "london"), name));
	tw_assert_empty(tw_node(w, "paris"));
	tw_free(w);
}

/* On a road that is called once a day nothing is repeated before a whole call
 * has passed without an answer; acknowledgements ride with the next call. */
static void
test_calls(void **state)
{
	static const char *const text[] = TW_PAIR(
	    " call = { \"every 1d\" }\n", " call = { \"every 1d\" }\n");
	unsigned char name[BUNDLE_NAME_LEN];
	struct tw *w = tw_new(tw_names, text, 2, 1);
	struct tw_road *road = tw_road(w, "paris", "london");
	struct transit_new n = tw_to_london;

	(void)state;
	n.lifetime_secs = 30 * 86400;
	tw_pass(w, 3600);
	tw_bundle(tw_node(w, "paris"), &n, 1000, 1, name);
	assert_int_equal(0, road->parcels);
	tw_pass(w, 86400);
	assert_int_equal(1, road->parcels);
	assert_int_equal(1, tw_opened(tw_node(w, "london"), name));
	tw_pass(w, 86400);
	assert_int_equal(1, parcels(w, "london", "paris"));
	assert_int_equal(1, tw_node(w, "paris")->hop_done);
	assert_int_equal(1, road->parcels);
	/* Lost: the next day's call is the opportunity, the one behind it
	 * repeats. */
	w->loss = 100;
	tw_bundle(tw_node(w, "paris"), &n, 1000, 2, name);
	tw_pass(w, 86400);
	assert_int_equal(2, road->parcels);
	w->loss = 0;
	tw_pass(w, 86400);
	assert_int_equal(2, road->parcels);
	tw_pass(w, 86400);
	assert_int_equal(3, road->parcels);
	assert_int_equal(1, tw_opened(tw_node(w, "london"), name));
	tw_free(w);
}

/* On a road with windows alone there is no call while nothing waits: what was
 * lost is repeated as soon as the window is open. */
static void
test_windows(void **state)
{
	static const char *const text[] = TW_PAIR(
	    " call = { \"Any0000-2359\" }\n", "");
	unsigned char name[BUNDLE_NAME_LEN];
	struct tw *w = tw_new(tw_names, text, 2, 1);
	struct tw_road *road = tw_road(w, "paris", "london");

	(void)state;
	road->lose_next = 1;
	tw_bundle(tw_node(w, "paris"), &tw_to_london, 1000, 1, name);
	tw_pass(w, 10);
	assert_int_equal(1, road->parcels);
	tw_pass(w, 300);
	assert_int_equal(2, road->parcels);
	assert_int_equal(1, tw_opened(tw_node(w, "london"), name));
	tw_assert_empty(tw_node(w, "paris"));
	tw_free(w);
}

/* A call waits while custody makes bundles, and custody is asked to. */
static void
test_fill(void **state)
{
	static const char *const text[] = TW_PAIR(
	    " call = { \"every 1h\" }\n", "");
	unsigned char name[BUNDLE_NAME_LEN];
	struct tw *w = tw_new(tw_names, text, 2, 1);
	struct tw_road *road = tw_road(w, "paris", "london");

	(void)state;
	tw_pass(w, 10);
	road->fills = 0;
	tw_pass(w, 3000);
	assert_int_equal(0, road->fills);
	road->making = true;
	tw_bundle(tw_node(w, "paris"), &tw_to_london, 1000, 1, name);
	tw_pass(w, 3600);
	assert_true(road->fills > 0);
	assert_int_equal(0, road->parcels);
	road->making = false;
	tw_pass(w, 61);
	assert_int_equal(1, road->parcels);
	tw_free(w);
}

/*
 * Shapes.
 */
static void
test_shapes(void **state)
{
	static const char *const padme_text[] = TW_PAIR(
	    " shape = padme\n parcel-size = 20K\n", "");
	static const char *const exact[] = TW_PAIR(" shape = 4K\n",
	    " shape = 3000\n");
	unsigned char name[BUNDLE_NAME_LEN];
	struct tw *w = tw_new(tw_names, padme_text, 2, 1);
	struct tw_road *road = tw_road(w, "paris", "london");
	struct transit_counters c;

	(void)state;
	tw_bundle(tw_node(w, "paris"), &tw_to_london, 1001, 1, name);
	tw_pass(w, 5);
	assert_int_equal(padme(road->smallest), road->smallest);
	tw_bundle(tw_node(w, "paris"), &tw_to_london, 100001, 2, name);
	tw_pass(w, 5);
	assert_int_equal(1, tw_opened(tw_node(w, "london"), name));
	assert_true(road->largest <= 20480);
	assert_int_equal(padme(road->largest), road->largest);
	tw_free(w);
	w = tw_new(tw_names, exact, 2, 1);
	road = tw_road(w, "paris", "london");
	tw_bundle(tw_node(w, "paris"), &tw_to_london, 10000, 1, name);
	tw_pass(w, 10);
	assert_int_equal(1, tw_opened(tw_node(w, "london"), name));
	assert_int_equal(4096, road->smallest);
	assert_int_equal(4096, road->largest);
	assert_int_equal(3, road->parcels);
	/* An acknowledgement alone has its shape too. */
	assert_int_equal(3000, tw_road(w, "london", "paris")->smallest);
	transit_counters(tw_node(w, "london")->x, &c);
	assert_in_range(c.padding_out, 2800, 2900);
	tw_free(w);
}

/*
 * Roads that go down.
 */
static struct tw *
diamond(void)
{
	static const char *const text[] = {
		TW_SITE("paris") TW_PEER("london", " cost = 1\n")
		    TW_PEER("lyon", " cost = 5\n")
		    "link london oslo { }\nlink lyon oslo { }\n",
		TW_SITE("london") TW_PEER("paris", " may-relay = yes\n")
		    TW_PEER("oslo", ""),
		TW_SITE("oslo") TW_PEER("london", " may-relay = yes\n")
		    TW_PEER("lyon", " may-relay = yes\n"),
		TW_SITE("lyon") TW_PEER("paris", " may-relay = yes\n")
		    TW_PEER("oslo", ""),
	};
	static const char *const four[] = { "paris", "london", "oslo",
		"lyon" };

	return tw_new(four, text, 4, 1);
}

static const char *
peer_of(struct tw_node *node, uint64_t id)
{
	struct transit_status st;
	uint64_t at = id - 1;

	assert_true(transit_next_status(node->x, &at, &st));
	assert_int_equal(id, st.id);
	return st.peer;
}

static void
test_reroute(void **state)
{
	unsigned char name[BUNDLE_NAME_LEN];
	struct tw *w = diamond();
	struct tw_node *paris = tw_node(w, "paris");
	uint64_t id;

	(void)state;
	assert_string_equal("london", transit_next_peer(paris->x, "oslo"));
	tw_road(w, "paris", "london")->broken = true;
	id = tw_bundle(paris, &tw_to_oslo, 5000, 1, name);
	tw_pass(w, 5);
	assert_string_equal("london", peer_of(paris, id));
	/* Three failures and it is down. */
	tw_pass(w, 200);
	assert_int_equal(1, tw_opened(tw_node(w, "oslo"), name));
	assert_string_equal("lyon", transit_next_peer(paris->x, "oslo"));
	assert_int_equal(0, parcels(w, "paris", "london"));
	tw_road(w, "paris", "london")->broken = false;
	tw_pass(w, 4000);
	assert_string_equal("london", transit_next_peer(paris->x, "oslo"));
	assert_int_equal(1, tw_opened(tw_node(w, "oslo"), name));
	tw_assert_empty(paris);
	tw_assert_empty(tw_node(w, "lyon"));
	tw_free(w);
}

/* What was handed over to its end waits for its answer, whatever becomes of
 * the road; and where the answer comes after all, the detour is spared. */
static void
test_no_detour(void **state)
{
	unsigned char name[BUNDLE_NAME_LEN], other[BUNDLE_NAME_LEN];
	struct tw *w = diamond();
	struct tw_node *paris = tw_node(w, "paris");
	uint64_t id;

	(void)state;
	tw_road(w, "london", "paris")->blocked = true;
	tw_road(w, "paris", "lyon")->blocked = true;
	neighbour_find(paris->x, "london")->patience_secs = 600;
	id = tw_bundle(paris, &tw_to_oslo, 5000, 1, name);
	tw_pass(w, 5);
	assert_int_equal(1, tw_opened(tw_node(w, "oslo"), name));
	tw_road(w, "paris", "london")->broken = true;
	(void)tw_bundle(paris, &tw_to_london, 5000, 2, other);
	tw_pass(w, 200);
	assert_string_equal("lyon", transit_next_peer(paris->x, "oslo"));
	assert_string_equal("london", peer_of(paris, id));
	tw_pass(w, 450);
	assert_string_equal("lyon", peer_of(paris, id));
	assert_int_equal(0, paris->hop_done);
	tw_road(w, "london", "paris")->blocked = false;
	tw_pass(w, 2000);
	assert_int_equal(1, paris->hop_done);
	assert_false(transit_has(paris->x, id));
	tw_road(w, "paris", "lyon")->blocked = false;
	tw_road(w, "paris", "london")->broken = false;
	tw_pass(w, 4000);
	assert_int_equal(1, tw_opened(tw_node(w, "london"), other));
	assert_null(strstr(buf_cstr(&tw_node(w, "lyon")->log),
	    bundle_text(name).s));
	tw_assert_empty(paris);
	tw_free(w);
}

/* All goes by another, so nothing waits for one that is down: he is tried
 * again all the same. */
static void
test_probed(void **state)
{
	unsigned char name[BUNDLE_NAME_LEN];
	struct tw *w = diamond();
	struct tw_node *paris = tw_node(w, "paris");
	struct err e = ERR_INIT;
	struct lane *l;

	(void)state;
	tw_road(w, "paris", "london")->broken = true;
	(void)tw_bundle(paris, &tw_to_oslo, 5000, 1, name);
	tw_pass(w, 2 * 86400);
	assert_int_equal(1, tw_opened(tw_node(w, "oslo"), name));
	assert_string_equal("lyon", transit_next_peer(paris->x, "oslo"));
	/* What still lies there for him goes too. */
	l = lane_find(paris->x, "london");
	while (l->nobjects > 0)
		assert_int_equal(0, cut_withdraw(paris->x, list_entry(
		    l->objects.next, struct cut, link), &e));
	tw_road(w, "paris", "london")->broken = false;
	tw_pass(w, 3700);
	assert_string_equal("london", transit_next_peer(paris->x, "oslo"));
	tw_free(w);
}

/* After a start every road is as good as any. */
static void
test_down_no_more(void **state)
{
	unsigned char name[BUNDLE_NAME_LEN];
	struct tw *w = diamond();
	struct tw_node *paris = tw_node(w, "paris");

	(void)state;
	tw_road(w, "paris", "london")->broken = true;
	(void)tw_bundle(paris, &tw_to_oslo, 5000, 1, name);
	tw_pass(w, 200);
	assert_string_equal("lyon", transit_next_peer(paris->x, "oslo"));
	tw_crash(paris);
	assert_string_equal("london", transit_next_peer(paris->x, "oslo"));
	tw_free(w);
}

static void
test_limbo(void **state)
{
	static const char *const text[] = TW_PAIR("", "");
	static const char linked[] = TW_SITE("paris") TW_PEER("london", "")
	    "link london oslo { }\n";
	unsigned char name[BUNDLE_NAME_LEN];
	struct tw *w = tw_new(tw_names, text, 2, 1);
	struct tw_node *paris = tw_node(w, "paris");
	uint64_t id;

	(void)state;
	id = tw_bundle(paris, &tw_to_oslo, 5000, 1, name);
	tw_pass(w, 100);
	assert_null(peer_of(paris, id));
	assert_null(transit_next_peer(paris->x, "oslo"));
	assert_int_equal(0, parcels(w, "paris", "london"));
	tw_crash(paris);
	assert_null(peer_of(paris, id));
	/* A road appears, but the neighbour does not forward for us. */
	tw_reload(paris, linked);
	tw_pass(w, 10);
	assert_string_equal("london", peer_of(paris, id));
	assert_int_equal(1, parcels(w, "paris", "london"));
	assert_non_null(strstr(buf_cstr(&tw_node(w, "london")->log),
	    "may-relay"));
	assert_int_equal(0, parcels(w, "london", "paris"));
	/* It is lost in the end, and custody hears of it. */
	tw_pass(w, 2 * 86400);
	assert_int_equal(1, paris->lost);
	assert_string_equal("its lifetime is over", paris->lost_reason);
	tw_assert_empty(paris);
	tw_assert_empty(tw_node(w, "london"));
	tw_free(w);
}

/*
 * Files.
 */

/* What the disk did to a file while the node was down is seen before a
 * transport takes any. */
static void
test_damaged_file(void **state)
{
	static const char *const text[] = TW_PAIR(" parcel-size = 2K\n", "");
	unsigned char name[BUNDLE_NAME_LEN];
	struct tw *w = tw_new(tw_names, text, 2, 1);
	struct tw_road *road = tw_road(w, "paris", "london");
	struct tw_node *london = tw_node(w, "london");

	(void)state;
	/* Somebody asked for a call: all of it is cut, and nothing leaves. */
	road->gap_ms = road->free_ms = 1000000;
	lane_find(tw_node(w, "paris")->x, "london")->wanted = true;
	tw_bundle(tw_node(w, "paris"), &tw_to_london, 10000, 1, name);
	tw_pass(w, 5);
	tw_damage_file(road);
	tw_crash(tw_node(w, "paris"));
	road->gap_ms = 0;
	road->running = false;
	tw_pass(w, 600);
	assert_int_equal(1, tw_opened(london, name));
	assert_null(strstr(buf_cstr(&london->log), "parcel-refused"));
	tw_assert_empty(tw_node(w, "paris"));
	tw_free(w);
}

/* A file that nobody knows is not sent for ever. */
static void
test_unknown_file(void **state)
{
	static const char *const text[] = TW_PAIR("", "");
	struct tw *w = tw_new(tw_names, text, 2, 1);
	struct exchange *x = tw_node(w, "paris")->x;
	struct exchange_action a;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(0, exchange_transport_sent(x, "london", "what", &e));
	assert_int_equal(1, exchange_next_action(x, &a));
	assert_int_equal(EXCHANGE_UNLINK, a.kind);
	assert_string_equal("london", a.peer);
	assert_string_equal("what", a.name);
	exchange_action_release(&a);
	assert_int_equal(0, exchange_transport_sent(x, "nobody", "what", &e));
	assert_int_equal(0, exchange_next_action(x, &a));
	tw_free(w);
}

/* A bundle comes to its end while a parcel with it is being written: that is
 * no damage, and it is said. */
static void
test_gone_midway(void **state)
{
	static const char *const text[] = TW_PAIR("", "");
	unsigned char name[BUNDLE_NAME_LEN];
	struct tw *w = tw_new(tw_names, text, 2, 1);
	struct tw_node *paris = tw_node(w, "paris");
	struct buf bytes = BUF_INIT;
	struct exchange_action a;
	struct err e = ERR_INIT;
	struct outbound *ob;
	int rc;

	(void)state;
	tw_bundle(paris, &tw_to_london, 100000, 1, name);
	tw_bundle(paris, &tw_to_london, 100000, 2, name);
	assert_int_equal(1, exchange_next_action(paris->x, &a));
	assert_int_equal(EXCHANGE_WRITE, a.kind);
	assert_int_equal(0, exchange_outbound_new(paris->x, a.object, &ob,
	    &e));
	assert_int_equal(1, exchange_outbound_read(ob, &bytes, &e));
	assert_int_equal(0, passage_lose(paris->x, passage_find(paris->x,
	    name), "its lifetime is over", &e));
	while ((rc = exchange_outbound_read(ob, &bytes, &e)) == 1)
		;
	assert_int_equal(ERR_NOT_FOUND, rc);
	assert_string_equal("it was taken back", e.text);
	exchange_outbound_free(ob);
	exchange_action_release(&a);
	buf_release(&bytes);
	tw_pass(w, 60);
	tw_assert_empty(paris);
	tw_free(w);
}

/* Acknowledgements for one who is dead for ever are forgotten in the end. */
static void
test_dead_neighbour(void **state)
{
	static const char *const text[] = TW_PAIR("", "");
	unsigned char name[BUNDLE_NAME_LEN];
	struct tw *w = tw_new(tw_names, text, 2, 1);

	(void)state;
	tw_road(w, "london", "paris")->broken = true;
	tw_bundle(tw_node(w, "paris"), &tw_to_london, 1000, 1, name);
	tw_pass(w, 5);
	assert_int_equal(1, tw_opened(tw_node(w, "london"), name));
	tw_road(w, "paris", "london")->broken = true;
	tw_pass(w, 86400);
	assert_non_null(owed_find(neighbour_find(tw_node(w, "london")->x,
	    "paris"), name));
	tw_pass(w, 12 * 86400);
	tw_assert_empty(tw_node(w, "london"));
	tw_free(w);
}

/*
 * Keys.
 */
static void
test_request(void **state)
{
	static const char *const text[] = TW_PAIR("", "");
	unsigned char name[BUNDLE_NAME_LEN];
	struct tw *w = tw_new(tw_names, text, 2, 1);
	struct tw_road *road = tw_road(w, "paris", "london");
	struct tw_road *back = tw_road(w, "london", "paris");

	(void)state;
	tw_node(w, "paris")->card = 3;
	tw_node(w, "london")->card = 4;
	tw_pass(w, 10);
	/* Cards are told once. */
	assert_int_equal(1, road->cards);
	assert_int_equal(1, back->cards);
	tw_pass(w, 86400);
	assert_int_equal(1, road->cards);
	assert_int_equal(1, road->parcels);
	road->keyless = true;
	w->loss = 100;
	tw_bundle(tw_node(w, "paris"), &tw_to_london, 5000, 1, name);
	tw_pass(w, 1000);
	/* One request, and no more for an hour. */
	assert_int_equal(2, road->parcels);
	w->loss = 0;
	tw_pass(w, 4000);
	assert_int_equal(1, back->requests);
	assert_int_equal(2, road->cards);
	assert_int_equal(1, tw_opened(tw_node(w, "london"), name));
	/* A new card is told again, and a restart forgets nothing. */
	tw_crash(tw_node(w, "paris"));
	tw_pass(w, 100);
	assert_int_equal(2, back->cards);
	tw_node(w, "paris")->card = 5;
	tw_bundle(tw_node(w, "paris"), &tw_to_london, 50, 2, name);
	tw_pass(w, 100);
	assert_int_equal(3, back->cards);
	/* London's own card goes back to it, once, and is answered. */
	road->back = road->back_held = 7;
	tw_pass(w, 100);
	assert_int_equal(2, back->requests);
	assert_int_equal(4, back->cards);
	assert_int_equal(3, road->cards);
	tw_pass(w, 4000);
	assert_int_equal(2, back->requests);
	tw_free(w);
}

static void
test_sign(void **state)
{
	static const char *const text[] = TW_PAIR(" seal = sign\n"
	    " parcel-size = 4M\n", " seal = sign\n");
	static const char *const forward[] = {
		TW_SITE("paris") TW_PEER("london", " seal = sign\n"
		    " forward-signed = yes\n") "link london oslo { }\n",
		TW_SITE("london") TW_PEER("paris", " seal = sign\n"
		    " forward-signed = yes\n may-relay = yes\n")
		    TW_PEER("oslo", ""),
		TW_SITE("oslo") TW_PEER("london", " may-relay = yes\n"),
	};
	unsigned char name[BUNDLE_NAME_LEN];
	struct tw *w = tw_new(tw_names, text, 2, 1);
	struct transit_new n = { .destination = "london",
		.lifetime_secs = 1000 };

	(void)state;
	tw_bundle(tw_node(w, "paris"), &tw_to_london, 3000000, 1, name);
	tw_pass(w, 10);
	assert_int_equal(1, tw_opened(tw_node(w, "london"), name));
	assert_int_equal(1, tw_node(w, "paris")->hop_done);
	/* What is sealed does not go over such a road. */
	tw_bundle(tw_node(w, "paris"), &n, 500, 1, name);
	tw_pass(w, 100);
	assert_int_equal(1, parcels(w, "paris", "london"));
	/* For the neighbour himself it would do without a seal. */
	assert_string_equal("london", transit_next_peer(tw_node(w,
	    "paris")->x, "london"));
	tw_free(w);
	w = tw_new(tw_names, forward, 3, 1);
	tw_bundle(tw_node(w, "paris"), &tw_to_oslo, 5000, 1, name);
	tw_pass(w, 100);
	assert_int_equal(1, tw_opened(tw_node(w, "oslo"), name));
	tw_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_overtake),
		cmocka_unit_test(test_back_off),
		cmocka_unit_test(test_slow_answers),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_fill),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_reroute),
		cmocka_unit_test(test_no_detour),
		cmocka_unit_test(test_probed),
		cmocka_unit_test(test_down_no_more),
		cmocka_unit_test(test_limbo),
		cmocka_unit_test(test_damaged_file),
		cmocka_unit_test(test_unknown_file),
		cmocka_unit_test(test_gone_midway),
		cmocka_unit_test(test_dead_neighbour),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_sign),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
