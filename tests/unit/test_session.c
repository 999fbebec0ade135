/* SPDX-License-Identifier: ISC */
/*
 * Sessions on real sockets, over a spool in memory and an
 * exchange that does what a case orders: the real one's answers depend on much
 * else.  What it accepts is committed, so that content can be compared.
 */
#include "node/carrier.h"
#include "node/session.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

#define TAKEN_MAX 8
#define HELLO "EHLO c.example\r\n"
#define ENVELOPE "MAIL FROM:<a@c.example>\r\nRCPT TO:<b@s.example>\r\n"

struct exchange {
	struct spool_draft *draft[TAKEN_MAX];
	struct message m[TAKEN_MAX];
	void *cookie[TAKEN_MAX];
	unsigned taken, answered, forgotten, woken;
	bool no_room;
};

struct fix {
	struct clock clock;
	int64_t now;
	uint64_t free;
	struct store_mem_disk *disk;
	struct exchange x;
	struct conf conf;
	struct daemon d;
	struct session_host host;
	struct session_service service;
	struct session *s;
	unsigned over;
	int fd;			/* the client's end */
	struct buf got;
};

/*
 * The exchange that is ordered.
 */
void
daemon_wake(struct daemon *d)
{
	d->exchange->woken++;
}

int
exchange_check_room(struct exchange *x, uint64_t size, struct smtp_refusal *r)
{
	(void)size;
	return x->no_room ? smtp_refuse(r, 452, "4.3.1", "no room") : 0;
}

int
exchange_check_recipient(struct exchange *x, const char *address,
    uint64_t size, struct smtp_refusal *r)
{
	(void)x;
	(void)size;
	if (strncmp(address, "bad", 3) == 0)
		return smtp_refuse(r, 550, "5.1.1", "no such user");
	return 0;
}

int
exchange_accept(struct exchange *x, struct spool_draft *d, struct message *m,
    void *cookie, struct smtp_refusal *r)
{
	if (strcmp(m->env.sender, "loop@c.example") == 0)
		return smtp_refuse(r, 554, "5.4.6", "mail loop");
	assert_true(x->taken < TAKEN_MAX);
	x->draft[x->taken] = d;
	x->m[x->taken] = *m;
	x->cookie[x->taken++] = cookie;
	message_init(m);
	return 0;
}

int
exchange_mail_back(struct exchange *x, const char *source,
    const struct mail_facts *facts, struct slice beginning, uint64_t octets,
    struct err *e)
{
	(void)x;
	(void)source;
	(void)facts;
	(void)beginning;
	(void)octets;
	return err_set(e, ERR_IO, "there is no exchange");
}

void
carrier_arrived(struct carrier *c, const char *peer)
{
	(void)c;
	(void)peer;
}

void
exchange_forget(struct exchange *x, void *cookie)
{
	assert_ptr_equal(cookie, x->cookie[x->taken - 1]);
	x->forgotten++;
}

/*
 * Around it.
 */
static int64_t
fixed_now(struct clock *c)
{
	return ((struct fix *)(void *)c)->now;
}

static uint64_t
fixed_free(void *ctx)
{
	return ((struct fix *)ctx)->free;
}

static void
on_over(void *cookie)
{
	struct fix *f = cookie;

	f->over++;
	session_free(f->s);
	f->s = NULL;
}

static int
setup(void **state)
{
	struct fix *f = mem_alloc(1, sizeof(*f));
	struct spool_options opts = { .clock = &f->clock, .dir = "/",
		.free_bytes = fixed_free, .free_ctx = f,
		.min_free_bytes = 1000 };
	struct store *store;
	struct err e = ERR_INIT;
	static char host[] = "s.example";

	signal(SIGPIPE, SIG_IGN);
	f->clock.wall_ms = f->clock.mono_ms = fixed_now;
	f->now = 1000000;
	f->free = UINT64_MAX;
	f->disk = store_mem_disk_new();
	opts.rng = rng_real();
	assert_int_equal(store_open_mem(f->disk, &store, &e), 0);
	assert_int_equal(spool_open(store, &opts, &f->d.spool, &e), 0);
	f->conf.hostname = host;
	f->conf.command_max = 2048;
	f->conf.errors_max = 20;
	f->conf.message_max = 1 << 20;
	f->conf.recipients_max = 100;
	f->conf.line_max = 1 << 20;
	f->conf.session_timeout_secs = 300;
	f->d.base = event_base_new();
	f->d.clock = &f->clock;
	f->d.conf = &f->conf;
	f->d.exchange = &f->x;
	f->host.daemon = &f->d;
	f->host.scratch = mem_alloc(1, SESSION_READ_MAX);
	f->host.over = on_over;
	f->fd = -1;
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fix *f = *state;
	unsigned i;

	session_free(f->s);
	for (i = 0; i < f->x.taken; i++) {
		spool_draft_free(f->x.draft[i]);
		message_release(&f->x.m[i]);
	}
	if (f->fd >= 0)
		close(f->fd);
	buf_release(&f->got);
	spool_close(f->d.spool);
	store_mem_disk_free(f->disk);
	event_base_free(f->d.base);
	free(f->host.scratch);
	free(f);
	return 0;
}

