/* SPDX-License-Identifier: ISC */
/*
 * The parts of the link, each by itself: error correction, line coding,
 * frames, the lines of the handshake, the stream.  Words of Reed-Solomon and
 * of the wish come from an independent computation.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "transports/link_coding.h"
#include "transports/link_frame.h"
#include "transports/link_hello.h"
#include "transports/link_items.h"
#include "transports/link_keys.h"
#include "transports/link_stream.h"
#include "transports/link_tune.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEED 0x12345678

static void
test_rs_known(void **state)
{
	static const unsigned char count[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9,
		10 };
	static const unsigned char count_4[] = { 0xc0, 0x8f, 0x28, 0x6c };
	static const unsigned char name_8[] = { 0x4e, 0x54, 0x01, 0x20, 0xab,
		0xa3, 0xb9, 0xfa };
	unsigned char parity[RS_PARITY_MAX];
	struct rs rs;

	(void)state;
	rs_init(&rs);
	rs_encode(&rs, count, sizeof(count), 4, parity);
	assert_memory_equal(parity, count_4, 4);
	rs_encode(&rs, (const unsigned char *)"postrider", 9, 8, parity);
	assert_memory_equal(parity, name_8, 8);
}

static void
test_rs_corrects(void **state)
{
	struct rng_seeded r;
	struct rs rs;

	(void)state;
	rs_init(&rs);
	rng_seeded_init(&r, 1);
	for (int i = 0; i < 3000; i++) {
		size_t parity = (size_t)2 << rng_below(&r.rng, 5);
		size_t len = 1 + (size_t)rng_below(&r.rng, 255 - parity);
		size_t wrong = (size_t)rng_below(&r.rng, parity / 2 + 1);
		unsigned char word[255], was[255];
		int found;

		rng_fill(&r.rng, word, len);
		rs_encode(&rs, word, len, parity, word + len);
		memcpy(was, word, sizeof(was));
		for (size_t k = 0; k < wrong; k++)
			word[rng_below(&r.rng, len + parity)] ^=
			    (unsigned char)(1 + rng_below(&r.rng, 255));
		found = rs_decode(&rs, word, len + parity, parity);
		assert_true(found >= 0 && (size_t)found <= wrong);
		assert_memory_equal(word, was, len + parity);
	}
}

static void
test_coding(void **state)
{
	struct rng_seeded r;

	(void)state;
	rng_seeded_init(&r, 2);
	for (unsigned needs = 0; needs < 4; needs++) {
		for (int i = 0; i < 300; i++) {
			unsigned char in[200];
			size_t len = (size_t)rng_below(&r.rng, 200), n = 0;
			struct buf chars = BUF_INIT;
			struct decoding d;

			rng_fill(&r.rng, in, len);
			coding_encode(&chars, in, len, needs);
			decoding_init(&d, needs);
			for (size_t k = 0; k < chars.len; k++) {
				unsigned char c =
				    (unsigned char)chars.ptr[k];
				int octet;

				if (needs & CODING_XON)
					assert_true(c != 0x11 && c != 0x13);
				/* A parity bit does no harm. */
				if (needs & CODING_7BIT) {
					assert_true(c < 0x80);
					c |= (unsigned char)(k % 2 * 0x80);
				}
				octet = decoding_take(&d, c);
				if (octet < 0)
					continue;
				assert_true(n < len);
				assert_int_equal(octet, in[n++]);
			}
			assert_int_equal(n, len);
			buf_release(&chars);
		}
	}
}

static struct frame
some_frame(struct rng *rng, struct slice payload)
{
	struct frame f = { .seq = 0xfffffe + rng_below(rng, 100),
	    .level = (unsigned)rng_below(rng, FRAME_LEVELS),
	    .flags = (unsigned)rng_below(rng, 16), .payload = payload };
	uint64_t at;

	if (f.flags & FRAME_REPORT) {
		f.noise = 3;
		f.bad = 200;
	}
	if (f.flags & FRAME_ACK) {
		at = f.ack = 0x1000000 + rng_below(rng, 1000);
		f.nranges = (size_t)rng_below(rng, FRAME_RANGES_MAX + 1);
		for (size_t i = 0; i < f.nranges; i++) {
			f.ranges[i].start = at + 1 + rng_below(rng, 100000);
			at = f.ranges[i].end = f.ranges[i].start + 1 +
			    rng_below(rng, 300);
		}
	}
	return f;
}

