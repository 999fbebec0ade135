/* SPDX-License-Identifier: ISC */
/*
 * What the node is doing: one line for itself, and one for each peer with its
 * transports in it.
 */
#include <unistd.h>

#include "node/carrier.h"
#include "node/control_impl.h"
#include "node/custody.h"
#include "node/transit.h"

/* What a peer and each of its transports have in common. */
static void
add_road(json_t *line, const struct exchange_road_status *r)
{
	json_object_set_new(line, "objects",
	    json_integer((json_int_t)r->objects));
	json_object_set_new(line, "object_octets",
	    json_integer((json_int_t)r->object_octets));
	json_object_set_new(line, "running", json_boolean(r->running));
	json_object_set_new(line, "calling", json_boolean(r->calling));
	json_object_set_new(line, "down", json_boolean(r->down));
	json_object_set_new(line, "misconfigured",
	    json_boolean(r->misconfigured));
	json_object_set_new(line, "gone", json_boolean(r->gone));
	json_object_set_new(line, "failures", json_integer(r->failures));
	json_object_set_new(line, "next_call", r->next_call_ms == INT64_MAX ?
	    json_null() : control_time(r->next_call_ms));
	json_object_set_new(line, "last_sent", control_time(r->last_sent_ms));
	json_object_set_new(line, "last_error", control_text(r->last_error));
}

static json_t *
peer_json(const struct exchange_peer_status *p)
{
	json_t *line = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}",
	    "kind", "peer", "name", p->name,
	    "waiting", (json_int_t)p->waiting_count,
	    "waiting_octets", (json_int_t)p->waiting_octets,
	    "held", (json_int_t)p->held_count,
	    "oldest_secs", (json_int_t)p->oldest_secs,
	    "bundles", (json_int_t)p->bundles,
	    "bundle_octets", (json_int_t)p->bundle_octets);

	add_road(line, &p->road);
	json_object_set_new(line, "last_received",
	    control_time(p->last_received_ms));
	return line;
}

/* How far what lies before a transport is, and how it fares; null where that
 * is not known. */
static json_t *
progress_json(const struct carrier *carrier, const char *road)
{
	struct carrier_progress p;
	uint64_t rate;
	json_t *line;

	if (!carrier_progress(carrier, road, &p) ||
	    (p.file[0] == '\0' && !p.told))
		return json_null();
	line = json_pack("{s:o, s:I, s:I}", "file",
	    p.file[0] != '\0' ? control_text(p.file) : json_null(),
	    "done", (json_int_t)p.done, "total", (json_int_t)p.total);
	if (!p.told)
		return line;
	rate = p.p.rate;
	json_object_set_new(line, "sent", json_integer((json_int_t)p.p.sent));
	json_object_set_new(line, "left", json_integer((json_int_t)p.p.left));
	json_object_set_new(line, "received",
	    json_integer((json_int_t)p.p.received));
	json_object_set_new(line, "rate", json_integer((json_int_t)rate));
	json_object_set_new(line, "again",
	    json_integer((json_int_t)p.p.again));
	json_object_set_new(line, "errors",
	    json_integer((json_int_t)p.p.errors));
	json_object_set_new(line, "damaged",
	    json_integer((json_int_t)p.p.damaged));
	json_object_set_new(line, "left_secs", rate == 0 ? json_null() :
	    json_integer((json_int_t)(p.p.left / rate)));
	json_object_set_new(line, "age_secs",
	    json_integer((json_int_t)p.age_secs));
	return line;
}

static json_t *
lane_json(const struct carrier *carrier,
    const struct exchange_lane_status *l)
{
	json_t *line = json_pack("{s:s, s:s, s:s, s:b}", "name", l->name,
	    "road", l->path, "program", l->program, "open", l->open);
	const char *note = carrier_note(carrier, l->path);

	add_road(line, &l->road);
	json_object_set_new(line, "retry", control_time(l->retry_ms));
	json_object_set_new(line, "note", note != NULL ? control_text(note) :
	    json_null());
	json_object_set_new(line, "waits", json_boolean(
	    carrier_waits(carrier, l->path)));
	json_object_set_new(line, "progress",
	    progress_json(carrier, l->path));
	return line;
}

/* Those that are gone are of interest only while something is before them. */
static json_t *
lanes_json(const struct daemon *d, size_t i)
{
	struct exchange_lane_status l;
	json_t *all = json_array();

	for (size_t k = 0; exchange_lane_status(d->exchange, i, k, &l); k++)
		if (!l.road.gone || l.road.objects > 0 || l.road.running)
			json_array_append_new(all, lane_json(d->carrier, &l));
	return all;
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
	json_t *line;

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
		line = peer_json(&p);
		json_object_set_new(line, "transports", lanes_json(d, i));
		control_say(c, line);
	}
	control_end(c, NULL);
}
