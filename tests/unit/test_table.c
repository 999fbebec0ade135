/* SPDX-License-Identifier: ISC */
/* The table of sites: lookup order, roads, explanations, map files. */
#include "routing/table.h"

#include "base/file.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void
collect(void *ctx, const char *text)
{
	struct buf *b = ctx;

	buf_addf(b, "%s\n", text);
}

static void
rule(struct routing *t, const char *pattern, const char *site)
{
	struct err e = ERR_INIT;

	if (routing_add_rule(t, pattern, site, &e) < 0)
		fail_msg("%s", e.text);
}

static struct routing *
sample(void)
{
	struct routing *t = routing_new("paris");

	assert_int_equal(routing_add_local(t, "Paris.Example", 1, NULL), 0);
	assert_int_equal(routing_add_user(t, "paris.example", "Ann", NULL), 0);
	assert_int_equal(routing_add_user(t, "paris.example", "\"J.D\"", NULL),
	    0);
	assert_int_equal(routing_add_user(t, "paris.example", "\"J\\ D\"",
	    NULL), 0);
	assert_int_equal(routing_add_local(t, "open.example", 2, NULL), 0);
	assert_int_equal(routing_add_peer(t, "london", 2, NULL), 0);
	assert_int_equal(routing_add_peer(t, "rome", 1, NULL), 0);
	assert_int_equal(routing_add_link(t, "london", "oslo", 1, NULL), 0);
	assert_int_equal(routing_add_link(t, "rome", "oslo", 5, NULL), 0);
	assert_int_equal(routing_add_link(t, "oslo", "bergen", 1, NULL), 0);
	assert_int_equal(routing_add_link(t, "far", "away", 1, NULL), 0);
	rule(t, "oslo.example", "oslo");
	rule(t, ".example", "rome");
	rule(t, ".b.example", "london");
	rule(t, "bob@Paris.example", "london");
	rule(t, "\"b\"@paris.example", "rome");
	rule(t, "far.example", "far");
	return t;
}

struct lookup_case {
	const char *address;
	enum routing_kind kind;
	size_t delivery;
	const char *site;
};

static void
test_lookup(void **state)
{
	static const struct lookup_case cases[] = {
		{ "ann@paris.example", ROUTING_LOCAL, 1, NULL },
		{ "ANN+lists@PARIS.example", ROUTING_LOCAL, 1, NULL },
		{ "eve@paris.example", ROUTING_UNKNOWN_USER, 1, NULL },
		{ "eve+ann@paris.example", ROUTING_UNKNOWN_USER, 1, NULL },
		{ "Postmaster@paris.example", ROUTING_LOCAL, 1, NULL },
		{ "postmaster", ROUTING_LOCAL, 1, NULL },
		/* RFC 5321 4.1.2: how it is quoted does not count */
		{ "\"ann\"@paris.example", ROUTING_LOCAL, 1, NULL },
		{ "\"A\\nn\"@paris.example", ROUTING_LOCAL, 1, NULL },
		{ "\"ann \"@paris.example", ROUTING_UNKNOWN_USER, 1, NULL },
		{ "\"postmaster\"@paris.example", ROUTING_LOCAL, 1, NULL },
		{ "\"j.d\"@paris.example", ROUTING_LOCAL, 1, NULL },
		{ "J.D@paris.example", ROUTING_LOCAL, 1, NULL },
		{ "J.D+lists@paris.example", ROUTING_LOCAL, 1, NULL },
		{ "\"j d\"@paris.example", ROUTING_LOCAL, 1, NULL },
		{ "\"bob\"@paris.example", ROUTING_SITE, 0, "london" },
		{ "\"b\"@paris.example", ROUTING_SITE, 0, "rome" },
		{ "anybody@open.example", ROUTING_LOCAL, 2, NULL },
		{ "Bob@paris.EXAMPLE", ROUTING_SITE, 0, "london" },
		{ "x@oslo.example", ROUTING_SITE, 0, "oslo" },
		{ "x@OSLO.Example", ROUTING_SITE, 0, "oslo" },
		{ "x@sub.oslo.example", ROUTING_SITE, 0, "rome" },
		{ "x@a.b.example", ROUTING_SITE, 0, "london" },
		{ "x@c.a.b.example", ROUTING_SITE, 0, "london" },
		{ "x@b.example", ROUTING_SITE, 0, "rome" },
		{ "x@example", ROUTING_NONE, 0, NULL },
		{ "x@xb.test", ROUTING_NONE, 0, NULL },
		{ "\"a@b\"@oslo.example", ROUTING_SITE, 0, "oslo" },
		{ "x@far.example", ROUTING_UNREACHABLE, 0, "far" },
		{ "nodomain", ROUTING_NONE, 0, NULL },
		{ "x@", ROUTING_NONE, 0, NULL },
		{ "", ROUTING_NONE, 0, NULL },
		{ "x@.", ROUTING_NONE, 0, NULL },
	};
	struct routing *t = sample();
	struct routing_decision d;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		routing_lookup(t, cases[i].address, &d, NULL);
		if (d.kind != cases[i].kind)
			fail_msg("%s: kind %d", cases[i].address, d.kind);
		if (cases[i].site != NULL)
			assert_string_equal(d.site, cases[i].site);
		if (d.kind == ROUTING_LOCAL)
			assert_int_equal(d.delivery, cases[i].delivery);
	}
	rule(t, "*", "rome");
	routing_lookup(t, "x@example", &d, NULL);
	assert_int_equal(d.kind, ROUTING_SITE);
	assert_string_equal(d.site, "rome");
	routing_free(t);
}

