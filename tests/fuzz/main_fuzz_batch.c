/* SPDX-License-Identifier: ISC */
/*
 * The processor on any octets: with the habits of the field, to the letter
 * and as a native batch; and however they are cut, the same comes of them.
 */
#include "bundle/reader.h"
#include "tests/fuzz/fuzz.h"

static void
read_all(const struct bundle_reader_options *opts, struct slice in)
{
	static const size_t pieces[] = { 1, 2, 61 };
	struct buf whole = BUF_INIT, cut = BUF_INIT;

	fuzz_read_object(&whole, opts, in, SIZE_MAX);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		buf_clear(&cut);
		fuzz_read_object(&cut, opts, in, pieces[i]);
		fuzz_same(&whole, &cut);
	}
	buf_release(&whole);
	buf_release(&cut);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = { (const char *)data, size };
	struct bundle_reader_options opts;

	bundle_reader_options_default(&opts);
	opts.message_max = 2000;
	opts.command_max = 300;
	opts.line_max = 1000;
	opts.recipients_max = 3;
	opts.batch_max = 200000;
	read_all(&opts, in);
	opts.strict = true;
	read_all(&opts, in);
	opts.native = true;
	read_all(&opts, in);
	return 0;
}
