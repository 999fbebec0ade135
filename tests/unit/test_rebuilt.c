/* SPDX-License-Identifier: ISC */
/*
 * Sites that are rebuilt from their exported keys while their clock is behind:
 * the cards they sign are older than those they signed before, and are
 * believed all the same, once they are told how far they had counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/custody_private.h"
#include "routing/card.h"
#include "tests/unit/native_world.h"

#define MAIL "Subject: hello\r\n\r\nThe quick brown fox.\r\n"
#define DAY 86400
#define EPOCH INT64_C(1700000000)	/* of the world's clock */
#define YEAR (365 * (int64_t)DAY)

/* The cards of all others, as the operator keeps them. */
static void
give_cards(struct nw *w, int to)
{
	struct err e = ERR_INIT;

	for (int i = 0; i < NW_SITES; i++) {
		struct buf card = BUF_INIT;

		if (i == to)
			continue;
		(void)directory_our_card(w->site[i].x->directory, &card);
		assert_int_equal(0, exchange_add_card(w->site[to].x,
		    buf_slice(&card), &e));
		buf_release(&card);
	}
}

/* All that is left are identity and auth key. */
static void
rebuild(struct nw *w, int site, int64_t wrong_secs)
{
	struct nw_site *s = &w->site[site];
	struct map *left = map_new();
	struct slice name;
	size_t pos = 0;
	void *text;

	nw_stop(s);
	store_mem_disk_free(s->disk);
	s->disk = store_mem_disk_new();
	while (map_next(s->entries, &pos, &name, &text)) {
		if (slice_eqs(name, "identity") || slice_eqs(name, "auth"))
			(void)map_put(left, name, text);
		else
			free(text);
	}
	map_free(s->entries);
	s->entries = left;
	s->wrong_ms = wrong_secs * 1000;
	nw_start(s);
	give_cards(w, site);
}

static uint64_t
counter_of(struct nw *w, int site)
{
	struct buf card = BUF_INIT;
	uint64_t n = directory_our_card(w->site[site].x->directory, &card);

	buf_release(&card);
	return n;
}

static uint64_t
held(struct nw *w, int by, const char *site)
{
	return directory_card(w->site[by].x->directory, site)->counter;
}

static void
mail(struct nw *w, int from, const char *sender, const char *to)
{
	assert_true(nw_submit(w, from, sender, to, MAIL) != 0);
}

/* Each way, and all believe the present card; it counts evenly on. */
static void
assert_well(struct nw *w, unsigned oslo, unsigned paris)
{
	assert_int_equal(oslo, w->site[AT_OSLO].delivered);
	assert_int_equal(paris, w->site[AT_PARIS].delivered);
	assert_true(held(w, AT_PARIS, "oslo") == counter_of(w, AT_OSLO));
	assert_true(held(w, AT_LONDON, "oslo") == counter_of(w, AT_OSLO));
	nw_assert_settled(w);
}

/* How wrong its clock is then: by a year; set to 1970; and back at the second
 * in which the card was signed, so that the counter is the same. */
static void
test_clock_behind(void **state)
{
	static const int64_t wrong[] = { -YEAR, -100 * YEAR, 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct nw *w = nw_new(NULL, NULL, NULL);
		uint64_t before;

		mail(w, AT_PARIS, "ann@paris.example", "bob@oslo.example");
		nw_pass(w, 600);
		assert_well(w, 1, 0);
		before = counter_of(w, AT_OSLO);
		rebuild(w, AT_OSLO, wrong[i] != 0 ? wrong[i] :
		    (int64_t)before - EPOCH - w->now_ms / 1000);
		assert_true(wrong[i] != 0 ? counter_of(w, AT_OSLO) < before :
		    counter_of(w, AT_OSLO) == before);
		mail(w, AT_PARIS, "ann@paris.example", "bob@oslo.example");
		nw_pass(w, DAY);
		mail(w, AT_OSLO, "bob@oslo.example", "ann@paris.example");
		nw_pass(w, DAY);
		assert_true(counter_of(w, AT_OSLO) > before);
		assert_well(w, 2, 1);
		nw_free(w);
	}
}

/* London is made anew too, and has seen no other card of oslo's: paris, which
 * is no neighbour of it, has the newer one. */
static void
test_from_afar(void **state)
{
	struct nw *w = *state;
	uint64_t before;

	mail(w, AT_PARIS, "ann@paris.example", "bob@oslo.example");
	nw_pass(w, 600);
	before = counter_of(w, AT_OSLO);
	rebuild(w, AT_OSLO, -YEAR);
	rebuild(w, AT_LONDON, 0);
	assert_true(held(w, AT_LONDON, "oslo") < before);
	mail(w, AT_PARIS, "ann@paris.example", "bob@oslo.example");
	nw_pass(w, DAY);
	assert_true(counter_of(w, AT_OSLO) > before);
	assert_well(w, 2, 0);
}

