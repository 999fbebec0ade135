/* SPDX-License-Identifier: ISC */
/*
 * What people see of the exchange, and what an operator orders.
 */
#include <stdlib.h>

#include "node/custody.h"
#include "node/exchange_private.h"
#include "node/transit.h"

size_t
exchange_peer_count(const struct exchange *x)
{
	size_t i, n = 0;

	for (i = 0; i < x->ntargets; i++)
		n += x->target[i]->kind == TARGET_PEER;
	return n;
}

static struct target *
nth_peer(struct exchange *x, size_t n)
{
	size_t i;

	for (i = 0; i < x->ntargets; i++) {
		if (x->target[i]->kind == TARGET_PEER && n-- == 0)
			return x->target[i];
	}
	return NULL;
}

static uint64_t
oldest(struct exchange *x, const struct list *head, uint64_t age)
{
	const struct leg *leg;
	uint64_t now = now_secs(x), at;

	if (list_empty(head))
		return age;
	leg = list_entry(head->next, struct leg, link);
	at = leg->entry->accepted_secs;
	return now > at && now - at > age ? now - at : age;
}

/* Mail for sites that leaves by this peer waits for it too. */
static void
add_sites(struct exchange *x, const struct target *road,
    struct exchange_peer_status *st)
{
	const struct target *t;
	size_t i;

	for (i = 0; i < x->ntargets; i++) {
		t = x->target[i];
		if (t->kind != TARGET_SITE || queue_road(x, t) != road)
			continue;
		st->waiting_count += t->ready_count + t->later_count;
		st->waiting_octets += t->ready_octets + t->later_octets;
		st->held_count += t->held_count;
		st->oldest_secs = oldest(x, &t->later, oldest(x, &t->ready,
		    st->oldest_secs));
	}
}

/* Wall clock; a pause ends before the schedule counts. */
static int64_t
next_call_ms(struct exchange *x, const struct lane *l)
{
	int64_t pause = l->pause_ms - clock_mono_ms(x->clock);

	if (l->conf == NULL)
		return INT64_MAX;
	if (pause < 0 || l->wanted || l->again)
		pause = 0;
	return schedule_next(l->conf->call, clock_wall_ms(x->clock) + pause,
	    l->last_call_ms, road_has_load(x, l));
}

static void
fill_road(struct exchange *x, const struct lane *l,
    struct exchange_road_status *st)
{
	st->objects = l->nobjects;
	st->object_octets = l->object_octets;
	st->running = l->up;
	st->calling = road_is_calling(l);
	st->down = l->down;
	st->misconfigured = l->misconfigured;
	st->gone = l->conf == NULL;
	st->failures = l->failures;
	st->next_call_ms = next_call_ms(x, l);
	st->last_sent_ms = l->last_sent_ms;
	st->last_error = l->last_error != NULL ? l->last_error : "";
}

static void
fill_lane(struct exchange *x, const struct lane *l,
    struct exchange_lane_status *st)
{
	int64_t mono = clock_mono_ms(x->clock);
	int64_t pause = l->shun_ms > l->pause_ms ? l->shun_ms : l->pause_ms;

	memset(st, 0, sizeof(*st));
	st->name = l->name;
	st->path = l->road;
	st->program = l->conf != NULL ? l->conf->program : "";
	st->open = road_is_open(x, l);
	st->retry_ms = l->failures > 0 && pause > mono ?
	    clock_wall_ms(x->clock) + (pause - mono) : 0;
	fill_road(x, l, &st->road);
}

bool
exchange_lane_status(struct exchange *x, size_t i, size_t k,
    struct exchange_lane_status *st)
{
	const struct target *t = nth_peer(x, i);

	if (t == NULL || k >= t->nlanes)
		return false;
	fill_lane(x, t->lane[k], st);
	return true;
}

/* What is said of a peer is what its transports say together. */
static void
add_road(struct exchange *x, const struct lane *l,
    struct exchange_road_status *all)
{
	struct exchange_road_status one;

