/* SPDX-License-Identifier: ISC */
/*
 * The exchange with libevent around it.  One turn of the loop: take what is
 * ready on every socket, commit all of it with one flush, answer those who
 * wait, carry out the actions.  Sessions that became ready while the flush ran
 * share the next one.
 *
 * A session needs several turns for a message.  Where a flush is slow, each
 * of them would cost one, and the sessions would spread over as many groups;
 * so a commit waits up to the time that it takes for those on their way.
 */
#include "node/daemon_main.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "node/agents.h"
#include "node/carrier.h"
#include "node/control.h"
#include "node/daemon_keys.h"
#include "node/listener.h"
#include "node/sd.h"
#include "node/serials.h"
#include "node/strays.h"

#define GATHER_MIN_MS 2		/* a faster commit waits for nobody */
#define GATHER_MAX_MS 20
#define STOP_SECS 20		/* until running work is cut off */
#define STRAYS_MS 500		/* for what it left behind */

/* What only this file knows, around what its parts share. */
struct running {
	struct daemon d;
	bool wake, reloading;
	int64_t commit_ms;		/* what one takes, of late; times 8 */
	struct event *timer, *deadline, *backup, *gather, *sig[3];
};

static struct running *
running_of(struct daemon *d)
{
	return (struct running *)(void *)d;
}

void
daemon_wake(struct daemon *d)
{
	running_of(d)->wake = true;
}

bool
daemon_is_own(void *daemon, const struct sockaddr *addr, socklen_t len)
{
	const struct daemon *d = daemon;

	return listener_set_is_own(d->listeners, addr, len);
}

/*
 * Delivery.
 */
static void
job_result(void *ctx, struct delivery_job *job, size_t rcpt,
    enum delivery_outcome outcome, const char *status, const char *text)
{
	static const enum delivery_verdict verdict[] = {
		[DELIVERY_RETRY] = VERDICT_RETRY,
		[DELIVERY_DONE] = VERDICT_DONE,
		[DELIVERY_FAILED] = VERDICT_FAILED,
		[DELIVERY_RELAYED] = VERDICT_RELAYED,
		[DELIVERY_TRACED] = VERDICT_TRACED,
		[DELIVERY_PASSED] = VERDICT_PASSED,
	};
	struct daemon *d = ctx;

	if (running_of(d)->reloading && outcome == DELIVERY_RETRY)
		return;
	exchange_delivery_result(d->exchange, (uint64_t)(uintptr_t)job->cookie,
	    rcpt, verdict[outcome], status, text);
}

static void
job_free(struct delivery_job *job)
{
	free(job->rcpt);
	free(job);
}

static void
job_over(void *ctx, struct delivery_job *job)
{
	struct daemon *d = ctx;
	uint64_t id = (uint64_t)(uintptr_t)job->cookie;

	if (running_of(d)->reloading)
		exchange_delivery_return(d->exchange, id);
	else
		exchange_delivery_over(d->exchange, id);
	job_free(job);
	daemon_wake(d);
}

static void
agents_make(struct running *r)
{
	struct daemon *d = &r->d;
	struct delivery_hooks hooks = {
		.ctx = d, .spool = d->spool, .log = d->log, .clock = d->clock,
		.is_own = daemon_is_own, .result = job_result,
		.over = job_over,
	};

	d->agents = agents_new(d->base, &hooks);
	agents_configure(d->agents, d->conf);
}

static void
deliver(struct daemon *d, struct exchange_action *a)
{
	struct delivery *agent = agents_get(d->agents, a->delivery);
	struct delivery_job *job;
	size_t i;

	if (agent == NULL) {
		for (i = 0; i < a->nrcpt; i++)
			exchange_delivery_result(d->exchange, a->job,
			    a->rcpt[i], VERDICT_FAILED, "5.4.4",
			    "its address is neither local nor routed, and no "
			    "server is configured (site: via)");
		exchange_delivery_over(d->exchange, a->job);
		return;
	}
	job = mem_alloc(1, sizeof(*job));
	job->message = a->message;
	job->rcpt = a->rcpt;
	job->nrcpt = a->nrcpt;
	job->cookie = (void *)(uintptr_t)a->job;
	a->rcpt = NULL;
	delivery_start(agent, job);
}

/*
 * The loop.
 */
static void
store_lost(struct daemon *d, const struct err *e)
{
	log_event(d->log, LOG_LEVEL_FATAL, "spool-failed", "reason", e->text,
	    "advice", "nothing acknowledged is lost; see postrider-spool(7)",
	    NULL);
	d->failed = true;
	event_base_loopbreak(d->base);
}

