/* SPDX-License-Identifier: ISC */
/*
 * Delivery to a mail server that may misbehave.
 */
#include <sys/un.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/delivery_world.h"
#include "tests/unit/fake_server.h"

#define CASE(s) \
	{ \
		s, sizeof(s) - 1 \
	}

static void
smtp_open(struct world *w, struct fake *f)
{
	world_open(w);
	fake_open(f, w->base);
	world_agent(w, CONF_DELIVERY_SMTP, mem_strdup(f->target));
}

/* The agent goes first; the lines see its end. */
static void
smtp_close(struct world *w, struct fake *f)
{
	int i;

	delivery_free(w->agent);
	w->agent = NULL;
	for (i = 0; i < 50 && f->open > 0; i++)
		world_linger(w, 10);
	assert_int_equal(f->open, 0);
	evconnlistener_free(f->listener);
	buf_release(&f->content);
	world_close(w);
}

static const char plain[] = "Subject: a\r\n\r\n.dot\r\n..two\r\n.\r\nend\r\n";

static void
smtp_plain(void **state)
{
	const char *rcpt[] = { "bob@x.example", "eve@x.example" };
	struct fake f;
	struct world w;
	struct seen s;
	char text[256];

	(void)state;
	smtp_open(&w, &f);
	assert_true(delivery_width(w.agent) >= 4);
	world_start(
	    &w, &s, world_add_mail(&w, rcpt, 2, plain, sizeof(plain) - 1), 2);
	world_run(&w);
	seen_check(&s, 0, DELIVERY_RELAYED, "2.6.0");
	seen_check(&s, 1, DELIVERY_RELAYED, "2.6.0");
	snprintf(text, sizeof(text),
	    "%s said after end of DATA: 250 2.6.0 taken", f.target);
	assert_string_equal(s.text[0], text);
	assert_string_equal(buf_cstr(&f.content), plain);
	assert_int_equal(f.rcpts, 2);
	smtp_close(&w, &f);
}

static void
smtp_octets(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} cases[] = {
		CASE("bare\nlf"),
		CASE("bare\rcr\r\n"),
		CASE("open end"),
		CASE("nul\0\r\n"),
		CASE("\xff 8-bit\r\n"),
		CASE(""),
	};
	const char *rcpt = "bob@x.example";
	struct fake f;
	struct world w;
	struct seen s;
	size_t i;

	(void)state;
	smtp_open(&w, &f);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		world_deliver(&w, &s,
		    world_add_mail(&w, &rcpt, 1, cases[i].text, cases[i].len));
		seen_check(&s, 0, DELIVERY_RELAYED, "2.6.0");
		assert_int_equal(f.content.len, cases[i].len);
		assert_memory_equal(
		    buf_cstr(&f.content), cases[i].text, cases[i].len);
	}
	assert_int_equal(f.lines, 1);
	smtp_close(&w, &f);
}

static void
smtp_big(void **state)
{
	const char *rcpt = "bob@x.example";
	struct buf big = BUF_INIT;
	struct fake f;
	struct world w;
	struct seen s;

	(void)state;
	while (big.len < 3 << 20)
		buf_addf(&big, ".%zu some line of text\r\n", big.len);
	smtp_open(&w, &f);
	world_deliver(&w, &s, world_add_mail(&w, &rcpt, 1, big.ptr, big.len));
	seen_check(&s, 0, DELIVERY_RELAYED, "2.6.0");
	assert_int_equal(f.content.len, big.len);
	assert_memory_equal(f.content.ptr, big.ptr, big.len);
	buf_addc(&big, '!'); /* an open end: by BDAT */
	world_deliver(&w, &s, world_add_mail(&w, &rcpt, 1, big.ptr, big.len));
	seen_check(&s, 0, DELIVERY_RELAYED, "2.6.0");
	assert_int_equal(f.content.len, big.len);
	assert_memory_equal(f.content.ptr, big.ptr, big.len);
	buf_release(&big);
	smtp_close(&w, &f);
}

