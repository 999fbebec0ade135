/* SPDX-License-Identifier: ISC */
/*
 * A recursive descent over the grammar of RFC 5321 4.1.2 with the additions
 * of RFC 6531 3.3.  One liberty is taken, and Postfix takes it too: a label
 * of a domain may hold underscores, since real hosts do.
 */
#include "smtp/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

#define LABEL_MAX 63

struct cursor {
	const char *text;
	size_t len, pos;
	bool utf8;
	struct err *e;
};

static int
fail(const struct cursor *c, const char *what)
{
	return err_set(c->e, ERR_SYNTAX, "column %zu: %s", c->pos + 1, what);
}

static int
peek(const struct cursor *c)
{
	return c->pos < c->len ? (unsigned char)c->text[c->pos] : -1;
}

static bool
is_alnum(int ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
	    (ch >= '0' && ch <= '9');
}

static bool
is_atext(int ch, bool utf8)
{
	if (ch >= 0x80)
		return utf8;
	return is_alnum(ch) ||
	    (ch > 0 && strchr("!#$%&'*+-/=?^_`{|}~", ch) != NULL);
}

static int
parse_dot_string(struct cursor *c)
{
	for (;;) {
		if (!is_atext(peek(c), c->utf8))
			return fail(c, "no character of a local part");
		while (is_atext(peek(c), c->utf8))
			c->pos++;
		if (peek(c) != '.')
			return 0;
		c->pos++;
	}
}

static int
parse_quoted(struct cursor *c)
{
	int ch;

	for (c->pos++; (ch = peek(c)) != '"'; c->pos++) {
		if (ch == '\\') {
			c->pos++;
			ch = peek(c);
			if (ch < 0x20 || ch > 0x7e)
				return fail(c, "bad quoted pair");
		} else if (ch < 0x20 || ch == 0x7f || (ch > 0x7f && !c->utf8)) {
			return fail(c, "bad character in a quoted string");
		}
	}
	c->pos++;
	return 0;
}

static int
parse_local(struct cursor *c)
{
	return peek(c) == '"' ? parse_quoted(c) : parse_dot_string(c);
}

static bool
is_label(int ch, bool utf8)
{
	return is_alnum(ch) || ch == '_' || (ch >= 0x80 && utf8);
}

static int
parse_label(struct cursor *c)
{
	size_t start = c->pos;

	if (!is_label(peek(c), c->utf8))
		return fail(c, "no character of a domain");
	while (is_label(peek(c), c->utf8) || peek(c) == '-')
		c->pos++;
	if (c->text[c->pos - 1] == '-')
		return fail(c, "a label ends in a hyphen");
	if (c->pos - start > LABEL_MAX)
		return err_set(c->e, ERR_LIMIT, "label of %zu octets, "
		    "%d are allowed", c->pos - start, LABEL_MAX);
	return 0;
}

/* RFC 5321 4.1.3; of the tags only IPv6 was ever registered. */
static int
parse_literal(struct cursor *c)
{
	char text[INET6_ADDRSTRLEN + sizeof("IPv6:")];
	unsigned char addr[sizeof(struct in6_addr)];
	const char *end;
	size_t len;
	bool six;

	end = memchr(c->text + c->pos, ']', c->len - c->pos);
	if (end == NULL)
		return fail(c, "address literal without \"]\"");
	len = (size_t)(end - (c->text + c->pos)) - 1;
	if (len >= sizeof(text))
		return fail(c, "bad address literal");
	memcpy(text, c->text + c->pos + 1, len);
	text[len] = '\0';
	six = len > 5 && slice_ieqs((struct slice){ text, 5 }, "IPv6:");
	if (strlen(text) != len ||
	    inet_pton(six ? AF_INET6 : AF_INET, text + (six ? 5 : 0),
	    addr) != 1)
		return fail(c, "bad address literal");
	c->pos += len + 2;
	return 0;
}

static int
parse_domain(struct cursor *c)
{
	size_t start = c->pos;
	int rc;

	if (peek(c) == '[')
		return parse_literal(c);
	while ((rc = parse_label(c)) == 0 && peek(c) == '.')
		c->pos++;
	if (rc < 0)
		return rc;
	if (c->pos - start > ADDRESS_DOMAIN_MAX)
		return err_set(c->e, ERR_LIMIT, "domain of %zu octets, "
		    "%d are allowed", c->pos - start, ADDRESS_DOMAIN_MAX);
	return 0;
}

/* Where alone is set, "postmaster" may go without a domain. */
static int
parse_mailbox(struct cursor *c, bool alone)
{
	size_t start = c->pos;
	struct slice box;
	int rc;

	if ((rc = parse_local(c)) < 0)
		return rc;
	box = (struct slice){ c->text + start, c->pos - start };
	if (peek(c) != '@') {
		if (alone && slice_ieqs(box, "postmaster"))
			return 0;
		return fail(c, "address without a domain");
	}
	c->pos++;
	if ((rc = parse_domain(c)) < 0)
		return rc;
	box.len = c->pos - start;
	if (!utf8_valid(box))
		return fail(c, "address is not valid UTF-8");
	if (box.len + 2 > ADDRESS_PATH_MAX)
		return err_set(c->e, ERR_LIMIT, "path of %zu octets, "
		    "%d are allowed", box.len + 2, ADDRESS_PATH_MAX);
	return 0;
}

