/* SPDX-License-Identifier: ISC */
/*
 * The control socket.
 *
 * One request at a time is read from a connection and answered; while it is,
 * nothing more is read.  So a client that does not take its answer holds
 * nobody up but itself, and costs one buffer.
 */
#include "node/control.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "node/control_impl.h"
#include "node/listener.h"

#define LINE_MAX_OCTETS (256 * 1024)	/* of a request */
#define OUT_LOW 65536			/* ask for more below this */
#define CONNS_MAX 256
#define CONNS_OTHERS 128		/* of those who are not admins */
#define CONNS_UID 16			/* of one such uid */

static const struct timeval patience = { 300, 0 };

struct control {
	struct daemon *d;
	char *path;
	int fd;
	struct event *accepting;
	int64_t since_ms;
	struct list conns;
	size_t nconns;
};

enum authority { FOR_ALL, FOR_ADMINS, FOR_SUBMIT };

static void	control_submit(struct control_conn *, const json_t *);

static const struct request_row {
	const char *cmd;
	control_request *answer;
	enum authority who;
} requests[] = {
	{ "status", control_status, FOR_ALL },
	{ "route", control_route, FOR_ALL },
	{ "list", control_list, FOR_ADMINS },
	{ "show", control_show, FOR_ADMINS },
	{ "hold", control_operate, FOR_ADMINS },
	{ "release", control_operate, FOR_ADMINS },
	{ "delete", control_operate, FOR_ADMINS },
	{ "retry", control_operate, FOR_ADMINS },
	{ "broken-list", control_broken_list, FOR_ADMINS },
	{ "broken-show", control_broken_show, FOR_ADMINS },
	{ "broken-delete", control_broken_delete, FOR_ADMINS },
	{ "broken-export", control_broken_export, FOR_ADMINS },
	{ "bundles", control_bundles, FOR_ADMINS },
	{ "flush", control_flush, FOR_ADMINS },
	{ "reload", control_reload, FOR_ADMINS },
	{ "stop", control_stop, FOR_ADMINS },
	{ "verify", control_verify, FOR_ADMINS },
	{ "backup", control_backup, FOR_ADMINS },
	{ "trace", control_trace, FOR_ADMINS },
	{ "peer-test", control_peer_test, FOR_ADMINS },
	{ "peer-test-status", control_peer_test_status, FOR_ADMINS },
	{ "keys", control_keys, FOR_ALL },
	{ "key-rotate", control_key_rotate, FOR_ADMINS },
	{ "card", control_card, FOR_ADMINS },
	{ "submit", control_submit, FOR_SUBMIT },
	{ "receive", control_receive, FOR_ALL },	/* looks itself */
};

void
control_say(struct control_conn *c, json_t *line)
{
	char *text = json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER);

	if (text != NULL) {
		buf_adds(&c->out, text);
		buf_addc(&c->out, '\n');
	}
	free(text);
	json_decref(line);
}

void
control_end(struct control_conn *c, json_t *extra)
{
	json_t *line = json_pack("{s:b}", "end", 1);

	if (extra != NULL)
		json_object_update(line, extra);
	json_decref(extra);
	control_say(c, line);
}

static const char *
code_word(int code)
{
	static const char *const words[] = {
		[0] = "usage",
		[-ERR_SYNTAX] = "syntax", [-ERR_LIMIT] = "limit",
		[-ERR_IO] = "io", [-ERR_FULL] = "full",
		[-ERR_NOT_FOUND] = "not-found", [-ERR_EXISTS] = "exists",
		[-ERR_CORRUPT] = "corrupt", [-ERR_CONFIG] = "config",
		[-ERR_DENIED] = "denied",
		[-ERR_UNSUPPORTED] = "unsupported", [-ERR_STATE] = "state",
	};
	size_t i = code < 0 ? (size_t)-code : 0;

	return i < sizeof(words) / sizeof(words[0]) ? words[i] : "io";
}

