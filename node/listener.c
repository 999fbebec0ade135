/* SPDX-License-Identifier: ISC */
/*
 * The sockets where mail is submitted.  They are opened before privileges are
 * dropped and keep copies of what the configuration says of them, so that
 * neither the daemon's parts nor a lasting configuration is needed then.  One
 * timer looks after all sessions instead of one for each: setting a timer on
 * every command would cost more than most commands do.
 */
#include "node/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "node/conf_net.h"
#include "node/sd.h"
#include "node/session.h"

#define BACKLOG 1024
#define ACCEPT_MAX 64	/* connections taken before others have a turn */
#define TICK_SECS 1

struct listener {
	struct listener_set *set;
	struct conf_endpoint at;
	char *address;
	int fd;
	bool inherited;		/* the file of a UNIX socket is not ours */
	struct conf_net *allow;
	size_t nallow;
	struct session_service service;
	struct event *readable;
};

struct listener_set {
	struct log *log;
	struct daemon *daemon;
	struct session_host host;
	struct listener *listener;
	size_t n;
	struct list clients;
	size_t nclients;
	struct map *counts;	/* of clients, by address or uid */
	struct event *tick, *pause;
	bool stopping;
};

struct client {
	struct list link;
	struct listener_set *set;
	struct session *session;
	char key[16];
	size_t key_len;
};

/* Who is there. */
struct caller {
	struct conf_endpoint at;
	uid_t uid;
	const struct session_service *service;
	char source[64];
	char key[16];
	size_t key_len;
};

/*
 * Opening.
 */
static bool
same_endpoint(const struct conf_endpoint *a, const struct conf_endpoint *b)
{
	if (a->at.sa.sa_family != b->at.sa.sa_family)
		return false;
	if (a->at.sa.sa_family == AF_UNIX)
		return strcmp(a->at.un.sun_path, b->at.un.sun_path) == 0;
	if (a->at.sa.sa_family == AF_INET)
		return a->at.in.sin_port == b->at.in.sin_port &&
		    a->at.in.sin_addr.s_addr == b->at.in.sin_addr.s_addr;
	return a->at.in6.sin6_port == b->at.in6.sin6_port &&
	    IN6_ARE_ADDR_EQUAL(&a->at.in6.sin6_addr, &b->at.in6.sin6_addr);
}

static bool
endpoint_of(int fd, struct conf_endpoint *end_out)
{
	memset(end_out, 0, sizeof(*end_out));
	/* One octet less: a path is then always ended. */
	end_out->len = sizeof(end_out->at) - 1;
	return getsockname(fd, &end_out->at.sa, &end_out->len) == 0;
}

static bool
is_listening(int fd)
{
	int on = 0;
	socklen_t len = sizeof(on);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on;
}

