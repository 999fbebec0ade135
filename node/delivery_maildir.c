/* SPDX-License-Identifier: ISC */
/*
 * Delivery into Maildirs.  Mail is taken in groups: all temporary files are
 * written, then each is synced, all are renamed, and every directory touched
 * is synced once; only then are results told.  So a group of 64 costs 65
 * flushes where one by one it would cost 128.  The phases go step by step, an
 * item or 64 KiB at a time, and return to the event loop when a turn has
 * taken its share.  A group that is not full waits for more as long as the
 * flushes of the last one took: several small bundles then share them.
 */
#include "node/delivery_agent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "smtp/address.h"

#define GROUP_MAX 64		/* files, all open at the same time */
#define TURN_OCTETS (256 << 10)	/* written in one turn of the event loop */
#define TURN_MS 10
#define GATHER_MAX_MS 20

/* One file for one recipient. */
struct item {
	struct list link;
	struct delivery_task *task;
	size_t at;		/* which of the job's recipients */
	char *dir;		/* its Maildir */
	char *tmp, *path;	/* the file, before and after its rename */
	int fd;
	struct spool_body *body;
	bool held_cr;		/* a CR whose next octet is not known yet */
	bool failed;
	enum delivery_outcome outcome;
	char status[12];
	char text[ERR_TEXT_MAX];
};

struct maildir {
	struct delivery *agent;
	struct event *turn;
	struct list waiting;	/* tasks with recipients not yet in a group */
	size_t nwaiting;
	int64_t flushing_ms;	/* when the group's first flush began */
	int64_t gather_ms;	/* what the flushes of the last one took */
	struct list group;	/* items */
	size_t ngroup;
	size_t phase;
	struct list *done;	/* last item that the phase is through with */
	struct item *writing;
	struct map *users;	/* as user_of writes them; NULL: any */
	struct map *dirs;	/* to be synced; the values mean nothing */
	uint64_t counter;
	uint64_t written;	/* octets, in this turn */
	struct buf in, out;
};

static void
item_fail(struct item *it, enum delivery_outcome outcome, const char *status,
    const char *text)
{
	it->failed = true;
	it->outcome = outcome;
	snprintf(it->status, sizeof(it->status), "%s", status);
	snprintf(it->text, sizeof(it->text), "%s", text);
}

/* What the file system says is never the recipient's fault: retry.  errno is
 * still that of e. */
static void
item_fail_file(struct item *it, const struct err *e)
{
	const char *status = "4.3.0";

	if (e->code == ERR_FULL)
		status = errno == EDQUOT ? "4.2.2" : "4.3.1";
	item_fail(it, DELIVERY_RETRY, status, e->text);
}

static void
item_close(struct item *it)
{
	if (it->fd >= 0)
		close(it->fd);
	it->fd = -1;
	spool_body_close(it->body);
	it->body = NULL;
}

/* Removes what was written, unless it is delivered. */
static void
item_free(struct item *it)
{
	item_close(it);
	if (it->tmp != NULL)
		unlink(it->tmp);
	if (it->path != NULL && it->failed)
		unlink(it->path);
	list_del(&it->link);
	free(it->dir);
	free(it->tmp);
	free(it->path);
	free(it);
}

/*
 * Names.
 */

/* The local part as a name: without the quotes of RFC 5321's Quoted-string,
 * in lower case. */
static void
user_of(const char *addr, struct buf *out)
{
	struct slice local = address_local(addr);
	size_t i;

	if (local.len < 2 || local.ptr[0] != '"' ||
	    local.ptr[local.len - 1] != '"') {
		buf_addslice(out, local);
	} else {
		for (i = 1; i < local.len - 1; i++) {
			if (local.ptr[i] == '\\' && i + 1 < local.len - 1)
				i++;
			buf_addc(out, local.ptr[i]);
		}
	}
	ascii_lower(out->ptr, out->len);
}

/* As the routing table took the address: where users are named, those of the
 * form user+detail are user, but for whom is named so himself. */
