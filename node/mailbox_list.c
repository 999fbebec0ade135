/* SPDX-License-Identifier: ISC */
/*
 * The address lists of To, Cc and Bcc.
 *
 * One pass over words and specials.  What stands before "<" or ":" turns out
 * to have been a name only there, so the words of an element are gathered,
 * and forgotten when one of these comes.
 */
#include "node/mailbox_list.h"

#include "smtp/address.h"

struct mailbox_list {
	struct slice text;
	size_t at;
	const char *domain;
	void (*found)(void *ctx, const char *address);
	void *ctx;
	struct buf addr;	/* words of this element, without blanks */
	bool word_last;		/* the last thing added was a word */
	bool phrase;		/* two words side by side: no address */
	bool angle;		/* inside "<" ">" */
	bool closed;		/* behind ">" */
	bool group;
};

static int
fault(const struct mailbox_list *m, const char *what, struct err *e)
{
	return err_set(e, ERR_SYNTAX, "octet %zu: %s", m->at + 1, what);
}

static void
forget(struct mailbox_list *m)
{
	buf_clear(&m->addr);
	m->word_last = m->phrase = m->angle = m->closed = false;
}

/* A comment, from its "(" on; they nest. */
static int
skip_comment(struct mailbox_list *m, struct err *e)
{
	unsigned depth = 0;

	for (; m->at < m->text.len; m->at++) {
		char c = m->text.ptr[m->at];

		if (c == '\\' && m->at + 1 < m->text.len)
			m->at++;
		else if (c == '(')
			depth++;
		else if (c == ')' && --depth == 0) {
			m->at++;
			return 0;
		}
	}
	return fault(m, "a comment has no end", e);
}

static void
add_word(struct mailbox_list *m, struct slice word)
{
	if (m->word_last)
		m->phrase = true;
	m->word_last = true;
	buf_addslice(&m->addr, word);
}

/* A quoted string or a domain literal, with what encloses it; folds in it are
 * taken out. */
static int
take_enclosed(struct mailbox_list *m, char end, struct err *e)
{
	struct buf word = BUF_INIT;

	buf_addc(&word, m->text.ptr[m->at++]);
	for (; m->at < m->text.len; m->at++) {
		char c = m->text.ptr[m->at];

		if (c == '\r' || c == '\n')
			continue;
		buf_addc(&word, c);
		if (c == '\\' && m->at + 1 < m->text.len)
			buf_addc(&word, m->text.ptr[++m->at]);
		else if (c == end) {
			m->at++;
			add_word(m, buf_slice(&word));
			buf_release(&word);
			return 0;
		}
	}
	buf_release(&word);
	return fault(m, end == '"' ? "a quoted string has no end" :
	    "an address literal has no end", e);
}

static bool
is_special(char c)
{
	return c == '\0' || strchr("()<>[]:;@\\,.\" \t\r\n", c) != NULL;
}

static void
take_atom(struct mailbox_list *m)
{
	struct slice word = { m->text.ptr + m->at, 0 };

	while (m->at < m->text.len && !is_special(m->text.ptr[m->at])) {
		m->at++;
		word.len++;
	}
	add_word(m, word);
}

static bool
has_domain(const struct buf *addr)
{
	bool quoted = false;

	for (size_t i = 0; i < addr->len; i++) {
		if (addr->ptr[i] == '\\')
			i++;
		else if (addr->ptr[i] == '"')
			quoted = !quoted;
		else if (addr->ptr[i] == '@' && !quoted)
			return true;
	}
	return false;
}

static int
end_element(struct mailbox_list *m, struct err *e)
{
	struct err why = ERR_INIT;

	if (m->angle && !m->closed)
		return fault(m, "\">\" is missing", e);
	if (m->addr.len == 0 && !m->closed)
		return 0;	/* empty elements are obsolete, and found */
	if (m->phrase)
		return fault(m, "a name and no address", e);
	if (!has_domain(&m->addr))
		buf_addf(&m->addr, "@%s", m->domain);
	if (address_check(buf_slice(&m->addr), true, &why) < 0)
		return err_set(e, ERR_SYNTAX, "before octet %zu: \"%s\": %s",
		    m->at + 1, buf_cstr(&m->addr), why.text);
	m->found(m->ctx, buf_cstr(&m->addr));
	forget(m);
	return 0;
}

static int
open_angle(struct mailbox_list *m, struct err *e)
{
	if (m->angle)
		return fault(m, "\"<\" inside an address", e);
	forget(m);
	m->angle = true;
	return 0;
}

static int
close_angle(struct mailbox_list *m, struct err *e)
{
	if (!m->angle || m->closed)
		return fault(m, "\">\" without \"<\"", e);
	if (m->addr.len == 0)
		return fault(m, "an address is empty", e);
	m->closed = true;
	return 0;
}

/* Behind the name of a group, or behind a source route. */
static int
take_colon(struct mailbox_list *m, struct err *e)
{
	if (m->angle ? m->addr.len == 0 || m->addr.ptr[0] != '@' : m->group)
		return fault(m, "\":\" out of place", e);
	if (!m->angle) {
		m->group = true;
		forget(m);
		return 0;
	}
	forget(m);
	m->angle = true;
	return 0;
}

static int
take_separator(struct mailbox_list *m, char c, struct err *e)
{
	int r;

	/* between the domains of a source route */
	if (c == ',' && m->angle && !m->closed && m->addr.len > 0 &&
	    m->addr.ptr[0] == '@') {
		m->word_last = false;
		return 0;
	}
	if (c == ';' && !m->group)
		return fault(m, "\";\" without a group", e);
	r = end_element(m, e);
	forget(m);
	if (c == ';')
		m->group = false;
	return r;
}

static int
take_special(struct mailbox_list *m, char c, struct err *e)
{
	switch (c) {
	case '<':
		return open_angle(m, e);
	case '>':
		return close_angle(m, e);
	case ':':
		return take_colon(m, e);
	case ',':
	case ';':
		return take_separator(m, c, e);
	case '.':
	case '@':
		buf_addc(&m->addr, c);
		m->word_last = false;
		return 0;
	default:
		return fault(m, "a character that may not stand here", e);
	}
}

static int
step(struct mailbox_list *m, struct err *e)
{
	char c = m->text.ptr[m->at];
	int r;

	if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
		m->at++;
		return 0;
	}
	if (c == '(')
		return skip_comment(m, e);
	if (m->closed && c != ',' && c != ';')
		return fault(m, "\",\" is missing behind an address", e);
	if (c == '"')
		return take_enclosed(m, '"', e);
	if (c == '[')
		return take_enclosed(m, ']', e);
	if (!is_special(c)) {
		take_atom(m);
		return 0;
	}
	r = take_special(m, c, e);
	m->at++;
	return r;
}

int
mailbox_list_parse(struct slice text, const char *domain,
    void (*found)(void *ctx, const char *address), void *ctx, struct err *e)
{
	struct mailbox_list m = { .text = text, .domain = domain,
	    .found = found, .ctx = ctx };
	int r = 0;

	buf_init(&m.addr);
	while (r == 0 && m.at < text.len)
		r = step(&m, e);
	if (r == 0)
		r = end_element(&m, e);
	buf_release(&m.addr);
	return r;
}
