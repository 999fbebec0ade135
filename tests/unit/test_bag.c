/* SPDX-License-Identifier: ISC */
/*
 * Bags: each case as octets written down from the manual page; read whole and
 * in pieces it says the same, and written again it is the same octets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/text.h"
#include "bundle/bag.h"
#include "tests/unit/octets.h"

#define EPOCH "0123456789abcdef "
#define DIGEST "a0a1a2a3a4a5a6a7"
#define RUNS_MAX 16

/*
 * Reading as text.
 */
static void
show_run(struct buf *out, const struct bag_event *ev)
{
	static const char *const verdicts[] = { "taken", "refused",
		"pending" };

	buf_addf(out, " %llu", (unsigned long long)ev->first);
	if (ev->run.count > 0)
		buf_addf(out, "+%llu", (unsigned long long)ev->run.count);
	else
		buf_adds(out, "..");
	buf_adds(out, verdicts[ev->run.verdict]);
	if (ev->run.verdict == BAG_REFUSED) {
		buf_addf(out, " %u.%u.%u '", ev->run.status[0],
		    ev->run.status[1], ev->run.status[2]);
		buf_addslice(out, ev->run.text);
		buf_adds(out, "'");
	}
	buf_adds(out, ev->run.count > 0 ? "," : ";");
}

static void
show(struct buf *out, const struct bag_event *ev)
{
	switch (ev->kind) {
	case BAG_EVENT_FLOW:
		buf_addf(out, "flow %llx %llu %llu;",
		    (unsigned long long)ev->flow.epoch,
		    (unsigned long long)ev->flow.serial,
		    (unsigned long long)ev->flow.floor);
		break;
	case BAG_EVENT_VOID:
		buf_adds(out, "void");
		for (size_t i = 0; i < ev->nserials; i++)
			buf_addf(out, " %llu",
			    (unsigned long long)ev->serial[i]);
		buf_adds(out, ";");
		break;
	case BAG_EVENT_RESULT:
		buf_addf(out, "result %llx %llu ",
		    (unsigned long long)ev->result.epoch,
		    (unsigned long long)ev->result.serial);
		hex_encode(out, ev->result.digest, BAG_DIGEST_LEN);
		break;
	case BAG_EVENT_RUN:
		show_run(out, ev);
		break;
	case BAG_EVENT_CARD:
		buf_adds(out, "card ");
		buf_addslice(out, ev->bytes);
		buf_adds(out, ";");
		break;
	case BAG_EVENT_ONWARD:
		buf_addf(out, "onward %s p%d l%llu:", ev->onward.destination,
		    ev->onward.priority,
		    (unsigned long long)ev->onward.lifetime_secs);
		break;
	case BAG_EVENT_BATCH:
		buf_adds(out, "batch:");
		break;
	case BAG_EVENT_OCTETS:
		assert_true(ev->bytes.len > 0);
		hex_encode(out, ev->bytes.ptr, ev->bytes.len);
		break;
	case BAG_EVENT_OVER:
		buf_adds(out, ";");
		break;
	}
}

static int
feed(struct bag_reader *r, struct buf *out, const char *in, size_t len,
    struct err *e)
{
	size_t at = 0, used;
	struct bag_event ev;
	int rc;

	while ((rc = bag_reader_next(r, in + at, len - at, &used, &ev,
	    e)) == 1) {
		at += used;
		show(out, &ev);
	}
	assert_true(rc < 0 || at + used == len);
	return rc;
}

static int
read_all(enum bag_sort sort, struct buf *out, struct slice in, size_t piece,
    struct err *e)
{
	struct bag_reader *r = bag_reader_new(sort);
	int rc = 0;

	for (size_t at = 0, n; rc == 0 && at < in.len; at += n) {
		n = in.len - at < piece ? in.len - at : piece;
		char *copy = malloc(n);

		assert_non_null(copy);
		memcpy(copy, in.ptr + at, n);
		rc = feed(r, out, copy, n, e);
		free(copy);
	}
	if (rc == 0)
		rc = feed(r, out, NULL, 0, e);
	if (rc == 0)
		rc = bag_reader_end(r, e);
	bag_reader_free(r);
	return rc;
}