static void
act(struct daemon *d, struct exchange_action *a)
{
	if (a->kind == EXCHANGE_DELIVER)
		deliver(d, a);
	else
		carrier_act(d->carrier, a);
	exchange_action_release(a);
}

static void
set_timer(struct running *r)
{
	int64_t at = exchange_deadline_ms(r->d.exchange), wait;
	struct timeval tv;

	if (at == INT64_MAX) {
		evtimer_del(r->timer);
		return;
	}
	wait = at - clock_mono_ms(r->d.clock);
	wait = wait < 0 ? 0 : wait > 60000 ? 60000 : wait;
	tv.tv_sec = wait / 1000;
	tv.tv_usec = wait % 1000 * 1000;
	evtimer_add(r->timer, &tv);
}

static void
gathered(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx;
}

static void
gather(struct running *r)
{
	struct daemon *d = &r->d;
	int64_t most = r->commit_ms / 8, now = clock_mono_ms(d->clock), end;
	struct timeval tv = { 0, 0 };

	if (most < GATHER_MIN_MS)
		return;
	if (most > GATHER_MAX_MS)
		most = GATHER_MAX_MS;
	end = now + most;
	while (now < end && !d->failed && !d->stopping &&
	    listener_set_gathers(d->listeners, now - most)) {
		tv.tv_usec = (end - now) * 1000;
		evtimer_add(r->gather, &tv);
		event_base_loop(d->base, EVLOOP_ONCE);
		now = clock_mono_ms(d->clock);
	}
	evtimer_del(r->gather);
}

/* One flush; how long it takes is learned. */
static int
commit(struct running *r, struct err *e)
{
	struct daemon *d = &r->d;
	int64_t begin;
	int rc;

	gather(r);
	begin = clock_mono_ms(d->clock);
	r->wake = false;
	rc = exchange_commit(d->exchange, e);
	r->commit_ms += clock_mono_ms(d->clock) - begin - r->commit_ms / 8;
	return rc;
}

/* Commits, answers and acts until nothing is left to do. */
static void
settle(struct running *r)
{
	struct daemon *d = &r->d;
	struct exchange_completion c;
	struct exchange_action a;
	struct err e = ERR_INIT;

	while (r->wake && !d->failed) {
		if (commit(r, &e) != 0) {
			store_lost(d, &e);
			return;
		}
		while (exchange_next_completion(d->exchange, &c) == 1)
			listener_set_completed(d->listeners, &c);
		while (!d->stopping &&
		    exchange_next_action(d->exchange, &a) == 1)
			act(d, &a);
		/* Jobs that ended at once wait for a commit of their own. */
		r->wake |= exchange_commit_pending(d->exchange) &&
		    !d->stopping;
		if (r->wake)
			event_base_loop(d->base, EVLOOP_NONBLOCK);
	}
	if (store_failed(spool_store(d->spool))) {
		err_set(&e, ERR_IO, "the storage engine has given up");
		store_lost(d, &e);
		return;
	}
	set_timer(r);
}

static void
tick(evutil_socket_t fd, short what, void *ctx)
{
	struct running *r = ctx;
	struct err e = ERR_INIT;

	(void)fd;
	(void)what;
	if (exchange_tick(r->d.exchange, &e) != 0)
		store_lost(&r->d, &e);
	r->wake = true;
}

static void
back_up(evutil_socket_t fd, short what, void *ctx)
{
	struct running *r = ctx;
	struct daemon *d = &r->d;
	struct err e = ERR_INIT;
	struct timeval tv = { (time_t)d->conf->backup_every_secs, 0 };

	(void)fd;
	(void)what;
	if (store_backup(spool_store(d->spool), d->conf->backup_dir, &e) != 0)
		log_event(d->log, LOG_LEVEL_WARNING, "backup-failed",
		    "dir", d->conf->backup_dir, "reason", e.text, NULL);
	else
		log_event(d->log, LOG_LEVEL_INFO, "backup-made", "dir",
		    d->conf->backup_dir, NULL);
	evtimer_add(r->backup, &tv);
}

/*
 * Signals, reload, end.
 */
struct told {
	struct log *log;
	struct buf *report;
};

static void
tell(void *ctx, const char *text)
{
	struct told *told = ctx;

	log_event(told->log, LOG_LEVEL_WARNING, "configuration-fault",
	    "fault", text, NULL);
	buf_addf(told->report, "%s\n", text);
}

