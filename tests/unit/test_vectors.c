/* SPDX-License-Identifier: ISC */
/*
 * tests/vectors, which another implementation made: we make the same objects,
 * octet by octet, open them, and refuse what is to be refused, for the reason
 * that is given.
 */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "bundle/bag.h"
#include "bundle/frame.h"
#include "bundle/seal.h"
#include "tests/unit/octets.h"

#define KINDS 5
#define RUNS_MAX 8

static const char *const kind_names[KINDS] = { "", "parcel", "bundle",
	"onion", "request" };

/* Octets in the order in which they are asked for. */
struct fixed_rng {
	struct rng rng;
	struct buf octets;
};

static void
fixed_fill(struct rng *r, void *bytes, size_t len)
{
	struct fixed_rng *f = (struct fixed_rng *)(void *)r;

	assert_true(f->octets.len >= len);
	memcpy(bytes, f->octets.ptr, len);
	buf_consume(&f->octets, len);
}

struct world {
	json_t *keys;
	unsigned char auth[2][32], auth_public[2][32];
	unsigned char receive[32], receive_public[32];
	unsigned char identity[32], identity_public[32], psk[32];
	/* How it is opened. */
	const char *site;
	unsigned kinds;
	bool known, sign, has_psk;
	unsigned char peer_psk[32];
};

/*
 * JSON.
 */
static const char *
text(json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	if (s == NULL)
		fail_msg("%s is missing", name);
	return s;
}

static uint64_t
integer(json_t *o, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(o, name));
}

static void
octets(json_t *o, const char *name, void *out, size_t len)
{
	struct buf b = BUF_INIT;

	unhex(&b, text(o, name));
	assert_int_equal(b.len, len);
	memcpy(out, b.ptr, len);
	buf_release(&b);
}

static void
get_key(json_t *site, const char *name, unsigned char secret[32],
    unsigned char public[32])
{
	json_t *key = json_object_get(site, name);

	octets(key, "secret", secret, 32);
	octets(key, "public", public, 32);
}

static void
world_init(struct world *w, json_t *file)
{
	json_t *keys = json_object_get(file, "keys");
	json_t *paris = json_object_get(keys, "paris");
	json_t *oslo = json_object_get(keys, "oslo");

	memset(w, 0, sizeof(*w));
	get_key(paris, "auth", w->auth[0], w->auth_public[0]);
	get_key(paris, "identity", w->identity, w->identity_public);
	get_key(oslo, "auth", w->auth[1], w->auth_public[1]);
	get_key(oslo, "receive", w->receive, w->receive_public);
	octets(keys, "psk", w->psk, 32);
	w->site = "oslo";
	w->kinds = ~0U;
	w->known = true;
}

static enum seal_kind
kind_of(const char *name)
{
	for (int i = 1; i < KINDS; i++)
		if (strcmp(kind_names[i], name) == 0)
			return (enum seal_kind)i;
	fail_msg("%s is no kind", name);
	return SEAL_PARCEL;
}

static json_t *
find_vector(json_t *file, const char *name)
{
	json_t *vectors = json_object_get(file, "vectors"), *v;
	size_t i;

	json_array_foreach(vectors, i, v)
		if (strcmp(text(v, "name"), name) == 0)
			return v;
	fail_msg("there is no vector %s", name);
	return NULL;
}

/*
 * What is inside, from what is said about it.
 */
static void
put_bundle(struct buf *out, json_t *o, bool whole)
{
	struct frame f = { .kind = whole ? FRAME_WHOLE : FRAME_FRAGMENT };
	struct buf bytes = BUF_INIT;

	unhex(&bytes, text(o, "octets"));
	f.direct = json_object_get(o, "destination") == NULL;
	if (!f.direct)
		snprintf(f.destination, sizeof(f.destination), "%s",
		    text(o, "destination"));
	f.priority = (int)json_integer_value(json_object_get(o, "priority"));
	f.lifetime_secs = integer(o, "lifetime");
	f.hops = (unsigned)integer(o, "hops");
	f.length = bytes.len;
	f.total = whole ? bytes.len : integer(o, "total");
	f.offset = integer(o, "offset");
	if (!whole)
		octets(o, "id", f.name, sizeof(f.name));
	assert_int_equal(frame_put(out, &f, NULL), 0);
	buf_addslice(out, buf_slice(&bytes));
	buf_release(&bytes);
}

