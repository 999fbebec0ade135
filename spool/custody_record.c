/* SPDX-License-Identifier: ISC */
/*
 * The kept records as octets.  Nothing here looks at a CRC: that and the
 * version stand in front and were checked; but counts are held against what
 * is there all the same, and what a reader of the value may rely on (sorted
 * ranges) is made sure of.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "spool/kept.h"

#define RANGE_OCTETS 25

static void
read_octets(struct reader *r, unsigned char *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = read8(r);
}

static bool
read_bool(struct reader *r)
{
	return record_enum(r, 1) != 0;
}

static void
put_ranges(struct buf *out, const struct bundle_range *range, size_t n)
{
	buf_put32(out, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		buf_put64(out, range[i].offset);
		buf_put64(out, range[i].octets);
		buf_put8(out, range[i].done);
		buf_put64(out, range[i].secs);
	}
}

static void
read_ranges(struct reader *r, struct bundle_range **range_out,
    size_t *n_out, uint64_t octets)
{
	size_t n = record_count(r, RANGE_OCTETS);
	struct bundle_range *v;

	if (n == 0)
		return;
	v = mem_alloc(n, sizeof(*v));
	for (size_t i = 0; i < n; i++) {
		v[i].offset = read64(r);
		v[i].octets = read64(r);
		v[i].done = read_bool(r);
		v[i].secs = read64(r);
	}
	if (!bundle_ranges_valid(v, n, octets))
		r->failed = true;
	*range_out = v;
	*n_out = n;
}

/* NAME NUL epoch serial, which most keys are. */
static void
key_of_serial(struct buf *out, const struct kept *k, const char *name,
    uint64_t epoch, uint64_t serial)
{
	kept_key(out, k, name);
	buf_put64(out, epoch);
	buf_put64(out, serial);
}

static void
bundle_key(struct buf *out, const void *v)
{
	buf_put64(out, ((const struct bundle *)v)->id);
}

static void
bundle_key_read(struct reader *r, void *v_out)
{
	((struct bundle *)v_out)->id = read64(r);
}

static void
bundle_put(struct buf *out, const void *v)
{
	const struct bundle *b = v;

	buf_add(out, b->name, sizeof(b->name));
	buf_put8(out, (uint8_t)b->role);
	buf_put8(out, b->direct);
	buf_put_text(out, b->from);
	buf_put_text(out, b->destination);
	buf_put_text(out, b->peer);
	buf_put32(out, (uint32_t)b->priority);
	buf_put32(out, b->hops);
	buf_put64(out, b->octets);
	buf_put64(out, b->born_secs);
	buf_put64(out, b->expire_secs);
	buf_put64(out, b->epoch);
	buf_put64(out, b->serial);
	put_ranges(out, b->range, b->nranges);
}

static void
bundle_read(struct reader *r, void *v_out)
{
	struct bundle *b = v_out;

	read_octets(r, b->name, sizeof(b->name));
	b->role = (enum bundle_role)record_enum(r, BUNDLE_ARRIVED);
	b->direct = read_bool(r);
	b->from = read_text(r);
	b->destination = read_text(r);
	b->peer = read_text(r);
	b->priority = (int)read32(r);
	b->hops = read32(r);
	b->octets = read64(r);
	b->born_secs = read64(r);
	b->expire_secs = read64(r);
	b->epoch = read64(r);
	b->serial = read64(r);
	read_ranges(r, &b->range, &b->nranges, b->octets);
}

static void
bundle_drop(void *v)
{
	bundle_release(v);
}

const struct kept kept_bundle = { STORE_BUNDLE, "bundle", 0, true, 0,
	bundle_key, bundle_key_read, bundle_put, bundle_read, bundle_drop };

static void
serial_out_key(struct buf *out, const void *v)
{
	const struct serial_out *s = v;

	key_of_serial(out, &kept_serial_out, s->site, s->epoch, s->serial);
}

static void
serial_out_key_read(struct reader *r, void *v_out)
{
	struct serial_out *s = v_out;

	s->site = kept_read_name(r);
	s->epoch = read64(r);
	s->serial = read64(r);
}

static void
serial_out_put(struct buf *out, const void *v)
{
	const struct serial_out *s = v;

	buf_put8(out, (uint8_t)s->status);
	buf_add(out, s->digest, sizeof(s->digest));
	buf_put64(out, s->cut_secs);
	buf_put64(out, (uint64_t)s->cut_wall_ms);
	buf_put32(out, s->attempts);
	buf_put64(out, s->next_secs);
	buf_put64(out, s->bundle);
	buf_add(out, s->name, sizeof(s->name));
	buf_put_text(out, s->params);
	buf_put32(out, (uint32_t)s->priority);
	record_put_parts(out, s->part, s->nparts);
}