static void
drop_detail(const struct map *users, struct buf *user)
{
	const char *plus = user->len == 0 ? NULL :
	    memchr(user->ptr, '+', user->len);
	struct slice name = buf_slice(user);

	if (users == NULL || plus == NULL || map_get(users, name) != NULL)
		return;
	name.len = (size_t)(plus - user->ptr);
	if (map_get(users, name) != NULL)
		buf_truncate(user, name.len);
}

/* Why a text from an address cannot name a directory, or NULL. */
static const char *
name_fault(struct slice s)
{
	size_t i;

	if (s.len == 0)
		return "is empty";
	if (s.ptr[0] == '.')
		return "begins with a dot";
	if (s.len > NAME_MAX)
		return "is too long";
	for (i = 0; i < s.len; i++) {
		if (s.ptr[i] == '/')
			return "holds a slash";
		if ((unsigned char)s.ptr[i] < ' ' || s.ptr[i] == 0x7f)
			return "holds a control character";
	}
	return NULL;
}

static bool
name_ok(struct item *it, struct slice name, const char *what,
    const char *status)
{
	const char *fault = name_fault(name);
	char text[128];

	if (fault == NULL)
		return true;
	snprintf(text, sizeof(text), "no mailbox: the %s %s", what, fault);
	item_fail(it, DELIVERY_FAILED, status, text);
	return false;
}

/* Fills in %u and %d; a target without either gets "/USER". */
static char *
expand(const char *target, struct slice user, struct slice domain)
{
	struct buf out = BUF_INIT;
	bool named = false;
	const char *p;

	for (p = target; *p != '\0'; p++) {
		if (p[0] == '%' && (p[1] == 'u' || p[1] == 'd')) {
			buf_addslice(&out, p[1] == 'u' ? user : domain);
			named = true;
			p++;
		} else if (p[0] == '%' && p[1] == '%') {
			buf_addc(&out, *++p);
		} else {
			buf_addc(&out, *p);
		}
	}
	if (!named) {
		buf_addc(&out, '/');
		buf_addslice(&out, user);
	}
	return buf_steal(&out);
}

static void
item_find_dir(struct item *it)
{
	struct delivery *a = it->task->agent;
	const struct maildir *m = a->self;
	size_t rcpt = it->task->job->rcpt[it->at];
	const char *addr = it->task->msg.env.rcpt[rcpt].address;
	struct buf user = BUF_INIT, domain = BUF_INIT;

	user_of(addr, &user);
	drop_detail(m->users, &user);
	buf_addslice(&domain, address_domain(addr));
	if (domain.len == 0)
		buf_adds(&domain, a->domain);
	ascii_lower(domain.ptr, domain.len);
	if (name_ok(it, buf_slice(&user), "local part",
	    user.len == 0 ? "5.1.3" : "5.1.1") &&
	    name_ok(it, buf_slice(&domain), "domain", "5.1.2"))
		it->dir = expand(a->target, buf_slice(&user),
		    buf_slice(&domain));
	buf_release(&user);
	buf_release(&domain);
}

/* Maildir's unique name.  Seconds, process and counter tell our own
 * deliveries apart; the inode those of two agents of this process. */
static char *
unique_name(struct maildir *m, const struct stat *st)
{
	int64_t ms = clock_wall_ms(m->agent->hooks.clock);
	char *name, *p;

	name = mem_printf("%lld.M%06lldP%ldI%llxQ%llu.%s,S=%lld",
	    (long long)(ms / 1000), (long long)(ms % 1000) * 1000,
	    (long)getpid(), (unsigned long long)st->st_ino,
	    (unsigned long long)++m->counter, m->agent->hostname,
	    (long long)st->st_size);
	for (p = name; *p != '\0'; p++)
		if (*p == '/' || *p == ':')
			*p = '_';
	return name;
}

/*
 * Phase 1: temporary files.
 */

/* Remembers all directories on the way down that will be new, and the one
 * that holds the first of them: their entries must be durable too. */
