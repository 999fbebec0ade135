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

static const char plain[] = "Subject: a\r\n\r\n.dot\r\n..two\r\n.\r\nend\r\n";

/* An agent, the server it delivers to, and what was told of a job. */
struct scene {
	struct world w;
	struct fake f;
	struct seen s;
};

/* The agent, anew. */
static void
scene_agent(struct scene *c, enum conf_delivery_kind kind)
{
	world_agent(&c->w, kind, mem_strdup(c->f.target));
}

static void
scene_open(struct scene *c)
{
	world_open(&c->w);
	fake_open(&c->f, c->w.base);
	scene_agent(c, CONF_DELIVERY_SMTP);
}

/* The agent goes first; the lines see its end. */
static void
scene_close(struct scene *c)
{
	int i;

	delivery_free(c->w.agent);
	c->w.agent = NULL;
	for (i = 0; i < 50 && c->f.open > 0; i++)
		world_linger(&c->w, 10);
	assert_int_equal(c->f.open, 0);
	evconnlistener_free(c->f.listener);
	buf_release(&c->f.content);
	world_close(&c->w);
}

static int
set_up(void **state)
{
	struct scene *c = mem_alloc(1, sizeof(*c));

	scene_open(c);
	*state = c;
	return 0;
}

static int
tear_down(void **state)
{
	scene_close(*state);
	free(*state);
	return 0;
}

/* A mail to bob that has this content, and what becomes of it. */
static void
scene_mail(struct scene *c, const char *content,
    enum delivery_outcome outcome, const char *status)
{
	world_deliver(&c->w, &c->s,
	    world_add_text(&c->w, "bob@x.example", content));
	seen_check(&c->s, 0, outcome, status);
}

/* The plain mail to bob and to another one; its id. */
static uint64_t
scene_pair(struct scene *c, const char *other)
{
	const char *rcpt[] = { "bob@x.example", other };

	return world_add_mail(&c->w, rcpt, 2, plain, sizeof(plain) - 1);
}

/* One try with a new agent to deliver such a pair, over a line that drops
 * when so many octets were taken, or said; -1: it does not. */
static void
scene_drop(struct scene *c, enum conf_delivery_kind kind, uint64_t id,
    long taken, long said)
{
	scene_agent(c, kind);
	c->f.in = c->f.out = 0;
	c->f.messages = 0;
	c->f.hang_after_in = taken;
	c->f.hang_after_out = said;
	world_start(&c->w, &c->s, id, 2);
	world_run(&c->w);
	assert_int_equal(c->s.told[0], 1);
	assert_int_equal(c->s.told[1], 1);
}

static void
smtp_plain(void **state)
{
	struct scene *c = *state;
	char text[256];

	world_start(&c->w, &c->s, scene_pair(c, "eve@x.example"), 2);
	world_run(&c->w);
	seen_check(&c->s, 0, DELIVERY_RELAYED, "2.6.0");
	seen_check(&c->s, 1, DELIVERY_RELAYED, "2.6.0");
	snprintf(text, sizeof(text),
	    "%s said after end of DATA: 250 2.6.0 taken", c->f.target);
	assert_string_equal(c->s.text[0], text);
	assert_string_equal(buf_cstr(&c->f.content), plain);
	assert_int_equal(c->f.rcpts, 2);
}

static void
smtp_octets(void **state)
{
	struct scene *c = *state;
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
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		world_deliver(&c->w, &c->s,
		    world_add_mail(&c->w, &rcpt, 1, cases[i].text,
		    cases[i].len));
		seen_check(&c->s, 0, DELIVERY_RELAYED, "2.6.0");
		assert_int_equal(c->f.content.len, cases[i].len);
		assert_memory_equal(
		    buf_cstr(&c->f.content), cases[i].text, cases[i].len);
	}
	assert_int_equal(c->f.lines, 1);
}

