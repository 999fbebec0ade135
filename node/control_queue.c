/* SPDX-License-Identifier: ISC */
/*
 * The queue, for people: what is in it, and orders about it.
 *
 * Every request that may concern many messages is a walk over the spool by
 * id, a slice at a time; the walk may meet or miss what comes and goes
 * meanwhile, and nothing else is promised.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "node/control_impl.h"
#include "smtp/address.h"

#define SLICE_MESSAGES 50	/* looked at in one turn of the event loop */

typedef int operation(struct exchange *x, uint64_t id, struct err *e);

struct walk {
	operation *op;		/* NULL: tell what is there */
	char *peer, *sender, *recipient;
	bool held;
	json_t *ids;		/* NULL: all */
	size_t next;		/* index into ids */
	uint64_t cursor;
	uint64_t done, failed;
};

static void
walk_free(void *state)
{
	struct walk *w = state;

	free(w->peer);
	free(w->sender);
	free(w->recipient);
	json_decref(w->ids);
	free(w);
}

static char *
copy_member(const json_t *request, const char *key)
{
	const char *text = control_member(request, key);

	return text != NULL ? mem_strdup(text) : NULL;
}

static struct walk *
walk_new(const json_t *request)
{
	struct walk *w = mem_alloc(1, sizeof(*w));

	w->peer = copy_member(request, "peer");
	w->sender = copy_member(request, "sender");
	w->recipient = copy_member(request, "recipient");
	w->held = json_is_true(json_object_get(request, "held"));
	w->ids = json_incref(json_object_get(request, "ids"));
	return w;
}

/* An address, "@domain", or a part of neither. */
static bool
address_matches(const char *wanted, const char *address)
{
	if (*wanted == '@')
		return slice_ieqs(address_domain(address), wanted + 1);
	return address_equal(wanted, address);
}

/* Does one recipient satisfy all that is asked of recipients? */
static bool
recipient_matches(struct control_conn *c, const struct walk *w,
    const struct message *m, size_t i)
{
	struct exchange_where where;

	if (w->recipient != NULL &&
	    !address_matches(w->recipient, m->env.rcpt[i].address))
		return false;
	if (w->peer == NULL && !w->held)
		return true;
	if (!exchange_where(c->d->exchange, m->id, i, &where))
		return false;
	return (w->peer == NULL || strcmp(where.target, w->peer) == 0) &&
	    (!w->held || strcmp(where.state, "held") == 0);
}

static bool
matches(struct control_conn *c, const struct walk *w, const struct message *m)
{
	if (w->sender != NULL && (m->env.sender == NULL ||
	    !address_matches(w->sender, m->env.sender)))
		return false;
	for (size_t i = 0; i < m->env.nrcpt; i++)
		if (recipient_matches(c, w, m, i))
			return true;
	return false;
}

static json_t *
where_json(struct control_conn *c, const struct message *m, size_t i)
{
	struct exchange_where where = { .state = "queued", .target = "" };
	json_t *line;

	if (!exchange_where(c->d->exchange, m->id, i, &where))
		where.target = "";
	line = json_pack("{s:o, s:s, s:s}", "address",
	    control_text(m->env.rcpt[i].address), "state", where.state,
	    "target", where.target);
	if (where.object != 0)
		json_object_set_new(line, "object",
		    json_string(message_name(where.object).s));
	return line;
}

static const char *
kind_word(enum message_kind kind)
{
	static const char *const words[] = {
		[MESSAGE_MAIL] = "mail", [MESSAGE_NOTICE] = "notice",
		[MESSAGE_POSTMASTER] = "postmaster",
	};

	return words[kind];
}

json_t *
control_message_json(struct control_conn *c, const struct message *m)
{
	uint64_t now = spool_elapsed_secs(c->d->spool);
	uint64_t age = now > m->accepted_secs ? now - m->accepted_secs : 0;

	return json_pack("{s:s, s:s, s:o, s:s, s:I, s:o, s:I, s:o, s:o}",
	    "kind", "message", "id", message_name(m->id).s,
	    "sender", control_text(m->env.sender),
	    "type", kind_word(m->kind),
	    "octets", (json_int_t)m->facts.octets,
	    "accepted", control_time(m->accepted_wall_ms),
	    "age_secs", (json_int_t)age,
	    "source", control_text(m->source),
	    "peer", control_text(m->peer));
}

