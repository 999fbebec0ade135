/* SPDX-License-Identifier: ISC */
/*
 * Cards: the vectors, which another implementation made; every truncation and
 * every flipped bit; the writer; and which card succeeds which.
 */
#include "routing/card.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/text.h"

#define VECTORS "tests/vectors/card.json"
#define MANUAL "man/postrider-card.5"

static json_t *
load_vectors(void)
{
	json_error_t error;
	json_t *all = json_load_file(VECTORS, 0, &error);

	assert_non_null(all);
	return all;
}

static const char *
text_of(json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	assert_non_null(text);
	return text;
}

static void
decode(json_t *v, struct buf *out)
{
	const char *text = text_of(v, "card");
	struct base64_decoder d;

	base64_decoder_init(&d);
	base64_decoder_add(&d, out, text, strlen(text));
	assert_int_equal(base64_decoder_end(&d), 0);
}

static void
find_card(json_t *all, const char *name, struct buf *out)
{
	json_t *cards = json_object_get(all, "cards");

	for (size_t i = 0; i < json_array_size(cards); i++) {
		json_t *v = json_array_get(cards, i);

		if (strcmp(text_of(v, "name"), name) == 0) {
			decode(v, out);
			return;
		}
	}
	fail_msg("no vector %s", name);
}

static int
code_of(const char *result)
{
	static const struct {
		const char *word;
		int code;
	} words[] = {
		{ "good", 0 }, { "syntax", ERR_SYNTAX },
		{ "limit", ERR_LIMIT }, { "unsupported", ERR_UNSUPPORTED },
		{ "signature", ERR_CORRUPT },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].word, result) == 0)
			return words[i].code;
	fail_msg("no result %s", result);
	return 1;
}

static void
test_vectors(void **state)
{
	json_t *all = load_vectors(), *cards = json_object_get(all, "cards");
	unsigned good = 0, bad = 0;

	(void)state;
	for (size_t i = 0; i < json_array_size(cards); i++) {
		json_t *v = json_array_get(cards, i);
		struct buf text = BUF_INIT;
		struct err e = ERR_INIT;
		struct card c;
		int want = code_of(text_of(v, "result"));
		int rc;

		decode(v, &text);
		rc = card_parse(buf_slice(&text), &c, &e);
		if (rc != want || strstr(e.text, text_of(v, "text")) == NULL)
			fail_msg("%s: %d %s", text_of(v, "name"), rc, e.text);
		good += rc == 0;
		bad += rc != 0;
		if (rc != 0)
			assert_null(c.site);
		card_release(&c);
		buf_release(&text);
	}
	assert_true(good > 10 && bad > 50);
	json_decref(all);
}

/* Every prefix, and every bit: nothing of them is a card. */
static void
test_damaged(void **state)
{
	json_t *all = load_vectors();
	struct buf text = BUF_INIT;
	struct card c;

	(void)state;
	find_card(all, "full", &text);
	for (size_t len = 0; len < text.len; len++) {
		char *copy = malloc(len + 1);

		memcpy(copy, text.ptr, len);
		assert_true(card_parse((struct slice){ copy, len }, &c,
		    NULL) < 0);
		free(copy);
	}
	for (size_t i = 0; i < text.len * 8; i++) {
		text.ptr[i / 8] = (char)(text.ptr[i / 8] ^ 1 << i % 8);
		assert_true(card_parse(buf_slice(&text), &c, NULL) < 0);
		text.ptr[i / 8] = (char)(text.ptr[i / 8] ^ 1 << i % 8);
	}
	assert_int_equal(card_parse(buf_slice(&text), &c, NULL), 0);
	card_release(&c);
	buf_release(&text);
	json_decref(all);
}

/*
 * The writer, from the parts of the vector that it has to give.
 */
static void
key_of(const char *hex, unsigned char out[32])
{
	struct buf b = BUF_INIT;

	assert_int_equal(hex_decode(&b, slice_of(hex)), 0);
	assert_int_equal(b.len, 32);
	memcpy(out, b.ptr, 32);
	buf_release(&b);
}

static const char *
item(json_t *made, const char *key, size_t i)
{
	return json_string_value(json_array_get(json_object_get(made, key),
	    i));
}

