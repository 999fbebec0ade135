/* SPDX-License-Identifier: ISC */
/* Mails of the road that come back: who is told, once, and what becomes of
 * the road. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "node/returned.h"
#include "tests/unit/exchange_world.h"

/* An object with this much mail from ann has been sent; its file's name is the
 * caller's. */
static char *
send_object(struct xw *w, const char *to)
{
	struct exchange_action a;
	struct err e = ERR_INIT;
	char *name;

	assert_true(xw_accept(w, "ann@paris.example", to) != 0);
	xw_settle(w);
	name = xw_write_object(w);
	xw_must_take(w, EXCHANGE_RUN, &a);
	exchange_action_release(&a);
	assert_int_equal(0, exchange_transport_sent(w->x, "london", name, &e));
	exchange_transport_exited(w->x, "london", 0, "");
	xw_settle(w);
	assert_int_equal(0, xw_count(w));
	return name;
}

static int
give_back(struct xw *w, const char *name, enum mail_action action)
{
	struct err e = ERR_INIT;
	int rc = exchange_returned(w->x, NULL, name, action,
	    action == MAIL_FAILED_PERMANENT ? "5.7.1" : "4.4.7", "it said no",
	    &e);

	xw_settle(w);
	return rc;
}

static void
test_sender_is_told_once(void **state)
{
	struct xw *w = *state;
	char *name = send_object(w, "x@london.example y@london.example");

	assert_int_equal(strlen(name), 26);
	xw_crash(w);	/* the record is as durable as the end of custody */
	xw_settle(w);
	assert_int_equal(0, give_back(w, "aaaaaaaaaaaaaaaaaaaaaaaaaa",
	    MAIL_FAILED_PERMANENT));
	assert_int_equal(1, give_back(w, name, MAIL_DELAYED));
	assert_int_equal(1, give_back(w, name, MAIL_PASSED));
	assert_int_equal(0, xw_count(w));
	assert_int_equal(1, give_back(w, name, MAIL_FAILED_PERMANENT));
	assert_int_equal(1, xw_count(w));
	xw_crash(w);
	xw_settle(w);
	assert_int_equal(1, xw_count(w));
	assert_int_equal(0, give_back(w, name, MAIL_FAILED_PERMANENT));
	xw_answer(w, VERDICT_DONE, "2.0.0");
	xw_contains(w, "Final-Recipient: rfc822;x@london.example");
	xw_contains(w, "Final-Recipient: rfc822;y@london.example");
	xw_contains(w, "Action: failed");
	xw_contains(w, "Status: 5.7.1");
	assert_null(strstr(buf_cstr(&w->text), "it said no"));
	free(name);
}

static void
test_it_is_forgotten(void **state)
{
	struct xw *w = *state;
	char *name = send_object(w, "x@london.example");

	xw_pass(w, 4 * 86400);
	assert_int_equal(1, give_back(w, name, MAIL_DELAYED));
	xw_pass(w, 86400 + 7200);
	assert_int_equal(0, give_back(w, name, MAIL_FAILED_PERMANENT));
	assert_int_equal(0, xw_count(w));
	free(name);
}

static void
test_road_suffers(void **state)
{
	struct xw *w = *state;
	struct exchange_peer_status st;
	char *name;

	for (unsigned i = 0; i < 6; i++) {
		name = send_object(w, "x@london.example");
		exchange_peer_status(w->x, 0, &st);
		assert_int_equal(i, st.road.failures);
		assert_int_equal(i >= 3, st.road.down);
		assert_int_equal(1, give_back(w, name,
		    MAIL_FAILED_TEMPORARY));
		free(name);
		exchange_peer_status(w->x, 0, &st);
		assert_int_equal(i + 1, st.road.failures);
		assert_string_equal("a mail was returned: 4.4.7 it said no",
		    st.road.last_error);
		/* what a call says now proves nothing */
		exchange_transport_exited(w->x, "london", 0, "");
		exchange_peer_status(w->x, 0, &st);
		assert_int_equal(i + 1, st.road.failures);
		xw_answer(w, VERDICT_DONE, "2.0.0");
		xw_pass(w, 10);
		xw_must_not(w, EXCHANGE_RUN);
		/* of the back-off: at most 10, 20, 40, 60 minutes, and a
		 * while until the next comes back */
		xw_pass(w, i < 3 ? 600U << i : 3600);
	}
	assert_true(st.road.down);
}

/* Of a name that only the transport of another peer, or nobody, knows. */
static void
test_whose_it_is(void **state)
{
	struct xw *w = *state;
	struct err e = ERR_INIT;
	char *name = send_object(w, "x@london.example");

	assert_int_equal(ERR_DENIED, exchange_returned(w->x, "rome", name,
	    MAIL_FAILED_PERMANENT, "5.0.0", "", &e));
	/* Its own transport is still to tell of it. */
	assert_false(exchange_transport_returned(w->x, "rome", name, true,
	    "x"));
	assert_true(exchange_transport_returned(w->x, "london", "nobody",
	    true, "x"));
	xw_settle(w);
	assert_int_equal(0, xw_count(w));
	assert_true(exchange_transport_returned(w->x, "london", name, true,
	    "x"));
	xw_crash(w);	/* durable: the mail that told of it goes now */
	xw_settle(w);
	assert_int_equal(1, xw_count(w));
	assert_true(exchange_transport_returned(w->x, "london", name, true,
	    "x"));
	xw_settle(w);
	assert_int_equal(1, xw_count(w));
	free(name);
}

/* No room for what follows from it: the transport is told "unknown", keeps the
 * mail, and tells again.  What fitted before is not told twice. */