void
control_error(struct control_conn *c, int code, const char *fmt, ...)
{
	struct buf text = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	control_say(c, json_pack("{s:o, s:s}", "error",
	    control_text(buf_cstr(&text)), "code", code_word(code)));
	buf_release(&text);
}

json_t *
control_text(const char *text)
{
	struct buf plain = BUF_INIT;
	json_t *value;

	if (text == NULL)
		return json_null();
	if (utf8_valid(slice_of(text)))
		return json_string(text);
	text_escape(&plain, slice_of(text), SIZE_MAX, true);
	value = json_stringn(plain.ptr, plain.len);
	buf_release(&plain);
	return value;
}

json_t *
control_time(int64_t wall_ms)
{
	struct buf text = BUF_INIT;
	json_t *value;

	if (wall_ms <= 0)
		return json_null();
	timestamp_format(&text, wall_ms);
	value = json_stringn(text.ptr, text.len);
	buf_release(&text);
	return value;
}

const char *
control_member(const json_t *request, const char *key)
{
	return json_string_value(json_object_get(request, key));
}

int64_t
control_since_ms(const struct control_conn *c)
{
	return c->control->since_ms;
}

bool
control_listed(const struct conf_strings *users, uid_t uid)
{
	for (size_t i = 0; i < users->n; i++) {
		const struct passwd *pw;
		uint64_t n;

		if (num_parse(slice_of(users->item[i]), UINT32_MAX, &n) == 0) {
			if (n == uid)
				return true;
			continue;
		}
		pw = getpwnam(users->item[i]);
		if (pw != NULL && pw->pw_uid == uid)
			return true;
	}
	return false;
}

void
control_set_state(struct control_conn *c, void *state,
    void (*state_free)(void *state))
{
	if (c->state_free != NULL)
		c->state_free(c->state);
	c->state = state;
	c->state_free = state_free;
}

/* The descriptor is closed unless it was given away. */
static void
conn_free(struct control_conn *c)
{
	control_set_state(c, NULL, NULL);
	list_del(&c->link);
	c->control->nconns--;
	event_free(c->reading);
	event_free(c->writing);
	if (c->fd != -1)
		close(c->fd);
	buf_release(&c->in);
	buf_release(&c->out);
	free(c);
}

static bool
may_submit(const struct control_conn *c)
{
	static const struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const struct conf *conf = c->d->conf;

	for (size_t i = 0; i < conf->nlisteners; i++)
		if (conf_net_match(conf->listener[i].allow,
		    conf->listener[i].nallow, &addr, c->uid))
			return true;
	return c->admin;
}

static void
control_submit(struct control_conn *c, const json_t *request)
{
	(void)request;
	if (c->d->stopping) {
		control_error(c, ERR_STATE, "the daemon is stopping");
		return;
	}
	c->hand_over = true;
	control_end(c, NULL);
}

static const struct request_row *
find_request(const char *cmd)
{
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (cmd != NULL && strcmp(requests[i].cmd, cmd) == 0)
			return &requests[i];
	return NULL;
}

static void
answer(struct control_conn *c, struct slice line)
{
	json_error_t fault;
	json_t *request = json_loadb(line.ptr, line.len, 0, &fault);
	const char *cmd = control_member(request, "cmd");
	const struct request_row *row = find_request(cmd);

	if (request == NULL)
		control_error(c, ERR_SYNTAX, "request, column %d: %s",
		    fault.column, fault.text);
	else if (row == NULL)
		control_error(c, 0, "no such request: %s",
		    cmd != NULL ? cmd : "\"cmd\" is missing");
	else if ((row->who == FOR_ADMINS && !c->admin) ||
	    (row->who == FOR_SUBMIT && !may_submit(c)))
		control_error(c, ERR_DENIED,
		    "user id %lu may not do this (%s)",
		    (unsigned long)c->uid, cmd);
	else
		row->answer(c, request);
	json_decref(request);
}

