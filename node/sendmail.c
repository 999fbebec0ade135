/* SPDX-License-Identifier: ISC */
/*
 * A message out of what programs give to sendmail(8).
 *
 * Fields pass through as they come, so that only one of them is held at a
 * time; what is missing is added at the end of the header, when that is known.
 */
#include "node/sendmail.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "node/mailbox_list.h"

struct sendmail {
	struct sendmail_options opts;
	struct envelope env, resent;	/* of To and Resent-To, and theirs */
	struct envelope named;		/* on the command line */
	bool in_header, over;
	bool has_from, has_date, has_id;
	struct buf line;	/* header: the line at hand */
	struct buf field;	/* header: its lines so far, ended by CR LF */
	/* body */
	bool line_start, dot, dot_cr;
	char last;
};

struct sendmail *
sendmail_new(const struct sendmail_options *opts)
{
	struct sendmail *s = mem_alloc(1, sizeof(*s));

	s->opts = *opts;
	envelope_init(&s->env);
	envelope_init(&s->resent);
	envelope_init(&s->named);
	s->in_header = s->line_start = true;
	return s;
}

void
sendmail_free(struct sendmail *s)
{
	if (s == NULL)
		return;
	envelope_release(&s->env);
	envelope_release(&s->resent);
	envelope_release(&s->named);
	buf_release(&s->line);
	buf_release(&s->field);
	free(s);
}

static void
add_once(struct envelope *env, const char *address)
{
	for (size_t i = 0; i < env->nrcpt; i++)
		if (strcmp(env->rcpt[i].address, address) == 0)
			return;
	envelope_add_recipient(env, address, NULL, NULL);
}

static void
on_recipient(void *ctx, const char *address)
{
	add_once(ctx, address);
}

int
sendmail_add_recipient(struct sendmail *s, const char *text, struct err *e)
{
	if (mailbox_list_parse(slice_of(text), s->opts.hostname, on_recipient,
	    &s->named, e) < 0)
		return err_prefix(e, "recipient \"%s\"", text);
	return 0;
}

/*
 * The header.
 */
static struct slice
field_name(struct slice field)
{
	struct slice name = { field.ptr, 0 };

	while (name.len < field.len && field.ptr[name.len] > ' ' &&
	    field.ptr[name.len] < 127 && field.ptr[name.len] != ':')
		name.len++;
	return name;
}

/* Name, blanks, colon (RFC 5322 4.5 for the blanks). */
static bool
is_field(struct slice line)
{
	size_t at = field_name(line).len;

	if (at == 0)
		return false;
	while (at < line.len && (line.ptr[at] == ' ' || line.ptr[at] == '\t'))
		at++;
	return at < line.len && line.ptr[at] == ':';
}

static struct slice
field_value(struct slice field)
{
	const char *colon = memchr(field.ptr, ':', field.len);

	return (struct slice){ colon + 1,
	    field.len - (size_t)(colon + 1 - field.ptr) };
}

/* Which envelope gets this field's addresses; NULL: none. */
static struct envelope *
recipients_of(struct sendmail *s, struct slice name)
{
	if (!s->opts.take_recipients)
		return NULL;
	if (slice_ieqs(name, "to") || slice_ieqs(name, "cc") ||
	    slice_ieqs(name, "bcc"))
		return &s->env;
	if (slice_ieqs(name, "resent-to") || slice_ieqs(name, "resent-cc") ||
	    slice_ieqs(name, "resent-bcc"))
		return &s->resent;
	return NULL;
}

static int
end_field(struct sendmail *s, struct buf *out, struct err *e)
{
	struct slice field = buf_slice(&s->field), name = field_name(field);
	struct envelope *env;

	if (field.len == 0)
		return 0;
	env = recipients_of(s, name);
	if (env != NULL && mailbox_list_parse(field_value(field),
	    s->opts.hostname, on_recipient, env, e) < 0)
		return err_prefix(e, "field %.*s", (int)name.len, name.ptr);
	s->has_from |= slice_ieqs(name, "from");
	s->has_date |= slice_ieqs(name, "date");
	s->has_id |= slice_ieqs(name, "message-id");
	if (env == NULL || (!slice_ieqs(name, "bcc") &&
	    !slice_ieqs(name, "resent-bcc")))
		buf_addslice(out, field);
	buf_clear(&s->field);
	return 0;
}

/* A display name: an encoded word (RFC 2047) where it is not ASCII. */
static void
add_display_name(struct buf *out, const char *name)
{
	bool ascii = true;

	for (const char *ptr = name; *ptr != '\0'; ptr++)
		if (*ptr < ' ' || *ptr > '~')
			ascii = false;
	if (!ascii) {
		size_t len = strlen(name) < 45 ? strlen(name) : 45;

		while (len > 0 && ((unsigned char)name[len] & 0xc0) == 0x80)
			len--;
		buf_adds(out, "=?UTF-8?B?");
		base64_encode(out, name, len);
		buf_adds(out, "?=");
		return;
	}
	buf_addc(out, '"');
	for (const char *ptr = name; *ptr != '\0'; ptr++) {
		if (*ptr == '"' || *ptr == '\\')
			buf_addc(out, '\\');
		buf_addc(out, *ptr);
	}
	buf_addc(out, '"');
}

