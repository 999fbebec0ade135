/* SPDX-License-Identifier: ISC */
/*
 * The keyring under a virtual clock, with a store that can fail: epochs come
 * and go when they should, through crashes, jumps of the clock and lost state.
 */
#include "node/keyring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/kdf.h"
#include "base/mem.h"
#include "base/secret.h"

#define DAY UINT64_C(86400)
#define LIFE (180 * DAY)
#define ENTRIES 8

struct world {
	struct clock clock;
	int64_t wall_ms, mono_ms;
	struct rng_seeded rng;
	struct entry {
		char *name;
		struct buf text;
	} entry[ENTRIES];
	int fail_in;		/* the store fails at this call; 0: never */
	unsigned puts, dels;
	struct keyring *k;
	struct keyring_policy policy;
};

static int64_t
world_wall(struct clock *c)
{
	return ((struct world *)(void *)c)->wall_ms;
}

static int64_t
world_mono(struct clock *c)
{
	return ((struct world *)(void *)c)->mono_ms;
}

static struct entry *
find_entry(struct world *w, const char *name)
{
	for (size_t i = 0; i < ENTRIES; i++)
		if (w->entry[i].name != NULL &&
		    strcmp(w->entry[i].name, name) == 0)
			return &w->entry[i];
	return NULL;
}

static bool
fails(struct world *w)
{
	return w->fail_in > 0 && --w->fail_in == 0;
}

static int
world_put(void *ctx, const char *name, struct slice text, struct err *e)
{
	struct world *w = ctx;
	struct entry *at = find_entry(w, name);

	w->puts++;
	if (fails(w))
		return err_set(e, ERR_IO, "the store fails");
	for (size_t i = 0; at == NULL; i++) {
		assert_true(i < ENTRIES);
		if (w->entry[i].name == NULL) {
			at = &w->entry[i];
			at->name = mem_strdup(name);
		}
	}
	buf_clear(&at->text);
	buf_addslice(&at->text, text);
	return 0;
}

static int
world_del(void *ctx, const char *name, struct err *e)
{
	struct world *w = ctx;
	struct entry *at = find_entry(w, name);

	w->dels++;
	if (fails(w))
		return err_set(e, ERR_IO, "the store fails");
	if (at != NULL) {
		free(at->name);
		at->name = NULL;
		buf_clear(&at->text);
	}
	return 0;
}

static const struct keyring_store store = { world_put, world_del };

static void
world_init(struct world *w, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	w->clock = (struct clock){ world_wall, world_mono };
	w->wall_ms = INT64_C(1741168800000);
	w->mono_ms = 12345;
	w->policy = (struct keyring_policy){ LIFE, 14 * DAY, 30 * DAY };
	rng_seeded_init(&w->rng, seed);
}

static void
world_new(struct world *w)
{
	w->k = keyring_new("paris", &w->policy, &w->clock, &w->rng.rng,
	    &store, w);
}

static void
world_make(struct world *w, uint64_t seed)
{
	world_init(w, seed);
	world_new(w);
	assert_int_equal(keyring_make(w->k, NULL), 0);
	assert_int_equal(keyring_start(w->k, NULL), 0);
}

/* A restart, after so long. */
static int
world_restart(struct world *w, uint64_t secs, struct err *e)
{
	int rc = 0;

	keyring_free(w->k);
	w->wall_ms += (int64_t)secs * 1000;
	w->mono_ms = 777;
	world_new(w);
	for (size_t i = 0; rc == 0 && i < ENTRIES; i++)
		if (w->entry[i].name != NULL)
			rc = keyring_restore(w->k, w->entry[i].name,
			    buf_slice(&w->entry[i].text), e);
	return rc == 0 ? keyring_start(w->k, e) : rc;
}

static void
world_end(struct world *w)
{
	keyring_free(w->k);
	for (size_t i = 0; i < ENTRIES; i++) {
		free(w->entry[i].name);
		buf_release(&w->entry[i].text);
	}
}

