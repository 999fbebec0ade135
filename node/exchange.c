/* SPDX-License-Identifier: ISC */
/*
 * Life of the exchange and its group commit.  Everything that has to become
 * durable between two returns to the event loop, accepted messages and
 * outcomes of deliveries alike, is gathered in lists and written by
 * exchange_commit with one flush at the end, however many transactions the
 * limit on their size makes of it.
 */
#include "node/exchange.h"

#include <stdlib.h>

#include "node/custody.h"
#include "node/directory.h"
#include "node/exchange_private.h"
#include "node/transit.h"
#include "spool/custody.h"

/* Notices of one commit: until it they are in memory.  The rest of a mass
 * failure waits for the next. */
#define NOTICES_MAX 100

uint64_t
now_secs(struct exchange *x)
{
	return spool_elapsed_secs(x->spool);
}

struct exchange *
exchange_new(const struct exchange_options *opts)
{
	struct exchange *x = mem_alloc(1, sizeof(*x));

	x->clock = opts->clock;
	x->rng = opts->rng;
	x->log = opts->log;
	x->spool = opts->spool;
	x->conf = opts->conf;
	x->entries = map_new();
	x->cuts = map_new();
	x->jobs = map_new();
	x->next_job = 1;
	list_init(&x->accepted);
	list_init(&x->completed);
	list_init(&x->outcomes);
	list_init(&x->actions);
	x->last_tick_ms = INT64_MIN;
	x->dirty = true;
	x->serials = opts->serials;
	x->directory = directory_new(x, opts->keyring);
	queue_targets(x);
	transit_new(x);
	custody_new(x);
	return x;
}

static void
accepted_free(struct accepted *a)
{
	spool_draft_free(a->draft);
	message_release(&a->m);
	free(a);
}

void
exchange_free(struct exchange *x)
{
	struct list *item, *after;
	struct outcome *o;
	void *value;
	size_t pos = 0;

	if (x == NULL)
		return;
	list_for_each_safe(item, after, &x->accepted)
		accepted_free(list_entry(item, struct accepted, link));
	list_for_each_safe(item, after, &x->completed)
		free(list_entry(item, struct completed, link));
	list_for_each_safe(item, after, &x->outcomes)
		outcome_free(list_entry(item, struct outcome, link));
	list_for_each_safe(item, after, &x->actions) {
		struct pending_action *p =
		    list_entry(item, struct pending_action, link);
		exchange_action_release(&p->a);
		free(p);
	}
	while (map_next(x->jobs, &pos, NULL, &value)) {
		o = value;
		outcome_free(o);
	}
	custody_free(x);
	transit_free(x);
	directory_free(x->directory);
	queue_free(x);
	map_free(x->jobs);
	map_free(x->entries);
	map_free(x->cuts);
	free(x);
}

static int
load_messages(struct exchange *x, struct err *e)
{
	struct message_state st;
	struct message m;
	uint64_t id = 0;
	int rc;

	for (;;) {
		message_init(&m);
		rc = spool_next_message(x->spool, &id, &m, e);
		if (rc == ERR_CORRUPT && !store_failed(spool_store(x->spool))) {
			log_event(x->log, LOG_LEVEL_WARNING, "message-damaged",
			    "id", message_name(id).s, "reason", e->text, NULL);
			message_release(&m);
			continue;
		}
		if (rc == 0)
			rc = spool_get_state(x->spool, id, m.env.nrcpt, &st, e);
		if (rc != 0) {
			message_release(&m);
			return rc == ERR_NOT_FOUND ? 0 : rc;
		}
		queue_add(x, &m, &st);
		message_state_release(&st);
		message_release(&m);
	}
}

int
exchange_start(struct exchange *x, struct err *e)
{
	int rc;

	rc = directory_load(x->directory, e);
	if (rc == 0)
		rc = load_messages(x, e);
	if (rc == 0)
		rc = transit_load(x, e);
	if (rc == 0)
		rc = cut_load(x, e);
	if (rc == 0)
		rc = custody_load(x, e);
	if (rc == 0)
		directory_loaded(x->directory);
	if (rc == 0)
		transit_announce(x);
	if (rc == 0)
		log_event(x->log, LOG_LEVEL_INFO, "spool-loaded",
		    "messages", num_str(x->messages).s,
		    "octets", num_str(x->octets).s,
		    "objects", num_str(map_count(x->cuts)).s, NULL);
	return rc;
}

