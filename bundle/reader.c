/* SPDX-License-Identifier: ISC */
/*
 * The processor.
 *
 * Octets pass through up to four stages, each of which moves a bounded piece
 * to the next and only when the next one is empty:
 *
 *	input -gunzip-> plain -header, decode-> coded -gunzip-> batch -> server
 *
 * A fault in a stage waits until everything made before it has been through
 * the server, so what was good in front of it is given first.
 *
 * Numbers of transactions are given out at BEGIN: one that is refused alone
 * keeps its number, so that a number means the same transaction each time the
 * object is read.  A transaction without recipients has no effect (RFC 2442
 * 3.2) and gets none.
 */
#include "bundle/reader.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "bundle/filter.h"
#include "smtp/extension.h"

#define STEP 65536
#define WORD_MAX 10		/* octets that tell a verb from another word */

enum stage {
	STAGE_SNIFF,		/* nothing known yet */
	STAGE_HEADER,		/* of a MIME object */
	STAGE_BODY_SNIFF,	/* of a MIME object that should not be gzip */
	STAGE_BODY,
	STAGE_OVER,		/* the last event is given or pending */
};

struct bundle_reader {
	struct bundle_reader_options opts;
	enum stage stage;
	enum bundle_format format;
	bool input_ended, decoders_ended;

	struct gzip_reader *outer, *inner;
	struct mime_reader mime;
	struct base64_decoder base64;
	struct qp_decoder qp;
	struct buf plain, coded, batch;
	unsigned named;			/* in required-extensions */
	struct err fault;		/* code 0: none */
	uint64_t batch_octets;

	struct smtp_server *server;
	bool owed;			/* the server waits for our 250 */
	bool hello, begun, quit, id_seen;
	uint64_t line_base;		/* lines before the server's first */
	uint64_t quit_line;
	uint64_t mail_line, index;
	unsigned hops_said, hops;
	struct buf id;
	struct buf reason;

	struct bundle_event pending[2];
	unsigned npending;
};

void
bundle_reader_options_default(struct bundle_reader_options *opts)
{
	struct smtp_server_options server;

	smtp_server_options_default(&server);
	*opts = (struct bundle_reader_options){
		.extensions = SMTP_EXT_RFC2442 | SMTP_EXT_PIPELINING |
		    SMTP_EXT_ENHANCEDSTATUSCODES | SMTP_EXT_CHUNKING |
		    SMTP_EXT_BINARYMIME | SMTP_EXT_SMTPUTF8 | SMTP_EXT_XGZIP,
		.message_max = server.message_max,
		.recipients_max = server.recipients_max,
		.line_max = server.line_max,
		.command_max = server.command_max,
		.batch_max = UINT64_C(4) << 30,
	};
}

struct bundle_reader *
bundle_reader_new(const struct bundle_reader_options *opts)
{
	struct bundle_reader *r = mem_alloc(1, sizeof(*r));

	r->opts = *opts;
	mime_reader_init(&r->mime);
	base64_decoder_init(&r->base64);
	qp_decoder_init(&r->qp);
	buf_init(&r->plain);
	buf_init(&r->coded);
	buf_init(&r->batch);
	buf_init(&r->id);
	buf_init(&r->reason);
	return r;
}

void
bundle_reader_free(struct bundle_reader *r)
{
	if (r == NULL)
		return;
	if (r->server != NULL)
		smtp_server_free(r->server);
	gzip_reader_free(r->outer);
	gzip_reader_free(r->inner);
	mime_reader_release(&r->mime);
	qp_decoder_release(&r->qp);
	buf_release(&r->plain);
	buf_release(&r->coded);
	buf_release(&r->batch);
	buf_release(&r->id);
	buf_release(&r->reason);
	free(r);
}

/*
 * Events.
 */
static struct bundle_event *
push(struct bundle_reader *r, enum bundle_event_kind kind)
{
	struct bundle_event *ev = &r->pending[r->npending++];

	*ev = (struct bundle_event){
		.kind = kind,
		.format = r->format,
		.gzip = r->outer != NULL || r->inner != NULL,
		.index = r->index,
		.hops = r->hops,
		.line = r->mail_line,
	};
	return ev;
}

static void
push_format(struct bundle_reader *r)
{
	struct bundle_event *ev = push(r, BUNDLE_EVENT_FORMAT);

	ev->line = 0;
	ev->required = r->mime.header.required_extensions;
	ev->id = r->mime.header.message_id;
}

