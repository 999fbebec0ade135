/* SPDX-License-Identifier: ISC */
/*
 * Mails that come to a bundle address, from a listener, a pipe or somebody
 * else's mailbox: whole and in pieces they are the same.  And whatever it is,
 * in armour it comes back.
 */
#include "bundle/armour.h"
#include "bundle/mail_reader.h"
#include "tests/fuzz/fuzz.h"

static int
keep(void *ctx, const char *bytes, size_t len, struct err *e)
{
	(void)e;
	buf_add(ctx, bytes, len);
	return 0;
}

static void
show(struct buf *out, const struct mail_reader *r)
{
	const struct mail_facts *f = mail_reader_facts(r);
	char *name = mail_returned_name(f, "b@paris.example");

	FUZZ_CHECK(f->nids <= MAIL_IDS_MAX);
	buf_addf(out, "|%d|%s|%s|%s|", mail_reader_kind(r),
	    f->from != NULL ? f->from : "-",
	    f->message_id != NULL ? f->message_id : "-",
	    name != NULL ? name : "-");
	if (mail_reader_kind(r) == MAIL_RETURN) {
		FUZZ_CHECK(strlen(f->text) <= MAIL_TEXT_MAX + 1);
		buf_addf(out, "%d %s %s", f->action, f->status, f->text);
	}
	for (size_t i = 0; i < f->nids; i++)
		buf_addf(out, " %s", f->id[i]);
	free(name);
}

static void
read_pieces(struct buf *out, struct slice in, size_t piece)
{
	struct mail_reader *r = mail_reader_new(keep, out);
	struct err e = ERR_INIT;
	char *copy;
	size_t n;
	int rc = 0;

	while (rc == 0 && (copy = fuzz_piece(&in, piece, &n)) != NULL) {
		rc = mail_reader_add(r, copy, n, &e);
		free(copy);
	}
	if (rc == 0)
		rc = mail_reader_end(r, &e);
	FUZZ_CHECK((rc == 0) == (e.text[0] == '\0'));
	FUZZ_CHECK(rc != 0 || mail_reader_kind(r) != MAIL_UNDECIDED);
	if (rc != 0) {	/* how much came before is nobody's business */
		FUZZ_CHECK(mail_reader_kind(r) == MAIL_PARCEL);
		buf_clear(out);
		buf_addf(out, "%d", rc);
	} else {
		show(out, r);
	}
	mail_reader_free(r);
}

static void
there_and_back(struct slice in)
{
	struct armour_encoder a;
	struct armour_decoder d;
	struct buf text = BUF_INIT, again = BUF_INIT;
	struct err e = ERR_INIT;

	armour_encoder_init(&a);
	armour_encoder_add(&a, &text, in.ptr, in.len);
	armour_encoder_end(&a, &text);
	armour_decoder_init(&d);
	FUZZ_CHECK(armour_decoder_add(&d, &again, text.ptr, text.len, &e) ==
	    0);
	FUZZ_CHECK(armour_decoder_end(&d, &e) == 0);
	FUZZ_CHECK(slice_eq(buf_slice(&again), in));
	buf_release(&text);
	buf_release(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = { (const char *)data, size };

	fuzz_in_pieces(read_pieces, in);
	there_and_back(in);
	return 0;
}
