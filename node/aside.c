/* SPDX-License-Identifier: ISC */
/*
 * What cannot be opened is nobody's word: it may be forged in any number.  So
 * it is renamed, which costs nothing (but for what lies on another disk), and
 * the folder has a bound.
 */
#include "node/aside.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

#define PIECE 65536

struct entry {
	char *path;
	int64_t since_ms;		/* renamed then */
	uint64_t octets;
};

/* From another disk: at most as much as may lie there at all. */
static int
copy_file(const char *dir, const char *path, const char *name, struct err *e)
{
	struct file_writer w = FILE_WRITER_INIT;
	FILE *f = fopen(path, "rbe");
	char piece[PIECE];
	size_t n, sum = 0;
	int rc;

	if (f == NULL)
		return err_errno(e, "%s", path);
	rc = file_writer_open(&w, dir, name, 0640, e);
	while (rc == 0 && (n = fread(piece, 1, sizeof(piece), f)) > 0) {
		sum += n;
		rc = sum > ASIDE_OCTETS ? err_set(e, ERR_LIMIT, "%s has more "
		    "than %d octets", path, ASIDE_OCTETS) :
		    file_writer_add(&w, piece, n, e);
	}
	if (rc == 0 && ferror(f))
		rc = err_errno(e, "%s", path);
	(void)fclose(f);
	if (rc == 0)
		return file_writer_commit(&w, true, e);
	file_writer_abort(&w);
	return rc;
}

int
aside_put(const char *dir, const char *path, const char *name, struct err *e)
{
	char *to = path_join(dir, name);
	int rc = file_make_dirs(dir, 0750, e);
	bool moved = rc == 0 && rename(path, to) == 0;

	if (rc == 0 && !moved)
		rc = errno == EXDEV ? copy_file(dir, path, name, e) :
		    err_errno(e, "%s to %s", path, to);
	if (!moved)
		(void)unlink(path);
	free(to);
	return rc;
}

static int
plain_file(const struct dirent *de)
{
	return strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0;
}

static int
by_age(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->since_ms != y->since_ms)
		return x->since_ms > y->since_ms ? -1 : 1;
	return strcmp(x->path, y->path);
}

/* All files there, the newest first. */
static size_t
list(const char *dir, struct entry **out)
{
	struct dirent **all;
	struct entry *entry;
	struct stat st;
	size_t n = 0;
	int i, count = scandir(dir, &all, plain_file, NULL);

	*out = NULL;
	if (count < 0)
		return 0;
	*out = mem_alloc((size_t)count + 1, sizeof(**out));
	for (i = 0; i < count; i++) {
		entry = &(*out)[n];
		entry->path = path_join(dir, all[i]->d_name);
		free(all[i]);
		if (lstat(entry->path, &st) != 0) {
			free(entry->path);
			continue;
		}
		entry->since_ms = (int64_t)st.st_ctim.tv_sec * 1000 +
		    st.st_ctim.tv_nsec / 1000000;
		entry->octets = (uint64_t)st.st_size;
		n++;
	}
	free(all);
	qsort(*out, n, sizeof(**out), by_age);
	return n;
}

unsigned
aside_trim(const char *dir, int64_t now_ms, uint64_t keep_secs)
{
	uint64_t octets = 0;
	struct entry *entry;
	unsigned gone = 0;
	size_t i, n = list(dir, &entry);

	for (i = 0; i < n; i++) {
		octets += entry[i].octets;
		if ((i >= ASIDE_FILES || octets > ASIDE_OCTETS ||
		    (keep_secs != 0 && entry[i].since_ms +
		    (int64_t)keep_secs * 1000 <= now_ms)) &&
		    unlink(entry[i].path) == 0) {
			gone++;
			octets -= entry[i].octets;
		}
		free(entry[i].path);
	}
	free(entry);
	return gone;
}
