/* SPDX-License-Identifier: ISC */
/*
 * Messages out of a bundle: each recipient is taken into custody or refused,
 * and the result record says so.  Groups of messages are committed with the
 * ledger's progress, so that an interrupted bundle goes on behind the last
 * one; what came before under another serial is known by its number.
 */
#include <stdlib.h>

#include "base/text.h"
#include "bundle/reader.h"
#include "node/arrivals.h"
#include "node/custody_private.h"

struct unpacking {
	struct custody *c;
	struct serial_in in;
	uint64_t skip;			/* transactions committed before */
	uint64_t index;			/* of the last one whole */
	struct bundle_reader *reader;
	struct spool_draft *draft;	/* of the message at hand */
	size_t nrcpt;			/* of the one begun */
	struct arrivals arrivals;
	struct taken *taken;		/* of the group */
	size_t ntaken;
	uint64_t messages;
	bool conflict;			/* not the batch that was begun */
};

/* A far site that is no peer reaches our own domains, and those behind us. */
static const struct conf_peer far_site = { .dialect = BUNDLE_NATIVE };

struct unpacking *
unpacking_new(struct custody *c, struct serial_in *in)
{
	struct unpacking *t = mem_alloc(1, sizeof(*t));
	const struct conf *conf = c->x->conf;
	struct bundle_reader_options opts;

	t->c = c;
	t->in = *in;
	serial_in_init(in);
	t->skip = t->index = t->in.transactions;
	arrivals_init(&t->arrivals);
	bundle_reader_options_default(&opts);
	opts.native = true;
	opts.message_max = conf->message_max;
	opts.line_max = conf->line_max;
	opts.recipients_max = BUNDLE_NATIVE_RECIPIENTS_MAX;
	t->reader = bundle_reader_new(&opts);
	if (t->in.first_secs == 0)
		t->in.first_secs = now_secs(c->x);
	return t;
}

static void
forget_taken(struct unpacking *t)
{
	while (t->ntaken > 0)
		taken_release(&t->taken[--t->ntaken]);
}

void
unpacking_free(struct unpacking *t)
{
	if (t == NULL)
		return;
	arrivals_clear(&t->arrivals);
	forget_taken(t);
	free(t->taken);
	bundle_reader_free(t->reader);
	spool_draft_free(t->draft);
	serial_in_release(&t->in);
	free(t);
}

uint64_t
unpacking_messages(const struct unpacking *t)
{
	return t->messages;
}

/*
 * Committing.
 */
int
unpacking_put(struct unpacking *t, struct spool_unit *u, struct err *e)
{
	size_t i;
	int rc = arrivals_put(&t->arrivals, u, e);

	for (i = 0; rc == 0 && i < t->ntaken; i++)
		rc = spool_put_taken(u, &t->taken[i], e);
	if (rc == 0)
		rc = spool_put_serial_in(u, &t->in, e);
	return rc;
}

void
unpacking_done(struct unpacking *t)
{
	arrivals_index(t->c->x, &t->arrivals);
	forget_taken(t);
	if (t->in.owed)
		answer_owe(t->c, &t->in);
}

static int
commit_group(struct unpacking *t, struct err *e)
{
	struct spool_unit *u;
	int rc = spool_begin(t->c->x->spool, &u, e);

	if (rc != 0)
		return rc;
	rc = unpacking_put(t, u, e);
	if (rc == 0)
		rc = spool_commit(u, true, e);
	else
		spool_abort(u);
	if (rc == 0)
		unpacking_done(t);
	return rc;
}

/*
 * One message.
 */
static uint64_t
address_hash(const char *address)
{
	unsigned char digest[SHA256_LEN];
	struct sha256 h;
	struct reader r;

	sha256_init(&h);
	sha256_add(&h, address, strlen(address));
	sha256_end(&h, digest);
	r = reader_of(digest, sizeof(digest));
	return read64(&r);
}

static bool
was_taken(const struct taken *taken, uint64_t hash)
{
	size_t i;

	for (i = 0; i < taken->nrcpt; i++) {
		if (taken->rcpt[i].address_hash == hash)
			return true;
	}
	return false;
}

static void
note_taken(struct taken *taken, uint64_t hash)
{
	taken->rcpt = mem_realloc(taken->rcpt, taken->nrcpt + 1,
	    sizeof(*taken->rcpt));
	taken->rcpt[taken->nrcpt++] = (struct taken_rcpt){ hash, BAG_TAKEN };
}

