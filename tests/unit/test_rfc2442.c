/* SPDX-License-Identifier: ISC */
/*
 * RFC 2442, clause by clause: what it says of the content type, of the
 * generator and of the processor, each with a case of its own.  An object of
 * the table is read whole and octet by octet; what came of it is written down
 * as the outcome and, for each message, sender, recipients and octets.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/mem.h"
#include "bundle/reader.h"
#include "bundle/writer.h"
#include "smtp/extension.h"
#include "tests/unit/octets.h"

struct told {
	struct buf text;
};

static const char *
or_dash(const char *text)
{
	return text != NULL ? text : "-";
}

/* "<a@b> <c@d NOTIFY ORCPT> RET ENVID BODY SIZE=n octets;" */
static void
show_message(struct buf *t, const struct bundle_event *ev)
{
	const struct envelope *env = ev->envelope;

	buf_addf(t, " <%s>", env->sender);
	for (size_t i = 0; i < env->nrcpt; i++) {
		const struct recipient *r = &env->rcpt[i];

		buf_addf(t, "<%s", r->address);
		if (r->notify != NULL || r->orcpt != NULL)
			buf_addf(t, " %s %s", or_dash(r->notify),
			    or_dash(r->orcpt));
		buf_addc(t, '>');
	}
	if (env->ret != SMTP_RET_NONE || env->envid != NULL)
		buf_addf(t, " %s %s", or_dash(smtp_ret_name(env->ret)),
		    or_dash(env->envid));
	if (env->body != SMTP_BODY_NONE)
		buf_addf(t, " %s", smtp_body_name(env->body));
	if (env->size_given)
		buf_addf(t, " SIZE=%llu", (unsigned long long)env->size);
	buf_addf(t, " %llu", (unsigned long long)ev->facts->octets);
}

static void
show_last(struct buf *t, const struct bundle_event *ev)
{
	struct buf head = BUF_INIT;

	if (ev->kind == BUNDLE_EVENT_DONE)
		buf_adds(&head, "process");
	else if (ev->kind == BUNDLE_EVENT_NOT_BATCH)
		buf_adds(&head, "not-batch");
	else
		buf_adds(&head, "postmaster");
	if (ev->kind != BUNDLE_EVENT_DONE)
		assert_true(ev->reason != NULL && *ev->reason != '\0');
	if (ev->refusal.code != 0)
		buf_addf(&head, " line %llu", (unsigned long long)ev->line);
	buf_addslice(&head, buf_slice(t));
	buf_release(t);
	*t = head;
}

static void
show(struct told *told, const struct bundle_event *ev)
{
	switch (ev->kind) {
	case BUNDLE_EVENT_END:
		show_message(&told->text, ev);
		break;
	case BUNDLE_EVENT_ERROR:
		buf_addf(&told->text, " !%s", ev->refusal.status);
		break;
	case BUNDLE_EVENT_BROKEN:
	case BUNDLE_EVENT_NOT_BATCH:
	case BUNDLE_EVENT_DONE:
		show_last(&told->text, ev);
		break;
	default:
		break;
	}
}

static void
process(struct told *told, const char *in, size_t len, size_t piece)
{
	struct bundle_reader_options opts;
	struct bundle_reader *r;
	struct bundle_event ev;
	size_t used;

	bundle_reader_options_default(&opts);
	/* as a processor that has nothing but what it must have */
	opts.extensions = SMTP_EXT_RFC2442;
	r = bundle_reader_new(&opts);
	for (size_t at = 0; at < len; at += used) {
		size_t n = len - at < piece ? len - at : piece;

		while (bundle_reader_next(r, in + at, n, &used, &ev) == 1) {
			show(told, &ev);
			at += used;
			n -= used;
		}
	}
	while (bundle_reader_eof(r, &ev) == 1)
		show(told, &ev);
	bundle_reader_free(r);
}

