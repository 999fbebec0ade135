/* SPDX-License-Identifier: ISC */
/* The configuration of filters. */
#include "node/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

#define SITE "site paris { postmaster = postmaster@paris.example }\n" \
	"delivery local { domains = { paris.example }; to = maildir:/m }\n"
#define BSMTP "peer a { set = drop=/d; dialect = bsmtp\n"
#define MIME "peer a { set = drop=/d; dialect = rfc2442\n"

static void
collect(void *ctx, const char *text)
{
	buf_addf(ctx, "%s\n", text);
}

/* NULL: there were faults. */
static struct conf *
load(const char *text, struct buf *told)
{
	char name[] = "/tmp/test_conf_filter.XXXXXX";
	struct conf *conf = NULL;
	struct err e = ERR_INIT;
	int fd = mkstemp(name), rc;

	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, text, strlen(text), &e), 0);
	close(fd);
	rc = conf_load(name, collect, told, &conf, &e);
	unlink(name);
	assert_int_equal(rc, conf != NULL ? 0 : ERR_CONFIG);
	return conf;
}

static void
test_good(void **state)
{
	struct buf told = BUF_INIT;
	struct conf *c = load(SITE MIME "filter-out = { '/bin/cat \"a b\" %i', "
	    "/bin/sh }\nfilter-in = /bin/cat\nfilter-part = entity\n"
	    "filter-time = 1m }\n" "peer b { set = drop=/d }\n", &told);
	const struct conf_peer *p;

	(void)state;
	assert_string_equal(buf_cstr(&told), "");
	p = conf_find_peer(c, "a");
	assert_int_equal(p->filter_out.n, 2);
	assert_string_equal(p->filter_out.item[0], "/bin/cat \"a b\" %i");
	assert_string_equal(p->filter_out.item[1], "/bin/sh");
	assert_int_equal(p->filter_in.n, 1);
	assert_int_equal(p->filter_part, CONF_FILTER_ENTITY);
	assert_int_equal(p->filter_secs, 60);
	p = conf_find_peer(c, "b");
	assert_int_equal(p->filter_out.n + p->filter_in.n, 0);
	assert_int_equal(p->filter_part, CONF_FILTER_WHOLE);
	assert_int_equal(p->filter_secs, 300);
	conf_free(c);
	buf_release(&told);
}

static const struct {
	const char *text, *told;
	bool warning;
} cases[] = {
	{ SITE BSMTP "filter-out = gpg }\n",
	    "4: filter-out = gpg: the path of a program must begin", false },
	{ SITE BSMTP "filter-in = '/bin/x %f' }\n",
	    "4: filter-in = /bin/x %f: a % stands before i", false },
	{ SITE BSMTP "filter-in = { } }\n", "4: filter-in: an empty list",
	    false },
	{ SITE BSMTP "filter-in = '/bin/cat\t\x01' }\n",
	    "a control character", false },
	{ SITE "peer a { filter-in = /bin/cat }\n",
	    "3: dialect = native has no filters", false },
	{ SITE "peer a { filter-out = /bin/cat }\n",
	    "3: dialect = native has no filters", false },
	{ SITE BSMTP "filter-in = /bin/cat\nfilter-part = entity }\n",
	    "5: dialect = bsmtp has no MIME labels", false },
	{ SITE MIME "filter-part = body }\n", "4: filter-part = body: write "
	    "whole, entity or attachment", false },
	{ SITE MIME "filter-time = 0 }\n", "4: filter-time = 0: the least is "
	    "1", false },
	{ SITE MIME "filter-in = /bin/cat\nfilter-time = 2d }\n",
	    "5: filter-time = 2d: the most is 86400", false },
	/* it may come yet */
	{ SITE BSMTP "filter-out = { /bin/cat,\n'/bin/none x' } }\n",
	    "5: warning: filter-out: /bin/none cannot be run: No such file",
	    true },
	{ SITE BSMTP "filter-time = 1m }\n", "4: warning: filter-time is for "
	    "filter-out and filter-in: it changes nothing here", true },
};

static void
test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf told = BUF_INIT;
		struct conf *c = load(cases[i].text, &told);

		if ((c != NULL) != cases[i].warning ||
		    strstr(buf_cstr(&told), cases[i].told) == NULL)
			fail_msg("%s\n%s", cases[i].text, buf_cstr(&told));
		conf_free(c);
		buf_release(&told);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good), cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
