/* SPDX-License-Identifier: ISC */
/*
 * One node: an exchange on its spool, which may stop at any moment and be
 * started again from what the disk kept.  With Berkeley DB a crash leaves the
 * environment as it stands: its files are closed behind its back and the
 * memory is abandoned, so that only recovery can help.
 */
#include "tests/sim/sim.h"

#include <dirent.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "node/transit.h"

/* Octets that an exchange may keep in memory, and as many for each road: a
 * compressor has some 300 KiB of its own. */
#define HELD_MAX (512 << 10)
/* And what a transaction has gathered that a crash cuts off. */
#define UNIT_MAX (1 << 20)

static int64_t
wall_ms(struct clock *c)
{
	struct site *s = list_entry(c, struct site, clock);

	return 1700000000000 + s->world->now_ms + s->wall_offset_ms;
}

static int64_t
mono_ms(struct clock *c)
{
	return list_entry(c, struct site, clock)->world->now_ms;
}

static void
log_line(void *ctx, enum log_level level, const char *line)
{
	struct site *s = ctx;

	tell(s->world, s->name, "%s %s", log_level_name(level), line);
}

void
site_init(struct site *s)
{
	struct world *w = s->world;

	s->clock.wall_ms = wall_ms;
	s->clock.mono_ms = mono_ms;
	s->log = log_new_sink(log_line, s);
	if (!w->set.story)
		log_set_level(s->log, LOG_LEVEL_FATAL);
	list_init(&s->jobs);
	safe_init(s);
	s->conf = plan_conf(s);
	if (!w->set.bdb)
		s->disk = store_mem_disk_new();
	else
		s->dir = mem_printf("%s/db-%s-%ld", w->set.dir, s->name,
		    (long)getpid());
}

struct road *
site_road(struct site *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->nroads; i++) {
		if (strcmp(s->road[i].peer_lane, name) == 0)
			return &s->road[i];
	}
	return NULL;
}

static uint64_t
free_bytes(void *ctx)
{
	struct site *s = ctx;

	return s->full_until_ms > s->world->now_ms ? 0 : UINT64_C(1) << 30;
}

static int
open_store(struct site *s, struct store **store_out, struct err *e)
{
	struct store_options opts;

	if (s->disk != NULL)
		return store_open_mem(s->disk, store_out, e);
	store_options_default(&opts);
	opts.dir = s->dir;
	opts.create = true;
	/* A log is filled with zeros when it is made. */
	opts.log_buffer_bytes = 256 << 10;
	opts.log_file_bytes = 4 << 20;
	return store_open_bdb(&opts, store_out, e);
}

int
site_open_spool(struct site *s, struct err *e)
{
	struct spool_options sopts = { .clock = &s->clock,
	    .rng = &s->world->rng.rng, .log = s->log,
	    .min_free_bytes = s->conf->min_free, .free_bytes = free_bytes,
	    .free_ctx = s, .dir = s->world->set.dir };
	struct store *store;
	int rc;

	rc = open_store(s, &store, e);
	return rc != 0 ? rc : spool_open(store, &sopts, &s->spool, e);
}

static int
open_all(struct site *s, struct err *e)
{
	struct exchange_options xopts = { .clock = &s->clock,
	    .rng = &s->world->rng.rng, .log = s->log, .conf = s->conf };
	int rc;

	rc = site_open_spool(s, e);
	if (rc != 0)
		return rc;
	safe_open(s);
	xopts.spool = s->spool;
	xopts.keyring = s->keyring;
	xopts.serials = s->serials;
	s->x = exchange_new(&xopts);
	rc = exchange_start(s->x, e);
	if (rc == 0)
		safe_give_cards(s);
	return rc;
}

/* Its card is another's than the others have: their operators are given the
 * new one and start their nodes again. */
static void
tell_others(struct site *s)
{
	struct world *w = s->world;
	size_t i;

	for (i = 0; i < w->nsites; i++) {
		if (&w->site[i] != s && w->site[i].up)
			site_crash(&w->site[i]);
	}
}

void
site_start(struct site *s)
{
	struct world *w = s->world;
	struct err e = ERR_INIT;
	int rc;

	if (s->dir != NULL && file_make_dirs(s->dir, 0700, &e) != 0)
		wrong(w, "%s", e.text);
	if (s->disk != NULL)
		store_mem_disk_revive(s->disk);
	if (s->disk != NULL && mishap(w, w->weather.stillborn))
		store_mem_disk_crash_at(s->disk, 1 + roll(w, 5), &w->rng.rng);
	s->life++;
	s->timer_ms = 0;
	s->up = true;
	rc = open_all(s, &e);
	if (rc != 0 && (s->disk == NULL || !store_mem_disk_crashed(s->disk))) {
		wrong(w, "%s does not start: %s", s->name, e.text);
		s->up = false;
		return;
	}
	if (s->disk != NULL && store_mem_disk_crashed(s->disk)) {
		site_crash(s);
		return;
	}
	tell(w, s->name, "sim: up");
	haul_sweep(s);
	if (s->life > 1 && s->card_new)
		tell_others(s);
	s->card_new = s->card_new && s->life == 1;
}

