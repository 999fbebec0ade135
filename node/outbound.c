/* SPDX-License-Identifier: ISC */
/*
 * The octets of an object, from its record and the messages it names.  The
 * parameters are kept as text in the record, so that an object made again
 * after a restart, even under another configuration, has the same octets.
 */
#include "node/outbound.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "node/exchange_private.h"
#include "node/feed.h"
#include "node/measure.h"
#include "smtp/extension.h"

#define PIECE 65536
#define STEPS 64		/* in one turn, though nothing come of them */

/* Exim -bS takes 8-bit content and no word about it. */
unsigned
outbound_extensions(const struct conf_peer *peer)
{
	if (peer->plain && peer->dialect == BUNDLE_BSMTP)
		return peer->convert == CONVERT_7BIT ? 0 : SMTP_EXT_8BITMIME;
	return (SMTP_EXT_RFC2442 | peer->extensions) &
	    ~(peer->dsn ? 0 : (unsigned)SMTP_EXT_DSN) &
	    ~(peer->convert == CONVERT_7BIT ? (unsigned)SMTP_EXT_8BITMIME :
	    0);
}

char *
outbound_params(const struct conf *conf, const struct conf_peer *peer,
    unsigned needs)
{
	unsigned required = needs & ~(unsigned)SMTP_EXT_RFC2442;

	if (peer->gzip && peer->dialect == BUNDLE_RFC2442)
		required |= SMTP_EXT_XGZIP;
	return mem_printf("dialect=%d\ngzip=%d\nencoding=%d\npath=%d\nids=%d\n"
	    "plain=%d\nextensions=%u\nconvert=%d\nrequired=%u\nhelo=%s\n"
	    "from=%s\nto=%s\n",
	    (int)peer->dialect, peer->gzip, (int)peer->encoding,
	    (int)peer->path, peer->ids, peer->plain,
	    outbound_extensions(peer), peer->convert != CONVERT_NONE,
	    required, conf->hostname,
	    conf->address != NULL ? conf->address : "",
	    peer->address != NULL ? peer->address : "");
}

/* The value of a key in the text above; the caller frees. */
static char *
param(const char *params, const char *key)
{
	const char *line = params, *end;
	size_t len = strlen(key);

	for (; line != NULL && *line != '\0'; line = end + 1) {
		end = strchr(line, '\n');
		if (end == NULL)
			break;
		if (strncmp(line, key, len) == 0 && line[len] == '=')
			return mem_strndup(line + len + 1,
			    (size_t)(end - line) - len - 1);
	}
	return mem_strdup("");
}

static unsigned
param_number(const char *params, const char *key)
{
	char *text = param(params, key);
	uint64_t n = 0;

	if (num_parse(slice_of(text), UINT32_MAX, &n) != 0)
		n = 0;
	free(text);
	return (unsigned)n;
}

unsigned
outbound_carries(const char *params)
{
	return param_number(params, "extensions");
}

struct batch_out {
	struct outbound base;
	bool measuring;		/* what is written counts and goes nowhere */
	struct measure measure;
	struct bundle_writer *writer;
	char *id, *helo, *from, *to;
	struct buf made;
	struct feed feed;
	bool finished;
};

static struct batch_out *
batch_out_of(struct outbound *base)
{
	return list_entry(base, struct batch_out, base);
}

static int
count(void *ctx, const char *bytes, size_t len, struct err *e)
{
	struct batch_out *ob = ctx;

	(void)e;
	measure_add(&ob->measure, bytes, len);
	return 0;
}

static int
keep(void *ctx, const char *bytes, size_t len, struct err *e)
{
	struct batch_out *ob = ctx;

	(void)e;
	buf_add(&ob->made, bytes, len);
	return 0;
}

static void
start_writer(struct batch_out *ob, enum mime_encoding encoding)
{
	const struct object *o = &ob->base.object;
	struct bundle_params bp = {
		.dialect = (enum bundle_dialect)param_number(o->params,
		    "dialect"),
		.gzip = param_number(o->params, "gzip") != 0,
		.gzip_level = 6,
		.encoding = encoding,
		.ids = param_number(o->params, "ids") != 0,
		.plain = param_number(o->params, "plain") != 0,
		.extensions = param_number(o->params, "extensions"),
		.required = param_number(o->params, "required"),
		.date_ms = o->cut_wall_ms,
	};

	bp.helo = ob->helo;
	bp.from = ob->from;
	bp.to = ob->to;
	bp.id = ob->id;
	ob->writer = bundle_writer_new(&bp, ob->measuring ? count : keep, ob);
	feed_init(&ob->feed, ob->base.x->spool, ob->writer, o->part, o->nparts,
	    o->cut_secs);
	if (param_number(o->params, "convert") != 0)
		feed_convert(&ob->feed, bp.extensions);
}

static void
stop_writer(struct batch_out *ob)
{
	feed_release(&ob->feed);
	bundle_writer_free(ob->writer);
}