static void
refuse(struct unpacking *t, const char *address, const struct smtp_refusal *r)
{
	char *text = mem_printf("%d %s %s", r->code, r->status, r->text);

	log_event(t->c->x->log, LOG_LEVEL_INFO, "recipient-refused",
	    "site", t->in.origin, "serial", num_str(t->in.serial).s,
	    "transaction", num_str(t->index).s, "recipient", address,
	    "status", r->status, NULL);
	results_add(&t->in.results, 1, BAG_REFUSED, r->status, text);
	free(text);
}

/* Decides about each recipient; those taken now are added to m. */
static void
sort_recipients(struct unpacking *t, const struct envelope *env,
    struct message *m, struct taken *taken)
{
	const struct conf_peer *from = conf_find_peer(t->c->x->conf,
	    t->in.origin);
	struct smtp_refusal r;
	uint64_t hash;
	size_t i;

	for (i = 0; i < env->nrcpt; i++) {
		const struct recipient *rcpt = &env->rcpt[i];

		memset(&r, 0, sizeof(r));
		hash = address_hash(rcpt->address);
		if (!was_taken(taken, hash)) {
			if (submit_vet(t->c->x, from != NULL ? from :
			    &far_site, m, rcpt->address, &r) != 0) {
				refuse(t, rcpt->address, &r);
				continue;
			}
			envelope_add_recipient(&m->env, rcpt->address,
			    rcpt->notify, rcpt->orcpt);
			note_taken(taken, hash);
		}
		results_add(&t->in.results, 1, BAG_TAKEN, "", "");
	}
}

static void
drop_recipients(struct envelope *env)
{
	while (env->nrcpt > 0)
		envelope_drop_recipient(env);
}

static void
fill_message(struct unpacking *t, const struct bundle_event *ev,
    struct message *m)
{
	message_init(m);
	envelope_copy(&m->env, ev->envelope);
	memset(&m->env.origin, 0, sizeof(m->env.origin));
	drop_recipients(&m->env);
	m->facts = *ev->facts;
	m->source = mem_printf("site %s", t->in.origin);
	m->peer = mem_strdup(t->in.origin);
	m->hops = ev->hops + 1;
	m->accepted_wall_ms = clock_wall_ms(t->c->x->clock);
	m->accepted_secs = now_secs(t->c->x);
}

/* What is known of this message already. */
static int
look_up(struct unpacking *t, const struct smtp_origin *origin,
    struct taken *taken, struct err *e)
{
	uint64_t epoch = origin->epoch != 0 ? origin->epoch : t->in.epoch;
	int rc;

	taken_init(taken);
	if (origin->number == 0)
		return 0;
	rc = spool_get_taken(t->c->x->spool, t->in.origin, epoch,
	    origin->number, taken, e);
	if (rc == ERR_NOT_FOUND) {
		taken->origin = mem_strdup(t->in.origin);
		taken->epoch = epoch;
		taken->number = origin->number;
		rc = 0;
	}
	taken->secs = now_secs(t->c->x);
	return rc;
}

static void
keep_taken(struct unpacking *t, struct taken *taken)
{
	if (taken->origin == NULL || taken->nrcpt == 0) {
		taken_release(taken);
		return;
	}
	t->taken = mem_realloc(t->taken, t->ntaken + 1, sizeof(*t->taken));
	t->taken[t->ntaken++] = *taken;
}

static int
take(struct unpacking *t, const struct bundle_event *ev, struct err *e)
{
	struct taken taken;
	struct message m;
	int rc;

	rc = spool_draft_end(t->draft, e);
	if (rc == 0)
		rc = look_up(t, &ev->envelope->origin, &taken, e);
	if (rc != 0)
		return rc;
	fill_message(t, ev, &m);
	sort_recipients(t, ev->envelope, &m, &taken);
	keep_taken(t, &taken);
	if (m.env.nrcpt > 0) {
		arrivals_add(&t->arrivals, t->draft, &m);
		t->draft = NULL;
		t->messages++;
	}
	message_release(&m);
	return 0;
}