int
exchange_add_card(struct exchange *x, struct slice card, struct err *e)
{
	return directory_add(x->directory, card, e);
}

int
exchange_pair_secret(struct exchange *x, const char *site, const char *label,
    unsigned char secret_out[KEYRING_PSK_LEN], struct err *e)
{
	return directory_pair_secret(x->directory, site, label, secret_out,
	    e);
}

void
exchange_reload(struct exchange *x, const struct conf *conf)
{
	size_t i;

	x->conf = conf;
	queue_targets(x);
	for (i = 0; i < x->ntargets; i++) {
		road_reload(x->target[i]);
		if (x->target[i]->peer != NULL)
			road_judge(x, x->target[i], "the others are gone");
	}
	queue_reroute(x);
	transit_reroute(x);
	x->dirty = true;
}

bool
exchange_commit_pending(const struct exchange *x)
{
	return !list_empty(&x->accepted) || !list_empty(&x->outcomes) ||
	    x->unflushed;
}

static void
complete(struct exchange *x, struct accepted *a,
    const struct smtp_refusal *refusal)
{
	struct completed *done = mem_alloc(1, sizeof(*done));

	done->c.cookie = a->cookie;
	done->c.id = a->m.id;
	done->c.durable = refusal == NULL;
	if (refusal != NULL)
		done->c.refusal = *refusal;
	if (a->waited)
		list_add_tail(&x->completed, &done->link);
	else
		free(done);
}

static void
log_accepted(struct exchange *x, const struct message *m)
{
	log_event(x->log, LOG_LEVEL_INFO, "message-accepted",
	    "id", message_name(m->id).s, "source", m->source,
	    "from", m->env.sender,
	    "recipients", num_str(m->env.nrcpt).s,
	    "size", num_str(m->facts.octets).s, NULL);
}

/* Everything of the batch is refused; nothing of it happened. */
static void
refuse_batch(struct exchange *x, struct list *batch, const char *why)
{
	struct smtp_refusal r;
	struct list *item, *after;
	struct accepted *a;

	exchange_refused_full(&r);
	log_event(x->log, LOG_LEVEL_WARNING, "commit-refused", "reason", why,
	    NULL);
	list_for_each_safe(item, after, batch) {
		a = list_entry(item, struct accepted, link);
		list_del(item);
		complete(x, a, &r);
		accepted_free(a);
	}
}

static void
index_batch(struct exchange *x, struct list *batch)
{
	struct list *item, *after;
	struct accepted *a;

	list_for_each_safe(item, after, batch) {
		a = list_entry(item, struct accepted, link);
		list_del(item);
		log_accepted(x, &a->m);
		queue_add(x, &a->m, NULL);
		x->counters.accepted++;
		complete(x, a, NULL);
		accepted_free(a);
	}
}

/* Writes as much of `from` as one transaction takes and moves it to `to`. */
static int
write_accepted(struct exchange *x, struct list *from, struct list *to,
    bool sync, struct err *e)
{
	struct spool_unit *u = NULL;
	struct accepted *a;
	int rc;

	rc = spool_begin(x->spool, &u, e);
	while (rc == 0 && !list_empty(from) &&
	    spool_unit_octets(u) < SPOOL_UNIT_MAX) {
		a = list_entry(from->next, struct accepted, link);
		rc = spool_add_message(u, a->draft, &a->m, e);
		if (rc != 0)
			break;
		list_del(&a->link);
		list_add_tail(to, &a->link);
	}
	if (rc != 0) {
		if (u != NULL)
			spool_abort(u);
		return rc;
	}
	return spool_commit(u, sync && list_empty(from), e);
}

/* All accepted messages; durable only if the last transaction is. */
static int
commit_accepted(struct exchange *x, bool sync, struct list *done,
    struct err *e)
{
	struct list *item, *after;
	int rc = 0;

	while (rc == 0 && !list_empty(&x->accepted))
		rc = write_accepted(x, &x->accepted, done, sync, e);
	if (rc == 0)
		return 0;
	/* What earlier transactions of this commit wrote has not been
	 * acknowledged: it must not stay. */
	list_for_each_safe(item, after, done) {
		list_del(item);
		list_add_tail(&x->accepted, item);
	}
	return rc;
}

