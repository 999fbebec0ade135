/* SPDX-License-Identifier: ISC */
/*
 * Whole files or none.  The temporary name is fixed, ".NAME.tmp", so that a
 * crash leaves at most one stale file per name and the next writer takes it
 * away.
 */
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP 65536

static void
writer_forget(struct file_writer *w)
{
	free(w->dir);
	free(w->tmp);
	free(w->name);
	*w = (struct file_writer)FILE_WRITER_INIT;
}

int
file_writer_open(struct file_writer *w, const char *dir, const char *name,
    mode_t mode, struct err *e)
{
	int rc;

	w->dir = mem_strdup(dir);
	w->tmp = mem_printf("%s/.%s.tmp", dir, name);
	w->name = path_join(dir, name);
	if (unlink(w->tmp) < 0 && errno != ENOENT)
		w->fd = -1;
	else
		w->fd = open(w->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC |
		    O_NOFOLLOW, mode);
	if (w->fd >= 0)
		return 0;
	rc = err_errno(e, "cannot create %s", w->tmp);
	writer_forget(w);
	return rc;
}

int
file_writer_add(struct file_writer *w, const void *bytes, size_t len,
    struct err *e)
{
	int rc = file_write_all(w->fd, bytes, len, e);

	if (rc < 0)
		err_prefix(e, "%s", w->tmp);
	return rc;
}

/* For file systems without RENAME_NOREPLACE; those without hard links too
 * (FAT) are left with a look beforehand. */
static int
rename_new_slowly(const char *from, const char *to)
{
	struct stat st;

	if (link(from, to) == 0)
		return unlink(from);
	if (errno == EEXIST)
		return -1;
	if (lstat(to, &st) == 0) {
		errno = EEXIST;
		return -1;
	}
	return rename(from, to);
}

static int
rename_new(const char *from, const char *to)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	return rename_new_slowly(from, to);
}

static int
writer_finish(struct file_writer *w, bool replace, struct err *e)
{
	int fd = w->fd;

	if (fsync(fd) < 0)
		return err_errno(e, "cannot flush %s", w->tmp);
	w->fd = -1;
	if (close(fd) < 0)
		return err_errno(e, "cannot close %s", w->tmp);
	if ((replace ? rename(w->tmp, w->name) :
	    rename_new(w->tmp, w->name)) < 0) {
		if (errno == EEXIST)
			return err_set(e, ERR_EXISTS, "%s exists", w->name);
		return err_errno(e, "cannot rename to %s", w->name);
	}
	return file_sync_dir(w->dir, e);
}

int
file_writer_commit(struct file_writer *w, bool replace, struct err *e)
{
	int rc = writer_finish(w, replace, e);

	if (rc < 0)
		file_writer_abort(w);
	else
		writer_forget(w);
	return rc;
}

void
file_writer_abort(struct file_writer *w)
{
	if (w->tmp == NULL)
		return;
	if (w->fd >= 0)
		close(w->fd);
	unlink(w->tmp);
	writer_forget(w);
}

int
file_replace(const char *dir, const char *name, const void *bytes, size_t len,
    mode_t mode, struct err *e)
{
	struct file_writer w = FILE_WRITER_INIT;
	int rc;

	rc = file_writer_open(&w, dir, name, mode, e);
	if (rc == 0)
		rc = file_writer_add(&w, bytes, len, e);
	if (rc == 0)
		rc = file_writer_commit(&w, true, e);
	file_writer_abort(&w);
	return rc;
}

int
file_read_fd(int fd, const char *path, size_t max, struct buf *out,
    struct err *e)
{
	size_t had = out->len;

	for (;;) {
		size_t left = max - (out->len - had);
		size_t ask = left < READ_STEP ? left + 1 : READ_STEP;
		ssize_t n = file_read_some(fd, buf_room(out, ask), ask);

		if (n < 0)
			return err_errno(e, "cannot read %s", path);
		if (n == 0)
			return 0;
		if ((size_t)n > left)
			return err_set(e, ERR_LIMIT,
			    "%s is larger than %zu bytes", path, max);
		buf_grown(out, (size_t)n);
	}
}

int
file_read(const char *path, size_t max, struct buf *out, struct err *e)
{
	size_t had = out->len;
	int fd, rc;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return err_errno(e, "cannot open %s", path);
	rc = file_read_fd(fd, path, max, out, e);
	if (rc < 0)
		buf_truncate(out, had);
	close(fd);
	return rc;
}

int
file_sync_dir(const char *dir, struct err *e)
{
	int fd, rc = 0;

	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "cannot open %s", dir);
	/* Some file systems cannot flush a directory; none says EINVAL that
	 * could. */
	if (fsync(fd) < 0 && errno != EINVAL)
		rc = err_errno(e, "cannot flush %s", dir);
	close(fd);
	return rc;
}

static int
make_one_dir(const char *dir, mode_t mode, struct err *e)
{
	struct stat st;

	if (mkdir(dir, mode) == 0)
		return 0;
	if (errno == EEXIST && stat(dir, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			return 0;
		errno = ENOTDIR;
	}
	return err_errno(e, "cannot make directory %s", dir);
}

int
file_make_dirs(const char *dir, mode_t mode, struct err *e)
{
	char *path = mem_strdup(dir);
	char *p = path, end;
	int rc = 0;

	while (rc == 0 && *p != '\0') {
		p += strspn(p, "/");
		p += strcspn(p, "/");
		end = *p;
		*p = '\0';
		rc = make_one_dir(path, mode, e);
		*p = end;
	}
	free(path);
	return rc;
}

ssize_t
file_read_some(int fd, void *into, size_t len)
{
	ssize_t n;

	do
		n = read(fd, into, len);
	while (n < 0 && errno == EINTR);
	return n;
}

int
file_write_all(int fd, const void *bytes, size_t len, struct err *e)
{
	const char *p = bytes;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, "cannot write");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

char *
path_join(const char *dir, const char *name)
{
	size_t len = strlen(dir);

	if (len > 0 && dir[len - 1] == '/')
		return mem_printf("%s%s", dir, name);
	return mem_printf("%s/%s", dir, name);
}

const char *
path_base(const char *path)
{
	const char *slash;

	if (path == NULL)
		return "";
	slash = strrchr(path, '/');
	return slash != NULL ? slash + 1 : path;
}
