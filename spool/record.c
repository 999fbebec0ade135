/* SPDX-License-Identifier: ISC */
/*
 * Records as octets.  A message's content has a CRC of its own, so that its
 * envelope can be read and checked without the content behind it.  Reading
 * trusts nothing: counts are held against the octets that are there before
 * anything is allocated.
 */
#include "spool/record.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

static void
store_be(char *p, uint64_t v, size_t octets)
{
	for (size_t i = 0; i < octets; i++)
		p[i] = (char)(unsigned char)(v >> (8 * (octets - 1 - i)));
}

struct id_key
id_key(uint64_t id)
{
	struct id_key k = { { 0 } };

	store_be(k.s, id, sizeof(k.s));
	return k;
}

struct slice
id_slice(const struct id_key *k)
{
	return (struct slice){ k->s, sizeof(k->s) };
}

int
id_of_key(struct slice key, uint64_t *id_out)
{
	struct reader r = reader_of(key.ptr, key.len);

	*id_out = read64(&r);
	return r.failed || r.len != 0 ? -1 : 0;
}

struct chunk_key
chunk_key(uint64_t id, uint32_t n)
{
	struct chunk_key k = { { 0 } };

	store_be(k.s, id, 8);
	store_be(k.s + 8, n, 4);
	return k;
}

struct slice
chunk_slice(const struct chunk_key *k)
{
	return (struct slice){ k->s, sizeof(k->s) };
}

void
record_begin(struct buf *out)
{
	buf_clear(out);
	buf_put32(out, 0);
}

void
record_end(struct buf *out, struct slice key)
{
	uint32_t crc = crc32c(0, key.ptr, key.len);

	crc = crc32c(crc, out->ptr + 4, out->len - 4);
	store_be(out->ptr, crc, 4);
}

struct reader
record_open(struct slice key, struct slice value)
{
	struct reader r = reader_of(value.ptr, value.len);
	uint32_t want = read32(&r), crc = crc32c(0, key.ptr, key.len);

	if (!r.failed && crc32c(crc, r.ptr, r.len) != want)
		r.failed = true;
	return r;
}

int
record_finish(const struct reader *r)
{
	return r->failed || r->len != 0 ? ERR_CORRUPT : 0;
}

unsigned
record_enum(struct reader *r, unsigned last)
{
	unsigned v = read8(r);

	if (v > last)
		r->failed = true;
	return v > last ? 0 : v;
}

size_t
record_count(struct reader *r, size_t least)
{
	uint32_t n = read32(r);

	if (!r->failed && n > r->len / least)
		r->failed = true;
	return r->failed ? 0 : n;
}

static void
put_timing(struct buf *out, const struct smtp_timing *t)
{
	buf_put8(out, t->priority_given);
	buf_put8(out, (uint8_t)(t->priority + SMTP_PRIORITY_MAX));
	buf_put8(out, (uint8_t)t->by);
	buf_put8(out, t->by_trace);
	buf_put64(out, (uint64_t)t->by_secs);
	buf_put8(out, (uint8_t)t->hold);
	buf_put64(out, t->hold_value);
}

static void
put_envelope(struct buf *out, const struct envelope *env)
{
	bool timed = !smtp_timing_is_none(&env->timing);

	buf_put_text(out, env->helo);
	buf_put_text(out, env->sender);
	buf_put_text(out, env->envid);
	buf_put8(out, (uint8_t)env->ret);
	buf_put8(out, (uint8_t)env->body);
	buf_put8(out, (uint8_t)(env->smtputf8 | env->size_given << 1 |
	    timed << 2));
	buf_put64(out, env->size);
	if (timed)
		put_timing(out, &env->timing);
	buf_put32(out, (uint32_t)env->nrcpt);
	for (size_t i = 0; i < env->nrcpt; i++) {
		buf_put_text(out, env->rcpt[i].address);
		buf_put_text(out, env->rcpt[i].notify);
		buf_put_text(out, env->rcpt[i].orcpt);
	}
}

