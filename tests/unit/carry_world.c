/* SPDX-License-Identifier: ISC */
/* Two spools, and what a test of the tools puts into them. */
#include "tests/unit/carry_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/text.h"

void
cw_on_told(void *ctx, const char *text)
{
	buf_addf(&((struct carry_world *)ctx)->told, "%s\n", text);
}

int
cw_setup(void **state)
{
	struct carry_world *f = mem_alloc(1, sizeof(*f));
	void *a, *b;

	assert_int_equal(sw_setup_bdb(&a), 0);
	assert_int_equal(sw_setup_mem(&b), 0);
	f->a = a;
	f->b = b;
	snprintf(f->out, sizeof(f->out), "/tmp/test_carry.XXXXXX");
	assert_non_null(mkdtemp(f->out));
	*state = f;
	return 0;
}

int
cw_teardown(void **state)
{
	struct carry_world *f = *state;
	char *command = mem_printf("rm -rf '%s'", f->out);
	void *a = f->a, *b = f->b;

	assert_int_equal(system(command), 0);
	assert_int_equal(sw_teardown(&a), 0);
	assert_int_equal(sw_teardown(&b), 0);
	free(command);
	buf_release(&f->told);
	free(f);
	return 0;
}

const char *
cw_told(struct carry_world *f)
{
	return buf_cstr(&f->told);
}

void
cw_export(struct carry_world *f, struct spool *sp)
{
	struct err e = ERR_INIT;

	buf_clear(&f->told);
	if (spool_export(sp, f->out, &f->report, cw_on_told, f, &e) < 0)
		fail_msg("export: %s", e.text);
}

void
cw_import(struct carry_world *f, struct spool *sp)
{
	struct err e = ERR_INIT;

	buf_clear(&f->told);
	if (spool_import(sp, f->out, &f->report, cw_on_told, f, &e) < 0)
		fail_msg("import: %s", e.text);
}

void
cw_verify(struct carry_world *f, struct spool *sp)
{
	struct err e = ERR_INIT;

	buf_clear(&f->told);
	if (spool_verify(sp, &f->report, cw_on_told, f, &e) < 0)
		fail_msg("verify: %s", e.text);
}

static void
make_octets(struct buf *b, size_t len, unsigned seed)
{
	buf_clear(b);
	while (b->len < len)
		buf_addc(b, (char)(b->len * 13 + b->len / 997 + seed));
}

uint64_t
cw_add_bundle(struct spool *sp, enum bundle_role role, const char *from,
    size_t len, unsigned seed)
{
	unsigned char digest[SHA256_LEN];
	struct buf octets = BUF_INIT;
	struct spool_unit *u;
	struct sha256 h;
	struct bundle b;
	struct err e = ERR_INIT;
	uint64_t id;

	make_octets(&octets, len, seed);
	sha256_init(&h);
	sha256_add(&h, octets.ptr, len);
	sha256_end(&h, digest);
	bundle_init(&b);
	memcpy(b.name, digest, sizeof(b.name));
	b.role = role;
	b.direct = seed % 2 == 1;
	b.from = from != NULL ? mem_strdup(from) : NULL;
	b.destination = mem_strdup("oslo");
	b.peer = mem_strdup("oslo");
	b.priority = -3;
	b.hops = 19;
	b.octets = len;
	b.born_secs = spool_elapsed_secs(sp) - 500;
	b.expire_secs = spool_elapsed_secs(sp) + 700;
	bundle_range_set(&b.range, &b.nranges, (struct bundle_range){ 0,
	    len / 2, true, 0 });
	sw_begin(sp, &u);
	assert_int_equal(spool_take_bundle_id(u, &b.id, &e), 0);
	for (size_t at = 0, n; at < len; at += n) {
		n = len - at < 30011 ? len - at : 30011;
		assert_int_equal(spool_put_piece(u, b.id, at,
		    (struct slice){ octets.ptr + at, n }, &e), 0);
	}
	assert_int_equal(spool_put_bundle(u, &b, &e), 0);
	sw_commit(u);
	id = b.id;
	buf_release(&octets);
	bundle_release(&b);
	return id;
}

void
cw_expect_octets(struct spool *sp, uint64_t id, size_t len, unsigned seed)
{
	struct buf want = BUF_INIT, got = BUF_INIT;
	struct err e = ERR_INIT;

	make_octets(&want, len, seed);
	while (spool_read_piece(sp, id, got.len, &got, &e) == 1)
		continue;
	assert_true(slice_eq(buf_slice(&want), buf_slice(&got)));
	buf_release(&want);
	buf_release(&got);
}

uint64_t
cw_add_message(struct spool *sp)
{
	struct spool_draft *d = spool_draft_new(sp);
	struct spool_unit *u;
	struct message m;
	struct err e = ERR_INIT;
	uint64_t id;

	assert_int_equal(spool_draft_add(d, "text\r\n", 6, &e), 0);
	assert_int_equal(spool_draft_end(d, &e), 0);
	message_init(&m);
	m.env.sender = mem_strdup("");
	envelope_add_recipient(&m.env, "a@example.org", NULL, NULL);
	sw_begin(sp, &u);
	assert_int_equal(spool_add_message(u, d, &m, &e), 0);
	sw_commit(u);
	spool_draft_free(d);
	id = m.id;
	message_release(&m);
	return id;
}

void
cw_put_kinds(struct spool *sp)
{
	struct spool_unit *u;
	struct err e = ERR_INIT;

	sw_begin(sp, &u);
	for (size_t k = 0; k < KEPT_KINDS; k++)
		for (unsigned i = 0; i < kept_kinds[k].ncases; i++)
			assert_int_equal(kept_kinds[k].put(u, i, &e), 0);
	for (unsigned i = 0; i < 10; i++) {
		char key = (char)(i * 20);

		assert_int_equal(spool_put_seen(u, i % 2 ? 'p' : 'b',
		    (struct slice){ &key, 1 }, spool_elapsed_secs(sp) + i,
		    &e), 0);
	}
	sw_commit(u);
}

static bool
is_carried(const char *kind)
{
	static const char *const carried[] = { "serial_in", "flow_in",
		"taken", "site" };

	for (size_t i = 0; i < sizeof(carried) / sizeof(carried[0]); i++)
		if (strcmp(kind, carried[i]) == 0)
			return true;
	return false;
}

void
cw_expect_kinds(struct spool *sp, bool all)
{
	struct err e = ERR_INIT;

	for (size_t k = 0; k < KEPT_KINDS; k++)
		for (unsigned i = 0; i < kept_kinds[k].ncases; i++)
			assert_int_equal(kept_kinds[k].get(sp, i, &e),
			    all || is_carried(kept_kinds[k].name) ? 0 :
			    ERR_NOT_FOUND);
	for (unsigned i = 0; i < 10; i++) {
		char key = (char)(i * 20);

		assert_int_equal(spool_get_seen(sp, i % 2 ? 'p' : 'b',
		    (struct slice){ &key, 1 }, &e), 1);
		assert_int_equal(spool_get_seen(sp, i % 2 ? 'b' : 'p',
		    (struct slice){ &key, 1 }, &e), 0);
	}
}

void
cw_expect_origin(struct spool *sp, uint64_t id, uint64_t epoch, uint64_t number)
{
	struct message m;
	struct err e = ERR_INIT;
	uint64_t got_epoch, got_number;

	assert_int_equal(spool_get_message(sp, id, &m, &e), 0);
	spool_message_origin(sp, &m, &got_epoch, &got_number);
	assert_true(got_epoch == epoch && got_number == number);
	message_release(&m);
}