static void
begin(struct fix *f, bool welcome)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    pair), 0);
	f->fd = pair[1];
	f->s = session_new(&f->host, &f->service, pair[0], "unix uid 7",
	    welcome, f);
}

/* Lets everything happen that can; true if the server has closed. */
static bool
pump(struct fix *f)
{
	char more[4096];
	ssize_t n = -1;
	int i;

	for (i = 0; i < 8; i++) {
		event_base_loop(f->d.base, EVLOOP_NONBLOCK);
		while ((n = read(f->fd, more, sizeof(more))) > 0)
			buf_add(&f->got, more, (size_t)n);
		if (n == 0)
			break;
	}
	return n == 0;
}

static void
say(struct fix *f, const char *text)
{
	size_t len = strlen(text);

	assert_int_equal(write(f->fd, text, len), (ssize_t)len);
	pump(f);
}

/* All that was heard since the last time. */
static void
hear(struct fix *f, const char *text)
{
	pump(f);
	assert_string_equal(buf_cstr(&f->got), text);
	buf_clear(&f->got);
}

/* The codes alone: "250 354" for each last line of a reply. */
static void
hear_codes(struct fix *f, const char *codes)
{
	struct buf out = BUF_INIT;
	const char *p, *end;

	pump(f);
	for (p = buf_cstr(&f->got); *p != '\0'; p = end + 1) {
		end = strchr(p, '\n');
		assert_non_null(end);
		if (p[3] == ' ')
			buf_addf(&out, "%s%.3s", out.len > 0 ? " " : "", p);
	}
	assert_string_equal(buf_cstr(&out), codes);
	buf_release(&out);
	buf_clear(&f->got);
}

static void
complete(struct fix *f, int code)
{
	struct exchange_completion c = { .cookie = NULL, .id = 1 };

	assert_true(f->x.answered < f->x.taken);
	c.cookie = f->x.cookie[f->x.answered++];
	c.durable = code == 250;
	if (!c.durable)
		smtp_refuse(&c.refusal, code, "4.3.1", "full");
	session_completed(c.cookie, &c);
}

/* Commits the n-th message that was taken and reads it again. */
static void
expect_content(struct fix *f, unsigned n, const char *content)
{
	struct spool_unit *u;
	struct spool_body *b;
	struct buf body = BUF_INIT;
	struct err e = ERR_INIT;

	assert_true(n < f->x.taken);
	assert_int_equal(spool_begin(f->d.spool, &u, &e), 0);
	assert_int_equal(spool_add_message(u, f->x.draft[n], &f->x.m[n], &e),
	    0);
	assert_int_equal(spool_commit(u, true, &e), 0);
	assert_int_equal(spool_body_open(f->d.spool, f->x.m[n].id, &b, &e), 0);
	while (spool_body_read(b, &body, &e) == 1)
		;
	spool_body_close(b);
	assert_string_equal(buf_cstr(&body), content);
	buf_release(&body);
}

