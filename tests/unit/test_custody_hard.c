/* SPDX-License-Identifier: ISC */
/*
 * Custody where things are lost or wanting: room, answers, keys, cards, old
 * spools.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "node/custody_private.h"
#include "node/directory_private.h"
#include "node/waiting.h"
#include "tests/unit/native_world.h"

#define MAIL "Subject: hello\r\n\r\nThe quick brown fox.\r\n"

/* There is no room for the notice, roads change and the power fails: it is not
 * confirmed all the same. */
static void
test_stays_unconfirmed(void **state)
{
	struct nw *w = *state;
	struct nw_site *paris = &w->site[AT_PARIS];

	w->site[AT_LONDON].road[AT_PARIS].cut = true;
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 86400);
	paris->full = true;
	nw_pass(w, 3 * 86400);
	assert_int_equal(0, paris->delivered);
	queue_reroute(paris->x);
	nw_pass(w, 3600);
	nw_crash(w, AT_PARIS);
	nw_pass(w, 3600);
	queue_reroute(paris->x);
	nw_pass(w, 3600);
	assert_int_equal(0, paris->delivered);
	paris->full = false;
	nw_pass(w, 3600);
	assert_int_equal(1, paris->delivered);
	nw_assert_mail(w, AT_PARIS, "not confirmed", true);
	nw_assert_mail(w, AT_PARIS, "could not be handed on", false);
	assert_int_equal(0, nw_messages(w, AT_PARIS));
}

/* The same of two serials with parts of one message. */
static void
test_two_unconfirmed(void **state)
{
	struct nw *w = *state;
	struct nw_site *paris = &w->site[AT_PARIS];

	w->site[AT_LONDON].road[AT_PARIS].cut = true;
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example bob@london.example", MAIL) != 0);
	nw_pass(w, 86400);
	paris->full = true;
	nw_pass(w, 3 * 86400);
	nw_crash(w, AT_PARIS);
	nw_pass(w, 3600);
	assert_int_equal(0, paris->delivered);
	paris->full = false;
	nw_pass(w, 3600);
	assert_in_range(paris->delivered, 1, 2);
	nw_assert_mail(w, AT_PARIS, "bob@oslo.example", true);
	nw_assert_mail(w, AT_PARIS, "bob@london.example", true);
	nw_assert_mail(w, AT_PARIS, "not confirmed", true);
	nw_assert_mail(w, AT_PARIS, "could not be handed on", false);
	assert_int_equal(0, nw_messages(w, AT_PARIS));
}

/* What is remembered for a time is forgotten within the hour, however much it
 * is; what is not old stays. */
static void
test_forgets(void **state)
{
	struct nw *w = *state;
	struct spool *sp = w->site[AT_PARIS].spool;
	uint64_t now = spool_elapsed_secs(sp);
	struct err e = ERR_INIT;
	struct spool_unit *u;
	char name[16];
	int i;

	nw_pass(w, 100);
	assert_int_equal(0, spool_begin(sp, &u, &e));
	for (i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(0, spool_put_seen(u, 'b', slice_of(name),
		    now + (i % 2 == 0 ? 200 : 86400), &e));
	}
	assert_int_equal(0, spool_commit(u, true, &e));
	nw_pass(w, 2 * 3600);
	for (i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(i % 2, spool_get_seen(sp, 'b',
		    slice_of(name), &e));
	}
	nw_pass(w, 86400);
	assert_int_equal(0, spool_get_seen(sp, 'b', SLICE_LIT("n1"), &e));
}

/* Paris is put back as it was before its first mail, and its serials are lost:
 * it gives numbers again that oslo knows of. */
static void
test_restored_empty(void **state)
{
	struct nw *w = *state;
	struct nw_site *s = &w->site[AT_PARIS];
	struct store_mem_disk *backup;
	struct custody_counters c;
	uint64_t epoch;

	nw_crash(w, AT_PARIS);
	backup = store_mem_disk_copy(s->disk);
	epoch = spool_epoch(s->spool);
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 60);
	assert_int_equal(1, w->site[AT_OSLO].delivered);
	nw_stop(s);
	store_mem_disk_free(s->disk);
	s->disk = backup;
	serials_clear(s->serials);
	nw_start(s);
	assert_true(spool_epoch(s->spool) != epoch);
	epoch = spool_epoch(s->spool);
	nw_crash(w, AT_PARIS);
	assert_true(spool_epoch(s->spool) == epoch);
	custody_counters(s->x, &c);
	assert_int_equal(0, c.epochs);
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "ann@oslo.example", "Subject: another\r\n\r\nMail.\r\n") != 0);
	nw_pass(w, 60);
	assert_int_equal(2, w->site[AT_OSLO].delivered);
	nw_assert_mail(w, AT_OSLO, "Subject: another", true);
	nw_assert_settled(w);
}

