/* SPDX-License-Identifier: ISC */
/*
 * The reckoning: what senders were promised against what came and what they
 * were told, and what is left in the spools.
 */
#include "tests/sim/sim.h"

#include <inttypes.h>

#include "node/custody.h"
#include "node/exchange_private.h"
#include "node/transit.h"
#include "spool/custody.h"

#define FILES_FREE 5000
#define FILES_EACH 1000

static bool
may_fail(const struct rcpt_truth *rt)
{
	return strncmp(rt->address, "full.", 5) == 0 ||
	    strncmp(rt->address, "never.", 6) == 0 ||
	    strncmp(rt->address, "nobody@", 7) == 0;
}

/* Is what was told true, and was it asked for? */
static void
check_told(struct world *w, const struct mail *mail,
    const struct rcpt_truth *rt)
{
	bool sender = mail->sender[0] != '\0';

	if (sender && rt->failed > 0 &&
	    (rt->notify & SMTP_NOTIFY_FAILURE) == 0)
		wrong(w, "mail %" PRIu64 " to %s: told of failure, which "
		    "nobody wanted", mail->id, rt->address);
	if (rt->delayed > 0 && (rt->notify & SMTP_NOTIFY_DELAY) == 0)
		wrong(w, "mail %" PRIu64 " to %s: told of delay, which nobody "
		    "wanted", mail->id, rt->address);
	if (rt->arrived + rt->relayed > 0 &&
	    (rt->notify & SMTP_NOTIFY_SUCCESS) == 0)
		wrong(w, "mail %" PRIu64 " to %s: told of success, which "
		    "nobody wanted", mail->id, rt->address);
	if (rt->arrived > 0 && rt->delivered == 0)
		wrong(w, "mail %" PRIu64 " to %s: told that it came, which it "
		    "did not", mail->id, rt->address);
}

/* Without any fault everything is exact. */
static void
check_calm(struct world *w, const struct mail *mail,
    const struct rcpt_truth *rt)
{
	unsigned success = (rt->notify & SMTP_NOTIFY_SUCCESS) != 0 &&
	    mail->sender[0] != '\0';

	if (rt->delivered + rt->failed > 1)
		wrong(w, "mail %" PRIu64 " to %s: came %u times, told of "
		    "failure %u times", mail->id, rt->address, rt->delivered,
		    rt->failed);
	if (may_fail(rt) || (mail->open && w->realm != REALM_NATIVE))
		return;
	if (rt->delivered != 1)
		wrong(w, "mail %" PRIu64 " to %s came %u times", mail->id,
		    rt->address, rt->delivered);
	if (rt->arrived != success)
		wrong(w, "mail %" PRIu64 " to %s: told of success %u times",
		    mail->id, rt->address, rt->arrived);
}

/* A failure is told of what came only where results did not get through, and
 * then it says so. */
static void
check_both(struct world *w, const struct mail *mail,
    const struct rcpt_truth *rt)
{
	struct site *home = plan_home(w, rt->address);

	if (w->realm != REALM_NATIVE || rt->delivered == 0 ||
	    rt->failed <= rt->unsure || home->lost_state ||
	    mail->at->lost_state)
		return;
	wrong(w, "mail %" PRIu64 " to %s came, and its failure was told as "
	    "certain", mail->id, rt->address);
}

static bool
nobody_is_told(struct world *w, const struct mail *mail,
    const struct rcpt_truth *rt)
{
	struct site *home = mail->sender[0] == '\0' ? NULL :
	    plan_home(w, mail->sender);

	return rt->may_lose || (rt->notify & SMTP_NOTIFY_FAILURE) == 0 ||
	    (home != NULL && home->dead);
}

static void
check_rcpt(struct world *w, const struct mail *mail,
    const struct rcpt_truth *rt)
{
	if (rt->delivered + rt->failed == 0 && !nobody_is_told(w, mail, rt))
		wrong(w, "mail %" PRIu64 " to %s is lost", mail->id,
		    rt->address);
	if (rt->delivered > 0 && may_fail(rt))
		wrong(w, "mail %" PRIu64 " to %s came", mail->id,
		    rt->address);
	check_told(w, mail, rt);
	check_both(w, mail, rt);
	if (w->set.calm)
		check_calm(w, mail, rt);
}

static void
check_bundles(struct site *s)
{
	struct err e = ERR_INIT;
	struct bundle b;
	uint64_t id = 0;

	bundle_init(&b);
	if (spool_next_bundle(s->spool, &id, &b, &e) != ERR_NOT_FOUND)
		wrong(s->world, "%s: bundle %" PRIu64 " is left in the spool",
		    s->name, id);
	bundle_release(&b);
}

static void
check_serials(struct site *s)
{
	struct buf at = BUF_INIT;
	struct serial_out o;
	struct err e = ERR_INIT;

	serial_out_init(&o);
	while (spool_next_serial_out(s->spool, NULL, 0, &at, &o, &e) == 0) {
		if (o.status != SERIAL_SETTLED)
			wrong(s->world, "%s: serial %" PRIu64 " to %s is left "
			    "in the spool", s->name, o.serial, o.site);
		serial_out_release(&o);
		serial_out_init(&o);
	}
	serial_out_release(&o);
	buf_release(&at);
}