static void
read_recipient(struct reader *r, struct envelope *env)
{
	char *address = read_text(r), *notify = read_text(r);
	char *orcpt = read_text(r);

	if (address == NULL)
		r->failed = true;
	else
		envelope_add_recipient(env, address, notify, orcpt);
	free(address);
	free(notify);
	free(orcpt);
}

static void
read_timing(struct reader *r, struct smtp_timing *t)
{
	t->priority_given = record_enum(r, 1) != 0;
	t->priority = (int)record_enum(r, 2 * SMTP_PRIORITY_MAX) -
	    SMTP_PRIORITY_MAX;
	t->by = (enum smtp_by)record_enum(r, SMTP_BY_NOTIFY);
	t->by_trace = record_enum(r, 1) != 0;
	t->by_secs = (int64_t)read64(r);
	t->hold = (enum smtp_hold)record_enum(r, SMTP_HOLD_UNTIL);
	t->hold_value = read64(r);
}

static void
read_envelope(struct reader *r, struct envelope *env)
{
	unsigned flags;
	size_t n;

	env->helo = read_text(r);
	env->sender = read_text(r);
	env->envid = read_text(r);
	env->ret = (enum smtp_ret)record_enum(r, SMTP_RET_HDRS);
	env->body = (enum smtp_body)record_enum(r, SMTP_BODY_BINARYMIME);
	flags = record_enum(r, 7);
	env->smtputf8 = flags & 1;
	env->size_given = flags >> 1 & 1;
	env->size = read64(r);
	/* Records of mail without them have no room for them: they are as
	 * they were before there were such parameters. */
	if ((flags & 4) != 0)
		read_timing(r, &env->timing);
	n = record_count(r, 12);
	while (n-- > 0 && !r->failed)
		read_recipient(r, env);
}

void
message_record_put(struct buf *out, const struct message *m,
    struct slice inline_content)
{
	struct id_key key = id_key(m->id);
	uint32_t crc;

	buf_clear(out);
	(void)buf_room(out, inline_content.len + 512);
	buf_put64(out, 0);
	buf_put8(out, RECORD_VERSION);
	buf_put8(out, (uint8_t)m->kind);
	buf_put64(out, m->facts.octets);
	buf_put32(out, crc32c(0, inline_content.ptr, inline_content.len));
	buf_put32(out, m->facts.flags);
	buf_put32(out, m->facts.received);
	put_envelope(out, &m->env);
	buf_put_text(out, m->source);
	buf_put_text(out, m->peer);
	buf_put32(out, m->hops);
	buf_put64(out, (uint64_t)m->accepted_wall_ms);
	buf_put64(out, m->accepted_secs);
	/* Where it is not imported there is no room for it, as before there
	 * was such a thing. */
	if (m->was_epoch != 0) {
		buf_put64(out, m->was_epoch);
		buf_put64(out, m->was_number);
	}
	store_be(out->ptr + 4, out->len - MESSAGE_FRONT, 4);
	crc = crc32c(0, key.s, sizeof(key.s));
	store_be(out->ptr, crc32c(crc, out->ptr + 4, out->len - 4), 4);
	if (inline_content.len > 0)
		buf_addslice(out, inline_content);
}

int
message_record_octets(struct slice value, uint64_t *octets_out)
{
	struct reader r = reader_of(value.ptr, value.len);

	(void)read64(&r);
	(void)read16(&r);
	*octets_out = read64(&r);
	return r.failed ? ERR_CORRUPT : 0;
}

size_t
message_record_head(struct slice value)
{
	struct reader r = reader_of(value.ptr, value.len);
	uint32_t len;

	(void)read32(&r);
	len = read32(&r);
	return r.failed || len > MESSAGE_HEAD_MAX ? 0 : MESSAGE_FRONT + len;
}

