/* SPDX-License-Identifier: ISC */
/* Paths and mailboxes by the clauses of RFC 5321 and RFC 6531. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/mem.h"
#include "smtp/address.h"

#define X10 "xxxxxxxxxx"
#define X60 X10 X10 X10 X10 X10 X10
#define X63 X60 "xxx"

static const struct {
	const char *path;
	unsigned flags;
	const char *address;
	size_t used;
} good[] = {
	/* RFC 5321 4.1.2 */
	{ "<a@b.example>", 0, "a@b.example", 13 },
	{ "<a@b.example> SIZE=1", 0, "a@b.example", 13 },
	{ "<a.b-c+d=e@b-c.example>", 0, "a.b-c+d=e@b-c.example", 23 },
	{ "<!#$%&'*+-/=?^_`{|}~@b>", 0, "!#$%&'*+-/=?^_`{|}~@b", 23 },
	{ "<\"a b\"@c>", 0, "\"a b\"@c", 9 },
	{ "<\"\"@c>", 0, "\"\"@c", 6 },
	{ "<\"a@b>\\\"\\\\c\"@d>", 0, "\"a@b>\\\"\\\\c\"@d", 15 },
	{ "<a@1.2>", 0, "a@1.2", 7 },
	{ "<a@my_host.b>", 0, "a@my_host.b", 13 },
	/* 4.1.1.2 the null path, 4.1.1.3 postmaster */
	{ "<>", ADDRESS_NULL, "", 2 },
	{ "<PostMaster>", ADDRESS_POSTMASTER, "PostMaster", 12 },
	/* appendix C: the source route is passed over */
	{ "<@x.example,@[192.0.2.1]:a@b>", 0, "a@b", 29 },
	/* 4.1.3 */
	{ "<a@[192.0.2.1]>", 0, "a@[192.0.2.1]", 15 },
	{ "<a@[IPv6:2001:db8::1]>", 0, "a@[IPv6:2001:db8::1]", 22 },
	{ "<a@[ipv6:::ffff:192.0.2.1]>", 0, "a@[ipv6:::ffff:192.0.2.1]", 27 },
	/* 4.5.3.1 */
	{ "<" X60 "xxxx@b>", 0, X60 "xxxx@b", 68 },
	/* more than 64 octets, as Postfix takes them; a path has 256 */
	{ "<" X60 X60 X60 X60 "xxxxxxxxxxxx@b>", 0,
	    X60 X60 X60 X60 "xxxxxxxxxxxx@b", 256 },
	{ "<a@" X63 ">", 0, "a@" X63, 67 },
	{ "<" X60 "@" X63 "." X63 "." X63 ".a>", 0,
	    X60 "@" X63 "." X63 "." X63 ".a", 256 },
	/* RFC 6531 3.3 */
	{ "<d\xc3\xb6rte@\xc3\xa4.example>", ADDRESS_UTF8,
	    "d\xc3\xb6rte@\xc3\xa4.example", 19 },
	{ "<\"\xc3\xb6 \"@b>", ADDRESS_UTF8, "\"\xc3\xb6 \"@b", 9 },
	/* habits of the field */
	{ "a@b.example SIZE=1", ADDRESS_BARE, "a@b.example", 11 },
	{ "postmaster", ADDRESS_BARE | ADDRESS_POSTMASTER, "postmaster", 10 },
	{ " \t<a@b>", ADDRESS_SPACE, "a@b", 7 },
};

