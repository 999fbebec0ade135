/* SPDX-License-Identifier: ISC */
/*
 * What a spool knows of itself: its id, its schema, its time, the names of
 * its messages; over each engine.
 */
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
#include "base/text.h"
#include "spool/spool.h"
#include "tests/unit/spool_world.h"

static void
test_elapsed(void **state)
{
	struct spool_world *f = *state;
	uint64_t start = spool_elapsed_secs(f->sp);
	struct err e = ERR_INIT;

	assert_int_equal(start, SPOOL_ELAPSED_START);
	f->clock.mono += 3600 * 1000;
	f->clock.wall -= 86400LL * 365 * 1000;	/* set back: no matter */
	assert_int_equal(spool_elapsed_secs(f->sp), start + 3600);
	assert_int_equal(spool_tick(f->sp, &e), 0);
	sw_reopen(f);
	assert_int_equal(spool_elapsed_secs(f->sp), start + 3600);
	spool_close(f->sp);
	f->sp = NULL;
	f->clock.mono = 1;			/* started anew */
	f->clock.wall += 100 * 1000;
	sw_reopen(f);
	assert_int_equal(spool_elapsed_secs(f->sp), start + 3700);
	spool_close(f->sp);
	f->sp = NULL;
	f->clock.wall += 86400LL * 3650 * 1000;
	sw_reopen(f);
	assert_int_equal(spool_elapsed_secs(f->sp), start + 3700 +
	    7 * 86400);
	spool_close(f->sp);
	f->sp = NULL;
	f->clock.wall -= 86400LL * 1000;
	sw_reopen(f);
	assert_int_equal(spool_elapsed_secs(f->sp), start + 3700 +
	    7 * 86400);
}

static void
test_identity(void **state)
{
	struct spool_world *f = *state;
	struct buf id = BUF_INIT;

	assert_int_equal(strlen(spool_id(f->sp)), 32);
	buf_adds(&id, spool_id(f->sp));
	sw_reopen(f);
	assert_string_equal(spool_id(f->sp), buf_cstr(&id));
	buf_release(&id);
}

/* The record by hand: its CRC covers its key too. */
static void
put_schema(struct store *s, uint32_t schema)
{
	struct buf v = BUF_INIT, all = BUF_INIT;
	struct err e = ERR_INIT;

	buf_adds(&all, "schema");
	buf_put32(&all, schema);
	buf_put32(&v, crc32c(0, all.ptr, all.len));
	buf_put32(&v, schema);
	assert_int_equal(store_begin(s, &e), 0);
	assert_int_equal(store_put(s, STORE_META, slice_of("schema"),
	    buf_slice(&v), &e), 0);
	assert_int_equal(store_commit(s, true, &e), 0);
	buf_release(&v);
	buf_release(&all);
}

static void
test_schema(void **state)
{
	struct spool_world *f = *state;
	struct err e = ERR_INIT;

	put_schema(spool_store(f->sp), SPOOL_SCHEMA + 1);
	spool_close(f->sp);
	f->sp = NULL;
	assert_int_equal(sw_open(f, &e), ERR_STATE);
	assert_non_null(strstr(e.text, "newer"));
	assert_int_equal(sw_open(f, &e), ERR_STATE);
}

static void
test_schema_older(void **state)
{
	struct spool_world *f = *state;
	struct err e = ERR_INIT;

	put_schema(spool_store(f->sp), SPOOL_SCHEMA - 1);
	spool_close(f->sp);
	f->sp = NULL;
	assert_int_equal(sw_open(f, &e), ERR_STATE);
	assert_non_null(strstr(e.text, "postrider spool upgrade"));
}

static void
test_names(void **state)
{
	static const struct {
		uint64_t id;
		const char *name;
	} good[] = {
		{ 0, "0" }, { 9, "9" }, { 10, "a" }, { 31, "z" },
		{ 32, "10" }, { 1023, "zz" }, { 1024, "100" },
		{ UINT64_MAX, "fzzzzzzzzzzzz" },
	};
	static const char *const bad[] = { "", "01", "00", "i", "l", "o", "u",
	    "-1", "1 ", "gzzzzzzzzzzzz", "10000000000000" };
	uint64_t id;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_string_equal(message_name(good[i].id).s, good[i].name);
		assert_int_equal(message_name_parse(good[i].name, &id), 0);
		assert_int_equal(id, good[i].id);
	}
	assert_int_equal(message_name_parse("ZZ", &id), 0);
	assert_int_equal(id, 1023);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(message_name_parse(bad[i], &id), ERR_SYNTAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(elapsed),
		BOTH(identity),
		BOTH(schema),
		BOTH(schema_older),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