/* The one begun, if any, is void. */
static void
push_reset(struct bundle_reader *r)
{
	if (r->begun)
		push(r, BUNDLE_EVENT_RESET);
	r->begun = false;
}

static struct bundle_event *
push_last(struct bundle_reader *r, enum bundle_event_kind kind)
{
	struct bundle_event *ev = push(r, kind);

	ev->line = 0;
	r->stage = STAGE_OVER;
	return ev;
}

static void
break_object(struct bundle_reader *r, const char *reason)
{
	buf_clear(&r->reason);
	buf_adds(&r->reason, reason);
	push_reset(r);
	push_last(r, BUNDLE_EVENT_BROKEN)->reason = buf_cstr(&r->reason);
}

static void
not_batch(struct bundle_reader *r, const char *reason)
{
	r->format = BUNDLE_FORMAT_NONE;
	buf_clear(&r->reason);
	buf_adds(&r->reason, reason);
	push_last(r, BUNDLE_EVENT_NOT_BATCH)->reason = buf_cstr(&r->reason);
}

/*
 * The dialogue.
 */
static void
start_server(struct bundle_reader *r)
{
	struct smtp_server_options o;
	bool bare = r->format == BUNDLE_FORMAT_BSMTP;
	bool unix_mail = r->mime.header.lf_lines &&
	    r->mime.header.encoding != MIME_BASE64;

	smtp_server_options_default(&o);
	o.batch = true;
	o.errors_max = 0;
	o.extensions = r->opts.extensions;
	if (!bare && r->opts.strict)
		o.extensions &= SMTP_EXT_RFC2442 | r->named;
	o.message_max = r->opts.message_max;
	o.recipients_max = r->opts.recipients_max;
	o.line_max = r->opts.line_max;
	o.command_max = r->opts.command_max;
	o.lenient = bare && !r->opts.strict;
	o.line_ends = !r->opts.strict && (bare || unix_mail) ?
	    SMTP_LINES_DETECT : SMTP_LINES_CRLF;
	r->server = smtp_server_new(&o);
}

/* The text of "KEY=" in a NOOP, as far as we would have written it. */
static bool
noop_value(struct slice noop, const char *key, struct slice *value_out)
{
	size_t n = strlen(key);

	noop = slice_trim(noop);
	if (noop.len <= n || memcmp(noop.ptr, key, n) != 0)
		return false;
	*value_out = (struct slice){ noop.ptr + n, noop.len - n };
	for (size_t i = 0; i < value_out->len; i++) {
		char c = value_out->ptr[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		    (c >= 'A' && c <= 'Z') || c == '.' || c == '-'))
			return false;
	}
	return value_out->len <= 128;
}

static void
on_noop(struct bundle_reader *r, struct slice noop)
{
	struct slice value;
	uint64_t n;

	if (noop_value(noop, "postrider-hops=", &value) &&
	    num_parse(value, 1000000, &n) == 0)
		r->hops_said = (unsigned)n;
	if (!r->id_seen && r->format == BUNDLE_FORMAT_BSMTP &&
	    noop_value(noop, "postrider-id=", &value)) {
		r->id_seen = true;
		buf_addslice(&r->id, value);
		push(r, BUNDLE_EVENT_ID)->id = buf_cstr(&r->id);
	}
}

/* line 12: "mail from:x<": 501 5.1.7 ... */
static void
explain(struct bundle_reader *r, const struct bundle_event *ev)
{
	buf_clear(&r->reason);
	buf_addf(&r->reason, "line %llu: ", (unsigned long long)ev->line);
	if (ev->bytes.len > 0) {
		buf_addc(&r->reason, '"');
		text_escape(&r->reason, ev->bytes, 120, true);
		buf_adds(&r->reason, "\": ");
	}
	buf_addf(&r->reason, "%d %s %s", ev->refusal.code,
	    ev->refusal.status, ev->refusal.text);
}

static void
on_error(struct bundle_reader *r, const struct smtp_event *sev)
{
	struct bundle_event *ev;

	push_reset(r);
	if (sev->fatal)
		ev = push_last(r, BUNDLE_EVENT_BROKEN);
	else
		ev = push(r, BUNDLE_EVENT_ERROR);
	ev->refusal = sev->refusal;
	ev->line = r->line_base + sev->line;
	ev->bytes = sev->bytes;
	explain(r, ev);
	ev->reason = buf_cstr(&r->reason);
}

