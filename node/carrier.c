/* SPDX-License-Identifier: ISC */
/*
 * One road for each peer: its folders, its transport, the object being written
 * and the file being read.  Each does one thing at a time; what comes meanwhile
 * waits in the folders, which are the queue, so nothing is kept twice.
 */
#include "node/carrier.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"
#include "node/aside.h"
#include "node/intake.h"
#include "node/runner.h"
#include "transports/report.h"

#define STOP_SECS 5		/* patience with a transport told to stop */
#define AGAIN_SECS 30		/* until a file kept is looked at again */
#define REFUSED_TOLD 100	/* entries refused that are logged */

struct road {
	struct list link;
	struct carrier *carrier;
	char *peer, *out, *in, *aside;
	struct runner *runner;
	/* writing */
	struct outbound *outbound;
	struct file_writer file;
	struct sha256 hash;
	uint64_t object, octets;
	char *name;
	struct event *step;
	/* reading */
	struct intake *intake;
	char *taking;			/* name in in/ */
	char *kept;			/* the last one kept for later: the
					 * round goes on behind it */
	struct event *again;		/* begins a new round */
	struct map *refused;		/* names in in/ that were told of */
};

struct carrier {
	struct daemon *d;
	struct list roads;
	bool stopping;
};

static void take_next(struct road *r);

/*
 * Writing an object.
 */
static void
write_over(struct road *r)
{
	exchange_outbound_free(r->outbound);
	file_writer_abort(&r->file);
	free(r->name);
	r->outbound = NULL;
	r->name = NULL;
	daemon_wake(r->carrier->d);
}

static void
remove_out(const struct road *r, const char *name)
{
	char *path = path_join(r->out, name);

	(void)unlink(path);
	free(path);
}

static void
write_failed(struct road *r, int rc, const struct err *e)
{
	/* A damaged message was put aside and the object withdrawn by the
	 * exchange itself. */
	if (rc != ERR_CORRUPT && rc != ERR_UNSUPPORTED)
		exchange_object_unwritten(r->carrier->d->exchange, r->object,
		    e->text);
	write_over(r);
}

static int
write_finish(struct road *r, struct err *e)
{
	unsigned char digest[SHA256_LEN];
	int rc;

	sha256_end(&r->hash, digest);
	rc = file_writer_commit(&r->file, true, e);
	if (rc != 0)
		return rc;
	rc = exchange_object_written(r->carrier->d->exchange, r->object,
	    r->octets, digest, e);
	/* It was withdrawn meanwhile: nobody shall send it. */
	if (rc == ERR_NOT_FOUND)
		remove_out(r, r->name);
	if (rc == 0 || rc == ERR_NOT_FOUND)
		write_over(r);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static void
write_step(evutil_socket_t fd, short what, void *ctx)
{
	struct timeval now = { 0, 0 };
	struct buf piece = BUF_INIT;
	struct err e = ERR_INIT;
	struct road *r = ctx;
	int rc;

	(void)fd;
	(void)what;
	rc = exchange_outbound_read(r->outbound, &piece, &e);
	if (rc == 1) {
		sha256_add(&r->hash, piece.ptr, piece.len);
		r->octets += piece.len;
		rc = file_writer_add(&r->file, piece.ptr, piece.len, &e);
		if (rc == 0)
			event_add(r->step, &now);
	} else if (rc == 0) {
		rc = write_finish(r, &e);
	}
	if (rc < 0)
		write_failed(r, rc, &e);
	buf_release(&piece);
}

/* Is the file of an earlier run still there, to the octet? */
static bool
still_there(const struct road *r, const struct exchange_action *a)
{
	unsigned char digest[SHA256_LEN];
	char *path = path_join(r->out, a->name);
	struct sha256 hash;
	char piece[65536];
	uint64_t octets = 0;
	size_t n;
	FILE *f;

	f = fopen(path, "rbe");
	free(path);
	if (f == NULL)
		return false;
	sha256_init(&hash);
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0) {
		sha256_add(&hash, piece, n);
		octets += n;
	}
	(void)fclose(f);
	sha256_end(&hash, digest);
	return octets == a->octets &&
	    memcmp(digest, a->digest, sizeof(digest)) == 0;
}

