/* SPDX-License-Identifier: ISC */
/*
 * A station for each peer, with its inbox, and in it a road for each of the
 * peer's transports: its out/ and its in/, the program, the object being
 * written (node/departure.h).  No two programs share a folder, since each
 * keeps there what it has begun and what it remembers.  Each does one thing at
 * a time; what comes meanwhile waits in the folders, which are the queue, so
 * nothing is kept twice.  A road that left the configuration stays until the
 * next start, for what is said of it.
 */
#include "node/carrier.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/text.h"
#include "node/conf_lane.h"
#include "node/departure.h"
#include "node/inbox.h"
#include "node/launch.h"
#include "node/outbox.h"
#include "node/runner.h"
#include "node/screening.h"

#define STOP_SECS 5		/* patience with a transport told to stop */

struct station {
	struct list link;
	struct carrier *carrier;
	char *peer;
	struct inbox *inbox;
	struct list roads;
};

struct road {
	struct list link;
	struct station *station;
	char *lane;			/* its name, or "" */
	char *name;			/* PEER or PEER/LANE */
	char *out, *in;
	struct runner *runner;
	struct departure *departure;	/* writing */
	/* what its program says of itself */
	char sending[REPORT_NAME_MAX + 1];
	uint64_t done, total;
	struct report_progress progress;
	int64_t progress_ms;		/* monotonic; 0: not yet */
	char *note;			/* its last, or NULL */
	bool waits;			/* for something, as note tells */
	bool begun;			/* it has run */
	struct mark mark;		/* of that */
};

struct carrier {
	struct daemon *d;
	struct list stations;
	bool stopping;
};

static struct daemon *
daemon_of(const struct road *r)
{
	return r->station->carrier->d;
}

/* For the log: NULL where the peer has one transport alone. */
static const char *
lane_word(const struct road *r)
{
	return r->lane[0] != '\0' ? r->lane : NULL;
}

/*
 * The transport.
 */
static void
alive(struct road *r)
{
	exchange_transport_alive(daemon_of(r)->exchange, r->name);
	daemon_wake(daemon_of(r));
}

static void
sending(struct road *r, const char *name, uint64_t done, uint64_t total)
{
	if (strcmp(r->sending, name) != 0 || done > r->done)
		alive(r);
	(void)snprintf(r->sending, sizeof(r->sending), "%s", name);
	r->done = done;
	r->total = total;
}

static void
progress(void *ctx, const struct report_progress *p)
{
	struct road *r = ctx;

	if (p->sent != r->progress.sent ||
	    p->received != r->progress.received) {
		r->waits = false;
		alive(r);
	}
	r->progress = *p;
	r->progress_ms = clock_mono_ms(daemon_of(r)->clock);
}

static void
take_note(struct road *r, const char *text)
{
	free(r->note);
	r->note = text != NULL ? mem_strdup(text) : NULL;
	r->waits = text != NULL && strncmp(text, "waiting ", 8) == 0;
}

static void
forget_said(struct road *r)
{
	take_note(r, NULL);
	r->sending[0] = '\0';
	r->done = r->total = 0;
	memset(&r->progress, 0, sizeof(r->progress));
	r->progress_ms = 0;
}

static void
report(void *ctx, enum runner_report what, const char *name, const char *text,
    uint64_t done, uint64_t total)
{
	struct road *r = ctx;
	struct daemon *d = daemon_of(r);
	struct err e = ERR_INIT;

	r->waits = false;
	switch (what) {
	case RUNNER_SENDING:
		sending(r, name, done, total);
		return;
	case RUNNER_SENT:
		if (strcmp(r->sending, name) == 0)
			r->sending[0] = '\0';
		if (exchange_transport_sent(d->exchange, r->name, name,
		    &e) != 0)
			log_event(d->log, LOG_LEVEL_WARNING, "object-unsettled",
			    "peer", r->station->peer, "name", name, "reason",
			    e.text, "transport", lane_word(r), NULL);
		break;
	case RUNNER_RECEIVED:
		alive(r);
		inbox_look(r->station->inbox);
		break;
	case RUNNER_FAILED_TEMPORARY:
	case RUNNER_FAILED_PERMANENT:
		exchange_transport_failed(d->exchange, r->name, name,
		    what == RUNNER_FAILED_PERMANENT, text);
		break;
	case RUNNER_RETURNED_TEMPORARY:
	case RUNNER_RETURNED_PERMANENT:
		runner_answer(r->runner, exchange_transport_returned(
		    d->exchange, r->name, name,
		    what == RUNNER_RETURNED_PERMANENT, text) ? "known" :
		    "unknown", name);
		break;
	case RUNNER_NOTE:
		take_note(r, text);
		log_event(d->log, LOG_LEVEL_INFO, "transport-note", "peer",
		    r->station->peer, "text", text, "transport",
		    lane_word(r), NULL);
		return;
	}
	daemon_wake(d);
}

