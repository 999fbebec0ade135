/* SPDX-License-Identifier: ISC */
#ifndef BUNDLE_READER_H
#define BUNDLE_READER_H
/*
 * The processor (RFC 2442 3.2): the octets of any object in, messages out.
 * It finds out what the object is (bare, compressed, a MIME object), undoes
 * encoding and compression, and runs the batch through the server half of
 * smtp/, with nobody to answer.
 *
 *	while (bundle_reader_next(r, in, len, &used, &ev) == 1)
 *		look at ev; drop `used` octets of input
 *	give more; at the end bundle_reader_eof until 0
 *
 * Each transaction gives BEGIN, CONTENT ..., and END; or RESET in place of
 * END where it came to nothing.  It keeps its index then, so that an index
 * means the same transaction whenever the object is read; one without any
 * recipient has no effect (RFC 2442 3.2), gives no event and has no index.
 * Every syntactically valid recipient is in the envelope at BEGIN: whether it
 * may be reached is for the caller to say.
 * BROKEN ends the object: what was whole before it stays good.  A recipient
 * beyond recipients_max is an ERROR before the BEGIN of its message.  Behind
 * QUIT a new HELO or EHLO of a bare batch is read on, anything else is not
 * looked at.  Pointers in an event live until the next call.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "bundle/expand.h"
#include "bundle/mime.h"
#include "bundle/writer.h"
#include "smtp/server.h"

struct bundle_reader_options {
	unsigned extensions;	/* understood; others in required-extensions
				 * make the object BROKEN unread */
	uint64_t message_max;	/* as in smtp/server.h */
	size_t recipients_max, line_max, command_max;
	uint64_t batch_max;	/* octets of the batch uncompressed; 0 none */
	bool strict;		/* no habits of the field: CR LF, brackets */
	bool native;		/* a native batch: nothing is found out, one
				 * way to write it; extensions is not looked
				 * at */
};

void bundle_reader_options_default(struct bundle_reader_options *opts);

enum bundle_format { BUNDLE_FORMAT_NONE, BUNDLE_FORMAT_BSMTP,
	BUNDLE_FORMAT_RFC2442, BUNDLE_FORMAT_NATIVE };

enum bundle_event_kind {
	BUNDLE_EVENT_FORMAT,	/* first of all, but where it is NOT_BATCH:
				 * format, compression, required, id */
	BUNDLE_EVENT_ID,	/* id: from a NOOP of a bare batch */
	BUNDLE_EVENT_BEGIN,	/* index, envelope, hops; line of its MAIL */
	BUNDLE_EVENT_CONTENT,	/* bytes */
	BUNDLE_EVENT_END,	/* index, envelope, facts: it is whole */
	BUNDLE_EVENT_RESET,	/* the one begun is void */
	BUNDLE_EVENT_ERROR,	/* one message or command suffers alone:
				 * refusal, line, bytes (the command), reason;
				 * behind the RESET if a message was begun */
	BUNDLE_EVENT_BROKEN,	/* last: reason (and refusal, line, bytes where
				 * a command was at fault) */
	BUNDLE_EVENT_NOT_BATCH,	/* last: ordinary mail or nothing we know:
				 * reason */
	BUNDLE_EVENT_DONE,	/* last: all of it was good */
};

struct bundle_event {
	enum bundle_event_kind kind;
	enum bundle_format format;
	enum compression compression;	/* of it, or of the batch in it */
	bool quit;		/* DONE: it ended with QUIT, as it should (a
				 * native one has none) */
	const char *required;	/* FORMAT: required-extensions, or NULL */
	const char *id;		/* Message-ID with brackets, or NOOP id */
	uint64_t index;		/* of the transaction, from 1 */
	const struct envelope *envelope;
	const struct content_facts *facts;
	unsigned hops;		/* native: the number is envelope->origin's */
	struct slice bytes;
	struct smtp_refusal refusal;
	uint64_t line;		/* of the batch, from 1 */
	const char *reason;	/* ERROR, BROKEN, NOT_BATCH: a sentence */
};

struct bundle_reader;
struct bundle_reader *bundle_reader_new(
    const struct bundle_reader_options *opts);
void bundle_reader_free(struct bundle_reader *r);
/* 1: an event; 0: more input.  After a last event always 0, and all input is
 * used.  A call stops at the first event; between events at most what `in`
 * and 64 KiB for each stage hold is worked on at a time, never more memory. */
int bundle_reader_next(struct bundle_reader *r, const char *in, size_t len,
    size_t *used_out, struct bundle_event *ev) MUST_CHECK;
/* The input has ended: 1 with an event (call again), 0: no more. */
int bundle_reader_eof(struct bundle_reader *r, struct bundle_event *ev)
    MUST_CHECK;

/* Native: SHA-256 of the batch, uncompressed, up to the end of the last event;
 * at an END it is that of all transactions so far. */
void bundle_reader_digest(const struct bundle_reader *r,
    unsigned char digest_out[32]);

#endif
