/* SPDX-License-Identifier: ISC */
/*
 * The exchange and when a message is wanted: holds, deadlines and priorities
 * under a clock that the test turns, across crashes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/exchange_world.h"

/* RFC 4865: nothing before its time, whatever happens meanwhile. */
static void
test_hold(void **state)
{
	struct xw *w = *state;
	struct err e = ERR_INIT;
	uint64_t id;

	w->timing.hold = SMTP_HOLD_FOR;
	w->timing.hold_value = 3 * 86400;	/* longer than its lifetime */
	id = xw_accept(w, "ann@paris.example", "bob@paris.example");
	xw_must_not(w, EXCHANGE_DELIVER);
	xw_pass(w, 86400);
	assert_int_equal(exchange_retry(w->x, 0, &e), 0);
	assert_int_equal(exchange_retry(w->x, id, &e), 0);
	xw_settle(w);
	xw_must_not(w, EXCHANGE_DELIVER);
	assert_int_equal(exchange_hold(w->x, id, &e), 0);
	assert_int_equal(exchange_release(w->x, id, &e), 0);
	xw_settle(w);
	xw_crash(w);
	xw_settle(w);
	xw_must_not(w, EXCHANGE_DELIVER);
	xw_pass(w, 2 * 86400 - 120);
	xw_must_not(w, EXCHANGE_DELIVER);
	xw_pass(w, 240);
	xw_answer(w, VERDICT_DONE, "2.0.0");
	assert_int_equal(0, xw_count(w));
}

static void
test_hold_for_a_peer(void **state)
{
	struct xw *w = *state;
	struct err e = ERR_INIT;

	w->timing.hold = SMTP_HOLD_FOR;
	w->timing.hold_value = 600;
	xw_accept(w, "ann@paris.example", "x@london.example");
	assert_int_equal(exchange_flush(w->x, "london", &e), 0);
	xw_settle(w);
	xw_must_not(w, EXCHANGE_WRITE);
	xw_pass(w, 700);
	free(xw_write_object(w));
	xw_contains(w, "RCPT TO:<x@london.example>\r\n");
	/* the hold ends here: the next node knows nothing of it */
	assert_null(strstr(buf_cstr(&w->text), "HOLD"));
}

/* RFC 2852 4.1.4: late is failed, also while the server does not answer. */
static void
test_by(void **state)
{
	struct xw *w = *state;

	w->timing.by = SMTP_BY_RETURN;
	w->timing.by_secs = 1800;
	xw_accept(w, "ann@paris.example", "bob@paris.example");
	xw_answer(w, VERDICT_RETRY, "4.4.1");
	xw_crash(w);
	xw_settle(w);
	w->timing.by = SMTP_BY_NONE;
	for (int i = 0; i < 10; i++) {
		struct exchange_action a;

		xw_pass(w, 300);
		if (!xw_take(w, EXCHANGE_DELIVER, &a))
			continue;
		xw_read_message(w, a.message);
		if (strstr(buf_cstr(&w->text), "Status: 5.4.7") != NULL) {
			exchange_action_release(&a);
			assert_true(i >= 5);
			return;
		}
		exchange_delivery_result(w->x, a.job, 0, VERDICT_RETRY,
		    "4.2.0", "not now");
		exchange_delivery_over(w->x, a.job);
		exchange_action_release(&a);
		xw_settle(w);
	}
	fail();
}

/* A road without DELIVERBY cannot keep the promise. */
static void
test_by_needs_the_road(void **state)
{
	struct xw *w = *state;

	w->timing.by = SMTP_BY_RETURN;
	w->timing.by_secs = 1800;
	xw_accept(w, "ann@paris.example", "x@london.example");
	xw_settle(w);
	xw_answer(w, VERDICT_DONE, "2.0.0");
	xw_contains(w, "Status: 5.3.3");
}

