/* SPDX-License-Identifier: ISC */
/*
 * What the node is doing, and orders to it.
 *
 * verify and backup run to their end in one turn of the event loop: the
 * engine's own backup knows no steps, and a check of a spool that changes
 * under it would find fault with what is merely new.  postrider(1) says so.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "node/control_impl.h"
#include "node/custody.h"
#include "node/transit.h"

#define TOLD_MAX 1000		/* sentences of one verify */
#define SLICE_ADDRESSES 50

static json_t *
peer_json(const struct exchange_peer_status *p)
{
	json_t *line = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}",
	    "kind", "peer", "name", p->name,
	    "waiting", (json_int_t)p->waiting_count,
	    "waiting_octets", (json_int_t)p->waiting_octets,
	    "held", (json_int_t)p->held_count,
	    "objects", (json_int_t)p->objects,
	    "object_octets", (json_int_t)p->object_octets,
	    "oldest_secs", (json_int_t)p->oldest_secs);

	json_object_set_new(line, "bundles",
	    json_integer((json_int_t)p->bundles));
	json_object_set_new(line, "bundle_octets",
	    json_integer((json_int_t)p->bundle_octets));
	json_object_set_new(line, "running", json_boolean(p->running));
	json_object_set_new(line, "calling", json_boolean(p->calling));
	json_object_set_new(line, "down", json_boolean(p->down));
	json_object_set_new(line, "gone", json_boolean(p->gone));
	json_object_set_new(line, "failures", json_integer(p->failures));
	json_object_set_new(line, "next_call", p->next_call_ms == INT64_MAX ?
	    json_null() : control_time(p->next_call_ms));
	json_object_set_new(line, "last_sent", control_time(p->last_sent_ms));
	json_object_set_new(line, "last_received",
	    control_time(p->last_received_ms));
	json_object_set_new(line, "last_error", control_text(
	    p->last_error != NULL ? p->last_error : ""));
	return line;
}

static json_t *
counters_json(struct control_conn *c)
{
	struct exchange_counters n;

	exchange_counters(c->d->exchange, &n);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
	    "s:I, s:I}",
	    "accepted", (json_int_t)n.accepted,
	    "delivered", (json_int_t)n.delivered,
	    "failed", (json_int_t)n.failed,
	    "notices", (json_int_t)n.notices,
	    "objects_out", (json_int_t)n.objects_out,
	    "objects_in", (json_int_t)n.objects_in,
	    "duplicates", (json_int_t)n.duplicates,
	    "broken", (json_int_t)n.broken,
	    "messages", (json_int_t)n.messages,
	    "octets", (json_int_t)n.octets,
	    "deliveries_waiting", (json_int_t)n.deliveries_waiting,
	    "deliveries_running", (json_int_t)n.deliveries_running);
}

/* Of the native dialect, since the start. */
static json_t *
native_json(struct control_conn *c)
{
	struct custody_counters n;
	struct transit_counters t;

	custody_counters(c->d->exchange, &n);
	transit_counters(c->d->exchange, &t);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
	    "s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
	    "bundles_made", (json_int_t)n.lots,
	    "serials_repeated", (json_int_t)n.repeats,
	    "unconfirmed", (json_int_t)n.unconfirmed,
	    "epochs", (json_int_t)n.epochs,
	    "conflicts", (json_int_t)n.conflicts,
	    "bundles_opened", (json_int_t)n.opened,
	    "bundles_refused", (json_int_t)n.refused,
	    "serials_duplicate", (json_int_t)n.duplicates,
	    "bundles_forwarded", (json_int_t)t.forwarded,
	    "bundles_dropped", (json_int_t)t.dropped,
	    "parcels_out", (json_int_t)t.parcels_out,
	    "parcels_in", (json_int_t)t.parcels_in,
	    "parcels_forged", (json_int_t)t.forged,
	    "parcels_replayed", (json_int_t)t.replayed,
	    "octets_out", (json_int_t)t.octets_out,
	    "padding_out", (json_int_t)t.padding_out,
	    "repeated_octets", (json_int_t)t.repeated_octets);
}

void
control_status(struct control_conn *c, const json_t *request)
{
	struct exchange_peer_status p;
	struct daemon *d = c->d;

	(void)request;
	control_say(c, json_pack("{s:s, s:s, s:s, s:o, s:I, s:s, s:I, s:b, "
	    "s:b, s:o, s:o}", "kind", "node", "site", d->conf->site,
	    "version", POSTRIDER_VERSION,
	    "time", control_time(clock_wall_ms(d->clock)),
	    "uptime_secs", (json_int_t)((clock_mono_ms(d->clock) -
	    control_since_ms(c)) / 1000),
	    "spool_id", spool_id(d->spool), "pid", (json_int_t)getpid(),
	    "stopping", d->stopping,
	    "room", spool_has_room(d->spool),
	    "counters", counters_json(c), "native", native_json(c)));
	for (size_t i = 0; i < exchange_peer_count(d->exchange); i++) {
		exchange_peer_status(d->exchange, i, &p);
		control_say(c, peer_json(&p));
	}
	control_end(c, NULL);
}

static const char *
decision_word(enum routing_kind kind)
{
	static const char *const words[] = {
		[ROUTING_LOCAL] = "local", [ROUTING_SITE] = "site",
		[ROUTING_UNKNOWN_USER] = "unknown-user",
		[ROUTING_NONE] = "none",
		[ROUTING_UNREACHABLE] = "unreachable",
	};

	return words[kind];
}

