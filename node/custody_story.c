/* SPDX-License-Identifier: ISC */
/*
 * What is told of the way of a message: where each recipient is that is in a
 * lot, and, when a lot is over, a line of JSON in the history of each of its
 * messages.  History is for people alone, so it is not flushed, nothing waits
 * for it, and where it cannot be kept the log says so and that is all.
 */
#include <jansson.h>
#include <stdlib.h>

#include "base/text.h"
#include "node/custody_private.h"

#define RUNS_MAX 100		/* recipients told apart in one line */
#define SAID_MAX 200		/* octets of what a site said */
#define HISTORY_MAX 65536	/* octets of the lines before */
#define UNIT_OCTETS 262144	/* of histories in one transaction */
#define TEXTS_MAX 500

struct story {
	struct custody *c;
	const struct lot *lot;
	const struct serial_out *rec;
	/* To be put. */
	struct history text[TEXTS_MAX];
	size_t ntexts, octets;
};

/*
 * Lines.
 */
static json_t *
time_json(struct custody *c, uint64_t secs)
{
	uint64_t now = now_secs(c->x);
	int64_t wall = clock_wall_ms(c->x->clock);
	struct buf text = BUF_INIT;
	json_t *value;

	if (secs < now)
		wall -= (int64_t)(now - secs) * 1000;
	timestamp_format(&text, wall);
	value = json_stringn(text.ptr, text.len);
	buf_release(&text);
	return value;
}

static json_t *
said_json(const char *said)
{
	struct buf text = BUF_INIT;
	json_t *value;

	if (said == NULL || *said == '\0')
		return json_null();
	text_escape(&text, slice_of(said), SAID_MAX, false);
	value = json_stringn(text.ptr, text.len);
	buf_release(&text);
	return value;
}

static const char *
verdict_word(const struct verdict *v)
{
	if (v == NULL)
		return "not-confirmed";
	return v->verdict == VERDICT_FAILED ? "refused" : "taken";
}

static bool
same_verdict(const struct verdict *a, const struct verdict *b)
{
	return a->verdict == b->verdict && strcmp(a->status, b->status) == 0 &&
	    strcmp(a->text != NULL ? a->text : "",
	    b->text != NULL ? b->text : "") == 0;
}

/* Recipients of whom the same was said stand together. */
static json_t *
runs_json(const struct object_part *part, const struct verdict *v)
{
	json_t *runs = json_array(), *run, *numbers;
	size_t i, first;

	for (i = 0; i < part->nrcpt && json_array_size(runs) < RUNS_MAX;) {
		numbers = json_array();
		for (first = i; i < part->nrcpt && (v == NULL ||
		    same_verdict(&v[first], &v[i])); i++)
			json_array_append_new(numbers,
			    json_integer(part->rcpt[i]));
		run = json_pack("{s:o, s:s}", "recipients", numbers,
		    "said", verdict_word(v != NULL ? &v[first] : NULL));
		if (v != NULL && v[first].verdict == VERDICT_FAILED) {
			json_object_set_new(run, "status",
			    json_string(v[first].status));
			json_object_set_new(run, "text",
			    said_json(v[first].text));
		}
		json_array_append_new(runs, run);
	}
	return runs;
}

/* The members that name the serial come first, see lines_before. */
static char *
line_new(const struct story *s, const struct entry *entry,
    const struct object_part *part, const struct verdict *v)
{
	struct buf epoch = BUF_INIT, name = BUF_INIT;
	json_t *line;
	char *text;

	buf_addf(&epoch, "%016llx", (unsigned long long)s->rec->epoch);
	hex_encode(&name, s->rec->name, sizeof(s->rec->name));
	line = json_pack("{s:s, s:s, s:I, s:o, s:o, s:o, s:I, s:s, s:o}",
	    "site", lot_site(s->lot), "epoch", buf_cstr(&epoch),
	    "serial", (json_int_t)s->lot->serial,
	    "accepted", time_json(s->c, entry->accepted_secs),
	    "cut", time_json(s->c, s->lot->cut_secs),
	    "ended", time_json(s->c, now_secs(s->c->x)),
	    "attempts", (json_int_t)s->lot->attempts,
	    "bundle", buf_cstr(&name), "results", runs_json(part, v));
	text = json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER);
	json_decref(line);
	buf_release(&epoch);
	buf_release(&name);
	return text;
}

/* What was told before, without a line of the same serial: the end may have
 * come before its messages were settled. */
static void
lines_before(const char *old, const char *line, struct buf *out)
{
	const char *end = strstr(line, ",\"accepted\"");
	size_t same = end != NULL ? (size_t)(end - line) + 1 : strlen(line);

	while (*old != '\0') {
		size_t len = strcspn(old, "\n");

		if (len < same || memcmp(old, line, same) != 0)
			buf_addf(out, "%.*s\n", (int)len, old);
		old += len + (old[len] == '\n');
	}
	if (out->len > HISTORY_MAX)
		buf_clear(out);
}

/*
 * Keeping them.
 */
static void
put_texts(struct story *s)
{
	struct exchange *x = s->c->x;
	struct err e = ERR_INIT;
	struct spool_unit *u;
	size_t i;
	int rc;

	if (s->ntexts == 0)
		return;
	rc = spool_begin(x->spool, &u, &e);
	if (rc == 0) {
		for (i = 0; rc == 0 && i < s->ntexts; i++)
			rc = spool_put_history(u, &s->text[i], &e);
		if (rc == 0)
			rc = spool_commit(u, false, &e);
		else
			spool_abort(u);
	}
	if (rc != 0)
		log_event(x->log, LOG_LEVEL_WARNING, "history-lost",
		    "site", lot_site(s->lot),
		    "serial", num_str(s->lot->serial).s, "reason", e.text,
		    NULL);
	for (i = 0; i < s->ntexts; i++)
		history_release(&s->text[i]);
	s->ntexts = s->octets = 0;
}

