/* SPDX-License-Identifier: ISC */
/*
 * Reading one answer.  Values that nothing is wanted of are passed over by
 * their form alone, so that what servers add does no harm.
 */
#include "transports/imap_answer.h"
#include "base/text.h"

#define DEPTH_MAX 32		/* of lists in lists */

/* Up to the next blank, which is taken as well. */
static struct slice
word(struct slice *rest)
{
	struct slice w = *rest;
	const char *blank;

	if (rest->len == 0)
		return w;
	blank = memchr(rest->ptr, ' ', rest->len);
	if (blank != NULL)
		w.len = (size_t)(blank - rest->ptr);
	rest->ptr += w.len + (blank != NULL);
	rest->len -= w.len + (blank != NULL);
	return w;
}

static int
number(struct slice w, uint32_t *n_out)
{
	uint64_t n;

	if (num_parse(w, UINT32_MAX, &n) < 0)
		return ERR_SYNTAX;
	*n_out = (uint32_t)n;
	return 0;
}

static void
read_can(struct slice rest, struct imap_answer *a)
{
	static const struct {
		const char *name;
		unsigned bit;
	} names[] = { { "UIDPLUS", IMAP_CAN_UIDPLUS },
		{ "MOVE", IMAP_CAN_MOVE }, { "IDLE", IMAP_CAN_IDLE } };

	a->has_can = true;
	while (rest.len > 0) {
		struct slice w = word(&rest);

		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (slice_ieqs(w, names[i].name))
				a->can |= names[i].bit;
	}
}

/* "[UIDVALIDITY 3] text" */
static void
read_code(struct slice text, struct imap_answer *a)
{
	const char *end = text.len > 0 && text.ptr[0] == '[' ?
	    memchr(text.ptr, ']', text.len) : NULL;
	struct slice rest, name;

	if (end == NULL)
		return;
	rest = (struct slice){ text.ptr + 1,
	    (size_t)(end - text.ptr) - 1 };
	name = word(&rest);
	if (slice_ieqs(name, "CAPABILITY"))
		read_can(rest, a);
	else if (slice_ieqs(name, "READ-ONLY"))
		a->read_only = true;
	else if (slice_ieqs(name, "UIDVALIDITY"))
		(void)number(rest, &a->uidvalidity);
}

/* OK, NO, BAD, BYE; false: another word. */
static bool
read_status(struct slice name, struct slice text, struct imap_answer *a)
{
	if (slice_ieqs(name, "OK") || slice_ieqs(name, "PREAUTH"))
		a->kind = IMAP_ANSWER_OK;
	else if (slice_ieqs(name, "NO") || slice_ieqs(name, "BAD"))
		a->kind = IMAP_ANSWER_NO;
	else if (slice_ieqs(name, "BYE"))
		a->kind = IMAP_ANSWER_BYE;
	else
		return false;
	a->text = text;
	read_code(text, a);
	return true;
}

/*
 * FETCH: names and values.
 */
static size_t
quoted_len(struct slice s)
{
	for (size_t i = 1; i < s.len; i++) {
		if (s.ptr[i] == '\\')
			i++;
		else if (s.ptr[i] == '"')
			return i + 1;
	}
	return 0;
}

/* The octets of one value: a string, a list, an atom; 0: it is none. */
static size_t
value_len(struct slice s)
{
	size_t i = 0;
	int depth = 0;

	while (i < s.len) {
		struct slice rest = { s.ptr + i, s.len - i };
		size_t n = 1;

		if (s.ptr[i] == '"')
			n = quoted_len(rest);
		else if (s.ptr[i] == '(')
			depth++;
		else if (s.ptr[i] == ')')
			depth--;
		else if (s.ptr[i] == ' ' && depth == 0)
			return i;
		if (n == 0 || depth > DEPTH_MAX)
			return 0;
		if (depth < 0)	/* the end of the list around it */
			return i;
		i += n;
	}
	return depth == 0 ? i : 0;
}

/* "UID", "BODY[HEADER.FIELDS (FROM)]<0>": blanks within brackets are part. */
static size_t
name_len(struct slice s)
{
	size_t i;
	bool inside = false;

	for (i = 0; i < s.len; i++) {
		if (s.ptr[i] == '[')
			inside = true;
		else if (s.ptr[i] == ']')
			inside = false;
		else if (!inside && strchr(" ()\"", s.ptr[i]) != NULL)
			break;
	}
	return inside ? 0 : i;
}

static bool
is_body(struct slice name)
{
	return name.len > 5 && slice_ieqs((struct slice){ name.ptr, 5 },
	    "BODY[");
}

static void
unquote(struct buf *out, struct slice s)
{
	for (size_t i = 1; i + 1 < s.len; i++) {
		if (s.ptr[i] == '\\')
			i++;
		buf_addc(out, s.ptr[i]);
	}
}