/* Messages of a commit that failed half way: take back what was written. */
static void
withdraw_written(struct exchange *x, struct list *batch)
{
	struct err e = ERR_INIT;
	struct spool_unit *u;
	struct list *item;
	struct accepted *a;

	if (spool_begin(x->spool, &u, &e) != 0)
		return;
	list_for_each(item, batch) {
		a = list_entry(item, struct accepted, link);
		if (a->m.id != 0 &&
		    spool_del_message(u, a->m.id, &e) != 0)
			break;
	}
	if (e.code != 0)
		spool_abort(u);
	else if (spool_commit(u, false, &e) != 0)
		log_event(x->log, LOG_LEVEL_WARNING, "commit-refused",
		    "reason", e.text, NULL);
}

static void
undo_outcomes(struct list *unit, struct list *from)
{
	struct list *item;

	while (!list_empty(unit)) {
		item = unit->prev;
		list_del(item);
		settle_undo(list_entry(item, struct outcome, link));
		list_add_head(from, item);
	}
}

/* As many as one transaction takes; if it fails they stay in `from`. */
static int
write_outcomes(struct exchange *x, struct list *from, struct list *to,
    struct err *e)
{
	struct spool_unit *u = NULL;
	struct list unit;
	struct outcome *o;
	size_t weight = 0;
	int rc;

	list_init(&unit);
	rc = spool_begin(x->spool, &u, e);
	while (rc == 0 && !list_empty(from) && weight < SPOOL_UNIT_MAX) {
		o = list_entry(from->next, struct outcome, link);
		weight += settle_weight(o);
		list_del(&o->link);
		list_add_tail(&unit, &o->link);
		rc = settle_write(x, u, o, e);
	}
	if (rc != 0 && u != NULL)
		spool_abort(u);
	else if (rc == 0)
		rc = spool_commit(u, false, e);
	if (rc != 0)
		undo_outcomes(&unit, from);
	while (!list_empty(&unit)) {
		o = list_entry(unit.next, struct outcome, link);
		list_del(&o->link);
		list_add_tail(to, &o->link);
	}
	return rc;
}

static int
commit_outcomes(struct exchange *x, struct err *e)
{
	struct list batch, done, *item, *after;
	bool postponed = false;
	size_t n = 0;
	int rc;

	list_init(&batch);
	list_init(&done);
	list_for_each_safe(item, after, &x->outcomes) {
		if (settle_has_notice(list_entry(item, struct outcome,
		    link)) && n++ >= NOTICES_MAX)
			continue;
		list_del(item);
		list_add_tail(&batch, item);
	}
	rc = settle_prepare(x, &batch, e);
	while (rc == 0 && !list_empty(&batch)) {
		rc = write_outcomes(x, &batch, &done, e);
		if (rc != ERR_FULL || postponed)
			continue;
		/* Without notices it goes into the reserve. */
		list_for_each(item, &batch)
			settle_postpone(x, list_entry(item, struct outcome,
			    link), e->text);
		postponed = true;
		rc = 0;
	}
	list_for_each_safe(item, after, &done) {
		list_del(item);
		settle_done(x, list_entry(item, struct outcome, link));
	}
	/* What could not be written is kept for the next commit. */
	list_for_each_safe(item, after, &batch) {
		list_del(item);
		list_add_tail(&x->outcomes, item);
	}
	return rc;
}

int
exchange_commit(struct exchange *x, struct err *e)
{
	struct list done;
	bool outcomes = !list_empty(&x->outcomes);
	int rc = 0;

	if (!exchange_commit_pending(x))
		return 0;
	list_init(&done);
	if (outcomes)
		rc = commit_outcomes(x, e);
	if (rc != 0 && (rc != ERR_FULL || store_failed(spool_store(x->spool))))
		return rc;
	x->unflushed = false;
	x->commits += outcomes;
	if (list_empty(&x->accepted))
		return store_flush(spool_store(x->spool), e);
	rc = commit_accepted(x, true, &done, e);
	x->accepted_octets = 0;
	x->dirty = true;
	if (rc == 0) {
		index_batch(x, &done);
		return 0;
	}
	if (store_failed(spool_store(x->spool)))
		return rc;
	withdraw_written(x, &x->accepted);
	refuse_batch(x, &x->accepted, e->text);
	return 0;
}

