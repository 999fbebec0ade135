/* SPDX-License-Identifier: ISC */
/*
 * Items.  Urgency is decided anew for each record, so a small file overtakes
 * a large one behind the record that is being sent.  A sender starts at the
 * offset that it knows or guesses and jumps when the peer says that it has
 * more; nobody waits.
 */
#include "transports/link_items.h"
#include "base/mem.h"
#include "base/text.h"

#include <stdlib.h>

enum item {
	/* by the sender of a file: with the slot */
	ITEM_OFFER = 1, ITEM_DATA, ITEM_SEEK, ITEM_WITHDRAW,
	/* by its receiver: with the id */
	ITEM_HAVE, ITEM_BACK, ITEM_DONE, ITEM_REFUSE,
	/* by either end */
	ITEM_IDLE, ITEM_END
};

#define ITEM_OPTIONAL 0x80	/* with a u16 length: may be skipped */
#define DATA_HEADER 4
#define REASON_MAX 100

uint64_t
link_file_id(const struct link_file *f)
{
	unsigned char digest[SHA256_LEN];
	struct buf text = BUF_INIT;
	struct sha256 h;
	struct reader r;

	buf_put64(&text, f->size);
	buf_add(&text, f->hash, sizeof(f->hash));
	buf_adds(&text, f->name);
	sha256_init(&h);
	sha256_add(&h, text.ptr, text.len);
	sha256_end(&h, digest);
	buf_release(&text);
	r = reader_of(digest, sizeof(digest));
	return read64(&r);
}

void
items_init(struct items *it, const struct link_host *host, void *ctx)
{
	*it = (struct items){ .host = host, .ctx = ctx,
	    .control = BUF_INIT };
}

void
items_release(struct items *it)
{
	items_restart(it);
	for (size_t i = 0; i < LINK_FILES_MAX; i++)
		free(it->out[i].name);
	buf_release(&it->control);
}

void
items_restart(struct items *it)
{
	for (unsigned i = 0; i < LINK_FILES_MAX; i++) {
		struct out_slot *s = &it->out[i];

		if (s->state != OUT_FREE) {
			s->state = OUT_WAITING;
			s->pos = 0;
		}
		if (it->in[i].state == IN_TAKING)
			it->host->leave(it->ctx, i, false);
		it->in[i].state = IN_FREE;
	}
	buf_clear(&it->control);
	it->nknown = it->next_known = 0;
	it->told_idle = it->peer_idle = it->peer_ended = false;
}

bool
items_offer(struct items *it, const struct link_file *f)
{
	for (size_t i = 0; i < LINK_FILES_MAX; i++) {
		struct out_slot *s = &it->out[i];

		if (s->state != OUT_FREE)
			continue;
		s->name = mem_strdup(f->name);
		s->file = *f;
		s->file.name = s->name;
		s->id = link_file_id(f);
		s->pos = 0;
		s->order = it->order++;
		s->state = OUT_WAITING;
		it->told_idle = false;
		return true;
	}
	return false;
}

bool
items_idle(const struct items *it)
{
	for (size_t i = 0; i < LINK_FILES_MAX; i++)
		if (it->out[i].state != OUT_FREE)
			return false;
	return it->control.len == 0;
}

bool
items_quiet(const struct items *it)
{
	for (size_t i = 0; i < LINK_FILES_MAX; i++)
		if (it->in[i].state == IN_TAKING)
			return false;
	return items_idle(it);
}

/* The most urgent file that has something to send, or NULL. */
static struct out_slot *
most_urgent(struct items *it)
{
	struct out_slot *best = NULL;

	for (size_t i = 0; i < LINK_FILES_MAX; i++) {
		struct out_slot *s = &it->out[i];

		if (s->state != OUT_WAITING && s->state != OUT_SENDING)
			continue;
		if (best == NULL || s->file.priority < best->file.priority ||
		    (s->file.priority == best->file.priority &&
		    s->order < best->order))
			best = s;
	}
	return best;
}

bool
items_ready(const struct items *it)
{
	bool any = false;

	for (size_t i = 0; i < LINK_FILES_MAX; i++) {
		enum out_state state = it->out[i].state;

		any = any || state != OUT_FREE;
		if (state == OUT_WAITING || state == OUT_SENDING)
			return true;
	}
	return it->control.len > 0 || (!any && !it->told_idle);
}

static void
free_out(struct out_slot *s)
{
	free(s->name);
	*s = (struct out_slot){ .state = OUT_FREE };
}

/* Queues an item that begins with type and slot, for the caller to end. */
static void
queue(struct items *it, const struct buf *item)
{
	buf_put16(&it->control, (uint16_t)item->len);
	buf_addslice(&it->control, buf_slice(item));
}

