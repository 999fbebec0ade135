/* SPDX-License-Identifier: ISC */
/*
 * Command lines and reply lines.  Parameters of MAIL and RCPT are a table:
 * an extension that comes later adds its rows and nothing else.  The path is
 * parsed with UTF-8 allowed, since the SMTPUTF8 parameter that allows it
 * stands behind; whether it was given is looked at when all is read.
 */
#include "smtp/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "smtp/address.h"
#include "smtp/extension.h"

#define REPLY_LINE_MAX 4096	/* octets; RFC 5321 4.5.3.1.5 has 512 */
#define REPLY_LINES_MAX 512
#define ENVID_MAX 100		/* RFC 3461 4.4 */
#define ORCPT_MAX 500		/* RFC 3461 4.2 */

static const char *const verb_names[] = {
	[SMTP_VERB_HELO] = "HELO", [SMTP_VERB_EHLO] = "EHLO",
	[SMTP_VERB_LHLO] = "LHLO", [SMTP_VERB_MAIL] = "MAIL",
	[SMTP_VERB_RCPT] = "RCPT", [SMTP_VERB_DATA] = "DATA",
	[SMTP_VERB_BDAT] = "BDAT", [SMTP_VERB_RSET] = "RSET",
	[SMTP_VERB_NOOP] = "NOOP", [SMTP_VERB_QUIT] = "QUIT",
	[SMTP_VERB_VRFY] = "VRFY", [SMTP_VERB_EXPN] = "EXPN",
	[SMTP_VERB_HELP] = "HELP", [SMTP_VERB_STARTTLS] = "STARTTLS",
	[SMTP_VERB_ETRN] = "ETRN", [SMTP_VERB_AUTH] = "AUTH",
	[SMTP_VERB_SEND] = "SEND", [SMTP_VERB_SOML] = "SOML",
	[SMTP_VERB_SAML] = "SAML", [SMTP_VERB_TURN] = "TURN",
	[SMTP_VERB_TICK] = "TICK", [SMTP_VERB_VERB] = "VERB",
	[SMTP_VERB_GET] = "GET", [SMTP_VERB_POST] = "POST",
	[SMTP_VERB_PUT] = "PUT", [SMTP_VERB_CONNECT] = "CONNECT",
	[SMTP_VERB_OPTIONS] = "OPTIONS",
	[SMTP_VERB_UNKNOWN] = "unknown",
};
_Static_assert(sizeof(verb_names) / sizeof(verb_names[0]) == SMTP_VERBS,
    "a name for each verb");

/* One command under way: what its parameters are put into. */
struct taking {
	struct envelope *env;
	unsigned extensions;
	char *notify, *orcpt;
	struct smtp_refusal *r;
};

struct parameter {
	const char *keyword;
	unsigned extension;
	bool has_value;
	int (*take)(struct taking *t, struct slice value);
};

int
smtp_refuse(struct smtp_refusal *r, int code, const char *status,
    const char *fmt, ...)
{
	va_list ap;

	r->code = code;
	snprintf(r->status, sizeof(r->status), "%s", status);
	va_start(ap, fmt);
	vsnprintf(r->text, sizeof(r->text), fmt, ap);
	va_end(ap);
	return -1;
}

static bool
is_blank(char ch)
{
	return ch == ' ' || ch == '\t';
}

/* Takes the next word off the front of text. */
static struct slice
next_word(struct slice *text)
{
	struct slice word;

	while (text->len > 0 && is_blank(*text->ptr)) {
		text->ptr++;
		text->len--;
	}
	word = (struct slice){ text->ptr, 0 };
	while (text->len > 0 && !is_blank(*text->ptr)) {
		text->ptr++;
		text->len--;
		word.len++;
	}
	return word;
}

enum smtp_verb
smtp_command_split(struct slice line, struct slice *args_out)
{
	struct slice word = next_word(&line);

	*args_out = slice_trim(line);
	if (slice_ieqs(word, "VERBOSE"))	/* 1982 had both */
		return SMTP_VERB_VERB;
	for (int i = 0; i < SMTP_VERB_UNKNOWN; i++) {
		if (slice_ieqs(word, verb_names[i]))
			return (enum smtp_verb)i;
	}
	return SMTP_VERB_UNKNOWN;
}

