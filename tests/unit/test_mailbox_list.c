/* SPDX-License-Identifier: ISC */
/*
 * Address lists: cases of RFC 5322 (3.4, 4.4, A.1) and of the field.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "node/mailbox_list.h"

static void
on_found(void *ctx, const char *address)
{
	buf_addf(ctx, "%s|", address);
}

static const struct {
	const char *text, *found;
} good[] = {
	{ "", "" },
	{ " \r\n\t", "" },
	{ "joe@x.example", "joe@x.example|" },
	{ "root", "root@here.example|" },
	{ "<joe@x.example>", "joe@x.example|" },
	{ "a@x.example, b@y.example", "a@x.example|b@y.example|" },
	{ "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
	    "mary@x.test|jdoe@example.org|one@y.test|" },
	{ "<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" "
	    "<sysservices@example.net>",
	    "boss@nil.test|sysservices@example.net|" },
	{ "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
	    "c@a.test|joe@where.test|jdoe@one.test|" },
	{ "Undisclosed recipients:;", "" },
	{ "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
	    "pete@silly.test|" },
	{ "A Group(Some people)\r\n     :Chris Jones "
	    "<c@(Chris's host.)public.example>,\r\n joe@example.org,\r\n"
	    " John <jdoe@one.test> (my dear friend); "
	    "(the end of the group)",
	    "c@public.example|joe@example.org|jdoe@one.test|" },
	{ "(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;",
	    "" },
	{ "Joe Q. Public <john.q.public@example.com>",
	    "john.q.public@example.com|" },
	{ "Mary Smith <@node.test,@b.test:mary@example.net>, , "
	    "jdoe@test  . example", "mary@example.net|jdoe@test.example|" },
	{ "\"a, b\"@x.example", "\"a, b\"@x.example|" },
	{ "joe . bloggs @ x.example", "joe.bloggs@x.example|" },
	{ "joe@[192.0.2.1]", "joe@[192.0.2.1]|" },
	{ "\"x@y\"", "\"x@y\"@here.example|" },
	{ "J\xc3\xb6rg <j\xc3\xb6rg@x.example>", "j\xc3\xb6rg@x.example|" },
	{ ",,a@x.example,", "a@x.example|" },
	{ "g: a@x.example;, b@x.example", "a@x.example|b@x.example|" },
};

static void
test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct buf found = BUF_INIT;
		struct err e = ERR_INIT;
		int r = mailbox_list_parse(slice_of(good[i].text),
		    "here.example", on_found, &found, &e);

		if (r != 0)
			print_message("%s: %s\n", good[i].text, e.text);
		assert_int_equal(r, 0);
		assert_string_equal(buf_cstr(&found), good[i].found);
		buf_release(&found);
	}
}

static const struct {
	const char *text, *says;
} bad[] = {
	{ "John Smith", "octet 11: a name and no address" },
	{ "a@x.example b@x.example", "a name and no address" },
	{ "<joe@x.example", "\">\" is missing" },
	{ "joe@x.example>", "octet 14: \">\" without \"<\"" },
	{ "<>", "empty" },
	{ "<a@x.example> b", "\",\" is missing" },
	{ "a (comment", "a comment has no end" },
	{ "\"a@x.example", "a quoted string has no end" },
	{ "a@[192.0.2.1", "an address literal has no end" },
	{ "a@x.example;", "\";\" without a group" },
	{ "g: h: a@x.example;", "\":\" out of place" },
	{ "<a:b@x.example>", "\":\" out of place" },
	{ "a)b@x.example", "octet 2: a character" },
	{ "a@@x.example", "\"a@@x.example\"" },
	{ "a@", "\"a@\"" },
	{ "<a b@x.example>", "a name and no address" },
	{ "<<a@x.example>>", "\"<\" inside" },
};

static void
test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct buf found = BUF_INIT;
		struct err e = ERR_INIT;
		int r = mailbox_list_parse(slice_of(bad[i].text),
		    "here.example", on_found, &found, &e);

		if (strstr(e.text, bad[i].says) == NULL)
			print_message("%s: %d %s\n", bad[i].text, r, e.text);
		assert_int_equal(r, ERR_SYNTAX);
		assert_non_null(strstr(e.text, bad[i].says));
		buf_release(&found);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
