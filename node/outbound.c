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
#include "node/content.h"
#include "node/exchange_private.h"
#include "node/measure.h"
#include "smtp/extension.h"

#define RECIPIENTS_MAX 100	/* of a transaction, RFC 5321 4.5.3.1.8 */
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

struct outbound {
	struct exchange *x;
	struct object object;
	bool measuring;		/* what is written counts and goes nowhere */
	struct measure measure;
	struct bundle_writer *writer;
	char *id, *helo, *from, *to;
	struct buf made, text;
	size_t part;			/* at hand */
	size_t rcpt;			/* of it, written so far */
	size_t chosen[RECIPIENTS_MAX], nchosen;
	struct message m;
	struct content *content;
	bool preparing;		/* it */
	bool finished;
	struct smtp_refusal refusal;	/* of the message at hand */
};

static int
count(void *ctx, const char *bytes, size_t len, struct err *e)
{
	struct outbound *ob = ctx;

	(void)e;
	measure_add(&ob->measure, bytes, len);
	return 0;
}

static int
keep(void *ctx, const char *bytes, size_t len, struct err *e)
{
	struct outbound *ob = ctx;

	(void)e;
	buf_add(&ob->made, bytes, len);
	return 0;
}

static void
start_writer(struct outbound *ob, enum mime_encoding encoding)
{
	const char *params = ob->object.params;
	struct bundle_params bp = {
		.dialect = (enum bundle_dialect)param_number(params,
		    "dialect"),
		.gzip = param_number(params, "gzip") != 0,
		.gzip_level = 6,
		.encoding = encoding,
		.ids = param_number(params, "ids") != 0,
		.plain = param_number(params, "plain") != 0,
		.extensions = param_number(params, "extensions"),
		.required = param_number(params, "required"),
		.date_ms = ob->object.cut_wall_ms,
	};

	bundle_writer_free(ob->writer);
	ob->part = ob->rcpt = 0;
	bp.helo = ob->helo;
	bp.from = ob->from;
	bp.to = ob->to;
	bp.id = ob->id;
	ob->writer = bundle_writer_new(&bp, ob->measuring ? count : keep, ob);
}

/* An encoding that is to be chosen is chosen by what would go without. */
static void
start(struct outbound *ob)
{
	const char *params = ob->object.params;

	ob->helo = param(params, "helo");
	ob->from = param(params, "from");
	ob->to = param(params, "to");
	ob->id = mem_printf("pr-%s-%" PRIu64, spool_id(ob->x->spool),
	    ob->object.id);
	ob->measuring = param_number(params, "path") != CONF_PATH_UNKNOWN &&
	    param_number(params, "gzip") == 0 &&
	    param_number(params, "dialect") == BUNDLE_RFC2442;
	measure_init(&ob->measure);
	start_writer(ob, ob->measuring ? MIME_BINARY :
	    (enum mime_encoding)param_number(params, "encoding"));
}

/* All was written once. */
static int
finish(struct outbound *ob, struct err *e)
{
	enum conf_path path = (enum conf_path)param_number(ob->object.params,
	    "path");
	int rc = bundle_writer_finish(ob->writer, e);

	ob->finished = !ob->measuring;
	if (rc != 0 || ob->finished)
		return rc;
	ob->measuring = false;
	start_writer(ob, measure_choose(&ob->measure, path));
	return 0;
}

int
exchange_outbound_new(struct exchange *x, uint64_t object,
    struct outbound **ob_out, struct err *e)
{
	struct outbound *ob = mem_alloc(1, sizeof(*ob));
	int rc;

	ob->x = x;
	object_init(&ob->object);
	message_init(&ob->m);
	rc = spool_get_object(x->spool, object, &ob->object, e);
	if (rc != 0) {
		exchange_outbound_free(ob);
		return rc;
	}
	start(ob);
	*ob_out = ob;
	return 0;
}

void
exchange_outbound_free(struct outbound *ob)
{
	if (ob == NULL)
		return;
	content_close(ob->content);
	bundle_writer_free(ob->writer);
	message_release(&ob->m);
	object_release(&ob->object);
	buf_release(&ob->made);
	buf_release(&ob->text);
	free(ob->id);
	free(ob->helo);
	free(ob->from);
	free(ob->to);
	free(ob);
}

