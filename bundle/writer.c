/* SPDX-License-Identifier: ISC */
/*
 * The generator.
 *
 * The client half of smtp/ makes the dialogue; its output gathers until there
 * is enough to be worth a step and then runs through gzip and base64 to the
 * sink.  Where the steps fall shows nowhere in what comes out: gzip and
 * base64 cut their input themselves.  What the dialects differ in is a table.
 */
#include "bundle/writer.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "smtp/client.h"
#include "smtp/extension.h"

#define STEP 65536

struct bundle_writer {
	struct bundle_params params;
	char *id, *helo, *from, *to;
	sink_fn *sink;
	void *ctx;
	struct smtp_client *client;
	struct gzip_writer *gzip;	/* NULL: none */
	struct squeeze_writer *squeeze;	/* NULL: not native */
	struct sha256 hash;		/* native: of the batch */
	struct envelope env;		/* native: the caller's, with hops */
	enum mime_encoding encoding;
	struct base64_encoder base64;
	struct qp_encoder qp;
	struct buf text;		/* encoded, or the header */
	bool started;
	struct smtp_refusal refusal;
};

static const struct {
	size_t recipients_max;	/* of one transaction */
	bool quit;		/* ends with it */
} dialects[] = {
	[BUNDLE_BSMTP] = { BUNDLE_RECIPIENTS_MAX, true },
	[BUNDLE_RFC2442] = { BUNDLE_RECIPIENTS_MAX, true },
	[BUNDLE_NATIVE] = { BUNDLE_NATIVE_RECIPIENTS_MAX, false },
};

size_t
bundle_recipients_max(enum bundle_dialect dialect)
{
	return dialects[dialect].recipients_max;
}

/* The last step: the encoding of the object, then the caller. */
static int
write_encoded(void *ctx, const char *bytes, size_t len, struct err *e)
{
	struct bundle_writer *w = ctx;
	int rc;

	if (w->encoding == MIME_BASE64)
		base64_encoder_add(&w->base64, &w->text, bytes, len);
	else if (w->encoding == MIME_QUOTED_PRINTABLE)
		qp_encoder_add(&w->qp, &w->text, bytes, len);
	else
		return w->sink(w->ctx, bytes, len, e);
	rc = w->sink(w->ctx, w->text.ptr, w->text.len, e);
	buf_clear(&w->text);
	return rc;
}

static char *
dup_or_null(const char *text)
{
	return text != NULL ? mem_strdup(text) : NULL;
}

/* A native batch has its own of everything. */
static void
init_native(struct bundle_writer *w, struct smtp_client_options *opts)
{
	w->params = (struct bundle_params){
		.dialect = BUNDLE_NATIVE,
		.squeeze = w->params.squeeze,
	};
	sha256_init(&w->hash);
	w->squeeze = squeeze_writer_new(w->params.squeeze, w->sink, w->ctx);
	opts->native = true;
	opts->plain = false;
	opts->assumed = SMTP_EXT_NATIVE;
}

struct bundle_writer *
bundle_writer_new(const struct bundle_params *params, sink_fn *sink,
    void *ctx)
{
	struct bundle_writer *w = mem_alloc(1, sizeof(*w));
	struct smtp_client_options opts = {
		.batch = true,
		.assumed = params->extensions & ~(unsigned)SMTP_EXT_XORIGIN,
		.plain = params->plain,
	};
	int level = params->gzip_level != 0 ? params->gzip_level : 6;

	w->params = *params;
	w->sink = sink;
	w->ctx = ctx;
	w->encoding = params->dialect != BUNDLE_RFC2442 ? MIME_BINARY :
	    params->gzip ? MIME_BASE64 : params->encoding;
	base64_encoder_init(&w->base64);
	qp_encoder_init(&w->qp);
	buf_init(&w->text);
	if (params->dialect == BUNDLE_NATIVE) {
		init_native(w, &opts);
		w->client = smtp_client_new(&opts);
		return w;
	}
	w->params.id = w->id = dup_or_null(params->id);
	w->params.helo = w->helo = dup_or_null(params->helo);
	w->params.from = w->from = dup_or_null(params->from);
	w->params.to = w->to = dup_or_null(params->to);
	if (params->gzip)
		w->gzip = gzip_writer_new(level, write_encoded, w);
	opts.helo = w->helo;
	w->client = smtp_client_new(&opts);
	return w;
}

void
bundle_writer_free(struct bundle_writer *w)
{
	if (w == NULL)
		return;
	smtp_client_free(w->client);
	gzip_writer_free(w->gzip);
	squeeze_writer_free(w->squeeze);
	buf_release(&w->text);
	free(w->id);
	free(w->helo);
	free(w->from);
	free(w->to);
	free(w);
}

/*
 * required-extensions replaces RFC 2442's list where it is given, so the
 * three of that list are named together with what goes beyond them.
 */
static void
add_required(struct buf *out, unsigned required)
{
	unsigned beyond = required & ~(unsigned)SMTP_EXT_RFC2442;

	if (beyond == 0)
		return;
	buf_adds(out, ";\r\n required-extensions=\"8bitMIME,SIZE,NOTARY");
	for (unsigned bit = 1; bit != 0 && bit <= beyond; bit <<= 1)
		if (beyond & bit)
			buf_addf(out, ",%s", smtp_extension_name(bit));
	buf_addc(out, '"');
}

/* That of the bundle address, so that the id names no machine. */
static const char *
domain_of(const struct bundle_params *p)
{
	const char *at = p->from != NULL ? strrchr(p->from, '@') : NULL;

	if (at != NULL)
		return at + 1;
	return p->helo != NULL ? p->helo : "";
}

