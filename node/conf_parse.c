/* SPDX-License-Identifier: ISC */
/*
 * A parser of our own: libconfuse stops at its first syntax error, takes the
 * last of repeated settings without a word and skips unknown ones before
 * anybody can see their line; a configuration has to be told all its faults at
 * once.  After a fault it goes on behind the end of the line, past whole
 * blocks.
 */
#include "node/conf_parse.h"

#include "base/mem.h"

#include <stdlib.h>

#define DEPTH_MAX 8
#define TITLES_MAX 2
#define WORD_MAX_CHARS 4096

struct parser {
	const char *p, *end;
	unsigned line;
	unsigned depth;
	struct conf_faults *faults;
};

static void
tell(struct conf_faults *f, unsigned line, const char *kind, const char *fmt,
    va_list ap)
{
	struct buf text = BUF_INIT;

	buf_addf(&text, "%s:%u: %s", f->file, line, kind);
	buf_vaddf(&text, fmt, ap);
	if (f->told != NULL)
		f->told(f->ctx, buf_cstr(&text));
	if (f->first == NULL && kind[0] == '\0')
		f->first = buf_steal(&text);
	buf_release(&text);
}

void
conf_fault(struct conf_faults *f, unsigned line, const char *fmt, ...)
{
	va_list ap;

	f->count++;
	va_start(ap, fmt);
	tell(f, line, "", fmt, ap);
	va_end(ap);
}

void
conf_warning(struct conf_faults *f, unsigned line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(f, line, "warning: ", fmt, ap);
	va_end(ap);
}

void
conf_faults_release(struct conf_faults *f)
{
	free(f->first);
	f->first = NULL;
}

static int
peek(const struct parser *ps)
{
	return ps->p < ps->end ? (unsigned char)*ps->p : -1;
}

static bool
at_text(const struct parser *ps, const char *text)
{
	size_t len = strlen(text);

	return (size_t)(ps->end - ps->p) >= len &&
	    memcmp(ps->p, text, len) == 0;
}

static void
skip_line(struct parser *ps)
{
	while (ps->p < ps->end && *ps->p != '\n')
		ps->p++;
}

static void
skip_block_comment(struct parser *ps)
{
	unsigned begin = ps->line;

	for (ps->p += 2; ps->p < ps->end; ps->p++) {
		if (at_text(ps, "*/")) {
			ps->p += 2;
			return;
		}
		if (*ps->p == '\n')
			ps->line++;
	}
	conf_fault(ps->faults, begin, "this comment is not closed: */ is "
	    "missing");
}

/* Skips blanks, line ends and comments; true if the line changed. */
static bool
skip_blank(struct parser *ps)
{
	unsigned line = ps->line;

	while (ps->p < ps->end) {
		if (*ps->p == '\n')
			ps->line++;
		else if (*ps->p == '#' || at_text(ps, "//")) {
			skip_line(ps);
			continue;
		} else if (at_text(ps, "/*")) {
			skip_block_comment(ps);
			continue;
		} else if (*ps->p != ' ' && *ps->p != '\t' && *ps->p != '\r')
			break;
		ps->p++;
	}
	return ps->line != line;
}

static bool
is_quote(int c)
{
	return c == '"' || c == '\'';
}

static bool
is_word_end(int c, bool is_key)
{
	return c == -1 || c == ' ' || c == '\t' || c == '\r' || c == '\n' ||
	    c == '{' || c == '}' || c == ',' || c == ';' || is_quote(c) ||
	    (is_key && c == '=');
}

/* What follows a backslash in a string. */
static void
take_escape(struct parser *ps, struct buf *out)
{
	char c = *ps->p++;

	switch (c) {
	case 'n':
		buf_addc(out, '\n');
		return;
	case 't':
		buf_addc(out, '\t');
		return;
	case '\\':
	case '"':
	case '\'':
		buf_addc(out, c);
		return;
	default:
		conf_fault(ps->faults, ps->line, "\\%c in a string: only "
		    "\\\\ \\\" \\' \\n and \\t are known", c);
	}
}

static int
take_string(struct parser *ps, struct buf *out)
{
	char quote = *ps->p++;

	while (ps->p < ps->end && *ps->p != '\n') {
		char c = *ps->p++;

		if (c == quote)
			return 1;
		if (c == '\\' && quote == '"' && ps->p < ps->end &&
		    *ps->p != '\n')
			take_escape(ps, out);
		else
			buf_addc(out, c);
	}
	conf_fault(ps->faults, ps->line, "this string is not closed: %c is "
	    "missing", quote);
	return -1;
}

