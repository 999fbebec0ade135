/* SPDX-License-Identifier: ISC */
/*
 * Every operator's way out: a spool as plain files.  The content is written
 * first and the envelope last, so that an interrupted export leaves no pair
 * that is not whole.
 */
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "spool/carry.h"
#include "spool/envfile.h"
#include "spool/kept.h"

/* NAME.SUFFIX in dir; the whole body. */
static int
write_body(struct carry *x, const char *dir, uint64_t id,
    const char *suffix, struct err *e)
{
	struct file_writer w = FILE_WRITER_INIT;
	struct spool_body *b = NULL;
	char *name = mem_printf("%s.%s", message_name(id).s, suffix);
	int rc = spool_body_open(x->sp, id, &b, e);

	if (rc == 0)
		rc = file_writer_open(&w, dir, name, 0600, e);
	while (rc == 0 && (rc = spool_body_read(b, &x->scratch, e)) > 0) {
		x->report->octets += x->scratch.len;
		rc = file_writer_add(&w, x->scratch.ptr, x->scratch.len, e);
		buf_clear(&x->scratch);
	}
	if (rc == 0)
		rc = file_writer_commit(&w, true, e);
	file_writer_abort(&w);
	spool_body_close(b);
	free(name);
	return rc;
}

int
export_text(struct carry *x, const char *dir, uint64_t id,
    const char *suffix, struct err *e)
{
	char *name = mem_printf("%s.%s", message_name(id).s, suffix);
	int rc = file_replace(dir, name, x->scratch.ptr, x->scratch.len,
	    0600, e);

	buf_clear(&x->scratch);
	free(name);
	return rc;
}

int
export_weigh(struct carry *x, int rc, const struct err *e)
{
	if (rc != ERR_CORRUPT || store_failed(x->sp->store))
		return rc;
	buf_clear(&x->scratch);
	x->report->damaged++;
	x->told(x->ctx, e->text);
	return 0;
}

static int
export_message(struct carry *x, struct message *m, struct err *e)
{
	struct message_state st;
	int rc = spool_get_state(x->sp, m->id, m->env.nrcpt, &st, e);

	/* Without its states it would all be sent again, which is better
	 * than not at all. */
	if (rc == ERR_CORRUPT && (rc = export_weigh(x, rc, e)) == 0)
		message_state_init(&st, m->env.nrcpt);
	if (rc == 0)
		export_mark(x, m->id, &st);
	if (rc == 0)
		rc = write_body(x, x->dir, m->id, "eml", e);
	if (rc == 0) {
		spool_message_origin(x->sp, m, &m->was_epoch,
		    &m->was_number);
		envfile_put(&x->scratch, m, &st,
		    spool_elapsed_secs(x->sp));
		rc = export_text(x, x->dir, m->id, "env", e);
	}
	message_state_release(&st);
	x->report->messages += rc == 0;
	return rc;
}

static int
export_messages(struct carry *x, struct err *e)
{
	struct message m;
	uint64_t id = 0;
	int rc, got;

	for (;;) {
		got = spool_next_message(x->sp, &id, &m, e);
		if (got == ERR_NOT_FOUND)
			return 0;
		rc = got == 0 ? export_message(x, &m, e) : got;
		message_release(&m);
		if ((rc = export_weigh(x, rc, e)) < 0)
			return rc;
	}
}

static int
export_broken(struct carry *x, struct err *e)
{
	char *dir = path_join(x->dir, "broken");
	struct broken b;
	uint64_t id = 0;
	int rc = file_make_dirs(dir, 0700, e), got;

	while (rc == 0) {
		got = rc = spool_next_broken(x->sp, &id, &b, e);
		if (got == ERR_NOT_FOUND) {
			rc = 0;
			break;
		}
		if (rc == 0)
			rc = write_body(x, dir, id, "obj", e);
		if (rc == 0) {
			whyfile_put(&x->scratch, &b,
			    spool_elapsed_secs(x->sp));
			rc = export_text(x, dir, id, "why", e);
		}
		x->report->broken += rc == 0;
		broken_release(&b);
		rc = export_weigh(x, rc, e);
	}
	free(dir);
	return rc;
}

/* Objects on their way mean nothing elsewhere; their mail does. */
static int
tell_objects(struct carry *x, struct err *e)
{
	struct object o;
	uint64_t id = 0;
	char *text;
	int rc;

	while ((rc = spool_next_object(x->sp, &id, &o, e)) !=
	    ERR_NOT_FOUND) {
		if (rc < 0 && (rc = export_weigh(x, rc, e)) < 0)
			return rc;
		if (o.name != NULL && o.road != NULL) {
			text = mem_printf("object %s for %s is left out: its "
			    "mail will be sent again", o.name, o.road);
			x->told(x->ctx, text);
			free(text);
			x->report->objects++;
		}
		object_release(&o);
	}
	return 0;
}

int
spool_export(struct spool *sp, const char *dir,
    struct spool_report *report_out, spool_told *told, void *ctx,
    struct err *e)
{
	struct carry x = { .sp = sp, .dir = dir, .report = report_out,
	    .told = told, .ctx = ctx, .underway = map_new() };
	int rc;

	*report_out = (struct spool_report){ 0 };
	if ((rc = file_make_dirs(dir, 0700, e)) == 0 &&
	    (rc = export_gather(&x, e)) == 0 &&
	    (rc = export_messages(&x, e)) == 0 &&
	    (rc = export_broken(&x, e)) == 0 &&
	    (rc = tell_objects(&x, e)) == 0 &&
	    (rc = export_bundles(&x, e)) == 0)
		rc = export_custody(&x, e);
	map_free(x.underway);
	buf_release(&x.scratch);
	return rc;
}
