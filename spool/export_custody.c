/* SPDX-License-Identifier: ISC */
/*
 * What of the native dialect means something elsewhere: whole bundles that
 * came from a peer, which counts on us, and what was received of other sites.
 * Our own bundles and serials are left out: their mail is exported, its names
 * tell the far site what it has of it, and that it was under way is noted, so
 * that nobody is told that it did not arrive if no result ever comes.
 */
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "spool/carry.h"
#include "spool/custodyfile.h"
#include "spool/envfile.h"

struct bundle_file {
	struct carry *x;
	struct file_writer w;
};

struct part_key {
	char octets[10];
};

static struct slice
part_key(struct part_key *k, uint64_t message, size_t rcpt)
{
	struct buf b = BUF_INIT;

	buf_put64(&b, message);
	buf_put16(&b, (uint16_t)rcpt);
	memcpy(k->octets, b.ptr, sizeof(k->octets));
	buf_release(&b);
	return (struct slice){ k->octets, sizeof(k->octets) };
}

static void
gather_serial(struct carry *x, const struct serial_out *s)
{
	struct part_key k;
	size_t i, n;

	for (i = 0; i < s->nparts; i++) {
		for (n = 0; n < s->part[i].nrcpt; n++)
			map_put(x->underway, part_key(&k, s->part[i].message,
			    s->part[i].rcpt[n]), x);
	}
}

int
export_gather(struct carry *x, struct err *e)
{
	struct buf at = BUF_INIT;
	struct serial_out s;
	int rc;

	do {
		rc = spool_next_serial_out(x->sp, NULL, 0, &at, &s, e);
		if (rc == 0)
			gather_serial(x, &s);
		serial_out_release(&s);
		rc = rc == ERR_NOT_FOUND ? rc : export_weigh(x, rc, e);
	} while (rc == 0);
	buf_release(&at);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

void
export_mark(const struct carry *x, uint64_t id, struct message_state *st)
{
	struct part_key k;

	for (size_t i = 0; i < st->n && i <= UINT16_MAX; i++) {
		if (map_get(x->underway, part_key(&k, id, i)) != NULL)
			st->rcpt[i].unsure = true;
	}
}

static int
write_octets(void *ctx, struct slice octets, struct err *e)
{
	struct bundle_file *f = ctx;

	f->x->report->octets += octets.len;
	return file_writer_add(&f->w, octets.ptr, octets.len, e);
}

static int
export_bundle(struct carry *x, const char *dir, const struct bundle *b,
    struct err *e)
{
	struct bundle_file f = { x, FILE_WRITER_INIT };
	char *name = mem_printf("%s.bun", message_name(b->id).s);
	int rc = file_writer_open(&f.w, dir, name, 0600, e);

	if (rc == 0)
		rc = bundle_each(x->sp, b->id, 0, b->octets, write_octets, &f,
		    e);
	if (rc == 0)
		rc = file_writer_commit(&f.w, true, e);
	file_writer_abort(&f.w);
	if (rc == 0) {
		wayfile_put(&x->scratch, b, spool_elapsed_secs(x->sp));
		rc = export_text(x, dir, b->id, "way", e);
	}
	x->report->bundles += rc == 0;
	free(name);
	return rc;
}

/* The origin sends again what is not whole. */
static void
tell_incomplete(struct carry *x, const struct bundle *b)
{
	char *text = mem_printf("a bundle from %s is left out: it is not "
	    "whole", b->from);

	x->told(x->ctx, text);
	free(text);
}

int
export_bundles(struct carry *x, struct err *e)
{
	char *dir = path_join(x->dir, "bundle");
	struct bundle b;
	uint64_t id = 0;
	int rc = file_make_dirs(dir, 0700, e);

	while (rc == 0 && (rc = spool_next_bundle(x->sp, &id, &b, e)) !=
	    ERR_NOT_FOUND) {
		if (rc == 0 && b.from != NULL) {
			if (b.role == BUNDLE_ARRIVING)
				tell_incomplete(x, &b);
			else
				rc = export_bundle(x, dir, &b, e);
		}
		bundle_release(&b);
		rc = export_weigh(x, rc, e);
	}
	free(dir);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* A record as a line in scratch. */
static int
put_record(struct carry *x, enum store_table t, struct slice key,
    struct slice value, struct err *e)
{
	const struct kept *k = kept_of(t, key);
	uint64_t now = spool_elapsed_secs(x->sp);
	struct seen seen = { 0 };
	union kept_any v;
	int rc = kept_check(t, key, value, e);

	if (rc < 0)
		return rc;
	if (t == STORE_SEEN) {
		rc = seen_decode(key, value, &seen.expire_secs);
		seen.kind = key.ptr[0];
		buf_add(&seen.key, key.ptr + 1, key.len - 1);
		custodyfile_put_seen(&x->scratch, &seen, now);
		buf_release(&seen.key);
	} else if (custodyfile_has(k)) {
		memset(&v, 0, sizeof(v));
		rc = kept_decode(k, key, value, &v, e);
		custodyfile_put(&x->scratch, k, &v, now);
		k->release(&v);
	} else {
		return 0;
	}
	x->report->custody++;
	return rc;
}

static int
export_table(struct carry *x, struct file_writer *w, enum store_table t,
    struct err *e)
{
	struct buf key = BUF_INIT, value = BUF_INIT;
	int rc = 0;

	while (rc == 0 && (rc = store_next(spool_store(x->sp), t, false, &key,
	    0, &value, e)) == 0) {
		rc = export_weigh(x, put_record(x, t, buf_slice(&key),
		    buf_slice(&value), e), e);
		if (rc == 0)
			rc = file_writer_add(w, x->scratch.ptr,
			    x->scratch.len, e);
		buf_clear(&x->scratch);
	}
	buf_release(&key);
	buf_release(&value);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

int
export_custody(struct carry *x, struct err *e)
{
	static const enum store_table tables[] = { STORE_FLOW,
		STORE_SERIAL_IN, STORE_TAKEN, STORE_SEEN, STORE_SITE };
	struct file_writer w = FILE_WRITER_INIT;
	int rc = file_writer_open(&w, x->dir, "custody.txt", 0600, e);

	if (rc == 0)
		rc = file_writer_add(&w, CUSTODYFILE_HEAD "\n",
		    sizeof(CUSTODYFILE_HEAD), e);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]) && rc == 0;
	    i++)
		rc = export_table(x, &w, tables[i], e);
	if (rc == 0)
		rc = file_writer_commit(&w, true, e);
	file_writer_abort(&w);
	return rc;
}
