/* SPDX-License-Identifier: ISC */
/*
 * A peer with several transports: which of them something goes by, and what
 * becomes of it when that one fails, goes, or refuses it.
 */
#include "node/waiting.h"
#include "tests/unit/exchange_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define RADIO " transport radio {\n  program = /bin/true\n"
#define WIRE " transport wire {\n  program = /bin/true\n }\n"
#define STICK " transport stick {\n  program = /bin/true\n }\n"
#define PEER(lanes) SITE HOME "peer london {\n dialect = bsmtp\n" \
		    " extensions = { MT-PRIORITY }\n" \
		    " lifetime = 1d\n retry-min = 10m\n" lanes "}\n" ROUTES

/* Another configuration, or the first. */
static void
configure(struct xw *w, const char *text)
{
	struct conf *old = w->conf;

	w->conf = xw_conf_of(text);
	exchange_reload(w->x, w->conf);
	conf_free(old);
	xw_settle(w);
}

/* The next object is asked for on this road; its file is made.  The caller
 * frees the name. */
static char *
write_on(struct xw *w, const char *road)
{
	struct exchange_action a;

	xw_must_take(w, EXCHANGE_WRITE, &a);
	assert_string_equal(a.road, road);
	assert_string_equal(a.peer, "london");
	w->action[w->nactions++] = a;
	return xw_write_object(w);
}

static void
runs(struct xw *w, const char *road)
{
	struct exchange_action a;

	xw_must_take(w, EXCHANGE_RUN, &a);
	assert_string_equal(a.road, road);
	exchange_action_release(&a);
}

static void
unlinked(struct xw *w, const char *road, const char *name)
{
	struct exchange_action a;

	xw_must_take(w, EXCHANGE_UNLINK, &a);
	assert_string_equal(a.road, road);
	assert_string_equal(a.name, name);
	exchange_action_release(&a);
}

static void
sent(struct xw *w, const char *road, const char *name)
{
	struct err e = ERR_INIT;

	assert_int_equal(0, exchange_transport_sent(w->x, road, name, &e));
	xw_settle(w);
	unlinked(w, road, name);
}

static void
exits(struct xw *w, const char *road, int status)
{
	exchange_transport_exited(w->x, road, status,
	    status == 0 ? "" : "no carrier");
	xw_settle(w);
}

/* This road is given an object and called for; the caller frees its name. */
static char *
asked(struct xw *w, const char *road)
{
	char *name = write_on(w, road);

	runs(w, road);
	return name;
}

/* Mail comes, for which it is this road's turn. */
static char *
starts(struct xw *w, const char *road)
{
	xw_accept(w, "ann@paris.example", "eve@london.example");
	return asked(w, road);
}

/* It is its turn, with the object of this name unless NULL, and it sends. */
static void
takes(struct xw *w, const char *road, const char *name)
{
	char *got = asked(w, road);

	if (name != NULL)
		assert_string_equal(got, name);
	sent(w, road, got);
	free(got);
}

/* It fails, and what was before it is taken away. */
static void
fails(struct xw *w, const char *road, const char *name)
{
	exits(w, road, 75);
	unlinked(w, road, name);
}

static bool
lane(struct xw *w, size_t k, struct exchange_lane_status *st)
{
	return exchange_lane_status(w->x, 0, k, st);
}

/* Mail that goes by this road, to its end. */
static void
carries(struct xw *w, const char *road)
{
	char *name;

	name = starts(w, road);
	sent(w, road, name);
	exits(w, road, 0);
	xw_pass(w, 1);
	assert_int_equal(0, xw_count(w));
	free(name);
}

static void
test_order(void **state)
{
	struct xw *w = *state;
	struct exchange_lane_status st;

	configure(w, PEER(WIRE STICK));
	carries(w, "london/wire");
	assert_true(lane(w, 0, &st));
	assert_string_equal(st.name, "wire");
	assert_true(st.road.last_sent_ms > 0);
	assert_true(lane(w, 1, &st));
	assert_string_equal(st.name, "stick");
	assert_int_equal(st.road.last_sent_ms, 0);
	/* The one of the past configuration is told of until the restart. */
	assert_true(lane(w, 2, &st));
	assert_true(st.road.gone);
	assert_string_equal(st.path, "london");
	assert_false(lane(w, 3, &st));
	configure(w, PEER(STICK WIRE));
	carries(w, "london/stick");
}

/* The first fails with a file before it: the second has it, the same octets,
 * and the first is left alone for so long. */
