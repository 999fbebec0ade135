/* SPDX-License-Identifier: ISC */
/*
 * The compression of native batches: whole and in pieces it expands to the
 * same, or is refused both ways; and the octets themselves, taken for a text,
 * come back from every mode.
 */
#include "bundle/squeeze.h"
#include "tests/fuzz/fuzz.h"

#define OUT_MAX (1 << 18)
#define TEXT_MAX 4096	/* longer ones take their time */

static int
to_buf(void *ctx, const char *bytes, size_t len, struct err *e)
{
	(void)e;
	buf_add(ctx, bytes, len);
	return 0;
}

/* 0, or what is wrong. */
static int
feed(struct squeeze_reader *r, struct buf *out, const char *in, size_t len)
{
	struct err e = ERR_INIT;
	size_t used;
	int rc;

	do {
		size_t before = out->len;

		rc = squeeze_reader_next(r, in, len, &used, out, &e);
		FUZZ_CHECK(used <= len);
		FUZZ_CHECK(out->len - before <= 65536);
		FUZZ_CHECK(rc >= 0 || e.text[0] != '\0');
		in += used;
		len -= used;
	} while (rc == 1);
	FUZZ_CHECK(rc < 0 || len == 0);
	FUZZ_CHECK(out->len <= OUT_MAX);
	return rc;
}

static int
expand(struct buf *out, struct slice in, size_t piece)
{
	struct squeeze_reader *r = squeeze_reader_new(OUT_MAX);
	struct err e = ERR_INIT;
	int rc = 0;

	for (size_t at = 0, n; rc == 0 && at < in.len; at += n) {
		n = in.len - at < piece ? in.len - at : piece;
		char *copy = fuzz_copy(in.ptr + at, n);

		rc = feed(r, out, copy, n);
		free(copy);
	}
	if (rc == 0)
		rc = squeeze_reader_end(r, &e);
	squeeze_reader_free(r);
	return rc;
}

static void
check_expand(struct slice in)
{
	static const size_t pieces[] = { 1, 7 };
	struct buf whole = BUF_INIT, cut = BUF_INIT;
	int rc = expand(&whole, in, SIZE_MAX);

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		buf_clear(&cut);
		FUZZ_CHECK(expand(&cut, in, pieces[i]) == rc);
		if (rc == 0)
			fuzz_same(&whole, &cut);
	}
	buf_release(&whole);
	buf_release(&cut);
}

/* Two messages, cut in the middle. */
static void
check_squeeze(struct squeeze_how how, const struct buf *text)
{
	struct buf made = BUF_INIT, back = BUF_INIT;
	struct squeeze_writer *w = squeeze_writer_new(how, to_buf, &made);
	size_t half = text->len / 2;
	struct err e = ERR_INIT;

	FUZZ_CHECK(squeeze_writer_add(w, text->ptr, half, &e) == 0);
	FUZZ_CHECK(squeeze_writer_cut(w, &e) == 0);
	FUZZ_CHECK(squeeze_writer_add(w, text->ptr + half, text->len - half,
	    &e) == 0);
	FUZZ_CHECK(squeeze_writer_cut(w, &e) == 0);
	FUZZ_CHECK(squeeze_writer_end(w, &e) == 0);
	squeeze_writer_free(w);
	FUZZ_CHECK(expand(&back, buf_slice(&made), SIZE_MAX) == 0);
	fuzz_same(text, &back);
	buf_release(&made);
	buf_release(&back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf text = BUF_INIT;

	check_expand((struct slice){ (const char *)data, size });
	if (size > TEXT_MAX)
		return 0;
	buf_add(&text, data, size);
	buf_addc(&text, '\n');
	for (unsigned m = 0; m < SQUEEZE_MODES; m++)
		check_squeeze(squeeze_default((enum squeeze_mode)m), &text);
	buf_release(&text);
	return 0;
}
