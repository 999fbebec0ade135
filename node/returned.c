/* SPDX-License-Identifier: ISC */
/*
 * Returned mails of the road.  A transport's word ends custody of a batch, so
 * when the mail that carried it comes back there is nothing left but who is
 * to be told of what; that is what the record has.  The text of a return
 * names those who carry our mail: it stays in the log and in the status.
 */
#include "node/returned.h"

#include <stdlib.h>

#include "base/text.h"
#include "node/notice.h"
#include "node/transit_private.h"

#define GROUP 50		/* notices of one transaction */
#define RECORD_MAX 400000	/* octets of a record */

enum kind { OF_BATCH = 'b', OF_PARCEL = 'p' };

bool
returned_is_kept(const struct lane *l)
{
	return l->conf != NULL && (l->target->peer->nreceive_hosts > 0 ||
	    strcmp(l->conf->program, "mail") == 0 ||
	    strchr(l->conf->program, '/') != NULL);
}

void
returned_begin(struct exchange *x, const struct object *o,
    struct sent_mail *s_out)
{
	bool parcel = dialect_of_object(o) == &parcel_dialect;

	sent_mail_init(s_out);
	s_out->name = mem_strdup(o->name);
	s_out->road = mem_strdup(o->road);
	s_out->secs = now_secs(x);
	buf_put8(&s_out->what, parcel ? OF_PARCEL : OF_BATCH);
	if (parcel)
		buf_put_text(&s_out->what, o->params);
}

/*
 * Batches: who sent what to whom.
 */
static void
put_message(struct buf *out, const struct message *m,
    const struct object_part *part)
{
	size_t i;

	buf_put64(out, m->id);
	buf_put64(out, (uint64_t)m->accepted_wall_ms);
	buf_put8(out, (uint8_t)m->kind);
	buf_put8(out, m->env.smtputf8);
	buf_put8(out, (uint8_t)m->env.ret);
	buf_put_text(out, m->env.sender);
	buf_put_text(out, m->env.envid);
	buf_put32(out, (uint32_t)part->nrcpt);
	for (i = 0; i < part->nrcpt; i++) {
		const struct recipient *rcpt =
		    &m->env.rcpt[part->rcpt[i]];

		buf_put_text(out, rcpt->address);
		buf_put_text(out, rcpt->notify);
		buf_put_text(out, rcpt->orcpt);
	}
}

static bool
part_fits(const struct message *m, const struct object_part *part)
{
	size_t i;

	for (i = 0; i < part->nrcpt; i++)
		if (part->rcpt[i] >= m->env.nrcpt)
			return false;
	return true;
}

int
returned_gather(struct exchange *x, const struct object *o, size_t i,
    size_t end, struct sent_mail *s_out, struct err *e)
{
	struct message m;
	int rc = 0;

	returned_begin(x, o, s_out);
	s_out->part = i;
	for (; rc == 0 && i < end && s_out->what.len < RECORD_MAX; i++) {
		message_init(&m);
		rc = spool_get_message(x->spool, o->part[i].message, &m, e);
		if (rc == 0 && part_fits(&m, &o->part[i]))
			put_message(&s_out->what, &m, &o->part[i]);
		/* Settled, or damaged: nobody needs to be told again. */
		if (rc == ERR_NOT_FOUND || rc == ERR_CORRUPT)
			rc = 0;
		message_release(&m);
	}
	if (rc == 0 && i < end)
		log_event(x->log, LOG_LEVEL_WARNING, "return-not-kept",
		    "peer", o->road, "name", o->name, "messages",
		    num_str(end - i).s, NULL);
	return rc;
}

static void
read_message(struct reader *r, struct message *m)
{
	uint32_t n;

	message_init(m);
	m->id = read64(r);
	m->accepted_wall_ms = (int64_t)read64(r);
	m->kind = (enum message_kind)read8(r);
	m->env.smtputf8 = read8(r) != 0;
	m->env.ret = (enum smtp_ret)read8(r);
	m->env.sender = read_text(r);
	m->env.envid = read_text(r);
	for (n = read32(r); n > 0 && !r->failed; n--) {
		char *address = read_text(r), *notify = read_text(r);
		char *orcpt = read_text(r);

		if (!r->failed && address != NULL)
			envelope_add_recipient(&m->env, address, notify,
			    orcpt);
		free(address);
		free(notify);
		free(orcpt);
	}
}

