/* SPDX-License-Identifier: ISC */
#ifndef BASE_FILE_H
#define BASE_FILE_H
/*
 * Files written so that they are whole or not there: a name that begins with
 * a dot, fsync, rename, fsync of the directory.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

struct file_writer {
	int fd;
	char *dir, *tmp, *name;		/* tmp is ".NAME.tmp" in dir */
};

#define FILE_WRITER_INIT { -1, NULL, NULL, NULL }

/* Makes the temporary file.  On error nothing is left. */
int file_writer_open(struct file_writer *w, const char *dir, const char *name,
    mode_t mode, struct err *e) MUST_CHECK;
/* All bytes or an error. */
int file_writer_add(struct file_writer *w, const void *bytes, size_t len,
    struct err *e) MUST_CHECK;
/* fsync, close, rename, fsync of dir; frees.  Where replace is not set an
 * existing name is ERR_EXISTS (renameat2 or link).  On error the temporary
 * file is gone. */
int file_writer_commit(struct file_writer *w, bool replace, struct err *e)
    MUST_CHECK;
/* Removes the temporary file; frees; harmless after commit. */
void file_writer_abort(struct file_writer *w);

/* The same in one call. */
int file_replace(const char *dir, const char *name, const void *bytes,
    size_t len, mode_t mode, struct err *e) MUST_CHECK;
/* The whole file, at most max bytes (ERR_LIMIT beyond), appended to out. */
int file_read(const char *path, size_t max, struct buf *out, struct err *e)
    MUST_CHECK;
/* The same of an open descriptor, from where it stands; path is for what an
 * error says.  On one, out may have some of it. */
int file_read_fd(int fd, const char *path, size_t max, struct buf *out,
    struct err *e) MUST_CHECK;
int file_sync_dir(const char *dir, struct err *e) MUST_CHECK;
/* mkdir -p with that mode for what is made; an existing directory is fine. */
int file_make_dirs(const char *dir, mode_t mode, struct err *e) MUST_CHECK;
/* read(2), but for EINTR, which is retried. */
ssize_t file_read_some(int fd, void *into, size_t len) MUST_CHECK;
/* write(2) until all is written; EINTR is retried. */
int file_write_all(int fd, const void *bytes, size_t len, struct err *e)
    MUST_CHECK;
/* "DIR/NAME"; the caller frees. */
char *path_join(const char *dir, const char *name);
/* "a/b/../c" stays as it is; NULL-safe basename into the string itself. */
const char *path_base(const char *path);

#endif
