/* SPDX-License-Identifier: ISC */
/* Buffers, slices and the records of the spool. */
#include "base/buf.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void
test_grows_and_consumes(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	assert_string_equal(buf_cstr(&b), "");
	buf_adds(&b, "hello");
	buf_addc(&b, ' ');
	buf_addslice(&b, SLICE_LIT("world"));
	buf_addf(&b, "%d%s", 42, "!");
	assert_int_equal(b.len, 14);
	assert_string_equal(buf_cstr(&b), "hello world42!");
	buf_consume(&b, 6);
	assert_true(slice_eqs(buf_slice(&b), "world42!"));
	buf_truncate(&b, 5);
	assert_string_equal(buf_cstr(&b), "world");
	buf_consume(&b, 5);
	assert_int_equal(b.len, 0);
	buf_adds(&b, "again");
	buf_clear(&b);
	assert_int_equal(b.len, 0);
	buf_release(&b);
	assert_int_equal(b.len, 0);
	buf_adds(&b, "usable");
	assert_string_equal(buf_cstr(&b), "usable");
	buf_release(&b);
}

static void
test_long_format(void **state)
{
	struct buf b = BUF_INIT;
	char text[1001];

	(void)state;
	memset(text, 'x', 1000);
	text[1000] = '\0';
	buf_addf(&b, "<%s>", text);
	assert_int_equal(b.len, 1002);
	assert_int_equal(b.ptr[0], '<');
	assert_int_equal(b.ptr[1001], '>');
	buf_release(&b);
}

/* A queue of octets: order is kept, and memory stays flat. */
static void
test_queue(void **state)
{
	struct buf b = BUF_INIT;
	unsigned char in = 0, out = 0;

	(void)state;
	for (size_t round = 0; round < 10000; round++) {
		for (size_t i = 0; i < 1 + round % 97; i++)
			buf_addc(&b, (char)in++);
		while (b.len > round % 13) {
			assert_int_equal((unsigned char)b.ptr[0], out);
			out++;
			buf_consume(&b, 1);
		}
	}
	assert_true(b.cap <= 1024);
	buf_release(&b);
}

static void
test_steal(void **state)
{
	struct buf b = BUF_INIT;
	char *text;

	(void)state;
	buf_adds(&b, "abcdef");
	buf_consume(&b, 2);
	text = buf_steal(&b);
	assert_string_equal(text, "cdef");
	free(text);
	assert_int_equal(b.len, 0);
	text = buf_steal(&b);
	assert_string_equal(text, "");
	free(text);
	buf_release(&b);
}

static void
test_room(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	memcpy(buf_room(&b, 1000), "abc", 3);
	buf_grown(&b, 3);
	buf_consume(&b, 1);
	memcpy(buf_room(&b, 5000), "def", 3);
	buf_grown(&b, 3);
	assert_string_equal(buf_cstr(&b), "bcdef");
	buf_release(&b);
}

/* The words of a text, each in brackets. */
static void
assert_words(const char *text, const char *expected)
{
	struct slice rest = slice_of(text), word;
	struct buf b = BUF_INIT;

	while (slice_word(&rest, &word))
		buf_addf(&b, "[%.*s]", (int)word.len, word.ptr);
	assert_int_equal(word.len, 0);
	assert_string_equal(buf_cstr(&b), expected);
	buf_release(&b);
}

static void
test_words(void **state)
{
	struct slice none = { NULL, 0 }, word;

	(void)state;
	assert_words("", "");
	assert_words("one", "[one]");
	assert_words("one two", "[one][two]");
	assert_words("one  two", "[one][][two]");
	assert_words(" one ", "[][one]");
	assert_words("a\tb", "[a\tb]");
	assert_false(slice_word(&none, &word));
}

