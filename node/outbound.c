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
#include "smtp/extension.h"

#define PIECE 65536

/* Exim -bS takes 8-bit content and no word about it. */
unsigned
outbound_extensions(const struct conf_peer *peer)
{
	if (peer->plain && peer->dialect == BUNDLE_BSMTP)
		return SMTP_EXT_8BITMIME;
	return (SMTP_EXT_RFC2442 | peer->extensions) &
	    ~(peer->dsn ? 0 : (unsigned)SMTP_EXT_DSN);
}

char *
outbound_params(const struct conf *conf, const struct conf_peer *peer,
    unsigned needs)
{
	unsigned required = needs & ~(unsigned)SMTP_EXT_RFC2442;

	if (peer->gzip && peer->dialect == BUNDLE_RFC2442)
		required |= SMTP_EXT_XGZIP;
	return mem_printf("dialect=%d\ngzip=%d\nencoding=%d\nids=%d\n"
	    "plain=%d\nextensions=%u\nrequired=%u\nhelo=%s\nfrom=%s\nto=%s\n",
	    (int)peer->dialect, peer->gzip, (int)peer->encoding, peer->ids,
	    peer->plain, outbound_extensions(peer), required, conf->hostname,
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

bool
outbound_carries_dsn(const char *params)
{
	return (param_number(params, "extensions") & SMTP_EXT_DSN) != 0;
}

struct batch_out {
	struct outbound base;
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
keep(void *ctx, const char *bytes, size_t len, struct err *e)
{
	struct batch_out *ob = ctx;

	(void)e;
	buf_add(&ob->made, bytes, len);
	return 0;
}

static void
start_writer(struct batch_out *ob)
{
	const char *params = ob->base.object.params;
	struct bundle_params bp = {
		.dialect = (enum bundle_dialect)param_number(params,
		    "dialect"),
		.gzip = param_number(params, "gzip") != 0,
		.gzip_level = 6,
		.encoding = (enum mime_encoding)param_number(params,
		    "encoding"),
		.ids = param_number(params, "ids") != 0,
		.plain = param_number(params, "plain") != 0,
		.extensions = param_number(params, "extensions"),
		.required = param_number(params, "required"),
		.date_ms = ob->base.object.cut_wall_ms,
	};

	ob->helo = param(params, "helo");
	ob->from = param(params, "from");
	ob->to = param(params, "to");
	ob->id = mem_printf(OUTBOUND_ID_PREFIX "%s-%" PRIu64,
	    spool_id(ob->base.x->spool), ob->base.object.id);
	bp.helo = ob->helo;
	bp.from = ob->from;
	bp.to = ob->to;
	bp.id = ob->id;
	ob->writer = bundle_writer_new(&bp, keep, ob);
	feed_init(&ob->feed, ob->base.x->spool, ob->writer, ob->base.object.part,
	    ob->base.object.nparts, ob->base.object.cut_secs);
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
	start_writer(ob);
	*ob_out = &ob->base;
	return 0;
}

void
outbound_free(struct outbound *base)
{
	struct batch_out *ob = batch_out_of(base);

	feed_release(&ob->feed);
	bundle_writer_free(ob->writer);
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

	if (rc != 0)
		return rc < 0 ? rc : 0;
	ob->finished = true;
	return bundle_writer_finish(ob->writer, e);
}

/* The message at hand is damaged: it fails alone, the others wait again. */
static void
put_aside(struct batch_out *ob, struct err *e)
{
	struct exchange *x = ob->base.x;
	struct cut *c = map_get_u64(x->cuts, ob->base.object.id);
	uint64_t id = feed_message(&ob->feed);
	struct target *t = c != NULL ? c->target : NULL;
	struct entry *entry;
	struct err e2 = ERR_INIT;
	size_t i;

	log_event(x->log, LOG_LEVEL_WARNING, "message-damaged",
	    "id", message_name(id).s, "reason", e->text, NULL);
	if (c == NULL || cut_withdraw(x, c, &e2) != 0)
		return;
	t->wanted = true;	/* the others need not wait for the next call */
	entry = map_get_u64(x->entries, id);
	for (i = 0; entry != NULL && i < entry->nlegs; i++) {
		if (entry->leg[i].nrcpt > 0 &&
		    entry->leg[i].status == LEG_READY)
			settle_fail(x, &entry->leg[i], STATUS_DAMAGED,
			    "the stored content is damaged", false);
	}
}

int
outbound_read(struct outbound *base, struct buf *out, struct err *e)
{
	struct batch_out *ob = batch_out_of(base);
	int rc = 0;

	while (rc == 0 && !ob->finished && ob->made.len < PIECE)
		rc = step(ob, e);
	if (rc == ERR_CORRUPT || rc == ERR_UNSUPPORTED)
		put_aside(ob, e);
	if (rc != 0)
		return rc;
	if (ob->made.len == 0)
		return 0;
	buf_addslice(out, buf_slice(&ob->made));
	buf_clear(&ob->made);
	return 1;
}
