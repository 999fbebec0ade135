/* SPDX-License-Identifier: ISC */
/*
 * What an object is, and its batch without encoding and compression.
 *
 * Octets pass through up to three stages, each of which moves a bounded piece
 * to the next and only when nothing waits behind it:
 *
 *	input -expand-> plain -header, decode-> coded -gunzip-> batch
 *
 * A native batch has one stage before that of the batch:
 *
 *	input -squeeze-> plain -> batch
 *
 * A fault waits until everything made before it has been used, so what was
 * good in front of it is given first.
 */
#include "bundle/unwrap.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "bundle/expand.h"
#include "bundle/squeeze.h"
#include "smtp/extension.h"

#define STEP 65536
#define WORD_MAX 10		/* octets that tell a verb from another word */

enum stage {
	STAGE_SNIFF,		/* nothing known yet */
	STAGE_HEADER,		/* of a MIME object */
	STAGE_BODY_SNIFF,	/* of a MIME object that should be plain */
	STAGE_BODY,
	STAGE_OVER,
};

struct unwrap {
	const struct bundle_reader_options *opts;
	enum stage stage;
	enum unwrap_verdict verdict;
	enum bundle_format format;
	struct buf reason;
	bool sniffed;			/* whether it is compressed */
	bool input_ended, decoders_ended, inner_ended;
	struct expander *outer, *inner;
	struct squeeze_reader *squeeze;	/* native */
	struct mime_reader mime;
	struct base64_decoder base64;
	struct qp_decoder qp;
	struct buf plain, coded, batch;
	unsigned named;			/* in required-extensions */
	struct err fault;		/* code 0: none */
	uint64_t batch_octets;
};

struct unwrap *
unwrap_new(const struct bundle_reader_options *opts)
{
	struct unwrap *u = mem_alloc(1, sizeof(*u));

	u->opts = opts;
	if (opts->native) {
		u->squeeze = squeeze_reader_new(opts->batch_max);
		u->format = BUNDLE_FORMAT_NATIVE;
		u->verdict = UNWRAP_BATCH;
		u->stage = STAGE_BODY;
	}
	mime_reader_init(&u->mime);
	base64_decoder_init(&u->base64);
	qp_decoder_init(&u->qp);
	buf_init(&u->reason);
	buf_init(&u->plain);
	buf_init(&u->coded);
	buf_init(&u->batch);
	return u;
}

void
unwrap_free(struct unwrap *u)
{
	if (u == NULL)
		return;
	expander_free(u->outer);
	expander_free(u->inner);
	squeeze_reader_free(u->squeeze);
	mime_reader_release(&u->mime);
	qp_decoder_release(&u->qp);
	buf_release(&u->reason);
	buf_release(&u->plain);
	buf_release(&u->coded);
	buf_release(&u->batch);
	free(u);
}

enum unwrap_verdict
unwrap_verdict(const struct unwrap *u)
{
	return u->verdict;
}

const char *
unwrap_reason(struct unwrap *u)
{
	return buf_cstr(&u->reason);
}

enum bundle_format
unwrap_format(const struct unwrap *u)
{
	return u->format;
}

enum compression
unwrap_compression(const struct unwrap *u)
{
	if (u->outer != NULL)
		return expander_kind(u->outer);
	return u->inner != NULL ? expander_kind(u->inner) : COMPRESSION_NONE;
}

const struct mime_header *
unwrap_header(const struct unwrap *u)
{
	return &u->mime.header;
}

unsigned
unwrap_named(const struct unwrap *u)
{
	return u->named;
}

struct buf *
unwrap_batch(struct unwrap *u)
{
	return &u->batch;
}

/* The verdict that ends it. */
static void
settle(struct unwrap *u, enum unwrap_verdict verdict, const char *reason)
{
	u->verdict = verdict;
	u->stage = STAGE_OVER;
	if (verdict == UNWRAP_NOT_BATCH)
		u->format = BUNDLE_FORMAT_NONE;
	buf_clear(&u->reason);
	buf_adds(&u->reason, reason);
}

bool
unwrap_begins(struct slice text, const char *word)
{
	size_t n = strlen(word);

	return text.len >= n && slice_ieqs((struct slice){ text.ptr, n },
	    word) && (text.len == n || text.ptr[n] == ' ' ||
	    text.ptr[n] == '\t' || text.ptr[n] == '\r' || text.ptr[n] == '\n');
}

static void
set_fault(struct unwrap *u, const struct err *e)
{
	if (u->fault.code == 0)
		u->fault = *e;
}

