/* SPDX-License-Identifier: ISC */
/*
 * MT-PRIORITY, DELIVERBY and FUTURERELEASE: their values by the clauses of the
 * RFCs, and that the spool keeps them, beside records that know none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/mem.h"
#include "smtp/command.h"
#include "smtp/extension.h"
#include "smtp/server.h"
#include "smtp/timing.h"
#include "spool/envfile.h"
#include "spool/record.h"

#define ALL (SMTP_EXT_MT_PRIORITY | SMTP_EXT_DELIVERBY | \
	SMTP_EXT_FUTURERELEASE)

/* again: how it is passed on; NULL: refused with 501 5.5.4. */
static const struct {
	const char *params, *again;
} mails[] = {
	/* RFC 6710 4.1 */
	{ "MT-PRIORITY=0", "MT-PRIORITY=0" },
	{ "mt-priority=9", "MT-PRIORITY=9" },
	{ "MT-PRIORITY=-9", "MT-PRIORITY=-9" },
	{ "MT-PRIORITY=10", NULL },
	{ "MT-PRIORITY=+1", NULL },
	{ "MT-PRIORITY=-0", NULL },
	{ "MT-PRIORITY=01", NULL },
	{ "MT-PRIORITY=-", NULL },
	{ "MT-PRIORITY=x", NULL },
	{ "MT-PRIORITY=", NULL },
	{ "MT-PRIORITY", NULL },
	{ "MT-PRIORITY=1 MT-PRIORITY=1", NULL },
	/* RFC 2852 4 */
	{ "BY=120;R", "BY=120;R" },
	{ "by=120;rt", "BY=120;RT" },
	{ "BY=+00120;N", "BY=120;N" },
	{ "BY=-5;NT", "BY=-5;NT" },
	{ "BY=0;N", "BY=0;N" },
	{ "BY=999999999;N", "BY=999999999;N" },
	{ "BY=0;R", NULL },
	{ "BY=-1;R", NULL },
	{ "BY=1000000000;N", NULL },
	{ "BY=0000000001;N", NULL },
	{ "BY=120", NULL },
	{ "BY=120;", NULL },
	{ "BY=120;X", NULL },
	{ "BY=120;RX", NULL },
	{ "BY=120;RTT", NULL },
	{ "BY=;R", NULL },
	{ "BY=--1;N", NULL },
	{ "BY=1 ;N", NULL },
	/* RFC 4865 4: kept, never passed on */
	{ "HOLDFOR=86400", "" },
	{ "holdfor=0", "" },
	{ "HOLDFOR=999999999", "" },
	{ "HOLDFOR=1000000000", NULL },
	{ "HOLDFOR=-1", NULL },
	{ "HOLDFOR=1d", NULL },
	{ "HOLDFOR=", NULL },
	{ "HOLDUNTIL=2030-01-02T03:04:05Z", "" },
	{ "HOLDUNTIL=2030-01-02T03:04:05.25+01:00", "" },
	{ "HOLDUNTIL=2030-01-02", NULL },
	{ "HOLDUNTIL=tomorrow", NULL },
	{ "HOLDFOR=1 HOLDUNTIL=2030-01-02T03:04:05Z", NULL },
	{ "HOLDUNTIL=2030-01-02T03:04:05Z HOLDFOR=1", NULL },
};

