/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_KEPT_KINDS_H
#define TESTS_UNIT_KEPT_KINDS_H
/*
 * Values of every kind of spool/custody.h but bundles, for tests that do the
 * same to all of them: value i of a kind can be made, put, read and compared.
 */
#include "spool/custody.h"

#define KEPT_SITES 4
#define KEPT_CASES (KEPT_SITES * 4)

/* In the order of their keys; some are the beginning of others. */
extern const char *const kept_sites[KEPT_SITES];

/* The flow and serial of a case: each site has two flows of two. */
struct kept_at {
	const char *site;
	uint64_t epoch, serial;
};
struct kept_at kept_case(unsigned i);

struct kept_kind {
	const char *name;
	enum store_table table;
	unsigned ncases;
	int (*put)(struct spool_unit *u, unsigned i, struct err *e);
	/* 0 or the error; fails the test where it is another value, or where
	 * a damaged one has more than its key. */
	int (*get)(struct spool *sp, unsigned i, struct err *e);
	/* The i-th of the walk. */
	int (*next)(struct spool *sp, struct buf *at, unsigned i,
	    struct err *e);
	/* NULL: it goes by age alone. */
	int (*del)(struct spool_unit *u, unsigned i, struct err *e);
};

#define KEPT_KINDS 8
extern const struct kept_kind kept_kinds[KEPT_KINDS];

/* What a get that returned rc has given: rc, and it is released. */
int kept_check_serial_out(struct serial_out *got, unsigned i, int rc);
int kept_check_serial_in(struct serial_in *got, unsigned i, int rc);
int kept_check_owed_ack(struct owed_ack *got, unsigned i, int rc);

#endif