#define TYPE "Content-Type: application/batch-SMTP"
#define CTE(name) "\r\nContent-Transfer-Encoding: " name
#define EMPTY "\r\nMIME-Version: 1.0\r\n\r\n"
#define REQUIRED(list) TYPE "; required-extensions=" list EMPTY
#define FROM "MAIL FROM:<a@b.c>"
#define TO "RCPT TO:<d@e.f>"
#define TEXT "\r\nDATA\r\nhi\r\n.\r\n"
#define ONE FROM "\r\n" TO TEXT
#define HI "EHLO g.h\r\n"
#define BYE "QUIT\r\n"
#define GOOD " <a@b.c><d@e.f> 4"

static const struct {
	const char *clause, *object, *told;
} cases[] = {
	/* The content type */
	{ "type: the client side of a transaction, CR LF",
	    TYPE EMPTY HI ONE BYE, "process" GOOD },
	{ "type: names of types without regard to case (RFC 2045 5.1)",
	    "CONTENT-TYPE: APPLICATION/Batch-smtp" EMPTY HI ONE BYE,
	    "process" GOOD },
	{ "type: another subtype is not ours",
	    "Content-Type: application/batch-SMTP2" EMPTY HI ONE BYE,
	    "not-batch" },
	{ "type: as text it is only text",
	    "Content-Type: text/plain; x=\"application/batch-SMTP\"" EMPTY
	    HI ONE, "not-batch" },
	{ "type: inside a message/rfc822 it is that message's matter",
	    "Content-Type: message/rfc822" EMPTY TYPE EMPTY HI ONE,
	    "not-batch" },
	{ "type: other parameters are passed over",
	    TYPE "; charset=us-ascii; name=\"x;y\"" EMPTY HI ONE,
	    "process" GOOD },
	{ "encoding: 7bit, said", TYPE CTE("7BIT") EMPTY HI ONE,
	    "process" GOOD },
	{ "encoding: 8bit with 8-bit content", TYPE CTE("8bit") EMPTY HI FROM
	    " BODY=8BITMIME\r\n" TO "\r\nDATA\r\n\xc3\xa4\r\n.\r\n",
	    "process <a@b.c><d@e.f> 8BITMIME 4" },
	{ "encoding: quoted-printable", TYPE CTE("Quoted-Printable") EMPTY
	    "EHLO g.h\r\nMAIL FROM:<a=40b.=\r\nc>\r\n" TO
	    "\r\nDATA\r\nh=69\r\n.=\r\n\r\n", "process" GOOD },
	/* base64 -w 48 of HI ONE BYE */
	{ "encoding: base64", TYPE CTE("base64") EMPTY
	    "RUhMTyBnLmgNCk1BSUwgRlJPTTo8YUBiLmM+DQpSQ1BUIFRP\r\n"
	    "OjxkQGUuZj4NCkRBVEENCmhpDQouDQpRVUlUDQo=\r\n", "process" GOOD },
	{ "encoding: one that nobody knows is not guessed",
	    TYPE CTE("x-uuencode") EMPTY HI ONE, "postmaster" },
	{ "encoding: nor which of two is meant",
	    TYPE CTE("base64") CTE("8bit") EMPTY HI ONE, "postmaster" },
	/* required-extensions */
	{ "required: left out stands for the three",
	    TYPE EMPTY HI FROM " SIZE=4 BODY=7BIT RET=HDRS\r\n" TO
	    " NOTIFY=NEVER" TEXT,
	    "process <a@b.c><d@e.f NEVER -> HDRS - 7BIT SIZE=4 4" },
	{ "required: the three said", REQUIRED("\"8bitMIME,SIZE,NOTARY\"") HI
	    ONE, "process" GOOD },
	{ "required: one of them alone", REQUIRED("SIZE") HI ONE,
	    "process" GOOD },
	{ "required: without regard to case", REQUIRED("\"8BITMIME,notary\"")
	    HI ONE, "process" GOOD },
	{ "required: NOTARY is DSN", REQUIRED("DSN") HI ONE, "process" GOOD },
	{ "required: none", REQUIRED("\"\"") HI ONE, "process" GOOD },
	{ "required: blanks and folding are no part of a name",
	    TYPE ";\r\n\trequired-extensions=\" SIZE ,\r\n NOTARY \"" EMPTY
	    HI ONE, "process" GOOD },
	{ "required: as RFC 2231 writes it", TYPE "; required-extensions*="
	    "us-ascii''SIZE%2CNOTARY" EMPTY HI ONE, "process" GOOD },
	{ "required: one not supported: nothing is processed",
	    REQUIRED("CHUNKING") HI ONE, "postmaster" },
	{ "required: one unknown among known ones",
	    REQUIRED("\"SIZE,XFUTURE\"") HI ONE, "postmaster" },
	{ "required: a longer name is another one", REQUIRED("SIZES") HI ONE,
	    "postmaster" },
	{ "required: what cannot be read may hide a name",
	    TYPE "; required-extensions=\"SIZE" EMPTY HI ONE, "postmaster" },
	{ "required: said twice, both hold", TYPE "; required-extensions=SIZE;"
	    " required-extensions=XFUTURE" EMPTY HI ONE, "postmaster" },
	/* The processor must accept */
	{ "processing: HELO", TYPE EMPTY "HELO g.h\r\n" ONE BYE,
	    "process" GOOD },
	{ "processing: EHLO with an address literal", TYPE EMPTY
	    "EHLO [192.0.2.1]\r\n" ONE BYE, "process" GOOD },
	{ "processing: any name in HELO", TYPE EMPTY "HELO not_a.domain-\r\n"
	    ONE, "process" GOOD },
	{ "processing: the null reverse-path", TYPE EMPTY HI
	    "MAIL FROM:<>\r\n" TO TEXT, "process <><d@e.f> 4" },
	{ "processing: every valid MAIL", TYPE EMPTY HI
	    "MAIL FROM:<\"a b\"@[192.0.2.1]>\r\n" TO TEXT,
	    "process <\"a b\"@[192.0.2.1]><d@e.f> 4" },
	{ "processing: every valid RCPT, whether it can be reached or not",
	    TYPE EMPTY HI FROM "\r\nRCPT TO:<nobody@nowhere.invalid>\r\n" TO
	    TEXT, "process <a@b.c><nobody@nowhere.invalid><d@e.f> 4" },
	{ "processing: postmaster without a domain", TYPE EMPTY HI FROM
	    "\r\nRCPT TO:<Postmaster>" TEXT,
	    "process <a@b.c><Postmaster> 4" },
	{ "processing: the same recipient twice", TYPE EMPTY HI FROM "\r\n" TO
	    "\r\n" TO TEXT, "process <a@b.c><d@e.f><d@e.f> 4" },
	{ "processing: SIZE", TYPE EMPTY HI FROM " SIZE=1000\r\n" TO TEXT,
	    "process <a@b.c><d@e.f> SIZE=1000 4" },
	{ "processing: BODY", TYPE EMPTY HI FROM " BODY=8BITMIME\r\n" TO TEXT,
	    "process <a@b.c><d@e.f> 8BITMIME 4" },
	{ "processing: RET, ENVID, NOTIFY, ORCPT as written", TYPE EMPTY HI
	    FROM " RET=FULL ENVID=a+2Bb\r\n" TO
	    " NOTIFY=SUCCESS,DELAY ORCPT=rfc822;d+2Be@f" TEXT,
	    "process <a@b.c><d@e.f SUCCESS,DELAY rfc822;d+2Be@f> "
	    "FULL a+2Bb 4" },
	{ "processing: parameters after HELO too", TYPE EMPTY "HELO g.h\r\n"
	    FROM " SIZE=4\r\n" TO TEXT, "process <a@b.c><d@e.f> SIZE=4 4" },
	{ "processing: DATA without any recipient has no effect",
	    TYPE EMPTY HI FROM TEXT ONE, "process" GOOD },
	{ "processing: 8-bit content whatever BODY says", TYPE CTE("8bit")
	    EMPTY HI FROM "\r\n" TO "\r\nDATA\r\n\xe4\r\n.\r\n",
	    "process <a@b.c><d@e.f> 3" },
	{ "processing: RSET drops the open transaction alone",
	    TYPE EMPTY HI FROM "\r\n" TO "\r\nRSET\r\nRSET\r\n" ONE,
	    "process" GOOD },
	{ "processing: EHLO drops it too (RFC 5321 4.1.4)",
	    TYPE EMPTY HI FROM "\r\n" TO "\r\n" HI ONE, "process" GOOD },
	{ "processing: NOOP, with and without text", TYPE EMPTY HI
	    "NOOP\r\nNOOP x y\r\n" ONE "NOOP\r\n", "process" GOOD },
	{ "processing: several messages, in order", TYPE EMPTY HI ONE
	    "MAIL FROM:<>\r\n" TO TEXT ONE BYE,
	    "process" GOOD " <><d@e.f> 4" GOOD },
	{ "processing: QUIT may be missing", TYPE EMPTY HI ONE,
	    "process" GOOD },
	{ "processing: what follows QUIT is not read", TYPE EMPTY HI ONE BYE
	    "\r\n--boundary--\r\n", "process" GOOD },
	{ "processing: dots doubled (RFC 5321 4.5.2)", TYPE EMPTY HI FROM
	    "\r\n" TO "\r\nDATA\r\n..\r\n...\r\n.\r\n",
	    "process <a@b.c><d@e.f> 7" },
	{ "processing: no message at all", TYPE EMPTY HI BYE, "process" },
	/* Faults go to the postmaster, with their place */
	{ "fault: an unknown command; what was whole before it is good",
	    TYPE EMPTY HI ONE "XYZZY\r\n" ONE, "postmaster line 7" GOOD },
	{ "fault: no closing bracket", TYPE EMPTY HI "MAIL FROM:<a@b.c\r\n"
	    TO TEXT, "postmaster line 2" },
	{ "fault: RCPT without a path", TYPE EMPTY HI FROM
	    "\r\nRCPT TO:\r\nDATA\r\n", "postmaster line 3" },
	{ "fault: RCPT before MAIL", TYPE EMPTY HI TO TEXT,
	    "postmaster line 2" },
	{ "fault: MAIL inside a transaction", TYPE EMPTY HI ONE FROM "\r\n"
	    FROM "\r\n", "postmaster line 8" GOOD },
	{ "fault: a parameter of an extension that is not there",
	    TYPE EMPTY HI FROM " BY=60;R\r\n" TO TEXT, "postmaster line 2" },
	{ "fault: a parameter of no sense", TYPE EMPTY HI FROM
	    " SIZE=many\r\n" TO TEXT, "postmaster line 2" },
	{ "fault: an address without brackets", TYPE EMPTY HI
	    "MAIL FROM:a@b.c\r\n" TO TEXT, "postmaster line 2" },
	{ "fault: LF ends no line", TYPE EMPTY HI ONE "RSET\n" ONE,
	    "postmaster line 7" GOOD },
	{ "fault: LF . LF ends no data", TYPE EMPTY HI FROM "\r\n" TO
	    "\r\nDATA\r\nx\n.\nQUIT\r\n.\r\n" ONE, "process !5.6.0" GOOD },
	{ "fault: cut off inside content: that message never",
	    TYPE EMPTY HI ONE FROM "\r\n" TO "\r\nDATA\r\nhi\r\n",
	    "postmaster line 9" GOOD },
	{ "fault: cut off inside the envelope", TYPE EMPTY HI ONE FROM "\r\n"
	    TO "\r\n", "postmaster line 8" GOOD },
	{ "fault: cut off inside a command", TYPE EMPTY HI ONE "MAIL FR",
	    "postmaster line 7" GOOD },
	{ "fault: base64 cut off", TYPE CTE("base64") EMPTY
	    "RUhMTyBnLmgNCk1BSUwgRlJPTTo8YUBiLmM+DQpSQ1BUIFRP\r\n"
	    "OjxkQGUuZj4NCkRBVEENCmhpDQouDQpRVUlUDQ\r\n", "postmaster" GOOD },
	{ "fault: replies are no commands", TYPE EMPTY HI "250 Ok\r\n" ONE,
	    "postmaster line 2" },
};

