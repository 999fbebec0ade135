/* SPDX-License-Identifier: ISC */
/*
 * The file of reserved serials.  It is a line for each site, so it is written
 * whole each time: a block of serials lasts for a while.
 */
#include "node/serials.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#define FILE_MAX (1 << 20)

struct reserved {
	char *site;
	uint64_t epoch, upto;
};

struct serials {
	char *path;
	struct reserved *row;
	size_t n;
};

static struct reserved *
find(const struct serials *s, const char *site)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		if (strcmp(s->row[i].site, site) == 0)
			return &s->row[i];
	}
	return NULL;
}

static struct reserved *
need(struct serials *s, const char *site)
{
	struct reserved *row = find(s, site);

	if (row != NULL)
		return row;
	s->row = mem_realloc(s->row, s->n + 1, sizeof(*s->row));
	row = &s->row[s->n++];
	row->site = mem_strdup(site);
	row->epoch = row->upto = 0;
	return row;
}

/* The next word of a line; empty at its end. */
static struct slice
word(struct slice *line)
{
	struct slice w = { line->ptr, 0 };

	while (w.len < line->len && w.ptr[w.len] != ' ')
		w.len++;
	line->ptr += w.len < line->len ? w.len + 1 : w.len;
	line->len -= w.len < line->len ? w.len + 1 : w.len;
	return w;
}

static int
parse_line(struct serials *s, struct slice line)
{
	struct slice name = word(&line), epoch = word(&line);
	struct reserved *row;
	uint64_t e, upto;
	char *site;

	if (num_parse(epoch, UINT64_MAX, &e) != 0 ||
	    num_parse(line, UINT64_MAX, &upto) != 0)
		return ERR_SYNTAX;
	site = slice_dup(name);
	row = need(s, site);
	free(site);
	row->epoch = e;
	row->upto = upto;
	return 0;
}

static int
parse(struct serials *s, const struct buf *text, struct err *e)
{
	const char *at = text->ptr, *end = text->ptr + text->len, *nl;
	unsigned line = 1;

	for (; at < end; at = nl + 1, line++) {
		nl = memchr(at, '\n', (size_t)(end - at));
		if (nl == NULL || parse_line(s, (struct slice){ at,
		    (size_t)(nl - at) }) != 0)
			return err_set(e, ERR_SYNTAX, "%s:%u: not \"SITE "
			    "EPOCH NUMBER\": move the file away if it is "
			    "damaged, a new epoch is opened then", s->path,
			    line);
	}
	return 0;
}

int
serials_open(const char *path, struct serials **s_out, struct err *e)
{
	struct serials *s = mem_alloc(1, sizeof(*s));
	struct buf text = BUF_INIT;
	int rc = 0;

	if (path != NULL) {
		s->path = mem_strdup(path);
		rc = file_read(path, FILE_MAX, &text, e);
		rc = rc == ERR_NOT_FOUND ? 0 : rc;
		if (rc == 0)
			rc = parse(s, &text, e);
	}
	buf_release(&text);
	if (rc != 0) {
		serials_close(s);
		return rc;
	}
	*s_out = s;
	return 0;
}

void
serials_clear(struct serials *s)
{
	while (s->n > 0)
		free(s->row[--s->n].site);
}

void
serials_close(struct serials *s)
{
	if (s == NULL)
		return;
	serials_clear(s);
	free(s->row);
	free(s->path);
	free(s);
}

static int
write_file(const struct serials *s, struct err *e)
{
	struct buf b = BUF_INIT;
	char *dir = mem_strndup(s->path,
	    (size_t)(path_base(s->path) - s->path));
	size_t i;
	int rc;

	for (i = 0; i < s->n; i++)
		buf_addf(&b, "%s %" PRIu64 " %" PRIu64 "\n", s->row[i].site,
		    s->row[i].epoch, s->row[i].upto);
	rc = file_replace(dir[0] != '\0' ? dir : ".", path_base(s->path),
	    b.ptr, b.len, 0600, e);
	free(dir);
	buf_release(&b);
	return rc;
}

int
serials_reserve(struct serials *s, const char *site, uint64_t epoch,
    uint64_t reserved, struct err *e)
{
	struct reserved *row, before;
	int rc;

	if (s == NULL)
		return 0;
	row = need(s, site);
	before = *row;
	row->epoch = epoch;
	row->upto = reserved;
	rc = s->path != NULL ? write_file(s, e) : 0;
	if (rc != 0)
		*row = before;
	return rc;
}

bool
serials_agree(const struct serials *s, const char *site, uint64_t epoch,
    uint64_t reserved)
{
	const struct reserved *row = s != NULL ? find(s, site) : NULL;

	if (s == NULL)
		return true;
	return row != NULL && row->epoch == epoch && row->upto == reserved;
}

const char *
serials_site(const struct serials *s, size_t i, uint64_t *epoch_out,
    uint64_t *reserved_out)
{
	if (s == NULL || i >= s->n)
		return NULL;
	*epoch_out = s->row[i].epoch;
	*reserved_out = s->row[i].upto;
	return s->row[i].site;
}

bool
serials_knows(const struct serials *s, const char *site, uint64_t epoch)
{
	const struct reserved *row = find(s, site);

	return row != NULL && row->epoch == epoch;
}
