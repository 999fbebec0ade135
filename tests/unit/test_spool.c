/* SPDX-License-Identifier: ISC */
/* The records above the engines, over each engine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "spool/spool.h"
#include "tests/unit/spool_world.h"

/* Content that can be told from its seed. */
static void
make_content(struct buf *b, size_t len, unsigned seed)
{
	buf_clear(b);
	buf_addf(b, "Received: by %u\r\n\r\n", seed);
	while (b->len < len)
		buf_addc(b, (char)('a' + (b->len * 31 + seed) % 26));
	buf_truncate(b, len);
}

static struct spool_draft *
make_draft(struct spool *sp, size_t len, unsigned seed)
{
	struct spool_draft *d = spool_draft_new(sp);
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	size_t at = 0;

	make_content(&b, len, seed);
	while (at < b.len) {
		size_t n = b.len - at < 10007 ? b.len - at : 10007;

		assert_int_equal(spool_draft_add(d, b.ptr + at, n, &e), 0);
		at += n;
	}
	assert_int_equal(spool_draft_end(d, &e), 0);
	buf_release(&b);
	return d;
}

static void
fill_message(struct message *m)
{
	message_init(m);
	m->kind = MESSAGE_NOTICE;
	m->env.helo = mem_strdup("helo.example");
	m->env.sender = mem_strdup("");
	m->env.envid = mem_strdup("QQ+2B1");
	m->env.ret = SMTP_RET_HDRS;
	m->env.body = SMTP_BODY_8BITMIME;
	m->env.smtputf8 = true;
	m->env.size_given = true;
	m->env.size = 123456789012;
	envelope_add_recipient(&m->env, "a@example.org", "NEVER", NULL);
	envelope_add_recipient(&m->env, "b@example.org", NULL,
	    "rfc822;b@example.org");
	m->source = mem_strdup("peer london");
	m->peer = mem_strdup("london");
	m->hops = 7;
	m->accepted_wall_ms = -5;
	m->accepted_secs = 99;
}

static uint64_t
add_message(struct spool *sp, size_t len, unsigned seed)
{
	struct spool_draft *d = make_draft(sp, len, seed);
	struct spool_unit *u;
	struct message m;
	struct err e = ERR_INIT;
	uint64_t id;

	fill_message(&m);
	assert_int_equal(spool_begin(sp, &u, &e), 0);
	assert_int_equal(spool_add_message(u, d, &m, &e), 0);
	assert_int_equal(spool_commit(u, true, &e), 0);
	id = m.id;
	spool_draft_free(d);
	message_release(&m);
	return id;
}

static int
read_body(struct spool *sp, uint64_t id, struct buf *out)
{
	struct spool_body *b;
	struct err e = ERR_INIT;
	size_t before;
	int rc = spool_body_open(sp, id, &b, &e);

	if (rc < 0)
		return rc;
	do {
		before = out->len;
		rc = spool_body_read(b, out, &e);
		if (rc == 1)
			assert_in_range(out->len - before, 1, SPOOL_CHUNK);
	} while (rc == 1);
	spool_body_close(b);
	return rc;
}

static void
expect_body(struct spool *sp, uint64_t id, size_t len, unsigned seed)
{
	struct buf want = BUF_INIT, got = BUF_INIT;

	make_content(&want, len, seed);
	assert_int_equal(read_body(sp, id, &got), 0);
	assert_int_equal(got.len, want.len);
	assert_memory_equal(got.ptr, want.ptr, want.len);
	buf_release(&want);
	buf_release(&got);
}

static void
maintain(struct spool *sp)
{
	struct err e = ERR_INIT;
	int rc;

	while ((rc = spool_maintain(sp, &e)) > 0)
		continue;
	assert_int_equal(rc, 0);
}

static size_t
count_chunks(struct spool *sp)
{
	struct buf key = BUF_INIT;
	struct err e = ERR_INIT;
	size_t n = 0;

	while (store_next(spool_store(sp), STORE_BODY, false, &key, 0, NULL,
	    &e) == 0)
		n++;
	buf_release(&key);
	return n;
}

