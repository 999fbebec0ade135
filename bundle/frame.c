/* SPDX-License-Identifier: ISC */
/*
 * Frames.  What a frame may be is said once, in check: the writer asks it
 * before it writes and the reader behind what it read, so that neither takes
 * what the other would not.
 */
#include "bundle/frame.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum frame_type {
	TYPE_PADDING,
	TYPE_WHOLE,
	TYPE_WHOLE_DIRECT,
	TYPE_FRAGMENT,
	TYPE_FRAGMENT_DIRECT,
	TYPE_ACK,
	TYPE_SITE,
	TYPES,
	TYPE_MAY_SKIP = 0x80
};

enum state { HEADS, OCTETS, SKIPPING, PADDING };

struct frame_reader {
	struct wire_gather gather;
	enum state state;
	uint64_t left;		/* OCTETS, SKIPPING: octets still to come */
	struct frame_range range[FRAME_RANGES_MAX];
	struct err fault;	/* code 0: none yet */
};

/*
 * What may be.
 */
static int
check_bundle(const struct frame *f, struct err *e)
{
	if (f->priority < -PRIORITY_MAX || f->priority > PRIORITY_MAX)
		return err_set(e, ERR_LIMIT, "priority %d is not within "
		    "-%d..%d", f->priority, PRIORITY_MAX, PRIORITY_MAX);
	if (!f->direct && !wire_site_valid(slice_of(f->destination)))
		return err_set(e, ERR_SYNTAX, "a bundle's destination is not "
		    "the name of a site");
	if (!f->direct && f->hops > HOPS_MAX)
		return err_set(e, ERR_LIMIT, "%u hops left are more than %d",
		    f->hops, HOPS_MAX);
	if (f->total == 0 || f->total > FRAME_BUNDLE_MAX)
		return err_set(e, ERR_LIMIT, "a bundle of %llu octets",
		    (unsigned long long)f->total);
	return 0;
}

static int
check_fragment(const struct frame *f, struct err *e)
{
	if (f->length == 0 || f->offset >= f->total ||
	    f->length > f->total - f->offset)
		return err_set(e, ERR_SYNTAX, "a fragment is not within its "
		    "bundle");
	if (f->length == f->total)
		return err_set(e, ERR_SYNTAX, "a fragment is all of its "
		    "bundle");
	if (f->length < FRAME_FRAGMENT_MIN &&
	    f->offset + f->length != f->total)
		return err_set(e, ERR_LIMIT, "a fragment of %llu octets that "
		    "is not the last, less than %d",
		    (unsigned long long)f->length, FRAME_FRAGMENT_MIN);
	return 0;
}

static int
check_ack(const struct frame *f, struct err *e)
{
	uint64_t end = 0;

	if (f->nranges > FRAME_RANGES_MAX)
		return err_set(e, ERR_LIMIT, "an acknowledgement of %zu "
		    "ranges, more than %d", f->nranges, FRAME_RANGES_MAX);
	for (size_t i = 0; i < f->nranges; i++) {
		const struct frame_range *range = &f->range[i];

		if (range->length == 0 || range->offset < end ||
		    (i > 0 && range->offset == end))
			return err_set(e, ERR_SYNTAX, "the ranges of an "
			    "acknowledgement are not sorted and apart");
		if (range->offset > FRAME_BUNDLE_MAX ||
		    range->length > FRAME_BUNDLE_MAX - range->offset)
			return err_set(e, ERR_LIMIT, "an acknowledgement "
			    "beyond the end of any bundle");
		end = range->offset + range->length;
	}
	return 0;
}

static int
check_site(const struct frame *f, struct err *e)
{
	if (f->bytes.len == 0 || f->bytes.len > CARD_OCTETS_MAX)
		return err_set(e, ERR_LIMIT, "a card of %zu octets, not "
		    "within 1..%d", f->bytes.len, CARD_OCTETS_MAX);
	return 0;
}

static int
check(const struct frame *f, struct err *e)
{
	int rc;

	switch (f->kind) {
	case FRAME_WHOLE:
		return check_bundle(f, e);
	case FRAME_FRAGMENT:
		rc = check_bundle(f, e);
		return rc == 0 ? check_fragment(f, e) : rc;
	case FRAME_ACK:
		return check_ack(f, e);
	case FRAME_SITE:
		return check_site(f, e);
	default:
		return err_set(e, ERR_STATE, "no frame to be written");
	}
}

/*
 * Writing.
 */
