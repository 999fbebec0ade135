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
#include "smtp/command.h"
#include "smtp/envelope.h"

/* RFC 5321 4.5.3.1.8: every receiver takes so many in one transaction. */
#define BUNDLE_RECIPIENTS_MAX 100
/* In a native batch, where both ends are ours. */
#define BUNDLE_NATIVE_RECIPIENTS_MAX 1000

/* NATIVE: of an object that is not written here but by frames and bags, as
 * seal.h seals them; here it is the batch inside. */
enum bundle_dialect { BUNDLE_BSMTP, BUNDLE_RFC2442, BUNDLE_NATIVE };

struct bundle_params {
	enum bundle_dialect dialect;
	bool gzip;			/* rfc2442: named as XGZIP, base64 */
	int gzip_level;			/* 1..9, default 6 */
	enum mime_encoding encoding;	/* rfc2442; whether one that changes
					 * nothing fits the content is the
					 * caller's affair */
	bool ids;
	bool plain;			/* bsmtp: no ESMTP parameters */
	const char *id;			/* of it; letters, digits, ".-" */
	const char *helo;
	unsigned extensions;		/* that may be used */
	unsigned required;		/* union of envelope_needs and XGZIP:
					 * what is beyond SMTP_EXT_RFC2442
					 * is named in required-extensions,
					 * behind the three of that list,
					 * which the parameter replaces */
	const char *from, *to;		/* rfc2442: bundle addresses */
	int64_t date_ms;		/* rfc2442: its Date */
	struct squeeze_how squeeze;	/* native: its compression.  Of all the
					 * others it looks at none. */
};

struct bundle_writer;
struct bundle_writer *bundle_writer_new(const struct bundle_params *params,
    sink_fn *sink, void *ctx);
void bundle_writer_free(struct bundle_writer *w);
/* For recipients rcpt[0..n-1] of env; a transaction has at most
 * bundle_recipients_max of them: the caller splits.  ERR_UNSUPPORTED: it needs
 * an extension that may not be used.  Native: env->origin.number is that of
 * the message at its origin; hops is taken from here.  env must stay until
 * bundle_writer_end_message. */
size_t bundle_recipients_max(enum bundle_dialect dialect);
int bundle_writer_begin(struct bundle_writer *w, const struct envelope *env,
    const struct content_facts *facts, unsigned hops, const size_t *rcpt,
    size_t n, struct err *e) MUST_CHECK;
int bundle_writer_content(struct bundle_writer *w, const char *bytes,
    size_t len, struct err *e) MUST_CHECK;
int bundle_writer_end_message(struct bundle_writer *w, struct err *e)
    MUST_CHECK;
int bundle_writer_finish(struct bundle_writer *w, struct err *e) MUST_CHECK;
/* Why the last ERR_UNSUPPORTED was. */
const struct smtp_refusal *bundle_writer_refusal(
    const struct bundle_writer *w);

/* Native, after bundle_writer_finish: SHA-256 of the batch, uncompressed. */
void bundle_writer_digest(const struct bundle_writer *w,
    unsigned char digest_out[32]);

#endif