/* By stick it may take days until the card goes back: a restart forgets
 * nothing. */
static void
test_restart(void **state)
{
	struct nw *w = *state;
	struct nw_road *to = &w->site[AT_LONDON].road[AT_OSLO];
	struct buf card = BUF_INIT;
	uint64_t before;

	nw_pass(w, 600);
	before = counter_of(w, AT_OSLO);
	rebuild(w, AT_OSLO, -YEAR);
	to->cut = true;
	nw_pass(w, 3600);
	assert_true(counter_of(w, AT_OSLO) < before);
	nw_crash(w, AT_LONDON);
	assert_true(directory_back(w->site[AT_LONDON].x->directory, "oslo",
	    &card) == before);
	buf_release(&card);
	to->cut = false;
	nw_pass(w, DAY);
	assert_true(counter_of(w, AT_OSLO) > before);
	assert_true(held(w, AT_LONDON, "oslo") == counter_of(w, AT_OSLO));
}

/* Where nothing is sealed the card goes back as any other. */
static void
test_signed(void **state)
{
	struct nw *w = nw_new("seal = sign\n", "seal = sign\n",
	    "seal = sign\n");
	uint64_t before;

	(void)state;
	nw_pass(w, 600);
	before = counter_of(w, AT_OSLO);
	rebuild(w, AT_OSLO, -YEAR);
	nw_pass(w, 600);
	assert_true(counter_of(w, AT_OSLO) > before);
	assert_true(held(w, AT_LONDON, "oslo") == counter_of(w, AT_OSLO));
	nw_free(w);
}

/*
 * What is no such card.
 */
static struct card_key
key_of(unsigned char octet)
{
	static unsigned char octets[3][X25519_LEN];

	memset(octets[octet], octet + 1, X25519_LEN);
	return (struct card_key){ .octets = octets[octet],
	    .len = X25519_LEN };
}

/* A card of a site with these receiving keys (as bits), by its keyring's
 * identity or by another. */
static void
write_card(struct nw_site *s, uint64_t counter, unsigned keys, bool forged,
    struct buf *out)
{
	unsigned char secret[ED25519_LEN], public[ED25519_LEN];
	struct err e = ERR_INIT;
	struct card c;

	memcpy(secret, keyring_identity_secret(s->keyring), sizeof(secret));
	secret[0] ^= forged;
	ed25519_public(secret, public);
	card_init(&c);
	card_set_site(&c, s->name);
	card_set_identity(&c, public);
	card_set_auth(&c, keyring_auth_public(s->keyring));
	for (unsigned char i = 0; i < 3; i++)
		if (keys >> i & 1)
			card_add_receive(&c, key_of(i).octets,
			    2000000000 + i);
	c.counter = counter;
	buf_clear(out);
	assert_int_equal(0, card_write(&c, secret, out, &e));
	card_release(&c);
}

static void
test_what_is_behind(void **state)
{
	enum { HELD = 1800000000 };
	static const struct {
		uint64_t counter;
		unsigned keys;		/* the one that is held has 0 and 1 */
		const char *from;
		bool forged, behind;
	} rows[] = {
		{ HELD - 9, 1, "oslo", false, false },	/* late */
		{ HELD - 9, 2, "oslo", false, false },
		{ HELD - 9, 3, "oslo", false, false },
		{ HELD, 3, "oslo", false, false },	/* the same */
		{ HELD - 9, 4, "paris", false, false },	/* passed on */
		{ HELD - 9, 4, "oslo", true, false },
		{ HELD, 4, "oslo", true, false },
		{ HELD - 9, 4, "oslo", false, true },
		{ HELD - 9, 5, "oslo", false, true },
		{ HELD, 6, "oslo", false, true },
		{ HELD + 1, 4, "oslo", false, false },	/* newer: learned */
	};
	struct nw *w = *state;
	struct buf card = BUF_INIT, back = BUF_INIT;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct nw *v = i == 0 ? w : nw_new(NULL, NULL, NULL);
		struct directory *d = v->site[AT_LONDON].x->directory;
		struct nw_site *oslo = &v->site[AT_OSLO];
		struct err e = ERR_INIT;
		int rc;

		write_card(oslo, HELD, 3, false, &card);
		assert_int_equal(0, directory_learn(d, "oslo",
		    buf_slice(&card), &e));
		write_card(oslo, rows[i].counter, rows[i].keys,
		    rows[i].forged, &card);
		rc = directory_learn(d, rows[i].from, buf_slice(&card), &e);
		assert_int_equal(rows[i].forged ? ERR_DENIED : 0, rc);
		buf_clear(&back);
		assert_int_equal(rows[i].behind ? HELD : 0,
		    directory_back(d, "oslo", &back));
		assert_int_equal(rows[i].behind,
		    directory_back_is_due(d, "oslo"));
		if (v != w)
			nw_free(v);
	}
	buf_release(&card);
	buf_release(&back);
}

