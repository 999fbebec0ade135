/* SPDX-License-Identifier: ISC */
/*
 * The mail server: commands are read line by line, pipelined or not, and
 * counted in octets so that a line can be dropped at each of them.
 */
#include "tests/unit/fake_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "base/mem.h"

#define FULL_EHLO \
	"250-fake\r\n250-PIPELINING\r\n250-8BITMIME\r\n" \
	"250-CHUNKING\r\n250-SIZE 10000000\r\n250 ENHANCEDSTATUSCODES\r\n"

struct line {
	struct fake *f;
	struct bufferevent *bev;
	struct event *tick;
	struct buf in, out, content;
	bool in_data, hung, mail, closing;
	size_t bdat; /* octets still to come */
	bool in_bdat;
	unsigned messages, rcpts;
};

static void
line_free(struct line *l)
{
	l->f->open--;
	bufferevent_free(l->bev);
	event_free(l->tick);
	buf_release(&l->in);
	buf_release(&l->out);
	buf_release(&l->content);
	free(l);
}

/* Sends what may be sent; false: the line was dropped. */
static bool
line_flush(struct line *l)
{
	const struct timeval now = { 0, 0 };
	struct fake *f = l->f;
	size_t n = l->out.len;

	if (f->slow && n > 1)
		n = 1;
	if (f->hang_after_out >= 0 && f->out + (long)n >= f->hang_after_out) {
		n = (size_t)(f->hang_after_out - f->out);
		l->hung = true;
	}
	evutil_socket_t fd = bufferevent_getfd(l->bev);
	if (n > 0)
		assert_true(send(fd, l->out.ptr, n, MSG_NOSIGNAL) != 0);
	f->out += (long)n;
	buf_consume(&l->out, n);
	if (l->hung || (l->closing && l->out.len == 0)) {
		line_free(l);
		return false;
	}
	if (l->out.len > 0)
		evtimer_add(l->tick, &now);
	return true;
}

static void
line_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)line_flush(arg);
}

static void
say(struct line *l, const char *text)
{
	buf_adds(&l->out, text);
}

static void
message_came(struct line *l)
{
	struct fake *f = l->f;

	buf_clear(&f->content);
	buf_add(&f->content, l->content.ptr, l->content.len);
	buf_clear(&l->content);
	f->messages++;
	l->messages++;
	if (l->rcpts > f->rcpts_max)
		f->rcpts_max = l->rcpts;
	l->in_data = l->in_bdat = l->mail = false;
	for (unsigned i = f->lmtp ? l->rcpts : 1; i > 0; i--)
		say(l, f->end);
	l->rcpts = 0;
}

static void
data_line(struct line *l, const char *text, size_t len)
{
	if (len == 3 && memcmp(text, ".\r\n", 3) == 0)
		message_came(l);
	else if (text[0] == '.')
		buf_add(&l->content, text + 1, len - 1);
	else
		buf_add(&l->content, text, len);
}

static void
rcpt_line(struct line *l, const char *text)
{
	if (strstr(text, "nobody") != NULL) {
		say(l, "550 5.1.1 no such user\r\n");
	} else if (strstr(text, "later") != NULL) {
		say(l, "450 come back\r\n");
	} else if (strstr(text, "odd") != NULL) {
		say(l, "550 4.7.1 which of the two\r\n");
	} else {
		l->rcpts++;
		l->f->rcpts++;
		say(l, "250 2.1.5 fine\r\n");
	}
}

static void
mail_line(struct line *l)
{
	if (l->f->per_line > 0 && l->messages >= l->f->per_line) {
		say(l, "421 4.7.0 enough of you\r\n");
		l->closing = true;
		return;
	}
	say(l, l->f->mail);
	l->mail = l->f->mail[0] == '2';
}

