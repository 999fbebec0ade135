/* SPDX-License-Identifier: ISC */
/*
 * Who is told what: NOTIFY and what became of a recipient, under a clock that
 * the test turns.
 */
#include "node/exchange_private.h"
#include "tests/unit/exchange_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* One message for these recipients; notify[i] may be NULL.  Its id. */
static uint64_t
submit(struct xw *w, const char *from, const char *const *to,
    const char *const *notify, size_t n)
{
	static const char content[] = "Subject: x\r\n\r\nhello\r\n";
	struct spool_draft *d = spool_draft_new(w->spool);
	struct exchange_completion c;
	struct err e = ERR_INIT;
	struct smtp_refusal r;
	struct message m;
	size_t i;

	message_init(&m);
	m.env.sender = mem_strdup(from);
	m.env.envid = mem_strdup("QQ+3D1");
	m.source = mem_strdup("test");
	for (i = 0; i < n; i++)
		envelope_add_recipient(&m.env, to[i], notify[i], NULL);
	assert_int_equal(
	    0, spool_draft_add(d, content, sizeof(content) - 1, &e));
	assert_int_equal(0, spool_draft_end(d, &e));
	assert_int_equal(0, exchange_accept(w->x, d, &m, w, &r));
	assert_int_equal(0, exchange_commit(w->x, &e));
	assert_int_equal(1, exchange_next_completion(w->x, &c));
	assert_true(c.durable);
	message_release(&m);
	xw_settle(w);
	return c.id;
}

static uint64_t
submit_one(struct xw *w, const char *from, const char *to, const char *notify)
{
	return submit(w, from, &to, &notify, 1);
}

/* Another configuration, the same spool. */
static void
configure(struct xw *w, const char *text)
{
	xw_stop(w);
	conf_free(w->conf);
	w->conf = xw_conf_of(text);
	xw_start(w);
	xw_settle(w);
}

/* The notice that waits for delivery to ann is in w->text, and is done. */
static void
take_notice(struct xw *w)
{
	xw_crash(w); /* it is durable */
	xw_settle(w);
	xw_answer(w, VERDICT_DONE, "2.0.0");
	xw_contains(w, "To: <ann@paris.example>\r\n");
	xw_contains(w, "\r\nOriginal-Envelope-Id: QQ=1\r\n");
}

static void
contains_not(struct xw *w, const char *what)
{
	if (strstr(buf_cstr(&w->text), what) != NULL)
		fail_msg("\"%s\" is in \"%s\"", what, buf_cstr(&w->text));
}

/* RFC 3461 4.1, 5.2.1, 5.2.2, 5.2.3. */
static const struct {
	const char *notify;
	enum delivery_verdict verdict;
	const char *status, *want; /* NULL: nobody is told */
} cases[] = {
	{ NULL, VERDICT_DONE, "2.0.0", NULL },
	{ NULL, VERDICT_RELAYED, "2.0.0", NULL },
	{ NULL, VERDICT_PASSED, "2.0.0", NULL },
	{ NULL, VERDICT_FAILED, "5.1.1",
	    "Action: failed\r\nStatus: 5.1.1\r\n" },
	{ NULL, VERDICT_FAILED, "", "Action: failed\r\nStatus: 5.0.0\r\n" },
	{ "NEVER", VERDICT_DONE, "2.0.0", NULL },
	{ "NEVER", VERDICT_RELAYED, "2.0.0", NULL },
	{ "NEVER", VERDICT_FAILED, "5.1.1", NULL },
	{ "FAILURE", VERDICT_DONE, "2.0.0", NULL },
	{ "failure", VERDICT_FAILED, "5.1.1",
	    "Action: failed\r\nStatus: 5.1.1\r\n" },
	{ "SUCCESS", VERDICT_DONE, "2.1.5",
	    "Action: delivered\r\nStatus: 2.1.5\r\n" },
	{ "SUCCESS", VERDICT_DONE, "",
	    "Action: delivered\r\nStatus: 2.0.0\r\n" },
	{ "Success,Delay", VERDICT_RELAYED, "2.6.0",
	    "Action: relayed\r\nStatus: 2.6.0\r\n" },
	{ "SUCCESS", VERDICT_PASSED, "2.6.0", NULL },
	{ "SUCCESS", VERDICT_FAILED, "5.1.1", NULL },
	{ "DELAY", VERDICT_FAILED, "5.1.1", NULL },
	{ "DELAY", VERDICT_DONE, "2.0.0", NULL },
	{ "SUCCESS,FAILURE", VERDICT_FAILED, "5.1.1",
	    "Action: failed\r\nStatus: 5.1.1\r\n" },
};

static void
by_notify(void **state)
{
	struct xw *w = *state;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		submit_one(w, "ann@paris.example", "bob@paris.example",
		    cases[i].notify);
		xw_answer(w, cases[i].verdict, cases[i].status);
		if (cases[i].want != NULL) {
			assert_int_equal(1, xw_count(w));
			take_notice(w);
			xw_contains(w, cases[i].want);
		}
		assert_int_equal(0, xw_count(w));
	}
}

