/* SPDX-License-Identifier: ISC */
/*
 * Reading bags.  The states:
 *
 *	FLOW -> ITEMS -> RUNS -> ITEMS		a result, run by run
 *	        ITEMS -> SKIPPING -> ITEMS	an item of a later version
 *	        ITEMS -> PIECE -> OCTETS -> PIECE ... -> PADDING
 *	        ITEMS -> PADDING
 *
 * What stands last in a bag (batch, onward, a request's card) leads to
 * PADDING, so that nothing can stand behind it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "bundle/bag_item.h"

enum state { FLOW, ITEMS, RUNS, SKIPPING, PIECE, OCTETS, PADDING };

struct bag_reader {
	enum bag_sort sort;
	enum state state;
	struct wire_gather gather;
	uint64_t left;		/* OCTETS, SKIPPING: octets still to come */
	bool last_piece;
	bool complete;		/* what the bag is for has come */
	struct bag_run before;	/* RUNS: the one before, its text below */
	bool has_before;
	char text[BAG_TEXT_MAX];
	uint64_t recipients;	/* in the runs before */
	uint64_t serial[BAG_VOIDS_MAX];
	struct err fault;	/* code 0: none yet */
};

struct bag_reader *
bag_reader_new(enum bag_sort sort)
{
	struct bag_reader *b = mem_alloc(1, sizeof(*b));

	b->sort = sort;
	b->state = sort == BAG_FLOW ? FLOW : ITEMS;
	wire_gather_init(&b->gather);
	return b;
}

void
bag_reader_free(struct bag_reader *b)
{
	if (b == NULL)
		return;
	wire_gather_release(&b->gather);
	free(b);
}

/*
 * Items.  Each returns 1 if it makes an event, and sets the state that
 * follows; both count only if the item was whole.
 */
static int
get_flow(struct bag_reader *b, struct wire_reader *r, struct bag_event *ev)
{
	ev->kind = BAG_EVENT_FLOW;
	bag_get_flow(r, &ev->flow);
	b->complete = ev->flow.serial == 0;
	b->state = ITEMS;
	return 1;
}

static int
get_void(struct bag_reader *b, struct wire_reader *r, struct bag_event *ev)
{
	ev->kind = BAG_EVENT_VOID;
	ev->serial = b->serial;
	bag_get_void(r, b->serial, &ev->nserials);
	return 1;
}

static int
get_result(struct bag_reader *b, struct wire_reader *r, struct bag_event *ev)
{
	ev->kind = BAG_EVENT_RESULT;
	bag_get_result(r, &ev->result);
	b->state = RUNS;
	b->has_before = false;
	b->recipients = 0;
	return 1;
}

static int
get_card(struct bag_reader *b, struct wire_reader *r, struct bag_event *ev)
{
	ev->kind = BAG_EVENT_CARD;
	bag_get_card(r, &ev->bytes);
	if (b->sort == BAG_REQUEST && r->state == 0) {
		b->complete = true;
		b->state = PADDING;
	}
	return 1;
}

static int
get_onward(struct bag_reader *b, struct wire_reader *r, struct bag_event *ev)
{
	ev->kind = BAG_EVENT_ONWARD;
	bag_get_onward(r, &ev->onward);
	b->state = PIECE;
	return 1;
}

static int
get_batch(struct bag_reader *b, struct wire_reader *r, struct bag_event *ev)
{
	if (b->complete) {
		wire_refuse(r, ERR_SYNTAX, "a batch without a serial");
		return 0;
	}
	ev->kind = BAG_EVENT_BATCH;
	b->state = PIECE;
	return 1;
}

/* sorts: bits of those that may have it. */
static const struct {
	unsigned sorts;
	int (*get)(struct bag_reader *, struct wire_reader *,
	    struct bag_event *);
} items[] = {
	[BAG_TYPE_VOID] = { 1 << BAG_FLOW, get_void },
	[BAG_TYPE_RESULT] = { 1 << BAG_FLOW, get_result },
	[BAG_TYPE_CARD] = { 1 << BAG_FLOW | 1 << BAG_REQUEST, get_card },
	[BAG_TYPE_ONWARD] = { 1 << BAG_ONION, get_onward },
	[BAG_TYPE_BATCH] = { 1 << BAG_FLOW, get_batch },
};
_Static_assert(sizeof(items) / sizeof(items[0]) == BAG_TYPES,
    "a row for each type");

static int
get_item(struct bag_reader *b, struct wire_reader *r, struct bag_event *ev)
{
	unsigned type = wire_get8(r);

	if (r->state != 0)
		return 0;
	if (type == BAG_TYPE_PADDING) {
		b->state = PADDING;
	} else if (type >= BAG_TYPE_MAY_SKIP) {
		b->left = wire_get_varint(r, UINT32_MAX,
		    "length of an unknown item");
		b->state = b->left > 0 ? SKIPPING : ITEMS;
	} else if (type >= BAG_TYPES) {
		wire_refuse(r, ERR_UNSUPPORTED, "an item of type %u, which "
		    "this version does not know", type);
	} else if ((items[type].sorts & 1U << b->sort) == 0) {
		wire_refuse(r, ERR_SYNTAX, "an item of type %u, which does "
		    "not belong into such a bag", type);
	} else {
		return items[type].get(b, r, ev);
	}
	return 0;
}

