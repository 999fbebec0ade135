/* SPDX-License-Identifier: ISC */
/*
 * Flows, serials and what is remembered, over each engine.  Every kind is put
 * through the same walk: put, read after a new start, damage, delete.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "spool/custody.h"
#include "tests/unit/spool_world.h"

#define EPOCH 0xfedcba9876543210ULL

static void
begin(struct spool *sp, struct spool_unit **u)
{
	struct err e = ERR_INIT;

	if (spool_begin(sp, u, &e) < 0)
		fail_msg("begin: %s", e.text);
}

static void
commit(struct spool_unit *u)
{
	struct err e = ERR_INIT;

	if (spool_commit(u, true, &e) < 0)
		fail_msg("commit: %s", e.text);
}

static size_t
count(struct spool *sp, enum store_table t)
{
	struct buf key = BUF_INIT;
	struct err e = ERR_INIT;
	size_t n = 0;

	while (store_next(spool_store(sp), t, false, &key, 0, NULL, &e) == 0)
		n++;
	buf_release(&key);
	return n;
}

/* One octet of the n-th record of a table changes. */
static void
damage(struct spool *sp, enum store_table t, size_t n, size_t at)
{
	struct buf k = BUF_INIT, v = BUF_INIT;
	struct store *s = spool_store(sp);
	struct err e = ERR_INIT;

	for (size_t i = 0; i <= n; i++)
		assert_int_equal(store_next(s, t, false, &k, 0, &v, &e), 0);
	v.ptr[at % v.len] ^= 32;
	assert_int_equal(store_begin(s, &e), 0);
	assert_int_equal(store_put(s, t, buf_slice(&k), buf_slice(&v), &e),
	    0);
	assert_int_equal(store_commit(s, true, &e), 0);
	buf_release(&v);
	buf_release(&k);
}

static size_t
value_len(struct spool *sp, enum store_table t, size_t n)
{
	struct buf k = BUF_INIT, v = BUF_INIT;
	struct err e = ERR_INIT;
	size_t len;

	for (size_t i = 0; i <= n; i++)
		assert_int_equal(store_next(spool_store(sp), t, false, &k, 0,
		    &v, &e), 0);
	len = v.len;
	buf_release(&v);
	buf_release(&k);
	return len;
}

/* Sites in the order of their keys; the names are each other's beginnings. */
static const char *const sites[] = { "oslo", "par", "paris", "paris.north" };

#define NSITES (sizeof(sites) / sizeof(sites[0]))
/* The flow of a case: each site has two, with two serials each. */
#define NCASES (NSITES * 4)

struct at {
	const char *site;
	uint64_t epoch, serial;
};

static struct at
case_of(unsigned i)
{
	return (struct at){ sites[i / 4], i / 2 % 2 == 0 ? 7 : EPOCH,
		i % 2 == 0 ? 1 : UINT64_MAX };
}

/*
 * What each kind needs to be put through the walk: value `i` put, read and
 * compared with what was put; the i-th of the walk.
 */
struct kind {
	const char *name;
	enum store_table table;
	unsigned ncases;
	int (*put)(struct spool_unit *u, unsigned i, struct err *e);
	/* 0, or the error; fails the test where the value is another. */
	int (*get)(struct spool *sp, unsigned i, struct err *e);
	/* key_only: of a damaged one. */
	int (*next)(struct spool *sp, struct buf *at, unsigned i,
	    struct err *e);
	int (*del)(struct spool_unit *u, unsigned i, struct err *e);
};

static void
set_parts(struct serial_out *s, unsigned n)
{
	s->nparts = n;
	s->part = mem_alloc(n + 1, sizeof(*s->part));
	for (unsigned i = 0; i < n; i++) {
		s->part[i].message = EPOCH + i;
		s->part[i].nrcpt = i;
		s->part[i].rcpt = mem_alloc(i + 1, sizeof(uint16_t));
		for (unsigned k = 0; k < i; k++)
			s->part[i].rcpt[k] = (uint16_t)(65535 - k);
	}
}

static void
make_serial_out(struct serial_out *s, unsigned i)
{
	struct at at = case_of(i);

	serial_out_init(s);
	s->site = mem_strdup(at.site);
	s->epoch = at.epoch;
	s->serial = at.serial;
	s->status = (enum serial_status)(i % 3);
	memset(s->digest, (int)i + 1, sizeof(s->digest));
	s->cut_secs = 1000 + i;
	s->cut_wall_ms = -1 - (int64_t)i;
	s->attempts = i;
	s->next_secs = UINT64_MAX - i;
	s->bundle = i;
	memset(s->name, (int)i + 100, sizeof(s->name));
	s->params = i % 5 == 0 ? NULL : mem_strdup("native each");
	s->priority = -(int)i;
	set_parts(s, i);
}

