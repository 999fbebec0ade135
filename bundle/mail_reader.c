/* SPDX-License-Identifier: ISC */
/*
 * The reader of mails that come to a bundle address.
 *
 * A mail of one part goes straight through its decoder, so that one by BDAT
 * may hold any octets.  In a multipart the lines are looked at for boundaries,
 * and each line end waits for the next line, since the one before a boundary
 * belongs to that (RFC 2046 5.1.1).  Parts inside message/rfc822 are not
 * looked for: there a bounce brings our own parcel back.
 */
#include "bundle/mail_reader.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "bundle/armour.h"
#include "bundle/mail_return.h"
#include "smtp/address.h"

#define DEPTH_MAX 8		/* multiparts in each other */
#define BOUNDARY_MAX 200	/* RFC 2046 says 70 */
#define TEXT_LINE_MAX 2000	/* octets of a line that are looked at */

enum content { SKIP, PARCEL, ARMOURED, OBJECT, WORDS, STATUS, QUOTED };

struct mail_reader {
	sink_fn *sink;
	void *ctx;
	struct mail_facts facts;
	enum mail_kind kind;
	struct err failure;		/* of a parcel, or the sink's */
	/* multiparts */
	char *boundary[DEPTH_MAX];
	size_t depth;
	struct buf line;		/* what may be a boundary */
	char pending[2];		/* CR, LF or both: the last line's */
	size_t npending;
	bool mid_line;
	/* the part at hand */
	bool in_header;
	bool report;			/* inside multipart/report */
	struct mime_reader header;
	enum content content;
	enum mime_encoding encoding;
	struct base64_decoder base64;
	struct qp_decoder qp;
	struct armour_decoder armour;
	struct buf plain, octets;
	uint64_t parcel_octets;
	/* words */
	struct mail_return ret;
	struct buf text;		/* the present line */
};

struct mail_reader *
mail_reader_new(sink_fn *sink, void *ctx)
{
	struct mail_reader *r = mem_alloc(1, sizeof(*r));

	r->sink = sink;
	r->ctx = ctx;
	r->in_header = true;
	mime_reader_init(&r->header);
	qp_decoder_init(&r->qp);
	mail_return_init(&r->ret, &r->facts);
	return r;
}

void
mail_reader_free(struct mail_reader *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->depth; i++)
		free(r->boundary[i]);
	for (size_t i = 0; i < r->facts.nids; i++)
		free(r->facts.id[i]);
	free(r->facts.from);
	free(r->facts.message_id);
	free(r->facts.text);
	mime_reader_release(&r->header);
	qp_decoder_release(&r->qp);
	mail_return_release(&r->ret);
	buf_release(&r->line);
	buf_release(&r->plain);
	buf_release(&r->octets);
	buf_release(&r->text);
	free(r);
}

static void
give(struct mail_reader *r, const char *bytes, size_t len)
{
	if (len == 0 || r->sink == NULL || r->failure.code != 0)
		return;
	if (r->sink(r->ctx, bytes, len, &r->failure) != 0 &&
	    r->failure.code == 0)
		(void)err_set(&r->failure, ERR_IO, "it could not be kept");
}

/*
 * What a part holds.
 */
static enum mail_part
part_of(enum content content)
{
	return content == WORDS ? MAIL_PART_TEXT : content == STATUS ?
	    MAIL_PART_STATUS : MAIL_PART_QUOTED;
}

static void
end_text_line(struct mail_reader *r)
{
	struct slice line = buf_slice(&r->text);

	if (line.len > 0 && line.ptr[line.len - 1] == '\r')
		line.len--;
	mail_return_line(&r->ret, part_of(r->content), line);
	buf_clear(&r->text);
}

static void
take_text(struct mail_reader *r, const char *in, size_t len)
{
	while (len > 0) {
		const char *nl = memchr(in, '\n', len);
		size_t n = nl != NULL ? (size_t)(nl - in) : len;
		size_t room = TEXT_LINE_MAX - r->text.len;

		buf_add(&r->text, in, n < room ? n : room);
		if (nl != NULL)
			end_text_line(r);
		n += nl != NULL;
		in += n;
		len -= n;
	}
}

static void
take_parcel(struct mail_reader *r, const char *in, size_t len)
{
	if (r->failure.code != 0)
		return;
	if (r->content == PARCEL) {
		r->parcel_octets += len;
		give(r, in, len);
		return;
	}
	buf_clear(&r->octets);
	if (armour_decoder_add(&r->armour, &r->octets, in, len,
	    &r->failure) != 0)
		return;
	r->parcel_octets += r->octets.len;
	give(r, r->octets.ptr, r->octets.len);
}

