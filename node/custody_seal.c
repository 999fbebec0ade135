/* SPDX-License-Identifier: ISC */
/*
 * Bundles are made here, one at a time and 64 KiB a step:
 *
 *	messages -> batch -> compression -> bag -> seal -> (onion layers) ->
 *	transit
 *
 * The serial's record and the bundle's become durable in one transaction, so
 * a crash before it leaves the mail as it was, and one after it leaves a
 * bundle to be sent.  Whatever else the site has to be told rides along.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "bundle/writer.h"
#include "node/custody_private.h"
#include "node/feed.h"

#define RESULTS_MAX 500		/* in one bundle */
#define VIA_MAX 8		/* relays of one onion */

struct layer {
	struct bag_writer *bag;
	struct sealer *sealer;
	unsigned char remote[SEAL_KEY_LEN];
};

struct sealing {
	struct custody *c;
	char *site;
	const struct target *road;
	struct lot *lot;		/* NULL: an answer */
	struct serial_out rec;
	struct bundle_writer *writer;
	struct feed feed;
	struct bag_writer *bag;
	struct sealer *sealer;		/* NULL: a direct bundle */
	struct seal_to to;
	unsigned char remote[SEAL_KEY_LEN];
	struct layer layer[VIA_MAX];	/* the innermost first */
	size_t nlayers;
	struct transit_draft *draft;
	struct serial_in *owed;		/* whose results are in it */
	size_t nowed;
	size_t gave;			/* of what the answer lists */
	bool card;			/* ours is in it */
};

/*
 * The chain.
 */
static int
to_transit(void *ctx, const char *bytes, size_t len, struct err *e)
{
	struct sealing *s = ctx;

	return transit_add(s->draft, bytes, len, e);
}

static int
to_layer(void *ctx, const char *bytes, size_t len, struct err *e)
{
	struct layer *l = ctx;

	return bag_writer_octets(l->bag, bytes, len, e);
}

static int
from_layer(void *ctx, const char *bytes, size_t len, struct err *e)
{
	struct layer *l = ctx;

	return sealer_add(l->sealer, bytes, len, e);
}

static int
from_bag(void *ctx, const char *bytes, size_t len, struct err *e)
{
	struct sealing *s = ctx;

	if (s->sealer == NULL)
		return transit_add(s->draft, bytes, len, e);
	return sealer_add(s->sealer, bytes, len, e);
}

static int
from_writer(void *ctx, const char *bytes, size_t len, struct err *e)
{
	struct sealing *s = ctx;

	return bag_writer_octets(s->bag, bytes, len, e);
}

static void
sealing_free(struct sealing *s)
{
	size_t i;

	if (s == NULL)
		return;
	feed_release(&s->feed);
	bundle_writer_free(s->writer);
	bag_writer_free(s->bag);
	sealer_free(s->sealer);
	for (i = 0; i < s->nlayers; i++) {
		bag_writer_free(s->layer[i].bag);
		sealer_free(s->layer[i].sealer);
	}
	if (s->draft != NULL)
		transit_abort(s->draft);
	for (i = 0; i < s->nowed; i++)
		serial_in_release(&s->owed[i]);
	free(s->owed);
	serial_out_release(&s->rec);
	free(s->site);
	free(s);
}

void
seal_abort(struct custody *c)
{
	sealing_free(c->sealing);
	c->sealing = NULL;
}

bool
seal_is_of(const struct custody *c, const struct lot *lot)
{
	return c->sealing != NULL && c->sealing->lot == lot;
}

/* The relays of an onion, from the far end to ours: layer i is for
 * via->item[n - 1 - i] and names what is behind it. */
