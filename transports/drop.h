/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_DROP_H
#define TRANSPORTS_DROP_H
/*
 * Copies files of out/ into a drop directory: dot name, fsync, rename, fsync
 * of the directory, syncfs of the medium, and only then is it reported as
 * sent.  out/ itself is never changed.
 */
#include "transports/contract.h"
#include "transports/medium.h"

struct drop;

/* suffix: put behind the names in the drop directory; lives as long as the
 * drop does. */
struct drop *drop_new(struct contract *c, const char *suffix);
void drop_free(struct drop *d);
/* Forgets what was sent and has left out/ since. */
void drop_forget(struct drop *d, const struct contract_names *out);
/* Whether a file in out/ is still to be sent. */
bool drop_wanted(const struct drop *d, const struct contract_names *out);
/* Sends what this run has not sent yet.  On an error the file was reported
 * as failed for now, nothing half is left, and the rest waits.  Stops early,
 * with 0, when the daemon says stop. */
int drop_pass(struct drop *d, const struct medium *m,
    const struct contract_names *out, struct err *e) MUST_CHECK;

#endif