static void
say_message(struct control_conn *c, const struct message *m)
{
	json_t *line = control_message_json(c, m), *rcpts = json_array();

	for (size_t i = 0; i < m->env.nrcpt; i++)
		json_array_append_new(rcpts, where_json(c, m, i));
	json_object_set_new(line, "recipients", rcpts);
	control_say(c, line);
}

static void
say_failure(struct control_conn *c, const char *id, const char *text)
{
	control_say(c, json_pack("{s:s, s:o, s:o}", "kind", "failure",
	    "id", control_text(id), "text", control_text(text)));
}

static void
operate_on(struct control_conn *c, struct walk *w, uint64_t id)
{
	struct err e = ERR_INIT;

	if (w->op(c->d->exchange, id, &e) < 0) {
		say_failure(c, message_name(id).s, e.text);
		w->failed++;
		return;
	}
	control_say(c, json_pack("{s:s, s:s}", "kind", "message",
	    "id", message_name(id).s));
	w->done++;
}

/* One message of the walk; false at its end. */
static bool
walk_spool(struct control_conn *c, struct walk *w)
{
	struct message m;
	struct err e = ERR_INIT;
	int r;

	message_init(&m);
	r = spool_next_message(c->d->spool, &w->cursor, &m, &e);
	if (r < 0 && r != ERR_NOT_FOUND) {
		say_failure(c, message_name(w->cursor).s, e.text);
		w->failed++;
	} else if (r == 0 && matches(c, w, &m)) {
		if (w->op != NULL)
			operate_on(c, w, m.id);
		else {
			say_message(c, &m);
			w->done++;
		}
	}
	message_release(&m);
	return r == 0 || r == ERR_CORRUPT;
}

static bool
walk_ids(struct control_conn *c, struct walk *w)
{
	const char *name =
	    json_string_value(json_array_get(w->ids, w->next++));
	uint64_t id;

	if (name == NULL)
		return w->next <= json_array_size(w->ids);
	if (message_name_parse(name, &id) < 0) {
		say_failure(c, name, "no id of a message");
		w->failed++;
	} else
		operate_on(c, w, id);
	return true;
}

static bool
walk_more(struct control_conn *c)
{
	struct walk *w = c->state;
	bool going = true;

	for (int i = 0; going && i < SLICE_MESSAGES; i++)
		going = w->ids != NULL ? walk_ids(c, w) : walk_spool(c, w);
	if (w->op != NULL)
		daemon_wake(c->d);
	if (going)
		return true;
	control_end(c, json_pack("{s:I, s:I}", "count", (json_int_t)w->done,
	    "failed", (json_int_t)w->failed));
	control_set_state(c, NULL, NULL);
	return false;
}

static void
walk_start(struct control_conn *c, struct walk *w)
{
	control_set_state(c, w, walk_free);
	c->more = walk_more;
}

void
control_list(struct control_conn *c, const json_t *request)
{
	struct walk *w = walk_new(request);

	json_decref(w->ids);
	w->ids = NULL;
	walk_start(c, w);
}

void
control_operate(struct control_conn *c, const json_t *request)
{
	static const struct {
		const char *cmd;
		operation *op;
	} rows[] = {
		{ "hold", exchange_hold }, { "release", exchange_release },
		{ "delete", exchange_delete }, { "retry", exchange_retry },
	};
	const char *cmd = control_member(request, "cmd");
	struct walk *w = walk_new(request);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].cmd, cmd) == 0)
			w->op = rows[i].op;
	if (json_is_array(w->ids) == json_is_true(json_object_get(request,
	    "all"))) {
		walk_free(w);
		control_error(c, 0, "give ids or all, one of the two");
		return;
	}
	walk_start(c, w);
}

static const char *
status_word(enum recipient_status status)
{
	static const char *const words[] = {
		[RCPT_QUEUED] = "queued", [RCPT_HELD] = "held",
		[RCPT_DONE] = "done", [RCPT_FAILED] = "failed",
	};

	return words[status];
}

