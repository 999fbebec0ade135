/* SPDX-License-Identifier: ISC */
/*
 * Seals: what is sealed is opened, and what anybody has touched is not.
 * Octets that another implementation made are in test_vectors.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <sodium.h>

#include "base/noise.h"
#include "base/text.h"
#include "tests/unit/seal_world.h"

#define ALL (SEAL_BIT(SEAL_PARCEL) | SEAL_BIT(SEAL_BUNDLE) | \
	    SEAL_BIT(SEAL_ONION) | SEAL_BIT(SEAL_REQUEST))
#define CHUNK 65535	/* octets of a transport message */
#define DATA 65518	/* of what is sealed in it */
#define LAST "\1"
#define MORE "\0"

/* Multiplications on the curve, of whatever is linked here. */
static int multiplications;

int
crypto_scalarmult(unsigned char *q, const unsigned char *n,
    const unsigned char *p)
{
	multiplications++;
	return crypto_scalarmult_curve25519(q, n, p);
}

int
crypto_scalarmult_base(unsigned char *q, const unsigned char *n)
{
	multiplications++;
	return crypto_scalarmult_curve25519_base(q, n);
}

static void
random_octets(struct seal_world *w, struct buf *out, size_t len)
{
	rng_fill(&w->rng.rng, buf_room(out, len), len);
	buf_grown(out, len);
}

/* Seals len octets and opens them. */
static void
round_trip(struct seal_world *w, const struct seal_to *to, size_t len,
    size_t piece)
{
	struct open_with with = seal_world_with(w, ALL);
	struct buf plain = BUF_INIT, object = BUF_INIT, opened = BUF_INIT;
	struct opener *o = NULL;
	unsigned char tag[SHA256_LEN];
	struct sha256 h;

	random_octets(w, &plain, len);
	assert_int_equal(seal_octets(to, buf_slice(&plain), piece, &object),
	    0);
	assert_int_equal(object.len, seal_size(to, len));
	assert_true(seal_size_possible(to, object.len));
	assert_int_equal(open_octets(&with, buf_slice(&object), piece,
	    &opened, NULL, &o), 0);
	assert_true(slice_eq(buf_slice(&plain), buf_slice(&opened)));
	assert_int_equal(opener_kind(o), to->kind);
	assert_int_equal(opener_signed(o), to->sign);
	if (to->sign) {
		assert_string_equal(opener_signer(o), "paris");
		assert_null(opener_sender(o));
	} else {
		assert_null(opener_signer(o));
		assert_int_equal(opener_key_id(o),
		    to->kind == SEAL_REQUEST ? 99 : 11);
		if (to->kind == SEAL_ONION)
			assert_null(opener_sender(o));
		else
			assert_memory_equal(opener_sender(o),
			    w->auth_public[0], 32);
		sha256_init(&h);
		sha256_add(&h, object.ptr, 32);
		sha256_end(&h, tag);
		assert_memory_equal(opener_tag(o), tag, SEAL_TAG_LEN);
	}
	opener_free(o);
	buf_release(&plain);
	buf_release(&object);
	buf_release(&opened);
}

static const size_t lengths[] = { 0, 1, 16, 17, 18, 100, DATA - 1, DATA,
	DATA + 1, 2 * DATA - 1, 2 * DATA, 2 * DATA + 1, 300000 };

static void
test_round_trip(void **state)
{
	struct seal_world w;

	(void)state;
	seal_world_init(&w, 1);
	for (int kind = SEAL_PARCEL; kind <= SEAL_REQUEST; kind++) {
		for (int psk = 0; psk < 2; psk++) {
			struct seal_to to = seal_world_to(&w,
			    (enum seal_kind)kind);

			to.psk = psk ? w.psk : NULL;
			w.psk_wanted = psk;
			for (size_t i = 0; i < COUNT(lengths); i++) {
				round_trip(&w, &to, lengths[i], SIZE_MAX);
				round_trip(&w, &to, lengths[i], 1000);
			}
			round_trip(&w, &to, 300, 1);
		}
	}
}