static void
test_failover(void **state)
{
	struct xw *w = *state;
	struct exchange_lane_status st;
	struct exchange_peer_status peer;
	struct buf octets = BUF_INIT;
	char *name, *again;

	configure(w, PEER(WIRE STICK));
	xw_accept(w, "ann@paris.example", "eve@london.example");
	name = write_on(w, "london/wire");
	buf_addslice(&octets, buf_slice(&w->text));
	runs(w, "london/wire");
	/* While it runs, it alone has it. */
	xw_pass(w, 500);
	xw_must_not(w, EXCHANGE_WRITE);
	assert_true(exchange_knows_object(w->x, "london/wire", name));
	assert_false(exchange_knows_object(w->x, "london/stick", name));
	fails(w, "london/wire", name);
	again = write_on(w, "london/stick");
	assert_string_equal(name, again);
	assert_int_equal(octets.len, w->text.len);
	assert_memory_equal(octets.ptr, w->text.ptr, octets.len);
	assert_false(exchange_knows_object(w->x, "london/wire", name));
	assert_true(exchange_knows_object(w->x, "london/stick", name));
	runs(w, "london/stick");
	assert_true(lane(w, 0, &st));
	assert_int_equal(st.road.failures, 1);
	assert_true(st.retry_ms > 0);
	assert_string_equal(st.road.last_error, "no carrier");
	exchange_peer_status(w->x, 0, &peer);
	assert_true(peer.road.running);
	assert_false(peer.road.down);
	sent(w, "london/stick", name);
	assert_int_equal(0, xw_count(w));
	exits(w, "london/stick", 0);
	carries(w, "london/stick");
	/* retry-min is 10m */
	xw_pass(w, 600);
	carries(w, "london/wire");
	assert_true(lane(w, 0, &st));
	assert_int_equal(st.road.failures, 0);
	free(name);
	free(again);
	buf_release(&octets);
}

/* Said too late, after it was given to another. */
static void
test_late_word(void **state)
{
	struct xw *w = *state;
	struct err e = ERR_INIT;
	char *name;

	configure(w, PEER(WIRE STICK));
	name = starts(w, "london/wire");
	fails(w, "london/wire", name);
	assert_int_equal(0, exchange_transport_sent(w->x, "london/wire", name,
	    &e));
	xw_settle(w);
	/* So that it does not send it for ever. */
	unlinked(w, "london/wire", name);
	assert_int_equal(1, xw_count(w));
	takes(w, "london/stick", NULL);
	assert_int_equal(0, xw_count(w));
	free(name);
}

/* All fail: the object stays with the last, the peer is down, and goes by
 * whichever can be used first. */
static void
test_all_fail(void **state)
{
	struct xw *w = *state;
	struct exchange_peer_status peer;
	struct exchange_action a;
	unsigned failed[2] = { 0, 0 };
	char *name = NULL;

	configure(w, PEER(WIRE STICK));
	xw_accept(w, "ann@paris.example", "eve@london.example");
	while (failed[0] < 4 || failed[1] < 4) {
		if (xw_take(w, EXCHANGE_WRITE, &a)) {
			w->action[w->nactions++] = a;
			free(name);
			name = xw_write_object(w);
		} else if (xw_take(w, EXCHANGE_RUN, &a)) {
			failed[strcmp(a.road, "london/wire") != 0]++;
			exits(w, a.road, 75);
			exchange_action_release(&a);
		} else {
			xw_pass(w, 60);
		}
		assert_true(w->now_ms < 86400000);
	}
	exchange_peer_status(w->x, 0, &peer);
	assert_true(peer.road.down);
	assert_int_equal(peer.road.objects, 1);
	assert_int_equal(1, xw_count(w));
	free(name);
}

static void
accept_as(struct xw *w, int priority, size_t octets)
{
	char *text = mem_alloc(1, octets + 1);
	struct smtp_refusal r;
	size_t i;

	for (i = 0; i < octets; i++)
		text[i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' : 'x';
	memcpy(text, "Subject: x\r\n\r\n", 14);
	memcpy(text + octets - 2, "\r\n", 2);
	w->timing.priority = priority;
	assert_true(xw_submit(w, "ann@paris.example", "eve@london.example",
	    text, &r) != 0);
	w->timing.priority = 0;
	free(text);
}

static void
test_priority_and_size(void **state)
{
	static const struct {
		int priority;
		size_t octets;
		const char *road;
	} cases[] = {
		{ 0, 200, "london/stick" },
		{ 3, 200, "london/stick" },
		{ 4, 200, "london/radio" },
		{ 9, 2048, "london/radio" },
		{ 9, 2050, "london/stick" },
		{ -9, 10, "london/stick" },
		{ 4, 4000, "london/stick" },
	};
	struct xw *w = *state;
	char *name;
	size_t i;

	configure(w, PEER(RADIO "  priority-min = 4\n  size-max = 2K\n }\n"
	    STICK));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		accept_as(w, cases[i].priority,
		    cases[i].octets < 64 ? 64 : cases[i].octets);
		name = write_on(w, cases[i].road);
		runs(w, cases[i].road);
		sent(w, cases[i].road, name);
		exits(w, cases[i].road, 0);
		xw_pass(w, 1);
		free(name);
	}
	assert_int_equal(0, xw_count(w));
}

