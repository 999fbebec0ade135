/* SPDX-License-Identifier: ISC */
/*
 * What mail servers answer to who fetches mail: the first octet says by which
 * protocol, the rest are answers, to one command after another.  In any
 * pieces they are the same events, and memory stays bounded.
 */
#include "transports/imap.h"
#include "transports/pop3.h"
#include "tests/fuzz/fuzz.h"

static void
show_imap(struct buf *out, const struct imap_event *ev,
    enum imap_event_kind *last_io)
{
	FUZZ_CHECK(ev->kind != IMAP_MESSAGE || ev->uid != 0);
	if (ev->kind != IMAP_CONTENT || *last_io != IMAP_CONTENT)
		buf_addf(out, "\n%d uid=%u size=%llu %d%d %u ",
		    (int)ev->kind, ev->uid, (unsigned long long)ev->size,
		    ev->deleted, ev->has_body, ev->count);
	buf_addslice(out, ev->text);
	*last_io = ev->kind;
}

static void
read_imap(struct buf *out, struct slice in, size_t piece)
{
	struct imap *m = imap_new();
	struct imap_event ev = { .kind = IMAP_OK };
	enum imap_event_kind last = IMAP_OK;
	struct err e = ERR_INIT;
	int rc = 0;

	imap_say(m, "ONE");
	for (size_t at = 0, n; at < in.len && rc >= 0; at += n) {
		n = in.len - at < piece ? in.len - at : piece;
		imap_feed(m, in.ptr + at, n);
		while ((rc = imap_next(m, &ev, &e)) == 1) {
			show_imap(out, &ev, &last);
			if (ev.kind == IMAP_OK || ev.kind == IMAP_NO)
				imap_say(m, "ANOTHER");
		}
	}
	FUZZ_CHECK(rc == 0 || (e.text[0] != '\0' && imap_next(m, &ev, &e) ==
	    rc));
	buf_addf(out, "\nend %d can=%x validity=%u %d", rc, imap_can(m),
	    imap_uidvalidity(m), imap_read_only(m));
	imap_free(m);
}

static void
read_pop3(struct buf *out, struct slice in, size_t piece)
{
	struct pop3 *p = pop3_new();
	struct pop3_event ev = { .kind = POP3_END };
	enum pop3_event_kind last = POP3_END;
	struct err e = ERR_INIT;
	unsigned said = 0;
	int rc = 0;

	pop3_say(p, POP3_LIST, "ONE");
	for (size_t at = 0, n; at < in.len && rc >= 0; at += n) {
		n = in.len - at < piece ? in.len - at : piece;
		pop3_feed(p, in.ptr + at, n);
		while ((rc = pop3_next(p, &ev, &e)) == 1) {
			if (ev.kind != POP3_CONTENT || last != POP3_CONTENT)
				buf_addf(out, "\n%d ", (int)ev.kind);
			buf_addslice(out, ev.text);
			last = ev.kind;
			if (ev.kind == POP3_ERR || ev.kind == POP3_END)
				pop3_say(p, ++said % 2 == 0 ? POP3_LIST :
				    POP3_MAIL, "ANOTHER");
		}
	}
	FUZZ_CHECK(rc == 0 || (e.text[0] != '\0' && pop3_next(p, &ev, &e) ==
	    rc));
	buf_addf(out, "\nend %d", rc);
	pop3_free(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t pieces[] = { 1, 7 };
	struct buf whole = BUF_INIT, cut = BUF_INIT;
	bool imap = size > 0 && data[0] != 'P';
	struct slice in = { (const char *)data + 1, size - 1 };

	if (size == 0)
		return 0;
	(imap ? read_imap : read_pop3)(&whole, in, SIZE_MAX);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		buf_clear(&cut);
		(imap ? read_imap : read_pop3)(&cut, in, pieces[i]);
		fuzz_same(&whole, &cut);
	}
	buf_release(&whole);
	buf_release(&cut);
	return 0;
}
