/* SPDX-License-Identifier: ISC */
/*
 * Notices, as octets: each row is what is known of a recipient and a line that
 * the notice must hold, by the clause that asks for it.
 */
#include "node/notice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "node/notice_status.h"

#define ARRIVED 1709632800000	/* Tue, 05 Mar 2024 10:00:00 +0000 */
#define FIXED(s) { (s), sizeof(s) - 1 }

static uint64_t
much_room(void *ctx)
{
	(void)ctx;
	return UINT64_MAX / 2;
}

struct world {
	struct store_mem_disk *disk;
	struct spool *spool;
	struct rng_seeded rng;
	struct message about;
	struct notice_recipient rcpt[4];
	struct notice n;
};

static void
world_open(struct world *w)
{
	struct spool_options opts = { .clock = clock_real(),
		.rng = rng_real(), .free_bytes = much_room };
	struct err e = ERR_INIT;
	struct store *store;

	memset(w, 0, sizeof(*w));
	w->disk = store_mem_disk_new();
	assert_int_equal(store_open_mem(w->disk, &store, &e), 0);
	assert_int_equal(spool_open(store, &opts, &w->spool, &e), 0);
	rng_seeded_init(&w->rng, 1);
	message_init(&w->about);
	w->about.env.sender = mem_strdup("ann@here.example");
	w->about.accepted_wall_ms = ARRIVED;
	w->rcpt[0] = (struct notice_recipient){
		.address = "bob@there.example", .action = NOTICE_FAILED,
		.status = "5.1.1",
		.said = "10.0.0.9:25 said after RCPT TO: 550 5.1.1 no bob" };
	w->n = (struct notice){ .clock = clock_real(), .rng = &w->rng.rng,
		.hostname = "mx.here.example", .site = "here",
		.to = "ann@here.example", .about = &w->about,
		.rcpt = w->rcpt, .nrcpt = 1, .header = SLICE_LIT(""),
		.server = "10.0.0.9:25" };
}

static void
world_close(struct world *w)
{
	message_release(&w->about);
	spool_close(w->spool);
	store_mem_disk_free(w->disk);
}

/* Puts the content that the notice is about into the spool. */
static void
world_store(struct world *w, const char *content, size_t len)
{
	struct spool_draft *d = spool_draft_new(w->spool);
	struct err e = ERR_INIT;
	struct spool_unit *u;

	assert_int_equal(spool_draft_add(d, content, len, &e), 0);
	assert_int_equal(spool_draft_end(d, &e), 0);
	envelope_add_recipient(&w->about.env, "bob@there.example", NULL,
	    NULL);
	w->about.source = mem_strdup("test");
	assert_int_equal(spool_begin(w->spool, &u, &e), 0);
	assert_int_equal(spool_add_message(u, d, &w->about, &e), 0);
	assert_int_equal(spool_commit(u, true, &e), 0);
	spool_draft_free(d);
	w->n.header = (struct slice){ NULL, 0 };
}

/* The whole notice; the caller frees. */
static char *
write_notice(struct world *w)
{
	struct spool_draft *d = spool_draft_new(w->spool);
	struct buf out = BUF_INIT;
	struct spool_body *body;
	struct err e = ERR_INIT;
	struct spool_unit *u;
	struct message m;

	assert_int_equal(notice_write(&w->n, w->spool, d, &e), 0);
	message_init(&m);
	m.env.sender = mem_strdup("");
	m.source = mem_strdup("notice");
	assert_int_equal(spool_begin(w->spool, &u, &e), 0);
	assert_int_equal(spool_add_message(u, d, &m, &e), 0);
	assert_int_equal(spool_commit(u, true, &e), 0);
	spool_draft_free(d);
	assert_int_equal(spool_body_open(w->spool, m.id, &body, &e), 0);
	while (spool_body_read(body, &out, &e) == 1)
		;
	spool_body_close(body);
	message_release(&m);
	return buf_steal(&out);
}

static void
want(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("no \"%s\" in:\n%s", part, text);
}

static void
want_no(const char *text, const char *part)
{
	if (strstr(text, part) != NULL)
		fail_msg("\"%s\" in:\n%s", part, text);
}

/*
 * Fields for programs.
 */
