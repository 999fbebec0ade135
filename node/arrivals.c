/* SPDX-License-Identifier: ISC */
/*
 * Groups of messages that one transaction takes.
 */
#include "node/arrivals.h"

#include <stdlib.h>

#define GROUP_MESSAGES 50

struct arrived {
	struct list link;
	struct spool_draft *draft;
	struct message m;
};

void
arrivals_init(struct arrivals *a)
{
	list_init(&a->group);
	a->count = a->octets = 0;
}

void
arrivals_clear(struct arrivals *a)
{
	struct list *item, *after;
	struct arrived *one;

	list_for_each_safe(item, after, &a->group) {
		one = list_entry(item, struct arrived, link);
		list_del(item);
		spool_draft_free(one->draft);
		message_release(&one->m);
		free(one);
	}
	a->count = a->octets = 0;
}

void
arrivals_add(struct arrivals *a, struct spool_draft *d, struct message *m)
{
	struct arrived *one = mem_alloc(1, sizeof(*one));
	uint64_t octets = spool_draft_facts(d)->octets;

	one->draft = d;
	one->m = *m;
	message_init(m);
	list_add_tail(&a->group, &one->link);
	a->count++;
	a->octets += (octets < SPOOL_INLINE_MAX ? octets : 0) + 512;
}

bool
arrivals_are_full(const struct arrivals *a)
{
	return a->count >= GROUP_MESSAGES || a->octets >= SPOOL_UNIT_MAX;
}

int
arrivals_put(struct arrivals *a, struct spool_unit *u, struct err *e)
{
	struct list *item;
	struct arrived *one;
	int rc = 0;

	list_for_each(item, &a->group) {
		one = list_entry(item, struct arrived, link);
		if (rc == 0)
			rc = spool_add_message(u, one->draft, &one->m, e);
	}
	return rc;
}

void
arrivals_index(struct exchange *x, struct arrivals *a)
{
	struct list *item;
	struct arrived *one;

	list_for_each(item, &a->group) {
		one = list_entry(item, struct arrived, link);
		if (one->m.kind == MESSAGE_MAIL)
			x->counters.accepted++;
		else
			x->counters.notices++;
		log_event(x->log, LOG_LEVEL_INFO, "message-accepted",
		    "id", message_name(one->m.id).s, "source", one->m.source,
		    "from", one->m.env.sender,
		    "recipients", num_str(one->m.env.nrcpt).s,
		    "size", num_str(one->m.facts.octets).s, NULL);
		queue_add(x, &one->m, NULL);
	}
	arrivals_clear(a);
}