static void
tell_restart(struct daemon *d, const struct conf *conf, struct buf *report)
{
	struct buf words = BUF_INIT;
	bool any = conf_needs_restart(d->conf, conf, &words);

	if (daemon_keys_missing(d, conf)) {
		buf_addf(&words, "%skeys (\"postrider key new\" makes them)",
		    any ? ", " : "");
		any = true;
	}
	if (any) {
		buf_addf(report, "needs a restart: %s\n", buf_cstr(&words));
		log_event(d->log, LOG_LEVEL_WARNING, "restart-needed",
		    "settings", buf_cstr(&words), NULL);
	}
	buf_release(&words);
}

static int
take_conf(struct running *r, struct conf *conf, struct buf *report,
    struct err *e)
{
	struct daemon *d = &r->d;
	struct conf *old = d->conf;

	tell_restart(d, conf, report);
	r->reloading = true;
	agents_configure(d->agents, conf);
	r->reloading = false;
	d->conf = conf;
	log_set_level(d->log, conf->log_level);
	if (d->keys != NULL) {
		struct keyring_policy policy = keys_policy(conf);

		keyring_set_policy(d->keys->ring, &policy);
	}
	spool_set_min_free(d->spool, conf->min_free);
	exchange_reload(d->exchange, conf);
	daemon_keys_cards(d);
	listener_set_reload(d->listeners, conf);
	conf_free(old);
	return carrier_reload(d->carrier, e);
}

int
daemon_reload(struct daemon *d, struct buf *report, struct err *e)
{
	struct told told = { d->log, report };
	struct conf *conf;
	int rc;

	rc = log_reopen(d->log, e);
	if (rc != 0)
		buf_addf(report, "%s\n", e->text);
	rc = conf_load(d->conf->file, tell, &told, &conf, e);
	if (rc == 0 && keys_read_psks(conf, e) != 0) {
		rc = e->code;
		tell(&told, e->text);
		conf_free(conf);
	}
	if (rc != 0) {
		log_event(d->log, LOG_LEVEL_WARNING, "reload-refused",
		    "file", d->conf->file, "reason",
		    "it has faults; the old one stays in force", NULL);
		return rc;
	}
	rc = take_conf(running_of(d), conf, report, e);
	log_event(d->log, LOG_LEVEL_INFO, "reloaded", "file", conf->file,
	    NULL);
	daemon_wake(d);
	return rc;
}

static void
hang_up(evutil_socket_t fd, short what, void *ctx)
{
	struct running *r = ctx;
	struct buf report = BUF_INIT;
	struct err e = ERR_INIT;

	(void)fd;
	(void)what;
	sd_notify_reloading(&e);
	if (daemon_reload(&r->d, &report, &e) != 0)
		log_event(r->d.log, LOG_LEVEL_WARNING, "reload-failed",
		    "reason", e.text, NULL);
	sd_notify(&e, "READY=1");
	buf_release(&report);
}

void
daemon_stop(struct daemon *d)
{
	struct running *r = running_of(d);
	struct timeval patience = { STOP_SECS, 0 };
	struct err e = ERR_INIT;

	if (d->stopping)
		return;
	sd_notify(&e, "STOPPING=1");
	log_event(d->log, LOG_LEVEL_INFO, "stopping", NULL);
	d->stopping = true;
	listener_set_stop(d->listeners);
	carrier_stop(d->carrier);
	evtimer_add(r->deadline, &patience);
	r->wake = true;
}

static void
terminate(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	daemon_stop(ctx);
}

static void
too_late(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;

	(void)fd;
	(void)what;
	event_base_loopbreak(d->base);
	d->failed = false;
}

static bool
is_busy(const struct daemon *d)
{
	return listener_set_busy(d->listeners) || carrier_busy(d->carrier) ||
	    agents_busy(d->agents);
}

/* The end of the patience is told by the deadline that is no longer set. */
static bool
is_over(const struct running *r)
{
	return r->d.failed || (r->d.stopping && (!is_busy(&r->d) ||
	    !evtimer_pending(r->deadline, NULL)));
}

static void
loop(struct running *r)
{
	while (!is_over(r)) {
		event_base_loop(r->d.base, EVLOOP_ONCE);
		if (r->wake)
			settle(r);
	}
}

static int
events_new(struct running *r)
{
	struct daemon *d = &r->d;
	static const struct timeval soon = { 1, 0 };

	r->timer = evtimer_new(d->base, tick, r);
	r->deadline = evtimer_new(d->base, too_late, d);
	r->backup = evtimer_new(d->base, back_up, r);
	r->gather = evtimer_new(d->base, gathered, r);
	r->sig[0] = evsignal_new(d->base, SIGHUP, hang_up, r);
	r->sig[1] = evsignal_new(d->base, SIGTERM, terminate, d);
	r->sig[2] = evsignal_new(d->base, SIGINT, terminate, d);
	event_add(r->sig[0], NULL);
	event_add(r->sig[1], NULL);
	event_add(r->sig[2], NULL);
	if (d->conf->backup_dir != NULL && d->conf->backup_every_secs != 0)
		evtimer_add(r->backup, &soon);
	return 0;
}

