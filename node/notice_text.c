/* SPDX-License-Identifier: ISC */
/*
 * Texts of notices.  A template is checked when the configuration is read, so
 * that filling one in cannot fail when a notice has to be written.
 */
#include "node/notice_text.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

#define LINE_LIMIT 500		/* octets of a line of a template */

struct template {
	char *subject, *body;
};

struct notice_text {
	struct template part[NOTICE_ACTIONS];
};

static const struct {
	const char *name, *subject, *body;
} built_in[] = {
	[NOTICE_FAILED] = { "failed", "Undelivered mail returned to sender",
	    "Your mail of %{date}\n"
	    "could not be delivered to everyone it was sent to.  Nothing "
	    "more is tried for:\n\n%{recipients}\n" },
	[NOTICE_DELAYED] = { "delayed", "Delayed mail, still being tried",
	    "Your mail of %{date}\n"
	    "has not reached everyone yet.  You need not send it again: it "
	    "will be tried\nuntil %{until} for:\n\n%{recipients}\n" },
	[NOTICE_EXPANDED] = { "expanded", "Mail was delivered to a list",
	    "Your mail of %{date}\n"
	    "was delivered, and goes on from there to several others. No "
	    "notices will tell\nof them.  It was sent to:\n\n"
	    "%{recipients}\n" },
	[NOTICE_RELAYED] = { "relayed", "Mail was handed on",
	    "Your mail of %{date}\n"
	    "was handed to a mail system that does not promise to tell of "
	    "its delivery,\nso no further notice of success will come "
	    "for:\n\n%{recipients}\n" },
	[NOTICE_DELIVERED] = { "delivered", "Mail was delivered",
	    "Your mail of %{date}\nwas delivered to:\n\n%{recipients}\n" },
};
_Static_assert(sizeof(built_in) / sizeof(built_in[0]) == NOTICE_ACTIONS,
    "a text for each action");

static const struct {
	const char *name;
	size_t offset;
} macros[] = {
	{ "site", offsetof(struct notice_words, site) },
	{ "hostname", offsetof(struct notice_words, hostname) },
	{ "sender", offsetof(struct notice_words, sender) },
	{ "date", offsetof(struct notice_words, date) },
	{ "until", offsetof(struct notice_words, until) },
	{ "recipients", offsetof(struct notice_words, recipients) },
};
#define NMACROS (sizeof(macros) / sizeof(macros[0]))

const char *
notice_action_name(enum notice_action action)
{
	return built_in[action].name;
}

/* The number of the macro whose name this is, NMACROS if none. */
static size_t
macro_find(struct slice name)
{
	size_t i;

	for (i = 0; i < NMACROS; i++) {
		if (slice_eqs(name, macros[i].name))
			break;
	}
	return i;
}

/*
 * Reading.
 */
struct parsing {
	struct notice_text *t;
	struct template *part;	/* NULL before the first */
	bool in_body;
	struct buf body;
	unsigned line;
	struct err *e;
};

static int
check_macros(struct parsing *p, struct slice line)
{
	const char *at = line.ptr, *end = at + line.len, *close;
	struct slice name;

	while ((at = memmem(at, (size_t)(end - at), "%{", 2)) != NULL) {
		close = memchr(at, '}', (size_t)(end - at));
		name = (struct slice){ at + 2, close == NULL ? 0 :
		    (size_t)(close - at) - 2 };
		if (macro_find(name) == NMACROS)
			return err_set(p->e, ERR_CONFIG, "line %u: %.*s is "
			    "none of %%{site}, %%{hostname}, %%{sender}, "
			    "%%{date}, %%{until}, %%{recipients}", p->line,
			    close == NULL ? 2 : (int)(close - at) + 1, at);
		at = close;
	}
	return 0;
}

static void
end_part(struct parsing *p)
{
	size_t len = p->body.len;

	if (p->part == NULL)
		return;
	/* Empty lines before the next part only set it off. */
	while (len >= 2 && p->body.ptr[len - 1] == '\n' &&
	    p->body.ptr[len - 2] == '\n')
		len--;
	buf_truncate(&p->body, len);
	p->part->body = buf_steal(&p->body);
}

static int
begin_part(struct parsing *p, struct slice line)
{
	struct slice name = { line.ptr + 1, line.len - 2 };
	size_t i;

	end_part(p);
	for (i = 0; i < NOTICE_ACTIONS; i++) {
		if (slice_eqs(name, built_in[i].name))
			break;
	}
	if (i == NOTICE_ACTIONS)
		return err_set(p->e, ERR_CONFIG, "line %u: [%.*s] is none of "
		    "[failed], [delayed], [expanded], [relayed], "
		    "[delivered]", p->line, (int)name.len, name.ptr);
	p->part = &p->t->part[i];
	if (p->part->body != NULL)
		return err_set(p->e, ERR_CONFIG, "line %u: [%.*s] is there "
		    "twice", p->line, (int)name.len, name.ptr);
	p->in_body = false;
	return 0;
}

