/* SPDX-License-Identifier: ISC */
/*
 * The index of what waits: entries, legs and targets.  It is made from the
 * spool at start and kept beside it, some 200 octets a message, so that
 * finding work never reads the disk; the quotas bound it.
 */
#include <stdlib.h>

#include "node/custody.h"
#include "node/exchange_private.h"
#include "smtp/address.h"

static struct target *
target_new(enum target_kind kind, const char *name, size_t index)
{
	struct target *t = mem_alloc(1, sizeof(*t));

	t->kind = kind;
	t->name = mem_strdup(name);
	t->index = index;
	list_init(&t->ready);
	list_init(&t->later);
	list_init(&t->held);
	return t;
}

static struct target *
target_find(const struct exchange *x, enum target_kind kind, const char *name)
{
	size_t i;

	for (i = 0; i < x->ntargets; i++) {
		if (x->target[i]->kind == kind &&
		    strcmp(x->target[i]->name, name) == 0)
			return x->target[i];
	}
	return NULL;
}

static struct target *
target_need(struct exchange *x, enum target_kind kind, const char *name,
    size_t index)
{
	struct target *t = target_find(x, kind, name);

	if (t == NULL) {
		t = target_new(kind, name, index);
		x->target = mem_realloc(x->target, x->ntargets + 1,
		    sizeof(struct target *));
		x->target[x->ntargets++] = t;
	}
	t->index = index;
	return t;
}

/* Makes the targets that the configuration names; those it no longer names
 * stay for what is under way to them, and get nothing new. */
void
queue_targets(struct exchange *x)
{
	const struct conf *conf = x->conf;
	size_t i;

	for (i = 0; i < x->ntargets; i++) {
		x->target[i]->peer = NULL;
		x->target[i]->index = SIZE_MAX;
	}
	for (i = 0; i < conf->npeers; i++)
		target_need(x, TARGET_PEER, conf->peer[i].name, i)->peer =
		    &conf->peer[i];
	for (i = 0; i < x->ntargets; i++) {
		lanes_configure(x->target[i]);
		/* The table of sites may know of another exchange's roads. */
		if (x->target[i]->peer != NULL)
			routing_set_down(conf->routing, x->target[i]->name,
			    x->target[i]->down);
	}
	for (i = 0; i < conf->ndeliveries; i++)
		(void)target_need(x, TARGET_DELIVERY, conf->delivery[i].name,
		    i);
	(void)target_need(x, TARGET_DELIVERY, "(via)", conf->ndeliveries);
	x->limbo = target_need(x, TARGET_LIMBO, "", 0);
}

void
queue_free(struct exchange *x)
{
	void *value;
	size_t i, pos = 0;

	while (map_next(x->entries, &pos, NULL, &value)) {
		struct entry *entry = value;

		for (i = 0; i < entry->nlegs; i++)
			free(entry->leg[i].rcpt);
		free(entry);
	}
	pos = 0;
	while (map_next(x->cuts, &pos, NULL, &value)) {
		struct cut *c = value;

		free(c->name);
		free(c);
	}
	for (i = 0; i < x->ntargets; i++) {
		free(x->target[i]->name);
		lanes_free(x->target[i]);
		free(x->target[i]->stuck);
		free(x->target[i]);
	}
	free(x->target);
}

struct target *
queue_peer(const struct exchange *x, const char *name)
{
	return target_find(x, TARGET_PEER, name);
}

struct target *
queue_site(struct exchange *x, const char *site)
{
	struct target *t = target_find(x, TARGET_SITE, site);

	return t != NULL ? t : target_need(x, TARGET_SITE, site, SIZE_MAX);
}

const struct target *
queue_road(struct exchange *x, const struct target *t)
{
	return t->kind == TARGET_SITE ? custody_road(x, t) : t;
}

uint64_t
queue_lifetime_secs(struct exchange *x, const struct target *t)
{
	const struct target *road = t != NULL ? queue_road(x, t) : NULL;

	return road != NULL && road->peer != NULL &&
	    road->peer->lifetime_secs != 0 ? road->peer->lifetime_secs :
	    x->conf->lifetime_secs;
}

struct target *
queue_peer_or_gone(struct exchange *x, const char *name)
{
	struct target *t = queue_peer(x, name);

	return t != NULL ? t : target_need(x, TARGET_PEER, name, SIZE_MAX);
}

static struct target *
queue_delivery(const struct exchange *x, size_t index)
{
	size_t i;

	for (i = 0; i < x->ntargets; i++) {
		if (x->target[i]->kind == TARGET_DELIVERY &&
		    x->target[i]->index == index)
			return x->target[i];
	}
	return x->limbo;
}