static void
test_no_room(void **state)
{
	struct xw *w = *state;
	struct err e = ERR_INIT;
	char *name = send_object(w, "x@london.example y@london.example");
	uint64_t room = w->room;

	for (uint64_t i = 0; i < 3; i++) {
		w->room = i;
		assert_false(exchange_transport_returned(w->x, "london", name,
		    true, "x"));
		assert_int_equal(ERR_FULL, exchange_returned(w->x, NULL, name,
		    MAIL_FAILED_TEMPORARY, "4.4.7", "x", &e));
		xw_settle(w);
		assert_int_equal(0, xw_count(w));
		xw_crash(w);
		xw_settle(w);
	}
	w->room = room;
	assert_true(exchange_transport_returned(w->x, "london", name, true,
	    "x"));
	xw_crash(w);
	xw_settle(w);
	assert_int_equal(1, xw_count(w));
	assert_true(exchange_transport_returned(w->x, "london", name, true,
	    "x"));
	assert_int_equal(1, xw_count(w));
	xw_answer(w, VERDICT_DONE, "2.0.0");
	xw_contains(w, "Final-Recipient: rfc822;x@london.example");
	xw_contains(w, "Final-Recipient: rfc822;y@london.example");
	free(name);
}

/* The record is kept for as long as there is something in it to tell. */
static void
test_parts(void **state)
{
	struct xw *w = *state;
	struct sent_mail s, got;
	struct spool_unit *u;
	struct err e = ERR_INIT;
	char name[] = "one", road[] = "london";

	sent_mail_init(&s);
	s.name = name;
	s.road = road;
	buf_adds(&s.what, "what");
	assert_int_equal(0, spool_begin(w->spool, &u, &e));
	for (s.part = 3; s.part > 0; s.part--)
		assert_int_equal(0, spool_put_sent_mail(u, &s, &e));
	assert_int_equal(0, spool_commit(u, true, &e));
	for (uint64_t part = 1; part <= 3; part++) {
		assert_int_equal(ERR_NOT_FOUND, spool_first_sent_mail(
		    w->spool, "on", &got, &e));
		sent_mail_release(&got);
		assert_int_equal(0, spool_first_sent_mail(w->spool, "one",
		    &got, &e));
		assert_int_equal(part, got.part);
		assert_string_equal("london", got.road);
		assert_string_equal("what", buf_cstr(&got.what));
		sent_mail_release(&got);
		assert_int_equal(0, spool_begin(w->spool, &u, &e));
		assert_int_equal(0, spool_del_sent_mail(u, "one", part, &e));
		assert_int_equal(0, spool_commit(u, true, &e));
	}
	assert_int_equal(ERR_NOT_FOUND, spool_first_sent_mail(w->spool, "one",
	    &got, &e));
	sent_mail_release(&got);
	buf_release(&s.what);
}

/* A record with nothing in it, or with octets that are none of ours. */
static void
test_empty_and_odd(void **state)
{
	struct xw *w = *state;
	static const char *const odd[] = { "", "b", "bxx", "p", "pxxxxx", "z" };
	struct sent_mail s;
	struct spool_unit *u;
	struct err e = ERR_INIT;
	char name[] = "one", road[] = "london";

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		sent_mail_init(&s);
		s.name = name;
		s.road = road;
		buf_adds(&s.what, odd[i]);
		assert_int_equal(0, spool_begin(w->spool, &u, &e));
		assert_int_equal(0, spool_put_sent_mail(u, &s, &e));
		assert_int_equal(0, spool_commit(u, true, &e));
		assert_int_equal(1, give_back(w, "one",
		    MAIL_FAILED_PERMANENT));
		assert_int_equal(0, give_back(w, "one",
		    MAIL_FAILED_PERMANENT));
		assert_int_equal(0, xw_count(w));
		buf_release(&s.what);
	}
}

static void
test_strange_mail(void **state)
{
	struct xw *w = *state;
	struct err e = ERR_INIT;
	struct mail_facts facts = { .action = MAIL_FAILED_PERMANENT,
		.status = "5.1.1" };
	char id[] = "<abc@elsewhere.example>", text[] = "no";

	facts.id[0] = id;
	facts.nids = 1;
	facts.text = text;
	assert_int_equal(0, exchange_mail_back(w->x, "smtp 192.0.2.1", NULL,
	    SLICE_LIT("Subject: x\r\n\r\n"), 14, &e));
	xw_settle(w);
	assert_int_equal(1, xw_count(w));
	xw_answer(w, VERDICT_DONE, "2.0.0");
	xw_contains(w, "To: <postmaster@paris.example>");
	xw_contains(w, "It is attached.");
	xw_contains(w, "U3ViamVjdDogeA0KDQo=");	/* base64(1) of it */
	assert_int_equal(0, exchange_mail_back(w->x, "smtp 192.0.2.1", &facts,
	    SLICE_LIT("Subject: x\r\n\r\n"), 100000, &e));
	xw_settle(w);
	xw_crash(w);
	xw_settle(w);
	assert_int_equal(1, xw_count(w));
	xw_answer(w, VERDICT_DONE, "2.0.0");
	xw_contains(w, "return-expire");
	xw_contains(w, "Its beginning is attached.");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, xw_set_up, xw_tear_down)
		TEST(test_sender_is_told_once), TEST(test_it_is_forgotten),
		TEST(test_road_suffers), TEST(test_whose_it_is),
		TEST(test_no_room), TEST(test_parts), TEST(test_empty_and_odd),
		TEST(test_strange_mail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
