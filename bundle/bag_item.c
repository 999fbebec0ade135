/* SPDX-License-Identifier: ISC */
/*
 * Items of bags.  A run's count shares a number with its verdict, so that the
 * result of nearly every batch, all taken, is a single octet.
 */
#include "bundle/bag_item.h"

#include <string.h>

#include "base/text.h"

#define STATUS_MAX 999	/* RFC 3463 2: subject and detail */
#define LOW_BITS 2	/* of a run's number: its verdict */
#define LOW_MASK 3

_Static_assert(BAG_VERDICTS <= LOW_MASK + 1, "a verdict fits in its bits");

/* Refuses with what a check said. */
static void
hold(struct wire_reader *r, int rc, const struct err *e)
{
	if (rc != 0)
		wire_refuse(r, rc, "%s", e->text);
}

void
bag_put_flow(struct buf *out, const struct bag_flow *flow)
{
	buf_put64(out, flow->epoch);
	wire_put_varint(out, flow->serial);
	wire_put_varint(out, flow->floor);
}

void
bag_get_flow(struct wire_reader *r, struct bag_flow *flow_out)
{
	flow_out->epoch = wire_get64(r);
	flow_out->serial = wire_get_varint(r, UINT64_MAX, "serial");
	flow_out->floor = wire_get_varint(r, UINT64_MAX, "floor");
}

int
bag_check_void(const uint64_t *serial, size_t n, struct err *e)
{
	uint64_t before = 0;

	if (n == 0 || n > BAG_VOIDS_MAX)
		return err_set(e, ERR_LIMIT, "%zu void serials, not within "
		    "1..%d", n, BAG_VOIDS_MAX);
	for (size_t i = 0; i < n; i++) {
		if (serial[i] <= before)
			return err_set(e, ERR_SYNTAX, "void serials that do "
			    "not ascend from 1");
		before = serial[i];
	}
	return 0;
}

/* Each by how much it is more than the one before. */
void
bag_put_void(struct buf *out, const uint64_t *serial, size_t n)
{
	uint64_t before = 0;

	buf_put8(out, BAG_TYPE_VOID);
	wire_put_varint(out, n);
	for (size_t i = 0; i < n; i++) {
		wire_put_varint(out, serial[i] - before);
		before = serial[i];
	}
}

void
bag_get_void(struct wire_reader *r, uint64_t *serial_out, size_t *n_out)
{
	uint64_t before = 0;
	size_t n = (size_t)wire_get_varint(r, BAG_VOIDS_MAX, "void serials");
	struct err e = ERR_INIT;

	*n_out = n;
	for (size_t i = 0; i < n && r->state == 0; i++) {
		serial_out[i] = before + wire_get_varint(r,
		    UINT64_MAX - before, "a void serial");
		before = serial_out[i];
	}
	if (r->state == 0)
		hold(r, bag_check_void(serial_out, n, &e), &e);
}

int
bag_check_result(const struct bag_result *result, struct err *e)
{
	if (result->serial == 0)
		return err_set(e, ERR_SYNTAX, "a result for serial 0");
	return 0;
}

void
bag_put_result(struct buf *out, const struct bag_result *result)
{
	buf_put8(out, BAG_TYPE_RESULT);
	buf_put64(out, result->epoch);
	wire_put_varint(out, result->serial);
	buf_add(out, result->digest, sizeof(result->digest));
}

void
bag_get_result(struct wire_reader *r, struct bag_result *result_out)
{
	struct err e = ERR_INIT;
	struct slice digest;

	result_out->epoch = wire_get64(r);
	result_out->serial = wire_get_varint(r, UINT64_MAX, "serial");
	digest = wire_get_bytes(r, sizeof(result_out->digest));
	if (r->state != 0)
		return;
	memcpy(result_out->digest, digest.ptr, sizeof(result_out->digest));
	hold(r, bag_check_result(result_out, &e), &e);
}

/* What a notice may quote: UTF-8, no control characters of ASCII. */
static bool
is_printable(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
			return false;
	return utf8_valid(text);
}

static int
check_refusal(const struct bag_run *run, struct err *e)
{
	const unsigned *status = run->status;

	if (status[0] != 2 && status[0] != 4 && status[0] != 5)
		return err_set(e, ERR_SYNTAX, "a status of class %u",
		    status[0]);
	if (status[1] > STATUS_MAX || status[2] > STATUS_MAX)
		return err_set(e, ERR_LIMIT, "a status beyond %d",
		    STATUS_MAX);
	if (run->text.len > BAG_TEXT_MAX)
		return err_set(e, ERR_LIMIT, "a refusal of %zu octets, more "
		    "than %d", run->text.len, BAG_TEXT_MAX);
	if (!is_printable(run->text))
		return err_set(e, ERR_SYNTAX, "a refusal that is not "
		    "printable text");
	return 0;
}