static int
add_layer(struct sealing *s, const struct conf_strings *via, size_t i,
    uint64_t lifetime, int priority, struct err *e)
{
	struct layer *l = &s->layer[i];
	const char *relay = via->item[via->n - 1 - i];
	struct bag_onward onward = { .priority = priority,
	    .lifetime_secs = lifetime };
	struct seal_to to;
	int rc;

	rc = directory_seal_to(s->c->x->directory, relay, SEAL_ONION, &to, e);
	if (rc != 0)
		return rc;
	memcpy(l->remote, to.remote, sizeof(l->remote));
	to.remote = l->remote;
	(void)snprintf(onward.destination, sizeof(onward.destination), "%s",
	    i == 0 ? s->site : via->item[via->n - i]);
	s->nlayers = i + 1;
	l->bag = bag_writer_new(BAG_ONION, from_layer, l);
	/* The next layer out takes what comes from this one. */
	if (i + 1 < via->n)
		l->sealer = sealer_new(&to, to_layer, &s->layer[i + 1]);
	else
		l->sealer = sealer_new(&to, to_transit, s);
	return bag_writer_onward(l->bag, &onward, e);
}

static int
add_layers(struct sealing *s, const struct conf_strings *via,
    uint64_t lifetime, int priority, struct err *e)
{
	size_t i;
	int rc = 0;

	if (via->n > VIA_MAX)
		return err_set(e, ERR_CONFIG, "via %s: at most %d relays",
		    s->site, VIA_MAX);
	/* A layer is written to as soon as it begins: the outer ones have to
	 * be there. */
	for (i = via->n; rc == 0 && i-- > 0;)
		rc = add_layer(s, via, i, lifetime, priority, e);
	s->nlayers = via->n;
	return rc;
}

static int
begin_draft(struct sealing *s, const char *first, bool direct, int priority,
    uint64_t lifetime, struct err *e)
{
	struct transit_new n = {
		.destination = first, .direct = direct,
		.priority = priority, .lifetime_secs = lifetime,
	};

	if (s->lot != NULL) {
		n.epoch = spool_epoch(s->c->x->spool);
		n.serial = s->lot->serial;
	}
	return transit_begin(s->c->x, &n, &s->draft, e);
}

/* Opens the chain for a bundle of this kind. */
static int
chain_begin(struct sealing *s, enum seal_kind kind, int priority,
    uint64_t lifetime, struct err *e)
{
	struct exchange *x = s->c->x;
	const struct conf_strings *via = conf_find_via(x->conf, s->site);
	bool direct;
	int rc;

	direct = kind == SEAL_BUNDLE && via == NULL && s->road != NULL &&
	    strcmp(s->road->name, s->site) == 0;
	rc = direct ? 0 : directory_seal_to(x->directory, s->site, kind,
	    &s->to, e);
	if (rc != 0)
		return rc;
	rc = begin_draft(s, via != NULL ? via->item[0] : s->site, direct,
	    priority, lifetime, e);
	if (rc != 0)
		return rc;
	if (via != NULL)
		rc = add_layers(s, via, lifetime, priority, e);
	if (rc == 0 && !direct) {
		memcpy(s->remote, s->to.remote, sizeof(s->remote));
		s->to.remote = s->remote;
		s->sealer = sealer_new(&s->to, via != NULL ? to_layer :
		    to_transit, via != NULL ? (void *)&s->layer[0] : s);
	}
	s->bag = bag_writer_new(kind == SEAL_REQUEST ? BAG_REQUEST : BAG_FLOW,
	    from_bag, s);
	return rc;
}

/* Sealed bundles are padded unless the road is to show sizes as they are.  A
 * direct one that is made again grows by an octet: its octets may be those of
 * the last else, and one that is known is not opened, so that it would never be
 * answered. */
static int
pad(struct sealing *s, struct err *e)
{
	struct shape shape = { SHAPE_PADME, 0 };
	uint64_t zeros;
	int rc;

	if (s->sealer == NULL)
		return bag_writer_pad(s->bag, s->lot != NULL ?
		    s->lot->attempts : 0, e);
	if (s->road != NULL && s->road->peer != NULL &&
	    s->road->peer->shape.kind == SHAPE_NONE)
		return 0;
	rc = seal_padding(&s->to, &shape, bag_writer_size(s->bag), &zeros, e);
	return rc == 0 ? bag_writer_pad(s->bag, zeros, e) : rc;
}