static const struct {
	const char *clause;
	struct notice_recipient rcpt;
	const char *envid;
	bool global;
	const char *want, *want_no;
} fields[] = {
	{ "RFC 3464 2.2.2", { .address = "b@c", .status = "5.0.0" }, NULL,
	    false, "\r\nReporting-MTA: dns; mx.here.example\r\n",
	    "Original-Envelope-Id" },
	{ "RFC 3464 2.2.5", { .address = "b@c", .status = "5.0.0" }, NULL,
	    false, "\r\nArrival-Date: Tue, 05 Mar 2024 10:00:00 +0000\r\n",
	    "Last-Attempt-Date" },
	{ "RFC 3464 2.2.1", { .address = "b@c", .status = "5.0.0" },
	    "QQ+3D31", false, "\r\nOriginal-Envelope-Id: QQ=31\r\n", NULL },
	{ "RFC 3461 6.3 d", { .address = "b@c", .status = "5.0.0" },
	    "a+0D+0AX: y", false, "\r\nOriginal-Envelope-Id: a", "\nX:" },
	{ "RFC 3464 2.3.1", { .address = "b@c", .status = "5.0.0",
	    .orcpt = "rfc822;bob+2Bx@c.d" }, NULL, false,
	    "\r\n\r\nOriginal-Recipient: rfc822;bob+x@c.d\r\n"
	    "Final-Recipient: rfc822;b@c\r\n", NULL },
	{ "RFC 3464 2.3.1, other type", { .address = "b@c",
	    .status = "5.0.0", .orcpt = "x400;/C+3Dno" }, NULL, false,
	    "\r\nOriginal-Recipient: x400;/C=no\r\n", NULL },
	{ "RFC 3464 2.3.1, none", { .address = "b@c", .status = "5.0.0" },
	    NULL, false, "\r\n\r\nFinal-Recipient: rfc822;b@c\r\n",
	    "Original-Recipient" },
	{ "RFC 3464 2.3.3 failed", { .address = "b@c", .status = "5.0.0",
	    .action = NOTICE_FAILED }, NULL, false, "\r\nAction: failed\r\n"
	    "Status: 5.0.0\r\n", NULL },
	{ "RFC 3464 2.3.3 delayed", { .address = "b@c", .status = "4.4.1",
	    .action = NOTICE_DELAYED }, NULL, false,
	    "\r\nAction: delayed\r\nStatus: 4.4.1\r\n", NULL },
	{ "RFC 3464 2.3.3 delivered", { .address = "b@c", .status = "2.0.0",
	    .action = NOTICE_DELIVERED }, NULL, false,
	    "\r\nAction: delivered\r\nStatus: 2.0.0\r\n", "Diagnostic" },
	{ "RFC 3464 2.3.3 relayed", { .address = "b@c", .status = "2.0.0",
	    .action = NOTICE_RELAYED }, NULL, false,
	    "\r\nAction: relayed\r\nStatus: 2.0.0\r\n", NULL },
	{ "RFC 3464 2.3.3 expanded", { .address = "b@c", .status = "2.0.0",
	    .action = NOTICE_EXPANDED }, NULL, false,
	    "\r\nAction: expanded\r\nStatus: 2.0.0\r\n", NULL },
	{ "RFC 3464 2.3.5", { .address = "b@c", .status = "5.1.1",
	    .said = "10.0.0.9:25 said after RCPT TO: 550 5.1.1 no" }, NULL,
	    false, "\r\nRemote-MTA: dns; [10.0.0.9]\r\n", NULL },
	{ "RFC 3464 2.3.6 reply", { .address = "b@c", .status = "5.1.1",
	    .said = "10.0.0.9:25 said after RCPT TO: 550 5.1.1 no" }, NULL,
	    false, "\r\nDiagnostic-Code: smtp; 550 5.1.1 no\r\n",
	    "10.0.0.9:25" },
	{ "RFC 3464 2.3.6 our reply", { .address = "b@c", .status = "5.1.1",
	    .said = "550 5.1.1 no such user here" }, NULL, false,
	    "\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user here\r\n",
	    "Remote-MTA" },
	{ "RFC 3464 2.3.6 no reply", { .address = "b@c", .status = "4.4.1",
	    .said = "10.0.0.9:25: cannot connect: Connection refused" }, NULL,
	    false, "\r\nDiagnostic-Code: X-postrider; site here: its mail "
	    "server: cannot connect:\r\n Connection refused\r\n", "10.0." },
	{ "RFC 3464 2.3.6 ours", { .address = "b@c", .status = "5.4.4",
	    .why = "no road" }, NULL, false,
	    "\r\nDiagnostic-Code: X-postrider; site here: no road\r\n",
	    NULL },
	{ "RFC 3464 2.3.6 both", { .address = "b@c", .status = "4.4.7",
	    .why = "too late", .said = "10.0.0.9:25 said after DATA: 451 no" },
	    NULL, false, "\r\nDiagnostic-Code: smtp; 451 no\r\n", NULL },
	{ "RFC 3464 2.3.6 hostile reply", { .address = "b@c",
	    .status = "5.1.1", .said = "10.0.0.9:25 said after RCPT TO: "
	    "550 a\r\nX: y\300" }, NULL, false,
	    "\r\nDiagnostic-Code: smtp; 550 a\\x0D\\x0AX: y\\xC0\r\n",
	    "\nX: y" },
	{ "RFC 3464 2.3.7", { .address = "b@c", .status = "5.0.0",
	    .attempt_ms = ARRIVED + 61000 }, NULL, false,
	    "\r\nLast-Attempt-Date: Tue, 05 Mar 2024 10:01:01 +0000\r\n",
	    NULL },
	{ "RFC 3464 2.3.9", { .address = "b@c", .status = "4.0.0",
	    .action = NOTICE_DELAYED, .until_ms = ARRIVED + 86400000 }, NULL,
	    false, "\r\nWill-Retry-Until: Wed, 06 Mar 2024 10:00:00 +0000"
	    "\r\n", NULL },
	{ "RFC 3464 2.3.9 failed", { .address = "b@c", .status = "5.0.0",
	    .until_ms = ARRIVED + 86400000 }, NULL, false, "Status: 5.0.0",
	    "Will-Retry-Until" },
	{ "RFC 6533 3 in ASCII", { .address = "b\303\245rd@c",
	    .status = "5.0.0" }, NULL, false,
	    "\r\nFinal-Recipient: utf-8;b\\x{E5}rd@c\r\n", "\303" },
	{ "RFC 6533 3 QCHAR", { .address = "b\303\245+\\=@c",
	    .status = "5.0.0" }, NULL, false,
	    "\r\nFinal-Recipient: utf-8;b\\x{E5}\\x{2B}\\x{5C}\\x{3D}@c\r\n",
	    NULL },
	{ "RFC 6533 3 beyond 16 bits", { .address = "\360\237\230\200@c",
	    .status = "5.0.0" }, NULL, false,
	    "\r\nFinal-Recipient: utf-8;\\x{1F600}@c\r\n", NULL },
	{ "RFC 6533 4 in UTF-8", { .address = "b\303\245rd@c",
	    .status = "5.0.0", .orcpt = "utf-8;\\x{E5}\\x{2B}\\x{20AC}@c" },
	    NULL, true, "\r\nOriginal-Recipient: "
	    "utf-8;\303\245+\342\202\254@c\r\n"
	    "Final-Recipient: utf-8;b\303\245rd@c\r\n", "\\x{" },
	{ "RFC 6533 3 ORCPT in ASCII", { .address = "b@c",
	    .status = "5.0.0", .orcpt = "utf-8;\\x{E5}\\x{2B}x@c" }, NULL,
	    false, "\r\nOriginal-Recipient: utf-8;\\x{E5}\\x{2B}x@c\r\n"
	    "Final-Recipient: rfc822;b@c\r\n", NULL },
	{ "RFC 6533 3 ORCPT not to be decoded", { .address = "b@c",
	    .status = "5.0.0", .orcpt = "utf-8;\\x{D800}\\x{x@c" }, NULL,
	    false, "\r\nOriginal-Recipient: "
	    "utf-8;\\x{5C}x{D800}\\x{5C}x{x@c\r\n", NULL },
};