/* RFC 5321 4.1.4 to the letter, where that was asked for. */
static void
on_mail(struct bundle_reader *r, const struct smtp_event *sev)
{
	struct smtp_event fault = *sev;

	r->mail_line = r->line_base + sev->line;
	r->hops = r->hops_said;
	r->hops_said = 0;
	if (r->opts.strict && !r->hello) {
		smtp_refuse(&fault.refusal, 503, "5.5.1",
		    "EHLO or HELO comes first");
		fault.fatal = true;
		fault.bytes = SLICE_LIT("MAIL");
		on_error(r, &fault);
	} else
		r->owed = true;
}

static void
on_begin(struct bundle_reader *r, const struct smtp_event *sev)
{
	r->owed = true;
	if (sev->envelope->nrcpt == 0)
		return;		/* no effect; its content passes by */
	r->begun = true;
	r->index++;
	push(r, BUNDLE_EVENT_BEGIN)->envelope = sev->envelope;
}

static void
on_end(struct bundle_reader *r, const struct smtp_event *sev)
{
	struct bundle_event *ev;

	r->owed = true;
	if (!r->begun)
		return;
	r->begun = false;
	ev = push(r, BUNDLE_EVENT_END);
	ev->envelope = sev->envelope;
	ev->facts = sev->facts;
}

static void
on_server(struct bundle_reader *r, const struct smtp_event *sev)
{
	switch (sev->kind) {
	case SMTP_EVENT_HELLO:
		r->hello = true;
		break;
	case SMTP_EVENT_MAIL:
		on_mail(r, sev);
		break;
	case SMTP_EVENT_RCPT:
		r->owed = true;
		break;
	case SMTP_EVENT_BEGIN:
		on_begin(r, sev);
		break;
	case SMTP_EVENT_CONTENT:
		if (r->begun)
			push(r, BUNDLE_EVENT_CONTENT)->bytes = sev->bytes;
		break;
	case SMTP_EVENT_END:
		on_end(r, sev);
		break;
	case SMTP_EVENT_RESET:
		push_reset(r);
		break;
	case SMTP_EVENT_NOOP:
		on_noop(r, sev->bytes);
		break;
	case SMTP_EVENT_QUIT:
		r->quit = true;
		r->quit_line = r->line_base + sev->line;
		break;
	case SMTP_EVENT_ERROR:
		on_error(r, sev);
		break;
	case SMTP_EVENT_CLOSE:
		break_object(r, "the session was closed");
		break;
	}
}

static bool
word_is(struct slice text, const char *word)
{
	size_t n = strlen(word);

	return text.len >= n && slice_ieqs((struct slice){ text.ptr, n },
	    word) && (text.len == n || text.ptr[n] == ' ' ||
	    text.ptr[n] == '\t' || text.ptr[n] == '\r' || text.ptr[n] == '\n');
}

/*
 * Behind QUIT: bare batches are found joined in one file, so a new greeting
 * begins another one; anything else is no business of ours, as for Exim.
 */
static void
after_quit(struct bundle_reader *r)
{
	struct buf *b = &r->batch;

	while (b->len > 0 && (*b->ptr == '\n' || *b->ptr == '\r')) {
		r->quit_line += *b->ptr == '\n';
		buf_consume(b, 1);
	}
	if (b->len < WORD_MAX && !r->input_ended)
		return;
	if (r->format == BUNDLE_FORMAT_BSMTP && !r->opts.strict &&
	    (word_is(buf_slice(b), "HELO") || word_is(buf_slice(b), "EHLO"))) {
		smtp_server_free(r->server);
		start_server(r);
		r->line_base = r->quit_line;
		r->quit = false;
	} else {
		buf_clear(b);
		push_last(r, BUNDLE_EVENT_DONE);
	}
}

/* Feeds the server; false when it wants more than there is. */
static bool
run_dialogue(struct bundle_reader *r)
{
	struct smtp_event sev;
	size_t used = 0, before = r->batch.len;
	int rc;

	if (r->owed)
		smtp_server_answer(r->server, 250, NULL, "");
	r->owed = false;
	if (r->batch.len == 0)
		return false;
	if (r->quit) {
		after_quit(r);
		return r->batch.len < before || r->npending > 0 || !r->quit;
	}
	rc = smtp_server_next(r->server, r->batch.ptr, r->batch.len, &used,
	    &sev);
	if (rc == 1)
		on_server(r, &sev);
	buf_consume(&r->batch, used);
	return rc == 1 || used > 0;
}

/*
 * The stages in front of it.
 */
static void
set_fault(struct bundle_reader *r, const struct err *e)
{
	if (r->fault.code == 0)
		r->fault = *e;
}

