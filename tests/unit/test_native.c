/* SPDX-License-Identifier: ISC */
/*
 * Native batches: what is written, octet by octet; that it comes back as it
 * was, compressed in every way; and that there is one way to write each line.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "bundle/reader.h"
#include "bundle/writer.h"
#include "smtp/extension.h"
#include "tests/unit/octets.h"

#define MAILS_MAX 700

static struct content_facts
facts_of(struct slice bytes)
{
	struct content_scanner scan;

	content_scanner_init(&scan);
	content_scanner_add(&scan, bytes.ptr, bytes.len);
	content_scanner_end(&scan);
	return scan.facts;
}

static struct bundle_params
params_of(enum squeeze_mode mode)
{
	return (struct bundle_params){
		.dialect = BUNDLE_NATIVE, .squeeze = squeeze_default(mode),
		/* none of these shows */
		.helo = "g.example", .id = "id-1", .ids = true, .gzip = true,
		.plain = true, .extensions = SMTP_EXT_SIZE,
	};
}

static void
add_message(struct bundle_writer *w, const struct envelope *env,
    unsigned hops, struct slice bytes, size_t piece)
{
	struct content_facts facts = facts_of(bytes);
	size_t rcpt[BUNDLE_NATIVE_RECIPIENTS_MAX];
	struct err e = ERR_INIT;

	for (size_t i = 0; i < env->nrcpt; i++)
		rcpt[i] = i;
	assert_int_equal(bundle_writer_begin(w, env, &facts, hops, rcpt,
	    env->nrcpt, &e), 0);
	for (size_t at = 0; at < bytes.len; at += piece)
		assert_int_equal(bundle_writer_content(w, bytes.ptr + at,
		    bytes.len - at < piece ? bytes.len - at : piece, &e), 0);
	assert_int_equal(bundle_writer_end_message(w, &e), 0);
}

/*
 * One message with one thing set, and the line that says it.
 */
static void
set_plain(struct envelope *env)
{
	env->body = SMTP_BODY_7BIT;
	env->size_given = true;
	env->size = 7;
}

static void
set_origin(struct envelope *env)
{
	env->origin.number = 4 * 1024 + 19 * 32 + 2;
}

static void
set_all(struct envelope *env)
{
	set_origin(env);
	env->body = SMTP_BODY_8BITMIME;
	env->ret = SMTP_RET_HDRS;
	env->envid = mem_strdup("x+2By");
	env->smtputf8 = true;
	env->timing.priority_given = true;
	env->timing.priority = -3;
	env->timing.by = SMTP_BY_RETURN;
	env->timing.by_secs = 60;
	env->timing.hold = SMTP_HOLD_FOR;
	env->timing.hold_value = 9;
}

static void
set_binary(struct envelope *env)
{
	env->body = SMTP_BODY_BINARYMIME;
	env->origin.number = UINT64_MAX;
}

#define RCPTS "RCPT TO:<b@two.example> NOTIFY=NEVER\r\n" \
	"RCPT TO:<c@two.example> ORCPT=rfc822;x+2By@z.example\r\n"

static const struct {
	void (*set)(struct envelope *env);
	unsigned hops;
	const char *content, *wanted;
} written[] = {
	{ set_plain, 0, "A: b\r\n\r\n.\r\n", "MAIL FROM:<a@one.example>\r\n"
	    RCPTS "BDAT 11 LAST\r\nA: b\r\n\r\n.\r\n" },
	{ set_plain, 0, "", "MAIL FROM:<a@one.example>\r\n" RCPTS
	    "BDAT 0 LAST\r\n" },
	/* what is 8-bit says so (RFC 6152 3) */
	{ set_plain, 0, "\xe9\n",
	    "MAIL FROM:<a@one.example> BODY=8BITMIME\r\n" RCPTS
	    "BDAT 2 LAST\r\n\xe9\n" },
	{ set_origin, 3, "x", "MAIL FROM:<a@one.example> XID=4k2 XHOP=3\r\n"
	    RCPTS "BDAT 1 LAST\r\nx" },
	{ set_all, 0, "x\r\n", "MAIL FROM:<a@one.example> BODY=8BITMIME "
	    "RET=HDRS ENVID=x+2By SMTPUTF8 MT-PRIORITY=-3 BY=60;R XID=4k2\r\n"
	    RCPTS "BDAT 3 LAST\r\nx\r\n" },
	{ set_binary, 1, "x", "MAIL FROM:<a@one.example> BODY=BINARYMIME "
	    "XID=fzzzzzzzzzzzz XHOP=1\r\n" RCPTS "BDAT 1 LAST\r\nx" },
};

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
test_written(void **state)
{
	struct bundle_params p = params_of(SQUEEZE_NONE);
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(written); i++) {
		struct buf out = BUF_INIT;
		struct bundle_writer *w = bundle_writer_new(&p, sink_to_buf,
		    &out);
		struct envelope env;

		make_envelope(&env);
		written[i].set(&env);
		add_message(w, &env, written[i].hops,
		    slice_of(written[i].content), 3);
		assert_int_equal(bundle_writer_finish(w, &e), 0);
		bundle_writer_free(w);
		envelope_release(&env);
		assert_int_equal(out.ptr[0], 0);
		assert_string_equal(buf_cstr(&out) + 1, written[i].wanted);
		buf_release(&out);
	}
}