static int
put_serial_out(struct spool_unit *u, unsigned i, struct err *e)
{
	struct serial_out s;
	int rc;

	make_serial_out(&s, i);
	rc = spool_put_serial_out(u, &s, e);
	serial_out_release(&s);
	return rc;
}

static void
expect_text(const char *got, const char *want)
{
	if (want == NULL)
		assert_null(got);
	else
		assert_string_equal(got, want);
}

static void
expect_parts(const struct serial_out *got, const struct serial_out *want)
{
	assert_int_equal(got->nparts, want->nparts);
	for (size_t i = 0; i < want->nparts; i++) {
		assert_true(got->part[i].message == want->part[i].message);
		assert_int_equal(got->part[i].nrcpt, want->part[i].nrcpt);
		for (size_t k = 0; k < want->part[i].nrcpt; k++)
			assert_int_equal(got->part[i].rcpt[k],
			    want->part[i].rcpt[k]);
	}
}

static int
check_serial_out(struct serial_out *got, unsigned i, int rc)
{
	struct serial_out s;

	make_serial_out(&s, i);
	if (rc == 0 || rc == ERR_CORRUPT) {
		assert_string_equal(got->site, s.site);
		assert_true(got->epoch == s.epoch && got->serial == s.serial);
	}
	if (rc == 0) {
		assert_int_equal(got->status, s.status);
		assert_memory_equal(got->digest, s.digest, 32);
		assert_int_equal(got->cut_secs, s.cut_secs);
		assert_true(got->cut_wall_ms == s.cut_wall_ms);
		assert_int_equal(got->attempts, i);
		assert_true(got->next_secs == s.next_secs);
		assert_int_equal(got->bundle, i);
		assert_memory_equal(got->name, s.name, 16);
		expect_text(got->params, s.params);
		assert_int_equal(got->priority, s.priority);
		expect_parts(got, &s);
	} else {
		assert_null(got->part);
		assert_null(got->params);
	}
	serial_out_release(&s);
	serial_out_release(got);
	return rc;
}

static int
get_serial_out(struct spool *sp, unsigned i, struct err *e)
{
	struct at at = case_of(i);
	struct serial_out s;
	int rc = spool_get_serial_out(sp, at.site, at.epoch, at.serial, &s,
	    e);

	return check_serial_out(&s, i, rc);
}

static int
next_serial_out(struct spool *sp, struct buf *at, unsigned i, struct err *e)
{
	struct serial_out s;
	int rc = spool_next_serial_out(sp, NULL, 0, at, &s, e);

	return rc == ERR_NOT_FOUND ? rc : check_serial_out(&s, i, rc);
}

static int
del_serial_out(struct spool_unit *u, unsigned i, struct err *e)
{
	struct at at = case_of(i);

	return spool_del_serial_out(u, at.site, at.epoch, at.serial, e);
}

static void
make_serial_in(struct serial_in *s, unsigned i)
{
	struct at at = case_of(i);

	serial_in_init(s);
	s->origin = mem_strdup(at.site);
	s->epoch = at.epoch;
	s->serial = at.serial;
	s->done = i & 1;
	s->voided = i >> 1 & 1;
	s->owed = i >> 2 & 1;
	s->transactions = UINT64_MAX / 2 + i;
	memset(s->digest, 200 - (int)i, sizeof(s->digest));
	s->first_secs = i;
	for (unsigned k = 0; k < i * 10; k++)
		buf_addc(&s->results, (char)k);
}

static int
put_serial_in(struct spool_unit *u, unsigned i, struct err *e)
{
	struct serial_in s;
	int rc;

	make_serial_in(&s, i);
	rc = spool_put_serial_in(u, &s, e);
	serial_in_release(&s);
	return rc;
}

static int
check_serial_in(struct serial_in *got, unsigned i, int rc)
{
	struct serial_in s;

	make_serial_in(&s, i);
	if (rc == 0 || rc == ERR_CORRUPT) {
		assert_string_equal(got->origin, s.origin);
		assert_true(got->epoch == s.epoch && got->serial == s.serial);
	}
	if (rc == 0) {
		assert_int_equal(got->done, s.done);
		assert_int_equal(got->voided, s.voided);
		assert_int_equal(got->owed, s.owed);
		assert_true(got->transactions == s.transactions);
		assert_memory_equal(got->digest, s.digest, 32);
		assert_int_equal(got->first_secs, i);
		assert_true(slice_eq(buf_slice(&got->results),
		    buf_slice(&s.results)));
	} else {
		assert_int_equal(got->results.len, 0);
		assert_false(got->done || got->voided || got->owed);
	}
	serial_in_release(&s);
	serial_in_release(got);
	return rc;
}

static int
get_serial_in(struct spool *sp, unsigned i, struct err *e)
{
	struct at at = case_of(i);
	struct serial_in s;
	int rc = spool_get_serial_in(sp, at.site, at.epoch, at.serial, &s, e);

	return check_serial_in(&s, i, rc);
}

