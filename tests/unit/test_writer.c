/* SPDX-License-Identifier: ISC */
/*
 * The generator (RFC 2442 3.1): what it writes, octet by octet, that the same
 * calls write the same, and that everything written is read again unchanged.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "bundle/reader.h"
#include "bundle/writer.h"
#include "smtp/extension.h"
#include "tests/unit/octets.h"

#define ALL (SMTP_EXT_RFC2442 | SMTP_EXT_CHUNKING | SMTP_EXT_SMTPUTF8)

static struct content_facts
facts_of(const char *bytes, size_t len)
{
	struct content_scanner scan;

	content_scanner_init(&scan);
	content_scanner_add(&scan, bytes, len);
	content_scanner_end(&scan);
	return scan.facts;
}

static void
make_envelope(struct envelope *env)
{
	envelope_init(env);
	env->sender = mem_strdup("a@one.example");
	envelope_add_recipient(env, "b@two.example", "NEVER", NULL);
	envelope_add_recipient(env, "c@two.example", NULL,
	    "rfc822;x+2By@z.example");
}

static void
write_message(struct bundle_writer *w, struct envelope *env, unsigned hops,
    const char *bytes, size_t len, size_t piece)
{
	struct content_facts facts = facts_of(bytes, len);
	struct err e = ERR_INIT;
	size_t rcpt[] = { 0, 1 };

	assert_int_equal(bundle_writer_begin(w, env, &facts, hops, rcpt, 2,
	    &e), 0);
	for (size_t at = 0; at < len; at += piece)
		assert_int_equal(bundle_writer_content(w, bytes + at,
		    len - at < piece ? len - at : piece, &e), 0);
	assert_int_equal(bundle_writer_end_message(w, &e), 0);
}

static void
write_one(struct buf *out, const struct bundle_params *params, unsigned hops,
    const char *text, size_t piece)
{
	struct bundle_writer *w = bundle_writer_new(params, sink_to_buf, out);
	struct envelope env;
	struct err e = ERR_INIT;

	make_envelope(&env);
	write_message(w, &env, hops, text, strlen(text), piece);
	assert_int_equal(bundle_writer_finish(w, &e), 0);
	bundle_writer_free(w);
	envelope_release(&env);
}

#define MAIL_RCPT(size) \
	"MAIL FROM:<a@one.example> SIZE=" size "\r\n" \
	"RCPT TO:<b@two.example> NOTIFY=NEVER\r\n" \
	"RCPT TO:<c@two.example> ORCPT=rfc822;x+2By@z.example\r\n"
#define HEADER(type, cte) \
	"From: <p@one.example>\r\nTo: <p@two.example>\r\nSubject: batch\r\n" \
	"Date: Thu, 01 Jan 1970 00:00:01 +0000\r\n" \
	"Message-ID: <id-1@one.example>\r\nMIME-Version: 1.0\r\n" \
	"Content-Type: application/batch-SMTP" type "\r\n" \
	"Content-Transfer-Encoding: " cte "\r\n\r\n"

static const struct bundle_params bare = {
	.dialect = BUNDLE_BSMTP, .helo = "g.example", .id = "id-1",
	.extensions = ALL,
};
static const struct bundle_params mime = {
	.dialect = BUNDLE_RFC2442, .helo = "g.example", .id = "id-1",
	.extensions = ALL, .encoding = MIME_7BIT, .from = "p@one.example",
	.to = "p@two.example", .date_ms = 1000,
};

static void
check_written(const struct bundle_params *params, unsigned hops,
    const char *text, const char *wanted)
{
	for (size_t piece = 1; piece <= 100; piece += 3) {
		struct buf out = BUF_INIT;

		write_one(&out, params, hops, text, piece);
		assert_string_equal(buf_cstr(&out), wanted);
		buf_release(&out);
	}
}

static void
test_bare(void **state)
{
	struct bundle_params p = bare;

	(void)state;
	check_written(&p, 3, "A: b\r\n\r\n.\r\n..x\r\n",
	    "EHLO g.example\r\n" MAIL_RCPT("16")
	    "DATA\r\nA: b\r\n\r\n..\r\n...x\r\n.\r\nQUIT\r\n");
	p.ids = true;
	check_written(&p, 3, "A: b\r\n",
	    "EHLO g.example\r\nNOOP postrider-id=id-1\r\n"
	    "NOOP postrider-hops=3\r\n" MAIL_RCPT("6")
	    "DATA\r\nA: b\r\n.\r\nQUIT\r\n");
	check_written(&p, 0, "A: b\r\n",
	    "EHLO g.example\r\nNOOP postrider-id=id-1\r\n" MAIL_RCPT("6")
	    "DATA\r\nA: b\r\n.\r\nQUIT\r\n");
	/* bare CR, LF and an open end cannot go by DATA */
	p.ids = false;
	check_written(&p, 0, "a\nb\r\n.", "EHLO g.example\r\n" MAIL_RCPT("6")
	    "BDAT 6 LAST\r\na\nb\r\n.QUIT\r\n");
}