static void
smtp_recipients(void **state)
{
	const char *rcpt[] = { "nobody@x.example", "bob@x.example",
		"later@x.example", "odd@x.example" };
	struct fake f;
	struct world w;
	struct seen s;
	uint64_t id;
	char text[256];

	(void)state;
	smtp_open(&w, &f);
	id = world_add_mail(&w, rcpt, 4, plain, sizeof(plain) - 1);
	world_start(&w, &s, id, 4);
	world_run(&w);
	seen_check(&s, 0, DELIVERY_FAILED, "5.1.1");
	seen_check(&s, 1, DELIVERY_RELAYED, "2.6.0");
	seen_check(&s, 2, DELIVERY_RETRY, "4.2.0");
	seen_check(&s, 3, DELIVERY_FAILED, "5.0.0");
	snprintf(text, sizeof(text),
	    "%s said after RCPT TO: 550 5.1.1 no such user", f.target);
	assert_string_equal(s.text[0], text);
	/* Nobody is accepted; and indexes that are not 0, 1, 2... */
	world_start(&w, &s, id, 2);
	s.rcpt[0] = 3;
	s.rcpt[1] = 2;
	world_run(&w);
	seen_check(&s, 3, DELIVERY_FAILED, "5.0.0");
	seen_check(&s, 2, DELIVERY_RETRY, "4.2.0");
	assert_int_equal(s.told[0] + s.told[1], 0);
	world_start(&w, &s, id, 1);
	s.rcpt[0] = 1;
	world_run(&w);
	seen_check(&s, 1, DELIVERY_RELAYED, "2.6.0");
	assert_int_equal(f.messages, 2);
	assert_int_equal(f.lines, 1);
	smtp_close(&w, &f);
}

/* What the server says at each step, and what becomes of the message. */
static void
smtp_replies(void **state)
{
	static const struct {
		const char *greeting, *ehlo, *mail, *data, *end;
		enum delivery_outcome outcome;
		const char *status;
	} cases[] = {
		{ .end = "552 5.2.3 too big\r\n",
		    .outcome = DELIVERY_FAILED,
		    .status = "5.2.3" },
		{ .end = "554-no\r\n554 thanks\r\n",
		    .outcome = DELIVERY_FAILED,
		    .status = "5.0.0" },
		{ .end = "451 4.3.0 later\r\n",
		    .outcome = DELIVERY_RETRY,
		    .status = "4.3.0" },
		{ .end = "452 full\r\n",
		    .outcome = DELIVERY_RETRY,
		    .status = "4.3.1" },
		{ .end = "421 going down\r\n",
		    .outcome = DELIVERY_RETRY,
		    .status = "4.3.2" },
		{ .mail = "550 5.7.1 not you\r\n",
		    .outcome = DELIVERY_FAILED,
		    .status = "5.7.1" },
		{ .mail = "451 not now\r\n",
		    .outcome = DELIVERY_RETRY,
		    .status = "4.3.0" },
		{ .data = "554 5.6.0 no\r\n",
		    .outcome = DELIVERY_FAILED,
		    .status = "5.6.0" },
		{ .data = "451 4.5.0 no\r\n",
		    .outcome = DELIVERY_RETRY,
		    .status = "4.5.0" },
		{ .greeting = "421 4.3.2 closed\r\n",
		    .outcome = DELIVERY_RETRY,
		    .status = "4.3.2" },
		{ .greeting = "554 no service\r\n",
		    .outcome = DELIVERY_RETRY,
		    .status = "4.3.2" },
		{ .greeting = "SSH-2.0-OpenSSH\r\n",
		    .outcome = DELIVERY_RETRY,
		    .status = "4.4.2" },
		{ .ehlo = "502 what\r\n",
		    .outcome = DELIVERY_RELAYED,
		    .status = "2.6.0" },
		{ .ehlo = "250-fake\r\n250 DSN\r\n",
		    .outcome = DELIVERY_PASSED,
		    .status = "2.6.0" },
		{ .ehlo = "250 fake\r\n",
		    .outcome = DELIVERY_RELAYED,
		    .status = "2.6.0" },
		{ .ehlo = "421 busy\r\n",
		    .outcome = DELIVERY_RETRY,
		    .status = "4.3.2" },
	};
	struct fake f;
	struct world w;
	struct seen s;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		smtp_open(&w, &f);
		if (cases[i].greeting != NULL)
			f.greeting = cases[i].greeting;
		if (cases[i].ehlo != NULL)
			f.ehlo = cases[i].ehlo;
		if (cases[i].mail != NULL)
			f.mail = cases[i].mail;
		if (cases[i].data != NULL)
			f.data = cases[i].data;
		if (cases[i].end != NULL)
			f.end = cases[i].end;
		world_deliver(
		    &w, &s, world_add_text(&w, "bob@x.example", plain));
		seen_check(&s, 0, cases[i].outcome, cases[i].status);
		assert_memory_equal(s.text[0], f.target, strlen(f.target));
		smtp_close(&w, &f);
	}
}