/* Lets the time pass from deadline to deadline, as the daemon does. */
static void
world_pass(struct world *w, uint64_t secs)
{
	int64_t end = w->mono_ms + (int64_t)secs * 1000;

	while (w->mono_ms < end) {
		int64_t next = keyring_deadline_ms(w->k);

		if (next > end)
			next = end;
		assert_true(next >= w->mono_ms);
		w->wall_ms += next - w->mono_ms;
		w->mono_ms = next;
		assert_int_equal(keyring_tick(w->k, NULL), 0);
	}
}

static size_t
live(struct world *w, struct keyring_key keys[KEYRING_LIVE_MAX])
{
	return keyring_receiving(w->k, keys);
}

static void
get_card(struct world *w, struct card *c_out, struct buf *text)
{
	static const char *const domains[] = { "Paris.example",
		"a.paris.example", "[192.0.2.1]" };
	static const char *const reaches[] = { "tcp port=1 host=h" };
	const struct keyring_about about = { domains, 3, reaches, 1 };
	struct buf own = BUF_INIT;
	uint64_t counter = 0;

	if (text == NULL)
		text = &own;
	assert_int_equal(keyring_card(w->k, &about, text, &counter, NULL), 0);
	assert_int_equal(card_parse(buf_slice(text), c_out, NULL), 0);
	assert_true(counter == c_out->counter);
	buf_release(&own);
}

static void
test_policy(void **state)
{
	struct keyring_policy p = { 88 * DAY, 14 * DAY, 30 * DAY };
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(keyring_policy_check(&p, &e), 0);
	p.life_secs -= 2;
	assert_int_equal(keyring_policy_check(&p, &e), ERR_CONFIG);
	assert_non_null(strstr(e.text, "44d"));
}

/* One key from its making to its end. */
static void
test_epochs(void **state)
{
	struct keyring_key keys[KEYRING_LIVE_MAX], old[KEYRING_LIVE_MAX];
	struct world w;

	(void)state;
	world_make(&w, 1);
	assert_int_equal(live(&w, old), 1);
	assert_int_equal(old[0].age_secs, 0);
	assert_int_equal(old[0].left_secs, LIFE);
	assert_true(keyring_left_secs(w.k, old[0].id) == LIFE);
	world_pass(&w, LIFE / 2 - 1);
	assert_int_equal(live(&w, keys), 1);
	world_pass(&w, 1);
	/* at half-life the next one is there, and both are good */
	assert_int_equal(live(&w, keys), 2);
	assert_true(keys[1].id == old[0].id && keys[0].id != old[0].id);
	assert_true(keys[0].age_secs == 0 && keys[1].left_secs == LIFE / 2);
	world_pass(&w, LIFE / 2 - 1);
	assert_int_equal(live(&w, keys), 2);
	world_pass(&w, 1);
	/* the first is gone for good, from the store too; a third is made */
	assert_int_equal(live(&w, keys), 2);
	assert_true(keys[1].id != old[0].id && keys[0].id != old[0].id);
	assert_true(keyring_left_secs(w.k, old[0].id) == 0);
	assert_int_equal(w.dels, 1);
	world_pass(&w, 10 * LIFE);
	assert_int_equal(live(&w, keys), 2);
	keyring_keys_wipe(keys);
	assert_true(secret_is_zero(keys, sizeof(keys)));
	world_end(&w);
}

/* Whatever moment a site learned our card at, and whatever time within the
 * gap it sends at, what it sends arrives within its lifetime for a live key. */
static void
test_overlap(void **state)
{
	struct world w;
	struct card c;

	(void)state;
	world_make(&w, 2);
	w.policy.life_secs = 88 * DAY;	/* the least that is allowed */
	keyring_set_policy(w.k, &w.policy);
	world_pass(&w, 2 * LIFE);
	for (unsigned day = 0; day < 200; day += 3) {
		uint64_t told, need = 44 * DAY;

		get_card(&w, &c, NULL);
		told = card_receiving(&c, 0, w.wall_ms / 1000)->id;
		/* it hears of nothing else for 30 days, and then seals what
		 * takes 14 days */
		assert_true(keyring_left_secs(w.k, told) >= need);
		card_release(&c);
		world_pass(&w, 3 * DAY);
	}
	world_end(&w);
}

