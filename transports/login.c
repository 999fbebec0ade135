/* SPDX-License-Identifier: ISC */
/*
 * Three protocols, and what a login needs of each is the same: a line may end
 * the command well or badly, ask for more, or tell something by the way.
 */
#include "transports/login.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"
#include "transports/scram.h"

#include <stdio.h>
#include <stdlib.h>

#define OUT_MAX (3 * SECRET_TEXT_MAX)	/* user and password, in quotes */

enum said { SAID_OTHER, SAID_MORE, SAID_YES, SAID_NO };

enum step {
	ASKING,		/* for what is offered */
	USER, PASSWORD,	/* was said, or, IMAP, that a literal comes */
	SCRAM
};

struct login {
	struct login_options opts;
	struct buf in, out;
	enum step step;
	unsigned tag, offered, lines;
	bool listing;		/* POP3: the answer to CAPA goes on */
	bool literal;		/* IMAP: the rest waits to be asked for */
	struct scram *scram;
};

struct login *
login_new(const struct login_options *opts)
{
	struct login *l = mem_alloc(1, sizeof(*l));

	l->opts = *opts;
	/* Secrets are not left behind by a buffer that grows. */
	(void)buf_room(&l->out, OUT_MAX);
	switch (opts->protocol) {
	case LOGIN_SMTP:
		buf_addf(&l->out, "EHLO %s\r\n", opts->helo);
		break;
	case LOGIN_IMAP:
		l->offered = LOGIN_COMMAND;	/* unless it says otherwise */
		buf_addf(&l->out, "p%u CAPABILITY\r\n", ++l->tag);
		break;
	case LOGIN_POP3:
		buf_adds(&l->out, "CAPA\r\n");
		break;
	}
	return l;
}

void
login_free(struct login *l)
{
	if (l == NULL)
		return;
	scram_free(l->scram);
	secret_wipe(l->out.base, l->out.cap);
	buf_release(&l->out);
	buf_release(&l->in);
	free(l);
}

struct buf *
login_output(struct login *l)
{
	return &l->out;
}

void
login_feed(struct login *l, const char *octets, size_t len)
{
	buf_add(&l->in, octets, len);
}

/*
 * What is heard.
 */
static struct slice
skip(struct slice line, size_t n)
{
	n = n < line.len ? n : line.len;
	return (struct slice){ line.ptr + n, line.len - n };
}

/* Cuts the first word off, with the blank behind it. */
static struct slice
word(struct slice *rest)
{
	const char *blank = rest->len == 0 ? NULL :
	    memchr(rest->ptr, ' ', rest->len);
	struct slice w = { rest->ptr, blank == NULL ? rest->len :
	    (size_t)(blank - rest->ptr) };

	*rest = skip(*rest, w.len + 1);
	return w;
}

/* "SCRAM-SHA-1", or with "AUTH=" before it. */
static void
take_mechanism(struct login *l, struct slice name)
{
	if (name.len > 5 && slice_ieqs((struct slice){ name.ptr, 5 },
	    "AUTH="))
		name = skip(name, 5);
	if (slice_ieqs(name, "SCRAM-SHA-256"))
		l->offered |= LOGIN_SCRAM_SHA_256;
	else if (slice_ieqs(name, "SCRAM-SHA-1"))
		l->offered |= LOGIN_SCRAM_SHA_1;
	else if (slice_ieqs(name, "LOGINDISABLED"))
		l->offered &= ~(unsigned)LOGIN_COMMAND;
}

/* A line of what the server can: "AUTH ...", "SASL ...", "CAPABILITY ...". */
static void
take_offers(struct login *l, const char *name, struct slice line)
{
	struct slice first = word(&line);

	if (l->opts.protocol == LOGIN_POP3 && slice_ieqs(first, "USER"))
		l->offered |= LOGIN_COMMAND;
	if (l->opts.protocol == LOGIN_SMTP)
		take_mechanism(l, first);	/* "AUTH=", of old */
	if (!slice_ieqs(first, name))
		return;
	while (line.len > 0)
		take_mechanism(l, word(&line));
}