static void
test_signed_round_trip(void **state)
{
	struct seal_world w;

	(void)state;
	seal_world_init(&w, 2);
	w.sign_wanted = true;
	for (int kind = SEAL_PARCEL; kind <= SEAL_BUNDLE; kind++) {
		struct seal_to to = seal_world_to(&w, (enum seal_kind)kind);

		to.sign = true;
		for (size_t i = 0; i < COUNT(lengths); i++) {
			round_trip(&w, &to, lengths[i], SIZE_MAX);
			round_trip(&w, &to, lengths[i], 1000);
		}
		for (size_t len = 0; len < 100; len++)
			round_trip(&w, &to, len, 1);
	}
}

/* What is inside a signed object is read by everybody: it is there as it is,
 * behind the names. */
static void
test_signed_layout(void **state)
{
	struct buf object = BUF_INIT, wanted = BUF_INIT;
	struct seal_world w;
	struct seal_to to;

	(void)state;
	seal_world_init(&w, 3);
	to = seal_world_to(&w, SEAL_PARCEL);
	to.sign = true;
	assert_int_equal(seal_octets(&to, SLICE_LIT("in clear"), 3, &object),
	    0);
	buf_adds(&wanted, "postrider\1\2\1\4oslo\5paris");
	assert_memory_equal(object.ptr, wanted.ptr, wanted.len);
	assert_memory_equal(object.ptr + wanted.len + 8, "in clear", 8);
	assert_int_equal(object.len, wanted.len + 8 + 8 + 64);
	buf_release(&object);
	buf_release(&wanted);
}

/*
 * What does not open.
 */
static void
refused(struct seal_world *w, unsigned kinds, struct slice object,
    size_t piece, enum open_fault fault)
{
	struct open_with with = seal_world_with(w, kinds);
	struct buf opened = BUF_INIT;
	enum open_fault found;

	assert_int_not_equal(open_octets(&with, object, piece, &opened,
	    &found, NULL), 0);
	assert_int_equal(opened.len, 0);
	if (fault != OPEN_FAULTS)
		assert_string_equal(open_fault_name(found),
		    open_fault_name(fault));
	buf_release(&opened);
}

/* Any bit flipped, any octet missing at the end, octets too many. */
static void
check_touched(struct seal_world *w, const struct seal_to *to, size_t len)
{
	struct buf plain = BUF_INIT, object = BUF_INIT;

	random_octets(w, &plain, len);
	assert_int_equal(seal_octets(to, buf_slice(&plain), SIZE_MAX,
	    &object), 0);
	for (size_t i = 0; i < object.len * 8; i++) {
		object.ptr[i / 8] = (char)(object.ptr[i / 8] ^ 1 << i % 8);
		refused(w, ALL, buf_slice(&object), SIZE_MAX, OPEN_FAULTS);
		object.ptr[i / 8] = (char)(object.ptr[i / 8] ^ 1 << i % 8);
	}
	for (size_t n = 0; n < object.len; n++)
		refused(w, ALL, (struct slice){ object.ptr, n }, 7,
		    OPEN_FAULTS);
	for (int more = 1; more < 40; more++) {
		buf_addc(&object, more < 20 ? 0 : 'x');
		refused(w, ALL, buf_slice(&object), SIZE_MAX, OPEN_FAULTS);
	}
	buf_release(&plain);
	buf_release(&object);
}

static void
test_touched(void **state)
{
	struct seal_world w;
	struct seal_to to;

	(void)state;
	seal_world_init(&w, 4);
	for (int kind = SEAL_PARCEL; kind <= SEAL_REQUEST; kind++) {
		to = seal_world_to(&w, (enum seal_kind)kind);
		check_touched(&w, &to, kind == SEAL_PARCEL ? 40 : 0);
	}
	w.sign_wanted = true;
	to = seal_world_to(&w, SEAL_PARCEL);
	to.sign = true;
	check_touched(&w, &to, 40);
	check_touched(&w, &to, 0);
}

