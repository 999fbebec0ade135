/* SPDX-License-Identifier: ISC */
/*
 * Objects from peers.  The processor of bundle/ gives messages; each
 * recipient is held against what the peer may reach; groups of messages are
 * committed together with the ledger's progress, so that an interrupted object
 * goes on behind the last message committed and none is taken twice.
 */
#include "node/inbound.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/notice.h"
#include "node/outbound.h"
#include "smtp/address.h"
#include "smtp/extension.h"

#define HEAD_MAX 65536		/* octets of a message kept for notices */
#define ERRORS_LOGGED 100	/* of one object; the rest are counted */

static void
options(const struct exchange *x, struct bundle_reader_options *opts)
{
	bundle_reader_options_default(opts);
	opts->extensions = SMTP_EXT_RFC2442 | SMTP_EXT_CHUNKING |
	    SMTP_EXT_BINARYMIME | SMTP_EXT_SMTPUTF8 | SMTP_EXT_XGZIP |
	    SMTP_EXT_MT_PRIORITY | SMTP_EXT_DELIVERBY |
	    SMTP_EXT_PIPELINING | SMTP_EXT_ENHANCEDSTATUSCODES;
	opts->message_max = x->conf->message_max;
	opts->line_max = x->conf->line_max;
	opts->recipients_max = x->conf->recipients_max;
}

struct batch_in *
batch_in_of(struct inbound *base)
{
	return list_entry(base, struct batch_in, base);
}

struct inbound *
inbound_new(struct exchange *x, struct slice pickup)
{
	struct batch_in *in = mem_alloc(1, sizeof(*in));
	struct bundle_reader_options opts;

	buf_addslice(&in->key, pickup);
	buf_addslice(&in->pickup, pickup);
	arrivals_init(&in->arrivals);
	options(x, &opts);
	in->reader = bundle_reader_new(&opts);
	return &in->base;
}

static void
free_refused(struct batch_in *in)
{
	size_t i;

	for (i = 0; i < in->nwords; i++)
		free(in->words[i]);
	free(in->words);
	in->words = NULL;
	in->nwords = 0;
	free(in->refused);
	in->refused = NULL;
	in->nrefused = 0;
}

void
inbound_free(struct inbound *base)
{
	struct batch_in *in = batch_in_of(base);

	arrivals_clear(&in->arrivals);
	bundle_reader_free(in->reader);
	spool_draft_free(in->draft);
	buf_release(&in->key);
	buf_release(&in->pickup);
	buf_release(&in->head);
	free_refused(in);
	free(in->first_error);
	free(in->later);
	free(in);
}

/*
 * The ledger.
 */

static bool
is_ours(const char *id)
{
	size_t n;

	if (id == NULL)
		return false;
	if (id[0] == '<')
		id++;
	n = strspn(id, "abcdefghijklmnopqrstuvwxyz234567");
	return strncmp(id, OUTBOUND_ID_PREFIX,
		   sizeof(OUTBOUND_ID_PREFIX) - 1) == 0 ||
	    (n == OUTBOUND_ID_LEN && (id[n] == '@' || id[n] == '\0'));
}

/* Our own ids tell an object from all others; foreign ones are not trusted to
 * (a generator may well repeat a Message-ID), the pick-up tells those. */
static void
take_id(struct batch_in *in, const char *id)
{
	if (in->looked_up || !is_ours(id))
		return;
	in->ours = true;
	buf_clear(&in->key);
	buf_adds(&in->key, id[0] == '<' ? id + 1 : id);
	if (id[0] == '<') {
		const char *at = memchr(in->key.ptr, '@', in->key.len);

		buf_truncate(&in->key, at != NULL ?
		    (size_t)(at - in->key.ptr) : in->key.len - 1);
	}
}

/* A copy that was cut off is told by its pick-up alone (quarantine.c). */
static int
look_up_pickup(struct batch_in *in, struct err *e)
{
	struct ledger_entry l;
	int rc;

	rc = spool_get_ledger(in->base.x->spool, in->base.peer,
	    buf_slice(&in->pickup), &l, e);
	in->duplicate = rc == 0 && l.done;
	return rc;
}

