/* SPDX-License-Identifier: ISC */
/*
 * Delivery to a mail server by SMTP, over TCP or a UNIX socket.  Jobs wait in
 * one queue; connections take from it, one job at a time, and stay for the
 * next.  What goes wrong before a server was ready concerns everybody who
 * waits; what goes wrong later concerns the job at hand alone.
 */
#include "node/delivery_conn.h"

#include <sys/un.h>

#include <netdb.h>
#include <stdlib.h>

#include "base/mem.h"

#define REOPEN_MS 30000		/* no more connections so long, when one was
				 * refused and others work */

/*
 * Addresses.
 */

static int
lookup_unix(struct smtp_agent *s, const char *path, struct err *e)
{
	struct sockaddr_un *un = (void *)&s->addr[0].ss;
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(un->sun_path))
		return err_set(e, ERR_CONFIG, "%s: bad length of a socket's "
		    "path", s->agent->target);
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, len + 1);
	s->addr[0].len = sizeof(*un);
	s->naddrs = 1;
	return 0;
}

/* "host:port", "[::1]:port", "host": the name and the port of it. */
static void
split_target(const char *target, char **host_out, char **port_out)
{
	const char *end = strchr(target, ']'), *colon;

	if (target[0] == '[' && end != NULL) {
		*host_out = mem_strndup(target + 1,
		    (size_t)(end - target) - 1);
		colon = end[1] == ':' ? end + 1 : NULL;
	} else {
		colon = strrchr(target, ':');
		*host_out = colon == NULL ? mem_strdup(target) :
		    mem_strndup(target, (size_t)(colon - target));
	}
	*port_out = mem_strdup(colon == NULL ? "25" : colon + 1);
}

static void
keep_addrs(struct smtp_agent *s, const struct addrinfo *ai)
{
	for (; ai != NULL && s->naddrs < SMTP_ADDRS_MAX; ai = ai->ai_next) {
		if (ai->ai_addrlen > sizeof(s->addr[0].ss))
			continue;
		memcpy(&s->addr[s->naddrs].ss, ai->ai_addr, ai->ai_addrlen);
		s->addr[s->naddrs++].len = ai->ai_addrlen;
	}
}

/* Literals need no resolver.  A name is looked up when it is first needed,
 * and again after a failure: that may block, but the server of a site is
 * rarely a name, and then one in /etc/hosts. */
static int
lookup(struct smtp_agent *s, struct err *e)
{
	const char *target = s->agent->target;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *ai = NULL;
	char *host, *port;
	int rc;

	memset(s->addr, 0, sizeof(s->addr));
	if (strncmp(target, "unix:", 5) == 0)
		return lookup_unix(s, target + 5, e);
	split_target(target, &host, &port);
	hints.ai_flags = AI_NUMERICSERV;
	rc = getaddrinfo(host, port, &hints, &ai);
	if (rc == 0)
		keep_addrs(s, ai);
	if (ai != NULL)
		freeaddrinfo(ai);
	free(host);
	free(port);
	if (s->naddrs > 0)
		return 0;
	return err_set(e, ERR_NOT_FOUND, "cannot find %s: %s", target,
	    rc != 0 ? gai_strerror(rc) : "no address");
}

/*
 * The queue.
 */

/* All who wait are told: there is no server.  Only those who wait now, a hook
 * may bring new ones. */
static void
fail_waiting(struct smtp_agent *s, enum delivery_outcome outcome,
    const char *status, const char *text)
{
	struct list now;
	struct delivery_task *t;

	list_init(&now);
	if (list_empty(&s->waiting))
		return;
	list_add_head(&s->waiting, &now);
	list_del(&s->waiting);
	while (!list_empty(&now)) {
		t = list_entry(now.next, struct delivery_task, link);
		delivery_task_tell_rest(t, outcome, status, text);
		delivery_task_over(t);
	}
}

void
smtp_open_failed(struct smtp_agent *s, enum delivery_outcome outcome,
    const char *status, const char *text)
{
	s->failed = true;
	s->failed_ms = clock_mono_ms(s->agent->hooks.clock);
	if (s->nconns == 0)
		fail_waiting(s, outcome, status, text);
}