/* Chunks moved, missing, doubled, taken from another object. */
static void
test_chunks(void **state)
{
	struct buf plain = BUF_INIT, object = BUF_INIT, other = BUF_INIT;
	struct buf cut = BUF_INIT;
	struct seal_world w;
	struct seal_to to;
	const size_t head = 96;
	struct slice c[4];

	(void)state;
	seal_world_init(&w, 5);
	to = seal_world_to(&w, SEAL_PARCEL);
	random_octets(&w, &plain, 3 * DATA + 5);
	assert_int_equal(seal_octets(&to, buf_slice(&plain), SIZE_MAX,
	    &object), 0);
	assert_int_equal(seal_octets(&to, buf_slice(&plain), SIZE_MAX,
	    &other), 0);
	for (size_t i = 0; i < 4; i++)
		c[i] = (struct slice){ object.ptr + head + i * CHUNK,
			i < 3 ? CHUNK : 5 + 17 };

	/* it ends behind a whole chunk */
	for (size_t n = 1; n < 4; n++)
		refused(&w, ALL, (struct slice){ object.ptr,
		    head + n * CHUNK }, SIZE_MAX, OPEN_SHORT);
	refused(&w, ALL, (struct slice){ object.ptr, head }, 1, OPEN_SHORT);
	refused(&w, ALL, (struct slice){ object.ptr, head + CHUNK + 16 },
	    SIZE_MAX, OPEN_SHORT);
	refused(&w, ALL, (struct slice){ object.ptr, head + CHUNK + 17 },
	    SIZE_MAX, OPEN_DAMAGED);
	/* the second and third changed places */
	buf_add(&cut, object.ptr, head);
	buf_addslice(&cut, c[0]);
	buf_addslice(&cut, c[2]);
	buf_addslice(&cut, c[1]);
	buf_addslice(&cut, c[3]);
	refused(&w, ALL, buf_slice(&cut), SIZE_MAX, OPEN_DAMAGED);
	/* the second is missing */
	buf_truncate(&cut, head + CHUNK);
	buf_addslice(&cut, c[2]);
	buf_addslice(&cut, c[3]);
	refused(&w, ALL, buf_slice(&cut), SIZE_MAX, OPEN_DAMAGED);
	/* the first is there twice */
	buf_truncate(&cut, head + CHUNK);
	buf_addslice(&cut, c[0]);
	refused(&w, ALL, buf_slice(&cut), SIZE_MAX, OPEN_DAMAGED);
	/* the end of another with the same octets inside */
	buf_truncate(&cut, 0);
	buf_add(&cut, object.ptr, head + 3 * CHUNK);
	buf_add(&cut, other.ptr + head + 3 * CHUNK, 5 + 17);
	refused(&w, ALL, buf_slice(&cut), SIZE_MAX, OPEN_DAMAGED);
	/* full to the last octet, and one more */
	buf_truncate(&plain, DATA);
	buf_clear(&object);
	assert_int_equal(seal_octets(&to, buf_slice(&plain), SIZE_MAX,
	    &object), 0);
	assert_int_equal(object.len, head + CHUNK);
	buf_addc(&object, 0);
	refused(&w, ALL, buf_slice(&object), SIZE_MAX, OPEN_LONG);
	refused(&w, ALL, buf_slice(&object), 1, OPEN_LONG);
	buf_release(&plain);
	buf_release(&object);
	buf_release(&other);
	buf_release(&cut);
}

/* Chunks that a sender with all keys made, but not as the format asks. */
static void
craft(struct seal_world *w, struct buf *out, const struct slice *chunk,
    size_t n)
{
	struct noise_params p = { .pattern = NOISE_X, .initiator = true,
		.prologue = SLICE_LIT("postrider\1\1\1\4oslo"),
		.secret = w->auth[0], .remote = w->receive_public[0],
		.rng = &w->rng.rng };
	struct noise_cipher c;
	struct noise noise;

	buf_clear(out);
	noise_init(&noise, &p);
	assert_int_equal(noise_write(&noise, SLICE_LIT(""), out, NULL), 0);
	noise_split(&noise, &c, NULL);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(noise_encrypt(&c, SLICE_LIT(""), chunk[i],
		    out, NULL), 0);
	noise_release(&noise);
}

