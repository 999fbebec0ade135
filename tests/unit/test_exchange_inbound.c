/* SPDX-License-Identifier: ISC */
/*
 * What an exchange does with objects that arrive and with what it may not
 * take, one case at a time.
 */
#include "tests/unit/exchange_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/*
 * Objects that arrive.
 */
static void
test_inbound(void **state)
{
	struct xw *w = *state;

	assert_int_equal(INBOUND_DONE, xw_feed_text(w, "1",
	    BATCH(ONE("x@london.example", "bob@paris.example"))));
	xw_answer(w, VERDICT_DONE, "2.0.0");
	assert_string_equal("Subject: y\r\n\r\nhi\r\n", buf_cstr(&w->text));
	assert_int_equal(0, xw_count(w));
}

static void
test_inbound_refused(void **state)
{
	struct xw *w = *state;
	char *name;

	assert_int_equal(INBOUND_DONE, xw_feed_text(w, "1",
	    BATCH(ONE("x@london.example", "who@elsewhere.example"))));
	name = xw_write_object(w);
	xw_contains(w, "RCPT TO:<x@london.example>");
	xw_contains(w, "Final-Recipient: rfc822;who@elsewhere.example\r\n"
		       "Action: failed\r\nStatus: 5.7.1\r\n");
	free(name);
	assert_int_equal(INBOUND_DONE, xw_feed_text(w, "2", BATCH(ONE("",
	    "nobody@paris.example"))));
	xw_answer(w, VERDICT_DONE, "2.0.0");
	xw_contains(w, "To: <postmaster@paris.example>\r\n");
	xw_contains(w, "Status: 5.1.1\r\n");
}

static void
test_duplicates(void **state)
{
	static const char ours[] = OURS("pr-aa-1",
	    ONE("x@london.example", "bob@paris.example"));
	static const char other[] = BATCH(
	    ONE("x@london.example", "bob@paris.example"));
	struct xw *w = *state;

	assert_int_equal(INBOUND_DONE, xw_feed_text(w, "1", ours));
	assert_int_equal(INBOUND_DUPLICATE, xw_feed_text(w, "2", ours));
	xw_crash(w);
	assert_int_equal(INBOUND_DUPLICATE, xw_feed_text(w, "3", ours));
	/* Foreign ones by the same pick-up only: two like mails are two. */
	assert_int_equal(INBOUND_DONE, xw_feed_text(w, "4", other));
	assert_int_equal(INBOUND_DUPLICATE, xw_feed_text(w, "4", other));
	assert_int_equal(INBOUND_DONE, xw_feed_text(w, "5", other));
	assert_int_equal(3, xw_count(w));
}

/* Groups of 50 messages are committed; a crash goes on behind the last of
 * those that survived, which may be all. */
static void
test_resume(void **state)
{
	struct xw *w = *state;
	struct buf b = BUF_INIT;
	enum inbound_outcome got;
	unsigned writes, i;

	buf_adds(&b, "HELO london.example\r\nNOOP postrider-id=pr-bb-7\r\n");
	for (i = 0; i < 120; i++)
		buf_addf(&b, "MAIL FROM:<%u@london.example>\r\n"
		    "RCPT TO:<bob@paris.example>\r\nDATA\r\nn\r\n.\r\n",
		    i);
	buf_adds(&b, "QUIT\r\n");
	for (writes = 1; writes <= 2; writes++) {
		store_mem_disk_crash_at(w->disk, writes, &w->rng.rng);
		assert_int_equal(INBOUND_LATER, xw_feed(w, "1", b.ptr, b.len));
		xw_stop(w);
		store_mem_disk_revive(w->disk);
		xw_start(w);
	}
	got = xw_feed(w, "1", b.ptr, b.len);
	assert_true(got == INBOUND_DONE || got == INBOUND_DUPLICATE);
	assert_int_equal(120, xw_count(w));
	assert_int_equal(INBOUND_DUPLICATE, xw_feed(w, "1", b.ptr, b.len));
	buf_release(&b);
}