static void
take_plain(struct mail_reader *r, const char *in, size_t len)
{
	if (r->content == PARCEL || r->content == ARMOURED)
		take_parcel(r, in, len);
	else
		take_text(r, in, len);
}

static void
take_body(struct mail_reader *r, const char *in, size_t len)
{
	if (r->content == SKIP)
		return;
	if (r->content == OBJECT) {
		give(r, in, len);
		return;
	}
	buf_clear(&r->plain);
	if (r->encoding == MIME_BASE64)
		base64_decoder_add(&r->base64, &r->plain, in, len);
	else if (r->encoding == MIME_QUOTED_PRINTABLE)
		qp_decoder_add(&r->qp, &r->plain, in, len);
	else
		take_plain(r, in, len);
	take_plain(r, r->plain.ptr, r->plain.len);
}

static void
end_parcel(struct mail_reader *r)
{
	if (r->failure.code != 0)
		return;
	if (r->encoding == MIME_BASE64 &&
	    base64_decoder_end(&r->base64) < 0)
		(void)err_set(&r->failure, ERR_SYNTAX, "its base64 is cut "
		    "off");
	else if ((r->content != ARMOURED ||
	    armour_decoder_end(&r->armour, &r->failure) == 0) &&
	    r->parcel_octets == 0)
		(void)err_set(&r->failure, ERR_SYNTAX, "there is nothing in "
		    "it");
}

static void
end_part(struct mail_reader *r)
{
	enum content content = r->content;

	buf_clear(&r->plain);
	if (content != SKIP && content != OBJECT &&
	    r->encoding == MIME_QUOTED_PRINTABLE) {
		qp_decoder_end(&r->qp, &r->plain);
		take_plain(r, r->plain.ptr, r->plain.len);
	}
	if (content == PARCEL || content == ARMOURED)
		end_parcel(r);
	if (content >= WORDS) {
		if (r->text.len > 0)
			end_text_line(r);
		mail_return_part_end(&r->ret, part_of(content));
	}
	r->content = SKIP;
}

/*
 * Headers.
 */
static void
begin_header(struct mail_reader *r)
{
	mime_reader_release(&r->header);
	mime_reader_init(&r->header);
	r->in_header = true;
}

static struct slice
fields(const struct mail_reader *r)
{
	return buf_slice(&r->header.held);
}

static char *
address_in(struct slice value)
{
	const char *open, *close;

	if (value.ptr == NULL)
		return NULL;
	open = memrchr(value.ptr, '<', value.len);
	if (open != NULL) {
		value.len -= (size_t)(open + 1 - value.ptr);
		value.ptr = open + 1;
		close = memchr(value.ptr, '>', value.len);
		if (close != NULL)
			value.len = (size_t)(close - value.ptr);
	}
	while (value.len > 0 && (value.ptr[value.len - 1] == '\r' ||
	    value.ptr[value.len - 1] == '\n'))
		value.len--;
	value = slice_trim(value);
	return address_check(value, true, NULL) == 0 ? slice_dup(value) : NULL;
}

static void
first_header(struct mail_reader *r)
{
	const struct mime_header *h = &r->header.header;

	if (r->depth > 0 || r->facts.message_id != NULL)
		return;
	r->facts.from = address_in(mail_field(fields(r), "From"));
	if (h->message_id != NULL)
		r->facts.message_id = mem_strdup(h->message_id);
	mail_return_header(&r->ret, fields(r));
}

static bool
type_is(const struct mail_reader *r, const char *type)
{
	const char *own = r->header.header.type;

	return own != NULL && strcmp(own, type) == 0;
}

static void
begin_multipart(struct mail_reader *r)
{
	char *boundary = r->header.header.boundary;

	r->content = SKIP;
	r->report |= type_is(r, "multipart/report");
	if (r->depth == DEPTH_MAX || boundary == NULL ||
	    strlen(boundary) > BOUNDARY_MAX)
		return;
	r->boundary[r->depth++] = boundary;
	r->header.header.boundary = NULL;
}

/* One in a multipart has no Message-ID of its own. */
static void
begin_object(struct mail_reader *r)
{
	static const char version[] = "MIME-Version: 1.0\r\n";

	r->kind = MAIL_OBJECT;
	r->content = OBJECT;
	if (r->depth > 0) {
		give(r, version, sizeof(version) - 1);
		if (r->facts.message_id != NULL) {
			char *id = mem_printf("Message-ID: %s\r\n",
			    r->facts.message_id);

			give(r, id, strlen(id));
			free(id);
		}
	}
	give(r, r->header.held.ptr, r->header.held.len);
}

