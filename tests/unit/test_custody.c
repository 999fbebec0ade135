/* SPDX-License-Identifier: ISC */
/*
 * Custody from end to end, between exchanges that hand each other parcels.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/native_world.h"

#define MAIL "Subject: hello\r\n\r\nThe quick brown fox.\r\n"

static void
assert_mail(struct nw *w, int site, const char *what, bool there)
{
	const char *text = buf_cstr(&w->site[site].mails);

	if ((strstr(text, what) != NULL) != there)
		fail_msg("\"%s\" is %sin \"%s\"", what, there ? "not " : "",
		    text);
}

static void
assert_settled(struct nw *w)
{
	int i;

	for (i = 0; i < NW_SITES; i++)
		assert_int_equal(0, nw_messages(w, i));
}

/* A short mail to the neighbour and one over the relay. */
static void
test_delivers(void **state)
{
	struct nw *w = *state;

	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@london.example", MAIL) != 0);
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 60);
	assert_int_equal(1, w->site[AT_LONDON].delivered);
	assert_int_equal(1, w->site[AT_OSLO].delivered);
	assert_mail(w, AT_LONDON, "to bob@london.example\n" MAIL, true);
	assert_mail(w, AT_OSLO, "to bob@oslo.example\n" MAIL, true);
	assert_settled(w);
}

/* One bad recipient of two: the sender's site writes the notice. */
static void
test_refused_recipient(void **state)
{
	struct nw *w = *state;

	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "nobody@oslo.example bob@oslo.example", MAIL) != 0);
	nw_pass(w, 60);
	assert_int_equal(1, w->site[AT_OSLO].delivered);
	assert_int_equal(1, w->site[AT_PARIS].delivered);
	assert_mail(w, AT_PARIS, "to ann@paris.example\n", true);
	assert_mail(w, AT_PARIS, "nobody@oslo.example", true);
	assert_mail(w, AT_PARIS, "5.1.1", true);
	assert_mail(w, AT_PARIS, "bob@oslo.example", false);
	assert_settled(w);
}

/* Files that are lost are sent again, files that come twice change nothing. */
static void
test_loss_and_repetition(void **state)
{
	struct nw *w = *state;

	w->site[AT_PARIS].road[AT_LONDON].lose = 1;
	w->site[AT_LONDON].road[AT_OSLO].lose = 1;
	w->site[AT_OSLO].road[AT_LONDON].lose = 1;
	w->site[AT_LONDON].road[AT_PARIS].twice = 3;
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 6 * 3600);
	assert_int_equal(1, w->site[AT_OSLO].delivered);
	assert_settled(w);
}

/* The power fails everywhere, again and again. */
static void
test_crashes(void **state)
{
	struct nw *w = *state;
	int i;

	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example ann@london.example", MAIL) != 0);
	for (i = 0; i < 30; i++) {
		nw_pass(w, 1);
		nw_crash(w, i % NW_SITES);
	}
	nw_pass(w, 86400);
	assert_int_equal(1, w->site[AT_OSLO].delivered);
	assert_int_equal(1, w->site[AT_LONDON].delivered);
	assert_settled(w);
}

/* No road for longer than a message lives: not confirmed only where it may
 * have gone. */
static void
test_expires(void **state)
{
	struct nw *w = *state;

	w->site[AT_PARIS].road[AT_LONDON].cut = true;
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 4 * 86400);
	assert_int_equal(0, w->site[AT_OSLO].delivered);
	assert_int_equal(1, w->site[AT_PARIS].delivered);
	assert_mail(w, AT_PARIS, "4.4.7", true);
	assert_settled(w);
}

/* The relay gets it and the answers never come back. */
static void
test_not_confirmed(void **state)
{
	struct nw *w = *state;

	w->site[AT_LONDON].road[AT_PARIS].cut = true;
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 4 * 86400);
	assert_int_equal(1, w->site[AT_OSLO].delivered);
	assert_int_equal(1, w->site[AT_PARIS].delivered);
	assert_mail(w, AT_PARIS, "not confirmed", true);
	assert_int_equal(0, nw_messages(w, AT_PARIS));
}