static void
test_torn(void **state)
{
	static const char whole[] = OURS("pr-cc-9",
	    ONE("1@london.example", "bob@paris.example")
		ONE("2@london.example", "bob@paris.example")
		    ONE("3@london.example", "bob@paris.example"));
	struct xw *w = *state;
	size_t one = sizeof(ONE("1@london.example", "bob@paris.example")) - 1;
	size_t len = strlen(whole) - strlen("QUIT\r\n");

	/* Two of three whole, then only one, then cut between two. */
	assert_int_equal(INBOUND_BROKEN, xw_feed(w, "1", whole, len - 10));
	assert_int_equal(2 + 1, xw_count(w)); /* the postmaster is told */
	assert_int_equal(INBOUND_DUPLICATE, xw_feed(w, "1", whole, len - 10));
	assert_int_equal(INBOUND_BROKEN, xw_feed(w, "2", whole,
	    len - one - 10));
	assert_int_equal(INBOUND_BROKEN, xw_feed(w, "3", whole, len - one));
	assert_int_equal(2 + 2, xw_count(w)); /* broken-notices is 2 */
	assert_int_equal(INBOUND_DONE, xw_feed_text(w, "4", whole));
	assert_int_equal(3 + 2, xw_count(w));
	assert_int_equal(INBOUND_DUPLICATE, xw_feed_text(w, "5", whole));
}

static void
test_quarantine(void **state)
{
	struct xw *w = *state;
	struct broken b;
	struct err e = ERR_INIT;
	uint64_t id = 0;

	assert_int_equal(INBOUND_BROKEN, xw_feed_text(w, "1", "Dear all,\r\n"));
	xw_answer(w, VERDICT_DONE, "2.0.0");
	xw_contains(w, "To: <postmaster@paris.example>\r\n");
	xw_contains(w, "RGVhciBhbGwsDQo="); /* the object in base64 */
	assert_int_equal(INBOUND_DUPLICATE, xw_feed_text(w, "1",
	    "Dear all,\r\n"));
	assert_int_equal(INBOUND_BROKEN, xw_feed_text(w, "2", "Dear all,\r\n"));
	xw_answer(w, VERDICT_DONE, "2.0.0");
	assert_int_equal(INBOUND_BROKEN, xw_feed_text(w, "3", "Dear all,\r\n"));
	xw_must_not(w, EXCHANGE_DELIVER);
	xw_pass(w, 3700);
	assert_int_equal(INBOUND_BROKEN, xw_feed_text(w, "4", "Dear all,\r\n"));
	xw_answer(w, VERDICT_DONE, "2.0.0");
	xw_contains(w, "1 more broken object of");
	broken_init(&b);
	assert_int_equal(0, spool_next_broken(w->spool, &id, &b, &e));
	assert_string_equal("london", b.peer);
	broken_release(&b);
	xw_pass(w, 31 * 86400); /* broken-expire */
	id = 0;
	broken_init(&b);
	assert_int_equal(ERR_NOT_FOUND,
	    spool_next_broken(w->spool, &id, &b, &e));
	broken_release(&b);
}

static void
test_loops(void **state)
{
	struct xw *w = *state;
	struct smtp_refusal r;

	assert_int_equal(0, xw_submit(w, "ann@paris.example",
	    "bob@paris.example", "Received: a\r\nReceived: b\r\n"
	    "Received: c\r\nReceived: d\r\n\r\n",
				&r));
	assert_int_equal(554, r.code);
	assert_string_equal("5.4.6", r.status);
	assert_int_equal(INBOUND_DONE, xw_feed_text(w, "1", OURS("pr-dd-1",
	    "NOOP postrider-hops=5\r\n" ONE("x@london.example",
	    "bob@paris.example"))));
	free(xw_write_object(w));
	xw_contains(w, "Status: 5.4.6\r\n");
	xw_must_not(w, EXCHANGE_DELIVER);
}

static void
test_full(void **state)
{
	struct xw *w = *state;
	struct smtp_refusal r;

	xw_accept(w, "ann@paris.example", "bob@paris.example");
	w->room = 0;
	assert_int_equal(-1, exchange_check_room(w->x, 10, &r));
	assert_int_equal(452, r.code);
	assert_string_equal("4.3.1", r.status);
	assert_int_equal(INBOUND_LATER, xw_feed_text(w, "1",
	    BATCH(ONE("x@london.example", "bob@paris.example"))));
	xw_answer(w, VERDICT_FAILED, "5.2.2"); /* no room for its notice */
	assert_int_equal(1, xw_count(w));
	assert_false(exchange_commit_pending(w->x));
	w->room = 1 << 30;
	xw_pass(w, 700);
	xw_answer(w, VERDICT_DONE, "2.0.0");
	assert_int_equal(0, xw_count(w));
	assert_int_equal(INBOUND_DONE, xw_feed_text(w, "1",
	    BATCH(ONE("x@london.example", "bob@paris.example"))));
}

