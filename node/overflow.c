/* SPDX-License-Identifier: ISC */
/*
 * The watch over in/.  It measures instead of counting what is written, since
 * whoever writes is no part of us; and it looks the more often the faster
 * that grows, since a disk of today is filled in seconds and a daemon that
 * waits must not wake up for nothing.
 */
#include "node/overflow.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "transports/reception.h"

#define LOOK_MIN_MS 20
#define LOOK_MAX_MS 1000
#define SHARE 4			/* of what is taken to what must be left */
#define BLOCK 512		/* of st_blocks */
#define ENTRIES_MAX 20000	/* more are not counted at a look */

struct overflow {
	char *dir;
	struct overflow_hooks hooks;
	struct event *ev;
	uint64_t octets;	/* at the last look, */
	int64_t ms;		/* which was then */
};

const char *
overflow_judge(uint64_t octets, uint64_t before,
    const struct overflow_bounds *b)
{
	if (octets <= before)
		return NULL;
	if (b->max != 0 && octets > b->max)
		return "it put more into in/ than in-max allows";
	if (octets / SHARE > b->room)
		return "what it puts into in/ would fill the disk";
	return NULL;
}

/* Octets until overflow_judge speaks; what is added takes from the room. */
static uint64_t
margin(uint64_t octets, const struct overflow_bounds *b)
{
	uint64_t left = octets / SHARE > b->room ? 0 :
	    (b->room - octets / SHARE) / (SHARE + 1) * SHARE;

	if (b->max == 0)
		return left;
	if (octets > b->max)
		return 0;
	return b->max - octets < left ? b->max - octets : left;
}

unsigned
overflow_pause_ms(uint64_t octets, uint64_t before,
    const struct overflow_bounds *b, unsigned ms)
{
	uint64_t added = octets > before ? octets - before : 0;
	uint64_t looks = added == 0 ? UINT64_MAX : margin(octets, b) / added;

	if (looks >= 2 * LOOK_MAX_MS)
		return LOOK_MAX_MS;
	looks = looks * ms / 2;
	return looks < LOOK_MIN_MS ? LOOK_MIN_MS : looks > LOOK_MAX_MS ?
	    LOOK_MAX_MS : (unsigned)looks;
}

/* Calls take for each entry below fd but "." and ".."; those of folders with
 * a dot in front too, one level deep. */
static void
walk(int fd, unsigned depth, unsigned *left,
    void (*take)(void *ctx, int dir_fd, const char *name,
    const struct stat *st), void *ctx)
{
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;
	struct stat st;

	if (dir == NULL && fd >= 0)
		close(fd);
	while (dir != NULL && *left > 0 && (d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 ||
		    strcmp(d->d_name, "..") == 0 || fstatat(dirfd(dir),
		    d->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		--*left;
		if (S_ISDIR(st.st_mode) && d->d_name[0] == '.' && depth == 0)
			walk(openat(dirfd(dir), d->d_name, O_RDONLY |
			    O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), depth + 1,
			    left, take, ctx);
		else if (S_ISREG(st.st_mode))
			take(ctx, dirfd(dir), d->d_name, &st);
	}
	if (dir != NULL)
		closedir(dir);
}

static void
add_size(void *ctx, int dir_fd, const char *name, const struct stat *st)
{
	uint64_t *octets = ctx;

	(void)dir_fd;
	(void)name;
	*octets += (uint64_t)st->st_blocks * BLOCK;
}

uint64_t
overflow_measure(const char *dir)
{
	unsigned left = ENTRIES_MAX;
	uint64_t octets = 0;

	walk(open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), 0, &left,
	    add_size, &octets);
	return octets;
}

static void
remove_begun(void *ctx, int dir_fd, const char *name, const struct stat *st)
{
	(void)ctx;
	(void)st;
	if (name[0] == '.' && strcmp(name, RECEPTION_JOURNAL) != 0)
		(void)unlinkat(dir_fd, name, 0);
}

void
overflow_clean(const char *dir)
{
	unsigned left = UINT32_MAX;

	walk(open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), 0, &left,
	    remove_begun, NULL);
}

static void
look_in(struct overflow *o, unsigned ms)
{
	struct timeval wait = { ms / 1000, (ms % 1000) * 1000 };

	event_add(o->ev, &wait);
}

static void
look(evutil_socket_t fd, short what, void *ctx)
{
	struct overflow *o = ctx;
	uint64_t octets = overflow_measure(o->dir), before = o->octets;
	int64_t now = clock_mono_ms(clock_real()), ms = now - o->ms;
	struct overflow_bounds bounds;
	const char *why;

	(void)fd;
	(void)what;
	o->hooks.bounds(o->hooks.ctx, &bounds);
	o->octets = octets;
	o->ms = now;
	why = overflow_judge(octets, before, &bounds);
	if (why != NULL)
		o->hooks.over(o->hooks.ctx, why, octets);
	else
		look_in(o, overflow_pause_ms(octets, before, &bounds,
		    ms > 0 ? (unsigned)ms : 1));
}

struct overflow *
overflow_start(struct event_base *base, const char *dir,
    const struct overflow_hooks *hooks)
{
	struct overflow *o = mem_alloc(1, sizeof(*o));

	o->dir = mem_strdup(dir);
	o->hooks = *hooks;
	o->octets = overflow_measure(dir);
	o->ms = clock_mono_ms(clock_real());
	o->ev = event_new(base, -1, EV_TIMEOUT, look, o);
	if (o->ev == NULL)
		abort();
	look_in(o, LOOK_MIN_MS);
	return o;
}

void
overflow_stop(struct overflow *o)
{
	if (o == NULL)
		return;
	event_free(o->ev);
	free(o->dir);
	free(o);
}
