/* SPDX-License-Identifier: ISC */
/*
 * Returned mail.  A report of RFC 3464 says what it has to say in fields.
 * Older systems (qmail, sendmail, Exim, gateways) write words for people and
 * quote the mail; of these it takes a program as the writer, the Message-ID of
 * a quoted mail, and a reply code or one of the phrases that they use.  Whose
 * mail it is about is told by the Message-ID alone, so a mistake here is of no
 * consequence to mail that is not ours.
 */
#include "bundle/mail_return.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

#define FIELD_MAX 2000

static const char *const failure_phrases[] = {
	"could not be delivered", "couldn't be delivered", "undeliver",
	"able to deliver", "delivery failed", "delivery to the following",
	"delivery failure", "failure notice", "returned mail",
	"permanent error", "permanent fatal error", "user unknown",
	"unknown user", "no such user", "giving up", "given up",
};

static const char *const delay_phrases[] = {
	"warning message only", "no action is required",
	"delivery attempts will continue", "do not need to resend",
	"has not yet been delivered", "will keep trying", "will be retried",
	"still being retried", "could not send message for past",
};

void
mail_return_init(struct mail_return *r, struct mail_facts *facts)
{
	memset(r, 0, sizeof(*r));
	r->facts = facts;
	buf_init(&r->field);
}

void
mail_return_release(struct mail_return *r)
{
	buf_release(&r->field);
	free(r->said);
	free(r->diagnostic);
}

struct slice
mail_field(struct slice s, const char *name)
{
	size_t len = strlen(name);

	while (s.len > 0) {
		size_t n = mime_field_len(s);

		if (n > len && s.ptr[len] == ':' &&
		    slice_ieqs((struct slice){ s.ptr, len }, name))
			return (struct slice){ s.ptr + len + 1, n - len - 1 };
		s.ptr += n;
		s.len -= n;
	}
	return (struct slice){ NULL, 0 };
}

/* For people: one line, nothing that a terminal obeys. */
static char *
clean(struct slice s)
{
	struct buf out = BUF_INIT;
	bool blank = false;

	for (size_t i = 0; i < s.len && out.len < MAIL_TEXT_MAX; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if (c <= ' ') {
			blank = out.len > 0;
			continue;
		}
		if (blank)
			buf_addc(&out, ' ');
		blank = false;
		buf_addc(&out, c < 127 ? (char)c : '?');
	}
	return buf_steal(&out);
}

static bool
holds(struct slice line, const char *phrase)
{
	size_t n = strlen(phrase);

	for (size_t i = 0; i + n <= line.len; i++)
		if (slice_ieqs((struct slice){ line.ptr + i, n }, phrase))
			return true;
	return false;
}

static bool
holds_one(struct slice line, const char *const *phrase, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (holds(line, phrase[i]))
			return true;
	return false;
}

/*
 * Message-IDs.
 */
static bool
is_id(struct slice id)
{
	if (id.len < 5 || id.len > MAIL_ID_MAX ||
	    memchr(id.ptr, '@', id.len) == NULL)
		return false;
	for (size_t i = 0; i < id.len; i++)
		if (id.ptr[i] <= ' ' || id.ptr[i] >= 127)
			return false;
	return true;
}

static void
add_id(struct mail_return *r, struct slice id)
{
	struct mail_facts *f = r->facts;

	if (f->nids == MAIL_IDS_MAX || !is_id(id))
		return;
	for (size_t i = 0; i < f->nids; i++)
		if (slice_eqs(id, f->id[i]))
			return;
	f->id[f->nids++] = slice_dup(id);
}

/* Each "<...>" of it; false: there is none. */
static bool
add_ids(struct mail_return *r, struct slice s)
{
	const char *open, *close;
	bool any = false;

	while ((open = memchr(s.ptr, '<', s.len)) != NULL) {
		s.len -= (size_t)(open - s.ptr);
		s.ptr = open;
		close = memchr(s.ptr, '>', s.len);
		if (close == NULL)
			break;
		add_id(r, (struct slice){ open, (size_t)(close + 1 - open) });
		any = true;
		s.len -= (size_t)(close + 1 - s.ptr);
		s.ptr = close + 1;
	}
	return any;
}

/* A line of a quoted header, perhaps behind "> ". */
static bool
take_id_line(struct mail_return *r, struct slice line)
{
	static const char name[] = "Message-ID:";
	size_t n = sizeof(name) - 1;

	while (line.len > 0 && (*line.ptr == '>' || *line.ptr == ' ' ||
	    *line.ptr == '\t')) {
		line.ptr++;
		line.len--;
	}
	if (r->folded) {
		r->folded = false;
		return add_ids(r, line);
	}
	if (line.len < n || !slice_ieqs((struct slice){ line.ptr, n }, name))
		return false;
	line.ptr += n;
	line.len -= n;
	r->folded = !add_ids(r, line);
	return true;
}

