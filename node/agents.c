/* SPDX-License-Identifier: ISC */
/*
 * All delivery agents of a node.  One is kept over a reload if it has the same
 * name, since its jobs are those of the target of that name, and the same
 * mark.
 */
#include "node/agents.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "node/mark.h"

#define VIA "(via)"

struct agent {
	char *name;
	struct mark mark;
	struct delivery *delivery;	/* or NULL */
};

struct agents {
	struct event_base *base;
	struct delivery_hooks hooks;
	struct agent *agent;
	size_t n;
};

struct agents *
agents_new(struct event_base *base, const struct delivery_hooks *hooks)
{
	struct agents *a = mem_alloc(1, sizeof(*a));

	a->base = base;
	a->hooks = *hooks;
	return a;
}

static void
mark_tls(struct sha256 *h, const struct conf_tls *tls)
{
	mark_octets(h, &tls->mode, sizeof(tls->mode));
	mark_text(h, tls->ca);
	mark_file(h, tls->ca);
	mark_text(h, tls->name);
	mark_octets(h, tls->fingerprint,
	    tls->nfingerprints * sizeof(*tls->fingerprint));
}

/* Of the site. */
static void
mark_site(struct sha256 *h, const struct conf *conf)
{
	mark_text(h, conf->hostname);
	mark_text(h, conf->tls_certificate);
	mark_file(h, conf->tls_certificate);
	mark_text(h, conf->tls_key);
	mark_file(h, conf->tls_key);
	mark_octets(h, &conf->trace_delivery, sizeof(conf->trace_delivery));
}

static void
mark_texts(struct sha256 *h, const struct conf_strings *texts)
{
	for (size_t i = 0; i < texts->n; i++)
		mark_text(h, texts->item[i]);
	mark_octets(h, NULL, 0);
}

static struct mark
mark_of(const struct conf *conf, const struct conf_delivery *d)
{
	const bool flags[] = { d->convert, d->final, d->crlf,
		d->envelope_headers };
	const uint64_t numbers[] = { d->kind, d->deadline_secs,
		d->connections, d->connect_secs };
	struct sha256 h;

	mark_begin(&h);
	mark_site(&h, conf);
	mark_texts(&h, &d->domains);
	mark_texts(&h, &d->users);
	mark_text(&h, d->target);
	mark_text(&h, d->null_sender);
	mark_tls(&h, &d->tls);
	mark_octets(&h, flags, sizeof(flags));
	mark_octets(&h, numbers, sizeof(numbers));
	mark_octets(&h, &d->timeouts, sizeof(d->timeouts));
	return mark_end(&h);
}

/* `via`, or the server of the first SMTP delivery. */
static struct conf_delivery
via_of(const struct conf *conf)
{
	struct conf_delivery via = { .kind = CONF_DELIVERY_SMTP,
		.connections = 2, .target = conf->via };
	size_t i;

	for (i = 0; i < conf->ndeliveries && via.target == NULL; i++) {
		if (conf->delivery[i].kind != CONF_DELIVERY_SMTP)
			continue;
		via.target = conf->delivery[i].target;
		via.tls = conf->delivery[i].tls;
	}
	return via;
}

/* Takes over the agent that is this one already. */
static void
keep(struct agents *a, struct agent *new)
{
	for (size_t i = 0; i < a->n; i++) {
		struct agent *old = &a->agent[i];

		if (strcmp(old->name, new->name) != 0 ||
		    !mark_equal(&old->mark, &new->mark))
			continue;
		new->delivery = old->delivery;
		old->delivery = NULL;
		return;
	}
}

static void
free_agents(struct agent *agent, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		delivery_free(agent[i].delivery);
		free(agent[i].name);
	}
	free(agent);
}

void
agents_configure(struct agents *a, const struct conf *conf)
{
	const struct conf_delivery via = via_of(conf);
	size_t n = conf->ndeliveries + 1;
	struct agent *all = mem_alloc(n, sizeof(*all));

	a->hooks.hostname = conf->hostname;
	a->hooks.certificate = conf->tls_certificate;
	a->hooks.key = conf->tls_key;
	a->hooks.trace = conf->trace_delivery;
	for (size_t i = 0; i < n; i++) {
		const struct conf_delivery *d = i + 1 < n ?
		    &conf->delivery[i] : &via;

		all[i].name = mem_strdup(i + 1 < n ? d->name : VIA);
		all[i].mark = mark_of(conf, d);
		keep(a, &all[i]);
		if (all[i].delivery == NULL && d->target != NULL)
			all[i].delivery = delivery_new(a->base, d, &a->hooks);
	}
	free_agents(a->agent, a->n);
	a->agent = all;
	a->n = n;
}

void
agents_free(struct agents *a)
{
	if (a == NULL)
		return;
	free_agents(a->agent, a->n);
	free(a);
}

struct delivery *
agents_get(const struct agents *a, size_t i)
{
	return a->agent[i].delivery;
}

bool
agents_busy(const struct agents *a)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->agent[i].delivery != NULL &&
		    delivery_running(a->agent[i].delivery) > 0)
			return true;
	return false;
}
