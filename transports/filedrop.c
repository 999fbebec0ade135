/* SPDX-License-Identifier: ISC */
/*
 * The transport "file".  Directories are opened anew for each look and closed
 * behind it, so that a medium can be pulled between two looks.  New media
 * are found by looking every `poll` seconds, since mounts show nowhere else;
 * inotify on the pick-up directory only makes it quicker.
 */
#include "transports/filedrop.h"
#include "base/clock.h"
#include "base/mem.h"
#include "transports/drop.h"
#include "transports/filename.h"
#include "transports/pickup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#define POLL_DEFAULT_MS 10000
#define POLL_MIN_MS 10
#define SUFFIX_MAX 16

enum place { PLACE_DROP, PLACE_PICKUP, PLACES };

struct filedrop {
	struct contract *contract;
	const char *paths[PLACES];	/* NULL: not configured */
	const char *marker;
	int poll_ms, settle_ms;
	bool stay;
	struct drop *drop;
	struct pickup *pickup;
	int inotify_fd;		/* -1: only polling */
	bool told_waiting[PLACES];
	bool told_no_drop;
};

/* What one look found out. */
struct look {
	bool failed;	/* try again later */
	bool absent;	/* a medium is not there */
	bool unsettled;	/* a file is still being written */
};

static int
check_paths(struct filedrop *f, struct err *e)
{
	static const char *const keys[PLACES] = {
		[PLACE_DROP] = "drop", [PLACE_PICKUP] = "pickup"
	};
	struct stat st[PLACES];
	int there = 0;

	for (int i = 0; i < PLACES; i++) {
		f->paths[i] = contract_setting(f->contract, keys[i], NULL);
		if (f->paths[i] == NULL)
			continue;
		if (f->paths[i][0] != '/')
			return err_set(e, ERR_CONFIG,
			    "%s=%s: want an absolute path", keys[i],
			    f->paths[i]);
		if (stat(f->paths[i], &st[i]) == 0)
			there++;
	}
	if (f->paths[PLACE_DROP] == NULL && f->paths[PLACE_PICKUP] == NULL)
		return err_set(e, ERR_CONFIG, "neither drop nor pickup is set");
	if (there == PLACES &&
	    st[PLACE_DROP].st_dev == st[PLACE_PICKUP].st_dev &&
	    st[PLACE_DROP].st_ino == st[PLACE_PICKUP].st_ino)
		return err_set(e, ERR_CONFIG,
		    "drop and pickup are the same directory: what is sent "
		    "would come back");
	return 0;
}

static int
check_marker(struct filedrop *f, struct err *e)
{
	f->marker = contract_setting(f->contract, "marker", NULL);
	if (f->marker == NULL)
		return 0;
	if (*f->marker == '\0' || strchr(f->marker, '/') != NULL ||
	    strlen(f->marker) > NAME_MAX || strcmp(f->marker, ".") == 0 ||
	    strcmp(f->marker, "..") == 0)
		return err_set(e, ERR_CONFIG,
		    "marker=%s: want the name of a file", f->marker);
	return 0;
}

static int
check_suffix(const char *suffix, struct err *e)
{
	char *probe = mem_printf("a%s", suffix);
	int rc = 0;

	if (strlen(suffix) > SUFFIX_MAX || !filename_fat_ok(slice_of(probe)))
		rc = err_set(e, ERR_CONFIG, "suffix=%s: want at most %d of "
		    "a-z, 0-9, dot, hyphen", suffix, SUFFIX_MAX);
	free(probe);
	return rc;
}

static int
read_settings(struct filedrop *f, const char **suffix_out, struct err *e)
{
	struct contract *c = f->contract;
	int rc;

	*suffix_out = contract_setting(c, "suffix", "");
	rc = check_paths(f, e);
	if (rc == 0)
		rc = check_marker(f, e);
	if (rc == 0)
		rc = check_suffix(*suffix_out, e);
	if (rc == 0)
		rc = contract_setting_ms_least(c, "poll", POLL_DEFAULT_MS,
		    POLL_MIN_MS, &f->poll_ms, e);
	if (rc == 0)
		rc = contract_setting_ms(c, "settle", 0, &f->settle_ms, e);
	if (rc == 0)
		rc = contract_setting_bool(c, "stay", false, &f->stay, e);
	if (rc == 0)
		rc = contract_settings_used(c, e);
	return rc;
}

int
filedrop_check(struct contract *c, struct err *e)
{
	struct filedrop f = { .contract = c };
	const char *suffix;

	return read_settings(&f, &suffix, e);
}

int
filedrop_new(struct contract *c, struct filedrop **f_out, struct err *e)
{
	struct filedrop *f = mem_alloc(1, sizeof(*f));
	const char *suffix;
	int rc;

	f->contract = c;
	f->inotify_fd = -1;
	rc = read_settings(f, &suffix, e);
	if (rc == 0) {
		f->drop = drop_new(c, suffix);
		f->pickup = pickup_new(c, f->settle_ms);
		if (f->stay && f->paths[PLACE_PICKUP] != NULL)
			f->inotify_fd = inotify_init1(IN_CLOEXEC |
			    IN_NONBLOCK);
	} else {
		filedrop_free(f);
		f = NULL;
	}
	*f_out = f;
	return rc;
}

void
filedrop_free(struct filedrop *f)
{
	if (f == NULL)
		return;
	drop_free(f->drop);
	pickup_free(f->pickup);
	if (f->inotify_fd >= 0)
		close(f->inotify_fd);
	free(f);
}