static void
test_crafted(void **state)
{
	static char full[1 + DATA];
	struct open_with with;
	struct buf object = BUF_INIT, plain = BUF_INIT;
	struct seal_world w;

	(void)state;
	seal_world_init(&w, 6);
	with = seal_world_with(&w, ALL);
	/* as it should be */
	craft(&w, &object, (struct slice[]){ SLICE_LIT(LAST "good") }, 1);
	assert_int_equal(open_octets(&with, buf_slice(&object), SIZE_MAX,
	    &plain, NULL, NULL), 0);
	assert_octets(&plain, SLICE_LIT("good"));
	/* flags that there are not */
	craft(&w, &object, (struct slice[]){ SLICE_LIT("\2bad") }, 1);
	refused(&w, ALL, buf_slice(&object), SIZE_MAX, OPEN_DAMAGED);
	craft(&w, &object, (struct slice[]){ SLICE_LIT("\201bad") }, 1);
	refused(&w, ALL, buf_slice(&object), SIZE_MAX, OPEN_DAMAGED);
	/* no flag */
	craft(&w, &object, (struct slice[]){ SLICE_LIT("") }, 1);
	refused(&w, ALL, buf_slice(&object), SIZE_MAX, OPEN_SHORT);
	/* more is promised */
	craft(&w, &object, (struct slice[]){ SLICE_LIT(MORE "bad") }, 1);
	refused(&w, ALL, buf_slice(&object), SIZE_MAX, OPEN_SHORT);
	craft(&w, &object, (struct slice[]){ SLICE_LIT(MORE) }, 1);
	refused(&w, ALL, buf_slice(&object), SIZE_MAX, OPEN_SHORT);
	/* a chunk that is not full is not the last */
	craft(&w, &object, (struct slice[]){ SLICE_LIT(MORE "bad"),
	    SLICE_LIT(LAST "bad") }, 2);
	refused(&w, ALL, buf_slice(&object), SIZE_MAX, OPEN_DAMAGED);
	/* an empty end behind a full one, which could have been the end */
	craft(&w, &object, (struct slice[]){ { full, sizeof(full) },
	    SLICE_LIT(LAST) }, 2);
	refused(&w, ALL, buf_slice(&object), SIZE_MAX, OPEN_DAMAGED);
	/* something behind the end */
	full[0] = 1;
	craft(&w, &object, (struct slice[]){ { full, sizeof(full) },
	    SLICE_LIT(LAST "bad") }, 2);
	refused(&w, ALL, buf_slice(&object), SIZE_MAX, OPEN_LONG);
	buf_release(&object);
	buf_release(&plain);
}

/* A kind is opened as nothing else, nor by whom it is not for. */
static void
test_labels(void **state)
{
	struct seal_world w;

	(void)state;
	seal_world_init(&w, 7);
	for (int kind = SEAL_PARCEL; kind <= SEAL_REQUEST; kind++) {
		struct seal_to to = seal_world_to(&w, (enum seal_kind)kind);
		struct open_with with = seal_world_with(&w, ALL);
		struct buf object = BUF_INIT, opened = BUF_INIT;
		enum open_fault fault;

		assert_int_equal(seal_octets(&to, SLICE_LIT("text"), 9,
		    &object), 0);
		refused(&w, ALL & ~SEAL_BIT(kind), buf_slice(&object),
		    SIZE_MAX, OPEN_FOREIGN);
		with.site = "Oslo";
		assert_int_equal(open_octets(&with, buf_slice(&object), 9,
		    &opened, &fault, NULL), ERR_DENIED);
		assert_int_equal(fault, OPEN_FOREIGN);
		/* the key that it is sealed to is gone */
		with = seal_world_with(&w, ALL);
		if (kind == SEAL_REQUEST)
			with.nkeys--;
		else
			with.key[1] = with.key[2];
		assert_int_equal(open_octets(&with, buf_slice(&object), 9,
		    &opened, &fault, NULL), ERR_DENIED);
		assert_int_equal(fault, OPEN_FOREIGN);
		buf_release(&object);
		buf_release(&opened);
	}
}