static int
look_up(struct batch_in *in, struct err *e)
{
	int rc;

	if (in->looked_up)
		return 0;
	in->looked_up = true;
	rc = look_up_pickup(in, e);
	if (rc != 0 || in->duplicate)
		return rc;
	rc = spool_get_ledger(in->base.x->spool, in->base.peer,
	    buf_slice(&in->key), &in->ledger, e);
	if (rc != 0)
		return rc;
	if (in->ledger.first_secs == 0 && !in->ledger.done &&
	    in->ledger.transactions == 0)
		in->ledger.first_secs = now_secs(in->base.x);
	in->skip = in->ledger.transactions;
	in->duplicate = in->ledger.done;
	return 0;
}

/*
 * Committing.
 */
static int
write_group(struct batch_in *in, struct spool_unit *u, struct err *e)
{
	struct ledger_entry ledger = in->ledger;
	int rc = arrivals_put(&in->arrivals, u, e);

	/* A copy that is cut off earlier than the last one takes nothing
	 * back. */
	if (in->index > ledger.transactions)
		ledger.transactions = in->index;
	ledger.done = in->done && in->base.reason == NULL;
	if (rc == 0)
		rc = spool_put_ledger(u, in->base.peer, buf_slice(&in->key),
		    &ledger, e);
	if (rc == 0)
		in->ledger = ledger;
	return rc;
}

static int
commit_group(struct batch_in *in, struct err *e)
{
	struct ledger_entry before = in->ledger;
	struct spool_unit *u;
	int rc;

	rc = spool_begin(in->base.x->spool, &u, e);
	if (rc != 0)
		return rc;
	rc = write_group(in, u, e);
	if (rc == 0)
		rc = spool_commit(u, true, e);
	else
		spool_abort(u);
	if (rc != 0) {
		in->ledger = before;
		return rc;
	}
	arrivals_index(in->base.x, &in->arrivals);
	return 0;
}

/*
 * One message.
 */
static void
refuse(struct batch_in *in, const struct message *m, size_t i,
    const struct smtp_refusal *r)
{
	struct notice_recipient *out = &in->refused[in->nrefused++];

	out->address = m->env.rcpt[i].address;
	out->orcpt = m->env.rcpt[i].orcpt;
	out->action = NOTICE_FAILED;
	out->attempt_ms = clock_wall_ms(in->base.x->clock);
	in->words = mem_realloc(in->words, in->nwords + 2, sizeof(char *));
	out->status = in->words[in->nwords++] = mem_strdup(r->status);
	out->said = in->words[in->nwords++] = mem_printf("%d %s %s", r->code,
	    r->status, r->text);
	log_event(in->base.x->log, LOG_LEVEL_INFO, "recipient-refused",
	    "peer", in->base.peer, "object", in->base.name,
	    "transaction", num_str(in->index).s,
	    "recipient", m->env.rcpt[i].address,
	    "status", r->status, NULL);
}

/* The recipients that may be reached are moved into `good`. */
static void
sort_recipients(struct batch_in *in, const struct message *m,
    struct envelope *good)
{
	struct smtp_refusal r;
	size_t i;

	for (i = 0; i < m->env.nrcpt; i++) {
		const struct recipient *rcpt = &m->env.rcpt[i];

		memset(&r, 0, sizeof(r));
		if (submit_vet(in->base.x, in->conf, m, rcpt->address, &r) != 0)
			refuse(in, m, i, &r);
		else
			envelope_add_recipient(good, rcpt->address,
			    rcpt->notify, rcpt->orcpt);
	}
}

static bool
wants_notice(const struct message *m, const struct notice_recipient *r)
{
	size_t i;

	for (i = 0; i < m->env.nrcpt; i++) {
		if (m->env.rcpt[i].address == r->address)
			return report_wants(&m->env.rcpt[i],
			    SMTP_NOTIFY_FAILURE);
	}
	return true;
}

/* Who is told of the refused: the sender, if this peer may speak for him;
 * else the postmaster. */
static int
write_refusals(struct batch_in *in, const struct message *m, struct err *e)
{
	struct report_about about = {
		.message = m, .rcpt = in->refused,
		.header = buf_slice(&in->head),
		.whole = in->head.len == m->facts.octets,
	};
	struct report *r;
	size_t i;
	int rc;

	about.to_sender = report_has_sender(m) && in->conf != NULL &&
	    submit_may_send(in->conf, m->env.sender);
	for (i = 0; i < in->nrefused; i++) {
		if (wants_notice(m, &in->refused[i]))
			in->refused[about.nrcpt++] = in->refused[i];
	}
	if (about.nrcpt == 0)
		return 0;
	if (about.header.ptr == NULL)
		about.header = SLICE_LIT("");
	rc = report_new(in->base.x, &about, &r, e);
	if (rc != 0)
		return rc;
	arrivals_add(&in->arrivals, r->draft, &r->m);
	r->draft = NULL;
	report_free(r);
	return 0;
}