static void
batch_grown(struct unwrap *u, size_t before)
{
	struct err e = ERR_INIT;

	u->batch_octets += u->batch.len - before;
	if (u->opts->batch_max == 0 || u->batch_octets <= u->opts->batch_max)
		return;
	(void)err_set(&e, ERR_LIMIT, "the batch has more than %llu octets",
	    (unsigned long long)u->opts->batch_max);
	set_fault(u, &e);
}

/* Names in required-extensions that we do not have, joined by commas. */
static void
find_unknown(struct unwrap *u, const char *required, struct buf *out)
{
	struct slice rest = slice_of(required);

	while (rest.len > 0) {
		const char *comma = memchr(rest.ptr, ',', rest.len);
		size_t n = comma != NULL ? (size_t)(comma - rest.ptr) :
		    rest.len;
		struct slice name = slice_trim((struct slice){ rest.ptr, n });
		unsigned bit = smtp_extension_parse(name);

		u->named |= bit;
		if (name.len > 0 && (bit & u->opts->extensions) == 0) {
			buf_adds(out, out->len > 0 ? ", " : "");
			text_escape(out, name, 60, true);
		} else if (bit == SMTP_EXT_XGZIP && u->inner == NULL)
			u->inner = expander_new(COMPRESSION_GZIP);
		n += comma != NULL;
		rest.ptr += n;
		rest.len -= n;
	}
}

/* The header says that it is a batch: can we process it? */
static void
open_object(struct unwrap *u)
{
	const struct mime_header *h = &u->mime.header;
	struct buf text = BUF_INIT;

	u->format = BUNDLE_FORMAT_RFC2442;
	if (h->required_extensions != NULL)
		find_unknown(u, h->required_extensions, &text);
	if (text.len > 0) {
		struct buf why = BUF_INIT;

		buf_adds(&why, "it requires extensions not known here: ");
		buf_add(&why, text.ptr, text.len);
		settle(u, UNWRAP_BROKEN, buf_cstr(&why));
		buf_release(&why);
	} else if (h->encoding == MIME_UNKNOWN) {
		buf_adds(&text, "unknown Content-Transfer-Encoding: ");
		text_escape(&text, slice_of(h->encoding_text), 60, true);
		settle(u, UNWRAP_BROKEN, buf_cstr(&text));
	} else {
		u->verdict = UNWRAP_BATCH;
		u->stage = u->inner != NULL ? STAGE_BODY : STAGE_BODY_SNIFF;
	}
	buf_release(&text);
}

static void
check_type(struct unwrap *u)
{
	const struct mime_header *h = &u->mime.header;
	struct buf why = BUF_INIT;

	if (h->type != NULL && strcmp(h->type, "application/batch-smtp") == 0 &&
	    (h->version || !u->opts->strict)) {
		open_object(u);
		return;
	}
	if (h->type == NULL)
		buf_adds(&why, "a mail without a usable Content-Type");
	else if (strcmp(h->type, "application/batch-smtp") == 0)
		buf_adds(&why, "a mail without MIME-Version");
	else {
		buf_adds(&why, "a mail of type ");
		text_escape(&why, slice_of(h->type), 100, true);
	}
	settle(u, UNWRAP_NOT_BATCH, buf_cstr(&why));
	buf_release(&why);
}

static void
read_header(struct unwrap *u)
{
	struct err e = ERR_INIT;
	size_t used;
	int rc = mime_reader_add(&u->mime, u->plain.ptr, u->plain.len, &used,
	    &e);

	buf_consume(&u->plain, used);
	if (rc == 1)
		check_type(u);
	else if (rc < 0)
		settle(u, UNWRAP_NOT_BATCH, "neither a batch nor a mail");
}

/* Does a batch begin with this word?  Ordinary mail begins "Name:". */
static bool
is_verb(struct slice text)
{
	static const char *const verbs[] = {
		"HELO", "EHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP",
		"QUIT", "VRFY", "EXPN", "ETRN", "TICK", "VERB", "VERBOSE",
	};

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (unwrap_begins(text, verbs[i]))
			return true;
	return false;
}

static void
sniff(struct unwrap *u)
{
	if (u->plain.len < WORD_MAX && !u->input_ended &&
	    (u->plain.len == 0 ||
	    memchr(u->plain.ptr, '\n', u->plain.len) == NULL))
		return;
	if (u->plain.len == 0)
		return;
	if (is_verb(buf_slice(&u->plain))) {
		u->format = BUNDLE_FORMAT_BSMTP;
		u->verdict = UNWRAP_BATCH;
		u->stage = STAGE_BODY;
	} else
		u->stage = STAGE_HEADER;
}

