/* SPDX-License-Identifier: ISC */
/* What the targets share. */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

void
fuzz_fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

char *
fuzz_copy(const char *bytes, size_t len)
{
	char *copy = malloc(len > 0 ? len : 1);

	if (copy == NULL)
		abort();
	if (len > 0)
		memcpy(copy, bytes, len);
	return copy;
}

char *
fuzz_piece(struct slice *rest, size_t most, size_t *len_out)
{
	size_t len = rest->len < most ? rest->len : most;
	char *copy;

	*len_out = len;
	if (len == 0)
		return NULL;
	copy = fuzz_copy(rest->ptr, len);
	rest->ptr += len;
	rest->len -= len;
	return copy;
}

void
fuzz_in_pieces(void (*read)(struct buf *out, struct slice in, size_t piece),
    struct slice in)
{
	static const size_t pieces[] = { 1, 2, 7 };
	struct buf whole = BUF_INIT, cut = BUF_INIT;

	read(&whole, in, SIZE_MAX);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		buf_clear(&cut);
		read(&cut, in, pieces[i]);
		fuzz_same(&whole, &cut);
	}
	buf_release(&whole);
	buf_release(&cut);
}

static void
show_text(const char *name, const struct buf *text)
{
	struct buf shown = BUF_INIT;

	text_escape(&shown, buf_slice(text), SIZE_MAX, false);
	fprintf(stderr, "%s: %s\n", name, buf_cstr(&shown));
	buf_release(&shown);
}

void
fuzz_same(const struct buf *one, const struct buf *other)
{
	if (slice_eq(buf_slice(one), buf_slice(other)))
		return;
	show_text("one  ", one);
	show_text("other", other);
	FUZZ_CHECK(slice_eq(buf_slice(one), buf_slice(other)));
}

bool
fuzz_line(struct slice *rest, struct slice *line_out)
{
	const char *nl;

	if (rest->len == 0)
		return false;
	nl = memchr(rest->ptr, '\n', rest->len);
	*line_out = *rest;
	if (nl != NULL)
		line_out->len = (size_t)(nl - rest->ptr);
	rest->ptr += line_out->len + (nl != NULL);
	rest->len -= line_out->len + (nl != NULL);
	return true;
}

static void
show_string(struct buf *out, const char *text)
{
	buf_addf(out, "%s|", text != NULL ? text : "-");
}

void
fuzz_show_envelope(struct buf *out, const struct envelope *env)
{
	show_string(out, env->sender);
	show_string(out, env->envid);
	buf_addf(out, "%d %d %d|", env->ret, env->body, env->smtputf8);
	for (size_t i = 0; i < env->nrcpt; i++) {
		show_string(out, env->rcpt[i].address);
		show_string(out, env->rcpt[i].notify);
		show_string(out, env->rcpt[i].orcpt);
	}
}

void
fuzz_show_timing(struct buf *out, const struct smtp_timing *t)
{
	buf_addf(out, "%d %d|%d %d %lld|%d %llu|", t->priority_given,
	    t->priority, t->by, t->by_trace, (long long)t->by_secs, t->hold,
	    (unsigned long long)t->hold_value);
}