	fill_road(x, l, &one);
	all->objects += one.objects;
	all->object_octets += one.object_octets;
	all->running |= one.running;
	all->calling |= one.calling;
	all->misconfigured |= one.misconfigured && !one.gone;
	if (one.failures > all->failures)
		all->failures = one.failures;
	if (one.next_call_ms < all->next_call_ms)
		all->next_call_ms = one.next_call_ms;
	if (one.last_sent_ms > all->last_sent_ms)
		all->last_sent_ms = one.last_sent_ms;
	if (all->last_error[0] == '\0')
		all->last_error = one.last_error;
}

void
exchange_peer_status(struct exchange *x, size_t i,
    struct exchange_peer_status *st)
{
	struct target *t = nth_peer(x, i);
	size_t k;

	memset(st, 0, sizeof(*st));
	if (t == NULL)
		return;
	st->name = t->name;
	st->waiting_count = t->ready_count + t->later_count;
	st->waiting_octets = t->ready_octets + t->later_octets;
	st->held_count = t->held_count;
	transit_waiting(x, t->name, &st->bundles, &st->bundle_octets);
	st->oldest_secs = oldest(x, &t->later, oldest(x, &t->ready, 0));
	add_sites(x, t, st);
	st->last_received_ms = t->last_received_ms;
	st->road.down = t->down;
	st->road.gone = t->peer == NULL;
	st->road.next_call_ms = INT64_MAX;
	st->road.last_error = "";
	for (k = 0; k < t->nlanes; k++)
		add_road(x, t->lane[k], &st->road);
	if (st->road.last_error[0] == '\0' && t->stuck != NULL)
		st->road.last_error = t->stuck;
}

void
exchange_peer_stuck(struct exchange *x, const char *peer, const char *why)
{
	struct target *t = queue_peer(x, peer);

	if (t == NULL)
		return;
	free(t->stuck);
	t->stuck = why != NULL ? mem_strdup(why) : NULL;
}

void
exchange_counters(const struct exchange *x, struct exchange_counters *c_out)
{
	size_t i;

	*c_out = x->counters;
	c_out->messages = x->messages;
	c_out->octets = x->octets;
	for (i = 0; i < x->ntargets; i++) {
		const struct target *t = x->target[i];

		if (t->kind != TARGET_DELIVERY)
			continue;
		c_out->deliveries_waiting += t->ready_count + t->later_count;
		c_out->deliveries_running += t->running;
	}
}

const struct leg *
leg_with(const struct entry *entry, size_t rcpt)
{
	size_t i, k;

	for (i = 0; i < entry->nlegs; i++) {
		for (k = 0; k < entry->leg[i].nrcpt; k++) {
			if (leg_rcpt(&entry->leg[i])[k] == rcpt)
				return &entry->leg[i];
		}
	}
	return NULL;
}

bool
exchange_where(struct exchange *x, uint64_t message, size_t rcpt,
    struct exchange_where *w)
{
	static const char *const word[] = {
		[LEG_READY] = "queued", [LEG_LATER] = "queued",
		[LEG_HELD] = "held", [LEG_CUT] = "bundled",
		[LEG_RUNNING] = "delivering",
	};
	struct entry *entry = map_get_u64(x->entries, message);
	const struct leg *leg;

	memset(w, 0, sizeof(*w));
	w->state = "done";
	w->target = "";
	if (entry == NULL)
		return false;
	leg = leg_with(entry, rcpt);
	if (leg == NULL)
		return true;
	w->state = leg->target == x->limbo ? "held" : word[leg->status];
	w->target = leg->target->name;
	w->object = leg->status == LEG_CUT &&
	    leg->target->kind == TARGET_PEER ? leg->object : 0;
	w->next_secs = leg->status == LEG_LATER ? leg->next_secs : 0;
	return true;
}

static void
want(struct lane *l)
{
	if (l->conf == NULL)
		return;
	l->pause_ms = l->shun_ms = 0;
	l->wanted = true;
	l->told = false;
}

