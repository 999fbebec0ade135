/* SPDX-License-Identifier: ISC */
/*
 * The processor: what unwrap brings to light goes through the server half of
 * smtp/, which gets 250 for everything it asks (RFC 2442 3.2).
 *
 * Numbers of transactions are given out at BEGIN: one that is refused alone
 * keeps its number, so that a number means the same transaction each time the
 * object is read.  A transaction without recipients has no effect and gets
 * none.
 */
#include "bundle/reader.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "bundle/unwrap.h"
#include "smtp/extension.h"
#include "smtp/strict.h"

#define WORD_MAX 10		/* octets that tell a greeting */

struct bundle_reader {
	struct bundle_reader_options opts;
	struct unwrap *unwrap;
	enum unwrap_verdict verdict;	/* as far as it has been told */
	bool input_ended, over;

	struct smtp_server *server;
	bool owed;			/* the server waits for our 250 */
	bool hello, begun, quit, id_seen;
	uint64_t line_base;		/* lines before the server's first */
	uint64_t quit_line;
	uint64_t last_line;		/* of the last event of the server */
	uint64_t mail_line, index;
	unsigned hops_said, hops;
	struct buf id;
	struct buf reason;

	struct bundle_event pending[2];
	unsigned npending;
	struct sha256 hash;	/* of a native batch, as far as it was read */
};