/* Nobody answers: it is asked ever less often, and again soon once it did. */
static void
test_key_requests_back_off(void **state)
{
	struct nw *w = *state;
	struct nw_road *road = &w->site[AT_PARIS].road[AT_LONDON];
	struct nw_road *beyond = &w->site[AT_LONDON].road[AT_OSLO];
	int i;

	for (i = 0; i < NW_SITES; i++)
		w->site[i].road[0].cut = w->site[i].road[1].cut =
		    w->site[i].road[2].cut = true;
	nw_pass(w, 200 * 86400);
	road->cut = w->site[AT_LONDON].road[AT_PARIS].cut = false;
	nw_pass(w, 86400);
	road->sent = 0;
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 40 * 3600);
	/* At 0, 1, 3, 7, 15 and 31 hours, and what london is acknowledged. */
	assert_in_range(road->sent, 6, 16);
	beyond->cut = w->site[AT_OSLO].road[AT_LONDON].cut = false;
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 26 * 3600);
	assert_in_range(w->site[AT_OSLO].delivered, 1, 2);
}

/* A neighbour whose card nobody has is not called; mail for him, or by him,
 * fails all the same when it is too old. */
static void
test_expires_without_card(void **state)
{
	struct nw *w = *state;
	struct nw_site *paris = &w->site[AT_PARIS];

	nw_stop(paris);
	store_mem_disk_free(paris->disk);
	paris->disk = store_mem_disk_new();
	nw_start(paris);
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@london.example", MAIL) != 0);
	nw_pass(w, 4 * 86400);
	assert_int_equal(2, paris->delivered);
	nw_assert_mail(w, AT_PARIS, "bob@oslo.example", true);
	nw_assert_mail(w, AT_PARIS, "bob@london.example", true);
	nw_assert_mail(w, AT_PARIS, "4.4.7", true);
	nw_assert_settled(w);
}

/* The neighbour is dead and his keys have ended: he is asked for new ones by
 * the first transport, and what would go by the second never does.  It fails
 * all the same when it is too old. */
static void
test_expires_without_keys(void **state)
{
	struct nw *w = nw_new("transport radio { program = /bin/true\n"
	    "priority-min = 5 }\n transport stick { program = /bin/true }\n",
	    NULL, NULL);
	struct nw_site *paris = &w->site[AT_PARIS];
	int i;

	(void)state;
	for (i = 0; i < NW_SITES; i++)
		w->site[i].road[0].cut = w->site[i].road[1].cut =
		    w->site[i].road[2].cut = true;
	nw_pass(w, 200 * 86400);
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@london.example", MAIL) != 0);
	nw_pass(w, 5 * 86400);
	assert_int_equal(2, paris->delivered);
	nw_assert_mail(w, AT_PARIS, "bob@oslo.example", true);
	nw_assert_mail(w, AT_PARIS, "bob@london.example", true);
	nw_assert_mail(w, AT_PARIS, "4.4.7", true);
	nw_free(w);
}

/* As if the neighbour had acknowledged the bundles, though no result came. */
static void
hop_is_done(struct nw_site *site)
{
	struct list *item, *lot;

	list_for_each(item, &site->x->custody->flows) {
		list_for_each(lot, &list_entry(item, struct flow, link)->lots)
			list_entry(lot, struct lot, link)->hop_done = true;
	}
}

/* London took the mail, and what it said of it was lost: the very same again
 * is opened again, and answered. */
static void
test_opened_again(void **state)
{
	struct nw *w = *state;
	struct nw_site *london = &w->site[AT_LONDON];
	struct custody_counters n;

	nw_pass(w, 86400);
	london->road[AT_PARIS].cut = true;
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@london.example", MAIL) != 0);
	nw_pass(w, 60);
	hop_is_done(&w->site[AT_PARIS]);
	nw_pass(w, 4 * 3600);
	custody_counters(london->x, &n);
	assert_int_equal(1, n.duplicates);
	london->road[AT_PARIS].cut = false;
	nw_pass(w, 12 * 3600);
	nw_assert_settled(w);
	assert_int_equal(1, london->delivered);
	assert_int_equal(0, w->site[AT_PARIS].delivered);
}

/* Where calls are made by night, if something waits, new keys are something:
 * after months without mail the first one needs no asking, and who asks is
 * answered. */
static void
test_cards_by_night(void **state)
{
	static const char night[] = "call = { \"Any2200-0700\" }\n";
	struct nw *w = nw_new(NULL, night, NULL);
	struct nw_road *road = &w->site[AT_LONDON].road[AT_PARIS];

	(void)state;
	nw_pass(w, 200 * 86400);
	assert_true(road->sent > 1);
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 86400);
	assert_int_equal(1, w->site[AT_OSLO].delivered);
	road->cut = true;
	nw_pass(w, 200 * 86400);
	road->cut = false;
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 2 * 86400);
	assert_int_equal(2, w->site[AT_OSLO].delivered);
	nw_free(w);
}

/* The lot of a site that is under way. */
static const struct lot *
lot_of(const struct nw_site *site)
{
	struct list *item, *lot;

	list_for_each(item, &site->x->custody->flows) {
		list_for_each(lot, &list_entry(item, struct flow, link)->lots)
			return list_entry(lot, struct lot, link);
	}
	fail_msg("%s has no lot", site->name);
	return NULL;
}