static void
smtp_big(void **state)
{
	struct scene *c = *state;
	const char *rcpt = "bob@x.example";
	struct buf big = BUF_INIT;

	while (big.len < 3 << 20)
		buf_addf(&big, ".%zu some line of text\r\n", big.len);
	world_deliver(&c->w, &c->s,
	    world_add_mail(&c->w, &rcpt, 1, big.ptr, big.len));
	seen_check(&c->s, 0, DELIVERY_RELAYED, "2.6.0");
	assert_int_equal(c->f.content.len, big.len);
	assert_memory_equal(c->f.content.ptr, big.ptr, big.len);
	buf_addc(&big, '!'); /* an open end: by BDAT */
	world_deliver(&c->w, &c->s,
	    world_add_mail(&c->w, &rcpt, 1, big.ptr, big.len));
	seen_check(&c->s, 0, DELIVERY_RELAYED, "2.6.0");
	assert_int_equal(c->f.content.len, big.len);
	assert_memory_equal(c->f.content.ptr, big.ptr, big.len);
	buf_release(&big);
}

static void
smtp_recipients(void **state)
{
	struct scene *c = *state;
	const char *rcpt[] = { "nobody@x.example", "bob@x.example",
		"later@x.example", "odd@x.example" };
	uint64_t id;
	char text[256];

	id = world_add_mail(&c->w, rcpt, 4, plain, sizeof(plain) - 1);
	world_start(&c->w, &c->s, id, 4);
	world_run(&c->w);
	seen_check(&c->s, 0, DELIVERY_FAILED, "5.1.1");
	seen_check(&c->s, 1, DELIVERY_RELAYED, "2.6.0");
	seen_check(&c->s, 2, DELIVERY_RETRY, "4.2.0");
	seen_check(&c->s, 3, DELIVERY_FAILED, "5.0.0");
	snprintf(text, sizeof(text),
	    "%s said after RCPT TO: 550 5.1.1 no such user", c->f.target);
	assert_string_equal(c->s.text[0], text);
	/* Nobody is accepted; and indexes that are not 0, 1, 2... */
	world_start(&c->w, &c->s, id, 2);
	c->s.rcpt[0] = 3;
	c->s.rcpt[1] = 2;
	world_run(&c->w);
	seen_check(&c->s, 3, DELIVERY_FAILED, "5.0.0");
	seen_check(&c->s, 2, DELIVERY_RETRY, "4.2.0");
	assert_int_equal(c->s.told[0] + c->s.told[1], 0);
	world_start(&c->w, &c->s, id, 1);
	c->s.rcpt[0] = 1;
	world_run(&c->w);
	seen_check(&c->s, 1, DELIVERY_RELAYED, "2.6.0");
	assert_int_equal(c->f.messages, 2);
	assert_int_equal(c->f.lines, 1);
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
	struct scene *c = mem_alloc(1, sizeof(*c));
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		scene_open(c);
		if (cases[i].greeting != NULL)
			c->f.greeting = cases[i].greeting;
		if (cases[i].ehlo != NULL)
			c->f.ehlo = cases[i].ehlo;
		if (cases[i].mail != NULL)
			c->f.mail = cases[i].mail;
		if (cases[i].data != NULL)
			c->f.data = cases[i].data;
		if (cases[i].end != NULL)
			c->f.end = cases[i].end;
		scene_mail(c, plain, cases[i].outcome, cases[i].status);
		assert_memory_equal(c->s.text[0], c->f.target,
		    strlen(c->f.target));
		scene_close(c);
	}
	free(c);
}

/* `convert = yes`: what the server lacks is no longer needed; what cannot be
 * converted fails as without. */
static void
smtp_convert(void **state)
{
	struct scene *c = *state;
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
	size_t i;

	c->f.ehlo = "250 fake\r\n";
	c->w.conf.convert = true;
	scene_agent(c, CONF_DELIVERY_SMTP);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		scene_mail(c, cases[i].content, cases[i].got != NULL ?
		    DELIVERY_RELAYED : DELIVERY_FAILED, cases[i].status);
		if (cases[i].got != NULL)
			assert_string_equal(buf_cstr(&c->f.content),
			    cases[i].got);
	}
	assert_int_equal(c->f.messages, 3);
}