/* Fills c from the vector, all lists backwards where order is ours to make. */
static void
fill_card(json_t *made, struct card *c, unsigned char secret[32])
{
	unsigned char key[32];
	size_t i, n = json_array_size(json_object_get(made, "domains"));

	card_init(c);
	card_set_site(c, text_of(made, "site"));
	c->counter = (uint64_t)json_integer_value(
	    json_object_get(made, "counter"));
	key_of(text_of(made, "identity"), secret);
	ed25519_public(secret, key);
	card_set_identity(c, key);
	key_of(text_of(made, "auth"), key);
	card_set_auth(c, key);
	for (i = 3; i-- > 0;) {
		key_of(item(made, "receive", i), key);
		card_add_receive(c, key, json_integer_value(json_array_get(
		    json_object_get(made, "ends"), i)));
	}
	for (i = n; i-- > 0;)
		card_add_domain(c, item(made, "domains", i));
	card_add_domain(c, "PARIS.example");
	n = json_array_size(json_object_get(made, "reaches"));
	for (i = 0; i < n; i++)
		assert_int_equal(card_add_reach(c, item(made, "reaches", i),
		    NULL), 0);
}

static void
test_write(void **state)
{
	json_t *all = load_vectors(), *made = json_object_get(all, "made");
	struct buf want = BUF_INIT, got = BUF_INIT;
	unsigned char secret[32];
	struct err e = ERR_INIT;
	struct card c;

	(void)state;
	find_card(all, text_of(made, "is"), &want);
	fill_card(made, &c, secret);
	assert_int_equal(card_write(&c, secret, &got, &e), 0);
	assert_true(slice_eq(buf_slice(&got), buf_slice(&want)));
	/* the wrong secret, and what no card may hold */
	secret[0] ^= 1;
	assert_int_equal(card_write(&c, secret, &got, &e), ERR_CORRUPT);
	secret[0] ^= 1;
	card_add_domain(&c, "not a domain");
	assert_int_equal(card_write(&c, secret, &got, &e), ERR_SYNTAX);
	assert_non_null(strstr(e.text, "line"));
	assert_true(slice_eq(buf_slice(&got), buf_slice(&want)));
	card_release(&c);
	buf_release(&want);
	buf_release(&got);
	json_decref(all);
}

static void
test_reach(void **state)
{
	static const struct {
		const char *text, *canonical;	/* NULL: refused */
	} cases[] = {
		{ "tcp", "tcp" },
		{ "  tcp  port=1   host=h ", "tcp host=h port=1" },
		{ "tcp ab=1 a=2 abc=3", "tcp a=2 ab=1 abc=3" },
		{ "tcp k=%41%7e%25%20", "tcp k=A~%25%20" },
		{ "tcp k=%c3%A9", "tcp k=%C3%A9" },
		{ "tcp k=a=b", "tcp k=a=b" },
		{ "tcp k=", "tcp k=" },
		{ "", NULL }, { "tcp =v", NULL }, { "tcp k", NULL },
		{ "tcp k=%", NULL }, { "tcp k=%4", NULL },
		{ "tcp k=%00", NULL }, { "tcp k=%gg", NULL },
		{ "tcp k=1 k=2", NULL }, { "-tcp", NULL }, { "t/p", NULL },
	};
	struct buf out = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct card c;
		int rc;

		card_init(&c);
		rc = card_add_reach(&c, cases[i].text, NULL);
		if (cases[i].canonical == NULL)
			assert_true(rc < 0);
		else {
			assert_int_equal(rc, 0);
			card_format_reach(&c.reach[0], &out);
			assert_string_equal(buf_cstr(&out),
			    cases[i].canonical);
			buf_clear(&out);
		}
		card_release(&c);
	}
	buf_release(&out);
}

static void
read_card(json_t *all, const char *name, struct card *c_out)
{
	struct buf text = BUF_INIT;

	find_card(all, name, &text);
	assert_int_equal(card_parse(buf_slice(&text), c_out, NULL), 0);
	buf_release(&text);
}

