/* SPDX-License-Identifier: ISC */
/*
 * Listeners on real sockets: who is greeted how.  Where mail gets as far as
 * the exchange, the one here refuses it with the name of its source.
 */
#include "node/carrier.h"
#include "node/listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

struct fix {
	struct store_mem_disk *disk;
	struct conf conf;
	struct daemon d;
};

void
daemon_wake(struct daemon *d)
{
	(void)d;
	fail();
}

int
exchange_check_room(struct exchange *x, uint64_t size, struct smtp_refusal *r)
{
	(void)x;
	(void)size;
	(void)r;
	return 0;
}

int
exchange_check_recipient(struct exchange *x, const char *address,
    uint64_t size, struct smtp_refusal *r)
{
	(void)address;
	return exchange_check_room(x, size, r);
}

int
exchange_accept(struct exchange *x, struct spool_draft *d, struct message *m,
    void *cookie, struct smtp_refusal *r)
{
	(void)x;
	(void)d;
	(void)cookie;
	return smtp_refuse(r, 554, "5.0.0", "from %s", m->source);
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
	(void)x;
	(void)cookie;
	fail();
}

static uint64_t
much(void *ctx)
{
	(void)ctx;
	return UINT64_MAX;
}

static int
setup(void **state)
{
	struct fix *f = mem_alloc(1, sizeof(*f));
	struct spool_options opts = { .clock = clock_real(), .dir = "/",
		.rng = rng_real(), .free_bytes = much };
	struct store *store;
	struct err e = ERR_INIT;
	static char host[] = "s.example";

	signal(SIGPIPE, SIG_IGN);
	f->disk = store_mem_disk_new();
	assert_int_equal(store_open_mem(f->disk, &store, &e), 0);
	assert_int_equal(spool_open(store, &opts, &f->d.spool, &e), 0);
	f->conf.hostname = host;
	f->conf.command_max = 2048;
	f->conf.message_max = 1 << 20;
	f->conf.recipients_max = 100;
	f->conf.line_max = 1 << 20;
	f->conf.session_timeout_secs = 300;
	f->d.clock = clock_real();
	f->d.conf = &f->conf;
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fix *f = *state;

	spool_close(f->d.spool);
	store_mem_disk_free(f->disk);
	if (f->d.base != NULL)
		event_base_free(f->d.base);
	free(f);
	return 0;
}

static struct listener_set *
open_set(struct fix *f)
{
	struct listener_set *set;
	struct err e = ERR_INIT;

	f->d.base = event_base_new();
	if (listener_set_open(f->d.conf, f->d.log, &set, &e) < 0) {
		print_message("%s\n", e.text);
		return NULL;
	}
	listener_set_start(set, &f->d);
	return set;
}

/* The codes that are heard: "250 354" for the last lines of replies. */
static void
hear_at(struct fix *f, int fd, const char *codes)
{
	struct buf got = BUF_INIT, out = BUF_INIT;
	const char *p, *end;
	ssize_t n;
	int i;

	for (i = 0; i < 8; i++) {
		event_base_loop(f->d.base, EVLOOP_NONBLOCK);
		n = read(fd, buf_room(&got, 4096), 4096);
		buf_grown(&got, n > 0 ? (size_t)n : 0);
	}
	for (p = buf_cstr(&got); *p != '\0'; p = end + 1) {
		end = strchr(p, '\n');
		assert_non_null(end);
		if (p[3] == ' ')
			buf_addf(&out, "%s%.3s", out.len > 0 ? " " : "", p);
	}
	assert_string_equal(buf_cstr(&out), codes);
	buf_release(&out);
	buf_release(&got);
}

struct place {
	char dir[32], address[64];	/* "unix:DIR/s" */
	struct conf_net allow;
	struct conf_listener l;
};

static void
place_init(struct fix *f, struct place *p)
{
	memset(p, 0, sizeof(*p));
	memcpy(p->dir, "/tmp/test_session.XXXXXX", 25);
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->address, sizeof(p->address), "unix:%s/s", p->dir);
	p->allow.family = AF_UNIX;
	p->allow.any_uid = true;
	p->l.address = p->address;
	p->l.mode = 0600;
	p->l.allow = &p->allow;
	p->l.nallow = 1;
	f->conf.listener = &p->l;
	f->conf.nlisteners = 1;
}

static void
place_release(struct place *p)
{
	unlink(p->address + 5);
	assert_int_equal(rmdir(p->dir), 0);
}

static int
dial(const struct place *p)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s/s", p->dir);
	assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void