/* Not only the index: a restart finds nothing either. */
void
check_spool(struct site *s)
{
	struct err e = ERR_INIT;
	struct message m;
	struct object o;
	struct road *r;
	uint64_t id = 0, object = 0;
	size_t i;

	message_init(&m);
	if (spool_next_message(s->spool, &id, &m, &e) != ERR_NOT_FOUND)
		wrong(s->world, "%s: message %s is left in the spool", s->name,
		    message_name(id).s);
	message_release(&m);
	check_serials(s);
	if (s->world->chatting)
		return;
	object_init(&o);
	while (spool_next_object(s->spool, &object, &o, &e) == 0) {
		r = site_road(s, o.road);
		if (r == NULL || !r->to->dead)
			wrong(s->world, "%s: object %" PRIu64 " is left in "
			    "the spool", s->name, object);
		object_release(&o);
		object_init(&o);
	}
	for (i = 0; i < s->nroads; i++) {
		if (!list_empty(&s->road[i].out) && !s->road[i].to->dead)
			wrong(s->world, "%s: files are left for %s", s->name,
			    s->road[i].to->name);
	}
	object_release(&o);
	check_bundles(s);
}

static void
explain_files(struct site *s)
{
	struct list *item;
	size_t i;

	for (i = 0; i < s->nroads; i++) {
		struct road *r = &s->road[i];

		list_for_each(item, &r->out)
			tell(s->world, s->name, "sim:     %s is in out/ for %s",
			    list_entry(item, struct parcel, link)->name,
			    r->to->name);
		list_for_each(item, &r->in)
			tell(s->world, s->name, "sim:     %s is in in/ of %s",
			    list_entry(item, struct parcel, link)->name,
			    r->to->name);
	}
}

/* What a site still has to do, for the story of one that does not rest. */
static void
explain(struct site *s)
{
	struct world *w = s->world;
	struct exchange *x = s->x;
	struct transit_status st;
	uint64_t id = 0;
	size_t i;

	tell(w, s->name, "sim: %" PRIu64 " timers; in %" PRId64 " ms, custody "
	    "%" PRId64 ", transit %" PRId64 ", upkeep %d, messages %" PRIu64,
	    s->timer, exchange_deadline_ms(x) - w->now_ms,
	    custody_deadline_ms(x) - w->now_ms,
	    transit_deadline_ms(x) - w->now_ms, x->maintain, x->messages);
	for (i = 0; i < EVENT_KINDS; i++)
		tell(w, s->name, "sim:     event %zu: %" PRIu64, i,
		    s->happened[i]);
	for (i = 0; i < x->ntargets; i++) {
		struct target *t = x->target[i];
		size_t k;

		tell(w, s->name, "sim:     %s: %" PRIu64 " ready, %" PRIu64
		    " later, down %d", t->name, t->ready_count,
		    t->later_count, t->down);
		for (k = 0; k < t->nlanes; k++) {
			struct lane *l = t->lane[k];

			tell(w, s->name, "sim:       %s: road %" PRId64 ", %u "
			    "objects, %u written, up %d, down %d", l->road,
			    road_deadline_ms(x, l) - w->now_ms, l->nobjects,
			    l->nwritten, l->up, l->down);
		}
	}
	explain_files(s);
	while (transit_next_status(x, &id, &st))
		tell(w, s->name, "sim:     bundle %" PRIu64 " for %s by %s, "
		    "from %s, arriving %d, arrived %d, %" PRIu64 " octets, %"
		    PRIu64 " sent, %" PRIu64 " acknowledged, %" PRIu64
		    " s left", id, st.destination, st.peer, st.from,
		    st.arriving, st.arrived, st.octets, st.sent_octets,
		    st.acked_octets, st.left_secs);
}

void
check_rest(struct world *w)
{
	size_t i;

	for (i = 0; w->set.story && i < w->nsites; i++) {
		if (w->site[i].up)
			explain(&w->site[i]);
	}
}

/* Some ten files go for each mail; in the worst weather, in small pieces and
 * over many hops, some hundred.  More is a bundle that wanders, or chatter. */
static void
check_files(struct world *w)
{
	if (w->files > FILES_FREE + FILES_EACH * w->nmails)
		wrong(w, "%" PRIu64 " files for %zu mails", w->files,
		    w->nmails);
}

void
check_all(struct world *w)
{
	size_t i, k;

	check_files(w);

	for (i = 0; i < w->nmails; i++) {
		for (k = 0; w->mail[i]->accepted && k < w->mail[i]->nrcpt; k++)
			check_rcpt(w, w->mail[i], &w->mail[i]->rcpt[k]);
	}
	if (w->strict && w->unsure > 0)
		wrong(w, "%" PRIu64 " failures were told as not confirmed, "
		    "though results got through", w->unsure);
	for (i = 0; i < w->nsites && w->wrongs == 0; i++) {
		if (!w->site[i].dead)
			check_spool(&w->site[i]);
	}
}