/* `convert = yes`: what the server lacks is no longer needed; what cannot be
 * converted fails as without. */
static void
smtp_convert(void **state)
{
	static const struct {
		const char *content, *got, *status;
	} cases[] = {
		{ "MIME-Version: 1.0\r\n\r\nabcdef\xe4\r\n",
		    "MIME-Version: 1.0\r\nContent-Transfer-Encoding: "
		    "quoted-printable\r\n\r\nabcdef=E4\r\n", "2.6.0" },
		{ "A: b\r\n\r\nplain\r\n", "A: b\r\n\r\nplain\r\n",
		    "2.6.0" },
		{ "MIME-Version: 1.0\r\n\r\nopen end of it",
		    "MIME-Version: 1.0\r\nContent-Transfer-Encoding: "
		    "quoted-printable\r\n\r\nopen end of it=\r\n", "2.6.0" },
		{ "A: \xe4\r\n\r\n", NULL, "5.6.3" },
		{ "A: b\nC: d\r\n\r\n", NULL, "5.6.1" },
	};
	struct fake f;
	struct world w;
	struct seen s;
	size_t i;

	(void)state;
	world_open(&w);
	fake_open(&f, w.base);
	f.ehlo = "250 fake\r\n";
	w.conf.convert = true;
	world_agent(&w, CONF_DELIVERY_SMTP, mem_strdup(f.target));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		world_deliver(&w, &s,
		    world_add_text(&w, "bob@x.example", cases[i].content));
		seen_check(&s, 0, cases[i].got != NULL ? DELIVERY_RELAYED :
		    DELIVERY_FAILED, cases[i].status);
		if (cases[i].got != NULL)
			assert_string_equal(buf_cstr(&f.content),
			    cases[i].got);
	}
	assert_int_equal(f.messages, 3);
	smtp_close(&w, &f);
}

static void
smtp_lacking(void **state)
{
	static const struct {
		const char *content, *status;
	} cases[] = {
		{ "\xff 8-bit\r\n", "5.6.3" },
		{ "open end", "5.6.1" },
		{ "this is more than forty octets, which is too much\r\n",
		    "5.3.4" },
	};
	struct fake f;
	struct world w;
	struct seen s;
	size_t i;

	(void)state;
	smtp_open(&w, &f);
	f.ehlo = "250-fake\r\n250 SIZE 40\r\n";
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		world_deliver(&w, &s,
		    world_add_text(&w, "bob@x.example", cases[i].content));
		seen_check(&s, 0, DELIVERY_FAILED, cases[i].status);
		assert_memory_equal(s.text[0], f.target, strlen(f.target));
	}
	world_deliver(&w, &s, world_add_text(&w, "bob@x.example", "short\r\n"));
	seen_check(&s, 0, DELIVERY_RELAYED, "2.6.0");
	assert_int_equal(f.lines, 1);
	assert_int_equal(f.messages, 1);
	smtp_close(&w, &f);
}