struct target *
queue_route(struct exchange *x, const char *address, enum message_kind kind)
{
	struct routing_decision d;
	struct target *t;

	routing_lookup(x->conf->routing, submit_address(x, address), &d, NULL);
	switch (d.kind) {
	case ROUTING_LOCAL:
	case ROUTING_UNKNOWN_USER:
		/* It was known when it was accepted; delivery will tell. */
		return queue_delivery(x, d.delivery);
	case ROUTING_SITE:
		t = d.npeers > 0 ? queue_peer(x, d.peer[0]) : NULL;
		if (t != NULL && t->peer != NULL &&
		    t->peer->dialect == BUNDLE_NATIVE)
			return queue_site(x, d.site);
		return t != NULL ? t : x->limbo;
	case ROUTING_NONE:
		if (kind != MESSAGE_MAIL)
			return queue_delivery(x, x->conf->ndeliveries);
		return x->limbo;
	case ROUTING_UNREACHABLE:
		break;
	}
	return x->limbo;
}

struct leg *
leg_cut_into(struct exchange *x, uint64_t message, uint64_t object)
{
	struct entry *entry = map_get_u64(x->entries, message);
	size_t i;

	for (i = 0; entry != NULL && i < entry->nlegs; i++) {
		if (entry->leg[i].status == LEG_CUT &&
		    entry->leg[i].target->kind == TARGET_PEER &&
		    entry->leg[i].object == object)
			return &entry->leg[i];
	}
	return NULL;
}

int
leg_record(struct exchange *x, struct spool_unit *u, const struct leg *leg,
    enum recipient_status status, struct err *e)
{
	struct message_state st;
	struct message m;
	size_t i;
	int rc;

	message_init(&m);
	rc = spool_get_message(x->spool, leg->entry->id, &m, e);
	if (rc == 0)
		rc = spool_get_state(x->spool, m.id, m.env.nrcpt, &st, e);
	if (rc == 0) {
		for (i = 0; i < leg->nrcpt; i++)
			st.rcpt[leg_rcpt(leg)[i]].status = status;
		rc = spool_put_state(u, m.id, &st, e);
		message_state_release(&st);
	}
	message_release(&m);
	return rc;
}

const uint16_t *
leg_rcpt(const struct leg *leg)
{
	return leg->rcpt != NULL ? leg->rcpt : &leg->one;
}

void
leg_set_rcpt(struct leg *leg, const uint16_t *rcpt, size_t n)
{
	uint16_t *copy = NULL;

	if (n > 1) {
		copy = mem_alloc(n, sizeof(*copy));
		memcpy(copy, rcpt, n * sizeof(*copy));
	} else if (n == 1) {
		leg->one = rcpt[0];
	}
	free(leg->rcpt);
	leg->rcpt = copy;
	leg->nrcpt = (uint16_t)n;
}

/* The counts of a target follow its legs. */
static void
leg_count(const struct leg *leg, int sign)
{
	struct target *t = leg->target;
	uint64_t one = sign > 0 ? 1 : UINT64_MAX;
	uint64_t octets = sign > 0 ? leg->entry->octets :
	    0 - leg->entry->octets;

	switch (leg->status) {
	case LEG_READY:
		t->ready_count += one;
		t->ready_octets += octets;
		if (leg->entry->rank > 0)
			t->urgent += (unsigned)sign;
		break;
	case LEG_LATER:
		t->later_count += one;
		t->later_octets += octets;
		break;
	case LEG_HELD:
		t->held_count += one;
		break;
	case LEG_CUT:
	case LEG_RUNNING:
		break;
	}
}

void
leg_take(struct leg *leg, enum leg_status status)
{
	leg_count(leg, -1);
	list_del(&leg->link);
	leg->status = status;
}

static int
rank_of(struct list *item)
{
	return list_entry(item, struct leg, link)->entry->rank;
}

/* The list is in order of rank, and of time within one.  Nearly all have the
 * same, so the place is at one of the ends. */
void
leg_ready(struct leg *leg)
{
	struct list *head = &leg->target->ready, *at;
	int rank = leg->entry->rank;

	leg_take(leg, LEG_READY);
	if (rank > 0) {
		for (at = head->next; at != head && rank_of(at) >= rank;)
			at = at->next;
		list_add_tail(at, &leg->link);
	} else {
		for (at = head->prev; at != head && rank_of(at) < rank;)
			at = at->prev;
		list_add_head(at, &leg->link);
	}
	leg_count(leg, 1);
}