static void
exited(void *ctx, int status, const char *text)
{
	struct road *r = ctx;

	if (!departure_busy(r->departure))
		outbox_sweep(daemon_of(r), r->name, r->out);
	outbox_check(daemon_of(r), r->name, r->out);
	inbox_look(r->station->inbox);
	/* Of one that failed without a word, what it noted last. */
	if (status != 0 && text[0] == '\0' && r->note != NULL)
		text = r->note;
	exchange_transport_exited(daemon_of(r)->exchange, r->name, status,
	    text);
	forget_said(r);
	daemon_wake(daemon_of(r));
}

/* What the transport may put into in/. */
static void
in_bounds(void *ctx, struct overflow_bounds *bounds_out)
{
	const struct road *r = ctx;
	const struct daemon *d = daemon_of(r);
	const struct conf_peer *peer = conf_find_peer(d->conf,
	    r->station->peer);

	bounds_out->max = peer != NULL ? peer->in_max : 0;
	bounds_out->room = spool_room(d->spool);
}

static const struct conf_lane *
configured(const struct road *r)
{
	const struct conf_peer *peer = conf_find_peer(daemon_of(r)->conf,
	    r->station->peer);

	return peer != NULL ? conf_find_lane(peer, r->lane) : NULL;
}

static void
run(struct road *r)
{
	struct daemon *d = daemon_of(r);
	const struct conf_lane *lane = configured(r);
	struct err e = ERR_INIT;
	struct launch launch;
	int secret;

	if (runner_running(r->runner)) {
		runner_more(r->runner);
		return;
	}
	if (lane == NULL || r->station->carrier->stopping)
		return;
	inbox_trim(r->station->inbox);
	launch_init(&launch, d, r->station->peer, lane);
	r->mark = launch_mark(&launch);
	r->begun = true;
	secret = launch_secret_fd(&launch);
	if (runner_start(r->runner, launch.program, r->out, r->in,
	    launch.set.item, launch.set.n, secret, &e) != 0) {
		exchange_transport_exited(d->exchange, r->name, -1, e.text);
		daemon_wake(d);
	}
	if (secret >= 0)
		close(secret);
	launch_release(&launch);
}

/*
 * Roads.
 */
static struct road *
road_find(const struct station *s, const char *lane)
{
	struct list *item;

	list_for_each(item, &s->roads) {
		struct road *r = list_entry(item, struct road, link);

		if (strcmp(r->lane, lane) == 0)
			return r;
	}
	return NULL;
}

static void
road_free(struct road *r)
{
	list_del(&r->link);
	runner_free(r->runner);
	departure_free(r->departure);
	free(r->note);
	free(r->lane);
	free(r->name);
	free(r->out);
	free(r->in);
	free(r);
}

static int
road_new(struct station *s, const char *lane, struct err *e)
{
	struct road *r = mem_alloc(1, sizeof(*r));
	struct runner_hooks hooks = { r, report, exited, progress,
		in_bounds };
	struct daemon *d = s->carrier->d;
	bool only = lane[0] == '\0';

	r->station = s;
	r->lane = mem_strdup(lane);
	r->name = only ? mem_strdup(s->peer) :
	    mem_printf("%s/%s", s->peer, lane);
	r->out = mem_printf("%s/peers/%s/out%s%s", d->conf->spool_dir,
	    s->peer, only ? "" : ".", lane);
	r->in = conf_in_dir(d->conf, s->peer, lane);
	list_add_tail(&s->roads, &r->link);
	if (file_make_dirs(r->in, 0750, e) != 0 ||
	    departure_new(d, s->peer, r->out, &r->departure, e) != 0) {
		road_free(r);
		return e->code;
	}
	r->runner = runner_new(d->base, d->log, s->peer, lane_word(r), &hooks);
	outbox_sweep(d, r->name, r->out);
	return 0;
}