/* The line drops after every octet that the server takes. */
static void
smtp_drop_in(void **state)
{
	const char *rcpt[] = { "bob@x.example", "nobody@x.example" };
	struct fake f;
	struct world w;
	struct seen s;
	uint64_t id;
	long n;

	(void)state;
	smtp_open(&w, &f);
	id = world_add_mail(&w, rcpt, 2, plain, sizeof(plain) - 1);
	for (n = 0;; n++) {
		world_agent(&w, CONF_DELIVERY_SMTP, mem_strdup(f.target));
		f.in = 0;
		f.messages = 0;
		f.hang_after_in = n;
		world_start(&w, &s, id, 2);
		world_run(&w);
		assert_int_equal(s.told[0], 1);
		assert_int_equal(s.told[1], 1);
		if (s.outcome[0] == DELIVERY_RELAYED)
			break;
		seen_check(&s, 0, DELIVERY_RETRY, "4.4.2");
		assert_true(s.outcome[1] == DELIVERY_RETRY ||
		    strcmp(s.status[1], "5.1.1") == 0);
		assert_true(n < 400);
	}
	/* EHLO, MAIL, two RCPT, DATA and the dot-stuffed content. */
	assert_true(n > 19 + 30 + 24 + 27 + 6 + 41);
	assert_int_equal(f.messages, 1);
	smtp_close(&w, &f);
}

/* The same for every octet that it says. */
static void
smtp_drop_out(void **state)
{
	const char *rcpt[] = { "bob@x.example", "nobody@x.example" };
	struct fake f;
	struct world w;
	struct seen s;
	uint64_t id;
	long n;

	(void)state;
	smtp_open(&w, &f);
	id = world_add_mail(&w, rcpt, 2, plain, sizeof(plain) - 1);
	for (n = 0;; n++) {
		world_agent(&w, CONF_DELIVERY_SMTP, mem_strdup(f.target));
		f.out = 0;
		f.messages = 0;
		f.hang_after_out = n;
		world_start(&w, &s, id, 2);
		world_run(&w);
		assert_int_equal(s.told[0], 1);
		assert_int_equal(s.told[1], 1);
		if (s.outcome[0] == DELIVERY_RELAYED)
			break;
		seen_check(&s, 0, DELIVERY_RETRY, "4.4.2");
		assert_true(n < 400);
	}
	assert_true(n > 150);
	assert_int_equal(f.messages, 1);
	assert_int_equal(s.outcome[1], DELIVERY_FAILED);
	smtp_close(&w, &f);
}

/* RFC 2033: the same, with two recipients who are answered one by one. */
static void
lmtp_drop_out(void **state)
{
	const char *rcpt[] = { "bob@x.example", "eve@x.example" };
	unsigned halves = 0;
	struct fake f;
	struct world w;
	struct seen s;
	uint64_t id;
	long n;

	(void)state;
	smtp_open(&w, &f);
	f.lmtp = true;
	id = world_add_mail(&w, rcpt, 2, plain, sizeof(plain) - 1);
	for (n = 0;; n++) {
		world_agent(&w, CONF_DELIVERY_LMTP, mem_strdup(f.target));
		f.out = 0;
		f.messages = 0;
		f.hang_after_out = n;
		world_start(&w, &s, id, 2);
		world_run(&w);
		assert_int_equal(s.told[0], 1);
		assert_int_equal(s.told[1], 1);
		if (s.outcome[1] == DELIVERY_RELAYED)
			break;
		if (s.outcome[0] == DELIVERY_RELAYED)
			halves++;
		else
			seen_check(&s, 0, DELIVERY_RETRY, "4.4.2");
		seen_check(&s, 1, DELIVERY_RETRY, "4.4.2");
		assert_true(n < 400);
	}
	/* as long as the second reply was under way */
	assert_int_equal(halves, strlen(f.end));
	seen_check(&s, 0, DELIVERY_RELAYED, "2.6.0");
	assert_int_equal(f.messages, 1);
	smtp_close(&w, &f);
}

