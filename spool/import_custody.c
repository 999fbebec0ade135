/* SPDX-License-Identifier: ISC */
/*
 * The way back of what export_custody.c wrote.  Bundles are checked against
 * their name before their record makes them exist.  Of the records those that
 * the spool has already stay as they are.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "spool/carry.h"
#include "spool/custodyfile.h"
#include "spool/envfile.h"

#define WAY_MAX 65536

static int
take_id(struct carry *in, uint64_t *id_out, struct err *e)
{
	struct spool_unit *u;
	int rc = spool_begin(in->sp, &u, e);

	in->spool_refuses = true;
	return rc < 0 ? rc : import_unit(in, u,
	    spool_take_bundle_id(u, id_out, e), e);
}

static int
put_octets(struct carry *in, uint64_t id, uint64_t offset,
    struct slice octets, struct err *e)
{
	struct spool_unit *u;
	int rc = spool_begin(in->sp, &u, e);

	in->spool_refuses = true;
	return rc < 0 ? rc : import_unit(in, u,
	    spool_put_piece(u, id, offset, octets, e), e);
}

/* Up to a piece: what is there. */
static int
read_some(int fd, const char *path, struct buf *out, struct err *e)
{
	ssize_t n = 1;

	buf_clear(out);
	while (out->len < SPOOL_PIECE_MAX && n > 0) {
		n = file_read_some(fd, buf_room(out,
		    SPOOL_PIECE_MAX - out->len), SPOOL_PIECE_MAX - out->len);
		if (n < 0)
			return err_errno(e, "read %s", path);
		buf_grown(out, (size_t)n);
	}
	return 0;
}

/* Its pieces, and whether they are what its name says. */
static int
read_octets(struct carry *in, int fd, const char *path,
    const struct bundle *b, struct err *e)
{
	unsigned char digest[SHA256_LEN];
	struct sha256 h;
	uint64_t at = 0;
	int rc;

	sha256_init(&h);
	do {
		rc = read_some(fd, path, &in->scratch, e);
		if (rc < 0 || in->scratch.len == 0)
			break;
		sha256_add(&h, in->scratch.ptr, in->scratch.len);
		rc = put_octets(in, b->id, at, buf_slice(&in->scratch), e);
		at += in->scratch.len;
	} while (rc == 0 && at <= b->octets);
	if (rc < 0)
		return rc;
	sha256_end(&h, digest);
	if (at != b->octets || memcmp(digest, b->name, BUNDLE_NAME_LEN) != 0)
		return err_set(e, ERR_CORRUPT, "%s is not the bundle that is "
		    "meant", path);
	return 0;
}

static int
add_bundle(struct carry *in, struct bundle *b, struct err *e)
{
	struct slice name = { (const char *)b->name, sizeof(b->name) };
	struct spool_unit *u;
	int rc = spool_begin(in->sp, &u, e);

	in->spool_refuses = true;
	if (rc == 0)
		rc = import_unit(in, u, spool_put_bundle(u, b, e), e);
	if (rc < 0)
		return rc;
	map_put(in->bundles, name, in);
	in->report->bundles++;
	in->report->octets += b->octets;
	return 0;
}

static int
read_bundle(struct carry *in, const char *path, struct bundle *b,
    struct err *e)
{
	struct slice name = { (const char *)b->name, sizeof(b->name) };
	int fd, rc;

	if (map_get(in->bundles, name) != NULL)
		return err_set(e, ERR_EXISTS, "the spool has that bundle");
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return err_errno(e, "open %s", path);
	if ((rc = take_id(in, &b->id, e)) == 0 &&
	    (rc = read_octets(in, fd, path, b, e)) == 0)
		rc = add_bundle(in, b, e);
	(void)close(fd);
	if (rc < 0 && b->id != 0)
		spool_drop_bundle_id(in->sp, b->id);
	return rc;
}

static int
import_bundle(struct carry *in, const char *way_path, const char *bun_path,
    struct err *e)
{
	struct buf text = BUF_INIT;
	struct bundle b;
	int rc;

	bundle_init(&b);
	rc = file_read(way_path, WAY_MAX, &text, e);
	if (rc == 0)
		rc = wayfile_get(buf_slice(&text),
		    spool_elapsed_secs(in->sp), &b, e);
	if (rc == 0)
		rc = read_bundle(in, bun_path, &b, e);
	bundle_release(&b);
	buf_release(&text);
	return rc;
}

int
import_bundles(struct carry *in, struct err *e)
{
	struct bundle b;
	uint64_t id = 0;
	int rc;

	while ((rc = spool_next_bundle(in->sp, &id, &b, e)) !=
	    ERR_NOT_FOUND) {
		if (rc < 0 && rc != ERR_CORRUPT)
			return rc;
		map_put(in->bundles, (struct slice){ (const char *)b.name,
		    sizeof(b.name) }, in);
		bundle_release(&b);
	}
	return import_dir(in, "bundle", ".way", ".bun", import_bundle, e);
}

/* Is there one of that key?  A damaged one is one. */
static int
has_record(struct spool *sp, const struct kept *k, const void *v,
    struct err *e)
{
	int rc;

	buf_clear(&sp->key);
	k->key(&sp->key, v);
	rc = store_get(sp->store, k->table, buf_slice(&sp->key), 1,
	    &sp->value, e);
	if (rc == ERR_NOT_FOUND)
		return 0;
	return rc < 0 ? rc : 1;
}