static void
test_parameters(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(mails) / sizeof(mails[0]); i++) {
		char *line = mem_printf("FROM:<a@b> %s", mails[i].params);
		char *want = mem_printf("MAIL FROM:<a@b>%s%s\r\n",
		    mails[i].again != NULL && mails[i].again[0] != '\0' ?
		    " " : "", mails[i].again != NULL ? mails[i].again : "");
		struct buf out = BUF_INIT;
		struct smtp_refusal r = { 0, "", "" };
		struct envelope env;
		int rc;

		envelope_init(&env);
		rc = smtp_command_mail(slice_of(line), ALL, false, &env, &r);
		if (mails[i].again == NULL) {
			assert_int_equal(rc, -1);
			assert_int_equal(r.code, 501);
			assert_string_equal(r.status, "5.5.4");
			assert_true(smtp_timing_is_none(&env.timing));
		} else {
			assert_int_equal(rc, 0);
			smtp_write_mail(&out, &env, 0, ALL);
			assert_string_equal(buf_cstr(&out), want);
			buf_clear(&out);
			smtp_write_mail(&out, &env, 0, 0);
			assert_string_equal(buf_cstr(&out),
			    "MAIL FROM:<a@b>\r\n");
		}
		rc = smtp_command_mail(slice_of(line), 0, false, &env, &r);
		assert_int_equal(rc, -1);
		assert_int_equal(r.code, 555);
		envelope_release(&env);
		buf_release(&out);
		free(line);
		free(want);
	}
}