static void
expect_message(struct spool *sp, uint64_t id)
{
	struct message m, want;
	struct err e = ERR_INIT;

	fill_message(&want);
	assert_int_equal(spool_get_message(sp, id, &m, &e), 0);
	assert_int_equal(m.id, id);
	assert_int_equal(m.kind, MESSAGE_NOTICE);
	assert_string_equal(m.env.helo, "helo.example");
	assert_string_equal(m.env.sender, "");
	assert_string_equal(m.env.envid, "QQ+2B1");
	assert_int_equal(m.env.ret, SMTP_RET_HDRS);
	assert_int_equal(m.env.body, SMTP_BODY_8BITMIME);
	assert_true(m.env.smtputf8);
	assert_true(m.env.size_given);
	assert_int_equal(m.env.size, 123456789012);
	assert_int_equal(m.env.nrcpt, 2);
	assert_string_equal(m.env.rcpt[0].notify, "NEVER");
	assert_null(m.env.rcpt[0].orcpt);
	assert_null(m.env.rcpt[1].notify);
	assert_string_equal(m.env.rcpt[1].orcpt, "rfc822;b@example.org");
	assert_string_equal(m.source, "peer london");
	assert_string_equal(m.peer, "london");
	assert_int_equal(m.hops, 7);
	assert_int_equal(m.accepted_wall_ms, -5);
	assert_int_equal(m.accepted_secs, 99);
	message_release(&m);
	message_release(&want);
}

static void
test_messages(void **state)
{
	static const size_t lens[] = { 0, 1, 100, 4096, SPOOL_INLINE_MAX,
	    SPOOL_INLINE_MAX + 1, SPOOL_CHUNK, SPOOL_CHUNK + 1,
	    3 * SPOOL_CHUNK, 5 << 20 };
	enum { N = sizeof(lens) / sizeof(lens[0]) };
	struct spool_world *f = *state;
	struct message m;
	struct err e = ERR_INIT;
	uint64_t ids[N], id = 0;

	for (unsigned i = 0; i < N; i++) {
		ids[i] = add_message(f->sp, lens[i], i);
		assert_true(i == 0 || ids[i] > ids[i - 1]);
	}
	for (int round = 0; round < 2; round++) {
		for (unsigned i = 0; i < N; i++) {
			expect_message(f->sp, ids[i]);
			expect_body(f->sp, ids[i], lens[i], i);
			assert_int_equal(spool_next_message(f->sp, &id, &m,
			    &e), 0);
			assert_int_equal(id, ids[i]);
			assert_int_equal(m.facts.octets, lens[i]);
			assert_int_equal(m.facts.received, lens[i] > 20);
			message_release(&m);
		}
		assert_int_equal(spool_next_message(f->sp, &id, &m, &e),
		    ERR_NOT_FOUND);
		id = 0;
		sw_reopen(f);
	}
	assert_int_equal(spool_get_message(f->sp, 424242, &m, &e),
	    ERR_NOT_FOUND);
	assert_true(strstr(e.text, message_name(424242).s) != NULL);
}