static void
assert_same(const struct frame *a, const struct frame *b)
{
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->level, b->level);
	assert_int_equal(a->seq, b->seq);
	assert_int_equal(a->ack, b->ack);
	assert_int_equal(a->noise, b->noise);
	assert_int_equal(a->bad, b->bad);
	assert_int_equal(a->nranges, b->nranges);
	assert_memory_equal(a->ranges, b->ranges,
	    a->nranges * sizeof(a->ranges[0]));
	assert_int_equal(a->payload.len, b->payload.len);
	assert_memory_equal(a->payload.ptr, b->payload.ptr, a->payload.len);
}

/* The next frame, octet by octet; false: the octets end before it. */
static bool
scan(struct scanner *s, const struct buf *wire, size_t *at, struct frame *f)
{
	while (*at < wire->len) {
		scanner_add(s, (const unsigned char *)wire->ptr + (*at)++, 1);
		if (scanner_next(s, 0x1000000, 0x1000000, f) == 1)
			return true;
	}
	return false;
}

static void
test_frames(void **state)
{
	unsigned char payload[3000];
	struct rng_seeded r;
	struct scanner s;
	struct rs rs;

	(void)state;
	rs_init(&rs);
	rng_seeded_init(&r, 3);
	rng_fill(&r.rng, payload, sizeof(payload));
	scanner_init(&s, &rs, SEED);
	for (int i = 0; i < 400; i++) {
		struct slice text = { (const char *)payload,
		    (size_t)rng_below(&r.rng, sizeof(payload)) };
		struct frame f = some_frame(&r.rng, text), got;
		struct buf wire = BUF_INIT;
		size_t at = 0, junk = (size_t)rng_below(&r.rng, 20);

		/* Junk in front must cost no frame. */
		buf_add(&wire, payload, junk);
		frame_build(&wire, &rs, SEED, &f);
		assert_int_equal(wire.len - junk, frame_wire_len(
		    frame_overhead(&f) + text.len, f.level));
		/* A wrong octet in each word is put right. */
		if (f.level > 0)
			wire.ptr[junk + FRAME_CODED_HEADER] ^= 0x40;
		assert_true(scan(&s, &wire, &at, &got));
		assert_int_equal(at, wire.len);
		assert_int_equal(got.wrong, f.level > 0);
		assert_same(&f, &got);
		buf_release(&wire);
	}
	scanner_release(&s);
}

/* One octet of a frame is lost: the next one is found all the same. */
static void
test_lost_octet(void **state)
{
	static const char text[] = "some octets of some file";
	struct rs rs;

	(void)state;
	rs_init(&rs);
	for (size_t lost = 0; lost < 36; lost++) {
		struct frame f = { .payload = SLICE_LIT(text),
		    .seq = 0x1000009 };
		struct frame got;
		struct buf wire = BUF_INIT, torn = BUF_INIT;
		struct scanner s;
		size_t at = 0;

		frame_build(&wire, &rs, SEED, &f);
		buf_add(&torn, wire.ptr, lost);
		buf_add(&torn, wire.ptr + lost + 1, wire.len - lost - 1);
		buf_addslice(&torn, buf_slice(&wire));
		scanner_init(&s, &rs, SEED);
		assert_true(scan(&s, &torn, &at, &got));
		assert_same(&f, &got);
		assert_false(scan(&s, &torn, &at, &got));
		scanner_release(&s);
		buf_release(&wire);
		buf_release(&torn);
	}
}

/* A frame of another session, or one with any octet changed, is none. */
static void
test_no_frame(void **state)
{
	struct frame f = { .payload = SLICE_LIT("text") }, got;
	struct buf wire = BUF_INIT;
	struct scanner s;
	struct rs rs;
	size_t at = 0;

	(void)state;
	rs_init(&rs);
	frame_build(&wire, &rs, SEED, &f);
	scanner_init(&s, &rs, SEED + 1);
	assert_false(scan(&s, &wire, &at, &got));
	scanner_release(&s);
	for (size_t i = 0; i < wire.len; i++) {
		wire.ptr[i] ^= 1;
		at = 0;
		scanner_init(&s, &rs, SEED);
		assert_false(scan(&s, &wire, &at, &got));
		scanner_stalled(&s);
		assert_int_equal(scanner_next(&s, 0, 0, &got), 0);
		assert_int_equal(s.held.len, 0);
		scanner_release(&s);
		wire.ptr[i] ^= 1;
	}
	buf_release(&wire);
}

