/* SPDX-License-Identifier: ISC */
/*
 * The generator: the messages of a batch are written in every dialect, and
 * reading that must give them again, to the octet and to the letter.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "bundle/writer.h"
#include "smtp/extension.h"
#include "tests/fuzz/fuzz.h"

#define MESSAGES_MAX 8

struct message {
	struct envelope env;
	struct content_facts facts;
	struct buf content;
};

struct mails {
	struct message one[MESSAGES_MAX];
	size_t n;
};

static void
collect(struct mails *m, const struct bundle_event *ev)
{
	struct message *last = &m->one[m->n];

	if (m->n == MESSAGES_MAX)
		return;
	if (ev->kind == BUNDLE_EVENT_BEGIN) {
		buf_clear(&last->content);
	} else if (ev->kind == BUNDLE_EVENT_CONTENT) {
		buf_addslice(&last->content, ev->bytes);
	} else if (ev->kind == BUNDLE_EVENT_END) {
		envelope_copy(&last->env, ev->envelope);
		last->facts = *ev->facts;
		/* what is 8-bit is written as such, whatever was said */
		if ((ev->facts->flags & CONTENT_8BIT) != 0 &&
		    last->env.body != SMTP_BODY_BINARYMIME)
			last->env.body = SMTP_BODY_8BITMIME;
		m->n++;
	}
}

static enum bundle_event_kind
read_mails(struct mails *m, const struct bundle_reader_options *opts,
    struct slice in)
{
	struct bundle_reader *r = bundle_reader_new(opts);
	struct bundle_event ev = { .kind = BUNDLE_EVENT_NOT_BATCH };
	enum bundle_event_kind last = BUNDLE_EVENT_NOT_BATCH;
	size_t used;

	while (bundle_reader_next(r, in.ptr, in.len, &used, &ev) == 1) {
		in.ptr += used;
		in.len -= used;
		last = ev.kind;
		collect(m, &ev);
	}
	while (bundle_reader_eof(r, &ev) == 1) {
		last = ev.kind;
		collect(m, &ev);
	}
	bundle_reader_free(r);
	return last;
}

static void
mails_release(struct mails *m)
{
	for (size_t i = 0; i < MESSAGES_MAX; i++) {
		envelope_release(&m->one[i].env);
		buf_release(&m->one[i].content);
	}
}

static void
show_mails(struct buf *out, const struct mails *m)
{
	for (size_t i = 0; i < m->n; i++) {
		fuzz_show_envelope(out, &m->one[i].env);
		buf_addc(out, '[');
		buf_addslice(out, buf_slice(&m->one[i].content));
		buf_addc(out, ']');
	}
}

static int
to_buf(void *ctx, const char *bytes, size_t len, struct err *e)
{
	(void)e;
	buf_add(ctx, bytes, len);
	return 0;
}

static void
write_mails(struct buf *out, const struct mails *m,
    const struct bundle_params *params)
{
	struct bundle_writer *w = bundle_writer_new(params, to_buf, out);
	struct err e = ERR_INIT;

	for (size_t i = 0; i < m->n; i++) {
		const struct message *one = &m->one[i];
		size_t rcpt[BUNDLE_RECIPIENTS_MAX];

		for (size_t k = 0; k < one->env.nrcpt; k++)
			rcpt[k] = k;
		FUZZ_CHECK(bundle_writer_begin(w, &one->env, &one->facts, 1,
		    rcpt, one->env.nrcpt, &e) == 0);
		FUZZ_CHECK(bundle_writer_content(w, one->content.ptr,
		    one->content.len, &e) == 0);
		FUZZ_CHECK(bundle_writer_end_message(w, &e) == 0);
	}
	FUZZ_CHECK(bundle_writer_finish(w, &e) == 0);
	bundle_writer_free(w);
}

/* RFC 5321 4.5.3.1.6: a line of a mail that is too long stays so. */
static bool
has_long_line(const struct mails *m)
{
	for (size_t i = 0; i < m->n; i++)
		if ((m->one[i].facts.flags & CONTENT_LONG) != 0)
			return true;
	return false;
}

static void
check_dialect(const struct mails *m, const struct bundle_params *params)
{
	struct bundle_reader_options opts;
	struct mails *again = mem_alloc(1, sizeof(*again));
	struct buf object = BUF_INIT, one = BUF_INIT, other = BUF_INIT;

	bundle_reader_options_default(&opts);
	opts.strict = !has_long_line(m);
	opts.native = params->dialect == BUNDLE_NATIVE;
	write_mails(&object, m, params);
	FUZZ_CHECK(read_mails(again, &opts, buf_slice(&object)) ==
	    BUNDLE_EVENT_DONE);
	show_mails(&one, m);
	show_mails(&other, again);
	fuzz_same(&one, &other);
	mails_release(again);
	free(again);
	buf_release(&object);
	buf_release(&one);
	buf_release(&other);
}

/* What it drops says nothing: BODY=7BIT, and a size that was declared. */
static void
check_native(const struct mails *m)
{
	struct mails *plain = mem_alloc(1, sizeof(*plain));
	struct bundle_params p = { .dialect = BUNDLE_NATIVE };

	for (plain->n = 0; plain->n < m->n; plain->n++) {
		struct message *one = &plain->one[plain->n];

		envelope_copy(&one->env, &m->one[plain->n].env);
		one->facts = m->one[plain->n].facts;
		buf_addslice(&one->content,
		    buf_slice(&m->one[plain->n].content));
		if (one->env.body == SMTP_BODY_7BIT)
			one->env.body = SMTP_BODY_NONE;
	}
	for (unsigned mode = 0; mode < SQUEEZE_MODES; mode++) {
		p.squeeze = squeeze_default((enum squeeze_mode)mode);
		check_dialect(plain, &p);
	}
	mails_release(plain);
	free(plain);
}

static void
check_mails(const struct mails *m)
{
	struct bundle_reader_options opts;
	struct bundle_params p = {
		.dialect = BUNDLE_BSMTP, .ids = true, .id = "id-1",
		.helo = "g.example", .from = "a@g.example",
		.to = "b@g.example", .gzip_level = 1,
	};

	bundle_reader_options_default(&opts);
	p.extensions = opts.extensions;
	check_dialect(m, &p);
	p.gzip = true;
	check_dialect(m, &p);
	p.dialect = BUNDLE_RFC2442;
	p.required = p.extensions & ~(unsigned)SMTP_EXT_XGZIP;
	check_dialect(m, &p);
	p.gzip = false;
	p.encoding = MIME_BASE64;
	check_dialect(m, &p);
	p.encoding = MIME_8BIT;
	check_dialect(m, &p);
	check_native(m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bundle_reader_options opts;
	struct mails *m = mem_alloc(1, sizeof(*m));
	char *copy = fuzz_copy((const char *)data, size);

	bundle_reader_options_default(&opts);
	opts.recipients_max = BUNDLE_RECIPIENTS_MAX;
	opts.batch_max = 200000;
	(void)read_mails(m, &opts, (struct slice){ copy, size });
	if (m->n > 0)
		check_mails(m);
	mails_release(m);
	free(m);
	free(copy);
	return 0;
}