static int
chain_end(struct sealing *s, struct err *e)
{
	size_t i;
	int rc = pad(s, e);

	if (rc == 0)
		rc = bag_writer_finish(s->bag, e);
	if (rc == 0 && s->sealer != NULL)
		rc = sealer_finish(s->sealer, e);
	for (i = 0; rc == 0 && i < s->nlayers; i++) {
		rc = bag_writer_over(s->layer[i].bag, e);
		if (rc == 0)
			rc = bag_writer_finish(s->layer[i].bag, e);
		if (rc == 0)
			rc = sealer_finish(s->layer[i].sealer, e);
	}
	return rc;
}

/*
 * What rides along.
 */
/* Those that the ledger still owes: 1 it is in s->owed, 0 not. */
static int
load_owed(struct sealing *s, const struct owed_result *r, struct err *e)
{
	struct serial_in in;
	int rc;

	rc = spool_get_serial_in(s->c->x->spool, s->site, r->epoch,
	    r->serial, &in, e);
	if (rc != 0 || !in.owed) {
		serial_in_release(&in);
		return rc == ERR_NOT_FOUND || rc == ERR_CORRUPT ? 0 : rc;
	}
	s->owed = mem_realloc(s->owed, s->nowed + 1, sizeof(*s->owed));
	s->owed[s->nowed++] = in;
	return 1;
}

static int
add_results(struct sealing *s, struct err *e)
{
	const struct answer *a = answer_find(s->c, s->site);
	size_t i, n = a != NULL ? a->nowed : 0;
	int rc = 0;

	n = n > RESULTS_MAX ? RESULTS_MAX : n;
	for (i = 0; rc >= 0 && i < n; i++) {
		rc = load_owed(s, &a->owed[i], e);
		if (rc == 1)
			rc = results_write(s->bag, &s->owed[s->nowed - 1], e);
	}
	s->gave = n;
	return rc < 0 ? rc : 0;
}

/* Serials that will not come, where the floor does not say so. */
static int
add_voids(struct sealing *s, struct err *e)
{
	struct flow *f = flow_find(s->c, s->site);
	uint64_t serial[BAG_VOIDS_MAX], floor;
	struct list *item;
	size_t n = 0;

	if (f == NULL)
		return 0;
	floor = flow_floor(f);
	list_for_each(item, &f->lots) {
		const struct lot *lot = list_entry(item, struct lot, link);

		if (lot->state == LOT_VOID && lot->serial > floor &&
		    n < BAG_VOIDS_MAX)
			serial[n++] = lot->serial;
	}
	return n > 0 ? bag_writer_void(s->bag, serial, n, e) : 0;
}

static int
add_card(struct sealing *s, bool asked, struct err *e)
{
	struct directory *d = s->c->x->directory;
	struct buf card = BUF_INIT;
	int rc = 0;

	/* A neighbour gets it in a parcel. */
	if (!asked && (s->sealer == NULL || !directory_must_tell(d, s->site)))
		return 0;
	if (directory_our_card(d, &card) != 0) {
		rc = bag_writer_card(s->bag, buf_slice(&card), e);
		s->card = true;
	}
	buf_release(&card);
	return rc;
}

/* The site's own card, in place of ours. */
static int
add_back(struct sealing *s, struct err *e)
{
	struct buf card = BUF_INIT;
	int rc = 0;

	if (directory_back(s->c->x->directory, s->site, &card) != 0)
		rc = bag_writer_card(s->bag, buf_slice(&card), e);
	else
		rc = err_set(e, ERR_STATE, "%s has a newer card", s->site);
	buf_release(&card);
	return rc;
}

static int
add_extras(struct sealing *s, uint64_t serial, bool card, struct err *e)
{
	struct flow *f = flow_find(s->c, s->site);
	struct bag_flow flow = {
		.epoch = spool_epoch(s->c->x->spool), .serial = serial,
		.floor = f != NULL ? flow_floor(f) : 1,
	};
	int rc = bag_writer_flow(s->bag, &flow, e);

	if (rc == 0)
		rc = add_voids(s, e);
	if (rc == 0)
		rc = add_results(s, e);
	if (rc == 0)
		rc = add_card(s, card, e);
	return rc;
}

