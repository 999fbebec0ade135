/* SPDX-License-Identifier: ISC */
/*
 * Whole files of a directory copied, moved, removed: what salvage does around
 * the engine.  Copies are not synced; only the moves at its end must last,
 * and those the caller syncs.
 */
#include "spool/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

#define COPY_BYTES 65536

static int
copy_bytes(int from, int to, struct err *e)
{
	char *bytes = mem_alloc(1, COPY_BYTES);
	ssize_t n;
	int rc = 0;

	while (rc == 0 && (n = file_read_some(from, bytes, COPY_BYTES)) != 0) {
		if (n < 0)
			rc = err_errno(e, "read");
		else
			rc = file_write_all(to, bytes, (size_t)n, e);
	}
	free(bytes);
	return rc;
}

int
files_copy(const char *from_dir, const char *to_dir, const char *name,
    struct err *e)
{
	char *from = path_join(from_dir, name), *to = path_join(to_dir, name);
	int in = open(from, O_RDONLY | O_CLOEXEC), out = -1, rc;

	if (in >= 0)
		out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (in < 0 || out < 0)
		rc = err_errno(e, "copy %s to %s", from, to);
	else if ((rc = copy_bytes(in, out, e)) < 0)
		err_prefix(e, "copy %s to %s", from, to);
	if (in >= 0)
		(void)close(in);
	if (out >= 0)
		(void)close(out);
	free(from);
	free(to);
	return rc;
}

int
files_move(const char *from_dir, const char *to_dir, const char *name,
    struct err *e)
{
	char *from = path_join(from_dir, name), *to = path_join(to_dir, name);
	int rc = 0;

	if (rename(from, to) < 0)
		rc = err_errno(e, "move %s to %s", from, to);
	free(from);
	free(to);
	return rc;
}

int
files_remove(const char *dir, const char *unused, const char *name,
    struct err *e)
{
	char *path = path_join(dir, name);
	int rc = 0;

	(void)unused;
	if (unlink(path) < 0)
		rc = err_errno(e, "remove %s", path);
	free(path);
	return rc;
}

int
files_each(const char *from, const char *to, files_chosen *chosen,
    files_fn *fn,
    struct err *e)
{
	struct dirent **ent;
	int n = scandir(from, &ent, NULL, alphasort), rc = 0;

	if (n < 0)
		return err_errno(e, "read %s", from);
	for (int i = 0; i < n; i++) {
		if (rc == 0 && chosen(ent[i]->d_name))
			rc = fn(from, to, ent[i]->d_name, e);
		free(ent[i]);
	}
	free(ent);
	return rc;
}
