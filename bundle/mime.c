/* SPDX-License-Identifier: ISC */
/*
 * The header of a MIME object and quoted-printable.
 *
 * The header is kept whole (it has a limit) and looked at when its empty line
 * has come: unfolding is then taking out line ends, and a field can be parsed
 * with ordinary lookahead.  Each line is checked as it arrives, so that
 * something that is no mail at all is known by its first line.
 */
#include "bundle/mime.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define NAME_MAX_LEN 256
#define BLANKS_MAX 65536	/* white space that waits for a line end */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* RFC 2045 5.1, but for the comma, which unquoted lists hold in the field. */
static bool
is_token(char c)
{
	return c > ' ' && c < 127 && strchr("()<>@;:\\\"/[]?=", c) == NULL;
}

static void
skip_comment(struct slice *s)
{
	size_t i, depth = 0;

	for (i = 0; i < s->len; i++) {
		char c = s->ptr[i];

		if (c == '\\' && i + 1 < s->len)
			i++;
		else if (c == '(')
			depth++;
		else if (c == ')' && --depth == 0) {
			i++;
			break;
		}
	}
	s->ptr += i;
	s->len -= i;
}

static void
skip_cfws(struct slice *s)
{
	while (s->len > 0) {
		if (is_blank(*s->ptr)) {
			s->ptr++;
			s->len--;
		} else if (*s->ptr == '(')
			skip_comment(s);
		else
			break;
	}
}

static struct slice
take_token(struct slice *s)
{
	struct slice t = { s->ptr, 0 };

	while (t.len < s->len && is_token(s->ptr[t.len]))
		t.len++;
	s->ptr += t.len;
	s->len -= t.len;
	return t;
}

static bool
take_char(struct slice *s, char c)
{
	skip_cfws(s);
	if (s->len == 0 || *s->ptr != c)
		return false;
	s->ptr++;
	s->len--;
	skip_cfws(s);
	return true;
}

/* At the opening quote; false if there is no closing one. */
static bool
take_quoted(struct slice *s, struct buf *out)
{
	size_t i;

	for (i = 1; i < s->len && s->ptr[i] != '"'; i++) {
		if (s->ptr[i] == '\\' && i + 1 < s->len)
			i++;
		if (s->ptr[i] != '\r' && s->ptr[i] != '\n')
			buf_addc(out, s->ptr[i]);
	}
	if (i >= s->len)
		return false;
	s->ptr += i + 1;
	s->len -= i + 1;
	return true;
}

static bool
take_value(struct slice *s, struct buf *out)
{
	struct slice token;

	if (s->len > 0 && *s->ptr == '"')
		return take_quoted(s, out);
	token = take_token(s);
	buf_addslice(out, token);
	return token.len > 0;
}

static int
hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = memchr(digits, ascii_tolower(c), 16);

	return at != NULL ? (int)(at - digits) : -1;
}

/* RFC 2231: "us-ascii'en'8bitMIME%2CSIZE". */
static void
add_extended(struct buf *out, struct slice v, bool first)
{
	for (int quotes = 0; first && quotes < 2; quotes++) {
		const char *q = memchr(v.ptr, '\'', v.len);

		if (q == NULL)
			break;
		v.len -= (size_t)(q + 1 - v.ptr);
		v.ptr = q + 1;
	}
	for (size_t i = 0; i < v.len; i++) {
		char c = v.ptr[i];

		if (c == '%' && v.len - i > 2 && hex_digit(v.ptr[i + 1]) >= 0 &&
		    hex_digit(v.ptr[i + 2]) >= 0) {
			c = (char)(hex_digit(v.ptr[i + 1]) * 16 +
			    hex_digit(v.ptr[i + 2]));
			i += 2;
		}
		buf_addc(out, c);
	}
}

/*
 * Adds one parameter to the list if it is required-extensions, in any of the
 * ways of RFC 2231: "*", "*0", "*0*".  Said twice, both hold.
 */
static void
note_parameter(struct buf *list, bool *seen, struct slice name,
    struct slice value)
{
	static const char wanted[] = "required-extensions";
	size_t n = sizeof(wanted) - 1;
	struct slice stem = { name.ptr, name.len < n ? name.len : n };
	struct slice rest;

	if (!slice_ieqs(stem, wanted) || (name.len > n && name.ptr[n] != '*'))
		return;
	rest = (struct slice){ name.ptr + n, name.len - n };