static void
put_ack(struct buf *out, json_t *o)
{
	struct frame_range range[RUNS_MAX];
	struct frame f = { .kind = FRAME_ACK, .range = range };
	json_t *ranges = json_object_get(o, "ranges"), *r;
	size_t i;

	octets(o, "id", f.name, sizeof(f.name));
	json_array_foreach(ranges, i, r) {
		assert_true(i < RUNS_MAX);
		range[i].offset =
		    (uint64_t)json_integer_value(json_array_get(r, 0));
		range[i].length =
		    (uint64_t)json_integer_value(json_array_get(r, 1));
	}
	f.nranges = json_array_size(ranges);
	assert_int_equal(frame_put(out, &f, NULL), 0);
}

static void
put_frames(struct buf *out, json_t *frames)
{
	json_t *o;
	size_t i;

	json_array_foreach(frames, i, o) {
		const char *type = text(o, "type");

		if (strcmp(type, "ack") == 0) {
			put_ack(out, o);
		} else if (strcmp(type, "site") == 0) {
			struct frame f = { .kind = FRAME_SITE,
				.bytes = slice_of(text(o, "card")) };

			assert_int_equal(frame_put(out, &f, NULL), 0);
		} else {
			put_bundle(out, o, strcmp(type, "whole") == 0);
		}
	}
}

static void
put_void(struct bag_writer *w, json_t *o)
{
	uint64_t serial[RUNS_MAX];
	json_t *serials = json_object_get(o, "serials"), *s;
	size_t i;

	json_array_foreach(serials, i, s) {
		assert_true(i < RUNS_MAX);
		serial[i] = (uint64_t)json_integer_value(s);
	}
	assert_int_equal(bag_writer_void(w, serial, i, NULL), 0);
}

static struct bag_run
run_of(json_t *o)
{
	static const char *const verdicts[] = { "taken", "refused",
		"pending" };
	struct bag_run run = { .count = integer(o, "count") };

	while (strcmp(verdicts[run.verdict], text(o, "verdict")) != 0) {
		assert_true(run.verdict < BAG_PENDING);
		run.verdict++;
	}
	if (run.verdict == BAG_REFUSED) {
		assert_int_equal(sscanf(text(o, "status"), "%u.%u.%u",
		    &run.status[0], &run.status[1], &run.status[2]), 3);
		run.text = slice_of(text(o, "text"));
	}
	return run;
}

static uint64_t
epoch_of(json_t *o)
{
	return strtoull(text(o, "epoch"), NULL, 16);
}

static void
put_result(struct bag_writer *w, json_t *o)
{
	struct bag_result result = { .epoch = epoch_of(o),
		.serial = integer(o, "serial") };
	json_t *runs = json_object_get(o, "runs"), *r;
	struct bag_run run[RUNS_MAX];
	size_t i;

	octets(o, "digest", result.digest, sizeof(result.digest));
	json_array_foreach(runs, i, r) {
		assert_true(i < RUNS_MAX);
		run[i] = run_of(r);
	}
	assert_int_equal(bag_writer_result(w, &result, run, i, NULL), 0);
}

static void
put_stretch(struct bag_writer *w, json_t *o)
{
	struct buf bytes = BUF_INIT;

	unhex(&bytes, text(o, "octets"));
	assert_int_equal(bag_writer_octets(w, bytes.ptr, bytes.len, NULL), 0);
	assert_int_equal(bag_writer_over(w, NULL), 0);
	buf_release(&bytes);
}

static void
put_onward(struct bag_writer *w, json_t *o)
{
	struct bag_onward onward = {
		.priority =
		    (int)json_integer_value(json_object_get(o, "priority")),
		.lifetime_secs = integer(o, "lifetime") };

	snprintf(onward.destination, sizeof(onward.destination), "%s",
	    text(o, "destination"));
	assert_int_equal(bag_writer_onward(w, &onward, NULL), 0);
	put_stretch(w, o);
}

static void
put_item(struct bag_writer *w, json_t *o)
{
	const char *type = text(o, "type");

	if (strcmp(type, "void") == 0) {
		put_void(w, o);
	} else if (strcmp(type, "result") == 0) {
		put_result(w, o);
	} else if (strcmp(type, "card") == 0) {
		assert_int_equal(bag_writer_card(w, slice_of(text(o, "card")),
		    NULL), 0);
	} else if (strcmp(type, "onward") == 0) {
		put_onward(w, o);
	} else {
		assert_string_equal(type, "batch");
		assert_int_equal(bag_writer_batch(w, NULL), 0);
		put_stretch(w, o);
	}
}