const char *
smtp_verb_name(enum smtp_verb verb)
{
	return verb_names[verb];
}

static bool
is_digits(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
	}
	return s.len > 0;
}

/* RFC 3461 4: printable ASCII but "+" and "=", or "+" and two upper case
 * hexadecimal digits. */
static bool
is_xtext(struct slice s)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < 0x21 || s.ptr[i] > 0x7e || s.ptr[i] == '=')
			return false;
		if (s.ptr[i] != '+')
			continue;
		if (s.len - i < 3 || memchr(hex, s.ptr[i + 1], 16) == NULL ||
		    memchr(hex, s.ptr[i + 2], 16) == NULL)
			return false;
		i += 2;
	}
	return true;
}

/* RFC 1870 3: 20 digits, which is more than we can count. */
static int
take_size(struct taking *t, struct slice value)
{
	if (value.len > 20 || !is_digits(value))
		return smtp_refuse(t->r, 501, "5.5.4",
		    "Bad message size syntax");
	if (num_parse(value, UINT64_MAX, &t->env->size) < 0)
		t->env->size = UINT64_MAX;
	t->env->size_given = true;
	return 0;
}

static int
take_body(struct taking *t, struct slice value)
{
	if (slice_ieqs(value, "7BIT"))
		t->env->body = SMTP_BODY_7BIT;
	else if (slice_ieqs(value, "8BITMIME"))
		t->env->body = SMTP_BODY_8BITMIME;
	else if (slice_ieqs(value, "BINARYMIME") &&
	    (t->extensions & SMTP_EXT_BINARYMIME) != 0)
		t->env->body = SMTP_BODY_BINARYMIME;
	else
		return smtp_refuse(t->r, 501, "5.5.4", "Bad BODY value");
	return 0;
}

static int
take_ret(struct taking *t, struct slice value)
{
	if (slice_ieqs(value, "FULL"))
		t->env->ret = SMTP_RET_FULL;
	else if (slice_ieqs(value, "HDRS"))
		t->env->ret = SMTP_RET_HDRS;
	else
		return smtp_refuse(t->r, 501, "5.5.4",
		    "Bad RET parameter syntax");
	return 0;
}

static int
take_envid(struct taking *t, struct slice value)
{
	if (value.len > ENVID_MAX || !is_xtext(value))
		return smtp_refuse(t->r, 501, "5.5.4",
		    "Bad ENVID parameter syntax");
	t->env->envid = slice_dup(value);
	return 0;
}

static int
take_smtputf8(struct taking *t, struct slice value)
{
	(void)value;
	t->env->smtputf8 = true;
	return 0;
}

static int
take_priority(struct taking *t, struct slice value)
{
	if (smtp_timing_priority(&t->env->timing, value) < 0)
		return smtp_refuse(t->r, 501, "5.5.4",
		    "Bad MT-PRIORITY parameter syntax");
	return 0;
}

static int
take_by(struct taking *t, struct slice value)
{
	if (smtp_timing_by(&t->env->timing, value) < 0)
		return smtp_refuse(t->r, 501, "5.5.4",
		    "Bad BY parameter syntax");
	return 0;
}

static int
bad_hold(struct taking *t, int rc)
{
	if (rc == 0)
		return 0;
	return smtp_refuse(t->r, 501, "5.5.4", rc == ERR_STATE ?
	    "HOLDFOR and HOLDUNTIL exclude each other" :
	    "Bad HOLDFOR or HOLDUNTIL parameter syntax");
}

static int
take_hold_for(struct taking *t, struct slice value)
{
	return bad_hold(t, smtp_timing_hold_for(&t->env->timing, value));
}

static int
take_hold_until(struct taking *t, struct slice value)
{
	return bad_hold(t, smtp_timing_hold_until(&t->env->timing, value));
}

static int
take_number(struct taking *t, struct slice value)
{
	if (smtp_origin_number(&t->env->origin, value) < 0)
		return smtp_refuse(t->r, 501, "5.5.4",
		    "Bad XID parameter syntax");
	return 0;
}

static int
take_hops(struct taking *t, struct slice value)
{
	if (smtp_origin_hops(&t->env->origin, value) < 0)
		return smtp_refuse(t->r, 501, "5.5.4",
		    "Bad XHOP parameter syntax");
	return 0;
}

