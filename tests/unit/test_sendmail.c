/* SPDX-License-Identifier: ISC */
/*
 * Messages made for sendmail(8)'s callers.  Every case is given whole and one
 * octet at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "node/sendmail.h"

#define REST "From: me@here.example\r\nDate: today\r\nMessage-ID: <1@h>\r\n"
#define REST_IN "From: me@here.example\nDate: today\nMessage-ID: <1@h>\n"

/* 2024-03-05 10:00:00 UTC */
static int64_t
fixed_time(struct clock *c)
{
	(void)c;
	return 1709632800000;
}

static struct clock fixed_clock = { fixed_time, fixed_time };

struct made {
	struct buf content;
	char *recipients;
	struct err e;
	int result;
};

static void
make(const char *text, size_t len, struct sendmail_options *opts, size_t step,
    struct made *m)
{
	struct rng_seeded rng;
	struct sendmail *s;
	struct buf names = BUF_INIT;
	struct envelope *env;
	int r = 1;

	rng_seeded_init(&rng, 1);
	opts->clock = &fixed_clock;
	opts->rng = &rng.rng;
	opts->hostname = "here.example";
	opts->sender = opts->from = "me@here.example";
	memset(m, 0, sizeof(*m));
	s = sendmail_new(opts);
	assert_int_equal(sendmail_add_recipient(s, "arg@x.example", &m->e),
	    0);
	for (size_t at = 0; at < len && r == 1; at += step)
		r = sendmail_add(s, text + at,
		    len - at < step ? len - at : step, &m->content, &m->e);
	m->result = r < 0 ? r : sendmail_end(s, &m->content, &m->e);
	env = sendmail_envelope(s);
	assert_string_equal(env->sender, "me@here.example");
	for (size_t i = 0; i < env->nrcpt; i++)
		buf_addf(&names, "%s|", env->rcpt[i].address);
	m->recipients = buf_steal(&names);
	sendmail_free(s);
}

static void
made_release(struct made *m)
{
	buf_release(&m->content);
	free(m->recipients);
}

static const struct {
	const char *text;
	bool t, i;
	const char *content, *recipients;
} good[] = {
	/* LF becomes CR LF; CR LF stays */
	{ REST_IN "\nhello\nworld\n", false, false,
	    REST "\r\nhello\r\nworld\r\n", "arg@x.example|" },
	{ REST "\r\nhello\r\n", false, false, REST "\r\nhello\r\n",
	    "arg@x.example|" },
	/* an open end is closed */
	{ REST_IN "\nhello", false, false, REST "\r\nhello\r\n",
	    "arg@x.example|" },
	/* a dot alone ends the input, unless -i */
	{ REST_IN "\na\n.\nb\n", false, false, REST "\r\na\r\n",
	    "arg@x.example|" },
	{ REST_IN "\na\r\n.\r\nb\n", false, false, REST "\r\na\r\n",
	    "arg@x.example|" },
	{ REST_IN "\na\n.\nb\n", false, true, REST "\r\na\r\n.\r\nb\r\n",
	    "arg@x.example|" },
	{ REST_IN "\n.a\n..\n.", false, false,
	    REST "\r\n.a\r\n..\r\n.\r\n", "arg@x.example|" },
	{ REST_IN ".\nlost\n", false, false, REST "\r\n", "arg@x.example|" },
	/* no header at all, no body at all */
	{ REST_IN, false, false, REST "\r\n", "arg@x.example|" },
	{ REST_IN "no field\nbody\n", false, false,
	    REST "\r\nno field\r\nbody\r\n", "arg@x.example|" },
	/* folding; the line of a mailbox file */
	{ "From joe Tue Mar  5 10:00:00 2024\n" REST_IN "X: a\n b\n\n", false,
	    false, REST "X: a\r\n b\r\n\r\n", "arg@x.example|" },
	/* -t */
	{ REST_IN "To: A <a@x.example>,\n b@x.example\nCc: c, a@x.example\n"
	    "Bcc: d@x.example\nBcc:\n e@x.example\nX: y\n\n", true, false,
	    REST "To: A <a@x.example>,\r\n b@x.example\r\n"
	    "Cc: c, a@x.example\r\nX: y\r\n\r\n",
	    "arg@x.example|a@x.example|b@x.example|c@here.example|"
	    "d@x.example|e@x.example|" },
	{ REST_IN "To: a@x.example\nBcc: d@x.example\n\n", false, false,
	    REST "To: a@x.example\r\nBcc: d@x.example\r\n\r\n",
	    "arg@x.example|" },
	{ REST_IN "To: a@x.example\nResent-To: r@x.example\n"
	    "Resent-Bcc: s@x.example\n\n", true, false,
	    REST "To: a@x.example\r\nResent-To: r@x.example\r\n\r\n",
	    "arg@x.example|r@x.example|s@x.example|" },
};

