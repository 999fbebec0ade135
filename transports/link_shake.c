/* SPDX-License-Identifier: ISC */
/*
 * The handshake.  Calls are repeated until they are answered; an answer is
 * repeated when the same call comes again and no frame has come since.  A
 * call with a new key means that the peer has lost the session.
 */
#include "transports/link_private.h"

#define VERSION 1
#define KIB 1024
#define WINDOW_MIN 16384
#define WINDOW_FIRST (1U << 20)	/* where the rate is not known */
#define WINDOW_SECS 8
#define PARTIAL_LEN 13
#define PARTIALS_IN_CALL 8
#define CALL_WAIT_US 2500000
#define CALL_WAIT_MAX_US 20000000
#define IDLE_MIN_US 200000

static size_t
own_window(const struct link *l)
{
	size_t window = l->config.window;

	if (window == 0)
		window = l->config.rate == 0 ? WINDOW_FIRST :
		    (size_t)l->config.rate * WINDOW_SECS + WINDOW_MIN;
	if (window < WINDOW_MIN)
		window = WINDOW_MIN;
	return window > LINK_WINDOW_MAX ? LINK_WINDOW_MAX : window;
}

/* Version, needs, window in KiB, files received in part. */
static void
put_params(const struct link *l, unsigned needs, struct buf *out)
{
	struct link_partial partials[PARTIALS_IN_CALL];
	size_t n = l->config.host->partials(l->config.ctx, partials,
	    PARTIALS_IN_CALL);

	buf_put8(out, VERSION);
	buf_put8(out, (uint8_t)needs);
	buf_put16(out, (uint16_t)(own_window(l) / KIB));
	for (size_t i = 0; i < n; i++) {
		buf_put64(out, partials[i].id);
		buf_put8(out, (uint8_t)(partials[i].have >> 32));
		buf_put32(out, (uint32_t)partials[i].have);
	}
}

static bool
take_params(struct link *l, const struct buf *payload, unsigned *needs_out)
{
	struct reader r = reader_of(payload->ptr, payload->len);
	unsigned version = read8(&r);
	size_t window;

	*needs_out = read8(&r);
	window = (size_t)read16(&r) * KIB;
	if (r.failed || version != VERSION || *needs_out & ~LINK_NEEDS ||
	    window < WINDOW_MIN)
		return false;
	l->window = own_window(l);
	if (window < l->window)
		l->window = window;
	while (r.len >= PARTIAL_LEN) {
		struct link_partial p = { .id = read64(&r) };

		p.have = (uint64_t)read8(&r) << 32;
		p.have |= read32(&r);
		items_known(&l->items, &p);
	}
	return true;
}

static void
told_fate(void *ctx, const struct stream_fate *f)
{
	struct link *l = ctx;

	tune_fate(&l->tune, f);
	l->stats.arrived += f->arrived;
	l->stats.lost += !f->arrived;
}

static void
open_session(struct link *l, const struct hello *h, unsigned needs)
{
	l->agreed = needs;
	l->keys.plain = (needs & LINK_PLAIN) != 0;
	decoding_init(&l->decoding, needs);
	scanner_init(&l->scanner, &l->rs, l->keys.seed);
	stream_sender_init(&l->sender, l->window, told_fate, l);
	stream_receiver_init(&l->receiver, own_window(l));
	tune_init(&l->tune, l->config.rate);
	tune_hello(&l->tune, h->wrong, h->len);
	l->state = LINK_OPEN;
	l->heard_us = l->fed_us = l->said_us = l->turn_us = l->now_us;
	l->news_us = l->now_us;
	l->ack_us = LINK_NEVER;
	l->turn = l->config.caller;
	l->idle_us = IDLE_MIN_US;
	l->stats.starts++;
	l->stats.needs = needs;
}

void
link_session_release(struct link *l)
{
	l->stats.repeated += l->sender.repeated;
	l->stats.damaged += l->scanner.bad;
	l->stats.sent += l->sender.una;
	l->stats.received += l->receiver.next;
	scanner_release(&l->scanner);
	stream_sender_release(&l->sender);
	stream_receiver_release(&l->receiver);
	l->sender = (struct stream_sender){ .held = BUF_INIT };
	l->receiver = (struct stream_receiver){ .ring = NULL };
	scanner_init(&l->scanner, &l->rs, 0);
	buf_clear(&l->incoming);
	link_keys_release(&l->keys);
	l->frames = l->ack_from = l->bad_told = 0;
	l->wrong = l->octets = 0;
	l->report = l->spoke = l->ending = l->pushed = false;
	l->backoff = l->farewells = 0;
}

void
link_restart(struct link *l)
{
	link_session_release(l);
	items_restart(&l->items);
	buf_clear(&l->out);
	l->state = LINK_HELLO;
	link_start(l);
}