/* What is gathered for one leaves what is for the other, and an object is not
 * larger than its transport takes. */
static void
test_shares(void **state)
{
	struct xw *w = *state;
	char *a, *b;

	configure(w, PEER(RADIO "  size-max = 2K\n }\n" STICK));
	accept_as(w, 0, 5000);
	a = asked(w, "london/stick");
	accept_as(w, 0, 1500);
	b = asked(w, "london/radio");
	accept_as(w, 0, 1500);
	accept_as(w, 0, 1500);
	xw_must_not(w, EXCHANGE_WRITE);	/* one at a time */
	sent(w, "london/radio", b);
	xw_pass(w, 1);
	free(b);
	b = write_on(w, "london/radio");
	assert_true(w->text.len < 2000);
	sent(w, "london/radio", b);
	xw_pass(w, 1);
	free(b);
	b = write_on(w, "london/radio");
	sent(w, "london/radio", b);
	assert_int_equal(1, xw_count(w));
	sent(w, "london/stick", a);
	assert_int_equal(0, xw_count(w));
	free(a);
	free(b);
}

/* Urgent and small goes by radio; that has failed, and the stick takes it. */
static void
test_urgent_falls_back(void **state)
{
	struct xw *w = *state;
	char *name;

	configure(w, PEER(RADIO "  priority-min = 1\n }\n" STICK));
	accept_as(w, 2, 100);
	name = asked(w, "london/radio");
	fails(w, "london/radio", name);
	takes(w, "london/stick", NULL);
	/* What the radio does not take never goes by it. */
	free(name);
	exits(w, "london/stick", 0);
	xw_pass(w, 700);
	accept_as(w, 0, 100);
	name = asked(w, "london/stick");
	exits(w, "london/stick", 75);
	xw_pass(w, 60);
	xw_must_not(w, EXCHANGE_WRITE);
	xw_must_not(w, EXCHANGE_RUN);
	xw_pass(w, 700);
	runs(w, "london/stick");
	sent(w, "london/stick", name);
	assert_int_equal(0, xw_count(w));
	free(name);
}

/* One refuses it for good: those behind it are asked, never it again. */
static void
test_refused(void **state)
{
	struct xw *w = *state;
	char *name;

	configure(w, PEER(WIRE STICK));
	name = starts(w, "london/wire");
	exchange_transport_failed(w->x, "london/wire", name, true, "too odd");
	xw_settle(w);
	unlinked(w, "london/wire", name);
	free(name);
	name = asked(w, "london/stick");
	exits(w, "london/wire", 0);
	exits(w, "london/stick", 75);
	xw_must_not(w, EXCHANGE_WRITE);
	xw_pass(w, 700);
	runs(w, "london/stick");
	exchange_transport_failed(w->x, "london/stick", name, true, "odd");
	xw_settle(w);
	unlinked(w, "london/stick", name);
	free(name);
	/* Nobody is left: its sender is told. */
	xw_answer(w, VERDICT_DONE, "2.0.0");
	xw_contains(w, "\r\nStatus: 5.4.4\r\n");
	assert_int_equal(0, xw_count(w));
}

/* Where an object is, is durable: after a crash the same transport goes on
 * with the same file. */
static void
test_restart(void **state)
{
	struct xw *w = *state;
	char *name, *again;

	configure(w, PEER(WIRE STICK));
	name = starts(w, "london/wire");
	fails(w, "london/wire", name);
	xw_crash(w);
	xw_settle(w);
	assert_true(exchange_knows_object(w->x, "london/stick", name));
	assert_false(exchange_knows_object(w->x, "london/wire", name));
	again = write_on(w, "london/stick");
	assert_string_equal(name, again);
	runs(w, "london/stick");
	xw_crash(w);
	xw_settle(w);
	free(again);
	takes(w, "london/stick", NULL);
	assert_int_equal(0, xw_count(w));
	free(name);
}