static void
check_good(size_t i, size_t step)
{
	struct sendmail_options opts = { .take_recipients = good[i].t,
	    .ignore_dots = good[i].i };
	struct made m;

	make(good[i].text, strlen(good[i].text), &opts, step, &m);
	assert_int_equal(m.result, 0);
	assert_string_equal(buf_cstr(&m.content), good[i].content);
	assert_string_equal(m.recipients, good[i].recipients);
	made_release(&m);
}

static void
test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		check_good(i, SIZE_MAX / 2);
		check_good(i, 1);
	}
}

static void
test_missing_fields(void **state)
{
	struct sendmail_options opts = { .full_name = "O\"Neil" };
	struct made m;
	const char *content, *id;

	(void)state;
	make("Subject: x\n\nhello\n", 18, &opts, 1, &m);
	assert_int_equal(m.result, 0);
	content = buf_cstr(&m.content);
	assert_non_null(strstr(content, "Subject: x\r\n"
	    "From: \"O\\\"Neil\" <me@here.example>\r\n"
	    "Date: Tue, 05 Mar 2024 10:00:00 +0000\r\n"
	    "Message-ID: <1709632800."));
	id = strstr(content, "Message-ID: ");
	assert_non_null(strstr(id, "@here.example>\r\n\r\nhello\r\n"));
	made_release(&m);
}

static void
test_name_not_ascii(void **state)
{
	struct sendmail_options opts = { .full_name = "J\xc3\xb6rg" };
	struct made m;

	(void)state;
	make("", 0, &opts, 1, &m);
	assert_non_null(strstr(buf_cstr(&m.content),
	    "From: =?UTF-8?B?SsO2cmc=?= <me@here.example>\r\n"));
	made_release(&m);
}

static void
test_bad_field(void **state)
{
	struct sendmail_options opts = { .take_recipients = true };
	struct made m;

	(void)state;
	make("To: John Smith\n\n", 16, &opts, 1, &m);
	assert_int_equal(m.result, ERR_SYNTAX);
	assert_non_null(strstr(m.e.text, "field To: octet"));
	made_release(&m);
}

static void
test_endless_field(void **state)
{
	struct sendmail_options opts = { .ignore_dots = true };
	size_t len = SENDMAIL_HEADER_MAX + 10;
	char *text = mem_alloc(len, 1);
	struct made m;

	(void)state;
	memset(text, 'x', len);
	make(text, len, &opts, 4096, &m);
	assert_int_equal(m.result, ERR_LIMIT);
	made_release(&m);
	free(text);
}

/* NUL and bare CR are the mail's own affair. */
static void
test_octets(void **state)
{
	struct sendmail_options opts = { .ignore_dots = true };
	static const char body[] = "\n\na\0b\rc\xff\n";
	struct made m;

	(void)state;
	make(body, sizeof(body) - 1, &opts, 1, &m);
	assert_int_equal(m.result, 0);
	assert_true(m.content.len > 10);
	assert_memory_equal(m.content.ptr + m.content.len - 12,
	    "\r\n\r\na\0b\rc\xff\r\n", 12);
	made_release(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_missing_fields),
		cmocka_unit_test(test_name_not_ascii),
		cmocka_unit_test(test_bad_field),
		cmocka_unit_test(test_endless_field),
		cmocka_unit_test(test_octets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
