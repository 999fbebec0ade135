/* SPDX-License-Identifier: ISC */
/*
 * Result records: as the ledger keeps them at the destination, and what they
 * do at the origin.  A result of another batch than the one that went says
 * that the two sites do not agree on the flow: a new epoch mends that.
 */
#include <stdio.h>
#include <stdlib.h>

#include "node/custody_private.h"
#include "smtp/extension.h"

/*
 * The destination's side: runs behind each other, equal ones in one.
 */
static void
put_run(struct buf *out, uint64_t count, enum bag_verdict verdict,
    const char *status, const char *text)
{
	buf_put64(out, count);
	buf_put8(out, (uint8_t)verdict);
	buf_put_text(out, status);
	buf_put_text(out, text);
}

struct stored_run {
	uint64_t count;
	enum bag_verdict verdict;
	char *status, *text;
};

static bool
get_run(struct reader *r, struct stored_run *run)
{
	memset(run, 0, sizeof(*run));
	if (r->len == 0 || r->failed)
		return false;
	run->count = read64(r);
	run->verdict = (enum bag_verdict)read8(r);
	run->status = read_text(r);
	run->text = read_text(r);
	if (!r->failed && run->verdict < BAG_VERDICTS &&
	    run->status != NULL && run->text != NULL)
		return true;
	free(run->status);
	free(run->text);
	return false;
}

static void
free_run(struct stored_run *run)
{
	free(run->status);
	free(run->text);
}

/* Where the last run begins, and the run. */
static bool
last_run(const struct buf *results, size_t *at_out, struct stored_run *run)
{
	struct reader r = reader_of(results->ptr, results->len);
	struct stored_run next;
	bool found = false;

	memset(run, 0, sizeof(*run));
	for (;;) {
		size_t at = results->len - r.len;

		if (!get_run(&r, &next))
			return found;
		free_run(run);
		*run = next;
		*at_out = at;
		found = true;
	}
}

void
results_add(struct buf *results, uint64_t count, enum bag_verdict verdict,
    const char *status, const char *text)
{
	struct stored_run last;
	size_t at = 0;

	if (last_run(results, &at, &last) && last.verdict == verdict &&
	    strcmp(last.status, status) == 0 &&
	    strcmp(last.text, text) == 0) {
		count += last.count;
		buf_truncate(results, at);
	}
	free_run(&last);
	put_run(results, count, verdict, status, text);
}

static bool
parse_status(const char *text, unsigned status[3])
{
	return sscanf(text, "%1u.%3u.%3u", &status[0], &status[1],
	    &status[2]) == 3 && (status[0] == 2 || status[0] == 4 ||
	    status[0] == 5);
}

static struct bag_run
bag_run_of(const struct stored_run *run, bool last)
{
	struct bag_run out = { .count = last ? 0 : run->count,
	    .verdict = run->verdict };

	if (run->verdict != BAG_REFUSED)
		return out;
	if (!parse_status(run->status, out.status)) {
		out.status[0] = 5;
		out.status[1] = out.status[2] = 0;
	}
	out.text = slice_of(run->text);
	if (out.text.len > BAG_TEXT_MAX)
		out.text.len = BAG_TEXT_MAX;
	return out;
}

int
results_write(struct bag_writer *w, const struct serial_in *in,
    struct err *e)
{
	struct bag_result result = { .epoch = in->epoch,
	    .serial = in->serial };
	struct reader r = reader_of(in->results.ptr, in->results.len);
	struct stored_run *stored = NULL;
	struct bag_run *run;
	size_t i, n = 0;
	int rc;

	memcpy(result.digest, in->digest, sizeof(result.digest));
	do {
		stored = mem_realloc(stored, n + 1, sizeof(*stored));
	} while (get_run(&r, &stored[n]) && ++n > 0);
	run = mem_alloc(n + 1, sizeof(*run));
	for (i = 0; i < n; i++)
		run[i] = bag_run_of(&stored[i], i + 1 == n);
	/* Nobody to tell of: it came, and that is all. */
	if (n == 0)
		run[n++] = (struct bag_run){ .verdict = BAG_TAKEN };
	rc = bag_writer_result(w, &result, run, n, e);
	for (i = 0; stored != NULL && i < n && in->results.len > 0; i++)
		free_run(&stored[i]);
	free(stored);
	free(run);
	return rc;
}

/*
 * The origin's side.
 */
struct settling {
	struct custody *c;
	struct lot *lot;
	struct serial_out rec;
	size_t part, rcpt;		/* the next recipient's place */
	struct outcome **outcome;	/* of each part, NULL: nothing open */
	bool *traced;			/* is what was taken to be told? */
};

static void
settling_release(struct settling *s)
{
	size_t i;

	for (i = 0; s->outcome != NULL && i < s->rec.nparts; i++) {
		if (s->outcome[i] != NULL)
			outcome_free(s->outcome[i]);
	}
	free(s->outcome);
	free(s->traced);
	s->outcome = NULL;
	s->traced = NULL;
	serial_out_release(&s->rec);
}

void
settling_free(struct settling *s)
{
	if (s == NULL)
		return;
	settling_release(s);
	free(s);
}

/* The parameters went along, and the duty to report with them; but DELIVERBY
 * may ask each relay.  One that cannot be read asks nothing. */
static bool
is_traced(struct custody *c, const struct leg *leg)
{
	struct err e = ERR_INIT;
	struct message m;
	bool traced;

	if (!leg->entry->success)
		return false;
	message_init(&m);
	traced = spool_get_message(c->x->spool, leg->entry->id, &m, &e) == 0 &&
	    smtp_timing_traced(&m.env.timing, SMTP_EXT_NATIVE);
	message_release(&m);
	return traced;
}

