/* SPDX-License-Identifier: ISC */
/*
 * The connection to the SMTP server.  There is nothing else to do meanwhile,
 * so it waits in poll(2); every wait has an end.
 */
#include "transports/postbox.h"
#include "base/mem.h"
#include "base/text.h"
#include "smtp/client.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECT_MS 60000
#define OUTPUT_MAX 131072	/* octets that wait to be written */

struct postbox {
	const struct postbox_options *opts;
	int fd;
	struct smtp_client *client;
	/* The letter at hand. */
	struct letter *letter;
	uint64_t done;
	bool ready, over;
	bool refused;		/* its recipient: why is said */
	bool dead;		/* the connection is of no more use */
	enum postbox_outcome outcome;
	struct err why;
};

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
postbox_check(const char *server, struct err *e)
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

static int
patience(const struct postbox *p, int ms)
{
	return p->opts->wait_ms > 0 && p->opts->wait_ms < ms ?
	    p->opts->wait_ms : ms;
}

int
postbox_open(const struct postbox_options *opts, struct postbox **p_out,
    struct err *e)
{
	struct postbox *p = mem_alloc(1, sizeof(*p));
	struct smtp_client_options client = { .helo = opts->helo };
	int rc;

	*p_out = NULL;
	p->opts = opts;
	p->fd = -1;
	if (is_unix(opts->server))
		rc = connect_unix(opts->server + 5, patience(p, CONNECT_MS),
		    &p->fd, e);
	else
		rc = connect_inet(opts->server, patience(p, CONNECT_MS),
		    &p->fd, e);
	if (rc < 0) {
		err_prefix(e, "%s", opts->server);
		free(p);
		return rc;
	}
	p->client = smtp_client_new(&client);
	*p_out = p;
	return 0;
}

/*
 * The conversation.
 */
static void
settle(struct postbox *p, enum postbox_outcome outcome)
{
	p->over = true;
	p->outcome = outcome;
}

static void
settle_reply(struct postbox *p, const char *step, int code,
    const char *status, const char *text)
{
	(void)err_set(&p->why, ERR_DENIED, "%s: %s: %d %s%s%s",
	    p->opts->server, step, code, status, *status != '\0' ? " " : "",
	    text);
	settle(p, code >= 500 ? POSTBOX_REFUSED : POSTBOX_LATER);
}

static void
gone(struct postbox *p)
{
	p->dead = true;
	settle(p, POSTBOX_GONE);
}

/* The server has closed (421, a greeting other than 220), or the connection
 * broke, which the text explains. */
static void
closed(struct postbox *p, const char *step, const struct smtp_reply *reply)
{
	if (reply->code != 0)
		settle_reply(p, step, reply->code, reply->status, reply->text);
	else
		(void)err_set(&p->why, ERR_IO, "%s: %s", p->opts->server,
		    reply->text);
	gone(p);
}

/* Writes until at most `most` octets wait. */
static int
flush(struct postbox *p, size_t most)
{
	struct buf *out = smtp_client_output(p->client);
	int ms = patience(p, (int)smtp_client_timeout_secs(p->client) * 1000);
	struct err e = ERR_INIT;

	while (out->len > most) {
		ssize_t n = send(p->fd, out->ptr, out->len, MSG_NOSIGNAL);

		if (n >= 0) {
			buf_consume(out, (size_t)n);
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			(void)err_errno(&e, "cannot write");
		else if (wait_for(p->fd, POLLOUT, ms, &e) == 0)
			continue;
		smtp_client_eof(p->client, e.text);
		return -1;
	}
	return 0;
}

static void
hear(struct postbox *p)
{
	int ms = patience(p, (int)smtp_client_timeout_secs(p->client) * 1000);
	struct err e = ERR_INIT;
	char bytes[4096];
	ssize_t n = -1;

	if (wait_for(p->fd, POLLIN, ms, &e) == 0) {
		n = recv(p->fd, bytes, sizeof(bytes), 0);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n == -1)
			(void)err_errno(&e, "cannot read");
	}
	if (n > 0)
		smtp_client_feed(p->client, bytes, (size_t)n);
	else
		smtp_client_eof(p->client, n == 0 ? "the server hung up" :
		    e.text);
}

