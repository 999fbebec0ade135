/* SPDX-License-Identifier: ISC */
#ifndef SPOOL_CARRY_H
#define SPOOL_CARRY_H
/*
 * What export and import have in common, and their parts for the native
 * dialect.
 */
#include "base/map.h"
#include "spool/tool.h"

struct carry {
	struct spool *sp;
	const char *dir;
	struct spool_report *report;
	spool_told *told;
	void *ctx;
	struct buf scratch;
	/* Of an export: */
	struct map *underway;	/* recipients in batches without a result */
	/* Of an import: */
	bool spool_refuses;	/* the spool's error, not the file's */
	struct map *bundles;	/* names of those that are there */
};

/* What cannot be read is told and left out, and 0; else rc. */
int export_weigh(struct carry *x, int rc, const struct err *e) MUST_CHECK;
/* x->scratch, which is empty then, as NAME.SUFFIX in dir. */
int export_text(struct carry *x, const char *dir, uint64_t id,
    const char *suffix, struct err *e) MUST_CHECK;
/* Finds out what is under way; and marks in st what of message id is. */
int export_gather(struct carry *x, struct err *e) MUST_CHECK;
void export_mark(const struct carry *x, uint64_t id,
    struct message_state *st);
/* DIR/bundle/ID.bun and ID.way, and DIR/custody.txt. */
int export_bundles(struct carry *x, struct err *e) MUST_CHECK;
int export_custody(struct carry *x, struct err *e) MUST_CHECK;

/* Reads a pair; on a negative result it is left, unless spool_refuses. */
typedef int import_pair(struct carry *in, const char *path,
    const char *other_path, struct err *e);
/* Each file with suffix (of four characters), and the other beside it, by the
 * order of their numbers.  A directory that is not there is empty. */
int import_dir(struct carry *in, const char *subdir, const char *suffix,
    const char *other_suffix, import_pair *fn, struct err *e) MUST_CHECK;
/* Ends a unit that holds one change, whose result is rc: commits, or gives it
 * up.  On an error it is the spool that refuses. */
int import_unit(struct carry *in, struct spool_unit *u, int rc,
    struct err *e) MUST_CHECK;
int import_bundles(struct carry *in, struct err *e) MUST_CHECK;
int import_custody(struct carry *in, struct err *e) MUST_CHECK;

#endif
