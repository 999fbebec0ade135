/* SPDX-License-Identifier: ISC */
/*
 * The link: what comes in, and its life.  Characters go both to the finder of
 * handshakes and, while a session is open, through the line coding to the
 * scanner of frames; so a peer that starts anew is heard at any time.
 */
#include "transports/link_private.h"
#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

#define SILENCE_DEFAULT_MS 60000
#define RECORD_HEADER 2
#define ACK_WAIT_US 250000
#define FADE_KEEP 0.5
#define FADE_AT 65536.0	/* octets after which evidence is halved */

struct link *
link_new(const struct link_config *c, int64_t now_ms)
{
	struct link *l = mem_alloc(1, sizeof(*l));

	assert(c->nsecrets > 0);
	l->config = *c;
	if (l->config.silence_ms == 0)
		l->config.silence_ms = SILENCE_DEFAULT_MS;
	l->secrets = mem_alloc(c->nsecrets, sizeof(*l->secrets));
	memcpy(l->secrets, c->secrets, c->nsecrets * sizeof(*l->secrets));
	l->config.secrets = NULL;
	rs_init(&l->rs);
	items_init(&l->items, c->host, c->ctx);
	hello_finder_init(&l->finder, &l->rs);
	scanner_init(&l->scanner, &l->rs, 0);
	tune_init(&l->tune, c->rate);
	l->needs = c->needs & LINK_NEEDS;
	l->now_us = l->free_us = now_ms * US;
	l->ack_us = LINK_NEVER;
	l->state = LINK_HELLO;
	link_start(l);
	return l;
}

void
link_free(struct link *l)
{
	if (l == NULL)
		return;
	link_session_release(l);
	items_release(&l->items);
	hello_finder_release(&l->finder);
	buf_release(&l->out);
	buf_release(&l->call);
	buf_release(&l->line);
	buf_release(&l->incoming);
	explicit_bzero(l->secrets,
	    l->config.nsecrets * sizeof(*l->secrets));
	free(l->secrets);
	free(l);
}

bool
link_offer(struct link *l, const struct link_file *f)
{
	assert(strlen(f->name) <= LINK_NAME_MAX && *f->name != '\0');
	return items_offer(&l->items, f);
}

bool
link_has_room(const struct link *l)
{
	for (size_t i = 0; i < LINK_FILES_MAX; i++)
		if (l->items.out[i].state == OUT_FREE)
			return true;
	return false;
}

uint64_t
link_progress(const struct link *l, uint64_t tag)
{
	for (size_t i = 0; i < LINK_FILES_MAX; i++) {
		const struct out_slot *s = &l->items.out[i];

		if (s->state != OUT_FREE && s->file.tag == tag)
			return s->pos;
	}
	return 0;
}

void
link_end(struct link *l)
{
	if (l->state == LINK_HELLO)
		l->state = LINK_CLOSED;
	if (l->state == LINK_OPEN && !l->ending) {
		items_end(&l->items);
		l->ending = true;
	}
}

/* Counts what error correction did, for the report to the sender. */
static void
count_noise(struct link *l, size_t wrong, size_t octets)
{
	l->wrong += (double)wrong;
	l->octets += (double)octets;
	l->report = true;
	if (l->octets > FADE_AT) {
		l->wrong *= FADE_KEEP;
		l->octets *= FADE_KEEP;
	}
}

/* Takes whole records off what has come in order. */
static int
take_records(struct link *l)
{
	struct buf record = BUF_INIT;
	int rc = 0;

	while (rc == 0 && l->incoming.len >= RECORD_HEADER) {
		struct reader r = reader_of(l->incoming.ptr,
		    l->incoming.len);
		struct slice sealed = { NULL, read16(&r) };

		if (r.len < sealed.len)
			break;
		sealed.ptr = r.ptr;
		buf_clear(&record);
		rc = link_keys_open(&l->keys, sealed, &record, NULL);
		if (rc == 0)
			rc = items_take(&l->items, buf_slice(&record));
		buf_consume(&l->incoming, RECORD_HEADER + sealed.len);
	}
	buf_release(&record);
	return rc;
}

static int
take_stream(struct link *l)
{
	struct slice octets;
	int rc = 0;

	while (rc == 0 && (octets = stream_complete(&l->receiver)).len > 0) {
		buf_addslice(&l->incoming, octets);
		stream_pass(&l->receiver, octets.len);
		rc = take_records(l);
	}
	return rc;
}

static void
acknowledge_within(struct link *l, int64_t us)
{
	if (l->now_us + us < l->ack_us)
		l->ack_us = l->now_us + us;
}