	bool extended = rest.len > 0 && rest.ptr[rest.len - 1] == '*';
	bool first = rest.len < 2 || rest.ptr[1] == '0';

	if (*seen && first)
		buf_addc(list, ',');
	*seen = true;
	if (extended)
		add_extended(list, value, first);
	else
		buf_addslice(list, value);
}

/*
 * Parameters that cannot be read may hide what is required, so what is left
 * of them is then taken for the list: no processor knows such a name.
 */
static bool
parse_parameters(struct slice s, struct buf *list)
{
	struct buf value = BUF_INIT;
	bool seen = false;

	while (take_char(&s, ';')) {
		struct slice all = s, name = take_token(&s);

		if (name.len == 0)
			continue;
		buf_clear(&value);
		if (!take_char(&s, '=') || !take_value(&s, &value)) {
			buf_addslice(list, all);
			seen = true;
			s.len = 0;
			break;
		}
		note_parameter(list, &seen, name, buf_slice(&value));
	}
	skip_cfws(&s);
	if (s.len > 0) {
		buf_addslice(list, s);
		seen = true;
	}
	buf_release(&value);
	return seen;
}

/* RFC 2046 5.1.1.  The first of two counts. */
static void
find_boundary(struct mime_header *h, struct slice s)
{
	struct buf value = BUF_INIT;
	struct slice name;

	while (take_char(&s, ';') && (name = take_token(&s)).len > 0) {
		buf_clear(&value);
		if (!take_char(&s, '=') || !take_value(&s, &value))
			break;
		if (h->boundary == NULL && value.len > 0 &&
		    slice_ieqs(name, "boundary"))
			h->boundary = slice_dup(buf_slice(&value));
	}
	buf_release(&value);
}

static void
parse_type(struct mime_header *h, struct slice s)
{
	struct buf list = BUF_INIT;
	struct slice type, subtype;

	skip_cfws(&s);
	type = take_token(&s);
	if (!take_char(&s, '/'))
		return;
	subtype = take_token(&s);
	if (type.len == 0 || subtype.len == 0)
		return;
	h->type = mem_printf("%.*s/%.*s", (int)type.len, type.ptr,
	    (int)subtype.len, subtype.ptr);
	ascii_lower(h->type, strlen(h->type));
	find_boundary(h, s);
	if (parse_parameters(s, &list)) {
		/* a NUL must hide nothing behind it */
		for (size_t i = 0; i < list.len; i++)
			if (list.ptr[i] == '\0')
				list.ptr[i] = '?';
		h->required_extensions = buf_steal(&list);
	}
	buf_release(&list);
}

static const char *const encoding_names[] = {
	[MIME_7BIT] = "7bit", [MIME_8BIT] = "8bit", [MIME_BINARY] = "binary",
	[MIME_QUOTED_PRINTABLE] = "quoted-printable", [MIME_BASE64] = "base64",
};
_Static_assert(sizeof(encoding_names) / sizeof(encoding_names[0]) ==
    MIME_UNKNOWN, "a name for each encoding");

const char *
mime_encoding_name(enum mime_encoding encoding)
{
	return encoding_names[encoding];
}

static enum mime_encoding
find_encoding(struct slice s)
{
	struct slice token;

	skip_cfws(&s);
	token = take_token(&s);
	skip_cfws(&s);
	for (int i = 0; s.len == 0 && i < MIME_UNKNOWN; i++)
		if (slice_ieqs(token, encoding_names[i]))
			return (enum mime_encoding)i;
	return MIME_UNKNOWN;
}

/* Two that differ are none that anybody knows. */
static void
parse_encoding(struct mime_header *h, struct slice s)
{
	enum mime_encoding encoding = find_encoding(s);
	struct buf both = BUF_INIT;

	if (h->encoding_text == NULL) {
		h->encoding_text = slice_dup(slice_trim(s));
		h->encoding = encoding;
	} else if (encoding != h->encoding) {
		h->encoding = MIME_UNKNOWN;
		buf_addf(&both, "%s, ", h->encoding_text);
		buf_addslice(&both, slice_trim(s));
		free(h->encoding_text);
		h->encoding_text = buf_steal(&both);
	}
}

static void
parse_message_id(struct mime_header *h, struct slice s)
{
	const char *end;

	skip_cfws(&s);
	if (s.len == 0 || *s.ptr != '<' || h->message_id != NULL)
		return;
	end = memchr(s.ptr, '>', s.len);
	if (end != NULL)
		h->message_id = mem_strndup(s.ptr,
		    (size_t)(end + 1 - s.ptr));
}

