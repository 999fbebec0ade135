/* SPDX-License-Identifier: ISC */
/*
 * Calls that answer what a call has brought, and what is written or ordered
 * while a call is under way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/exchange_world.h"
#include "tests/unit/native_world.h"

#define MAIL "Subject: hello\r\n\r\nThe quick brown fox.\r\n"
#define NEVER "call = \"Never\""

/*
 * Answers.
 */
static void
call(struct nw *w, int site, const char *peer)
{
	struct err e = ERR_INIT;

	assert_int_equal(0, exchange_flush(w->site[site].x, peer, &e));
	nw_pass(w, 100);
}

static struct nw *
with_sticks(const char *more)
{
	struct nw *w = nw_new(more, more, more);

	w->stick = true;
	nw_pass(w, 10);
	return w;
}

static void
post(struct nw *w, const char *to, const char *content)
{
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example", to,
	    content) != 0);
	nw_pass(w, 10);
}

static bool
heard(struct nw *w, const char *what)
{
	return strstr(buf_cstr(&w->site[AT_PARIS].mails), what) != NULL;
}

/* A stick goes there and back once: whoever takes it in answers before it is
 * drawn, and does so once. */
static void
test_one_round_trip(void **state)
{
	struct nw *w = with_sticks(NEVER);
	struct nw_road *there = &w->site[AT_PARIS].road[AT_LONDON];
	struct nw_road *back = &w->site[AT_LONDON].road[AT_PARIS];

	(void)state;
	post(w, "nobody@london.example bob@london.example", MAIL);
	assert_int_equal(0, there->sent);
	call(w, AT_PARIS, "london");
	assert_int_equal(1, there->sent);
	assert_int_equal(0, w->site[AT_LONDON].delivered);
	call(w, AT_LONDON, "paris");
	assert_int_equal(1, w->site[AT_LONDON].delivered);
	/* Its card, and then the answer. */
	assert_in_range(back->sent, 1, 2);
	call(w, AT_PARIS, "london");
	assert_true(heard(w, "nobody@london.example"));
	assert_int_equal(0, nw_messages(w, AT_PARIS));
	assert_int_equal(0, nw_messages(w, AT_LONDON));
	/* The answer was a bundle, and is acknowledged. */
	assert_int_equal(2, there->sent);
	nw_pass(w, 3600);
	assert_int_equal(2, there->sent);
	assert_in_range(back->sent, 1, 2);
	nw_free(w);
}

/* The last of many files is read long after the call: one answer to all. */
static void
test_many_files(void **state)
{
	struct nw *w = with_sticks(NEVER "; parcel-size = 4K");
	struct nw_road *there = &w->site[AT_PARIS].road[AT_LONDON];
	struct nw_road *back = &w->site[AT_LONDON].road[AT_PARIS];
	struct buf big = BUF_INIT;
	struct rng_seeded rng;
	unsigned char some[40];
	unsigned before;
	int i;

	(void)state;
	rng_seeded_init(&rng, 5);
	buf_adds(&big, "Subject: big\r\n\r\n");
	for (i = 0; i < 500; i++) {
		rng_fill(&rng.rng, some, sizeof(some));
		base32_encode(&big, some, sizeof(some));
		buf_adds(&big, "\r\n");
	}
	post(w, "nobody@london.example bob@london.example", buf_cstr(&big));
	call(w, AT_PARIS, "london");
	assert_in_range(there->sent, 5, 20);
	before = back->sent;
	call(w, AT_LONDON, "paris");
	assert_int_equal(1, w->site[AT_LONDON].delivered);
	assert_in_range(back->sent - before, 1, 2);
	call(w, AT_PARIS, "london");
	assert_true(heard(w, "nobody@london.example"));
	buf_release(&big);
	nw_free(w);
}

/* Only where it is wished. */
static void
test_no_answer(void **state)
{
	struct nw *w = with_sticks(NEVER "; answer = no");

	(void)state;
	post(w, "nobody@london.example", MAIL);
	call(w, AT_PARIS, "london");
	call(w, AT_LONDON, "paris");
	call(w, AT_PARIS, "london");
	assert_false(heard(w, "nobody@london.example"));
	call(w, AT_LONDON, "paris");
	call(w, AT_PARIS, "london");
	assert_true(heard(w, "nobody@london.example"));
	nw_free(w);
}

/* An order while the answer is being made is a call of its own or that one;
 * either way all is said. */
static void
test_ordered_meanwhile(void **state)
{
	struct nw *w = with_sticks(NEVER);
	struct err e = ERR_INIT;
	uint64_t secs;

	(void)state;
	for (secs = 0; secs < 3; secs++) {
		post(w, "nobody@london.example", MAIL);
		call(w, AT_PARIS, "london");
		assert_int_equal(0, exchange_flush(w->site[AT_LONDON].x,
		    "paris", &e));
		nw_pass(w, secs);
		call(w, AT_LONDON, "paris");
		call(w, AT_PARIS, "london");
		assert_true(heard(w, "nobody@london.example"));
		buf_clear(&w->site[AT_PARIS].mails);
	}
	nw_free(w);
}

/*
 * What happens while a transport runs.
 */
