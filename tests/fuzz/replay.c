/* SPDX-License-Identifier: ISC */
/*
 * Stands in for libFuzzer: calls the target with each file that is named, or
 * that lies in a directory that is named.  A crash names its file, since that
 * was written before.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/fuzz/fuzz.h"

#define FILE_MAX (1 << 20)

static int
replay_file(const char *path)
{
	struct buf bytes = BUF_INIT;
	struct err e = ERR_INIT;
	char *copy;

	if (file_read(path, FILE_MAX, &bytes, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	printf("%s\n", path);
	fflush(stdout);
	copy = fuzz_copy(bytes.ptr, bytes.len);
	(void)LLVMFuzzerTestOneInput((const uint8_t *)copy, bytes.len);
	free(copy);
	buf_release(&bytes);
	return 0;
}

/* An empty directory is a mistake. */
static int
replay_dir(const char *path, DIR *dir)
{
	const struct dirent *d;
	int bad = 0, n = 0;

	while ((d = readdir(dir)) != NULL) {
		char *file;

		if (d->d_name[0] == '.')
			continue;
		file = path_join(path, d->d_name);
		bad |= replay_file(file);
		free(file);
		n++;
	}
	if (n == 0)
		fprintf(stderr, "%s: nothing is in it\n", path);
	return bad || n == 0;
}

int
main(int argc, char **argv)
{
	int bad = argc < 2;

	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);

		if (dir != NULL) {
			bad |= replay_dir(argv[i], dir);
			closedir(dir);
		} else
			bad |= replay_file(argv[i]);
	}
	return bad;
}