static void
parcels_free(struct list *dir)
{
	struct list *item, *after;

	list_for_each_safe(item, after, dir)
		parcel_free(list_entry(item, struct parcel, link));
}

static void
forget_jobs(struct site *s)
{
	struct list *item, *after;

	list_for_each_safe(item, after, &s->jobs) {
		struct job *j = list_entry(item, struct job, link);

		list_del(item);
		exchange_action_release(&j->a);
		free(j);
	}
}

/* Closes what is open below a directory, so that its locks are gone. */
static void
close_below(const char *dir)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *entry;
	char target[1024];
	uint64_t fd;
	ssize_t n;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		n = readlinkat(dirfd(d), entry->d_name, target,
		    sizeof(target) - 1);
		if (n <= 0)
			continue;
		target[n] = '\0';
		if (strncmp(target, dir, strlen(dir)) == 0 &&
		    num_parse(slice_of(entry->d_name), INT32_MAX, &fd) == 0)
			(void)close((int)fd);
	}
	if (d != NULL)
		(void)closedir(d);
}

/* What an exchange keeps in memory is what its end gives back. */
static void
drop_memory(struct site *s)
{
	struct world *w = s->world;
	size_t i, before, after, most = (1 + s->nroads) * HELD_MAX;

	if (s->disk != NULL && store_mem_disk_crashed(s->disk))
		most += UNIT_MAX;
	for (i = 0; i < s->nroads; i++)
		buf_release(&s->road[i].bytes);
	before = mallinfo2().uordblks;
	haul_drop(s);
	exchange_free(s->x);
	spool_close(s->spool);
	after = mallinfo2().uordblks;
	if (before > after && before - after > w->held_most)
		w->held_most = before - after;
	if (before > after + most)
		wrong(w, "%s held %zu octets in memory", s->name,
		    before - after);
}

static void
go_down(struct site *s, int64_t ms)
{
	struct world *w = s->world;
	struct err e = ERR_INIT;

	if (s->disk != NULL) {
		store_mem_disk_crash_at(s->disk, 1, &w->rng.rng);
		if (s->spool != NULL)
			(void)!store_flush(spool_store(s->spool), &e);
		drop_memory(s);
	} else {
		haul_drop(s);
		close_below(s->dir);
	}
	forget_jobs(s);
	safe_close(s);
	s->x = NULL;
	s->spool = NULL;
	s->up = false;
	if (ms != 0)
		event_add(w, ms, EVENT_RESTART, s, 0, NULL);
}

void
site_crash(struct site *s)
{
	struct world *w = s->world;

	tell(w, s->name, "sim: crash");
	w->crashes++;
	go_down(s, 1000 + (int64_t)roll(w, (uint64_t)(roll(w, 5) == 0 ?
	    12 * HOUR_MS : 10 * MINUTE_MS)));
}

void
site_absent(struct site *s, int64_t ms)
{
	tell(s->world, s->name, "sim: goes away for %lld s",
	    (long long)ms / 1000);
	go_down(s, ms);
}

void
site_die(struct site *s)
{
	size_t i;

	tell(s->world, s->name, "sim: dies");
	go_down(s, 0);
	s->dead = true;
	truth_excuse(s, INT64_MAX);
	for (i = 0; i < s->nroads; i++) {
		parcels_free(&s->road[i].in);
		parcels_free(&s->road[i].out);
	}
}

static void
remove_dir(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL)
		(void)unlinkat(dirfd(d), entry->d_name, 0);
	if (d != NULL)
		(void)closedir(d);
	(void)rmdir(dir);
}

void
site_release(struct site *s)
{
	struct list *item, *after;
	size_t i;

	exchange_inbound_free(s->inbound);
	for (i = 0; i < s->nroads; i++) {
		struct road *r = &s->road[i];

		exchange_outbound_free(r->outbound);
		free(r->peer_lane);
		free(r->name);
		buf_release(&r->bytes);
		parcels_free(&r->out);
		parcels_free(&r->in);
		parcels_free(&r->past);
		list_for_each_safe(item, after, &r->made) {
			struct made *m = list_entry(item, struct made, link);

			free(m->name);
			free(m);
		}
	}
	free(s->road);
	forget_jobs(s);
	exchange_free(s->x);
	spool_close(s->spool);
	safe_close(s);
	safe_release(s);
	store_mem_disk_free(s->disk);
	if (s->dir != NULL)
		remove_dir(s->dir);
	free(s->dir);
	conf_free(s->conf);
	log_free(s->log);
}

static void
carry_out(struct site *s, struct exchange_action *a)
{
	struct road *r = a->road != NULL ? site_road(s, a->road) : NULL;
	struct world *w = s->world;
	struct job *j;

	switch (a->kind) {
	case EXCHANGE_WRITE:
		haul_write(r, a);
		break;
	case EXCHANGE_UNLINK:
		parcel_free(parcel_find(&r->out, a->name));
		break;
	case EXCHANGE_RUN:
		haul_run(r);
		break;
	case EXCHANGE_STOP:
		r->stopping = true;
		break;
	case EXCHANGE_DELIVER:
		j = mem_alloc(1, sizeof(*j));
		j->a = *a;
		memset(a, 0, sizeof(*a));
		list_add_tail(&s->jobs, &j->link);
		event_add(w, 10 + (int64_t)roll(w, 3000), EVENT_DELIVER, s,
		    j->a.job, NULL);
		break;
	}
}