/*
 * Stations.
 */
static struct station *
station_find(const struct carrier *c, const char *peer)
{
	struct list *item;

	list_for_each(item, &c->stations) {
		struct station *s = list_entry(item, struct station, link);

		if (strcmp(s->peer, peer) == 0)
			return s;
	}
	return NULL;
}

static void
station_free(struct station *s)
{
	list_del(&s->link);
	while (!list_empty(&s->roads))
		road_free(list_entry(s->roads.next, struct road, link));
	inbox_free(s->inbox);
	free(s->peer);
	free(s);
}

/* Is this the folder STEM or STEM.LANE of a transport that is not configured
 * any more? */
static bool
is_left(const struct station *s, const char *name, const char *stem)
{
	size_t len = strlen(stem);

	return strncmp(name, stem, len) == 0 &&
	    (name[len] == '\0' || name[len] == '.') &&
	    road_find(s, name[len] == '\0' ? "" : name + len + 1) == NULL;
}

/* What the transports had before them that left the configuration while the
 * daemon did not run goes another way.  Of what they brought, the inbox takes
 * what is whole. */
static void
sweep_others(const struct station *s)
{
	const struct daemon *d = s->carrier->d;
	char *dir = mem_printf("%s/peers/%s", d->conf->spool_dir, s->peer);
	struct dirent **all;
	int i, n = scandir(dir, &all, NULL, alphasort);

	for (i = 0; i < n; i++) {
		const char *name = all[i]->d_name;
		char *path = path_join(dir, name);

		if (is_left(s, name, "out")) {
			outbox_sweep(d, "", path);
			(void)rmdir(path);
		} else if (is_left(s, name, "in")) {
			overflow_clean(path);
		}
		free(path);
		free(all[i]);
	}
	if (n >= 0)
		free(all);
	free(dir);
}

static int
station_roads(struct station *s, const struct conf_peer *peer, struct err *e)
{
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < peer->nlanes; i++)
		if (road_find(s, peer->lane[i].name) == NULL)
			rc = road_new(s, peer->lane[i].name, e);
	return rc;
}

static int
station_new(struct carrier *c, const struct conf_peer *peer, struct err *e)
{
	struct station *s = mem_alloc(1, sizeof(*s));
	char *work = screening_dir(c->d, peer->name);
	int rc;

	screening_sweep(work);
	free(work);
	s->carrier = c;
	s->peer = mem_strdup(peer->name);
	list_init(&s->roads);
	list_add_tail(&c->stations, &s->link);
	s->inbox = inbox_new(c->d, peer->name, e);
	rc = s->inbox == NULL ? e->code : station_roads(s, peer, e);
	if (rc == 0)
		sweep_others(s);
	else
		station_free(s);
	return rc;
}

static void
stop_all(const struct station *s)
{
	struct list *item;

	list_for_each(item, &s->roads) {
		struct road *r = list_entry(item, struct road, link);

		if (runner_running(r->runner))
			runner_stop(r->runner, STOP_SECS);
	}
}

static bool
is_changed(const struct road *r)
{
	const struct conf_lane *lane = configured(r);
	struct launch launch;
	struct mark mark;

	if (lane == NULL)
		return false;
	launch_init(&launch, daemon_of(r), r->station->peer, lane);
	mark = launch_mark(&launch);
	launch_release(&launch);
	return !mark_equal(&mark, &r->mark);
}

/* A program that ran with other settings than those of now begins anew; one
 * that is ending for a reload before this one does so too. */
static void
renew(const struct station *s)
{
	struct list *item;

	list_for_each(item, &s->roads) {
		struct road *r = list_entry(item, struct road, link);

		if (!r->begun || (!is_changed(r) &&
		    !runner_stopping(r->runner)))
			continue;
		exchange_transport_renewed(daemon_of(r)->exchange, r->name);
		if (runner_running(r->runner))
			runner_stop(r->runner, STOP_SECS);
	}
}