/* A transport leaves the configuration: it is stopped, and what it had goes
 * by another once it has ended. */
static void
test_removed(void **state)
{
	struct xw *w = *state;
	struct exchange_action a;
	char *name, *again;

	configure(w, PEER(WIRE STICK));
	name = starts(w, "london/wire");
	configure(w, PEER(STICK));
	xw_must_take(w, EXCHANGE_STOP, &a);
	assert_string_equal(a.road, "london/wire");
	exchange_action_release(&a);
	xw_must_not(w, EXCHANGE_WRITE);
	exits(w, "london/wire", 0);
	unlinked(w, "london/wire", name);
	again = write_on(w, "london/stick");
	assert_string_equal(name, again);
	runs(w, "london/stick");
	/* It comes back, and the other goes while the daemon is down. */
	configure(w, PEER(WIRE));
	xw_crash(w);
	xw_settle(w);
	unlinked(w, "london/stick", name);
	free(again);
	takes(w, "london/wire", NULL);
	assert_int_equal(0, xw_count(w));
	free(name);
}

/* From the short form to the long one and back. */
static void
test_forms(void **state)
{
	struct xw *w = *state;
	char *name, *again;

	name = starts(w, "london");
	configure(w, PEER(WIRE));
	exits(w, "london", 0);
	unlinked(w, "london", name);
	again = asked(w, "london/wire");
	configure(w, CONF);
	exits(w, "london/wire", 0);
	unlinked(w, "london/wire", name);
	free(again);
	takes(w, "london", NULL);
	assert_int_equal(0, xw_count(w));
	free(name);
}

/* A window closes: what waits goes by the one that is open. */
static void
test_windows(void **state)
{
	struct xw *w = *state;
	struct exchange_lane_status st;

	/* The world begins on a Tuesday, at 22:13:20 UTC. */
	configure(w, PEER(RADIO "  call = { Any2200-2230 }\n }\n" STICK));
	carries(w, "london/radio");
	xw_pass(w, 1200);
	assert_true(lane(w, 0, &st));
	assert_false(st.open);
	carries(w, "london/stick");
	xw_pass(w, 86400 - 1000);
	assert_true(lane(w, 0, &st));
	assert_true(st.open);
	carries(w, "london/radio");
}

/* One that runs and sends nothing: it is stopped, another has the file, and it
 * gets nothing for a while, or until something comes by it. */
static void
test_patience(void **state)
{
	struct xw *w = *state;
	struct exchange_action a;
	struct exchange_lane_status st;
	char *name, *again;

	configure(w, PEER(" transport wire {\n  program = /bin/true\n"
	    "  stays = yes\n  patience = 5m\n }\n" STICK));
	runs(w, "london/wire");
	xw_accept(w, "ann@paris.example", "eve@london.example");
	name = write_on(w, "london/wire");
	runs(w, "london/wire");	/* more */
	xw_pass(w, 200);
	exchange_transport_alive(w->x, "london/wire");
	xw_pass(w, 250);
	xw_must_not(w, EXCHANGE_STOP);
	xw_pass(w, 60);
	xw_must_take(w, EXCHANGE_STOP, &a);
	assert_string_equal(a.road, "london/wire");
	exchange_action_release(&a);
	xw_pass(w, 5);
	xw_must_not(w, EXCHANGE_STOP);
	xw_must_not(w, EXCHANGE_WRITE);
	exits(w, "london/wire", 0);
	unlinked(w, "london/wire", name);
	again = write_on(w, "london/stick");
	runs(w, "london/wire");	/* it goes on waiting */
	runs(w, "london/stick");
	sent(w, "london/stick", again);
	exits(w, "london/stick", 0);
	carries(w, "london/stick");
	assert_true(lane(w, 0, &st));
	assert_int_equal(st.road.failures, 1);
	assert_true(st.road.running && st.retry_ms > 0);
	exchange_transport_alive(w->x, "london/wire");
	free(name);
	name = starts(w, "london/wire");
	sent(w, "london/wire", name);
	assert_int_equal(0, xw_count(w));
	free(name);
	free(again);
}

/* Where no other can be used it is left to itself. */
static void
test_patience_alone(void **state)
{
	struct xw *w = *state;
	char *name;

	configure(w, PEER(RADIO "  patience = 5m\n }\n" STICK));
	name = starts(w, "london/radio");
	fails(w, "london/radio", name);
	free(name);
	name = asked(w, "london/stick");
	xw_pass(w, 450);	/* the radio's retry-min is 10m */
	xw_must_not(w, EXCHANGE_STOP);
	sent(w, "london/stick", name);
	assert_int_equal(0, xw_count(w));
	free(name);
}

