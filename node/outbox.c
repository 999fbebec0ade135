/* SPDX-License-Identifier: ISC */
/*
 * The folder out/.  A file is known by name and size alone: to read all of
 * them whenever a transport ends would cost more than a spoilt one, which the
 * far end refuses.
 */
#include "node/outbox.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

void
outbox_sweep(const struct daemon *d, const char *road, const char *out)
{
	struct dirent **all;
	char *path;
	int i, n;

	n = scandir(out, &all, NULL, alphasort);
	for (i = 0; i < n; i++) {
		const char *name = all[i]->d_name;

		path = path_join(out, name);
		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
		    !exchange_knows_object(d->exchange, road, name))
			(void)unlink(path);
		free(path);
		free(all[i]);
	}
	if (n >= 0)
		free(all);
}

struct folder {
	const char *path;
};

static bool
is_there(void *ctx, const char *name, uint64_t octets)
{
	const struct folder *out = ctx;
	char *path = path_join(out->path, name);
	struct stat st;
	bool there = lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	    (uint64_t)st.st_size == octets;

	free(path);
	return there;
}

void
outbox_check(const struct daemon *d, const char *road, const char *out)
{
	struct folder folder = { out };

	exchange_check_objects(d->exchange, road, is_there, &folder);
}