static void
take_payload(struct link *l, const struct frame *f)
{
	bool in_order = f->seq == l->receiver.next && l->receiver.nholes == 0;
	bool news = stream_take(&l->receiver, f->seq, f->payload);

	if (!news || !in_order || (f->flags & FRAME_PUSH) != 0 ||
	    l->receiver.next - l->ack_from > l->window / 4)
		acknowledge_within(l, 0);
	else
		acknowledge_within(l, ACK_WAIT_US);
}

static void
take_ack(struct link *l, const struct frame *f)
{
	bool news;

	if (!stream_acked(&l->sender, f, l->now_us, &news))
		return;
	if (news) {
		l->backoff = 0;
		l->news_us = l->now_us;
	}
	if (l->sender.rtt_us >= 0)
		tune_rtt(&l->tune, l->sender.rtt_us);
	l->sender.rtt_us = -1;
}

/* The peer has said all it had to; what it did not acknowledge is lost. */
static void
take_turn(struct link *l)
{
	l->turn = true;
	l->spoke = false;
	l->turn_us = l->now_us;
	acknowledge_within(l, 0);
	stream_all_lost(&l->sender);
}

static int
take_frame(struct link *l, const struct frame *f)
{
	l->frames++;
	l->heard_us = l->now_us;
	if (f->level > 0)
		count_noise(l, f->wrong, f->wire_len);
	if (f->flags & FRAME_REPORT)
		tune_report(&l->tune, f->noise, f->bad,
		    l->sender.nsegments > 0 ? l->sender.segments[0].level :
		    l->tune.level);
	if (f->flags & FRAME_ACK)
		take_ack(l, f);
	if (f->payload.len > 0)
		take_payload(l, f);
	if ((f->flags & FRAME_OVER) != 0 && (l->agreed & LINK_HALF) != 0)
		take_turn(l);
	return take_stream(l);
}

static void
note_damage(struct link *l)
{
	if (l->scanner.bad == l->bad_told)
		return;
	if (l->scanner.bad_level > 0)
		count_noise(l, frame_parity(l->scanner.bad_level) / 2 + 1,
		    RS_WORD_MAX);
	l->report = true;
	acknowledge_within(l, 0);
}

/* Takes the frames that the scanner has. */
void
link_process(struct link *l)
{
	struct frame f;
	int rc = 0;

	while (rc == 0 && l->state == LINK_OPEN &&
	    scanner_next(&l->scanner, l->receiver.next, l->sender.una,
	    &f) == 1)
		rc = take_frame(l, &f);
	if (rc < 0) {
		link_restart(l);
		return;
	}
	note_damage(l);
	if (l->items.peer_ended)
		l->state = LINK_CLOSED;
}

static void
take_octet(struct link *l, unsigned char octet)
{
	scanner_add(&l->scanner, &octet, 1);
	if (l->scanner.held.len >= l->scanner.want)
		link_process(l);
}

void
link_feed(struct link *l, const void *chars, size_t len, int64_t now_ms)
{
	const unsigned char *at = chars;
	struct hello h;

	l->now_us = now_ms * US;
	l->fed_us = l->now_us;
	for (size_t i = 0; i < len && l->state <= LINK_OPEN; i++) {
		int octet;

		if (hello_find(&l->finder, at[i], &h))
			link_hello(l, &h);
		if (l->state != LINK_OPEN)
			continue;
		octet = decoding_take(&l->decoding, at[i]);
		if (octet >= 0)
			take_octet(l, (unsigned char)octet);
	}
}

enum link_state
link_state(const struct link *l)
{
	return l->state;
}

void
link_stats(const struct link *l, struct link_stats *stats_out)
{
	*stats_out = l->stats;
	stats_out->sent += l->sender.una;
	stats_out->received += l->receiver.next;
	stats_out->repeated += l->sender.repeated;
	stats_out->damaged += l->scanner.bad;
	stats_out->pending = l->sender.held.len;
	stats_out->rtt_ms = l->tune.srtt_us < 0 ? -1 : l->tune.srtt_us / US;
	stats_out->level = l->tune.level;
	stats_out->frame_size = l->tune.size;
	stats_out->memory = l->out.cap + l->incoming.cap +
	    l->sender.held.cap + l->receiver.window + l->scanner.held.cap +
	    l->scanner.body.cap + l->items.control.cap + l->finder.held.cap +
	    l->finder.word.cap + STREAM_SEGMENTS_MAX *
	    sizeof(struct stream_segment);
}