int
message_record_get(struct slice value, uint64_t id, struct message *m_out,
    uint32_t *content_crc_out)
{
	size_t head = message_record_head(value);
	struct id_key key = id_key(id);
	struct reader r;
	uint32_t crc;

	if (head == 0 || head > value.len)
		return ERR_CORRUPT;
	r = record_open(id_slice(&key), (struct slice){ value.ptr, head });
	(void)read32(&r);
	if (read8(&r) != RECORD_VERSION)
		r.failed = true;
	m_out->id = id;
	m_out->kind = (enum message_kind)record_enum(&r, MESSAGE_POSTMASTER);
	m_out->facts.octets = read64(&r);
	crc = read32(&r);
	m_out->facts.flags = read32(&r);
	m_out->facts.received = read32(&r);
	read_envelope(&r, &m_out->env);
	m_out->source = read_text(&r);
	m_out->peer = read_text(&r);
	m_out->hops = read32(&r);
	m_out->accepted_wall_ms = (int64_t)read64(&r);
	m_out->accepted_secs = read64(&r);
	if (!r.failed && r.len > 0) {
		m_out->was_epoch = read64(&r);
		m_out->was_number = read64(&r);
	}
	if (content_crc_out != NULL)
		*content_crc_out = crc;
	return record_finish(&r);
}

/* Behind all others, where records of old have none. */
static void
put_attempts(struct buf *out, const struct message_state *st)
{
	bool any = false;

	for (size_t i = 0; i < st->n; i++)
		any = any || st->rcpt[i].attempt_ms != 0;
	for (size_t i = 0; any && i < st->n; i++)
		buf_put64(out, (uint64_t)st->rcpt[i].attempt_ms);
}

void
state_record_put(struct buf *out, uint64_t id, const struct message_state *st)
{
	struct id_key key = id_key(id);

	record_begin(out);
	buf_put8(out, RECORD_VERSION);
	buf_put32(out, (uint32_t)st->n);
	for (size_t i = 0; i < st->n; i++) {
		const struct recipient_state *rs = &st->rcpt[i];

		buf_put8(out, (uint8_t)rs->status);
		buf_put32(out, rs->attempts);
		buf_put64(out, rs->next_secs);
		buf_put8(out, (uint8_t)(rs->delay_told | rs->unsure << 1));
		buf_put_text(out, rs->status_code);
		buf_put_text(out, rs->text);
	}
	put_attempts(out, st);
	record_end(out, id_slice(&key));
}

static void
read_recipient_state(struct reader *r, struct recipient_state *rs)
{
	unsigned flags;
	char *code;
	size_t len;

	rs->status = (enum recipient_status)record_enum(r, RCPT_FAILED);
	rs->attempts = read32(r);
	rs->next_secs = read64(r);
	flags = record_enum(r, 3);
	rs->delay_told = (flags & 1) != 0;
	rs->unsure = (flags & 2) != 0;
	code = read_text(r);
	len = code == NULL ? 0 : strlen(code);
	if (len >= sizeof(rs->status_code))
		r->failed = true;
	else if (len > 0)
		memcpy(rs->status_code, code, len + 1);
	free(code);
	rs->text = read_text(r);
}

int
state_record_get(struct slice value, uint64_t id, size_t nrcpt,
    struct message_state *st_out)
{
	struct id_key key = id_key(id);
	struct reader r = record_open(id_slice(&key), value);

	if (read8(&r) != RECORD_VERSION || read32(&r) != nrcpt || r.failed)
		return ERR_CORRUPT;
	message_state_init(st_out, nrcpt);
	for (size_t i = 0; i < nrcpt && !r.failed; i++)
		read_recipient_state(&r, &st_out->rcpt[i]);
	for (size_t i = 0; r.len > 0 && i < nrcpt && !r.failed; i++)
		st_out->rcpt[i].attempt_ms = (int64_t)read64(&r);
	return record_finish(&r);
}

void
object_record_put(struct buf *out, const struct object *o)
{
	struct id_key key = id_key(o->id);

	record_begin(out);
	buf_put8(out, RECORD_VERSION);
	buf_put8(out, (uint8_t)o->status);
	buf_put_text(out, o->road);
	buf_put_text(out, o->name);
	buf_put_text(out, o->params);
	buf_put64(out, (uint64_t)o->cut_wall_ms);
	buf_put64(out, o->cut_secs);
	buf_put64(out, o->octets);
	buf_add(out, o->digest, sizeof(o->digest));
	record_put_parts(out, o->part, o->nparts);
	record_end(out, id_slice(&key));
}