json_t *
control_route_json(const struct conf *conf, const char *address)
{
	struct routing_decision d = { .kind = ROUTING_NONE };
	struct buf why = BUF_INIT;
	json_t *line, *peers = json_array();

	routing_lookup(conf->routing, address, &d, &why);
	while (why.len > 0 && why.ptr[why.len - 1] == '\n')
		buf_truncate(&why, why.len - 1);
	for (size_t i = 0; i < d.npeers; i++)
		json_array_append_new(peers, json_pack("{s:s, s:i}",
		    "name", d.peer[i], "cost", (int)d.cost[i]));
	line = json_pack("{s:s, s:o, s:s}", "kind", "route",
	    "address", control_text(address),
	    "decision", decision_word(d.kind));
	json_object_set_new(line, "delivery", d.kind == ROUTING_LOCAL &&
	    d.delivery < conf->ndeliveries ?
	    control_text(conf->delivery[d.delivery].name) : json_null());
	json_object_set_new(line, "site", control_text(
	    d.kind == ROUTING_SITE || d.kind == ROUTING_UNREACHABLE ?
	    d.site : NULL));
	json_object_set_new(line, "peers", peers);
	json_object_set_new(line, "explanation",
	    control_text(buf_cstr(&why)));
	buf_release(&why);
	return line;
}

struct route_walk {
	json_t *addresses;
	size_t next;
};

static void
route_walk_free(void *state)
{
	struct route_walk *w = state;

	json_decref(w->addresses);
	free(w);
}

static bool
route_more(struct control_conn *c)
{
	struct route_walk *w = c->state;

	for (int i = 0; i < SLICE_ADDRESSES; i++) {
		const json_t *value = json_array_get(w->addresses, w->next++);

		if (value == NULL) {
			control_end(c, NULL);
			control_set_state(c, NULL, NULL);
			return false;
		}
		if (json_is_string(value))
			control_say(c, control_route_json(c->d->conf,
			    json_string_value(value)));
	}
	return true;
}

void
control_route(struct control_conn *c, const json_t *request)
{
	struct route_walk *w = mem_alloc(1, sizeof(*w));

	w->addresses = json_incref(json_object_get(request, "addresses"));
	control_set_state(c, w, route_walk_free);
	c->more = route_more;
}

void
control_flush(struct control_conn *c, const json_t *request)
{
	const char *peer = control_member(request, "peer");
	struct err e = ERR_INIT;

	if (peer == NULL)
		control_error(c, 0, "\"peer\" is missing");
	else if (exchange_flush(c->d->exchange, peer, &e) < 0)
		control_error(c, e.code, "%s", e.text);
	else
		control_end(c, NULL);
	daemon_wake(c->d);
}

void
control_reload(struct control_conn *c, const json_t *request)
{
	struct buf report = BUF_INIT;
	struct err e = ERR_INIT;
	int r = daemon_reload(c->d, &report, &e);
	const char *ptr = buf_cstr(&report);

	(void)request;
	while (*ptr != '\0') {
		size_t len = strcspn(ptr, "\n");
		char *line = mem_strndup(ptr, len);

		control_say(c, json_pack("{s:s, s:o}", "kind", "told",
		    "text", control_text(line)));
		free(line);
		ptr += len + (ptr[len] == '\n');
	}
	buf_release(&report);
	if (r < 0)
		control_error(c, r, "the old configuration stays: %s", e.text);
	else
		control_end(c, NULL);
}

void
control_stop(struct control_conn *c, const json_t *request)
{
	(void)request;
	control_end(c, NULL);
	control_push(c);	/* the socket may not outlive this call */
	c->closing = true;
	daemon_stop(c->d);
}

struct told {
	struct control_conn *conn;
	unsigned n;
};

static void
on_told(void *ctx, const char *text)
{
	struct told *told = ctx;

	if (told->n++ < TOLD_MAX)
		control_say(told->conn, json_pack("{s:s, s:o}",
		    "kind", "told", "text", control_text(text)));
}

void
control_verify(struct control_conn *c, const json_t *request)
{
	struct told told = { c, 0 };
	struct spool_report n = { 0 };
	struct err e = ERR_INIT;

	(void)request;
	if (spool_verify(c->d->spool, &n, on_told, &told, &e) < 0)
		control_error(c, e.code, "%s", e.text);
	else
		control_end(c, control_report_json(&n));
}

json_t *
control_report_json(const struct spool_report *n)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
	    "messages", (json_int_t)n->messages,
	    "objects", (json_int_t)n->objects,
	    "ledger", (json_int_t)n->ledger,
	    "broken", (json_int_t)n->broken,
	    "bundles", (json_int_t)n->bundles,
	    "custody", (json_int_t)n->custody,
	    "octets", (json_int_t)n->octets,
	    "damaged", (json_int_t)n->damaged);
}

void
control_backup(struct control_conn *c, const json_t *request)
{
	const char *dir = control_member(request, "dir");
	struct err e = ERR_INIT;

	if (dir == NULL || dir[0] != '/')
		control_error(c, 0, "\"dir\" must be an absolute path");
	else if (store_backup(spool_store(c->d->spool), dir, &e) < 0)
		control_error(c, e.code, "%s", e.text);
	else
		control_end(c, NULL);
}