static void
test_message(void **state)
{
	struct fix *f = *state;

	begin(f, true);
	hear(f, "220 s.example ESMTP\r\n");
	say(f, HELLO);
	hear_codes(f, "250");
	say(f, "MAIL FROM:<a@c.example>\r\n");
	hear(f, "250 2.1.0 Ok\r\n");
	say(f, "RCPT TO:<bad@s.example>\r\n");
	hear(f, "550 5.1.1 no such user\r\n");
	say(f, "RCPT TO:<postmaster>\r\n");
	hear(f, "250 2.1.5 Ok\r\n");
	say(f, "DATA\r\n");
	hear_codes(f, "354");
	say(f, "one\r\n..two\r\n.\r\n");
	hear(f, "");
	assert_int_equal(f->x.taken, 1);
	assert_int_equal(f->x.woken, 1);
	assert_string_equal(f->x.m[0].source, "unix uid 7");
	assert_string_equal(f->x.m[0].env.sender, "a@c.example");
	assert_string_equal(f->x.m[0].env.helo, "c.example");
	assert_int_equal(f->x.m[0].env.nrcpt, 1);
	assert_string_equal(f->x.m[0].env.rcpt[0].address, "postmaster");
	complete(f, 250);
	pump(f);
	assert_memory_equal(f->got.ptr, "250 2.0.0 Ok: queued as ", 24);
	buf_clear(&f->got);
	expect_content(f, 0, "one\r\n.two\r\n");
	say(f, "QUIT\r\n");
	assert_true(pump(f));
	hear(f, "221 2.0.0 Bye\r\n");
	assert_int_equal(f->over, 1);
	assert_int_equal(f->x.forgotten, 0);
}

#define TWO HELLO ENVELOPE "DATA\r\nfirst\r\n.\r\n" \
    ENVELOPE "BDAT 4\r\nsec\nBDAT 5 LAST\r\nond\r\nQUIT\r\n"

/* A client that never waits; then the same, octet by octet. */
static void
test_pipelined(void **state)
{
	struct fix *f = *state;
	const char *p;
	char one[2] = "";

	begin(f, true);
	say(f, TWO);
	hear_codes(f, "220 250 250 250 354");
	assert_int_equal(f->x.taken, 1);
	complete(f, 250);
	hear_codes(f, "250 250 250 250");
	assert_int_equal(f->x.taken, 2);
	complete(f, 452);
	hear_codes(f, "452 221");
	expect_content(f, 0, "first\r\n");
	expect_content(f, 1, "sec\nond\r\n");
	assert_int_equal(f->over, 1);
	close(f->fd);

	begin(f, true);
	for (p = TWO; *p != '\0'; p++) {
		one[0] = *p;
		say(f, one);
	}
	assert_int_equal(f->x.taken, 3);
	complete(f, 250);
	pump(f);
	assert_int_equal(f->x.taken, 4);
	complete(f, 250);
	hear_codes(f, "220 250 250 250 354 250 250 250 250 250 221");
	expect_content(f, 2, "first\r\n");
	expect_content(f, 3, "sec\nond\r\n");
	assert_int_equal(f->over, 2);
}

static void
test_refusals(void **state)
{
	struct fix *f = *state;
	unsigned i;

	begin(f, true);
	f->x.no_room = true;
	say(f, HELLO ENVELOPE);
	hear_codes(f, "220 250 452 503");
	f->x.no_room = false;
	say(f, "MAIL FROM:<loop@c.example>\r\nRCPT TO:<b@s.example>\r\n"
	    "DATA\r\nx\r\n.\r\n");
	hear_codes(f, "250 250 354 554");
	/* The disk fills up in the middle of a message. */
	say(f, ENVELOPE "DATA\r\n");
	f->free = 0;
	for (i = 0; i < 3000; i++)
		say(f, "forty octets of a message, line by line\r\n");
	say(f, ".\r\n");
	hear_codes(f, "250 250 354 452");
	f->free = UINT64_MAX;
	say(f, ENVELOPE "DATA\r\nwell\r\n.\r\n");
	hear_codes(f, "250 250 354");
	assert_int_equal(f->x.taken, 1);
	expect_content(f, 0, "well\r\n");
	complete(f, 250);
	hear_codes(f, "250");
}

static void
test_stranger(void **state)
{
	struct fix *f = *state;

	begin(f, false);
	hear(f, "554 s.example access denied\r\n");
	say(f, HELLO ENVELOPE);
	hear_codes(f, "503 503 503");
	say(f, "QUIT\r\n");
	assert_true(pump(f));
	hear_codes(f, "221");
}