static void
expect_roads(struct routing *t, const char *address, const char *want)
{
	struct routing_decision d;
	struct buf got = BUF_INIT;
	size_t i;

	routing_lookup(t, address, &d, NULL);
	for (i = 0; i < d.npeers; i++)
		buf_addf(&got, "%s %u;", d.peer[i], d.cost[i]);
	assert_string_equal(buf_cstr(&got), want);
	buf_release(&got);
}

static void
test_site(void **state)
{
	static const struct {
		const char *site;
		enum routing_kind kind;
		const char *peers;
	} cases[] = {
		{ "oslo", ROUTING_SITE, "london 3;rome 6;" },
		{ "rome", ROUTING_SITE, "rome 1;london 8;" },
		{ "far", ROUTING_UNREACHABLE, "" },
		{ "paris", ROUTING_NONE, "" },
		{ "Oslo", ROUTING_NONE, "" },
		{ "", ROUTING_NONE, "" },
	};
	struct routing *t = sample();
	struct routing_decision d;
	struct buf got = BUF_INIT;
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		routing_site(t, cases[i].site, &d, NULL);
		buf_clear(&got);
		for (k = 0; k < d.npeers; k++)
			buf_addf(&got, "%s %u;", d.peer[k], d.cost[k]);
		assert_string_equal(buf_cstr(&got), cases[i].peers);
		assert_int_equal(d.kind, cases[i].kind);
	}
	routing_set_down(t, "london", true);
	routing_site(t, "oslo", &d, &got);
	assert_string_equal(d.peer[0], "rome");
	assert_non_null(strstr(buf_cstr(&got), "london at cost 3 (down)"));
	buf_release(&got);
	routing_free(t);
}

static void
test_roads(void **state)
{
	struct routing *t = sample();

	(void)state;
	rule(t, "bergen.test", "bergen");
	rule(t, "london.test", "london");
	expect_roads(t, "x@oslo.example", "london 3;rome 6;");
	expect_roads(t, "x@bergen.test", "london 4;rome 7;");
	/* rome, oslo, london */
	expect_roads(t, "x@london.test", "london 2;rome 7;");
	routing_set_down(t, "london", true);
	expect_roads(t, "x@bergen.test", "rome 7;london 4;");
	routing_set_down(t, "nobody", true);
	routing_set_down(t, "london", false);
	expect_roads(t, "x@bergen.test", "london 4;rome 7;");
	/* A better link is seen at once. */
	assert_int_equal(routing_add_link(t, "rome", "bergen", 1, NULL), 0);
	expect_roads(t, "x@bergen.test", "rome 2;london 4;");
	/* Of equal roads the direct one is better. */
	assert_int_equal(routing_add_peer(t, "bergen", 2, NULL), 0);
	expect_roads(t, "x@bergen.test", "bergen 2;rome 2;london 4;");
	routing_free(t);
}

static void
test_many_peers(void **state)
{
	struct routing *t = routing_new("hub");
	struct routing_decision d;
	char name[16];
	unsigned i;

	(void)state;
	for (i = 1; i <= 20; i++) {
		(void)snprintf(name, sizeof(name), "p%u", i);
		assert_int_equal(routing_add_peer(t, name, 21 - i, NULL), 0);
		assert_int_equal(routing_add_link(t, name, "goal", 1, NULL), 0);
	}
	rule(t, "goal.test", "goal");
	routing_lookup(t, "x@goal.test", &d, NULL);
	assert_int_equal(d.npeers, ROUTING_PEERS_MAX);
	for (i = 0; i < 8; i++)
		assert_int_equal(d.cost[i], 2 + i);
	assert_string_equal(d.peer[0], "p20");
	for (i = 13; i <= 20; i++) {
		(void)snprintf(name, sizeof(name), "p%u", i);
		routing_set_down(t, name, true);
	}
	routing_lookup(t, "x@goal.test", &d, NULL);
	assert_string_equal(d.peer[0], "p12");
	assert_string_equal(d.peer[7], "p5");
	routing_free(t);
}

