/* SPDX-License-Identifier: ISC */
/*
 * The link: what goes out, and when.  Output is paced by the line's rate, a
 * frame is made when the line has nearly run dry: so what is urgent waits
 * behind one record, acknowledgements are fresh, and no buffer of the system
 * holds seconds of the past.
 */
#include "transports/link_private.h"

#define LEAD_US 100000		/* output is made so long before it can go */
#define SPARE_LEAD_US 20000	/* what may be in vain stays out of the way */
#define SPARE_US 40000		/* and is short */
#define SPARE_MIN 64		/* octets */
#define STALL_US 300000		/* silence inside a frame, rate known */
#define STALL_UNKNOWN_US 5000000
#define STALL_OCTETS 64
#define BACKOFF_MAX 6
#define KEEPALIVE_PART 3	/* frames in the time of silence_ms */
#define RECORD_MIN 512
#define RECORD_MAX 8192
#define RECORD_SECS 4.3		/* of the line, at most */
#define PAYLOAD_MIN 16
#define FAREWELLS 2
#define TURN_MAX_US 20000000	/* half duplex: longest burst */
#define TURN_LOST_US 3000000
#define IDLE_MIN_US 200000
#define IDLE_MAX_US 5000000

static size_t
record_max(const struct link *l)
{
	double octets = l->config.rate * RECORD_SECS;

	if (l->config.rate == 0 || octets > RECORD_MAX)
		return RECORD_MAX;
	return octets < RECORD_MIN ? RECORD_MIN : (size_t)octets;
}

/* Puts one record into the stream. */
static void
make_record(struct link *l)
{
	struct buf record = BUF_INIT, sealed = BUF_INIT;
	unsigned char header[2];

	items_fill(&l->items, &record, record_max(l));
	if (record.len > 0 && link_keys_seal(&l->keys, buf_slice(&record),
	    &sealed, NULL) == 0) {
		header[0] = (unsigned char)(sealed.len >> 8);
		header[1] = (unsigned char)sealed.len;
		stream_give(&l->sender, header, sizeof(header));
		stream_give(&l->sender, sealed.ptr, sealed.len);
	}
	buf_release(&record);
	buf_release(&sealed);
}

static void
fill_stream(struct link *l)
{
	while (stream_unsent(&l->sender) < l->tune.size &&
	    stream_room(&l->sender) > 0 && items_ready(&l->items)) {
		size_t before = l->sender.held.len;

		make_record(l);
		if (l->sender.held.len == before)
			break;
	}
}

/* The acknowledgement and the report, where there is something to say. */
static void
fill_head(struct link *l, struct frame *f)
{
	size_t max = FRAME_RANGES_MAX;

	if (l->report) {
		f->flags |= FRAME_REPORT;
		f->noise = frame_noise_octet(l->octets > 0 ?
		    l->wrong / l->octets : -1);
		f->bad = (uint8_t)l->scanner.bad;
	}
	if (l->ack_us == LINK_NEVER && (l->agreed & LINK_HALF) == 0)
		return;
	do
		stream_acknowledge(&l->receiver, max, f);
	while (frame_overhead(f) + PAYLOAD_MIN > l->tune.size && max-- > 0);
}

static void
head_said(struct link *l, const struct frame *f)
{
	if (f->flags & FRAME_REPORT) {
		l->bad_told = l->scanner.bad;
		l->report = false;
	}
	if (f->flags & FRAME_ACK) {
		l->ack_us = LINK_NEVER;
		l->ack_from = f->ack;
	}
}

/* How many characters the line coding makes of octets, about. */
static size_t
coded_len(const struct link *l, size_t octets)
{
	if (l->agreed & LINK_7BIT)
		octets += octets / 7 + octets / 64;
	else if (l->agreed & LINK_XON)
		octets += octets / 64;
	return octets;
}

static void
put_out(struct link *l, const struct buf *chars)
{
	if (l->free_us < l->now_us)
		l->free_us = l->now_us;
	/* A line of unknown rate says itself when it has enough. */
	if (l->config.rate != 0)
		l->free_us += tune_airtime_us(&l->tune, chars->len);
	buf_addslice(&l->out, buf_slice(chars));
	l->said_us = l->now_us;
}

static void
send_frame(struct link *l, struct frame *f)
{
	struct buf frame = BUF_INIT, chars = BUF_INIT;

	frame_build(&frame, &l->rs, l->keys.seed, f);
	coding_encode(&chars, (const unsigned char *)frame.ptr, frame.len,
	    l->agreed);
	put_out(l, &chars);
	head_said(l, f);
	l->spoke = l->spoke || f->payload.len > 0;
	buf_release(&frame);
	buf_release(&chars);
}

