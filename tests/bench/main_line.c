/* SPDX-License-Identifier: ISC */
/*
 * A serial line made of two ptys, for the serial benchmark and the tests.
 *
 *	line [--rate BIT/S] [--delay MS] [--errors P] [--bursts P LEN]
 *	    [--drops P] [--xonxoff] [--strip] [--seed N]
 *
 * Prints the names of the two ends and passes characters, ten bits each,
 * until standard input ends; then prints how many passed each way and how
 * many were damaged.  A character leaves its pty when its time has come and
 * not before; a writer is stopped while more than a UART's worth waits, as a
 * kernel's pty would else take seconds of the past.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

#define FIFO 16			/* characters taken before their time */
#define HELD_MAX 512		/* characters that a writer may be ahead */
#define QUEUE (1U << 18)	/* characters on the way: rate times delay */
#define STEP_NS 1000000

struct settings {
	double rate, errors, bursts, drops;	/* rate: characters a second */
	int64_t delay_us;
	unsigned burst_len;
	bool eat_xon, eat_top;
	struct rng_seeded rng;
};

struct way {
	int from, to;		/* masters */
	int slave;		/* of from: held open, stopped and started */
	bool stopped;
	int64_t free_us;	/* when the next character may be taken */
	unsigned char chars[QUEUE];
	int64_t due_us[QUEUE];
	size_t head, count;
	unsigned burst_left;
	uint64_t passed, damaged;
};

static int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static bool
happens(struct settings *s, double probability)
{
	return probability > 0 &&
	    (double)(rng_u64(&s->rng.rng) >> 11) / 0x1p53 < probability;
}

/* What becomes of a character; -1: it is lost. */
static int
pass(struct settings *s, struct way *w, unsigned char c)
{
	int became = c;

	/* One draw for the octet tells whether any bit is wrong at all. */
	if (happens(s, 1 - pow(1 - s->errors, 8)))
		became ^= 1 << rng_below(&s->rng.rng, 8);
	if (happens(s, s->bursts))
		w->burst_left = 1 + (unsigned)rng_below(&s->rng.rng,
		    s->burst_len);
	if (w->burst_left > 0) {
		w->burst_left--;
		became = (int)rng_below(&s->rng.rng, 256);
	}
	if (happens(s, s->drops))
		became = -1;
	w->passed++;
	w->damaged += became != c;
	if (became < 0)
		return -1;
	if (s->eat_top)
		became &= 0x7f;
	return s->eat_xon && (became == 0x11 || became == 0x13) ? -1 :
	    became;
}

static void
hold_writer(struct way *w)
{
	int waiting = 0;
	bool stop;

	if (ioctl(w->from, FIONREAD, &waiting) < 0)
		return;
	stop = waiting > HELD_MAX;
	if (stop != w->stopped)
		(void)tcflow(w->slave, stop ? TCOOFF : TCOON);
	w->stopped = stop;
}

static void
take(struct settings *s, struct way *w)
{
	int64_t now = now_us();
	double each_us = 1e6 / s->rate;
	unsigned char in[4096];
	double may;
	ssize_t n;

	may = (double)(now - w->free_us) / each_us + FIFO;
	if (may > (double)sizeof(in))
		may = sizeof(in);
	if (may >= 1 && w->count + (size_t)may < QUEUE) {
		n = read(w->from, in, (size_t)may);
		for (ssize_t i = 0; i < n; i++) {
			int c = pass(s, w, in[i]);
			size_t at = (w->head + w->count) % QUEUE;

			if (c < 0)
				continue;
			w->chars[at] = (unsigned char)c;
			w->due_us[at] = w->free_us + (int64_t)(each_us *
			    (double)(i + 1)) + s->delay_us;
			w->count++;
		}
		if (n > 0)
			w->free_us += (int64_t)(each_us * (double)n);
		/* A line with nothing to do starts its next character then;
		 * one that was only not looked at in time catches up. */
		if (n < (ssize_t)may && w->free_us < now)
			w->free_us = now;
	}
	hold_writer(w);
}