bool
leg_wake(struct leg *leg, uint64_t now)
{
	if (leg->entry->release_secs <= now) {
		leg_ready(leg);
		return true;
	}
	leg_later(leg, leg->entry->release_secs);
	return false;
}

/* The list is in order of time; back-offs grow, so the place is found from
 * the end in a few steps. */
void
leg_later(struct leg *leg, uint64_t next_secs)
{
	struct list *at;

	leg_take(leg, LEG_LATER);
	leg->next_secs = next_secs;
	at = leg->target->later.prev;
	while (at != &leg->target->later &&
	    list_entry(at, struct leg, link)->next_secs > next_secs)
		at = at->prev;
	list_add_head(at, &leg->link);
	leg_count(leg, 1);
}

void
leg_hold(struct leg *leg)
{
	leg_take(leg, LEG_HELD);
	list_add_tail(&leg->target->held, &leg->link);
	leg_count(leg, 1);
}

static void
leg_move(struct leg *leg, struct target *target)
{
	enum leg_status status = leg->status;

	leg_take(leg, LEG_RUNNING);
	leg->target = target;
	if (status == LEG_HELD)
		leg_hold(leg);
	else if (status == LEG_LATER)
		leg_later(leg, leg->next_secs);
	else
		leg_ready(leg);
}

void
queue_wake(struct target *t, uint64_t now)
{
	struct leg *leg;

	while (!list_empty(&t->later)) {
		leg = list_entry(t->later.next, struct leg, link);
		if (leg->next_secs > now)
			return;
		leg_ready(leg);
	}
}

void
queue_wake_all(struct target *t, uint64_t now)
{
	struct list *item, *after, all;

	if (list_empty(&t->later))
		return;
	list_add_head(&t->later, &all);
	list_del(&t->later);
	list_for_each_safe(item, after, &all)
		(void)leg_wake(list_entry(item, struct leg, link), now);
}

static bool
match_any(const struct conf_strings *patterns, const char *address)
{
	size_t i;

	for (i = 0; i < patterns->n; i++) {
		if (routing_pattern_match(patterns->item[i], address))
			return true;
	}
	return false;
}

/* Mail that the configuration of its peer calls urgent cuts at once. */
static bool
is_urgent(const struct target *road, const struct message *m)
{
	const struct conf_peer *peer = road != NULL ? road->peer : NULL;
	size_t i;

	if (peer == NULL || peer->urgent.n == 0)
		return false;
	if (match_any(&peer->urgent, m->env.sender))
		return true;
	for (i = 0; i < m->env.nrcpt; i++) {
		if (match_any(&peer->urgent, m->env.rcpt[i].address))
			return true;
	}
	return false;
}

struct plan {
	struct target *target;
	bool held, doubtful;
	unsigned attempts;
	uint64_t next_secs;
	uint16_t *rcpt;
	size_t n;
};

/* Groups the open recipients by where they go. */
static size_t
plan_legs(struct exchange *x, const struct message *m,
    const struct message_state *st, struct plan *plan)
{
	const struct recipient_state *rs;
	struct target *t;
	size_t i, k, n = 0;

	for (i = 0; i < m->env.nrcpt; i++) {
		rs = st != NULL ? &st->rcpt[i] : NULL;
		if (rs != NULL && rs->status != RCPT_QUEUED &&
		    rs->status != RCPT_HELD)
			continue;
		t = queue_route(x, m->env.rcpt[i].address, m->kind);
		for (k = 0; k < n; k++) {
			if (plan[k].target == t && plan[k].held ==
			    (rs != NULL && rs->status == RCPT_HELD))
				break;
		}
		if (k == n) {
			memset(&plan[n], 0, sizeof(plan[n]));
			plan[n].target = t;
			plan[n].held = rs != NULL && rs->status == RCPT_HELD;
			plan[n].rcpt = mem_alloc(m->env.nrcpt,
			    sizeof(uint16_t));
			n++;
		}
		plan[k].rcpt[plan[k].n++] = (uint16_t)i;
		plan[k].doubtful |= rs != NULL && rs->unsure;
		if (rs != NULL && rs->attempts > plan[k].attempts)
			plan[k].attempts = rs->attempts;
		if (rs != NULL && rs->next_secs > plan[k].next_secs)
			plan[k].next_secs = rs->next_secs;
	}
	return n;
}