static int
next_serial_in(struct spool *sp, struct buf *at, unsigned i, struct err *e)
{
	struct serial_in s;
	int rc = spool_next_serial_in(sp, NULL, 0, at, &s, e);

	return rc == ERR_NOT_FOUND ? rc : check_serial_in(&s, i, rc);
}

static int
del_serial_in(struct spool_unit *u, unsigned i, struct err *e)
{
	struct at at = case_of(i);

	return spool_del_serial_in(u, at.site, at.epoch, at.serial, e);
}

/* Flows: two for each site. */
static int
put_flow_out(struct spool_unit *u, unsigned i, struct err *e)
{
	struct at at = case_of(2 * i);
	char name[32];
	struct flow_out f = { .site = name, .epoch = at.epoch,
	    .next_serial = i + 1, .reserved = EPOCH + i };

	snprintf(name, sizeof(name), "%s", at.site);
	return spool_put_flow_out(u, &f, e);
}

static int
check_flow_out(struct flow_out *f, unsigned i, int rc)
{
	struct at at = case_of(2 * i);

	if (rc == 0 || rc == ERR_CORRUPT) {
		assert_string_equal(f->site, at.site);
		assert_true(f->epoch == at.epoch);
	}
	assert_int_equal(f->next_serial, rc == 0 ? i + 1 : 0);
	assert_true(f->reserved == (rc == 0 ? EPOCH + i : 0));
	flow_out_release(f);
	return rc;
}

static int
get_flow_out(struct spool *sp, unsigned i, struct err *e)
{
	struct at at = case_of(2 * i);
	struct flow_out f;
	int rc = spool_get_flow_out(sp, at.site, at.epoch, &f, e);

	return check_flow_out(&f, i, rc);
}

static int
next_flow_out(struct spool *sp, struct buf *at, unsigned i, struct err *e)
{
	struct flow_out f;
	int rc = spool_next_flow_out(sp, at, &f, e);

	return rc == ERR_NOT_FOUND ? rc : check_flow_out(&f, i, rc);
}

static int
del_flow_out(struct spool_unit *u, unsigned i, struct err *e)
{
	struct at at = case_of(2 * i);

	return spool_del_flow_out(u, at.site, at.epoch, e);
}

static int
put_flow_in(struct spool_unit *u, unsigned i, struct err *e)
{
	struct at at = case_of(2 * i);
	char name[32];
	struct flow_in f = { .origin = name, .epoch = at.epoch,
	    .floor = EPOCH - i, .last_secs = i + 5 };

	snprintf(name, sizeof(name), "%s", at.site);
	return spool_put_flow_in(u, &f, e);
}

static int
check_flow_in(struct flow_in *f, unsigned i, int rc)
{
	struct at at = case_of(2 * i);

	if (rc == 0 || rc == ERR_CORRUPT) {
		assert_string_equal(f->origin, at.site);
		assert_true(f->epoch == at.epoch);
	}
	assert_true(f->floor == (rc == 0 ? EPOCH - i : 0));
	assert_int_equal(f->last_secs, rc == 0 ? i + 5 : 0);
	flow_in_release(f);
	return rc;
}

static int
get_flow_in(struct spool *sp, unsigned i, struct err *e)
{
	struct at at = case_of(2 * i);
	struct flow_in f;
	int rc = spool_get_flow_in(sp, at.site, at.epoch, &f, e);

	return check_flow_in(&f, i, rc);
}

static int
next_flow_in(struct spool *sp, struct buf *at, unsigned i, struct err *e)
{
	struct flow_in f;
	int rc = spool_next_flow_in(sp, at, &f, e);

	return rc == ERR_NOT_FOUND ? rc : check_flow_in(&f, i, rc);
}

static int
del_flow_in(struct spool_unit *u, unsigned i, struct err *e)
{
	struct at at = case_of(2 * i);

	return spool_del_flow_in(u, at.site, at.epoch, e);
}

/* No function deletes one but by age: the store does here. */
static int
put_taken(struct spool_unit *u, unsigned i, struct err *e)
{
	struct at at = case_of(i);
	struct taken_rcpt rcpt[NCASES];
	char name[32];
	struct taken t = { .origin = name, .epoch = at.epoch,
	    .number = at.serial, .secs = 100 + i, .rcpt = rcpt, .nrcpt = i };

	snprintf(name, sizeof(name), "%s", at.site);
	for (unsigned k = 0; k < i; k++)
		rcpt[k] = (struct taken_rcpt){ EPOCH * k, (uint8_t)k };
	return spool_put_taken(u, &t, e);
}

static int
check_taken(struct taken *t, unsigned i, int rc)
{
	struct at at = case_of(i);

	if (rc == 0 || rc == ERR_CORRUPT) {
		assert_string_equal(t->origin, at.site);
		assert_true(t->epoch == at.epoch && t->number == at.serial);
	}
	assert_int_equal(t->secs, rc == 0 ? 100 + i : 0);
	assert_int_equal(t->nrcpt, rc == 0 ? i : 0);
	for (unsigned k = 0; k < t->nrcpt; k++) {
		assert_true(t->rcpt[k].address_hash == EPOCH * k);
		assert_int_equal(t->rcpt[k].verdict, k);
	}
	taken_release(t);
	return rc;
}