/*
 * Writing what is read.
 */
struct rewriter {
	struct bag_writer *w;
	struct bag_result result;
	struct bag_run run[RUNS_MAX];
	char text[RUNS_MAX][BAG_TEXT_MAX];
	size_t nruns;
};

static int
rewrite_run(struct rewriter *rw, const struct bag_run *run)
{
	struct bag_run *copy = &rw->run[rw->nruns];

	assert_true(rw->nruns < RUNS_MAX);
	*copy = *run;
	if (run->text.len > 0)
		memcpy(rw->text[rw->nruns], run->text.ptr, run->text.len);
	copy->text.ptr = rw->text[rw->nruns++];
	if (run->count > 0)
		return 0;
	return bag_writer_result(rw->w, &rw->result, rw->run, rw->nruns,
	    NULL);
}

static int
rewrite_event(struct rewriter *rw, const struct bag_event *ev)
{
	switch (ev->kind) {
	case BAG_EVENT_FLOW:
		return bag_writer_flow(rw->w, &ev->flow, NULL);
	case BAG_EVENT_VOID:
		return bag_writer_void(rw->w, ev->serial, ev->nserials, NULL);
	case BAG_EVENT_RESULT:
		rw->result = ev->result;
		rw->nruns = 0;
		return 0;
	case BAG_EVENT_RUN:
		return rewrite_run(rw, &ev->run);
	case BAG_EVENT_CARD:
		return bag_writer_card(rw->w, ev->bytes, NULL);
	case BAG_EVENT_ONWARD:
		return bag_writer_onward(rw->w, &ev->onward, NULL);
	case BAG_EVENT_BATCH:
		return bag_writer_batch(rw->w, NULL);
	case BAG_EVENT_OCTETS:
		return bag_writer_octets(rw->w, ev->bytes.ptr, ev->bytes.len,
		    NULL);
	case BAG_EVENT_OVER:
		return bag_writer_over(rw->w, NULL);
	}
	return -1;
}

static void
rewrite(enum bag_sort sort, struct buf *out, struct slice in)
{
	struct rewriter rw = { .w = bag_writer_new(sort, sink_to_buf, out) };
	struct bag_reader *r = bag_reader_new(sort);
	struct bag_event ev;
	size_t used;

	while (bag_reader_next(r, in.ptr, in.len, &used, &ev, NULL) == 1) {
		in.ptr += used;
		in.len -= used;
		assert_int_equal(rewrite_event(&rw, &ev), 0);
	}
	assert_int_equal(bag_writer_size(rw.w), out->len);
	assert_int_equal(bag_writer_finish(rw.w, NULL), 0);
	bag_reader_free(r);
	bag_writer_free(rw.w);
}