static void
begin(struct postbox *p)
{
	struct smtp_refusal r = { 0 };
	struct err e = ERR_INIT;
	size_t one = 0;

	p->ready = true;
	if (p->letter == NULL)
		return;
	p->ready = false;
	if (letter_begin(p->letter, smtp_client_extensions(p->client),
	    &e) < 0) {
		p->ready = true;
		p->why = e;
		settle(p, POSTBOX_LATER);
	} else if (smtp_client_begin(p->client, letter_envelope(p->letter),
	    letter_facts(p->letter), &one, 1, &r) < 0) {
		p->ready = true;
		settle_reply(p, "before MAIL", r.code, r.status, r.text);
	}
}

static void
give_content(struct postbox *p)
{
	struct buf piece = BUF_INIT;
	struct err e = ERR_INIT;
	int rc;

	while ((rc = letter_read(p->letter, &piece, &e)) == 1) {
		smtp_client_content(p->client, piece.ptr, piece.len);
		p->done += piece.len;
		buf_clear(&piece);
		if (flush(p, OUTPUT_MAX) < 0)
			break;
		if (p->opts->progress != NULL)
			p->opts->progress(p->opts->ctx, p->done);
	}
	buf_release(&piece);
	if (rc == 0)
		smtp_client_content_end(p->client);
	if (rc < 0) {	/* the server must not take it for whole */
		p->why = e;
		gone(p);
	}
}

static void
on_event(struct postbox *p, const struct smtp_client_event *ev)
{
	bool good = ev->reply.code / 100 == 2;

	switch (ev->kind) {
	case SMTP_CLIENT_READY:
		begin(p);
		break;
	case SMTP_CLIENT_RECIPIENT:
		if (!good)
			settle_reply(p, ev->step, ev->reply.code,
			    ev->reply.status, ev->reply.text);
		p->refused = !good;
		p->over = false;	/* RESULT follows */
		break;
	case SMTP_CLIENT_CONTENT:
		give_content(p);
		break;
	case SMTP_CLIENT_RESULT:
		if (good && !p->refused)
			settle(p, POSTBOX_TAKEN);
		else if (!p->refused)
			settle_reply(p, ev->step, ev->reply.code,
			    ev->reply.status, ev->reply.text);
		p->over = true;
		break;
	case SMTP_CLIENT_CLOSED:
		closed(p, ev->step, &ev->reply);
		break;
	case SMTP_CLIENT_STARTTLS:
	case SMTP_CLIENT_FINAL:
		break;		/* neither TLS nor LMTP was asked for */
	}
}

/* What came behind the outcome: that the session is ready again, or over. */
static void
hear_out(struct postbox *p)
{
	struct smtp_client_event ev;

	p->letter = NULL;
	while (!p->dead && smtp_client_next(p->client, &ev) == 1)
		on_event(p, &ev);
}

enum postbox_outcome
postbox_send(struct postbox *p, struct letter *l, struct err *why)
{
	struct smtp_client_event ev;
	enum postbox_outcome outcome;

	p->letter = l;
	p->done = 0;
	p->over = p->refused = false;
	if (p->dead)
		settle(p, POSTBOX_GONE);
	else if (p->ready)
		begin(p);
	while (!p->over) {
		if (smtp_client_next(p->client, &ev) == 1)
			on_event(p, &ev);
		else if (flush(p, 0) == 0)
			hear(p);
	}
	outcome = p->outcome;
	if (outcome != POSTBOX_TAKEN)
		*why = p->why;
	hear_out(p);
	return outcome;
}

void
postbox_close(struct postbox *p)
{
	if (p == NULL)
		return;
	if (p->ready && !p->dead) {
		struct buf *out = smtp_client_output(p->client);

		/* Whether it hears this changes nothing. */
		smtp_client_quit(p->client);
		(void)send(p->fd, out->ptr, out->len, MSG_NOSIGNAL);
	}
	close(p->fd);
	smtp_client_free(p->client);
	free(p);
}