static enum bag_sort
sort_of(enum seal_kind kind)
{
	return kind == SEAL_ONION ? BAG_ONION :
	    kind == SEAL_REQUEST ? BAG_REQUEST : BAG_FLOW;
}

static void
put_bag(struct buf *out, json_t *bag, enum seal_kind kind)
{
	struct bag_writer *w = bag_writer_new(sort_of(kind), sink_to_buf,
	    out);
	json_t *items = json_object_get(bag, "items"), *o;
	size_t i;

	if (kind == SEAL_BUNDLE) {
		struct bag_flow flow = { epoch_of(bag),
			integer(bag, "serial"), integer(bag, "floor") };

		assert_int_equal(bag_writer_flow(w, &flow, NULL), 0);
	}
	json_array_foreach(items, i, o)
		put_item(w, o);
	assert_int_equal(bag_writer_pad(w, integer(bag, "padding"), NULL), 0);
	assert_int_equal(bag_writer_finish(w, NULL), 0);
	bag_writer_free(w);
}

static void
put_plain(struct buf *out, json_t *v)
{
	json_t *bag = json_object_get(v, "bag");
	json_t *frames = json_object_get(v, "frames");
	uint64_t rule = integer(v, "rule");

	if (bag != NULL) {
		put_bag(out, bag, kind_of(text(v, "kind")));
	} else if (frames != NULL) {
		put_frames(out, frames);
		for (uint64_t i = integer(v, "padding"); i > 0; i--)
			buf_addc(out, 0);
	}
	for (uint64_t i = 0; i < rule; i++)
		buf_addc(out, (char)(i * 7 + i / 251));
}

/* The octets themselves, or their length and hash. */
static void
check_octets(json_t *said, const struct buf *is)
{
	unsigned char digest[SHA256_LEN], wanted[SHA256_LEN];
	struct buf b = BUF_INIT;
	struct sha256 h;

	if (json_object_get(said, "hex") != NULL) {
		unhex(&b, text(said, "hex"));
		assert_octets(is, buf_slice(&b));
		buf_release(&b);
		return;
	}
	assert_int_equal(is->len, integer(said, "length"));
	octets(said, "sha256", wanted, sizeof(wanted));
	sha256_init(&h);
	sha256_add(&h, is->ptr, is->len);
	sha256_end(&h, digest);
	assert_memory_equal(digest, wanted, sizeof(digest));
}

/*
 * Sealing and opening.
 */
static void
fill_rng(struct fixed_rng *rng, json_t *v, bool sign)
{
	*rng = (struct fixed_rng){ .rng = { fixed_fill },
		.octets = BUF_INIT };
	unhex(&rng->octets, text(v, sign ? "nonce" : "ephemeral"));
	if (!sign)
		buf_put8(&rng->octets, integer(v, "bit255") ? 0x80 : 0);
}

static void
seal_vector(struct world *w, json_t *v, struct buf *plain, struct buf *out)
{
	enum seal_kind kind = kind_of(text(v, "kind"));
	bool sign = json_is_true(json_object_get(v, "sign"));
	struct fixed_rng rng;
	struct seal_to to = { .kind = kind,
		.destination = text(v, "destination"),
		.remote = kind == SEAL_REQUEST ? w->auth_public[1] :
						 w->receive_public,
		.secret = w->auth[0], .rng = &rng.rng, .sign = sign,
		.origin = text(v, "origin"), .sign_secret = w->identity };
	struct sealer *s;

	if (json_is_true(json_object_get(v, "psk")))
		to.psk = w->psk;
	fill_rng(&rng, v, sign);
	put_plain(plain, v);
	s = sealer_new(&to, sink_to_buf, out);
	assert_int_equal(sealer_add(s, plain->ptr, plain->len, NULL), 0);
	assert_int_equal(sealer_finish(s, NULL), 0);
	assert_int_equal(rng.octets.len, 0);
	sealer_free(s);
	buf_release(&rng.octets);
}

static int
sender(void *ctx, enum seal_kind kind, const unsigned char key[32],
    struct open_peer *peer_out, struct err *e)
{
	struct world *w = ctx;

	(void)kind;
	if (!w->known || memcmp(key, w->auth_public[0], 32) != 0)
		return err_set(e, ERR_DENIED, "unknown");
	peer_out->sign = w->sign;
	peer_out->psk = w->has_psk;
	memcpy(peer_out->key, w->peer_psk, 32);
	return 0;
}