static void
test_dates(void **state)
{
	static const struct {
		const char *text;
		int64_t secs;		/* -1: none */
		const char *again;
	} cases[] = {
		{ "1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z" },
		{ "2024-02-29t12:00:00z", 1709208000, "2024-02-29T12:00:00Z" },
		{ "2024-02-29T12:00:00.999Z", 1709208000,
		    "2024-02-29T12:00:00Z" },
		{ "2024-02-29T14:30:00+02:30", 1709208000,
		    "2024-02-29T12:00:00Z" },
		{ "2024-02-28T23:00:00-13:00", 1709208000,
		    "2024-02-29T12:00:00Z" },
		{ "2016-12-31T23:59:60Z", 1483228800,
		    "2017-01-01T00:00:00Z" },
		{ "2023-02-29T12:00:00Z", -1, NULL },
		{ "2024-00-10T12:00:00Z", -1, NULL },
		{ "2024-13-10T12:00:00Z", -1, NULL },
		{ "2024-01-00T12:00:00Z", -1, NULL },
		{ "2024-01-32T12:00:00Z", -1, NULL },
		{ "2024-01-10T24:00:00Z", -1, NULL },
		{ "2024-01-10T12:60:00Z", -1, NULL },
		{ "2024-01-10T12:00:61Z", -1, NULL },
		{ "2024-01-10T12:00:00", -1, NULL },
		{ "2024-01-10T12:00:00.Z", -1, NULL },
		{ "2024-01-10T12:00:00+2:00", -1, NULL },
		{ "2024-01-10T12:00:00+0200", -1, NULL },
		{ "2024-01-10T12:00:00+24:00", -1, NULL },
		{ "2024-01-10T12:00:00Zx", -1, NULL },
		{ "2024-01-10 12:00:00Z", -1, NULL },
		{ "24-01-10T12:00:00Z", -1, NULL },
		{ "", -1, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out = BUF_INIT;
		int64_t secs = -1;
		int rc = smtp_date_parse(slice_of(cases[i].text), &secs);

		assert_int_equal(rc, cases[i].secs < 0 ? ERR_SYNTAX : 0);
		if (rc < 0)
			continue;
		assert_int_equal(secs, cases[i].secs);
		smtp_date_write(&out, secs);
		assert_string_equal(buf_cstr(&out), cases[i].again);
		buf_release(&out);
	}
}

static void
test_hold(void **state)
{
	struct smtp_timing t = { .hold = SMTP_HOLD_NONE };

	(void)state;
	assert_int_equal(smtp_timing_hold_secs(&t, 5000), 0);
	t.hold = SMTP_HOLD_FOR;
	t.hold_value = 60;
	assert_int_equal(smtp_timing_hold_secs(&t, 5000), 60);
	t.hold = SMTP_HOLD_UNTIL;
	assert_int_equal(smtp_timing_hold_secs(&t, 5000), 55);
	assert_int_equal(smtp_timing_hold_secs(&t, 60000), 0);
	assert_int_equal(smtp_timing_hold_secs(&t, 90000), 0);
}

/* RFC 2852 4.1.4: what is passed on has that much less. */
static void
test_pass(void **state)
{
	static const struct {
		enum smtp_by by;
		int64_t secs;
		uint64_t passed;
		int64_t left;
	} cases[] = {
		{ SMTP_BY_RETURN, 120, 20, 100 },
		{ SMTP_BY_RETURN, 120, 120, 1 },
		{ SMTP_BY_RETURN, 120, 500, 1 },
		{ SMTP_BY_NOTIFY, 120, 120, 0 },
		{ SMTP_BY_NOTIFY, 120, 500, -380 },
		{ SMTP_BY_NOTIFY, -10, 999999999, -999999999 },
		{ SMTP_BY_NOTIFY, 5, UINT64_MAX, -999999994 },
		{ SMTP_BY_NONE, 0, 500, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct smtp_timing t = { .by = cases[i].by,
		    .by_secs = cases[i].secs };

		smtp_timing_pass(&t, cases[i].passed);
		assert_int_equal(t.by_secs, cases[i].left);
	}
}

static void
test_needs(void **state)
{
	struct content_facts facts = { .octets = 0 };
	struct envelope env;

	(void)state;
	envelope_init(&env);
	env.timing.priority_given = true;
	assert_int_equal(envelope_needs(&env, &facts), 0);
	assert_int_equal(envelope_uses(&env), SMTP_EXT_MT_PRIORITY);
	env.timing.by = SMTP_BY_NOTIFY;
	assert_int_equal(envelope_needs(&env, &facts), 0);
	assert_int_equal(envelope_uses(&env), SMTP_EXT_MT_PRIORITY |
	    SMTP_EXT_DELIVERBY);
	env.timing.by = SMTP_BY_RETURN;
	assert_int_equal(envelope_needs(&env, &facts), SMTP_EXT_DELIVERBY);
	envelope_release(&env);
}

/* One line to a server that offers all: the reply to it. */
static void
server_says(const char *line, const char *want)
{
	struct smtp_server_options opts;
	struct smtp_server *s;
	struct smtp_event ev;
	struct buf *out;
	size_t used;

	smtp_server_options_default(&opts);
	opts.extensions = ALL;
	opts.hold_max_secs = 3600;
	opts.hold_until_max = 1709208000;
	s = smtp_server_new(&opts);
	out = smtp_server_output(s);
	assert_int_equal(smtp_server_next(s, "EHLO c\r\n", 8, &used, &ev), 1);
	assert_string_equal(buf_cstr(out), "250-localhost\r\n"
	    "250-MT-PRIORITY\r\n250-DELIVERBY\r\n"
	    "250 FUTURERELEASE 3600 2024-02-29T12:00:00Z\r\n");
	buf_clear(out);
	assert_int_equal(smtp_server_next(s, line, strlen(line), &used, &ev),
	    1);
	if (ev.kind == SMTP_EVENT_MAIL)
		smtp_server_answer(s, 250, NULL, "Ok");
	assert_int_equal(strncmp(buf_cstr(out), want, 3), 0);
	smtp_server_free(s);
}

static void
test_server(void **state)
{
	static const struct {
		const char *line, *code;
	} cases[] = {
		{ "MAIL FROM:<> HOLDFOR=3600\r\n", "250" },
		{ "MAIL FROM:<> HOLDFOR=3601\r\n", "501" },
		{ "MAIL FROM:<> HOLDUNTIL=2024-02-29T12:00:00Z\r\n", "250" },
		{ "MAIL FROM:<> HOLDUNTIL=2024-02-29T12:00:01Z\r\n", "501" },
		{ "MAIL FROM:<> HOLDUNTIL=2001-01-01T00:00:00Z\r\n", "250" },
		{ "MAIL FROM:<> BY=60;R MT-PRIORITY=3\r\n", "250" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		server_says(cases[i].line, cases[i].code);
}

static void
make_message(struct message *m)
{
	message_init(m);
	m->id = 7;
	m->env.sender = mem_strdup("a@b.example");
	envelope_add_recipient(&m->env, "c@d.example", NULL, NULL);
	m->source = mem_strdup("test");
}

static void
assert_timing(const struct smtp_timing *a, const struct smtp_timing *b)
{
	assert_int_equal(a->priority_given, b->priority_given);
	assert_int_equal(a->priority, b->priority);
	assert_int_equal(a->by, b->by);
	assert_int_equal(a->by_trace, b->by_trace);
	assert_int_equal(a->by_secs, b->by_secs);
	assert_int_equal(a->hold, b->hold);
	assert_int_equal(a->hold_value, b->hold_value);
}

static const struct smtp_timing timings[] = {
	{ .priority_given = false },
	{ .priority_given = true, .priority = -9 },
	{ .priority_given = true, .priority = 9, .by = SMTP_BY_NOTIFY,
	    .by_trace = true, .by_secs = -999999999 },
	{ .by = SMTP_BY_RETURN, .by_secs = 1, .hold = SMTP_HOLD_FOR,
	    .hold_value = 999999999 },
	{ .hold = SMTP_HOLD_UNTIL, .hold_value = 1709208000 },
};

static void
test_record(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(timings) / sizeof(timings[0]); i++) {
		struct buf out = BUF_INIT;
		struct message m, back;

		make_message(&m);
		m.env.timing = timings[i];
		message_record_put(&out, &m, SLICE_LIT(""));
		message_init(&back);
		assert_int_equal(message_record_get(buf_slice(&out), 7, &back,
		    NULL), 0);
		assert_timing(&back.env.timing, &timings[i]);
		assert_string_equal(back.env.rcpt[0].address, "c@d.example");
		assert_string_equal(back.source, "test");
		message_release(&back);
		message_release(&m);
		buf_release(&out);
	}
}

/* What schema 1 wrote before there were timings, to the octet. */
static void
test_old_record(void **state)
{
	struct buf out = BUF_INIT;
	struct message m, back;
	size_t none;

	(void)state;
	make_message(&m);
	message_record_put(&out, &m, SLICE_LIT(""));
	/* 8 front, 2, 8 octets, 4 crc, 4 flags, 4 received; helo 4 octets,
	 * sender 4 + 11, envid 4, then ret, body and the flags */
	assert_int_equal(out.ptr[8 + 22 + 4 + 15 + 4 + 2], 0);
	/* no more than the recipient and what follows it */
	none = 8 + 22 + 4 + 15 + 4 + 3 + 8 + 4 + (4 + 11 + 4 + 4) +
	    (4 + 4) + 4 + 4 + 8 + 8;
	assert_int_equal(out.len, none);
	message_init(&back);
	assert_int_equal(message_record_get(buf_slice(&out), 7, &back, NULL),
	    0);
	message_release(&back);
	message_release(&m);
	buf_release(&out);
}

static void
test_envfile(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(timings) / sizeof(timings[0]); i++) {
		struct message_state st, st2 = { 0, NULL };
		struct buf out = BUF_INIT;
		struct message m, back;
		struct err e = ERR_INIT;

		make_message(&m);
		m.env.timing = timings[i];
		message_state_init(&st, 1);
		envfile_put(&out, &m, &st, 0);
		message_init(&back);
		assert_int_equal(envfile_get(buf_slice(&out), 0, &back, &st2,
		    &e), 0);
		assert_timing(&back.env.timing, &timings[i]);
		message_state_release(&st);
		message_state_release(&st2);
		message_release(&back);
		message_release(&m);
		buf_release(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_hold),
		cmocka_unit_test(test_pass),
		cmocka_unit_test(test_needs),
		cmocka_unit_test(test_server),
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_old_record),
		cmocka_unit_test(test_envfile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
