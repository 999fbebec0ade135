/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_SPOOL_WORLD_H
#define TESTS_UNIT_SPOOL_WORLD_H
/* A spool over either engine, with a clock and a disk that a test sets. */
#include "spool/spool.h"

struct sw_clock {
	struct clock clock;
	int64_t wall, mono;
};

struct spool_world {
	bool bdb;
	char dir[64];
	struct store_mem_disk *disk;
	struct sw_clock clock;
	uint64_t room;
	struct spool *sp;
};

/* Small files, so that a test meets their ends. */
struct store_options sw_small_store(const char *dir);
int sw_open(struct spool_world *f, struct err *e);
/* Closes it first; fails the test if it does not open. */
void sw_reopen(struct spool_world *f);
/* For cmocka: *state is a struct spool_world. */
int sw_setup_bdb(void **state);
int sw_setup_mem(void **state);
int sw_teardown(void **state);
/* Rows of a table of cmocka's, for test_NAME: on both engines, or on one. */
#define BOTH(name) \
	{ "bdb: " #name, test_##name, sw_setup_bdb, sw_teardown, NULL }, \
	{ "mem: " #name, test_##name, sw_setup_mem, sw_teardown, NULL }
#define ONE(name, engine) \
	{ #name, test_##name, sw_setup_##engine, sw_teardown, NULL }
/* Of any spool; they fail the test where they fail. */
void sw_begin(struct spool *sp, struct spool_unit **u_out);
void sw_commit(struct spool_unit *u);	/* flushed */
void sw_maintain(struct spool *sp);	/* to its end */
size_t sw_count(struct spool *sp, enum store_table t);	/* its records */

#endif