test_listener(void **state)
{
	struct fix *f = *state;
	struct place p;
	struct listener_set *set, *second;
	struct err e = ERR_INIT;
	struct stat st;
	int a, b, c;

	place_init(f, &p);
	f->conf.sessions_per_address = 2;
	set = open_set(f);
	assert_non_null(set);
	assert_int_equal(stat(p.address + 5, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(listener_set_open(&f->conf, NULL, &second, &e),
	    ERR_EXISTS);
	assert_null(second);
	a = dial(&p);
	hear_at(f, a, "220");
	b = dial(&p);
	hear_at(f, b, "220");
	c = dial(&p);
	hear_at(f, c, "421");
	close(c);
	close(b);
	hear_at(f, a, "");
	/* Only another user may from now on. */
	p.allow.any_uid = false;
	p.allow.uid = getuid() + 1;
	listener_set_reload(set, &f->conf);
	b = dial(&p);
	hear_at(f, b, "554");
	close(b);
	hear_at(f, a, "");
	assert_true(listener_set_busy(set));
	listener_set_stop(set);
	assert_false(listener_set_busy(set));
	hear_at(f, a, "421");
	assert_int_equal(stat(p.address + 5, &st), -1);
	close(a);
	listener_set_free(set);
	place_release(&p);
}

/* A file left by a daemon that was killed; one that is no socket. */
static void
test_listener_stale(void **state)
{
	struct fix *f = *state;
	struct place p;
	struct listener_set *set;
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct err e = ERR_INIT;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	place_init(f, &p);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/s", p.dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	close(fd);
	assert_int_equal(listener_set_open(&f->conf, NULL, &set, &e), 0);
	assert_true(listener_set_is_own(set, (struct sockaddr *)&un,
	    sizeof(un)));
	un.sun_path[strlen(un.sun_path) - 1] = 'x';
	assert_false(listener_set_is_own(set, (struct sockaddr *)&un,
	    sizeof(un)));
	listener_set_free(set);

	fd = open(p.address + 5, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_true(listener_set_open(&f->conf, NULL, &set, &e) < 0);
	assert_non_null(strstr(e.text, p.address + 5));
	assert_int_equal(access(p.address + 5, F_OK), 0);
	place_release(&p);
}

/* A socket as systemd would pass it: descriptor 3. */
static void
pass(int fd)
{
	char pid[32];

	assert_int_equal(dup2(fd, 3), 3);
	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "1", 1);
}

static void
test_listener_inherited(void **state)
{
	struct fix *f = *state;
	struct place p;
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct listener_set *set;
	int kept = fcntl(3, F_DUPFD, 20);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), a;

	place_init(f, &p);
	fd = fd == 3 ? fcntl(fd, F_DUPFD, 20) : fd;
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/s", p.dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(fd, 8), 0);
	pass(fd);
	close(fd);
	set = open_set(f);
	assert_non_null(set);
	a = dial(&p);
	hear_at(f, a, "220");
	close(a);
	listener_set_free(set);
	/* Not ours to remove. */
	assert_int_equal(access(p.address + 5, F_OK), 0);
	if (kept >= 0)
		assert_int_equal(dup2(kept, 3), 3);
	place_release(&p);
}

static uint16_t
free_port(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	close(fd);
	return in.sin_port;
}

/* Both families on one port, each with a list of its own. */
static void
test_listener_inet(void **state)
{
	struct fix *f = *state;
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct conf_net local = { .family = AF_INET, .addr = { 127 },
	    .bits = 8 };
	char v4[32], v6[32];
	struct conf_listener l[] = {
		{ .address = v4, .allow = &local, .nallow = 1 },
		{ .address = v6, .allow = &local, .nallow = 1 },
	};
	struct listener_set *set;
	int fd;

	in6.sin6_addr = in6addr_loopback;
	fd = socket(AF_INET6, SOCK_STREAM, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&in6, sizeof(in6)) != 0) {
		print_message("no IPv6 here\n");
		skip();
	}
	close(fd);
	in.sin_port = in6.sin6_port = free_port();
	snprintf(v4, sizeof(v4), "0.0.0.0:%u", ntohs(in.sin_port));
	snprintf(v6, sizeof(v6), "[::]:%u", ntohs(in.sin_port));
	f->conf.listener = l;
	f->conf.nlisteners = 2;
	set = open_set(f);
	assert_non_null(set);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	hear_at(f, fd, "220");
	close(fd);
	fd = socket(AF_INET6, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&in6, sizeof(in6)),
	    0);
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	hear_at(f, fd, "554");
	close(fd);
	assert_true(listener_set_is_own(set, (struct sockaddr *)&in,
	    sizeof(in)));
	assert_true(listener_set_is_own(set, (struct sockaddr *)&in6,
	    sizeof(in6)));
	in.sin_addr.s_addr = htonl(0xc0000201);	/* 192.0.2.1: elsewhere */
	assert_false(listener_set_is_own(set, (struct sockaddr *)&in,
	    sizeof(in)));
	listener_set_free(set);
}

#define SESSION "EHLO c.example\r\nMAIL FROM:<a@c.example>\r\n" \
    "RCPT TO:<b@s.example>\r\nDATA\r\nx\r\n.\r\n"

static void
test_adopt(void **state)
{
	struct fix *f = *state;
	struct listener_set *set = open_set(f);
	static const char said[] = "220 s.example ESMTP\r\n";
	static const char from[] = "554 5.0.0 from unix uid 1234\r\n";
	char got[1024];
	ssize_t n;
	int one[2], two[2], i;

	assert_non_null(set);
	f->conf.sessions_max = 1;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, one), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, two), 0);
	(void)fcntl(two[1], F_SETFL, O_NONBLOCK);
	listener_adopt(set, one[0], 1234);
	listener_adopt(set, two[0], 1234);
	hear_at(f, two[1], "421");
	assert_int_equal(write(one[1], SESSION, strlen(SESSION)),
	    (ssize_t)strlen(SESSION));
	for (i = 0; i < 8; i++)
		event_base_loop(f->d.base, EVLOOP_NONBLOCK);
	n = read(one[1], got, sizeof(got) - 1);
	assert_true(n > (ssize_t)(sizeof(said) + sizeof(from)));
	got[n] = '\0';
	assert_memory_equal(got, said, sizeof(said) - 1);
	assert_string_equal(got + (size_t)n - (sizeof(from) - 1), from);
	listener_set_free(set);
	close(one[1]);
	close(two[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_listener),
		T(test_listener_stale),
		T(test_listener_inherited),
		T(test_listener_inet),
		T(test_adopt),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