void
record_put_parts(struct buf *out, const struct object_part *part,
    size_t nparts)
{
	buf_put32(out, (uint32_t)nparts);
	for (size_t i = 0; i < nparts; i++) {
		buf_put64(out, part[i].message);
		buf_put32(out, (uint32_t)part[i].nrcpt);
		for (size_t k = 0; k < part[i].nrcpt; k++)
			buf_put16(out, part[i].rcpt[k]);
	}
}

void
record_parts(struct reader *r, struct object_part **part_out,
    size_t *nparts_out)
{
	size_t n = *nparts_out = record_count(r, 12);

	*part_out = mem_alloc(n + 1, sizeof(**part_out));
	for (size_t i = 0; i < n && !r->failed; i++) {
		struct object_part *p = &(*part_out)[i];

		p->message = read64(r);
		p->nrcpt = record_count(r, 2);
		p->rcpt = mem_alloc(p->nrcpt + 1, sizeof(*p->rcpt));
		for (size_t k = 0; k < p->nrcpt; k++)
			p->rcpt[k] = read16(r);
	}
}

int
object_record_get(struct slice value, uint64_t id, struct object *o_out)
{
	struct id_key key = id_key(id);
	struct reader r = record_open(id_slice(&key), value);

	if (read8(&r) != RECORD_VERSION)
		r.failed = true;
	o_out->id = id;
	o_out->status = (enum object_status)record_enum(&r, OBJECT_SENT);
	o_out->road = read_text(&r);
	o_out->name = read_text(&r);
	o_out->params = read_text(&r);
	o_out->cut_wall_ms = (int64_t)read64(&r);
	o_out->cut_secs = read64(&r);
	o_out->octets = read64(&r);
	for (size_t i = 0; i < sizeof(o_out->digest); i++)
		o_out->digest[i] = read8(&r);
	record_parts(&r, &o_out->part, &o_out->nparts);
	return record_finish(&r);
}

void
ledger_key(struct buf *out, const char *peer, struct slice key)
{
	buf_clear(out);
	buf_add(out, peer, strlen(peer) + 1);
	buf_addslice(out, key);
}

void
ledger_record_put(struct buf *out, struct slice key,
    const struct ledger_entry *l)
{
	record_begin(out);
	buf_put8(out, RECORD_VERSION);
	buf_put8(out, l->done);
	buf_put64(out, l->transactions);
	buf_put64(out, l->first_secs);
	record_end(out, key);
}

int
ledger_record_get(struct slice value, struct slice key,
    struct ledger_entry *l_out)
{
	struct reader r = record_open(key, value);

	if (read8(&r) != RECORD_VERSION)
		r.failed = true;
	l_out->done = record_enum(&r, 1) != 0;
	l_out->transactions = read64(&r);
	l_out->first_secs = read64(&r);
	return record_finish(&r);
}

void
broken_record_put(struct buf *out, const struct broken *b,
    struct slice inline_content)
{
	struct id_key key = id_key(b->id);

	record_begin(out);
	buf_put8(out, RECORD_VERSION);
	buf_put_text(out, b->peer);
	buf_put_text(out, b->name);
	buf_put_text(out, b->reason);
	buf_put64(out, (uint64_t)b->wall_ms);
	buf_put64(out, b->secs);
	buf_put64(out, b->octets);
	buf_put_bytes(out, inline_content.ptr, inline_content.len);
	record_end(out, id_slice(&key));
}

int
broken_record_get(struct slice value, uint64_t id, struct broken *b_out,
    struct slice *content_out)
{
	struct id_key key = id_key(id);
	struct reader r = record_open(id_slice(&key), value);
	struct slice content;

	if (read8(&r) != RECORD_VERSION)
		r.failed = true;
	b_out->id = id;
	b_out->peer = read_text(&r);
	b_out->name = read_text(&r);
	b_out->reason = read_text(&r);
	b_out->wall_ms = (int64_t)read64(&r);
	b_out->secs = read64(&r);
	b_out->octets = read64(&r);
	content = read_bytes(&r);
	if (content_out != NULL)
		*content_out = content;
	return record_finish(&r);
}