static void
write_object(struct road *r, const struct exchange_action *a)
{
	struct timeval now = { 0, 0 };
	struct daemon *d = r->carrier->d;
	struct err e = ERR_INIT;
	int rc;

	if (r->outbound != NULL) {
		exchange_object_unwritten(d->exchange, a->object,
		    "another object of this peer is being written");
		return;
	}
	r->object = a->object;
	if (a->octets != 0 && still_there(r, a)) {
		if (exchange_object_written(d->exchange, a->object, a->octets,
		    a->digest, &e) != 0)
			exchange_object_unwritten(d->exchange, a->object,
			    e.text);
		daemon_wake(d);
		return;
	}
	r->octets = 0;
	sha256_init(&r->hash);
	rc = exchange_outbound_new(d->exchange, a->object, &r->outbound, &e);
	if (rc == 0)
		rc = file_writer_open(&r->file, r->out, a->name, 0640, &e);
	if (rc != 0) {
		write_failed(r, rc, &e);
		return;
	}
	r->name = mem_strdup(a->name);
	event_add(r->step, &now);
}

/*
 * Reading what arrived.
 */
static void
look_later(struct road *r)
{
	struct timeval wait = { AGAIN_SECS, 0 };

	evtimer_add(r->again, &wait);
}

static void
trim_aside(const struct road *r)
{
	struct daemon *d = r->carrier->d;

	(void)aside_trim(r->aside, clock_wall_ms(d->clock),
	    d->conf->broken_expire_secs);
}

static void
put_aside(const struct road *r, const char *path)
{
	struct err e = ERR_INIT;

	if (aside_put(r->aside, path, r->taking, &e) != 0)
		log_event(r->carrier->d->log, LOG_LEVEL_WARNING,
		    "file-not-kept", "path", path, "reason", e.text, NULL);
	trim_aside(r);
}

static void
taken(void *ctx, enum inbound_outcome outcome, const char *reason,
    uint64_t messages)
{
	struct road *r = ctx;
	char *path = path_join(r->in, r->taking);

	(void)reason;
	(void)messages;
	intake_free(r->intake);
	r->intake = NULL;
	if (outcome == INBOUND_ASIDE)
		put_aside(r, path);
	else if (outcome != INBOUND_LATER && unlink(path) != 0)
		log_event(r->carrier->d->log, LOG_LEVEL_WARNING,
		    "file-not-removed", "path", path, "reason",
		    strerror(errno), NULL);
	free(path);
	if (outcome == INBOUND_LATER) {
		free(r->kept);
		r->kept = r->taking;
	} else {
		free(r->taking);
	}
	r->taking = NULL;
	daemon_wake(r->carrier->d);
	take_next(r);
}

static int
no_dot_name(const struct dirent *de)
{
	return de->d_name[0] != '.';
}