int
carrier_reload(struct carrier *c, struct err *e)
{
	const struct conf *conf = c->d->conf;
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < conf->npeers; i++) {
		struct station *s = station_find(c, conf->peer[i].name);

		if (s == NULL) {
			rc = station_new(c, &conf->peer[i], e);
			continue;
		}
		renew(s);
		rc = station_roads(s, &conf->peer[i], e);
	}
	return rc;
}

int
carrier_new(struct daemon *d, struct carrier **c_out, struct err *e)
{
	struct carrier *c = mem_alloc(1, sizeof(*c));
	int rc;

	c->d = d;
	list_init(&c->stations);
	rc = carrier_reload(c, e);
	if (rc != 0) {
		carrier_free(c);
		return rc;
	}
	*c_out = c;
	return 0;
}

void
carrier_free(struct carrier *c)
{
	if (c == NULL)
		return;
	while (!list_empty(&c->stations))
		station_free(list_entry(c->stations.next, struct station,
		    link));
	free(c);
}

/* By PEER or PEER/TRANSPORT; NULL: there is none. */
static struct road *
road_of(const struct carrier *c, const char *name)
{
	const char *slash = name != NULL ? strchr(name, '/') : NULL;
	char *peer = name == NULL ? NULL : slash == NULL ? mem_strdup(name) :
	    mem_strndup(name, (size_t)(slash - name));
	struct station *s = peer != NULL ? station_find(c, peer) : NULL;

	free(peer);
	return s == NULL ? NULL :
	    road_find(s, slash != NULL ? slash + 1 : "");
}

bool
carrier_progress(const struct carrier *c, const char *road,
    struct carrier_progress *p_out)
{
	const struct road *r = c != NULL ? road_of(c, road) : NULL;

	memset(p_out, 0, sizeof(*p_out));
	if (r == NULL || !runner_running(r->runner))
		return false;
	p_out->file = r->sending;
	p_out->done = r->sending[0] != '\0' ? r->done : 0;
	p_out->total = r->sending[0] != '\0' ? r->total : 0;
	p_out->told = r->progress_ms != 0;
	if (!p_out->told)
		return true;
	p_out->p = r->progress;
	p_out->age_secs = (uint64_t)(clock_mono_ms(c->d->clock) -
	    r->progress_ms) / 1000;
	return true;
}

const char *
carrier_note(const struct carrier *c, const char *road)
{
	const struct road *r = c != NULL ? road_of(c, road) : NULL;

	return r != NULL && runner_running(r->runner) ? r->note : NULL;
}

bool
carrier_waits(const struct carrier *c, const char *road)
{
	const struct road *r = c != NULL ? road_of(c, road) : NULL;

	return r != NULL && runner_running(r->runner) && r->waits;
}

void
carrier_act(struct carrier *c, const struct exchange_action *a)
{
	struct road *r = road_of(c, a->road);

	if (r == NULL)
		return;
	switch (a->kind) {
	case EXCHANGE_WRITE:
		departure_write(r->departure, a);
		break;
	case EXCHANGE_UNLINK:
		departure_unlink(r->departure, a->name);
		break;
	case EXCHANGE_RUN:
		run(r);
		break;
	case EXCHANGE_STOP:
		if (runner_running(r->runner))
			runner_stop(r->runner, STOP_SECS);
		break;
	case EXCHANGE_DELIVER:
		break;
	}
}

void
carrier_arrived(struct carrier *c, const char *peer)
{
	struct station *s = station_find(c, peer);

	if (s != NULL)
		inbox_look(s->inbox);
}

void
carrier_stop(struct carrier *c)
{
	struct list *item;

	c->stopping = true;
	list_for_each(item, &c->stations) {
		struct station *s = list_entry(item, struct station, link);

		inbox_stop(s->inbox);
		stop_all(s);
	}
}

static bool
station_busy(const struct station *s)
{
	struct list *item;

	list_for_each(item, &s->roads) {
		struct road *r = list_entry(item, struct road, link);

		if (departure_busy(r->departure) || runner_running(r->runner))
			return true;
	}
	return inbox_busy(s->inbox);
}

bool
carrier_busy(const struct carrier *c)
{
	struct list *item;

	list_for_each(item, &c->stations)
		if (station_busy(list_entry(item, struct station, link)))
			return true;
	return false;
}