static int
get_taken(struct spool *sp, unsigned i, struct err *e)
{
	struct at at = case_of(i);
	struct taken t;
	int rc = spool_get_taken(sp, at.site, at.epoch, at.serial, &t, e);

	return check_taken(&t, i, rc);
}

static int
next_taken(struct spool *sp, struct buf *at, unsigned i, struct err *e)
{
	struct taken t;
	int rc = spool_next_taken(sp, at, &t, e);

	return rc == ERR_NOT_FOUND ? rc : check_taken(&t, i, rc);
}

/* Acknowledgements: four for each peer. */
static void
ack_name(unsigned i, unsigned char name[BUNDLE_NAME_LEN])
{
	memset(name, 0, BUNDLE_NAME_LEN);
	name[0] = (unsigned char)(i % 4 * 80);
	name[15] = 1;
}

static int
put_owed_ack(struct spool_unit *u, unsigned i, struct err *e)
{
	struct owed_ack a;
	int rc;

	owed_ack_init(&a);
	a.peer = mem_strdup(sites[i / 4]);
	ack_name(i, a.name);
	for (unsigned k = 0; k < i; k++)
		bundle_range_set(&a.range, &a.nranges, (struct bundle_range){
		    k * 1000, 999, true, k });
	rc = spool_put_owed_ack(u, &a, e);
	owed_ack_release(&a);
	return rc;
}

static int
check_owed_ack(struct owed_ack *a, unsigned i, int rc)
{
	unsigned char name[BUNDLE_NAME_LEN];

	ack_name(i, name);
	if (rc == 0 || rc == ERR_CORRUPT) {
		assert_string_equal(a->peer, sites[i / 4]);
		assert_memory_equal(a->name, name, sizeof(name));
	}
	assert_int_equal(a->nranges, rc == 0 ? i : 0);
	for (unsigned k = 0; k < a->nranges; k++) {
		assert_int_equal(a->range[k].offset, k * 1000);
		assert_int_equal(a->range[k].octets, 999);
		assert_true(a->range[k].done);
		assert_int_equal(a->range[k].secs, k);
	}
	owed_ack_release(a);
	return rc;
}

static int
get_owed_ack(struct spool *sp, unsigned i, struct err *e)
{
	unsigned char name[BUNDLE_NAME_LEN];
	struct owed_ack a;
	int rc;

	ack_name(i, name);
	rc = spool_get_owed_ack(sp, sites[i / 4], name, &a, e);
	return check_owed_ack(&a, i, rc);
}

static int
next_owed_ack(struct spool *sp, struct buf *at, unsigned i, struct err *e)
{
	struct owed_ack a;
	int rc = spool_next_owed_ack(sp, NULL, at, &a, e);

	return rc == ERR_NOT_FOUND ? rc : check_owed_ack(&a, i, rc);
}

static int
del_owed_ack(struct spool_unit *u, unsigned i, struct err *e)
{
	unsigned char name[BUNDLE_NAME_LEN];

	ack_name(i, name);
	return spool_del_owed_ack(u, sites[i / 4], name, e);
}

static int
put_site(struct spool_unit *u, unsigned i, struct err *e)
{
	char name[32], card[] = "card of a site\nwith two lines\n";
	struct site_record s = { .name = name, .card = i == 1 ? NULL : card,
	    .counter = EPOCH + i, .told = i, .heard_secs = i + 1,
	    .asked_secs = i + 2, .rtt_secs = i + 3 };

	snprintf(name, sizeof(name), "%s", sites[i]);
	return spool_put_site(u, &s, e);
}

static int
check_site(struct site_record *s, unsigned i, int rc)
{
	if (rc == 0 || rc == ERR_CORRUPT)
		assert_string_equal(s->name, sites[i]);
	if (rc == 0) {
		expect_text(s->card, i == 1 ? NULL :
		    "card of a site\nwith two lines\n");
		assert_true(s->counter == EPOCH + i);
		assert_int_equal(s->told, i);
		assert_int_equal(s->heard_secs, i + 1);
		assert_int_equal(s->asked_secs, i + 2);
		assert_int_equal(s->rtt_secs, i + 3);
	} else {
		assert_null(s->card);
		assert_int_equal(s->counter + s->told + s->rtt_secs, 0);
	}
	site_record_release(s);
	return rc;
}

static int
get_site(struct spool *sp, unsigned i, struct err *e)
{
	struct site_record s;
	int rc = spool_get_site(sp, sites[i], &s, e);

	return check_site(&s, i, rc);
}