static void
events_free(struct running *r)
{
	struct event *all[] = { r->timer, r->deadline, r->backup, r->gather,
		r->sig[0], r->sig[1], r->sig[2] };
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (all[i] != NULL)
			event_free(all[i]);
	}
}

static int
open_spool(struct daemon *d, struct err *e)
{
	struct spool_options opts = {
		.clock = d->clock, .rng = d->rng, .log = d->log,
		.min_free_bytes = d->conf->min_free,
		.dir = d->conf->spool_dir,
	};
	struct store_options store_opts;
	struct store *store;
	int rc;

	store_options_default(&store_opts);
	store_opts.dir = d->conf->spool_dir;
	store_opts.create = true;
	store_opts.keep_logs = d->conf->backup_dir != NULL;
	if (d->conf->cache_bytes != 0)
		store_opts.cache_bytes = d->conf->cache_bytes;
	rc = file_make_dirs(d->conf->spool_dir, 0700, e);
	if (rc == 0)
		rc = store_open_bdb(&store_opts, &store, e);
	if (rc == 0)
		rc = spool_open(store, &opts, &d->spool, e);
	return rc;
}

static int
parts_new(struct running *r, struct err *e)
{
	struct daemon *d = &r->d;
	struct exchange_options opts;
	int rc;

	rc = open_spool(d, e);
	if (rc == 0)
		rc = daemon_keys_open(d, e);
	if (rc == 0)
		rc = keys_read_psks(d->conf, e);
	if (rc != 0)
		return rc;
	opts = (struct exchange_options){ .clock = d->clock, .rng = d->rng,
		.log = d->log, .spool = d->spool, .conf = d->conf,
		.keyring = d->keys != NULL ? d->keys->ring : NULL,
		.serials = d->serials };
	d->exchange = exchange_new(&opts);
	rc = exchange_start(d->exchange, e);
	if (rc == 0)
		rc = carrier_new(d, &d->carrier, e);
	if (rc != 0)
		return rc;
	daemon_keys_cards(d);
	agents_make(r);
	d->control = control_new(d, e);
	if (d->control == NULL)
		return e->code;
	listener_set_start(d->listeners, d);
	return 0;
}

static void
parts_free(struct running *r)
{
	struct daemon *d = &r->d;
	struct err e = ERR_INIT;

	control_free(d->control);
	r->reloading = true;	/* jobs cut off now are not failures */
	agents_free(d->agents);
	if (d->exchange != NULL && !d->failed &&
	    exchange_commit(d->exchange, &e) != 0)
		log_event(d->log, LOG_LEVEL_WARNING, "spool-failed", "reason",
		    e.text, NULL);
	listener_set_free(d->listeners);
	carrier_free(d->carrier);
	exchange_free(d->exchange);
	keys_close(d->keys);
	serials_close(d->serials);
	if (d->spool != NULL)
		spool_close(d->spool);
}

int
daemon_run(const struct daemon_start *start, struct err *e)
{
	struct running *r = mem_alloc(1, sizeof(*r));
	struct daemon *d = &r->d;
	struct strays *strays;
	int rc;

	d->clock = clock_real();
	d->rng = rng_real();
	d->log = start->log;
	d->conf = start->conf;
	d->listeners = start->listeners;
	d->base = event_base_new();
	(void)signal(SIGPIPE, SIG_IGN);
	strays = strays_new(d->base);
	rc = parts_new(r, e);
	if (rc == 0)
		rc = events_new(r);
	if (rc == 0) {
		log_event(d->log, LOG_LEVEL_INFO, "started", "version",
		    POSTRIDER_VERSION, "site", d->conf->site, "spool",
		    spool_id(d->spool), NULL);
		start->ready(start->ctx);
		sd_notify(e, "READY=1");
		r->wake = true;
		settle(r);
		loop(r);
	}
	if (rc == 0 && d->failed)
		rc = store_damaged(spool_store(d->spool)) ?
		    err_set(e, ERR_CORRUPT, "the spool in %s is damaged; see "
		    "`postrider spool salvage`", d->conf->spool_dir) :
		    err_set(e, ERR_IO, "the spool in %s failed",
		    d->conf->spool_dir);
	parts_free(r);
	strays_end(strays, STRAYS_MS);
	if (rc == 0)
		log_event(d->log, LOG_LEVEL_INFO, "stopped", NULL);
	events_free(r);
	event_base_free(d->base);
	conf_free(d->conf);
	free(r);
	return rc;
}