/* rest: padding. */
static const struct {
	enum bag_sort sort;
	const char *hex, *rest, *text;
} good[] = {
	{ BAG_FLOW, EPOCH "00 00", "", "flow 123456789abcdef 0 0;" },
	{ BAG_FLOW, EPOCH "00 8001", "000000",
	    "flow 123456789abcdef 0 128;" },
	{ BAG_FLOW, EPOCH "07 03 05 0003 616263", "",
	    "flow 123456789abcdef 7 3;batch:616263;" },
	{ BAG_FLOW, EPOCH "07 03 05 0000", "0000",
	    "flow 123456789abcdef 7 3;batch:;" },
	{ BAG_FLOW, EPOCH "01 01 05 0001 ff", "00",
	    "flow 123456789abcdef 1 1;batch:ff;" },
	/* the largest numbers */
	{ BAG_FLOW, "ffffffffffffffff ffffffffffffffffff01 "
	    "ffffffffffffffffff01 05 0000", "",
	    "flow ffffffffffffffff 18446744073709551615 "
	    "18446744073709551615;batch:;" },
	{ BAG_FLOW, EPOCH "00 00 01 03 05 01 8001", "",
	    "flow 123456789abcdef 0 0;void 5 6 134;" },
	{ BAG_FLOW, EPOCH "00 00 02 00000000000000ff 09 " DIGEST " 00", "",
	    "flow 123456789abcdef 0 0;result ff 9 a0a1a2a3a4a5a6a7"
	    " 0..taken;" },
	{ BAG_FLOW, EPOCH "00 00 02 00000000000000ff 09 " DIGEST
	    " 0c 05 05 01 01 04 6e6f6e65 02", "00",
	    "flow 123456789abcdef 0 0;result ff 9 a0a1a2a3a4a5a6a7"
	    " 0+3taken, 3+1refused 5.1.1 'none', 4..pending;" },
	{ BAG_FLOW, EPOCH "00 00 02 00000000000000ff 09 " DIGEST
	    " 05 05 01 01 01 61 05 05 01 01 01 62 01 04 e707 e707 00", "",
	    "flow 123456789abcdef 0 0;result ff 9 a0a1a2a3a4a5a6a7"
	    " 0+1refused 5.1.1 'a', 1+1refused 5.1.1 'b',"
	    " 2..refused 4.999.999 '';" },
	{ BAG_FLOW, EPOCH "00 00 03 02 6869 01 01 01 03 01 2e", "",
	    "flow 123456789abcdef 0 0;card hi;void 1;card .;" },
	{ BAG_FLOW, EPOCH "02 01 01 01 01 02 00000000000000ff 09 " DIGEST
	    " 02 03 01 63 05 0001 00", "0000",
	    "flow 123456789abcdef 2 1;void 1;result ff 9 a0a1a2a3a4a5a6a7"
	    " 0..pending;card c;batch:00;" },
	{ BAG_ONION, "04 04 6f736c6f fe 18 0002 abcd", "",
	    "onward oslo p-2 l3840:abcd;" },
	{ BAG_ONION, "04 04 6f736c6f 00 00 0000", "00000000",
	    "onward oslo p0 l60:;" },
	{ BAG_REQUEST, "03 04 63617264", "", "card card;" },
	{ BAG_REQUEST, "03 04 63617264", "0000", "card card;" },
};

static void
test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		struct buf octets = BUF_INIT, all = BUF_INIT, text = BUF_INIT;
		struct buf again = BUF_INIT;

		unhex(&octets, good[i].hex);
		unhex(&all, good[i].hex);
		unhex(&all, good[i].rest);
		for (size_t piece = 1; piece < 20; piece++) {
			buf_clear(&text);
			assert_int_equal(read_all(good[i].sort, &text,
			    buf_slice(&all), piece < 19 ? piece : SIZE_MAX,
			    NULL), 0);
			assert_string_equal(buf_cstr(&text), good[i].text);
		}
		rewrite(good[i].sort, &again, buf_slice(&all));
		assert_octets(&again, buf_slice(&octets));
		buf_release(&octets);
		buf_release(&all);
		buf_release(&text);
		buf_release(&again);
	}
}