static void
status_fields(void **state)
{
	struct buf out = BUF_INIT;
	struct world w;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		print_message("%s\n", fields[i].clause);
		world_open(&w);
		w.rcpt[0] = fields[i].rcpt;
		w.n.global = fields[i].global;
		w.about.env.envid = fields[i].envid == NULL ? NULL :
		    mem_strdup(fields[i].envid);
		buf_adds(&out, "\r\n");
		notice_status_add(&out, &w.n);
		want(buf_cstr(&out), fields[i].want);
		if (fields[i].want_no != NULL)
			want_no(buf_cstr(&out), fields[i].want_no);
		buf_clear(&out);
		world_close(&w);
	}
	buf_release(&out);
}

/* What agents tell comes apart. */
static const struct {
	const char *said, *server, *reply, *step, *rest;
} said[] = {
	{ "h:25 said after RCPT TO: 550 5.1.1 no", "h:25", "550 5.1.1 no",
	    "RCPT TO", "" },
	{ "h:25 said after end of DATA: 451 x: 550 y", "h:25",
	    "451 x: 550 y", "end of DATA", "" },
	{ "[::1]:25 said after MAIL FROM: 421", "[::1]:25", "421",
	    "MAIL FROM", "" },
	{ "old:25 said after RCPT TO: 550 no", "new:25", "550 no", "RCPT TO",
	    "" },
	{ "452 4.3.1 full", NULL, "452 4.3.1 full", "", "" },
	{ "h:25: said after RCPT TO: 550 no", "h:25", "", "",
	    ": said after RCPT TO: 550 no" },
	{ "h:25 cannot take it: 554 5.6.3 x", "h:25", "", "",
	    " cannot take it: 554 5.6.3 x" },
	{ "h:250 is another", "h:25", "", "", "h:250 is another" },
	{ "h:25 said after RCPT TO: no number", "h:25", "", "",
	    " said after RCPT TO: no number" },
	{ "5500 is no reply", NULL, "", "", "5500 is no reply" },
	{ "", "h:25", "", "", "" },
};

