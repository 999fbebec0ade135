/* SPDX-License-Identifier: ISC */
/*
 * What arrived from one peer.  The folders are the queue: one file at a time
 * is read, and what comes meanwhile waits there, so nothing is kept twice.
 * They are looked for anew each time: so what a transport left behind that is
 * no longer configured is taken too.
 */
#include "node/inbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "node/aside.h"
#include "node/conf_lane.h"
#include "node/intake.h"
#include "node/overflow.h"
#include "transports/report.h"

#define AGAIN_SECS 30		/* until a file kept is looked at again, */
#define AGAIN_DOUBLINGS 5	/* and 16 minutes at most */
#define REFUSED_TOLD 100	/* entries refused that are logged */

struct inbox {
	struct daemon *d;
	char *peer, *dir, *aside;
	bool stopping;
	struct intake *intake;
	char *taking;			/* "in/NAME" or "in.LANE/NAME" */
	char *kept;			/* the last one kept for later: the
					 * round goes on behind it */
	struct event *again;		/* begins a new round */
	unsigned rounds;		/* that nothing was taken in */
	struct map *refused;		/* such that were told of */
	bool unreadable;		/* one of them for its mode */
};

static const char unreadable[] = "the daemon may not read it: give it to its "
    "user (chown), or make it readable (chmod)";

static void
look_later(struct inbox *b)
{
	struct timeval wait = { AGAIN_SECS << b->rounds, 0 };

	if (b->rounds < AGAIN_DOUBLINGS)
		b->rounds++;
	evtimer_add(b->again, &wait);
}

void
inbox_trim(const struct inbox *b)
{
	struct daemon *d = b->d;

	(void)aside_trim(b->aside, clock_wall_ms(d->clock),
	    d->conf->broken_expire_secs);
}

static void
put_aside(const struct inbox *b, const char *path)
{
	struct err e = ERR_INIT;

	if (aside_put(b->aside, path, path_base(path), &e) != 0)
		log_event(b->d->log, LOG_LEVEL_WARNING,
		    "file-not-kept", "path", path, "reason", e.text, NULL);
	inbox_trim(b);
}

static void
taken(void *ctx, enum inbound_outcome outcome, const char *reason,
    uint64_t messages)
{
	struct inbox *b = ctx;
	char *path = path_join(b->dir, b->taking);

	(void)reason;
	(void)messages;
	intake_free(b->intake);
	b->intake = NULL;
	if (outcome == INBOUND_ASIDE)
		put_aside(b, path);
	else if (outcome != INBOUND_LATER && unlink(path) != 0)
		log_event(b->d->log, LOG_LEVEL_WARNING,
		    "file-not-removed", "path", path, "reason",
		    strerror(errno), NULL);
	free(path);
	if (outcome == INBOUND_LATER) {
		free(b->kept);
		b->kept = b->taking;
	} else {
		free(b->taking);
		b->rounds = 0;
	}
	b->taking = NULL;
	daemon_wake(b->d);
	inbox_look(b);
}

static int
no_dot_name(const struct dirent *de)
{
	return de->d_name[0] != '.';
}

/* in/, or in.LANE/ of each of several transports, and what comes by mail. */
static int
is_folder(const struct dirent *de)
{
	return strcmp(de->d_name, "in") == 0 ||
	    strncmp(de->d_name, "in.", 3) == 0 ||
	    strcmp(de->d_name, CONF_MAILED) == 0;
}

/* What is wrong with this entry of a folder; NULL: it is a file to be taken,
 * or has gone meanwhile. */
static const char *
entry_fault(const struct dirent *de, const char *path)
{
	struct stat st = { .st_mode = DTTOIF(de->d_type) };

	if (!report_name_ok(slice_of(de->d_name)))
		return "the name has blanks or control characters";
	if (de->d_type == DT_UNKNOWN && lstat(path, &st) != 0)
		st.st_mode = S_IFREG;
	if (S_ISLNK(st.st_mode))
		return "a symbolic link";
	if (S_ISDIR(st.st_mode))
		return "a directory";
	if (!S_ISREG(st.st_mode))
		return "a device, pipe or socket";
	return faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) != 0 &&
	    errno == EACCES ? unreadable : NULL;
}

