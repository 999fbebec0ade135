/* SPDX-License-Identifier: ISC */
/*
 * The way of a message, and tests of the way to a site.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "node/carrier.h"
#include "node/control_impl.h"
#include "node/custody.h"
#include "node/waiting.h"
#include "spool/custody.h"

static const char *
stage_word(enum custody_stage stage)
{
	static const char *const words[] = {
		[CUSTODY_SEALING] = "sealing", [CUSTODY_QUEUED] = "queued",
		[CUSTODY_SENT] = "sent", [CUSTODY_UNDERWAY] = "underway",
		[CUSTODY_ANSWERED] = "answered",
	};

	return words[stage];
}

/*
 * trace
 */
static void
add_custody(json_t *line, const struct custody_where *w)
{
	struct buf epoch = BUF_INIT, bundle = BUF_INIT;

	buf_addf(&epoch, "%016llx", (unsigned long long)w->epoch);
	hex_encode(&bundle, w->bundle, sizeof(w->bundle));
	json_object_set_new(line, "epoch", json_string(buf_cstr(&epoch)));
	json_object_set_new(line, "serial",
	    json_integer((json_int_t)w->serial));
	json_object_set_new(line, "stage", json_string(stage_word(w->stage)));
	json_object_set_new(line, "attempts", json_integer(w->attempts));
	json_object_set_new(line, "cut_secs",
	    json_integer((json_int_t)w->age_secs));
	json_object_set_new(line, "repeat_in_secs",
	    json_integer((json_int_t)w->repeat_secs));
	json_object_set_new(line, "bundle", w->attempts > 0 ?
	    json_string(buf_cstr(&bundle)) : json_null());
	json_object_set_new(line, "octets",
	    json_integer((json_int_t)w->octets));
	json_object_set_new(line, "sent_octets",
	    json_integer((json_int_t)w->sent_octets));
	json_object_set_new(line, "acked_octets",
	    json_integer((json_int_t)w->acked_octets));
	json_object_set_new(line, "peer", control_text(w->peer));
	buf_release(&epoch);
	buf_release(&bundle);
}

static void
add_waiting(struct control_conn *c, json_t *line, uint64_t message,
    size_t rcpt)
{
	struct buf text = BUF_INIT;

	if (waiting_for(c->d->exchange, message, rcpt, &text))
		json_object_set_new(line, "waits",
		    control_text(buf_cstr(&text)));
	buf_release(&text);
}

static void
say_now(struct control_conn *c, const struct message *m,
    const struct message_state *st)
{
	struct custody_where w;
	size_t i;

	control_say(c, control_message_json(c, m));
	for (i = 0; i < m->env.nrcpt && i < st->n; i++) {
		json_t *line = control_recipient_json(c, m, &st->rcpt[i], i);

		json_object_set_new(line, "number",
		    json_integer((json_int_t)i));
		if (custody_where(c->d->exchange, m->id, i, &w))
			add_custody(line, &w);
		add_waiting(c, line, m->id, i);
		control_say(c, line);
	}
}

/* Each line is an object; one that cannot be read is passed over. */
static void
say_history(struct control_conn *c, const struct history *h)
{
	const char *at = h->text;
	json_t *line, *said;

	while (*at != '\0') {
		size_t len = strcspn(at, "\n");

		said = json_loadb(at, len, 0, NULL);
		if (json_is_object(said)) {
			line = json_pack("{s:s, s:s}", "kind", "serial",
			    "id", message_name(h->message).s);
			json_object_update(line, said);
			control_say(c, line);
		}
		json_decref(said);
		at += len + (at[len] == '\n');
	}
}

static int
trace(struct control_conn *c, uint64_t id, struct err *e)
{
	struct message_state st = { 0, NULL };
	struct message m;
	struct history h;
	struct err e2 = ERR_INIT;
	int rc;

	message_init(&m);
	rc = spool_get_message(c->d->spool, id, &m, e);
	if (rc == 0)
		rc = spool_get_state(c->d->spool, id, m.env.nrcpt, &st, e);
	if (rc == 0)
		say_now(c, &m, &st);
	if (spool_get_history(c->d->spool, id, &h, &e2) == 0) {
		say_history(c, &h);
		rc = rc == ERR_NOT_FOUND ? 0 : rc;
	}
	history_release(&h);
	message_state_release(&st);
	message_release(&m);
	return rc;
}

void
control_trace(struct control_conn *c, const json_t *request)
{
	const char *name = control_member(request, "id");
	struct err e = ERR_INIT;
	uint64_t id;
	int rc;

	if (name == NULL || message_name_parse(name, &id) < 0) {
		control_error(c, 0, "%s: no id of a message",
		    name != NULL ? name : "\"id\" is missing");
		return;
	}
	rc = trace(c, id, &e);
	if (rc == 0)
		control_end(c, NULL);
	else if (rc == ERR_NOT_FOUND)
		control_error(c, rc, "%s: it is not in the queue, and nothing "
		    "is remembered of it: see the log", name);
	else
		control_error(c, rc, "%s: %s", name, e.text);
}

/*
 * peer-test
 */
void
control_peer_test(struct control_conn *c, const json_t *request)
{
	const char *site = control_member(request, "site");
	struct err e = ERR_INIT;
	uint64_t serial;
	int rc;

	if (site == NULL) {
		control_error(c, 0, "\"site\" is missing");
		return;
	}
	if (strcmp(site, c->d->conf->site) == 0) {
		control_error(c, ERR_NOT_FOUND, "%s is this site itself",
		    site);
		return;
	}
	rc = custody_test(c->d->exchange, site, &serial, &e);
	if (rc == 0)
		control_end(c, json_pack("{s:I}", "serial",
		    (json_int_t)serial));
	else
		control_error(c, rc, "%s", e.text);
	daemon_wake(c->d);
}

/* What a peer's transport says that it waits for; NULL: there is none. */
static const char *
note_of(const struct control_conn *c, const char *peer)
{
	struct exchange_peer_status p;
	struct exchange_lane_status l;
	const struct daemon *d = c->d;

	for (size_t i = 0; i < exchange_peer_count(d->exchange); i++) {
		exchange_peer_status(d->exchange, i, &p);
		if (peer == NULL || strcmp(p.name, peer) != 0)
			continue;
		for (size_t k = 0; exchange_lane_status(d->exchange, i, k,
		    &l); k++)
			if (carrier_waits(d->carrier, l.path))
				return carrier_note(d->carrier, l.path);
	}
	return NULL;
}

void
control_peer_test_status(struct control_conn *c, const json_t *request)
{
	const char *site = control_member(request, "site");
	const json_t *serial = json_object_get(request, "serial");
	struct custody_status st;
	json_t *line;

	if (site == NULL || !json_is_integer(serial)) {
		control_error(c, 0, "\"site\" or \"serial\" is missing");
		return;
	}
	if (!custody_test_status(c->d->exchange, site,
	    (uint64_t)json_integer_value(serial), &st)) {
		control_error(c, ERR_NOT_FOUND, "there is no such test of %s "
		    "any more", site);
		return;
	}
	line = json_pack("{s:s, s:I, s:I, s:I, s:o}",
	    "stage", stage_word(st.stage),
	    "age_secs", (json_int_t)st.age_secs,
	    "answer_secs", (json_int_t)st.rtt_secs,
	    "attempts", (json_int_t)st.attempts,
	    "peer", control_text(st.peer));
	json_object_set_new(line, "waits", st.stage != CUSTODY_QUEUED ?
	    json_null() : control_text(st.error != NULL ? st.error :
	    note_of(c, st.peer)));
	control_end(c, line);
}