/* Roles of keys: mail is never sealed to the auth key, nor a request to a
 * receiving key. */
static void
test_roles(void **state)
{
	struct buf object = BUF_INIT;
	struct seal_world w;
	struct seal_to to;

	(void)state;
	seal_world_init(&w, 8);
	to = seal_world_to(&w, SEAL_PARCEL);
	to.remote = w.auth_public[1];
	assert_int_equal(seal_octets(&to, SLICE_LIT("x"), 1, &object), 0);
	refused(&w, ALL, buf_slice(&object), SIZE_MAX, OPEN_FOREIGN);
	buf_clear(&object);
	to = seal_world_to(&w, SEAL_REQUEST);
	to.remote = w.receive_public[0];
	assert_int_equal(seal_octets(&to, SLICE_LIT("x"), 1, &object), 0);
	refused(&w, ALL, buf_slice(&object), SIZE_MAX, OPEN_FOREIGN);
	buf_release(&object);
}

/* Who has a pre-shared key is never taken without it, nor with another. */
static void
test_psk(void **state)
{
	static const struct {
		bool wanted;
		int used;	/* 0 none, 1 the right one, 2 another */
		enum open_fault fault;
	} rows[] = {
		{ false, 0, OPEN_GOOD }, { true, 1, OPEN_GOOD },
		{ true, 0, OPEN_PSK }, { true, 2, OPEN_PSK },
		{ false, 1, OPEN_PSK },
	};
	static const enum seal_kind kinds[] = { SEAL_PARCEL, SEAL_BUNDLE,
		SEAL_REQUEST };
	unsigned char other[32];
	struct seal_world w;

	(void)state;
	seal_world_init(&w, 9);
	rng_fill(&w.rng.rng, other, sizeof(other));
	for (size_t i = 0; i < COUNT(rows) * COUNT(kinds); i++) {
		size_t row = i / COUNT(kinds);
		struct seal_to to = seal_world_to(&w,
		    kinds[i % COUNT(kinds)]);
		struct open_with with = seal_world_with(&w, ALL);
		struct buf object = BUF_INIT, opened = BUF_INIT;
		enum open_fault fault;

		to.psk = rows[row].used == 0 ? NULL :
		    rows[row].used == 1 ? w.psk : other;
		w.psk_wanted = rows[row].wanted;
		assert_int_equal(seal_octets(&to, SLICE_LIT("x"), 1,
		    &object), 0);
		assert_int_equal(open_octets(&with, buf_slice(&object), 9,
		    &opened, &fault, NULL),
		    rows[row].fault == OPEN_GOOD ? 0 : ERR_DENIED);
		assert_int_equal(fault, rows[row].fault);
		buf_release(&object);
		buf_release(&opened);
	}
}