static void
smtp_lacking(void **state)
{
	struct scene *c = *state;
	static const struct {
		const char *content, *status;
	} cases[] = {
		{ "\xff 8-bit\r\n", "5.6.3" },
		{ "open end", "5.6.1" },
		{ "this is more than forty octets, which is too much\r\n",
		    "5.3.4" },
	};
	size_t i;

	c->f.ehlo = "250-fake\r\n250 SIZE 40\r\n";
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		scene_mail(c, cases[i].content, DELIVERY_FAILED,
		    cases[i].status);
		assert_memory_equal(c->s.text[0], c->f.target,
		    strlen(c->f.target));
	}
	scene_mail(c, "short\r\n", DELIVERY_RELAYED, "2.6.0");
	assert_int_equal(c->f.lines, 1);
	assert_int_equal(c->f.messages, 1);
}

/* The line drops after every octet that the server takes. */
static void
smtp_drop_in(void **state)
{
	struct scene *c = *state;
	uint64_t id;
	long n;

	id = scene_pair(c, "nobody@x.example");
	for (n = 0;; n++) {
		scene_drop(c, CONF_DELIVERY_SMTP, id, n, -1);
		if (c->s.outcome[0] == DELIVERY_RELAYED)
			break;
		seen_check(&c->s, 0, DELIVERY_RETRY, "4.4.2");
		assert_true(c->s.outcome[1] == DELIVERY_RETRY ||
		    strcmp(c->s.status[1], "5.1.1") == 0);
		assert_true(n < 400);
	}
	/* EHLO, MAIL, two RCPT, DATA and the dot-stuffed content. */
	assert_true(n > 19 + 30 + 24 + 27 + 6 + 41);
	assert_int_equal(c->f.messages, 1);
}

/* The same for every octet that it says. */
static void
smtp_drop_out(void **state)
{
	struct scene *c = *state;
	uint64_t id;
	long n;

	id = scene_pair(c, "nobody@x.example");
	for (n = 0;; n++) {
		scene_drop(c, CONF_DELIVERY_SMTP, id, -1, n);
		if (c->s.outcome[0] == DELIVERY_RELAYED)
			break;
		seen_check(&c->s, 0, DELIVERY_RETRY, "4.4.2");
		assert_true(n < 400);
	}
	assert_true(n > 150);
	assert_int_equal(c->f.messages, 1);
	assert_int_equal(c->s.outcome[1], DELIVERY_FAILED);
}

/* RFC 2033: the same, with two recipients who are answered one by one. */
static void
lmtp_drop_out(void **state)
{
	struct scene *c = *state;
	unsigned halves = 0;
	uint64_t id;
	long n;

	c->f.lmtp = true;
	id = scene_pair(c, "eve@x.example");
	for (n = 0;; n++) {
		scene_drop(c, CONF_DELIVERY_LMTP, id, -1, n);
		if (c->s.outcome[1] == DELIVERY_RELAYED)
			break;
		if (c->s.outcome[0] == DELIVERY_RELAYED)
			halves++;
		else
			seen_check(&c->s, 0, DELIVERY_RETRY, "4.4.2");
		seen_check(&c->s, 1, DELIVERY_RETRY, "4.4.2");
		assert_true(n < 400);
	}
	/* as long as the second reply was under way */
	assert_int_equal(halves, strlen(c->f.end));
	seen_check(&c->s, 0, DELIVERY_RELAYED, "2.6.0");
	assert_int_equal(c->f.messages, 1);
}

static void
lmtp_drop_in(void **state)
{
	struct scene *c = *state;
	uint64_t id;
	long n;

	c->f.lmtp = true;
	id = scene_pair(c, "nobody@x.example");
	for (n = 0;; n++) {
		scene_drop(c, CONF_DELIVERY_LMTP, id, n, -1);
		if (c->s.outcome[0] == DELIVERY_RELAYED)
			break;
		seen_check(&c->s, 0, DELIVERY_RETRY, "4.4.2");
		assert_true(n < 400);
	}
	assert_true(n > 19 + 30 + 24 + 27 + 6 + 41);
	seen_check(&c->s, 1, DELIVERY_FAILED, "5.1.1");
}