static void
test_delete(void **state)
{
	struct spool_world *f = *state;
	struct spool_unit *u;
	struct message m;
	struct err e = ERR_INIT;
	uint64_t small = add_message(f->sp, 100, 1);
	uint64_t large = add_message(f->sp, 5 << 20, 2);
	uint64_t stays = add_message(f->sp, 200000, 3);

	assert_int_equal(count_chunks(f->sp), 80 + 4);
	assert_int_equal(spool_begin(f->sp, &u, &e), 0);
	assert_int_equal(spool_del_message(u, small, &e), 0);
	assert_int_equal(spool_del_message(u, large, &e), 0);
	assert_int_equal(spool_del_message(u, 9999, &e), 0);
	spool_abort(u);
	maintain(f->sp);
	expect_body(f->sp, large, 5 << 20, 2);
	assert_int_equal(spool_begin(f->sp, &u, &e), 0);
	assert_int_equal(spool_del_message(u, small, &e), 0);
	assert_int_equal(spool_del_message(u, large, &e), 0);
	assert_int_equal(spool_commit(u, true, &e), 0);
	assert_int_equal(spool_get_message(f->sp, small, &m, &e),
	    ERR_NOT_FOUND);
	assert_int_equal(spool_get_message(f->sp, large, &m, &e),
	    ERR_NOT_FOUND);
	assert_int_equal(spool_maintain(f->sp, &e), 1);
	/* Interrupted, the rest is found at the next start. */
	assert_in_range(count_chunks(f->sp), 5, 83);
	sw_reopen(f);
	assert_int_equal(count_chunks(f->sp), 4);
	expect_body(f->sp, stays, 200000, 3);
}

static void
test_drafts(void **state)
{
	struct spool_world *f = *state;
	struct spool_draft *d = make_draft(f->sp, 200000, 1);
	struct spool_unit *u;
	struct message m;
	struct err e = ERR_INIT;

	/* Given up. */
	spool_draft_free(d);
	maintain(f->sp);
	assert_int_equal(count_chunks(f->sp), 0);
	/* Not finished. */
	d = spool_draft_new(f->sp);
	assert_int_equal(spool_draft_add(d, "x", 1, &e), 0);
	fill_message(&m);
	assert_int_equal(spool_begin(f->sp, &u, &e), 0);
	assert_int_equal(spool_add_message(u, d, &m, &e), ERR_STATE);
	spool_abort(u);
	/* An aborted unit leaves the draft as it was. */
	assert_int_equal(spool_draft_end(d, &e), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(spool_begin(f->sp, &u, &e), 0);
		assert_int_equal(spool_add_message(u, d, &m, &e), 0);
		if (i == 0)
			spool_abort(u);
		else
			assert_int_equal(spool_commit(u, true, &e), 0);
	}
	spool_draft_free(d);
	expect_message(f->sp, m.id);
	message_release(&m);
	/* A crash before the message exists. */
	d = make_draft(f->sp, 200000, 1);
	assert_int_equal(store_flush(spool_store(f->sp), &e), 0);
	assert_int_equal(count_chunks(f->sp), 4);
	spool_draft_free(d);
	sw_reopen(f);
	assert_int_equal(count_chunks(f->sp), 0);
}

static void
test_room(void **state)
{
	struct spool_world *f = *state;
	struct spool_draft *d, *small = make_draft(f->sp, 100, 1);
	struct spool_unit *u;
	struct message m;
	struct err e = ERR_INIT;
	struct buf b = BUF_INIT;
	uint64_t id = add_message(f->sp, 100, 1);

	f->room = 999;
	assert_false(spool_has_room(f->sp));
	spool_set_min_free(f->sp, 999);
	assert_true(spool_has_room(f->sp));
	spool_set_min_free(f->sp, 1000);
	assert_false(spool_has_room(f->sp));
	d = spool_draft_new(f->sp);
	make_content(&b, SPOOL_CHUNK, 1);
	assert_int_equal(spool_draft_add(d, b.ptr, b.len, &e), ERR_FULL);
	assert_int_equal(spool_draft_add(d, b.ptr, 1, &e), ERR_STATE);
	spool_draft_free(d);
	fill_message(&m);
	assert_int_equal(spool_begin(f->sp, &u, &e), 0);
	assert_int_equal(spool_add_message(u, small, &m, &e), ERR_FULL);
	spool_abort(u);
	f->room = 1100;
	assert_int_equal(spool_begin(f->sp, &u, &e), 0);
	assert_int_equal(spool_add_message(u, small, &m, &e), 0);
	assert_int_equal(spool_commit(u, true, &e), ERR_FULL);
	assert_false(store_failed(spool_store(f->sp)));
	/* Deleting goes on. */
	f->room = 0;
	assert_int_equal(spool_begin(f->sp, &u, &e), 0);
	assert_int_equal(spool_del_message(u, id, &e), 0);
	assert_int_equal(spool_commit(u, true, &e), 0);
	f->room = UINT64_MAX;
	assert_int_equal(spool_begin(f->sp, &u, &e), 0);
	assert_int_equal(spool_add_message(u, small, &m, &e), 0);
	assert_int_equal(spool_commit(u, true, &e), 0);
	spool_draft_free(small);
	expect_body(f->sp, m.id, 100, 1);
	message_release(&m);
	buf_release(&b);
}