static int
message_whole(struct unpacking *t, const struct bundle_event *ev, struct err *e)
{
	unsigned char digest[SHA256_LEN];
	int rc;

	bundle_reader_digest(t->reader, digest);
	if (ev->index <= t->skip) {
		t->conflict = ev->index == t->skip &&
		    memcmp(digest, t->in.digest, sizeof(digest)) != 0;
		return 0;
	}
	t->index = ev->index;
	rc = take(t, ev, e);
	spool_draft_free(t->draft);
	t->draft = NULL;
	t->in.transactions = t->index;
	memcpy(t->in.digest, digest, sizeof(digest));
	if (rc == 0 && arrivals_are_full(&t->arrivals))
		rc = commit_group(t, e);
	return rc;
}

static int
begin(struct unpacking *t, const struct bundle_event *ev, struct err *e)
{
	struct smtp_refusal r;

	t->nrcpt = ev->envelope->nrcpt;
	if (ev->index <= t->skip)
		return 0;
	if (exchange_check_room(t->c->x, 0, &r) != 0)
		return err_set(e, ERR_FULL, "the spool is full, or its quota "
		    "is reached");
	t->draft = spool_draft_new(t->c->x->spool);
	return 0;
}

/* A message that is refused alone, because of its size or the like. */
static void
one_suffers(struct unpacking *t, const struct bundle_event *ev)
{
	char *text;

	if (t->nrcpt == 0 || ev->index <= t->skip)
		return;
	text = mem_printf("%d %s %s", ev->refusal.code, ev->refusal.status,
	    ev->refusal.text);
	results_add(&t->in.results, t->nrcpt, BAG_REFUSED,
	    ev->refusal.status, text);
	t->nrcpt = 0;
	free(text);
}

/* Its seal was good, so its origin is at fault: it learns of it. */
static void
broken(struct unpacking *t, const char *reason)
{
	char *text = mem_printf("554 5.6.0 The batch could not be read: %s",
	    reason != NULL ? reason : "not a batch");

	log_event(t->c->x->log, LOG_LEVEL_WARNING, "bundle-broken",
	    "site", t->in.origin, "serial", num_str(t->in.serial).s,
	    "reason", reason, NULL);
	results_add(&t->in.results, 1, BAG_REFUSED, "5.6.0", text);
	t->in.done = true;
	free(text);
}

static int
happened(struct unpacking *t, const struct bundle_event *ev, struct err *e)
{
	switch (ev->kind) {
	case BUNDLE_EVENT_FORMAT:
	case BUNDLE_EVENT_ID:
		return 0;
	case BUNDLE_EVENT_BEGIN:
		return begin(t, ev, e);
	case BUNDLE_EVENT_CONTENT:
		return t->draft == NULL ? 0 : spool_draft_add(t->draft,
		    ev->bytes.ptr, ev->bytes.len, e);
	case BUNDLE_EVENT_END:
		return message_whole(t, ev, e);
	case BUNDLE_EVENT_RESET:
		spool_draft_free(t->draft);
		t->draft = NULL;
		return 0;
	case BUNDLE_EVENT_ERROR:
		one_suffers(t, ev);
		return 0;
	case BUNDLE_EVENT_BROKEN:
	case BUNDLE_EVENT_NOT_BATCH:
		broken(t, ev->reason);
		return 0;
	case BUNDLE_EVENT_DONE:
		t->in.done = true;
		return 0;
	}
	return 0;
}

int
unpacking_add(struct unpacking *t, struct slice bytes, struct err *e)
{
	struct bundle_event ev;
	size_t used;
	int rc = 0, got;

	while (rc == 0 && !t->conflict && !t->in.done) {
		got = bundle_reader_next(t->reader, bytes.ptr, bytes.len,
		    &used, &ev);
		bytes.ptr += used;
		bytes.len -= used;
		if (got == 1)
			rc = happened(t, &ev, e);
		else if (bytes.len == 0 || used == 0)
			break;
	}
	return rc;
}

int
unpacking_end(struct unpacking *t, struct err *e)
{
	struct bundle_event ev;
	int rc = 0;

	while (rc == 0 && !t->conflict && !t->in.done &&
	    bundle_reader_eof(t->reader, &ev) == 1)
		rc = happened(t, &ev, e);
	/* A conflict is told by the digest of what was begun. */
	if (t->in.done)
		bundle_reader_digest(t->reader, t->in.digest);
	t->in.owed = true;
	return rc;
}