static bool
find(struct hello_finder *finder, const struct buf *line, unsigned mask,
    bool xon, struct hello *h)
{
	bool found = false;

	for (size_t i = 0; i < line->len; i++) {
		unsigned char c = (unsigned char)line->ptr[i];

		if (xon || c != 0x11)
			found = hello_find(finder,
			    (unsigned char)(c & mask), h) || found;
	}
	return found;
}

static void
test_hello(void **state)
{
	static const char wish[] =
	    "\r\xfe\x7e\x11PR0AU9NvfIeX7oVm7bXyZRBrEXbCsIv0\r";
	struct buf line = BUF_INIT;
	struct hello_finder finder;
	struct hello h;
	struct rs rs;

	(void)state;
	rs_init(&rs);
	hello_line(&line, &rs, HELLO_WISH, SLICE_LIT(""));
	assert_string_equal(buf_cstr(&line), wish);
	hello_finder_init(&finder, &rs);
	for (int i = 0; i < 4; i++) {
		char body[HELLO_BODY_MAX];

		memset(body, 'a' + i, sizeof(body));
		buf_clear(&line);
		buf_adds(&line, "login: ~~PR~");
		hello_line(&line, &rs, HELLO_CALL,
		    (struct slice){ body, sizeof(body) });
		/* Six characters are wrong, and one is no digit at all. */
		for (size_t k = 40; k < 46; k++)
			line.ptr[k] = line.ptr[k] == 'A' ? 'B' : 'A';
		line.ptr[100] = '\n';
		assert_true(find(&finder, &line, i & 1 ? 0x7f : 0xff,
		    (i & 2) == 0, &h));
		assert_int_equal(h.kind, HELLO_CALL);
		assert_int_equal(h.needs, (i & 1 ? CODING_7BIT : 0) |
		    (i & 2 ? CODING_XON : 0));
		assert_int_equal(h.body.len, sizeof(body));
		assert_memory_equal(h.body.ptr, body, sizeof(body));
		assert_true(h.wrong > 0);
	}
	hello_finder_release(&finder);
	buf_release(&line);
}

static void
count_fates(void *ctx, const struct stream_fate *f)
{
	int *fates = ctx;

	fates[f->arrived]++;
}

/* Of five frames the second and the last are lost. */
static void
test_stream(void **state)
{
	int fates[2] = { 0, 0 };
	char text[100];
	struct stream_sender s;
	struct stream_receiver r;
	struct frame f = { .flags = 0 };
	struct slice part;
	uint64_t seq;
	bool news;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)i;
	stream_sender_init(&s, 4096, count_fates, fates);
	stream_receiver_init(&r, 4096);
	stream_give(&s, text, sizeof(text));
	for (int i = 0; i < 5; i++) {
		part = stream_next(&s, 20, &seq);
		assert_int_equal(part.len, 20);
		if (i != 1 && i != 4)
			assert_true(stream_take(&r, seq, part));
		stream_gone(&s, seq, part.len, 30, 0, 1000 * i);
	}
	assert_false(stream_ready(&s));
	stream_acknowledge(&r, 24, &f);
	assert_int_equal(f.ack, 20 * 0);
	assert_true(stream_complete(&r).len == 20);
	stream_pass(&r, 20);
	stream_acknowledge(&r, 24, &f);
	assert_int_equal(f.ack, 20);
	assert_int_equal(f.nranges, 1);
	assert_int_equal(f.ranges[0].start, 40);
	assert_int_equal(f.ranges[0].end, 80);
	assert_true(stream_acked(&s, &f, 9000, &news));
	assert_true(news);
	assert_int_equal(fates[1], 3);
	assert_int_equal(fates[0], 1);
	/* The second is to be sent again, in smaller frames. */
	part = stream_next(&s, 15, &seq);
	assert_int_equal(seq, 20);
	assert_int_equal(part.len, 15);
	stream_gone(&s, seq, part.len, 25, 0, 9000);
	assert_true(stream_take(&r, seq, part));
	part = stream_next(&s, 15, &seq);
	assert_int_equal(seq, 35);
	assert_int_equal(part.len, 5);
	stream_gone(&s, seq, part.len, 15, 0, 9000);
	assert_true(stream_take(&r, seq, part));
	assert_false(stream_take(&r, seq, part));
	assert_int_equal(stream_complete(&r).len, 60);
	assert_memory_equal(stream_complete(&r).ptr, text + 20, 60);
	stream_pass(&r, 60);
	/* Nothing later came, so only the timer finds the last one. */
	stream_acknowledge(&r, 24, &f);
	assert_true(stream_acked(&s, &f, 9000, &news));
	assert_true(stream_ready(&s));
	/* What was never sent cannot be acknowledged. */
	f.ack = 101;
	assert_false(stream_acked(&s, &f, 9000, &news));
	stream_sender_release(&s);
	stream_receiver_release(&r);
}

