/* SPDX-License-Identifier: ISC */
/*
 * The client's side of SOCKS5.  Each answer is read to its last octet and no
 * further: what follows is the peer's.
 */
#include "transports/socks.h"
#include "base/file.h"
#include "base/secret.h"
#include "base/text.h"
#include "transports/wire.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define VERSION 5
#define LOGIN_VERSION 1
#define METHOD_NONE 0
#define METHOD_PASSWORD 2
#define METHOD_NO_OTHER 255
#define CONNECT 1
#define BY_NAME 3
#define REPLY_MAX (4 + 1 + SOCKS_TEXT_MAX + 2)

/* One exchange with the proxy. */
struct talk {
	const struct wire *wire;
	int fd, timeout_ms;
};

static int
say(const struct talk *t, const struct buf *out, struct err *e)
{
	return file_write_all(t->fd, out->ptr, out->len, e);
}

static int
hear(const struct talk *t, unsigned char *into, size_t len, struct err *e)
{
	size_t got = 0;

	while (got < len) {
		int rc = wire_wait(t->wire, t->fd, POLLIN, t->timeout_ms, e);
		ssize_t n;

		if (rc < 0)
			return rc;
		n = rc == 0 ? 0 : read(t->fd, into + got, len - got);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return err_set(e, ERR_IO, "the SOCKS proxy %s",
			    rc == 0 ? "is silent" : "hung up");
		got += (size_t)n;
	}
	return 0;
}

/* RFC 1928 3. */
static int
agree_on_method(const struct talk *t, unsigned method, struct err *e)
{
	struct buf out = BUF_INIT;
	unsigned char in[2];
	int rc;

	buf_put8(&out, VERSION);
	buf_put8(&out, 1);
	buf_put8(&out, (uint8_t)method);
	rc = say(t, &out, e);
	buf_release(&out);
	if (rc == 0)
		rc = hear(t, in, 2, e);
	if (rc < 0)
		return rc;
	if (in[0] != VERSION)
		return err_set(e, ERR_IO, "it is no SOCKS5 proxy");
	if (in[1] == METHOD_NO_OTHER)
		return err_set(e, ERR_IO, "the SOCKS proxy %s", method ==
		    METHOD_NONE ? "wants a user and a password" :
		    "takes no user and password");
	if (in[1] != method)
		return err_set(e, ERR_IO, "the SOCKS proxy chose what was "
		    "not offered");
	return 0;
}

/* RFC 1929 2. */
static int
log_in(const struct socks *s, const struct talk *t, struct err *e)
{
	struct buf out = BUF_INIT;
	unsigned char in[2];
	int rc;

	(void)buf_room(&out, 3 + 2 * SOCKS_TEXT_MAX); /* one place */
	buf_put8(&out, LOGIN_VERSION);
	buf_put8(&out, (uint8_t)strlen(s->user));
	buf_adds(&out, s->user);
	buf_put8(&out, (uint8_t)s->password.len);
	buf_add(&out, s->password.ptr, s->password.len);
	rc = say(t, &out, e);
	secret_wipe(out.base, out.cap);
	buf_release(&out);
	if (rc == 0)
		rc = hear(t, in, 2, e);
	if (rc == 0 && in[1] != 0)
		rc = err_set(e, ERR_IO, "the SOCKS proxy refuses the user "
		    "and the password");
	return rc;
}

static const char *
reason(unsigned code)
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
hear_reply(const struct talk *t, struct err *e)
{
	unsigned char in[REPLY_MAX];
	size_t len;
	int rc = hear(t, in, 5, e);

	if (rc < 0)
		return rc;
	if (in[0] != VERSION)
		return err_set(e, ERR_IO, "it is no SOCKS5 proxy");
	if (in[1] != 0)
		return err_set(e, ERR_IO, "the SOCKS proxy says: %s",
		    reason(in[1]));
	len = in[3] == 1 ? 4 : in[3] == 4 ? 16 : (size_t)in[4] + 1;
	return hear(t, in + 5, len - 1 + 2, e);
}

/* RFC 1928 4. */
static int
connect_to(const struct talk *t, const struct place *to, uint64_t port,
    struct err *e)
{
	struct buf out = BUF_INIT;
	int rc;

	buf_put8(&out, VERSION);
	buf_put8(&out, CONNECT);
	buf_put8(&out, 0);
	buf_put8(&out, BY_NAME);
	buf_put8(&out, (uint8_t)strlen(to->host));
	buf_adds(&out, to->host);
	buf_put16(&out, (uint16_t)port);
	rc = say(t, &out, e);
	buf_release(&out);
	return rc == 0 ? hear_reply(t, e) : rc;
}

int
socks_ask(const struct socks *s, const struct wire *w, int fd,
    const struct place *to, int timeout_ms, struct err *e)
{
	struct talk t = { w, fd, timeout_ms };
	uint64_t port;
	int rc;

	if (strlen(to->host) > SOCKS_TEXT_MAX ||
	    num_parse(slice_of(to->port), UINT16_MAX, &port) < 0)
		return err_set(e, ERR_CONFIG, "%s, port %s: a SOCKS proxy "
		    "wants a name and a number", to->host, to->port);
	rc = agree_on_method(&t, s->user != NULL ? METHOD_PASSWORD :
	    METHOD_NONE, e);
	if (rc == 0 && s->user != NULL)
		rc = log_in(s, &t, e);
	if (rc == 0)
		rc = connect_to(&t, to, port, e);
	return rc < 0 && rc != ERR_STATE ? err_prefix(e, "%s, port %s",
	    to->host, to->port) : rc;
}

int
socks_check(const struct socks *s, struct err *e)
{
	if (s->user == NULL)
		return 0;
	if (*s->user == '\0' || strlen(s->user) > SOCKS_TEXT_MAX)
		return err_set(e, ERR_CONFIG, "socks-user: want at most %d "
		    "octets", SOCKS_TEXT_MAX);
	if (s->password.len == 0 || s->password.len > SOCKS_TEXT_MAX)
		return err_set(e, ERR_CONFIG, "socks-password-file: want a "
		    "password of at most %d octets there", SOCKS_TEXT_MAX);
	return 0;
}

void
socks_release(struct socks *s)
{
	place_release(&s->at);
	if (s->password.base != NULL)
		secret_wipe(s->password.base, s->password.cap);
	buf_release(&s->password);
}