static void
parse_field(struct mime_header *h, struct slice name, struct slice value,
    unsigned *types)
{
	if (slice_ieqs(name, "Content-Type")) {
		/* which of two is meant nobody can know: none */
		free(h->type);
		free(h->required_extensions);
		free(h->boundary);
		h->type = h->required_extensions = h->boundary = NULL;
		h->typed = true;
		if ((*types)++ == 0)
			parse_type(h, value);
	} else if (slice_ieqs(name, "Content-Transfer-Encoding"))
		parse_encoding(h, value);
	else if (slice_ieqs(name, "MIME-Version"))
		h->version = true;
	else if (slice_ieqs(name, "Message-ID"))
		parse_message_id(h, value);
}

size_t
mime_field_len(struct slice s)
{
	size_t n = 0;

	do {
		const char *nl = memchr(s.ptr + n, '\n', s.len - n);

		n = nl != NULL ? (size_t)(nl + 1 - s.ptr) : s.len;
	} while (n < s.len && (s.ptr[n] == ' ' || s.ptr[n] == '\t'));
	return n;
}

void
mime_header_parse(struct mime_header *h, struct slice s)
{
	unsigned types = 0;

	while (s.len > 0) {
		size_t n = mime_field_len(s);
		const char *colon = memchr(s.ptr, ':', n);

		if (colon != NULL && strncmp(s.ptr, "From ", 5) != 0) {
			struct slice name = { s.ptr, (size_t)(colon - s.ptr) };
			struct slice value = { colon + 1,
				n - name.len - 1 };

			while (value.len > 0 &&
			    is_blank(value.ptr[value.len - 1]))
				value.len--;
			parse_field(h, slice_trim(name), value, &types);
		}
		s.ptr += n;
		s.len -= n;
	}
}

/* Is it "Name: ...", a continuation, or an mbox line at the very start? */
static bool
line_ok(struct slice line, bool first)
{
	size_t n = 0;

	if (!first && (line.ptr[0] == ' ' || line.ptr[0] == '\t'))
		return true;
	if (first && line.len > 5 && memcmp(line.ptr, "From ", 5) == 0)
		return true;
	while (n < line.len && line.ptr[n] > ' ' && line.ptr[n] < 127 &&
	    line.ptr[n] != ':')
		n++;
	if (n == 0 || n > NAME_MAX_LEN)
		return false;
	while (n < line.len && (line.ptr[n] == ' ' || line.ptr[n] == '\t'))
		n++;
	return n < line.len && line.ptr[n] == ':';
}

void
mime_reader_init(struct mime_reader *r)
{
	memset(r, 0, sizeof(*r));
	buf_init(&r->held);
}

void
mime_reader_release(struct mime_reader *r)
{
	buf_release(&r->held);
	mime_header_release(&r->header);
}

void
mime_header_release(struct mime_header *h)
{
	free(h->type);
	free(h->boundary);
	free(h->encoding_text);
	free(h->required_extensions);
	free(h->message_id);
	memset(h, 0, sizeof(*h));
}

/* The start of the line that r->held ends with; its length is set. */
static struct slice
last_line(const struct mime_reader *r)
{
	size_t n = r->held.len;

	while (n > 0 && !(n < r->held.len && r->held.ptr[n - 1] == '\n'))
		n--;
	return (struct slice){ r->held.ptr + n, r->held.len - n };
}

static int
end_line(struct mime_reader *r, struct err *e)
{
	struct slice line = last_line(r);
	bool first = line.len == r->held.len;
	bool crlf = line.len > 1 && line.ptr[line.len - 2] == '\r';

	if (first)
		r->header.lf_lines = true;
	if (crlf)
		r->header.lf_lines = false;
	if (!first && line.len == (crlf ? 2U : 1U)) {
		mime_header_parse(&r->header, (struct slice){ r->held.ptr,
			r->held.len - line.len });
		r->done = true;
		return 1;
	}
	if (!line_ok(line, first))
		return err_set(e, ERR_SYNTAX, "not a header field: %.*s",
		    (int)(line.len < 40 ? line.len : 40), line.ptr);
	return 0;
}