/* The origin's floor never goes back. */
static int
merge_flow(struct spool_unit *u, struct flow_in *f, struct err *e)
{
	struct flow_in old;
	int rc = spool_get_flow_in(u->sp, f->origin, f->epoch, &old, e);

	if (rc == 0 && old.floor > f->floor)
		f->floor = old.floor;
	if (rc == 0 && old.last_secs > f->last_secs)
		f->last_secs = old.last_secs;
	flow_in_release(&old);
	if (rc < 0 && rc != ERR_NOT_FOUND)
		return rc == ERR_CORRUPT ? 0 : rc;
	return kept_put(u, &kept_flow_in, f, e);
}

static int
put_line(struct spool_unit *u, struct custody_line *l, struct err *e)
{
	struct slice key = buf_slice(&l->seen.key);
	int rc;

	if (l->kept == &kept_flow_in)
		return merge_flow(u, &l->any.flow_in, e);
	if (l->kept != NULL) {
		rc = has_record(u->sp, l->kept, &l->any, e);
		return rc != 0 ? (rc < 0 ? rc : 0) :
		    kept_put(u, l->kept, &l->any, e);
	}
	rc = spool_get_seen(u->sp, l->seen.kind, key, e);
	return rc != 0 ? (rc < 0 ? rc : 0) : spool_put_seen(u, l->seen.kind,
	    key, l->seen.expire_secs, e);
}

struct lines {
	struct carry *in;
	const char *path;
	struct spool_unit *u;
	unsigned long long number;
};

static int
begin_lines(struct lines *l, struct err *e)
{
	int rc = spool_begin(l->in->sp, &l->u, e);

	/* Room on the disk is asked for. */
	if (rc == 0)
		l->u->adds = true;
	return rc;
}

static void
leave_line(struct lines *l, const char *why)
{
	char *text = mem_printf("%s: line %llu is left: %s", l->path,
	    l->number, why);

	l->in->told(l->in->ctx, text);
	l->in->report->damaged++;
	free(text);
}

static int
take_line(struct lines *l, struct slice line, struct err *e)
{
	struct spool *sp = l->in->sp;
	struct custody_line c;
	int rc = 0;

	if (++l->number == 1)
		return slice_eqs(line, CUSTODYFILE_HEAD) ? 0 :
		    err_set(e, ERR_SYNTAX, "%s: line 1 is not \"%s\"",
		    l->path, CUSTODYFILE_HEAD);
	if (custodyfile_get(line, spool_elapsed_secs(sp), &c) < 0) {
		leave_line(l, "it cannot be understood");
	} else if ((rc = put_line(l->u, &c, e)) == ERR_LIMIT) {
		/* Nothing of it was put. */
		leave_line(l, e->text);
		rc = 0;
	} else if (rc == 0) {
		l->in->report->custody++;
	}
	custody_line_release(&c);
	if (rc == 0 && spool_unit_octets(l->u) >= SPOOL_UNIT_MAX) {
		rc = spool_commit(l->u, false, e);
		l->u = NULL;
		if (rc == 0)
			rc = begin_lines(l, e);
	}
	return rc;
}

/* The lines that are whole in b; at the end what is left is one too. */
static int
take_lines(struct lines *l, struct buf *b, bool end, struct err *e)
{
	int rc = 0;

	while (b->len > 0 && rc == 0) {
		const char *nl = memchr(b->ptr, '\n', b->len);
		size_t len = nl == NULL ? b->len : (size_t)(nl - b->ptr);

		if (nl == NULL && !end)
			return b->len <= CUSTODYFILE_LINE_MAX ? 0 :
			    err_set(e, ERR_LIMIT, "%s: line %llu has more "
			    "than %d octets", l->path, l->number + 1,
			    CUSTODYFILE_LINE_MAX);
		rc = take_line(l, (struct slice){ b->ptr, len }, e);
		buf_consume(b, len + (nl != NULL));
	}
	return rc;
}

static int
read_lines(struct lines *l, int fd, struct err *e)
{
	struct buf held = BUF_INIT;
	bool end = false;
	int rc = 0;

	while (rc == 0 && !end) {
		rc = read_some(fd, l->path, &l->in->scratch, e);
		end = l->in->scratch.len == 0;
		buf_addslice(&held, buf_slice(&l->in->scratch));
		if (rc == 0)
			rc = take_lines(l, &held, end, e);
	}
	if (rc == 0 && l->number == 0)
		rc = err_set(e, ERR_SYNTAX, "%s is empty", l->path);
	buf_release(&held);
	return rc;
}

int
import_custody(struct carry *in, struct err *e)
{
	char *path = path_join(in->dir, "custody.txt");
	struct lines l = { .in = in, .path = path };
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		rc = err_errno(e, "open %s", path);
	if (rc == 0 && (rc = begin_lines(&l, e)) == 0)
		rc = read_lines(&l, fd, e);
	if (fd >= 0)
		(void)close(fd);
	if (rc == 0)
		rc = spool_commit(l.u, false, e);
	else if (l.u != NULL)
		spool_abort(l.u);
	free(path);
	/* An export of an older version has none. */
	return fd < 0 && rc == ERR_NOT_FOUND ? 0 : rc;
}