/* All that happens at once. */
static void
moment(struct nw *w)
{
	for (int i = 0; i < 50; i++)
		nw_pass(w, 0);
}

/* Mail both ways at once: what oslo says of paris' is in the bundle of its own,
 * and the parcel with that is lost. */
static void
lose_result(struct nw *w)
{
	struct nw_site *oslo = &w->site[AT_OSLO];

	nw_pass(w, 60);
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	moment(w);
	assert_int_equal(1, oslo->delivered);
	oslo->road[AT_LONDON].lose = 1;
	assert_true(nw_submit(w, AT_OSLO, "bob@oslo.example",
	    "ann@paris.example", MAIL) != 0);
	moment(w);
	assert_true(list_empty(&oslo->x->custody->answers));
	assert_int_equal(1, map_count(oslo->x->custody->rides));
	assert_int_equal(1, lot_of(oslo)->attempts);
	assert_true(nw_messages(w, AT_PARIS) == 1);
}

/* Paris has it, and oslo's card, without having repeated anything. */
static void
assert_said(struct nw *w)
{
	struct nw_site *oslo = &w->site[AT_OSLO];
	struct custody_counters n;

	assert_int_equal(0, nw_messages(w, AT_PARIS));
	assert_true(directory_find(w->site[AT_PARIS].x->directory,
	    "oslo")->rec.fresh);
	custody_counters(oslo->x, &n);
	assert_int_equal(0, n.duplicates);
	assert_int_equal(0, map_count(oslo->x->custody->rides));
}

/* Another bundle takes the place of that: the result is in it. */
static void
test_result_of_replaced(void **state)
{
	struct nw *w = *state;
	struct nw_site *oslo = &w->site[AT_OSLO];

	lose_result(w);
	custody_retry(oslo->x, lot_of(oslo)->handle);
	nw_pass(w, 30);
	assert_int_equal(1, w->site[AT_PARIS].delivered);
	nw_assert_settled(w);
	assert_said(w);
}

/* That is given up, for its mail is: the result goes by itself. */
static void
test_result_of_given_up(void **state)
{
	struct nw *w = *state;
	struct nw_site *oslo = &w->site[AT_OSLO];
	const struct lot *lot;
	struct err e = ERR_INIT;

	lose_result(w);
	lot = lot_of(oslo);
	assert_int_equal(0, lot_void(oslo->x->custody, lot_find(
	    oslo->x->custody, "paris", lot->serial), NULL, &e));
	nw_pass(w, 30);
	assert_said(w);
}

static void
assert_waits(struct nw *w, uint64_t id, const char *text)
{
	struct buf out = BUF_INIT;

	assert_true(waiting_for(w->site[AT_PARIS].x, id, 0, &out));
	assert_string_equal(buf_cstr(&out), text);
	buf_release(&out);
}

/* London says nothing to what it is to forward. */
static void
test_says_what_is_silent(void **state)
{
	struct nw *w = *state;
	struct nw_road *road = &w->site[AT_PARIS].road[AT_LONDON];
	struct buf out = BUF_INIT;
	uint64_t far, near;

	nw_pass(w, 60);
	road->lose = 1000;
	far = nw_submit(w, AT_PARIS, "ann@paris.example", "bob@oslo.example",
	    MAIL);
	near = nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@london.example", MAIL);
	nw_pass(w, 30);
	assert_waits(w, far, "for london to acknowledge it, which was handed "
	    "all of it 30s ago");
	nw_pass(w, 60);
	assert_true(waiting_for(w->site[AT_PARIS].x, far, 0, &out));
	assert_non_null(strstr(buf_cstr(&out), " ago, and 1 time before: does "
	    "it forward for this site (may-relay, there)?"));
	buf_clear(&out);
	assert_true(waiting_for(w->site[AT_PARIS].x, near, 0, &out));
	assert_null(strstr(buf_cstr(&out), "may-relay"));
	buf_release(&out);
	road->lose = 0;
	nw_pass(w, 86400);
	nw_assert_settled(w);
}

/* The road is there, but not for what is sealed. */
static void
test_says_what_is_signed(void **state)
{
	struct nw *w = nw_new("seal = sign\n", NULL, NULL);
	uint64_t id = nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL);

	(void)state;
	nw_pass(w, 30);
	assert_waits(w, id, "no road leads to oslo now: bundles sealed for "
	    "others are not sent to london, where all is signed "
	    "(forward-signed)");
	nw_free(w);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, nw_set_up, nw_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_stays_unconfirmed),
		TEST(test_two_unconfirmed),
		TEST(test_forgets),
		TEST(test_restored_empty),
		TEST(test_key_requests_back_off),
		TEST(test_expires_without_card),
		TEST(test_opened_again),
		TEST(test_says_what_is_silent),
		cmocka_unit_test(test_says_what_is_signed),
		TEST(test_result_of_replaced),
		TEST(test_result_of_given_up),
		cmocka_unit_test(test_expires_without_keys),
		cmocka_unit_test(test_cards_by_night),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
