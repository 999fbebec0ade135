/* SPDX-License-Identifier: ISC */
/*
 * Envelopes, and the scanner that learns about content as it passes.  The
 * header is looked at octet by octet; the body, where nearly all octets are,
 * in blocks whose loop a compiler turns into vector instructions.
 */
#include "smtp/envelope.h"

#include <stdlib.h>

#include "base/mem.h"
#include "smtp/extension.h"

#define SCAN_BLOCK 64
#define LINE_MAX_OCTETS 998	/* RFC 5321 4.5.3.1.6 without CR LF */

static const char *const body_names[] = {
	[SMTP_BODY_NONE] = NULL,
	[SMTP_BODY_7BIT] = "7BIT",
	[SMTP_BODY_8BITMIME] = "8BITMIME",
	[SMTP_BODY_BINARYMIME] = "BINARYMIME",
};
_Static_assert(sizeof(body_names) / sizeof(body_names[0]) ==
    SMTP_BODY_BINARYMIME + 1, "a name for each body");

static const char *const ret_names[] = {
	[SMTP_RET_NONE] = NULL,
	[SMTP_RET_FULL] = "FULL",
	[SMTP_RET_HDRS] = "HDRS",
};
_Static_assert(sizeof(ret_names) / sizeof(ret_names[0]) ==
    SMTP_RET_HDRS + 1, "a name for each ret");

static const struct {
	const char *word;
	int bit;
} notify_words[] = {
	{ "NEVER", SMTP_NOTIFY_NEVER },
	{ "SUCCESS", SMTP_NOTIFY_SUCCESS },
	{ "FAILURE", SMTP_NOTIFY_FAILURE },
	{ "DELAY", SMTP_NOTIFY_DELAY },
};

static char *
dup_or_null(const char *text)
{
	return text != NULL ? mem_strdup(text) : NULL;
}

void
envelope_init(struct envelope *env)
{
	memset(env, 0, sizeof(*env));
}

static void
recipient_release(struct recipient *rcpt)
{
	free(rcpt->address);
	free(rcpt->notify);
	free(rcpt->orcpt);
}

void
envelope_clear(struct envelope *env)
{
	char *helo = env->helo;

	for (size_t i = 0; i < env->nrcpt; i++)
		recipient_release(&env->rcpt[i]);
	free(env->rcpt);
	free(env->sender);
	free(env->envid);
	envelope_init(env);
	env->helo = helo;
}

void
envelope_release(struct envelope *env)
{
	envelope_clear(env);
	free(env->helo);
	env->helo = NULL;
}

struct recipient *
envelope_add_recipient(struct envelope *env, const char *address,
    const char *notify, const char *orcpt)
{
	struct recipient *rcpt;
	size_t n = env->nrcpt;

	/* Room doubles whenever the count reaches a power of two. */
	if ((n & (n - 1)) == 0)
		env->rcpt = mem_realloc(env->rcpt, n == 0 ? 1 : 2 * n,
		    sizeof(*env->rcpt));
	rcpt = &env->rcpt[env->nrcpt++];
	rcpt->address = mem_strdup(address);
	rcpt->notify = dup_or_null(notify);
	rcpt->orcpt = dup_or_null(orcpt);
	return rcpt;
}

void
envelope_drop_recipient(struct envelope *env)
{
	recipient_release(&env->rcpt[--env->nrcpt]);
	if (env->nrcpt == 0) {
		free(env->rcpt);
		env->rcpt = NULL;
	}
}

void
envelope_copy(struct envelope *to, const struct envelope *from)
{
	envelope_release(to);
	*to = *from;
	to->helo = dup_or_null(from->helo);
	to->sender = dup_or_null(from->sender);
	to->envid = dup_or_null(from->envid);
	to->rcpt = NULL;
	to->nrcpt = 0;
	for (size_t i = 0; i < from->nrcpt; i++)
		envelope_add_recipient(to, from->rcpt[i].address,
		    from->rcpt[i].notify, from->rcpt[i].orcpt);
}

static int
notify_word(struct slice word)
{
	for (size_t i = 0; i < sizeof(notify_words) /
	    sizeof(notify_words[0]); i++) {
		if (slice_ieqs(word, notify_words[i].word))
			return notify_words[i].bit;
	}
	return 0;
}

int
smtp_notify_parse(const char *text)
{
	int bits = 0, bit;
	size_t len;

	if (text == NULL)
		return 0;
	for (;; text += len + 1) {
		len = strcspn(text, ",");
		bit = notify_word((struct slice){ text, len });
		if (bit == 0)
			return -1;
		bits |= bit;
		if (text[len] == '\0')
			break;
	}
	if ((bits & SMTP_NOTIFY_NEVER) != 0 && bits != SMTP_NOTIFY_NEVER)
		return -1;
	return bits;
}

const char *
smtp_body_name(enum smtp_body body)
{
	return body_names[body];
}

const char *
smtp_ret_name(enum smtp_ret ret)
{
	return ret_names[ret];
}

void
content_scanner_init(struct content_scanner *scan)
{
	memset(scan, 0, sizeof(*scan));
	scan->in_header = true;
}

static void
scan_line_end(struct content_scanner *scan)
{
	size_t len = scan->line_len;

	if (scan->after_cr)
		len--;
	if (len > LINE_MAX_OCTETS)
		scan->facts.flags |= CONTENT_LONG;
	if (len == 0)
		scan->in_header = false;
	scan->line_len = 0;
}

