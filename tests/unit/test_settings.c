/* SPDX-License-Identifier: ISC */
/* Settings of transports that make no sense: each is refused before anything
 * runs, with the setting, its value and what it may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/buf.h"
#include "transports/settings.h"

#define MAX_SET 8
#define TIME ": want seconds, such as 30 or 0.5, or a time such as 10m, at " \
	"most 1w"
#define PLACE ": want HOST:PORT, [ADDRESS]:PORT or /PATH"

static const struct transport {
	const char *name, *good[MAX_SET];
	struct {
		const char *set, *why;
	} bad[40];
} transports[] = {
	{ "tcp", { "to=127.0.0.1:99" }, {
		{ "to=", PLACE }, { "to=x", PLACE }, { "to=host:", PLACE },
		{ "to=host:0", PLACE }, { "to=host:65536", PLACE },
		{ "to=host:12x!", PLACE }, { "to=a:b:c", PLACE },
		{ "to=rel/path", PLACE }, { "socks=x", PLACE },
		{ "socks=h:99999", PLACE }, { "listen=h:1", NULL },
		{ "socks-user=u", NULL }, { "timeout=x", TIME },
		{ "timeout=0", ": want 0.100 seconds at least" },
		{ "patience=1d1", TIME }, { "silence=-1", TIME },
		{ "role=both", ": want call or answer" },
		{ "stay=x", ": want yes or no" },
		{ "plain=", ": want yes or no" },
		{ "half-duplex=1", ": want yes or no" },
		{ "path=dirty", ": want clean, xonxoff or 7bit" },
		{ "max-size=x", ": want a size such as 100M" },
		{ "max-size=0", ": want a size such as 100M" },
		{ "secret=abc", ": want given or none" },
		{ "foo=1", NULL } } },
	{ "serial", { "device=/dev/ttyS0" }, {
		{ "device=ttyS0", ": want the absolute path of a tty" },
		{ "lock-dir=lock", ": want an absolute path" },
		{ "speed=fast", ": want a number from 1 to 4000000" },
		{ "speed=0", ": want a number from 1 to 4000000" },
		{ "speed=12345", ": want one that a tty has" },
		{ "line-speed=-1", ": want a number from 1 to 4000000" },
		{ "flow=some", ": want one of none, rtscts, xonxoff" },
		{ "bits=9", ": want one of 8, 7" },
		{ "modem=x", ": want yes or no" },
		{ "carrier=x", ": want yes or no" },
		{ "chat=\\q", NULL }, { "chat-timeout=x", TIME },
		{ "password-file=/nowhere/x", NULL },
		{ "role=x", ": want one of call, answer" },
		{ "secret=", ": want given or none" }, { "foo=1", NULL } } },
	{ "exec", { "command=cat" }, {
		{ "command=", ": want a command" },
		{ "command=\"", ": want a command" },
		{ "role=x", ": want call or answer" },
		{ "each=x", NULL }, { "poll=5", NULL }, { "foo=1", NULL } } },
	{ "exec", { "each=cat %f", "fetch=ls" }, {
		{ "each=", ": want a command" },
		{ "fetch=\"", ": want a command" },
		{ "input=x", ": want none or file" },
		{ "others=x", ": want temporary or permanent" },
		{ "stay=x", ": want yes or no" }, { "timeout=x", TIME },
		{ "poll=10x", TIME },
		{ "poll=0", ": want 0.010 seconds at least" },
		{ "path=clean", NULL }, { "foo=1", NULL } } },
	{ "uucp", { "grade=A" }, {
		{ "system=a;b", ": want letters, digits and -_./, not -" },
		{ "system=", ": want letters, digits and -_./, not - first" },
		{ "command=-x", ": want letters, digits and -_./, not - " },
		{ "grade=ab", ": want one letter or digit" },
		{ "grade=;", ": want one letter or digit" },
		{ "start=x", ": want yes or no" }, { "timeout=x", TIME },
		{ "uux=", ": want the name or the path of a " },
		{ "foo=1", NULL } } },
	{ "file", { "drop=/nowhere/drop" }, {
		{ "drop=rel", ": want an absolute path" },
		{ "pickup=", ": want an absolute path" },
		{ "marker=a/b", ": want the name of a file" },
		{ "marker=..", ": want the name of a file" },
		{ "suffix=ABC", ": want at most 16 of a-z, 0-9, dot, hyphen" },
		{ "poll=10x", TIME },
		{ "poll=0", ": want 0.010 seconds at least" },
		{ "settle=x", TIME }, { "stay=x", ": want yes or no" },
		{ "foo=1", NULL } } },
	{ "mail", { "fetch=imap://127.0.0.1", "tls=no" }, {
		{ "poll=10x", TIME }, { "poll=", TIME }, { "poll=999w", TIME },
		{ "poll=0.1", ": want 1.000 seconds at least" },
		{ "max-size=0", ": want a size such as 100M" },
		{ "idle=x", ": want yes or no" },
		{ "server=x", ": want HOST:PORT, [IPV6]:PORT or unix:/PATH" },
		{ "encoding=7bit", ": want base64, 8bit or binary" },
		{ "date=2w", TIME }, { "timeout=x", TIME },
		{ "tls=maybe", ": want name, ca, pin or no" },
		{ "tls-ca=rel", ": want an absolute path" },
		{ "tls-ca=/nowhere/x", NULL }, { "user=", NULL },
		{ "auth=magic", ": want plain, login, cram-md5, " },
		{ "socks=x", ": want HOST:PORT" },
		{ "move-to=\xc3\xa5", ": names of mailboxes are in ASCII" },
		{ "from=nobody", ": column 7: address without a domain" },
		{ "foo=1", NULL } } },
};

static bool
same_key(const char *a, const char *b)
{
	size_t len = strcspn(a, "=");

	return strcspn(b, "=") == len && strncmp(a, b, len) == 0;
}

/* The good ones with this among them, or in the place of one. */
static int
check(const struct transport *t, const char *set, struct err *e)
{
	char texts[MAX_SET + 1][80], *list[MAX_SET + 1];
	size_t n = 0;

	for (size_t i = 0; t->good[i] != NULL; i++)
		if (set == NULL || !same_key(t->good[i], set))
			snprintf(texts[n++], sizeof(texts[0]), "%s",
			    t->good[i]);
	if (set != NULL)
		snprintf(texts[n++], sizeof(texts[0]), "%s", set);
	for (size_t i = 0; i < n; i++)
		list[i] = texts[i];
	return settings_check(t->name, "oslo", list, n, e);
}