static const struct {
	enum bag_sort sort;
	const char *hex;
	int code;
	const char *why;
} bad[] = {
	{ BAG_FLOW, "", ERR_SYNTAX, "ends inside" },
	{ BAG_FLOW, EPOCH, ERR_SYNTAX, "ends inside" },
	{ BAG_FLOW, EPOCH "00", ERR_SYNTAX, "ends inside" },
	{ BAG_FLOW, EPOCH "8000 00", ERR_SYNTAX, "shorter" },
	{ BAG_FLOW, EPOCH "00 ffffffffffffffffff02", ERR_SYNTAX, "64 bits" },
	{ BAG_FLOW, EPOCH "00 00 00 01", ERR_SYNTAX, "not zero" },
	{ BAG_FLOW, EPOCH "00 00 06", ERR_UNSUPPORTED, "type 6" },
	{ BAG_FLOW, EPOCH "00 00 7f", ERR_UNSUPPORTED, "type 127" },
	{ BAG_FLOW, EPOCH "00 00 80 02 00", ERR_SYNTAX, "ends inside" },
	{ BAG_FLOW, EPOCH "00 00 80 808080808001", ERR_LIMIT, "unknown" },
	/* batch and serial belong together */
	{ BAG_FLOW, EPOCH "00 00 05 0000", ERR_SYNTAX,
	    "without a serial" },
	{ BAG_FLOW, EPOCH "01 00", ERR_SYNTAX, "what it is for" },
	{ BAG_FLOW, EPOCH "01 00 00", ERR_SYNTAX, "what it is for" },
	{ BAG_FLOW, EPOCH "01 00 05", ERR_SYNTAX, "ends inside" },
	{ BAG_FLOW, EPOCH "01 00 05 00", ERR_SYNTAX, "ends inside" },
	{ BAG_FLOW, EPOCH "01 00 05 0002 41", ERR_SYNTAX, "ends inside" },
	{ BAG_FLOW, EPOCH "01 00 05 0001 41 05 0001 41", ERR_SYNTAX,
	    "behind the last item" },
	{ BAG_FLOW, EPOCH "01 00 05 0001 41 01 01 01", ERR_SYNTAX,
	    "behind the last item" },
	/* voids */
	{ BAG_FLOW, EPOCH "00 00 01 00", ERR_LIMIT, "void" },
	{ BAG_FLOW, EPOCH "00 00 01 8108", ERR_LIMIT, "void" },
	{ BAG_FLOW, EPOCH "00 00 01 01 00", ERR_SYNTAX, "ascend" },
	{ BAG_FLOW, EPOCH "00 00 01 02 01 00", ERR_SYNTAX, "ascend" },
	{ BAG_FLOW, EPOCH "00 00 01 02 02 ffffffffffffffffff01", ERR_LIMIT,
	    "void" },
	/* results */
	{ BAG_FLOW, EPOCH "00 00 02 " EPOCH "00 " DIGEST " 00", ERR_SYNTAX,
	    "serial 0" },
	{ BAG_FLOW, EPOCH "00 00 02 " EPOCH "01 " DIGEST, ERR_SYNTAX,
	    "ends inside" },
	{ BAG_FLOW, EPOCH "00 00 02 " EPOCH "01 " DIGEST " 04", ERR_SYNTAX,
	    "ends inside" },
	{ BAG_FLOW, EPOCH "00 00 02 " EPOCH "01 " DIGEST " 03", ERR_SYNTAX,
	    "verdict 3" },
	{ BAG_FLOW, EPOCH "00 00 02 " EPOCH "01 " DIGEST " 04 00",
	    ERR_SYNTAX, "as one" },
	{ BAG_FLOW, EPOCH "00 00 02 " EPOCH "01 " DIGEST " 06 02",
	    ERR_SYNTAX, "as one" },
	{ BAG_FLOW, EPOCH "00 00 02 " EPOCH "01 " DIGEST
	    " 05 05 01 01 01 61 01 05 01 01 01 61", ERR_SYNTAX, "as one" },
	{ BAG_FLOW, EPOCH "00 00 02 " EPOCH "01 " DIGEST " 01 03 01 01 00",
	    ERR_SYNTAX, "class 3" },
	{ BAG_FLOW, EPOCH "00 00 02 " EPOCH "01 " DIGEST " 01 05 e807",
	    ERR_LIMIT, "status" },
	{ BAG_FLOW, EPOCH "00 00 02 " EPOCH "01 " DIGEST
	    " 01 05 01 01 8104", ERR_LIMIT, "refusal" },
	{ BAG_FLOW, EPOCH "00 00 02 " EPOCH "01 " DIGEST
	    " 01 05 01 01 02 610a", ERR_SYNTAX, "printable" },
	{ BAG_FLOW, EPOCH "00 00 02 " EPOCH "01 " DIGEST
	    " 01 05 01 01 01 ff", ERR_SYNTAX, "printable" },
	{ BAG_FLOW, EPOCH "00 00 02 " EPOCH "01 " DIGEST " 84808020",
	    ERR_LIMIT, "recipients" },
	{ BAG_FLOW, EPOCH "00 00 02 " EPOCH "01 " DIGEST " 80808020 06",
	    ERR_LIMIT, "recipients" },
	/* cards */
	{ BAG_FLOW, EPOCH "00 00 03 00", ERR_LIMIT, "card" },
	{ BAG_FLOW, EPOCH "00 00 03 818001", ERR_LIMIT, "card" },
	{ BAG_FLOW, EPOCH "00 00 03 02 41", ERR_SYNTAX, "ends inside" },
	/* onions */
	{ BAG_FLOW, EPOCH "00 00 04 01 61 00 00 0000", ERR_SYNTAX,
	    "not belong" },
	{ BAG_ONION, "", ERR_SYNTAX, "what it is for" },
	{ BAG_ONION, "00", ERR_SYNTAX, "what it is for" },
	{ BAG_ONION, EPOCH "00 00", ERR_SYNTAX, "not belong" },
	{ BAG_ONION, "03 01 41", ERR_SYNTAX, "not belong" },
	{ BAG_ONION, "05 0000", ERR_SYNTAX, "not belong" },
	{ BAG_ONION, "04 00", ERR_SYNTAX, "name of a site" },
	{ BAG_ONION, "04 01 61 0a 00 0000", ERR_LIMIT, "priority" },
	{ BAG_ONION, "04 01 61 00 4e 0000", ERR_LIMIT, "step" },
	{ BAG_ONION, "04 01 61 00 00", ERR_SYNTAX, "ends inside" },
	{ BAG_ONION, "04 01 61 00 00 0000 04", ERR_SYNTAX, "behind" },
	/* requests */
	{ BAG_REQUEST, "", ERR_SYNTAX, "what it is for" },
	{ BAG_REQUEST, "00", ERR_SYNTAX, "what it is for" },
	{ BAG_REQUEST, "03 01 41 03 01 41", ERR_SYNTAX, "behind" },
	{ BAG_REQUEST, "01 01 01", ERR_SYNTAX, "not belong" },
	{ BAG_REQUEST, "05 0000", ERR_SYNTAX, "not belong" },
};

