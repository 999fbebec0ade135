/* SPDX-License-Identifier: ISC */
/*
 * A library to preload: it counts flushes, and can make each take a while, as
 * a disk does.  Many virtual disks flush at no cost, which hides who flushes
 * less.
 *
 * The disk modelled here does one flush at a time; all who wait when one
 * begins are served by it.  Who comes while it runs is served by the next.
 * The whole model is the moment when the last flush that is due ends, in
 * memory that all processes on the same disk share: no lock, so that a
 * process may be killed anywhere.
 *
 *	SLOWFLUSH_FILE	the shared memory: struct disk, made by the caller
 *	SLOWFLUSH_MS	what a flush takes; 0 counts only
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct disk {
	int64_t end_ns;		/* of the last flush begun or due */
	int64_t calls;		/* to fsync and its kin */
	int64_t flushes;	/* of the modelled disk */
};

static struct disk *disk;
static int64_t flush_ns;

static void __attribute__((constructor))
attach(void)
{
	const char *path = getenv("SLOWFLUSH_FILE");
	const char *ms = getenv("SLOWFLUSH_MS");
	void *p;
	int fd;

	if (path == NULL || (fd = open(path, O_RDWR | O_CLOEXEC)) < 0)
		return;
	p = mmap(NULL, sizeof(*disk), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
	    0);
	(void)close(fd);
	if (p == MAP_FAILED)
		return;
	disk = p;
	if (ms != NULL)
		flush_ns = strtol(ms, NULL, 10) * 1000000;
}

static int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* When the flush ends that serves who asks now. */
static int64_t
join(void)
{
	int64_t now = now_ns(), end, mine;

	end = __atomic_load_n(&disk->end_ns, __ATOMIC_SEQ_CST);
	do {
		if (end <= now)
			mine = now + flush_ns;	/* idle: begins at once */
		else if (end - flush_ns <= now)
			mine = end + flush_ns;	/* behind the running one */
		else
			return end;		/* due already */
	} while (!__atomic_compare_exchange_n(&disk->end_ns, &end, mine, 0,
	    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	__atomic_add_fetch(&disk->flushes, 1, __ATOMIC_RELAXED);
	return mine;
}

static void
take_part(void)
{
	struct timespec until;
	int64_t end;
	int saved = errno;

	if (disk == NULL)
		return;
	__atomic_add_fetch(&disk->calls, 1, __ATOMIC_RELAXED);
	if (flush_ns > 0) {
		end = join();
		until.tv_sec = end / 1000000000;
		until.tv_nsec = end % 1000000000;
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until,
		    NULL) == EINTR)
			;
	}
	errno = saved;
}

static int
real_call(const char *name, int fd)
{
	int (*real)(int) = (int (*)(int))(uintptr_t)dlsym(RTLD_NEXT, name);
	int r = real(fd);

	take_part();
	return r;
}

int
fsync(int fd)
{
	return real_call("fsync", fd);
}

int
fdatasync(int fd)
{
	return real_call("fdatasync", fd);
}

int
syncfs(int fd)
{
	return real_call("syncfs", fd);
}

int
msync(void *p, size_t len, int flags)
{
	int (*real)(void *, size_t, int) = (int (*)(void *, size_t, int))
	    (uintptr_t)dlsym(RTLD_NEXT, "msync");
	int r = real(p, len, flags);

	if (flags & MS_SYNC)
		take_part();
	return r;
}