static void
test_processor(void **state)
{
	static const size_t pieces[] = { SIZE_MAX, 1 };

	(void)state;
	for (size_t i = 0; i < COUNT(cases) * COUNT(pieces); i++) {
		size_t k = i / COUNT(pieces);
		struct told told = { BUF_INIT };

		process(&told, cases[k].object, strlen(cases[k].object),
		    pieces[i % COUNT(pieces)]);
		if (strcmp(buf_cstr(&told.text), cases[k].told) != 0)
			fail_msg("%s:\n%s\nnot\n%s", cases[k].clause,
			    buf_cstr(&told.text), cases[k].told);
		buf_release(&told.text);
	}
}

/* required-extensions: no octet hides what stands behind it. */
static void
test_hidden_name(void **state)
{
	static const char object[] =
	    REQUIRED("\"SIZE\0,XFUTURE\"") HI ONE BYE;
	struct told told = { BUF_INIT };

	(void)state;
	process(&told, object, sizeof(object) - 1, SIZE_MAX);
	assert_string_equal(buf_cstr(&told.text), "postmaster");
	buf_release(&told.text);
}

/*
 * The generator.  One message is made of `mail`, with these parameters, and
 * what is written must hold `has` and must not hold `lacks`.
 */
struct mail {
	const char *sender, *rcpt, *notify, *orcpt, *envid;
	enum smtp_ret ret;
	bool smtputf8;
	const char *content;
};