/* Whether there is something to send that the window has room for. */
static bool
has_news(const struct link *l)
{
	return stream_ready(&l->sender) ||
	    (items_ready(&l->items) && stream_room(&l->sender) > 0);
}

/* Half duplex: how long this end keeps the line with nothing to say.  A peer
 * that has more to say does not wait for it. */
static int64_t
hold_us(const struct link *l)
{
	return l->items.peer_idle ? l->idle_us : 0;
}

/* Whether the burst of this end is over. */
static bool
turn_over(const struct link *l)
{
	if (has_news(l))
		return l->now_us - l->turn_us > TURN_MAX_US;
	return l->spoke || l->now_us - l->turn_us >= hold_us(l);
}

static void
give_turn(struct link *l, struct frame *f)
{
	if ((l->agreed & LINK_HALF) == 0 || !turn_over(l))
		return;
	f->flags |= FRAME_OVER;
	l->idle_us = l->spoke || !l->items.peer_idle ? IDLE_MIN_US :
	    l->idle_us * 2;
	if (l->idle_us > IDLE_MAX_US)
		l->idle_us = IDLE_MAX_US;
	l->turn = false;
	l->turn_us = l->free_us > l->now_us ? l->free_us : l->now_us;
}

/* The longest payload behind that much of a body. */
static size_t
payload_max(const struct link *l, size_t head)
{
	size_t max = head + PAYLOAD_MIN > l->tune.size ? PAYLOAD_MIN :
	    l->tune.size - head;
	size_t spare = (size_t)l->config.rate * SPARE_US / 1000000;

	if (!stream_is_spare(&l->sender) || l->config.rate == 0)
		return max;
	if (spare < SPARE_MIN)
		spare = SPARE_MIN;
	return max < spare ? max : spare;
}

static void
make_frame(struct link *l)
{
	struct frame f = { .level = l->tune.level };
	size_t head, wire_len;

	fill_stream(l);
	fill_head(l, &f);
	head = frame_overhead(&f);
	f.payload = stream_next(&l->sender, payload_max(l, head), &f.seq);
	wire_len = frame_wire_len(head + f.payload.len, f.level);
	stream_gone(&l->sender, f.seq, f.payload.len, wire_len, f.level,
	    (l->free_us > l->now_us ? l->free_us : l->now_us) +
	    tune_airtime_us(&l->tune, coded_len(l, wire_len)));
	if (f.payload.len > 0 && !stream_ready(&l->sender) &&
	    !items_ready(&l->items))
		f.flags |= FRAME_PUSH;
	give_turn(l, &f);
	send_frame(l, &f);
	/* The last frames have nobody behind them to tell of their loss. */
	l->pushed = (f.flags & FRAME_PUSH) != 0;
	if (l->pushed && (l->agreed & LINK_HALF) == 0 &&
	    tune_noisy(&l->tune) && tune_is_far(&l->tune))
		stream_echo(&l->sender);
}

static int64_t
link_patience_us(const struct link *l)
{
	unsigned backoff = l->backoff < BACKOFF_MAX ? l->backoff :
	    BACKOFF_MAX;

	return tune_patience_us(&l->tune, l->pushed) << backoff;
}

/* When the next probe is due, or LINK_NEVER. */
static int64_t
probe_us(const struct link *l)
{
	int64_t gone = stream_gone_us(&l->sender);

	if (gone < 0 || (l->agreed & LINK_HALF) != 0)
		return LINK_NEVER;
	return (gone > l->news_us ? gone : l->news_us) + link_patience_us(l);
}

static int64_t
keepalive_us(const struct link *l)
{
	return l->said_us + l->config.silence_ms * US / KEEPALIVE_PART;
}

/* Half duplex: when this end takes the line without being given it.  The
 * peer may rightly keep it for a while if it knows this end to be idle; and
 * one that has never spoken may still be calling. */
static int64_t
claim_us(const struct link *l)
{
	int64_t since = l->turn_us > l->fed_us ? l->turn_us : l->fed_us;

	if (!l->config.caller && l->frames == 0)
		return LINK_NEVER;
	return since + (l->config.caller ? 1 : 3) *
	    (TURN_LOST_US + tune_airtime_us(&l->tune, l->tune.size_max)) +
	    (l->items.told_idle ? IDLE_MAX_US : 0) +
	    (l->tune.srtt_us > 0 ? 2 * l->tune.srtt_us : 0);
}

/* Whether a frame has something to say now. */
static bool
link_frame_due(const struct link *l)
{
	if (l->agreed & LINK_HALF)
		return l->turn && (has_news(l) || turn_over(l));
	return has_news(l) || l->ack_us <= l->now_us ||
	    keepalive_us(l) <= l->now_us;
}