static void
test_rotate(void **state)
{
	struct keyring_key keys[KEYRING_LIVE_MAX];
	struct err e = ERR_INIT;
	struct world w;

	(void)state;
	world_make(&w, 3);
	world_pass(&w, 10 * DAY);
	assert_int_equal(keyring_rotate(w.k, &e), 0);
	world_pass(&w, 10 * DAY);
	assert_int_equal(keyring_rotate(w.k, &e), 0);
	assert_int_equal(live(&w, keys), 3);
	assert_true(keys[0].age_secs == 0 && keys[1].age_secs == 10 * DAY &&
	    keys[2].age_secs == 20 * DAY);
	assert_int_equal(keyring_rotate(w.k, &e), ERR_FULL);
	assert_non_null(strstr(e.text, "160d"));
	/* three are live: the next one waits until the oldest is gone */
	world_pass(&w, 160 * DAY - 1);
	assert_int_equal(live(&w, keys), 3);
	world_pass(&w, 1);
	assert_int_equal(live(&w, keys), 3);
	assert_int_equal(keys[0].age_secs, 0);
	world_end(&w);
}

/* Two of one second, and a policy that asks for less. */
static void
test_order(void **state)
{
	struct keyring_key before[KEYRING_LIVE_MAX], keys[KEYRING_LIVE_MAX];
	struct world w;
	struct card c;

	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		world_make(&w, seed);
		assert_int_equal(keyring_rotate(w.k, NULL), 0);
		w.policy.life_secs = 88 * DAY;
		keyring_set_policy(w.k, &w.policy);
		assert_int_equal(keyring_rotate(w.k, NULL), 0);
		assert_int_equal(live(&w, before), 3);
		get_card(&w, &c, NULL);
		assert_true(card_receiving(&c, 0, 0)->id == before[0].id);
		assert_true(c.receive[1].id == before[1].id);
		card_release(&c);
		assert_int_equal(world_restart(&w, 0, NULL), 0);
		assert_int_equal(live(&w, keys), 3);
		for (size_t i = 0; i < 3; i++)
			assert_true(keys[i].id == before[i].id);
		world_end(&w);
	}
}

static void
test_restart(void **state)
{
	struct keyring_key before[KEYRING_LIVE_MAX], keys[KEYRING_LIVE_MAX];
	unsigned char identity[32], auth[32];
	struct err e = ERR_INIT;
	struct world w;

	(void)state;
	world_make(&w, 4);
	memcpy(identity, keyring_identity_secret(w.k), 32);
	memcpy(auth, keyring_auth_secret(w.k), 32);
	world_pass(&w, 100 * DAY);
	assert_int_equal(live(&w, before), 2);
	assert_int_equal(world_restart(&w, 2 * DAY, &e), 0);
	assert_memory_equal(keyring_identity_secret(w.k), identity, 32);
	assert_memory_equal(keyring_auth_secret(w.k), auth, 32);
	assert_int_equal(live(&w, keys), 2);
	for (size_t i = 0; i < 2; i++) {
		assert_true(keys[i].id == before[i].id);
		assert_memory_equal(keys[i].secret, before[i].secret, 32);
		assert_memory_equal(keys[i].public, before[i].public, 32);
		/* the state was saved within the hour */
		assert_in_range(before[i].left_secs - keys[i].left_secs,
		    2 * DAY, 2 * DAY);
	}
	/* a clock that jumped by years ages nothing beyond a week */
	assert_int_equal(world_restart(&w, 3650 * DAY, &e), 0);
	assert_int_equal(live(&w, keys), 2);
	assert_int_equal(before[1].left_secs - keys[1].left_secs, 9 * DAY);
	/* and one that jumped back, nothing */
	w.wall_ms = 1000;
	assert_int_equal(world_restart(&w, 0, &e), 0);
	assert_int_equal(live(&w, keys), 2);
	assert_int_equal(before[1].left_secs - keys[1].left_secs, 9 * DAY);
	world_end(&w);
}