static void
batch_grown(struct bundle_reader *r, size_t before)
{
	struct err e = ERR_INIT;

	r->batch_octets += r->batch.len - before;
	if (r->opts.batch_max == 0 || r->batch_octets <= r->opts.batch_max)
		return;
	(void)err_set(&e, ERR_LIMIT, "the batch has more than %llu octets",
	    (unsigned long long)r->opts.batch_max);
	set_fault(r, &e);
}

/* Names in required-extensions that we do not have, joined by commas. */
static void
find_unknown(struct bundle_reader *r, const char *required, struct buf *out)
{
	struct slice rest = slice_of(required);

	while (rest.len > 0) {
		const char *comma = memchr(rest.ptr, ',', rest.len);
		size_t n = comma != NULL ? (size_t)(comma - rest.ptr) :
		    rest.len;
		struct slice name = slice_trim((struct slice){ rest.ptr, n });
		unsigned bit = smtp_extension_parse(name);

		r->named |= bit;
		if (name.len > 0 && (bit & r->opts.extensions) == 0) {
			buf_adds(out, out->len > 0 ? ", " : "");
			text_escape(out, name, 60, true);
		} else if (bit == SMTP_EXT_XGZIP && r->inner == NULL)
			r->inner = gzip_reader_new(0);
		n += comma != NULL;
		rest.ptr += n;
		rest.len -= n;
	}
}

/* The header says that it is a batch: can we process it? */
static void
open_object(struct bundle_reader *r)
{
	const struct mime_header *h = &r->mime.header;
	struct buf text = BUF_INIT;

	r->format = BUNDLE_FORMAT_RFC2442;
	if (h->required_extensions != NULL)
		find_unknown(r, h->required_extensions, &text);
	push_format(r);
	if (text.len > 0) {
		struct buf why = BUF_INIT;

		buf_adds(&why, "it requires extensions not known here: ");
		buf_add(&why, text.ptr, text.len);
		break_object(r, buf_cstr(&why));
		buf_release(&why);
	} else if (h->encoding == MIME_UNKNOWN) {
		buf_adds(&text, "unknown Content-Transfer-Encoding: ");
		text_escape(&text, slice_of(h->encoding_text), 60, true);
		break_object(r, buf_cstr(&text));
	} else {
		start_server(r);
		r->stage = r->inner != NULL ? STAGE_BODY : STAGE_BODY_SNIFF;
	}
	buf_release(&text);
}