static void
test_mime(void **state)
{
	struct bundle_params p = mime;

	(void)state;
	check_written(&p, 0, "A: b\r\n", HEADER("", "7bit")
	    "EHLO g.example\r\n" MAIL_RCPT("6")
	    "DATA\r\nA: b\r\n.\r\nQUIT\r\n");
	p.encoding = MIME_8BIT;
	p.required = SMTP_EXT_8BITMIME | SMTP_EXT_DSN;
	check_written(&p, 0, "A: b\r\n", HEADER("", "8bit")
	    "EHLO g.example\r\n" MAIL_RCPT("6")
	    "DATA\r\nA: b\r\n.\r\nQUIT\r\n");
	p.required = SMTP_EXT_CHUNKING | SMTP_EXT_8BITMIME;
	check_written(&p, 0, "x", HEADER(";\r\n required-extensions="
	    "\"8bitMIME,SIZE,NOTARY,CHUNKING\"", "8bit")
	    "EHLO g.example\r\n" MAIL_RCPT("1") "BDAT 1 LAST\r\nxQUIT\r\n");
}

/* "EHLO g.example\r\nQUIT\r\n" by base64(1) */
static void
test_base64_and_empty(void **state)
{
	struct bundle_params p = mime;
	struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	struct bundle_writer *w;

	(void)state;
	p.encoding = MIME_BASE64;
	w = bundle_writer_new(&p, sink_to_buf, &out);
	assert_int_equal(bundle_writer_finish(w, &e), 0);
	bundle_writer_free(w);
	assert_string_equal(buf_cstr(&out), HEADER("", "base64")
	    "RUhMTyBnLmV4YW1wbGUNClFVSVQNCg==\r\n");
	buf_release(&out);
}

static void
test_refused_leaves_nothing(void **state)
{
	struct bundle_params p = bare;
	struct buf out = BUF_INIT;
	struct bundle_writer *w;
	struct content_facts facts = facts_of("a\nb", 3);
	struct envelope env;
	struct err e = ERR_INIT;
	size_t rcpt[101] = { 0 };

	(void)state;
	make_envelope(&env);
	p.ids = true;
	p.extensions = 0;
	w = bundle_writer_new(&p, sink_to_buf, &out);
	assert_int_equal(bundle_writer_begin(w, &env, &facts, 7, rcpt, 1, &e),
	    ERR_UNSUPPORTED);
	assert_true(e.text[0] != '\0');
	facts = facts_of("a\r\n", 3);
	assert_int_equal(bundle_writer_begin(w, &env, &facts, 7, rcpt, 101,
	    &e), ERR_LIMIT);
	assert_int_equal(bundle_writer_begin(w, &env, &facts, 0, rcpt, 1, &e),
	    0);
	assert_int_equal(bundle_writer_content(w, "a\r\n", 3, &e), 0);
	assert_int_equal(bundle_writer_end_message(w, &e), 0);
	assert_int_equal(bundle_writer_finish(w, &e), 0);
	assert_null(strstr(buf_cstr(&out), "hops"));
	assert_non_null(strstr(buf_cstr(&out),
	    "MAIL FROM:<a@one.example>\r\nRCPT TO:<b@two.example>\r\nDATA"));
	bundle_writer_free(w);
	envelope_release(&env);
	buf_release(&out);
}

/*
 * Writer and reader: content and envelope come back.
 */
struct check {
	struct buf content;
	size_t ended;
	unsigned hops;
	enum bundle_event_kind last;
	const char **texts;
	const size_t *lens;
};

static void
on_event(struct check *c, const struct bundle_event *ev)
{
	c->last = ev->kind;
	if (ev->kind == BUNDLE_EVENT_BEGIN) {
		buf_clear(&c->content);
		c->hops += ev->hops;
		assert_string_equal(ev->envelope->sender, "a@one.example");
		assert_int_equal(ev->envelope->nrcpt, 2);
		assert_string_equal(ev->envelope->rcpt[0].notify, "NEVER");
		assert_string_equal(ev->envelope->rcpt[1].orcpt,
		    "rfc822;x+2By@z.example");
	} else if (ev->kind == BUNDLE_EVENT_CONTENT) {
		buf_addslice(&c->content, ev->bytes);
	} else if (ev->kind == BUNDLE_EVENT_END) {
		assert_int_equal(ev->index, c->ended + 1);
		assert_int_equal(c->content.len, c->lens[c->ended]);
		assert_int_equal(ev->facts->octets, c->lens[c->ended]);
		if (c->content.len > 0)
			assert_memory_equal(c->content.ptr,
			    c->texts[c->ended], c->content.len);
		c->ended++;
	}
}

static void
read_back(struct check *c, const struct buf *object, size_t piece)
{
	struct bundle_reader_options opts;
	struct bundle_reader *r;
	struct bundle_event ev;
	size_t used;

	bundle_reader_options_default(&opts);
	r = bundle_reader_new(&opts);
	for (size_t at = 0; at < object->len; at += used) {
		size_t n = object->len - at < piece ? object->len - at : piece;

		while (bundle_reader_next(r, object->ptr + at, n, &used,
		    &ev) == 1) {
			on_event(c, &ev);
			at += used;
			n -= used;
		}
		assert_int_equal(used, n);
	}
	while (bundle_reader_eof(r, &ev) == 1)
		on_event(c, &ev);
	bundle_reader_free(r);
}