static void
queue_type(struct items *it, enum item type)
{
	struct buf item = BUF_INIT;

	buf_put8(&item, (uint8_t)type);
	queue(it, &item);
	buf_release(&item);
}

static void
queue_withdraw(struct items *it, unsigned slot)
{
	struct buf item = BUF_INIT;

	buf_put8(&item, ITEM_WITHDRAW);
	buf_put8(&item, (uint8_t)slot);
	queue(it, &item);
	buf_release(&item);
}

static void
queue_seek(struct items *it, const struct out_slot *s)
{
	struct buf item = BUF_INIT;

	buf_put8(&item, ITEM_SEEK);
	buf_put8(&item, (uint8_t)(s - it->out));
	buf_put64(&item, s->pos);
	queue(it, &item);
	buf_release(&item);
}

/* Octets of the file that the peer has, if this is about it and can be. */
static uint64_t
told_of(const struct out_slot *s, const struct link_partial *p)
{
	uint64_t have = p->have == LINK_PARTIAL_WHOLE ? s->file.size :
	    p->have;

	return s->id == p->id && have <= s->file.size ? have : 0;
}

void
items_known(struct items *it, const struct link_partial *p)
{
	for (size_t i = 0; i < LINK_FILES_MAX; i++) {
		struct out_slot *s = &it->out[i];

		if (s->state != OUT_SENDING || told_of(s, p) <= s->pos)
			continue;
		s->pos = told_of(s, p);
		queue_seek(it, s);
		if (s->pos == s->file.size)
			s->state = OUT_SENT;
	}
	it->known[it->next_known] = *p;
	it->next_known = (it->next_known + 1) % LINK_PARTIALS_MAX;
	if (it->nknown < LINK_PARTIALS_MAX)
		it->nknown++;
}

static void
start_sending(struct items *it, struct out_slot *s, struct buf *record)
{
	for (size_t i = 0; i < it->nknown; i++)
		if (told_of(s, &it->known[i]) > 0)
			s->pos = told_of(s, &it->known[i]);
	buf_put8(record, ITEM_OFFER);
	buf_put8(record, (uint8_t)(s - it->out));
	buf_put8(record, s->file.priority);
	buf_put64(record, s->file.size);
	buf_add(record, s->file.hash, sizeof(s->file.hash));
	buf_put64(record, s->pos);
	buf_put8(record, (uint8_t)strlen(s->name));
	buf_adds(record, s->name);
	s->state = s->pos == s->file.size ? OUT_SENT : OUT_SENDING;
}

/* Octets of the file, at most room with the item's header. */
static void
put_data(struct items *it, struct out_slot *s, struct buf *record,
    size_t room)
{
	size_t start = record->len, len = room - DATA_HEADER;
	char *to = buf_room(record, room);
	unsigned slot = (unsigned)(s - it->out);
	int n;

	if (len > s->file.size - s->pos)
		len = (size_t)(s->file.size - s->pos);
	n = it->host->read(it->ctx, s->file.tag, s->pos, to + DATA_HEADER,
	    len);
	if (n <= 0) {
		uint64_t tag = s->file.tag;

		free_out(s);
		queue_withdraw(it, slot);
		it->host->failed(it->ctx, tag, false,
		    SLICE_LIT("cannot be read any more"));
		return;
	}
	buf_grown(record, DATA_HEADER + (size_t)n);
	record->ptr[start] = ITEM_DATA;
	record->ptr[start + 1] = (char)slot;
	record->ptr[start + 2] = (char)(n >> 8);
	record->ptr[start + 3] = (char)n;
	s->pos += (uint64_t)n;
	if (s->pos == s->file.size)
		s->state = OUT_SENT;
}

static void
put_control(struct items *it, struct buf *record, size_t max)
{
	while (it->control.len > 0) {
		struct reader r = reader_of(it->control.ptr, it->control.len);
		size_t len = read16(&r);

		if (record->len + len > max)
			break;
		buf_add(record, r.ptr, len);
		buf_consume(&it->control, 2 + len);
	}
}

#define OFFER_LEN(name_len) (52 + (name_len))

void
items_fill(struct items *it, struct buf *record, size_t max)
{
	struct out_slot *s;

	put_control(it, record, max);
	while (record->len + DATA_HEADER < max &&
	    (s = most_urgent(it)) != NULL) {
		if (s->state == OUT_WAITING) {
			if (record->len > 0 && record->len +
			    OFFER_LEN(strlen(s->name)) > max)
				return;
			start_sending(it, s, record);
		} else {
			put_data(it, s, record, max - record->len);
			/* Who waits for its end does not wait for more. */
			if (s->state == OUT_SENT && s->file.size > max)
				return;
		}
		put_control(it, record, max);
	}
	if (items_idle(it) && !it->told_idle && record->len < max) {
		buf_put8(record, ITEM_IDLE);
		it->told_idle = true;
	}
}

