/* SPDX-License-Identifier: ISC */
/*
 * What a transport writes to the daemon: lines in any pieces are the same
 * lines, and a report that is taken is written as the line it came from.
 */
#include "transports/lines.h"
#include "transports/report.h"
#include "tests/fuzz/fuzz.h"

static void
check_report(struct slice line)
{
	struct report r = { .kind = REPORT_NOTE }, again;
	struct err e = ERR_INIT;
	struct buf out = BUF_INIT;

	if (report_parse(line, &r, &e) < 0) {
		FUZZ_CHECK(e.text[0] != '\0');
		return;
	}
	FUZZ_CHECK(r.kind == REPORT_NOTE || r.kind == REPORT_PROGRESS ||
	    report_name_ok(r.name));
	FUZZ_CHECK(r.done <= r.total);
	report_format(&out, &r);
	FUZZ_CHECK(out.len > 1 && memchr(out.ptr, '\n', out.len) ==
	    out.ptr + out.len - 1);
	buf_truncate(&out, out.len - 1);
	FUZZ_CHECK(report_parse(buf_slice(&out), &again, &e) == 0);
	FUZZ_CHECK(again.kind == r.kind && slice_eq(again.name, r.name) &&
	    again.done == r.done && again.total == r.total);
	buf_release(&out);
}

static void
take_lines(struct lines *l, struct buf *out)
{
	struct slice line;
	int rc;

	while ((rc = lines_next(l, &line)) != 0) {
		FUZZ_CHECK(rc == 1 || rc == ERR_LIMIT);
		FUZZ_CHECK(line.len <= l->max);
		buf_addf(out, "%d[%.*s]", rc, (int)line.len, line.ptr);
		if (rc == 1)
			check_report(line);
	}
}

static void
read_lines(struct buf *out, struct slice in, size_t piece)
{
	struct lines l;
	struct slice line;

	lines_init(&l, 100);
	for (size_t at = 0, n; at < in.len; at += n) {
		n = in.len - at < piece ? in.len - at : piece;
		lines_add(&l, in.ptr + at, n);
		take_lines(&l, out);
	}
	if (lines_last(&l, &line) == 1)
		buf_addf(out, "last[%.*s]", (int)line.len, line.ptr);
	lines_release(&l);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t pieces[] = { 1, 7 };
	struct slice in = { (const char *)data, size };
	struct buf whole = BUF_INIT, cut = BUF_INIT;

	read_lines(&whole, in, SIZE_MAX);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		buf_clear(&cut);
		read_lines(&cut, in, pieces[i]);
		fuzz_same(&whole, &cut);
	}
	buf_release(&whole);
	buf_release(&cut);
	return 0;
}