static void
expect_words(struct routing *t, const char *address, const char *want)
{
	struct routing_decision d;
	struct buf got = BUF_INIT;

	routing_lookup(t, address, &d, &got);
	assert_string_equal(buf_cstr(&got), want);
	buf_release(&got);
}

static void
test_explain(void **state)
{
	struct routing *t = routing_new("paris");

	(void)state;
	routing_set_origin(t, "postrider.conf", 12);
	assert_int_equal(routing_add_local(t, "paris.example", 0, NULL), 0);
	assert_int_equal(routing_add_user(t, "paris.example", "ann", NULL), 0);
	assert_int_equal(routing_add_peer(t, "london", 2, NULL), 0);
	assert_int_equal(routing_add_peer(t, "rome", 9, NULL), 0);
	assert_int_equal(routing_add_link(t, "london", "rome", 1, NULL), 0);
	routing_set_origin(t, "postrider.conf", 31);
	rule(t, "london.example", "london");
	routing_set_origin(t, NULL, 0);
	rule(t, ".far.example", "far");
	expect_words(t, "x@London.example",
	    "address x@london.example: no rule\n"
	    "domain london.example matches (postrider.conf:31): site london\n"
	    "site london: via london at cost 2 (a peer); alternates: rome at "
	    "cost 10\n");
	expect_words(t, "ann+x@paris.example",
	    "address ann+x@paris.example: no rule\n"
	    "domain paris.example is local (postrider.conf:12): delivery 0\n"
	    "user ann+x is taken\n");
	expect_words(t, "eve@paris.example",
	    "address eve@paris.example: no rule\n"
	    "domain paris.example is local (postrider.conf:12): delivery 0\n"
	    "user eve is not listed: refused, 550 5.1.1\n");
	expect_words(t, "x@a.far.example",
	    "address x@a.far.example: no rule\n"
	    "domain a.far.example: no rule\n"
	    "suffix .far.example matches: site far\n"
	    "site far: no peer or link leads there: the mail waits\n");
	expect_words(t, "x@nowhere.test",
	    "address x@nowhere.test: no rule\n"
	    "domain nowhere.test: no rule\n"
	    "suffix .test: no rule\n"
	    "default *: no rule\n"
	    "neither local nor routed: refused, 550 5.7.1\n");
	routing_set_down(t, "london", true);
	expect_words(t, "x@london.example",
	    "address x@london.example: no rule\n"
	    "domain london.example matches (postrider.conf:31): site london\n"
	    "site london: via rome at cost 10; alternates: london at cost 2 "
	    "(a peer) (down)\n");
	routing_free(t);
}

static void
test_refusals(void **state)
{
	struct routing *t = sample();
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(routing_add_local(t, "PARIS.example", 3, &e),
	    ERR_EXISTS);
	assert_int_equal(routing_add_local(t, "oslo.example", 3, &e),
	    ERR_EXISTS);
	assert_int_equal(routing_add_user(t, "oslo.example", "x", &e),
	    ERR_NOT_FOUND);
	assert_int_equal(routing_add_rule(t, "paris.example", "rome", &e),
	    ERR_EXISTS);
	assert_int_equal(routing_add_rule(t, "Oslo.Example", "rome", &e),
	    ERR_EXISTS);
	assert_int_equal(routing_add_rule(t, "new.example", "paris", &e),
	    ERR_CONFIG);
	/* One map for all sites: our own lines change nothing. */
	assert_int_equal(routing_add_rule(t, "paris.example", "paris", &e), 0);
	assert_int_equal(routing_add_peer(t, "london", 1, &e), ERR_EXISTS);
	assert_int_equal(routing_add_peer(t, "paris", 1, &e), ERR_CONFIG);
	assert_int_equal(routing_add_peer(t, "new", 0, &e), ERR_CONFIG);
	assert_int_equal(routing_add_link(t, "paris", "x", 1, &e), ERR_CONFIG);
	assert_int_equal(routing_add_link(t, "x", "x", 1, &e), ERR_CONFIG);
	assert_int_equal(routing_add_link(t, "x", "y", 0, &e), ERR_CONFIG);
	assert_int_equal(routing_add_link(t, "oslo", "london", 1, &e),
	    ERR_EXISTS);
	routing_free(t);
}

static void
test_check(void **state)
{
	struct routing *t = sample();
	struct buf told = BUF_INIT;

	(void)state;
	routing_set_origin(t, "c", 7);
	rule(t, "lost.example", "atlantis");
	assert_int_equal(routing_check(t, collect, &told), 2);
	assert_string_equal(buf_cstr(&told),
	    "far.example is routed to site far, which no link or peer leads "
	    "to\n"
	    "c:7: lost.example is routed to site atlantis, which is neither a "
	    "peer nor named in a link\n");
	buf_release(&told);
	routing_free(t);
}