static enum said
read_smtp(struct login *l, struct slice line, struct slice *text_out)
{
	bool last = line.len < 4 || line.ptr[3] != '-';

	*text_out = skip(line, 4);
	if (line.len < 3 || num_parse((struct slice){ line.ptr, 3 }, 599,
	    &(uint64_t){ 0 }) < 0)
		return SAID_OTHER;
	if (line.ptr[0] == '2' && l->step == ASKING)
		take_offers(l, "AUTH", *text_out);
	if (!last)
		return SAID_OTHER;
	return line.ptr[0] == '2' ? SAID_YES : line.ptr[0] == '3' ?
	    SAID_MORE : SAID_NO;
}

static enum said
read_imap(struct login *l, struct slice line, struct slice *text_out)
{
	struct slice first = word(&line), kind;
	char tag[16];

	snprintf(tag, sizeof(tag), "p%u", l->tag);
	*text_out = line;
	if (slice_eqs(first, "+"))
		return SAID_MORE;
	kind = word(&line);
	if (slice_eqs(first, "*") && slice_ieqs(kind, "CAPABILITY")) {
		l->offered = LOGIN_COMMAND;
		while (line.len > 0)
			take_mechanism(l, word(&line));
	}
	if (slice_eqs(first, "*") && slice_ieqs(kind, "BYE"))
		return SAID_NO;
	if (!slice_eqs(first, tag))
		return SAID_OTHER;
	return slice_ieqs(kind, "OK") ? SAID_YES : SAID_NO;
}

static enum said
read_pop3(struct login *l, struct slice line, struct slice *text_out)
{
	struct slice rest = line, first = word(&rest);

	*text_out = rest;
	if (l->listing) {
		take_offers(l, "SASL", line);
		l->listing = !slice_eqs(line, ".");
		return l->listing ? SAID_OTHER : SAID_YES;
	}
	if (slice_eqs(first, "+"))
		return SAID_MORE;
	if (slice_eqs(first, "-ERR")) {
		*text_out = line;
		return SAID_NO;
	}
	if (!slice_eqs(first, "+OK"))
		return SAID_OTHER;
	l->listing = l->step == ASKING;
	return l->listing ? SAID_OTHER : SAID_YES;
}

/*
 * What is said.
 */
/* A string of IMAP: with quotes, or, what those cannot hold, as a literal,
 * which the server has to ask for. */
static void
add_string(struct login *l, const char *text)
{
	size_t len = strlen(text);

	l->literal = false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] >= ' ' && text[i] <= '~')
			continue;
		buf_addf(&l->out, "{%zu}\r\n", len);
		l->literal = true;
		return;
	}
	buf_addc(&l->out, '"');
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"' || text[i] == '\\')
			buf_addc(&l->out, '\\');
		buf_addc(&l->out, text[i]);
	}
	buf_addc(&l->out, '"');
}

static void
say_password(struct login *l)
{
	l->step = PASSWORD;
	if (l->opts.protocol == LOGIN_POP3) {
		buf_addf(&l->out, "PASS %s\r\n", l->opts.password);
		return;
	}
	add_string(l, l->opts.password);
	if (!l->literal)
		buf_adds(&l->out, "\r\n");
}

static void
say_user(struct login *l)
{
	l->step = USER;
	if (l->opts.protocol == LOGIN_POP3) {
		buf_addf(&l->out, "USER %s\r\n", l->opts.user);
		return;
	}
	buf_addf(&l->out, "p%u LOGIN ", ++l->tag);
	add_string(l, l->opts.user);
	if (!l->literal) {
		buf_addc(&l->out, ' ');
		say_password(l);
	}
}

static int
say_scram(struct login *l, const char *name, struct err *e)
{
	l->step = SCRAM;
	if (l->opts.protocol == LOGIN_IMAP)
		buf_addf(&l->out, "p%u AUTHENTICATE %s\r\n", ++l->tag, name);
	else
		buf_addf(&l->out, "AUTH %s\r\n", name);
	return scram_new(name, l->opts.user, l->opts.password, &l->scram, e);
}

