/* SPDX-License-Identifier: ISC */
/* Writing bags: each call checks, then gives its item whole to the sink. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "bundle/bag_item.h"

enum state { START, ITEMS, STRETCH, TAIL, FINISHED };

struct bag_writer {
	enum bag_sort sort;
	enum state state;
	sink_fn *sink;
	void *ctx;
	uint64_t size, serial;
	struct buf out;		/* an item on its way to the sink */
	struct buf piece;	/* octets of a stretch */
};

struct bag_writer *
bag_writer_new(enum bag_sort sort, sink_fn *sink, void *ctx)
{
	struct bag_writer *w = mem_alloc(1, sizeof(*w));

	w->sort = sort;
	w->state = sort == BAG_FLOW ? START : ITEMS;
	w->sink = sink;
	w->ctx = ctx;
	buf_init(&w->out);
	buf_init(&w->piece);
	return w;
}

void
bag_writer_free(struct bag_writer *w)
{
	if (w == NULL)
		return;
	buf_release(&w->out);
	buf_release(&w->piece);
	free(w);
}

/* Is this item one of this sort, and is it its turn? */
static int
may(const struct bag_writer *w, enum bag_sort sort, enum state state,
    struct err *e)
{
	if (w->sort != sort || w->state != state)
		return err_set(e, ERR_STATE, "an item of a bag that does not "
		    "belong there");
	return 0;
}

static int
flush(struct bag_writer *w, enum state next, struct err *e)
{
	int rc = w->sink(w->ctx, w->out.ptr, w->out.len, e);

	if (rc == 0)
		w->size += w->out.len;
	w->state = rc == 0 ? next : FINISHED;
	buf_clear(&w->out);
	return rc;
}

int
bag_writer_flow(struct bag_writer *w, const struct bag_flow *flow,
    struct err *e)
{
	int rc = may(w, BAG_FLOW, START, e);

	if (rc != 0)
		return rc;
	w->serial = flow->serial;
	bag_put_flow(&w->out, flow);
	return flush(w, ITEMS, e);
}

int
bag_writer_void(struct bag_writer *w, const uint64_t *serial, size_t n,
    struct err *e)
{
	int rc = may(w, BAG_FLOW, ITEMS, e);

	if (rc == 0)
		rc = bag_check_void(serial, n, e);
	if (rc != 0)
		return rc;
	bag_put_void(&w->out, serial, n);
	return flush(w, ITEMS, e);
}

static int
check_runs(const struct bag_run *run, size_t n, struct err *e)
{
	uint64_t first = 0;
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = bag_check_run(&run[i], i > 0 ? &run[i - 1] : NULL, first,
		    e);
		first += run[i].count;
		if (rc == 0 && (run[i].count == 0) != (i == n - 1))
			rc = err_set(e, ERR_SYNTAX, "a result whose last run "
			    "and no other has count 0 is wanted");
	}
	return n > 0 ? rc : err_set(e, ERR_SYNTAX, "a result without runs");
}

int
bag_writer_result(struct bag_writer *w, const struct bag_result *result,
    const struct bag_run *run, size_t n, struct err *e)
{
	int rc = may(w, BAG_FLOW, ITEMS, e);

	if (rc == 0)
		rc = bag_check_result(result, e);
	if (rc == 0)
		rc = check_runs(run, n, e);
	if (rc != 0)
		return rc;
	bag_put_result(&w->out, result);
	for (size_t i = 0; i < n; i++)
		bag_put_run(&w->out, &run[i]);
	return flush(w, ITEMS, e);
}

int
bag_writer_card(struct bag_writer *w, struct slice card, struct err *e)
{
	int rc = may(w, w->sort == BAG_REQUEST ? BAG_REQUEST : BAG_FLOW,
	    ITEMS, e);

	if (rc == 0)
		rc = bag_check_card(card, e);
	if (rc != 0)
		return rc;
	bag_put_card(&w->out, card);
	return flush(w, w->sort == BAG_REQUEST ? TAIL : ITEMS, e);
}

int
bag_writer_batch(struct bag_writer *w, struct err *e)
{
	int rc = may(w, BAG_FLOW, ITEMS, e);

	if (rc == 0 && w->serial == 0)
		rc = err_set(e, ERR_STATE, "a batch without a serial");
	if (rc != 0)
		return rc;
	buf_put8(&w->out, BAG_TYPE_BATCH);
	return flush(w, STRETCH, e);
}

int
bag_writer_onward(struct bag_writer *w, const struct bag_onward *onward,
    struct err *e)
{
	int rc = may(w, BAG_ONION, ITEMS, e);

	if (rc == 0)
		rc = bag_check_onward(onward, e);
	if (rc != 0)
		return rc;
	bag_put_onward(&w->out, onward);
	return flush(w, STRETCH, e);
}

/* A piece that is not full is the last. */
static int
put_piece(struct bag_writer *w, enum state next, struct err *e)
{
	buf_put16(&w->out, (uint16_t)w->piece.len);
	buf_addslice(&w->out, buf_slice(&w->piece));
	buf_clear(&w->piece);
	return flush(w, next, e);
}

int
bag_writer_octets(struct bag_writer *w, const char *bytes, size_t len,
    struct err *e)
{
	int rc = may(w, w->sort, STRETCH, e);

	while (rc == 0 && len > 0) {
		size_t n = BAG_PIECE_MAX - w->piece.len;

		if (n > len)
			n = len;
		buf_add(&w->piece, bytes, n);
		bytes += n;
		len -= n;
		if (w->piece.len == BAG_PIECE_MAX)
			rc = put_piece(w, STRETCH, e);
	}
	return rc;
}

int
bag_writer_over(struct bag_writer *w, struct err *e)
{
	int rc = may(w, w->sort, STRETCH, e);

	return rc == 0 ? put_piece(w, TAIL, e) : rc;
}

uint64_t
bag_writer_size(const struct bag_writer *w)
{
	return w->size;
}

/* Whether nothing is missing. */
static int
check_whole(const struct bag_writer *w, struct err *e)
{
	if (w->state == TAIL ||
	    (w->state == ITEMS && w->sort == BAG_FLOW && w->serial == 0))
		return 0;
	return err_set(e, ERR_STATE, "a bag that is not whole");
}

int
bag_writer_pad(struct bag_writer *w, uint64_t octets, struct err *e)
{
	static const char zeros[4096];
	int rc = check_whole(w, e);

	while (rc == 0 && octets > 0) {
		size_t n = octets < sizeof(zeros) ? (size_t)octets :
						    sizeof(zeros);

		buf_add(&w->out, zeros, n);
		octets -= n;
		rc = flush(w, TAIL, e);
	}
	return rc;
}

int
bag_writer_finish(struct bag_writer *w, struct err *e)
{
	int rc = check_whole(w, e);

	w->state = FINISHED;
	return rc;
}
