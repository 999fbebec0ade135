/* SPDX-License-Identifier: ISC */
/*
 * sim [--seed N] [--runs K] [--seconds S] [--least K] [--jobs J] [--dir DIR]
 *     [--bdb] [--sites N] [--most N] [--realm old|native|mixed] [--events N]
 *     [--verbose]
 *
 * Plays worlds from seed N on: K of them, or as many as S seconds allow.
 * Every eighth is calm: no faults, and then everything comes exactly once.
 * Every fortieth is played on Berkeley DB, in a child.
 */
#include "tests/sim/sim.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int
usage(void)
{
	fprintf(stderr, "usage: sim [--seed N] [--runs K] [--seconds S] "
	    "[--least K]\n\t[--jobs J] [--dir DIR] [--bdb] [--sites N] "
	    "[--most N]\n\t[--realm old|native|mixed] [--events N] "
	    "[--verbose]\n");
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

static int
realm(const char *name)
{
	static const char *const names[] = { [REALM_OLD] = "old",
		[REALM_NATIVE] = "native", [REALM_MIXED] = "mixed" };
	int i;

	for (i = 0; i < 3; i++) {
		if (strcmp(name, names[i]) == 0)
			return i;
	}
	exit(usage());
}

static void
read_options(struct crew *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "runs", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 't' },
		{ "least", required_argument, NULL, 'l' },
		{ "jobs", required_argument, NULL, 'j' },
		{ "dir", required_argument, NULL, 'd' },
		{ "bdb", no_argument, NULL, 'b' },
		{ "sites", required_argument, NULL, 'n' },
		{ "most", required_argument, NULL, 'm' },
		{ "realm", required_argument, NULL, 'w' },
		{ "events", required_argument, NULL, 'e' },
		{ "verbose", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 }
	};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 's': c->set.seed = number(optarg); break;
		case 'r': c->runs = number(optarg); break;
		case 't': c->secs = number(optarg); break;
		case 'l': c->least = number(optarg); break;
		case 'j': c->jobs = (unsigned)number(optarg); break;
		case 'd': c->set.dir = optarg; break;
		case 'b': c->bdb = true; break;
		case 'n': c->set.sites = number(optarg); break;
		case 'm': c->set.most = number(optarg); break;
		case 'w': c->set.realm = realm(optarg); break;
		case 'e': c->set.events = number(optarg); break;
		case 'v': c->set.verbose = true; break;
		default: exit(usage());
		}
	}
	if (optind != argc || c->jobs == 0 || c->set.sites == 1 ||
	    c->set.sites == 2 || c->set.sites > SITES_MAX ||
	    c->set.most == 1 || c->set.most == 2)
		exit(usage());
}

int
main(int argc, char **argv)
{
	struct crew c = { .set = { .seed = 1, .dir = ".", .realm = -1 },
	    .jobs = 1 };
	char *dir;
	int bad;

	read_options(&c, argc, argv);
	if (c.runs == 0)
		c.runs = c.secs == 0 ? 1 : UINT64_MAX;
	if (c.secs == 0)
		c.least = c.runs;
	dir = realpath(c.set.dir, NULL);
	if (dir == NULL)
		return usage();
	c.set.dir = dir;
	/* Calls are made by local time. */
	(void)setenv("TZ", "UTC", 1);
	tzset();
	bad = crew_play(&c) > 0;
	free(dir);
	return bad;
}
