/* SPDX-License-Identifier: ISC */
#ifndef SPOOL_TOOL_H
#define SPOOL_TOOL_H
/*
 * What an operator does to a spool: check, back up, rescue, move.
 */
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "spool/spool.h"

struct spool_report {
	uint64_t messages, objects, ledger, broken, octets;
	uint64_t bundles;
	uint64_t custody;	/* other records of the native dialect */
	uint64_t damaged;	/* records that failed a check */
};

/* Called with a sentence for each thing found wrong or lost. */
typedef void spool_told(void *ctx, const char *text);

/* Reads every record and every body.  0 also when damage was found: look at
 * report->damaged. */
int spool_verify(struct spool *sp, struct spool_report *report_out,
    spool_told *told, void *ctx, struct err *e) MUST_CHECK;
/* Writes DIR/ID.eml and DIR/ID.env for each message (the content to the octet;
 * the envelope as lines "key: value", specified in postrider-spool(7)),
 * DIR/broken/ID.obj with ID.why, DIR/bundle/ID.bun with ID.way for each whole
 * bundle that came from a peer, and DIR/custody.txt: what was received of
 * other sites. */
int spool_export(struct spool *sp, const char *dir,
    struct spool_report *report_out, spool_told *told, void *ctx,
    struct err *e) MUST_CHECK;
/* The way back; every file pair is one message or bundle with a new id, and
 * the spool's epoch is a new one.  A pair or a line that cannot be read is
 * told and left, the others go in. */
int spool_import(struct spool *sp, const char *dir,
    struct spool_report *report_out, spool_told *told, void *ctx,
    struct err *e) MUST_CHECK;
/* Rebuilds the spool in dir (not open by anyone) from a backup and the logs
 * (backup may be NULL: from what can be read).  The old files are kept in
 * dir/damaged-TIME.  Names what was lost; the new spool has a new id. */
int spool_salvage(const char *dir, const char *backup, struct clock *clock,
    struct rng *rng, struct spool_report *report_out, spool_told *told,
    void *ctx, struct err *e) MUST_CHECK;
/* Brings an older schema up to SPOOL_SCHEMA, after a backup into backup_dir. */
int spool_upgrade(const char *dir, const char *backup_dir, struct err *e)
    MUST_CHECK;

#endif