static void
command_line(struct line *l, const char *text)
{
	if (l->closing)
		return;
	if (strncmp(text, l->f->lmtp ? "LHLO " : "EHLO ", 5) == 0) {
		say(l, l->f->ehlo);
	} else if (!l->f->lmtp && strncmp(text, "HELO ", 5) == 0) {
		say(l, "250 hello\r\n");
	} else if (strncmp(text, "MAIL ", 5) == 0) {
		mail_line(l);
	} else if (strncmp(text, "RCPT ", 5) == 0) {
		if (l->mail)
			rcpt_line(l, text);
		else
			say(l, "503 5.5.1 MAIL first\r\n");
	} else if (strncmp(text, "DATA", 4) == 0) {
		l->in_data = l->rcpts > 0 && l->f->data[0] == '3';
		say(l,
		    l->rcpts > 0 ? l->f->data : "554 5.5.1 no recipients\r\n");
	} else if (strncmp(text, "BDAT ", 5) == 0) {
		l->bdat = (size_t)strtoul(text + 5, NULL, 10);
		l->in_bdat = true;
		assert_non_null(strstr(text, "LAST"));
	} else if (strncmp(text, "QUIT", 4) == 0) {
		l->f->quits++;
		say(l, "221 bye\r\n");
		l->closing = true;
	} else {
		l->mail = false;
		l->rcpts = 0;
		say(l, "250 ok\r\n");
	}
}

static void
line_parse(struct line *l)
{
	char *lf, *copy;
	size_t n;

	for (;;) {
		if (l->in_bdat) {
			n = l->in.len < l->bdat ? l->in.len : l->bdat;
			buf_add(&l->content, l->in.ptr, n);
			buf_consume(&l->in, n);
			l->bdat -= n;
			if (l->bdat > 0)
				return;
			message_came(l);
		}
		if (l->in.len == 0)
			return;
		lf = memchr(l->in.ptr, '\n', l->in.len);
		if (lf == NULL)
			return;
		n = (size_t)(lf - l->in.ptr) + 1;
		copy = mem_strndup(l->in.ptr, n);
		if (l->in_data)
			data_line(l, l->in.ptr, n);
		else
			command_line(l, copy);
		free(copy);
		buf_consume(&l->in, n);
	}
}

static void
line_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct line *l = arg;
	struct fake *f = l->f;
	size_t n = evbuffer_get_length(in);

	if (f->hang_after_in >= 0 && f->in + (long)n >= f->hang_after_in) {
		n = (size_t)(f->hang_after_in - f->in);
		l->hung = true;
	}
	f->in += (long)n;
	if (n > 0) {
		buf_add(&l->in, evbuffer_pullup(in, (ev_ssize_t)n), n);
		evbuffer_drain(in, n);
	}
	line_parse(l);
	(void)line_flush(l);
}

static void
line_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	line_free(arg);
}

static void
accepted(struct evconnlistener *listener, evutil_socket_t fd,
    struct sockaddr *addr, int len, void *arg)
{
	struct line *l = mem_alloc(1, sizeof(*l));
	struct fake *f = arg;

	(void)listener;
	(void)addr;
	(void)len;
	l->f = f;
	l->bev = bufferevent_socket_new(f->base, fd, BEV_OPT_CLOSE_ON_FREE);
	l->tick = evtimer_new(f->base, line_tick, l);
	f->lines++;
	if (++f->open > f->open_max)
		f->open_max = f->open;
	bufferevent_setcb(l->bev, line_read, NULL, line_event, l);
	bufferevent_enable(l->bev, EV_READ);
	say(l, f->greeting);
	if (f->greeting[0] != '2')
		l->closing = true;
	(void)line_flush(l);
}

void
fake_listen(struct fake *f, const struct sockaddr *addr, socklen_t len)
{
	f->listener = evconnlistener_new_bind(f->base, accepted, f,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 64, addr, (int)len);
	assert_non_null(f->listener);
}

void
fake_open(struct fake *f, struct event_base *base)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t len = sizeof(in);

	memset(f, 0, sizeof(*f));
	f->base = base;
	f->greeting = "220 fake\r\n";
	f->ehlo = FULL_EHLO;
	f->mail = "250 2.1.0 go on\r\n";
	f->data = "354 send\r\n";
	f->end = "250 2.6.0 taken\r\n";
	f->hang_after_in = f->hang_after_out = -1;
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fake_listen(f, (struct sockaddr *)&in, sizeof(in));
	assert_int_equal(getsockname(evconnlistener_get_fd(f->listener),
			     (struct sockaddr *)&in, &len),
	    0);
	snprintf(
	    f->target, sizeof(f->target), "127.0.0.1:%u", ntohs(in.sin_port));
}