/* Adds the notice about one message, if anybody wants it. */
static int
tell(struct exchange *x, const struct message *m, const char *status,
    struct list *reports, struct err *e)
{
	struct report_about about = { .message = m,
		.to_sender = report_has_sender(m), .header = { "", 0 } };
	struct notice_recipient *rcpt = mem_alloc(m->env.nrcpt + 1,
	    sizeof(*rcpt));
	struct report *r = NULL;
	size_t i;
	int rc = 0;

	for (i = 0; i < m->env.nrcpt; i++)
		if (m->kind != MESSAGE_MAIL ||
		    report_wants(&m->env.rcpt[i], SMTP_NOTIFY_FAILURE))
			rcpt[about.nrcpt++] = (struct notice_recipient){
				.address = m->env.rcpt[i].address,
				.orcpt = m->env.rcpt[i].orcpt,
				.action = NOTICE_FAILED, .status = status,
				.why = "the mail that carried it to the next "
				    "site was returned",
				.attempt_ms = clock_wall_ms(x->clock) };
	about.rcpt = rcpt;
	if (about.nrcpt > 0)
		rc = report_new(x, &about, &r, e);
	if (rc == 0 && r != NULL)
		list_add_tail(reports, &r->link);
	free(rcpt);
	return rc;
}

/* What is left of the record, or its end. */
static int
put_rest(struct spool_unit *u, struct sent_mail *s, const struct reader *rest,
    struct err *e)
{
	struct buf what = BUF_INIT;

	if (rest->failed || rest->len == 0)
		return spool_del_sent_mail(u, s->name, s->part, e);
	buf_put8(&what, OF_BATCH);
	buf_add(&what, rest->ptr, rest->len);
	buf_release(&s->what);
	s->what = what;
	return spool_put_sent_mail(u, s, e);
}

static int
write_group(struct exchange *x, struct sent_mail *s, const struct reader *rest,
    const struct list *reports, struct err *e)
{
	struct spool_unit *u;
	struct list *item;
	int rc = spool_begin(x->spool, &u, e);

	if (rc != 0)
		return rc;
	list_for_each(item, reports) {
		if (rc == 0)
			rc = report_put(u, list_entry(item, struct report,
			    link), e);
	}
	if (rc == 0)
		rc = put_rest(u, s, rest, e);
	if (rc == 0)
		return spool_commit(u, true, e);
	spool_abort(u);
	return rc;
}

/* The notices about the first of the messages, and the record without. */
static int
tell_group(struct exchange *x, struct sent_mail *s, const char *status,
    struct err *e)
{
	struct reader r = reader_of(s->what.ptr, s->what.len);
	struct list reports, *item, *after;
	struct message m;
	int n, rc = 0;

	list_init(&reports);
	(void)read8(&r);
	for (n = 0; rc == 0 && n < GROUP && r.len > 0 && !r.failed; n++) {
		read_message(&r, &m);
		if (!r.failed)
			rc = tell(x, &m, status, &reports, e);
		message_release(&m);
	}
	if (rc == 0)
		rc = write_group(x, s, &r, &reports, e);
	list_for_each_safe(item, after, &reports) {
		list_del(item);
		if (rc == 0)
			report_done(x, list_entry(item, struct report, link));
		else
			report_free(list_entry(item, struct report, link));
	}
	return rc;
}

/*
 * Parcels.
 */
/* What of the piece is not done has not been handed over. */
static void
unsend(struct bundle *b, const struct parcel_piece *piece)
{
	struct bundle before;
	size_t i;

	bundle_copy(&before, b);
	bundle_range_clear(&b->range, &b->nranges, piece->offset,
	    piece->octets);
	for (i = 0; i < before.nranges; i++) {
		if (before.range[i].done)
			bundle_range_set(&b->range, &b->nranges,
			    before.range[i]);
	}
	bundle_release(&before);
}

static int
parcel_returned(struct exchange *x, struct target *t, const char *params,
    struct err *e)
{
	struct neighbour *nb = t->neighbour;
	struct passage *passage;
	struct parcel p;
	struct hoard h;
	size_t i;
	int rc = parcel_parse(params, &p, e);

