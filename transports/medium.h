/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_MEDIUM_H
#define TRANSPORTS_MEDIUM_H
/*
 * A directory that may lie on a removable medium, held open while it is
 * worked in, so that nothing can be written below an empty mount point.
 *
 *	medium_open; openat(2) and so on relative to fd; medium_sync before
 *	anybody is told; medium_close soon, as an open directory keeps the
 *	medium from being unmounted
 */
#include <sys/stat.h>

#include "base/err.h"

struct medium {
	int fd;			/* of the directory; -1 while closed */
	const char *path;	/* the caller's */
	const char *marker;	/* the caller's; NULL: any directory will do */
	dev_t dev;
	ino_t ino;
};

#define MEDIUM_INIT { .fd = -1 }

/* Opens the directory and looks for the marker, a plain file, in it or in the
 * root of the file system that it lies on.  ERR_NOT_FOUND: the directory or
 * the marker is not there, the medium is not in place. */
int medium_open(struct medium *m, const char *path, const char *marker,
    struct err *e) MUST_CHECK;
void medium_close(struct medium *m);
/* Writes the file system's buffers out and then makes sure that the path
 * still leads to this directory and that the marker is still there. */
int medium_sync(const struct medium *m, struct err *e) MUST_CHECK;
/* Whether files can be removed: ERR_DENIED or ERR_IO where not (a medium
 * with its write protection on). */
int medium_check_writable(const struct medium *m, struct err *e) MUST_CHECK;

#endif