static void
check_bad(const struct transport *t, const char *set, const char *why)
{
	struct err e = ERR_INIT;
	char *want = NULL, key[40];

	snprintf(key, sizeof(key), "%.*s", (int)strcspn(set, "="), set);
	if (check(t, set, &e) != ERR_CONFIG)
		fail_msg("%s takes %s", t->name, set);
	if (strstr(e.text, key) == NULL && why != NULL)
		fail_msg("%s: %s does not name %s", t->name, e.text, key);
	if (why == NULL)
		return;
	assert_true(asprintf(&want, "%s%s", set, why) > 0);
	if (strncmp(e.text, want, strlen(want)) != 0)
		fail_msg("%s: %s, not %s", t->name, e.text, want);
	free(want);
}

static void
test_nonsense(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]);
	    i++) {
		const struct transport *t = &transports[i];

		if (check(t, NULL, &e) != 0)
			fail_msg("%s: %s", t->name, e.text);
		for (size_t k = 0; t->bad[k].set != NULL; k++)
			check_bad(t, t->bad[k].set, t->bad[k].why);
	}
}

/* Whoever wrote it knows what it takes. */
static void
test_others(void **state)
{
	char set[] = "foo=1", *list[] = { set };
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(settings_check("/usr/local/lib/pigeon", "oslo", list,
	    1, &e), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
