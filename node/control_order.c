/* SPDX-License-Identifier: ISC */
/*
 * Where an address would go, and orders to the node.
 *
 * verify and backup run to their end in one turn of the event loop: the
 * engine's own backup knows no steps, and a check of a spool that changes
 * under it would find fault with what is merely new.  postrider(1) says so.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "node/control_impl.h"

#define TOLD_MAX 1000		/* sentences of one verify */
#define SLICE_ADDRESSES 50

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

/* What a section via makes of the road. */
static void
add_onion(struct buf *out, const struct conf *conf, const char *site)
{
	size_t i, k;

	for (i = 0; site != NULL && i < conf->nvias; i++) {
		const struct conf_via *via = &conf->via_site[i];

		if (strcmp(via->site, site) != 0)
			continue;
		buf_adds(out, "\nsealed for each relay of");
		for (k = 0; k < via->relays.n; k++)
			buf_addf(out, "%s %s", k > 0 ? "," : "",
			    via->relays.item[k]);
		buf_addf(out, " (via, line %u)", via->line);
	}
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
	if (d.kind == ROUTING_SITE)
		add_onion(&why, conf, d.site);
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
