/* SPDX-License-Identifier: ISC */
/* What is said to systemd, and the sockets it gives. */
#include "node/sd.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* A datagram socket bound to name ("@" is abstract), which is announced. */
static int
notified(const char *name)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    strlen(name));
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	memcpy(un.sun_path, name, strlen(name));
	if (name[0] == '@')
		un.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&un, len), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
	return fd;
}

static void
expect_datagram(int fd, const char *text)
{
	char got[256];
	ssize_t n = recv(fd, got, sizeof(got) - 1, 0);

	assert_true(n >= 0);
	got[n] = '\0';
	assert_string_equal(got, text);
}

static void
test_notify_path(void **state)
{
	char dir[] = "/tmp/test_sd.XXXXXX", path[64];
	struct err e = ERR_INIT;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/notify", dir);
	fd = notified(path);
	assert_int_equal(sd_notify(&e, "READY=1\nSTATUS=%d sessions", 3), 0);
	expect_datagram(fd, "READY=1\nSTATUS=3 sessions");
	close(fd);
	unlink(path);
	rmdir(dir);
	/* Nobody is there any more. */
	assert_true(sd_notify(&e, "STOPPING=1") < 0);
	assert_non_null(strstr(e.text, path));
}

static void
test_notify_abstract(void **state)
{
	char name[64], got[256];
	unsigned long long usec = 0;
	ssize_t n;
	int fd;

	(void)state;
	snprintf(name, sizeof(name), "@postrider-test-%ld", (long)getpid());
	fd = notified(name);
	assert_int_equal(sd_notify(NULL, "STOPPING=1"), 0);
	expect_datagram(fd, "STOPPING=1");
	assert_int_equal(sd_notify_reloading(NULL), 0);
	n = recv(fd, got, sizeof(got) - 1, 0);
	assert_true(n > 0);
	got[n] = '\0';
	assert_int_equal(sscanf(got, "RELOADING=1\nMONOTONIC_USEC=%llu",
	    &usec), 1);
	assert_true(usec > 0);
	close(fd);
}

static void
test_notify_refused(void **state)
{
	static const char *const bad[] = { "vsock:2:1234", "relative", "/",
	    "@" };
	char longer[200];
	struct err e = ERR_INIT;
	size_t i;

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(sd_notify(&e, "READY=1"), 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		setenv("NOTIFY_SOCKET", bad[i], 1);
		assert_int_equal(sd_notify(&e, "READY=1"), ERR_UNSUPPORTED);
	}
	memset(longer, '/', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	setenv("NOTIFY_SOCKET", longer, 1);
	assert_int_equal(sd_notify(&e, "READY=1"), ERR_LIMIT);
	unsetenv("NOTIFY_SOCKET");
}

static void
announce(const char *pid, const char *fds)
{
	char own[32];

	snprintf(own, sizeof(own), "%ld", (long)getpid());
	setenv("LISTEN_PID", pid != NULL ? pid : own, 1);
	setenv("LISTEN_FDS", fds, 1);
}

static void
test_sockets_none(void **state)
{
	static const struct {
		const char *pid, *fds;
	} cases[] = {
		{ "1", "1" },		/* another process's */
		{ NULL, "0" },
		{ NULL, "-1" },
		{ NULL, "x" },
		{ NULL, "" },
		{ NULL, "1025" },
		{ "x", "1" },
	};
	struct sd_sockets socks;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		announce(cases[i].pid, cases[i].fds);
		sd_sockets_take(&socks);
		assert_int_equal(socks.n, 0);
		assert_null(getenv("LISTEN_FDS"));
		assert_null(getenv("LISTEN_PID"));
		sd_sockets_release(&socks);
	}
	sd_sockets_take(&socks);
	assert_int_equal(socks.n, 0);
	sd_sockets_release(&socks);
}

static void
test_sockets_taken(void **state)
{
	struct sd_sockets socks;
	int kept[2], pair[2], i;

	(void)state;
	for (i = 0; i < 2; i++)
		kept[i] = fcntl(3 + i, F_DUPFD, 20);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	pair[0] = fcntl(pair[0], F_DUPFD, 30);
	pair[1] = fcntl(pair[1], F_DUPFD, 30);
	dup2(pair[0], 3);
	dup2(pair[1], 4);
	announce(NULL, "2");
	sd_sockets_take(&socks);
	assert_int_equal(socks.n, 2);
	assert_int_equal(socks.fd[0], 3);
	assert_int_equal(socks.fd[1], 4);
	assert_int_equal(fcntl(3, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(4, F_GETFD), FD_CLOEXEC);
	socks.fd[0] = -1;	/* somebody takes it */
	sd_sockets_release(&socks);
	assert_true(fcntl(3, F_GETFD) >= 0);
	assert_int_equal(fcntl(4, F_GETFD), -1);
	for (i = 0; i < 2; i++) {
		if (kept[i] >= 0)
			dup2(kept[i], 3 + i);
		else
			close(3 + i);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_notify_path),
		cmocka_unit_test(test_notify_abstract),
		cmocka_unit_test(test_notify_refused),
		cmocka_unit_test(test_sockets_none),
		cmocka_unit_test(test_sockets_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