static char *
running(struct xw *w)
{
	struct exchange_action a;
	char *name;

	xw_accept(w, "ann@paris.example", "x@london.example");
	name = xw_write_object(w);
	xw_must_take(w, EXCHANGE_RUN, &a);
	exchange_action_release(&a);
	return name;
}

static void
sent(struct xw *w, char *name)
{
	struct exchange_action a;
	struct err e = ERR_INIT;

	assert_int_equal(0, exchange_transport_sent(w->x, "london", name, &e));
	xw_settle(w);
	xw_must_take(w, EXCHANGE_UNLINK, &a);
	exchange_action_release(&a);
	free(name);
}

/* A file that came too late for it is no failure: it is started again. */
static void
test_written_meanwhile(void **state)
{
	struct xw *w = *state;
	struct exchange_peer_status st;
	struct exchange_action a;
	char *first = running(w), *second;

	xw_accept(w, "ann@paris.example", "x@london.example");
	sent(w, first);
	second = xw_write_object(w);
	xw_must_take(w, EXCHANGE_RUN, &a);	/* more */
	exchange_action_release(&a);
	exchange_transport_exited(w->x, "london", 0, "");
	xw_settle(w);
	xw_must_take(w, EXCHANGE_RUN, &a);
	exchange_action_release(&a);
	exchange_peer_status(w->x, 0, &st);
	assert_int_equal(0, st.road.failures);
	/* Now it was there to be sent. */
	exchange_transport_exited(w->x, "london", 0, "");
	xw_settle(w);
	xw_must_not(w, EXCHANGE_RUN);
	exchange_peer_status(w->x, 0, &st);
	assert_int_equal(1, st.road.failures);
	assert_string_equal("the transport ended and left files unsent",
	    st.road.last_error);
	free(second);
}

/* It may have had its look around before the order came. */
static void
test_flushed_meanwhile(void **state)
{
	struct xw *w = *state;
	struct exchange_peer_status st;
	struct exchange_action a;
	struct err e = ERR_INIT;

	sent(w, running(w));
	assert_int_equal(0, exchange_flush(w->x, "london", &e));
	xw_settle(w);
	xw_must_not(w, EXCHANGE_RUN);
	exchange_transport_exited(w->x, "london", 0, "");
	xw_settle(w);
	xw_must_take(w, EXCHANGE_RUN, &a);
	exchange_action_release(&a);
	exchange_peer_status(w->x, 0, &st);
	assert_true(st.road.running && st.road.calling);
	exchange_transport_exited(w->x, "london", 0, "");
	xw_settle(w);
	xw_must_not(w, EXCHANGE_RUN);
	exchange_peer_status(w->x, 0, &st);
	assert_false(st.road.running || st.road.calling);
}

/* One that looks again while it runs has seen to it. */
static void
test_flush_is_seen_to(void **state)
{
	struct xw *w = *state;
	struct exchange_action a;
	struct err e = ERR_INIT;

	sent(w, running(w));
	xw_accept(w, "ann@paris.example", "x@london.example");
	assert_int_equal(0, exchange_flush(w->x, "london", &e));
	sent(w, xw_write_object(w));
	xw_must_take(w, EXCHANGE_RUN, &a);	/* more */
	exchange_action_release(&a);
	exchange_transport_exited(w->x, "london", 0, "");
	xw_settle(w);
	xw_must_not(w, EXCHANGE_RUN);
}

/* One that would stay is called out of hours: the call waits for what is being
 * made, takes along what comes, and ends when nothing more does. */
static void
test_ordered_stays(void **state)
{
	struct nw *w = nw_new(NEVER "; stays = yes", NEVER "; stays = yes",
	    NULL);
	struct nw_site *paris = &w->site[AT_PARIS];
	struct exchange_peer_status st;
	struct err e = ERR_INIT;

	(void)state;
	nw_pass(w, 10);
	w->stays = true;
	post(w, "bob@london.example", MAIL);
	assert_int_equal(0, paris->road[AT_LONDON].sent);
	assert_int_equal(0, exchange_flush(paris->x, "london", &e));
	nw_pass(w, 5);
	assert_int_equal(1, paris->road[AT_LONDON].sent);
	assert_int_equal(1, w->site[AT_LONDON].delivered);
	exchange_peer_status(paris->x, 0, &st);
	assert_true(st.road.running && st.road.calling);
	post(w, "bob@london.example", MAIL);
	assert_int_equal(2, w->site[AT_LONDON].delivered);
	nw_pass(w, 30);
	exchange_peer_status(paris->x, 0, &st);
	assert_false(st.road.running || st.road.calling);
	assert_int_equal(0, st.road.failures);
	post(w, "bob@london.example", MAIL);
	nw_pass(w, 600);
	assert_int_equal(2, w->site[AT_LONDON].delivered);
	nw_free(w);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, xw_set_up, xw_tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_round_trip),
		cmocka_unit_test(test_many_files),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_ordered_meanwhile),
		cmocka_unit_test(test_ordered_stays),
		TEST(test_written_meanwhile),
		TEST(test_flushed_meanwhile),
		TEST(test_flush_is_seen_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