/*
 * The header of the mail itself.
 */
static bool
is_program(struct slice from)
{
	static const char *const names[] = { "mailer-daemon@", "postmaster@",
		"mail-daemon@", "mailer-daemon>", "mailer-daemon" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (holds(from, names[i]))
			return true;
	return false;
}

void
mail_return_header(struct mail_return *r, struct slice header)
{
	struct slice path = slice_trim(mail_field(header, "Return-Path"));
	struct slice autos = slice_trim(mail_field(header,
	    "Auto-Submitted"));
	struct slice subject = mail_field(header, "Subject");

	r->automatic = is_program(mail_field(header, "From")) ||
	    (path.len >= 2 && memcmp(path.ptr, "<>", 2) == 0) ||
	    (autos.len >= 5 && slice_ieqs((struct slice){ autos.ptr, 5 },
	    "auto-")) ||
	    mail_field(header, "X-Failed-Recipients").ptr != NULL;
	r->failed = holds_one(subject, failure_phrases,
	    sizeof(failure_phrases) / sizeof(failure_phrases[0]));
	r->delayed = holds_one(subject, delay_phrases,
	    sizeof(delay_phrases) / sizeof(delay_phrases[0]));
}

/*
 * Words for people.
 */
static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Octets of the number at s, one to three digits, or 0. */
static size_t
digits(struct slice s, size_t at)
{
	size_t n = 0;

	while (at + n < s.len && is_digit(s.ptr[at + n]))
		n++;
	return n <= 3 ? n : 0;
}

/* RFC 3463 2: octets of an enhanced status of class 4 or 5 at s, or 0. */
static size_t
status_at(struct slice s, size_t at)
{
	size_t subject, detail;

	if (at + 4 >= s.len || (s.ptr[at] != '4' && s.ptr[at] != '5') ||
	    s.ptr[at + 1] != '.')
		return 0;
	if (at > 0 && (is_digit(s.ptr[at - 1]) || s.ptr[at - 1] == '.'))
		return 0;
	subject = digits(s, at + 2);
	if (subject == 0 || at + 2 + subject >= s.len ||
	    s.ptr[at + 2 + subject] != '.')
		return 0;
	detail = digits(s, at + 3 + subject);
	at += 3 + subject + detail;
	if (detail == 0 || (at < s.len && s.ptr[at] == '.'))
		return 0;
	return 3 + subject + detail;
}

static bool
take_status(char out[12], struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		size_t n = status_at(s, i);

		if (n == 0)
			continue;
		snprintf(out, 12, "%.*s", (int)n, s.ptr + i);
		return true;
	}
	return false;
}

/* A reply of RFC 5321 at the start of a word: "550 ", "<<< 452-". */
static char
reply_in(struct slice s)
{
	for (size_t i = 0; i + 4 <= s.len; i++)
		if ((s.ptr[i] == '4' || s.ptr[i] == '5') &&
		    (i == 0 || s.ptr[i - 1] == ' ') &&
		    s.ptr[i + 1] <= '5' && digits(s, i) == 3 &&
		    (s.ptr[i + 3] == ' ' || s.ptr[i + 3] == '-'))
			return s.ptr[i];
	return 0;
}

static void
take_words(struct mail_return *r, struct slice line)
{
	char status[12], code = 0;
	bool phrase = holds_one(line, failure_phrases,
	    sizeof(failure_phrases) / sizeof(failure_phrases[0]));

	r->failed |= phrase;
	r->delayed |= holds_one(line, delay_phrases,
	    sizeof(delay_phrases) / sizeof(delay_phrases[0]));
	if (take_status(status, line)) {
		code = status[0];
		if (r->status[0] == '\0')
			memcpy(r->status, status, sizeof(status));
	} else {
		code = reply_in(line);
	}
	/* The first line with a code says most. */
	if ((code != 0 && r->code == 0) || (phrase && r->said == NULL)) {
		free(r->said);
		r->said = clean(line);
	}
	if (r->code == 0)
		r->code = code;
}

static void
text_line(struct mail_return *r, struct slice line)
{
	if (take_id_line(r, line))
		r->quoting = true;
	else if (!r->quoting)
		take_words(r, line);
}

/*
 * message/delivery-status.
 */