/* Sealed or signed is a matter of configuration, never of the sender. */
static void
test_modes(void **state)
{
	struct buf sealed = BUF_INIT, sign = BUF_INIT, opened = BUF_INIT;
	struct open_with with;
	struct seal_world w;
	struct seal_to to;
	enum open_fault fault;

	(void)state;
	seal_world_init(&w, 10);
	to = seal_world_to(&w, SEAL_PARCEL);
	assert_int_equal(seal_octets(&to, SLICE_LIT("x"), 1, &sealed), 0);
	to.sign = true;
	assert_int_equal(seal_octets(&to, SLICE_LIT("x"), 1, &sign), 0);

	refused(&w, ALL, buf_slice(&sign), SIZE_MAX, OPEN_MODE);
	w.sign_wanted = true;
	refused(&w, ALL, buf_slice(&sealed), SIZE_MAX, OPEN_MODE);
	refused(&w, ALL & ~SEAL_BIT(SEAL_PARCEL), buf_slice(&sign), SIZE_MAX,
	    OPEN_FOREIGN);
	with = seal_world_with(&w, ALL);
	with.signer = NULL;
	assert_int_equal(open_octets(&with, buf_slice(&sign), SIZE_MAX,
	    &opened, &fault, NULL), ERR_DENIED);
	assert_int_equal(fault, OPEN_MODE);
	/* for another, by another, of a kind that is never signed, or in
	 * another version */
	with = seal_world_with(&w, ALL);
	with.site = "bergen";
	assert_int_equal(open_octets(&with, buf_slice(&sign), SIZE_MAX,
	    &opened, &fault, NULL), ERR_DENIED);
	assert_int_equal(fault, OPEN_FOREIGN);
	sign.ptr[11] = SEAL_REQUEST;
	refused(&w, ALL, buf_slice(&sign), SIZE_MAX, OPEN_FOREIGN);
	sign.ptr[11] = SEAL_PARCEL;
	sign.ptr[9] = 2;
	refused(&w, ALL, buf_slice(&sign), SIZE_MAX, OPEN_FOREIGN);
	sign.ptr[9] = 1;
	w.unknown = true;
	refused(&w, ALL, buf_slice(&sign), SIZE_MAX, OPEN_UNKNOWN);
	refused(&w, ALL, buf_slice(&sealed), SIZE_MAX, OPEN_UNKNOWN);
	w.unknown = false;
	/* re-labelled: the signature covers it */
	sign.ptr[11] = SEAL_BUNDLE;
	refused(&w, ALL, buf_slice(&sign), SIZE_MAX, OPEN_DAMAGED);
	buf_release(&sealed);
	buf_release(&sign);
	buf_release(&opened);
}

/* A sealing by a thief: under his own name he is unknown; under that of
 * paris, whose public key everybody has, the second agreement fails. */
static void
test_forged_sender(void **state)
{
	struct buf object = BUF_INIT;
	struct seal_world w, thief;
	struct noise_params p = { .pattern = NOISE_X, .initiator = true,
		.prologue = SLICE_LIT("postrider\1\1\1\4oslo") };
	struct noise_cipher c;
	struct noise n;

	(void)state;
	seal_world_init(&w, 11);
	seal_world_init(&thief, 12);
	p.rng = &thief.rng.rng;
	p.remote = w.receive_public[0];
	p.secret = thief.auth[0];
	for (int i = 0; i < 2; i++) {
		p.public = i == 0 ? NULL : w.auth_public[0];
		buf_clear(&object);
		noise_init(&n, &p);
		assert_int_equal(noise_write(&n, SLICE_LIT(""), &object,
		    NULL), 0);
		noise_split(&n, &c, NULL);
		assert_int_equal(noise_encrypt(&c, SLICE_LIT(""),
		    SLICE_LIT(LAST "x"), &object, NULL), 0);
		noise_release(&n);
		refused(&w, ALL, buf_slice(&object), SIZE_MAX,
		    i == 0 ? OPEN_UNKNOWN : OPEN_FOREIGN);
	}
	buf_release(&object);
}

/* What an attempt costs: one multiplication for each key, one more for a
 * sender who is known; nothing for what was seen before. */