static int
take_notify(struct taking *t, struct slice value)
{
	t->notify = slice_dup(value);
	if (smtp_notify_parse(t->notify) < 0)
		return smtp_refuse(t->r, 501, "5.5.4",
		    "Bad NOTIFY parameter syntax");
	return 0;
}

/* RFC 6533 3: where the type is utf-8, "\x{...}" or UTF-8 itself. */
static bool
is_utf8_address(struct slice s, bool smtputf8)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char ch = (unsigned char)s.ptr[i];

		if (ch < 0x21 || ch == 0x7f || (ch > 0x7f && !smtputf8))
			return false;
	}
	return utf8_valid(s);
}

static int
take_orcpt(struct taking *t, struct slice value)
{
	const char *semi = memchr(value.ptr, ';', value.len);
	struct slice type, addr;
	bool good;

	type = (struct slice){ value.ptr,
	    semi != NULL ? (size_t)(semi - value.ptr) : 0 };
	addr = (struct slice){ value.ptr + type.len + 1,
	    semi != NULL ? value.len - type.len - 1 : 0 };
	good = value.len <= ORCPT_MAX && type.len > 0 && addr.len > 0 &&
	    is_xtext(type);
	if (slice_ieqs(type, "utf-8"))
		good = good && is_utf8_address(addr, t->env->smtputf8);
	else
		good = good && is_xtext(addr);
	if (!good)
		return smtp_refuse(t->r, 501, "5.5.4",
		    "Bad ORCPT parameter syntax");
	t->orcpt = slice_dup(value);
	return 0;
}

static const struct parameter mail_parameters[] = {
	{ "SIZE", SMTP_EXT_SIZE, true, take_size },
	{ "BODY", SMTP_EXT_8BITMIME, true, take_body },
	{ "RET", SMTP_EXT_DSN, true, take_ret },
	{ "ENVID", SMTP_EXT_DSN, true, take_envid },
	{ "SMTPUTF8", SMTP_EXT_SMTPUTF8, false, take_smtputf8 },
	{ "MT-PRIORITY", SMTP_EXT_MT_PRIORITY, true, take_priority },
	{ "BY", SMTP_EXT_DELIVERBY, true, take_by },
	{ "HOLDFOR", SMTP_EXT_FUTURERELEASE, true, take_hold_for },
	{ "HOLDUNTIL", SMTP_EXT_FUTURERELEASE, true, take_hold_until },
	{ "XID", SMTP_EXT_XORIGIN, true, take_number },
	{ "XHOP", SMTP_EXT_XORIGIN, true, take_hops },
	{ NULL, 0, false, NULL },
};

static const struct parameter rcpt_parameters[] = {
	{ "NOTIFY", SMTP_EXT_DSN, true, take_notify },
	{ "ORCPT", SMTP_EXT_DSN, true, take_orcpt },
	{ NULL, 0, false, NULL },
};

/* esmtp-keyword of RFC 5321 4.1.2 */
static bool
is_keyword(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		char ch = ascii_tolower(s.ptr[i]);

		if (!(ch >= 'a' && ch <= 'z') && !(ch >= '0' && ch <= '9') &&
		    (ch != '-' || i == 0))
			return false;
	}
	return s.len > 0;
}

/* Text of a stranger, fit for a reply line. */
static const char *
printable(struct slice s, struct buf *room)
{
	buf_clear(room);
	text_escape(room, s, 64, false);
	return buf_cstr(room);
}

static int
refuse_parameter(struct taking *t, int code, const char *why, struct slice s)
{
	struct buf room = BUF_INIT;

	smtp_refuse(t->r, code, "5.5.4", "%s: %s", why, printable(s, &room));
	buf_release(&room);
	return -1;
}

static int
take_parameter(struct taking *t, const struct parameter *table,
    struct slice word, unsigned *seen)
{
	const char *eq = memchr(word.ptr, '=', word.len);
	struct slice key = word, value = { "", 0 };
	const struct parameter *p;