static void
said_apart(void **state)
{
	struct notice_said out;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		notice_said_parse(said[i].said, said[i].server, &out);
		assert_true(slice_eqs(out.reply, said[i].reply));
		assert_true(slice_eqs(out.step, said[i].step));
		assert_true(slice_eqs(out.rest, said[i].rest));
	}
}

/*
 * What is returned.
 */
#define HEAD "From: <ann@here.example>\r\nSubject: x\r\n"
#define ALL HEAD "\r\nbody\r\n"

static const struct {
	const char *clause;
	struct slice content;
	enum smtp_ret ret;
	enum notice_action action;
	bool smtputf8, global;
	const char *want, *want_no;
} returned[] = {
	{ "RFC 3461 4.3 FULL", FIXED(ALL), SMTP_RET_FULL, NOTICE_FAILED,
	    false, false, "\r\nContent-Type: message/rfc822\r\n\r\n" ALL
	    "\r\n--=_", "Content-Transfer-Encoding" },
	{ "RFC 3461 4.3 HDRS", FIXED(ALL), SMTP_RET_HDRS, NOTICE_FAILED,
	    false, false, "\r\nContent-Type: text/rfc822-headers\r\n\r\n" HEAD
	    "\r\n--=_", "body" },
	{ "RFC 3461 4.3 none", FIXED(ALL), SMTP_RET_NONE, NOTICE_FAILED,
	    false, false, "text/rfc822-headers\r\n\r\n" HEAD "\r\n--=_",
	    "body" },
	{ "RFC 3461 6.2 not failed", FIXED(ALL), SMTP_RET_FULL,
	    NOTICE_RELAYED, false, false, "text/rfc822-headers", "body" },
	{ "RFC 2045 6.4 8bit", FIXED(ALL "\303\245\r\n"), SMTP_RET_FULL,
	    NOTICE_FAILED, false, false, "MIME-Version: 1.0\r\n"
	    "Content-Transfer-Encoding: 8bit\r\nContent-Type: multipart/",
	    NULL },
	{ "RFC 2046 5.2.1 NUL", { ALL "a\0b\r\n", sizeof(ALL) + 4 },
	    SMTP_RET_FULL, NOTICE_FAILED, false, false,
	    "text/rfc822-headers\r\n\r\n" HEAD "\r\n--=_", "body" },
	{ "RFC 2046 5.2.1 bare LF", FIXED("A: 1\nB: 2\n\nbody\n"),
	    SMTP_RET_FULL, NOTICE_FAILED, false, false,
	    "text/rfc822-headers\r\n\r\nA: 1\r\nB: 2\r\n\r\n--=_", "body" },
	{ "RFC 2046 5.2.1 bare CR", FIXED("A: 1\rB\r\nC: 2\r\n\r\nbody\r\r\n"),
	    SMTP_RET_FULL, NOTICE_FAILED, false, false,
	    "text/rfc822-headers\r\n\r\nA: 1\r\nB\r\nC: 2\r\n\r\n--=_",
	    "body" },
	{ "NUL in the header", { "A: \0\r\n\r\n", 8 }, SMTP_RET_HDRS,
	    NOTICE_FAILED, false, false, "\r\n\r\nA: ?\r\n\r\n--=_", NULL },
	{ "open end", FIXED("A: 1"), SMTP_RET_HDRS, NOTICE_FAILED, false,
	    false, "text/rfc822-headers\r\n\r\nA: 1\r\n\r\n--=_", NULL },
	{ "no header", FIXED("\r\nbody\r\n"), SMTP_RET_HDRS, NOTICE_FAILED,
	    false, false, "text/rfc822-headers\r\n\r\n\r\n--=_", "body" },
	{ "nothing", FIXED(""), SMTP_RET_FULL, NOTICE_FAILED, false, false,
	    "message/rfc822\r\n\r\n\r\n--=_", NULL },
	{ "RFC 6533 5 headers", FIXED("A: \303\245\r\n\r\nbody\r\n"),
	    SMTP_RET_HDRS, NOTICE_FAILED, true, true,
	    "Content-Type: message/global-headers\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n\r\nA: \303\245\r\n", NULL },
	{ "RFC 6533 6 message", FIXED("A: \303\245\r\n\r\nbody\r\n"),
	    SMTP_RET_FULL, NOTICE_FAILED, true, true,
	    "Content-Type: message/global\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n\r\nA: \303\245\r\n\r\nbody",
	    NULL },
	/* "A: \303\245\r\n" in base64 */
	{ "RFC 6533 5 downgraded", FIXED("A: \303\245\r\n\r\nbody\r\n"),
	    SMTP_RET_FULL, NOTICE_FAILED, true, false,
	    "Content-Type: message/global-headers\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\nQTogw6UNCg==\r\n",
	    "\303" },
	{ "8-bit without SMTPUTF8", FIXED("A: \303\245\r\n\r\nbody\r\n"),
	    SMTP_RET_HDRS, NOTICE_FAILED, false, false,
	    "Content-Type: text/rfc822-headers\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n\r\nA: \303\245\r\n", NULL },
};