/* Switched off over the end of a key. */
static void
test_end_while_off(void **state)
{
	struct keyring_key before[KEYRING_LIVE_MAX], keys[KEYRING_LIVE_MAX];
	struct world w;

	(void)state;
	world_make(&w, 5);
	world_pass(&w, LIFE - 3 * DAY);
	assert_int_equal(live(&w, before), 2);
	assert_int_equal(world_restart(&w, 4 * DAY, NULL), 0);
	assert_int_equal(live(&w, keys), 2);
	assert_true(keys[1].id == before[0].id);
	assert_int_equal(w.dels, 1);
	world_end(&w);
}

static void
test_lost_state(void **state)
{
	struct keyring_key before[KEYRING_LIVE_MAX], keys[KEYRING_LIVE_MAX];
	struct world w;
	struct card c;
	uint64_t counter;

	(void)state;
	world_make(&w, 6);
	get_card(&w, &c, NULL);
	counter = c.counter;
	card_release(&c);
	world_pass(&w, 100 * DAY);
	live(&w, before);
	assert_int_equal(world_del(&w, "state", NULL), 0);
	assert_int_equal(world_restart(&w, DAY, NULL), 0);
	/* time goes on from the youngest key */
	assert_int_equal(live(&w, keys), 2);
	assert_true(keys[0].id == before[0].id);
	assert_int_equal(keys[0].age_secs, 0);
	/* and the card's counter from the date */
	get_card(&w, &c, NULL);
	assert_true(c.counter > counter);
	card_release(&c);
	world_end(&w);
}

static void
test_incomplete(void **state)
{
	struct err e = ERR_INIT;
	struct world w;

	(void)state;
	world_init(&w, 7);
	world_new(&w);
	assert_int_equal(keyring_start(w.k, &e), ERR_NOT_FOUND);
	assert_non_null(strstr(e.text, "identity"));
	assert_int_equal(keyring_make(w.k, NULL), 0);
	assert_int_equal(world_del(&w, "auth", NULL), 0);
	assert_int_equal(world_restart(&w, 0, &e), ERR_NOT_FOUND);
	assert_non_null(strstr(e.text, "auth"));
	/* what is missing is made, what is there stays */
	assert_int_equal(keyring_make(w.k, NULL), 0);
	assert_int_equal(keyring_start(w.k, NULL), 0);
	world_end(&w);
}

/* The store fails at each of its calls in turn: keys go on working, nothing
 * is announced that is not durable, and later all is well again. */
static void
test_failing_store(void **state)
{
	struct keyring_key keys[KEYRING_LIVE_MAX];
	struct world w;
	struct card c;

	(void)state;
	for (int at = 1; at < 12; at++) {
		struct buf name = BUF_INIT;
		struct err e = ERR_INIT;

		world_make(&w, 8);
		world_pass(&w, LIFE - DAY);
		w.fail_in = at;
		for (unsigned hour = 0; hour < 60; hour++) {
			int64_t next;

			w.wall_ms += 3600 * 1000;
			w.mono_ms += 3600 * 1000;
			if (keyring_tick(w.k, &e) != 0) {
				next = keyring_deadline_ms(w.k);
				assert_int_equal(next - w.mono_ms, 60000);
			}
			assert_in_range(live(&w, keys), 1, 2);
		}
		w.fail_in = 0;
		world_pass(&w, DAY);
		assert_int_equal(live(&w, keys), 2);
		get_card(&w, &c, NULL);
		for (size_t i = 0; i < c.nreceive; i++) {
			buf_adds(&name, "receive-");
			key_id_format(&name, c.receive[i].id);
			assert_non_null(find_entry(&w, buf_cstr(&name)));
			buf_clear(&name);
		}
		assert_int_equal(c.nreceive, 2);
		card_release(&c);
		buf_release(&name);
		world_end(&w);
	}
}

