/* SPDX-License-Identifier: ISC */
/*
 * Bags: the first octet says which sort.  Whole and in pieces they say the
 * same or are refused both ways, and what is read can be written again.
 */
#include "bundle/bag.h"
#include "base/text.h"
#include "tests/fuzz/fuzz.h"

#define RUNS_MAX 64

/* Writes what is read; a result of more runs than there is room for ends it. */
struct again {
	struct bag_writer *w;
	struct buf out;
	bool stopped;
	struct bag_result result;
	struct bag_run run[RUNS_MAX];
	char text[RUNS_MAX][BAG_TEXT_MAX];
	size_t nruns;
};

static int
to_buf(void *ctx, const char *bytes, size_t len, struct err *e)
{
	(void)e;
	buf_add(ctx, bytes, len);
	return 0;
}

static int
write_run(struct again *a, const struct bag_run *run, struct err *e)
{
	struct bag_run *copy = &a->run[a->nruns];

	if (a->nruns == RUNS_MAX) {
		a->stopped = true;
		return 0;
	}
	*copy = *run;
	if (run->text.len > 0)
		memcpy(a->text[a->nruns], run->text.ptr, run->text.len);
	copy->text.ptr = a->text[a->nruns++];
	return run->count > 0 ? 0 :
	    bag_writer_result(a->w, &a->result, a->run, a->nruns, e);
}

static int
write_event(struct again *a, const struct bag_event *ev, struct err *e)
{
	switch (ev->kind) {
	case BAG_EVENT_FLOW:
		return bag_writer_flow(a->w, &ev->flow, e);
	case BAG_EVENT_VOID:
		return bag_writer_void(a->w, ev->serial, ev->nserials, e);
	case BAG_EVENT_RESULT:
		a->result = ev->result;
		a->nruns = 0;
		return 0;
	case BAG_EVENT_RUN:
		return write_run(a, &ev->run, e);
	case BAG_EVENT_CARD:
		return bag_writer_card(a->w, ev->bytes, e);
	case BAG_EVENT_ONWARD:
		return bag_writer_onward(a->w, &ev->onward, e);
	case BAG_EVENT_BATCH:
		return bag_writer_batch(a->w, e);
	case BAG_EVENT_OCTETS:
		return bag_writer_octets(a->w, ev->bytes.ptr, ev->bytes.len,
		    e);
	case BAG_EVENT_OVER:
	default:
		return bag_writer_over(a->w, e);
	}
}

static void
show_numbers(struct buf *out, const struct bag_event *ev)
{
	buf_addf(out, "%d %llx %llu %llu %llx %llu ", (int)ev->kind,
	    (unsigned long long)ev->flow.epoch,
	    (unsigned long long)ev->flow.serial,
	    (unsigned long long)ev->flow.floor,
	    (unsigned long long)ev->result.epoch,
	    (unsigned long long)ev->result.serial);
	hex_encode(out, ev->result.digest, BAG_DIGEST_LEN);
	for (size_t i = 0; i < ev->nserials; i++)
		buf_addf(out, " %llu", (unsigned long long)ev->serial[i]);
	buf_addf(out, " %llu+%llu %d %u %u %u ",
	    (unsigned long long)ev->first, (unsigned long long)ev->run.count,
	    (int)ev->run.verdict, ev->run.status[0], ev->run.status[1],
	    ev->run.status[2]);
}

static void
show(struct buf *out, const struct bag_event *ev)
{
	if (ev->kind != BAG_EVENT_OCTETS) {
		show_numbers(out, ev);
		buf_addslice(out, ev->run.text);
		buf_addf(out, " %s %d %llu ", ev->onward.destination,
		    ev->onward.priority,
		    (unsigned long long)ev->onward.lifetime_secs);
	}
	hex_encode(out, ev->bytes.ptr, ev->bytes.len);
}

static int
feed(struct bag_reader *r, struct buf *out, struct again *a, const char *in,
    size_t len, struct err *e)
{
	struct err fault = ERR_INIT;
	struct bag_event ev;
	size_t at = 0, used;
	int rc;

	while ((rc = bag_reader_next(r, in + at, len - at, &used, &ev, e)) ==
	    1) {
		FUZZ_CHECK(used <= len - at);
		at += used;
		show(out, &ev);
		if (a != NULL && !a->stopped)
			FUZZ_CHECK(write_event(a, &ev, &fault) == 0);
	}
	FUZZ_CHECK(rc < 0 || at + used == len);
	return rc;
}

static int
read_all(enum bag_sort sort, struct buf *out, struct again *a,
    struct slice in, size_t piece)
{
	struct bag_reader *r = bag_reader_new(sort);
	struct err e = ERR_INIT;
	int rc = 0;

	for (size_t at = 0, n; rc == 0 && at < in.len; at += n) {
		n = in.len - at < piece ? in.len - at : piece;
		char *copy = fuzz_copy(in.ptr + at, n);

		rc = feed(r, out, a, copy, n, &e);
		free(copy);
	}
	if (rc == 0)
		rc = bag_reader_end(r, &e);
	FUZZ_CHECK(rc == 0 || e.text[0] != '\0');
	bag_reader_free(r);
	return rc;
}

static void
check(enum bag_sort sort, struct slice in)
{
	static const size_t pieces[] = { 1, 7, 1000 };
	struct again a = { .out = BUF_INIT };
	struct buf whole = BUF_INIT, other = BUF_INIT;
	struct err e = ERR_INIT;
	int rc;

	a.w = bag_writer_new(sort, to_buf, &a.out);
	rc = read_all(sort, &whole, &a, in, SIZE_MAX);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		buf_clear(&other);
		FUZZ_CHECK(read_all(sort, &other, NULL, in, pieces[i]) == rc);
		fuzz_same(&whole, &other);
	}
	if (rc == 0 && !a.stopped) {
		FUZZ_CHECK(bag_writer_finish(a.w, &e) == 0);
		FUZZ_CHECK(bag_writer_size(a.w) == a.out.len);
		FUZZ_CHECK(a.out.len <= in.len);
		buf_clear(&other);
		FUZZ_CHECK(read_all(sort, &other, NULL, buf_slice(&a.out),
		    SIZE_MAX) == 0);
		fuzz_same(&whole, &other);
	}
	bag_writer_free(a.w);
	buf_release(&a.out);
	buf_release(&whole);
	buf_release(&other);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0)
		check((enum bag_sort)(data[0] % 3),
		    (struct slice){ (const char *)data + 1, size - 1 });
	return 0;
}