#define OFFERS (SMTP_EXT_RFC2442 | SMTP_EXT_CHUNKING | SMTP_EXT_SMTPUTF8)

static const struct {
	const char *clause;
	struct mail mail;
	unsigned extensions;
	enum mime_encoding encoding;
	bool gzip;
	const char *has, *lacks;	/* has NULL: it cannot be written */
} written[] = {
	{ "generation: the client assumes success",
	    { .sender = "a@b.c", .rcpt = "d@e.f", .content = "hi\r\n" },
	    OFFERS, MIME_7BIT, false, "\r\n\r\nEHLO g.h\r\nMAIL FROM:<a@b.c> "
	    "SIZE=4\r\nRCPT TO:<d@e.f>\r\nDATA\r\nhi\r\n.\r\nQUIT\r\n",
	    "required-extensions" },
	{ "generation: labelled as what it is",
	    { .sender = "a@b.c", .rcpt = "d@e.f", .content = "hi\r\n" },
	    OFFERS, MIME_7BIT, false, "MIME-Version: 1.0\r\n"
	    "Content-Type: application/batch-SMTP\r\n", "multipart" },
	{ "generation: the null sender stays null",
	    { .sender = "", .rcpt = "d@e.f", .content = "hi\r\n" },
	    OFFERS, MIME_7BIT, false, "MAIL FROM:<> SIZE=4\r\n", NULL },
	{ "generation: NOTARY is used where it was asked for",
	    { .sender = "a@b.c", .rcpt = "d@e.f", .notify = "NEVER",
	    .orcpt = "rfc822;d+2Be@f", .envid = "x+2B", .ret = SMTP_RET_HDRS,
	    .content = "hi\r\n" }, OFFERS, MIME_7BIT, false,
	    "MAIL FROM:<a@b.c> SIZE=4 RET=HDRS ENVID=x+2B\r\n"
	    "RCPT TO:<d@e.f> NOTIFY=NEVER ORCPT=rfc822;d+2Be@f\r\n",
	    "required-extensions" },
	{ "generation: dots are doubled",
	    { .sender = "a@b.c", .rcpt = "d@e.f", .content = ".\r\n.x\r\n" },
	    OFFERS, MIME_7BIT, false, "DATA\r\n..\r\n..x\r\n.\r\n", NULL },
	{ "generation: BODY with 8-bit content, which is in the list",
	    { .sender = "a@b.c", .rcpt = "d@e.f", .content = "\xe4\r\n" },
	    OFFERS, MIME_8BIT, false, " BODY=8BITMIME",
	    "required-extensions" },
	{ "generation: no BODY without need",
	    { .sender = "a@b.c", .rcpt = "d@e.f", .content = "a\r\n" },
	    OFFERS, MIME_8BIT, false, "MAIL FROM:<a@b.c> SIZE=3\r\n",
	    "BODY" },
	{ "generation: base64 where the path needs it",
	    { .sender = "a@b.c", .rcpt = "d@e.f", .content = "\xe4\r\n" },
	    OFFERS, MIME_BASE64, false,
	    "Content-Transfer-Encoding: base64\r\n", "EHLO" },
	{ "generation: lines that begin a mbox or a boundary stay in base64",
	    { .sender = "a@b.c", .rcpt = "d@e.f",
	    .content = "From x\r\n--x--\r\n" }, OFFERS, MIME_BASE64, false,
	    "base64", "From x" },
	{ "generation: able to keep to the three",
	    { .sender = "a@b.c", .rcpt = "d@e.f", .content = "a\nb\r\n" },
	    SMTP_EXT_RFC2442, MIME_8BIT, false, NULL, NULL },
	{ "generation: nor SMTPUTF8 for those who keep to the three",
	    { .sender = "\xc3\xb6@b.c", .rcpt = "d@e.f", .smtputf8 = true,
	    .content = "a\r\n" }, SMTP_EXT_RFC2442, MIME_8BIT, false, NULL,
	    NULL },
	{ "required: what goes beyond the three is named, with them",
	    { .sender = "a@b.c", .rcpt = "d@e.f", .content = "a\nb\r\n" },
	    OFFERS, MIME_BASE64, false, "required-extensions="
	    "\"8bitMIME,SIZE,NOTARY,CHUNKING\"", NULL },
	{ "required: SMTPUTF8",
	    { .sender = "\xc3\xb6@b.c", .rcpt = "d@e.f", .smtputf8 = true,
	    .content = "a\r\n" }, OFFERS, MIME_8BIT, false,
	    "\"8bitMIME,SIZE,NOTARY,SMTPUTF8\"", NULL },
	{ "required: our own compression, so that nobody guesses at it",
	    { .sender = "a@b.c", .rcpt = "d@e.f", .content = "a\r\n" },
	    OFFERS, MIME_BASE64, true, "\"8bitMIME,SIZE,NOTARY,XGZIP\"",
	    "EHLO" },
	{ "type: PIPELINING has no meaning here",
	    { .sender = "a@b.c", .rcpt = "d@e.f", .content = "a\r\n" },
	    OFFERS | SMTP_EXT_PIPELINING, MIME_7BIT, false, "EHLO g.h\r\n",
	    "PIPELINING" },
};

