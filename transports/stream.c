/* SPDX-License-Identifier: ISC */
/*
 * Connections without TLS, and the waiting for those of any kind.  There is
 * nothing else to do meanwhile, so it waits in poll(2); every wait has an end.
 * A read is tried before a wait, since TLS may hold octets of its own.
 */
#include "transports/stream.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static bool
is_unix(const char *server)
{
	return strncmp(server, "unix:", 5) == 0;
}

/* The host without its brackets, and the port; the caller frees both. */
static int
split_server(const char *server, char **host_out, char **port_out,
    struct err *e)
{
	const char *colon = strrchr(server, ':');
	size_t len = colon != NULL ? (size_t)(colon - server) : 0;
	uint64_t port;

	*host_out = *port_out = NULL;
	if (len == 0 || num_parse(slice_of(colon + 1), 65535, &port) < 0 ||
	    port == 0)
		return err_set(e, ERR_CONFIG, "server=%s: want HOST:PORT, "
		    "[IPV6]:PORT or unix:/PATH", server);
	if (server[0] == '[' && server[len - 1] == ']')
		*host_out = mem_strndup(server + 1, len - 2);
	else
		*host_out = mem_strndup(server, len);
	*port_out = mem_strdup(colon + 1);
	return 0;
}

int
stream_check(const char *server, struct err *e)
{
	char *host, *port;
	int rc;

	if (is_unix(server)) {
		if (server[5] == '/' && strlen(server + 5) <
		    sizeof(((struct sockaddr_un *)NULL)->sun_path))
			return 0;
		return err_set(e, ERR_CONFIG, "server=%s: want the absolute "
		    "path of a socket, of at most 107 octets", server);
	}
	rc = split_server(server, &host, &port, e);
	free(host);
	free(port);
	return rc;
}

/* Waits for events on the socket; 0 or ERR_IO. */
static int
wait_for(int fd, short events, int ms, struct err *e)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	do
		n = poll(&p, 1, ms);
	while (n == -1 && errno == EINTR);
	if (n == 0)
		return err_set(e, ERR_IO, "no answer for %d s", ms / 1000);
	return n < 0 ? err_errno(e, "cannot wait") : 0;
}

static int
connect_to(const struct sockaddr *addr, socklen_t len, int ms, int *fd_out,
    struct err *e)
{
	int fd = socket(addr->sa_family,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc = 0, failure = 0;
	socklen_t size = sizeof(failure);

	if (fd < 0)
		return err_errno(e, "cannot make a socket");
	if (connect(fd, addr, len) != 0) {
		if (errno != EINPROGRESS)
			rc = err_errno(e, "cannot connect");
		else
			rc = wait_for(fd, POLLOUT, ms, e);
		if (rc == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure,
		    &size) == 0 && failure != 0) {
			errno = failure;
			rc = err_errno(e, "cannot connect");
		}
	}
	if (rc == 0)
		*fd_out = fd;
	else
		close(fd);
	return rc;
}

static int
connect_unix(const char *path, int ms, int *fd_out, struct err *e)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	return connect_to((const struct sockaddr *)&un, sizeof(un), ms,
	    fd_out, e);
}

static int
connect_inet(const char *server, int ms, int *fd_out, struct err *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all = NULL;
	char *host, *port;
	int rc = split_server(server, &host, &port, e), failure;

	if (rc == 0 && (failure = getaddrinfo(host, port, &hints, &all)) != 0)
		rc = err_set(e, ERR_IO, "%s", gai_strerror(failure));
	for (struct addrinfo *ai = all; ai != NULL; ai = ai->ai_next) {
		rc = connect_to(ai->ai_addr, ai->ai_addrlen, ms, fd_out, e);
		if (rc == 0)
			break;
	}
	if (all != NULL)
		freeaddrinfo(all);
	free(host);
	free(port);
	return rc;
}

static ssize_t
plain_read(struct stream *s, void *into, size_t len, struct err *e)
{
	ssize_t n;

	do
		n = recv(s->fd, into, len, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? STREAM_AGAIN :
		    err_errno(e, "cannot read");
	return n;
}

static ssize_t
plain_write(struct stream *s, const void *octets, size_t len, struct err *e)
{
	ssize_t n;

	do
		n = send(s->fd, octets, len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? STREAM_AGAIN :
		    err_errno(e, "cannot write");
	return n;
}

static void
plain_close(struct stream *s)
{
	close(s->fd);
	free(s);
}

static const struct stream_kind plain = {
	plain_read, plain_write, plain_close
};

int
stream_connect(const char *server, int ms, struct stream **s_out,
    struct err *e)
{
	int fd = -1, rc;

	*s_out = NULL;
	if (is_unix(server))
		rc = connect_unix(server + 5, ms, &fd, e);
	else
		rc = connect_inet(server, ms, &fd, e);
	if (rc < 0)
		return err_prefix(e, "%s", server);
	*s_out = mem_alloc(1, sizeof(**s_out));
	**s_out = (struct stream){ &plain, fd };
	return 0;
}

void
stream_close(struct stream *s)
{
	if (s != NULL)
		s->kind->close(s);
}

ssize_t
stream_read(struct stream *s, void *into, size_t len, int ms, struct err *e)
{
	ssize_t n;

	while ((n = s->kind->read(s, into, len, e)) == STREAM_AGAIN) {
		int rc = wait_for(s->fd, POLLIN, ms, e);

		if (rc < 0)
			return rc;
	}
	return n;
}

ssize_t
stream_write(struct stream *s, const void *octets, size_t len, int ms,
    struct err *e)
{
	ssize_t n;

	while ((n = s->kind->write(s, octets, len, e)) == STREAM_AGAIN) {
		int rc = wait_for(s->fd, POLLOUT, ms, e);

		if (rc < 0)
			return rc;
	}
	return n;
}

int
stream_listen(struct stream *s, int fd, void *into, size_t *len_io, int ms,
    struct err *e)
{
	struct pollfd p[] = {
		{ .fd = s->fd, .events = POLLIN },
		{ .fd = fd, .events = POLLIN }
	};
	size_t room = *len_io;
	ssize_t n = s->kind->read(s, into, room, e);

	*len_io = 0;
	if (n == STREAM_AGAIN) {
		if (poll(p, 2, ms) < 0 && errno != EINTR)
			return err_errno(e, "cannot wait");
		n = p[0].revents == 0 ? STREAM_AGAIN :
		    s->kind->read(s, into, room, e);
	}
	if (n == 0)
		return err_set(e, ERR_IO, "the server hung up");
	if (n > 0)
		*len_io = (size_t)n;
	return n < 0 && n != STREAM_AGAIN ? (int)n : 0;
}