/* The example of postrider-parcel(5), as it is stored. */
static void
test_example_of_the_page(void **state)
{
	static const char sender[] = "a@b.example", text[] = "Hi: x\r\n\r\n";
	struct bundle_params p = params_of(SQUEEZE_NONE);
	struct buf out = BUF_INIT, hex = BUF_INIT, page = BUF_INIT;
	struct bundle_writer *w = bundle_writer_new(&p, sink_to_buf,
		    &out);
	struct envelope env;
	struct err e = ERR_INIT;

	(void)state;
	envelope_init(&env);
	env.sender = mem_strdup(sender);
	envelope_add_recipient(&env, "c@d.example", NULL, NULL);
	set_origin(&env);
	add_message(w, &env, 0, slice_of(text), 100);
	assert_int_equal(bundle_writer_finish(w, &e), 0);
	bundle_writer_free(w);
	envelope_release(&env);
	for (size_t at = 0; at < out.len; at += 32) {
		hex_encode(&hex, out.ptr + at, out.len - at < 32 ?
		    out.len - at : 32);
		buf_addc(&hex, '\n');
	}
	assert_int_equal(file_read("man/postrider-parcel.5", 1 << 20, &page,
	    &e), 0);
	assert_non_null(strstr(buf_cstr(&page), buf_cstr(&hex)));
	buf_release(&out);
	buf_release(&hex);
	buf_release(&page);
}

/* Up to 1000 recipients in one transaction, none beyond. */
static void
test_many_recipients(void **state)
{
	struct bundle_params p = params_of(SQUEEZE_EACH);
	struct content_facts facts = facts_of(SLICE_LIT(""));
	static size_t rcpt[BUNDLE_NATIVE_RECIPIENTS_MAX + 1];
	struct buf out = BUF_INIT;
	struct bundle_writer *w = bundle_writer_new(&p, sink_to_buf,
		    &out);
	struct envelope env;
	struct err e = ERR_INIT;

	(void)state;
	make_envelope(&env);
	assert_int_equal(bundle_recipients_max(BUNDLE_NATIVE), 1000);
	assert_int_equal(bundle_writer_begin(w, &env, &facts, 0, rcpt, 1001,
	    &e), ERR_LIMIT);
	assert_int_equal(bundle_writer_begin(w, &env, &facts, 0, rcpt, 1000,
	    &e), 0);
	bundle_writer_free(w);
	envelope_release(&env);
	buf_release(&out);
}

/*
 * Reading.
 */
struct reading {
	size_t begun, ended;
	struct buf content;
	uint64_t number;
	unsigned hops;
	enum bundle_event_kind last;
	int code;
	const struct slice *texts;	/* NULL: not looked at */
};