/* The other place is told of again where it is still missing. */
static void
tell_there(struct filedrop *f, enum place place)
{
	contract_note(f->contract, "%s is there", f->paths[place]);
	for (int i = 0; i < PLACES; i++)
		f->told_waiting[i] = false;
}

/* Whether the medium of that place is there; an absence is told once. */
static bool
open_place(struct filedrop *f, enum place place, struct medium *m,
    struct look *look)
{
	struct err e = ERR_INIT;
	int rc = medium_open(m, f->paths[place], f->marker, &e);

	if (rc == 0) {
		if (f->told_waiting[place])
			tell_there(f, place);
		return true;
	}
	if (rc != ERR_NOT_FOUND) {
		look->failed = true;
		contract_note(f->contract, "%s", e.text);
		return false;
	}
	look->absent = true;
	if (!f->told_waiting[place] && f->marker != NULL)
		contract_note(f->contract, "waiting for marker %s: %s",
		    f->marker, e.text);
	else if (!f->told_waiting[place])
		contract_note(f->contract, "waiting for directory: %s",
		    e.text);
	f->told_waiting[place] = true;
	return false;
}

static void
look_drop(struct filedrop *f, struct look *look)
{
	struct contract_names out = { NULL, 0 };
	struct medium m = MEDIUM_INIT;
	struct err e = ERR_INIT;

	if (contract_out(f->contract, &out, &e) < 0) {
		look->failed = true;
		contract_note(f->contract, "%s", e.text);
		return;
	}
	drop_forget(f->drop, &out);
	if (!drop_wanted(f->drop, &out)) {
		;
	} else if (f->paths[PLACE_DROP] == NULL) {
		if (!f->told_no_drop)
			contract_note(f->contract, "there are files to send "
			    "but no drop directory is set");
		f->told_no_drop = true;
	} else if (open_place(f, PLACE_DROP, &m, look)) {
		if (drop_pass(f->drop, &m, &out, &e) < 0)
			look->failed = true;
		medium_close(&m);
	}
	contract_names_release(&out);
}

static void
look_pickup(struct filedrop *f, struct look *look)
{
	struct medium m = MEDIUM_INIT;
	struct err e = ERR_INIT;
	int rc;

	if (f->paths[PLACE_PICKUP] == NULL ||
	    !open_place(f, PLACE_PICKUP, &m, look))
		return;
	/* Watched before it is read, so that nothing falls between; where it
	 * is watched already this changes nothing. */
	if (f->inotify_fd >= 0)
		(void)inotify_add_watch(f->inotify_fd, f->paths[PLACE_PICKUP],
		    IN_CLOSE_WRITE | IN_MOVED_TO | IN_ONLYDIR);
	rc = pickup_pass(f->pickup, &m, &e);
	if (rc < 0) {
		look->failed = true;
		contract_note(f->contract, "%s", e.text);
	}
	look->unsettled = rc > 0;
	medium_close(&m);
}

static struct look
look_once(struct filedrop *f)
{
	struct look look = { false, false, false };

	look_drop(f, &look);
	if (!contract_stopping(f->contract))
		look_pickup(f, &look);
	return look;
}

static void
drain_inotify(struct filedrop *f)
{
	char bytes[4096];

	while (f->inotify_fd >= 0 &&
	    read(f->inotify_fd, bytes, sizeof(bytes)) > 0)
		;
}

/* Waits for a command, a file or the time; false: end. */
static bool
wait_for(struct filedrop *f, int ms, bool end_counts)
{
	struct pollfd p[2] = {
		{ .fd = contract_commands_fd(f->contract), .events = POLLIN },
		{ .fd = f->inotify_fd, .events = POLLIN }
	};
	enum contract_command said = contract_command(f->contract);

	if (said == CONTRACT_GONE && !end_counts)
		p[0].fd = -1;
	if (said == CONTRACT_NONE || p[0].fd == -1) {
		(void)poll(p, 2, ms);
		drain_inotify(f);
		said = contract_command(f->contract);
	}
	return said != CONTRACT_STOP &&
	    (said != CONTRACT_GONE || !end_counts);
}

/* One look, and a second one at files that were not settled. */
static enum contract_exit
run_once(struct filedrop *f)
{
	struct look look = look_once(f);
	int64_t until = clock_mono_ms(clock_real()) + f->settle_ms;

	if (look.unsettled && !look.failed && f->settle_ms > 0) {
		int64_t left = f->settle_ms;
		bool go_on = true;

		while (go_on && left > 0) {
			go_on = wait_for(f, (int)left, false);
			left = until - clock_mono_ms(clock_real());
		}
		if (go_on)
			look_pickup(f, &look);
	}
	return look.failed || look.absent ? CONTRACT_EXIT_LATER :
	    CONTRACT_EXIT_DONE;
}

enum contract_exit
filedrop_run(struct filedrop *f)
{
	struct look look;
	int ms;

	if (!f->stay)
		return run_once(f);
	do {
		look = look_once(f);
		if (look.failed)
			return CONTRACT_EXIT_LATER;
		ms = f->poll_ms;
		if (look.unsettled && f->settle_ms < ms)
			ms = f->settle_ms < POLL_MIN_MS ? POLL_MIN_MS :
			    f->settle_ms;
	} while (wait_for(f, ms, true));
	return CONTRACT_EXIT_DONE;
}
