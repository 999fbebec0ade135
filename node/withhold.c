/* SPDX-License-Identifier: ISC */
/*
 * What the filters of a peer refuse.  The fault is most likely ours, a key or
 * a program, and the mail is good: so it neither goes as it is nor fails, but
 * is held, where everybody looks for mail that waits for a person, and can be
 * released when the fault is mended.
 *
 * The object is withdrawn first.  A crash before the holding is durable has
 * its messages wait again: the filter refuses them once more.
 */
#include <stdlib.h>

#include "base/text.h"
#include "node/dialect.h"
#include "node/notice.h"

#define GROUP 200		/* messages of one transaction */

struct withheld {
	struct leg **leg;
	size_t n;
	char *name;		/* of the object */
	struct lane *lane;
	struct target *target;
};

static int
find_legs(struct exchange *x, uint64_t object, struct withheld *w,
    struct err *e)
{
	struct object o;
	struct leg *leg;
	size_t i;
	int rc;

	object_init(&o);
	rc = spool_get_object(x->spool, object, &o, e);
	w->leg = mem_alloc(o.nparts + 1, sizeof(*w->leg));
	for (i = 0; rc == 0 && i < o.nparts; i++) {
		leg = leg_cut_into(x, o.part[i].message, object);
		if (leg != NULL)
			w->leg[w->n++] = leg;
	}
	object_release(&o);
	return rc;
}

/*
 * The notice.
 */
static void
notice_text(struct buf *b, const struct withheld *w, const char *why)
{
	unsigned untold = w->target->broken_untold;

	buf_adds(b, "Content-Type: text/plain; charset=us-ascii\r\n\r\n"
	    "A filter of the peer ");
	text_escape(b, slice_of(w->target->name), 100, false);
	buf_adds(b, " has refused an object that was to go there.\r\n"
	    "\r\nObject:   ");
	text_escape(b, slice_of(w->name), 100, false);
	buf_addf(b, "\r\nMessages: %zu\r\nReason:   ", w->n);
	text_escape(b, slice_of(why), 800, false);
	buf_addf(b, "\r\n\r\nNothing was sent, and no sender has been told."
	    "  The messages are held:\r\n\r\n"
	    "    postrider queue list --held --peer %s\r\n\r\n"
	    "When the fault is mended:\r\n\r\n"
	    "    postrider queue release --all --peer %s\r\n",
	    w->target->name, w->target->name);
	if (untold > 0) {
		buf_adds(b, "\r\n");
		count_format(b, untold, "more object of this peer was refused "
		    "or broken without a\r\nnotice of its own.\r\n", "more "
		    "objects of this peer were refused or broken without a\r\n"
		    "notice of their own.\r\n");
	}
}

static struct spool_draft *
write_notice(struct exchange *x, const struct withheld *w, const char *why,
    struct err *e)
{
	struct spool_draft *d;
	struct notice_head head;
	struct buf text = BUF_INIT;
	int rc;

	if (!quarantine_may_tell(x, w->target))
		return NULL;
	d = spool_draft_new(x->spool);
	head = report_head(x);
	notice_header_add(&text, &head, "A filter has refused an object");
	notice_text(&text, w, why);
	rc = spool_draft_add(d, text.ptr, text.len, e);
	if (rc == 0)
		rc = spool_draft_end(d, e);
	buf_release(&text);
	if (rc == 0) {
		w->target->broken_untold = 0;
		return d;
	}
	spool_draft_free(d);
	return NULL;
}

/*
 * Holding.
 */

/* Up to `end`, and with the last ones the notice. */
static int
write_group(struct exchange *x, const struct withheld *w, size_t i,
    size_t end, struct spool_draft *d, struct message *m, struct err *e)
{
	struct spool_unit *u;
	int rc = spool_begin(x->spool, &u, e);

	if (rc != 0)
		return rc;
	for (; rc == 0 && i < end; i++)
		rc = leg_record(x, u, w->leg[i], RCPT_HELD, e);
	if (rc == 0 && end == w->n && d != NULL)
		rc = spool_add_message(u, d, m, e);
	if (rc == 0)
		return spool_commit(u, end == w->n, e);
	spool_abort(u);
	return rc;
}

static void
write_held(struct exchange *x, const struct withheld *w, const char *why)
{
	struct err e = ERR_INIT;
	struct spool_draft *d = write_notice(x, w, why, &e);
	struct message m;
	size_t i, end;
	int rc = e.code;

	quarantine_fill_notice(x, &m);
	for (i = 0; rc == 0 && i < w->n; i = end) {
		end = w->n - i < GROUP ? w->n : i + GROUP;
		rc = write_group(x, w, i, end, d, &m, &e);
	}
	if (rc == 0 && d != NULL) {
		x->counters.notices++;
		queue_add(x, &m, NULL);
	}
	if (rc != 0)
		log_event(x->log, LOG_LEVEL_WARNING, "object-not-held",
		    "peer", w->target->name, "name", w->name, "reason",
		    e.text, NULL);
	message_release(&m);
	spool_draft_free(d);
}

void
exchange_object_refused(struct exchange *x, uint64_t object, const char *why)
{
	struct cut *c = map_get_u64(x->cuts, object);
	struct withheld w = { NULL, 0, NULL, NULL, NULL };
	struct err e = ERR_INIT;
	size_t i;

	if (c == NULL)
		return;
	w.name = mem_strdup(c->name);
	w.lane = c->lane;
	w.target = c->lane->target;
	if (find_legs(x, object, &w, &e) != 0 || cut_withdraw(x, c, &e) != 0) {
		exchange_object_unwritten(x, object, e.text);
	} else {
		for (i = 0; i < w.n; i++)
			leg_hold(w.leg[i]);
		free(w.lane->last_error);
		w.lane->last_error = mem_strdup(why);
		log_event(x->log, LOG_LEVEL_WARNING, "object-held",
		    "peer", w.target->name, "name", w.name, "messages",
		    num_str(w.n).s, "reason", why, "transport",
		    lane_word(w.lane), NULL);
		write_held(x, &w, why);
	}
	x->dirty = true;
	free(w.leg);
	free(w.name);
}