int
mime_reader_add(struct mime_reader *r, const char *in, size_t len,
    size_t *used_out, struct err *e)
{
	size_t used = 0;
	int rc = r->done;

	while (rc == 0 && used < len) {
		const char *nl = memchr(in + used, '\n', len - used);
		size_t n = nl != NULL ? (size_t)(nl + 1 - in) - used :
		    len - used;

		if (r->held.len + n > MIME_HEADER_MAX) {
			rc = err_set(e, ERR_LIMIT,
			    "its header has more than %d octets",
			    MIME_HEADER_MAX);
			break;
		}
		buf_add(&r->held, in + used, n);
		used += n;
		if (nl != NULL)
			rc = end_line(r, e);
	}
	*used_out = used;
	return rc;
}

/*
 * Quoted-printable.  held is "=", "=X", "=\r" or "\r"; blanks holds white
 * space that vanishes if a line end follows.
 */
void
qp_decoder_init(struct qp_decoder *d)
{
	memset(d, 0, sizeof(*d));
	buf_init(&d->blanks);
}

void
qp_decoder_release(struct qp_decoder *d)
{
	buf_release(&d->blanks);
}

static void
flush_blanks(struct qp_decoder *d, struct buf *out)
{
	buf_add(out, d->blanks.ptr, d->blanks.len);
	buf_clear(&d->blanks);
}

/* What was held turns out to be itself. */
static void
flush_held(struct qp_decoder *d, struct buf *out)
{
	size_t n = d->nheld;

	d->nheld = 0;
	if (n == 0)
		return;
	if (d->held[0] == '=')
		buf_addc(out, '=');
	flush_blanks(d, out);
	if (d->held[0] != '=')
		buf_addc(out, d->held[0]);
	if (n > 1)
		buf_addc(out, d->held[1]);
}

static void
qp_plain(struct qp_decoder *d, struct buf *out, char c)
{
	if (c == ' ' || c == '\t') {
		if (d->blanks.len >= BLANKS_MAX)
			flush_blanks(d, out);
		buf_addc(&d->blanks, c);
	} else if (c == '\n') {
		buf_clear(&d->blanks);
		buf_addc(out, c);
	} else if (c == '=') {
		flush_blanks(d, out);
		d->held[d->nheld++] = c;
	} else if (c == '\r') {
		d->held[d->nheld++] = c;
	} else {
		flush_blanks(d, out);
		buf_addc(out, c);
	}
}

/* Behind "=": true if c belonged to it. */
static bool
qp_escape(struct qp_decoder *d, struct buf *out, char c)
{
	if (c == '\n' && (d->nheld == 1 || d->held[1] == '\r')) {
		d->nheld = 0;
		buf_clear(&d->blanks);
		return true;
	}
	if (d->nheld == 1 && (c == ' ' || c == '\t') &&
	    d->blanks.len < BLANKS_MAX) {
		buf_addc(&d->blanks, c);
		return true;
	}
	if (d->nheld == 1 && (c == '\r' ||
	    (d->blanks.len == 0 && hex_digit(c) >= 0))) {
		d->held[d->nheld++] = c;
		return true;
	}
	if (d->nheld == 2 && d->held[1] != '\r' && hex_digit(c) >= 0) {
		buf_addc(out, (char)(hex_digit(d->held[1]) * 16 +
		    hex_digit(c)));
		d->nheld = 0;
		return true;
	}
	return false;
}

static void
qp_octet(struct qp_decoder *d, struct buf *out, char c)
{
	if (d->nheld > 0 && d->held[0] == '\r') {
		if (c == '\n') {
			d->nheld = 0;
			buf_clear(&d->blanks);
			buf_add(out, "\r\n", 2);
			return;
		}
		flush_held(d, out);
	} else if (d->nheld > 0) {
		if (qp_escape(d, out, c))
			return;
		flush_held(d, out);
	}
	qp_plain(d, out, c);
}

void
qp_decoder_add(struct qp_decoder *d, struct buf *out, const char *in,
    size_t len)
{
	size_t i = 0, n;

	while (i < len) {
		for (n = i; n < len && in[n] > ' ' && in[n] != '='; n++)
			;
		if (n > i && d->nheld == 0) {
			flush_blanks(d, out);
			buf_add(out, in + i, n - i);
			i = n;
		} else
			qp_octet(d, out, in[i++]);
	}
}

void
qp_decoder_end(struct qp_decoder *d, struct buf *out)
{
	/* a "=" at the end is a soft line break whose line end was lost */
	if (d->nheld != 1 || d->held[0] != '=')
		flush_held(d, out);
	d->nheld = 0;
	buf_clear(&d->blanks);
}