/* Results that went are not owed any more; the card was told. */
static int
put_extras(struct sealing *s, struct spool_unit *u, struct err *e)
{
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < s->nowed; i++) {
		s->owed[i].owed = false;
		rc = spool_put_serial_in(u, &s->owed[i], e);
	}
	if (rc == 0 && s->card)
		rc = directory_told(s->c->x->directory, u, s->site, e);
	return rc;
}

/*
 * Making it durable.
 */
static void
fill_record(struct sealing *s)
{
	struct lot *lot = s->lot;

	free(s->rec.site);
	free(s->rec.params);
	s->rec.site = mem_strdup(s->site);
	s->rec.params = custody_params(s->c->x, s->site);
	s->rec.epoch = spool_epoch(s->c->x->spool);
	s->rec.serial = lot->serial;
	s->rec.status = SERIAL_UNDERWAY;
	s->rec.cut_secs = lot->cut_secs;
	s->rec.attempts = lot->attempts + 1;
	s->rec.priority = lot->priority;
	memcpy(s->rec.digest, lot->digest, sizeof(s->rec.digest));
	s->rec.next_secs = lot_repeat_secs(s->c, lot);
}

static int
put_all(struct sealing *s, struct spool_unit *u, uint64_t *id_out,
    struct err *e)
{
	int rc = transit_end(s->draft, u, id_out, s->rec.name, e);

	if (rc == 0 && s->lot != NULL) {
		s->rec.bundle = *id_out;
		rc = spool_put_serial_out(u, &s->rec, e);
		/* What is left of the last attempt is not needed any more. */
		if (rc == 0 && s->lot->bundle != 0)
			rc = transit_withdraw(s->c->x, u, s->lot->bundle, e);
	}
	return rc == 0 ? put_extras(s, u, e) : rc;
}

static void
lot_is_underway(struct sealing *s, uint64_t bundle)
{
	struct custody *c = s->c;
	struct lot *lot = s->lot;

	if (lot->bundle != 0)
		transit_withdrawn(c->x, lot->bundle);
	list_del(&lot->seal_link);
	lot->state = LOT_UNDERWAY;
	lot->bundle = bundle;
	lot->hop_done = false;
	lot->direct = s->sealer == NULL;
	lot->attempts = s->rec.attempts;
	lot->next_secs = s->rec.next_secs;
	if (lot->rec != NULL)
		serial_out_release(lot->rec);
	free(lot->rec);
	lot->rec = NULL;
	c->counters.lots++;
	log_event(c->x->log, LOG_LEVEL_INFO, "bundle-made",
	    "site", s->site, "serial", num_str(lot->serial).s,
	    "attempt", num_str(lot->attempts).s,
	    "messages", num_str(s->rec.nparts).s, NULL);
}

static int
commit(struct sealing *s, struct err *e)
{
	struct exchange *x = s->c->x;
	struct transit_draft *draft = s->draft;
	struct spool_unit *u;
	uint64_t id = 0;
	int rc;

	if (s->lot != NULL)
		fill_record(s);
	rc = custody_reserve_numbers(s->c, e);
	if (rc == 0)
		rc = spool_begin(x->spool, &u, e);
	if (rc != 0)
		return rc;
	spool_unit_use_reserve(u);
	rc = put_all(s, u, &id, e);
	if (rc == 0)
		rc = spool_commit(u, true, e);
	else
		spool_abort(u);
	s->draft = NULL;
	transit_ended(draft, rc == 0);
	if (rc == 0 && s->lot != NULL)
		lot_is_underway(s, id);
	if (rc == 0)
		ride_begin(s->c, id, s->site, s->owed, s->nowed, s->card);
	if (rc == 0)
		answer_gave(s->c, s->site, s->gave, s->card);
	x->dirty = true;
	return rc;
}