/* RFC 5321 4.1.2 A-d-l: taken and passed over (appendix C). */
static int
parse_route(struct cursor *c)
{
	int rc;

	while (peek(c) == '@') {
		c->pos++;
		if ((rc = parse_domain(c)) < 0)
			return rc;
		if (peek(c) == ':') {
			c->pos++;
			return 0;
		}
		if (peek(c) != ',')
			return fail(c, "source route without \":\"");
		c->pos++;
		if (peek(c) != '@')
			return fail(c, "bad source route");
	}
	return 0;
}

static int
parse_bracketed(struct cursor *c, unsigned flags, struct buf *addr_out)
{
	size_t start;
	int rc;

	c->pos++;
	if (peek(c) == '>' && (flags & ADDRESS_NULL) != 0) {
		c->pos++;
		return 0;
	}
	if ((rc = parse_route(c)) < 0)
		return rc;
	start = c->pos;
	rc = parse_mailbox(c, (flags & ADDRESS_POSTMASTER) != 0);
	if (rc < 0)
		return rc;
	if (peek(c) != '>')
		return fail(c, "\">\" expected");
	buf_add(addr_out, c->text + start, c->pos - start);
	c->pos++;
	return 0;
}

static int
parse_bare(struct cursor *c, unsigned flags, struct buf *addr_out)
{
	size_t start = c->pos;
	int rc;

	rc = parse_mailbox(c, (flags & ADDRESS_POSTMASTER) != 0);
	if (rc < 0)
		return rc;
	if (peek(c) != -1 && peek(c) != ' ' && peek(c) != '\t')
		return fail(c, "stray character behind the address");
	buf_add(addr_out, c->text + start, c->pos - start);
	return 0;
}

int
address_parse_path(struct slice text, unsigned flags, struct buf *addr_out,
    size_t *used_out, struct err *e)
{
	struct cursor c = { text.ptr, text.len, 0,
	    (flags & ADDRESS_UTF8) != 0, e };
	int rc;

	while ((flags & ADDRESS_SPACE) != 0 &&
	    (peek(&c) == ' ' || peek(&c) == '\t'))
		c.pos++;
	if (peek(&c) == '<')
		rc = parse_bracketed(&c, flags, addr_out);
	else if ((flags & ADDRESS_BARE) != 0)
		rc = parse_bare(&c, flags, addr_out);
	else
		rc = fail(&c, "\"<\" expected");
	*used_out = c.pos;
	return rc;
}

int
address_check(struct slice text, bool utf8, struct err *e)
{
	struct cursor c = { text.ptr, text.len, 0, utf8, e };
	int rc;

	if ((rc = parse_mailbox(&c, false)) < 0)
		return rc;
	return c.pos == c.len ? 0 :
	    fail(&c, "stray character behind the address");
}

int
address_check_domain(struct slice domain, bool utf8, struct err *e)
{
	struct cursor c = { domain.ptr, domain.len, 0, utf8, e };
	int rc;

	if ((rc = parse_domain(&c)) < 0)
		return rc;
	if (c.pos != c.len)
		return fail(&c, "stray character behind the domain");
	return utf8_valid(domain) ? 0 : fail(&c, "domain is not valid UTF-8");
}

/* A domain holds no "@", a quoted local part may: the last one divides. */
struct slice
address_local(const char *addr)
{
	const char *at = strrchr(addr, '@');

	return (struct slice){ addr,
	    at != NULL ? (size_t)(at - addr) : strlen(addr) };
}

struct slice
address_domain(const char *addr)
{
	const char *at = strrchr(addr, '@');

	return slice_of(at != NULL ? at + 1 : "");
}

/* What the quotation marks hold, quoted again as little as can be. */
static void
add_quoted(struct buf *out, struct slice inside)
{
	buf_addc(out, '"');
	for (size_t i = 0; i < inside.len; i++) {
		if (inside.ptr[i] == '"' || inside.ptr[i] == '\\')
			buf_addc(out, '\\');
		buf_addc(out, inside.ptr[i]);
	}
	buf_addc(out, '"');
}

char *
address_plain(const char *addr)
{
	struct slice local = address_local(addr);
	struct buf inside = BUF_INIT, out = BUF_INIT;
	struct err e = ERR_INIT;
	struct cursor c;

	if (local.len < 2 || local.ptr[0] != '"')
		return mem_strdup(addr);
	for (size_t i = 1; i + 1 < local.len; i++) {
		if (local.ptr[i] == '\\' && i + 2 < local.len)
			i++;
		buf_addc(&inside, local.ptr[i]);
	}
	c = (struct cursor){ buf_cstr(&inside), inside.len, 0, true, &e };
	if (parse_dot_string(&c) == 0 && c.pos == c.len)
		buf_addslice(&out, buf_slice(&inside));
	else
		add_quoted(&out, buf_slice(&inside));
	buf_adds(&out, addr + local.len);
	buf_release(&inside);
	return buf_steal(&out);
}

static bool
is_postmaster(const char *plain)
{
	return slice_ieqs(address_local(plain), "postmaster");
}

bool
address_is_postmaster(const char *addr)
{
	char *plain = address_plain(addr);
	bool yes = is_postmaster(plain);

	free(plain);
	return yes;
}

bool
address_equal(const char *a, const char *b)
{
	char *one = address_plain(a), *two = address_plain(b);
	bool equal = slice_ieq(address_domain(a), address_domain(b)) &&
	    ((is_postmaster(one) && is_postmaster(two)) ||
	    slice_eq(address_local(one), address_local(two)));

	free(one);
	free(two);
	return equal;
}