static void
decode_body(struct unwrap *u)
{
	bool coded = u->inner != NULL || u->stage == STAGE_BODY_SNIFF;
	struct buf *to = coded ? &u->coded : &u->batch;
	size_t n = u->plain.len < STEP ? u->plain.len : STEP;
	size_t before = to->len;

	if (u->format == BUNDLE_FORMAT_RFC2442 &&
	    u->mime.header.encoding == MIME_BASE64)
		base64_decoder_add(&u->base64, to, u->plain.ptr, n);
	else if (u->format == BUNDLE_FORMAT_RFC2442 &&
	    u->mime.header.encoding == MIME_QUOTED_PRINTABLE)
		qp_decoder_add(&u->qp, to, u->plain.ptr, n);
	else
		buf_add(to, u->plain.ptr, n);
	buf_consume(&u->plain, n);
	if (to == &u->batch)
		batch_grown(u, before);
}

/* A body that is compressed without saying so is no batch. */
static void
sniff_body(struct unwrap *u)
{
	enum compression kind;
	struct buf why = BUF_INIT;

	if (compression_sniff(u->coded.ptr, u->coded.len, &kind) == 0 &&
	    !u->decoders_ended)
		return;
	if (kind != COMPRESSION_NONE) {
		buf_addf(&why, "its body is %s, which required-extensions "
		    "does not name", compression_name(kind));
		settle(u, UNWRAP_BROKEN, buf_cstr(&why));
		buf_release(&why);
		return;
	}
	buf_add(&u->batch, u->coded.ptr, u->coded.len);
	buf_clear(&u->coded);
	batch_grown(u, 0);
	u->stage = STAGE_BODY;
}

/* One step of an expander; false when it needs more input. */
static bool
expand(struct unwrap *u, struct expander *x, const char *in,
    size_t len, size_t *used_out, struct buf *out)
{
	struct err e = ERR_INIT;
	int rc = expander_next(x, in, len, used_out, out, &e);

	if (rc < 0)
		set_fault(u, &e);
	return rc != 0;
}

/* From coded to batch; false when nothing moved. */
static bool
expand_coded(struct unwrap *u)
{
	size_t used, before = u->batch.len;
	bool moved = expand(u, u->inner, u->coded.ptr, u->coded.len, &used,
	    &u->batch);

	buf_consume(&u->coded, used);
	batch_grown(u, before);
	return moved;
}

/* From the input of a native batch to plain; false: needs more. */
static bool
unsqueeze(struct unwrap *u, const char *in, size_t len, size_t *used_out)
{
	struct err e = ERR_INIT;
	int rc = squeeze_reader_next(u->squeeze, in, len, used_out, &u->plain,
	    &e);

	if (rc < 0)
		set_fault(u, &e);
	return rc != 0;
}

bool
unwrap_advance(struct unwrap *u)
{
	size_t before = u->plain.len;

	if (u->stage == STAGE_BODY && u->inner != NULL &&
	    u->fault.code == 0 && expand_coded(u))
		return true;
	switch (u->stage) {
	case STAGE_SNIFF:
		sniff(u);
		return u->stage != STAGE_SNIFF;
	case STAGE_HEADER:
		if (before > 0)
			read_header(u);
		return before > 0;
	case STAGE_BODY_SNIFF:
		if (before > 0)
			decode_body(u);
		sniff_body(u);
		return before > 0 || u->stage != STAGE_BODY_SNIFF;
	case STAGE_BODY:
		if (before > 0)
			decode_body(u);
		return before > 0;
	case STAGE_OVER:
		break;
	}
	return false;
}

static void
take_input(struct unwrap *u, const char *in, size_t len,
    size_t *used_out)
{
	size_t n = len < STEP ? len : STEP;

	*used_out = n;
	buf_add(&u->plain, in, n);
}

/*
 * The first octets tell whether all of it is compressed; they wait in
 * `plain`, where a batch or a header would need them anyway.  There are but
 * few of them: the expander takes them all, if in several steps.
 */