void
link_start(struct link *l)
{
	l->since_us = l->call_us = l->now_us;
	l->wait_us = CALL_WAIT_US;
	l->calls = 0;
	buf_clear(&l->call);
	buf_clear(&l->line);
	if (!l->config.caller) {
		hello_line(&l->line, &l->rs, HELLO_WISH, SLICE_LIT(""));
		l->say_line = true;
	}
}

/* Says our call, a new one or the same again. */
void
link_call(struct link *l)
{
	struct buf payload = BUF_INIT;

	if (l->call.len == 0) {
		put_params(l, l->needs, &payload);
		if (link_keys_call(&l->keys, l->secrets[0], l->config.rng,
		    buf_slice(&payload), &l->call, NULL) < 0)
			buf_clear(&l->call);
		buf_clear(&l->line);
		hello_line(&l->line, &l->rs, HELLO_CALL,
		    buf_slice(&l->call));
	}
	buf_release(&payload);
	l->say_line = true;
	l->calls++;
	l->said_call_us = l->now_us;
	l->call_us = l->now_us + l->wait_us +
	    tune_airtime_us(&l->tune, 3 * l->line.len);
	l->wait_us += l->wait_us / 2;
	if (l->wait_us > CALL_WAIT_MAX_US)
		l->wait_us = CALL_WAIT_MAX_US;
}

/* Makes our answer to a call that opened. */
static bool
make_answer(struct link *l, const struct hello *h, struct link_keys *keys,
    const struct buf *payload)
{
	struct buf ours = BUF_INIT, message = BUF_INIT;
	unsigned needs;
	bool ok = take_params(l, payload, &needs);

	if (ok) {
		l->needs |= h->needs;
		needs |= l->needs;
		put_params(l, needs, &ours);
		ok = link_keys_answer(keys, buf_slice(&ours), &message,
		    NULL) == 0;
	}
	if (ok) {
		buf_clear(&l->line);
		hello_line(&l->line, &l->rs, HELLO_ANSWER,
		    buf_slice(&message));
		l->keys = *keys;
		open_session(l, h, needs);
		l->say_line = true;
	}
	buf_release(&ours);
	buf_release(&message);
	return ok;
}

/* Whether the call opens with one of our secrets. */
static bool
open_call(struct link *l, struct slice call, struct link_keys *keys,
    struct buf *payload)
{
	for (size_t i = 0; i < l->config.nsecrets; i++) {
		if (link_keys_called(keys, l->secrets[i], l->config.rng, call,
		    payload, NULL) < 0)
			continue;
		l->stats.peer = (unsigned)i;
		return true;
	}
	return false;
}

static void
take_call(struct link *l, const struct hello *h)
{
	struct link_keys keys = LINK_KEYS_INIT;
	struct buf payload = BUF_INIT, call = BUF_INIT;

	if (l->state == LINK_OPEN && l->call.len == h->body.len &&
	    memcmp(l->call.ptr, h->body.ptr, h->body.len) == 0) {
		l->say_line = l->frames == 0;
		return;
	}
	buf_addslice(&call, h->body);
	if (open_call(l, buf_slice(&call), &keys, &payload)) {
		if (l->state == LINK_OPEN)
			link_restart(l);
		l->say_line = false;
		buf_clear(&l->call);
		buf_addslice(&l->call, buf_slice(&call));
		if (!make_answer(l, h, &keys, &payload))
			buf_clear(&l->call);
		else
			keys = (struct link_keys)LINK_KEYS_INIT;
	}
	link_keys_release(&keys);
	buf_release(&payload);
	buf_release(&call);
}

static void
take_answer(struct link *l, const struct hello *h)
{
	struct buf payload = BUF_INIT;
	unsigned needs;

	if (l->state != LINK_HELLO || l->call.len == 0 ||
	    link_keys_answered(&l->keys, h->body, &payload, NULL) < 0)
		goto out;
	if (!take_params(l, &payload, &needs) ||
	    (h->needs & ~needs) != 0) {
		/* Their way to us needs more than ours to them showed. */
		l->needs |= h->needs;
		link_restart(l);
		goto out;
	}
	l->say_line = false;
	open_session(l, h, needs);
	/* Calls that were repeated tell nothing about time. */
	if (l->calls == 1)
		tune_rtt(&l->tune, l->now_us - l->said_call_us);
	l->ack_us = l->now_us;
out:
	buf_release(&payload);
}

void
link_hello(struct link *l, const struct hello *h)
{
	if (h->kind == HELLO_CALL && !l->config.caller) {
		take_call(l, h);
	} else if (h->kind == HELLO_ANSWER && l->config.caller) {
		take_answer(l, h);
	} else if (h->kind == HELLO_WISH && l->config.caller) {
		if (l->state == LINK_OPEN)
			link_restart(l);
	}
}