static void
what_returns(void **state)
{
	struct world w;
	char *text;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(returned) / sizeof(returned[0]); i++) {
		print_message("%s\n", returned[i].clause);
		world_open(&w);
		world_store(&w, returned[i].content.ptr,
		    returned[i].content.len);
		w.about.env.ret = returned[i].ret;
		w.about.env.smtputf8 = returned[i].smtputf8;
		w.rcpt[0].action = returned[i].action;
		w.n.global = returned[i].global;
		text = write_notice(&w);
		want(text, returned[i].want);
		if (returned[i].want_no != NULL)
			want_no(text, returned[i].want_no);
		free(text);
		world_close(&w);
	}
}

/* RFC 6522 3, RFC 3834 3.1.8 and 5, RFC 5322 3.6. */
static void
whole_report(void **state)
{
	static const char *const parts[] = {
		"From: Mail Delivery System <MAILER-DAEMON@mx.here.example>"
		"\r\nTo: <ann@here.example>\r\n",
		"\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
		"Content-Type: multipart/report; "
		"report-type=delivery-status;\r\n\tboundary=\"=_",
		"\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n",
		"\r\nContent-Type: message/delivery-status\r\n\r\n"
		"Reporting-MTA: ",
		"\r\n  <bob@there.example>\r\n    the mail server of here "
		"said after RCPT TO: 550 5.1.1 no bob\r\n",
		"\r\n  <eve@there.example>\r\n    too late\r\n",
	};
	struct world w;
	char *text;
	size_t i;

	(void)state;
	world_open(&w);
	w.rcpt[1] = w.rcpt[0];
	w.rcpt[1].address = "eve@there.example";
	w.rcpt[1].said = NULL;
	w.rcpt[1].why = "too late";
	w.rcpt[2] = (struct notice_recipient){
		.address = "dan@there.example", .action = NOTICE_DELIVERED,
		.status = "2.0.0" };
	w.n.nrcpt = 3;
	text = write_notice(&w);
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		want(text, parts[i]);
	want(text, "\r\nSubject: Undelivered mail returned to sender\r\n");
	want(text, "was delivered to:\r\n\r\n  <dan@there.example>\r\n");
	want_no(text, "10.0.0.9:25");
	free(text);
	world_close(&w);
}

