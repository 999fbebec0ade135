/* SPDX-License-Identifier: ISC */
/* One value of each kept kind for each case, put, read and compared. */
#include "tests/unit/kept_kinds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

#define EPOCH 0xfedcba9876543210ULL

const char *const kept_sites[KEPT_SITES] = { "oslo", "par", "paris",
	"paris.north" };

struct kept_at
kept_case(unsigned i)
{
	return (struct kept_at){ kept_sites[i / 4],
		i / 2 % 2 == 0 ? 7 : EPOCH, i % 2 == 0 ? 1 : UINT64_MAX };
}

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
	struct kept_at at = kept_case(i);

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

int
kept_check_serial_out(struct serial_out *got, unsigned i, int rc)
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
	struct kept_at at = kept_case(i);
	struct serial_out s;
	int rc = spool_get_serial_out(sp, at.site, at.epoch, at.serial, &s,
	    e);

	return kept_check_serial_out(&s, i, rc);
}

static int
next_serial_out(struct spool *sp, struct buf *at, unsigned i, struct err *e)
{
	struct serial_out s;
	int rc = spool_next_serial_out(sp, NULL, 0, at, &s, e);

	return rc == ERR_NOT_FOUND ? rc : kept_check_serial_out(&s, i, rc);
}

static int
del_serial_out(struct spool_unit *u, unsigned i, struct err *e)
{
	struct kept_at at = kept_case(i);

	return spool_del_serial_out(u, at.site, at.epoch, at.serial, e);
}

static void
make_serial_in(struct serial_in *s, unsigned i)
{
	struct kept_at at = kept_case(i);

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

int
kept_check_serial_in(struct serial_in *got, unsigned i, int rc)
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
	struct kept_at at = kept_case(i);
	struct serial_in s;
	int rc = spool_get_serial_in(sp, at.site, at.epoch, at.serial, &s, e);

	return kept_check_serial_in(&s, i, rc);
}

static int
next_serial_in(struct spool *sp, struct buf *at, unsigned i, struct err *e)
{
	struct serial_in s;
	int rc = spool_next_serial_in(sp, NULL, 0, at, &s, e);

	return rc == ERR_NOT_FOUND ? rc : kept_check_serial_in(&s, i, rc);
}

static int
del_serial_in(struct spool_unit *u, unsigned i, struct err *e)
{
	struct kept_at at = kept_case(i);

	return spool_del_serial_in(u, at.site, at.epoch, at.serial, e);
}

/* Flows: two for each site. */
static int
put_flow_out(struct spool_unit *u, unsigned i, struct err *e)
{
	struct kept_at at = kept_case(2 * i);
	char name[32];
	struct flow_out f = { .site = name, .epoch = at.epoch,
	    .next_serial = i + 1, .reserved = EPOCH + i };

	snprintf(name, sizeof(name), "%s", at.site);
	return spool_put_flow_out(u, &f, e);
}

static int
check_flow_out(struct flow_out *f, unsigned i, int rc)
{
	struct kept_at at = kept_case(2 * i);

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
	struct kept_at at = kept_case(2 * i);
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
	struct kept_at at = kept_case(2 * i);

	return spool_del_flow_out(u, at.site, at.epoch, e);
}

static int
put_flow_in(struct spool_unit *u, unsigned i, struct err *e)
{
	struct kept_at at = kept_case(2 * i);
	char name[32];
	struct flow_in f = { .origin = name, .epoch = at.epoch,
	    .floor = EPOCH - i, .last_secs = i + 5 };

	snprintf(name, sizeof(name), "%s", at.site);
	return spool_put_flow_in(u, &f, e);
}

static int
check_flow_in(struct flow_in *f, unsigned i, int rc)
{
	struct kept_at at = kept_case(2 * i);

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
	struct kept_at at = kept_case(2 * i);
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
	struct kept_at at = kept_case(2 * i);

	return spool_del_flow_in(u, at.site, at.epoch, e);
}

