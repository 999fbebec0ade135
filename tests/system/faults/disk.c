/* SPDX-License-Identifier: ISC */
/*
 * A disk that fails, below Berkeley DB: preloaded into the daemon, it stands
 * between it and the files directly in one directory.
 *
 *	FAULT_DIR	the directory
 *	FAULT_AT	the number of the write or flush that fails, from 1
 *	FAULT_ERROR	ENOSPC or EIO
 *	FAULT_ON	set: all that follow fail as well
 *	FAULT_REPORT	a file; in the end it holds the number of operations
 *
 * What was written and not flushed is lost when the program ends, as in a
 * power cut: before each write the old octets are kept, and they are put back
 * in reverse order at the end.  SIGUSR1 is that power cut.  Names are
 * taken to be durable at once.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct undo {
	struct undo *next;	/* what was done before */
	ino_t inode;
	int fd;
	off_t size, at;
	size_t len;
	char old[];
};

static struct undo *done;
static unsigned long count, fault_at;
static int fault_error = EIO, fault_on, active, in_zeros;
static char dir[4096];
static pid_t owner;
static sigset_t cut_signal;

static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);

/* A regular file directly in the directory. */
static int
is_ours(int fd, struct stat *st)
{
	char link[64], path[4096];
	size_t len = strlen(dir);
	ssize_t n;

	if (!active)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return 0;
	path[n] = '\0';
	return strncmp(path, dir, len) == 0 && path[len] == '/' &&
	    strchr(path + len + 1, '/') == NULL && fstat(fd, st) == 0 &&
	    S_ISREG(st->st_mode);
}

/* A log file is filled with zeros at first: that counts as one write. */
static int
fails(const char *bytes, size_t len)
{
	int zeros = len > 1024 && bytes[0] == 0 &&
	    memcmp(bytes, bytes + 1, len - 1) == 0;

	if (!zeros || !in_zeros)
		count++;
	in_zeros = zeros;
	return fault_at != 0 &&
	    (count == fault_at || (fault_on && count > fault_at));
}

static int
descriptor(int fd, ino_t inode)
{
	char link[64];
	struct undo *u;

	for (u = done; u != NULL; u = u->next)
		if (u->inode == inode)
			return u->fd;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return open(link, O_RDWR | O_CLOEXEC);
}

static void
keep(int fd, const struct stat *st, off_t at, size_t len)
{
	struct undo *u = malloc(sizeof(*u) + len);
	ssize_t n;

	if (u == NULL)
		abort();
	u->inode = st->st_ino;
	u->fd = descriptor(fd, st->st_ino);
	u->size = st->st_size;
	u->at = at;
	n = pread(u->fd, u->old, len, at);
	u->len = n > 0 ? (size_t)n : 0;
	u->next = done;
	done = u;
}

static void
flushed(ino_t inode)
{
	struct undo **p = &done, *u;
	int fd = -1;

	while ((u = *p) != NULL) {
		if (u->inode != inode) {
			p = &u->next;
			continue;
		}
		fd = u->fd;
		*p = u->next;
		free(u);
	}
	if (fd >= 0)
		close(fd);
}

static void
power_cut(void)
{
	struct undo *u;
	FILE *f;

	if (!active || getpid() != owner)
		return;
	active = 0;
	for (u = done; u != NULL; u = u->next) {
		if (u->len > 0 &&
		    real_pwrite(u->fd, u->old, u->len, u->at) < 0)
			abort();
		if (real_ftruncate(u->fd, u->size) != 0)
			abort();
	}
	f = getenv("FAULT_REPORT") ? fopen(getenv("FAULT_REPORT"), "w") : NULL;
	if (f != NULL) {
		fprintf(f, "%lu\n", count);
		fclose(f);
	}
}

static void
cut_now(int number)
{
	(void)number;
	power_cut();
	_exit(137);
}

static ssize_t
one_write(int fd, const void *bytes, size_t len, off_t at, int positioned)
{
	struct stat st;
	sigset_t before;
	ssize_t n = -1;
	int error;

	if (!is_ours(fd, &st))
		return positioned ? real_pwrite(fd, bytes, len, at) :
		    real_write(fd, bytes, len);
	sigprocmask(SIG_BLOCK, &cut_signal, &before);
	if (fails(bytes, len)) {
		errno = fault_error;
	} else {
		keep(fd, &st, positioned ? at : lseek(fd, 0, SEEK_CUR), len);
		n = positioned ? real_pwrite(fd, bytes, len, at) :
		    real_write(fd, bytes, len);
	}
	error = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return n;
}

static int
one_flush(int fd, int (*real)(int))
{
	struct stat st;
	sigset_t before;
	int rc = -1, error;

	if (!is_ours(fd, &st))
		return real(fd);
	sigprocmask(SIG_BLOCK, &cut_signal, &before);
	if (fails("", 0))
		errno = fault_error;
	else {
		rc = real(fd);
		flushed(st.st_ino);
	}
	error = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return rc;
}

ssize_t
pwrite(int fd, const void *bytes, size_t len, off_t at)
{
	return one_write(fd, bytes, len, at, 1);
}

ssize_t
pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
	return one_write(fd, bytes, len, at, 1);
}

ssize_t
write(int fd, const void *bytes, size_t len)
{
	return one_write(fd, bytes, len, 0, 0);
}

int
fsync(int fd)
{
	return one_flush(fd, real_fsync);
}

int
fdatasync(int fd)
{
	return one_flush(fd, real_fdatasync);
}

__attribute__((constructor)) static void
begin(void)
{
	struct sigaction sa = { .sa_handler = cut_now };
	const char *name = getenv("FAULT_DIR"), *at = getenv("FAULT_AT"),
	    *error = getenv("FAULT_ERROR");

	real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
	real_write = dlsym(RTLD_NEXT, "write");
	real_fsync = dlsym(RTLD_NEXT, "fsync");
	real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
	real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
	if (name == NULL || realpath(name, dir) == NULL)
		return;
	fault_at = at != NULL ? strtoul(at, NULL, 10) : 0;
	fault_on = getenv("FAULT_ON") != NULL;
	if (error != NULL && strcmp(error, "ENOSPC") == 0)
		fault_error = ENOSPC;
	owner = getpid();
	sigemptyset(&cut_signal);
	sigaddset(&cut_signal, SIGUSR1);
	sigaction(SIGUSR1, &sa, NULL);
	active = 1;
}

__attribute__((destructor)) static void
end(void)
{
	power_cut();
}