static bool
look_for_compression(struct unwrap *u, const char *in, size_t len,
    size_t *used_out)
{
	enum compression kind = COMPRESSION_NONE;
	char magic[COMPRESSION_MAGIC_MAX];
	size_t n, used, at = 0;
	bool moved;
	int rc = 0;

	*used_out = 0;
	while (rc == 0 && *used_out < len) {
		buf_addc(&u->plain, in[(*used_out)++]);
		rc = compression_sniff(u->plain.ptr, u->plain.len, &kind);
	}
	u->sniffed = rc == 1;
	if (kind == COMPRESSION_NONE)
		return *used_out > 0;
	n = u->plain.len;
	memcpy(magic, u->plain.ptr, n);
	buf_clear(&u->plain);
	u->outer = expander_new(kind);
	do {
		moved = expand(u, u->outer, magic + at, n - at, &used,
		    &u->plain);
		at += used;
	} while (moved && at < n && u->fault.code == 0);
	return moved;
}

bool
unwrap_take(struct unwrap *u, const char *in, size_t len, size_t *used_out)
{
	*used_out = 0;
	if (u->fault.code != 0) {
		*used_out = len;
		return false;
	}
	if (u->squeeze != NULL)
		return unsqueeze(u, in, len, used_out);
	if (u->outer != NULL)
		return expand(u, u->outer, in, len, used_out, &u->plain);
	if (u->stage == STAGE_SNIFF && !u->sniffed)
		return look_for_compression(u, in, len, used_out);
	take_input(u, in, len, used_out);
	return *used_out > 0;
}

/* The input is over: what the decoders still hold, and whether it is whole. */
static void
end_decoders(struct unwrap *u)
{
	struct buf *to = u->inner != NULL || u->stage == STAGE_BODY_SNIFF ?
	    &u->coded : &u->batch;
	size_t before = u->batch.len;
	struct err e = ERR_INIT;

	u->decoders_ended = true;
	if (u->format != BUNDLE_FORMAT_RFC2442)
		return;
	if (u->mime.header.encoding == MIME_QUOTED_PRINTABLE)
		qp_decoder_end(&u->qp, to);
	if (u->mime.header.encoding == MIME_BASE64 &&
	    base64_decoder_end(&u->base64) < 0 &&
	    err_set(&e, ERR_SYNTAX, "its base64 is cut off") < 0)
		set_fault(u, &e);
	if (to == &u->batch)
		batch_grown(u, before);
}

/* A header may end with the object: then the body is empty. */
static void
end_header(struct unwrap *u)
{
	struct buf *held = &u->mime.held;

	if (held->len > 0 && held->ptr[held->len - 1] != '\n')
		buf_adds(&u->plain, "\r\n");
	buf_adds(&u->plain, "\r\n");
	while (u->stage == STAGE_HEADER && u->plain.len > 0)
		read_header(u);
	if (u->stage == STAGE_HEADER)
		settle(u, UNWRAP_NOT_BATCH, "neither a batch nor a mail");
}

void
unwrap_raise(struct unwrap *u)
{
	if (u->fault.code != 0 && u->stage != STAGE_OVER)
		settle(u, UNWRAP_BROKEN, u->fault.text);
}

/* Behind the last octet of the body. */
static bool
end_body(struct unwrap *u)
{
	struct err e = ERR_INIT;

	if (!u->decoders_ended) {
		end_decoders(u);
		return true;
	}
	if (!u->inner_ended && u->inner != NULL &&
	    expander_end(u->inner, &e) < 0)
		set_fault(u, &e);
	u->inner_ended = true;
	unwrap_raise(u);
	return u->stage == STAGE_OVER;
}

bool
unwrap_end(struct unwrap *u)
{
	struct err e = ERR_INIT;

	if (!u->input_ended && u->outer != NULL &&
	    expander_end(u->outer, &e) < 0)
		set_fault(u, &e);
	if (!u->input_ended && u->squeeze != NULL &&
	    squeeze_reader_end(u->squeeze, &e) < 0)
		set_fault(u, &e);
	if (!u->input_ended) {
		u->input_ended = true;
		return true;	/* to look once more at what is short */
	}
	switch (u->stage) {
	case STAGE_SNIFF:
		unwrap_raise(u);
		if (u->stage != STAGE_OVER)
			settle(u, UNWRAP_NOT_BATCH, "there is nothing in it");
		return true;
	case STAGE_HEADER:
		unwrap_raise(u);
		if (u->stage != STAGE_OVER)
			end_header(u);
		return true;
	case STAGE_BODY_SNIFF:
	case STAGE_BODY:
		return end_body(u);
	case STAGE_OVER:
		break;
	}
	return false;
}
