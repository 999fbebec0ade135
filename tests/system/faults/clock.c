/* SPDX-License-Identifier: ISC */
/*
 * A clock that a test turns: preloaded into a daemon, it adds to every clock
 * the seconds that stand in the file CLOCK_SKEW, 8 octets in the machine's
 * order.  The file is mapped, so that it can change while the daemon runs.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static volatile const int64_t *skew;
static int (*real_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void
begin(void)
{
	const char *path = getenv("CLOCK_SKEW");
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *at;

	real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
	if (fd == -1)
		return;
	at = mmap(NULL, sizeof(*skew), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (at != MAP_FAILED)
		skew = at;
}

int
clock_gettime(clockid_t which, struct timespec *ts)
{
	int rc;

	if (real_gettime == NULL)
		real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
	rc = real_gettime(which, ts);
	if (rc == 0 && skew != NULL && which != CLOCK_PROCESS_CPUTIME_ID &&
	    which != CLOCK_THREAD_CPUTIME_ID)
		ts->tv_sec += *skew;
	return rc;
}