static void
test_card(void **state)
{
	struct buf one = BUF_INIT, other = BUF_INIT;
	struct world w;
	struct card c, next;

	(void)state;
	world_make(&w, 9);
	get_card(&w, &c, &one);
	assert_string_equal(c.site, "paris");
	assert_true(c.counter == UINT64_C(1741168800));
	assert_int_equal(c.nreceive, 1);
	assert_int_equal(c.ndomains, 2);
	assert_string_equal(c.domain[0], "a.paris.example");
	assert_string_equal(c.domain[1], "paris.example");
	assert_int_equal(c.nreaches, 1);
	assert_memory_equal(c.auth.octets, keyring_auth_public(w.k), 32);
	assert_string_equal(card_fingerprint(&c).text,
	    keyring_fingerprint(w.k).text);
	/* nothing changed: the same octets, also behind a restart */
	world_pass(&w, 5 * DAY);
	get_card(&w, &next, &other);
	assert_true(slice_eq(buf_slice(&one), buf_slice(&other)));
	card_release(&next);
	buf_clear(&other);
	assert_int_equal(world_restart(&w, 600, NULL), 0);
	get_card(&w, &next, &other);
	assert_true(slice_eq(buf_slice(&one), buf_slice(&other)));
	card_release(&next);
	/* a key more: the next counter */
	assert_int_equal(keyring_rotate(w.k, NULL), 0);
	get_card(&w, &next, NULL);
	assert_int_equal(next.nreceive, 2);
	assert_int_equal(card_succeeds(&c, &next, NULL), 1);
	assert_int_equal(card_succeeds(&next, &c, NULL), ERR_STATE);
	assert_true(card_receiving(&next, 0, w.wall_ms / 1000)->id !=
	    card_receiving(&c, 0, w.wall_ms / 1000)->id);
	card_release(&next);
	card_release(&c);
	buf_release(&one);
	buf_release(&other);
	world_end(&w);
}

/* The wall clock was wrong when the key was made, and is set right. */
static void
test_card_follows_clock(void **state)
{
	struct world w;
	struct card c;
	int64_t end;

	(void)state;
	world_init(&w, 10);
	w.wall_ms = 5000;
	world_new(&w);
	assert_int_equal(keyring_make(w.k, NULL), 0);
	assert_int_equal(keyring_start(w.k, NULL), 0);
	get_card(&w, &c, NULL);
	assert_int_equal(c.receive[0].not_after_secs, 6 + LIFE);
	card_release(&c);
	w.wall_ms = INT64_C(1741168800000);
	get_card(&w, &c, NULL);
	end = INT64_C(1741168801) + (int64_t)LIFE;
	assert_int_equal(c.receive[0].not_after_secs, end);
	card_release(&c);
	/* by less than a day nothing is told anew */
	w.wall_ms += 20 * 3600 * 1000;
	get_card(&w, &c, NULL);
	assert_int_equal(c.receive[0].not_after_secs, end);
	card_release(&c);
	world_end(&w);
}

/* It is set back by a year: the card's own time goes on. */
static void
test_card_set_back(void **state)
{
	struct world w;
	struct card c, next;

	(void)state;
	world_make(&w, 11);
	get_card(&w, &c, NULL);
	assert_int_equal(c.receive[0].not_after_secs - (int64_t)c.counter,
	    LIFE + 1);
	w.wall_ms -= INT64_C(365) * 86400000;
	w.mono_ms += INT64_C(10) * 86400000;
	assert_int_equal(keyring_tick(w.k, NULL), 0);
	get_card(&w, &next, NULL);
	assert_int_equal(next.counter, c.counter);
	card_release(&next);
	/* The next key is made: both live as long as they do. */
	w.mono_ms += (int64_t)LIFE / 2 * 1000;
	assert_int_equal(keyring_tick(w.k, NULL), 0);
	get_card(&w, &next, NULL);
	assert_int_equal(next.nreceive, 2);
	assert_int_equal(next.counter, c.counter + 10 * DAY + LIFE / 2);
	assert_int_equal(next.receive[0].not_after_secs,
	    c.receive[0].not_after_secs);
	assert_int_equal(next.receive[1].not_after_secs -
	    (int64_t)next.counter, LIFE + 1);
	card_release(&next);
	card_release(&c);
	world_end(&w);
}