	if (eq != NULL) {
		key.len = (size_t)(eq - word.ptr);
		value = (struct slice){ eq + 1, word.len - key.len - 1 };
	}
	if (!is_keyword(key))
		return refuse_parameter(t, 501, "Bad parameter", word);
	for (p = table; p->keyword != NULL; p++) {
		if (slice_ieqs(key, p->keyword))
			break;
	}
	if (p->keyword == NULL || (t->extensions & p->extension) == 0)
		return refuse_parameter(t, 555, "Unsupported option", word);
	if ((*seen & 1U << (p - table)) != 0)
		return refuse_parameter(t, 501, "Repeated option", word);
	*seen |= 1U << (p - table);
	if (p->has_value != (eq != NULL) || (p->has_value && value.len == 0))
		return refuse_parameter(t, 501, "Bad option value", word);
	return p->take(t, value);
}

static int
take_parameters(struct taking *t, const struct parameter *table,
    struct slice text)
{
	struct slice word;
	unsigned seen = 0;

	while ((word = next_word(&text)).len > 0) {
		if (take_parameter(t, table, word, &seen) < 0)
			return -1;
	}
	return 0;
}

/* "FROM:" or "TO:" and the path; *rest_out is what stands behind. */
static int
take_path(struct taking *t, struct slice args, const char *word,
    unsigned flags, struct buf *addr_out, struct slice *rest_out)
{
	bool mail = word[0] == 'F';
	size_t len = strlen(word), used;
	struct err e = ERR_INIT;

	if (args.len < len ||
	    !slice_ieqs((struct slice){ args.ptr, len }, word))
		return smtp_refuse(t->r, 501, "5.5.4", "Syntax: %s %s<address>",
		    mail ? "MAIL" : "RCPT", word);
	args.ptr += len;
	args.len -= len;
	if (address_parse_path(args, flags | ADDRESS_UTF8 | ADDRESS_SPACE,
	    addr_out, &used, &e) < 0)
		return smtp_refuse(t->r, 501, mail ? "5.1.7" : "5.1.3",
		    "Bad %s address syntax: %s", mail ? "sender" : "recipient",
		    e.text);
	*rest_out = (struct slice){ args.ptr + used, args.len - used };
	if (rest_out->len > 0 && !is_blank(*rest_out->ptr))
		return smtp_refuse(t->r, 501, "5.5.4",
		    "Syntax: blank expected behind the address");
	return 0;
}

static int
need_utf8(struct taking *t, const char *addr)
{
	if (t->env->smtputf8 || slice_is_ascii(slice_of(addr)))
		return 0;
	return smtp_refuse(t->r, 553, "5.6.7",
	    "Address needs the SMTPUTF8 parameter of MAIL");
}

int
smtp_command_mail(struct slice args, unsigned extensions, bool lenient,
    struct envelope *env, struct smtp_refusal *r)
{
	struct taking t = { env, extensions, NULL, NULL, r };
	struct buf addr = BUF_INIT;
	struct slice rest;
	int rc;

	rc = take_path(&t, args, "FROM:", ADDRESS_NULL |
	    (lenient ? ADDRESS_BARE : 0), &addr, &rest);
	if (rc == 0)
		rc = take_parameters(&t, mail_parameters, rest);
	if (rc == 0)
		rc = need_utf8(&t, buf_cstr(&addr));
	if (rc == 0)
		env->sender = buf_steal(&addr);
	else
		envelope_clear(env);
	buf_release(&addr);
	return rc;
}

int
smtp_command_rcpt(struct slice args, unsigned extensions, bool lenient,
    struct envelope *env, struct smtp_refusal *r)
{
	struct taking t = { env, extensions, NULL, NULL, r };
	struct buf addr = BUF_INIT;
	struct slice rest;
	int rc;

	rc = take_path(&t, args, "TO:", ADDRESS_POSTMASTER |
	    (lenient ? ADDRESS_BARE : 0), &addr, &rest);
	if (rc == 0)
		rc = take_parameters(&t, rcpt_parameters, rest);
	if (rc == 0)
		rc = need_utf8(&t, buf_cstr(&addr));
	if (rc == 0)
		envelope_add_recipient(env, buf_cstr(&addr), t.notify,
		    t.orcpt);
	free(t.notify);
	free(t.orcpt);
	buf_release(&addr);
	return rc;
}

int
smtp_command_bdat(struct slice args, uint64_t *octets_out, bool *last_out,
    struct smtp_refusal *r)
{
	struct slice size = next_word(&args), last = next_word(&args);