static int
next_site(struct spool *sp, struct buf *at, unsigned i, struct err *e)
{
	struct site_record s;
	int rc = spool_next_site(sp, at, &s, e);

	return rc == ERR_NOT_FOUND ? rc : check_site(&s, i, rc);
}

static int
del_site(struct spool_unit *u, unsigned i, struct err *e)
{
	return spool_del_site(u, sites[i], e);
}

static int
put_history(struct spool_unit *u, unsigned i, struct err *e)
{
	char text[32];
	struct history h = { .message = 10 + i, .secs = 100 + i,
	    .text = text };

	snprintf(text, sizeof(text), "line %u\n", i);
	return spool_put_history(u, &h, e);
}

static int
check_history(struct history *h, unsigned i, int rc)
{
	char text[32];

	snprintf(text, sizeof(text), "line %u\n", i);
	if (rc == 0 || rc == ERR_CORRUPT)
		assert_int_equal(h->message, 10 + i);
	assert_int_equal(h->secs, rc == 0 ? 100 + i : 0);
	expect_text(h->text, rc == 0 ? text : NULL);
	history_release(h);
	return rc;
}

static int
get_history(struct spool *sp, unsigned i, struct err *e)
{
	struct history h;
	int rc = spool_get_history(sp, 10 + i, &h, e);

	return check_history(&h, i, rc);
}

static int
next_history(struct spool *sp, struct buf *at, unsigned i, struct err *e)
{
	struct reader r = reader_of(at->ptr, at->len);
	uint64_t id = read64(&r);
	struct history h;
	int rc = spool_next_history(sp, &id, &h, e);

	buf_clear(at);
	buf_put64(at, id);
	return rc == ERR_NOT_FOUND ? rc : check_history(&h, i, rc);
}

/* Flows of both directions share a table: the others' are looked away from. */
static const struct kind kinds[] = {
	{ "serial_out", STORE_SERIAL_OUT, NCASES, put_serial_out,
	    get_serial_out, next_serial_out, del_serial_out },
	{ "serial_in", STORE_SERIAL_IN, NCASES, put_serial_in, get_serial_in,
	    next_serial_in, del_serial_in },
	{ "flow_out", STORE_FLOW, NCASES / 2, put_flow_out, get_flow_out,
	    next_flow_out, del_flow_out },
	{ "flow_in", STORE_FLOW, NCASES / 2, put_flow_in, get_flow_in,
	    next_flow_in, del_flow_in },
	{ "taken", STORE_TAKEN, NCASES, put_taken, get_taken, next_taken,
	    NULL },
	{ "owed_ack", STORE_OWED, NCASES, put_owed_ack, get_owed_ack,
	    next_owed_ack, del_owed_ack },
	{ "site", STORE_SITE, NSITES, put_site, get_site, next_site,
	    del_site },
	{ "history", STORE_HISTORY, NCASES, put_history, get_history,
	    next_history, NULL },
};

/* From the last to the first: their order is the keys', not ours. */
static void
put_all(struct spool *sp, const struct kind *k)
{
	struct spool_unit *u;
	struct err e = ERR_INIT;

	begin(sp, &u);
	for (unsigned i = k->ncases; i-- > 0;)
		assert_int_equal(k->put(u, i, &e), 0);
	commit(u);
}

static void
walk(struct spool *sp, const struct kind *k, unsigned damaged)
{
	struct buf at = BUF_INIT;
	struct err e = ERR_INIT;

	for (unsigned i = 0; i < k->ncases; i++) {
		int want = i == damaged ? ERR_CORRUPT : 0;

		assert_int_equal(k->get(sp, i, &e), want);
		assert_int_equal(k->next(sp, &at, i, &e), want);
	}
	assert_int_equal(k->next(sp, &at, 0, &e), ERR_NOT_FOUND);
	assert_int_equal(k->next(sp, &at, 0, &e), ERR_NOT_FOUND);
	buf_release(&at);
}

static void
damage_each(struct spool *sp, const struct kind *k)
{
	unsigned i = k->ncases - 1;
	/* In the table of flows, behind those of the other direction. */
	size_t n = k->put == put_flow_out ? NCASES / 2 + i : i;
	size_t len = value_len(sp, k->table, n);

	for (size_t at = 0; at < len; at += len > 150 ? 7 : 1) {
		damage(sp, k->table, n, at);
		walk(sp, k, i);
		damage(sp, k->table, n, at);
	}
	walk(sp, k, UINT_MAX);
}

static void
delete_each(struct spool *sp, const struct kind *k)
{
	struct spool_unit *u;
	struct err e = ERR_INIT;

	for (unsigned i = 0; i < k->ncases; i++) {
		begin(sp, &u);
		assert_int_equal(k->del(u, i, &e), 0);
		assert_int_equal(k->del(u, i, &e), 0);
		spool_abort(u);
		assert_int_equal(k->get(sp, i, &e), 0);
		begin(sp, &u);
		assert_int_equal(k->del(u, i, &e), 0);
		commit(u);
		assert_int_equal(k->get(sp, i, &e), ERR_NOT_FOUND);
		assert_true(strlen(e.text) > 20);
		if (i + 1 < k->ncases)
			assert_int_equal(k->get(sp, i + 1, &e), 0);
	}
}

