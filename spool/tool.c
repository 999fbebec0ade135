/* SPDX-License-Identifier: ISC */
/*
 * Reading a whole spool: to see that it is sound, and to bring it up to date.
 */
#include "spool/tool.h"

#include <stdlib.h>

#include "base/mem.h"
#include "spool/kept.h"

struct check {
	struct spool *sp;
	struct spool_report *report;
	spool_told *told;
	void *ctx;
	struct buf scratch;
};

static void
note_damage(struct check *c, const char *text)
{
	c->report->damaged++;
	c->told(c->ctx, text);
}

/* Damage is told and the walk goes on; anything else ends it. */
static int
weigh(struct check *c, int rc, const struct err *e)
{
	if (rc != ERR_CORRUPT || store_failed(c->sp->store))
		return rc;
	note_damage(c, e->text);
	return 0;
}

static int
check_body(struct check *c, uint64_t id, struct err *e)
{
	struct spool_body *b;
	int rc = spool_body_open(c->sp, id, &b, e);

	if (rc < 0)
		return rc;
	while ((rc = spool_body_read(b, &c->scratch, e)) > 0) {
		c->report->octets += c->scratch.len;
		buf_clear(&c->scratch);
	}
	spool_body_close(b);
	return rc;
}

/* A step of a walk, of which spool_next_* said got: 1 there is a record; 0 it
 * is damaged, which is told; negative the walk is over. */
static int
step(struct check *c, int got, struct err *e)
{
	if (got == 0)
		return 1;
	return got == ERR_NOT_FOUND ? got : weigh(c, got, e);
}

/* How a walk ended that is over. */
static int
end_of(int rc)
{
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int
check_message(struct check *c, const struct message *m, struct err *e)
{
	struct message_state st = { 0 };
	int rc;

	c->report->messages++;
	rc = weigh(c, check_body(c, m->id, e), e);
	if (rc == 0)
		rc = weigh(c, spool_get_state(c->sp, m->id, m->env.nrcpt, &st,
		    e), e);
	message_state_release(&st);
	return rc;
}

static int
check_messages(struct check *c, struct err *e)
{
	struct message m;
	uint64_t id = 0;
	int rc, got;

	while ((got = step(c, spool_next_message(c->sp, &id, &m, e), e)) >=
	    0) {
		if (got == 0)
			continue;
		rc = check_message(c, &m, e);
		message_release(&m);
		if (rc < 0)
			return rc;
	}
	return end_of(got);
}

/* "object oslo-1 for oslo" */
static void
check_parts(struct check *c, const char *what, const struct object_part *part,
    size_t nparts)
{
	struct message m;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < nparts; i++) {
		int rc = spool_get_message(c->sp, part[i].message, &m, &e);
		char *text;

		message_release(&m);
		if (rc != ERR_NOT_FOUND)
			continue;
		text = mem_printf("%s names message %s, which is not there",
		    what, message_name(part[i].message).s);
		note_damage(c, text);
		free(text);
	}
}

static int
check_objects(struct check *c, struct err *e)
{
	struct object o;
	uint64_t id = 0;
	char *what;
	int got;

	while ((got = step(c, spool_next_object(c->sp, &id, &o, e), e)) >=
	    0) {
		if (got == 0)
			continue;
		c->report->objects++;
		what = mem_printf("object %s for %s", o.name, o.road);
		if (o.status != OBJECT_SENT)
			check_parts(c, what, o.part, o.nparts);
		free(what);
		object_release(&o);
	}
	return end_of(got);
}

static int
check_broken(struct check *c, struct err *e)
{
	struct broken b;
	uint64_t id = 0;
	int rc, got;

	while ((got = step(c, spool_next_broken(c->sp, &id, &b, e), e)) >=
	    0) {
		if (got == 0)
			continue;
		c->report->broken++;
		broken_release(&b);
		if ((rc = weigh(c, check_body(c, id, e), e)) < 0)
			return rc;
	}
	return end_of(got);
}

static int
check_ledger(struct check *c, struct err *e)
{
	struct buf key = BUF_INIT;
	struct ledger_entry l;
	int rc;

	while ((rc = store_next(c->sp->store, STORE_LEDGER, false, &key, 0,
	    &c->scratch, e)) == 0) {
		c->report->ledger++;
		if (ledger_record_get(buf_slice(&c->scratch),
		    buf_slice(&key), &l) < 0)
			note_damage(c, "spool: an entry of the ledger is "
			    "damaged");
	}
	buf_clear(&c->scratch);
	buf_release(&key);
	return end_of(rc);
}

static int
count_octets(void *ctx, struct slice octets, struct err *e)
{
	struct check *c = ctx;

	(void)e;
	c->report->octets += octets.len;
	return 0;
}