/* RFC 5321 4.5.5: nobody without an address is told of success. */
static void
null_sender(void **state)
{
	struct xw *w = *state;

	submit_one(w, "", "bob@paris.example", "SUCCESS");
	xw_answer(w, VERDICT_DONE, "2.0.0");
	submit_one(w, "", "bob@paris.example", "SUCCESS");
	xw_answer(w, VERDICT_RELAYED, "2.0.0");
	assert_int_equal(0, xw_count(w));
	/* RFC 3461 4.1: NEVER is NEVER, for the postmaster too. */
	submit_one(w, "", "bob@paris.example", "NEVER");
	xw_answer(w, VERDICT_FAILED, "5.1.1");
	assert_int_equal(0, xw_count(w));
}

/* RFC 3461 5.2.8: one notice for several, each with what became of it. */
static void
several(void **state)
{
	static const char *const to[] = { "ann@paris.example",
		"bob@paris.example", "postmaster@paris.example" };
	static const char *const notify[] = { "SUCCESS", NULL, NULL };
	struct xw *w = *state;
	struct exchange_action a;

	submit(w, "ann@paris.example", to, notify, 3);
	xw_must_take(w, EXCHANGE_DELIVER, &a);
	exchange_delivery_result(w->x, a.job, 0, VERDICT_RELAYED, "2.0.0",
	    "250 2.0.0 taken");
	exchange_delivery_result(w->x, a.job, 1, VERDICT_FAILED, "5.2.2",
	    "552 5.2.2 full");
	exchange_delivery_result(w->x, a.job, 2, VERDICT_DONE, "2.0.0",
	    "written to /var/mail/secret");
	exchange_delivery_over(w->x, a.job);
	exchange_action_release(&a);
	xw_settle(w);
	take_notice(w);
	xw_contains(w, "Final-Recipient: rfc822;ann@paris.example\r\n"
		       "Action: relayed\r\nStatus: 2.0.0\r\n"
		       "Diagnostic-Code: smtp; 250 2.0.0 taken\r\n");
	xw_contains(w, "Final-Recipient: rfc822;bob@paris.example\r\n"
		       "Action: failed\r\nStatus: 5.2.2\r\n"
		       "Diagnostic-Code: smtp; 552 5.2.2 full\r\n");
	contains_not(w, "Final-Recipient: rfc822;postmaster");
	contains_not(w, "secret");
	assert_int_equal(0, xw_count(w));
}

/* RFC 3461 5.2.5: once, when it has waited for four hours, and not over a
 * restart either. */
static void
delay_once(void **state)
{
	struct xw *w = *state;
	struct exchange_action a;

	submit_one(w, "ann@paris.example", "bob@london.example", "DELAY");
	xw_pass(w, 4 * 3600 - 120);
	xw_must_not(w, EXCHANGE_DELIVER);
	xw_pass(w, 300);
	take_notice(w);
	xw_contains(w, "Final-Recipient: rfc822;bob@london.example\r\n"
		       "Action: delayed\r\nStatus: 4.4.0\r\n");
	/* accepted at 1700000000, tried for a day */
	xw_contains(w,
	    "\r\nWill-Retry-Until: Wed, 15 Nov 2023 22:13:20 +0000\r\n");
	contains_not(w, "hello");
	contains_not(w, "london:");
	xw_pass(w, 8 * 3600);
	assert_false(xw_take(w, EXCHANGE_DELIVER, &a));
	assert_int_equal(1, xw_count(w));
}

static void
delay_not_asked(void **state)
{
	static const char *const notify[] = { NULL, "NEVER", "FAILURE",
		"SUCCESS" };
	struct xw *w = *state;
	size_t i;

	for (i = 0; i < 4; i++)
		submit_one(w, "ann@paris.example", "bob@london.example",
		    notify[i]);
	submit_one(w, "", "bob@london.example", "DELAY");
	xw_pass(w, 8 * 3600);
	xw_must_not(w, EXCHANGE_DELIVER);
}

#define SITE_WITH(more) HEAD_OF_SITE more "}\n" HOME LONDON "}\n" ROUTES
#define HEAD_OF_SITE "site paris {\n postmaster = postmaster@paris.example\n" \
		     " spool = /tmp\n run = /tmp\n"

static void
delay_for_all(void **state)
{
	struct xw *w = *state;

	configure(w, SITE_WITH(" delay-notice = 10m\n"
			       " delay-notice-for = all\n"));
	submit_one(w, "ann@paris.example", "bob@london.example", "FAILURE");
	submit_one(w, "ann@paris.example", "eve@london.example", NULL);
	xw_pass(w, 720);
	take_notice(w);
	xw_contains(w, "Final-Recipient: rfc822;eve@london.example\r\n"
		       "Action: delayed\r\n");
	xw_must_not(w, EXCHANGE_DELIVER);
}

