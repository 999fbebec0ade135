/* SPDX-License-Identifier: ISC */
/*
 * What filters refuse, seen from the exchange: objects that go are held
 * message by message, objects that come are broken as they came.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/exchange_world.h"

static void
status(struct xw *w, struct exchange_peer_status *st)
{
	size_t i;

	for (i = 0; i < exchange_peer_count(w->x); i++) {
		exchange_peer_status(w->x, i, st);
		if (strcmp(st->name, "london") == 0)
			return;
	}
	fail_msg("no peer london");
}

static void
expect_status(struct xw *w, uint64_t held, uint64_t waiting,
    uint64_t objects, const char *error)
{
	struct exchange_peer_status st;

	status(w, &st);
	assert_int_equal(st.held_count, held);
	assert_int_equal(st.waiting_count, waiting);
	assert_int_equal(st.road.objects, objects);
	assert_string_equal(st.road.last_error, error);
}

/* The filters refuse the next object. */
static void
refuse(struct xw *w)
{
	struct exchange_action a;

	xw_must_take(w, EXCHANGE_WRITE, &a);
	exchange_object_refused(w->x, a.object, "filter-out 1 (gpg) exited "
	    "with 2: no \x01key");
	exchange_action_release(&a);
	xw_settle(w);
}

static void
test_held(void **state)
{
	struct xw *w = *state;
	struct exchange_where where;
	struct err e = ERR_INIT;
	uint64_t id;

	id = xw_accept(w, "ann@paris.example",
	    "bob@london.example ann@paris.example");
	xw_answer(w, VERDICT_DONE, "2.0.0");
	refuse(w);
	expect_status(w, 1, 0, 0, "filter-out 1 (gpg) exited with 2: no "
	    "\x01key");
	assert_true(exchange_where(w->x, id, 0, &where));
	assert_string_equal(where.state, "held");
	/* the one who was done stays so */
	assert_true(exchange_where(w->x, id, 1, &where));
	assert_string_equal(where.state, "done");
	xw_answer(w, VERDICT_DONE, "2.0.0");
	xw_contains(w, "To: <postmaster@paris.example>\r\n");
	xw_contains(w, "Messages: 1\r\n");
	xw_contains(w, "Reason:   filter-out 1 (gpg) exited with 2: no "
	    "\\x01key\r\n");
	xw_contains(w, "postrider queue release --all --peer london\r\n");
	/* nothing goes, whatever the time, also after a start */
	xw_pass(w, 3600);
	xw_must_not(w, EXCHANGE_WRITE);
	xw_stop(w);
	xw_start(w);
	xw_pass(w, 3600);
	xw_must_not(w, EXCHANGE_WRITE);
	expect_status(w, 1, 0, 0, "");
	assert_int_equal(exchange_release(w->x, id, &e), 0);
	xw_settle(w);
	free(xw_write_object(w));
	xw_contains(w, "RCPT TO:<bob@london.example>");
	expect_status(w, 0, 0, 1, "");
}

/* All of an object, and not what came behind it. */
static void
test_only_what_was_in_it(void **state)
{
	struct xw *w = *state;
	struct exchange_action a;

	xw_accept(w, "ann@paris.example", "a@london.example");
	xw_must_take(w, EXCHANGE_WRITE, &a);
	xw_accept(w, "ann@paris.example", "b@london.example");
	xw_accept(w, "ann@paris.example", "c@london.example");
	exchange_object_refused(w->x, a.object, "no");
	exchange_action_release(&a);
	xw_settle(w);
	expect_status(w, 1, 0, 1, "no");
	xw_pass(w, 10);
	refuse(w);
	xw_pass(w, 10);
	expect_status(w, 3, 0, 0, "filter-out 1 (gpg) exited with 2: no "
	    "\x01key");
}

/* broken-notices = 2 an hour. */
static void
test_notices_are_few(void **state)
{
	struct xw *w = *state;
	struct exchange_action a;
	int i, told = 0;

	for (i = 0; i < 5; i++) {
		xw_accept(w, "ann@paris.example", "a@london.example");
		xw_pass(w, 1);
		refuse(w);
	}
	while (xw_take(w, EXCHANGE_DELIVER, &a)) {
		exchange_action_release(&a);
		told++;
	}
	assert_int_equal(told, 2);
	expect_status(w, 5, 0, 0, "filter-out 1 (gpg) exited with 2: no "
	    "\x01key");
	xw_pass(w, 3700);
	xw_accept(w, "ann@paris.example", "a@london.example");
	xw_pass(w, 1);
	refuse(w);
	xw_must_take(w, EXCHANGE_DELIVER, &a);
	xw_read_message(w, a.message);
	xw_contains(w, "3 more objects");
	exchange_action_release(&a);
}