static void
tell_part(struct story *s, const struct object_part *part,
    const struct outcome *o)
{
	struct exchange *x = s->c->x;
	struct entry *entry = map_get_u64(x->entries, part->message);
	struct history *h = &s->text[s->ntexts];
	struct buf lines = BUF_INIT;
	struct err e = ERR_INIT;
	char *line;

	if (entry == NULL)
		return;
	line = line_new(s, entry, part, o != NULL ? o->verdict : NULL);
	if (line == NULL)
		return;
	if (spool_get_history(x->spool, part->message, h, &e) == 0)
		lines_before(h->text, line, &lines);
	history_release(h);
	buf_addf(&lines, "%s\n", line);
	free(line);
	history_init(h);
	h->message = part->message;
	h->secs = now_secs(x);
	s->octets += lines.len;
	h->text = mem_strdup(buf_cstr(&lines));
	buf_release(&lines);
	if (++s->ntexts == TEXTS_MAX || s->octets >= UNIT_OCTETS)
		put_texts(s);
}

void
story_part(struct custody *c, const struct lot *lot,
    const struct serial_out *rec, size_t part, const struct outcome *o)
{
	struct story *s = c->story;

	if (s == NULL) {
		s = c->story = mem_alloc(1, sizeof(*s));
		s->c = c;
	}
	s->lot = lot;
	s->rec = rec;
	tell_part(s, &rec->part[part], o);
}

void
story_end(struct custody *c)
{
	if (c->story == NULL)
		return;
	put_texts(c->story);
	free(c->story);
	c->story = NULL;
}

/*
 * Where something is.
 */
#define PARAMS "native 1"

char *
custody_params(struct exchange *x, const char *site)
{
	const char *peer = transit_next_peer(x, site);

	return peer != NULL ? mem_printf(PARAMS " %s", peer) :
	    mem_strdup(PARAMS);
}

const char *
custody_handed_to(struct exchange *x, const struct serial_out *s)
{
	const char *peer = transit_last_peer(x, s->name);
	const struct target *t;

	if (peer != NULL || s->params == NULL ||
	    strncmp(s->params, PARAMS " ", sizeof(PARAMS)) != 0)
		return peer;
	t = queue_peer(x, s->params + sizeof(PARAMS));
	return t != NULL ? t->name : NULL;
}

/* The sealing that was made of it last. */
static void
find_bundle(struct custody *c, const struct lot *lot,
    struct custody_where *w)
{
	struct transit_status st;
	struct serial_out rec;
	struct err e = ERR_INIT;
	uint64_t id = lot->bundle - 1;

	if (lot->bundle != 0 && transit_next_status(c->x, &id, &st) &&
	    st.id == lot->bundle) {
		w->octets = st.octets;
		w->sent_octets = st.sent_octets;
		w->acked_octets = st.acked_octets;
		w->silent_secs = st.silent_secs;
		w->repeats = st.repeats;
	}
	if (lot->attempts > 0 && spool_get_serial_out(c->x->spool,
	    lot_site(lot), w->epoch, lot->serial, &rec, &e) == 0) {
		memcpy(w->bundle, rec.name, sizeof(w->bundle));
		if (lot->hop_done && custody_handed_to(c->x, &rec) != NULL)
			w->peer = custody_handed_to(c->x, &rec);
	} else {
		serial_out_init(&rec);
	}
	serial_out_release(&rec);
}

static enum custody_stage
stage_of(const struct lot *lot, const struct custody_where *w)
{
	if (lot->state == LOT_SEALING)
		return CUSTODY_SEALING;
	if (lot->hop_done)
		return CUSTODY_UNDERWAY;
	return w->octets > 0 && w->sent_octets == w->octets ? CUSTODY_SENT :
	    CUSTODY_QUEUED;
}

void
lot_where(struct custody *c, const struct lot *lot, struct custody_where *w)
{
	uint64_t now = now_secs(c->x);

	memset(w, 0, sizeof(*w));
	w->epoch = spool_epoch(c->x->spool);
	w->serial = lot->serial;
	w->attempts = lot->attempts;
	w->age_secs = now > lot->cut_secs ? now - lot->cut_secs : 0;
	w->repeat_secs = lot->next_secs > now ? lot->next_secs - now : 0;
	w->peer = transit_next_peer(c->x, lot_site(lot));
	find_bundle(c, lot, w);
	w->stage = stage_of(lot, w);
}

bool
custody_where(struct exchange *x, uint64_t message, size_t rcpt,
    struct custody_where *w)
{
	struct custody *c = x->custody;
	struct entry *entry = map_get_u64(x->entries, message);
	const struct leg *leg = entry != NULL ? leg_with(entry, rcpt) : NULL;
	const struct lot *lot;

	memset(w, 0, sizeof(*w));
	if (leg == NULL || leg->target->kind != TARGET_SITE ||
	    leg->object == 0)
		return false;
	lot = map_get_u64(c->lots, leg->object);
	if (lot == NULL)
		return false;
	lot_where(c, lot, w);
	return true;
}