static void
round_trip(const struct bundle_params *p, const char **texts,
    const size_t *lens, size_t n, size_t piece)
{
	struct buf object = BUF_INIT, again = BUF_INIT;
	struct check c = { .texts = texts, .lens = lens };
	struct envelope env;
	struct err e = ERR_INIT;

	make_envelope(&env);
	for (int pass = 0; pass < 2; pass++) {
		struct bundle_writer *w = bundle_writer_new(p, sink_to_buf,
		    pass == 0 ? &object : &again);

		for (size_t i = 0; i < n; i++)
			write_message(w, &env, 1, texts[i], lens[i],
			    pass == 0 ? 4096 : 1 << 20);
		assert_int_equal(bundle_writer_finish(w, &e), 0);
		bundle_writer_free(w);
	}
	/* the same calls, the same octets, however content was cut */
	assert_int_equal(object.len, again.len);
	assert_memory_equal(object.ptr, again.ptr, again.len);
	read_back(&c, &object, piece);
	assert_int_equal(c.last, BUNDLE_EVENT_DONE);
	assert_int_equal(c.ended, n);
	assert_int_equal(c.hops, p->ids ? n : 0);
	buf_release(&c.content);
	buf_release(&object);
	buf_release(&again);
	envelope_release(&env);
}

static void
round_trips(const char **texts, const size_t *lens, size_t n, size_t piece)
{
	struct bundle_params p = bare;

	round_trip(&p, texts, lens, n, piece);
	p.gzip = p.ids = true;
	round_trip(&p, texts, lens, n, piece);
	p = mime;
	p.required = SMTP_EXT_CHUNKING;
	p.encoding = MIME_8BIT;
	round_trip(&p, texts, lens, n, piece);
	p.encoding = MIME_BASE64;
	round_trip(&p, texts, lens, n, piece);
	p.gzip = true;
	round_trip(&p, texts, lens, n, piece);
}

static void
test_round_trip_table(void **state)
{
	static const char *texts[] = {
		"", ".", "..", ".\r\n", "\r\n", "\r\n.\r\n", "\r\n.", "\r",
		"\n", "\n.\n", "\r.\r", "a\r\n.\r\nQUIT\r\n", "a\n.\nMAIL\n",
		"\r\n\r\n..\r\n", "x\r", "x\r\n.\r", "\xff\xfe\r\n",
		"EHLO x\r\nMAIL FROM:<x@y>\r\n", "a\r\r\n", "no end",
	};
	size_t lens[COUNT(texts)];

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		lens[i] = strlen(texts[i]);
	round_trips(texts, lens, COUNT(texts), 1);
	round_trips(texts, lens, COUNT(texts), 1 << 20);
}

/* Random octets of the ones that matter. */
static void
test_round_trip_random(void **state)
{
	static const char letters[] = "\r\n..a \0=";
	enum { N = 200, LEN = 40 };
	static char bytes[N][LEN];
	const char *texts[N];
	size_t lens[N];
	struct rng_seeded rng;

	(void)state;
	rng_seeded_init(&rng, 2442);
	for (size_t i = 0; i < N; i++) {
		lens[i] = rng_below(&rng.rng, LEN);
		texts[i] = bytes[i];
		for (size_t k = 0; k < lens[i]; k++)
			bytes[i][k] = letters[rng_below(&rng.rng, 8)];
	}
	round_trips(texts, lens, N, 1);
	round_trips(texts, lens, N, 333);
}

static void
test_round_trip_mails(void **state)
{
	enum { MAX = 500 };
	static struct buf mails[MAX];
	const char *texts[MAX];
	size_t lens[MAX], n = 0;
	DIR *dir = opendir("tests/mails");
	struct dirent *d;

	(void)state;
	if (dir == NULL)
		skip();
	while ((d = readdir(dir)) != NULL && n < MAX) {
		char *path = path_join("tests/mails", d->d_name);
		struct err e = ERR_INIT;

		if (strstr(d->d_name, ".eml") != NULL) {
			assert_int_equal(file_read(path, 16 << 20, &mails[n],
			    &e), 0);
			texts[n] = mails[n].len > 0 ? mails[n].ptr : "";
			lens[n] = mails[n].len;
			n++;
		}
		free(path);
	}
	closedir(dir);
	assert_true(n > 30);
	round_trips(texts, lens, n, 65536);
	round_trips(texts, lens, n, 1000);
	while (n > 0)
		buf_release(&mails[--n]);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bare),
		cmocka_unit_test(test_mime),
		cmocka_unit_test(test_base64_and_empty),
		cmocka_unit_test(test_refused_leaves_nothing),
		cmocka_unit_test(test_round_trip_table),
		cmocka_unit_test(test_round_trip_random),
		cmocka_unit_test(test_round_trip_mails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