static void
leg_start(struct exchange *x, struct leg *leg, const struct plan *plan)
{
	list_init(&leg->link);
	leg->status = LEG_RUNNING;
	leg->target = plan->target;
	leg->attempts = plan->attempts;
	leg->doubtful = plan->doubtful;
	leg_set_rcpt(leg, plan->rcpt, plan->n);
	leg->entry->open += (uint32_t)plan->n;
	if (plan->held)
		leg_hold(leg);
	else if (plan->next_secs > now_secs(x) &&
	    plan->next_secs > leg->entry->release_secs)
		leg_later(leg, plan->next_secs);
	else
		(void)leg_wake(leg, now_secs(x));
}

/* What the sender asked for by MT-PRIORITY, DELIVERBY and FUTURERELEASE. */
static void
entry_timing(struct exchange *x, struct entry *entry, const struct message *m)
{
	const struct smtp_timing *t = &m->env.timing;
	uint64_t hold = smtp_timing_hold_secs(t, m->accepted_wall_ms), at = 0;

	entry->rank = (int8_t)t->priority;
	if (hold > 0)
		entry->release_secs = m->accepted_secs + hold;
	if (t->by == SMTP_BY_RETURN)
		at = entry->by_secs = m->accepted_secs + (uint64_t)t->by_secs;
	else if (t->by == SMTP_BY_NOTIFY)
		at = entry->late_secs = m->accepted_secs +
		    (t->by_secs > 0 ? (uint64_t)t->by_secs : 0);
	if (at != 0 && (x->by_secs == 0 || at < x->by_secs))
		x->by_secs = at;
}

struct entry *
queue_add(struct exchange *x, const struct message *m,
    const struct message_state *st)
{
	struct plan one, *plan = &one;
	struct entry *entry;
	size_t i, n;

	if (m->env.nrcpt > 1)
		plan = mem_alloc(m->env.nrcpt, sizeof(*plan));
	n = plan_legs(x, m, st, plan);
	entry = mem_alloc(1, sizeof(*entry) + n * sizeof(struct leg));
	entry->id = m->id;
	entry->octets = m->facts.octets;
	entry->accepted_secs = m->accepted_secs;
	entry->kind = m->kind;
	entry->needs = envelope_needs(&m->env, &m->facts);
	entry->uses = envelope_uses(&m->env);
	entry->recorded = st != NULL;
	report_hints(m, st, entry);
	x->delays_asked += entry->delay_asked;
	entry->nlegs = n;
	entry_timing(x, entry, m);
	for (i = 0; i < n; i++) {
		entry->leg[i].entry = entry;
		if (entry->rank <= 0 &&
		    is_urgent(queue_road(x, plan[i].target), m))
			entry->rank = 1;
	}
	for (i = 0; i < n; i++) {
		leg_start(x, &entry->leg[i], &plan[i]);
		free(plan[i].rcpt);
	}
	if (plan != &one)
		free(plan);
	map_put_u64(x->entries, entry->id, entry);
	x->messages++;
	x->octets += entry->octets;
	x->dirty = true;
	return entry;
}

void
queue_forget(struct exchange *x, struct entry *entry)
{
	size_t i;

	for (i = 0; i < entry->nlegs; i++) {
		leg_take(&entry->leg[i], LEG_RUNNING);
		free(entry->leg[i].rcpt);
	}
	map_del_u64(x->entries, entry->id);
	x->delays_asked -= entry->delay_asked;
	x->messages--;
	x->octets -= entry->octets;
	free(entry);
}

static bool
has_index(const uint16_t *rcpt, size_t n, uint16_t index)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (rcpt[i] == index)
			return true;
	}
	return false;
}

/* Takes the claimed recipients out of a leg; how many it had. */
static size_t
leg_give(struct leg *leg, const uint16_t *rcpt, size_t n)
{
	uint16_t *rest = mem_alloc(leg->nrcpt + 1u, sizeof(*rest));
	size_t i, k = 0, given;

	for (i = 0; i < leg->nrcpt; i++) {
		if (!has_index(rcpt, n, leg_rcpt(leg)[i]))
			rest[k++] = leg_rcpt(leg)[i];
	}
	given = leg->nrcpt - k;
	leg_set_rcpt(leg, rest, k);
	if (k == 0)
		leg_take(leg, LEG_RUNNING);
	free(rest);
	return given;
}