static struct conn *
find_idle(struct smtp_agent *s)
{
	struct list *at;
	struct conn *c;

	list_for_each(at, &s->conns) {
		c = list_entry(at, struct conn, link);
		if (c->state == CONN_IDLE)
			return c;
	}
	return NULL;
}

/* Connections that will soon take a job: new ones, and those between two. */
static size_t
count_coming(const struct smtp_agent *s)
{
	struct list *at;
	size_t n = s->nopening;

	list_for_each(at, &s->conns) {
		struct conn *c = list_entry(at, struct conn, link);

		n += c->state == CONN_BUSY && c->task == NULL;
	}
	return n;
}

/* One connection for each who waits, up to the limit; but where a server lets
 * us have fewer, we do not insist. */
static bool
may_open(const struct smtp_agent *s)
{
	const struct list *at;
	size_t n = 0, coming = count_coming(s);

	if (s->nconns >= s->agent->connections)
		return false;
	if (s->failed && s->nconns > 0 && clock_mono_ms(
	    s->agent->hooks.clock) - s->failed_ms < REOPEN_MS)
		return false;
	list_for_each(at, &s->waiting)
		if (++n > coming)
			return true;
	return false;
}

/* False when it cannot be done now. */
static bool
open_one(struct smtp_agent *s)
{
	struct err e = ERR_INIT;

	if (s->tls_mode > CONF_TLS_MAY && s->tls == NULL) {
		smtp_open_failed(s, DELIVERY_RETRY, "4.3.5",
		    s->tls_error.text);
		return false;
	}
	if (s->naddrs == 0 && lookup(s, &e) < 0) {
		smtp_open_failed(s, DELIVERY_RETRY, e.code == ERR_CONFIG ?
		    "4.3.5" : "4.4.4", e.text);
		return false;
	}
	conn_open(s);
	return s->naddrs > 0;
}

static void
turn(evutil_socket_t fd, short what, void *arg)
{
	struct smtp_agent *s = arg;
	struct conn *c;

	(void)fd;
	(void)what;
	while (!list_empty(&s->waiting)) {
		c = find_idle(s);
		if (c != NULL) {
			conn_next(c);
			conn_run(c);
		} else if (!may_open(s) || !open_one(s)) {
			break;
		}
	}
}

void
smtp_turn_soon(struct smtp_agent *s)
{
	static const struct timeval now = { 0, 0 };

	if (!evtimer_pending(s->turn, NULL))
		evtimer_add(s->turn, &now);
}

/* The host that the target names. */
static char *
host_of(const char *target)
{
	char *host, *port;

	split_target(target, &host, &port);
	free(port);
	return host;
}

/* A file that cannot be read makes deliveries wait, and nothing else. */
static void
make_tls(struct smtp_agent *s)
{
	const struct conf_tls *tls = &s->agent->conf->tls;
	const struct delivery_hooks *hooks = &s->agent->hooks;

	s->tls_mode = tls->mode;
	s->tls_name = tls->name != NULL ? mem_strdup(tls->name) :
	    host_of(s->agent->target);
	if (tls->mode != CONF_TLS_NO)
		s->tls = tls_client_context(tls, hooks->certificate,
		    hooks->key, &s->tls_error);
}

static void *
smtp_new(struct delivery *a)
{
	struct smtp_agent *s = mem_alloc(1, sizeof(*s));

	s->agent = a;
	s->turn = evtimer_new(a->base, turn, s);
	list_init(&s->waiting);
	list_init(&s->conns);
	buf_init(&s->piece);
	make_tls(s);
	return s;
}

static void
smtp_free(void *self)
{
	struct smtp_agent *s = self;
	struct conn *c;

	while (!list_empty(&s->conns)) {
		c = list_entry(s->conns.next, struct conn, link);
		conn_free(c);
	}
	event_free(s->turn);
	buf_release(&s->piece);
	tls_context_free(s->tls);
	free(s->tls_name);
	free(s);
}

static void
smtp_start(void *self, struct delivery_task *t)
{
	struct smtp_agent *s = self;

	list_add_tail(&s->waiting, &t->link);
	smtp_turn_soon(s);
}

const struct delivery_driver delivery_smtp = {
	.name = "smtp",
	.make = smtp_new,
	.free = smtp_free,
	.start = smtp_start,
};