static bool
same_run(const struct bag_run *a, const struct bag_run *b)
{
	if (a->verdict != b->verdict || a->verdict != BAG_REFUSED)
		return a->verdict == b->verdict;
	return memcmp(a->status, b->status, sizeof(a->status)) == 0 &&
	    slice_eq(a->text, b->text);
}

int
bag_check_run(const struct bag_run *run, const struct bag_run *before,
    uint64_t first, struct err *e)
{
	if ((unsigned)run->verdict >= BAG_VERDICTS)
		return err_set(e, ERR_SYNTAX, "verdict %u, which there is "
		    "not", (unsigned)run->verdict);
	if (run->count > BAG_RECIPIENTS_MAX - first)
		return err_set(e, ERR_LIMIT, "a result for more than %d "
		    "recipients", BAG_RECIPIENTS_MAX);
	if (before != NULL && same_run(run, before))
		return err_set(e, ERR_SYNTAX, "two runs of a result that "
		    "could be written as one");
	return run->verdict == BAG_REFUSED ? check_refusal(run, e) : 0;
}

void
bag_put_run(struct buf *out, const struct bag_run *run)
{
	wire_put_varint(out, run->count << LOW_BITS | run->verdict);
	if (run->verdict != BAG_REFUSED)
		return;
	for (int i = 0; i < 3; i++)
		wire_put_varint(out, run->status[i]);
	wire_put_varint(out, run->text.len);
	buf_addslice(out, run->text);
}

void
bag_get_run(struct wire_reader *r, const struct bag_run *before,
    uint64_t first, struct bag_run *run_out)
{
	uint64_t head = wire_get_varint(r,
	    (uint64_t)BAG_RECIPIENTS_MAX << LOW_BITS | LOW_MASK,
	    "recipients of a result");
	struct err e = ERR_INIT;

	*run_out = (struct bag_run){ .count = head >> LOW_BITS,
		.verdict = (enum bag_verdict)(head & LOW_MASK) };
	if (run_out->verdict == BAG_REFUSED) {
		for (int i = 0; i < 3; i++)
			run_out->status[i] = (unsigned)wire_get_varint(r,
			    STATUS_MAX, "part of a status");
		run_out->text = wire_get_bytes(r, (size_t)wire_get_varint(r,
		    BAG_TEXT_MAX, "length of a refusal"));
	}
	if (r->state == 0)
		hold(r, bag_check_run(run_out, before, first, &e), &e);
}

int
bag_check_card(struct slice card, struct err *e)
{
	if (card.len == 0 || card.len > CARD_OCTETS_MAX)
		return err_set(e, ERR_LIMIT, "a card of %zu octets, not "
		    "within 1..%d", card.len, CARD_OCTETS_MAX);
	return 0;
}

void
bag_put_card(struct buf *out, struct slice card)
{
	buf_put8(out, BAG_TYPE_CARD);
	wire_put_varint(out, card.len);
	buf_addslice(out, card);
}

void
bag_get_card(struct wire_reader *r, struct slice *card_out)
{
	struct err e = ERR_INIT;

	*card_out = wire_get_bytes(r, (size_t)wire_get_varint(r,
	    CARD_OCTETS_MAX, "length of a card"));
	if (r->state == 0)
		hold(r, bag_check_card(*card_out, &e), &e);
}

int
bag_check_onward(const struct bag_onward *onward, struct err *e)
{
	if (!wire_site_valid(slice_of(onward->destination)))
		return err_set(e, ERR_SYNTAX, "the next destination is not "
		    "the name of a site");
	if (onward->priority < -PRIORITY_MAX ||
	    onward->priority > PRIORITY_MAX)
		return err_set(e, ERR_LIMIT, "priority %d is not within "
		    "-%d..%d", onward->priority, PRIORITY_MAX, PRIORITY_MAX);
	return 0;
}

void
bag_put_onward(struct buf *out, const struct bag_onward *onward)
{
	buf_put8(out, BAG_TYPE_ONWARD);
	wire_put_site(out, onward->destination);
	buf_put8(out, (uint8_t)onward->priority);
	buf_put8(out, (uint8_t)wire_lifetime_step(onward->lifetime_secs));
}

void
bag_get_onward(struct wire_reader *r, struct bag_onward *onward_out)
{
	wire_get_site(r, onward_out->destination);
	onward_out->priority = wire_get_priority(r);
	onward_out->lifetime_secs = wire_get_lifetime(r);
}
