/* SPDX-License-Identifier: ISC */
/*
 * Conversion of any content: in pieces it comes out the same; what comes out
 * can be sent, and need not be converted again.
 */
#include "bundle/convert.h"
#include "smtp/envelope.h"
#include "tests/fuzz/fuzz.h"

static int
look(struct convert *c, struct slice in, size_t piece)
{
	struct smtp_refusal r = { 0, "", "" };
	int rc;

	for (size_t at = 0, n; at < in.len; at += n) {
		n = in.len - at < piece ? in.len - at : piece;
		char *copy = fuzz_copy(in.ptr + at, n);

		convert_look(c, copy, n);
		free(copy);
	}
	rc = convert_decide(c, &r);
	FUZZ_CHECK(rc == 0 || r.code == 554);
	return rc;
}

/* False where it is refused. */
static bool
convert(struct buf *out, enum convert_target target, struct slice in,
    size_t piece)
{
	struct convert *c = convert_new(target);
	bool good = look(c, in, piece) == 0;

	for (size_t at = 0, n; good && at < in.len; at += n) {
		n = in.len - at < piece ? in.len - at : piece;
		char *copy = fuzz_copy(in.ptr + at, n);

		convert_add(c, copy, n, out);
		free(copy);
	}
	if (good)
		convert_end(c, out);
	convert_free(c);
	return good;
}

static void
check_sendable(enum convert_target target, const struct buf *out)
{
	struct content_scanner scan;
	unsigned bad = CONTENT_BARE | CONTENT_OPEN_END;

	if (target == CONVERT_7BIT)
		bad |= CONTENT_8BIT;
	content_scanner_init(&scan);
	content_scanner_add(&scan, out->ptr, out->len);
	content_scanner_end(&scan);
	FUZZ_CHECK((scan.facts.flags & bad) == 0);
}

static void
check(enum convert_target target, struct slice in)
{
	static const size_t pieces[] = { 1, 2, 7 };
	struct buf whole = BUF_INIT, other = BUF_INIT;
	bool good = convert(&whole, target, in, SIZE_MAX);

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		buf_clear(&other);
		FUZZ_CHECK(convert(&other, target, in, pieces[i]) == good);
		fuzz_same(&whole, &other);
	}
	if (good) {
		check_sendable(target, &whole);
		buf_clear(&other);
		FUZZ_CHECK(convert(&other, target, buf_slice(&whole),
		    SIZE_MAX));
		fuzz_same(&whole, &other);
	}
	buf_release(&whole);
	buf_release(&other);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = { (const char *)data, size };

	check(CONVERT_8BIT, in);
	check(CONVERT_7BIT, in);
	return 0;
}
