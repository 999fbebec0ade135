/* SPDX-License-Identifier: ISC */
/*
 * sim [--seed N] [--runs K] [--dir DIR] [--bdb] [--verbose]
 *
 * Plays K worlds from seed N on.  Every fifth is calm: no faults, and then
 * everything comes exactly once.  Every tenth is played on Berkeley DB, in a
 * child, since a crash there leaves memory behind.
 */
#include "tests/sim/sim.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int
in_child(const struct settings *set)
{
	int status = 0;
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		status = world_run(set);
		(void)fflush(stdout);
		_exit(status);
	}
	if (pid == -1 || waitpid(pid, &status, 0) != pid)
		return 1;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 1)
		printf("seed %" PRIu64 ": FAILED: the child ended with %d\n",
		    set->seed, status);
	return 1;
}

static int
usage(void)
{
	fprintf(stderr, "usage: sim [--seed N] [--runs K] [--dir DIR] "
	    "[--bdb] [--verbose]\n");
	return 64;
}

static uint64_t
number(const char *text)
{
	uint64_t n;

	if (num_parse(slice_of(text), INT32_MAX, &n) != 0)
		exit(usage());
	return n;
}

static unsigned
play_all(struct settings *set, uint64_t runs, bool bdb)
{
	unsigned failed = 0;
	uint64_t i, first = set->seed;

	for (i = 0; i < runs; i++) {
		set->seed = first + i;
		set->calm = set->seed % 5 == 0;
		set->bdb = bdb || set->seed % 10 == 3;
		failed += set->bdb ? in_child(set) != 0 : world_run(set) != 0;
	}
	printf("%" PRIu64 " passed, %u failed\n", runs - failed, failed);
	return failed;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "runs", required_argument, NULL, 'r' },
		{ "dir", required_argument, NULL, 'd' },
		{ "bdb", no_argument, NULL, 'b' },
		{ "verbose", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 }
	};
	struct settings set = { .seed = 1, .dir = "." };
	char *dir = NULL;
	uint64_t runs = 1;
	bool bdb = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's': set.seed = number(optarg); break;
		case 'r': runs = number(optarg); break;
		case 'd': set.dir = optarg; break;
		case 'b': bdb = true; break;
		case 'v': set.verbose = true; break;
		default: return usage();
		}
	}
	dir = realpath(set.dir, NULL);
	if (dir == NULL || optind != argc)
		return usage();
	set.dir = dir;
	c = play_all(&set, runs, bdb) > 0;
	free(dir);
	return c;
}