/* No function deletes one but by age: the store does here. */
static int
put_taken(struct spool_unit *u, unsigned i, struct err *e)
{
	struct kept_at at = kept_case(i);
	struct taken_rcpt rcpt[KEPT_CASES];
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
	struct kept_at at = kept_case(i);

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
	struct kept_at at = kept_case(i);
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
	a.peer = mem_strdup(kept_sites[i / 4]);
	ack_name(i, a.name);
	for (unsigned k = 0; k < i; k++)
		bundle_range_set(&a.range, &a.nranges, (struct bundle_range){
		    k * 1000, 999, true, k });
	rc = spool_put_owed_ack(u, &a, e);
	owed_ack_release(&a);
	return rc;
}

int
kept_check_owed_ack(struct owed_ack *a, unsigned i, int rc)
{
	unsigned char name[BUNDLE_NAME_LEN];

	ack_name(i, name);
	if (rc == 0 || rc == ERR_CORRUPT) {
		assert_string_equal(a->peer, kept_sites[i / 4]);
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
	rc = spool_get_owed_ack(sp, kept_sites[i / 4], name, &a, e);
	return kept_check_owed_ack(&a, i, rc);
}

static int
next_owed_ack(struct spool *sp, struct buf *at, unsigned i, struct err *e)
{
	struct owed_ack a;
	int rc = spool_next_owed_ack(sp, NULL, at, &a, e);

	return rc == ERR_NOT_FOUND ? rc : kept_check_owed_ack(&a, i, rc);
}

static int
del_owed_ack(struct spool_unit *u, unsigned i, struct err *e)
{
	unsigned char name[BUNDLE_NAME_LEN];

	ack_name(i, name);
	return spool_del_owed_ack(u, kept_sites[i / 4], name, e);
}

static int
put_site(struct spool_unit *u, unsigned i, struct err *e)
{
	char name[32], card[] = "card of a site\nwith two lines\n";
	struct site_record s = { .name = name, .card = i == 1 ? NULL : card,
	    .counter = EPOCH + i, .told = i, .heard_secs = i + 1,
	    .asked_secs = i + 2, .rtt_secs = i + 3,
	    .seen_secs = i + 4, .fresh = i % 2 == 1 };

	snprintf(name, sizeof(name), "%s", kept_sites[i]);
	return spool_put_site(u, &s, e);
}

static int
check_site(struct site_record *s, unsigned i, int rc)
{
	if (rc == 0 || rc == ERR_CORRUPT)
		assert_string_equal(s->name, kept_sites[i]);
	if (rc == 0) {
		expect_text(s->card, i == 1 ? NULL :
		    "card of a site\nwith two lines\n");
		assert_true(s->counter == EPOCH + i);
		assert_int_equal(s->told, i);
		assert_int_equal(s->heard_secs, i + 1);
		assert_int_equal(s->asked_secs, i + 2);
		assert_int_equal(s->rtt_secs, i + 3);
		assert_int_equal(s->seen_secs, i + 4);
		assert_int_equal(s->fresh, i % 2);
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
	int rc = spool_get_site(sp, kept_sites[i], &s, e);

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
	return spool_del_site(u, kept_sites[i], e);
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

const struct kept_kind kept_kinds[KEPT_KINDS] = {
	{ "serial_out", STORE_SERIAL_OUT, KEPT_CASES, put_serial_out,
	    get_serial_out, next_serial_out, del_serial_out },
	{ "serial_in", STORE_SERIAL_IN, KEPT_CASES, put_serial_in,
	    get_serial_in, next_serial_in, del_serial_in },
	{ "flow_out", STORE_FLOW, KEPT_CASES / 2, put_flow_out, get_flow_out,
	    next_flow_out, del_flow_out },
	{ "flow_in", STORE_FLOW, KEPT_CASES / 2, put_flow_in, get_flow_in,
	    next_flow_in, del_flow_in },
	{ "taken", STORE_TAKEN, KEPT_CASES, put_taken, get_taken, next_taken,
	    NULL },
	{ "owed_ack", STORE_OWED, KEPT_CASES, put_owed_ack, get_owed_ack,
	    next_owed_ack, del_owed_ack },
	{ "site", STORE_SITE, KEPT_SITES, put_site, get_site, next_site,
	    del_site },
	{ "history", STORE_HISTORY, KEPT_CASES, put_history, get_history,
	    next_history, NULL },
};