static int
by_octets(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* What is wrong with this entry of in/; NULL: it is a file to be taken, or
 * has gone meanwhile. */
static const char *
entry_fault(const struct road *r, const struct dirent *de)
{
	struct stat st = { .st_mode = DTTOIF(de->d_type) };
	char *path;

	if (!report_name_ok(slice_of(de->d_name)))
		return "the name has blanks or control characters";
	if (de->d_type == DT_UNKNOWN) {
		path = path_join(r->in, de->d_name);
		if (lstat(path, &st) != 0)
			st.st_mode = S_IFREG;
		free(path);
	}
	if (S_ISLNK(st.st_mode))
		return "a symbolic link";
	if (S_ISDIR(st.st_mode))
		return "a directory";
	return S_ISREG(st.st_mode) ? NULL : "a device, pipe or socket";
}

/* Says once of each entry that it is refused, and leaves it to people. */
static void
refuse_entry(const struct road *r, struct map *refused, const char *name,
    const char *why)
{
	struct buf path = BUF_INIT;

	if (map_count(refused) == REFUSED_TOLD)
		return;
	if (map_get(r->refused, slice_of(name)) == NULL) {
		buf_addf(&path, "%s/%s", r->in, name);
		log_event(r->carrier->d->log, LOG_LEVEL_WARNING,
		    "file-refused", "peer", r->peer, "path", buf_cstr(&path),
		    "reason", why, NULL);
		buf_release(&path);
	}
	map_put(refused, slice_of(name), refused);
}

/* The first name in in/ behind the one kept last; the caller frees. */
static char *
next_file(struct road *r)
{
	struct map *refused = map_new();
	struct dirent **all;
	const char *fault;
	char *name = NULL;
	int i, n;

	n = scandir(r->in, &all, no_dot_name, by_octets);
	for (i = 0; i < n; i++) {
		fault = entry_fault(r, all[i]);
		if (fault != NULL)
			refuse_entry(r, refused, all[i]->d_name, fault);
		else if (name == NULL && (r->kept == NULL ||
		    strcmp(all[i]->d_name, r->kept) > 0))
			name = mem_strdup(all[i]->d_name);
		free(all[i]);
	}
	if (n >= 0)
		free(all);
	map_free(r->refused);
	r->refused = refused;
	return name;
}

static void
take_next(struct road *r)
{
	struct slice pickup = { NULL, 0 };
	char *path;

	if (r->intake != NULL || r->carrier->stopping)
		return;
	r->taking = next_file(r);
	if (r->taking == NULL) {
		if (r->kept != NULL && !evtimer_pending(r->again, NULL))
			look_later(r);
		return;
	}
	/* postrider-transport(7): what stands behind a "~" tells the pick-up
	 * from any other. */
	if (strchr(r->taking, '~') != NULL)
		pickup = slice_of(r->taking);
	path = path_join(r->in, r->taking);
	r->intake = intake_start(r->carrier->d, r->peer, path, r->taking,
	    pickup, taken, r);
	free(path);
}

static void
look_again(evutil_socket_t fd, short what, void *ctx)
{
	struct road *r = ctx;

	(void)fd;
	(void)what;
	free(r->kept);
	r->kept = NULL;
	take_next(r);
}

/*
 * The transport.
 */
static void
report(void *ctx, enum runner_report what, const char *name, const char *text,
    uint64_t done, uint64_t total)
{
	struct road *r = ctx;
	struct daemon *d = r->carrier->d;
	struct err e = ERR_INIT;

	(void)done;
	(void)total;
	switch (what) {
	case RUNNER_SENDING:
		return;
	case RUNNER_SENT:
		if (exchange_transport_sent(d->exchange, r->peer, name,
		    &e) != 0)
			log_event(d->log, LOG_LEVEL_WARNING, "object-unsettled",
			    "peer", r->peer, "name", name, "reason", e.text,
			    NULL);
		break;
	case RUNNER_RECEIVED:
		take_next(r);
		break;
	case RUNNER_FAILED_TEMPORARY:
	case RUNNER_FAILED_PERMANENT:
		exchange_transport_failed(d->exchange, r->peer, name,
		    what == RUNNER_FAILED_PERMANENT, text);
		break;
	case RUNNER_RETURNED_TEMPORARY:
	case RUNNER_RETURNED_PERMANENT:
		exchange_transport_returned(d->exchange, r->peer, name,
		    what == RUNNER_RETURNED_PERMANENT, text);
		break;
	case RUNNER_NOTE:
		log_event(d->log, LOG_LEVEL_INFO, "transport-note", "peer",
		    r->peer, "text", text, NULL);
		return;
	}
	daemon_wake(d);
}

static void
exited(void *ctx, int status, const char *text)
{
	struct road *r = ctx;

	exchange_transport_exited(r->carrier->d->exchange, r->peer, status,
	    text);
	take_next(r);
	daemon_wake(r->carrier->d);
}

/* An installed daemon has its programs in libexec; one in a build folder has
 * them beside itself. */
static char *
program_path(const struct conf *conf, const char *transport)
{
	char self[4096], *dir, *path;
	ssize_t n;

	if (strchr(transport, '/') != NULL)
		return mem_strdup(transport);
	if (conf->libexec_dir != NULL)
		return path_join(conf->libexec_dir, transport);
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n > 0) {
		self[n] = '\0';
		dir = mem_strndup(self, (size_t)(path_base(self) - self));
		path = mem_printf("%slibexec/%s", dir, transport);
		free(dir);
		if (access(path, X_OK) == 0)
			return path;
		free(path);
	}
	return path_join(POSTRIDER_LIBEXECDIR, transport);
}