static void
scan_field_name(struct content_scanner *scan, char ch)
{
	const size_t want = sizeof(scan->line_start);

	if (scan->line_len >= want)
		return;
	scan->line_start[scan->line_len] = ch;
	if (scan->line_len + 1 == want &&
	    slice_ieqs((struct slice){ scan->line_start, want }, "Received:"))
		scan->facts.received++;
}

static void
scan_octet(struct content_scanner *scan, unsigned char ch)
{
	bool lf = ch == '\n';

	if (ch >= 0x80)
		scan->facts.flags |= scan->in_header ?
		    CONTENT_8BIT | CONTENT_8BIT_HEADER : CONTENT_8BIT;
	if (ch == 0)
		scan->facts.flags |= CONTENT_NUL;
	if (lf != scan->after_cr)
		scan->facts.flags |= CONTENT_BARE;
	if (lf) {
		scan_line_end(scan);
	} else {
		if (scan->in_header)
			scan_field_name(scan, (char)ch);
		scan->line_len++;
	}
	scan->after_crlf = lf && scan->after_cr;
	scan->after_cr = ch == '\r';
}

/* Line lengths in a block that holds a line end: only the first line can be
 * too long. */
static void
scan_block_lines(struct content_scanner *scan, const unsigned char *p)
{
	const unsigned char *end = p + SCAN_BLOCK, *nl, *next;

	nl = memchr(p, '\n', SCAN_BLOCK);
	if (nl == NULL) {
		scan->line_len += SCAN_BLOCK;
		return;
	}
	scan->line_len += (size_t)(nl - p) - (nl[-1] == '\r');
	if (scan->line_len > LINE_MAX_OCTETS)
		scan->facts.flags |= CONTENT_LONG;
	while ((next = memchr(nl + 1, '\n', (size_t)(end - nl) - 1)) != NULL)
		nl = next;
	scan->line_len = (size_t)(end - nl) - 1;
}

/* p[-1] must be readable: CR and LF are bare unless LF follows CR. */
static void
scan_block(struct content_scanner *scan, const unsigned char *p)
{
	unsigned char any = 0, nul = 0, bare = 0;

	for (size_t i = 0; i < SCAN_BLOCK; i++) {
		any = (unsigned char)(any | p[i]);
		nul = (unsigned char)(nul | (p[i] == 0));
		bare = (unsigned char)(bare |
		    ((p[i] == '\n') ^ (p[(ptrdiff_t)i - 1] == '\r')));
	}
	if (any >= 0x80)
		scan->facts.flags |= CONTENT_8BIT;
	if (nul != 0)
		scan->facts.flags |= CONTENT_NUL;
	if (bare != 0)
		scan->facts.flags |= CONTENT_BARE;
	scan_block_lines(scan, p);
}

void
content_scanner_add(struct content_scanner *scan, const char *bytes,
    size_t len)
{
	const unsigned char *p = (const unsigned char *)bytes, *end;

	if (len == 0)
		return;
	end = p + len;
	scan->facts.octets += len;
	do {
		scan_octet(scan, *p++);
	} while (scan->in_header && p < end);
	if (end - p >= SCAN_BLOCK) {
		do {
			scan_block(scan, p);
			p += SCAN_BLOCK;
		} while (end - p >= SCAN_BLOCK);
		scan->after_cr = p[-1] == '\r';
		scan->after_crlf = p[-1] == '\n' && p[-2] == '\r';
	}
	while (p < end)
		scan_octet(scan, *p++);
}

void
content_scanner_end(struct content_scanner *scan)
{
	if (scan->after_cr)
		scan->facts.flags |= CONTENT_BARE;
	if (scan->line_len > LINE_MAX_OCTETS)
		scan->facts.flags |= CONTENT_LONG;
	if (scan->facts.octets > 0 && !scan->after_crlf)
		scan->facts.flags |= CONTENT_OPEN_END;
}

unsigned
envelope_needs_for(const struct envelope *env,
    const struct content_facts *facts, const size_t *rcpt, size_t n)
{
	unsigned needs = 0;
	bool utf8;

	if (env->body == SMTP_BODY_BINARYMIME)
		needs |= SMTP_EXT_BINARYMIME | SMTP_EXT_CHUNKING;
	else if ((facts->flags & CONTENT_8BIT) != 0)
		needs |= SMTP_EXT_8BITMIME;
	if ((facts->flags & (CONTENT_BARE | CONTENT_OPEN_END)) != 0)
		needs |= SMTP_EXT_CHUNKING;
	utf8 = env->smtputf8 && (facts->flags & CONTENT_8BIT_HEADER) != 0;
	utf8 = utf8 || (env->sender != NULL &&
	    !slice_is_ascii(slice_of(env->sender)));
	for (size_t i = 0; i < n && !utf8; i++)
		utf8 = !slice_is_ascii(slice_of(
		    env->rcpt[rcpt != NULL ? rcpt[i] : i].address));
	if (env->timing.by == SMTP_BY_RETURN)
		needs |= SMTP_EXT_DELIVERBY;
	return utf8 ? needs | SMTP_EXT_SMTPUTF8 : needs;
}

unsigned
envelope_needs(const struct envelope *env, const struct content_facts *facts)
{
	return envelope_needs_for(env, facts, NULL, env->nrcpt);
}

unsigned
envelope_uses(const struct envelope *env)
{
	return (env->timing.priority_given ? SMTP_EXT_MT_PRIORITY : 0U) |
	    (env->timing.by != SMTP_BY_NONE ? SMTP_EXT_DELIVERBY : 0U);
}