int
exchange_next_completion(struct exchange *x, struct exchange_completion *c_out)
{
	struct completed *done;

	if (list_empty(&x->completed))
		return 0;
	done = list_entry(x->completed.next, struct completed, link);
	list_del(&done->link);
	*c_out = done->c;
	free(done);
	return 1;
}

void
exchange_forget(struct exchange *x, void *cookie)
{
	struct list *item, *after;

	list_for_each(item, &x->accepted) {
		struct accepted *a = list_entry(item, struct accepted, link);

		if (a->cookie == cookie)
			a->waited = false;
	}
	list_for_each_safe(item, after, &x->completed) {
		struct completed *done =
		    list_entry(item, struct completed, link);

		if (done->c.cookie != cookie)
			continue;
		list_del(item);
		free(done);
	}
}

/* From here on a message waits: what is held by FUTURERELEASE does not. */
static uint64_t
waits_since(const struct entry *entry)
{
	return entry->release_secs > entry->accepted_secs ?
	    entry->release_secs : entry->accepted_secs;
}

/* DELIVERBY with R (RFC 2852 4.1.4): too late is a failure. */
static bool
expire_by(struct exchange *x, struct leg *leg, uint64_t now)
{
	uint64_t by = leg->entry->by_secs;
	uint64_t late = leg->entry->delay_asked ? leg->entry->late_secs : 0;

	if (late > now && (x->by_secs == 0 || late < x->by_secs))
		x->by_secs = late;
	if (by == 0 || by > now) {
		if (by != 0 && (x->by_secs == 0 || by < x->by_secs))
			x->by_secs = by;
		return false;
	}
	settle_fail(x, leg, "5.4.7", "it could not be delivered within the "
	    "time that its sender gave (DELIVERBY)", true);
	return true;
}

/* An object whose messages are all too old is taken back, so that they fail;
 * a younger one stays as it is, since it may have arrived unnoticed. */
static int
expire_lane(struct exchange *x, struct lane *l, uint64_t now, struct err *e)
{
	struct list *item, *after;
	struct cut *c;
	int rc = 0;

	list_for_each_safe(item, after, &l->objects) {
		c = list_entry(item, struct cut, link);
		if (rc == 0 && !l->up && l->conf != NULL && l->chance &&
		    l->last_chance_secs >= c->cut_secs &&
		    c->cut_secs + queue_lifetime_secs(x, l->target) <= now)
			rc = cut_withdraw(x, c, e);
	}
	return rc;
}

static int
expire_objects(struct exchange *x, struct target *t, uint64_t now,
    struct err *e)
{
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < t->nlanes; i++)
		rc = expire_lane(x, t->lane[i], now, e);
	return rc;
}

static bool
had_chance(struct exchange *x, const struct target *t, const struct leg *leg)
{
	const struct target *road = queue_road(x, t);

	if (road == NULL || road->kind != TARGET_PEER)
		return true;
	/* It was asked for a key, by whichever transport. */
	if (t->kind == TARGET_SITE && !custody_has_keys(x, t->name) &&
	    lanes_any_tried(road, waits_since(leg->entry)))
		return true;
	return transit_was_tried(x, road, leg->entry->rank, leg->entry->octets,
	    waits_since(leg->entry));
}

/* Mail that waited too long for t fails, once its road has been tried. */
static void
expire(struct exchange *x, struct target *t, struct list *head, uint64_t now)
{
	struct list *item, *after;
	struct leg *leg;
	uint64_t lifetime = queue_lifetime_secs(x, t);

	list_for_each_safe(item, after, head) {
		leg = list_entry(item, struct leg, link);
		if (expire_by(x, leg, now) ||
		    waits_since(leg->entry) + lifetime > now ||
		    leg->entry->kind == MESSAGE_POSTMASTER)
			continue;
		if (!had_chance(x, t, leg))
			continue;
		settle_fail(x, leg, "4.4.7", leg->unsure ||
		    leg->doubtful ? NOT_CONFIRMED :
		    "it could not be handed on within its lifetime", true);
	}
}