/*
 * Words of the operator's own.
 */
static const struct {
	const char *text, *error;	/* NULL: good */
} templates[] = {
	{ "", NULL },
	{ "\n\n[failed]\nSubject: a\n\nb\n", NULL },
	{ "[failed]\r\nSubject: a\r\n\r\nb\r\n", NULL },
	{ "[delayed]\n\n%{until} %{recipients}\n[relayed]\n\nx", NULL },
	{ "[failed]\nsubject: 100%\n\n5 % { %{site}\n", NULL },
	{ "x\n", "line 1 stands before the first part" },
	{ "[failed]\nFrom: x\n\n", "line 2: before the empty line" },
	{ "[failed]\nSubject: x\nSubject: y\n\n", "line 3: before the" },
	{ "[bounced]\n", "line 1: [bounced] is none of" },
	{ "[failed]\n\nx\n[failed]\n", "line 4: [failed] is there twice" },
	{ "[failed]\n\n%{recipient}\n", "line 3: %{recipient} is none of" },
	{ "[failed]\n\n%{site\n", "line 3: %{ is none of" },
	{ "[failed]\n\n\303\n", "line 3 is not UTF-8" },
};

static void
template_faults(void **state)
{
	struct notice_text *t;
	struct err e = ERR_INIT;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < sizeof(templates) / sizeof(templates[0]); i++) {
		rc = notice_text_parse(slice_of(templates[i].text), &t, &e);
		assert_int_equal(rc, templates[i].error == NULL ? 0 :
		    ERR_CONFIG);
		if (rc == 0)
			notice_text_free(t);
		else
			want(e.text, templates[i].error);
	}
}

static void
template_words(void **state)
{
	static const char file[] = "[failed]\nSubject: Nicht zustellbar: "
	    "%{sender}, \303\244\303\266\303\274\303\244\303\266\303\274"
	    "\303\244\303\266\303\274\n\nHier %{site}:\n\n%{recipients}"
	    "\n.\n\n[delivered]\n\nda\n";
	struct notice_text *t;
	struct err e = ERR_INIT;
	struct world w;
	char *text;

	(void)state;
	assert_int_equal(notice_text_parse(slice_of(file), &t, &e), 0);
	world_open(&w);
	w.n.text = t;
	text = write_notice(&w);
	/* 45 octets of the subject, then the rest, cut between characters */
	want(text, "\r\nSubject: =?utf-8?B?TmljaHQgenVzdGVsbGJh"
	    "cjogYW5uQGhlcmUuZXhhbXBsZSwgw6TDtsO8w6Q=?="
	    "\r\n =?utf-8?B?w7bDvMOkw7bDvA==?=\r\n");
	want(text, "\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n");
	want(text, "Hier here:\r\n\r\n  <bob@there.example>\r\n");
	w.rcpt[0].action = NOTICE_DELIVERED;
	free(text);
	text = write_notice(&w);
	want(text, "\r\nSubject: Mail was delivered\r\n");
	want(text, "\r\nda\r\n");
	free(text);
	notice_text_free(t);
	world_close(&w);
}

/* RFC 5322 2.1.1: lines of 78 where blanks allow it, unfolding to the same. */
static void
folding(void **state)
{
	struct buf in = BUF_INIT, out = BUF_INIT, back = BUF_INIT;
	size_t i, column = 0;

	(void)state;
	for (i = 0; i < 60; i++)
		buf_addf(&in, "%sword%zu", i > 0 ? " " : "", i);
	buf_adds(&in, "  two blanks");
	notice_fold(&out, buf_slice(&in), 10, " ");
	for (i = 0; i < out.len; i++) {
		column = out.ptr[i] == '\n' ? 0 : column + 1;
		assert_true(column <= 78);
		if (out.ptr[i] != '\r' && out.ptr[i] != '\n')
			buf_addc(&back, out.ptr[i]);
	}
	assert_string_equal(buf_cstr(&back), buf_cstr(&in));
	buf_release(&in);
	buf_release(&out);
	buf_release(&back);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_fields),
		cmocka_unit_test(said_apart),
		cmocka_unit_test(what_returns),
		cmocka_unit_test(whole_report),
		cmocka_unit_test(template_faults),
		cmocka_unit_test(template_words),
		cmocka_unit_test(folding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