static void
test_slices(void **state)
{
	struct slice none = { NULL, 0 };
	char text[] = "MiXeD[]@\xc9";
	char *copy;

	(void)state;
	assert_true(slice_eq(none, SLICE_LIT("")));
	assert_true(slice_eq(SLICE_LIT("a"), slice_of("a")));
	assert_false(slice_eqs(SLICE_LIT("a"), "A"));
	assert_false(slice_eqs(SLICE_LIT("a"), "ab"));
	assert_true(slice_ieqs(SLICE_LIT("Example.ORG"), "eXAMPLE.org"));
	assert_false(slice_ieqs(SLICE_LIT("["), "{"));
	assert_false(slice_ieqs(SLICE_LIT("@"), "`"));
	assert_true(slice_ieq(none, none));
	assert_true(slice_is_ascii(SLICE_LIT("a~\0\x7f")));
	assert_true(slice_is_ascii(none));
	assert_false(slice_is_ascii(SLICE_LIT("a\x80")));
	assert_false(slice_is_ascii(SLICE_LIT("\xff")));
	assert_true(slice_eqs(slice_trim(SLICE_LIT(" \t a b\t ")), "a b"));
	assert_int_equal(slice_trim(SLICE_LIT(" \t")).len, 0);
	assert_int_equal(slice_trim(none).len, 0);
	ascii_lower(text, sizeof(text) - 1);
	assert_string_equal(text, "mixed[]@\xc9");
	copy = slice_dup((struct slice){ "abcdef", 3 });
	assert_string_equal(copy, "abc");
	free(copy);
}

static void
test_record(void **state)
{
	static const unsigned char want[] = {
		0x12, 0xab, 0xcd, 0xde, 0xad, 0xbe, 0xef,
		1, 2, 3, 4, 5, 6, 7, 8,
		0, 0, 0, 3, 'h', 'i',
		0, 0, 0, 1,
		0, 0, 0, 0,
		0, 0, 0, 2, 0, 0xff,
	};
	struct buf b = BUF_INIT;
	struct reader r;
	struct slice s;
	char *text;

	(void)state;
	buf_put8(&b, 0x12);
	buf_put16(&b, 0xabcd);
	buf_put32(&b, 0xdeadbeef);
	buf_put64(&b, UINT64_C(0x0102030405060708));
	buf_put_text(&b, "hi");
	buf_put_text(&b, "");
	buf_put_text(&b, NULL);
	buf_put_bytes(&b, "\0\xff", 2);
	assert_int_equal(b.len, sizeof(want));
	assert_memory_equal(b.ptr, want, sizeof(want));

	r = reader_of(b.ptr, b.len);
	assert_int_equal(read8(&r), 0x12);
	assert_int_equal(read16(&r), 0xabcd);
	assert_int_equal(read32(&r), 0xdeadbeef);
	assert_true(read64(&r) == UINT64_C(0x0102030405060708));
	text = read_text(&r);
	assert_string_equal(text, "hi");
	free(text);
	text = read_text(&r);
	assert_string_equal(text, "");
	free(text);
	assert_null(read_text(&r));
	s = read_bytes(&r);
	assert_int_equal(s.len, 2);
	assert_memory_equal(s.ptr, "\0\xff", 2);
	assert_int_equal(r.len, 0);
	assert_false(r.failed);
	buf_release(&b);
}

/* Wherever a record is cut, reading it fails and stays failed. */
static void
test_record_cut(void **state)
{
	static const char record[] = "\x01\x00\x00\x00\x05text"
	    "\x00\x00\x00\x03" "abc";

	(void)state;
	for (size_t len = 0; len < sizeof(record) - 1; len++) {
		char *copy = mem_strndup(record, len);
		struct reader r = reader_of(copy, len);

		read8(&r);
		free(read_text(&r));
		read_bytes(&r);
		assert_true(r.failed);
		assert_int_equal(read64(&r), 0);
		assert_null(read_text(&r));
		assert_int_equal(read_bytes(&r).len, 0);
		free(copy);
	}
}

static void
test_record_lies(void **state)
{
	struct reader r = reader_of("\xff\xff\xff\xff" "a", 5);

	(void)state;
	assert_null(read_text(&r));
	assert_true(r.failed);
	r = reader_of("\xff\xff\xff\xff" "a", 5);
	assert_null(read_bytes(&r).ptr);
	assert_true(r.failed);
}

static void
test_mem(void **state)
{
	unsigned char *p = mem_alloc(3, 5);
	char *text = mem_printf("%s-%d", "a", 7);

	(void)state;
	for (size_t i = 0; i < 15; i++)
		assert_int_equal(p[i], 0);
	p = mem_realloc(p, 100, 10);
	p[999] = 1;
	free(p);
	assert_string_equal(text, "a-7");
	free(text);
	text = mem_strdup("copy");
	assert_string_equal(text, "copy");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows_and_consumes),
		cmocka_unit_test(test_long_format),
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_steal),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_slices),
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_record_cut),
		cmocka_unit_test(test_record_lies),
		cmocka_unit_test(test_mem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