static bool
has_flag(struct slice list, const char *flag)
{
	struct slice rest = { list.ptr + 1, list.len - 2 };

	while (rest.len > 0)
		if (slice_ieqs(word(&rest), flag))
			return true;
	return false;
}

static int
take_value(struct imap_answer *a, struct slice name, struct slice value,
    struct buf *body)
{
	if (slice_ieqs(name, "UID"))
		return number(value, &a->uid);
	if (slice_ieqs(name, "RFC822.SIZE"))
		return num_parse(value, INT64_MAX, &a->size);
	if (slice_ieqs(name, "FLAGS")) {
		if (value.ptr[0] != '(')
			return ERR_SYNTAX;
		a->deleted = has_flag(value, "\\Deleted");
	} else if (is_body(name) && value.ptr[0] == '"') {
		a->has_body = true;
		unquote(body, value);
	}
	return 0;
}

/* Takes "NAME value" and the blank behind it; 0 or ERR_SYNTAX.  In *rest what
 * follows; *name_out only: there is no value yet. */
static int
take_pair(struct slice *rest, struct slice *name_out,
    struct slice *value_out)
{
	size_t n = name_len(*rest);

	*name_out = (struct slice){ rest->ptr, n };
	if (n == 0 || n >= rest->len || rest->ptr[n] != ' ')
		return ERR_SYNTAX;
	rest->ptr += n + 1;
	rest->len -= n + 1;
	n = value_len(*rest);
	*value_out = (struct slice){ rest->ptr, n };
	rest->ptr += n;
	rest->len -= n;
	if (rest->len > 0 && rest->ptr[0] == ' ') {
		rest->ptr++;
		rest->len--;
	}
	return 0;
}

static int
read_fetch(struct slice rest, struct imap_answer *a, struct buf *body)
{
	struct slice name, value;

	a->kind = IMAP_ANSWER_FETCH;
	if (rest.len < 2 || rest.ptr[0] != '(')
		return ERR_SYNTAX;
	rest.ptr++;
	rest.len--;
	while (rest.len > 0 && rest.ptr[0] != ')')
		if (take_pair(&rest, &name, &value) < 0 || value.len == 0 ||
		    take_value(a, name, value, body) < 0)
			return ERR_SYNTAX;
	return rest.len > 0 ? 0 : ERR_SYNTAX;
}

/* "* 12 FETCH (", or false. */
static bool
is_fetch(struct slice *rest, uint32_t *number_out)
{
	return slice_eqs(word(rest), "*") && number(word(rest),
	    number_out) == 0 && slice_ieqs(word(rest), "FETCH");
}

bool
imap_answer_wants_body(struct slice text)
{
	struct slice name = { NULL, 0 }, value = { NULL, 0 };
	uint32_t n;

	if (!is_fetch(&text, &n) || text.len == 0 || text.ptr[0] != '(')
		return false;
	text.ptr++;
	text.len--;
	while (text.len > 0)
		if (take_pair(&text, &name, &value) < 0)
			return false;
	return value.len == 0 && is_body(name);
}

static int
read_numbered(struct slice rest, struct imap_answer *a, struct buf *body)
{
	struct slice name = word(&rest);

	if (slice_ieqs(name, "EXISTS"))
		a->kind = IMAP_ANSWER_EXISTS;
	else if (slice_ieqs(name, "FETCH"))
		return read_fetch(rest, a, body);
	return 0;
}

static int
read_tagged(struct slice tag, struct slice rest, struct imap_answer *a)
{
	struct slice digits = { tag.ptr + 1, tag.len - 1 };
	struct slice name = word(&rest);

	if (tag.ptr[0] != 'p' || number(digits, &a->tag) < 0 || a->tag == 0 ||
	    !read_status(name, rest, a) || a->kind == IMAP_ANSWER_BYE)
		return ERR_SYNTAX;
	return 0;
}

int
imap_answer_parse(struct slice text, struct imap_answer *a_out,
    struct buf *body, struct err *e)
{
	struct slice rest = text, first = word(&rest), second;
	struct imap_answer *a = a_out;
	int rc = 0;

	*a = (struct imap_answer){ .kind = IMAP_ANSWER_OTHER };
	if (text.len == 0)
		return 0;
	if (slice_eqs(first, "+")) {
		a->kind = IMAP_ANSWER_GO_ON;
	} else if (slice_eqs(first, "*")) {
		second = word(&rest);
		if (number(second, &a->number) == 0)
			rc = read_numbered(rest, a, body);
		else if (slice_ieqs(second, "CAPABILITY"))
			read_can(rest, a);
		else
			(void)read_status(second, rest, a);
	} else {
		rc = first.len > 1 ? read_tagged(first, rest, a) :
		    ERR_SYNTAX;
	}
	if (rc == 0)
		return 0;
	return err_set(e, ERR_SYNTAX, "no answer of IMAP: %.*s",
	    (int)(text.len < 80 ? text.len : 80), text.ptr);
}