json_t *
control_recipient_json(struct control_conn *c, const struct message *m,
    const struct recipient_state *st, size_t i)
{
	uint64_t now = spool_elapsed_secs(c->d->spool);
	json_t *line = json_pack("{s:s}", "kind", "recipient");
	json_t *where = where_json(c, m, i);

	json_object_update(line, where);
	json_decref(where);
	if (st->status == RCPT_DONE || st->status == RCPT_FAILED)
		json_object_set_new(line, "state",
		    json_string(status_word(st->status)));
	json_object_set_new(line, "notify",
	    control_text(m->env.rcpt[i].notify));
	json_object_set_new(line, "orcpt", control_text(m->env.rcpt[i].orcpt));
	json_object_set_new(line, "attempts", json_integer(st->attempts));
	json_object_set_new(line, "next_in_secs", json_integer(
	    st->next_secs > now ? (json_int_t)(st->next_secs - now) : 0));
	json_object_set_new(line, "status", st->status_code[0] != '\0' ?
	    control_text(st->status_code) : json_null());
	json_object_set_new(line, "text", control_text(st->text));
	return line;
}

static json_t *
flags_json(unsigned flags)
{
	static const struct {
		unsigned flag;
		const char *word;
	} rows[] = {
		{ CONTENT_8BIT, "8bit" }, { CONTENT_NUL, "nul" },
		{ CONTENT_BARE, "bare-line-end" },
		{ CONTENT_LONG, "long-line" },
		{ CONTENT_OPEN_END, "open-end" },
		{ CONTENT_8BIT_HEADER, "8bit-header" },
	};
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (flags & rows[i].flag)
			json_array_append_new(list, json_string(rows[i].word));
	return list;
}

/* What the sender asked for; the rest is null. */
static void
say_timing(json_t *line, const struct message *m)
{
	const struct smtp_timing *t = &m->env.timing;
	uint64_t hold = smtp_timing_hold_secs(t, m->accepted_wall_ms);

	json_object_set_new(line, "priority", t->priority_given ?
	    json_integer(t->priority) : json_null());
	json_object_set_new(line, "by_secs", t->by != SMTP_BY_NONE ?
	    json_integer(t->by_secs) : json_null());
	json_object_set_new(line, "hold_secs", hold > 0 ?
	    json_integer((json_int_t)hold) : json_null());
}

/* Envelope and facts, nothing of the content. */
static void
say_all(struct control_conn *c, const struct message *m,
    const struct message_state *st)
{
	json_t *line = control_message_json(c, m);

	json_object_set_new(line, "helo", control_text(m->env.helo));
	json_object_set_new(line, "body",
	    control_text(smtp_body_name(m->env.body)));
	json_object_set_new(line, "smtputf8", json_boolean(m->env.smtputf8));
	json_object_set_new(line, "ret",
	    control_text(smtp_ret_name(m->env.ret)));
	json_object_set_new(line, "envid", control_text(m->env.envid));
	say_timing(line, m);
	json_object_set_new(line, "hops", json_integer(m->hops));
	json_object_set_new(line, "received",
	    json_integer(m->facts.received));
	json_object_set_new(line, "content", flags_json(m->facts.flags));
	control_say(c, line);
	for (size_t i = 0; i < m->env.nrcpt && i < st->n; i++)
		control_say(c, control_recipient_json(c, m, &st->rcpt[i], i));
	control_end(c, NULL);
}

void
control_show(struct control_conn *c, const json_t *request)
{
	const char *name = control_member(request, "id");
	struct message_state st = { 0, NULL };
	struct message m;
	struct err e = ERR_INIT;
	uint64_t id;
	int r;

	if (name == NULL || message_name_parse(name, &id) < 0) {
		control_error(c, 0, "%s: no id of a message",
		    name != NULL ? name : "\"id\" is missing");
		return;
	}
	message_init(&m);
	r = spool_get_message(c->d->spool, id, &m, &e);
	if (r == 0)
		r = spool_get_state(c->d->spool, id, m.env.nrcpt, &st, &e);
	if (r == 0)
		say_all(c, &m, &st);
	else
		control_error(c, r, "%s: %s", name, r == ERR_NOT_FOUND ?
		    "there is no such message in the queue" : e.text);
	message_state_release(&st);
	message_release(&m);
}