static void
serial_out_read(struct reader *r, void *v_out)
{
	struct serial_out *s = v_out;

	s->status = (enum serial_status)record_enum(r, SERIAL_SETTLED);
	read_octets(r, s->digest, sizeof(s->digest));
	s->cut_secs = read64(r);
	s->cut_wall_ms = (int64_t)read64(r);
	s->attempts = read32(r);
	s->next_secs = read64(r);
	s->bundle = read64(r);
	read_octets(r, s->name, sizeof(s->name));
	s->params = read_text(r);
	s->priority = (int)read32(r);
	record_parts(r, &s->part, &s->nparts);
}

static void
serial_out_drop(void *v)
{
	serial_out_release(v);
}

const struct kept kept_serial_out = { STORE_SERIAL_OUT, "outgoing serial",
	0, false, 16, serial_out_key, serial_out_key_read, serial_out_put,
	serial_out_read, serial_out_drop };

static void
flow_out_key(struct buf *out, const void *v)
{
	const struct flow_out *f = v;

	kept_key(out, &kept_flow_out, f->site);
	buf_put64(out, f->epoch);
}

static void
flow_out_key_read(struct reader *r, void *v_out)
{
	struct flow_out *f = v_out;

	(void)read8(r);
	f->site = kept_read_name(r);
	f->epoch = read64(r);
}

static void
flow_out_put(struct buf *out, const void *v)
{
	const struct flow_out *f = v;

	buf_put64(out, f->next_serial);
	buf_put64(out, f->reserved);
}

static void
flow_out_read(struct reader *r, void *v_out)
{
	struct flow_out *f = v_out;

	f->next_serial = read64(r);
	f->reserved = read64(r);
}

static void
flow_out_drop(void *v)
{
	flow_out_release(v);
}

const struct kept kept_flow_out = { STORE_FLOW, "outgoing flow", 'o', false,
	8, flow_out_key, flow_out_key_read, flow_out_put, flow_out_read,
	flow_out_drop };

static void
flow_in_key(struct buf *out, const void *v)
{
	const struct flow_in *f = v;

	kept_key(out, &kept_flow_in, f->origin);
	buf_put64(out, f->epoch);
}

static void
flow_in_key_read(struct reader *r, void *v_out)
{
	struct flow_in *f = v_out;

	(void)read8(r);
	f->origin = kept_read_name(r);
	f->epoch = read64(r);
}

static void
flow_in_put(struct buf *out, const void *v)
{
	const struct flow_in *f = v;

	buf_put64(out, f->floor);
	buf_put64(out, f->last_secs);
}

static void
flow_in_read(struct reader *r, void *v_out)
{
	struct flow_in *f = v_out;

	f->floor = read64(r);
	f->last_secs = read64(r);
}

static void
flow_in_drop(void *v)
{
	flow_in_release(v);
}

const struct kept kept_flow_in = { STORE_FLOW, "incoming flow", 'i', false, 8,
	flow_in_key, flow_in_key_read, flow_in_put, flow_in_read,
	flow_in_drop };

static void
serial_in_key(struct buf *out, const void *v)
{
	const struct serial_in *s = v;

	key_of_serial(out, &kept_serial_in, s->origin, s->epoch, s->serial);
}

static void
serial_in_key_read(struct reader *r, void *v_out)
{
	struct serial_in *s = v_out;

	s->origin = kept_read_name(r);
	s->epoch = read64(r);
	s->serial = read64(r);
}

static void
serial_in_put(struct buf *out, const void *v)
{
	const struct serial_in *s = v;

	buf_put8(out, (uint8_t)(s->done | s->voided << 1 | s->owed << 2));
	buf_put64(out, s->transactions);
	buf_add(out, s->digest, sizeof(s->digest));
	buf_put64(out, s->first_secs);
	buf_put_bytes(out, s->results.ptr, s->results.len);
}

static void
serial_in_read(struct reader *r, void *v_out)
{
	struct serial_in *s = v_out;
	unsigned flags = record_enum(r, 7);

	s->done = flags & 1;
	s->voided = flags >> 1 & 1;
	s->owed = flags >> 2 & 1;
	s->transactions = read64(r);
	read_octets(r, s->digest, sizeof(s->digest));
	s->first_secs = read64(r);
	buf_addslice(&s->results, read_bytes(r));
}

static void
serial_in_drop(void *v)
{
	serial_in_release(v);
}

const struct kept kept_serial_in = { STORE_SERIAL_IN, "incoming serial", 0,
	false, 16, serial_in_key, serial_in_key_read, serial_in_put,
	serial_in_read, serial_in_drop };

static void
taken_key(struct buf *out, const void *v)
{
	const struct taken *t = v;

	key_of_serial(out, &kept_taken, t->origin, t->epoch, t->number);
}