	*last_out = slice_ieqs(last, "LAST");
	if (num_parse(size, UINT64_MAX / 2, octets_out) < 0 ||
	    (last.len > 0 && !*last_out) || slice_trim(args).len > 0)
		return smtp_refuse(r, 501, "5.5.4",
		    "Syntax: BDAT count [LAST]");
	return 0;
}

void
smtp_write_mail(struct buf *out, const struct envelope *env, uint64_t octets,
    unsigned extensions)
{
	const char *body = smtp_body_name(env->body);
	const char *ret = smtp_ret_name(env->ret);
	unsigned body_ext = env->body == SMTP_BODY_BINARYMIME ?
	    SMTP_EXT_BINARYMIME : SMTP_EXT_8BITMIME;

	buf_adds(out, "MAIL FROM:<");
	buf_adds(out, env->sender != NULL ? env->sender : "");
	buf_addc(out, '>');
	if ((extensions & SMTP_EXT_SIZE) != 0)
		buf_addf(out, " SIZE=%llu", (unsigned long long)octets);
	if ((extensions & SMTP_EXT_XORIGIN) != 0 &&
	    env->body == SMTP_BODY_7BIT)
		body = NULL;		/* the same (RFC 6152 2) */
	if ((extensions & body_ext) != 0 && body != NULL)
		buf_addf(out, " BODY=%s", body);
	if ((extensions & SMTP_EXT_DSN) != 0 && ret != NULL)
		buf_addf(out, " RET=%s", ret);
	if ((extensions & SMTP_EXT_DSN) != 0 && env->envid != NULL)
		buf_addf(out, " ENVID=%s", env->envid);
	if ((extensions & SMTP_EXT_SMTPUTF8) != 0 && env->smtputf8)
		buf_adds(out, " SMTPUTF8");
	smtp_timing_write(out, &env->timing, extensions);
	if ((extensions & SMTP_EXT_XORIGIN) != 0)
		smtp_origin_write(out, &env->origin);
	buf_adds(out, "\r\n");
}

/* As it was; but to a receiver without SMTPUTF8 nothing is said in UTF-8
 * (RFC 6533 3). */
static void
write_orcpt(struct buf *out, const char *orcpt, unsigned extensions)
{
	struct buf plain = BUF_INIT;
	size_t i, type = strcspn(orcpt, ";");

	buf_adds(out, " ORCPT=");
	for (i = 0; orcpt[i] != '\0' && (unsigned char)orcpt[i] < 0x80; i++)
		;
	if (orcpt[i] == '\0' || orcpt[type] == '\0' ||
	    (extensions & SMTP_EXT_SMTPUTF8) != 0) {
		buf_adds(out, orcpt);
		return;
	}
	utf8_xtext_decode(&plain, slice_of(orcpt + type + 1));
	buf_add(out, orcpt, type + 1);
	utf8_xtext_encode(out, buf_slice(&plain));
	buf_release(&plain);
}

void
smtp_write_rcpt(struct buf *out, const struct recipient *rcpt,
    unsigned extensions)
{
	buf_adds(out, "RCPT TO:<");
	buf_adds(out, rcpt->address);
	buf_addc(out, '>');
	if ((extensions & SMTP_EXT_DSN) != 0) {
		if (rcpt->notify != NULL)
			buf_addf(out, " NOTIFY=%s", rcpt->notify);
		if (rcpt->orcpt != NULL)
			write_orcpt(out, rcpt->orcpt, extensions);
	}
	buf_adds(out, "\r\n");
}

void
smtp_reply_parser_init(struct smtp_reply_parser *p)
{
	memset(p, 0, sizeof(*p));
	buf_init(&p->line);
}

void
smtp_reply_parser_release(struct smtp_reply_parser *p)
{
	buf_release(&p->line);
}

static bool
is_digit(char ch)
{
	return ch >= '0' && ch <= '9';
}

/* RFC 2034 3: class "." subject "." detail of the class of the code; its
 * length, or 0. */
static size_t
status_length(struct slice s, int code)
{
	size_t i = 2, start;

	if (s.len < 5 || s.ptr[0] != '0' + code / 100 || s.ptr[1] != '.')
		return 0;
	for (start = i; i < s.len && i - start < 3 && is_digit(s.ptr[i]); i++)
		;
	if (i == start || i >= s.len || s.ptr[i] != '.')
		return 0;
	i++;
	for (start = i; i < s.len && i - start < 3 && is_digit(s.ptr[i]); i++)
		;
	if (i == start || (i < s.len && s.ptr[i] != ' '))
		return 0;
	return i;
}