static void
on_event(struct reading *rd, const struct bundle_event *ev)
{
	rd->last = ev->kind;
	rd->code = ev->refusal.code;
	assert_int_equal(ev->format, BUNDLE_FORMAT_NATIVE);
	if (ev->kind == BUNDLE_EVENT_BEGIN) {
		rd->begun++;
		rd->number = ev->envelope->origin.number;
		rd->hops = ev->hops;
		buf_clear(&rd->content);
	} else if (ev->kind == BUNDLE_EVENT_CONTENT) {
		buf_addslice(&rd->content, ev->bytes);
	} else if (ev->kind == BUNDLE_EVENT_END) {
		assert_int_equal(ev->index, rd->begun);
		if (rd->texts != NULL) {
			assert_int_equal(rd->number, rd->begun);
			assert_int_equal(rd->hops, rd->begun % 3);
			assert_true(slice_eq(rd->texts[rd->ended],
			    buf_slice(&rd->content)));
		}
		rd->ended++;
	}
}

static void
read_pieces(struct reading *rd, struct slice in, size_t piece)
{
	struct bundle_reader_options opts;
	struct bundle_reader *r;
	struct bundle_event ev;
	size_t used;

	bundle_reader_options_default(&opts);
	opts.native = true;
	opts.message_max = 64 << 20;
	r = bundle_reader_new(&opts);
	for (size_t at = 0; at < in.len; at += used) {
		size_t n = in.len - at < piece ? in.len - at : piece;

		while (bundle_reader_next(r, in.ptr + at, n, &used,
		    &ev) == 1) {
			on_event(rd, &ev);
			at += used;
			n -= used;
		}
		assert_int_equal(used, n);
	}
	while (bundle_reader_eof(r, &ev) == 1)
		on_event(rd, &ev);
	bundle_reader_free(r);
	buf_release(&rd->content);
}

#define M "MAIL FROM:<a@b.c>"
#define R "RCPT TO:<d@e.f>\r\n"
#define ONE M "\r\n" R "BDAT 3 LAST\r\na\nb"

static const struct {
	const char *in;
	size_t ended;
	int code;		/* 0: it is good */
} batches[] = {
	{ "", 0, 0 },
	{ ONE ONE, 2, 0 },
	{ M " BODY=8BITMIME RET=FULL ENVID=x SMTPUTF8 MT-PRIORITY=3 BY=-5;N "
	    "XID=4k2 XHOP=7\r\n" R "BDAT 0 LAST\r\n", 1, 0 },
	{ "MAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\nBDAT 1 LAST\r\nx", 1, 0 },
	/* other commands, and those in another order */
	{ "EHLO x\r\n" ONE, 0, 500 },
	{ "NOOP\r\n", 0, 500 },
	{ ONE "QUIT\r\n", 1, 500 },
	{ M "\r\nRSET\r\n", 0, 500 },
	{ M "\r\n" R "DATA\r\n.\r\n", 0, 500 },
	{ "\r\n", 0, 500 },
	{ M "\r\nBDAT 0 LAST\r\n", 0, 503 },
	{ R, 0, 503 },
	{ "BDAT 1 LAST\r\nx", 0, 503 },
	{ M "\r\n" M "\r\n", 0, 503 },
	/* other ways to write the same */
	{ "mail FROM:<a@b.c>\r\n", 0, 501 },
	{ "MAIL FROM: <a@b.c>\r\n", 0, 501 },
	{ "MAIL  FROM:<a@b.c>\r\n", 0, 501 },
	{ "MAIL FROM:a@b.c\r\n", 0, 501 },
	{ "MAIL FROM:<@x.y:a@b.c>\r\n", 0, 501 },
	{ M " \r\n", 0, 501 },
	{ M "\n", 0, 500 },
	{ M " SIZE=1\r\n", 0, 555 },
	{ M " BODY=7BIT\r\n", 0, 501 },
	{ M " body=8BITMIME\r\n", 0, 501 },
	{ M " RET=FULL BODY=8BITMIME\r\n", 0, 501 },
	{ M " BY=+5;N\r\n", 0, 501 },
	{ M " HOLDFOR=5\r\n", 0, 555 },
	{ M "\r\nRCPT TO:<d@e.f> \r\n", 0, 501 },
	{ M "\r\n" R "BDAT 1\r\nx", 0, 501 },
	{ M "\r\n" R "BDAT 01 LAST\r\nx", 0, 501 },
	{ M "\r\n" R "BDAT 1 last\r\nx", 0, 501 },
	{ M "\r\n" R "BDAT  1 LAST\r\nx", 0, 501 },
	/* the numbers */
	{ M " XID=0\r\n", 0, 501 },
	{ M " XID=04k2\r\n", 0, 501 },
	{ M " XID=4K2\r\n", 0, 501 },
	{ M " XID=4i2\r\n", 0, 501 },
	{ M " XID=g000000000000\r\n", 0, 501 },
	{ M " XID=\r\n", 0, 501 },
	{ M " XHOP=0\r\n", 0, 501 },
	{ M " XHOP=03\r\n", 0, 501 },
	{ M " XHOP=1000001\r\n", 0, 501 },
	{ M " XHOP=1 XID=1\r\n", 0, 501 },
	{ M " XID=1 XID=1\r\n", 0, 501 },
	/* an address in UTF-8 that was not announced */
	{ "MAIL FROM:<\xc3\xb6@b.c>\r\n", 0, 553 },
	{ M "\r\nRCPT TO:<\xc3\xb6@b.c>\r\n", 0, 553 },
	/* cut off */
	{ M, 0, 500 },
	{ M "\r\n" R "BDAT 4 LAST\r\na\nb", 0, 554 },
};