/* Whenever the power fails, the mail is there, held or waiting. */
static void
test_crash(void **state)
{
	for (unsigned at = 1; at < 8; at++) {
		struct exchange_peer_status st;
		struct exchange_action a;
		struct xw *w;
		void *one;

		assert_int_equal(xw_set_up(&one), 0);
		w = one;
		xw_accept(w, "ann@paris.example", "a@london.example");
		xw_must_take(w, EXCHANGE_WRITE, &a);
		store_mem_disk_crash_at(w->disk, at, &w->rng.rng);
		exchange_object_refused(w->x, a.object, "no");
		exchange_action_release(&a);
		xw_crash(w);
		xw_settle(w);
		status(w, &st);
		assert_int_equal(st.held_count + st.waiting_count +
		    st.road.objects, 1);
		assert_int_equal(xw_tear_down(&one), 0);
	}
	(void)state;
}

/* Made again it is another: what the record says follows. */
static void
test_made_again(void **state)
{
	struct xw *w = *state;
	unsigned char digest[32];
	struct exchange_action a;
	struct err e = ERR_INIT;

	xw_accept(w, "ann@paris.example", "a@london.example");
	free(xw_write_object(w));
	for (int i = 1; i < 4; i++) {
		xw_stop(w);
		xw_start(w);
		xw_settle(w);
		xw_must_take(w, EXCHANGE_WRITE, &a);
		if (i > 1) {
			assert_int_equal(a.octets, 99 + i);
			assert_memory_equal(a.digest, digest, 32);
		}
		memset(digest, i, sizeof(digest));
		assert_int_equal(exchange_object_written(w->x, a.object,
		    (uint64_t)(100 + i), digest, &e), 0);
		exchange_action_release(&a);
		xw_settle(w);
	}
}

static void
test_stuck(void **state)
{
	struct xw *w = *state;

	exchange_peer_stuck(w->x, "london", "filter-in: no card");
	expect_status(w, 0, 0, 0, "filter-in: no card");
	exchange_peer_stuck(w->x, "nobody", "x");
	exchange_peer_stuck(w->x, "london", NULL);
	expect_status(w, 0, 0, 0, "");
}

static enum inbound_outcome
feed_refused(struct xw *w, const char *pickup)
{
	struct inbound *in = exchange_inbound_new(w->x, "london", "file",
	    slice_of(pickup));
	enum inbound_outcome outcome;
	struct quarantine *q;
	struct err e = ERR_INIT;

	exchange_inbound_refuse(in, "filter-in 1 (gpgv) exited with 1: BAD");
	outcome = exchange_inbound_end(in);
	assert_int_equal(exchange_inbound_messages(in), 0);
	if (outcome == INBOUND_BROKEN) {
		q = exchange_quarantine_new(in, 3);
		assert_int_equal(exchange_quarantine_add(q, "abc", 3, &e), 0);
		assert_int_equal(exchange_quarantine_end(q, NULL, &e), 0);
	}
	exchange_inbound_free(in);
	xw_settle(w);
	return outcome;
}

static void
test_inbound_refused(void **state)
{
	struct xw *w = *state;
	struct broken b;
	struct err e = ERR_INIT;
	uint64_t id = 0;

	assert_int_equal(feed_refused(w, "one"), INBOUND_BROKEN);
	broken_init(&b);
	assert_int_equal(spool_next_broken(w->spool, &id, &b, &e), 0);
	assert_string_equal(b.reason, "filter-in 1 (gpgv) exited with 1: BAD");
	assert_int_equal(b.octets, 3);
	broken_release(&b);
	xw_answer(w, VERDICT_DONE, "2.0.0");
	xw_contains(w, "BAD");
	/* a crash before the file was removed */
	assert_int_equal(feed_refused(w, "one"), INBOUND_DUPLICATE);
	assert_int_equal(feed_refused(w, "two"), INBOUND_BROKEN);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, xw_set_up, xw_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_held), TEST(test_only_what_was_in_it),
		TEST(test_notices_are_few), cmocka_unit_test(test_crash),
		TEST(test_made_again), TEST(test_stuck),
		TEST(test_inbound_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