static void
fill_envelope(struct envelope *env, const struct mail *mail)
{
	envelope_init(env);
	env->sender = mem_strdup(mail->sender);
	env->envid = mail->envid != NULL ? mem_strdup(mail->envid) : NULL;
	env->ret = mail->ret;
	env->smtputf8 = mail->smtputf8;
	envelope_add_recipient(env, mail->rcpt, mail->notify, mail->orcpt);
}

static int
write_object(struct buf *out, size_t i)
{
	const struct mail *mail = &written[i].mail;
	struct bundle_params p = {
		.dialect = BUNDLE_RFC2442, .helo = "g.h", .id = "1",
		.extensions = written[i].extensions, .from = "x@g.h",
		.to = "y@e.f", .encoding = written[i].encoding,
		.gzip = written[i].gzip,
	};
	struct content_scanner scan;
	struct bundle_writer *w;
	struct envelope env;
	struct err e = ERR_INIT;
	size_t rcpt = 0, len = strlen(mail->content);
	int rc;

	fill_envelope(&env, mail);
	content_scanner_init(&scan);
	content_scanner_add(&scan, mail->content, len);
	content_scanner_end(&scan);
	p.required = envelope_needs(&env, &scan.facts);
	w = bundle_writer_new(&p, sink_to_buf, out);
	rc = bundle_writer_begin(w, &env, &scan.facts, 0, &rcpt, 1, &e);
	if (rc == 0) {
		assert_int_equal(bundle_writer_content(w, mail->content, len,
		    &e), 0);
		assert_int_equal(bundle_writer_end_message(w, &e), 0);
	}
	assert_int_equal(bundle_writer_finish(w, &e), 0);
	bundle_writer_free(w);
	envelope_release(&env);
	return rc;
}

