/* SPDX-License-Identifier: ISC */
/*
 * Sockets.  Addresses of a name are tried one after another, as most names
 * have one or two.
 */
#include "transports/socket.h"
#include "transports/socks.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4
#define IDLE_SECS 60		/* before a connection is probed, */
#define PROBE_SECS 15		/* each so long, */
#define PROBES 4		/* before it counts as lost */
#define UNSENT_MS 120000	/* octets that nobody acknowledges */
#define AHEAD (16 << 10)	/* octets that wait in the kernel: what is
				 * urgent, and answers, wait behind them */

static int
unix_address(const char *path, struct sockaddr_un *a_out, struct err *e)
{
	memset(a_out, 0, sizeof(*a_out));
	a_out->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(a_out->sun_path))
		return err_set(e, ERR_CONFIG, "%s is too long for a socket",
		    path);
	memcpy(a_out->sun_path, path, strlen(path));
	return 0;
}

/* Fails in vain where the socket is none of TCP. */
static void
watch_over(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, IDLE_SECS },
		{ IPPROTO_TCP, TCP_KEEPINTVL, PROBE_SECS },
		{ IPPROTO_TCP, TCP_KEEPCNT, PROBES },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, UNSENT_MS },
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ IPPROTO_TCP, TCP_NOTSENT_LOWAT, AHEAD },
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		(void)setsockopt(fd, options[i].level, options[i].name,
		    &options[i].value, sizeof(options[i].value));
}

/* One address. */
static int
call_address(const struct wire *w, const struct sockaddr *a, socklen_t len,
    int timeout_ms, int *fd_out, struct err *e)
{
	int fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0);
	int error = 0, rc = 0;
	socklen_t size = sizeof(error);

	if (fd < 0)
		return err_errno(e, "cannot make a socket");
	watch_over(fd);
	if (connect(fd, a, len) < 0)
		error = errno;
	if (error == EINPROGRESS) {
		error = 0;
		rc = wire_wait(w, fd, POLLOUT, timeout_ms, e);
		if (rc == 0)
			error = ETIMEDOUT;
		else if (rc > 0)
			(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error,
			    &size);
	}
	if (rc >= 0 && error == 0) {
		*fd_out = fd;
		return 0;
	}
	close(fd);
	if (rc < 0)
		return rc;
	errno = error;
	return err_errno(e, "cannot connect");
}

static int
look_up(const struct place *p, bool listen, struct addrinfo **all_out,
    struct err *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
	    .ai_flags = listen ? AI_PASSIVE : AI_ADDRCONFIG };
	int rc;

	*all_out = NULL;
	rc = getaddrinfo(p->host, p->port, &hints, all_out);
	if (rc == EAI_NONAME && !listen) {
		hints.ai_flags = 0;	/* an address of the loopback */
		rc = getaddrinfo(p->host, p->port, &hints, all_out);
	}
	if (rc != 0)
		return err_set(e, ERR_NOT_FOUND, "%s, port %s: %s", p->host,
		    p->port, gai_strerror(rc));
	return 0;
}

static int
call_place(const struct wire *w, const struct place *to, int timeout_ms,
    int *fd_out, struct err *e)
{
	struct addrinfo *all, *one;
	struct sockaddr_un a;
	int rc;

	if (to->port == NULL) {
		rc = unix_address(to->host, &a, e);
		if (rc == 0)
			rc = call_address(w, (void *)&a, sizeof(a),
			    timeout_ms, fd_out, e);
		return rc < 0 && rc != ERR_STATE ?
		    err_prefix(e, "%s", to->host) : rc;
	}
	rc = look_up(to, false, &all, e);
	if (rc < 0)
		return rc;
	rc = ERR_NOT_FOUND;
	for (one = all; one != NULL && rc < 0 && rc != ERR_STATE;
	    one = one->ai_next)
		rc = call_address(w, one->ai_addr, one->ai_addrlen,
		    timeout_ms, fd_out, e);
	freeaddrinfo(all);
	return rc < 0 && rc != ERR_STATE ? err_prefix(e, "%s, port %s",
	    to->host, to->port) : rc;
}

int
socket_call(const struct wire *w, const struct place *to,
    const struct socks *through, int timeout_ms, int *fd_out, struct err *e)
{
	int rc = call_place(w, through != NULL ? &through->at : to,
	    timeout_ms, fd_out, e);

	if (rc == 0 && through != NULL) {
		rc = socks_ask(through, w, *fd_out, to, timeout_ms, e);
		if (rc < 0)
			close(*fd_out);
	}
	return rc;
}

/* Whether somebody listens there. */
static bool
is_alive(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool alive = fd >= 0 && connect(fd, (const void *)a,
	    sizeof(*a)) == 0;

	if (fd >= 0)
		close(fd);
	return alive;
}

static int
listen_address(const struct sockaddr *a, socklen_t len, int *fd_out,
    struct err *e)
{
	int fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0), yes = 1;

	if (fd < 0)
		return err_errno(e, "cannot make a socket");
	if (a->sa_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes,
		    sizeof(yes));
	if (a->sa_family != AF_UNIX)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes,
		    sizeof(yes));
	if (bind(fd, a, len) < 0 || listen(fd, BACKLOG) < 0) {
		int rc = err_errno(e, "cannot listen");

		close(fd);
		return rc;
	}
	*fd_out = fd;
	return 0;
}

static int
listen_unix(const char *path, int *fd_out, struct err *e)
{
	struct sockaddr_un a;
	struct stat st;
	int rc = unix_address(path, &a, e);
	mode_t mask;

	if (rc < 0)
		return rc;
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
		if (is_alive(&a))
			return err_set(e, ERR_EXISTS, "%s: somebody listens "
			    "there", path);
		(void)unlink(path);
	}
	mask = umask(0117);
	rc = listen_address((void *)&a, sizeof(a), fd_out, e);
	(void)umask(mask);
	return rc < 0 ? err_prefix(e, "%s", path) : 0;
}

int
socket_listen(const struct place *at, int *fd_out, struct err *e)
{
	struct addrinfo *all;
	int rc;

	if (at->port == NULL)
		return listen_unix(at->host, fd_out, e);
	rc = look_up(at, true, &all, e);
	if (rc < 0)
		return rc;
	rc = listen_address(all->ai_addr, all->ai_addrlen, fd_out, e);
	freeaddrinfo(all);
	return rc < 0 ? err_prefix(e, "%s, port %s", at->host, at->port) : 0;
}

int
socket_accept(const struct wire *w, int listener, int ms, int *fd_out,
    struct err *e)
{
	for (;;) {
		int rc = wire_wait(w, listener, POLLIN, ms, e);

		if (rc <= 0)
			return rc;
		*fd_out = accept4(listener, NULL, NULL, SOCK_CLOEXEC |
		    SOCK_NONBLOCK);
		if (*fd_out >= 0) {
			watch_over(*fd_out);
			return 1;
		}
		if (errno != EAGAIN && errno != EINTR &&
		    errno != ECONNABORTED)
			return err_errno(e, "cannot accept");
	}
}