static void
note_dirs(struct maildir *m, const char *dir)
{
	char *path = mem_strdup(dir), *slash;
	bool missing = true;

	while (missing) {
		missing = access(path, F_OK) != 0;
		map_put(m->dirs, slice_of(path), m);
		slash = strrchr(path, '/');
		if (slash == NULL || slash == path)
			break;
		*slash = '\0';
	}
	free(path);
}

static int
make_maildir(struct maildir *m, const char *dir, struct err *e)
{
	static const char *const subs[] = { "tmp", "new", "cur" };
	char *path;
	size_t i;
	int rc = 0;

	note_dirs(m, dir);
	for (i = 0; i < 3 && rc == 0; i++) {
		path = path_join(dir, subs[i]);
		rc = file_make_dirs(path, 0700, e);
		free(path);
	}
	return rc;
}

/* Another agent of this process may count alike in the same Maildir. */
static int
open_tmp(struct maildir *m, struct item *it, struct err *e)
{
	int tries;

	for (tries = 0; tries < GROUP_MAX * 2; tries++) {
		it->tmp = mem_printf("%s/tmp/%lld.P%ldQ%llu.%s", it->dir,
		    (long long)(clock_wall_ms(m->agent->hooks.clock) / 1000),
		    (long)getpid(), (unsigned long long)++m->counter,
		    m->agent->hostname);
		it->fd = open(it->tmp, O_WRONLY | O_CREAT | O_EXCL |
		    O_CLOEXEC | O_NOFOLLOW, 0600);
		if (it->fd >= 0)
			return 0;
		err_errno(e, "cannot create %s", it->tmp);
		free(it->tmp);
		it->tmp = NULL;
		if (errno != EEXIST)
			break;
	}
	return e->code;
}

static void
item_spool_error(struct item *it, const struct err *e)
{
	const char *status, *text;
	enum delivery_outcome outcome;

	outcome = delivery_spool_outcome(e, &status, &text);
	item_fail(it, outcome, status, text);
}

static void
item_open(struct maildir *m, struct item *it)
{
	struct err e = ERR_INIT;
	int rc;

	item_find_dir(it);
	if (it->failed)
		return;
	if (spool_body_open(m->agent->hooks.spool, it->task->job->message,
	    &it->body, &e) < 0) {
		item_spool_error(it, &e);
		return;
	}
	rc = open_tmp(m, it, &e);
	if (rc == ERR_NOT_FOUND && make_maildir(m, it->dir, &e) == 0)
		rc = open_tmp(m, it, &e);
	if (rc < 0) {
		item_fail_file(it, &e);
		return;
	}
	delivery_head(it->task, &m->out);
}

static bool
item_flush(struct maildir *m, struct item *it)
{
	struct err e = ERR_INIT;
	int rc;

	rc = file_write_all(it->fd, m->out.ptr, m->out.len, &e);
	m->written += m->out.len;
	buf_clear(&m->out);
	if (rc < 0) {
		err_prefix(&e, "cannot write %s", it->tmp);
		item_fail_file(it, &e);
	}
	return rc == 0;
}

/* Writes one piece.  False when there is nothing left to write. */
static bool
item_write(struct maildir *m, struct item *it)
{
	struct err e = ERR_INIT;
	int rc;

	buf_clear(&m->in);
	rc = spool_body_read(it->body, &m->in, &e);
	if (rc < 0) {
		item_spool_error(it, &e);
		return false;
	}
	if (m->agent->crlf)
		buf_add(&m->out, m->in.ptr, m->in.len);
	else
		delivery_add_lf(&it->held_cr, &m->out, m->in.ptr, m->in.len);
	if (rc == 0 && it->held_cr)
		buf_addc(&m->out, '\r');
	return item_flush(m, it) && rc == 1;
}