/* Opens the content for the next recipients of the part at hand. */
static int
begin(struct outbound *ob, struct err *e)
{
	const struct object_part *part = &ob->object.part[ob->part];
	const char *params = ob->object.params;
	int rc = 0;

	if (ob->rcpt == 0) {
		message_release(&ob->m);
		message_init(&ob->m);
		rc = spool_get_message(ob->x->spool, part->message, &ob->m, e);
		/* Counted to when it was cut: made again it is the same. */
		smtp_timing_pass(&ob->m.env.timing, ob->object.cut_secs >
		    ob->m.accepted_secs ? ob->object.cut_secs -
		    ob->m.accepted_secs : 0);
	}
	ob->nchosen = 0;
	while (rc == 0 && ob->nchosen < RECIPIENTS_MAX &&
	    ob->rcpt < part->nrcpt)
		ob->chosen[ob->nchosen++] = part->rcpt[ob->rcpt++];
	if (rc == 0)
		rc = content_open(ob->x->spool, &ob->m, ob->chosen,
		    ob->nchosen, param_number(params, "extensions"),
		    param_number(params, "convert") != 0, &ob->content, e);
	ob->preparing = rc == 0;
	return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
}

/* A piece of getting it ready; then its transaction begins. */
static int
prepare(struct outbound *ob, struct err *e)
{
	int rc = content_prepare(ob->content, &ob->refusal, e);

	if (rc != 0)
		return rc == 1 ? 0 : rc;
	ob->preparing = false;
	rc = bundle_writer_begin(ob->writer, content_envelope(ob->content),
	    content_facts(ob->content), ob->m.hops, ob->chosen, ob->nchosen,
	    e);
	if (rc == ERR_UNSUPPORTED)
		ob->refusal = *bundle_writer_refusal(ob->writer);
	return rc;
}

static int
step(struct outbound *ob, struct err *e)
{
	int rc;

	if (ob->content == NULL && ob->part == ob->object.nparts)
		return finish(ob, e);
	if (ob->content == NULL)
		return begin(ob, e);
	if (ob->preparing)
		return prepare(ob, e);
	buf_clear(&ob->text);
	rc = content_read(ob->content, &ob->text, e);
	if (rc >= 0 && ob->text.len > 0 && bundle_writer_content(ob->writer,
	    ob->text.ptr, ob->text.len, e) < 0)
		return e->code;
	if (rc != 0)
		return rc == 1 ? 0 : rc;
	content_close(ob->content);
	ob->content = NULL;
	if (ob->rcpt == ob->object.part[ob->part].nrcpt) {
		ob->part++;
		ob->rcpt = 0;
	}
	return bundle_writer_end_message(ob->writer, e);
}

/* Takes the message at hand out of the object; the others wait again.  Its
 * entry, or NULL. */
static struct entry *
put_aside(struct outbound *ob, struct target **t_out)
{
	struct exchange *x = ob->x;
	struct cut *c = map_get_u64(x->cuts, ob->object.id);
	uint64_t id = ob->object.part[ob->part].message;
	struct err e = ERR_INIT;

	if (c == NULL)
		return NULL;
	*t_out = c->target;
	if (cut_withdraw(x, c, &e) != 0)
		return NULL;
	(*t_out)->wanted = true;	/* and not for the next call */
	return map_get_u64(x->entries, id);
}

/* It fails alone, for whoever it is. */
static void
fail_damaged(struct outbound *ob, const struct err *e)
{
	struct exchange *x = ob->x;
	uint64_t id = ob->object.part[ob->part].message;
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
fail_refused(struct outbound *ob)
{
	struct target *t;
	struct entry *entry = put_aside(ob, &t);
	char *text = mem_printf("the road to this site cannot carry it: %s",
	    ob->refusal.text);

	for (size_t i = 0; entry != NULL && i < entry->nlegs; i++) {
		if (entry->leg[i].target == t && entry->leg[i].nrcpt > 0 &&
		    entry->leg[i].status == LEG_READY)
			settle_fail(ob->x, &entry->leg[i],
			    ob->refusal.status, text, false);
	}
	free(text);
}

int
exchange_outbound_read(struct outbound *ob, struct buf *out, struct err *e)
{
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