/* Whole, or what its record says is there. */
static int
check_pieces(struct check *c, const struct bundle *b, struct err *e)
{
	int rc = 0;

	if (b->role != BUNDLE_ARRIVING)
		return weigh(c, bundle_each(c->sp, b->id, 0, b->octets,
		    count_octets, c, e), e);
	for (size_t i = 0; i < b->nranges && rc == 0; i++) {
		const struct bundle_range *r = &b->range[i];

		if (r->done)
			rc = weigh(c, bundle_each(c->sp, b->id, r->offset,
			    r->offset + r->octets, count_octets, c, e), e);
	}
	return rc;
}

static int
check_bundles(struct check *c, struct err *e)
{
	struct bundle b;
	uint64_t id = 0;
	int rc, got;

	while ((got = step(c, spool_next_bundle(c->sp, &id, &b, e), e)) >=
	    0) {
		if (got == 0)
			continue;
		c->report->bundles++;
		rc = check_pieces(c, &b, e);
		bundle_release(&b);
		if (rc < 0)
			return rc;
	}
	return end_of(got);
}

static int
check_serials(struct check *c, struct err *e)
{
	struct buf at = BUF_INIT;
	struct serial_out s;
	char *what;
	int got;

	while ((got = spool_next_serial_out(c->sp, NULL, 0, &at, &s, e)) !=
	    ERR_NOT_FOUND) {
		/* A damaged one is told by check_custody. */
		if (got < 0 && got != ERR_CORRUPT)
			break;
		if (got == 0 && s.status != SERIAL_SETTLED) {
			what = mem_printf("serial %llu for %s",
			    (unsigned long long)s.serial, s.site);
			check_parts(c, what, s.part, s.nparts);
			free(what);
		}
		serial_out_release(&s);
	}
	buf_release(&at);
	return end_of(got);
}

static int
check_custody(struct check *c, enum store_table t, struct err *e)
{
	struct buf key = BUF_INIT;
	int rc;

	while ((rc = store_next(c->sp->store, t, false, &key, 0, &c->scratch,
	    e)) == 0) {
		c->report->custody++;
		rc = weigh(c, kept_check(t, buf_slice(&key),
		    buf_slice(&c->scratch), e), e);
		if (rc < 0)
			break;
	}
	buf_clear(&c->scratch);
	buf_release(&key);
	return end_of(rc);
}

int
spool_verify(struct spool *sp, struct spool_report *report_out,
    spool_told *told, void *ctx, struct err *e)
{
	struct check c = { .sp = sp, .report = report_out, .told = told,
	    .ctx = ctx };
	int rc;

	*report_out = (struct spool_report){ 0 };
	if ((rc = check_messages(&c, e)) == 0 &&
	    (rc = check_objects(&c, e)) == 0 &&
	    (rc = check_broken(&c, e)) == 0 &&
	    (rc = check_ledger(&c, e)) == 0 &&
	    (rc = check_bundles(&c, e)) == 0)
		rc = check_serials(&c, e);
	for (int t = STORE_SERIAL_OUT; t < STORE_TABLES && rc == 0; t++)
		rc = check_custody(&c, (enum store_table)t, e);
	buf_release(&c.scratch);
	return rc;
}

/* From 1 to 2: tables came that are empty at first and have been made by now,
 * and epochs, of which the next start opens the first.  No record that was
 * there changes. */
static int
upgrade_from(struct store *store, uint32_t schema, struct err *e)
{
	struct buf value = BUF_INIT;
	int rc;

	if (schema != 1)
		return err_set(e, ERR_UNSUPPORTED, "spool: there is no way "
		    "from schema %u to %u", schema, SPOOL_SCHEMA);
	if ((rc = store_begin(store, e)) < 0)
		return rc;
	record_begin(&value);
	buf_put32(&value, SPOOL_SCHEMA);
	rc = meta_put(store, "schema", &value, e);
	buf_release(&value);
	if (rc == 0)
		return store_commit(store, true, e);
	store_abort(store);
	return rc;
}

int
spool_upgrade(const char *dir, const char *backup_dir, struct err *e)
{
	struct store_options opts;
	struct store *store;
	struct reader r;
	struct buf value = BUF_INIT;
	uint32_t schema = 0;
	int rc;

	store_options_default(&opts);
	opts.dir = dir;
	opts.create = false;
	opts.keep_logs = true;
	if ((rc = store_open_bdb(&opts, &store, e)) < 0)
		return rc;
	rc = meta_get(store, "schema", &value, &r, e);
	if (rc == 0)
		schema = read32(&r);
	if (rc == 0 && schema > SPOOL_SCHEMA)
		rc = err_set(e, ERR_STATE, "spool: schema %u is newer than "
		    "this program's %u", schema, SPOOL_SCHEMA);
	if (rc == 0 && schema < SPOOL_SCHEMA &&
	    (rc = store_backup(store, backup_dir, e)) == 0)
		rc = upgrade_from(store, schema, e);
	buf_release(&value);
	store_close(store);
	return rc;
}