static void
test_one_way_to_write(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(batches); i++) {
		struct buf object = BUF_INIT;

		buf_addc(&object, '\0');	/* stored */
		buf_adds(&object, batches[i].in);
		for (size_t piece = 1; piece <= 1000; piece += 999) {
			struct reading rd = { .last = BUNDLE_EVENT_FORMAT };

			read_pieces(&rd, buf_slice(&object), piece);
			assert_int_equal(rd.ended, batches[i].ended);
			assert_int_equal(rd.last, batches[i].code == 0 ?
			    BUNDLE_EVENT_DONE : BUNDLE_EVENT_BROKEN);
			assert_int_equal(rd.code, batches[i].code);
		}
		buf_release(&object);
	}
}

/* A bare batch knows none of this. */
static void
test_bare_has_no_origin(void **state)
{
	struct bundle_reader_options opts;
	struct bundle_event ev;
	struct bundle_reader *r;
	struct slice in = SLICE_LIT(M " XID=1\r\n");
	size_t used;

	(void)state;
	bundle_reader_options_default(&opts);
	r = bundle_reader_new(&opts);
	assert_int_equal(bundle_reader_next(r, in.ptr, in.len, &used, &ev), 1);
	assert_int_equal(ev.kind, BUNDLE_EVENT_FORMAT);
	assert_int_equal(bundle_reader_next(r, in.ptr + used, in.len - used,
	    &used, &ev), 1);
	assert_int_equal(ev.kind, BUNDLE_EVENT_BROKEN);
	assert_int_equal(ev.refusal.code, 555);
	bundle_reader_free(r);
}

/* Nor is it written there, whatever the caller allows. */
static void
test_bare_writes_no_origin(void **state)
{
	struct bundle_params p = params_of(SQUEEZE_NONE);
	struct buf out = BUF_INIT;
	struct bundle_writer *w;
	struct envelope env;
	struct err e = ERR_INIT;

	(void)state;
	p.dialect = BUNDLE_BSMTP;
	p.gzip = p.ids = p.plain = false;
	p.extensions = ~0U;
	make_envelope(&env);
	set_origin(&env);
	w = bundle_writer_new(&p, sink_to_buf,
		    &out);
	add_message(w, &env, 3, SLICE_LIT("x\r\n"), 9);
	assert_int_equal(bundle_writer_finish(w, &e), 0);
	bundle_writer_free(w);
	envelope_release(&env);
	assert_string_equal(buf_cstr(&out), "EHLO g.example\r\n"
	    "MAIL FROM:<a@one.example> SIZE=3\r\n" RCPTS
	    "DATA\r\nx\r\n.\r\nQUIT\r\n");
	buf_release(&out);
}

/* Damage below the batch, and octets behind it. */
static void
test_damaged(void **state)
{
	static const struct slice objects[] = {
		SLICE_LIT(""), SLICE_LIT("\x42"), SLICE_LIT("\xc0"),
		SLICE_LIT("\x40"), SLICE_LIT("\x40\x03\0x"),
	};

	(void)state;
	for (size_t i = 0; i < COUNT(objects); i++) {
		struct reading rd = { .last = BUNDLE_EVENT_FORMAT };

		read_pieces(&rd, objects[i], 1);
		assert_int_equal(rd.last, BUNDLE_EVENT_BROKEN);
		assert_int_equal(rd.begun, 0);
	}
}