/* RFC 5321 4.5.3.1.6, RFC 2045 6.8. */
static void
check_lines(const char *clause, const struct buf *out, size_t max)
{
	size_t line = 0;

	for (size_t i = 0; i < out->len; i++) {
		if (out->ptr[i] == '\n' && (i == 0 || out->ptr[i - 1] != '\r'))
			fail_msg("%s: a bare LF", clause);
		line = out->ptr[i] == '\n' ? 0 : line + 1;
		if (line > max)
			fail_msg("%s: a line of %zu", clause, line);
	}
}

static void
test_generator(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(written); i++) {
		const char *clause = written[i].clause;
		struct buf out = BUF_INIT;
		int rc = write_object(&out, i);

		if ((rc == 0) != (written[i].has != NULL))
			fail_msg("%s: %d", clause, rc);
		if (rc == 0 && strstr(buf_cstr(&out), written[i].has) == NULL)
			fail_msg("%s: not in\n%s", clause, buf_cstr(&out));
		if (rc == 0 && written[i].lacks != NULL &&
		    strstr(buf_cstr(&out), written[i].lacks) != NULL)
			fail_msg("%s: in\n%s", clause, buf_cstr(&out));
		if (written[i].encoding == MIME_BASE64)
			check_lines(clause, &out, 77);
		buf_release(&out);
	}
}

