/* SPDX-License-Identifier: ISC */
/*
 * What is told of the way of a message, in the queue and when it is gone, and
 * tests of the way to a site.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/waiting.h"
#include "tests/unit/native_world.h"

#define MAIL "Subject: hello\r\n\r\nThe quick brown fox.\r\n"

/* The lines of the history of a message at paris; the caller frees them. */
static char *
lines_of(struct nw *w, uint64_t message)
{
	struct history h;
	struct err e = ERR_INIT;
	char *text;

	assert_int_equal(0, spool_get_history(w->site[AT_PARIS].spool,
	    message, &h, &e));
	text = mem_strdup(h.text);
	history_release(&h);
	return text;
}

static void
assert_holds(const char *text, const char *what, bool there)
{
	if ((strstr(text, what) != NULL) != there)
		fail_msg("%s is %sin %s", what, there ? "not " : "", text);
}

/* By their numbers: addresses are kept only in a site's own words. */
static void
test_answered(void **state)
{
	struct nw *w = *state;
	uint64_t id = nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example nobody@oslo.example ann@oslo.example", MAIL);
	char *text;

	nw_pass(w, 60);
	text = lines_of(w, id);
	assert_holds(text, "{\"site\":\"oslo\",\"epoch\":\"", true);
	assert_holds(text, "\"serial\":1,", true);
	assert_holds(text, "\"attempts\":1,", true);
	assert_holds(text, "{\"recipients\":[0],\"said\":\"taken\"}", true);
	assert_holds(text, "{\"recipients\":[1],\"said\":\"refused\","
	    "\"status\":\"5.1.1\",\"text\":\"", true);
	assert_holds(text, "{\"recipients\":[2],\"said\":\"taken\"}", true);
	assert_holds(text, "bob@", false);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	free(text);
}

/* Two sites, two lines. */
static void
test_two_sites(void **state)
{
	struct nw *w = *state;
	uint64_t id = nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example bob@london.example ann@oslo.example", MAIL);
	char *text;

	nw_pass(w, 60);
	text = lines_of(w, id);
	assert_holds(text, "\"results\":[{\"recipients\":[0,2],"
	    "\"said\":\"taken\"}]}\n", true);
	assert_holds(text, "\"results\":[{\"recipients\":[1],"
	    "\"said\":\"taken\"}]}\n", true);
	assert_holds(text, "{\"site\":\"london\"", true);
	assert_holds(text, "{\"site\":\"oslo\"", true);
	free(text);
}

static void
test_unconfirmed(void **state)
{
	struct nw *w = *state;
	uint64_t id;
	char *text;

	w->site[AT_LONDON].road[AT_PARIS].cut = true;
	id = nw_submit(w, AT_PARIS, "ann@paris.example", "bob@oslo.example",
	    MAIL);
	nw_pass(w, 4 * 86400);
	text = lines_of(w, id);
	assert_holds(text, "{\"recipients\":[0],\"said\":\"not-confirmed\"}",
	    true);
	free(text);
}

static void
test_where(void **state)
{
	static const unsigned char none[16];
	struct nw *w = *state;
	struct nw_site *s = &w->site[AT_PARIS];
	struct custody_where at;
	uint64_t id;

	w->site[AT_LONDON].road[AT_OSLO].cut = true;
	s->road[AT_LONDON].cut = true;
	id = nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@paris.example bob@oslo.example", MAIL);
	nw_pass(w, 60);
	assert_false(custody_where(s->x, id, 0, &at));
	assert_false(custody_where(s->x, id, 2, &at));
	assert_false(custody_where(s->x, id + 1, 1, &at));
	assert_true(custody_where(s->x, id, 1, &at));
	assert_int_equal(CUSTODY_QUEUED, at.stage);
	assert_int_equal(1, at.attempts);
	assert_true(at.serial == 1 && at.epoch == spool_epoch(s->spool));
	assert_true(at.octets > 0 && at.acked_octets == 0);
	assert_memory_not_equal(none, at.bundle, sizeof(none));
	s->road[AT_LONDON].cut = false;
	nw_pass(w, 3600);
	assert_true(custody_where(s->x, id, 1, &at));
	assert_int_equal(CUSTODY_UNDERWAY, at.stage);
	assert_string_equal("london", at.peer);
	w->site[AT_LONDON].road[AT_OSLO].cut = false;
	nw_pass(w, 6 * 3600);
	assert_false(custody_where(s->x, id, 1, &at));
	assert_int_equal(0, nw_messages(w, AT_PARIS));
}

/* What becomes of a test that is never answered: nobody is told, and the
 * floor of the flow does not stay below it. */
