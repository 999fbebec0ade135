/* SPDX-License-Identifier: ISC */
/*
 * Delivery status fields.  Everything that came from outside (addresses,
 * envelope ids, replies) goes through an escape that leaves printable
 * characters alone, so nobody can write fields of his own into a notice.
 *
 * Addresses beyond ASCII have the type utf-8; where the notice itself cannot
 * be in UTF-8 they are written with \x{...} (RFC 6533 3).
 */
#include "node/notice_status.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

#define VALUE_MAX 800		/* octets of a value from outside */
#define FOLD_COLUMN 76

void
notice_fold(struct buf *out, struct slice text, size_t first,
    const char *indent)
{
	size_t column = first, word;
	const char *blank;

	while (text.len > 0) {
		blank = memchr(text.ptr + 1, ' ', text.len - 1);
		word = blank != NULL ? (size_t)(blank - text.ptr) : text.len;
		if (column + word > FOLD_COLUMN && text.ptr[0] == ' ' &&
		    word > 1) {
			buf_addf(out, "\r\n%s", indent);
			column = strlen(indent);
			text.ptr++;
			text.len--;
			word--;
		}
		buf_add(out, text.ptr, word);
		column += word;
		text.ptr += word;
		text.len -= word;
	}
}

/* One field; its value is escaped and folded. */
static void
add_field(struct buf *out, const char *name, struct slice value, bool utf8)
{
	struct buf b = BUF_INIT;

	buf_addf(out, "%s: ", name);
	text_escape(&b, value, VALUE_MAX, utf8);
	notice_fold(out, buf_slice(&b), strlen(name) + 2, " ");
	buf_adds(out, "\r\n");
	buf_release(&b);
}

static void
add_date(struct buf *out, const char *name, int64_t wall_ms)
{
	buf_addf(out, "%s: ", name);
	date_format(out, wall_ms);
	buf_adds(out, "\r\n");
}

/*
 * Addresses.
 */

void
notice_address_add(struct buf *out, const char *address, bool global)
{
	struct slice s = slice_of(address);

	if (slice_is_ascii(s) || global || !utf8_valid(s))
		text_escape(out, s, VALUE_MAX, global);
	else
		utf8_xtext_encode(out, s);
}

static void
add_utf8_address(struct buf *out, const char *name, struct slice address,
    bool global)
{
	buf_addf(out, "%s: utf-8;", name);
	if (global)
		text_escape(out, address, VALUE_MAX, true);
	else
		utf8_xtext_encode(out, address);
	buf_adds(out, "\r\n");
}

static void
add_final(struct buf *out, const char *address, bool global)
{
	struct slice s = slice_of(address);

	if (!slice_is_ascii(s) && utf8_valid(s)) {
		add_utf8_address(out, "Final-Recipient", s, global);
		return;
	}
	buf_adds(out, "Final-Recipient: rfc822;");
	text_escape(out, s, VALUE_MAX, false);
	buf_adds(out, "\r\n");
}

/* RFC 3464 2.3.1: as the sender gave it, out of its xtext. */
static void
add_original(struct buf *out, const char *orcpt, bool global)
{
	const char *semi = strchr(orcpt, ';');
	struct buf plain = BUF_INIT;
	struct slice type, value;

	if (semi == NULL)
		return;
	type = (struct slice){ orcpt, (size_t)(semi - orcpt) };
	value = slice_of(semi + 1);
	if (slice_ieqs(type, "utf-8")) {
		utf8_xtext_decode(&plain, value);
		if (utf8_valid(buf_slice(&plain))) {
			add_utf8_address(out, "Original-Recipient",
			    buf_slice(&plain), global);
			goto out;
		}
	} else if (xtext_decode(&plain, value) == 0) {
		value = buf_slice(&plain);
	}
	buf_adds(out, "Original-Recipient: ");
	text_escape(out, type, VALUE_MAX, false);
	buf_addc(out, ';');
	text_escape(out, value, VALUE_MAX, false);
	buf_adds(out, "\r\n");
out:
	buf_release(&plain);
}

/*
 * What was said.
 */
static bool
is_reply(const char *text)
{
	return text[0] >= '2' && text[0] <= '5' &&
	    text[1] >= '0' && text[1] <= '9' &&
	    text[2] >= '0' && text[2] <= '9' &&
	    (text[3] == ' ' || text[3] == '\0');
}

void
notice_said_parse(const char *said, const char *server,
    struct notice_said *out)
{
	static const char after[] = " said after ";
	size_t name = server != NULL ? strlen(server) : 0;
	const char *colon;