/*
 * Lots.
 */

static struct squeeze_how
squeeze_of(const struct sealing *s)
{
	const struct conf_peer *peer = s->road != NULL ? s->road->peer : NULL;

	return squeeze_default(peer != NULL ? peer->squeeze :
	    SQUEEZE_TOGETHER);
}

/* Each time to the same octets before compression: nothing else of the
 * configuration is in it. */
static void
batch_begin(struct sealing *s)
{
	struct bundle_params params = {
		.dialect = BUNDLE_NATIVE, .squeeze = squeeze_of(s),
	};

	s->writer = bundle_writer_new(&params, from_writer, s);
	feed_init(&s->feed, s->c->x->spool, s->writer, s->rec.part,
	    s->rec.nparts, s->lot->cut_secs);
}

static int
load_parts(struct sealing *s, struct err *e)
{
	struct custody *c = s->c;
	struct lot *lot = s->lot;

	if (lot->rec == NULL)
		return spool_get_serial_out(c->x->spool, s->site,
		    spool_epoch(c->x->spool), lot->serial, &s->rec, e);
	/* Moved, and given back if this comes to nothing. */
	s->rec = *lot->rec;
	serial_out_init(lot->rec);
	return 0;
}

static void
unload_parts(struct sealing *s)
{
	if (s->lot->rec == NULL)
		return;
	*s->lot->rec = s->rec;
	serial_out_init(&s->rec);
}

static uint64_t
lifetime_left(struct custody *c, const struct lot *lot)
{
	uint64_t now = now_secs(c->x);

	if (lot->test)
		return 86400;
	return lot->expire_secs > now + 3600 ? lot->expire_secs - now : 3600;
}

static struct sealing *
sealing_new(struct custody *c, const char *site, struct lot *lot)
{
	struct sealing *s = mem_alloc(1, sizeof(*s));
	struct target *t = queue_site(c->x, site);

	s->c = c;
	s->site = mem_strdup(site);
	s->lot = lot;
	s->road = custody_road(c->x, t);
	serial_out_init(&s->rec);
	return s;
}

int
seal_lot_begin(struct custody *c, struct lot *lot, struct err *e)
{
	struct sealing *s = sealing_new(c, lot->flow->target->name, lot);
	int rc;

	rc = load_parts(s, e);
	/* This one takes the place of another that has not got anywhere. */
	if (rc == 0)
		rc = ride_again(c, lot->bundle, e);
	if (rc == 0)
		rc = chain_begin(s, SEAL_BUNDLE, lot->priority,
		    lifetime_left(c, lot), e);
	if (rc == 0)
		rc = add_extras(s, lot->serial, false, e);
	if (rc == 0)
		rc = bag_writer_batch(s->bag, e);
	if (rc != 0) {
		unload_parts(s);
		sealing_free(s);
		return rc;
	}
	batch_begin(s);
	c->sealing = s;
	return 0;
}

/* A message that cannot be written fails alone; the serial is given up, the
 * others are cut anew. */
static void
fail_alone(struct sealing *s, struct leg *leg, int rc, const struct err *e)
{
	const struct smtp_refusal *r = feed_refusal(&s->feed);
	struct custody *c = s->c;
	bool damaged = rc == ERR_CORRUPT || r->code == 0;
	char *text = mem_printf("the way to this site cannot carry it: %s",
	    r->text);

	if (damaged)
		log_event(c->x->log, LOG_LEVEL_WARNING, "message-damaged",
		    "id", message_name(feed_message(&s->feed)).s, "reason",
		    e->text, NULL);
	if (leg != NULL)
		settle_fail(c->x, leg, damaged ? STATUS_DAMAGED : r->status,
		    damaged ? "the stored content is damaged" : text, false);
	if (leg != NULL)
		leg->object = 0;
	free(text);
}