static void
test_state(void **state)
{
	struct spool_world *f = *state;
	struct message_state st;
	struct spool_unit *u;
	struct err e = ERR_INIT;
	uint64_t id = add_message(f->sp, 10, 1);

	assert_int_equal(spool_get_state(f->sp, id, 2, &st, &e), 0);
	assert_int_equal(st.n, 2);
	assert_int_equal(st.rcpt[1].status, RCPT_QUEUED);
	assert_null(st.rcpt[1].text);
	st.rcpt[0].unsure = true;
	st.rcpt[1] = (struct recipient_state){ RCPT_HELD, 3, 77, true, false,
	    "4.4.1", mem_strdup("no answer"), 1700000000123 };
	assert_int_equal(spool_begin(f->sp, &u, &e), 0);
	assert_int_equal(spool_put_state(u, id, &st, &e), 0);
	assert_int_equal(spool_commit(u, false, &e), 0);
	message_state_release(&st);
	sw_reopen(f);
	assert_int_equal(spool_get_state(f->sp, id, 2, &st, &e), 0);
	assert_int_equal(st.rcpt[0].status, RCPT_QUEUED);
	assert_int_equal(st.rcpt[1].status, RCPT_HELD);
	assert_int_equal(st.rcpt[1].attempts, 3);
	assert_int_equal(st.rcpt[1].next_secs, 77);
	assert_true(st.rcpt[1].delay_told);
	assert_true(st.rcpt[0].unsure);
	assert_false(st.rcpt[0].delay_told || st.rcpt[1].unsure);
	assert_string_equal(st.rcpt[1].status_code, "4.4.1");
	assert_string_equal(st.rcpt[1].text, "no answer");
	assert_int_equal(st.rcpt[0].attempt_ms, 0);
	assert_int_equal(st.rcpt[1].attempt_ms, 1700000000123);
	message_state_release(&st);
	/* Another number of recipients cannot be this message's. */
	assert_int_equal(spool_get_state(f->sp, id, 3, &st, &e),
	    ERR_CORRUPT);
	/* It goes with its message. */
	assert_int_equal(spool_begin(f->sp, &u, &e), 0);
	assert_int_equal(spool_del_message(u, id, &e), 0);
	assert_int_equal(spool_commit(u, false, &e), 0);
	assert_int_equal(spool_get_state(f->sp, id, 2, &st, &e), 0);
	assert_int_equal(st.rcpt[1].status, RCPT_QUEUED);
	message_state_release(&st);
}