static void
test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct buf octets = BUF_INIT, text = BUF_INIT;

		unhex(&octets, bad[i].hex);
		for (size_t piece = 1; piece < 4; piece++) {
			struct err e = ERR_INIT;

			assert_int_equal(read_all(bad[i].sort, &text,
			    buf_slice(&octets), piece < 3 ? piece : SIZE_MAX,
			    &e), bad[i].code);
			assert_non_null(strstr(e.text, bad[i].why));
		}
		buf_release(&octets);
		buf_release(&text);
	}
}

/* Items of later versions are passed over, but not behind the batch. */
static void
test_later_version(void **state)
{
	struct buf octets = BUF_INIT, text = BUF_INIT;

	(void)state;
	unhex(&octets, EPOCH "01 01 80 00 ff 03 050505 05 0001 41 00");
	for (size_t piece = 1; piece < 30; piece++) {
		buf_clear(&text);
		assert_int_equal(read_all(BAG_FLOW, &text, buf_slice(&octets),
		    piece, NULL), 0);
		assert_string_equal(buf_cstr(&text),
		    "flow 123456789abcdef 1 1;batch:41;");
	}
	buf_clear(&octets);
	unhex(&octets, EPOCH "01 01 05 0001 41 80 00");
	assert_int_equal(read_all(BAG_FLOW, &text, buf_slice(&octets), 1,
	    NULL), ERR_SYNTAX);
	buf_release(&octets);
	buf_release(&text);
}

/* Pieces of a stretch: full ones go on, the first that is not is the last. */
static void
check_stretch(uint64_t len, size_t piece)
{
	struct buf plain = BUF_INIT, out = BUF_INIT, text = BUF_INIT;
	struct bag_writer *w = bag_writer_new(BAG_ONION, sink_to_buf, &out);
	struct bag_onward onward = { .destination = "oslo" };
	struct rng_seeded rng;

	rng_seeded_init(&rng, len);
	rng_fill(&rng.rng, buf_room(&plain, len), len);
	buf_grown(&plain, len);
	assert_int_equal(bag_writer_onward(w, &onward, NULL), 0);
	for (size_t at = 0, n; at < len; at += n) {
		n = len - at < piece ? len - at : piece;
		assert_int_equal(bag_writer_octets(w, plain.ptr + at, n,
		    NULL), 0);
	}
	assert_int_equal(bag_writer_over(w, NULL), 0);
	assert_int_equal(bag_writer_pad(w, 10000, NULL), 0);
	assert_int_equal(bag_writer_finish(w, NULL), 0);
	bag_writer_free(w);
	/* type, name, priority, lifetime; two octets for each piece */
	assert_int_equal(out.len, 1 + 5 + 1 + 1 + len +
	    2 * (len / BAG_PIECE_MAX + 1) + 10000);
	assert_int_equal(read_all(BAG_ONION, &text, buf_slice(&out), 4096,
	    NULL), 0);
	buf_clear(&out);
	buf_adds(&out, "onward oslo p0 l60:");
	hex_encode(&out, plain.ptr, plain.len);
	buf_adds(&out, ";");
	assert_true(slice_eq(buf_slice(&out), buf_slice(&text)));
	buf_release(&plain);
	buf_release(&out);
	buf_release(&text);
}