static void
test_kinds(void **state)
{
	struct spool_world *f = *state;
	size_t nkinds = sizeof(kinds) / sizeof(kinds[0]);

	for (size_t i = 0; i < nkinds; i++)
		put_all(f->sp, &kinds[i]);
	sw_reopen(f);
	for (size_t i = 0; i < nkinds; i++)
		walk(f->sp, &kinds[i], UINT_MAX);
	for (size_t i = 0; i < nkinds; i++)
		damage_each(f->sp, &kinds[i]);
	for (size_t i = 0; i < nkinds; i++)
		put_all(f->sp, &kinds[i]);	/* again: replaced */
	for (size_t i = 0; i < nkinds; i++) {
		walk(f->sp, &kinds[i], UINT_MAX);
		if (kinds[i].del != NULL)
			delete_each(f->sp, &kinds[i]);
	}
	assert_int_equal(count(f->sp, STORE_FLOW), 0);
	assert_int_equal(count(f->sp, STORE_TAKEN), NCASES);
}

/* Of one flow, or one peer, and not of those whose names begin alike. */
static void
test_walks_of_one(void **state)
{
	struct spool_world *f = *state;
	struct buf at = BUF_INIT;
	struct err e = ERR_INIT;
	unsigned i;
	int rc = 0;

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		put_all(f->sp, &kinds[k]);
	for (i = 0; i < NCASES; i += 2) {
		struct at c = case_of(i);

		for (unsigned n = 0; n < 3; n++) {
			struct serial_out out;

			rc = spool_next_serial_out(f->sp, c.site, c.epoch,
			    &at, &out, &e);
			if (n < 2)
				(void)check_serial_out(&out, i + n, rc);
			assert_int_equal(rc, n < 2 ? 0 : ERR_NOT_FOUND);
		}
		buf_clear(&at);
		for (unsigned n = 0; n < 3; n++) {
			struct serial_in in;

			rc = spool_next_serial_in(f->sp, c.site, c.epoch,
			    &at, &in, &e);
			if (n < 2)
				(void)check_serial_in(&in, i + n, rc);
			assert_int_equal(rc, n < 2 ? 0 : ERR_NOT_FOUND);
		}
		buf_clear(&at);
	}
	for (i = 0; i < NCASES; i += 4) {
		for (unsigned n = 0; n < 5; n++) {
			struct owed_ack a;

			rc = spool_next_owed_ack(f->sp, sites[i / 4], &at, &a,
			    &e);
			if (n < 4)
				(void)check_owed_ack(&a, i + n, rc);
			assert_int_equal(rc, n < 4 ? 0 : ERR_NOT_FOUND);
		}
		buf_clear(&at);
	}
	buf_release(&at);
}

/* What is walked may be deleted on the way. */
static void
test_delete_in_walk(void **state)
{
	struct spool_world *f = *state;
	struct buf at = BUF_INIT;
	struct serial_in s;
	struct spool_unit *u;
	struct err e = ERR_INIT;
	unsigned n = 0;

	put_all(f->sp, &kinds[1]);
	damage(f->sp, STORE_SERIAL_IN, 5, 40);
	for (;;) {
		int rc = spool_next_serial_in(f->sp, NULL, 0, &at, &s, &e);

		if (rc == ERR_NOT_FOUND)
			break;
		assert_int_equal(rc, n == 5 ? ERR_CORRUPT : 0);
		begin(f->sp, &u);
		assert_int_equal(spool_del_serial_in(u, s.origin, s.epoch,
		    s.serial, &e), 0);
		commit(u);
		serial_in_release(&s);
		n++;
	}
	assert_int_equal(n, NCASES);
	assert_int_equal(count(f->sp, STORE_SERIAL_IN), 0);
	buf_release(&at);
}