static void
put_bundle(struct buf *out, const struct frame *f)
{
	bool whole = f->kind == FRAME_WHOLE;

	buf_put8(out, (uint8_t)((whole ? TYPE_WHOLE : TYPE_FRAGMENT) +
	    f->direct));
	if (!whole)
		buf_add(out, f->name, sizeof(f->name));
	if (!f->direct)
		wire_put_site(out, f->destination);
	buf_put8(out, (uint8_t)f->priority);
	buf_put8(out, (uint8_t)wire_lifetime_step(f->lifetime_secs));
	if (!f->direct)
		buf_put8(out, (uint8_t)f->hops);
	wire_put_varint(out, f->total);
	if (whole)
		return;
	wire_put_varint(out, f->offset);
	wire_put_varint(out, f->length);
}

/* Each range by the gap before it and its length. */
static void
put_ack(struct buf *out, const struct frame *f)
{
	uint64_t end = 0;

	buf_put8(out, TYPE_ACK);
	buf_add(out, f->name, sizeof(f->name));
	wire_put_varint(out, f->nranges);
	for (size_t i = 0; i < f->nranges; i++) {
		wire_put_varint(out, f->range[i].offset - end);
		wire_put_varint(out, f->range[i].length);
		end = f->range[i].offset + f->range[i].length;
	}
}

static void
put_site(struct buf *out, const struct frame *f)
{
	buf_put8(out, TYPE_SITE);
	wire_put_varint(out, f->bytes.len);
	buf_addslice(out, f->bytes);
}

int
frame_put(struct buf *out, const struct frame *f, struct err *e)
{
	int rc = check(f, e);

	if (rc != 0)
		return rc;
	if (f->kind == FRAME_ACK)
		put_ack(out, f);
	else if (f->kind == FRAME_SITE)
		put_site(out, f);
	else
		put_bundle(out, f);
	return 0;
}

/*
 * Reading.
 */
static void
get_name(struct wire_reader *r, struct frame *f)
{
	struct slice name = wire_get_bytes(r, sizeof(f->name));

	if (name.len == sizeof(f->name))
		memcpy(f->name, name.ptr, sizeof(f->name));
}

static void
get_bundle(struct wire_reader *r, struct frame *f)
{
	if (f->kind == FRAME_FRAGMENT)
		get_name(r, f);
	if (!f->direct)
		wire_get_site(r, f->destination);
	f->priority = wire_get_priority(r);
	f->lifetime_secs = wire_get_lifetime(r);
	if (!f->direct)
		f->hops = wire_get8(r);
	f->total = wire_get_varint(r, FRAME_BUNDLE_MAX, "length of a bundle");
	f->length = f->total;
	if (f->kind != FRAME_FRAGMENT)
		return;
	f->offset = wire_get_varint(r, FRAME_BUNDLE_MAX,
	    "offset of a fragment");
	f->length = wire_get_varint(r, FRAME_BUNDLE_MAX,
	    "length of a fragment");
}

static void
get_ack(struct wire_reader *r, struct frame *f, struct frame_range *range)
{
	uint64_t end = 0;

	get_name(r, f);
	f->range = range;
	f->nranges = (size_t)wire_get_varint(r, FRAME_RANGES_MAX,
	    "ranges of an acknowledgement");
	for (size_t i = 0; i < f->nranges && r->state == 0; i++) {
		range[i].offset = end + wire_get_varint(r, FRAME_BUNDLE_MAX,
		    "offset of an acknowledgement");
		range[i].length = wire_get_varint(r, FRAME_BUNDLE_MAX,
		    "length of an acknowledgement");
		end = range[i].offset + range[i].length;
	}
}

static void
get_site(struct wire_reader *r, struct frame *f)
{
	size_t len = (size_t)wire_get_varint(r, CARD_OCTETS_MAX,
	    "length of a card");

	f->bytes = wire_get_bytes(r, len);
}

/* The octets that may be passed over behind the head of an unknown frame. */
static void
get_unknown(struct frame_reader *fr, struct wire_reader *r, unsigned type)
{
	if (type < TYPE_MAY_SKIP) {
		wire_refuse(r, ERR_UNSUPPORTED, "a frame of type %u, which "
		    "this version does not know", type);
		return;
	}
	fr->left = wire_get_varint(r, FRAME_BUNDLE_MAX,
	    "length of an unknown frame");
}