	if (rc != 0)
		return rc;
	hoard_init(&h, x, nb);
	for (i = 0; i < p.npieces; i++) {
		passage = map_get_u64(x->transit->by_id, p.piece[i].id);
		if (!parcel_piece_counts(passage, nb, &p.piece[i]))
			continue;
		unsend(&hoard_touch(&h, passage)->b, &p.piece[i]);
		x->transit->counters.repeated_octets += p.piece[i].octets;
		passage->attempts++;
		passage->timeout_secs = 0;
	}
	rc = hoard_commit(&h, false, e);
	if (rc == 0 && p.card != 0)
		nb->card_told = 0;
	hoard_release(&h);
	parcel_release(&p);
	return rc;
}

static int
forget(struct exchange *x, const struct sent_mail *s, struct err *e)
{
	struct spool_unit *u;
	int rc = spool_begin(x->spool, &u, e);

	if (rc != 0)
		return rc;
	rc = spool_del_sent_mail(u, s->name, s->part, e);
	if (rc == 0)
		return spool_commit(u, false, e);
	spool_abort(u);
	return rc;
}

static int
send_again(struct exchange *x, struct target *t, const struct sent_mail *s,
    struct err *e)
{
	struct reader r = reader_of(s->what.ptr + 1, s->what.len - 1);
	char *params = read_text(&r);
	int rc = 0;

	if (!r.failed && params != NULL && t != NULL &&
	    t->neighbour != NULL)
		rc = parcel_returned(x, t, params, e);
	free(params);
	return rc == 0 ? forget(x, s, e) : rc;
}

/*
 * The road.
 */
/* The next is sent a back-off after one came back, so that it comes back later
 * than that: twice the longest. */
bool
returned_lately(struct exchange *x, struct lane *l)
{
	uint64_t most = l->conf != NULL ? l->conf->retry_max_secs : 0;

	if (l->returned > 0 && l->returned_secs + 2 * most < now_secs(x))
		l->returned = 0;
	return l->returned > 0;
}

void
returned_no_more(struct target *t)
{
	size_t i;

	for (i = 0; i < t->nlanes; i++)
		t->lane[i]->returned = 0;
}

/* Each that comes back counts as a failure of the road, though sending it
 * went well. */
static void
blame(struct exchange *x, struct lane *l, const char *status,
    const char *text)
{
	char *why = mem_printf("a mail was returned: %s%s%s", status,
	    *text != '\0' ? " " : "", text);

	(void)returned_lately(x, l);
	l->failures = l->returned++;
	l->returned_secs = now_secs(x);
	road_failed(x, l, why);
	free(why);
}

static void
log_return(struct exchange *x, const struct sent_mail *s,
    enum mail_action action, const char *status, const char *text)
{
	static const char *const words[] = {
		[MAIL_FAILED_PERMANENT] = "permanent",
		[MAIL_FAILED_TEMPORARY] = "temporary",
		[MAIL_DELAYED] = "delayed", [MAIL_PASSED] = "passed",
	};

	const struct lane *l = lane_find(x, s->road);

	log_event(x->log, action == MAIL_PASSED ? LOG_LEVEL_INFO :
	    LOG_LEVEL_WARNING, "mail-returned", "peer",
	    l != NULL ? l->target->name : s->road, "name", s->name,
	    "kind", words[action], "status", status, "reason", text,
	    "transport", l != NULL ? lane_word(l) : NULL, NULL);
}

/* One part of what the mail carried. */
static int
take_back(struct exchange *x, struct sent_mail *s, const char *status,
    struct err *e)
{
	const struct lane *l = lane_find(x, s->road);
	size_t before;
	int rc;

	x->dirty = true;
	if (s->what.len > 0 && *s->what.ptr == OF_PARCEL)
		return send_again(x, l != NULL ? l->target : NULL, s, e);
	do {
		before = s->what.len;
		rc = tell_group(x, s, status, e);
	} while (rc == 0 && s->what.len < before);
	return rc;
}

static int
take_all_back(struct exchange *x, const char *name, const char *status,
    struct err *e)
{
	struct sent_mail s;
	int rc;

	for (;;) {
		rc = spool_first_sent_mail(x->spool, name, &s, e);
		if (rc == 0)
			rc = take_back(x, &s, status, e);
		sent_mail_release(&s);
		if (rc != 0)
			return rc == ERR_NOT_FOUND ? 0 : rc;
	}
}

/* What one transport sent another one of that peer may get back. */
static bool
same_peer(const struct exchange *x, const char *road, const char *other)
{
	const struct lane *a = lane_find(x, road), *b = lane_find(x, other);

	return a != NULL && b != NULL && a->target == b->target;
}