static void
test_client_gone(void **state)
{
	struct fix *f = *state;

	begin(f, true);
	say(f, HELLO ENVELOPE "DATA\r\nx\r\n.\r\n");
	assert_int_equal(f->x.taken, 1);
	/* It closes its half: it may still want to hear the answer. */
	shutdown(f->fd, SHUT_WR);
	pump(f);
	assert_int_equal(f->over, 0);
	buf_clear(&f->got);
	complete(f, 250);
	hear_codes(f, "250");
	assert_int_equal(f->over, 1);
	assert_int_equal(f->x.forgotten, 0);
	close(f->fd);

	begin(f, true);
	say(f, HELLO ENVELOPE "DATA\r\nx\r\n.\r\n");
	assert_int_equal(f->x.taken, 2);
	session_free(f->s);
	f->s = NULL;
	assert_int_equal(f->x.forgotten, 1);
	close(f->fd);

	/* Inside a message. */
	begin(f, true);
	say(f, HELLO ENVELOPE "DATA\r\nx\r\n");
	close(f->fd);
	event_base_loop(f->d.base, EVLOOP_NONBLOCK);
	assert_int_equal(f->over, 2);
	assert_int_equal(f->x.taken, 2);
	f->fd = -1;
}

static void
test_stop(void **state)
{
	struct fix *f = *state;

	begin(f, true);
	say(f, HELLO);
	buf_clear(&f->got);
	session_stop(f->s);
	assert_true(pump(f));
	hear_codes(f, "421");
	close(f->fd);
	session_free(f->s);

	begin(f, true);
	say(f, HELLO ENVELOPE);
	session_stop(f->s);
	hear_codes(f, "220 250 250 250");
	say(f, "DATA\r\nx\r\n.\r\nMAIL FROM:<a@c.example>\r\n");
	hear_codes(f, "354");
	assert_false(session_is_over(f->s));
	complete(f, 250);
	assert_true(pump(f));
	assert_true(session_is_over(f->s));
	hear_codes(f, "250 421");
	assert_int_equal(f->x.taken, 1);
	close(f->fd);
	f->fd = -1;
	event_base_loop(f->d.base, EVLOOP_NONBLOCK);
	assert_int_equal(f->over, 1);
}

static void
test_idle(void **state)
{
	struct fix *f = *state;

	begin(f, true);
	say(f, HELLO ENVELOPE "DATA\r\nx");
	hear_codes(f, "220 250 250 250 354");
	session_tick(f->s, f->now + 299999);
	hear_codes(f, "");
	f->now += 300000;
	session_tick(f->s, f->now);
	assert_true(pump(f));
	hear(f, "421 4.4.2 Idle for too long\r\n");
	/* It does not close: nobody waits for ever. */
	assert_int_equal(f->over, 0);
	session_tick(f->s, f->now + 5000);
	assert_int_equal(f->over, 1);
	close(f->fd);

	/* Whom we keep waiting is not idle. */
	begin(f, true);
	say(f, HELLO ENVELOPE "DATA\r\nx\r\n.\r\n");
	f->now += 400000;
	session_tick(f->s, f->now);
	complete(f, 250);
	hear_codes(f, "220 250 250 250 354 250");
}

static void
test_unread_replies(void **state)
{
	struct fix *f = *state;
	char *many = mem_alloc(20000, 6);
	size_t sent = 0, stuck = 0, replies = 0, i;
	ssize_t n;

	for (i = 0; i < 20000; i++)
		memcpy(many + i * 6, "NOOP\r\n", 6);
	begin(f, true);
	while (sent < 600000 && stuck < 5) {
		size_t at = sent % 120000;

		n = write(f->fd, many + at, 120000 - at);
		sent += n > 0 ? (size_t)n : 0;
		stuck = n > 0 ? 0 : stuck + 1;
		event_base_loop(f->d.base, EVLOOP_NONBLOCK);
	}
	/* It was not all read, since nobody reads the replies. */
	assert_int_equal(stuck, 5);
	for (i = 0; i < 4000 && replies < 1 + sent / 6; i++) {
		pump(f);
		while (f->got.len > 0) {
			char *nl = memchr(f->got.ptr, '\n', f->got.len);

			if (nl == NULL)
				break;
			replies++;
			buf_consume(&f->got, (size_t)(nl - f->got.ptr) + 1);
		}
	}
	assert_int_equal(replies, 1 + sent / 6);
	free(many);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_message),
		T(test_pipelined),
		T(test_refusals),
		T(test_stranger),
		T(test_client_gone),
		T(test_stop),
		T(test_idle),
		T(test_unread_replies),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