/* There is no such road: is there the peer at least? */
static int
no_road(struct exchange *x, const char *road, struct err *e)
{
	const char *slash = strchr(road, '/');
	char *peer = mem_strndup(road, slash != NULL ?
	    (size_t)(slash - road) : strlen(road));
	const struct target *t = queue_peer(x, peer);
	struct buf names = BUF_INIT;
	size_t i;
	int rc;

	for (i = 0; t != NULL && t->peer != NULL && i < t->peer->nlanes; i++)
		buf_addf(&names, "%s%s", i > 0 ? ", " : "",
		    t->peer->lane[i].name);
	if (t == NULL || t->peer == NULL)
		rc = err_set(e, ERR_NOT_FOUND, "there is no peer \"%s\" in "
		    "the configuration", peer);
	else if (names.len == 0)
		rc = err_set(e, ERR_NOT_FOUND, "the peer %s has one transport "
		    "alone, without a name: say %s", peer, peer);
	else
		rc = err_set(e, ERR_NOT_FOUND, "the peer %s has no transport "
		    "\"%s\": it has %s", peer, slash != NULL ? slash + 1 :
		    "", buf_cstr(&names));
	buf_release(&names);
	free(peer);
	return rc;
}

int
exchange_flush(struct exchange *x, const char *road, struct err *e)
{
	struct target *t = queue_peer(x, road);
	struct lane *one = t == NULL ? lane_find(x, road) : NULL;
	size_t i;

	if (one != NULL)
		t = one->target;
	if (t == NULL || t->peer == NULL || (one != NULL && one->conf == NULL))
		return no_road(x, road, e);
	for (i = 0; i < t->nlanes; i++)
		if (one == NULL || t->lane[i] == one)
			want(t->lane[i]);
	queue_wake_all(t, now_secs(x));
	for (i = 0; i < x->ntargets; i++) {
		if (x->target[i]->kind == TARGET_SITE &&
		    queue_road(x, x->target[i]) == t)
			queue_wake_all(x->target[i], now_secs(x));
	}
	x->dirty = true;
	return 0;
}

static struct entry *
need_entry(struct exchange *x, uint64_t message, struct err *e)
{
	struct entry *entry = map_get_u64(x->entries, message);

	if (entry == NULL)
		err_set(e, ERR_NOT_FOUND, "there is no message %s in the "
		    "queue", message_name(message).s);
	return entry;
}

/* Objects that hold a part of this message and that no transport can be
 * reading now are taken back, so that it waits again. */
static int
take_back(struct exchange *x, struct entry *entry, struct err *e)
{
	struct cut *c;
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < entry->nlegs; i++) {
		struct leg *leg = &entry->leg[i];

		if (leg->nrcpt == 0 || leg->status != LEG_CUT)
			continue;
		if (leg->target->kind == TARGET_SITE)
			return err_set(e, ERR_STATE, "message %s is on its "
			    "way to %s in a sealed bundle",
			    message_name(entry->id).s, leg->target->name);
		c = map_get_u64(x->cuts, leg->object);
		if (c != NULL && c->lane->up)
			return err_set(e, ERR_STATE, "message %s is in a "
			    "bundle that the transport of %s has before it",
			    message_name(entry->id).s, leg->target->name);
		if (c != NULL && c->asked)
			return err_set(e, ERR_STATE, "message %s is being "
			    "bundled for %s: try again in a moment",
			    message_name(entry->id).s, leg->target->name);
		if (c != NULL)
			rc = cut_withdraw(x, c, e);
	}
	return rc;
}

/* Writes what the index says of held and queued recipients. */
static int
record_held(struct exchange *x, struct entry *entry, bool held, struct err *e)
{
	struct message_state st;
	struct spool_unit *u;
	struct message m;
	size_t i;
	int rc;

	message_init(&m);
	rc = spool_get_message(x->spool, entry->id, &m, e);
	if (rc == 0)
		rc = spool_get_state(x->spool, m.id, m.env.nrcpt, &st, e);
	if (rc != 0) {
		message_release(&m);
		return rc;
	}
	for (i = 0; i < st.n; i++) {
		const struct leg *leg = leg_with(entry, i);

		if (leg == NULL || leg->status == LEG_CUT ||
		    leg->status == LEG_RUNNING)
			continue;
		st.rcpt[i].status = held ? RCPT_HELD : RCPT_QUEUED;
		st.rcpt[i].next_secs = 0;
	}
	rc = spool_begin(x->spool, &u, e);
	if (rc == 0) {
		rc = spool_put_state(u, m.id, &st, e);
		if (rc == 0)
			rc = spool_commit(u, false, e);
		else
			spool_abort(u);
	}
	x->unflushed = true;
	message_state_release(&st);
	message_release(&m);
	return rc;
}