static void
test_map_file(void **state)
{
	static const char text[] = "# sites\n\nbergen.test\toslo\n"
	    "  .fjord.test  oslo # and below\r\n"
	    "lonely.test\n"
	    "a.test oslo london\n"
	    "paris.example paris\n"
	    "bergen.test rome\n"
	    "bad..domain oslo\n"
	    "* rome";
	char dir[] = "/tmp/test_table.XXXXXX";
	struct routing *t = sample();
	struct buf told = BUF_INIT, want = BUF_INIT;
	struct routing_decision d;
	struct err e = ERR_INIT;
	char *path;

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = path_join(dir, "map");
	assert_int_equal(file_replace(dir, "map", text, sizeof(text) - 1, 0600,
	    &e), 0);
	assert_int_equal(routing_add_map(t, path, collect, &told, &e),
	    ERR_CONFIG);
	buf_addf(&want, "%s:5: ", path);
	assert_memory_equal(told.ptr, want.ptr, want.len);
	buf_clear(&want);
	buf_addf(&want, "\n%s:6: ", path);
	assert_non_null(strstr(buf_cstr(&told), buf_cstr(&want)));
	buf_clear(&want);
	buf_addf(&want, "\n%s:8: bergen.test is routed already, at %s:3\n",
	    path, path);
	assert_non_null(strstr(buf_cstr(&told), buf_cstr(&want)));
	buf_clear(&want);
	buf_addf(&want, "\n%s:9: ", path);
	assert_non_null(strstr(buf_cstr(&told), buf_cstr(&want)));
	assert_null(strstr(buf_cstr(&told), ":7:"));
	assert_null(strstr(buf_cstr(&told), ":10:"));
	routing_lookup(t, "x@a.fjord.test", &d, NULL);
	assert_string_equal(d.site, "oslo");
	routing_lookup(t, "x@anything", &d, NULL);
	assert_string_equal(d.site, "rome");
	assert_int_equal(unlink(path), 0);
	assert_true(routing_add_map(t, path, collect, &told, &e) < 0);
	assert_int_equal(rmdir(dir), 0);
	buf_release(&told);
	buf_release(&want);
	free(path);
	routing_free(t);
}

static void
test_many_rules(void **state)
{
	struct routing *t = routing_new("paris");
	struct routing_decision d;
	char text[64];
	unsigned i;

	(void)state;
	assert_int_equal(routing_add_peer(t, "hub", 1, NULL), 0);
	for (i = 0; i < 100000; i++) {
		(void)snprintf(text, sizeof(text), "d%u.example", i);
		rule(t, text, "hub");
	}
	for (i = 0; i < 100000; i++) {
		(void)snprintf(text, sizeof(text), "x@D%u.example", i);
		routing_lookup(t, text, &d, NULL);
		assert_int_equal(d.kind, ROUTING_SITE);
	}
	routing_free(t);
}

static void
test_patterns(void **state)
{
	static const struct {
		const char *pattern, *address;
		bool match;
	} cases[] = {
		{ "*", "x@y.test", true }, { "*", "", true },
		{ "y.test", "x@Y.TEST", true },
		{ "y.test", "x@a.y.test", false },
		{ ".y.test", "x@a.y.test", true },
		{ ".y.test", "x@y.test", false },
		{ ".y.test", "x@ay.test", false }, { ".y.test", "", false },
		{ "X@y.test", "x@Y.test", true },
		{ "x@y.test", "z@y.test", false },
		{ "x@y.test", "\"x\"@y.test", true },
		{ "\"x\"@y.test", "x@y.test", true },
		{ "x@y.test", "\"x \"@y.test", false },
		{ "y.test", "", false },
	};
	static const char *const good[] = { "*", "a.test", ".test", "u@a.test",
		"localhost", "[192.0.2.1]" };
	static const char *const bad[] = { "", ".", "a..b", "@a.test", "u@",
		"**", "a b", "*.test", ".a." };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (routing_pattern_match(cases[i].pattern, cases[i].address) !=
		    cases[i].match)
			fail_msg("%s %s", cases[i].pattern, cases[i].address);
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (routing_pattern_check(good[i], NULL) != 0)
			fail_msg("good: %s", good[i]);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (routing_pattern_check(bad[i], NULL) == 0)
			fail_msg("bad: %s", bad[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_site),
		cmocka_unit_test(test_roads),
		cmocka_unit_test(test_many_peers),
		cmocka_unit_test(test_explain),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_map_file),
		cmocka_unit_test(test_many_rules),
		cmocka_unit_test(test_patterns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