/* One request out of `in`; false if there is none. */
static bool
take_line(struct control_conn *c)
{
	const char *end = c->in.len == 0 ? NULL :
	    memchr(c->in.ptr, '\n', c->in.len);
	struct slice line;

	if (end == NULL) {
		if (c->in.len < LINE_MAX_OCTETS)
			return false;
		control_error(c, ERR_LIMIT, "a request has at most %d octets",
		    LINE_MAX_OCTETS);
		c->closing = true;
		return true;
	}
	line.ptr = c->in.ptr;
	line.len = (size_t)(end - c->in.ptr);
	answer(c, line);
	/* `in` is used by nobody else while a request is answered */
	buf_consume(&c->in, line.len + 1);
	return true;
}

static bool
is_idle(const struct control_conn *c)
{
	return c->more == NULL && !c->busy && c->out.len == 0 &&
	    !c->closing && !c->hand_over;
}

/* Waits for what comes next, in or out. */
static void
arrange(struct control_conn *c)
{
	if (c->out.len > 0 || c->more != NULL || c->closing || c->hand_over)
		event_add(c->writing, &patience);
	else
		event_del(c->writing);
	if (is_idle(c))
		event_add(c->reading, &patience);
	else
		event_del(c->reading);
}

/* Uses what has come in as far as possible. */
static void
proceed(struct control_conn *c)
{
	while (is_idle(c)) {
		if (c->octets != NULL) {
			c->octets(c);
			break;
		}
		if (!take_line(c))
			break;
	}
	arrange(c);
}

void
control_ready(struct control_conn *c)
{
	c->busy = false;
	proceed(c);
}

static void
on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct control_conn *c = ctx;
	ssize_t n;

	if (what & EV_TIMEOUT) {
		conn_free(c);
		return;
	}
	n = read(fd, buf_room(&c->in, 65536), 65536);
	if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
		arrange(c);
		return;
	}
	if (n <= 0) {
		conn_free(c);
		return;
	}
	buf_grown(&c->in, (size_t)n);
	proceed(c);
}

/* All was taken by the client. */
static void
drained(struct control_conn *c)
{
	if (c->hand_over) {
		listener_adopt(c->d->listeners, c->fd, c->uid);
		c->fd = -1;
	}
	if (c->hand_over || c->closing)
		conn_free(c);
	else
		proceed(c);
}

void
control_push(struct control_conn *c)
{
	ssize_t n = send(c->fd, c->out.ptr, c->out.len, MSG_NOSIGNAL);

	if (n > 0)
		buf_consume(&c->out, (size_t)n);
}

static void
on_writable(evutil_socket_t fd, short what, void *ctx)
{
	struct control_conn *c = ctx;
	ssize_t n = 0;

	if (what & EV_TIMEOUT) {
		conn_free(c);
		return;
	}
	if (c->more != NULL && c->out.len < OUT_LOW && !c->more(c))
		c->more = NULL;
	if (c->out.len > 0)
		n = send(fd, c->out.ptr, c->out.len, MSG_NOSIGNAL);
	if (n == -1 && errno != EAGAIN && errno != EINTR) {
		conn_free(c);
		return;
	}
	if (n > 0)
		buf_consume(&c->out, (size_t)n);
	if (c->out.len == 0 && c->more == NULL)
		drained(c);
	else
		arrange(c);
}

static bool
too_many(const struct control *control, uid_t uid, bool admin)
{
	size_t others = 0, same = 0;
	struct list *l;

	if (admin)
		return control->nconns >= CONNS_MAX;
	list_for_each(l, &control->conns) {
		const struct control_conn *c =
		    list_entry(l, struct control_conn, link);

		others += !c->admin;
		same += c->uid == uid;
	}
	return others >= CONNS_OTHERS || same >= CONNS_UID;
}