/* Paris is put back as it was; what it sends again is not delivered twice. */
static void
test_restored(void **state)
{
	struct nw *w = *state;
	struct nw_site *s = &w->site[AT_PARIS];
	struct custody_counters c;
	uint64_t epoch = spool_epoch(s->spool);

	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 60);
	assert_int_equal(1, w->site[AT_OSLO].delivered);
	/* The file is lost: whatever the spool says is not believed. */
	serials_clear(s->serials);
	nw_crash(w, AT_PARIS);
	assert_true(spool_epoch(s->spool) != epoch);
	custody_counters(s->x, &c);
	assert_int_equal(1, c.epochs);
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "ann@oslo.example", MAIL) != 0);
	nw_pass(w, 60);
	assert_int_equal(2, w->site[AT_OSLO].delivered);
	assert_settled(w);
}

/* A new epoch in the middle of things: the message goes again under it, and
 * is known by its number. */
static void
test_new_epoch_midway(void **state)
{
	struct nw *w = *state;
	struct nw_site *s = &w->site[AT_PARIS];

	w->site[AT_LONDON].road[AT_PARIS].cut = true;
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 60);
	assert_int_equal(1, w->site[AT_OSLO].delivered);
	assert_int_equal(1, nw_messages(w, AT_PARIS));
	serials_clear(s->serials);
	nw_crash(w, AT_PARIS);
	w->site[AT_LONDON].road[AT_PARIS].cut = false;
	nw_pass(w, 4 * 3600);
	assert_int_equal(1, w->site[AT_OSLO].delivered);
	assert_int_equal(0, w->site[AT_PARIS].delivered);
	assert_settled(w);
}

static bool
holds(const struct buf *b, const char *word)
{
	return memmem(b->ptr, b->len, word, strlen(word)) != NULL;
}

/* Nothing that a road carries says who, where or what. */
static void
test_nothing_in_clear(void **state)
{
	static const char *const words[] = { "paris", "london", "oslo",
		"example", "ann", "bob@", "Subject", "brown", "MAIL", "RCPT",
		"postrider" };
	struct nw *w = *state;
	size_t k;
	int i, j;

	w->watch = true;
	for (i = 0; i < 20; i++)
		assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
		    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 60);
	assert_int_equal(20, w->site[AT_OSLO].delivered);
	for (i = 0; i < NW_SITES; i++)
		for (j = 0; j < NW_SITES; j++)
			for (k = 0; k < sizeof(words) / sizeof(*words); k++)
				assert_false(strlen(words[k]) > 3 &&
				    holds(&w->site[i].road[j].seen,
				    words[k]));
	assert_true(w->site[AT_PARIS].road[AT_LONDON].octets > 0);
}

static void
test_peer_test(void **state)
{
	struct nw *w = *state;
	struct custody_status st;
	struct err e = ERR_INIT;
	uint64_t serial;

	assert_int_equal(0, custody_test(w->site[AT_PARIS].x, "oslo", &serial,
	    &e));
	assert_true(custody_test_status(w->site[AT_PARIS].x, "oslo", serial,
	    &st));
	assert_int_equal(CUSTODY_SEALING, st.stage);
	nw_pass(w, 30);
	assert_true(custody_test_status(w->site[AT_PARIS].x, "oslo", serial,
	    &st));
	assert_int_equal(CUSTODY_ANSWERED, st.stage);
	assert_int_equal(ERR_NOT_FOUND, custody_test(w->site[AT_PARIS].x,
	    "bergen", &serial, &e));
	assert_non_null(strstr(e.text, "card of bergen"));
}

/* Months of silence: every key that was known is gone. */
static void
test_key_request(void **state)
{
	struct nw *w = *state;
	int i;

	for (i = 0; i < NW_SITES; i++)
		w->site[i].road[0].cut = w->site[i].road[1].cut =
		    w->site[i].road[2].cut = true;
	nw_pass(w, 200 * 86400);
	for (i = 0; i < NW_SITES; i++)
		w->site[i].road[0].cut = w->site[i].road[1].cut =
		    w->site[i].road[2].cut = false;
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 86400);
	assert_int_equal(1, w->site[AT_OSLO].delivered);
	assert_settled(w);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, nw_set_up, nw_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_delivers),
		TEST(test_refused_recipient),
		TEST(test_loss_and_repetition),
		TEST(test_crashes),
		TEST(test_expires),
		TEST(test_not_confirmed),
		TEST(test_restored),
		TEST(test_new_epoch_midway),
		TEST(test_nothing_in_clear),
		TEST(test_peer_test),
		TEST(test_key_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