/* A string or a word.  1: got it; 0: neither is here; -1: a fault, told. */
static int
take_text(struct parser *ps, bool is_key, struct buf *out)
{
	const char *begin = ps->p;
	size_t len;

	if (is_quote(peek(ps)))
		return take_string(ps, out);
	if (peek(ps) == '=')
		return 0;
	while (!is_word_end(peek(ps), is_key))
		ps->p++;
	len = (size_t)(ps->p - begin);
	if (len > WORD_MAX_CHARS) {
		conf_fault(ps->faults, ps->line, "a word of %zu characters: a "
		    "quotation mark may be missing", len);
		return -1;
	}
	buf_add(out, begin, len);
	return len > 0;
}

/* A NUL cannot be part of any text: the file is no configuration there. */
static bool
has_nul(struct parser *ps, const struct buf *text)
{
	if (text->len == 0 || memchr(text->ptr, '\0', text->len) == NULL)
		return false;
	conf_fault(ps->faults, ps->line, "a NUL octet");
	return true;
}

/* Goes on behind the end of this line, past blocks that begin on it, but not
 * past the end of the section. */
static void
resync(struct parser *ps)
{
	unsigned depth = 0;

	while (ps->p < ps->end) {
		if (depth == 0 && (*ps->p == '\n' || *ps->p == '}'))
			return;
		if (*ps->p == '#')
			skip_line(ps);
		if (peek(ps) == ';' && depth == 0) {
			ps->p++;
			return;
		}
		if (peek(ps) == '{')
			depth++;
		else if (peek(ps) == '}')
			depth--;
		else if (peek(ps) == '\n')
			ps->line++;
		if (ps->p < ps->end)
			ps->p++;
	}
}

static void
add_item(struct conf_node *node, struct buf *text, unsigned line)
{
	if ((node->nitems & (node->nitems - 1)) == 0)
		node->item = mem_realloc(node->item,
		    node->nitems > 0 ? node->nitems * 2 : 1,
		    sizeof(*node->item));
	node->item[node->nitems++] =
	    (struct conf_item){ buf_steal(text), line };
}

static struct conf_node *
add_child(struct conf_node *parent)
{
	if ((parent->nchildren & (parent->nchildren - 1)) == 0)
		parent->child = mem_realloc(parent->child,
		    parent->nchildren > 0 ? parent->nchildren * 2 : 1,
		    sizeof(*parent->child));
	parent->child[parent->nchildren] = (struct conf_node){ .key = NULL };
	return &parent->child[parent->nchildren++];
}

/* One value: a string, or words up to the end of the line joined by blanks.
 * ended_out: the line ended behind it.  Like take_text. */
static int
take_value(struct parser *ps, struct buf *out, bool *ended_out)
{
	bool quoted = is_quote(peek(ps));
	int rc = take_text(ps, false, out);

	*ended_out = false;
	while (rc == 1) {
		if (has_nul(ps, out))
			return -1;
		*ended_out = skip_blank(ps);
		if (*ended_out || quoted || is_quote(peek(ps)) ||
		    peek(ps) == '=' || is_word_end(peek(ps), false))
			return 1;
		buf_addc(out, ' ');
		rc = take_text(ps, false, out);
	}
	return rc;
}

static void
unexpected(struct parser *ps, const char *key, const char *instead)
{
	int c = peek(ps);

	if (c == -1)
		conf_fault(ps->faults, ps->line, "the file ends behind %s: %s",
		    key, instead);
	else
		conf_fault(ps->faults, ps->line, "unexpected %c behind %s: %s",
		    c, key, instead);
}

static void
parse_scalar(struct parser *ps, struct conf_node *node)
{
	struct buf text = BUF_INIT;
	unsigned line = ps->line;
	bool ended;
	int rc = take_value(ps, &text, &ended);

	if (rc == 0)
		unexpected(ps, node->key, "a value is missing");
	if (rc == 1) {
		add_item(node, &text, line);
		if (ended || peek(ps) == '}' || peek(ps) == -1) {
			buf_release(&text);
			return;
		}
		if (peek(ps) == ';') {
			ps->p++;
			buf_release(&text);
			return;
		}
		unexpected(ps, node->key, peek(ps) == ',' ?
		    "quote a value that holds commas, or write a list in { }" :
		    "a line end or ; is missing");
	}
	resync(ps);
	buf_release(&text);
}

/* Behind an item: true if the list goes on. */
static bool
list_goes_on(struct parser *ps, const struct conf_node *node, bool ended)
{
	int c = peek(ps);

	if (c == ',') {
		ps->p++;
		return true;
	}
	if (c == '}')
		return true;
	if (ended && c != -1 && c != '=' && c != '{' && c != ';') {
		conf_fault(ps->faults, ps->line, "in the list %s: a comma is "
		    "missing before this line", node->key);
		return true;
	}
	conf_fault(ps->faults, ps->line, "the list %s of line %u is not closed "
	    "before this: a comma or } is missing", node->key, node->line);
	return false;
}