static void
test_receiving(void **state)
{
	json_t *all = load_vectors();
	struct card c;

	(void)state;
	read_card(all, "full", &c);
	assert_ptr_equal(card_receiving(&c, 0, 0), &c.receive[2]);
	assert_ptr_equal(card_receiving(&c, 0, 1756720799), &c.receive[2]);
	assert_null(card_receiving(&c, 0, 1756720800));
	/* By the card's own time, which is its counter. */
	assert_int_equal(c.counter, 1741168800);
	assert_ptr_equal(card_receiving(&c, 1756720799 - 1741168800,
	    INT64_MIN), &c.receive[2]);
	assert_null(card_receiving(&c, 1756720800 - 1741168800, INT64_MIN));
	assert_int_equal(c.nreaches, 4);
	assert_string_equal(c.reach[3].transport, "serial");
	assert_string_equal(c.reach[3].setting[0].value, "ATDT 55%\xc3\xa9");
	card_release(&c);
	/* the newer key is of a suite that this version does not know */
	read_card(all, "hybrid", &c);
	assert_int_equal(c.nreceive, 2);
	assert_int_equal(c.receive[1].len, 1216);
	c.receive[0].not_after_secs++;	/* it ends as it is signed */
	assert_ptr_equal(card_receiving(&c, 0, 0), &c.receive[0]);
	card_release(&c);
	json_decref(all);
}

static void
test_fingerprints(void **state)
{
	json_t *all = load_vectors();
	json_t *prints = json_object_get(all, "fingerprints");
	unsigned char key[32];
	struct card c;

	(void)state;
	assert_true(json_array_size(prints) > 1);
	for (size_t i = 0; i < json_array_size(prints); i++) {
		json_t *v = json_array_get(prints, i);

		key_of(text_of(v, "key"), key);
		assert_string_equal(fingerprint_of("ed25519", key, 32).text,
		    text_of(v, "fingerprint"));
	}
	read_card(all, "full", &c);
	assert_string_equal(card_fingerprint(&c).text,
	    text_of(json_array_get(prints, 0), "fingerprint"));
	card_release(&c);
	json_decref(all);
}

/* A card of that site, identity and counter. */
static void
make_card(struct card *c, const char *site, unsigned char identity,
    uint64_t counter, const char *domain)
{
	unsigned char secret[32] = { identity }, key[32], point[32] = { 9 };
	struct buf text = BUF_INIT;

	card_init(c);
	card_set_site(c, site);
	c->counter = counter;
	ed25519_public(secret, key);
	card_set_identity(c, key);
	card_set_auth(c, point);
	card_add_receive(c, point, 1);
	card_add_domain(c, domain);
	assert_int_equal(card_write(c, secret, &text, NULL), 0);
	buf_release(&text);
}

static void
test_succeeds(void **state)
{
	static const struct {
		const char *site;
		unsigned char identity;
		uint64_t counter;
		const char *domain;
		int want;
	} cases[] = {
		{ "paris", 1, 7, "a.example", 0 },
		{ "paris", 1, 8, "a.example", 1 },
		{ "paris", 1, 8, "b.example", 1 },
		{ "paris", 1, 6, "a.example", ERR_STATE },
		{ "paris", 1, 7, "b.example", ERR_STATE },
		{ "paris", 2, 8, "a.example", ERR_DENIED },
		{ "oslo", 1, 8, "a.example", ERR_DENIED },
	};
	struct card old, fresh;

	(void)state;
	make_card(&old, "paris", 1, 7, "a.example");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make_card(&fresh, cases[i].site, cases[i].identity,
		    cases[i].counter, cases[i].domain);
		assert_int_equal(card_succeeds(&old, &fresh, NULL),
		    cases[i].want);
		card_release(&fresh);
	}
	card_release(&old);
}

/* The example of the manual is a card, and the one of the vectors. */
static void
test_manual(void **state)
{
	json_t *all = load_vectors();
	struct buf page = BUF_INIT, card = BUF_INIT, want = BUF_INIT;
	const char *start, *end;
	struct card c;

	(void)state;
	assert_int_equal(file_read(MANUAL, 1 << 20, &page, NULL), 0);
	start = strstr(buf_cstr(&page), "\npostrider\\-card 1\n");
	assert_non_null(start);
	end = strstr(start, "\n.Ed\n");
	assert_non_null(end);
	for (start++; start <= end; start++)
		if (*start != '\\')
			buf_addc(&card, *start);
	assert_int_equal(card_parse(buf_slice(&card), &c, NULL), 0);
	find_card(all, "manual", &want);
	assert_true(slice_eq(buf_slice(&card), buf_slice(&want)));
	assert_non_null(strstr(buf_cstr(&page), card_fingerprint(&c).text));
	card_release(&c);
	buf_release(&page);
	buf_release(&card);
	buf_release(&want);
	json_decref(all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_reach),
		cmocka_unit_test(test_receiving),
		cmocka_unit_test(test_fingerprints),
		cmocka_unit_test(test_succeeds),
		cmocka_unit_test(test_manual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
