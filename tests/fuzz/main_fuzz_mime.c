/* SPDX-License-Identifier: ISC */
/*
 * The MIME reader, and the decoders of a body with the octets behind the
 * header: whole and in pieces they find the same.
 */
#include "base/text.h"
#include "bundle/mime.h"
#include "tests/fuzz/fuzz.h"

static void
show_header(struct buf *out, const struct mime_header *h)
{
	buf_addf(out, "%s|%d|%d %s|%s|%s|%d\n",
	    h->type != NULL ? h->type : "-", h->version, h->encoding,
	    h->encoding_text != NULL ? h->encoding_text : "-",
	    h->required_extensions != NULL ? h->required_extensions : "-",
	    h->message_id != NULL ? h->message_id : "-", h->lf_lines);
}

static size_t
read_header(struct buf *out, struct slice in, size_t piece)
{
	struct mime_reader r;
	struct err e = ERR_INIT;
	size_t at = 0, n, used;
	char *copy;
	int rc = 0;

	mime_reader_init(&r);
	while (rc == 0 && (copy = fuzz_piece(&in, piece, &n)) != NULL) {
		rc = mime_reader_add(&r, copy, n, &used, &e);
		FUZZ_CHECK(used <= n && (rc != 0 || used == n));
		at += used;
		free(copy);
	}
	FUZZ_CHECK(rc >= 0 || e.text[0] != '\0');
	buf_addf(out, "%d@%zu ", rc, rc == 1 ? at : 0);
	show_header(out, &r.header);
	mime_reader_release(&r);
	return rc == 1 ? at : 0;
}

static void
decode(struct buf *out, struct slice in, size_t piece)
{
	struct qp_decoder qp;
	struct base64_decoder base64;
	struct buf text = BUF_INIT;
	size_t all = in.len, n;
	char *copy;

	qp_decoder_init(&qp);
	base64_decoder_init(&base64);
	while ((copy = fuzz_piece(&in, piece, &n)) != NULL) {
		qp_decoder_add(&qp, out, copy, n);
		base64_decoder_add(&base64, &text, copy, n);
		free(copy);
	}
	qp_decoder_end(&qp, out);
	FUZZ_CHECK(out->len <= all + 200);
	buf_addf(out, "|%d|", base64_decoder_end(&base64));
	FUZZ_CHECK(text.len <= all);
	buf_addslice(out, buf_slice(&text));
	qp_decoder_release(&qp);
	buf_release(&text);
}

static void
read_pieces(struct buf *out, struct slice in, size_t piece)
{
	struct buf body = BUF_INIT;
	size_t n = read_header(out, in, piece);

	decode(&body, (struct slice){ in.ptr + n, in.len - n }, piece);
	buf_addslice(out, buf_slice(&body));
	buf_release(&body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_in_pieces(read_pieces, (struct slice){ (const char *)data, size });
	return 0;
}