static void
test_stretch(void **state)
{
	static const uint64_t lens[] = { 0, 1, 65534, 65535, 65536, 131069,
		131070, 131071, 200000 };

	(void)state;
	for (size_t i = 0; i < COUNT(lens); i++) {
		check_stretch(lens[i], SIZE_MAX);
		check_stretch(lens[i], 1000);
	}
}

/* Order, and what a reader would refuse. */
static void
test_refused_writing(void **state)
{
	static const struct bag_run open_end[] = { { 1, BAG_TAKEN,
	    { 0, 0, 0 }, { NULL, 0 } } };
	static const struct bag_run early_end[] = { { 0, BAG_TAKEN,
	    { 0, 0, 0 }, { NULL, 0 } }, { 0, BAG_PENDING, { 0, 0, 0 },
	    { NULL, 0 } } };
	static const struct bag_run twice[] = { { 1, BAG_TAKEN, { 0, 0, 0 },
	    { NULL, 0 } }, { 0, BAG_TAKEN, { 0, 0, 0 }, { NULL, 0 } } };
	static const struct bag_run odd[] = { { 0, BAG_REFUSED, { 1, 0, 0 },
	    { NULL, 0 } } };
	static const uint64_t serials[] = { 2, 2 };
	struct bag_flow flow = { 1, 1, 1 };
	struct bag_result result = { 1, 1, { 0 } };
	struct bag_onward onward = { .destination = "oslo" };
	struct buf out = BUF_INIT;
	struct bag_writer *w = bag_writer_new(BAG_FLOW, sink_to_buf, &out);

	(void)state;
	assert_int_equal(bag_writer_card(w, SLICE_LIT("x"), NULL), ERR_STATE);
	assert_int_equal(bag_writer_flow(w, &flow, NULL), 0);
	assert_int_equal(bag_writer_flow(w, &flow, NULL), ERR_STATE);
	assert_int_equal(bag_writer_onward(w, &onward, NULL), ERR_STATE);
	assert_int_equal(bag_writer_void(w, serials, 2, NULL), ERR_SYNTAX);
	assert_int_equal(bag_writer_void(w, serials, 0, NULL), ERR_LIMIT);
	assert_int_equal(bag_writer_result(w, &result, open_end, 1, NULL),
	    ERR_SYNTAX);
	assert_int_equal(bag_writer_result(w, &result, open_end, 0, NULL),
	    ERR_SYNTAX);
	assert_int_equal(bag_writer_result(w, &result, early_end, 2, NULL),
	    ERR_SYNTAX);
	assert_int_equal(bag_writer_result(w, &result, twice, 2, NULL),
	    ERR_SYNTAX);
	assert_int_equal(bag_writer_result(w, &result, odd, 1, NULL),
	    ERR_SYNTAX);
	result.serial = 0;
	assert_int_equal(bag_writer_result(w, &result, early_end, 1, NULL),
	    ERR_SYNTAX);
	assert_int_equal(bag_writer_card(w, SLICE_LIT(""), NULL), ERR_LIMIT);
	assert_int_equal(bag_writer_octets(w, "x", 1, NULL), ERR_STATE);
	assert_int_equal(bag_writer_over(w, NULL), ERR_STATE);
	assert_int_equal(bag_writer_pad(w, 1, NULL), ERR_STATE);
	assert_int_equal(out.len, 10);
	assert_int_equal(bag_writer_batch(w, NULL), 0);
	assert_int_equal(bag_writer_card(w, SLICE_LIT("x"), NULL), ERR_STATE);
	assert_int_equal(bag_writer_pad(w, 1, NULL), ERR_STATE);
	assert_int_equal(bag_writer_over(w, NULL), 0);
	assert_int_equal(bag_writer_pad(w, 1, NULL), 0);
	assert_int_equal(bag_writer_over(w, NULL), ERR_STATE);
	assert_int_equal(bag_writer_finish(w, NULL), 0);
	bag_writer_free(w);

	/* a batch needs its serial, and a serial its batch */
	w = bag_writer_new(BAG_FLOW, sink_to_buf, &out);
	flow.serial = 0;
	assert_int_equal(bag_writer_flow(w, &flow, NULL), 0);
	assert_int_equal(bag_writer_batch(w, NULL), ERR_STATE);
	assert_int_equal(bag_writer_finish(w, NULL), 0);
	bag_writer_free(w);
	w = bag_writer_new(BAG_FLOW, sink_to_buf, &out);
	flow.serial = 1;
	assert_int_equal(bag_writer_flow(w, &flow, NULL), 0);
	assert_int_equal(bag_writer_finish(w, NULL), ERR_STATE);
	bag_writer_free(w);
	w = bag_writer_new(BAG_REQUEST, sink_to_buf, &out);
	assert_int_equal(bag_writer_flow(w, &flow, NULL), ERR_STATE);
	assert_int_equal(bag_writer_finish(w, NULL), ERR_STATE);
	bag_writer_free(w);
	w = bag_writer_new(BAG_REQUEST, sink_to_buf, &out);
	assert_int_equal(bag_writer_card(w, SLICE_LIT("x"), NULL), 0);
	assert_int_equal(bag_writer_card(w, SLICE_LIT("x"), NULL), ERR_STATE);
	assert_int_equal(bag_writer_finish(w, NULL), 0);
	bag_writer_free(w);
	buf_release(&out);
}