/* A line of one command would otherwise be two. */
static bool
is_line(const char *text)
{
	return strpbrk(text, "\r\n") == NULL;
}

static int
choose(struct login *l, struct err *e)
{
	unsigned both = l->opts.ways & l->offered;

	if ((both & LOGIN_SCRAM_SHA_256) != 0)
		return say_scram(l, "SCRAM-SHA-256", e);
	if ((both & LOGIN_SCRAM_SHA_1) != 0)
		return say_scram(l, "SCRAM-SHA-1", e);
	if ((both & LOGIN_COMMAND) == 0 || !is_line(l->opts.user) ||
	    !is_line(l->opts.password))
		return err_set(e, ERR_UNSUPPORTED, "no way to log in is "
		    "offered");
	say_user(l);
	return 0;
}

/* The server wants more of what has begun. */
static int
go_on(struct login *l, struct slice text, struct err *e)
{
	int rc;

	if (l->step == SCRAM) {
		rc = scram_step(l->scram, text, &l->out, e);
		buf_adds(&l->out, "\r\n");
		return rc;
	}
	if (!l->literal)
		return err_set(e, ERR_SYNTAX, "the server asks for more of a "
		    "login than there is");
	l->literal = false;
	if (l->step == PASSWORD) {
		buf_addf(&l->out, "%s\r\n", l->opts.password);
	} else {
		buf_addf(&l->out, "%s ", l->opts.user);
		say_password(l);
	}
	return 0;
}

/* The command has ended well; 1: that was the last. */
static int
done(struct login *l, struct err *e)
{
	if (l->step == ASKING)
		return choose(l, e);
	if (l->step == USER && l->opts.protocol == LOGIN_POP3) {
		say_password(l);
		return 0;
	}
	if (l->step == SCRAM && !scram_is_proved(l->scram))
		return err_set(e, ERR_SYNTAX, "SCRAM: the server did not "
		    "show that it knows the password");
	return 1;
}

static int
refused(struct login *l, struct slice text, struct err *e)
{
	/* One that does not know CAPA knows USER (RFC 2449 5). */
	if (l->step == ASKING && l->opts.protocol == LOGIN_POP3) {
		l->offered = LOGIN_COMMAND;
		return choose(l, e);
	}
	return err_set(e, l->step == ASKING ? ERR_SYNTAX : ERR_DENIED,
	    "%.*s", (int)(text.len < 400 ? text.len : 400), text.ptr);
}

static int
take_line(struct login *l, struct slice line, struct err *e)
{
	static enum said (*const readers[])(struct login *, struct slice,
	    struct slice *) = {
		[LOGIN_SMTP] = read_smtp, [LOGIN_IMAP] = read_imap,
		[LOGIN_POP3] = read_pop3
	};
	struct slice text = line;

	switch (readers[l->opts.protocol](l, line, &text)) {
	case SAID_MORE:
		return go_on(l, slice_trim(text), e);
	case SAID_YES:
		return done(l, e);
	case SAID_NO:
		return refused(l, l->opts.protocol == LOGIN_SMTP ? line :
		    text, e);
	case SAID_OTHER:
		break;
	}
	return 0;
}

static int
too_much(struct err *e)
{
	return err_set(e, ERR_LIMIT, "the server answers the login with too "
	    "much");
}

int
login_next(struct login *l, struct err *e)
{
	const char *end;
	int rc = 0;

	while (rc == 0 && l->in.len > 0 &&
	    (end = memchr(l->in.ptr, '\n', l->in.len)) != NULL) {
		size_t used = (size_t)(end - l->in.ptr) + 1;
		struct slice line = { l->in.ptr, used - 1 };

		if (line.len > LOGIN_LINE_MAX || ++l->lines > LOGIN_LINES_MAX)
			return too_much(e);
		if (line.len > 0 && line.ptr[line.len - 1] == '\r')
			line.len--;
		rc = take_line(l, line, e);
		buf_consume(&l->in, used);
	}
	return rc == 0 && l->in.len > LOGIN_LINE_MAX ? too_much(e) : rc;
}