/*
 * Writer and reader together.
 */
static void
write_all(struct buf *out, enum squeeze_mode mode, const struct slice *texts,
    size_t n, size_t piece)
{
	struct bundle_params p = params_of(mode);
	struct bundle_writer *w = bundle_writer_new(&p, sink_to_buf, out);
	struct envelope env;
	struct err e = ERR_INIT;

	make_envelope(&env);
	for (size_t i = 0; i < n; i++) {
		env.origin.number = i + 1;
		add_message(w, &env, (unsigned)(i + 1) % 3, texts[i], piece);
	}
	assert_int_equal(bundle_writer_finish(w, &e), 0);
	bundle_writer_free(w);
	envelope_release(&env);
}

static void
round_trip(const struct slice *texts, size_t n, size_t piece)
{
	for (unsigned m = 0; m < SQUEEZE_MODES; m++) {
		enum squeeze_mode mode = (enum squeeze_mode)m;
		struct reading rd = { .texts = texts };
		struct buf object = BUF_INIT, again = BUF_INIT;

		write_all(&object, mode, texts, n, 4096);
		write_all(&again, mode, texts, n, 1 << 20);
		/* the same calls, the same octets, however content was cut */
		assert_true(slice_eq(buf_slice(&object), buf_slice(&again)));
		read_pieces(&rd, buf_slice(&object), piece);
		assert_int_equal(rd.last, BUNDLE_EVENT_DONE);
		assert_int_equal(rd.ended, n);
		buf_release(&object);
		buf_release(&again);
	}
}

static void
test_round_trip_table(void **state)
{
	static const struct slice texts[] = {
		SLICE_LIT(""), SLICE_LIT("."), SLICE_LIT("\r\n.\r\n"),
		SLICE_LIT("\r"), SLICE_LIT("\n"), SLICE_LIT("\0"),
		SLICE_LIT("a\r\n.\r\nQUIT\r\n"), SLICE_LIT("\xff\xfe\r\n"),
		SLICE_LIT("BDAT 3 LAST\r\nMAIL FROM:<x@y>\r\n"),
	};

	(void)state;
	round_trip(texts, COUNT(texts), 1);
	round_trip(texts, COUNT(texts), 1 << 20);
}

/* The mails of a folder and of those below it. */
static void
read_mails(const char *folder, struct buf *mails, size_t *n_io)
{
	DIR *dir = opendir(folder);
	struct dirent *d;
	struct err e = ERR_INIT;
	struct stat st;

	while (dir != NULL && (d = readdir(dir)) != NULL) {
		char *path = path_join(folder, d->d_name);
		size_t len = strlen(path);

		assert_int_equal(stat(path, &st), 0);
		if (S_ISDIR(st.st_mode) && d->d_name[0] != '.') {
			read_mails(path, mails, n_io);
		} else if (len > 4 && strcmp(path + len - 4, ".eml") == 0 &&
		    *n_io < MAILS_MAX) {
			assert_int_equal(file_read(path, 64 << 20,
			    &mails[(*n_io)++], &e), 0);
		}
		free(path);
	}
	if (dir != NULL)
		closedir(dir);
}

static void
test_round_trip_mails(void **state)
{
	static struct buf mails[MAILS_MAX];
	static struct slice texts[MAILS_MAX];
	size_t n = 0;

	(void)state;
	read_mails("tests/mails", mails, &n);
	if (n == 0)
		skip();
	read_mails("../shared/corpus/mail", mails, &n);
	for (size_t i = 0; i < n; i++)
		texts[i] = mails[i].len > 0 ? buf_slice(&mails[i]) :
		    SLICE_LIT("");
	round_trip(texts, n, 65536);
	round_trip(texts, n, 777);
	while (n > 0)
		buf_release(&mails[--n]);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written),
		cmocka_unit_test(test_example_of_the_page),
		cmocka_unit_test(test_many_recipients),
		cmocka_unit_test(test_one_way_to_write),
		cmocka_unit_test(test_bare_has_no_origin),
		cmocka_unit_test(test_bare_writes_no_origin),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_round_trip_table),
		cmocka_unit_test(test_round_trip_mails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
