/* SPDX-License-Identifier: ISC */
/*
 * Map files: many rules, one a line.  A fault costs its line alone, so that a
 * check of a large file tells all that is wrong with it.
 */
#include "routing/table.h"

#include "base/file.h"
#include "base/mem.h"

#include <stdlib.h>

#define MAP_FILE_MAX (64U << 20)

struct map_reader {
	struct routing *table;
	const char *path;
	unsigned line;
	void (*told)(void *ctx, const char *text);
	void *ctx;
	struct err *first;	/* filled by the first fault */
	int rc;
};

static void
fault(struct map_reader *r, const char *text)
{
	char *all = mem_printf("%s:%u: %s", r->path, r->line, text);

	if (r->told != NULL)
		r->told(r->ctx, all);
	if (r->rc == 0)
		r->rc = err_set(r->first, ERR_CONFIG, "%s", all);
	free(all);
}

/* Takes a word off the front. */
static struct slice
take_word(struct slice *s)
{
	struct slice word;

	*s = slice_trim(*s);
	word = *s;
	for (word.len = 0; word.len < s->len; word.len++)
		if (s->ptr[word.len] == ' ' || s->ptr[word.len] == '\t')
			break;
	s->ptr += word.len;
	s->len -= word.len;
	return word;
}

static void
read_line(struct map_reader *r, struct slice line)
{
	struct err e = ERR_INIT;
	struct slice pattern, site;
	char *p, *s;

	if (line.len > 0 && line.ptr[line.len - 1] == '\r')
		line.len--;
	pattern = take_word(&line);
	if (pattern.len == 0 || pattern.ptr[0] == '#')
		return;
	site = take_word(&line);
	line = slice_trim(line);
	if (site.len == 0 || site.ptr[0] == '#') {
		fault(r, "a pattern without a site: write PATTERN SITE");
		return;
	}
	if (line.len > 0 && line.ptr[0] != '#') {
		fault(r, "more than a pattern and a site");
		return;
	}
	if (memchr(pattern.ptr, '\0', pattern.len + site.len + 1) != NULL) {
		fault(r, "a NUL octet");
		return;
	}
	p = slice_dup(pattern);
	s = slice_dup(site);
	routing_set_origin(r->table, r->path, r->line);
	if (routing_add_rule(r->table, p, s, &e) < 0)
		fault(r, e.text);
	free(p);
	free(s);
}

int
routing_add_map(struct routing *t, const char *path,
    void (*told)(void *ctx, const char *text), void *ctx, struct err *e)
{
	struct map_reader r = { t, path, 0, told, ctx, e, 0 };
	struct buf text = BUF_INIT;
	int rc;

	rc = file_read(path, MAP_FILE_MAX, &text, e);
	if (rc < 0) {
		buf_release(&text);
		return rc;
	}
	while (text.len > 0) {
		const char *end = memchr(text.ptr, '\n', text.len);
		size_t len = end != NULL ? (size_t)(end - text.ptr) : text.len;

		r.line++;
		read_line(&r, (struct slice){ text.ptr, len });
		buf_consume(&text, end != NULL ? len + 1 : len);
	}
	buf_release(&text);
	routing_set_origin(t, NULL, 0);
	return r.rc;
}
