/* SPDX-License-Identifier: ISC */
/*
 * Sockets.  Addresses of a name are tried one after another, as most names
 * have one or two.
 */
#include "transports/socket.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

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
#define SOCKS_NAME_MAX 255
#define SOCKS_REPLY_MAX (4 + 1 + SOCKS_NAME_MAX + 2)

int
place_parse(const char *text, struct place *p_out)
{
	const char *colon = strrchr(text, ':');
	const char *host = text, *end = colon;

	*p_out = (struct place){ NULL, NULL };
	if (text[0] == '/') {
		p_out->host = mem_strdup(text);
		return 0;
	}
	if (colon == NULL || colon[1] == '\0')
		return ERR_SYNTAX;
	if (text[0] == '[') {
		if (colon[-1] != ']')
			return ERR_SYNTAX;
		host++;
		end--;
	} else if (strchr(text, ':') != colon) {
		return ERR_SYNTAX;
	}
	if (end <= host)
		return ERR_SYNTAX;
	p_out->host = mem_strndup(host, (size_t)(end - host));
	p_out->port = mem_strdup(colon + 1);
	return 0;
}

void
place_release(struct place *p)
{
	free(p->host);
	free(p->port);
	*p = (struct place){ NULL, NULL };
}

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

/* So many octets of the proxy's answer, no more. */
static int
hear(const struct wire *w, int fd, unsigned char *into, size_t len,
    int timeout_ms, struct err *e)
{
	size_t got = 0;

	while (got < len) {
		int rc = wire_wait(w, fd, POLLIN, timeout_ms, e);
		ssize_t n;

		if (rc < 0)
			return rc;
		n = rc == 0 ? 0 : read(fd, into + got, len - got);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return err_set(e, ERR_IO, "the SOCKS proxy %s",
			    rc == 0 ? "is silent" : "hung up");
		got += (size_t)n;
	}
	return 0;
}

static const char *
socks_reason(unsigned code)
{
	static const char *const reasons[] = { "done", "it failed",
		"it is not allowed", "the network cannot be reached",
		"the host cannot be reached", "the connection was refused",
		"the time to live is over", "it does not know the command",
		"it does not know the kind of address" };

	return code < sizeof(reasons) / sizeof(reasons[0]) ? reasons[code] :
	    "it failed";
}

/* RFC 1928 6: the reply with the address that it is bound to. */
static int
hear_reply(const struct wire *w, int fd, int timeout_ms, struct err *e)
{
	unsigned char in[SOCKS_REPLY_MAX];
	size_t len;
	int rc = hear(w, fd, in, 5, timeout_ms, e);

	if (rc < 0)
		return rc;
	if (in[0] != 5)
		return err_set(e, ERR_IO, "it is no SOCKS5 proxy");
	if (in[1] != 0)
		return err_set(e, ERR_IO, "the SOCKS proxy says: %s",
		    socks_reason(in[1]));
	len = in[3] == 1 ? 4 : in[3] == 4 ? 16 : (size_t)in[4] + 1;
	return hear(w, fd, in + 5, len - 1 + 2, timeout_ms, e);
}

/* RFC 1928, without authentication; the name is the proxy's to resolve. */
static int
socks(const struct wire *w, int fd, const struct place *to, int timeout_ms,
    struct err *e)
{
	struct buf out = BUF_INIT;
	unsigned char in[2];
	uint64_t port;
	int rc;

	if (strlen(to->host) > SOCKS_NAME_MAX ||
	    num_parse(slice_of(to->port), UINT16_MAX, &port) < 0)
		return err_set(e, ERR_CONFIG, "%s, port %s: a SOCKS proxy "
		    "wants a name and a number", to->host, to->port);
	buf_add(&out, "\5\1\0", 3);
	rc = file_write_all(fd, out.ptr, out.len, e);
	if (rc == 0)
		rc = hear(w, fd, in, 2, timeout_ms, e);
	if (rc == 0 && (in[0] != 5 || in[1] != 0))
		rc = err_set(e, ERR_IO, "it is no SOCKS5 proxy, or wants a "
		    "password");
	buf_clear(&out);
	buf_add(&out, "\5\1\0\3", 4);
	buf_put8(&out, (uint8_t)strlen(to->host));
	buf_adds(&out, to->host);
	buf_put16(&out, (uint16_t)port);
	if (rc == 0)
		rc = file_write_all(fd, out.ptr, out.len, e);
	if (rc == 0)
		rc = hear_reply(w, fd, timeout_ms, e);
	buf_release(&out);
	return rc < 0 && rc != ERR_STATE ? err_prefix(e, "%s, port %s",
	    to->host, to->port) : rc;
}

int
socket_call(const struct wire *w, const struct place *to,
    const struct place *through, int timeout_ms, int *fd_out, struct err *e)
{
	int rc = call_place(w, through != NULL ? through : to, timeout_ms,
	    fd_out, e);

	if (rc == 0 && through != NULL) {
		rc = socks(w, *fd_out, to, timeout_ms, e);
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