static void
test_cost(void **state)
{
	struct buf object = BUF_INIT, noise = BUF_INIT, opened = BUF_INIT;
	struct open_with with;
	struct seal_world w;
	struct seal_to to;

	(void)state;
	seal_world_init(&w, 13);
	to = seal_world_to(&w, SEAL_PARCEL);
	assert_int_equal(seal_octets(&to, SLICE_LIT("x"), 1, &object), 0);
	random_octets(&w, &noise, 5000);
	with = seal_world_with(&w, ALL);

	multiplications = 0;
	refused(&w, ALL & ~SEAL_BIT(SEAL_REQUEST), buf_slice(&noise),
	    SIZE_MAX, OPEN_FOREIGN);
	assert_int_equal(multiplications, RECEIVING);
	multiplications = 0;
	refused(&w, ALL, buf_slice(&noise), SIZE_MAX, OPEN_FOREIGN);
	assert_int_equal(multiplications, RECEIVING + 1);
	multiplications = 0;
	assert_int_equal(open_octets(&with, buf_slice(&object), SIZE_MAX,
	    &opened, NULL, NULL), 0);
	assert_int_equal(multiplications, 3);
	w.unknown = true;
	multiplications = 0;
	refused(&w, ALL, buf_slice(&object), SIZE_MAX, OPEN_UNKNOWN);
	assert_int_equal(multiplications, 2);
	w.unknown = false;
	w.seen = true;
	multiplications = 0;
	refused(&w, ALL, buf_slice(&object), SIZE_MAX, OPEN_REPLAYED);
	refused(&w, ALL, buf_slice(&noise), SIZE_MAX, OPEN_REPLAYED);
	assert_int_equal(multiplications, 0);
	buf_release(&object);
	buf_release(&noise);
	buf_release(&opened);
}

/*
 * Between the passes.
 */
static int
read_changed(struct opener *o, struct slice object)
{
	struct buf plain = BUF_INIT;
	int rc;

	opener_rewind(o);
	rc = opener_read(o, object.ptr, object.len, &plain, NULL);
	if (rc == 0)
		rc = opener_read_end(o, &plain, NULL);
	buf_release(&plain);
	return rc;
}

static void
check_changed(struct seal_world *w, const struct seal_to *to)
{
	struct open_with with = seal_world_with(w, ALL);
	struct buf plain = BUF_INIT, object = BUF_INIT, opened = BUF_INIT;
	struct opener *o;
	size_t last;

	random_octets(w, &plain, 2 * DATA);
	assert_int_equal(seal_octets(to, buf_slice(&plain), SIZE_MAX,
	    &object), 0);
	assert_int_equal(open_octets(&with, buf_slice(&object), SIZE_MAX,
	    &opened, NULL, &o), 0);
	/* it may be read again and again */
	assert_int_equal(read_changed(o, buf_slice(&object)), 0);
	last = object.len - 100;
	object.ptr[last] = (char)(object.ptr[last] ^ 1);
	assert_int_equal(read_changed(o, buf_slice(&object)), ERR_CORRUPT);
	object.ptr[last] = (char)(object.ptr[last] ^ 1);
	assert_int_equal(read_changed(o, (struct slice){ object.ptr,
	    object.len - CHUNK }), ERR_CORRUPT);
	assert_int_equal(read_changed(o, (struct slice){ object.ptr, 40 }),
	    ERR_CORRUPT);
	buf_addc(&object, 0);
	assert_int_equal(read_changed(o, buf_slice(&object)), ERR_CORRUPT);
	opener_free(o);
	buf_release(&plain);
	buf_release(&object);
	buf_release(&opened);
}

static void
test_changed(void **state)
{
	struct seal_world w;
	struct seal_to to;

	(void)state;
	seal_world_init(&w, 14);
	to = seal_world_to(&w, SEAL_PARCEL);
	check_changed(&w, &to);
	w.sign_wanted = true;
	to.sign = true;
	check_changed(&w, &to);
}

static int
full(void *ctx, const char *bytes, size_t len, struct err *e)
{
	(void)ctx;
	(void)bytes;
	(void)len;
	return err_set(e, ERR_FULL, "no room");
}

static void
test_sealer_errors(void **state)
{
	static const unsigned char low[32] = { 0 };
	struct buf object = BUF_INIT;
	struct seal_world w;
	struct seal_to to;
	struct sealer *s;

	(void)state;
	seal_world_init(&w, 15);
	to = seal_world_to(&w, SEAL_BUNDLE);
	s = sealer_new(&to, full, NULL);
	assert_int_equal(sealer_add(s, "x", 1, NULL), ERR_FULL);
	sealer_free(s);
	to.remote = low;
	assert_int_equal(seal_octets(&to, SLICE_LIT("x"), 1, &object),
	    ERR_DENIED);
	assert_int_equal(object.len, 0);
	buf_release(&object);
}

