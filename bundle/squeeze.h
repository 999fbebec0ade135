/* SPDX-License-Identifier: ISC */
#ifndef BUNDLE_SQUEEZE_H
#define BUNDLE_SQUEEZE_H
/*
 * The compression of native batches (postrider-parcel(5), "Compression"): an
 * octet that says how, then raw deflate (RFC 1951), in constant memory.
 *
 *	w = squeeze_writer_new(how, sink, ctx)
 *	for each message: squeeze_writer_add ...; squeeze_writer_cut
 *	squeeze_writer_end
 *
 * The same calls give the same octets, however content was cut into pieces.
 * `each` keeps what messages have in common from being seen in the length:
 * nobody learns of another's mail by mailing guesses into the same bundle.
 */
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "bundle/filter.h"

enum squeeze_mode {
	SQUEEZE_NONE,		/* stored as it is */
	SQUEEZE_TOGETHER,	/* one stream for all messages */
	SQUEEZE_EACH,		/* a stream for each, with nothing of others */
	SQUEEZE_MODES
};

/* What both begin with.  From SQUEEZE_DICTIONARY_PAIR on an id belongs to two
 * sites; up to there to this format. */
enum squeeze_dictionary {
	SQUEEZE_DICTIONARY_NONE,
	SQUEEZE_DICTIONARY_MAIL_1,	/* bundle/dictionary.h */
	SQUEEZE_DICTIONARIES,
	SQUEEZE_DICTIONARY_PAIR = 32,
	SQUEEZE_DICTIONARY_MAX = 63,
};

struct squeeze_how {
	enum squeeze_mode mode;
	unsigned dictionary;	/* a known one; of mode none: NONE */
};

/* What is best for a mode. */
struct squeeze_how squeeze_default(enum squeeze_mode mode);
/* "none", "together", "each"; static. */
const char *squeeze_mode_name(enum squeeze_mode mode);
/* ERR_SYNTAX: no such mode. */
int squeeze_mode_parse(struct slice name, enum squeeze_mode *mode_out)
    MUST_CHECK;
/* The octets of a dictionary; ERR_UNSUPPORTED: it is not known here. */
int squeeze_dictionary(unsigned id, struct slice *octets_out, struct err *e)
    MUST_CHECK;

struct squeeze_writer;
struct squeeze_writer *squeeze_writer_new(struct squeeze_how how,
    sink_fn *sink, void *ctx);
void squeeze_writer_free(struct squeeze_writer *w);
int squeeze_writer_add(struct squeeze_writer *w, const char *bytes,
    size_t len, struct err *e) MUST_CHECK;
/* A message ends here. */
int squeeze_writer_cut(struct squeeze_writer *w, struct err *e) MUST_CHECK;
int squeeze_writer_end(struct squeeze_writer *w, struct err *e) MUST_CHECK;

struct squeeze_reader;
/* Gives max_octets and refuses more (ERR_LIMIT); 0: no limit. */
struct squeeze_reader *squeeze_reader_new(uint64_t max_octets);
void squeeze_reader_free(struct squeeze_reader *r);
/* Appends at most 64 KiB to out.  1: made some output or progress; 0: needs
 * more input; ERR_SYNTAX: damaged, or octets behind the end;
 * ERR_UNSUPPORTED: a dictionary not known here; ERR_LIMIT.  After an error
 * always the same one. */
int squeeze_reader_next(struct squeeze_reader *r, const char *in, size_t len,
    size_t *used_out, struct buf *out, struct err *e) MUST_CHECK;
/* Did the input end where it may? */
int squeeze_reader_end(struct squeeze_reader *r, struct err *e) MUST_CHECK;

#endif