/* 1: f is a head; 0: padding begins, or there is something to pass over. */
static int
get_head(struct frame_reader *fr, struct wire_reader *r, struct frame *f)
{
	unsigned type = wire_get8(r);
	struct err e = ERR_INIT;

	if (r->state != 0 || type == TYPE_PADDING || type >= TYPES) {
		if (type >= TYPES)
			get_unknown(fr, r, type);
		fr->state = type == TYPE_PADDING ? PADDING : SKIPPING;
		return 0;
	}
	*f = (struct frame){ .direct = type == TYPE_WHOLE_DIRECT ||
		    type == TYPE_FRAGMENT_DIRECT };
	if (type == TYPE_ACK || type == TYPE_SITE)
		f->kind = type == TYPE_ACK ? FRAME_ACK : FRAME_SITE;
	else
		f->kind = type < TYPE_FRAGMENT ? FRAME_WHOLE : FRAME_FRAGMENT;
	if (f->kind == FRAME_ACK)
		get_ack(r, f, fr->range);
	else if (f->kind == FRAME_SITE)
		get_site(r, f);
	else
		get_bundle(r, f);
	if (r->state == 0 && check(f, &e) != 0)
		wire_refuse(r, e.code, "%s", e.text);
	fr->state = f->kind == FRAME_ACK || f->kind == FRAME_SITE ?
	    HEADS : OCTETS;
	fr->left = f->length;
	return 1;
}

struct frame_reader *
frame_reader_new(void)
{
	struct frame_reader *fr = mem_alloc(1, sizeof(*fr));

	wire_gather_init(&fr->gather);
	return fr;
}

void
frame_reader_free(struct frame_reader *fr)
{
	if (fr == NULL)
		return;
	wire_gather_release(&fr->gather);
	free(fr);
}

static int
next_head(struct frame_reader *fr, const char *in, size_t len,
    size_t *used_out, struct frame *f)
{
	struct wire_reader r = wire_gather_begin(&fr->gather, in, len,
	    &fr->fault);
	int got = get_head(fr, &r, f);
	int state = wire_gather_end(&fr->gather, &r, in, len, used_out);

	if (state != 0 || (fr->state == SKIPPING && fr->left == 0))
		fr->state = HEADS;
	return state == 0 ? got : 0;
}

static int
next_octets(struct frame_reader *fr, const char *in, size_t len,
    size_t *used_out, struct frame *f)
{
	if (fr->left > 0 && len == 0)
		return 0;
	*f = (struct frame){ .kind = FRAME_OVER };
	if (fr->left == 0) {
		fr->state = HEADS;
		return 1;
	}
	f->kind = FRAME_OCTETS;
	f->bytes = (struct slice){ in, len < fr->left ? len :
		    (size_t)fr->left };
	*used_out = f->bytes.len;
	fr->left -= f->bytes.len;
	return 1;
}

static void
skip(struct frame_reader *fr, size_t len, size_t *used_out)
{
	*used_out = len < fr->left ? len : (size_t)fr->left;
	fr->left -= *used_out;
	if (fr->left == 0)
		fr->state = HEADS;
}

static void
check_padding(struct frame_reader *fr, const char *in, size_t len,
    size_t *used_out)
{
	*used_out = len;
	for (size_t i = 0; i < len; i++)
		if (in[i] != 0) {
			err_set(&fr->fault, ERR_SYNTAX, "padding that is not "
			    "zero");
			return;
		}
}

static int
step(struct frame_reader *fr, const char *in, size_t len, size_t *used_out,
    struct frame *f)
{
	switch (fr->state) {
	case OCTETS:
		return next_octets(fr, in, len, used_out, f);
	case SKIPPING:
		skip(fr, len, used_out);
		return 0;
	case PADDING:
		check_padding(fr, in, len, used_out);
		return 0;
	case HEADS:
	default:
		return next_head(fr, in, len, used_out, f);
	}
}

int
frame_reader_next(struct frame_reader *fr, const char *in, size_t len,
    size_t *used_out, struct frame *frame_out, struct err *e)
{
	size_t used;
	int rc = 0;

	*used_out = 0;
	if (len == 0)
		in = "";
	do {
		used = 0;
		if (fr->fault.code == 0)
			rc = step(fr, in + *used_out, len - *used_out, &used,
			    frame_out);
		*used_out += used;
		if (fr->fault.code != 0)
			return err_set(e, fr->fault.code, "%s",
			    fr->fault.text);
	} while (rc == 0 && *used_out < len);
	return rc;
}

int
frame_reader_end(struct frame_reader *fr, struct err *e)
{
	if (fr->fault.code != 0)
		return err_set(e, fr->fault.code, "%s", fr->fault.text);
	if (wire_gather_inside(&fr->gather) || fr->state == OCTETS ||
	    fr->state == SKIPPING)
		return err_set(e, ERR_SYNTAX, "the parcel ends inside a "
		    "frame");
	return 0;
}
