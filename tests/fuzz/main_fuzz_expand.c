/* SPDX-License-Identifier: ISC */
/*
 * Compressed octets of any kind: whole and in pieces they expand to the same,
 * or are damaged both ways.
 */
#include "bundle/expand.h"
#include "tests/fuzz/fuzz.h"

#define OUT_MAX (4 << 20)	/* more than enough for one input */

/* 0, or what is wrong; at most some OUT_MAX octets are made. */
static int
feed(struct expander *x, struct buf *out, const char *in, size_t len)
{
	struct err e = ERR_INIT;
	size_t at = 0, used;
	int rc = 1;

	while (rc == 1 && out->len < OUT_MAX) {
		size_t before = out->len;

		rc = expander_next(x, in + at, len - at, &used, out, &e);
		FUZZ_CHECK(used <= len - at);
		FUZZ_CHECK(rc >= 0 || e.text[0] != '\0');
		FUZZ_CHECK(rc != 1 || used > 0 || out->len > before ||
		    len == at);
		at += used;
		if (rc == 1 && used == 0 && out->len == before)
			break;
	}
	return rc < 0 ? rc : 0;
}

static int
expand(struct buf *out, enum compression kind, struct slice in, size_t piece)
{
	struct expander *x = expander_new(kind);
	struct err e = ERR_INIT;
	int rc = 0;

	for (size_t at = 0, n; rc == 0 && at < in.len; at += n) {
		n = in.len - at < piece ? in.len - at : piece;
		char *copy = fuzz_copy(in.ptr + at, n);

		rc = feed(x, out, copy, n);
		free(copy);
	}
	if (rc == 0 && out->len < OUT_MAX)
		rc = expander_end(x, &e);
	expander_free(x);
	return rc < 0 ? -1 : 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t pieces[] = { 1, 7 };
	struct slice in = { (const char *)data, size };
	struct buf whole = BUF_INIT, cut = BUF_INIT;
	enum compression kind = COMPRESSION_NONE;
	int rc;

	if (compression_sniff(in.ptr, in.len, &kind) != 1 ||
	    kind == COMPRESSION_NONE)
		return 0;
	rc = expand(&whole, kind, in, SIZE_MAX);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		buf_clear(&cut);
		FUZZ_CHECK(expand(&cut, kind, in, pieces[i]) == rc);
		if (rc == 0 && whole.len < OUT_MAX)
			fuzz_same(&whole, &cut);
	}
	buf_release(&whole);
	buf_release(&cut);
	return 0;
}