static int
find_inherited(const struct conf_endpoint *at, struct sd_sockets *socks)
{
	struct conf_endpoint own;
	size_t i;
	int fd;

	for (i = 0; i < socks->n; i++) {
		fd = socks->fd[i];
		if (fd < 0 || !is_listening(fd) || !endpoint_of(fd, &own) ||
		    !same_endpoint(&own, at))
			continue;
		socks->fd[i] = -1;
		(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		return fd;
	}
	return -1;
}

/* The file that a daemon left behind when it was killed. */
static int
remove_stale(const struct conf_endpoint *at, struct err *e)
{
	const char *path = at->at.un.sun_path;
	struct stat st;
	int fd, rc;

	if (lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return 0;	/* bind tells */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(e, "cannot make a socket");
	rc = connect(fd, &at->at.sa, at->len);
	if (rc == 0 || errno == EAGAIN)
		rc = err_set(e, ERR_EXISTS, "cannot listen on %s: another "
		    "process does", path);
	else if (errno == ECONNREFUSED && unlink(path) != 0)
		rc = err_errno(e, "cannot remove the old socket %s", path);
	else
		rc = 0;
	close(fd);
	return rc;
}

static int
set_owner(const struct conf *conf, const char *path, struct err *e)
{
	const struct passwd *pw = NULL;
	const struct group *gr = NULL;

	if (geteuid() != 0)
		return 0;
	if (conf->user != NULL)
		pw = getpwnam(conf->user);
	if (conf->group != NULL)
		gr = getgrnam(conf->group);
	if (lchown(path, pw != NULL ? pw->pw_uid : (uid_t)-1, gr != NULL ?
	    gr->gr_gid : pw != NULL ? pw->pw_gid : (gid_t)-1) != 0)
		return err_errno(e, "cannot give %s to its owner", path);
	return 0;
}

static int
bind_unix(int fd, const struct conf *conf, const struct conf_listener *cl,
    const struct conf_endpoint *at, struct err *e)
{
	const char *path = at->at.un.sun_path;
	mode_t mask;
	int rc = remove_stale(at, e);

	if (rc < 0)
		return rc;
	/* Never open to more than it shall be, not even for a moment. */
	mask = umask(0777 & ~cl->mode);
	rc = bind(fd, &at->at.sa, at->len);
	umask(mask);
	if (rc != 0)
		return err_errno(e, "cannot listen on %s", path);
	if (chmod(path, cl->mode) != 0)
		return err_errno(e, "cannot set the mode of %s", path);
	return set_owner(conf, path, e);
}

static int
bind_inet(int fd, const struct conf_listener *cl,
    const struct conf_endpoint *at, struct err *e)
{
	int on = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (at->at.sa.sa_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on,
		    sizeof(on));
	if (bind(fd, &at->at.sa, at->len) != 0)
		return err_errno(e, "cannot listen on %s", cl->address);
	return 0;
}

static int
bind_new(struct listener *l, const struct conf *conf,
    const struct conf_listener *cl, struct err *e)
{
	int rc;

	l->fd = socket(l->at.at.sa.sa_family,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return err_errno(e, "cannot make a socket for %s",
		    cl->address);
	if (l->at.at.sa.sa_family == AF_UNIX)
		rc = bind_unix(l->fd, conf, cl, &l->at, e);
	else
		rc = bind_inet(l->fd, cl, &l->at, e);
	if (rc == 0 && listen(l->fd, BACKLOG) != 0)
		rc = err_errno(e, "cannot listen on %s", cl->address);
	return rc;
}

static void
copy_rules(struct listener *l, const struct conf_listener *cl)
{
	l->service.lmtp = cl->lmtp;
	l->service.normalize = cl->normalize;
	l->service.hidden = cl->hidden;
	l->service.tls_required = cl->tls == CONF_TLS_ENCRYPT;
	l->service.by_certificate = cl->asks_certificate;
	free(l->allow);
	l->nallow = cl->nallow;
	l->allow = mem_alloc(cl->nallow + 1, sizeof(*l->allow));
	if (cl->nallow > 0)
		memcpy(l->allow, cl->allow, cl->nallow * sizeof(*l->allow));
	l->service.allow = l->allow;
	l->service.nallow = l->nallow;
}

/* Where the files can't be read now, what was read before stays. */
static int
read_certificate(struct listener *l, const struct conf *conf,
    const struct conf_listener *cl, struct err *e)
{
	struct tls_context *tls = NULL;

	if (cl->tls != CONF_TLS_NO) {
		tls = tls_server_context(conf->tls_certificate,
		    conf->tls_key, cl->asks_certificate, e);
		if (tls == NULL)
			return ERR_CONFIG;
	}
	tls_context_free(l->service.tls);
	l->service.tls = tls;
	return 0;
}

static int
open_one(struct listener *l, const struct conf *conf,
    const struct conf_listener *cl, struct sd_sockets *socks, struct err *e)
{
	int on = 1, rc;

	l->address = mem_strdup(cl->address);
	copy_rules(l, cl);
	rc = conf_endpoint_parse(cl->address, &l->at, e);
	if (rc == 0)
		rc = read_certificate(l, conf, cl, e);
	if (rc < 0)
		return rc;
	l->fd = find_inherited(&l->at, socks);
	l->inherited = l->fd >= 0;
	if (!l->inherited)
		rc = bind_new(l, conf, cl, e);
	/* Accepted sockets have it too then. */
	if (rc == 0 && l->at.at.sa.sa_family != AF_UNIX)
		(void)setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on,
		    sizeof(on));
	return rc;
}

static void
tell_unused(struct listener_set *set, const struct sd_sockets *socks)
{
	size_t i;

	for (i = 0; i < socks->n; i++)
		if (socks->fd[i] >= 0)
			log_event(set->log, LOG_LEVEL_WARNING,
			    "socket-unused", "fd",
			    num_str((unsigned)socks->fd[i]).s, NULL);
}

int
listener_set_open(const struct conf *conf, struct log *log,
    struct listener_set **set_out, struct err *e)
{
	struct listener_set *set = mem_alloc(1, sizeof(*set));
	struct sd_sockets socks;
	size_t i;
	int rc = 0;

	set->log = log;
	set->counts = map_new();
	list_init(&set->clients);
	set->listener = mem_alloc(conf->nlisteners + 1,
	    sizeof(*set->listener));
	sd_sockets_take(&socks);
	for (i = 0; i < conf->nlisteners && rc == 0; i++) {
		set->listener[i].set = set;
		set->listener[i].fd = -1;
		set->n = i + 1;
		rc = open_one(&set->listener[i], conf, &conf->listener[i],
		    &socks, e);
	}
	if (rc == 0)
		tell_unused(set, &socks);
	sd_sockets_release(&socks);
	if (rc < 0) {
		listener_set_free(set);
		set = NULL;
	}
	*set_out = set;
	return rc;
}

/*
 * Clients.
 */
static size_t
count_of(const struct listener_set *set, struct slice key)
{
	return (size_t)(uintptr_t)map_get(set->counts, key);
}

static void
client_free(struct client *c)
{
	struct listener_set *set = c->set;
	struct slice key = { c->key, c->key_len };
	size_t left = count_of(set, key) - 1;

	if (left > 0)
		map_put(set->counts, key, (void *)(uintptr_t)left);
	else
		map_del(set->counts, key);
	list_del(&c->link);
	set->nclients--;
	if (set->nclients == 0 && set->tick != NULL)
		event_del(set->tick);
	session_free(c->session);
	free(c);
}

static void
on_over(void *cookie)
{
	client_free(cookie);
}

static void
client_new(struct listener_set *set, int fd, const struct caller *who,
    bool welcome)
{
	struct client *c = mem_alloc(1, sizeof(*c));
	struct slice key = { c->key, who->key_len };
	struct timeval every = { TICK_SECS, 0 };

	c->set = set;
	memcpy(c->key, who->key, who->key_len);
	c->key_len = who->key_len;
	map_put(set->counts, key, (void *)(uintptr_t)(count_of(set, key) + 1));
	list_add_tail(&set->clients, &c->link);
	if (set->nclients++ == 0)
		event_add(set->tick, &every);
	c->session = session_new(&set->host, who->service, fd,
	    who->source, welcome, c);
}

/* Turned away before anything was read, so closing loses nothing. */
static void
turn_away(struct listener_set *set, int fd, const struct caller *who,
    const char *status, const char *text)
{
	struct buf out = BUF_INIT;

	log_event(set->log, LOG_LEVEL_WARNING, "session-refused",
	    "source", who->source, "code", "421", "reason", text, NULL);
	smtp_write_reply(&out, 421, status, text);
	(void)send(fd, out.ptr, out.len, MSG_NOSIGNAL);
	buf_release(&out);
	close(fd);
}

static void
admit(struct listener_set *set, int fd, const struct caller *who,
    bool welcome)
{
	const struct conf *conf = set->daemon->conf;
	struct slice key = { who->key, who->key_len };

	if (set->stopping) {
		turn_away(set, fd, who, "4.3.2", "Service is closing down");
	} else if (conf->sessions_max != 0 &&
	    set->nclients >= conf->sessions_max) {
		turn_away(set, fd, who, "4.7.0", "Too many sessions");
	} else if (conf->sessions_per_address != 0 &&
	    count_of(set, key) >= conf->sessions_per_address) {
		turn_away(set, fd, who, "4.7.0",
		    "Too many sessions from your address");
	} else {
		if (!welcome && !who->service->by_certificate)
			log_event(set->log, LOG_LEVEL_WARNING,
			    "session-refused", "source", who->source, "code",
			    "554", "reason", "not in the allow list", NULL);
		client_new(set, fd, who, welcome);
	}
}

static void
caller_unix(struct caller *who, uid_t uid)
{
	who->at.at.un.sun_family = AF_UNIX;
	who->uid = uid;
	snprintf(who->source, sizeof(who->source), "unix uid %lu",
	    (unsigned long)uid);
	who->key[0] = 'u';
	memcpy(who->key + 1, &uid, sizeof(uid));
	who->key_len = 1 + sizeof(uid);
}

static void
caller_inet(struct caller *who)
{
	char text[INET6_ADDRSTRLEN] = "?";
	const struct in6_addr *in6 = &who->at.at.in6.sin6_addr;
	const void *v4 = &who->at.at.in.sin_addr;

	if (who->at.at.sa.sa_family == AF_INET6 &&
	    !IN6_IS_ADDR_V4MAPPED(in6)) {
		inet_ntop(AF_INET6, in6, text, sizeof(text));
		/* Who has one address of a /64 has all. */
		memcpy(who->key, in6, 8);
		who->key_len = 8;
	} else {
		if (who->at.at.sa.sa_family == AF_INET6)
			v4 = &in6->s6_addr[12];
		inet_ntop(AF_INET, v4, text, sizeof(text));
		memcpy(who->key, v4, 4);
		who->key_len = 4;
	}
	snprintf(who->source, sizeof(who->source), "%s %s",
	    who->service->lmtp ? "lmtp" : "smtp", text);
}

static void
greet_caller(struct listener *l, int fd, struct caller *who)
{
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(cred);

	if (l->at.at.sa.sa_family == AF_UNIX) {
		(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
		caller_unix(who, cred.uid);
	} else {
		caller_inet(who);
	}
	admit(l->set, fd, who, conf_net_match(l->allow, l->nallow,
	    &who->at.at, who->uid));
}

static void
accept_all(struct listener_set *set, bool wanted)
{
	size_t i;

	for (i = 0; i < set->n; i++) {
		if (set->listener[i].readable == NULL)
			continue;
		if (wanted)
			event_add(set->listener[i].readable, NULL);
		else
			event_del(set->listener[i].readable);
	}
}

/* Out of descriptors or memory: what waits stays in the backlog. */
static void
pause_accepting(struct listener *l)
{
	struct timeval second = { 1, 0 };

	log_event(l->set->log, LOG_LEVEL_WARNING, "accept-failed",
	    "listener", l->address, "error", strerror(errno), NULL);
	accept_all(l->set, false);
	event_add(l->set->pause, &second);
}

static void
on_connection(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;
	unsigned i;

	(void)what;
	for (i = 0; i < ACCEPT_MAX; i++) {
		struct caller who = { .uid = (uid_t)-1,
		    .service = &l->service };
		int conn;

		who.at.len = sizeof(who.at.at);
		conn = accept4(fd, &who.at.at.sa, &who.at.len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (conn >= 0) {
			greet_caller(l, conn, &who);
		} else if (errno == EMFILE || errno == ENFILE ||
		    errno == ENOBUFS || errno == ENOMEM) {
			pause_accepting(l);
			return;
		} else if (errno != EINTR && errno != ECONNABORTED) {
			return;
		}
	}
}

static void
on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	accept_all(arg, true);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct listener_set *set = arg;
	int64_t now = clock_mono_ms(set->daemon->clock);
	struct list *item, *after;

	(void)fd;
	(void)what;
	list_for_each_safe(item, after, &set->clients)
		session_tick(list_entry(item, struct client, link)->session,
		    now);
}

/*
 * The set.
 */
void
listener_set_start(struct listener_set *set, struct daemon *d)
{
	size_t i;

	set->daemon = d;
	set->log = d->log;
	set->host.daemon = d;
	set->host.scratch = mem_alloc(1, SESSION_READ_MAX);
	set->host.over = on_over;
	set->tick = event_new(d->base, -1, EV_PERSIST, on_tick, set);
	set->pause = event_new(d->base, -1, 0, on_pause_over, set);
	for (i = 0; i < set->n; i++) {
		struct listener *l = &set->listener[i];

		l->readable = event_new(d->base, l->fd, EV_READ | EV_PERSIST,
		    on_connection, l);
		log_event(set->log, LOG_LEVEL_INFO, "listener-opened",
		    "address", l->address, "inherited",
		    l->inherited ? "yes" : NULL, NULL);
	}
	accept_all(set, true);
}

static void
reload_one(struct listener *l, const struct conf *conf,
    const struct conf_listener *cl)
{
	struct err e = ERR_INIT;

	copy_rules(l, cl);
	if (read_certificate(l, conf, cl, &e) < 0)
		log_event(l->set->log, LOG_LEVEL_WARNING, "tls-failed",
		    "source", l->address, "reason", e.text, NULL);
}

void
listener_set_reload(struct listener_set *set, const struct conf *conf)
{
	struct conf_endpoint at;
	size_t i, j;

	for (i = 0; i < conf->nlisteners; i++) {
		if (conf_endpoint_parse(conf->listener[i].address, &at,
		    NULL) < 0)
			continue;
		for (j = 0; j < set->n; j++)
			if (same_endpoint(&at, &set->listener[j].at))
				reload_one(&set->listener[j], conf,
				    &conf->listener[i]);
	}
}

static void
listener_close(struct listener *l)
{
	if (l->readable != NULL)
		event_free(l->readable);
	l->readable = NULL;
	if (l->fd < 0)
		return;
	if (l->at.at.sa.sa_family == AF_UNIX && !l->inherited) {
		struct conf_endpoint own;

		/* Not bound: the file is another's. */
		if (endpoint_of(l->fd, &own) && same_endpoint(&own, &l->at))
			(void)unlink(l->at.at.un.sun_path);
	}
	close(l->fd);
	l->fd = -1;
}

void
listener_set_stop(struct listener_set *set)
{
	struct list *item, *after;
	size_t i;

	set->stopping = true;
	for (i = 0; i < set->n; i++)
		listener_close(&set->listener[i]);
	if (set->pause != NULL)
		event_del(set->pause);
	list_for_each_safe(item, after, &set->clients)
		session_stop(list_entry(item, struct client, link)->session);
}

bool
listener_set_busy(const struct listener_set *set)
{
	struct list *item;

	list_for_each(item, &set->clients)
		if (!session_is_over(list_entry(item, struct client,
		    link)->session))
			return true;
	return false;
}

bool
listener_set_gathers(const struct listener_set *set, int64_t since_ms)
{
	const struct session *s;
	struct list *item;
	bool needed = false, more = false;

	list_for_each(item, &set->clients) {
		s = list_entry(item, struct client, link)->session;
		needed = needed || session_is_committing(s);
		more = more || session_is_joining(s, since_ms);
		if (needed && more)
			return true;
	}
	return false;
}

void
listener_set_free(struct listener_set *set)
{
	size_t i;

	if (set == NULL)
		return;
	while (!list_empty(&set->clients))
		client_free(list_entry(set->clients.next, struct client,
		    link));
	for (i = 0; i < set->n; i++) {
		listener_close(&set->listener[i]);
		free(set->listener[i].address);
		free(set->listener[i].allow);
		tls_context_free(set->listener[i].service.tls);
	}
	if (set->tick != NULL)
		event_free(set->tick);
	if (set->pause != NULL)
		event_free(set->pause);
	map_free(set->counts);
	free(set->host.scratch);
	free(set->listener);
	free(set);
}

void
listener_set_completed(struct listener_set *set,
    const struct exchange_completion *c)
{
	(void)set;
	if (c->cookie != NULL)
		session_completed(c->cookie, c);
}

bool
listener_set_is_own(const struct listener_set *set,
    const struct sockaddr *addr, socklen_t len)
{
	struct conf_endpoint to;
	size_t i;

	memset(&to, 0, sizeof(to));
	if (len >= sizeof(to.at))
		len = sizeof(to.at) - 1;
	memcpy(&to.at, addr, len);
	to.len = len;
	for (i = 0; i < set->n; i++)
		if (conf_endpoint_reaches(&to, &set->listener[i].at))
			return true;
	return false;
}

void
listener_adopt(struct listener_set *set, int fd, uid_t uid)
{
	static const struct session_service plain = { .lmtp = false };
	struct caller who = { .uid = uid, .service = &plain };

	caller_unix(&who, uid);
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	admit(set, fd, &who, true);
}