static void
test_flush(void **state)
{
	struct xw *w = *state;
	struct err e = ERR_INIT;
	struct exchange_action a;

	assert_int_equal(ERR_NOT_FOUND, exchange_flush(w->x, "london/wire",
	    &e));
	assert_non_null(strstr(e.text, "one transport alone"));
	configure(w, PEER(WIRE STICK));
	assert_int_equal(ERR_NOT_FOUND, exchange_flush(w->x,
	    "london/radio", &e));
	assert_non_null(strstr(e.text, "no transport \"radio\": it has wire, "
	    "stick"));
	assert_int_equal(ERR_NOT_FOUND, exchange_flush(w->x, "rome/wire", &e));
	assert_non_null(strstr(e.text, "no peer \"rome\""));
	assert_int_equal(0, exchange_flush(w->x, "london/stick", &e));
	xw_settle(w);
	runs(w, "london/stick");
	xw_must_not(w, EXCHANGE_RUN);
	exits(w, "london/stick", 0);
	assert_int_equal(0, exchange_flush(w->x, "london", &e));
	xw_settle(w);
	runs(w, "london/wire");
	runs(w, "london/stick");
	assert_false(xw_take(w, EXCHANGE_RUN, &a));
}

/* With as many objects before it as there may be, a flush is one call, and not
 * a call without end. */
static void
test_flush_full(void **state)
{
	struct xw *w = *state;
	struct err e = ERR_INIT;
	struct exchange_action a;
	int i;

	configure(w, PEER(" batch-count = 1\n call = { never }\n" WIRE));
	for (i = 0; i < 70; i++)
		xw_accept(w, "ann@paris.example", "eve@london.example");
	assert_int_equal(0, exchange_flush(w->x, "london/wire", &e));
	xw_settle(w);
	for (i = 0; i < 64; i++)
		free(write_on(w, "london/wire"));
	xw_must_not(w, EXCHANGE_WRITE);
	runs(w, "london/wire");
	while (xw_take(w, EXCHANGE_RUN, &a))	/* more of them */
		exchange_action_release(&a);
	exits(w, "london/wire", 75);
	xw_pass(w, 60);
	xw_must_not(w, EXCHANGE_RUN);
}

static void
assert_waits(struct xw *w, uint64_t id, const char *what)
{
	struct buf text = BUF_INIT;

	assert_true(waiting_for(w->x, id, 0, &text));
	if (strstr(buf_cstr(&text), what) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", what, buf_cstr(&text));
	buf_release(&text);
}

/* A transport that stays between its calls runs, and yet takes nothing. */
static void
test_waits(void **state)
{
	struct xw *w = *state;
	uint64_t id;
	char *name;

	configure(w, PEER(WIRE RADIO "  stays = yes\n  call = { \"every 1d\" }"
	    "\n }\n"));
	runs(w, "london/radio");
	id = xw_accept(w, "ann@paris.example", "eve@london.example");
	name = asked(w, "london/wire");
	assert_waits(w, id, "for the transport of london/wire, which runs");
	exits(w, "london/wire", 75);
	xw_pass(w, 1);
	unlinked(w, "london/wire", name);
	free(name);
	name = write_on(w, "london/radio");
	assert_waits(w, id, "for the transport of london/radio, which runs");
	runs(w, "london/radio");
	sent(w, "london/radio", name);
	xw_pass(w, 1);
	id = xw_accept(w, "ann@paris.example", "eve@london.example");
	xw_pass(w, 1);
	assert_waits(w, id, "for the next try of the road to london/wire, "
	    "in ");
	assert_waits(w, id, ": no carrier");
	free(name);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, xw_set_up, xw_tear_down)
		TEST(test_order),
		TEST(test_failover),
		TEST(test_late_word),
		TEST(test_all_fail),
		TEST(test_priority_and_size),
		TEST(test_shares),
		TEST(test_urgent_falls_back),
		TEST(test_refused),
		TEST(test_restart),
		TEST(test_removed),
		TEST(test_forms),
		TEST(test_windows),
		TEST(test_patience),
		TEST(test_patience_alone),
		TEST(test_flush),
		TEST(test_flush_full),
		TEST(test_waits),
	};

	setenv("TZ", "UTC", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