static int
signer(void *ctx, enum seal_kind kind, const char *site,
    unsigned char public_out[32], struct open_peer *peer_out, struct err *e)
{
	struct world *w = ctx;

	(void)kind;
	if (!w->known || strcmp(site, "paris") != 0)
		return err_set(e, ERR_DENIED, "unknown");
	memcpy(public_out, w->identity_public, 32);
	peer_out->sign = w->sign;
	return 0;
}

static struct opener *
opener_of(struct world *w)
{
	struct open_with with = { .site = w->site, .kinds = w->kinds,
		.nkeys = 2, .sender = sender, .signer = signer, .ctx = w };

	with.key[0] = (struct open_key){ ~SEAL_BIT(SEAL_REQUEST), 1,
		w->receive, w->receive_public };
	with.key[1] = (struct open_key){ SEAL_BIT(SEAL_REQUEST), 2,
		w->auth[1], w->auth_public[1] };
	return opener_new(&with);
}

/* What refused it, or "good". */
static const char *
open_object(struct world *w, struct slice object, struct buf *plain,
    unsigned char tag_out[SEAL_TAG_LEN], enum seal_kind *kind_out)
{
	struct opener *o = opener_of(w);
	const char *fault;

	if (opener_verify(o, object.ptr, object.len, NULL) == 0 &&
	    opener_verify_end(o, NULL) == 0) {
		opener_rewind(o);
		assert_int_equal(opener_read(o, object.ptr, object.len,
		    plain, NULL), 0);
		assert_int_equal(opener_read_end(o, plain, NULL), 0);
		memcpy(tag_out, opener_tag(o), SEAL_TAG_LEN);
		*kind_out = opener_kind(o);
	}
	fault = open_fault_name(opener_fault(o));
	opener_free(o);
	return fault;
}

static void
check_vector(struct world *w, json_t *v)
{
	struct buf plain = BUF_INIT, object = BUF_INIT, opened = BUF_INIT;
	unsigned char tag[SEAL_TAG_LEN], wanted[SEAL_TAG_LEN];
	unsigned char digest[SHA256_LEN];
	enum seal_kind kind = SEAL_PARCEL;
	struct sha256 h;

	seal_vector(w, v, &plain, &object);
	check_octets(json_object_get(v, "plain"), &plain);
	check_octets(json_object_get(v, "object"), &object);
	w->sign = json_is_true(json_object_get(v, "sign"));
	w->has_psk = json_is_true(json_object_get(v, "psk"));
	memcpy(w->peer_psk, w->psk, 32);
	assert_string_equal(open_object(w, buf_slice(&object), &opened, tag,
	    &kind), "good");
	assert_octets(&opened, buf_slice(&plain));
	assert_int_equal(kind, kind_of(text(v, "kind")));
	octets(v, "tag", wanted, sizeof(wanted));
	assert_memory_equal(tag, wanted, sizeof(tag));
	sha256_init(&h);
	sha256_add(&h, object.ptr, object.len);
	sha256_end(&h, digest);
	octets(v, "id", wanted, sizeof(wanted));
	assert_memory_equal(digest, wanted, sizeof(wanted));
	buf_release(&plain);
	buf_release(&object);
	buf_release(&opened);
}

/*
 * What is refused.
 */
static void
swap_chunks(struct buf *object, size_t i, size_t j)
{
	char *a = object->ptr + 96 + i * SEAL_CHUNK_MAX;
	char *b = object->ptr + 96 + j * SEAL_CHUNK_MAX;

	assert_true(96 + (j + 1) * SEAL_CHUNK_MAX <= object->len);
	for (size_t k = 0; k < SEAL_CHUNK_MAX; k++) {
		char c = a[k];

		a[k] = b[k];
		b[k] = c;
	}
}

static void
edit(struct buf *object, json_t *step)
{
	const char *what = json_string_value(json_array_get(step, 0));
	json_t *arg = json_array_get(step, 1);
	size_t n = (size_t)json_integer_value(arg);

	if (strcmp(what, "cut") == 0) {
		assert_true(n < object->len);
		buf_truncate(object, n);
	} else if (strcmp(what, "append") == 0) {
		unhex(object, json_string_value(arg));
	} else if (strcmp(what, "flip") == 0) {
		assert_true(n / 8 < object->len);
		object->ptr[n / 8] = (char)(object->ptr[n / 8] ^ 1 << n % 8);
	} else {
		assert_string_equal(what, "swap");
		swap_chunks(object, n,
		    (size_t)json_integer_value(json_array_get(step, 2)));
	}
}