static void
test_limits(void **state)
{
	struct spool_world *f = *state;
	char name[SPOOL_NAME_MAX + 2];
	struct flow_in flow = { .origin = name, .epoch = 1 };
	struct site_record site = { .name = name };
	struct serial_in in;
	struct owed_ack ack = { .peer = name };
	struct bundle_range bad[] = { { 5, 5, true, 0 }, { 9, 1, true, 0 } };
	struct spool_unit *u;
	struct err e = ERR_INIT;

	serial_in_init(&in);
	for (size_t len = 0; len < sizeof(name); len++) {
		int want = len >= 1 && len <= SPOOL_NAME_MAX ? 0 : ERR_LIMIT;

		memset(name, 'n', sizeof(name));
		name[len] = '\0';
		begin(f->sp, &u);
		assert_int_equal(spool_put_flow_in(u, &flow, &e), want);
		assert_int_equal(spool_put_site(u, &site, &e), want);
		assert_int_equal(spool_put_owed_ack(u, &ack, &e), want);
		spool_abort(u);
	}
	flow.origin = NULL;
	begin(f->sp, &u);
	assert_int_equal(spool_put_flow_in(u, &flow, &e), ERR_LIMIT);
	spool_abort(u);
	name[3] = '\0';
	ack.range = bad;
	ack.nranges = 2;
	begin(f->sp, &u);
	assert_int_equal(spool_put_owed_ack(u, &ack, &e), ERR_STATE);
	spool_abort(u);
	in.origin = mem_strdup("oslo");
	for (int more = 0; more < 2; more++) {
		/* 58 octets of the record are not the results. */
		while (in.results.len < SPOOL_RECORD_MAX - 58U + (size_t)more)
			buf_addc(&in.results, 'r');
		begin(f->sp, &u);
		assert_int_equal(spool_put_serial_in(u, &in, &e),
		    more ? ERR_LIMIT : 0);
		if (more)
			spool_abort(u);
		else
			commit(u);
	}
	serial_in_release(&in);
}

/* Serials 1 .. n of a flow. */
static void
put_serials(struct spool *sp, const char *origin, uint64_t epoch, unsigned n,
    size_t octets)
{
	struct serial_in s;
	struct spool_unit *u;
	struct err e = ERR_INIT;

	serial_in_init(&s);
	s.origin = mem_strdup(origin);
	s.epoch = epoch;
	while (s.results.len < octets)
		buf_addc(&s.results, 'r');
	begin(sp, &u);
	for (unsigned i = 1; i <= n; i++) {
		s.serial = i;
		assert_int_equal(spool_put_serial_in(u, &s, &e), 0);
		if (spool_unit_octets(u) > SPOOL_UNIT_MAX) {
			commit(u);
			begin(sp, &u);
		}
	}
	commit(u);
	serial_in_release(&s);
}

/* How many units it takes. */
static unsigned
drop_below(struct spool *sp, const char *origin, uint64_t epoch,
    uint64_t floor)
{
	struct spool_unit *u;
	struct err e = ERR_INIT;
	unsigned steps = 0;
	int rc;

	do {
		begin(sp, &u);
		rc = spool_drop_serials_in(u, origin, epoch, floor, &e);
		assert_true(rc >= 0);
		assert_true(spool_unit_octets(u) < 2 * SPOOL_UNIT_MAX);
		commit(u);
		steps++;
	} while (rc == 1);
	return steps;
}

static void
test_drop_serials(void **state)
{
	struct spool_world *f = *state;
	struct serial_in s;
	struct err e = ERR_INIT;

	put_serials(f->sp, "paris", 7, 600, 10);
	put_serials(f->sp, "paris", 8, 10, 10);
	put_serials(f->sp, "pari", 7, 10, 10);
	put_serials(f->sp, "parisa", 7, 10, 300000);
	damage(f->sp, STORE_SERIAL_IN, 12, 30);
	assert_int_equal(drop_below(f->sp, "paris", 7, 0), 1);
	assert_int_equal(count(f->sp, STORE_SERIAL_IN), 630);
	assert_int_equal(drop_below(f->sp, "paris", 7, 550), 3);
	assert_int_equal(count(f->sp, STORE_SERIAL_IN), 630 - 549);
	assert_int_equal(spool_get_serial_in(f->sp, "paris", 7, 549, &s, &e),
	    ERR_NOT_FOUND);
	assert_int_equal(spool_get_serial_in(f->sp, "paris", 7, 550, &s, &e),
	    0);
	serial_in_release(&s);
	assert_int_equal(drop_below(f->sp, "paris", 7, UINT64_MAX), 1);
	assert_int_equal(count(f->sp, STORE_SERIAL_IN), 30);
	/* Few, but large: a unit holds only so much. */
	assert_true(drop_below(f->sp, "parisa", 7, 11) > 2);
	assert_int_equal(count(f->sp, STORE_SERIAL_IN), 20);
	assert_int_equal(drop_below(f->sp, "nobody", 7, 11), 1);
}

static int
expire_all(struct spool *sp, uint64_t secs,
    int (*expire)(struct spool *, uint64_t, struct err *))
{
	struct err e = ERR_INIT;
	int steps = 1, rc;

	while ((rc = expire(sp, secs, &e)) == 1)
		steps++;
	assert_int_equal(rc, 0);
	return steps;
}

