/* SPDX-License-Identifier: ISC */
/*
 * What mail servers answer to who fetches mail, or logs in: the first octet
 * says by which protocol, the rest are answers, to one command after another.
 * In any pieces they are the same events, and memory stays bounded.
 */
#include "transports/imap.h"
#include "transports/login.h"
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
	char *copy;
	size_t n;
	int rc = 0;

	imap_say(m, "ONE");
	while (rc >= 0 && (copy = fuzz_piece(&in, piece, &n)) != NULL) {
		imap_feed(m, copy, n);
		free(copy);
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
	char *copy;
	size_t n;
	int rc = 0;

	pop3_say(p, POP3_LIST, "ONE");
	while (rc >= 0 && (copy = fuzz_piece(&in, piece, &n)) != NULL) {
		pop3_feed(p, copy, n);
		free(copy);
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

/* The login: of what is said but its length nothing is shown, since SCRAM
 * begins with random octets. */
static void
read_login(struct buf *out, struct slice in, size_t piece,
    enum login_protocol protocol)
{
	struct login *l = login_new(&(struct login_options){
	    .protocol = protocol, .user = "an\xc3\xb1", .helo = "[192.0.2.1]",
	    .password = "p\"w \xc3\xa9", .ways = LOGIN_SCRAM_SHA_256 |
	    LOGIN_SCRAM_SHA_1 | LOGIN_COMMAND });
	struct err e = ERR_INIT;
	char *copy;
	size_t n;
	int rc = 0;

	while (rc == 0 && (copy = fuzz_piece(&in, piece, &n)) != NULL) {
		login_feed(l, copy, n);
		free(copy);
		rc = login_next(l, &e);
	}
	FUZZ_CHECK(rc >= 0 || e.text[0] != '\0' || rc == ERR_DENIED ||
	    rc == ERR_SYNTAX);
	FUZZ_CHECK(login_output(l)->len < 10000);
	buf_addf(out, "end %d %zu", rc, login_output(l)->len);
	login_free(l);
}

static void
read_smtp_login(struct buf *out, struct slice in, size_t piece)
{
	read_login(out, in, piece, LOGIN_SMTP);
}

static void
read_imap_login(struct buf *out, struct slice in, size_t piece)
{
	read_login(out, in, piece, LOGIN_IMAP);
}

static void
read_pop3_login(struct buf *out, struct slice in, size_t piece)
{
	read_login(out, in, piece, LOGIN_POP3);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = { (const char *)data + 1, size - 1 };

	if (size == 0)
		return 0;
	fuzz_in_pieces(data[0] == 'P' ? read_pop3 : data[0] == 's' ?
	    read_smtp_login : data[0] == 'i' ? read_imap_login :
	    data[0] == 'p' ? read_pop3_login : read_imap, in);
	return 0;
}