static void
smtp_slow(void **state)
{
	struct scene *c = *state;

	c->f.slow = true;
	world_start(&c->w, &c->s, scene_pair(c, "nobody@x.example"), 2);
	world_run(&c->w);
	seen_check(&c->s, 0, DELIVERY_RELAYED, "2.6.0");
	seen_check(&c->s, 1, DELIVERY_FAILED, "5.1.1");
}

/* A server that has had enough messages is not a failure. */
static void
smtp_reuse(void **state)
{
	struct scene *c = *state;
	int i;

	for (i = 0; i < 101; i++) {
		scene_mail(c, "a\r\n", DELIVERY_RELAYED, "2.6.0");
	}
	assert_int_equal(c->f.lines, 2);
	assert_int_equal(c->f.messages, 101);
	c->f.per_line = 2;
	for (i = 0; i < 10; i++) {
		scene_mail(c, "a\r\n", DELIVERY_RELAYED, "2.6.0");
	}
	assert_int_equal(c->f.messages, 111);
}

static void
smtp_parallel(void **state)
{
	struct scene *c = *state;
	enum { N = 120 };
	struct seen *s = mem_alloc(N, sizeof(*s));
	size_t i;

	c->w.conf.connections = 3;
	scene_agent(c, CONF_DELIVERY_SMTP);
	for (i = 0; i < N; i++)
		world_start(&c->w, &s[i],
		    world_add_text(&c->w, "bob@x.example", "a\r\n"), 1);
	world_run(&c->w);
	for (i = 0; i < N; i++)
		seen_check(&s[i], 0, DELIVERY_RELAYED, "2.6.0");
	assert_int_equal(c->f.open_max, 3);
	assert_int_equal(c->f.lines, 3);
	assert_int_equal(c->f.messages, N);
	free(s);
}

static void
smtp_many_recipients(void **state)
{
	struct scene *c = *state;
	const char *rcpt[250];
	size_t i;

	for (i = 0; i < 250; i++)
		rcpt[i] = i % 50 == 7 ? "nobody@x.example" : "bob@x.example";
	world_start(&c->w, &c->s,
	    world_add_mail(&c->w, rcpt, 250, plain, sizeof(plain) - 1), 250);
	world_run(&c->w);
	for (i = 0; i < 250; i++)
		seen_check(&c->s, i, i % 50 == 7 ? DELIVERY_FAILED :
		    DELIVERY_RELAYED,
		    i % 50 == 7 ? "5.1.1" : "2.6.0");
	assert_int_equal(c->f.messages, 3);
	assert_int_equal(c->f.rcpts, 245);
	assert_int_equal(c->f.rcpts_max, 98);
	assert_int_equal(c->f.lines, 1);
}

static void
smtp_no_server(void **state)
{
	struct scene *c = *state;
	static const struct {
		const char *target, *status;
	} cases[] = {
		{ "unix:/nonexistent/socket", "4.4.1" },
		{ "unix:", "4.3.5" },
		{ "127.0.0.1:no", "4.4.4" },
		{ "[::1:x", "4.4.4" },
	};
	struct seen s[3];
	size_t i;

	evconnlistener_disable(c->f.listener);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		world_agent(
		    &c->w, CONF_DELIVERY_SMTP, mem_strdup(cases[i].target));
		world_deliver(&c->w, &s[0],
		    world_add_text(&c->w, "bob@x.example", "a\r\n"));
		seen_check(&s[0], 0, DELIVERY_RETRY, cases[i].status);
	}
	evconnlistener_free(c->f.listener);
	scene_agent(c, CONF_DELIVERY_SMTP);
	for (i = 0; i < 3; i++)
		world_start(&c->w, &s[i],
		    world_add_text(&c->w, "bob@x.example", "a\r\n"), 1);
	world_run(&c->w);
	for (i = 0; i < 3; i++)
		seen_check(&s[i], 0, DELIVERY_RETRY, "4.4.1");
	fake_open(&c->f, c->w.base);
}