static void
fill_message(struct batch_in *in, const struct bundle_event *ev,
    struct message *m)
{
	message_init(m);
	envelope_copy(&m->env, ev->envelope);
	submit_unique(&m->env);
	m->facts = *ev->facts;
	m->source = mem_printf("peer %s", in->base.peer);
	m->peer = mem_strdup(in->base.peer);
	m->hops = ev->hops + 1;
	m->accepted_wall_ms = clock_wall_ms(in->base.x->clock);
	m->accepted_secs = now_secs(in->base.x);
}

/* Replaces the recipients of env by those of good, which becomes empty. */
static void
take_recipients(struct envelope *env, struct envelope *good)
{
	struct recipient *rcpt = env->rcpt;
	size_t n = env->nrcpt;

	env->rcpt = good->rcpt;
	env->nrcpt = good->nrcpt;
	good->rcpt = rcpt;
	good->nrcpt = n;
}

static int
message_whole(struct batch_in *in, const struct bundle_event *ev, struct err *e)
{
	struct envelope good;
	struct message m;
	int rc;

	in->index = ev->index;
	if (in->draft == NULL)
		return 0;		/* taken before a crash */
	envelope_init(&good);
	in->conf = conf_find_peer(in->base.x->conf, in->base.peer);
	fill_message(in, ev, &m);
	in->refused = mem_alloc(m.env.nrcpt + 1, sizeof(*in->refused));
	sort_recipients(in, &m, &good);
	rc = spool_draft_end(in->draft, e);
	if (rc == 0 && in->nrefused > 0)
		rc = write_refusals(in, &m, e);
	free_refused(in);
	take_recipients(&m.env, &good);
	if (rc == 0 && m.env.nrcpt > 0) {
		arrivals_add(&in->arrivals, in->draft, &m);
		in->draft = NULL;
		in->base.messages++;
	}
	message_release(&m);
	envelope_release(&good);
	spool_draft_free(in->draft);
	in->draft = NULL;
	if (rc == 0 && arrivals_are_full(&in->arrivals))
		rc = commit_group(in, e);
	return rc;
}

static int
begin(struct batch_in *in, const struct bundle_event *ev, struct err *e)
{
	struct smtp_refusal r;
	int rc = look_up(in, e);

	if (rc != 0)
		return rc;
	if (exchange_check_room(in->base.x, 0, &r) != 0)
		return err_set(e, ERR_FULL, "the spool is full, or its quota "
		    "is reached");
	buf_clear(&in->head);
	in->head_whole = false;
	if (!in->duplicate && ev->index > in->skip)
		in->draft = spool_draft_new(in->base.x->spool);
	return 0;
}

static int
content(struct batch_in *in, struct slice bytes, struct err *e)
{
	size_t n = HEAD_MAX - in->head.len;

	if (in->draft == NULL)
		return 0;
	if (!in->head_whole)
		buf_add(&in->head, bytes.ptr, bytes.len < n ? bytes.len : n);
	in->head_whole = in->head.len == HEAD_MAX;
	return spool_draft_add(in->draft, bytes.ptr, bytes.len, e);
}

static void
broken(struct batch_in *in, const char *reason)
{
	if (in->base.reason == NULL)
		in->base.reason = mem_strdup(reason != NULL ? reason :
							      "not a batch");
	in->done = true;
	in->torn = true;
}

/* A message that suffers alone takes its place in the count of transactions;
 * what was wrong with it goes to the postmaster with the object. */
static void
one_suffers(struct batch_in *in, const struct bundle_event *ev)
{
	if (in->suffered++ == 0)
		in->first_error = mem_printf("line %llu: %d %s %s",
		    (unsigned long long)ev->line, ev->refusal.code,
		    ev->refusal.status, ev->refusal.text);
	if (in->suffered > ERRORS_LOGGED)
		return;
	log_event(in->base.x->log, LOG_LEVEL_WARNING, "batch-error",
	    "peer", in->base.peer, "object", in->base.name,
	    "line", num_str(ev->line).s,
	    "code", num_str((uint64_t)ev->refusal.code).s,
	    "reason", ev->refusal.text, NULL);
}