static void
test_refusals(void **state)
{
	static const struct {
		const char *address;
		uint64_t size;
		int code;
		const char *status;
	} c[] = {
		{ "bob@paris.example", 0, 0, "" },
		{ "x@london.example", 5000, 0, "" },
		{ "Postmaster", 0, 0, "" },
		{ "x@london.example", 5001, 552, "5.3.4" },
		{ "who@paris.example", 0, 550, "5.1.1" },
		{ "x@elsewhere.example", 0, 550, "5.7.1" },
	};
	struct xw *w = *state;
	struct smtp_refusal r;
	size_t i;

	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		memset(&r, 0, sizeof(r));
		assert_int_equal(c[i].code == 0 ? 0 : -1,
		    exchange_check_recipient(w->x, c[i].address, c[i].size,
			&r));
		if (c[i].code == 0)
			continue;
		assert_int_equal(c[i].code, r.code);
		assert_string_equal(c[i].status, r.status);
	}
}

/* An undeclared size is seen after the content: 552, or a notice where other
 * recipients can be reached. */
static void
test_too_large(void **state)
{
	struct xw *w = *state;
	struct smtp_refusal r;
	char big[6000];

	memset(big, 'x', sizeof(big));
	memcpy(big + sizeof(big) - 3, "\r\n", 3);
	assert_int_equal(0, xw_submit(w, "ann@paris.example",
	    "x@london.example", big, &r));
	assert_int_equal(552, r.code);
	assert_string_equal("5.3.4", r.status);
	assert_true(xw_submit(w, "ann@paris.example",
	    "x@london.example bob@paris.example", big, &r) != 0);
	xw_answer(w, VERDICT_DONE, "2.0.0");
	xw_answer(w, VERDICT_DONE, "2.0.0");
	xw_contains(w, "Final-Recipient: rfc822;x@london.example\r\n"
		       "Action: failed\r\nStatus: 5.3.4\r\n");
	assert_int_equal(0, xw_count(w));
}

/* A recipient named twice gets one copy. */
static void
test_twice(void **state)
{
	struct xw *w = *state;
	struct message m;
	struct err e = ERR_INIT;
	uint64_t id;

	id = xw_accept(w, "ann@paris.example",
	    "bob@paris.example x@london.example bob@paris.example");
	message_init(&m);
	assert_int_equal(0, spool_get_message(w->spool, id, &m, &e));
	assert_int_equal(2, m.env.nrcpt);
	assert_string_equal("bob@paris.example", m.env.rcpt[0].address);
	assert_string_equal("x@london.example", m.env.rcpt[1].address);
	message_release(&m);
}

static void
test_quota(void **state)
{
	struct xw *w = *state;
	struct smtp_refusal r;
	int i;

	for (i = 0; i < 200; i++) {
		assert_int_equal(0, exchange_check_room(w->x, 10, &r));
		xw_accept(w, "ann@paris.example", "bob@paris.example");
	}
	assert_int_equal(-1, exchange_check_room(w->x, 10, &r));
	assert_int_equal(452, r.code);
	assert_int_equal(INBOUND_LATER, xw_feed_text(w, "1",
	    BATCH(ONE("x@london.example", "bob@paris.example"))));
}

/* Their notices are in memory until they are written. */
static void
test_many_fail_at_once(void **state)
{
	struct exchange_action a;
	struct exchange_counters c;
	struct xw *w = *state;
	struct err e = ERR_INIT;
	int i;

	for (i = 0; i < 128; i++)
		xw_accept(w, "x@london.example", "bob@paris.example");
	for (i = 0; i < 128; i++) {
		xw_must_take(w, EXCHANGE_DELIVER, &a);
		exchange_delivery_result(w->x, a.job, 0,
		    i < 120 ? VERDICT_FAILED : VERDICT_DONE, "5.2.0", "no");
		exchange_delivery_over(w->x, a.job);
		exchange_action_release(&a);
	}
	assert_int_equal(0, exchange_commit(w->x, &e));
	exchange_counters(w->x, &c);
	assert_int_equal(100, c.notices);
	assert_int_equal(8, c.delivered);
	assert_true(exchange_commit_pending(w->x));
	xw_settle(w);
	exchange_counters(w->x, &c);
	assert_int_equal(120, c.notices);
	assert_int_equal(120, c.messages);
}

#define CASE(name) \
	cmocka_unit_test_setup_teardown(name, xw_set_up, xw_tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_inbound),
		CASE(test_inbound_refused),
		CASE(test_duplicates),
		CASE(test_resume),
		CASE(test_torn),
		CASE(test_quarantine),
		CASE(test_loops),
		CASE(test_full),
		CASE(test_refusals),
		CASE(test_too_large),
		CASE(test_twice),
		CASE(test_quota),
		CASE(test_many_fail_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