/* When the line can take more. */
static int64_t
line_free_us(const struct link *l)
{
	bool spare = l->state == LINK_OPEN && !l->say_line &&
	    stream_is_spare(&l->sender) && !items_ready(&l->items) &&
	    l->ack_us > l->now_us;

	return l->free_us - (spare ? SPARE_LEAD_US : LEAD_US);
}

static void
say_line(struct link *l)
{
	put_out(l, &l->line);
	l->say_line = false;
}

/* All is said and has arrived: the calling end says END and is gone. */
static void
end_if_idle(struct link *l)
{
	if (l->state != LINK_OPEN || l->ending || l->config.stay ||
	    !l->config.caller || !items_idle(&l->items) ||
	    !l->items.peer_idle || l->sender.una != l->sender.next)
		return;
	link_end(l);
}

/* END has been sent: again for good measure, then no more. */
static void
say_farewell(struct link *l)
{
	if (!l->ending || items_ready(&l->items) ||
	    stream_unsent(&l->sender) > 0)
		return;
	if (++l->farewells < FAREWELLS) {
		stream_all_lost(&l->sender);
		return;
	}
	l->state = LINK_CLOSED;
}

size_t
link_pull(struct link *l, void *chars, size_t max, int64_t now_ms)
{
	size_t n;

	l->now_us = now_ms * US;
	end_if_idle(l);
	if (l->state <= LINK_OPEN && l->out.len == 0 &&
	    line_free_us(l) <= l->now_us) {
		if (l->say_line) {
			say_line(l);
		} else if (l->state == LINK_OPEN && link_frame_due(l)) {
			make_frame(l);
			say_farewell(l);
		}
	}
	n = l->out.len < max ? l->out.len : max;
	if (n > 0)
		memcpy(chars, l->out.ptr, n);
	buf_consume(&l->out, n);
	return n;
}

int64_t
link_drained_ms(const struct link *l)
{
	return (l->free_us + US - 1) / US;
}

static int64_t
stall_us(const struct link *l)
{
	if (l->scanner.held.len == 0)
		return LINK_NEVER;
	return l->fed_us + (l->config.rate == 0 ? STALL_UNKNOWN_US :
	    STALL_US + tune_airtime_us(&l->tune, STALL_OCTETS));
}

static void
tick_open(struct link *l)
{
	if (stall_us(l) <= l->now_us) {
		scanner_stalled(&l->scanner);
		link_process(l);
	}
	if (probe_us(l) <= l->now_us) {
		stream_probe(&l->sender, l->backoff++ > 0);
		l->news_us = l->now_us;
	}
	if ((l->agreed & LINK_HALF) != 0 && !l->turn &&
	    claim_us(l) <= l->now_us) {
		l->turn = true;
		l->spoke = false;
		l->turn_us = l->now_us;
	}
	if (l->now_us - l->heard_us <= l->config.silence_ms * US)
		return;
	if (!l->config.stay && items_quiet(&l->items))
		l->state = LINK_CLOSED;
	else
		link_restart(l);
}

static void
tick_hello(struct link *l)
{
	if (l->config.patience_ms > 0 &&
	    l->now_us - l->since_us >= l->config.patience_ms * US)
		l->state = LINK_FAILED;
	else if (l->config.caller && l->call_us <= l->now_us)
		link_call(l);
}

static int64_t
least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t
deadline_hello(const struct link *l)
{
	int64_t at = l->config.caller ? l->call_us : LINK_NEVER;

	if (l->config.patience_ms > 0)
		at = least(at, l->since_us + l->config.patience_ms * US);
	return l->say_line ? least(at, line_free_us(l)) : at;
}

static int64_t
deadline_open(const struct link *l)
{
	int64_t at = least(stall_us(l), probe_us(l));

	at = least(at, l->heard_us + l->config.silence_ms * US + 1);
	if (l->say_line || link_frame_due(l))
		return least(at, line_free_us(l));
	if (l->agreed & LINK_HALF)
		return least(at, l->turn ? l->turn_us + hold_us(l) :
		    claim_us(l));
	return least(at, least(keepalive_us(l), l->ack_us));
}

int64_t
link_tick(struct link *l, int64_t now_ms)
{
	int64_t at;

	l->now_us = now_ms * US;
	if (l->state == LINK_OPEN)
		tick_open(l);
	if (l->state == LINK_HELLO)
		tick_hello(l);
	if (l->state > LINK_OPEN)
		return LINK_NEVER;
	at = l->state == LINK_OPEN ? deadline_open(l) : deadline_hello(l);
	if (at == LINK_NEVER)
		return at;
	at = (at + US - 1) / US;
	return at > now_ms ? at : now_ms;
}
