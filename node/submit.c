/* SPDX-License-Identifier: ISC */
/*
 * What may come in: the checks that the listener asks for at RCPT and after
 * the content, and the ones that an inbound batch's recipients go through.
 */
#include <stdlib.h>

#include "node/exchange_private.h"
#include "smtp/address.h"

void
exchange_refused_full(struct smtp_refusal *r)
{
	smtp_refuse(r, 452, "4.3.1", "No room in the spool now, try later");
}

const char *
submit_address(const struct exchange *x, const char *address)
{
	return address_domain(address).len == 0 &&
	    address_is_postmaster(address) ? x->conf->postmaster : address;
}

static bool
allowed_to(const struct conf_peer *from, const char *address)
{
	size_t i;

	for (i = 0; i < from->may_reach.n; i++) {
		if (routing_pattern_match(from->may_reach.item[i], address))
			return true;
	}
	return from->may_reach.n == 0;
}

static int
refuse_relay(const char *address, struct smtp_refusal *r)
{
	return smtp_refuse(r, 550, "5.7.1", "Relaying to <%s> denied: "
	    "its domain is neither local nor routed for you here", address);
}

/* Does it lead to a peer that we are the gate of, for all that come sealed? */
static bool
passes_gate(const struct exchange *x, const struct routing_decision *d,
    const struct conf_peer *from)
{
	const struct conf_peer *next = d->npeers > 0 ?
	    conf_find_peer(x->conf, d->peer[0]) : NULL;

	return next != NULL && next->gate && from->may_reach.n == 0 &&
	    from->dialect == BUNDLE_NATIVE;
}

/* Where an address leads for one who may reach it; -1 with the refusal. */
static int
submit_route(struct exchange *x, const char *address,
    const struct conf_peer *from, struct smtp_refusal *r)
{
	struct routing_decision d;

	if (address_is_postmaster(address) &&
	    address_domain(address).len == 0)
		return 0;
	routing_lookup(x->conf->routing, address, &d, NULL);
	switch (d.kind) {
	case ROUTING_LOCAL:
		break;
	case ROUTING_UNKNOWN_USER:
		if (address_is_postmaster(address))
			return 0;
		return smtp_refuse(r, 550, "5.1.1",
		    "<%s>: no such user here", address);
	case ROUTING_SITE:
	case ROUTING_UNREACHABLE:
		if (from != NULL && !from->may_relay &&
		    from->may_reach.n == 0 && !passes_gate(x, &d, from))
			return refuse_relay(address, r);
		break;
	case ROUTING_NONE:
		return refuse_relay(address, r);
	}
	if (from != NULL && !allowed_to(from, address))
		return refuse_relay(address, r);
	return 0;
}

bool
submit_may_send(const struct conf_peer *from, const char *sender)
{
	size_t i;

	for (i = 0; i < from->may_send_as.n; i++) {
		if (routing_pattern_match(from->may_send_as.item[i], sender))
			return true;
	}
	return from->may_send_as.n == 0 || sender[0] == '\0';
}

int
submit_vet(struct exchange *x, const struct conf_peer *from,
    const struct message *m, const char *address, struct smtp_refusal *r)
{
	if (from == NULL || !submit_may_send(from, m->env.sender))
		return smtp_refuse(r, 550, "5.7.1", "Mail of this sender "
		    "is not taken from where it came");
	if (m->hops > x->conf->hops_max)
		return smtp_refuse(r, 554, "5.4.6", "Mail loop: the message "
		    "has passed more than %u nodes", x->conf->hops_max);
	if (x->conf->received_max != 0 &&
	    m->facts.received > x->conf->received_max)
		return smtp_refuse(r, 554, "5.4.6", "Mail loop: more than "
		    "%u Received fields", x->conf->received_max);
	return submit_route(x, address, from, r);
}

static bool
leaves(const struct target *t)
{
	return t->kind == TARGET_PEER || t->kind == TARGET_SITE;
}

