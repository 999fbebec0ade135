/* SPDX-License-Identifier: ISC */
#ifndef SPOOL_ENVFILE_H
#define SPOOL_ENVFILE_H
/*
 * The text beside an exported message, broken object or bundle, as
 * postrider-spool(7) specifies: lines "key: value".  Octets below 32, 127 and
 * the backslash are written as \xHH.  Points in time are written as a
 * distance, so that they mean the same in another spool.
 */
#include "base/buf.h"
#include "base/err.h"
#include "spool/custody.h"

void envfile_put(struct buf *out, const struct message *m,
    const struct message_state *st, uint64_t now_secs);
/* Into initialised ones.  ERR_SYNTAX names the line. */
int envfile_get(struct slice text, uint64_t now_secs, struct message *m_out,
    struct message_state *st_out, struct err *e) MUST_CHECK;
void whyfile_put(struct buf *out, const struct broken *b, uint64_t now_secs);
/* Of a whole bundle; its ranges and its number are not in it. */
void wayfile_put(struct buf *out, const struct bundle *b, uint64_t now_secs);
int wayfile_get(struct slice text, uint64_t now_secs, struct bundle *b_out,
    struct err *e) MUST_CHECK;
int whyfile_get(struct slice text, uint64_t now_secs, struct broken *b_out,
    struct err *e) MUST_CHECK;

#endif