void
bundle_reader_options_default(struct bundle_reader_options *opts)
{
	struct smtp_server_options server;

	smtp_server_options_default(&server);
	*opts = (struct bundle_reader_options){
		.extensions = SMTP_EXT_RFC2442 | SMTP_EXT_PIPELINING |
		    SMTP_EXT_ENHANCEDSTATUSCODES | SMTP_EXT_CHUNKING |
		    SMTP_EXT_BINARYMIME | SMTP_EXT_SMTPUTF8 | SMTP_EXT_XGZIP |
		    SMTP_EXT_MT_PRIORITY | SMTP_EXT_DELIVERBY,
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
	sha256_init(&r->hash);
	r->unwrap = unwrap_new(&r->opts);
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
	unwrap_free(r->unwrap);
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
		.format = unwrap_format(r->unwrap),
		.compression = unwrap_compression(r->unwrap),
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
	ev->required = unwrap_header(r->unwrap)->required_extensions;
	ev->id = unwrap_header(r->unwrap)->message_id;
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
	r->over = true;
	return ev;
}

/*
 * The dialogue.
 */
static bool
is_bare(const struct bundle_reader *r)
{
	return unwrap_format(r->unwrap) == BUNDLE_FORMAT_BSMTP;
}

static bool
is_native(const struct bundle_reader *r)
{
	return unwrap_format(r->unwrap) == BUNDLE_FORMAT_NATIVE;
}

/* Is an order of commands wanted that SMTP lets pass in a batch? */
static bool
wants_order(const struct bundle_reader *r)
{
	return is_native(r) || (is_bare(r) && r->opts.strict);
}

static void
start_server(struct bundle_reader *r)
{
	struct smtp_server_options o;
	const struct mime_header *h = unwrap_header(r->unwrap);
	bool bare = is_bare(r);
	bool unix_mail = h->lf_lines && h->encoding != MIME_BASE64;

	smtp_server_options_default(&o);
	o.batch = true;
	o.errors_max = 0;
	o.native = is_native(r);
	o.extensions = o.native ? SMTP_EXT_NATIVE : r->opts.extensions;
	if (!bare && !o.native && r->opts.strict)
		o.extensions &= SMTP_EXT_RFC2442 | unwrap_named(r->unwrap);
	o.message_max = r->opts.message_max;
	o.recipients_max = r->opts.recipients_max;
	o.line_max = r->opts.line_max;
	o.command_max = r->opts.command_max;
	o.lenient = bare && !r->opts.strict;
	o.strict = bare && r->opts.strict;
	if (o.strict && o.line_max > SMTP_STRICT_LINE_MAX)
		o.line_max = SMTP_STRICT_LINE_MAX;
	o.line_ends = !o.native && !r->opts.strict && (bare || unix_mail) ?
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
	if (!r->id_seen && is_bare(r) &&
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
on_disorder(struct bundle_reader *r, const struct smtp_event *sev,
    const char *verb, const char *text)
{
	struct smtp_event fault = *sev;

	smtp_refuse(&fault.refusal, 503, "5.5.1", "%s", text);
	fault.fatal = true;
	fault.bytes = slice_of(verb);
	on_error(r, &fault);
}

static void
on_mail(struct bundle_reader *r, const struct smtp_event *sev)
{
	r->mail_line = r->line_base + sev->line;
	r->hops = is_native(r) ? sev->envelope->origin.hops : r->hops_said;
	r->hops_said = 0;
	if (r->opts.strict && !is_native(r) && !r->hello)
		on_disorder(r, sev, "MAIL", "EHLO or HELO comes first");
	else
		r->owed = true;
}

static void
on_begin(struct bundle_reader *r, const struct smtp_event *sev)
{
	if (sev->envelope->nrcpt == 0 && wants_order(r)) {
		on_disorder(r, sev, is_native(r) ? "BDAT" : "DATA",
		    "RCPT comes first");
		return;
	}
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
	r->last_line = r->line_base + sev->line;
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
	case SMTP_EVENT_VRFY:
	case SMTP_EVENT_STARTTLS:	/* never offered */
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
		push_reset(r);
		push_last(r, BUNDLE_EVENT_BROKEN)->reason =
		    "the session was closed";
		break;
	}
}

/* RFC 5321 4.1.1.10 to the letter: QUIT is said, and it is the last word. */
static void
push_quit_fault(struct bundle_reader *r, uint64_t line, const char *text)
{
	struct bundle_event *ev = push_last(r, BUNDLE_EVENT_BROKEN);

	smtp_refuse(&ev->refusal, 503, "5.5.1", "%s", text);
	ev->line = line;
	explain(r, ev);
	ev->reason = buf_cstr(&r->reason);
}

/*
 * Behind QUIT: bare batches are found joined in one file, so a new greeting
 * begins another one; anything else is no business of ours, as for Exim.
 */
static void
after_quit(struct bundle_reader *r)
{
	struct buf *b = unwrap_batch(r->unwrap);

	if (is_bare(r) && r->opts.strict && b->len > 0) {
		push_quit_fault(r, r->quit_line + 1, "text behind QUIT");
		buf_clear(b);
		return;
	}
	while (b->len > 0 && (*b->ptr == '\n' || *b->ptr == '\r')) {
		r->quit_line += *b->ptr == '\n';
		buf_consume(b, 1);
	}
	if (b->len < WORD_MAX && !r->input_ended)
		return;
	if (is_bare(r) && !r->opts.strict &&
	    (unwrap_begins(buf_slice(b), "HELO") ||
	    unwrap_begins(buf_slice(b), "EHLO"))) {
		smtp_server_free(r->server);
		start_server(r);
		r->line_base = r->quit_line;
		r->quit = false;
	} else {
		buf_clear(b);
		push_last(r, BUNDLE_EVENT_DONE)->quit = true;
	}
}

/* Feeds the server; false when it wants more than there is. */
static bool
run_dialogue(struct bundle_reader *r)
{
	struct buf *batch = unwrap_batch(r->unwrap);
	struct smtp_event sev;
	size_t used = 0, before = batch->len;
	int rc;

	if (r->owed)
		smtp_server_answer(r->server, 250, NULL, "");
	r->owed = false;
	if (r->server == NULL || (r->quit && before == 0))
		return false;
	if (r->quit) {
		after_quit(r);
		return batch->len < before || r->npending > 0 || !r->quit;
	}
	/* also with nothing: a chunk may just have ended */
	rc = smtp_server_next(r->server, batch->ptr, batch->len, &used, &sev);
	if (is_native(r))
		sha256_add(&r->hash, batch->ptr, used);
	if (rc == 1)
		on_server(r, &sev);
	buf_consume(batch, used);
	return rc == 1 || used > 0;
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

/* Tells what unwrap has found out since; false: nothing new. */
static bool
follow_verdict(struct bundle_reader *r)
{
	enum unwrap_verdict before = r->verdict;

	r->verdict = unwrap_verdict(r->unwrap);
	if (r->verdict == before)
		return false;
	if (before == UNWRAP_UNDECIDED && r->verdict != UNWRAP_NOT_BATCH)
		push_format(r);
	switch (r->verdict) {
	case UNWRAP_UNDECIDED:
		break;
	case UNWRAP_BATCH:
		start_server(r);
		break;
	case UNWRAP_NOT_BATCH:
		push_last(r, BUNDLE_EVENT_NOT_BATCH)->reason =
		    unwrap_reason(r->unwrap);
		break;
	case UNWRAP_BROKEN:
		push_reset(r);
		push_last(r, BUNDLE_EVENT_BROKEN)->reason =
		    unwrap_reason(r->unwrap);
		break;
	}
	return true;
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
		if (r->over) {
			*used_out = len;
			return 0;
		}
		if (run_dialogue(r) || follow_verdict(r) ||
		    unwrap_advance(r->unwrap))
			continue;
		bool taken = unwrap_take(r->unwrap, in + total, len - total,
		    &used);

		total += used;
		if (taken)
			continue;
		unwrap_raise(r->unwrap);
		if (unwrap_verdict(r->unwrap) == r->verdict) {
			*used_out = total;
			return 0;
		}
	}
}

/* All of the batch has been through the server. */
static void
end_dialogue(struct bundle_reader *r)
{
	struct smtp_event sev;

	if (r->quit || smtp_server_eof(r->server, &sev) != 1) {
		if (is_bare(r) && r->opts.strict && !r->quit) {
			push_quit_fault(r, r->last_line, "QUIT is missing "
			    "behind what began here");
			return;
		}
		push_last(r, BUNDLE_EVENT_DONE)->quit = r->quit;
		return;
	}
	sev.fatal = true;	/* an ERROR there is an object cut off */
	on_server(r, &sev);
}

int
bundle_reader_eof(struct bundle_reader *r, struct bundle_event *ev)
{
	size_t used;

	/* an expander may still hold output */
	if (!r->input_ended && bundle_reader_next(r, "", 0, &used, ev) == 1)
		return 1;
	r->input_ended = true;
	for (;;) {
		if (pop(r, ev))
			return 1;
		if (r->over)
			return 0;
		if (!run_dialogue(r) && !follow_verdict(r) &&
		    !unwrap_advance(r->unwrap) && !unwrap_end(r->unwrap))
			end_dialogue(r);
	}
}

void
bundle_reader_digest(const struct bundle_reader *r,
    unsigned char digest_out[SHA256_LEN])
{
	struct sha256 hash = r->hash;

	sha256_end(&hash, digest_out);
}