/* Whether it has an end of its own at the peer, to which it proves who it is:
 * then it is handed a secret unless its settings say how it does without. */
static bool
wants_secret(const struct conf_peer *peer)
{
	static const char *const linked[] = { "serial", "tcp", "exec" };
	size_t i;

	for (i = 0; i < peer->set.n; i++)
		if (strncmp(peer->set.item[i], "secret=", 7) == 0)
			return false;
	for (i = 0; i < sizeof(linked) / sizeof(linked[0]); i++)
		if (strcmp(path_base(peer->transport), linked[i]) == 0)
			return true;
	return false;
}

/* The reading end of a pipe with the secret in it, or -1: there is none, which
 * the transport finds out and tells. */
static int
open_secret(const struct daemon *d, const struct conf_peer *peer)
{
	unsigned char secret[KEYRING_PSK_LEN];
	struct err e = ERR_INIT;
	int fd[2];

	if (!wants_secret(peer) || exchange_pair_secret(d->exchange,
	    peer->name, "link", secret, &e) != 0)
		return -1;
	if (pipe2(fd, O_CLOEXEC) < 0)
		fd[0] = -1;
	else {
		if (file_write_all(fd[1], secret, sizeof(secret), &e) != 0) {
			close(fd[0]);
			fd[0] = -1;
		}
		close(fd[1]);
	}
	secret_wipe(secret, sizeof(secret));
	return fd[0];
}

/* A parcel names no address, so the transport mail is told ours and his; what
 * the settings say counts more, as the last does. */
static size_t
mail_addresses(const struct conf *conf, const struct conf_peer *peer,
    char **set, char **from_out, char **to_out)
{
	*from_out = *to_out = NULL;
	if (strcmp(peer->transport, "mail") != 0 || conf->address == NULL ||
	    peer->address == NULL)
		return 0;
	set[0] = *from_out = mem_printf("from=%s", conf->address);
	set[1] = *to_out = mem_printf("to=%s", peer->address);
	return 2;
}

static void
run(struct road *r)
{
	struct daemon *d = r->carrier->d;
	const struct conf_peer *peer = conf_find_peer(d->conf, r->peer);
	struct err e = ERR_INIT;
	char **set, *program, *from, *to, yes[] = "stay=yes";
	bool stay = false;
	size_t i, n;
	int secret;

	if (runner_running(r->runner)) {
		runner_more(r->runner);
		return;
	}
	if (peer == NULL || r->carrier->stopping)
		return;
	trim_aside(r);
	set = mem_alloc(peer->set.n + 4, sizeof(char *));
	n = mail_addresses(d->conf, peer, set, &from, &to);
	for (i = 0; i < peer->set.n; i++) {
		set[n++] = peer->set.item[i];
		stay |= strncmp(peer->set.item[i], "stay=", 5) == 0;
	}
	if (peer->stays && !stay)
		set[n++] = yes;
	program = program_path(d->conf, peer->transport);
	secret = open_secret(d, peer);
	if (runner_start(r->runner, program, r->out, r->in, set, n, secret,
	    &e) != 0) {
		exchange_transport_exited(d->exchange, r->peer, -1, e.text);
		daemon_wake(d);
	}
	if (secret >= 0)
		close(secret);
	free(program);
	free(from);
	free(to);
	free(set);
}

/*
 * Roads.
 */
static struct road *
road_find(const struct carrier *c, const char *peer)
{
	struct list *item;

	list_for_each(item, &c->roads) {
		struct road *r = list_entry(item, struct road, link);

		if (strcmp(r->peer, peer) == 0)
			return r;
	}
	return NULL;
}

static void
road_free(struct road *r)
{
	list_del(&r->link);
	runner_free(r->runner);
	intake_free(r->intake);
	exchange_outbound_free(r->outbound);
	file_writer_abort(&r->file);
	if (r->step != NULL)
		event_free(r->step);
	if (r->again != NULL)
		event_free(r->again);
	map_free(r->refused);
	free(r->name);
	free(r->taking);
	free(r->kept);
	free(r->peer);
	free(r->out);
	free(r->in);
	free(r->aside);
	free(r);
}