/* An encoding that is to be chosen is chosen by what would go without. */
static void
start(struct batch_out *ob)
{
	const char *params = ob->base.object.params;

	ob->helo = param(params, "helo");
	ob->from = param(params, "from");
	ob->to = param(params, "to");
	/* Objects cut by an earlier version have short names. */
	if (strlen(ob->base.object.name) == OUTBOUND_ID_LEN)
		ob->id = mem_strdup(ob->base.object.name);
	else
		ob->id = mem_printf(OUTBOUND_ID_PREFIX "%s-%" PRIu64,
		    spool_id(ob->base.x->spool), ob->base.object.id);
	ob->measuring = param_number(params, "path") != CONF_PATH_UNKNOWN &&
	    param_number(params, "gzip") == 0 &&
	    param_number(params, "dialect") == BUNDLE_RFC2442;
	measure_init(&ob->measure);
	start_writer(ob, ob->measuring ? MIME_BINARY :
	    (enum mime_encoding)param_number(params, "encoding"));
}

/* All was written once. */
static int
finish(struct batch_out *ob, struct err *e)
{
	enum conf_path path = (enum conf_path)param_number(
	    ob->base.object.params, "path");
	int rc = bundle_writer_finish(ob->writer, e);

	ob->finished = !ob->measuring;
	if (rc != 0 || ob->finished)
		return rc;
	ob->measuring = false;
	stop_writer(ob);
	start_writer(ob, measure_choose(&ob->measure, path));
	return 0;
}

int
outbound_new(struct exchange *x, struct object *o, struct outbound **ob_out,
    struct err *e)
{
	struct batch_out *ob = mem_alloc(1, sizeof(*ob));

	(void)e;
	ob->base.dialect = &batch_dialect;
	ob->base.x = x;
	ob->base.object = *o;
	start(ob);
	*ob_out = &ob->base;
	return 0;
}

void
outbound_free(struct outbound *base)
{
	struct batch_out *ob = batch_out_of(base);

	stop_writer(ob);
	object_release(&ob->base.object);
	buf_release(&ob->made);
	free(ob->id);
	free(ob->helo);
	free(ob->from);
	free(ob->to);
	free(ob);
}

static int
step(struct batch_out *ob, struct err *e)
{
	int rc = feed_step(&ob->feed, e);

	if (rc == 0)
		return finish(ob, e);
	return rc < 0 ? rc : 0;
}

/* Takes the message at hand out of the object; the others wait again.  Its
 * entry, or NULL. */
static struct entry *
put_aside(struct batch_out *ob, struct target **t_out)
{
	struct exchange *x = ob->base.x;
	struct cut *c = map_get_u64(x->cuts, ob->base.object.id);
	uint64_t id = feed_message(&ob->feed);
	struct err e = ERR_INIT;
	struct lane *l;

	if (c == NULL)
		return NULL;
	l = c->lane;
	*t_out = l->target;
	if (cut_withdraw(x, c, &e) != 0)
		return NULL;
	l->wanted = true;	/* and not for the next call */
	return map_get_u64(x->entries, id);
}

/* It fails alone, for whoever it is. */
static void
fail_damaged(struct batch_out *ob, const struct err *e)
{
	struct exchange *x = ob->base.x;
	uint64_t id = feed_message(&ob->feed);
	struct target *t;
	struct entry *entry;

	log_event(x->log, LOG_LEVEL_WARNING, "message-damaged",
	    "id", message_name(id).s, "reason", e->text, NULL);
	entry = put_aside(ob, &t);
	for (size_t i = 0; entry != NULL && i < entry->nlegs; i++) {
		if (entry->leg[i].nrcpt > 0 &&
		    entry->leg[i].status == LEG_READY)
			settle_fail(x, &entry->leg[i], STATUS_DAMAGED,
			    "the stored content is damaged", false);
	}
}

/* This road cannot carry it, and it cannot be converted. */
static void
fail_refused(struct batch_out *ob)
{
	const struct smtp_refusal *r = feed_refusal(&ob->feed);
	struct target *t;
	struct entry *entry = put_aside(ob, &t);
	char *text = mem_printf("the road to this site cannot carry it: %s",
	    r->text);

	for (size_t i = 0; entry != NULL && i < entry->nlegs; i++) {
		if (entry->leg[i].target == t && entry->leg[i].nrcpt > 0 &&
		    entry->leg[i].status == LEG_READY)
			settle_fail(ob->base.x, &entry->leg[i], r->status,
			    text, false);
	}
	free(text);
}

int
outbound_read(struct outbound *base, struct buf *out, struct err *e)
{
	struct batch_out *ob = batch_out_of(base);
	int rc = 0;

	for (int i = 0; rc == 0 && i < STEPS && !ob->finished &&
	    ob->made.len < PIECE; i++)
		rc = step(ob, e);
	if (rc == ERR_CORRUPT)
		fail_damaged(ob, e);
	else if (rc == ERR_UNSUPPORTED)
		fail_refused(ob);
	if (rc != 0)
		return rc;
	if (ob->finished && ob->made.len == 0)
		return 0;
	if (!ob->finished && ob->made.len < PIECE)
		return 1;
	buf_addslice(out, buf_slice(&ob->made));
	buf_clear(&ob->made);
	return 1;
}