static const struct {
	const char *path;
	unsigned flags;
	int code;
} bad[] = {
	{ "", 0, ERR_SYNTAX }, { "<", 0, ERR_SYNTAX },
	{ "<>", 0, ERR_SYNTAX }, { "<>", ADDRESS_POSTMASTER, ERR_SYNTAX },
	{ " <a@b>", 0, ERR_SYNTAX }, { "a@b", 0, ERR_SYNTAX },
	{ "<a@b", 0, ERR_SYNTAX }, { "<a@b >", 0, ERR_SYNTAX },
	{ "< a@b>", 0, ERR_SYNTAX }, { "<a>", 0, ERR_SYNTAX },
	{ "<a>", ADDRESS_POSTMASTER, ERR_SYNTAX },
	{ "<postmaster>", 0, ERR_SYNTAX }, { "<@>", 0, ERR_SYNTAX },
	{ "<@b>", 0, ERR_SYNTAX }, { "<a@>", 0, ERR_SYNTAX },
	{ "<a@b@c>", 0, ERR_SYNTAX }, { "<a..b@c>", 0, ERR_SYNTAX },
	{ "<.a@c>", 0, ERR_SYNTAX }, { "<a.@c>", 0, ERR_SYNTAX },
	{ "<a b@c>", 0, ERR_SYNTAX }, { "<a@b..c>", 0, ERR_SYNTAX },
	{ "<a@.c>", 0, ERR_SYNTAX }, { "<a@c.>", 0, ERR_SYNTAX },
	{ "<a@-c>", 0, ERR_SYNTAX }, { "<a@c->", 0, ERR_SYNTAX },
	{ "<a@b/c>", 0, ERR_SYNTAX }, { "<a\x01@c>", 0, ERR_SYNTAX },
	{ "<\"a@b>", 0, ERR_SYNTAX }, { "<\"a\"b@c>", 0, ERR_SYNTAX },
	{ "<\"a\tb\"@c>", 0, ERR_SYNTAX }, { "<\"a\\", 0, ERR_SYNTAX },
	{ "<a@[192.0.2]>", 0, ERR_SYNTAX },
	{ "<a@[192.0.2.256]>", 0, ERR_SYNTAX },
	{ "<a@[192.0.2.1>", 0, ERR_SYNTAX },
	{ "<a@[2001:db8::1]>", 0, ERR_SYNTAX },
	{ "<a@[IPv6:2001:db8::g]>", 0, ERR_SYNTAX },
	{ "<a@[]>", 0, ERR_SYNTAX }, { "<a@[x:y]>", 0, ERR_SYNTAX },
	{ "<@x,a@b>", 0, ERR_SYNTAX }, { "<@x a@b>", 0, ERR_SYNTAX },
	{ "<" X60 X60 X60 X60 "xxxxxxxxxxxxx@b>", 0, ERR_LIMIT },
	{ "<a@" X63 "x>", 0, ERR_LIMIT },
	{ "<" X60 "x@" X63 "." X63 "." X63 ".a>", 0, ERR_LIMIT },
	{ "<d\xc3\xb6@b>", 0, ERR_SYNTAX },
	{ "<d\xc3@b>", ADDRESS_UTF8, ERR_SYNTAX },
	{ "<d\xff@b>", ADDRESS_UTF8, ERR_SYNTAX },
	{ "a@b<", ADDRESS_BARE, ERR_SYNTAX },
	{ "a@b>", ADDRESS_BARE, ERR_SYNTAX },
	{ "a", ADDRESS_BARE, ERR_SYNTAX },
	{ "", ADDRESS_BARE | ADDRESS_NULL, ERR_SYNTAX },
};

static void
test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct buf b = BUF_INIT;
		struct err e = ERR_INIT;
		size_t used = 0;

		if (address_parse_path(slice_of(good[i].path), good[i].flags,
		    &b, &used, &e) != 0)
			fail_msg("%s: %s", good[i].path, e.text);
		assert_string_equal(buf_cstr(&b), good[i].address);
		assert_int_equal(used, good[i].used);
		buf_release(&b);
	}
}

/* The text is put at the end of memory of its own: nothing behind is read. */
static int
parse(const char *path, size_t len, unsigned flags)
{
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	char *copy = mem_alloc(len + 1, 1);
	size_t used;
	int rc;

	memcpy(copy + 1, path, len);
	rc = address_parse_path((struct slice){ copy + 1, len }, flags, &b,
	    &used, &e);
	assert_true(rc == 0 || e.text[0] != '\0');
	free(copy);
	buf_release(&b);
	return rc;
}