/* Files in out/ that no record knows are leftovers of a crash. */
static void
sweep_out(const struct road *r)
{
	struct dirent **all;
	char *path;
	int i, n;

	n = scandir(r->out, &all, NULL, alphasort);
	for (i = 0; i < n; i++) {
		const char *name = all[i]->d_name;

		path = path_join(r->out, name);
		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
		    !exchange_knows_object(r->carrier->d->exchange, r->peer,
		    name))
			(void)unlink(path);
		free(path);
		free(all[i]);
	}
	if (n >= 0)
		free(all);
}

static int
road_new(struct carrier *c, const char *peer, struct err *e)
{
	static const struct file_writer none = FILE_WRITER_INIT;
	struct road *r = mem_alloc(1, sizeof(*r));
	struct runner_hooks hooks = { r, report, exited };
	struct daemon *d = c->d;
	int rc;

	r->carrier = c;
	r->file = none;
	r->peer = mem_strdup(peer);
	r->out = mem_printf("%s/peers/%s/out", d->conf->spool_dir, peer);
	r->in = mem_printf("%s/peers/%s/in", d->conf->spool_dir, peer);
	r->aside = mem_printf("%s/peers/%s/aside", d->conf->spool_dir, peer);
	r->refused = map_new();
	list_add_tail(&c->roads, &r->link);
	rc = file_make_dirs(r->out, 0750, e);
	if (rc == 0)
		rc = file_make_dirs(r->in, 0750, e);
	if (rc != 0) {
		road_free(r);
		return rc;
	}
	r->runner = runner_new(d->base, d->log, peer, &hooks);
	r->step = evtimer_new(d->base, write_step, r);
	r->again = evtimer_new(d->base, look_again, r);
	sweep_out(r);
	trim_aside(r);
	take_next(r);
	return 0;
}

int
carrier_reload(struct carrier *c, struct err *e)
{
	const struct conf *conf = c->d->conf;
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < conf->npeers; i++) {
		struct road *r = road_find(c, conf->peer[i].name);

		if (r == NULL)
			rc = road_new(c, conf->peer[i].name, e);
		else if (runner_running(r->runner))
			runner_stop(r->runner, STOP_SECS);
	}
	return rc;
}

int
carrier_new(struct daemon *d, struct carrier **c_out, struct err *e)
{
	struct carrier *c = mem_alloc(1, sizeof(*c));
	int rc;

	c->d = d;
	list_init(&c->roads);
	rc = carrier_reload(c, e);
	if (rc != 0) {
		carrier_free(c);
		return rc;
	}
	*c_out = c;
	return 0;
}

void
carrier_free(struct carrier *c)
{
	if (c == NULL)
		return;
	while (!list_empty(&c->roads))
		road_free(list_entry(c->roads.next, struct road, link));
	free(c);
}

void
carrier_act(struct carrier *c, const struct exchange_action *a)
{
	struct road *r = road_find(c, a->peer);

	if (r == NULL)
		return;
	switch (a->kind) {
	case EXCHANGE_WRITE:
		write_object(r, a);
		break;
	case EXCHANGE_UNLINK:
		remove_out(r, a->name);
		break;
	case EXCHANGE_RUN:
		run(r);
		break;
	case EXCHANGE_STOP:
		if (runner_running(r->runner))
			runner_stop(r->runner, STOP_SECS);
		break;
	case EXCHANGE_DELIVER:
		break;
	}
}

void
carrier_arrived(struct carrier *c, const char *peer)
{
	struct road *r = road_find(c, peer);

	if (r != NULL)
		take_next(r);
}

void
carrier_stop(struct carrier *c)
{
	struct list *item;

	c->stopping = true;
	list_for_each(item, &c->roads) {
		struct road *r = list_entry(item, struct road, link);

		if (runner_running(r->runner))
			runner_stop(r->runner, STOP_SECS);
	}
}

bool
carrier_busy(const struct carrier *c)
{
	struct list *item;

	list_for_each(item, &c->roads) {
		struct road *r = list_entry(item, struct road, link);

		if (r->intake != NULL || r->outbound != NULL ||
		    runner_running(r->runner))
			return true;
	}
	return false;
}
