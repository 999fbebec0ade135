/* SPDX-License-Identifier: ISC */
/*
 * Frames of a parcel: whole and in pieces they are the same frames or refused
 * both ways, and what is read can be written and read again.
 */
#include "bundle/frame.h"
#include "base/text.h"
#include "tests/fuzz/fuzz.h"

static void
show_head(struct buf *out, const struct frame *f)
{
	buf_addf(out, "%d ", (int)f->kind);
	hex_encode(out, f->name, sizeof(f->name));
	buf_addf(out, " %d %s %d %llu %u %llu %llu %llu", f->direct,
	    f->destination, f->priority,
	    (unsigned long long)f->lifetime_secs, f->hops,
	    (unsigned long long)f->total, (unsigned long long)f->offset,
	    (unsigned long long)f->length);
	for (size_t i = 0; i < f->nranges; i++)
		buf_addf(out, " %llu+%llu",
		    (unsigned long long)f->range[i].offset,
		    (unsigned long long)f->range[i].length);
	buf_addc(out, ' ');
}

/* As text; and written again, if again is not NULL. */
static void
take(struct buf *out, struct buf *again, const struct frame *f)
{
	struct err e = ERR_INIT;

	if (f->kind != FRAME_OCTETS)
		show_head(out, f);
	hex_encode(out, f->bytes.ptr, f->bytes.len);
	if (again == NULL)
		return;
	if (f->kind == FRAME_OCTETS)
		buf_addslice(again, f->bytes);
	else if (f->kind != FRAME_OVER)
		FUZZ_CHECK(frame_put(again, f, &e) == 0);
}

static int
feed(struct frame_reader *r, struct buf *out, struct buf *again,
    const char *in, size_t len, struct err *e)
{
	size_t at = 0, used;
	struct frame f;
	int rc;

	while ((rc = frame_reader_next(r, in + at, len - at, &used, &f,
	    e)) == 1) {
		FUZZ_CHECK(used <= len - at);
		at += used;
		take(out, again, &f);
	}
	FUZZ_CHECK(rc < 0 || at + used == len);
	return rc;
}

static int
read_all(struct buf *out, struct buf *again, struct slice in, size_t piece)
{
	struct frame_reader *r = frame_reader_new();
	struct err e = ERR_INIT;
	int rc = 0;

	for (size_t at = 0, n; rc == 0 && at < in.len; at += n) {
		n = in.len - at < piece ? in.len - at : piece;
		char *copy = fuzz_copy(in.ptr + at, n);

		rc = feed(r, out, again, copy, n, &e);
		free(copy);
	}
	if (rc == 0)
		rc = frame_reader_end(r, &e);
	FUZZ_CHECK(rc == 0 || e.text[0] != '\0');
	FUZZ_CHECK(rc == frame_reader_end(r, &e));
	frame_reader_free(r);
	return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t pieces[] = { 1, 7, 1000 };
	struct slice in = { (const char *)data, size };
	struct buf whole = BUF_INIT, other = BUF_INIT, again = BUF_INIT;
	int rc = read_all(&whole, &again, in, SIZE_MAX);

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		buf_clear(&other);
		FUZZ_CHECK(read_all(&other, NULL, in, pieces[i]) == rc);
		fuzz_same(&whole, &other);
	}
	if (rc == 0) {
		buf_clear(&other);
		FUZZ_CHECK(read_all(&other, NULL, buf_slice(&again),
		    SIZE_MAX) == 0);
		fuzz_same(&whole, &other);
		FUZZ_CHECK(again.len <= size);
	}
	buf_release(&whole);
	buf_release(&other);
	buf_release(&again);
	return 0;
}