/* Made anew with the state of an export, or overtaken: it counts on, whatever
 * the clock says, and its keys live as long as they do. */
static void
test_card_counts_on(void **state)
{
	struct world w;
	struct card c, next;

	(void)state;
	world_make(&w, 14);
	get_card(&w, &c, NULL);
	for (size_t i = 0; i < ENTRIES; i++)
		if (w.entry[i].name != NULL &&
		    strncmp(w.entry[i].name, "receive-", 8) == 0)
			assert_int_equal(world_del(&w, w.entry[i].name, NULL),
			    0);
	w.wall_ms = 5000;
	assert_int_equal(world_restart(&w, 1, NULL), 0);
	get_card(&w, &next, NULL);
	assert_true(next.counter == c.counter + 1);
	assert_int_equal(next.nreceive, 1);
	assert_int_equal(next.receive[0].not_after_secs -
	    (int64_t)next.counter, LIFE);
	/* what is behind changes nothing */
	assert_int_equal(keyring_overtake(w.k, c.counter, NULL), 0);
	card_release(&next);
	get_card(&w, &next, NULL);
	assert_true(next.counter == c.counter + 1);
	card_release(&next);
	/* the same counter does, and one that is far ahead */
	assert_int_equal(keyring_overtake(w.k, c.counter + 1, NULL), 0);
	get_card(&w, &next, NULL);
	assert_true(next.counter == c.counter + 2);
	card_release(&next);
	assert_int_equal(keyring_overtake(w.k, c.counter + 50 * LIFE, NULL),
	    0);
	get_card(&w, &next, NULL);
	assert_true(next.counter == c.counter + 50 * LIFE + 1);
	assert_int_equal(next.receive[0].not_after_secs -
	    (int64_t)next.counter, LIFE);
	card_release(&next);
	assert_int_equal(keyring_overtake(w.k, INT64_MAX, NULL), ERR_LIMIT);
	/* it is durable before it is told */
	w.fail_in = 1;
	assert_int_equal(keyring_overtake(w.k, c.counter + 99 * LIFE, NULL),
	    ERR_IO);
	assert_int_equal(world_restart(&w, 1, NULL), 0);
	get_card(&w, &next, NULL);
	assert_true(next.counter == c.counter + 50 * LIFE + 1);
	card_release(&next);
	card_release(&c);
	world_end(&w);
}

static void
test_card_of_many_domains(void **state)
{
	char *name[400], sixty[61] = "";
	struct keyring_about about = { (const char *const *)name, 400, NULL,
		0 };
	struct buf text = BUF_INIT;
	uint64_t counter;
	struct world w;
	struct card c;

	(void)state;
	memset(sixty, 'd', 60);
	world_make(&w, 11);
	for (int longer = 0; longer < 2; longer++) {
		for (int i = 0; i < 400; i++)
			name[i] = mem_printf("%s%d.example",
			    longer ? sixty : "d", i);
		assert_int_equal(keyring_card(w.k, &about, &text, &counter,
		    NULL), 0);
		assert_int_equal(card_parse(buf_slice(&text), &c, NULL), 0);
		if (longer)
			assert_in_range(c.ndomains, 90, 255);
		else
			assert_int_equal(c.ndomains, CARD_DOMAINS_MAX);
		card_release(&c);
		buf_clear(&text);
		for (int i = 0; i < 400; i++)
			free(name[i]);
	}
	buf_release(&text);
	world_end(&w);
}