/* A generator honours RFC 5321 4.5.3.1.8: 100 recipients are the most. */
static void
test_recipients(void **state)
{
	struct bundle_params p = { .dialect = BUNDLE_BSMTP, .helo = "g.h",
		.extensions = OFFERS };
	struct content_facts facts = { .octets = 0 };
	struct buf out = BUF_INIT;
	struct bundle_writer *w = bundle_writer_new(&p, sink_to_buf, &out);
	struct envelope env;
	struct err e = ERR_INIT;
	size_t rcpt[BUNDLE_RECIPIENTS_MAX + 1];

	(void)state;
	envelope_init(&env);
	env.sender = mem_strdup("a@b.c");
	for (size_t i = 0; i < COUNT(rcpt); i++) {
		rcpt[i] = i;
		envelope_add_recipient(&env, "d@e.f", NULL, NULL);
	}
	assert_int_equal(BUNDLE_RECIPIENTS_MAX, 100);
	assert_int_equal(bundle_writer_begin(w, &env, &facts, 0, rcpt, 101,
	    &e), ERR_LIMIT);
	assert_int_equal(bundle_writer_begin(w, &env, &facts, 0, rcpt, 100,
	    &e), 0);
	bundle_writer_free(w);
	envelope_release(&env);
	buf_release(&out);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_processor),
		cmocka_unit_test(test_hidden_name),
		cmocka_unit_test(test_generator),
		cmocka_unit_test(test_recipients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
