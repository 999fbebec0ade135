/* SPDX-License-Identifier: ISC */
/*
 * Which delivery agents a reload keeps.
 */
#include "node/agents.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SITE "site paris {\n postmaster = p@paris.example\n spool = /tmp\n" \
	     " run = /tmp\n address = bundles@paris.example\n}\n"
#define HOME "delivery home {\n domains = { paris.example }\n"
#define ANN HOME "users = { p, ann }\n"
#define BOTH HOME "users = { p, ann, bob }\n"
#define ONE HOME "users = { p, annbob }\n"
#define DIR "to = maildir:/tmp/mail\n"
#define SMTP "to = smtp:127.0.0.1:2525\n"
#define PIPE "to = \"command:/bin/cat\"\n"

static void
told(void *ctx, const char *text)
{
	(void)ctx;
	(void)text;
}

static struct conf *
read_conf(const char *delivery)
{
	char path[] = "/tmp/postrider-agents-XXXXXX";
	struct err e = ERR_INIT;
	struct conf *conf;
	int fd = mkstemp(path);
	FILE *file = fdopen(fd, "w");

	assert_non_null(file);
	(void)fprintf(file, "%s%s}\n", SITE, delivery);
	assert_int_equal(fclose(file), 0);
	if (conf_load(path, told, NULL, &conf, &e) != 0)
		fail_msg("%s: %s", delivery, e.text);
	(void)unlink(path);
	return conf;
}

/* Does the agent of the one go on as that of the other? */
static bool
is_kept(const char *before, const char *after)
{
	struct conf *a = read_conf(before), *b = read_conf(after);
	struct event_base *base = event_base_new();
	struct delivery_hooks hooks = { .ctx = NULL };
	struct agents *agents = agents_new(base, &hooks);
	const struct delivery *was;
	bool kept;

	agents_configure(agents, a);
	was = agents_get(agents, 0);
	assert_non_null(was);
	agents_configure(agents, b);
	kept = agents_get(agents, 0) == was;
	agents_free(agents);
	event_base_free(base);
	conf_free(a);
	conf_free(b);
	return kept;
}

static const struct {
	const char *before, *after;
	bool kept;
} pairs[] = {
	{ HOME DIR, HOME DIR, true },
	{ HOME DIR, "\n" HOME DIR, true },
	{ HOME SMTP, HOME SMTP, true },
	{ HOME PIPE, HOME PIPE, true },
	{ HOME DIR, HOME SMTP, false },
	{ HOME DIR, HOME "to = maildir:/tmp/other\n", false },
	{ HOME DIR, HOME "eol = crlf\n" DIR, false },
	{ HOME DIR, ANN DIR, false },
	{ ANN DIR, ANN DIR, true },
	{ ANN DIR, BOTH DIR,
	    false },
	{ BOTH DIR, ONE DIR,
	    false },
	{ HOME DIR, "delivery home {\n domains = { paris.example, b.example }"
		    "\n" DIR,
	    false },
	{ HOME SMTP, HOME "connections = 9\n" SMTP, false },
	{ HOME SMTP, HOME "convert = yes\n" SMTP, false },
};

static void
test_pairs(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (is_kept(pairs[i].before, pairs[i].after) != pairs[i].kept)
			fail_msg("pair %zu", i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