static void
delay_never(void **state)
{
	struct xw *w = *state;

	configure(w, SITE_WITH(" delay-notice = none\n"));
	submit_one(w, "ann@paris.example", "bob@london.example", "DELAY");
	xw_pass(w, 20 * 3600);
	xw_must_not(w, EXCHANGE_DELIVER);
}

/* What somebody holds back on purpose is not late. */
static void
delay_held(void **state)
{
	struct xw *w = *state;
	struct err e = ERR_INIT;
	uint64_t id;

	configure(w, SITE_WITH(" delay-notice = 10m\n"));
	id = submit_one(w, "ann@paris.example", "bob@paris.example", "DELAY");
	xw_stop(w); /* its delivery never began */
	xw_start(w);
	assert_int_equal(0, exchange_hold(w->x, id, &e));
	xw_settle(w);
	xw_pass(w, 3600);
	xw_must_not(w, EXCHANGE_DELIVER);
}

/* RFC 3461 5.2.1 and 5.2.2 for bundles: who gets the parameters reports. */
static void
sent(struct xw *w)
{
	struct err e = ERR_INIT;
	char *name;

	name = xw_write_object(w);
	assert_int_equal(0, exchange_transport_sent(w->x, "london", name, &e));
	xw_settle(w);
	free(name);
}

static void
bundle_with_parameters(void **state)
{
	struct xw *w = *state;

	submit_one(w, "ann@paris.example", "bob@london.example", "SUCCESS");
	sent(w);
	xw_contains(w, "NOTIFY=SUCCESS");
	xw_contains(w, "ENVID=QQ+3D1");
	xw_must_not(w, EXCHANGE_DELIVER);
	assert_int_equal(0, xw_count(w));
}

static void
bundle_without(void **state)
{
	static const char *const to[] = { "bob@london.example",
		"eve@london.example" };
	static const char *const notify[] = { "SUCCESS", "FAILURE" };
	struct xw *w = *state;

	configure(w, SITE HOME LONDON " dsn = no\n}\n" ROUTES);
	submit(w, "ann@paris.example", to, notify, 2);
	sent(w);
	contains_not(w, "NOTIFY");
	contains_not(w, "ENVID");
	take_notice(w);
	xw_contains(w, "Final-Recipient: rfc822;bob@london.example\r\n"
		       "Action: relayed\r\nStatus: 2.0.0\r\n");
	contains_not(w, "eve@london.example");
	contains_not(w, "london.example>:");
	assert_int_equal(0, xw_count(w));
}

/* Without room a failure waits for its notice; what was delivered stays so,
 * and is not told. */
static void
no_room(void **state)
{
	struct xw *w = *state;

	submit_one(w, "ann@paris.example", "bob@paris.example", "SUCCESS");
	w->room = 0;
	xw_answer(w, VERDICT_DONE, "2.0.0");
	assert_int_equal(0, xw_count(w));
	w->room = 1 << 30;
	submit_one(w, "ann@paris.example", "bob@paris.example", NULL);
	w->room = 0;
	xw_answer(w, VERDICT_FAILED, "5.1.1");
	assert_int_equal(1, xw_count(w));
	xw_must_not(w, EXCHANGE_DELIVER);
}

static void
count_postponed(void *ctx, enum log_level level, const char *line)
{
	(void)level;
	*(unsigned *)ctx += strstr(line, "notice-postponed") != NULL;
}

/* Tried again and again on a full disk, and logged once; and once more when
 * there was room in between. */
static void
postponed_once(void **state)
{
	struct xw *w = *state;
	unsigned count = 0;
	struct log *log = log_new_sink(count_postponed, &count);

	w->x->log = log;
	submit_one(w, "ann@paris.example", "bob@paris.example", NULL);
	w->room = 0;
	for (int i = 0; i < 5; i++) {
		xw_answer(w, VERDICT_FAILED, "5.1.1");
		assert_int_equal(count, 1);
		xw_pass(w, 3700);
	}
	w->room = 1 << 30;
	xw_answer(w, VERDICT_FAILED, "5.1.1");
	xw_answer(w, VERDICT_DONE, "2.0.0");
	assert_int_equal(0, xw_count(w));
	submit_one(w, "ann@paris.example", "bob@paris.example", NULL);
	w->room = 0;
	xw_answer(w, VERDICT_FAILED, "5.1.1");
	assert_int_equal(count, 2);
	w->x->log = NULL;
	log_free(log);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, xw_set_up, xw_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(by_notify),
		TEST(null_sender),
		TEST(several),
		TEST(delay_once),
		TEST(delay_not_asked),
		TEST(delay_for_all),
		TEST(delay_never),
		TEST(delay_held),
		TEST(bundle_with_parameters),
		TEST(bundle_without),
		TEST(no_room),
		TEST(postponed_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