void
items_end(struct items *it)
{
	queue_type(it, ITEM_END);
}

/* Answers name the file by its id, as its slot may mean another by then. */
static void
queue_id(struct items *it, enum item type, unsigned slot)
{
	struct buf item = BUF_INIT;

	buf_put8(&item, (uint8_t)type);
	buf_put64(&item, it->in[slot].id);
	if (type != ITEM_DONE)
		buf_put64(&item, it->in[slot].have);
	queue(it, &item);
	buf_release(&item);
}

static void
refuse(struct items *it, unsigned slot, bool permanent, const char *text)
{
	struct buf item = BUF_INIT;

	buf_put8(&item, ITEM_REFUSE);
	buf_put64(&item, it->in[slot].id);
	buf_put8(&item, permanent);
	buf_put8(&item, (uint8_t)strlen(text));
	buf_adds(&item, text);
	queue(it, &item);
	buf_release(&item);
	it->in[slot].state = IN_SKIPPING;
}

/* All octets of the file are there. */
static void
finish_in(struct items *it, unsigned slot)
{
	struct in_slot *s = &it->in[slot];
	int rc = it->host->close(it->ctx, slot);

	if (rc == 0) {
		s->state = IN_FREE;
		queue_id(it, ITEM_DONE, slot);
	} else if (rc == ERR_CORRUPT && ++s->tries < ITEMS_TRIES) {
		s->have = 0;
		queue_id(it, ITEM_BACK, slot);
	} else {
		if (rc == ERR_CORRUPT)
			it->host->leave(it->ctx, slot, true);
		refuse(it, slot, false, rc == ERR_CORRUPT ?
		    "its hash does not agree" : "cannot be stored");
	}
}

static void
open_in(struct items *it, unsigned slot, const struct link_file *f,
    uint64_t pos)
{
	struct in_slot *s = &it->in[slot];
	enum link_verdict verdict;

	*s = (struct in_slot){ .state = IN_TAKING, .size = f->size,
	    .pos = pos, .id = link_file_id(f) };
	verdict = it->host->open(it->ctx, slot, f, &s->have);
	if (verdict == LINK_HAVE_ALL) {
		s->state = IN_SKIPPING;
		s->have = s->size;
		queue_id(it, ITEM_DONE, slot);
	} else if (verdict != LINK_TAKE) {
		refuse(it, slot, verdict == LINK_REFUSE_NEVER,
		    verdict == LINK_REFUSE_NEVER ? "is not accepted here" :
		    "cannot be stored now");
	} else if (s->have >= s->size) {
		finish_in(it, slot);
	} else if (s->have > pos) {
		queue_id(it, ITEM_HAVE, slot);
	} else if (s->have < pos) {
		queue_id(it, ITEM_BACK, slot);
	}
}

static int
take_offer(struct items *it, struct reader *r, unsigned slot)
{
	struct link_file f = { .priority = read8(r) };
	char name[LINK_NAME_MAX + 1];
	uint64_t pos;
	size_t len;

	f.size = read64(r);
	if (r->len < sizeof(f.hash))
		return ERR_SYNTAX;
	memcpy(f.hash, r->ptr, sizeof(f.hash));
	r->ptr += sizeof(f.hash);
	r->len -= sizeof(f.hash);
	pos = read64(r);
	len = read8(r);
	if (r->failed || r->len < len || len == 0 || pos > f.size ||
	    memchr(r->ptr, '\0', len) != NULL)
		return ERR_SYNTAX;
	memcpy(name, r->ptr, len);
	name[len] = '\0';
	r->ptr += len;
	r->len -= len;
	f.name = name;
	it->peer_idle = false;
	if (it->in[slot].state == IN_TAKING)
		it->host->leave(it->ctx, slot, false);
	open_in(it, slot, &f, pos);
	return 0;
}

static int
take_data(struct items *it, struct reader *r, unsigned slot)
{
	struct in_slot *s = &it->in[slot];
	size_t len = read16(r), skip;
	const char *octets = r->ptr;

	if (r->failed || r->len < len)
		return ERR_SYNTAX;
	r->ptr += len;
	r->len -= len;
	if (s->state != IN_TAKING)
		return 0;
	if (len > s->size - s->pos)
		return ERR_SYNTAX;
	s->pos += len;
	if (s->pos - len > s->have || s->pos <= s->have)
		return 0;
	skip = (size_t)(s->have - (s->pos - len));
	if (it->host->write(it->ctx, slot, octets + skip, len - skip) < 0) {
		it->host->leave(it->ctx, slot, false);
		refuse(it, slot, false, "cannot be stored now");
		return 0;
	}
	s->have = s->pos;
	if (s->have == s->size)
		finish_in(it, slot);
	return 0;
}