static void
conn_new(struct control *control, int fd, uid_t uid)
{
	struct control_conn *c = mem_alloc(1, sizeof(*c));

	c->control = control;
	c->d = control->d;
	c->fd = fd;
	c->uid = uid;
	c->admin = uid == 0 || uid == geteuid() ||
	    control_listed(&control->d->conf->admins, uid);
	list_add_tail(&control->conns, &c->link);
	control->nconns++;
	c->reading = event_new(c->d->base, fd, EV_READ, on_readable, c);
	c->writing = event_new(c->d->base, fd, EV_WRITE, on_writable, c);
	if (too_many(control, uid, c->admin)) {
		control_error(c, ERR_LIMIT, "too many connections");
		c->closing = true;
	}
	arrange(c);
}

static void
on_accept(evutil_socket_t listening, short what, void *ctx)
{
	struct control *control = ctx;
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)what;
	if (fd == -1)
		return;
	if (control->nconns >= CONNS_MAX + CONNS_UID ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1) {
		close(fd);
		return;
	}
	conn_new(control, fd, cred.uid);
}

/* Somebody may listen there already: another daemon. */
static int
clear_path(const struct sockaddr_un *addr, struct err *e)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r;

	if (fd == -1)
		return err_errno(e, "socket");
	r = connect(fd, (const struct sockaddr *)addr, sizeof(*addr));
	close(fd);
	if (r == 0)
		return err_set(e, ERR_STATE,
		    "%s: another daemon answers there", addr->sun_path);
	if (unlink(addr->sun_path) == -1 && errno != ENOENT)
		return err_errno(e, "%s", addr->sun_path);
	return 0;
}

static int
set_access(const struct control *control, struct err *e)
{
	const char *name = control->d->conf->group;
	const struct group *gr;

	if (name != NULL) {
		gr = getgrnam(name);
		if (gr == NULL)
			return err_set(e, ERR_CONFIG, "group %s: there is no "
			    "such group", name);
		if (chown(control->path, (uid_t)-1, gr->gr_gid) == -1)
			return err_errno(e, "%s: group %s", control->path,
			    name);
	}
	if (chmod(control->path, 0660) == -1)
		return err_errno(e, "%s", control->path);
	return 0;
}

static int
open_socket(struct control *control, struct err *e)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(control->path);
	mode_t mask;
	int r;

	if (len >= sizeof(addr.sun_path))
		return err_set(e, ERR_LIMIT, "%s: too long for a socket",
		    control->path);
	memcpy(addr.sun_path, control->path, len + 1);
	if (clear_path(&addr, e) < 0)
		return e->code;
	control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	if (control->fd == -1)
		return err_errno(e, "socket");
	mask = umask(0177);
	r = bind(control->fd, (const struct sockaddr *)&addr, sizeof(addr));
	umask(mask);
	if (r == -1 || listen(control->fd, 128) == -1)
		return err_errno(e, "%s", control->path);
	return set_access(control, e);
}

struct control *
control_new(struct daemon *d, struct err *e)
{
	struct control *control = mem_alloc(1, sizeof(*control));

	control->d = d;
	control->since_ms = clock_mono_ms(d->clock);
	control->path = mem_strdup(d->conf->control);
	control->fd = -1;
	list_init(&control->conns);
	if (open_socket(control, e) < 0) {
		control_free(control);
		return NULL;
	}
	control->accepting = event_new(d->base, control->fd,
	    EV_READ | EV_PERSIST, on_accept, control);
	event_add(control->accepting, NULL);
	return control;
}

void
control_free(struct control *control)
{
	if (control == NULL)
		return;
	while (!list_empty(&control->conns))
		conn_free(list_entry(control->conns.next,
		    struct control_conn, link));
	if (control->accepting != NULL) {
		event_free(control->accepting);
		unlink(control->path);
	}
	if (control->fd != -1)
		close(control->fd);
	free(control->path);
	free(control);
}