static void
test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parse(bad[i].path, strlen(bad[i].path), bad[i].flags) !=
		    bad[i].code)
			fail_msg("%s", bad[i].path);
	}
}

/* Every beginning of a path with brackets is malformed. */
static void
test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (good[i].path[0] != '<')
			continue;
		for (size_t n = 0; n < good[i].used; n++)
			assert_int_equal(parse(good[i].path, n,
			    good[i].flags), ERR_SYNTAX);
	}
}

static void
test_parts(void **state)
{
	(void)state;
	assert_true(slice_eqs(address_local("\"a@b\"@c"), "\"a@b\""));
	assert_true(slice_eqs(address_domain("\"a@b\"@c"), "c"));
	assert_true(slice_eqs(address_local("postmaster"), "postmaster"));
	assert_int_equal(address_domain("postmaster").len, 0);
	assert_true(address_is_postmaster("POSTmaster@b"));
	assert_false(address_is_postmaster("postmasters@b"));
	assert_true(address_equal("a@B.example", "a@b.EXAMPLE"));
	assert_false(address_equal("A@b", "a@b"));
	assert_true(address_equal("Postmaster@b", "postmaster@B"));
	assert_false(address_equal("a@b", "a@c"));
	/* RFC 5321 4.1.2 */
	assert_true(address_equal("\"a\"@b", "a@B"));
	assert_true(address_equal("\"a\\ b\"@b", "\"a b\"@b"));
	assert_false(address_equal("\"a b\"@b", "ab@b"));
	assert_true(address_equal("\"POSTmaster\"@b", "postmaster@b"));
	assert_true(address_is_postmaster("\"post\\master\""));
}

static void
test_plain(void **state)
{
	static const struct {
		const char *written, *plain;
	} cases[] = {
		{ "", "" }, { "a@b", "a@b" }, { "postmaster", "postmaster" },
		{ "\"a\"@b", "a@b" }, { "\"a.b\"@c", "a.b@c" },
		{ "\"\\a\\.b\"@c", "a.b@c" }, { "\"\"@b", "\"\"@b" },
		{ "\"a..b\"@c", "\"a..b\"@c" },
		{ "\".a\"@c", "\".a\"@c" }, { "\"a.\"@c", "\"a.\"@c" },
		{ "\"a\\ b\"@c", "\"a b\"@c" },
		{ "\"a@b\"@c", "\"a@b\"@c" },
		{ "\"a\\\"b\"@c", "\"a\\\"b\"@c" },
		{ "\"a\\\\\"@c", "\"a\\\\\"@c" },
		{ "\"\\\\\\\"\"@c", "\"\\\\\\\"\"@c" },
		{ "\"\xc3\xa4\"@c", "\xc3\xa4@c" },
	};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *plain = address_plain(cases[i].written);

		assert_string_equal(plain, cases[i].plain);
		if (strlen(plain) > 0 && strchr(plain, '@') != NULL)
			assert_int_equal(address_check(slice_of(plain), true,
			    &e), 0);
		free(plain);
	}
}

static void
test_check(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(address_check(slice_of("a@b"), false, &e), 0);
	assert_true(address_check(slice_of("a@b "), false, &e) < 0);
	assert_true(address_check(slice_of("<a@b>"), false, &e) < 0);
	assert_true(address_check(slice_of("a"), false, &e) < 0);
	assert_int_equal(address_check_domain(slice_of("b.c"), false, &e), 0);
	assert_int_equal(address_check_domain(slice_of("[192.0.2.1]"), false,
	    &e), 0);
	assert_true(address_check_domain(slice_of("b c"), false, &e) < 0);
	assert_true(address_check_domain(slice_of(""), false, &e) < 0);
	assert_true(address_check_domain(slice_of("\xc3\xa4"), false, &e) < 0);
	assert_int_equal(address_check_domain(slice_of("\xc3\xa4"), true, &e),
	    0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