static void
put_aside(struct sealing *s, int rc, const struct err *e)
{
	struct custody *c = s->c;
	struct lot *lot = s->lot;
	struct err e2 = ERR_INIT;

	fail_alone(s, lot_leg(c, lot, feed_message(&s->feed)), rc, e);
	if (lot->rec == NULL && lot_void(c, lot, NULL, &e2) != 0)
		return;
	lot_release(c, lot, &s->rec);
	lot->legs = 0;
	if (lot->rec != NULL) {
		sealing_free(s);
		c->sealing = NULL;
		lot_free(c, lot);
		return;
	}
	seal_abort(c);
}

/* A batch that differs from the one that went before under this serial: the
 * spool is not what it was. */
static int
check_digest(struct sealing *s, struct err *e)
{
	unsigned char digest[SHA256_LEN];

	bundle_writer_digest(s->writer, digest);
	if (s->lot->attempts > 0 &&
	    memcmp(digest, s->lot->digest, sizeof(digest)) != 0) {
		s->c->renew = true;
		return err_set(e, ERR_STATE, "serial %llu for %s is not the "
		    "batch that it was: a new epoch is opened",
		    (unsigned long long)s->lot->serial, s->site);
	}
	memcpy(s->lot->digest, digest, sizeof(digest));
	return 0;
}

static int
finish(struct sealing *s, struct err *e)
{
	int rc = bundle_writer_finish(s->writer, e);

	if (rc == 0)
		rc = bag_writer_over(s->bag, e);
	if (rc == 0)
		rc = check_digest(s, e);
	if (rc == 0)
		rc = chain_end(s, e);
	return rc == 0 ? commit(s, e) : rc;
}

static int
step_failed(struct sealing *s, int rc, struct err *e)
{
	struct custody *c = s->c;

	if (rc == ERR_CORRUPT || rc == ERR_UNSUPPORTED) {
		put_aside(s, rc, e);
		return 1;
	}
	unload_parts(s);
	seal_abort(c);
	return rc;
}

int
seal_step(struct custody *c, struct err *e)
{
	struct sealing *s = c->sealing;
	int rc = feed_step(&s->feed, e);

	if (rc == 1)
		return 1;
	if (rc == 0)
		rc = finish(s, e);
	if (rc != 0)
		return step_failed(s, rc, e);
	seal_abort(c);
	return 0;
}

/*
 * Answers, and requests for keys.
 */
int
seal_request(struct custody *c, const char *site, bool back, struct err *e)
{
	struct sealing *s = sealing_new(c, site, NULL);
	int rc;

	rc = chain_begin(s, SEAL_REQUEST, 0, c->x->conf->lifetime_secs, e);
	if (rc == 0)
		rc = back ? add_back(s, e) : add_card(s, true, e);
	if (rc == 0)
		rc = chain_end(s, e);
	if (rc == 0)
		rc = commit(s, e);
	if (rc == 0 && !back)
		log_event(c->x->log, LOG_LEVEL_INFO, "keys-asked", "site",
		    site, NULL);
	sealing_free(s);
	return rc;
}

int
seal_answer(struct custody *c, struct answer *a, struct err *e)
{
	char *site = mem_strdup(a->site);
	bool can = seal_can(c, site);
	struct sealing *s;
	int rc;

	/* A request for keys may have carried all of it. */
	a = answer_find(c, site);
	if (a == NULL || !can) {
		rc = a == NULL ? 0 : err_set(e, ERR_STATE, "no live key of %s "
		    "is known", site);
		free(site);
		return rc;
	}
	free(site);
	s = sealing_new(c, a->site, NULL);
	rc = chain_begin(s, SEAL_BUNDLE, ANSWER_PRIORITY,
	    c->x->conf->lifetime_secs, e);
	if (rc == 0)
		rc = add_extras(s, 0, a->card, e);
	if (rc == 0 && s->nowed == 0 && !s->card) {
		answer_gave(c, s->site, s->gave, true);	/* it has it all */
	} else if (rc == 0) {
		rc = chain_end(s, e);
		if (rc == 0)
			rc = commit(s, e);
		c->counters.results += rc == 0 ? s->nowed : 0;
	}
	sealing_free(s);
	return rc;
}