/* A task becomes items as long as the group has room. */
static struct item *
next_item(struct maildir *m)
{
	struct delivery_task *t;
	struct item *it;

	while (m->ngroup < GROUP_MAX && !list_empty(&m->waiting)) {
		t = list_entry(m->waiting.next, struct delivery_task, link);
		if (delivery_task_load(t) < 0) {
			m->nwaiting--;
			continue;
		}
		it = mem_alloc(1, sizeof(*it));
		it->task = t;
		it->at = t->next++;
		it->fd = -1;
		if (t->next == t->job->nrcpt) {
			list_del(&t->link);
			m->nwaiting--;
		}
		list_add_tail(&m->group, &it->link);
		m->ngroup++;
		return it;
	}
	return NULL;
}

static bool
step_write(struct maildir *m)
{
	struct item *it = m->writing;

	if (it == NULL) {
		it = next_item(m);
		if (it == NULL)
			return false;
		buf_clear(&m->out);
		item_open(m, it);
	}
	m->writing = it;
	if (it->failed || !item_write(m, it))
		m->writing = NULL;
	/* So that the first flush of the group finds all files on their way,
	 * and the file system's journal is written for all of them at once:
	 * a third of the time. */
	if (m->writing == NULL && it->fd >= 0)
		(void)sync_file_range(it->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return true;
}

/*
 * Phases 2 to 5.
 */

/* The next item of this phase, or NULL at the end of the group. */
static struct item *
phase_item(struct maildir *m)
{
	if (m->done->next == &m->group)
		return NULL;
	m->done = m->done->next;
	return list_entry(m->done, struct item, link);
}

static bool
step_sync(struct maildir *m)
{
	struct item *it = phase_item(m);
	struct err e = ERR_INIT;
	struct stat st;
	char *name;

	if (it == NULL)
		return false;
	if (!it->failed && (fsync(it->fd) != 0 || fstat(it->fd, &st) != 0)) {
		err_errno(&e, "cannot sync %s", it->tmp);
		item_fail_file(it, &e);
	}
	if (!it->failed) {
		name = unique_name(m, &st);
		it->path = mem_printf("%s/new/%s", it->dir, name);
		free(name);
	}
	item_close(it);
	return true;
}

static bool
step_rename(struct maildir *m)
{
	struct item *it = phase_item(m);
	struct err e = ERR_INIT;
	char *dir;

	if (it == NULL)
		return false;
	if (it->failed)
		return true;
	if (rename(it->tmp, it->path) != 0) {
		err_errno(&e, "cannot rename %s to %s", it->tmp, it->path);
		item_fail_file(it, &e);
		free(it->path);
		it->path = NULL;
		return true;
	}
	free(it->tmp);
	it->tmp = NULL;
	dir = path_join(it->dir, "new");
	map_put(m->dirs, slice_of(dir), m);
	free(dir);
	return true;
}

/* Is dir the item's "new" or above it? */
static bool
item_below(const struct item *it, const char *dir)
{
	size_t len = strlen(dir);

	return it->path != NULL && strncmp(it->path, dir, len) == 0 &&
	    it->path[len] == '/';
}

static bool
step_dirs(struct maildir *m)
{
	struct err e = ERR_INIT;
	struct slice key;
	struct list *at;
	struct item *it;
	size_t pos = 0;
	void *value;
	char *dir;

	if (!map_next(m->dirs, &pos, &key, &value))
		return false;
	dir = slice_dup(key);
	/* Where we may write but not read, the kernel lets nobody sync. */
	if (file_sync_dir(dir, &e) < 0 && e.code != ERR_DENIED)
		list_for_each(at, &m->group) {
			it = list_entry(at, struct item, link);
			if (!it->failed && item_below(it, dir))
				item_fail_file(it, &e);
		}
	map_del(m->dirs, slice_of(dir));
	free(dir);
	return true;
}

static bool
step_tell(struct maildir *m)
{
	struct delivery_task *t;
	struct item *it;
	char text[PATH_MAX];

	if (list_empty(&m->group))
		return false;
	it = list_entry(m->group.next, struct item, link);
	t = it->task;
	if (it->failed) {
		delivery_task_tell(t, it->at, it->outcome, it->status,
		    it->text);
	} else {
		snprintf(text, sizeof(text), "written to %s", it->path);
		delivery_task_tell(t, it->at, DELIVERY_DONE, "2.0.0", text);
	}
	item_free(it);
	m->ngroup--;
	if (t->ntold == t->job->nrcpt)
		delivery_task_over(t);
	return true;
}

/* Each step does a little and says whether the phase goes on. */
static const struct phase {
	const char *name;
	bool (*step)(struct maildir *m);
} phases[] = {
	{ "write", step_write },
	{ "sync", step_sync },
	{ "rename", step_rename },
	{ "sync directories", step_dirs },
	{ "tell", step_tell },
};

#define NPHASES (sizeof(phases) / sizeof(phases[0]))

static void
turn_soon(struct maildir *m)
{
	struct timeval wait = { 0, 0 };
	bool full = m->nwaiting >= GROUP_MAX;

	if (list_empty(&m->group) && !full)
		wait.tv_usec = m->gather_ms * 1000;
	if (full || !evtimer_pending(m->turn, NULL))
		evtimer_add(m->turn, &wait);
}

static void
next_phase(struct maildir *m, int64_t now)
{
	m->phase++;
	m->done = &m->group;
	if (phases[m->phase - 1].step == step_write) {
		m->flushing_ms = now;
	} else if (phases[m->phase - 1].step == step_dirs) {
		m->gather_ms = now - m->flushing_ms;
		if (m->gather_ms > GATHER_MAX_MS)
			m->gather_ms = GATHER_MAX_MS;
	}
}

static void
turn(evutil_socket_t fd, short what, void *arg)
{
	struct maildir *m = arg;
	struct clock *clock = m->agent->hooks.clock;
	int64_t now = clock_mono_ms(clock), until = now + TURN_MS;

	(void)fd;
	(void)what;
	m->written = 0;
	while (m->phase < NPHASES) {
		if (!phases[m->phase].step(m))
			next_phase(m, now);
		now = clock_mono_ms(clock);
		if (m->written >= TURN_OCTETS || now >= until)
			break;
	}
	if (m->phase == NPHASES)
		m->phase = 0;
	if (!list_empty(&m->group) || !list_empty(&m->waiting))
		turn_soon(m);
}

static struct map *
users_of(const struct conf_strings *names)
{
	struct map *users = names->n > 0 ? map_new() : NULL;
	struct buf user = BUF_INIT;

	for (size_t i = 0; i < names->n; i++) {
		char *address = mem_printf("%s@", names->item[i]);

		buf_clear(&user);
		user_of(address, &user);
		map_put(users, buf_slice(&user), users);
		free(address);
	}
	buf_release(&user);
	return users;
}

static void *
maildir_new(struct delivery *a)
{
	struct maildir *m = mem_alloc(1, sizeof(*m));

	m->agent = a;
	m->turn = evtimer_new(a->base, turn, m);
	m->users = users_of(&a->conf->users);
	m->dirs = map_new();
	list_init(&m->waiting);
	list_init(&m->group);
	m->done = &m->group;
	buf_init(&m->in);
	buf_init(&m->out);
	return m;
}

/* What was not told will be tried again, so nothing of it may stay. */
static void
maildir_free(void *self)
{
	struct maildir *m = self;
	struct item *it;

	while (!list_empty(&m->group)) {
		it = list_entry(m->group.next, struct item, link);
		it->failed = true;
		item_free(it);
	}
	event_free(m->turn);
	map_free(m->dirs);
	if (m->users != NULL)
		map_free(m->users);
	buf_release(&m->in);
	buf_release(&m->out);
	free(m);
}

static void
maildir_start(void *self, struct delivery_task *t)
{
	struct maildir *m = self;

	list_add_tail(&m->waiting, &t->link);
	m->nwaiting++;
	turn_soon(m);
}

const struct delivery_driver delivery_maildir = {
	.name = "maildir",
	.make = maildir_new,
	.free = maildir_free,
	.start = maildir_start,
};