static void
test_expire(void **state)
{
	struct spool_world *f = *state;
	struct err e = ERR_INIT;

	put_all(f->sp, &kinds[4]);
	put_all(f->sp, &kinds[7]);
	damage(f->sp, STORE_TAKEN, 0, 20);
	damage(f->sp, STORE_HISTORY, 1, 9);
	(void)expire_all(f->sp, 104, spool_expire_taken);
	(void)expire_all(f->sp, 104, spool_expire_history);
	for (unsigned i = 0; i < NCASES; i++) {
		assert_int_equal(get_taken(f->sp, i, &e), i == 0 ?
		    ERR_CORRUPT : i < 4 ? ERR_NOT_FOUND : 0);
		assert_int_equal(get_history(f->sp, i, &e), i == 1 ?
		    ERR_CORRUPT : i < 4 ? ERR_NOT_FOUND : 0);
	}
}

static struct slice
seen_name(unsigned i, char key[SPOOL_SEEN_MAX])
{
	memset(key, 'k', SPOOL_SEEN_MAX);
	key[0] = (char)(i / 256);
	key[1] = (char)(i % 256);
	return (struct slice){ key, 2 + i % 39 };
}

static void
test_seen(void **state)
{
	struct spool_world *f = *state;
	char key[SPOOL_SEEN_MAX + 1] = { 0 };
	struct spool_unit *u;
	struct err e = ERR_INIT;

	begin(f->sp, &u);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(spool_put_seen(u, 'p', seen_name(i, key),
		    5000 + i, &e), 0);
	assert_int_equal(spool_put_seen(u, 'b', seen_name(3, key), 1, &e),
	    0);
	commit(u);
	sw_reopen(f);
	for (unsigned i = 0; i < 1010; i++)
		assert_int_equal(spool_get_seen(f->sp, 'p', seen_name(i,
		    key), &e), i < 1000);
	assert_int_equal(spool_get_seen(f->sp, 'b', seen_name(3, key), &e),
	    1);
	assert_int_equal(spool_get_seen(f->sp, 'b', seen_name(4, key), &e),
	    0);
	/* A damaged one is not forgotten. */
	damage(f->sp, STORE_SEEN, 1, 8);
	assert_int_equal(spool_get_seen(f->sp, 'p', seen_name(0, key), &e),
	    1);
	assert_int_equal(expire_all(f->sp, 5400, spool_expire_seen), 4);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(spool_get_seen(f->sp, 'p', seen_name(i,
		    key), &e), i == 0 || i > 400);
	assert_int_equal(spool_get_seen(f->sp, 'b', seen_name(3, key), &e),
	    0);
	for (size_t len = 0; len < 50; len += len == 0 ? 40 : 1) {
		char bytes[64] = { 0 };

		begin(f->sp, &u);
		assert_int_equal(spool_put_seen(u, 'p', (struct slice){
		    bytes, len }, 1, &e), len == 40 ? 0 : ERR_LIMIT);
		spool_abort(u);
	}
}

/* A unit is whole or not there, whatever it touches. */
static void
test_crash(void **state)
{
	struct spool_world *f = *state;
	size_t nkinds = sizeof(kinds) / sizeof(kinds[0]);
	unsigned whole = 0, none = 0;

	for (unsigned round = 0; round < 40; round++) {
		struct rng_seeded rng;
		struct spool_unit *u;
		struct err e = ERR_INIT;
		unsigned i = round % NSITES, there = 0;
		bool done;

		rng_seeded_init(&rng, round);
		store_mem_disk_crash_at(f->disk, 1 + round % 2, &rng.rng);
		begin(f->sp, &u);
		for (size_t k = 0; k < nkinds; k++)
			assert_int_equal(kinds[k].put(u, i, &e), 0);
		done = spool_commit(u, true, &e) == 0;
		spool_close(f->sp);
		f->sp = NULL;
		store_mem_disk_revive(f->disk);
		sw_reopen(f);
		for (size_t k = 0; k < nkinds; k++)
			there += kinds[k].get(f->sp, i, &e) == 0;
		assert_true(there == nkinds || (there == 0 && !done));
		whole += there == nkinds;
		none += there == 0;
		for (int t = STORE_SERIAL_OUT; t < STORE_TABLES; t++) {
			struct buf key = BUF_INIT;

			begin(f->sp, &u);
			while (store_next(spool_store(f->sp),
			    (enum store_table)t, false, &key, 0, NULL,
			    &e) == 0)
				assert_int_equal(store_del(spool_store(f->sp),
				    (enum store_table)t, buf_slice(&key),
				    &e), 0);
			commit(u);
			buf_release(&key);
		}
	}
	assert_true(whole >= 10 && none >= 10);
}

#define BOTH(name) \
	{ "bdb: " #name, test_##name, sw_setup_bdb, sw_teardown, NULL }, \
	{ "mem: " #name, test_##name, sw_setup_mem, sw_teardown, NULL }
#define ONE(name, engine) \
	{ #name, test_##name, sw_setup_##engine, sw_teardown, NULL }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(kinds),
		BOTH(walks_of_one),
		BOTH(delete_in_walk),
		BOTH(limits),
		BOTH(drop_serials),
		BOTH(expire),
		BOTH(seen),
		ONE(crash, mem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