static void
begin_parcel(struct mail_reader *r, enum content content)
{
	r->kind = MAIL_PARCEL;
	r->content = content;
	armour_decoder_init(&r->armour);
	if (r->encoding == MIME_UNKNOWN)
		(void)err_set(&r->failure, ERR_SYNTAX, "its encoding is "
		    "unknown: %.40s", r->header.header.encoding_text);
}

static enum content
words_of(const struct mail_reader *r)
{
	const char *type = r->header.header.type;

	if (type == NULL || strncmp(type, "text/", 5) == 0)
		return type != NULL && strcmp(type, "text/rfc822-headers") ==
		    0 ? QUOTED : WORDS;
	if (strcmp(type, "message/delivery-status") == 0 ||
	    strcmp(type, "message/global-delivery-status") == 0)
		return STATUS;
	if (strcmp(type, "message/rfc822") == 0 ||
	    strcmp(type, "message/global") == 0 ||
	    strcmp(type, "message/global-headers") == 0)
		return QUOTED;
	return SKIP;
}

static void
header_over(struct mail_reader *r)
{
	const struct mime_header *h = &r->header.header;
	bool open = r->kind == MAIL_UNDECIDED && !r->report;

	r->in_header = false;
	r->encoding = h->encoding;
	base64_decoder_init(&r->base64);
	qp_decoder_release(&r->qp);
	qp_decoder_init(&r->qp);
	first_header(r);
	if (h->type != NULL && strncmp(h->type, "multipart/", 10) == 0)
		begin_multipart(r);
	else if (open && type_is(r, MAIL_PARCEL_TYPE))
		begin_parcel(r, PARCEL);
	else if (open && type_is(r, MAIL_ARMOUR_TYPE))
		begin_parcel(r, ARMOURED);
	else if (open && type_is(r, "application/batch-smtp"))
		begin_object(r);
	else
		r->content = r->kind == MAIL_UNDECIDED ? words_of(r) : SKIP;
}

/* A part may go without a header; a mail without one is read as words. */
static void
no_header(struct mail_reader *r)
{
	struct buf held = r->header.held;

	buf_init(&r->header.held);
	mime_header_release(&r->header.header);
	header_over(r);
	take_body(r, held.ptr, held.len);
	buf_release(&held);
}

/* Octets of the part at hand, its header included. */
static void
take_part(struct mail_reader *r, const char *in, size_t len)
{
	while (r->in_header && len > 0) {
		struct err e = ERR_INIT;
		size_t used;
		int rc = mime_reader_add(&r->header, in, len, &used, &e);

		in += used;
		len -= used;
		if (rc < 0)
			no_header(r);
		else if (rc == 1)
			header_over(r);
	}
	if (len > 0)
		take_body(r, in, len);
}

/*
 * Lines of a multipart.
 */
static void
give_pending(struct mail_reader *r)
{
	size_t n = r->npending;

	r->npending = 0;
	if (n > 0)
		take_part(r, r->pending, n);
}

/* Part of a line, which may end in the CR of its end. */
static void
take_line_text(struct mail_reader *r, const char *in, size_t len)
{
	if (len == 0)
		return;
	give_pending(r);
	if (in[len - 1] == '\r') {
		r->pending[r->npending++] = '\r';
		len--;
	}
	if (len > 0)
		take_part(r, in, len);
}

/* RFC 2046 5.1.1: 0 or more: the multipart that it delimits; -1: none. */
static int
find_boundary(const struct mail_reader *r, bool *close_out)
{
	struct slice s = buf_slice(&r->line);

	while (s.len > 0 && strchr(" \t\r\n", s.ptr[s.len - 1]) != NULL &&
	    s.ptr[s.len - 1] != '\0')
		s.len--;
	if (s.len < 2 || memcmp(s.ptr, "--", 2) != 0)
		return -1;
	s.ptr += 2;
	s.len -= 2;
	for (size_t i = r->depth; i-- > 0;) {
		size_t n = strlen(r->boundary[i]);

		if (s.len < n || memcmp(s.ptr, r->boundary[i], n) != 0)
			continue;
		*close_out = s.len == n + 2 &&
		    memcmp(s.ptr + n, "--", 2) == 0;
		if (s.len == n || *close_out)
			return (int)i;
	}
	return -1;
}