static void
test_test_is_over(void **state)
{
	struct nw *w = *state;
	struct nw_site *s = &w->site[AT_PARIS];
	struct custody_counters c;
	struct custody_status st;
	struct flow_in f;
	struct buf at = BUF_INIT;
	struct err e = ERR_INIT;
	uint64_t serial, again;

	w->site[AT_OSLO].road[AT_LONDON].cut = true;
	assert_int_equal(0, custody_test(s->x, "oslo", &serial, &e));
	nw_pass(w, 600);
	assert_true(custody_test_status(s->x, "oslo", serial, &st));
	assert_int_equal(CUSTODY_UNDERWAY, st.stage);
	/* One at a time; it goes again at once. */
	assert_int_equal(0, custody_test(s->x, "oslo", &again, &e));
	assert_true(again == serial);
	nw_pass(w, 60);
	assert_true(custody_test_status(s->x, "oslo", serial, &st));
	assert_int_equal(2, st.attempts);
	assert_true(st.age_secs <= 60);
	nw_pass(w, 4 * 86400);
	assert_false(custody_test_status(s->x, "oslo", serial, &st));
	custody_counters(s->x, &c);
	assert_int_equal(0, c.unconfirmed);
	w->site[AT_OSLO].road[AT_LONDON].cut = false;
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 86400);
	assert_int_equal(0, nw_messages(w, AT_PARIS));
	assert_int_equal(1, w->site[AT_OSLO].delivered);
	assert_int_equal(0, spool_next_flow_in(w->site[AT_OSLO].spool, &at,
	    &f, &e));
	assert_true(f.floor > serial);
	flow_in_release(&f);
	buf_release(&at);
}

/*
 * What mail waits for.
 */
static void
assert_waits(struct nw *w, uint64_t message, size_t rcpt, const char *what)
{
	struct buf text = BUF_INIT;
	bool waits = waiting_for(w->site[AT_PARIS].x, message, rcpt, &text);

	assert_int_equal(waits, what != NULL);
	if (what != NULL && strstr(buf_cstr(&text), what) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", what, buf_cstr(&text));
	buf_release(&text);
}

static void
test_waits_for_call(void **state)
{
	struct nw *w = nw_new("call = \"every 1d\"", NULL, NULL);
	struct exchange_peer_status st;
	struct err e = ERR_INIT;
	uint64_t id;

	(void)state;
	nw_pass(w, 3600);
	id = nw_submit(w, AT_PARIS, "ann@paris.example", "bob@oslo.example "
	    "bob@paris.example", MAIL);
	nw_pass(w, 10);
	assert_waits(w, id, 0, "for a call of london, in 22h 59m");
	assert_waits(w, id, 1, NULL);
	w->site[AT_PARIS].road[AT_LONDON].cut = true;
	assert_int_equal(0, exchange_flush(w->site[AT_PARIS].x, "london",
	    &e));
	nw_pass(w, 5);
	exchange_peer_status(w->site[AT_PARIS].x, 0, &st);
	assert_int_equal(1, st.bundles);
	assert_in_range(st.bundle_octets, 100, 1000);
	assert_waits(w, id, 0, NULL);	/* trace tells of its serial */
	id = nw_submit(w, AT_PARIS, "ann@paris.example", "bob@oslo.example",
	    MAIL);
	assert_waits(w, id, 0, "for the next try of the road to london, in ");
	assert_waits(w, id, 0, ": no carrier");
	nw_free(w);
}

static void
test_waits_for_others(void **state)
{
	static const char never[] = "call = \"Never\"";
	struct nw *w = nw_new(never, NULL, NULL);
	struct exchange *x = w->site[AT_PARIS].x;
	struct err e = ERR_INIT;
	uint64_t id;

	(void)state;
	nw_pass(w, 60);
	id = nw_submit(w, AT_PARIS, "ann@paris.example", "bob@oslo.example",
	    MAIL);
	assert_waits(w, id, 0, "for a call of london, when it is ordered");
	assert_int_equal(0, exchange_hold(x, id, &e));
	assert_waits(w, id, 0, "it is held");
	assert_int_equal(0, exchange_release(x, id, &e));
	nw_free(w);
}

/* Its key has ended, and the road is not there to ask. */
static void
test_waits_for_key(void **state)
{
	struct nw *w = nw_new("call = \"Never\"", NULL, NULL);
	uint64_t id;

	(void)state;
	nw_pass(w, 61 * 86400);
	id = nw_submit(w, AT_PARIS, "ann@paris.example", "bob@oslo.example",
	    MAIL);
	assert_waits(w, id, 0, "no live key of oslo is known");
	nw_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_answered, nw_set_up,
		    nw_tear_down),
		cmocka_unit_test_setup_teardown(test_two_sites, nw_set_up,
		    nw_tear_down),
		cmocka_unit_test_setup_teardown(test_unconfirmed, nw_set_up,
		    nw_tear_down),
		cmocka_unit_test_setup_teardown(test_where, nw_set_up,
		    nw_tear_down),
		cmocka_unit_test_setup_teardown(test_test_is_over, nw_set_up,
		    nw_tear_down),
		cmocka_unit_test(test_waits_for_call),
		cmocka_unit_test(test_waits_for_others),
		cmocka_unit_test(test_waits_for_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