int
exchange_returned(struct exchange *x, const char *road, const char *name,
    enum mail_action action, const char *status, const char *text,
    struct err *e)
{
	bool lost = action == MAIL_FAILED_PERMANENT ||
	    action == MAIL_FAILED_TEMPORARY;
	struct sent_mail s;
	struct lane *l;
	int rc = spool_first_sent_mail(x->spool, name, &s, e);

	if (rc == 0 && road != NULL && !same_peer(x, road, s.road))
		rc = err_set(e, ERR_DENIED, "it was sent to another peer");
	if (rc == 0) {
		if (lost)
			rc = take_all_back(x, name, status, e);
		if (rc == 0)
			log_return(x, &s, action, status, text);
		l = lane_find(x, s.road);
		if (rc == 0 && l != NULL && lost)
			blame(x, l, status, text);
	}
	sent_mail_release(&s);
	if (rc == ERR_NOT_FOUND || rc == ERR_CORRUPT)
		return 0;
	return rc == 0 ? 1 : rc;
}

bool
exchange_transport_returned(struct exchange *x, const char *road,
    const char *name, bool permanent, const char *text)
{
	const struct lane *l = lane_find(x, road);
	struct err e = ERR_INIT;
	int rc = exchange_returned(x, road, name, permanent ?
	    MAIL_FAILED_PERMANENT : MAIL_FAILED_TEMPORARY,
	    permanent ? "5.0.0" : "4.0.0", text, &e);

	/* Where several share a mailbox any of them may see it first. */
	if (rc <= 0 && rc != ERR_DENIED)
		log_event(x->log, LOG_LEVEL_WARNING, "return-unknown", "peer",
		    l != NULL ? l->target->name : road, "name", name,
		    "reason", rc < 0 ? e.text :
		    "no mail of that name is known to have been sent",
		    "transport", l != NULL ? lane_word(l) : NULL, NULL);
	return rc >= 0;
}

/*
 * Mails without a sender.
 */
static int
put_strange(struct exchange *x, struct spool_draft *d, struct err *e)
{
	struct spool_unit *u;
	struct message m;
	int rc;

	message_init(&m);
	m.kind = MESSAGE_POSTMASTER;
	m.env.sender = mem_strdup("");
	envelope_add_recipient(&m.env, x->conf->postmaster, NULL, NULL);
	m.source = mem_strdup("notice");
	m.accepted_wall_ms = clock_wall_ms(x->clock);
	m.accepted_secs = now_secs(x);
	rc = spool_begin(x->spool, &u, e);
	if (rc == 0) {
		rc = spool_add_message(u, d, &m, e);
		if (rc == 0)
			rc = spool_commit(u, true, e);
		else
			spool_abort(u);
	}
	if (rc == 0) {
		x->counters.notices++;
		queue_add(x, &m, NULL);
		x->dirty = true;
	}
	message_release(&m);
	return rc;
}

static int
tell_postmaster(struct exchange *x, const char *source,
    const struct mail_facts *facts, struct slice beginning, uint64_t octets,
    struct err *e)
{
	struct spool_draft *d = spool_draft_new(x->spool);
	struct notice_head head = report_head(x);
	struct notice_mail mail = { .source = source,
	    .is_return = facts != NULL, .beginning = beginning,
	    .octets = octets };
	int rc = notice_strange(&head, &mail, d, e);

	if (rc == 0)
		rc = put_strange(x, d, e);
	spool_draft_free(d);
	log_event(x->log, LOG_LEVEL_WARNING, "mail-strange", "source", source,
	    "status", facts != NULL ? facts->status : NULL, "reason",
	    facts != NULL ? facts->text : NULL, NULL);
	return rc;
}

int
exchange_mail_back(struct exchange *x, const char *source,
    const struct mail_facts *facts, struct slice beginning, uint64_t octets,
    struct err *e)
{
	char *name = facts == NULL ? NULL :
	    mail_returned_name(facts, x->conf->address);
	int rc = 0;

	if (name != NULL)
		rc = exchange_returned(x, NULL, name, facts->action,
		    facts->status, facts->text, e);
	free(name);
	if (rc == 0)
		rc = tell_postmaster(x, source, facts, beginning, octets, e);
	return rc < 0 ? rc : 0;
}
