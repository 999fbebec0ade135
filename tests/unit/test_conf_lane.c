/* SPDX-License-Identifier: ISC */
/*
 * Peers with several transports: what is read, what follows, what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "node/conf.h"

static void
collect(void *ctx, const char *text)
{
	const char *line = strchr(text, ':');

	if (ctx != NULL)
		buf_addf(ctx, "%s\n", line != NULL ? line + 1 : text);
}

/* told: gets all faults, without the file; or NULL. */
static struct conf *
load(const char *text, struct buf *told)
{
	char name[] = "/tmp/test_conf.XXXXXX";
	struct conf *conf = NULL;
	struct err e = ERR_INIT;
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, text, strlen(text), &e), 0);
	close(fd);
	if (conf_load(name, collect, told, &conf, &e) != 0 && told == NULL)
		fail_msg("%s", e.text);
	unlink(name);
	return conf;
}

/* What a peer's section says holds for its transports, unless they say
 * otherwise. */
static void
test_transports(void **state)
{
	struct conf *c = load("site paris { postmaster = p@x.test }\n"
	    "peer a { dialect = bsmtp\n"
	    "retry-max = 5m; parcel-size = 2K; call = every 1h\n"
	    "transport radio { program = serial; set = { device=/dev/x }\n"
	    "priority-min = 1; priority-max = 9; size-max = 16K\n"
	    "retry-max = 1m; retry-min = 20s; call = \"Any2200-0600\" }\n"
	    "transport wire { program = tcp; set = { listen=127.0.0.1:1 }\n"
	    "size-max = 1M }\n"
	    "transport stick { program = file; set = { drop=/d }\n"
	    "size-max = 1M; parcel-size = 4M; stays = no } }\n", NULL);
	const struct conf_peer *p = &c->peer[0];

	(void)state;
	assert_int_equal(p->nlanes, 3);
	assert_string_equal(p->lane[0].name, "radio");
	assert_string_equal(p->lane[0].program, "serial");
	assert_int_equal(p->lane[0].priority_min, 1);
	assert_int_equal(p->lane[0].size_max, 16384);
	assert_int_equal(p->lane[0].retry_min_secs, 20);
	assert_int_equal(p->lane[0].retry_max_secs, 60);
	assert_int_equal(p->lane[0].parcel_octets, 2048);
	assert_false(schedule_is_timed(p->lane[0].call));
	assert_string_equal(p->lane[1].name, "wire");
	assert_int_equal(p->lane[1].priority_min, -9);
	assert_int_equal(p->lane[1].priority_max, 9);
	assert_int_equal(p->lane[1].retry_min_secs, 10);
	assert_int_equal(p->lane[1].retry_max_secs, 300);
	assert_true(schedule_is_timed(p->lane[1].call));
	assert_true(p->lane[1].stays);
	assert_false(p->lane[2].stays);
	assert_int_equal(p->lane[2].parcel_octets, 4 << 20);
	/* What the largest take is the largest that there is. */
	assert_int_equal(p->max_message, 1 << 20);
	assert_int_equal(p->lane[1].size_max, 0);
	assert_int_equal(p->lane[2].size_max, 0);
	conf_free(c);
}

static void
test_faults(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "transport a { }\n", "2: unknown section transport" },
		{ "peer a { transport b { set = x=1 } }\n",
		    "2: section transport needs program" },
		{ "peer a { transport { program = tcp } }\n",
		    "2: section transport takes one title" },
		{ "peer a { transport b/c { program = tcp } }\n",
		    "2: transport b/c: " },
		{ "peer a { transport b { program = tcp }\n"
		    "transport b { program = tcp } }\n",
		    "3: there are two transports b, the first in line 2" },
		{ "peer a { transport b { program = tcp }\nset = x=1 }\n",
		    "3: set beside sections transport" },
		{ "peer a { transport b { program = tcp }\nstays = yes }\n",
		    "3: stays beside sections transport" },
		{ "peer a { transport = tcp\n"
		    "transport b { program = tcp } }\n",
		    "2: transport beside sections transport" },
		{ "peer a { transport b { program = tcp\n"
		    "set = { x=1, x=2 } } }\n", "3: set: x is set twice" },
		{ "peer a { transport b { program = tcp\n"
		    "priority-min = 10 } }\n", "3: priority-min = 10: write a "
		    "priority from -9 to 9" },
		{ "peer a { transport b { program = tcp\n"
		    "priority-min = -0 } }\n", "3: priority-min = -0: write" },
		{ "peer a { transport b { program = tcp\n"
		    "priority-min = 1; priority-max = 0 } }\n",
		    "3: priority-max is less than priority-min" },
		{ "peer a { transport b { program = tcp\n"
		    "priority-min = 1 } }\n", "2: peer a: no transport takes "
		    "mail of priority -9" },
		{ "peer a { transport b { program = tcp; size-max = 1M }\n"
		    "transport c { program = tcp; priority-max = 4 } }\n",
		    "2: peer a: no transport takes mail of priority 5" },
		{ "peer a { transport b { program = tcp\n"
		    "retry-min = 2h } }\n", "2: retry-max is less" },
		{ "peer a { dialect = bsmtp; transport b { program = mail\n"
		    "size-max = 2K } }\n", "2: the transport mail does not" },
		/* The line of the setting, where the text names one. */
		{ "peer a { transport = tcp\nset = { to=h:1,\n"
		    "plain=x } }\n", "4: peer a: transport tcp: plain=x: want "
		    "yes or no" },
		{ "peer a { transport = file\nset = { drop=/x,\n"
		    "pol=1 } }\n", "4: peer a: transport file: unknown "
		    "setting pol" },
		{ "peer a { transport = uucp; dialect = bsmtp\n"
		    "stays = yes }\n", "3: peer a: transport uucp: unknown "
		    "setting stay" },
		{ "peer a { transport b { program = serial\n"
		    "set = { speed=9600,\ndevice=x } } }\n",
		    "4: peer a: transport serial: device=x: want" },
		{ "peer a { transport b { program = tcp; cost = 1 } }\n",
		    "2: unknown key cost in section transport" },
	};
	struct buf text = BUF_INIT, told = BUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_clear(&text);
		buf_clear(&told);
		buf_addf(&text, "site paris { postmaster = p@x.test }\n%s",
		    cases[i].text);
		if (load(buf_cstr(&text), &told) != NULL)
			fail_msg("taken: %s", cases[i].text);
		if (strstr(buf_cstr(&told), cases[i].want) == NULL)
			fail_msg("%s: \"%s\", not \"%s\"", cases[i].text,
			    buf_cstr(&told), cases[i].want);
	}
	buf_release(&text);
	buf_release(&told);
}

/* A setting for each of them, or too many. */
static void
test_number(void **state)
{
	struct buf text = BUF_INIT, told = BUF_INIT;
	struct conf *c;
	int i, n;

	(void)state;
	for (n = 8; n <= 9; n++) {
		buf_clear(&text);
		buf_adds(&text, "site paris { postmaster = p@x.test }\n"
		    "peer a { dialect = bsmtp\n");
		for (i = 0; i < n; i++)
			buf_addf(&text, "transport t%d { program = /x }\n", i);
		buf_adds(&text, "}\n");
		c = load(buf_cstr(&text), &told);
		assert_true((c != NULL) == (n == 8));
		conf_free(c);
	}
	assert_non_null(strstr(buf_cstr(&told), "2: a peer has at most 8 "
	    "transports, not 9"));
	buf_release(&text);
	buf_release(&told);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transports),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