static void
add_from(struct sendmail *s, struct buf *out)
{
	const char *name = s->opts.full_name;

	buf_adds(out, "From: ");
	if (name != NULL && *name != '\0') {
		add_display_name(out, name);
		buf_addf(out, " <%s>\r\n", s->opts.from);
	} else
		buf_addf(out, "%s\r\n", s->opts.from);
}

static void
add_id(struct sendmail *s, struct buf *out)
{
	unsigned char bytes[20];
	int64_t now = clock_wall_ms(s->opts.clock);

	rng_fill(s->opts.rng, bytes, sizeof(bytes));
	buf_addf(out, "Message-ID: <%lld.", (long long)(now / 1000));
	base32_encode(out, bytes, sizeof(bytes));
	buf_addf(out, "@%s>\r\n", s->opts.hostname);
}

static int
end_header(struct sendmail *s, struct buf *out, struct err *e)
{
	if (end_field(s, out, e) < 0)
		return e->code;
	if (!s->has_from)
		add_from(s, out);
	if (!s->has_date) {
		buf_adds(out, "Date: ");
		date_format(out, clock_wall_ms(s->opts.clock));
		buf_adds(out, "\r\n");
	}
	if (!s->has_id)
		add_id(s, out);
	buf_adds(out, "\r\n");
	s->in_header = false;
	return 0;
}

/*
 * The body.
 */
static void
put(struct sendmail *s, char c, struct buf *out)
{
	if (c == '\n' && s->last != '\r')
		buf_addc(out, '\r');
	buf_addc(out, c);
	s->last = c;
	s->line_start = c == '\n';
}

/* What was held because it might have been the dot at the end. */
static void
put_held(struct sendmail *s, struct buf *out)
{
	if (s->dot)
		put(s, '.', out);
	if (s->dot_cr)
		put(s, '\r', out);
	s->dot = s->dot_cr = false;
}

static void
body_octet(struct sendmail *s, char c, struct buf *out)
{
	if (s->dot && c == '\n') {
		s->over = true;
		s->dot = s->dot_cr = false;
		return;
	}
	if (s->dot && !s->dot_cr && c == '\r') {
		s->dot_cr = true;
		return;
	}
	put_held(s, out);
	if (c == '.' && s->line_start && !s->opts.ignore_dots)
		s->dot = true;
	else
		put(s, c, out);
}

/* A line of the header without its end, or the first of the body. */
static int
header_line(struct sendmail *s, struct buf *out, struct err *e)
{
	struct slice line = buf_slice(&s->line);
	bool folded = line.len > 0 && s->field.len > 0 &&
	    (line.ptr[0] == ' ' || line.ptr[0] == '\t');

	if (!folded && !is_field(line)) {
		/* the line that a mailbox file puts before a message */
		if (s->field.len == 0 && !s->has_from && line.len > 5 &&
		    memcmp(line.ptr, "From ", 5) == 0)
			return 0;
		if (end_header(s, out, e) < 0)
			return e->code;
		for (size_t i = 0; line.len > 0 && i < line.len; i++)
			body_octet(s, line.ptr[i], out);
		if (line.len > 0)
			body_octet(s, '\n', out);
		return 0;
	}
	if (!folded && end_field(s, out, e) < 0)
		return e->code;
	buf_addslice(&s->field, line);
	buf_adds(&s->field, "\r\n");
	return 0;
}

static int
header_octet(struct sendmail *s, char c, struct buf *out, struct err *e)
{
	int r;

	if (c != '\n') {
		if (s->line.len + s->field.len >= SENDMAIL_HEADER_MAX)
			return err_set(e, ERR_LIMIT, "a field of the header "
			    "has more than %d octets", SENDMAIL_HEADER_MAX);
		buf_addc(&s->line, c);
		return 0;
	}
	if (s->line.len > 0 && s->line.ptr[s->line.len - 1] == '\r')
		buf_truncate(&s->line, s->line.len - 1);
	r = header_line(s, out, e);
	buf_clear(&s->line);
	return r;
}

int
sendmail_add(struct sendmail *s, const char *bytes, size_t len,
    struct buf *out, struct err *e)
{
	for (size_t i = 0; i < len && !s->over; i++) {
		if (!s->in_header)
			body_octet(s, bytes[i], out);
		else if (header_octet(s, bytes[i], out, e) < 0)
			return e->code;
	}
	return !s->over;
}

int
sendmail_end(struct sendmail *s, struct buf *out, struct err *e)
{
	if (s->in_header && s->line.len > 0 &&
	    header_octet(s, '\n', out, e) < 0)
		return e->code;
	if (s->in_header && end_header(s, out, e) < 0)
		return e->code;
	put_held(s, out);
	if (!s->line_start)
		put(s, '\n', out);
	return 0;
}

struct envelope *
sendmail_envelope(struct sendmail *s)
{
	/* RFC 5322 3.6.6: resent, the message goes to the new ones only */
	const struct envelope *found =
	    s->resent.nrcpt > 0 ? &s->resent : &s->env;

	for (size_t i = 0; i < found->nrcpt; i++)
		add_once(&s->named, found->rcpt[i].address);
	if (s->named.sender == NULL)
		s->named.sender = mem_strdup(s->opts.sender);
	return &s->named;
}
