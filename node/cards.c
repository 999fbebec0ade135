/* SPDX-License-Identifier: ISC */
/* The directory of cards.  A name that begins with a dot is being written. */
#include "node/cards.h"

#include <dirent.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"

#define SUFFIX ".card"

static int
read_card(const char *dir, const char *site, struct buf *text,
    struct card *c_out, struct err *e)
{
	char *path = mem_printf("%s/%s" SUFFIX, dir, site);
	int rc = file_read(path, CARD_MAX, text, e);

	card_init(c_out);
	if (rc == 0) {
		rc = card_parse(buf_slice(text), c_out, e);
		if (rc == 0 && strcmp(c_out->site, site) != 0)
			rc = err_set(e, ERR_DENIED, "it is the card of %s",
			    c_out->site);
		if (rc != 0) {
			err_prefix(e, "%s", path);
			card_release(c_out);
		}
	}
	free(path);
	return rc;
}

static int
is_card(const struct dirent *de)
{
	size_t len = strlen(de->d_name);

	return de->d_name[0] != '.' && len > strlen(SUFFIX) &&
	    strcmp(de->d_name + len - strlen(SUFFIX), SUFFIX) == 0;
}

int
cards_walk(const char *dir, int (*taken)(void *ctx, struct slice text,
    const struct card *c, struct err *e),
    void (*told)(void *ctx, const char *text), void *ctx, struct err *e)
{
	struct dirent **list = NULL;
	int n = scandir(dir, &list, is_card, alphasort);
	int rc = 0;

	if (n < 0) {
		rc = err_errno(e, "cannot read %s", dir);
		return rc == ERR_NOT_FOUND ? 0 : rc;
	}
	for (int i = 0; i < n; i++) {
		char *site = mem_strndup(list[i]->d_name,
		    strlen(list[i]->d_name) - strlen(SUFFIX));
		struct buf text = BUF_INIT;
		struct err why = ERR_INIT;
		struct card c;

		if (rc == 0 && read_card(dir, site, &text, &c, &why) == 0) {
			rc = taken(ctx, buf_slice(&text), &c, e);
			card_release(&c);
		} else if (rc == 0) {
			told(ctx, why.text);
		}
		buf_release(&text);
		free(site);
		free(list[i]);
	}
	free(list);
	return rc;
}

/* What is there is no card any more: it is replaced. */
static int
may_replace(const char *dir, const struct card *c, struct err *e)
{
	struct buf text = BUF_INIT;
	struct err why = ERR_INIT;
	struct card old;
	int rc = 1;

	if (read_card(dir, c->site, &text, &old, &why) == 0) {
		rc = card_succeeds(&old, c, &why);
		if (rc < 0)
			(void)err_set(e, rc, "%s; if that is right, as after "
			    "a loss of its keys, --replace takes this one",
			    why.text);
		card_release(&old);
	}
	buf_release(&text);
	return rc;
}

int
cards_put(const char *dir, struct slice text, const struct card *c,
    bool force, struct err *e)
{
	int rc = file_make_dirs(dir, 0755, e);
	char *name;

	if (rc != 0)
		return rc;
	rc = may_replace(dir, c, e);
	if (rc < 0 && force)
		rc = 1;
	if (rc <= 0)
		return rc;
	name = mem_printf("%s" SUFFIX, c->site);
	rc = file_replace(dir, name, text.ptr, text.len, 0644, e);
	free(name);
	return rc == 0 ? 1 : rc;
}