/* Of ourselves: only one that we signed and that is not behind ours is
 * counted on from. */
static void
test_of_ourselves(void **state)
{
	struct nw *w = *state;
	struct nw_site *oslo = &w->site[AT_OSLO];
	struct directory *d = oslo->x->directory;
	struct buf card = BUF_INIT;
	struct err e = ERR_INIT;
	uint64_t ours = counter_of(w, AT_OSLO);

	/* behind; the same; of another; damaged */
	write_card(oslo, ours - 1, 1, false, &card);
	assert_int_equal(0, directory_learn(d, "london", buf_slice(&card),
	    &e));
	buf_clear(&card);
	(void)directory_our_card(d, &card);
	assert_int_equal(0, directory_learn(d, "london", buf_slice(&card),
	    &e));
	write_card(oslo, ours + 9, 1, true, &card);
	assert_int_equal(ERR_DENIED, directory_learn(d, "london",
	    buf_slice(&card), &e));
	write_card(oslo, ours + 9, 1, false, &card);
	card.ptr[card.len - 10] ^= 1;
	assert_true(directory_learn(d, "london", buf_slice(&card), &e) < 0);
	/* none is beyond the last */
	write_card(oslo, INT64_MAX, 1, false, &card);
	assert_int_equal(ERR_LIMIT, directory_learn(d, "london",
	    buf_slice(&card), &e));
	assert_true(counter_of(w, AT_OSLO) == ours);
	/* its counter is ours, and it is another; then one ahead */
	write_card(oslo, ours, 1, false, &card);
	assert_int_equal(0, directory_learn(d, "paris", buf_slice(&card),
	    &e));
	assert_true(counter_of(w, AT_OSLO) == ours + 1);
	write_card(oslo, ours + YEAR, 1, false, &card);
	assert_int_equal(0, directory_learn(d, "paris", buf_slice(&card),
	    &e));
	assert_true(counter_of(w, AT_OSLO) == ours + YEAR + 1);
	/* and that lasts */
	nw_crash(w, AT_OSLO);
	assert_true(counter_of(w, AT_OSLO) == ours + YEAR + 1);
	/* Others are told, and its key is as good as before. */
	nw_pass(w, 600);
	mail(w, AT_PARIS, "ann@paris.example", "bob@oslo.example");
	nw_pass(w, 86400);
	mail(w, AT_OSLO, "bob@oslo.example", "ann@paris.example");
	nw_pass(w, 86400);
	assert_well(w, 1, 1);
	buf_release(&card);
}

/* Two copies of one site are about, and each says that it is behind whenever
 * it is heard of: however often that is, it is asked but now and then. */
static void
test_copies(void **state)
{
	struct nw *w = *state;
	struct directory *d = w->site[AT_LONDON].x->directory;
	struct nw_site *oslo = &w->site[AT_OSLO];
	struct buf card = BUF_INIT;
	struct err e = ERR_INIT;
	uint64_t n = 1800000000;
	unsigned given = 0;

	w->site[AT_OSLO].road[AT_LONDON].cut = true;
	w->site[AT_LONDON].road[AT_OSLO].cut = true;
	for (int i = 0; i < 5 * 24 * 6; i++) {
		bool due;

		/* One overtakes the other, and then that one is heard of. */
		write_card(oslo, n++, i % 2 == 0 ? 1 : 2, false, &card);
		assert_int_equal(0, directory_learn(d, "oslo",
		    buf_slice(&card), &e));
		write_card(oslo, n - 2, i % 2 == 0 ? 2 : 1, false, &card);
		assert_int_equal(0, directory_learn(d, "oslo",
		    buf_slice(&card), &e));
		due = directory_back_is_due(d, "oslo");
		given += due;
		if (due)
			directory_gave_back(d, "oslo");
		nw_pass(w, 600);
	}
	/* At 0, 1, 3, 7, 15, 31, 55, 79, 103 hours. */
	assert_int_equal(9, given);
	buf_release(&card);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, nw_set_up, nw_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clock_behind),
		TEST(test_from_afar),
		TEST(test_restart),
		cmocka_unit_test(test_signed),
		TEST(test_what_is_behind),
		TEST(test_of_ourselves),
		TEST(test_copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