static int
take_seek(struct items *it, struct reader *r, unsigned slot)
{
	uint64_t pos = read64(r);

	if (r->failed || (it->in[slot].state == IN_TAKING &&
	    pos > it->in[slot].size))
		return ERR_SYNTAX;
	it->in[slot].pos = pos;
	return 0;
}

static int
take_have(struct items *it, struct reader *r)
{
	struct link_partial p = { .id = read64(r) };

	p.have = read64(r);
	if (!r->failed)
		items_known(it, &p);
	return r->failed ? ERR_SYNTAX : 0;
}

/* The file that the peer answers about, or NULL: it is not on its way. */
static struct out_slot *
answered(struct items *it, struct reader *r)
{
	uint64_t id = read64(r);

	for (size_t i = 0; i < LINK_FILES_MAX; i++) {
		struct out_slot *s = &it->out[i];

		if (s->id == id && (s->state == OUT_SENDING ||
		    s->state == OUT_SENT))
			return s;
	}
	return NULL;
}

static int
take_back(struct items *it, struct reader *r)
{
	struct out_slot *s = answered(it, r);
	uint64_t pos = read64(r);

	if (r->failed)
		return ERR_SYNTAX;
	if (s == NULL)
		return 0;
	if (pos > s->file.size)
		return ERR_SYNTAX;
	s->pos = pos;
	s->state = pos == s->file.size ? OUT_SENT : OUT_SENDING;
	queue_seek(it, s);
	return 0;
}

static int
take_done(struct items *it, struct reader *r)
{
	struct out_slot *s = answered(it, r);
	uint64_t tag;

	if (r->failed)
		return ERR_SYNTAX;
	if (s == NULL)
		return 0;
	tag = s->file.tag;
	free_out(s);
	it->host->sent(it->ctx, tag);
	return 0;
}

static int
take_refuse(struct items *it, struct reader *r)
{
	struct out_slot *s = answered(it, r);
	bool permanent = read8(r) != 0;
	struct slice text = { NULL, read8(r) };
	uint64_t tag;

	if (r->failed || r->len < text.len)
		return ERR_SYNTAX;
	text.ptr = r->ptr;
	r->ptr += text.len;
	r->len -= text.len;
	if (text.len > REASON_MAX)
		text.len = REASON_MAX;
	if (s == NULL)
		return 0;
	tag = s->file.tag;
	free_out(s);
	it->host->failed(it->ctx, tag, permanent, text);
	return 0;
}

static int
take_withdraw(struct items *it, unsigned slot)
{
	if (it->in[slot].state == IN_TAKING)
		it->host->leave(it->ctx, slot, true);
	it->in[slot].state = IN_FREE;
	return 0;
}

static int
skip_item(struct reader *r, unsigned type)
{
	size_t len = read16(r);

	if ((type & ITEM_OPTIONAL) == 0 || r->failed || r->len < len)
		return ERR_SYNTAX;
	r->ptr += len;
	r->len -= len;
	return 0;
}

/* Items about files that the peer sends: they name a slot. */
static int
take_slotted(struct items *it, struct reader *r, unsigned type)
{
	unsigned slot = read8(r);

	if (r->failed || slot >= LINK_FILES_MAX)
		return ERR_SYNTAX;
	switch (type) {
	case ITEM_OFFER:
		return take_offer(it, r, slot);
	case ITEM_DATA:
		return take_data(it, r, slot);
	case ITEM_SEEK:
		return take_seek(it, r, slot);
	default:
		return take_withdraw(it, slot);
	}
}

static int
take_item(struct items *it, struct reader *r, unsigned type)
{
	switch (type) {
	case ITEM_OFFER:
	case ITEM_DATA:
	case ITEM_SEEK:
	case ITEM_WITHDRAW:
		return take_slotted(it, r, type);
	case ITEM_HAVE:
		return take_have(it, r);
	case ITEM_BACK:
		return take_back(it, r);
	case ITEM_DONE:
		return take_done(it, r);
	case ITEM_REFUSE:
		return take_refuse(it, r);
	case ITEM_IDLE:
		it->peer_idle = true;
		return 0;
	case ITEM_END:
		it->peer_ended = true;
		return 0;
	default:
		return skip_item(r, type);
	}
}

int
items_take(struct items *it, struct slice record)
{
	struct reader r = reader_of(record.ptr, record.len);
	int rc = 0;

	while (rc == 0 && r.len > 0) {
		unsigned type = read8(&r);

		rc = take_item(it, &r, type);
		if (rc == 0 && it->control.len > ITEMS_CONTROL_MAX)
			rc = ERR_LIMIT;
	}
	return rc;
}