static void
give(struct way *w)
{
	int64_t now = now_us();

	while (w->count > 0 && w->due_us[w->head] <= now) {
		size_t n = 0;

		while (n < w->count && w->head + n < QUEUE &&
		    w->due_us[w->head + n] <= now)
			n++;
		ssize_t put = write(w->to, w->chars + w->head, n);

		if (put <= 0)
			return;
		w->head = (w->head + (size_t)put) % QUEUE;
		w->count -= (size_t)put;
	}
}

static int
open_pty(int *slave_out)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
	struct termios t;

	if (fd < 0 || grantpt(fd) < 0 || unlockpt(fd) < 0)
		return -1;
	*slave_out = open(ptsname(fd), O_RDWR | O_NOCTTY | O_NONBLOCK);
	if (*slave_out < 0 || tcgetattr(*slave_out, &t) < 0)
		return -1;
	cfmakeraw(&t);
	(void)tcsetattr(*slave_out, TCSANOW, &t);
	return fd;
}

static double
number(const char *text)
{
	char *end;
	double v = strtod(text, &end);

	if (*text == '\0' || *end != '\0' || v < 0) {
		fprintf(stderr, "line: %s is no number\n", text);
		exit(2);
	}
	return v;
}

static bool
take_option(struct settings *s, char **argv, int *i, int left)
{
	const char *o = argv[*i];

	if (strcmp(o, "--xonxoff") == 0)
		s->eat_xon = true;
	else if (strcmp(o, "--strip") == 0)
		s->eat_top = true;
	else if (left < 2)
		return false;
	else if (strcmp(o, "--rate") == 0)
		s->rate = number(argv[++*i]) / 10;
	else if (strcmp(o, "--delay") == 0)
		s->delay_us = (int64_t)(number(argv[++*i]) * 1000);
	else if (strcmp(o, "--errors") == 0)
		s->errors = number(argv[++*i]);
	else if (strcmp(o, "--drops") == 0)
		s->drops = number(argv[++*i]);
	else if (strcmp(o, "--seed") == 0)
		rng_seeded_init(&s->rng, (uint64_t)number(argv[++*i]));
	else if (strcmp(o, "--bursts") == 0 && left >= 3) {
		s->bursts = number(argv[++*i]);
		s->burst_len = (unsigned)number(argv[++*i]);
	} else
		return false;
	return true;
}

int
main(int argc, char **argv)
{
	struct settings s = { .rate = 11520, .burst_len = 1 };
	struct way *ways = mem_alloc(2, sizeof(*ways));
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	struct timespec step = { 0, STEP_NS };
	char name[64];
	int status = 0;

	rng_seeded_init(&s.rng, 1);
	for (int i = 1; i < argc; i++) {
		if (!take_option(&s, argv, &i, argc - i)) {
			fprintf(stderr, "line: bad option %s\n", argv[i]);
			return 2;
		}
	}
	for (int i = 0; i < 2; i++) {
		ways[i].from = open_pty(&ways[i].slave);
		if (ways[i].from < 0) {
			perror("line: pty");
			return 1;
		}
		ways[i].free_us = now_us();
		snprintf(name, sizeof(name), "%s", ptsname(ways[i].from));
		printf("%s\n", name);
	}
	fflush(stdout);
	ways[0].to = ways[1].from;
	ways[1].to = ways[0].from;
	while (ppoll(&p, 1, &step, NULL) <= 0) {
		for (int i = 0; i < 2; i++) {
			take(&s, &ways[i]);
			give(&ways[i]);
		}
	}
	for (int i = 0; i < 2; i++)
		printf("passed %llu damaged %llu\n",
		    (unsigned long long)ways[i].passed,
		    (unsigned long long)ways[i].damaged);
	free(ways);
	return status;
}