/* Nothing is in it but what must be: the same for every object of a pair. */
static int
write_header(struct bundle_writer *w, struct err *e)
{
	struct bundle_params *p = &w->params;
	unsigned required = p->required | (p->gzip ? SMTP_EXT_XGZIP : 0);
	struct buf header = BUF_INIT;
	int rc;

	buf_addf(&header, "From: <%s>\r\nTo: <%s>\r\nSubject: batch\r\nDate: ",
	    p->from != NULL ? p->from : "", p->to != NULL ? p->to : "");
	date_format(&header, p->date_ms);
	buf_addf(&header, "\r\nMessage-ID: <%s@%s>\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: application/batch-SMTP",
	    p->id != NULL ? p->id : "", domain_of(p));
	add_required(&header, required);
	buf_addf(&header, "\r\nContent-Transfer-Encoding: %s\r\n\r\n",
	    mime_encoding_name(w->encoding));
	rc = w->sink(w->ctx, header.ptr, header.len, e);
	buf_release(&header);
	return rc;
}

/* Hands what the client has written to the next step, from `least` octets. */
static int
pump(struct bundle_writer *w, size_t least, struct err *e)
{
	struct buf *out = smtp_client_output(w->client);
	int rc;

	if (out->len < least || out->len == 0)
		return 0;
	if (w->squeeze != NULL) {
		sha256_add(&w->hash, out->ptr, out->len);
		rc = squeeze_writer_add(w->squeeze, out->ptr, out->len, e);
	} else if (w->gzip != NULL)
		rc = gzip_writer_add(w->gzip, out->ptr, out->len, e);
	else
		rc = write_encoded(w, out->ptr, out->len, e);
	buf_clear(out);
	return rc;
}

static void
drain_events(struct bundle_writer *w)
{
	struct smtp_client_event ev;

	while (smtp_client_next(w->client, &ev) == 1)
		;	/* a batch takes every command to succeed */
}

static int
start(struct bundle_writer *w, struct err *e)
{
	if (w->started)
		return 0;
	w->started = true;
	drain_events(w);
	if (w->params.dialect == BUNDLE_RFC2442) {
		int rc = write_header(w, e);

		if (rc < 0)
			return rc;
	}
	if (w->params.ids && w->params.id != NULL) {
		char *text = mem_printf("postrider-id=%s", w->params.id);

		smtp_client_noop(w->client, text);
		free(text);
	}
	return 0;
}

int
bundle_writer_begin(struct bundle_writer *w, const struct envelope *env,
    const struct content_facts *facts, unsigned hops, const size_t *rcpt,
    size_t n, struct err *e)
{
	struct buf *out = smtp_client_output(w->client);
	char noop[48];
	size_t before;
	int rc = start(w, e);

	if (rc < 0)
		return rc;
	if (n > bundle_recipients_max(w->params.dialect))
		return err_set(e, ERR_LIMIT,
		    "%zu recipients in one transaction, %zu are allowed", n,
		    bundle_recipients_max(w->params.dialect));
	before = out->len;
	if (w->params.ids && hops > 0) {
		snprintf(noop, sizeof(noop), "postrider-hops=%u", hops);
		smtp_client_noop(w->client, noop);
	}
	if (w->squeeze != NULL) {
		w->env = *env;	/* its pointers, until the message ends */
		w->env.origin.hops = hops;
		env = &w->env;
	}
	rc = smtp_client_begin(w->client, env, facts, rcpt, n, &w->refusal);
	if (rc < 0) {
		buf_truncate(out, before);	/* the NOOP */
		return err_set(e, ERR_UNSUPPORTED, "%d %s %s", w->refusal.code,
		    w->refusal.status, w->refusal.text);
	}
	drain_events(w);
	return pump(w, STEP, e);
}

int
bundle_writer_content(struct bundle_writer *w, const char *bytes, size_t len,
    struct err *e)
{
	while (len > 0) {
		size_t n = len < STEP ? len : STEP;
		int rc;

		smtp_client_content(w->client, bytes, n);
		rc = pump(w, STEP, e);
		if (rc < 0)
			return rc;
		bytes += n;
		len -= n;
	}
	return 0;
}

int
bundle_writer_end_message(struct bundle_writer *w, struct err *e)
{
	int rc;

	smtp_client_content_end(w->client);
	drain_events(w);
	if (w->squeeze == NULL)
		return pump(w, STEP, e);
	rc = pump(w, 0, e);
	return rc < 0 ? rc : squeeze_writer_cut(w->squeeze, e);
}

int
bundle_writer_finish(struct bundle_writer *w, struct err *e)
{
	int rc = start(w, e);

	if (rc < 0)
		return rc;
	if (dialects[w->params.dialect].quit)
		smtp_client_quit(w->client);
	drain_events(w);
	rc = pump(w, 0, e);
	if (rc == 0 && w->squeeze != NULL)
		rc = squeeze_writer_end(w->squeeze, e);
	if (rc == 0 && w->gzip != NULL)
		rc = gzip_writer_end(w->gzip, e);
	if (w->encoding == MIME_BASE64)
		base64_encoder_end(&w->base64, &w->text);
	else if (w->encoding == MIME_QUOTED_PRINTABLE)
		qp_encoder_end(&w->qp, &w->text, true);
	if (rc == 0 && w->text.len > 0)
		rc = w->sink(w->ctx, w->text.ptr, w->text.len, e);
	buf_clear(&w->text);
	return rc;
}

const struct smtp_refusal *
bundle_writer_refusal(const struct bundle_writer *w)
{
	return &w->refusal;
}

void
bundle_writer_digest(const struct bundle_writer *w,
    unsigned char digest_out[SHA256_LEN])
{
	struct sha256 hash = w->hash;

	sha256_end(&hash, digest_out);
}