static void
at_boundary(struct mail_reader *r, size_t level, bool closing)
{
	r->npending = 0;
	if (!r->in_header)
		end_part(r);
	while (r->depth > level + !closing)
		free(r->boundary[--r->depth]);
	r->in_header = false;
	r->content = SKIP;
	if (!closing)
		begin_header(r);
}

/* What belongs to a header need not wait. */
static void
end_line(struct mail_reader *r)
{
	if (r->npending > 0 && r->pending[r->npending - 1] == '\n')
		give_pending(r);
	r->pending[r->npending++] = '\n';
	if (r->in_header)
		give_pending(r);
}

/* The line that is held is whole, or turned out to be no boundary. */
static void
settle_line(struct mail_reader *r, bool whole)
{
	bool closing = false;
	int level = whole ? find_boundary(r, &closing) : -1;

	if (level >= 0) {
		at_boundary(r, (size_t)level, closing);
	} else {
		take_line_text(r, r->line.ptr, r->line.len - whole);
		if (whole)
			end_line(r);
	}
	buf_clear(&r->line);
	r->mid_line = !whole;
}

static bool
may_be_boundary(const struct buf *line)
{
	return line->len <= BOUNDARY_MAX + 100 &&
	    memcmp(line->ptr, "--", line->len < 2 ? line->len : 2) == 0;
}

/* Uses octets up to the end of a line; how many. */
static size_t
take_line(struct mail_reader *r, const char *in, size_t len)
{
	const char *nl = memchr(in, '\n', len);
	size_t n = nl != NULL ? (size_t)(nl + 1 - in) : len;

	if (r->mid_line) {
		take_line_text(r, in, n - (nl != NULL));
		if (nl != NULL)
			end_line(r);
		r->mid_line = nl == NULL;
		return n;
	}
	buf_add(&r->line, in, n);
	if (nl != NULL || !may_be_boundary(&r->line))
		settle_line(r, nl != NULL);
	return n;
}

/* The header of the mail; how many octets belong to it. */
static size_t
take_header(struct mail_reader *r, const char *in, size_t len)
{
	struct err e = ERR_INIT;
	size_t used;
	int rc = mime_reader_add(&r->header, in, len, &used, &e);

	if (rc < 0)
		no_header(r);
	else if (rc == 1)
		header_over(r);
	return used;
}

int
mail_reader_add(struct mail_reader *r, const char *in, size_t len,
    struct err *e)
{
	while (len > 0 && r->failure.code == 0) {
		size_t n = len;

		if (r->depth > 0)
			n = take_line(r, in, len);
		else if (r->in_header)
			n = take_header(r, in, len);
		else
			take_body(r, in, len);
		in += n;
		len -= n;
	}
	if (r->failure.code != 0)
		return err_set(e, r->failure.code, "%s", r->failure.text);
	return 0;
}

int
mail_reader_end(struct mail_reader *r, struct err *e)
{
	if (r->failure.code == 0 && r->depth > 0 && r->line.len > 0)
		settle_line(r, false);
	/* The line end of a part that no boundary follows. */
	if (r->failure.code == 0 && r->depth > 0)
		give_pending(r);
	if (!r->in_header)
		end_part(r);
	if (r->failure.code != 0)
		return err_set(e, r->failure.code, "%s", r->failure.text);
	if (r->kind == MAIL_UNDECIDED)
		r->kind = mail_return_end(&r->ret) ? MAIL_RETURN : MAIL_OTHER;
	return 0;
}

enum mail_kind
mail_reader_kind(const struct mail_reader *r)
{
	return r->kind;
}

const struct mail_facts *
mail_reader_facts(const struct mail_reader *r)
{
	return &r->facts;
}

static bool
is_plain(struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
		    !(c >= '0' && c <= '9') && c != '-' && c != '_' &&
		    (c != '.' || i == 0))
			return false;
	}
	return name.len > 0 && name.len <= 255;
}

char *
mail_returned_name(const struct mail_facts *facts, const char *address)
{
	struct slice want = address_domain(address);

	for (size_t i = 0; i < facts->nids; i++) {
		struct slice name = slice_of(facts->id[i]), domain;
		const char *at = memrchr(name.ptr, '@', name.len);

		if (at == NULL)
			continue;
		domain = (struct slice){ at + 1,
			name.len - (size_t)(at + 2 - name.ptr) };
		name.ptr++;
		name.len = (size_t)(at - name.ptr);
		if (slice_ieq(domain, want) && is_plain(name))
			return slice_dup(name);
	}
	return NULL;
}