static void
smtp_unix_and_loop(void **state)
{
	struct scene *c = *state;
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	c->w.own = true;
	scene_mail(c, "a\r\n", DELIVERY_FAILED, "5.4.6");
	assert_non_null(strstr(c->s.text[0], "mail loops back to myself"));
	c->w.own = false;
	evconnlistener_free(c->f.listener);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/socket", c->w.dir);
	fake_listen(&c->f, (struct sockaddr *)&un, sizeof(un));
	world_agent(
	    &c->w, CONF_DELIVERY_SMTP, mem_printf("unix:%s/socket", c->w.dir));
	scene_mail(c, "a\r\n", DELIVERY_RELAYED, "2.6.0");
	assert_string_equal(buf_cstr(&c->f.content), "a\r\n");
}

static void
smtp_trace(void **state)
{
	struct scene *c = *state;
	static const char *const bodies[] = { "A: b\r\n\r\nc\r\n",
		"A: b\r\n\r\nopen" };
	static const char from[] =
	    "Received: from client.example\r\n\tby here.example with ESMTP";
	size_t i, len;

	c->w.hooks.trace = true;
	scene_agent(c, CONF_DELIVERY_SMTP);
	for (i = 0; i < 2; i++) {
		len = strlen(bodies[i]);
		scene_mail(c, bodies[i], DELIVERY_RELAYED, "2.6.0");
		assert_memory_equal(
		    buf_cstr(&c->f.content), from, sizeof(from) - 1);
		assert_string_equal(
		    buf_cstr(&c->f.content) + c->f.content.len - len,
		    bodies[i]);
	}
}

static void
smtp_damaged(void **state)
{
	struct scene *c = *state;
	const char *rcpt = "bob@x.example";
	struct buf big = BUF_INIT;

	while (big.len < 400000)
		buf_adds(&big, "some line of text\r\n");
	world_start(&c->w, &c->s,
	    world_add_mail(&c->w, &rcpt, 1, big.ptr, big.len), 1);
	world_damage_body(&c->w);
	world_run(&c->w);
	seen_check(&c->s, 0, DELIVERY_FAILED, "5.3.0");
	world_linger(&c->w, 20);
	assert_int_equal(c->f.messages, 0);
	world_deliver(&c->w, &c->s, world_add_text(&c->w, rcpt, "a\r\n"));
	seen_check(&c->s, 0, DELIVERY_RELAYED, "2.6.0");
	buf_release(&big);
}

static void
smtp_free_midway(void **state)
{
	struct scene *c = *state;
	int turns, i;

	for (turns = 0; turns < 40; turns++) {
		scene_agent(c, CONF_DELIVERY_SMTP);
		world_start(&c->w, &c->s,
		    world_add_text(&c->w, "bob@x.example", "a\r\n"), 1);
		for (i = 0; i < turns && c->s.overs == 0; i++)
			event_base_loop(c->w.base, EVLOOP_ONCE);
		delivery_free(c->w.agent);
		c->w.agent = NULL;
		assert_int_equal(c->s.told[0], 1);
		assert_int_equal(c->s.overs, 1);
		if (c->s.outcome[0] == DELIVERY_RELAYED)
			break;
		seen_check(&c->s, 0, DELIVERY_RETRY, "4.3.2");
	}
	assert_true(turns > 3 && turns < 40);
}

static void
smtp_idle_quit(void **state)
{
	struct scene *c = *state;

	world_deliver(&c->w, &c->s,
	    world_add_text(&c->w, "bob@x.example", "a\r\n"));
	world_linger(&c->w, 200);
	assert_int_equal(c->f.open, 1);
	world_linger(&c->w, 5200);
	assert_int_equal(c->f.open, 0);
	assert_int_equal(c->f.quits, 1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(smtp_plain),
		TEST(smtp_octets),
		TEST(smtp_big),
		TEST(smtp_recipients),
		cmocka_unit_test(smtp_replies),
		TEST(smtp_lacking),
		TEST(smtp_convert),
		TEST(smtp_drop_in),
		TEST(smtp_drop_out),
		TEST(lmtp_drop_out),
		TEST(lmtp_drop_in),
		TEST(smtp_slow),
		TEST(smtp_reuse),
		TEST(smtp_parallel),
		TEST(smtp_many_recipients),
		TEST(smtp_no_server),
		TEST(smtp_unix_and_loop),
		TEST(smtp_trace),
		TEST(smtp_damaged),
		TEST(smtp_free_midway),
		TEST(smtp_idle_quit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