static bool
has_crashed(struct site *s)
{
	return s->disk != NULL && store_mem_disk_crashed(s->disk);
}

static bool
settle_once(struct site *s)
{
	struct exchange_completion c;
	struct exchange_action a;
	struct err e = ERR_INIT;
	bool busy = false;

	if (exchange_commit(s->x, &e) != 0 && !has_crashed(s))
		wrong(s->world, "%s: commit: %s", s->name, e.text);
	if (has_crashed(s))
		return false;
	while (exchange_next_completion(s->x, &c) == 1)
		mails_completed(s, &c);
	while (!has_crashed(s) && exchange_next_action(s->x, &a) == 1) {
		if (!has_crashed(s))
			carry_out(s, &a);
		exchange_action_release(&a);
		busy = true;
	}
	return busy || exchange_commit_pending(s->x);
}

/* A machine that has nothing to do is late: so long a pause is only for
 * upkeep, or no matter of minutes. */
static int64_t
sleepy(struct world *w, int64_t at)
{
	int64_t pause = at - w->now_ms;

	if (pause < 30000 || pause > MINUTE_MS)
		return at;
	return at + (int64_t)roll(w, HOUR_MS);
}

void
site_settle(struct site *s)
{
	int64_t at;
	unsigned turns = 0;

	while (!has_crashed(s) && settle_once(s)) {
		if (++turns == 1000) {
			wrong(s->world, "%s: no end of actions", s->name);
			break;
		}
	}
	if (has_crashed(s)) {
		site_crash(s);
		return;
	}
	at = exchange_deadline_ms(s->x);
	at = at > s->world->now_ms ? at : s->world->now_ms + 1;
	if (at == s->wanted_ms && s->timer_ms != 0)
		return;
	s->wanted_ms = at;
	at = sleepy(s->world, at);
	s->timer_ms = at;
	event_add(s->world, at - s->world->now_ms, EVENT_TIMER, s, ++s->timer,
	    NULL);
}

void
site_timer(struct site *s)
{
	struct err e = ERR_INIT;

	s->timer_ms = 0;
	if (exchange_tick(s->x, &e) != 0 && !has_crashed(s))
		wrong(s->world, "%s: tick: %s", s->name, e.text);
}

int
site_read(struct site *s, uint64_t id, struct buf *content, struct err *e)
{
	struct spool_body *body;
	int rc;

	rc = spool_body_open(s->spool, id, &body, e);
	if (rc != 0)
		return rc;
	while ((rc = spool_body_read(body, content, e)) == 1)
		;
	spool_body_close(body);
	return rc;
}

static void
deliver(struct site *s, const struct exchange_action *a)
{
	struct buf content = BUF_INIT;
	struct err e = ERR_INIT;
	enum delivery_verdict v;
	struct message m;
	const char *status;
	size_t i;

	message_init(&m);
	if (spool_get_message(s->spool, a->message, &m, &e) != 0 ||
	    site_read(s, a->message, &content, &e) != 0) {
		if (!has_crashed(s))
			wrong(s->world, "%s: job: %s", s->name, e.text);
	} else {
		for (i = 0; i < a->nrcpt; i++) {
			v = truth_deliver(s, &m, a->rcpt[i],
			    buf_slice(&content), &status);
			exchange_delivery_result(s->x, a->job, a->rcpt[i], v,
			    status, "said the simulation");
		}
	}
	buf_release(&content);
	message_release(&m);
}

/* Often more than one ends before the next commit. */
void
site_deliver(struct site *s, uint64_t number)
{
	struct list *item, *after;
	bool all = roll(s->world, 3) == 0;

	list_for_each_safe(item, after, &s->jobs) {
		struct job *j = list_entry(item, struct job, link);

		if (j->a.job != number && !all)
			continue;
		list_del(item);
		if (mishap(s->world, s->world->weather.returned)) {
			exchange_delivery_return(s->x, j->a.job);
		} else {
			deliver(s, &j->a);
			exchange_delivery_over(s->x, j->a.job);
		}
		exchange_action_release(&j->a);
		free(j);
	}
}

bool
site_has_no_mail(struct site *s)
{
	struct exchange_counters c;

	exchange_counters(s->x, &c);
	return c.messages == 0;
}

bool
site_is_empty(struct site *s)
{
	struct transit_status st;
	uint64_t id = 0;
	size_t i;

	if (transit_next_status(s->x, &id, &st))
		return false;
	for (i = 0; i < s->nroads; i++) {
		if (!list_empty(&s->road[i].in) ||
		    (!list_empty(&s->road[i].out) && !s->road[i].to->dead))
			return false;
	}
	return site_has_no_mail(s);
}