static void
test_restore_bad(void **state)
{
	static const char *const names[] = { "identity", "auth", "state" };
	struct keyring *k;
	struct err e = ERR_INIT;
	struct world w;

	(void)state;
	world_make(&w, 12);
	for (size_t i = 0; i < ENTRIES && w.entry[i].name != NULL; i++) {
		struct buf *text = &w.entry[i].text;

		/* another name, cut, longer, another site */
		for (size_t j = 0; j < 3; j++) {
			k = keyring_new("paris", &w.policy, &w.clock,
			    &w.rng.rng, NULL, NULL);
			if (strcmp(names[j], w.entry[i].name) != 0)
				assert_int_equal(keyring_restore(k, names[j],
				    buf_slice(text), &e), ERR_SYNTAX);
			keyring_free(k);
		}
		for (size_t len = 0; len < text->len; len++) {
			char *exact = mem_strndup(text->ptr, len);

			k = keyring_new("paris", &w.policy, &w.clock,
			    &w.rng.rng, NULL, NULL);
			assert_int_equal(keyring_restore(k, w.entry[i].name,
			    (struct slice){ exact, len }, &e), ERR_SYNTAX);
			assert_int_equal(keyring_start(k, &e), ERR_NOT_FOUND);
			keyring_free(k);
			free(exact);
		}
		k = keyring_new("oslo", &w.policy, &w.clock, &w.rng.rng, NULL,
		    NULL);
		assert_int_equal(keyring_restore(k, w.entry[i].name,
		    buf_slice(text), &e), ERR_DENIED);
		buf_addc(text, '\n');
		assert_true(keyring_restore(k, w.entry[i].name,
		    buf_slice(text), &e) < 0);
		keyring_free(k);
	}
	world_end(&w);
}

static void
test_pair_secret(void **state)
{
	unsigned char psk[32] = { 1 }, a[32], b[32], c[32], zero[32] = { 0 };
	struct world x, y;

	(void)state;
	world_make(&x, 13);
	world_make(&y, 14);
	assert_int_equal(keyring_pair_secret(x.k, keyring_auth_public(y.k),
	    NULL, "link", a, NULL), 0);
	assert_int_equal(keyring_pair_secret(y.k, keyring_auth_public(x.k),
	    NULL, "link", b, NULL), 0);
	assert_memory_equal(a, b, 32);
	assert_int_equal(keyring_pair_secret(y.k, keyring_auth_public(x.k),
	    NULL, "lin", c, NULL), 0);
	assert_memory_not_equal(a, c, 32);
	assert_int_equal(keyring_pair_secret(x.k, keyring_auth_public(y.k),
	    psk, "link", c, NULL), 0);
	assert_memory_not_equal(a, c, 32);
	assert_int_equal(keyring_pair_secret(y.k, keyring_auth_public(x.k),
	    psk, "link", b, NULL), 0);
	assert_memory_equal(c, b, 32);
	assert_int_equal(keyring_pair_secret(x.k, keyring_auth_public(x.k),
	    NULL, "link", b, NULL), 0);
	assert_memory_not_equal(a, b, 32);
	assert_int_equal(keyring_pair_secret(x.k, zero, NULL, "link", b,
	    NULL), ERR_DENIED);
	world_end(&x);
	world_end(&y);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_epochs),
		cmocka_unit_test(test_overlap),
		cmocka_unit_test(test_rotate),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_end_while_off),
		cmocka_unit_test(test_lost_state),
		cmocka_unit_test(test_incomplete),
		cmocka_unit_test(test_failing_store),
		cmocka_unit_test(test_card),
		cmocka_unit_test(test_card_follows_clock),
		cmocka_unit_test(test_card_set_back),
		cmocka_unit_test(test_card_counts_on),
		cmocka_unit_test(test_card_of_many_domains),
		cmocka_unit_test(test_restore_bad),
		cmocka_unit_test(test_pair_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
