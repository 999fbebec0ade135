/* SPDX-License-Identifier: ISC */
/*
 * Pick-up.  A file is removed after its copy is durable and was reported, and
 * only if the name still means the file that was copied.  What was taken but
 * could not be removed is remembered, so that it comes in once for each run
 * and not at every look.
 */
#include "transports/pickup.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "transports/filename.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct seen {
	off_t size;
	int64_t since_ms;	/* when it first looked like this */
	bool taken;		/* its copy is in in/ */
	bool told;		/* that we may not read it */
	bool present;		/* was met in this pass */
};

struct pickup {
	struct contract *contract;
	int settle_ms;
	struct map *seen;	/* name in in/ to struct seen */
};

struct candidate {
	int fd;
	const char *name;
	char *in_name;
	struct stat st;
};

struct pickup *
pickup_new(struct contract *c, int settle_ms)
{
	struct pickup *p = mem_alloc(1, sizeof(*p));

	p->contract = c;
	p->settle_ms = settle_ms;
	p->seen = map_new();
	return p;
}

static void
forget(struct pickup *p, bool all)
{
	struct slice key;
	void *value;
	size_t pos = 0;

	while (map_next(p->seen, &pos, &key, &value)) {
		struct seen *s = value;

		if (!all && s->present) {
			s->present = false;
			continue;
		}
		map_del(p->seen, key);
		free(s);
	}
}

void
pickup_free(struct pickup *p)
{
	if (p == NULL)
		return;
	forget(p, true);
	map_free(p->seen);
	free(p);
}

static int64_t
mtime_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 +
	    st->st_mtim.tv_nsec;
}

static struct seen *
remember(struct pickup *p, const struct candidate *cand)
{
	int64_t now = clock_mono_ms(clock_real());
	struct slice key = slice_of(cand->in_name);
	struct seen *s = map_get(p->seen, key);

	if (s == NULL) {
		s = mem_alloc(1, sizeof(*s));
		s->size = cand->st.st_size;
		s->since_ms = now;
		map_put(p->seen, key, s);
	} else if (s->size != cand->st.st_size) {
		s->size = cand->st.st_size;
		s->since_ms = now;
		s->taken = false;
	}
	s->present = true;
	return s;
}

static void
name_candidate(struct candidate *cand)
{
	struct buf in_name = BUF_INIT;

	free(cand->in_name);
	filename_in(&in_name, slice_of(cand->name), cand->st.st_ino,
	    mtime_ns(&cand->st));
	cand->in_name = buf_steal(&in_name);
}

/* 1: it is a file to pick up; 0: it is not, or it has just gone.  ERR_DENIED:
 * it is one, with its name, but we may not read it. */
static int
candidate_open(struct candidate *cand, const struct medium *m,
    const char *name, struct err *e)
{
	cand->fd = -1;
	cand->in_name = NULL;
	cand->name = name;
	if (filename_passed_over(slice_of(name)) ||
	    (m->marker != NULL && strcmp(name, m->marker) == 0) ||
	    fstatat(m->fd, name, &cand->st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISREG(cand->st.st_mode))
		return 0;
	name_candidate(cand);
	/* Non-blocking, lest a pipe put there meanwhile holds us up. */
	cand->fd = openat(m->fd, name,
	    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (cand->fd < 0 && (errno == ENOENT || errno == ELOOP))
		return 0;
	if (cand->fd < 0)
		return err_errno(e, "cannot open %s/%s", m->path, name);
	if (fstat(cand->fd, &cand->st) < 0)
		return err_errno(e, "cannot look at %s/%s", m->path, name);
	name_candidate(cand);
	return S_ISREG(cand->st.st_mode);
}

static void
candidate_close(struct candidate *cand)
{
	if (cand->fd >= 0)
		close(cand->fd);
	free(cand->in_name);
}

/* A file put in its place meanwhile stays. */
static int
remove_taken(const struct candidate *cand, const struct medium *m,
    struct err *e)
{
	struct stat st;

	if (fstatat(m->fd, cand->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    st.st_dev != cand->st.st_dev || st.st_ino != cand->st.st_ino ||
	    st.st_size != cand->st.st_size ||
	    mtime_ns(&st) != mtime_ns(&cand->st))
		return 0;
	if (unlinkat(m->fd, cand->name, 0) < 0)
		return err_errno(e, "cannot remove %s/%s", m->path,
		    cand->name);
	if (fsync(m->fd) < 0 && errno != EINVAL)
		return err_errno(e, "cannot flush %s", m->path);
	return 0;
}

static int
take(struct pickup *p, const struct candidate *cand, struct seen *s,
    const struct medium *m, struct err *e)
{
	int rc;

	if (!s->taken) {
		rc = contract_receive(p->contract, cand->fd, cand->in_name, e);
		if (rc < 0)
			return rc;
		s->taken = true;
		contract_received(p->contract, cand->in_name);
	}
	return remove_taken(cand, m, e);
}

/* A file that is not for us stops nothing else; it is told once. */
static int
tell_denied(struct pickup *p, const struct candidate *cand, const char *text)
{
	struct seen *s = remember(p, cand);

	if (!s->told)
		contract_note(p->contract, "%s", text);
	s->told = true;
	return 0;
}

/* 1: not settled yet; 0: taken or none of ours. */
static int
look_at(struct pickup *p, const struct medium *m, const char *name,
    struct err *e)
{
	struct candidate cand;
	struct seen *s;
	int rc;

	rc = candidate_open(&cand, m, name, e);
	if (rc == 1) {
		s = remember(p, &cand);
		if (clock_mono_ms(clock_real()) - s->since_ms >= p->settle_ms)
			rc = take(p, &cand, s, m, e);
		if (rc == ERR_STATE)
			rc = 1;
	} else if (rc == ERR_DENIED) {
		rc = tell_denied(p, &cand, e->text);
	}
	candidate_close(&cand);
	return rc;
}

/* One file that cannot be read keeps no other from coming in; the first
 * error is the answer. */
static int
look_through(struct pickup *p, DIR *dir, const struct medium *m,
    struct err *e)
{
	struct dirent *d;
	int rc = 0, waiting = 0;

	while (errno = 0, (d = readdir(dir)) != NULL) {
		struct err one = ERR_INIT;
		int got;

		if (contract_stopping(p->contract))
			break;
		got = look_at(p, m, d->d_name, &one);
		if (got > 0)
			waiting++;
		else if (got < 0 && rc == 0)
			rc = err_set(e, one.code, "%s", one.text);
		if (got == ERR_FULL)
			break;
	}
	if (d == NULL && errno != 0 && rc == 0)
		rc = err_errno(e, "cannot read %s", m->path);
	return rc < 0 ? rc : waiting;
}

int
pickup_pass(struct pickup *p, const struct medium *m, struct err *e)
{
	DIR *dir;
	int fd, rc;

	rc = medium_check_writable(m, e);
	if (rc < 0)
		return rc;
	fd = openat(m->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (dir == NULL) {
		rc = err_errno(e, "cannot open %s", m->path);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	rc = look_through(p, dir, m, e);
	closedir(dir);
	forget(p, false);
	return rc;
}