static int
happened(struct batch_in *in, const struct bundle_event *ev, struct err *e)
{
	switch (ev->kind) {
	case BUNDLE_EVENT_FORMAT:
	case BUNDLE_EVENT_ID:
		take_id(in, ev->id);
		return 0;
	case BUNDLE_EVENT_BEGIN:
		return begin(in, ev, e);
	case BUNDLE_EVENT_CONTENT:
		return content(in, ev->bytes, e);
	case BUNDLE_EVENT_END:
		return message_whole(in, ev, e);
	case BUNDLE_EVENT_RESET:
		spool_draft_free(in->draft);
		in->draft = NULL;
		return 0;
	case BUNDLE_EVENT_ERROR:
		one_suffers(in, ev);
		return 0;
	case BUNDLE_EVENT_BROKEN:
	case BUNDLE_EVENT_NOT_BATCH:
		broken(in, ev->reason);
		return look_up(in, e);
	case BUNDLE_EVENT_DONE:
		in->done = true;
		/* Others may leave it out, our generator does not. */
		if (in->ours && !ev->quit)
			broken(in, "it ends without QUIT: it was cut off");
		return look_up(in, e);
	}
	return 0;
}

int
inbound_add(struct inbound *base, const char *bytes, size_t len,
    struct err *e)
{
	struct batch_in *in = batch_in_of(base);
	struct bundle_event ev;
	size_t used;
	int rc = 0, got;

	while (rc == 0 && !in->duplicate) {
		got = bundle_reader_next(in->reader, bytes, len, &used, &ev);
		bytes += used;
		len -= used;
		if (got == 1)
			rc = happened(in, &ev, e);
		else if (len == 0 || used == 0)
			break;
	}
	if (rc != 0 && !in->failed)
		in->later = mem_strdup(e->text);
	in->failed |= rc != 0;
	return rc;
}

static int
finish(struct batch_in *in, struct err *e)
{
	struct bundle_event ev;
	int rc = 0;

	while (rc == 0 && !in->duplicate &&
	    bundle_reader_eof(in->reader, &ev) == 1)
		rc = happened(in, &ev, e);
	if (rc == 0)
		rc = look_up(in, e);
	if (rc != 0 || in->duplicate)
		return rc;
	if (in->suffered > 0 && in->base.reason == NULL) {
		in->base.reason = in->first_error;
		in->first_error = NULL;
	}
	return commit_group(in, e);
}

enum inbound_outcome
inbound_end(struct inbound *base)
{
	struct batch_in *in = batch_in_of(base);
	struct exchange *x = in->base.x;
	struct target *t = queue_peer(x, in->base.peer);
	struct err e = ERR_INIT;

	if (in->failed || finish(in, &e) != 0) {
		log_event(x->log, LOG_LEVEL_WARNING, "object-later",
		    "peer", in->base.peer, "name", in->base.name, "reason",
		    in->later != NULL ? in->later : e.text, NULL);
		return INBOUND_LATER;
	}
	free(in->first_error);
	in->first_error = NULL;
	x->dirty = true;
	if (t != NULL)
		t->last_received_ms = clock_wall_ms(x->clock);
	if (in->duplicate) {
		x->counters.duplicates++;
		log_event(x->log, LOG_LEVEL_INFO, "object-duplicate",
		    "peer", in->base.peer, "name", in->base.name, NULL);
		return INBOUND_DUPLICATE;
	}
	if (in->base.reason != NULL)
		log_event(x->log, LOG_LEVEL_WARNING, "object-broken",
		    "peer", in->base.peer, "name", in->base.name,
		    "messages", num_str(in->base.messages).s,
		    "errors", in->suffered > 0 ? num_str(in->suffered).s :
		    NULL, "reason", in->base.reason, NULL);
	else
		log_event(x->log, LOG_LEVEL_INFO, "object-received",
		    "peer", in->base.peer, "name", in->base.name,
		    "messages", num_str(in->base.messages).s, NULL);
	x->counters.objects_in++;
	return in->base.reason != NULL ? INBOUND_BROKEN : INBOUND_DONE;
}