/* The legs are settled when all of the result was read; until then they only
 * have an outcome each. */
static void
prepare_outcomes(struct settling *s)
{
	struct leg *leg;
	size_t i;

	s->outcome = mem_alloc(s->rec.nparts + 1, sizeof(struct outcome *));
	s->traced = mem_alloc(s->rec.nparts + 1, sizeof(*s->traced));
	for (i = 0; i < s->rec.nparts; i++) {
		leg = lot_leg(s->c, s->lot, s->rec.part[i].message);
		if (leg == NULL || leg->nrcpt != s->rec.part[i].nrcpt)
			continue;
		s->outcome[i] = outcome_new(s->c->x, leg);
		s->traced[i] = is_traced(s->c, leg);
	}
}

static bool
is_conflict(const struct lot *lot, const struct bag_result *result)
{
	return memcmp(lot->digest, result->digest,
	    sizeof(result->digest)) != 0;
}

static void
conflict(struct custody *c, const char *site, const struct lot *lot)
{
	c->counters.conflicts++;
	c->renew = true;
	c->x->dirty = true;
	log_event(c->x->log, LOG_LEVEL_WARNING, "flow-conflict",
	    "site", site, "serial", num_str(lot->serial).s, NULL);
}

/* A serial that was never issued: this spool is not what it was. */
static bool
never_issued(struct custody *c, const char *site, uint64_t serial)
{
	const struct flow *f = flow_find(c, site);

	return serial >= (f != NULL ? f->reserved : 1);
}

struct settling *
settling_new(struct custody *c, const char *site,
    const struct bag_result *result)
{
	struct settling *s;
	struct err e = ERR_INIT;
	struct lot *lot;

	if (result->epoch != spool_epoch(c->x->spool))
		return NULL;
	if (never_issued(c, site, result->serial)) {
		c->renew = true;
		c->x->dirty = true;
		return NULL;
	}
	lot = lot_find(c, site, result->serial);
	if (lot == NULL || lot->state == LOT_VOID || lot->attempts == 0)
		return NULL;
	if (is_conflict(lot, result)) {
		conflict(c, site, lot);
		return NULL;
	}
	s = mem_alloc(1, sizeof(*s));
	s->c = c;
	s->lot = lot;
	if (spool_get_serial_out(c->x->spool, site,
	    spool_epoch(c->x->spool), result->serial, &s->rec, &e) != 0) {
		settling_free(s);
		return NULL;
	}
	prepare_outcomes(s);
	return s;
}

/* The outcome and place of the next recipient; false at the end. */
static bool
next_recipient(struct settling *s, struct outcome **o_out, size_t *i_out)
{
	while (s->part < s->rec.nparts &&
	    s->rcpt >= s->rec.part[s->part].nrcpt) {
		s->part++;
		s->rcpt = 0;
	}
	if (s->part >= s->rec.nparts)
		return false;
	*o_out = s->outcome[s->part];
	*i_out = s->rcpt++;
	return true;
}

static void
say(struct outcome *o, size_t i, const struct bag_run *run, bool traced)
{
	char status[16], *text;

	if (o == NULL || run->verdict == BAG_PENDING)
		return;
	if (run->verdict == BAG_TAKEN) {
		outcome_set(o, i, traced ? VERDICT_TRACED : VERDICT_PASSED,
		    "2.0.0", NULL);
		return;
	}
	(void)snprintf(status, sizeof(status), "%u.%u.%u", run->status[0],
	    run->status[1], run->status[2]);
	text = slice_dup(run->text);
	outcome_set(o, i, VERDICT_FAILED, status, text);
	free(text);
}

static void
measure(struct settling *s)
{
	uint64_t now = now_secs(s->c->x);

	if (s->lot->attempts == 1 && now >= s->lot->cut_secs)
		directory_rtt(s->c->x->directory, s->lot->flow->target->name,
		    now - s->lot->cut_secs);
}

static void
carry_out(struct settling *s)
{
	struct custody *c = s->c;
	struct lot *lot = s->lot;
	size_t i, k;

	measure(s);
	if (lot->test) {
		lot->flow->tested_serial = lot->serial;
		lot->flow->tested_secs = now_secs(c->x) - lot->cut_secs;
	}
	if (seal_is_of(c, lot))
		seal_abort(c);
	list_del(&lot->seal_link);
	lot->state = LOT_UNDERWAY;
	for (i = 0; i < s->rec.nparts; i++) {
		struct outcome *o = s->outcome[i];
		bool all = o != NULL;

		for (k = 0; all && k < o->leg->nrcpt; k++)
			all = o->verdict[k].told;
		if (!all)
			continue;
		s->outcome[i] = NULL;
		story_part(c, lot, &s->rec, i, o);
		leg_take(o->leg, LEG_RUNNING);
		outcome_queue(c->x, o);
	}
	story_end(c);
	if (lot->legs == 0)
		lot_complete(c, lot);
}

void
settling_run(struct settling *s, const struct bag_run *run)
{
	struct outcome *o;
	uint64_t n;
	size_t i;

	for (n = 0; run->count == 0 || n < run->count; n++) {
		if (!next_recipient(s, &o, &i))
			break;
		say(o, i, run, s->traced[s->part]);
	}
	if (run->count != 0)
		return;
	carry_out(s);
	settling_release(s);
}