static int
get_run(struct bag_reader *b, struct wire_reader *r, struct bag_event *ev)
{
	struct bag_run *run = &ev->run;

	ev->kind = BAG_EVENT_RUN;
	ev->first = b->recipients;
	bag_get_run(r, b->has_before ? &b->before : NULL, b->recipients, run);
	if (r->state != 0)
		return 0;
	b->recipients += run->count;
	b->before = *run;
	b->has_before = true;
	if (run->text.len > 0)
		memcpy(b->text, run->text.ptr, run->text.len);
	b->before.text.ptr = b->text;
	b->state = run->count > 0 ? RUNS : ITEMS;
	return 1;
}

static int
get_piece(struct bag_reader *b, struct wire_reader *r)
{
	b->left = (uint64_t)wire_get8(r) << 8;
	b->left |= wire_get8(r);
	b->last_piece = b->left < BAG_PIECE_MAX;
	b->state = OCTETS;
	return 0;
}

static int
gathered(struct bag_reader *b, const char *in, size_t len, size_t *used_out,
    struct bag_event *ev)
{
	struct wire_reader r = wire_gather_begin(&b->gather, in, len,
	    &b->fault);
	enum state before = b->state;
	int got;

	if (before == FLOW)
		got = get_flow(b, &r, ev);
	else if (before == RUNS)
		got = get_run(b, &r, ev);
	else if (before == PIECE)
		got = get_piece(b, &r);
	else
		got = get_item(b, &r, ev);
	if (wire_gather_end(&b->gather, &r, in, len, used_out) == 0)
		return got;
	b->state = before;
	return 0;
}

/*
 * What is not gathered.
 */
static int
next_octets(struct bag_reader *b, const char *in, size_t len,
    size_t *used_out, struct bag_event *ev)
{
	if (b->left == 0) {
		b->complete = b->last_piece;
		b->state = b->last_piece ? PADDING : PIECE;
		ev->kind = BAG_EVENT_OVER;
		return b->last_piece;
	}
	if (len == 0)
		return 0;
	ev->kind = BAG_EVENT_OCTETS;
	*used_out = len < b->left ? len : (size_t)b->left;
	ev->bytes = (struct slice){ in, *used_out };
	b->left -= *used_out;
	return 1;
}

static int
skip(struct bag_reader *b, size_t len, size_t *used_out)
{
	*used_out = len < b->left ? len : (size_t)b->left;
	b->left -= *used_out;
	if (b->left == 0)
		b->state = ITEMS;
	return 0;
}

static int
check_padding(struct bag_reader *b, const char *in, size_t len,
    size_t *used_out)
{
	*used_out = len;
	for (size_t i = 0; i < len; i++)
		if (in[i] != 0)
			return err_set(&b->fault, ERR_SYNTAX, "octets behind "
			    "the last item that are not zero");
	return 0;
}

static int
step(struct bag_reader *b, const char *in, size_t len, size_t *used_out,
    struct bag_event *ev)
{
	*ev = (struct bag_event){ .kind = BAG_EVENT_FLOW };
	*used_out = 0;
	switch (b->state) {
	case OCTETS:
		return next_octets(b, in, len, used_out, ev);
	case SKIPPING:
		return skip(b, len, used_out);
	case PADDING:
		return check_padding(b, in, len, used_out);
	default:
		return gathered(b, in, len, used_out, ev);
	}
}

/* Whether there is an event that needs no further octet. */
static bool
is_over(const struct bag_reader *b)
{
	return b->state == OCTETS && b->left == 0;
}

int
bag_reader_next(struct bag_reader *b, const char *in, size_t len,
    size_t *used_out, struct bag_event *ev, struct err *e)
{
	size_t used;
	int rc = 0;

	*used_out = 0;
	if (len == 0)
		in = "";
	do {
		used = 0;
		if (b->fault.code == 0)
			rc = step(b, in + *used_out, len - *used_out, &used,
			    ev);
		*used_out += used;
		if (b->fault.code != 0)
			return err_set(e, b->fault.code, "%s",
			    b->fault.text);
	} while (rc == 0 && (*used_out < len || is_over(b)));
	return rc;
}

int
bag_reader_end(struct bag_reader *b, struct err *e)
{
	if (b->fault.code != 0)
		return err_set(e, b->fault.code, "%s", b->fault.text);
	if (wire_gather_inside(&b->gather) ||
	    (b->state != ITEMS && b->state != PADDING))
		return err_set(e, ERR_SYNTAX, "the bag ends inside an item");
	if (!b->complete)
		return err_set(e, ERR_SYNTAX, "the bag ends before what it "
		    "is for");
	return 0;
}