/* Three frames in flight, with nothing else to send: they are sent again, but
 * after what is new; which of the two copies arrived tells nothing, and one
 * that was behind them and arrived tells that they are lost. */
static void
test_echo(void **state)
{
	struct frame f = { .flags = FRAME_ACK, .ack = 20 };
	int fates[2] = { 0, 0 };
	char text[80] = { 0 };
	struct stream_sender s;
	struct slice part;
	uint64_t seq;
	bool news;

	(void)state;
	stream_sender_init(&s, 4096, count_fates, fates);
	stream_give(&s, text, 60);
	for (int i = 0; i < 3; i++) {
		part = stream_next(&s, 20, &seq);
		stream_gone(&s, seq, part.len, 30, 1, 1000 * i);
	}
	assert_false(stream_ready(&s) || stream_is_spare(&s));
	stream_echo(&s);
	assert_true(stream_ready(&s) && stream_is_spare(&s));
	stream_give(&s, text + 60, 20);
	assert_false(stream_is_spare(&s));
	part = stream_next(&s, 20, &seq);
	assert_int_equal(seq, 60);
	stream_gone(&s, seq, part.len, 30, 1, 4000);
	part = stream_next(&s, 20, &seq);
	assert_int_equal(seq, 0);
	assert_int_equal(part.len, 20);
	stream_gone(&s, seq, part.len, 30, 1, 5000);
	assert_true(stream_acked(&s, &f, 9000, &news));
	assert_true(news && stream_is_spare(&s));
	assert_int_equal(fates[0] + fates[1], 0);
	f.ranges[f.nranges++] = (struct frame_range){ 60, 80 };
	assert_true(stream_acked(&s, &f, 9000, &news));
	assert_int_equal(fates[0], 2);
	assert_int_equal(fates[1], 1);
	assert_true(stream_ready(&s));
	assert_false(stream_is_spare(&s));
	stream_sender_release(&s);
}

/* The list of segments is full and all are to be sent again in smaller pieces:
 * none is forgotten, and in the end all arrive. */
static void
test_full_list(void **state)
{
	struct frame f = { .flags = FRAME_ACK };
	size_t len = STREAM_SEGMENTS_MAX * 40, pieces = 0;
	char *text = mem_alloc(1, len);
	struct stream_sender s;
	struct slice part;
	uint64_t seq;
	bool news;

	(void)state;
	stream_sender_init(&s, 2 * len, NULL, NULL);
	stream_give(&s, text, len);
	while (stream_ready(&s)) {
		part = stream_next(&s, 40, &seq);
		stream_gone(&s, seq, part.len, 50, 0, 0);
	}
	stream_all_lost(&s);
	for (int i = 0; i < 100; i++) {
		part = stream_next(&s, 15, &seq);
		stream_gone(&s, seq, part.len, 25, 0, 0);
		assert_int_equal(s.segments[0].start, s.una);
		for (size_t k = 1; k < s.nsegments; k++)
			assert_int_equal(s.segments[k].start,
			    s.segments[k - 1].end);
		assert_int_equal(s.segments[s.nsegments - 1].end, s.next);
	}
	for (; s.una < len; pieces++) {
		if (!stream_ready(&s))
			stream_all_lost(&s);
		part = stream_next(&s, 15, &seq);
		stream_gone(&s, seq, part.len, 25, 0, 0);
		if (seq != s.una)
			continue;
		f.ack = seq + part.len;
		assert_true(stream_acked(&s, &f, 0, &news) && news);
	}
	assert_true(pieces < len);
	assert_int_equal(s.nsegments, 0);
	stream_sender_release(&s);
	free(text);
}

/* What one loss does to the size of frames: little where correction could not
 * be expected to manage, much where it could. */
static void
test_blame(void **state)
{
	size_t sizes[2];

	(void)state;
	for (int noisy = 0; noisy < 2; noisy++) {
		struct stream_fate f = { .arrived = true, .wire_len = 4130,
		    .level = 1 };
		struct tune t;

		tune_init(&t, 11520);
		tune_report(&t, frame_noise_octet(noisy ? 1e-3 : 1e-6), 0, 1);
		for (int i = 0; i < 20; i++)
			tune_fate(&t, &f);
		f.arrived = false;
		for (int i = 0; i < 3; i++)
			tune_fate(&t, &f);
		sizes[noisy] = t.size;
		assert_true(noisy == 0 || t.level > 1);
	}
	assert_true(sizes[1] > 2 * sizes[0]);
}

