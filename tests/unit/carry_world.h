/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_CARRY_WORLD_H
#define TESTS_UNIT_CARRY_WORLD_H
/* Two spools, of which one is exported and the other imported into. */
#include "spool/custody.h"
#include "spool/tool.h"
#include "tests/unit/kept_kinds.h"
#include "tests/unit/spool_world.h"

struct carry_world {
	struct spool_world *a, *b;	/* on Berkeley DB, in memory */
	char out[64];			/* a directory between them */
	struct buf told;		/* a line for each thing */
	struct spool_report report;
};

/* serial_in, flow_in, taken, site and seen. */
#define CARRIED (KEPT_CASES + KEPT_CASES / 2 + KEPT_CASES + KEPT_SITES + 10)
/* All but bundles and pieces. */
#define KEPT (4 * KEPT_CASES + KEPT_CASES + KEPT_CASES + KEPT_SITES + 10)

/* For cmocka: *state is a struct carry_world. */
int cw_setup(void **state);
int cw_teardown(void **state);
/* A spool_told. */
void cw_on_told(void *ctx, const char *text);
const char *cw_told(struct carry_world *f);
/* They fail the test where they fail; the report is in f. */
void cw_export(struct carry_world *f, struct spool *sp);
void cw_import(struct carry_world *f, struct spool *sp);
void cw_verify(struct carry_world *f, struct spool *sp);
/* A bundle whose name is true, in pieces of 30011 octets. */
uint64_t cw_add_bundle(struct spool *sp, enum bundle_role role,
    const char *from, size_t len, unsigned seed);
/* Its pieces, one after the other, are those. */
void cw_expect_octets(struct spool *sp, uint64_t id, size_t len,
    unsigned seed);
uint64_t cw_add_message(struct spool *sp);
void cw_expect_origin(struct spool *sp, uint64_t id, uint64_t epoch,
    uint64_t number);
/* All kept_kinds and ten names seen. */
void cw_put_kinds(struct spool *sp);
/* All of them, or those that are carried.  The clocks stand: even the times
 * are the same. */
void cw_expect_kinds(struct spool *sp, bool all);

#endif