static void
parse_list(struct parser *ps, struct conf_node *node)
{
	struct buf text = BUF_INIT;
	bool ended;
	int rc;

	node->kind = CONF_LIST;
	for (ps->p++;;) {
		unsigned line;

		(void)skip_blank(ps);
		if (peek(ps) == '}') {
			ps->p++;
			break;
		}
		line = ps->line;
		buf_clear(&text);
		rc = take_value(ps, &text, &ended);
		if (rc == 1)
			add_item(node, &text, line);
		if (rc == 0 && peek(ps) == ',') {
			conf_fault(ps->faults, line, "an empty place in the "
			    "list %s", node->key);
			ps->p++;
			continue;
		}
		if (rc < 0)
			skip_line(ps);
		if (rc < 0 && peek(ps) != -1)
			continue;
		if (!list_goes_on(ps, node, ended)) {
			resync(ps);
			break;
		}
	}
	buf_release(&text);
}

static void parse_statements(struct parser *ps, struct conf_node *section);

static void
parse_section(struct parser *ps, struct conf_node *node)
{
	node->kind = CONF_SECTION;
	if (ps->depth >= DEPTH_MAX) {
		conf_fault(ps->faults, ps->line, "sections within sections, "
		    "%d deep", DEPTH_MAX);
		resync(ps);
		return;
	}
	ps->p++;
	ps->depth++;
	parse_statements(ps, node);
	ps->depth--;
	if (peek(ps) == '}')
		ps->p++;
	else
		conf_fault(ps->faults, node->line, "section %s is not closed: "
		    "} is missing", node->key);
}

/* Behind the key: titles, then what makes the statement one. */
static void
parse_rest(struct parser *ps, struct conf_node *node)
{
	struct buf text = BUF_INIT;
	bool ended;
	int rc;

	for (;;) {
		ended = skip_blank(ps);
		if (peek(ps) == '{') {
			parse_section(ps, node);
			return;
		}
		if (peek(ps) == '=' && node->nitems == 0)
			break;
		if (ended) {
			conf_fault(ps->faults, node->line, "%s is neither a "
			    "setting nor a section: = or { is missing",
			    node->key);
			return;
		}
		rc = node->nitems < TITLES_MAX ?
		    take_text(ps, true, &text) : 0;
		if (rc == 0)
			unexpected(ps, node->key, "= or { is missing");
		if (rc != 1 || has_nul(ps, &text)) {
			resync(ps);
			buf_release(&text);
			return;
		}
		add_item(node, &text, ps->line);
	}
	ps->p++;
	ended = skip_blank(ps);
	if (peek(ps) == '{')
		parse_list(ps, node);
	else if (ended)
		conf_fault(ps->faults, node->line, "%s: the value is missing",
		    node->key);
	else
		parse_scalar(ps, node);
}

static void
parse_statement(struct parser *ps, struct conf_node *section)
{
	struct buf key = BUF_INIT;
	struct conf_node *node;
	unsigned line = ps->line;
	int rc = take_text(ps, true, &key);

	if (rc == 0) {
		conf_fault(ps->faults, line, "unexpected %c: a key was "
		    "expected", peek(ps));
		if (peek(ps) != '{')
			ps->p++;
	}
	if (rc != 1 || has_nul(ps, &key)) {
		resync(ps);
		buf_release(&key);
		return;
	}
	node = add_child(section);
	node->key = buf_steal(&key);
	node->line = line;
	parse_rest(ps, node);
	/* What had no value is no statement. */
	if (node->kind == CONF_SCALAR && node->nitems != 1) {
		conf_node_release(node);
		section->nchildren--;
	}
}

/* Up to the closing brace, which is left, or the end. */
static void
parse_statements(struct parser *ps, struct conf_node *section)
{
	for (;;) {
		(void)skip_blank(ps);
		if (peek(ps) == -1)
			return;
		if (peek(ps) == '}') {
			if (ps->depth > 0)
				return;
			conf_fault(ps->faults, ps->line, "no section is open "
			    "here: a } too many");
			ps->p++;
		} else if (peek(ps) == ';') {
			ps->p++;
		} else {
			parse_statement(ps, section);
		}
	}
}

void
conf_parse(struct slice text, struct conf_faults *faults,
    struct conf_node *root_out)
{
	struct parser ps = { text.ptr, text.ptr + text.len, 1, 0, faults };

	*root_out = (struct conf_node){ .kind = CONF_SECTION };
	if (text.len == 0)
		ps.p = ps.end = "";
	parse_statements(&ps, root_out);
}

void
conf_node_release(struct conf_node *node)
{
	size_t i;

	for (i = 0; i < node->nchildren; i++)
		conf_node_release(&node->child[i]);
	for (i = 0; i < node->nitems; i++)
		free(node->item[i].text);
	free(node->child);
	free(node->item);
	free(node->key);
	*node = (struct conf_node){ .key = NULL };
}

const struct conf_node *
conf_node_find(const struct conf_node *section, const char *key)
{
	size_t i;

	for (i = 0; i < section->nchildren; i++)
		if (strcmp(section->child[i].key, key) == 0)
			return &section->child[i];
	return NULL;
}
