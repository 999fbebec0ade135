/* SPDX-License-Identifier: ISC */
/*
 * A directory on a medium.  Marker and files are reached through one open
 * directory: where the medium is unmounted between the look and the write,
 * the descriptor still means the medium, never what lies below it.
 */
#include "transports/medium.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

static bool
has_marker(int dir_fd, const char *marker)
{
	struct stat st;

	return fstatat(dir_fd, marker, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(st.st_mode);
}

/* One directory up on the same file system; -1 at its root.  Closes fd. */
static int
step_up(int fd)
{
	struct stat here, there;
	int up = openat(fd, "..", DIR_FLAGS);

	if (up >= 0 && (fstat(fd, &here) < 0 || fstat(up, &there) < 0 ||
	    here.st_dev != there.st_dev || here.st_ino == there.st_ino)) {
		close(up);
		up = -1;
	}
	if (up >= 0)
		close(fd);
	return up;
}

/* The marker in the root of the file system of dir_fd. */
static bool
root_has_marker(int dir_fd, const char *marker)
{
	int fd = openat(dir_fd, ".", DIR_FLAGS);
	bool found;
	int up;

	if (fd < 0)
		return false;
	while ((up = step_up(fd)) >= 0)
		fd = up;
	found = has_marker(fd, marker);
	close(fd);
	return found;
}

static bool
is_marked(const struct medium *m)
{
	return m->marker == NULL || has_marker(m->fd, m->marker) ||
	    root_has_marker(m->fd, m->marker);
}

int
medium_open(struct medium *m, const char *path, const char *marker,
    struct err *e)
{
	struct stat st;
	int rc = 0;

	m->path = path;
	m->marker = marker;
	m->fd = open(path, DIR_FLAGS);
	if (m->fd < 0)
		return err_errno(e, "cannot open %s", path);
	if (fstat(m->fd, &st) < 0) {
		rc = err_errno(e, "cannot look at %s", path);
	} else {
		m->dev = st.st_dev;
		m->ino = st.st_ino;
	}
	if (rc == 0 && !is_marked(m))
		rc = err_set(e, ERR_NOT_FOUND, "no marker %s in %s or the "
		    "root of its file system", marker, path);
	if (rc < 0)
		medium_close(m);
	return rc;
}

void
medium_close(struct medium *m)
{
	if (m->fd >= 0)
		close(m->fd);
	m->fd = -1;
}

int
medium_sync(const struct medium *m, struct err *e)
{
	struct stat st;

	if (fsync(m->fd) < 0 && errno != EINVAL)
		return err_errno(e, "cannot flush %s", m->path);
	if (syncfs(m->fd) < 0)
		return err_errno(e, "cannot flush the medium of %s", m->path);
	if (stat(m->path, &st) < 0 || st.st_dev != m->dev ||
	    st.st_ino != m->ino || !is_marked(m))
		return err_set(e, ERR_IO, "the medium of %s went away",
		    m->path);
	return 0;
}

int
medium_check_writable(const struct medium *m, struct err *e)
{
	if (faccessat(m->fd, ".", W_OK | X_OK, AT_EACCESS) < 0)
		return err_errno(e, "cannot remove files from %s", m->path);
	return 0;
}