static bool
field_is(struct slice field, const char *name, struct slice *value_out)
{
	size_t n = strlen(name);

	if (field.len <= n || field.ptr[n] != ':' ||
	    !slice_ieqs((struct slice){ field.ptr, n }, name))
		return false;
	*value_out = slice_trim((struct slice){ field.ptr + n + 1,
	    field.len - n - 1 });
	return true;
}

static void
take_action(struct mail_return *r, struct slice word)
{
	static const struct {
		const char *word;
		enum mail_action action;
	} actions[] = {
		{ "failed", MAIL_FAILED_PERMANENT },
		{ "delayed", MAIL_DELAYED }, { "delivered", MAIL_PASSED },
		{ "relayed", MAIL_PASSED }, { "expanded", MAIL_PASSED },
	};

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		size_t n = strlen(actions[i].word);

		if (word.len < n || !slice_ieqs((struct slice){ word.ptr, n },
		    actions[i].word))
			continue;
		r->action = actions[i].action;
		r->has_action = true;
	}
}

static void
take_field(struct mail_return *r)
{
	struct slice field = buf_slice(&r->field), value;
	char *id;

	if (field_is(field, "Action", &value))
		take_action(r, value);
	else if (field_is(field, "Status", &value) &&
	    !take_status(r->action_status, value))
		r->action_status[0] = '\0';
	else if (field_is(field, "Diagnostic-Code", &value)) {
		const char *semicolon = memchr(value.ptr, ';', value.len);

		if (semicolon != NULL) {
			value.len -= (size_t)(semicolon + 1 - value.ptr);
			value.ptr = semicolon + 1;
		}
		free(r->diagnostic);
		r->diagnostic = clean(value);
	} else if (field_is(field, "Original-Envelope-Id", &value)) {
		id = mem_printf("<%.*s>", (int)value.len, value.ptr);
		add_id(r, slice_of(id));
		free(id);
	}
	buf_clear(&r->field);
}

/* Of several recipients the worst counts. */
static void
recipient_over(struct mail_return *r)
{
	struct mail_facts *f = r->facts;

	take_field(r);
	if (!r->has_action)
		return;
	if (r->action == MAIL_FAILED_PERMANENT && r->action_status[0] == '4')
		r->action = MAIL_FAILED_TEMPORARY;
	if (!r->reported || r->action < f->action) {
		f->action = r->action;
		memcpy(f->status, r->action_status, sizeof(f->status));
		free(f->text);
		f->text = r->diagnostic;
		r->diagnostic = NULL;
	}
	r->reported = true;
	r->has_action = false;
	r->action_status[0] = '\0';
	free(r->diagnostic);
	r->diagnostic = NULL;
}

static void
status_line(struct mail_return *r, struct slice line)
{
	if (line.len == 0) {
		recipient_over(r);
		return;
	}
	if (*line.ptr != ' ' && *line.ptr != '\t')
		take_field(r);
	if (r->field.len + line.len <= FIELD_MAX)
		buf_addslice(&r->field, line);
}

void
mail_return_line(struct mail_return *r, enum mail_part part,
    struct slice line)
{
	if (part == MAIL_PART_STATUS) {
		status_line(r, line);
	} else if (part == MAIL_PART_TEXT) {
		text_line(r, line);
	} else if (!r->body) {
		r->body = line.len == 0;
		(void)take_id_line(r, line);
	}
}

void
mail_return_part_end(struct mail_return *r, enum mail_part part)
{
	if (part == MAIL_PART_STATUS)
		recipient_over(r);
	r->folded = r->body = false;
}

static void
judge_words(struct mail_return *r)
{
	struct mail_facts *f = r->facts;

	f->action = r->delayed ? MAIL_DELAYED : r->code == '4' ?
	    MAIL_FAILED_TEMPORARY : MAIL_FAILED_PERMANENT;
	memcpy(f->status, r->status, sizeof(f->status));
	f->text = r->said;
	r->said = NULL;
}

bool
mail_return_end(struct mail_return *r)
{
	struct mail_facts *f = r->facts;

	if (!r->reported && (!r->automatic || f->nids == 0 ||
	    (!r->failed && !r->delayed && r->code == 0)))
		return false;
	if (!r->reported)
		judge_words(r);
	if (f->status[0] == '\0')
		snprintf(f->status, sizeof(f->status), "%s",
		    f->action == MAIL_FAILED_PERMANENT ? "5.0.0" :
		    f->action == MAIL_PASSED ? "2.0.0" : "4.0.0");
	if (f->text == NULL) {
		f->text = r->said != NULL ? r->said : mem_strdup("");
		r->said = NULL;
	}
	return true;
}