/* The spool's upkeep, a bounded step of each kind; 1 while there is more. */
static int
upkeep(struct exchange *x, uint64_t now, struct err *e)
{
	int rc;

	rc = spool_maintain(x->spool, e);
	if (rc == 0)
		rc = forget_step(x, now, e);
	if (rc == 0 && x->conf->broken_expire_secs != 0)
		rc = quarantine_expire(x, e);
	return rc;
}

/* Anything but a failed store is tried again. */
static int
failed(struct exchange *x, int rc, struct err *e)
{
	if (store_failed(spool_store(x->spool)))
		return rc;
	log_event(x->log, LOG_LEVEL_WARNING, "upkeep-failed", "reason",
	    e->text, NULL);
	return 0;
}

int
exchange_tick(struct exchange *x, struct err *e)
{
	uint64_t now = now_secs(x);
	struct target *t;
	size_t i;
	bool more = false;
	int rc;

	x->dirty = true;
	rc = transit_tick(x, e);
	if (rc >= 0)
		rc = custody_work(x, e);
	if (rc < 0)
		return failed(x, rc, e);
	/* The walks below are for old age, not for every short deadline. */
	if (!x->maintain && x->last_tick_ms != INT64_MIN &&
	    clock_mono_ms(x->clock) - x->last_tick_ms < 1000)
		return 0;
	rc = spool_tick(x->spool, e);
	if (rc == 0)
		rc = custody_tick(x, e);
	x->by_secs = 0;
	for (i = 0; rc == 0 && i < x->ntargets; i++) {
		t = x->target[i];
		rc = expire_objects(x, t, now, e);
		expire(x, t, &t->ready, now);
		expire(x, t, &t->later, now);
	}
	if (rc == 0)
		more = report_delays(x);
	if (rc == 0)
		rc = upkeep(x, now, e);
	x->maintain = rc == 1 || (rc == 0 && more);
	x->last_tick_ms = clock_mono_ms(x->clock);
	return rc < 0 ? failed(x, rc, e) : 0;
}

/* When something is to be done at `secs` of the spool's count. */
static int64_t
elapsed_to_ms(struct exchange *x, uint64_t secs)
{
	uint64_t now = now_secs(x);

	return clock_mono_ms(x->clock) +
	    (secs > now ? (int64_t)(secs - now) * 1000 : 0);
}

static int64_t
lanes_deadline_ms(struct exchange *x, struct target *t)
{
	int64_t at = INT64_MAX, when;
	size_t i;

	for (i = 0; i < t->nlanes; i++) {
		when = road_deadline_ms(x, t->lane[i]);
		at = when < at ? when : at;
	}
	return at;
}

/* When the first leg that sleeps in t wakes. */
static int64_t
wake_ms(struct exchange *x, const struct target *t)
{
	const struct leg *leg;

	if (list_empty(&t->later))
		return INT64_MAX;
	leg = list_entry(t->later.next, struct leg, link);
	return elapsed_to_ms(x, leg->next_secs);
}

int64_t
exchange_deadline_ms(struct exchange *x)
{
	int64_t at, now = clock_mono_ms(x->clock), work;
	struct target *t;
	size_t i;

	work = custody_deadline_ms(x);
	at = x->maintain ? now : x->last_tick_ms == INT64_MIN ? now :
	    x->last_tick_ms + 60000;
	/* Not sooner than exchange_tick looks again. */
	if (x->by_secs != 0 && x->last_tick_ms != INT64_MIN) {
		int64_t by = elapsed_to_ms(x, x->by_secs);

		by = by < x->last_tick_ms + 1000 ? x->last_tick_ms + 1000 : by;
		at = by < at ? by : at;
	}
	if (transit_deadline_ms(x) < at)
		at = transit_deadline_ms(x);
	for (i = 0; i < x->ntargets; i++) {
		int64_t when = INT64_MAX, wake;

		t = x->target[i];
		wake = wake_ms(x, t);
		if (t->kind == TARGET_PEER)
			when = lanes_deadline_ms(x, t);
		else if (t->kind == TARGET_DELIVERY &&
		    !list_empty(&t->ready) && t->pause_ms > now)
			when = t->pause_ms;
		at = when < at ? when : at;
		at = wake < at ? wake : at;
	}
	at = work < at ? work : at;
	return at < now ? now : at;
}