static void
taken_key_read(struct reader *r, void *v_out)
{
	struct taken *t = v_out;

	t->origin = kept_read_name(r);
	t->epoch = read64(r);
	t->number = read64(r);
}

static void
taken_put(struct buf *out, const void *v)
{
	const struct taken *t = v;

	buf_put64(out, t->secs);
	buf_put32(out, (uint32_t)t->nrcpt);
	for (size_t i = 0; i < t->nrcpt; i++) {
		buf_put64(out, t->rcpt[i].address_hash);
		buf_put8(out, t->rcpt[i].verdict);
	}
}

static void
taken_read(struct reader *r, void *v_out)
{
	struct taken *t = v_out;

	t->secs = read64(r);
	t->nrcpt = record_count(r, 9);
	t->rcpt = mem_alloc(t->nrcpt + 1, sizeof(*t->rcpt));
	for (size_t i = 0; i < t->nrcpt; i++) {
		t->rcpt[i].address_hash = read64(r);
		t->rcpt[i].verdict = read8(r);
	}
}

static void
taken_drop(void *v)
{
	taken_release(v);
}

const struct kept kept_taken = { STORE_TAKEN, "message taken from", 0, false,
	16, taken_key, taken_key_read, taken_put, taken_read, taken_drop };

static void
owed_ack_key(struct buf *out, const void *v)
{
	const struct owed_ack *a = v;

	kept_key(out, &kept_owed_ack, a->peer);
	buf_add(out, a->name, sizeof(a->name));
}

static void
owed_ack_key_read(struct reader *r, void *v_out)
{
	struct owed_ack *a = v_out;

	a->peer = kept_read_name(r);
	read_octets(r, a->name, sizeof(a->name));
}

static void
owed_ack_put(struct buf *out, const void *v)
{
	const struct owed_ack *a = v;

	put_ranges(out, a->range, a->nranges);
}

static void
owed_ack_read(struct reader *r, void *v_out)
{
	struct owed_ack *a = v_out;

	read_ranges(r, &a->range, &a->nranges, UINT64_MAX);
}

static void
owed_ack_drop(void *v)
{
	owed_ack_release(v);
}

const struct kept kept_owed_ack = { STORE_OWED, "acknowledgement for", 0,
	false, BUNDLE_NAME_LEN, owed_ack_key, owed_ack_key_read, owed_ack_put,
	owed_ack_read, owed_ack_drop };

enum { SITE_FRESH = 1, SITE_BEHIND = 2 };

static void
site_key(struct buf *out, const void *v)
{
	kept_key(out, &kept_site, ((const struct site_record *)v)->name);
}

static void
site_key_read(struct reader *r, void *v_out)
{
	((struct site_record *)v_out)->name = kept_read_name(r);
}

static void
site_put(struct buf *out, const void *v)
{
	const struct site_record *s = v;

	buf_put_text(out, s->card);
	buf_put64(out, s->counter);
	buf_put64(out, s->told);
	buf_put64(out, s->heard_secs);
	buf_put64(out, s->asked_secs);
	buf_put64(out, s->rtt_secs);
	buf_put64(out, s->seen_secs);
	buf_put8(out, (s->fresh ? SITE_FRESH : 0) |
	    (s->behind ? SITE_BEHIND : 0));
}

static void
site_read(struct reader *r, void *v_out)
{
	struct site_record *s = v_out;
	unsigned flags;

	s->card = read_text(r);
	s->counter = read64(r);
	s->told = read64(r);
	s->heard_secs = read64(r);
	s->asked_secs = read64(r);
	s->rtt_secs = read64(r);
	s->seen_secs = read64(r);
	flags = read8(r);
	s->fresh = (flags & SITE_FRESH) != 0;
	s->behind = (flags & SITE_BEHIND) != 0;
}

static void
site_drop(void *v)
{
	site_record_release(v);
}

const struct kept kept_site = { STORE_SITE, "site", 0, false, 0, site_key,
	site_key_read, site_put, site_read, site_drop };

static void
history_key(struct buf *out, const void *v)
{
	buf_put64(out, ((const struct history *)v)->message);
}

static void
history_key_read(struct reader *r, void *v_out)
{
	((struct history *)v_out)->message = read64(r);
}

static void
history_put(struct buf *out, const void *v)
{
	const struct history *h = v;

	buf_put64(out, h->secs);
	buf_put_text(out, h->text);
}

static void
history_read(struct reader *r, void *v_out)
{
	struct history *h = v_out;

	h->secs = read64(r);
	h->text = read_text(r);
}

static void
history_drop(void *v)
{
	history_release(v);
}

const struct kept kept_history = { STORE_HISTORY, "history of", 0, true, 0,
	history_key, history_key_read, history_put, history_read,
	history_drop };