static void
lmtp_drop_in(void **state)
{
	const char *rcpt[] = { "bob@x.example", "nobody@x.example" };
	struct fake f;
	struct world w;
	struct seen s;
	uint64_t id;
	long n;

	(void)state;
	smtp_open(&w, &f);
	f.lmtp = true;
	id = world_add_mail(&w, rcpt, 2, plain, sizeof(plain) - 1);
	for (n = 0;; n++) {
		world_agent(&w, CONF_DELIVERY_LMTP, mem_strdup(f.target));
		f.in = 0;
		f.messages = 0;
		f.hang_after_in = n;
		world_start(&w, &s, id, 2);
		world_run(&w);
		assert_int_equal(s.told[0], 1);
		assert_int_equal(s.told[1], 1);
		if (s.outcome[0] == DELIVERY_RELAYED)
			break;
		seen_check(&s, 0, DELIVERY_RETRY, "4.4.2");
		assert_true(n < 400);
	}
	assert_true(n > 19 + 30 + 24 + 27 + 6 + 41);
	seen_check(&s, 1, DELIVERY_FAILED, "5.1.1");
	smtp_close(&w, &f);
}

static void
smtp_slow(void **state)
{
	const char *rcpt[] = { "bob@x.example", "nobody@x.example" };
	struct fake f;
	struct world w;
	struct seen s;

	(void)state;
	smtp_open(&w, &f);
	f.slow = true;
	world_start(
	    &w, &s, world_add_mail(&w, rcpt, 2, plain, sizeof(plain) - 1), 2);
	world_run(&w);
	seen_check(&s, 0, DELIVERY_RELAYED, "2.6.0");
	seen_check(&s, 1, DELIVERY_FAILED, "5.1.1");
	smtp_close(&w, &f);
}

/* A server that has had enough messages is not a failure. */
static void
smtp_reuse(void **state)
{
	struct fake f;
	struct world w;
	struct seen s;
	int i;

	(void)state;
	smtp_open(&w, &f);
	for (i = 0; i < 101; i++) {
		world_deliver(
		    &w, &s, world_add_text(&w, "bob@x.example", "a\r\n"));
		seen_check(&s, 0, DELIVERY_RELAYED, "2.6.0");
	}
	assert_int_equal(f.lines, 2);
	assert_int_equal(f.messages, 101);
	f.per_line = 2;
	for (i = 0; i < 10; i++) {
		world_deliver(
		    &w, &s, world_add_text(&w, "bob@x.example", "a\r\n"));
		seen_check(&s, 0, DELIVERY_RELAYED, "2.6.0");
	}
	assert_int_equal(f.messages, 111);
	smtp_close(&w, &f);
}

static void
smtp_parallel(void **state)
{
	enum { N = 120 };
	struct seen *s = mem_alloc(N, sizeof(*s));
	struct fake f;
	struct world w;
	size_t i;

	(void)state;
	smtp_open(&w, &f);
	w.conf.connections = 3;
	world_agent(&w, CONF_DELIVERY_SMTP, mem_strdup(f.target));
	for (i = 0; i < N; i++)
		world_start(
		    &w, &s[i], world_add_text(&w, "bob@x.example", "a\r\n"), 1);
	world_run(&w);
	for (i = 0; i < N; i++)
		seen_check(&s[i], 0, DELIVERY_RELAYED, "2.6.0");
	assert_int_equal(f.open_max, 3);
	assert_int_equal(f.lines, 3);
	assert_int_equal(f.messages, N);
	free(s);
	smtp_close(&w, &f);
}