static int
check_peer(struct exchange *x, const struct target *t, uint64_t size,
    struct smtp_refusal *r)
{
	const struct target *road = queue_road(x, t);
	const struct conf_peer *peer = road != NULL ? road->peer : NULL;
	uint64_t count = t->ready_count + t->later_count + t->held_count;
	uint64_t octets = t->ready_octets + t->later_octets +
	    lanes_octets(t);

	if (peer == NULL)
		return 0;
	if (peer->max_message != 0 && size > peer->max_message)
		return smtp_refuse(r, 552, "5.3.4", "The road there carries "
		    "messages of at most %llu octets",
		    (unsigned long long)peer->max_message);
	if ((peer->quota_count != 0 && count >= peer->quota_count) ||
	    (peer->quota_octets != 0 && octets + size > peer->quota_octets))
		return smtp_refuse(r, 452, "4.3.1", "The queue for that "
		    "site is full, try later");
	return 0;
}

int
exchange_check_recipient(struct exchange *x, const char *address,
    uint64_t size, struct smtp_refusal *r)
{
	struct target *t;

	if (submit_route(x, address, NULL, r) != 0)
		return -1;
	t = queue_route(x, address, MESSAGE_MAIL);
	return leaves(t) ? check_peer(x, t, size, r) : 0;
}

int
exchange_check_room(struct exchange *x, uint64_t size, struct smtp_refusal *r)
{
	const struct conf *conf = x->conf;

	if ((conf->quota_count == 0 || x->messages < conf->quota_count) &&
	    (conf->quota_octets == 0 ||
	    x->octets + x->accepted_octets + size <= conf->quota_octets) &&
	    spool_has_room(x->spool))
		return 0;
	exchange_refused_full(r);
	return -1;
}

/* A recipient whose road does not carry a message of this size, which its
 * sender did not declare, fails with a notice; if all do, it is refused. */
static int
check_sizes(struct exchange *x, const struct message *m, uint64_t octets,
    struct smtp_refusal *r)
{
	struct target *t;
	size_t i, refused = 0;

	for (i = 0; i < m->env.nrcpt; i++) {
		t = queue_route(x, m->env.rcpt[i].address, m->kind);
		if (leaves(t) && check_peer(x, t, octets, r) != 0 &&
		    r->code == 552)
			refused++;
	}
	return refused > 0 && refused == m->env.nrcpt ? -1 : 0;
}

/* A recipient named twice gets one copy, as everywhere in the field. */
void
submit_unique(struct envelope *env)
{
	struct recipient swap;
	struct map *seen;
	size_t i, kept = 0;

	if (env->nrcpt < 2)
		return;
	seen = map_new();
	for (i = 0; i < env->nrcpt; i++) {
		if (map_put(seen, slice_of(env->rcpt[i].address), seen) !=
		    NULL)
			continue;
		swap = env->rcpt[kept];
		env->rcpt[kept++] = env->rcpt[i];
		env->rcpt[i] = swap;
	}
	while (env->nrcpt > kept)
		envelope_drop_recipient(env);
	map_free(seen);
}

int
exchange_accept(struct exchange *x, struct spool_draft *d, struct message *m,
    void *cookie, struct smtp_refusal *r)
{
	const struct content_facts *facts = spool_draft_facts(d);
	struct accepted *a;

	if (x->conf->received_max != 0 &&
	    facts->received > x->conf->received_max)
		return smtp_refuse(r, 554, "5.4.6", "Mail loop: more than "
		    "%u Received fields", x->conf->received_max);
	if (check_sizes(x, m, facts->octets, r) != 0)
		return -1;
	a = mem_alloc(1, sizeof(*a));
	a->draft = d;
	a->m = *m;
	message_init(m);
	submit_unique(&a->m.env);
	a->m.accepted_wall_ms = clock_wall_ms(x->clock);
	a->m.accepted_secs = now_secs(x);
	a->cookie = cookie;
	a->waited = cookie != NULL;
	list_add_tail(&x->accepted, &a->link);
	x->accepted_octets += facts->octets;
	return 0;
}
