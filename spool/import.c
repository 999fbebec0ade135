/* SPDX-License-Identifier: ISC */
/*
 * The way back from plain files.  Pairs come in by the order of their names,
 * which is the order of the spool they came from.  One that cannot be read is
 * told and left where it is; only a spool that takes nothing more ends the
 * work.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "spool/carry.h"
#include "spool/envfile.h"
#include "spool/kept.h"

#define TEXT_MAX (64 << 20)	/* an envelope with very many recipients */

static int
read_content(struct carry *in, const char *path, struct spool_draft *d,
    struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	char *bytes;
	ssize_t n = 1;

	if (fd < 0)
		return err_errno(e, "open %s", path);
	bytes = mem_alloc(1, SPOOL_CHUNK);
	while (rc == 0 && n != 0) {
		n = file_read_some(fd, bytes, SPOOL_CHUNK);
		if (n < 0) {
			rc = err_errno(e, "read %s", path);
		} else if (n > 0) {
			rc = spool_draft_add(d, bytes, (size_t)n, e);
			in->spool_refuses = rc < 0;
		}
	}
	free(bytes);
	(void)close(fd);
	if (rc == 0) {
		rc = spool_draft_end(d, e);
		in->spool_refuses = rc < 0;
	}
	return rc;
}

int
import_unit(struct carry *in, struct spool_unit *u, int rc, struct err *e)
{
	if (rc == 0)
		rc = spool_commit(u, false, e);
	else
		spool_abort(u);
	in->spool_refuses = rc < 0;
	return rc;
}

static bool
changed(const struct message_state *st)
{
	static const struct recipient_state start;

	for (size_t i = 0; i < st->n; i++) {
		const struct recipient_state *rs = &st->rcpt[i];

		if (rs->status != start.status || rs->attempts != 0 ||
		    rs->next_secs != 0 || rs->delay_told || rs->unsure ||
		    rs->attempt_ms != 0 ||
		    rs->status_code[0] != '\0' || rs->text != NULL)
			return true;
	}
	return false;
}

static int
add_message(struct carry *in, struct spool_draft *d, struct message *m,
    const struct message_state *st, struct err *e)
{
	struct spool_unit *u;
	int rc = spool_begin(in->sp, &u, e);

	in->spool_refuses = true;
	if (rc < 0)
		return rc;
	rc = spool_add_message(u, d, m, e);
	if (rc == 0 && changed(st))
		rc = spool_put_state(u, m->id, st, e);
	return import_unit(in, u, rc, e);
}

static int
import_message(struct carry *in, const char *env_path,
    const char *eml_path, struct err *e)
{
	struct spool_draft *d = spool_draft_new(in->sp);
	struct message_state st = { 0 };
	struct buf text = BUF_INIT;
	struct message m;
	int rc;

	message_init(&m);
	rc = file_read(env_path, TEXT_MAX, &text, e);
	if (rc == 0)
		rc = envfile_get(buf_slice(&text),
		    spool_elapsed_secs(in->sp), &m, &st, e);
	if (rc == 0)
		rc = read_content(in, eml_path, d, e);
	if (rc == 0)
		rc = add_message(in, d, &m, &st, e);
	if (rc == 0) {
		in->report->messages++;
		in->report->octets += m.facts.octets;
	}
	spool_draft_free(d);
	message_state_release(&st);
	message_release(&m);
	buf_release(&text);
	return rc;
}

static int
add_broken(struct carry *in, struct spool_draft *d, struct broken *b,
    struct err *e)
{
	struct spool_unit *u;
	int rc = spool_begin(in->sp, &u, e);

	in->spool_refuses = true;
	if (rc < 0)
		return rc;
	return import_unit(in, u, spool_add_broken(u, d, b, e), e);
}

static int
import_broken(struct carry *in, const char *why_path, const char *obj_path,
    struct err *e)
{
	struct spool_draft *d = spool_draft_new(in->sp);
	struct buf text = BUF_INIT;
	struct broken b;
	int rc;

	broken_init(&b);
	rc = file_read(why_path, TEXT_MAX, &text, e);
	if (rc == 0)
		rc = whyfile_get(buf_slice(&text),
		    spool_elapsed_secs(in->sp), &b, e);
	if (rc == 0)
		rc = read_content(in, obj_path, d, e);
	if (rc == 0)
		rc = add_broken(in, d, &b, e);
	if (rc == 0) {
		in->report->broken++;
		in->report->octets += b.octets;
	}
	spool_draft_free(d);
	broken_release(&b);
	buf_release(&text);
	return rc;
}

/* Short names are older, as numbers are smaller. */
static int
by_number(const struct dirent **a, const struct dirent **b)
{
	size_t la = strlen((*a)->d_name), lb = strlen((*b)->d_name);

	return la != lb ? (la > lb) - (la < lb) :
	    strcmp((*a)->d_name, (*b)->d_name);
}

static bool
ends_with(const char *name, const char *suffix)
{
	size_t len = strlen(name), slen = strlen(suffix);

	return name[0] != '.' && len > slen &&
	    strcmp(name + len - slen, suffix) == 0;
}

static int
take_pair(struct carry *in, const char *dir, const char *name,
    const char *other_suffix, import_pair *fn, struct err *e)
{
	char *path = path_join(dir, name), *other, *text;
	int rc;

	other = mem_printf("%.*s%s", (int)(strlen(path) - 4), path,
	    other_suffix);
	in->spool_refuses = false;
	rc = fn(in, path, other, e);
	if (rc < 0 && !in->spool_refuses) {
		text = mem_printf("%s is left: %s", path, e->text);
		in->told(in->ctx, text);
		in->report->damaged++;
		free(text);
		rc = 0;
	}
	free(path);
	free(other);
	return rc;
}

int
import_dir(struct carry *in, const char *subdir, const char *suffix,
    const char *other_suffix, import_pair *fn, struct err *e)
{
	char *dir = path_join(in->dir, subdir);
	struct dirent **ent;
	int n = scandir(dir, &ent, NULL, by_number), rc = 0;

	if (n < 0) {
		rc = err_errno(e, "read %s", dir);
		free(dir);
		return rc == ERR_NOT_FOUND ? 0 : rc;
	}
	for (int i = 0; i < n; i++) {
		if (rc == 0 && ends_with(ent[i]->d_name, suffix))
			rc = take_pair(in, dir, ent[i]->d_name, other_suffix,
			    fn, e);
		free(ent[i]);
	}
	free(ent);
	free(dir);
	return rc;
}

static int
import_all(struct carry *in, struct err *e)
{
	int rc;

	if (access(in->dir, R_OK | X_OK) < 0)
		return err_errno(e, "read %s", in->dir);
	if ((rc = epochs_renew(in->sp, e)) < 0 ||
	    (rc = import_dir(in, ".", ".env", ".eml", import_message,
	    e)) < 0 ||
	    (rc = import_dir(in, "broken", ".why", ".obj", import_broken,
	    e)) < 0 ||
	    (rc = import_bundles(in, e)) < 0 ||
	    (rc = import_custody(in, e)) < 0)
		return rc;
	return store_flush(in->sp->store, e);
}

int
spool_import(struct spool *sp, const char *dir,
    struct spool_report *report_out, spool_told *told, void *ctx,
    struct err *e)
{
	struct carry in = { .sp = sp, .dir = dir, .report = report_out,
	    .told = told, .ctx = ctx, .bundles = map_new() };
	int rc;

	*report_out = (struct spool_report){ 0 };
	rc = import_all(&in, e);
	map_free(in.bundles);
	buf_release(&in.scratch);
	return rc;
}