/* The same message in an entry with room for one more leg. */
static struct entry *
entry_grow(struct exchange *x, struct entry *old)
{
	struct entry *entry;
	struct list *next;
	size_t i;

	entry = mem_alloc(1, sizeof(*entry) +
	    (old->nlegs + 1) * sizeof(struct leg));
	memcpy(entry, old, sizeof(*old) + old->nlegs * sizeof(struct leg));
	for (i = 0; i < entry->nlegs; i++) {
		struct leg *leg = &entry->leg[i];

		leg->entry = entry;
		next = old->leg[i].link.next;
		list_del(&old->leg[i].link);
		list_init(&leg->link);
		if (next != &old->leg[i].link)
			list_add_tail(next, &leg->link);
	}
	map_put_u64(x->entries, entry->id, entry);
	free(old);
	return entry;
}

struct leg *
queue_claim(struct exchange *x, uint64_t message, const uint16_t *rcpt,
    size_t n, struct target *t)
{
	struct entry *entry = map_get_u64(x->entries, message);
	size_t i, given = 0;
	struct leg *leg;

	if (entry == NULL)
		return NULL;
	for (i = 0; i < entry->nlegs; i++) {
		if (entry->leg[i].status != LEG_CUT)
			given += leg_give(&entry->leg[i], rcpt, n);
	}
	if (given != n)
		log_event(x->log, LOG_LEVEL_WARNING, "object-odd", "id",
		    message_name(message).s, "reason",
		    "not all of its recipients wait", NULL);
	entry = entry_grow(x, entry);
	leg = &entry->leg[entry->nlegs++];
	leg->entry = entry;
	leg->target = t;
	leg->status = LEG_CUT;
	list_init(&leg->link);
	leg_set_rcpt(leg, rcpt, given == n ? n : 0);
	return leg;
}

/* Can this entry be taken out of the index and routed again? */
static bool
is_waiting(const struct entry *entry)
{
	size_t i;

	for (i = 0; i < entry->nlegs; i++) {
		if (entry->leg[i].nrcpt > 0 &&
		    (entry->leg[i].status == LEG_CUT ||
		    entry->leg[i].status == LEG_RUNNING))
			return false;
	}
	return true;
}

static void
reroute(struct exchange *x, struct entry *entry)
{
	struct message_state st;
	struct err e = ERR_INIT;
	struct message m;
	uint64_t id = entry->id;

	message_init(&m);
	if (spool_get_message(x->spool, id, &m, &e) != 0) {
		message_release(&m);
		return;
	}
	if (spool_get_state(x->spool, id, m.env.nrcpt, &st, &e) == 0) {
		queue_forget(x, entry);
		queue_add(x, &m, &st);
		message_state_release(&st);
	}
	message_release(&m);
}

/* Where all recipients of a leg go now; NULL if they would part. */
static struct target *
leg_route(struct exchange *x, const struct leg *leg, const struct message *m)
{
	struct target *t = NULL, *next;
	size_t i;

	for (i = 0; i < leg->nrcpt; i++) {
		next = queue_route(x, m->env.rcpt[leg_rcpt(leg)[i]].address,
		    m->kind);
		if (t != NULL && next != t)
			return NULL;
		t = next;
	}
	return t;
}

/* Legs that wait move on, beside others of their message under way. */
static void
reroute_legs(struct exchange *x, struct entry *entry)
{
	struct err e = ERR_INIT;
	struct message m;
	struct target *t;
	size_t i;

	message_init(&m);
	if (spool_get_message(x->spool, entry->id, &m, &e) == 0) {
		for (i = 0; i < entry->nlegs; i++) {
			struct leg *leg = &entry->leg[i];

			leg->passed_over = leg->status == LEG_RUNNING;
			if (leg->nrcpt == 0 || leg->status == LEG_CUT ||
			    leg->status == LEG_RUNNING)
				continue;
			t = leg_route(x, leg, &m);
			if (t != NULL && t != leg->target)
				leg_move(leg, t);
		}
	}
	message_release(&m);
}

static void
reroute_entry(struct exchange *x, struct entry *entry)
{
	if (is_waiting(entry))
		reroute(x, entry);
	else
		reroute_legs(x, entry);
}

void
queue_reroute_late(struct exchange *x, struct leg *leg)
{
	if (!leg->passed_over || leg->nrcpt == 0)
		return;
	leg->passed_over = false;
	reroute_entry(x, leg->entry);
}

/* What is under way stays; what waits goes where it would go now. */
void
queue_reroute(struct exchange *x)
{
	struct entry **all;
	void *value;
	size_t i, n = 0, pos = 0;

	all = mem_alloc(map_count(x->entries) + 1, sizeof(struct entry *));
	while (map_next(x->entries, &pos, NULL, &value))
		all[n++] = value;
	for (i = 0; i < n; i++)
		reroute_entry(x, all[i]);
	free(all);
}