static void
smtp_many_recipients(void **state)
{
	const char *rcpt[250];
	struct fake f;
	struct world w;
	struct seen s;
	size_t i;

	(void)state;
	for (i = 0; i < 250; i++)
		rcpt[i] = i % 50 == 7 ? "nobody@x.example" : "bob@x.example";
	smtp_open(&w, &f);
	world_start(&w, &s,
	    world_add_mail(&w, rcpt, 250, plain, sizeof(plain) - 1), 250);
	world_run(&w);
	for (i = 0; i < 250; i++)
		seen_check(&s, i, i % 50 == 7 ? DELIVERY_FAILED :
		    DELIVERY_RELAYED,
		    i % 50 == 7 ? "5.1.1" : "2.6.0");
	assert_int_equal(f.messages, 3);
	assert_int_equal(f.rcpts, 245);
	assert_int_equal(f.rcpts_max, 98);
	assert_int_equal(f.lines, 1);
	smtp_close(&w, &f);
}

static void
smtp_no_server(void **state)
{
	static const struct {
		const char *target, *status;
	} cases[] = {
		{ "unix:/nonexistent/socket", "4.4.1" },
		{ "unix:", "4.3.5" },
		{ "127.0.0.1:no", "4.4.4" },
		{ "[::1:x", "4.4.4" },
	};
	struct fake f;
	struct world w;
	struct seen s[3];
	size_t i;

	(void)state;
	smtp_open(&w, &f);
	evconnlistener_disable(f.listener);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		world_agent(
		    &w, CONF_DELIVERY_SMTP, mem_strdup(cases[i].target));
		world_deliver(
		    &w, &s[0], world_add_text(&w, "bob@x.example", "a\r\n"));
		seen_check(&s[0], 0, DELIVERY_RETRY, cases[i].status);
	}
	evconnlistener_free(f.listener);
	world_agent(&w, CONF_DELIVERY_SMTP, mem_strdup(f.target));
	for (i = 0; i < 3; i++)
		world_start(
		    &w, &s[i], world_add_text(&w, "bob@x.example", "a\r\n"), 1);
	world_run(&w);
	for (i = 0; i < 3; i++)
		seen_check(&s[i], 0, DELIVERY_RETRY, "4.4.1");
	fake_open(&f, w.base);
	smtp_close(&w, &f);
}

static void
smtp_unix_and_loop(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct fake f;
	struct world w;
	struct seen s;

	(void)state;
	smtp_open(&w, &f);
	w.own = true;
	world_deliver(&w, &s, world_add_text(&w, "bob@x.example", "a\r\n"));
	seen_check(&s, 0, DELIVERY_FAILED, "5.4.6");
	assert_non_null(strstr(s.text[0], "mail loops back to myself"));
	w.own = false;
	evconnlistener_free(f.listener);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/socket", w.dir);
	fake_listen(&f, (struct sockaddr *)&un, sizeof(un));
	world_agent(
	    &w, CONF_DELIVERY_SMTP, mem_printf("unix:%s/socket", w.dir));
	world_deliver(&w, &s, world_add_text(&w, "bob@x.example", "a\r\n"));
	seen_check(&s, 0, DELIVERY_RELAYED, "2.6.0");
	assert_string_equal(buf_cstr(&f.content), "a\r\n");
	smtp_close(&w, &f);
}

static void
smtp_trace(void **state)
{
	static const char *const bodies[] = { "A: b\r\n\r\nc\r\n",
		"A: b\r\n\r\nopen" };
	static const char from[] =
	    "Received: from client.example\r\n\tby here.example with ESMTP";
	struct fake f;
	struct world w;
	struct seen s;
	size_t i, len;

	(void)state;
	smtp_open(&w, &f);
	w.hooks.trace = true;
	world_agent(&w, CONF_DELIVERY_SMTP, mem_strdup(f.target));
	for (i = 0; i < 2; i++) {
		len = strlen(bodies[i]);
		world_deliver(
		    &w, &s, world_add_text(&w, "bob@x.example", bodies[i]));
		seen_check(&s, 0, DELIVERY_RELAYED, "2.6.0");
		assert_memory_equal(
		    buf_cstr(&f.content), from, sizeof(from) - 1);
		assert_string_equal(
		    buf_cstr(&f.content) + f.content.len - len, bodies[i]);
	}
	smtp_close(&w, &f);
}