static int
take_subject(struct parsing *p, struct slice line)
{
	static const char word[] = "Subject:";
	const size_t len = sizeof(word) - 1;

	if (line.len == 0) {
		p->in_body = true;
		return 0;
	}
	if (line.len < len || p->part->subject != NULL ||
	    !slice_ieqs((struct slice){ line.ptr, len }, word))
		return err_set(p->e, ERR_CONFIG, "line %u: before the empty "
		    "line there is one line Subject: and nothing else",
		    p->line);
	p->part->subject = slice_dup(slice_trim((struct slice){
	    line.ptr + len, line.len - len }));
	return 0;
}

static int
take_line(struct parsing *p, struct slice line)
{
	if (line.len > 0 && line.ptr[line.len - 1] == '\r')
		line.len--;
	if (line.len > LINE_LIMIT)
		return err_set(p->e, ERR_CONFIG, "line %u is longer than %d "
		    "octets", p->line, LINE_LIMIT);
	if (memchr(line.ptr, '\0', line.len) != NULL || !utf8_valid(line))
		return err_set(p->e, ERR_CONFIG, "line %u is not UTF-8",
		    p->line);
	if (check_macros(p, line) != 0)
		return ERR_CONFIG;
	if (line.len > 2 && line.ptr[0] == '[' &&
	    line.ptr[line.len - 1] == ']')
		return begin_part(p, line);
	if (p->part == NULL && line.len == 0)
		return 0;
	if (p->part == NULL)
		return err_set(p->e, ERR_CONFIG, "line %u stands before the "
		    "first part, such as [failed]", p->line);
	if (!p->in_body)
		return take_subject(p, line);
	buf_addslice(&p->body, line);
	buf_addc(&p->body, '\n');
	return 0;
}

int
notice_text_parse(struct slice text, struct notice_text **t_out,
    struct err *e)
{
	struct parsing p = { .e = e };
	struct slice line;
	const char *end;
	int rc = 0;

	p.t = mem_alloc(1, sizeof(*p.t));
	while (rc == 0 && text.len > 0) {
		end = memchr(text.ptr, '\n', text.len);
		line = (struct slice){ text.ptr, end != NULL ?
		    (size_t)(end - text.ptr) : text.len };
		p.line++;
		rc = take_line(&p, line);
		text.ptr += line.len + (end != NULL);
		text.len -= line.len + (end != NULL);
	}
	if (rc == 0)
		end_part(&p);
	buf_release(&p.body);
	if (rc == 0)
		*t_out = p.t;
	else
		notice_text_free(p.t);
	return rc;
}

void
notice_text_free(struct notice_text *t)
{
	size_t i;

	if (t == NULL)
		return;
	for (i = 0; i < NOTICE_ACTIONS; i++) {
		free(t->part[i].subject);
		free(t->part[i].body);
	}
	free(t);
}

/*
 * Filling in.
 */
static const char *
macro_value(const struct notice_words *w, size_t i)
{
	const void *field = (const char *)w + macros[i].offset;

	return *(const char *const *)field;
}

static void
fill(struct buf *out, const char *text, const struct notice_words *w)
{
	const char *close, *value;
	size_t i;

	for (; *text != '\0'; text++) {
		close = strncmp(text, "%{", 2) == 0 ? strchr(text, '}') : NULL;
		i = close == NULL ? NMACROS : macro_find((struct slice){
		    text + 2, (size_t)(close - text) - 2 });
		if (i < NMACROS) {
			value = macro_value(w, i);
			buf_adds(out, value != NULL ? value : "");
			text = close;
		} else if (*text == '\n') {
			buf_adds(out, "\r\n");
		} else {
			buf_addc(out, *text);
		}
	}
}

void
notice_text_subject(const struct notice_text *t, enum notice_action action,
    const struct notice_words *w, struct buf *out)
{
	const char *own = t != NULL ? t->part[action].subject : NULL;
	struct notice_words one = *w;

	one.recipients = NULL;	/* they are lines */
	fill(out, own != NULL ? own : built_in[action].subject, &one);
}

void
notice_text_body(const struct notice_text *t, enum notice_action action,
    const struct notice_words *w, struct buf *out)
{
	const char *own = t != NULL ? t->part[action].body : NULL;

	fill(out, own != NULL ? own : built_in[action].body, w);
}
