/* SPDX-License-Identifier: ISC */
#ifndef SPOOL_CUSTODYFILE_H
#define SPOOL_CUSTODYFILE_H
/*
 * The file custody.txt of an export: a line for each record of what was
 * received of other sites, its members one after the other, as
 * postrider-spool(7) specifies.  It is read line by line, for it may be long.
 */
#include "spool/kept.h"

#define CUSTODYFILE_HEAD "postrider-custody 1"
/* Hexadecimal doubles, escapes of a name take four for one. */
#define CUSTODYFILE_LINE_MAX (2 * SPOOL_RECORD_MAX + 4096)

struct seen {
	char kind;
	struct buf key;
	uint64_t expire_secs;
};

struct custody_line {
	const struct kept *kept;	/* NULL: seen */
	union kept_any any;
	struct seen seen;
};

/* Does the file have lines of this kind? */
bool custodyfile_has(const struct kept *k);
void custodyfile_put(struct buf *out, const struct kept *k, const void *v,
    uint64_t now_secs);
void custodyfile_put_seen(struct buf *out, const struct seen *s,
    uint64_t now_secs);
/* A line without its end.  l_out is to be released, also on ERR_SYNTAX. */
int custodyfile_get(struct slice line, uint64_t now_secs,
    struct custody_line *l_out) MUST_CHECK;
void custody_line_release(struct custody_line *l);

#endif
