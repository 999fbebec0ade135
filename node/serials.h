/* SPDX-License-Identifier: ISC */
#ifndef NODE_SERIALS_H
#define NODE_SERIALS_H
/*
 * Which serials of our flows are reserved, remembered outside the spool and
 * its backups (design: Custody).  A spool that was put back from a backup does
 * not agree with it, and opens a new epoch.  The empty site stands for the
 * numbers of messages.
 *
 * The daemon keeps it in a small file; tests and the simulation in memory.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct serials;

/* path: text, a line each: SITE EPOCH RESERVED; read whole here (ERR_SYNTAX
 * names the line; a file that is not there is empty).  path NULL: in memory
 * alone. */
int serials_open(const char *path, struct serials **s_out, struct err *e)
    MUST_CHECK;
void serials_close(struct serials *s);
/* Durable on return.  Of each site only the newest epoch is kept. */
int serials_reserve(struct serials *s, const char *site, uint64_t epoch,
    uint64_t reserved, struct err *e) MUST_CHECK;
/* Is this what was reserved last for that site?  s may be NULL: yes. */
bool serials_agree(const struct serials *s, const char *site, uint64_t epoch,
    uint64_t reserved);
/* Was anything reserved for it in this epoch? */
bool serials_knows(const struct serials *s, const char *site, uint64_t epoch);
/* The i-th site's; NULL at the end. */
const char *serials_site(const struct serials *s, size_t i,
    uint64_t *epoch_out, uint64_t *reserved_out);
/* Forgets everything, as where the file was lost; for tests. */
void serials_clear(struct serials *s);

#endif
