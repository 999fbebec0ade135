/* SPDX-License-Identifier: ISC */
/*
 * The drop directory.  A name that is there already is replaced: it is the
 * same frozen object, dropped by a run that ended before it could say so.
 */
#include "transports/drop.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "transports/filename.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define COPY_STEP 65536
#define PROGRESS_BYTES (1U << 20)
#define PROGRESS_MS 1000
#define STOPPED 1

struct drop {
	struct contract *contract;
	const char *suffix;
	struct map *sent;	/* names; the values mean nothing */
	char *step;
};

struct copy {
	int from, to;
	const char *name;
	uint64_t done, total, told;
	int64_t told_ms;
};

struct drop *
drop_new(struct contract *c, const char *suffix)
{
	struct drop *d = mem_alloc(1, sizeof(*d));

	d->contract = c;
	d->suffix = suffix;
	d->sent = map_new();
	d->step = mem_alloc(1, COPY_STEP);
	return d;
}

void
drop_free(struct drop *d)
{
	if (d == NULL)
		return;
	map_free(d->sent);
	free(d->step);
	free(d);
}

static bool
was_sent(const struct drop *d, const char *name)
{
	return map_get(d->sent, slice_of(name)) != NULL;
}

void
drop_forget(struct drop *d, const struct contract_names *out)
{
	struct slice key;
	void *value;
	size_t pos = 0;

	while (map_next(d->sent, &pos, &key, &value)) {
		char *name = slice_dup(key);

		if (!contract_names_has(out, name))
			map_del(d->sent, slice_of(name));
		free(name);
	}
}

bool
drop_wanted(const struct drop *d, const struct contract_names *out)
{
	for (size_t i = 0; i < out->count; i++)
		if (!was_sent(d, out->names[i]))
			return true;
	return false;
}

static void
tell_progress(struct drop *d, struct copy *cp)
{
	int64_t now = clock_mono_ms(clock_real());

	if (cp->done - cp->told < PROGRESS_BYTES &&
	    now - cp->told_ms < PROGRESS_MS)
		return;
	cp->told = cp->done;
	cp->told_ms = now;
	contract_sending(d->contract, cp->name,
	    cp->done < cp->total ? cp->done : cp->total, cp->total);
}

static int
copy_bytes(struct drop *d, struct copy *cp, struct err *e)
{
	int rc = 0;

	while (rc == 0) {
		ssize_t n = file_read_some(cp->from, d->step, COPY_STEP);

		if (n < 0)
			return err_errno(e, "cannot read %s", cp->name);
		if (n == 0)
			break;
		if (contract_stopping(d->contract))
			return STOPPED;
		rc = file_write_all(cp->to, d->step, (size_t)n, e);
		cp->done += (uint64_t)n;
		if (rc == 0)
			tell_progress(d, cp);
	}
	if (rc == 0 && cp->done != cp->total)
		rc = err_set(e, ERR_IO, "%s changed its size", cp->name);
	return rc;
}

static int
open_source(struct drop *d, struct copy *cp, struct err *e)
{
	char *path = path_join(contract_out_dir(d->contract), cp->name);
	struct stat st;
	int rc = 0;

	cp->from = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (cp->from < 0 || fstat(cp->from, &st) < 0)
		rc = err_errno(e, "cannot open %s", path);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(e, ERR_IO, "%s is not a plain file", path);
	else
		cp->total = (uint64_t)st.st_size;
	free(path);
	return rc;
}

/* Only on the very file system where the marker was seen. */
static int
open_target(const struct medium *m, const char *tmp, struct copy *cp,
    struct err *e)
{
	struct stat st;

	if (unlinkat(m->fd, tmp, 0) < 0 && errno != ENOENT)
		return err_errno(e, "cannot remove %s/%s", m->path, tmp);
	cp->to = openat(m->fd, tmp,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (cp->to < 0 || fstat(cp->to, &st) < 0)
		return err_errno(e, "cannot create %s/%s", m->path, tmp);
	if (st.st_dev != m->dev)
		return err_set(e, ERR_IO, "%s is not on its medium", m->path);
	return 0;
}

static int
finish_target(const struct medium *m, const char *tmp, const char *name,
    struct copy *cp, struct err *e)
{
	int fd = cp->to;

	if (fsync(fd) < 0)
		return err_errno(e, "cannot flush %s/%s", m->path, tmp);
	cp->to = -1;
	if (close(fd) < 0)
		return err_errno(e, "cannot close %s/%s", m->path, tmp);
	if (renameat(m->fd, tmp, m->fd, name) < 0)
		return err_errno(e, "cannot rename to %s/%s", m->path, name);
	return medium_sync(m, e);
}

/* 0, STOPPED, or an error; the temporary file is gone in any case. */
static int
send_one(struct drop *d, const struct medium *m, const char *name,
    struct err *e)
{
	struct copy cp = { .from = -1, .to = -1, .name = name,
	    .told_ms = clock_mono_ms(clock_real()) };
	struct buf target = BUF_INIT;
	const char *target_name;
	char *tmp;
	int rc;

	filename_drop(&target, slice_of(name), d->suffix);
	target_name = buf_cstr(&target);
	tmp = mem_printf(".%s.tmp", target_name);
	rc = open_source(d, &cp, e);
	if (rc == 0)
		rc = open_target(m, tmp, &cp, e);
	if (rc == 0 && (rc = copy_bytes(d, &cp, e)) < 0)
		err_prefix(e, "%s/%s", m->path, target_name);
	if (rc == 0)
		rc = finish_target(m, tmp, target_name, &cp, e);
	if (rc != 0)
		unlinkat(m->fd, tmp, 0);
	if (cp.to >= 0)
		close(cp.to);
	if (cp.from >= 0)
		close(cp.from);
	free(tmp);
	buf_release(&target);
	return rc;
}

int
drop_pass(struct drop *d, const struct medium *m,
    const struct contract_names *out, struct err *e)
{
	for (size_t i = 0; i < out->count; i++) {
		const char *name = out->names[i];
		int rc;

		if (was_sent(d, name))
			continue;
		if (contract_stopping(d->contract))
			return 0;
		rc = send_one(d, m, name, e);
		if (rc == STOPPED)
			return 0;
		if (rc == ERR_NOT_FOUND && !contract_out_has(d->contract,
		    name))
			continue;
		if (rc < 0) {
			contract_failed(d->contract, name, false, e->text);
			return rc;
		}
		map_put(d->sent, slice_of(name), d);
		contract_sent(d->contract, name);
	}
	return 0;
}
