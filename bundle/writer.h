/* SPDX-License-Identifier: ISC */
#ifndef BUNDLE_WRITER_H
#define BUNDLE_WRITER_H
/*
 * The generator: messages in, the octets of an object out, streaming.  The
 * same calls with the same parameters give the same octets.
 *
 *	w = bundle_writer_new(&params, sink, ctx)
 *	for each message:
 *		bundle_writer_begin; bundle_writer_content ...;
 *		bundle_writer_end_message
 *	bundle_writer_finish
 *
 * The batch is the client half of smtp/ with every command taken to succeed
 * (RFC 2442 3.1).  Its first line after EHLO is "NOOP postrider-id=ID" and a
 * message that has passed nodes is preceded by "NOOP postrider-hops=N", where
 * `ids` is set.
 *
 * A native batch (postrider-parcel(5)) is transactions and nothing else, all
 * content by BDAT, compressed by itself; number and hops of a message are
 * parameters of its MAIL.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "bundle/filter.h"
#include "bundle/mime.h"
#include "bundle/squeeze.h"
#include "smtp/envelope.h"

/* RFC 5321 4.5.3.1.8: every receiver takes so many in one transaction. */
#define BUNDLE_RECIPIENTS_MAX 100
/* In a native batch, where both ends are ours. */
#define BUNDLE_NATIVE_RECIPIENTS_MAX 1000

/* NATIVE: not written here but by frames and bags, as seal.h seals th/* Native, after bundle_writer_finish: SHA-256 of the batch, uncompressed. */
void bundle_writer_digest(const struct bundle_writer *w,
    unsigned char digest_out[32]);

#endif