static void
test_objects(void **state)
{
	struct spool_world *f = *state;
	uint16_t first[] = { 0, 2 }, second[] = { 65535 };
	struct object_part parts[] = { { 5, first, 2 }, { 6, second, 1 } };
	struct object o = { .status = OBJECT_WRITTEN, .road = NULL,
	    .cut_wall_ms = 1, .cut_secs = 2, .octets = 3, .part = parts,
	    .nparts = 2, .digest = { 1, 2, 255 } };
	char peer[] = "oslo", name[] = "0001", params[] = "dialect=bsmtp";
	struct object got;
	struct spool_unit *u;
	struct err e = ERR_INIT;
	uint64_t id = 0;

	o.road = peer;
	o.name = name;
	o.params = params;
	assert_int_equal(spool_begin(f->sp, &u, &e), 0);
	assert_int_equal(spool_put_object(u, &o, &e), 0);
	assert_int_not_equal(o.id, 0);
	assert_int_equal(spool_commit(u, true, &e), 0);
	sw_reopen(f);
	assert_int_equal(spool_next_object(f->sp, &id, &got, &e), 0);
	assert_int_equal(id, o.id);
	assert_int_equal(got.status, OBJECT_WRITTEN);
	assert_string_equal(got.road, "oslo");
	assert_string_equal(got.params, "dialect=bsmtp");
	assert_memory_equal(got.digest, o.digest, 32);
	assert_int_equal(got.nparts, 2);
	assert_int_equal(got.part[0].message, 5);
	assert_int_equal(got.part[0].rcpt[1], 2);
	assert_int_equal(got.part[1].rcpt[0], 65535);
	object_release(&got);
	assert_int_equal(spool_next_object(f->sp, &id, &got, &e),
	    ERR_NOT_FOUND);
	assert_int_equal(spool_begin(f->sp, &u, &e), 0);
	assert_int_equal(spool_del_object(u, id, &e), 0);
	assert_int_equal(spool_commit(u, true, &e), 0);
	assert_int_equal(spool_get_object(f->sp, id, &got, &e),
	    ERR_NOT_FOUND);
	/* Its id is not used again. */
	o.id = 0;
	assert_int_equal(spool_begin(f->sp, &u, &e), 0);
	assert_int_equal(spool_put_object(u, &o, &e), 0);
	assert_int_equal(spool_commit(u, true, &e), 0);
	assert_true(o.id > id);
}

static void
test_ledger(void **state)
{
	struct spool_world *f = *state;
	struct ledger_entry l = { true, 5, 0 };
	struct spool_unit *u;
	struct err e = ERR_INIT;
	char key[16];
	int rc, calls = 0;

	assert_int_equal(spool_begin(f->sp, &u, &e), 0);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "%u", i);
		l.first_secs = i;
		l.done = i != 3;
		assert_int_equal(spool_put_ledger(u, "oslo", slice_of(key),
		    &l, &e), 0);
	}
	assert_int_equal(spool_commit(u, true, &e), 0);
	assert_int_equal(spool_get_ledger(f->sp, "oslo", slice_of("7"), &l,
	    &e), 0);
	assert_true(l.done);
	assert_int_equal(l.transactions, 5);
	assert_int_equal(l.first_secs, 7);
	assert_int_equal(spool_get_ledger(f->sp, "osl", slice_of("o7"), &l,
	    &e), 0);
	assert_false(l.done);
	assert_int_equal(l.transactions, 0);
	do {
		rc = spool_expire_ledger(f->sp, 500, &e);
		calls++;
	} while (rc == 1);
	assert_int_equal(rc, 0);
	assert_in_range(calls, 2, 20);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "%u", i);
		assert_int_equal(spool_get_ledger(f->sp, "oslo",
		    slice_of(key), &l, &e), 0);
		assert_int_equal(l.transactions, i < 500 && i != 3 ? 0 : 5);
	}
}

static void
test_broken(void **state)
{
	static const size_t lens[] = { 0, 5000, 300000 };
	struct spool_world *f = *state;
	struct broken b, got;
	struct spool_unit *u;
	struct err e = ERR_INIT;
	uint64_t ids[3], id = 0;

	for (unsigned i = 0; i < 3; i++) {
		struct spool_draft *d = make_draft(f->sp, lens[i], i);

		broken_init(&b);
		b.peer = mem_strdup("oslo");
		b.reason = mem_strdup("line 3: no");
		b.wall_ms = 4;
		b.secs = 5;
		assert_int_equal(spool_begin(f->sp, &u, &e), 0);
		assert_int_equal(spool_add_broken(u, d, &b, &e), 0);
		assert_int_equal(spool_commit(u, true, &e), 0);
		ids[i] = b.id;
		spool_draft_free(d);
		broken_release(&b);
	}
	sw_reopen(f);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(spool_next_broken(f->sp, &id, &got, &e), 0);
		assert_int_equal(id, ids[i]);
		assert_int_equal(got.octets, lens[i]);
		assert_string_equal(got.reason, "line 3: no");
		assert_null(got.name);
		broken_release(&got);
		expect_body(f->sp, id, lens[i], i);
	}
	assert_int_equal(spool_next_broken(f->sp, &id, &got, &e),
	    ERR_NOT_FOUND);
	assert_int_equal(spool_begin(f->sp, &u, &e), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(spool_del_broken(u, ids[i], &e), 0);
	assert_int_equal(spool_commit(u, true, &e), 0);
	maintain(f->sp);
	assert_int_equal(count_chunks(f->sp), 0);
}