static int
full(void *ctx, const char *bytes, size_t len, struct err *e)
{
	(void)ctx;
	(void)bytes;
	(void)len;
	return err_set(e, ERR_FULL, "no room");
}

/* The sink's error comes through, and nothing goes on behind it. */
static void
test_full_sink(void **state)
{
	struct bag_writer *w = bag_writer_new(BAG_REQUEST, full, NULL);

	(void)state;
	assert_int_equal(bag_writer_card(w, SLICE_LIT("x"), NULL), ERR_FULL);
	assert_int_equal(bag_writer_size(w), 0);
	assert_int_equal(bag_writer_finish(w, NULL), ERR_STATE);
	bag_writer_free(w);
}

/* As many voids as there may be, each as large as it can be. */
static void
test_limits(void **state)
{
	static uint64_t serial[BAG_VOIDS_MAX + 1];
	struct bag_flow flow = { 1, 0, 0 };
	struct buf out = BUF_INIT, text = BUF_INIT;
	struct bag_writer *w = bag_writer_new(BAG_FLOW, sink_to_buf, &out);

	(void)state;
	for (size_t i = 0; i < COUNT(serial); i++)
		serial[i] = (i + 1) * (UINT64_MAX / (COUNT(serial) + 1));
	assert_int_equal(bag_writer_flow(w, &flow, NULL), 0);
	assert_int_equal(bag_writer_void(w, serial, BAG_VOIDS_MAX, NULL), 0);
	assert_int_equal(bag_writer_void(w, serial, BAG_VOIDS_MAX + 1, NULL),
	    ERR_LIMIT);
	assert_int_equal(bag_writer_finish(w, NULL), 0);
	for (size_t piece = 1; piece < 100000; piece *= 11) {
		buf_clear(&text);
		assert_int_equal(read_all(BAG_FLOW, &text, buf_slice(&out),
		    piece, NULL), 0);
		assert_non_null(strstr(buf_cstr(&text),
		    "18410785508263723008"));
	}
	bag_writer_free(w);
	buf_release(&out);
	buf_release(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_later_version),
		cmocka_unit_test(test_stretch),
		cmocka_unit_test(test_refused_writing),
		cmocka_unit_test(test_full_sink),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