static void
test_keys(void **state)
{
	unsigned char secret[LINK_KEYS_SECRET_LEN] = { 1 };
	struct link_keys a = LINK_KEYS_INIT, b = LINK_KEYS_INIT;
	struct buf call = BUF_INIT, answer = BUF_INIT, text = BUF_INIT;
	struct rng_seeded r;

	(void)state;
	rng_seeded_init(&r, 4);
	assert_int_equal(link_keys_call(&a, secret, &r.rng, SLICE_LIT("one"),
	    &call, NULL), 0);
	secret[0] = 2;
	assert_true(link_keys_called(&b, secret, &r.rng, buf_slice(&call),
	    &text, NULL) < 0);
	secret[0] = 1;
	assert_int_equal(link_keys_called(&b, secret, &r.rng, buf_slice(&call),
	    &text, NULL), 0);
	assert_string_equal(buf_cstr(&text), "one");
	assert_int_equal(link_keys_answer(&b, SLICE_LIT("two"), &answer,
	    NULL), 0);
	/* A forged answer does not spoil the real one. */
	answer.ptr[3] ^= 1;
	assert_true(link_keys_answered(&a, buf_slice(&answer), &text,
	    NULL) < 0);
	answer.ptr[3] ^= 1;
	assert_int_equal(link_keys_answered(&a, buf_slice(&answer), &text,
	    NULL), 0);
	assert_int_equal(a.seed, b.seed);
	for (int plain = 0; plain < 2; plain++) {
		a.plain = b.plain = plain;
		buf_clear(&call);
		buf_clear(&text);
		assert_int_equal(link_keys_seal(&a, SLICE_LIT("record"), &call,
		    NULL), 0);
		assert_int_equal(call.len, 6 + NOISE_TAG_LEN);
		assert_true((memcmp(call.ptr, "record", 6) == 0) == plain);
		call.ptr[2] ^= 1;
		assert_true(link_keys_open(&b, buf_slice(&call), &text,
		    NULL) < 0);
		call.ptr[2] ^= 1;
		assert_int_equal(link_keys_open(&b, buf_slice(&call), &text,
		    NULL), 0);
		assert_string_equal(buf_cstr(&text), "record");
	}
	link_keys_release(&a);
	link_keys_release(&b);
	buf_release(&call);
	buf_release(&answer);
	buf_release(&text);
}

static int
read_x(void *ctx, uint64_t tag, uint64_t offset, void *into, size_t len)
{
	(void)ctx;
	(void)tag;
	(void)offset;
	memset(into, 'x', len);
	return (int)len;
}

/* How many octets of a file of 1000 follow its offer, and where from, if the
 * peer says before that it has so many. */
static void
assert_sends(uint64_t have, uint64_t want_pos, size_t want_data)
{
	static const struct link_host host = { .read = read_x };
	struct link_file f = { .name = "a", .size = 1000 };
	struct link_partial p = { link_file_id(&f), have };
	struct items it;
	struct buf record = BUF_INIT;
	struct reader r;

	items_init(&it, &host, NULL);
	assert_true(items_offer(&it, &f));
	items_known(&it, &p);
	items_fill(&it, &record, 2000);
	assert_int_equal(record.len, 53 + (want_data > 0 ? 4U : 0U) +
	    want_data);
	r = reader_of(record.ptr + 43, 8);
	assert_true(read64(&r) == want_pos);
	/* The same when it is said while it is being sent. */
	items_restart(&it);
	buf_clear(&record);
	items_fill(&it, &record, 60);
	assert_int_equal(record.len, 60);
	items_known(&it, &p);
	buf_clear(&record);
	items_fill(&it, &record, 2000);
	assert_int_equal(record.len, want_pos > 0 ? 10 + (want_data > 0 ?
	    4 + want_data : 0) : 4U + 1000 - 3);
	items_release(&it);
	buf_release(&record);
}

static void
test_known_before(void **state)
{
	(void)state;
	assert_sends(0, 0, 1000);
	assert_sends(400, 400, 600);
	assert_sends(1000, 1000, 0);
	assert_sends(LINK_PARTIAL_WHOLE, 1000, 0);
	assert_sends(1001, 0, 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rs_known),
		cmocka_unit_test(test_rs_corrects),
		cmocka_unit_test(test_coding),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_lost_octet),
		cmocka_unit_test(test_no_frame),
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_full_list),
		cmocka_unit_test(test_blame),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_known_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