int
exchange_hold(struct exchange *x, uint64_t message, struct err *e)
{
	struct entry *entry = need_entry(x, message, e);
	size_t i, n = 0;
	int rc;

	if (entry == NULL)
		return ERR_NOT_FOUND;
	rc = take_back(x, entry, e);
	if (rc != 0)
		return rc;
	for (i = 0; i < entry->nlegs; i++)
		n += entry->leg[i].nrcpt > 0 &&
		    (entry->leg[i].status == LEG_READY ||
		    entry->leg[i].status == LEG_LATER ||
		    entry->leg[i].status == LEG_HELD);
	if (n == 0)
		return err_set(e, ERR_STATE, "message %s is on its way: it "
		    "cannot be held now", message_name(message).s);
	rc = record_held(x, entry, true, e);
	for (i = 0; rc == 0 && i < entry->nlegs; i++) {
		struct leg *leg = &entry->leg[i];

		if (leg->status == LEG_READY || leg->status == LEG_LATER)
			leg_hold(leg);
	}
	return rc;
}

int
exchange_release(struct exchange *x, uint64_t message, struct err *e)
{
	struct entry *entry = need_entry(x, message, e);
	size_t i;
	int rc;

	if (entry == NULL)
		return ERR_NOT_FOUND;
	rc = record_held(x, entry, false, e);
	for (i = 0; rc == 0 && i < entry->nlegs; i++) {
		if (entry->leg[i].status == LEG_HELD)
			(void)leg_wake(&entry->leg[i], now_secs(x));
	}
	x->dirty = true;
	return rc;
}

static void
forget_pause(struct target *t)
{
	size_t i;

	t->pause_ms = 0;
	for (i = 0; i < t->nlanes; i++)
		t->lane[i]->pause_ms = t->lane[i]->shun_ms = 0;
}

int
exchange_retry(struct exchange *x, uint64_t message, struct err *e)
{
	struct entry *entry;
	size_t i;

	x->dirty = true;
	if (message == 0) {
		for (i = 0; i < x->ntargets; i++) {
			forget_pause(x->target[i]);
			queue_wake_all(x->target[i], now_secs(x));
		}
		return 0;
	}
	entry = need_entry(x, message, e);
	if (entry == NULL)
		return ERR_NOT_FOUND;
	for (i = 0; i < entry->nlegs; i++) {
		forget_pause(entry->leg[i].target);
		if (entry->leg[i].status == LEG_LATER)
			(void)leg_wake(&entry->leg[i], now_secs(x));
		else if (entry->leg[i].target->kind == TARGET_SITE)
			custody_retry(x, entry->leg[i].object);
	}
	return 0;
}

int
exchange_delete(struct exchange *x, uint64_t message, struct err *e)
{
	struct entry *entry = need_entry(x, message, e);
	struct spool_unit *u;
	size_t i;
	int rc;

	if (entry == NULL)
		return ERR_NOT_FOUND;
	rc = take_back(x, entry, e);
	if (rc != 0)
		return rc;
	for (i = 0; i < entry->nlegs; i++) {
		if (entry->leg[i].nrcpt > 0 &&
		    (entry->leg[i].status == LEG_CUT ||
		    entry->leg[i].status == LEG_RUNNING))
			return err_set(e, ERR_STATE, "message %s is on its "
			    "way: try again later",
			    message_name(message).s);
	}
	rc = spool_begin(x->spool, &u, e);
	if (rc != 0)
		return rc;
	rc = spool_del_message(u, message, e);
	if (rc != 0) {
		spool_abort(u);
		return rc;
	}
	rc = spool_commit(u, false, e);
	if (rc != 0)
		return rc;
	x->unflushed = true;
	log_event(x->log, LOG_LEVEL_INFO, "message-deleted", "id",
	    message_name(message).s, NULL);
	queue_forget(x, entry);
	return 0;
}