static void
configure(struct world *w, json_t *row)
{
	json_t *kinds = json_object_get(row, "open"), *kind;
	json_t *known = json_object_get(row, "known");
	size_t i;

	w->site = json_object_get(row, "site") != NULL ? text(row, "site") :
							 "oslo";
	w->kinds = kinds == NULL ? ~0U : 0;
	json_array_foreach(kinds, i, kind)
		w->kinds |= SEAL_BIT(kind_of(json_string_value(kind)));
	w->known = known == NULL || json_is_true(known);
	w->sign = json_is_true(json_object_get(row, "sign"));
	w->has_psk = json_object_get(row, "psk") != NULL;
	if (w->has_psk)
		octets(row, "psk", w->peer_psk, 32);
}

static void
check_refused(struct world *w, json_t *file, json_t *row)
{
	struct buf plain = BUF_INIT, object = BUF_INIT, opened = BUF_INIT;
	json_t *edits = json_object_get(row, "edit"), *step;
	unsigned char tag[SEAL_TAG_LEN];
	enum seal_kind kind;
	size_t i;

	seal_vector(w, find_vector(file, text(row, "of")), &plain, &object);
	json_array_foreach(edits, i, step)
		edit(&object, step);
	configure(w, row);
	assert_string_equal(open_object(w, buf_slice(&object), &opened, tag,
	    &kind), text(row, "fault"));
	assert_int_equal(opened.len, 0);
	buf_release(&plain);
	buf_release(&object);
	buf_release(&opened);
}

static int
read_frames(struct slice in, struct err *e)
{
	struct frame_reader *r = frame_reader_new();
	struct frame f;
	size_t used;
	int rc;

	while ((rc = frame_reader_next(r, in.ptr, in.len, &used, &f,
	    e)) == 1) {
		in.ptr += used;
		in.len -= used;
	}
	if (rc == 0)
		rc = frame_reader_end(r, e);
	frame_reader_free(r);
	return rc;
}

static int
read_bag(enum bag_sort sort, struct slice in, struct err *e)
{
	struct bag_reader *r = bag_reader_new(sort);
	struct bag_event ev;
	size_t used;
	int rc;

	while ((rc = bag_reader_next(r, in.ptr, in.len, &used, &ev, e)) ==
	    1) {
		in.ptr += used;
		in.len -= used;
	}
	if (rc == 0)
		rc = bag_reader_end(r, e);
	bag_reader_free(r);
	return rc;
}

static int
read_inside(enum seal_kind kind, struct slice in, struct err *e)
{
	if (kind == SEAL_PARCEL)
		return read_frames(in, e);
	return read_bag(sort_of(kind), in, e);
}

static void
check_inside(json_t *file, enum seal_kind kind)
{
	json_t *rows = json_object_get(file, "refused_inside"), *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		struct buf in = BUF_INIT;
		struct err e = ERR_INIT;

		unhex(&in, text(row, "hex"));
		if (read_inside(kind, buf_slice(&in), &e) == 0)
			fail_msg("read all the same: %s", text(row, "why"));
		assert_true(e.text[0] != '\0');
		buf_release(&in);
	}
}

static void
check_file(const char *name, enum seal_kind kind)
{
	char *path = mem_printf("tests/vectors/%s.json", name);
	json_error_t error;
	json_t *file = json_load_file(path, 0, &error), *row;
	struct world w;
	size_t i;

	if (file == NULL)
		fail_msg("%s: %s", path, error.text);
	world_init(&w, file);
	json_array_foreach(json_object_get(file, "vectors"), i, row)
		check_vector(&w, row);
	assert_true(i > 1);
	json_array_foreach(json_object_get(file, "refused"), i, row)
		check_refused(&w, file, row);
	assert_true(i > 5);
	check_inside(file, kind);
	json_decref(file);
	free(path);
}

static void
test_parcel(void **state)
{
	(void)state;
	check_file("parcel", SEAL_PARCEL);
}

static void
test_bundle(void **state)
{
	(void)state;
	check_file("bundle", SEAL_BUNDLE);
}

static void
test_request(void **state)
{
	(void)state;
	check_file("request", SEAL_REQUEST);
}

static void
test_onion(void **state)
{
	(void)state;
	check_file("onion", SEAL_ONION);
}

static void
test_signed(void **state)
{
	(void)state;
	check_file("signed", SEAL_PARCEL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parcel),
		cmocka_unit_test(test_bundle),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_onion),
		cmocka_unit_test(test_signed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
