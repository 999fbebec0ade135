/* SPDX-License-Identifier: ISC */
/*
 * The quarantine, for people.  It is small: expiry and the postmaster keep it
 * so; a walk by id is still cut into slices.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "node/control_impl.h"

#define SLICE_ENTRIES 50

struct broken_walk {
	char *peer;
	uint64_t cursor, wanted, count;
	bool one;		/* only `wanted` */
};

static void
broken_walk_free(void *state)
{
	struct broken_walk *w = state;

	free(w->peer);
	free(w);
}

static void
say_broken(struct control_conn *c, const struct broken *b)
{
	control_say(c, json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:I}",
	    "kind", "broken", "id", message_name(b->id).s,
	    "peer", control_text(b->peer), "name", control_text(b->name),
	    "reason", control_text(b->reason),
	    "received", control_time(b->wall_ms),
	    "octets", (json_int_t)b->octets));
}

/* One entry; false at the end. */
static bool
step(struct control_conn *c, struct broken_walk *w)
{
	struct broken b;
	struct err e = ERR_INIT;
	int r;

	broken_init(&b);
	r = spool_next_broken(c->d->spool, &w->cursor, &b, &e);
	if (r == 0 && (w->one ? b.id == w->wanted : w->peer == NULL ||
	    (b.peer != NULL && strcmp(b.peer, w->peer) == 0))) {
		say_broken(c, &b);
		w->count++;
	}
	broken_release(&b);
	return (r == 0 || r == ERR_CORRUPT) && !(w->one && w->count > 0);
}

static bool
broken_more(struct control_conn *c)
{
	struct broken_walk *w = c->state;

	for (int i = 0; i < SLICE_ENTRIES; i++) {
		if (step(c, w))
			continue;
		if (w->one && w->count == 0)
			control_error(c, ERR_NOT_FOUND,
			    "there is no such broken object");
		else
			control_end(c, json_pack("{s:I}", "count",
			    (json_int_t)w->count));
		control_set_state(c, NULL, NULL);
		return false;
	}
	return true;
}

static void
broken_start(struct control_conn *c, struct broken_walk *w)
{
	control_set_state(c, w, broken_walk_free);
	c->more = broken_more;
}

void
control_broken_list(struct control_conn *c, const json_t *request)
{
	struct broken_walk *w = mem_alloc(1, sizeof(*w));
	const char *peer = control_member(request, "peer");

	if (peer != NULL)
		w->peer = mem_strdup(peer);
	broken_start(c, w);
}

static int
get_id(struct control_conn *c, const json_t *value, uint64_t *id_out)
{
	const char *name = json_string_value(value);

	if (name != NULL && message_name_parse(name, id_out) == 0)
		return 0;
	control_error(c, 0, "%s: no id of a broken object",
	    name != NULL ? name : "\"ids\" is missing");
	return ERR_SYNTAX;
}

void
control_broken_show(struct control_conn *c, const json_t *request)
{
	struct broken_walk *w;
	uint64_t id;

	if (get_id(c, json_array_get(json_object_get(request, "ids"), 0),
	    &id) < 0)
		return;
	w = mem_alloc(1, sizeof(*w));
	w->one = true;
	w->wanted = id;
	w->cursor = id > 0 ? id - 1 : 0;
	broken_start(c, w);
}

/* All of them in one transaction. */
static int
delete_all(struct control_conn *c, const json_t *ids, struct err *e)
{
	struct spool_unit *u = NULL;
	uint64_t id;

	if (spool_begin(c->d->spool, &u, e) < 0)
		return e->code;
	for (size_t i = 0; i < json_array_size(ids); i++) {
		if (message_name_parse(json_string_value(json_array_get(ids,
		    i)), &id) < 0 || spool_del_broken(u, id, e) < 0) {
			spool_abort(u);
			return e->code != 0 ? e->code :
			    err_set(e, ERR_SYNTAX, "no id");
		}
	}
	return spool_commit(u, true, e);
}

void
control_broken_delete(struct control_conn *c, const json_t *request)
{
	const json_t *ids = json_object_get(request, "ids");
	struct err e = ERR_INIT;
	uint64_t id;

	for (size_t i = 0; i == 0 || i < json_array_size(ids); i++)
		if (get_id(c, json_array_get(ids, i), &id) < 0)
			return;
	if (delete_all(c, ids, &e) < 0)
		control_error(c, e.code, "%s", e.text);
	else
		control_end(c, json_pack("{s:I}", "count",
		    (json_int_t)json_array_size(ids)));
	daemon_wake(c->d);
}

static void
close_body(void *state)
{
	spool_body_close(state);
}

/* A frame of the object; the one of length zero is the last. */
static bool
export_more(struct control_conn *c)
{
	struct buf piece = BUF_INIT;
	struct err e = ERR_INIT;
	int r = spool_body_read(c->state, &piece, &e);

	if (r >= 0) {
		buf_put32(&c->out, (uint32_t)piece.len);
		buf_addslice(&c->out, buf_slice(&piece));
	}
	buf_release(&piece);
	if (r > 0)
		return true;
	control_set_state(c, NULL, NULL);
	c->closing = r < 0;
	return false;
}

void
control_broken_export(struct control_conn *c, const json_t *request)
{
	struct spool_body *body = NULL;
	struct err e = ERR_INIT;
	uint64_t id;

	if (get_id(c, json_array_get(json_object_get(request, "ids"), 0),
	    &id) < 0)
		return;
	if (spool_body_open(c->d->spool, id, &body, &e) < 0) {
		control_error(c, e.code, "%s", e.text);
		return;
	}
	control_set_state(c, body, close_body);
	control_say(c, json_pack("{s:b}", "ready", 1));
	c->more = export_more;
}