static void
smtp_damaged(void **state)
{
	const char *rcpt = "bob@x.example";
	struct buf big = BUF_INIT;
	struct fake f;
	struct world w;
	struct seen s;

	(void)state;
	while (big.len < 400000)
		buf_adds(&big, "some line of text\r\n");
	smtp_open(&w, &f);
	world_start(&w, &s, world_add_mail(&w, &rcpt, 1, big.ptr, big.len), 1);
	world_damage_body(&w);
	world_run(&w);
	seen_check(&s, 0, DELIVERY_FAILED, "5.3.0");
	world_linger(&w, 20);
	assert_int_equal(f.messages, 0);
	world_deliver(&w, &s, world_add_text(&w, rcpt, "a\r\n"));
	seen_check(&s, 0, DELIVERY_RELAYED, "2.6.0");
	buf_release(&big);
	smtp_close(&w, &f);
}

static void
smtp_free_midway(void **state)
{
	struct fake f;
	struct world w;
	struct seen s;
	int turns, i;

	(void)state;
	smtp_open(&w, &f);
	for (turns = 0; turns < 40; turns++) {
		world_agent(&w, CONF_DELIVERY_SMTP, mem_strdup(f.target));
		world_start(
		    &w, &s, world_add_text(&w, "bob@x.example", "a\r\n"), 1);
		for (i = 0; i < turns && s.overs == 0; i++)
			event_base_loop(w.base, EVLOOP_ONCE);
		delivery_free(w.agent);
		w.agent = NULL;
		assert_int_equal(s.told[0], 1);
		assert_int_equal(s.overs, 1);
		if (s.outcome[0] == DELIVERY_RELAYED)
			break;
		seen_check(&s, 0, DELIVERY_RETRY, "4.3.2");
	}
	assert_true(turns > 3 && turns < 40);
	smtp_close(&w, &f);
}

static void
smtp_idle_quit(void **state)
{
	struct fake f;
	struct world w;
	struct seen s;

	(void)state;
	smtp_open(&w, &f);
	world_deliver(&w, &s, world_add_text(&w, "bob@x.example", "a\r\n"));
	world_linger(&w, 200);
	assert_int_equal(f.open, 1);
	world_linger(&w, 5200);
	assert_int_equal(f.open, 0);
	assert_int_equal(f.quits, 1);
	smtp_close(&w, &f);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(smtp_plain),
		cmocka_unit_test(smtp_octets),
		cmocka_unit_test(smtp_big),
		cmocka_unit_test(smtp_recipients),
		cmocka_unit_test(smtp_replies),
		cmocka_unit_test(smtp_lacking),
		cmocka_unit_test(smtp_convert),
		cmocka_unit_test(smtp_drop_in),
		cmocka_unit_test(smtp_drop_out),
		cmocka_unit_test(lmtp_drop_out),
		cmocka_unit_test(lmtp_drop_in),
		cmocka_unit_test(smtp_slow),
		cmocka_unit_test(smtp_reuse),
		cmocka_unit_test(smtp_parallel),
		cmocka_unit_test(smtp_many_recipients),
		cmocka_unit_test(smtp_no_server),
		cmocka_unit_test(smtp_unix_and_loop),
		cmocka_unit_test(smtp_trace),
		cmocka_unit_test(smtp_damaged),
		cmocka_unit_test(smtp_free_midway),
		cmocka_unit_test(smtp_idle_quit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