/*
 * Sizes.
 */
static void
test_sizes(void **state)
{
	struct seal_world w;
	struct seal_to x, n, sign;
	uint64_t room;

	(void)state;
	seal_world_init(&w, 16);
	x = seal_world_to(&w, SEAL_PARCEL);
	n = seal_world_to(&w, SEAL_ONION);
	sign = x;
	sign.sign = true;
	/* 32 e, 48 s, 16 tag; 17 a chunk */
	assert_int_equal(seal_size(&x, 0), 113);
	assert_int_equal(seal_size(&x, 1000), 1113);
	assert_int_equal(seal_size(&x, DATA), 96 + CHUNK);
	assert_int_equal(seal_size(&x, DATA + 1), 96 + CHUNK + 18);
	assert_int_equal(seal_size(&n, 0), 65);
	/* 12 label, 5 oslo, 6 paris, 8 nonce, 64 signature */
	assert_int_equal(seal_size(&sign, 0), 95);
	assert_false(seal_room(&x, 112, &room));
	assert_true(seal_room(&x, 113, &room));
	assert_int_equal(room, 0);
	for (uint64_t size = 96 + CHUNK - 5; size < 96 + CHUNK + 30; size++) {
		assert_true(seal_room(&x, size, &room));
		assert_true(seal_size(&x, room) <= size);
		assert_true(seal_size(&x, room + 1) > size);
		assert_int_equal(seal_size_possible(&x, size),
		    size <= 96 + CHUNK || size >= 96 + CHUNK + 18);
		assert_true(seal_size_possible(&sign, size));
	}
}

static void
test_padding(void **state)
{
	struct shape none = { SHAPE_NONE, 0 }, by_padme = { SHAPE_PADME, 0 };
	struct shape exact = { SHAPE_EXACT, 4096 };
	struct seal_world w;
	struct seal_to to;
	uint64_t zeros;

	(void)state;
	seal_world_init(&w, 17);
	to = seal_world_to(&w, SEAL_PARCEL);
	assert_int_equal(seal_padding(&to, &none, 12345, &zeros, NULL), 0);
	assert_int_equal(zeros, 0);
	for (uint64_t plain = 0; plain < 140000; plain += 7) {
		uint64_t size = seal_size(&to, plain), padded;

		assert_int_equal(seal_padding(&to, &by_padme, plain, &zeros,
		    NULL), 0);
		padded = seal_size(&to, plain + zeros);
		assert_in_range(padded, padme(size), padme(size) + 17);
		if (padded != padme(size))
			assert_false(seal_size_possible(&to, padme(size)));
	}
	assert_int_equal(seal_padding(&to, &exact, 1000, &zeros, NULL), 0);
	assert_int_equal(seal_size(&to, 1000 + zeros), 4096);
	assert_int_equal(seal_padding(&to, &exact, 4096 - 113, &zeros, NULL),
	    0);
	assert_int_equal(zeros, 0);
	assert_int_equal(seal_padding(&to, &exact, 4096 - 112, &zeros, NULL),
	    ERR_LIMIT);
	exact.octets = 96 + CHUNK + 1;
	assert_int_equal(seal_padding(&to, &exact, 0, &zeros, NULL),
	    ERR_CONFIG);
	exact.octets = 112;
	assert_int_equal(seal_padding(&to, &exact, 0, &zeros, NULL),
	    ERR_CONFIG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_signed_round_trip),
		cmocka_unit_test(test_signed_layout),
		cmocka_unit_test(test_touched),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_crafted),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_roles),
		cmocka_unit_test(test_psk),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_forged_sender),
		cmocka_unit_test(test_cost),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_sealer_errors),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_padding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