static void
reply_add_text(struct smtp_reply *reply, struct slice text)
{
	size_t n = status_length(text, reply->code);
	size_t have = strlen(reply->text), room;

	if (n > 0 && reply->status[0] == '\0')
		snprintf(reply->status, sizeof(reply->status), "%.*s", (int)n,
		    text.ptr);
	if (n > 0)
		text = slice_trim((struct slice){ text.ptr + n, text.len - n });
	if (have > 0 && text.len > 0 && have + 1 < sizeof(reply->text))
		reply->text[have++] = ' ';
	room = sizeof(reply->text) - 1 - have;
	if (text.len < room)
		room = text.len;
	for (size_t i = 0; i < room; i++)
		reply->text[have + i] = text.ptr[i] != '\0' ? text.ptr[i] : '?';
	reply->text[have + room] = '\0';
}

/* 1: that was the last line of the reply. */
static int
reply_line(struct smtp_reply_parser *p, struct slice line,
    struct slice *text_out, struct err *e)
{
	uint64_t code;
	bool more;

	if (line.len < 3 || line.ptr[0] < '2' || line.ptr[0] > '5' ||
	    num_parse((struct slice){ line.ptr, 3 }, 599, &code) < 0 ||
	    (line.len > 3 && line.ptr[3] != ' ' && line.ptr[3] != '-'))
		return err_set(e, ERR_SYNTAX, "not a reply of SMTP");
	if (p->lines > 0 && p->reply.code != (int)code)
		return err_set(e, ERR_SYNTAX,
		    "the code changes inside a reply, %d to %d", p->reply.code,
		    (int)code);
	if (++p->lines > REPLY_LINES_MAX)
		return err_set(e, ERR_LIMIT, "reply of more than %d lines",
		    REPLY_LINES_MAX);
	more = line.len > 3 && line.ptr[3] == '-';
	p->reply.code = (int)code;
	*text_out = line.len > 4 ?
	    (struct slice){ line.ptr + 4, line.len - 4 } : SLICE_LIT("");
	reply_add_text(&p->reply, *text_out);
	return more ? 0 : 1;
}

int
smtp_reply_parse(struct smtp_reply_parser *p, const char *in, size_t len,
    size_t *used_out, void (*on_line)(void *ctx, struct slice text),
    void *ctx, struct err *e)
{
	struct slice line, text;
	const char *nl;
	size_t n;
	int rc;

	for (*used_out = 0; *used_out < len;) {
		nl = memchr(in + *used_out, '\n', len - *used_out);
		n = nl != NULL ? (size_t)(nl + 1 - (in + *used_out)) :
		    len - *used_out;
		if (p->line.len + n > REPLY_LINE_MAX)
			return err_set(e, ERR_LIMIT,
			    "reply line of more than %d octets",
			    REPLY_LINE_MAX);
		buf_add(&p->line, in + *used_out, n);
		*used_out += n;
		if (nl == NULL)
			return 0;
		if (p->lines == 0)
			memset(&p->reply, 0, sizeof(p->reply));
		line = (struct slice){ p->line.ptr, p->line.len - 1 };
		if (line.len > 0 && line.ptr[line.len - 1] == '\r')
			line.len--;
		rc = reply_line(p, line, &text, e);
		if (rc >= 0 && on_line != NULL)
			on_line(ctx, text);
		buf_clear(&p->line);
		if (rc != 0) {
			p->lines = 0;
			return rc;
		}
	}
	return 0;
}

void
smtp_write_reply(struct buf *out, int code, const char *status,
    const char *text)
{
	size_t len;
	bool more;

	do {
		len = strcspn(text, "\n");
		more = text[len] == '\n';
		buf_addf(out, "%03d%c", code, more ? '-' : ' ');
		if (status != NULL && status[0] != '\0')
			buf_addf(out, "%s ", status);
		for (size_t i = 0; i < len; i++)
			buf_addc(out, text[i] >= 0x20 && text[i] < 0x7f ?
			    text[i] : '?');
		buf_adds(out, "\r\n");
		text += len + 1;
	} while (more);
}