static void
check_type(struct bundle_reader *r)
{
	const struct mime_header *h = &r->mime.header;
	struct buf why = BUF_INIT;

	if (h->type != NULL && strcmp(h->type, "application/batch-smtp") == 0 &&
	    (h->version || !r->opts.strict)) {
		open_object(r);
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
	not_batch(r, buf_cstr(&why));
	buf_release(&why);
}

static void
read_header(struct bundle_reader *r)
{
	struct err e = ERR_INIT;
	size_t used;
	int rc = mime_reader_add(&r->mime, r->plain.ptr, r->plain.len, &used,
	    &e);

	buf_consume(&r->plain, used);
	if (rc == 1)
		check_type(r);
	else if (rc < 0)
		not_batch(r, "neither a batch nor a mail");
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
		if (word_is(text, verbs[i]))
			return true;
	return false;
}

static void
sniff(struct bundle_reader *r)
{
	if (r->plain.len < WORD_MAX && !r->input_ended &&
	    (r->plain.len == 0 ||
	    memchr(r->plain.ptr, '\n', r->plain.len) == NULL))
		return;
	if (r->plain.len == 0)
		return;
	if (is_verb(buf_slice(&r->plain))) {
		r->format = BUNDLE_FORMAT_BSMTP;
		push_format(r);
		start_server(r);
		r->stage = STAGE_BODY;
	} else
		r->stage = STAGE_HEADER;
}

static void
decode_body(struct bundle_reader *r)
{
	bool coded = r->inner != NULL || r->stage == STAGE_BODY_SNIFF;
	struct buf *to = coded ? &r->coded : &r->batch;
	size_t n = r->plain.len < STEP ? r->plain.len : STEP;
	size_t before = to->len;

	if (r->format == BUNDLE_FORMAT_RFC2442 &&
	    r->mime.header.encoding == MIME_BASE64)
		base64_decoder_add(&r->base64, to, r->plain.ptr, n);
	else if (r->format == BUNDLE_FORMAT_RFC2442 &&
	    r->mime.header.encoding == MIME_QUOTED_PRINTABLE)
		qp_decoder_add(&r->qp, to, r->plain.ptr, n);
	else
		buf_add(to, r->plain.ptr, n);
	buf_consume(&r->plain, n);
	if (to == &r->batch)
		batch_grown(r, before);
}

/* A body that is gzip without saying so is no batch. */
static void
sniff_body(struct bundle_reader *r)
{
	if (r->coded.len < 2 && !r->decoders_ended)
		return;
	if (r->coded.len >= 2 && memcmp(r->coded.ptr, "\x1f\x8b", 2) == 0) {
		break_object(r, "its body is gzip, which required-extensions "
		    "does not name");
		return;
	}
	buf_add(&r->batch, r->coded.ptr, r->coded.len);
	buf_clear(&r->coded);
	batch_grown(r, 0);
	r->stage = STAGE_BODY;
}

/* One step of a gzip stage; false when it needs more input. */
static bool
gunzip(struct bundle_reader *r, struct gzip_reader *gzip, const char *in,
    size_t len, size_t *used_out, struct buf *out)
{
	struct err e = ERR_INIT;
	int rc = gzip_reader_next(gzip, in, len, used_out, out, &e);

	if (rc < 0)
		set_fault(r, &e);
	return rc != 0;
}

/* From coded to batch; false when nothing moved. */
static bool
gunzip_coded(struct bundle_reader *r)
{
	size_t used, before = r->batch.len;
	bool moved = gunzip(r, r->inner, r->coded.ptr, r->coded.len, &used,
	    &r->batch);

	buf_consume(&r->coded, used);
	batch_grown(r, before);
	return moved;
}

/* Moves what waits between the stages one step on; false: nothing there. */
static bool
advance(struct bundle_reader *r)
{
	size_t before = r->plain.len;

	if (r->stage == STAGE_BODY && r->inner != NULL &&
	    r->fault.code == 0 && gunzip_coded(r))
		return true;
	switch (r->stage) {
	case STAGE_SNIFF:
		sniff(r);
		return r->stage != STAGE_SNIFF;
	case STAGE_HEADER:
		if (before > 0)
			read_header(r);
		return before > 0;
	case STAGE_BODY_SNIFF:
		if (before > 0)
			decode_body(r);
		sniff_body(r);
		return before > 0 || r->stage != STAGE_BODY_SNIFF;
	case STAGE_BODY:
		if (before > 0)
			decode_body(r);
		return before > 0;
	case STAGE_OVER:
		break;
	}
	return false;
}

static void
take_input(struct bundle_reader *r, const char *in, size_t len,
    size_t *used_out)
{
	size_t n = len < STEP ? len : STEP;

	*used_out = n;
	buf_add(&r->plain, in, n);
}

/*
 * The first two octets tell whether all of it is compressed; they wait in
 * `plain`, where a batch or a header would need them anyway.
 */
static bool
look_for_gzip(struct bundle_reader *r, const char *in, size_t len,
    size_t *used_out)
{
	*used_out = 0;
	while (r->plain.len < 2 && *used_out < len)
		buf_addc(&r->plain, in[(*used_out)++]);
	if (r->plain.len < 2 || memcmp(r->plain.ptr, "\x1f\x8b", 2) != 0)
		return *used_out > 0;
	r->outer = gzip_reader_new(0);
	buf_clear(&r->plain);

	size_t used;

	return gunzip(r, r->outer, "\x1f\x8b", 2, &used, &r->plain);
}

/* Takes a piece of the input; false: there is none to take. */
static bool
take(struct bundle_reader *r, const char *in, size_t len, size_t *used_out)
{
	*used_out = 0;
	if (r->fault.code != 0) {
		*used_out = len;
		return false;
	}
	if (r->outer != NULL)
		return gunzip(r, r->outer, in, len, used_out, &r->plain);
	if (r->stage == STAGE_SNIFF && r->plain.len < 2)
		return look_for_gzip(r, in, len, used_out);
	take_input(r, in, len, used_out);
	return *used_out > 0;
}

static bool
pop(struct bundle_reader *r, struct bundle_event *ev)
{
	if (r->npending == 0)
		return false;
	*ev = r->pending[0];
	r->pending[0] = r->pending[1];
	r->npending--;
	return true;
}

/* A fault waits until nothing that was made before it is left. */
static void
raise_fault(struct bundle_reader *r)
{
	char text[ERR_TEXT_MAX];

	if (r->fault.code == 0 || r->stage == STAGE_OVER)
		return;
	if (r->stage == STAGE_SNIFF || r->stage == STAGE_HEADER)
		push_format(r);
	snprintf(text, sizeof(text), "%s", r->fault.text);
	break_object(r, text);
}

int
bundle_reader_next(struct bundle_reader *r, const char *in, size_t len,
    size_t *used_out, struct bundle_event *ev)
{
	size_t total = 0, used;

	for (;;) {
		*used_out = total;
		if (pop(r, ev))
			return 1;
		if (r->stage == STAGE_OVER) {
			*used_out = len;
			return 0;
		}
		if (r->server != NULL && run_dialogue(r))
			continue;
		if (advance(r))
			continue;
		bool taken = take(r, in + total, len - total, &used);

		total += used;
		if (taken)
			continue;
		raise_fault(r);
		if (r->npending == 0) {
			*used_out = total;
			return 0;
		}
	}
}

/* The input is over: what the decoders still hold, and whether it is whole. */
static void
end_decoders(struct bundle_reader *r)
{
	struct buf *to = r->inner != NULL || r->stage == STAGE_BODY_SNIFF ?
	    &r->coded : &r->batch;
	size_t before = r->batch.len;
	struct err e = ERR_INIT;

	r->decoders_ended = true;
	if (r->outer != NULL && gzip_reader_end(r->outer, &e) < 0)
		set_fault(r, &e);
	if (r->format != BUNDLE_FORMAT_RFC2442)
		return;
	if (r->mime.header.encoding == MIME_QUOTED_PRINTABLE)
		qp_decoder_end(&r->qp, to);
	if (r->mime.header.encoding == MIME_BASE64 &&
	    base64_decoder_end(&r->base64) < 0 &&
	    err_set(&e, ERR_SYNTAX, "its base64 is cut off") < 0)
		set_fault(r, &e);
	if (to == &r->batch)
		batch_grown(r, before);
}

/* A header may end with the object: then the body is empty. */
static void
end_header(struct bundle_reader *r)
{
	struct buf *held = &r->mime.held;

	if (held->len > 0 && held->ptr[held->len - 1] != '\n')
		buf_adds(&r->plain, "\r\n");
	buf_adds(&r->plain, "\r\n");
	while (r->stage == STAGE_HEADER && r->plain.len > 0)
		read_header(r);
	if (r->stage == STAGE_HEADER)
		not_batch(r, "neither a batch nor a mail");
}

static void
end_batch(struct bundle_reader *r)
{
	struct smtp_event sev;
	struct err e = ERR_INIT;

	if (r->inner != NULL && gzip_reader_end(r->inner, &e) < 0)
		set_fault(r, &e);
	if (r->fault.code != 0)
		raise_fault(r);
	else if (!r->quit && smtp_server_eof(r->server, &sev) == 1) {
		sev.fatal = sev.fatal || sev.kind == SMTP_EVENT_ERROR;
		on_server(r, &sev);
	} else
		push_last(r, BUNDLE_EVENT_DONE);
}

/* Nothing moves any more: what was it, then? */
static void
conclude(struct bundle_reader *r)
{
	switch (r->stage) {
	case STAGE_SNIFF:
		if (r->fault.code != 0)
			raise_fault(r);
		else
			not_batch(r, "there is nothing in it");
		break;
	case STAGE_HEADER:
		if (r->fault.code != 0)
			raise_fault(r);
		else
			end_header(r);
		break;
	case STAGE_BODY_SNIFF:
	case STAGE_BODY:
		if (!r->decoders_ended)
			end_decoders(r);
		else
			end_batch(r);
		break;
	case STAGE_OVER:
		break;
	}
}

int
bundle_reader_eof(struct bundle_reader *r, struct bundle_event *ev)
{
	struct err e = ERR_INIT;
	size_t used;

	if (!r->input_ended && r->outer != NULL && r->fault.code == 0) {
		if (bundle_reader_next(r, "", 0, &used, ev) == 1)
			return 1;
		if (gzip_reader_end(r->outer, &e) < 0)
			set_fault(r, &e);
	}
	r->input_ended = true;
	for (;;) {
		if (pop(r, ev))
			return 1;
		if (r->stage == STAGE_OVER)
			return 0;
		if (r->server != NULL && run_dialogue(r))
			continue;
		if (!advance(r))
			conclude(r);
	}
}

uint64_t
bundle_reader_batch_octets(const struct bundle_reader *r)
{
	return r->batch_octets;
}