/* N: told once when it is late, and tried on; unless NOTIFY says otherwise. */
static void
test_by_with_n(void **state)
{
	struct xw *w = *state;
	struct exchange_action a;

	w->timing.by = SMTP_BY_NOTIFY;
	w->timing.by_secs = 1800;
	xw_accept(w, "ann@paris.example", "bob@paris.example");
	xw_answer(w, VERDICT_RETRY, "4.2.0");
	w->timing.by = SMTP_BY_NONE;
	for (int i = 0, told = 0; i < 14; i++) {
		xw_pass(w, 300);
		while (xw_take(w, EXCHANGE_DELIVER, &a)) {
			bool notice;

			xw_read_message(w, a.message);
			notice = strstr(buf_cstr(&w->text),
			    "Action: delayed\r\n") != NULL;
			told += notice;
			assert_true(!notice || i >= 5);
			assert_true(told <= 1);
			exchange_delivery_result(w->x, a.job, 0, notice ?
			    VERDICT_DONE : VERDICT_RETRY, "4.2.0", "not now");
			exchange_delivery_over(w->x, a.job);
			exchange_action_release(&a);
			xw_settle(w);
		}
		assert_int_equal(told, i >= 8 || told);
	}
	assert_int_equal(1, xw_count(w));
}

/* With its agreement what is left of the time goes on. */
static void
test_by_in_a_batch(void **state)
{
	struct xw *w = *state;

	xw_stop(w);
	conf_free(w->conf);
	w->conf = xw_conf_of(SITE HOME LONDON " batch-age = 10m\n"
	    " extensions = { DELIVERBY }\n}\n" ROUTES);
	xw_start(w);
	w->timing.by = SMTP_BY_RETURN;
	w->timing.by_secs = 7200;
	xw_accept(w, "ann@paris.example", "x@london.example");
	xw_pass(w, 660);
	free(xw_write_object(w));
	xw_contains(w, " BY=6600;R\r\n");
	assert_null(strstr(buf_cstr(&w->text), "MT-PRIORITY"));
}

/* RFC 6710 5: higher ones first, each rank in its order. */
static void
test_priority(void **state)
{
	static const struct { int priority; const char *from; } mails[] = {
		{ 0, "b@paris.example" }, { -3, "e@paris.example" },
		{ -3, "f@paris.example" }, { 0, "c@paris.example" },
		{ -1, "d@paris.example" }, { 0, "c2@paris.example" },
		{ 5, "a@paris.example" },
	};
	static const char *const order[] = { "<a@", "<b@", "<c@", "<c2@",
		"<d@", "<e@", "<f@" };
	struct xw *w = *state;
	const char *last = NULL, *at;

	xw_stop(w);
	conf_free(w->conf);
	w->conf = xw_conf_of(SITE HOME "peer london {\n dialect = bsmtp\n"
	    " transport = /bin/true\n batch-age = 1h\n"
	    " extensions = { MT-PRIORITY }\n}\n" ROUTES);
	xw_start(w);
	for (size_t i = 0; i < sizeof(mails) / sizeof(mails[0]); i++) {
		xw_must_not(w, EXCHANGE_WRITE);
		w->timing.priority_given = true;
		w->timing.priority = mails[i].priority;
		xw_accept(w, mails[i].from, "x@london.example");
	}
	free(xw_write_object(w));
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		at = strstr(buf_cstr(&w->text), order[i]);
		assert_non_null(at);
		assert_true(last == NULL || at > last);
		last = at;
	}
	xw_contains(w, "MAIL FROM:<e@paris.example> SIZE=21 MT-PRIORITY=-3");
}

/* A road whose window is open and whose call has just failed: the next thing
 * to do is the next try, and not that call at once and again. */
static void
test_pause_in_a_window(void **state)
{
	struct xw *w = *state;
	struct exchange_action a;
	int64_t at;

	xw_stop(w);
	conf_free(w->conf);
	w->conf = xw_conf_of(SITE HOME "peer london {\n dialect = bsmtp\n"
	    " transport = /bin/true\n call = { Any }\n retry-min = 30s\n"
	    "}\n" ROUTES);
	xw_start(w);
	xw_accept(w, "ann@paris.example", "x@london.example");
	free(xw_write_object(w));
	xw_must_take(w, EXCHANGE_RUN, &a);
	exchange_action_release(&a);
	xw_pass(w, 61);
	exchange_transport_exited(w->x, "london", 75, "no carrier");
	xw_settle(w);
	at = exchange_deadline_ms(w->x);
	assert_true(at >= w->now_ms + 22000 && at <= w->now_ms + 30000);
	xw_pass(w, 31);
	xw_must_take(w, EXCHANGE_RUN, &a);
	exchange_action_release(&a);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, xw_set_up, xw_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hold),
		TEST(test_hold_for_a_peer),
		TEST(test_by),
		TEST(test_by_with_n),
		TEST(test_by_needs_the_road),
		TEST(test_by_in_a_batch),
		TEST(test_priority),
		TEST(test_pause_in_a_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