	memset(out, 0, sizeof(*out));
	if (is_reply(said)) {
		out->reply = slice_of(said);
		return;
	}
	if (name == 0 || strncmp(said, server, name) != 0 ||
	    strchr(": ", said[name]) == NULL)
		name = strcspn(said, " ");
	else
		out->server = said[name] != '\0';
	if (strncmp(said + name, after, sizeof(after) - 1) == 0) {
		said += name + sizeof(after) - 1;
		colon = strstr(said, ": ");
		if (colon != NULL && is_reply(colon + 2)) {
			out->step = (struct slice){ said,
			    (size_t)(colon - said) };
			out->reply = slice_of(colon + 2);
			return;
		}
		said -= name + sizeof(after) - 1;
	}
	if (out->server)
		said += name;
	out->rest = slice_of(said);
}

static void
add_diagnostic(struct buf *out, const struct notice *n,
    const struct notice_recipient *r)
{
	struct notice_said said = { .server = false };
	char *text;

	if (r->said != NULL)
		notice_said_parse(r->said, n->server, &said);
	if (said.reply.len > 0)
		text = mem_printf("smtp; %.*s", (int)said.reply.len,
		    said.reply.ptr);
	else if (r->why == NULL && said.rest.len == 0)
		return;
	else
		text = mem_printf("X-postrider; site %s: %s%s%s%.*s",
		    n->site, r->why != NULL ? r->why : "",
		    r->why != NULL && said.rest.len > 0 ? "; " : "",
		    said.server ? "its mail server" : "",
		    (int)said.rest.len, said.rest.len > 0 ? said.rest.ptr :
		    "");
	add_field(out, "Diagnostic-Code", slice_of(text), n->global);
	free(text);
}

/* A server on this very machine has no name that means anything elsewhere. */
static bool
is_local(const char *server)
{
	static const char *const begin[] = { "127.", "[::1]", "localhost",
		"unix:", "/" };
	size_t i;

	for (i = 0; i < sizeof(begin) / sizeof(begin[0]); i++) {
		if (strncmp(server, begin[i], strlen(begin[i])) == 0)
			return true;
	}
	return false;
}

static void
add_remote(struct buf *out, const struct notice *n,
    const struct notice_recipient *r)
{
	struct notice_said said;
	size_t len;

	if (r->said == NULL || n->server == NULL)
		return;
	notice_said_parse(r->said, n->server, &said);
	if (said.reply.len == 0 || !said.server || is_local(n->server))
		return;
	if (n->server[0] == '[') {
		len = strcspn(n->server + 1, "]");
		buf_addf(out, "Remote-MTA: dns; [IPv6:%.*s]\r\n", (int)len,
		    n->server + 1);
		return;
	}
	len = strcspn(n->server, ":");
	if (strspn(n->server, "0123456789.") >= len)
		buf_addf(out, "Remote-MTA: dns; [%.*s]\r\n", (int)len,
		    n->server);
	else
		buf_addf(out, "Remote-MTA: dns; %.*s\r\n", (int)len,
		    n->server);
}

/*
 * The parts.
 */
static void
add_message(struct buf *out, const struct notice *n)
{
	const char *envid = n->about->env.envid;
	struct buf plain = BUF_INIT;

	if (envid != NULL) {
		if (xtext_decode(&plain, slice_of(envid)) != 0) {
			buf_clear(&plain);
			buf_adds(&plain, envid);
		}
		add_field(out, "Original-Envelope-Id", buf_slice(&plain),
		    false);
		buf_release(&plain);
	}
	buf_addf(out, "Reporting-MTA: dns; %s\r\n", n->hostname);
	if (n->about->accepted_wall_ms != 0)
		add_date(out, "Arrival-Date", n->about->accepted_wall_ms);
}

static void
add_recipient(struct buf *out, const struct notice *n,
    const struct notice_recipient *r)
{
	buf_adds(out, "\r\n");
	if (r->orcpt != NULL)
		add_original(out, r->orcpt, n->global);
	add_final(out, r->address, n->global);
	buf_addf(out, "Action: %s\r\nStatus: %s\r\n",
	    notice_action_name(r->action), r->status);
	add_remote(out, n, r);
	add_diagnostic(out, n, r);
	if (r->attempt_ms != 0)
		add_date(out, "Last-Attempt-Date", r->attempt_ms);
	if (r->action == NOTICE_DELAYED && r->until_ms != 0)
		add_date(out, "Will-Retry-Until", r->until_ms);
}

void
notice_status_add(struct buf *out, const struct notice *n)
{
	size_t i;

	add_message(out, n);
	for (i = 0; i < n->nrcpt; i++)
		add_recipient(out, n, &n->rcpt[i]);
}
