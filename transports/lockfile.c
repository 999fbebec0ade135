/* SPDX-License-Identifier: ISC */
/*
 * Lock files.  A stale one is removed only if it is still the file that was
 * looked at, and the lock is then taken by link(2) like any other: of two
 * that see the same corpse one loses.  What cannot be read is not stale.
 */
#include "transports/lockfile.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES 5

/* The process that a lock file names: ten characters, or, by old programs,
 * the number as it lies in memory.  0: it names none. */
static pid_t
holder(const char *path)
{
	struct buf text = BUF_INIT;
	uint64_t pid = 0;
	int32_t binary;

	if (file_read(path, 64, &text, NULL) == 0) {
		if (text.len == sizeof(binary)) {
			memcpy(&binary, text.ptr, sizeof(binary));
			pid = binary > 0 ? (uint64_t)binary : 0;
		} else {
			const char *nl = text.len == 0 ? NULL :
			    memchr(text.ptr, '\n', text.len);
			struct slice s = { text.ptr, nl == NULL ? text.len :
			    (size_t)(nl - text.ptr) };

			if (num_parse(slice_trim(s), INT32_MAX, &pid) < 0)
				pid = 0;
		}
	}
	buf_release(&text);
	return (pid_t)pid;
}

/* Removes the lock of a process that is gone; false: somebody holds it. */
static bool
remove_stale(const char *path, pid_t *pid_out)
{
	struct stat before, now;

	if (lstat(path, &before) < 0)
		return errno == ENOENT;
	*pid_out = holder(path);
	if (*pid_out <= 0 || kill(*pid_out, 0) == 0 || errno != ESRCH)
		return false;
	return lstat(path, &now) < 0 || (now.st_ino == before.st_ino &&
	    now.st_mtime == before.st_mtime && unlink(path) == 0);
}

static int
take(const char *tmp, const char *path, const char *device, struct err *e)
{
	pid_t pid = 0;

	for (int i = 0; i < TRIES; i++) {
		if (link(tmp, path) == 0)
			return 0;
		if (errno != EEXIST)
			return err_errno(e, "cannot make %s", path);
		if (!remove_stale(path, &pid))
			break;
	}
	if (pid <= 0)
		return err_set(e, ERR_EXISTS, "%s may be in use: %s names no "
		    "process; remove it if nobody has the line", device,
		    path);
	return err_set(e, ERR_EXISTS, "%s is in use: %s is held by process "
	    "%ld", device, path, (long)pid);
}

/* The lock's path.  A device may have several names, by links; programs that
 * know it by another must find the same lock. */
static char *
lock_path(const char *dir, const char *device)
{
	char *real = realpath(device, NULL);
	char *path = mem_printf("%s/LCK..%s", dir,
	    path_base(real == NULL ? device : real));

	free(real);
	return path;
}

int
lockfile_take(const char *dir, const char *device, char **path_out,
    struct err *e)
{
	char *tmp = mem_printf("%s/LTMP.%ld", dir, (long)getpid());
	char *path = lock_path(dir, device);
	struct buf line = BUF_INIT;
	int fd, rc = 0;

	*path_out = NULL;
	(void)unlink(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	    0644);
	if (fd >= 0) {
		buf_addf(&line, "%10ld\n", (long)getpid());
		rc = file_write_all(fd, line.ptr, line.len, e);
		close(fd);
		if (rc == 0)
			rc = take(tmp, path, device, e);
		(void)unlink(tmp);
		if (rc == 0) {
			*path_out = path;
			path = NULL;
		}
	}
	buf_release(&line);
	free(tmp);
	free(path);
	return rc;
}

void
lockfile_drop(char *path)
{
	if (path != NULL)
		(void)unlink(path);
	free(path);
}
