/* SPDX-License-Identifier: ISC */
/* The world of a spool that is tested: made, opened again, swept away. */
#include "tests/unit/spool_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

static int64_t
test_wall(struct clock *c)
{
	return ((struct sw_clock *)c)->wall;
}

static int64_t
test_mono(struct clock *c)
{
	return ((struct sw_clock *)c)->mono;
}

static uint64_t
room_left(void *ctx)
{
	return ((struct spool_world *)ctx)->room;
}

/* Small files, so that a test meets their ends. */
struct store_options
sw_small_store(const char *dir)
{
	struct store_options opts;

	store_options_default(&opts);
	opts.dir = dir;
	opts.log_buffer_bytes = 64 << 10;
	opts.log_file_bytes = 512 << 10;
	opts.checkpoint_bytes = 256 << 10;
	return opts;
}

int
sw_open(struct spool_world *f, struct err *e)
{
	struct store_options opts = sw_small_store(f->dir);
	struct spool_options sopts = { .clock = &f->clock.clock,
	    .rng = rng_real(), .min_free_bytes = 1000,
	    .free_bytes = room_left, .free_ctx = f, .dir = f->dir };
	struct store *store;
	int rc;

	rc = f->bdb ? store_open_bdb(&opts, &store, e) :
	    store_open_mem(f->disk, &store, e);
	return rc < 0 ? rc : spool_open(store, &sopts, &f->sp, e);
}

void
sw_reopen(struct spool_world *f)
{
	struct err e = ERR_INIT;

	spool_close(f->sp);
	f->sp = NULL;
	if (sw_open(f, &e) < 0)
		fail_msg("open: %s", e.text);
}

static struct spool_world *
sw_new(bool bdb)
{
	struct spool_world *f = mem_alloc(1, sizeof(*f));

	f->bdb = bdb;
	f->clock = (struct sw_clock){ { test_wall, test_mono },
	    1700000000000, 5000 };
	f->room = UINT64_MAX;
	snprintf(f->dir, sizeof(f->dir), "/tmp/test_spool.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->disk = store_mem_disk_new();
	sw_reopen(f);
	return f;
}

int
sw_setup_bdb(void **state)
{
	*state = sw_new(true);
	return 0;
}

int
sw_setup_mem(void **state)
{
	*state = sw_new(false);
	return 0;
}

int
sw_teardown(void **state)
{
	struct spool_world *f = *state;
	char *command = mem_printf("rm -rf '%s'", f->dir);

	spool_close(f->sp);
	store_mem_disk_free(f->disk);
	assert_int_equal(system(command), 0);
	free(command);
	free(f);
	return 0;
}

void
sw_begin(struct spool *sp, struct spool_unit **u_out)
{
	struct err e = ERR_INIT;

	if (spool_begin(sp, u_out, &e) < 0)
		fail_msg("begin: %s", e.text);
}

void
sw_commit(struct spool_unit *u)
{
	struct err e = ERR_INIT;

	if (spool_commit(u, true, &e) < 0)
		fail_msg("commit: %s", e.text);
}

void
sw_maintain(struct spool *sp)
{
	struct err e = ERR_INIT;
	int rc;

	while ((rc = spool_maintain(sp, &e)) > 0)
		continue;
	assert_int_equal(rc, 0);
}

size_t
sw_count(struct spool *sp, enum store_table t)
{
	struct buf key = BUF_INIT;
	struct err e = ERR_INIT;
	size_t n = 0;

	while (store_next(spool_store(sp), t, false, &key, 0, NULL, &e) == 0)
		n++;
	buf_release(&key);
	return n;
}