/* One octet of the stored record changes. */
static void
damage(struct spool *sp, enum store_table t, const void *key, size_t klen,
    size_t from_end)
{
	struct slice k = { key, klen };
	struct buf v = BUF_INIT;
	struct store *s = spool_store(sp);
	struct err e = ERR_INIT;

	assert_int_equal(store_get(s, t, k, 0, &v, &e), 0);
	v.ptr[v.len - 1 - from_end] ^= 1;
	assert_int_equal(store_begin(s, &e), 0);
	assert_int_equal(store_put(s, t, k, buf_slice(&v), &e), 0);
	assert_int_equal(store_commit(s, true, &e), 0);
	buf_release(&v);
}

static void
test_damage(void **state)
{
	struct spool_world *f = *state;
	struct message m;
	struct err e = ERR_INIT;
	struct buf out = BUF_INIT;
	uint64_t id = 0, ids[4];
	unsigned char key[12] = { 0 };

	for (unsigned i = 0; i < 4; i++)
		ids[i] = add_message(f->sp, i == 1 ? 200000 : 1000, i);
	assert_true(ids[3] < 256);
	key[7] = (unsigned char)ids[0];
	damage(f->sp, STORE_MESSAGE, key, 8, 0);	/* its content */
	key[7] = (unsigned char)ids[2];
	damage(f->sp, STORE_MESSAGE, key, 8, 1010);	/* its envelope */
	key[7] = (unsigned char)ids[1];
	key[11] = 2;
	damage(f->sp, STORE_BODY, key, 12, 5);
	expect_message(f->sp, ids[0]);
	assert_int_equal(read_body(f->sp, ids[0], &out), ERR_CORRUPT);
	assert_int_equal(out.len, 0);
	assert_int_equal(read_body(f->sp, ids[1], &out), ERR_CORRUPT);
	assert_int_equal(out.len, 2 * SPOOL_CHUNK);
	expect_message(f->sp, ids[1]);
	assert_int_equal(spool_get_message(f->sp, ids[2], &m, &e),
	    ERR_CORRUPT);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(spool_next_message(f->sp, &id, &m, &e),
		    i == 2 ? ERR_CORRUPT : 0);
		assert_int_equal(id, ids[i]);
		message_release(&m);
	}
	expect_message(f->sp, ids[3]);
	expect_body(f->sp, ids[3], 1000, 3);
	buf_release(&out);
}

/* Ids of what crashed away may come again, never those of what was kept. */
static void
test_ids_after_crash(void **state)
{
	struct spool_world *f = *state;
	uint64_t last = 0;

	for (int round = 0; round < 20; round++) {
		struct rng_seeded rng;
		uint64_t id = add_message(f->sp, 10, 1);

		assert_true(id > last);
		last = id;
		rng_seeded_init(&rng, (uint64_t)round);
		store_mem_disk_crash_at(f->disk, 1, &rng.rng);
		spool_draft_free(make_draft(f->sp, 200000, 1));
		spool_close(f->sp);
		f->sp = NULL;
		store_mem_disk_revive(f->disk);
		sw_reopen(f);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(messages),
		BOTH(delete),
		BOTH(drafts),
		BOTH(room),
		BOTH(state),
		BOTH(objects),
		BOTH(ledger),
		BOTH(broken),
		BOTH(damage),
		ONE(ids_after_crash, mem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