/* Says once of each entry that it is refused, and leaves it to people. */
static void
refuse_entry(const struct inbox *b, struct map *refused, const char *path,
    const char *why)
{
	if (map_count(refused) == REFUSED_TOLD)
		return;
	if (map_get(b->refused, slice_of(path)) == NULL)
		log_event(b->d->log, LOG_LEVEL_WARNING,
		    "file-refused", "peer", b->peer, "path", path,
		    "reason", why, NULL);
	map_put(refused, slice_of(path), refused);
}

/* The first of all files behind the one kept last, so far. */
struct search {
	struct map *refused;
	char *first;
};

static void
search_entry(struct inbox *b, struct search *s, const char *folder,
    const struct dirent *de)
{
	char *name = path_join(folder, de->d_name);
	char *path = path_join(b->dir, name);
	const char *fault = entry_fault(de, path);

	b->unreadable |= fault == unreadable;
	if (fault != NULL) {
		refuse_entry(b, s->refused, path, fault);
	} else if ((b->kept == NULL || strcmp(name, b->kept) > 0) &&
	    (s->first == NULL || strcmp(name, s->first) < 0)) {
		free(s->first);
		s->first = name;
		name = NULL;
	}
	free(name);
	free(path);
}

static void
search_folder(struct inbox *b, struct search *s, const char *folder)
{
	char *path = path_join(b->dir, folder);
	struct dirent **all;
	int i, n = scandir(path, &all, no_dot_name, NULL);

	for (i = 0; i < n; i++) {
		search_entry(b, s, folder, all[i]);
		free(all[i]);
	}
	if (n >= 0)
		free(all);
	free(path);
}

/* The first file in the folders behind the one kept last; the caller frees. */
static char *
next_file(struct inbox *b)
{
	struct search s = { map_new(), NULL };
	struct dirent **all;
	int i, n;

	b->unreadable = false;
	n = scandir(b->dir, &all, is_folder, NULL);
	for (i = 0; i < n; i++) {
		search_folder(b, &s, all[i]->d_name);
		free(all[i]);
	}
	if (n >= 0)
		free(all);
	map_free(b->refused);
	b->refused = s.refused;
	return s.first;
}

void
inbox_look(struct inbox *b)
{
	struct slice pickup = { NULL, 0 };
	const char *name;
	char *path;

	if (b->intake != NULL || b->stopping)
		return;
	b->taking = next_file(b);
	exchange_taking_in(b->d->exchange, b->peer, b->taking != NULL);
	if (b->taking == NULL) {
		if ((b->kept != NULL || b->unreadable) &&
		    !evtimer_pending(b->again, NULL))
			look_later(b);
		return;
	}
	/* postrider-transport(7): what stands behind a "~" tells the pick-up
	 * from any other. */
	name = path_base(b->taking);
	if (strchr(name, '~') != NULL)
		pickup = slice_of(name);
	path = path_join(b->dir, b->taking);
	b->intake = intake_start(b->d, b->peer, path, name, pickup, taken, b);
	free(path);
}

static void
look_again(evutil_socket_t fd, short what, void *ctx)
{
	struct inbox *b = ctx;

	(void)fd;
	(void)what;
	free(b->kept);
	b->kept = NULL;
	inbox_look(b);
}

struct inbox *
inbox_new(struct daemon *d, const char *peer, struct err *e)
{
	struct inbox *b = mem_alloc(1, sizeof(*b));
	char *in = conf_in_dir(d->conf, peer, "");
	char *mailed = conf_mailed_dir(d->conf, peer);
	int rc;

	b->d = d;
	b->peer = mem_strdup(peer);
	b->dir = mem_printf("%s/peers/%s", d->conf->spool_dir, peer);
	b->aside = path_join(b->dir, "aside");
	b->refused = map_new();
	b->again = evtimer_new(d->base, look_again, b);
	rc = file_make_dirs(in, 0750, e);
	if (rc == 0)
		rc = file_make_dirs(mailed, 0750, e);
	if (rc == 0)
		overflow_clean(mailed);
	free(in);
	free(mailed);
	if (rc != 0) {
		inbox_free(b);
		return NULL;
	}
	inbox_trim(b);
	inbox_look(b);
	return b;
}

void
inbox_free(struct inbox *b)
{
	if (b == NULL)
		return;
	intake_free(b->intake);
	event_free(b->again);
	map_free(b->refused);
	free(b->taking);
	free(b->kept);
	free(b->peer);
	free(b->dir);
	free(b->aside);
	free(b);
}

void
inbox_stop(struct inbox *b)
{
	b->stopping = true;
}

bool
inbox_busy(const struct inbox *b)
{
	return b->intake != NULL;
}
