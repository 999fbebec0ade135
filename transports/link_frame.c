/* SPDX-License-Identifier: ISC */
/*
 * Frames.  There is no mark that starts one and would have to be escaped: a
 * frame is where a header agrees with its own check, and after damage every
 * position is tried, in what is held already, so that a lost octet costs the
 * frame it was lost from and no other.  A header with error correction is a
 * word of a strong short code, masked so that it is not cyclic.
 */
#include "transports/link_frame.h"

#include <assert.h>
#include <math.h>
#include <zlib.h>

#define HEADER 6
#define HEADER_PARITY (FRAME_CODED_HEADER - HEADER)
#define MARK_PLAIN 0xc0
#define MARK_CODED 0x30
#define MARK_MASK 0xf0
#define MASK_STEP 0x5b	/* its multiples mask the parity of a header */
#define BODY_REPORT 2
#define BODY_ACK 3

/* Octets of parity of one word, for each level. */
static const size_t parities[FRAME_LEVELS] = { 0, 2, 4, 8, 16, 32 };

static size_t
words_of(size_t len, unsigned level)
{
	size_t room = RS_WORD_MAX - parities[level];

	return level == 0 ? 0 : (len + room - 1) / room;
}

size_t
frame_parity(unsigned level)
{
	return parities[level];
}

size_t
frame_wire_len(size_t body_len, unsigned level)
{
	size_t len = body_len + FRAME_CRC;

	return (level == 0 ? FRAME_PLAIN_HEADER : FRAME_CODED_HEADER) + len +
	    words_of(len, level) * parities[level];
}

uint8_t
frame_noise_octet(double rate)
{
	double octet = rate == 0 ? 255 : rate < 0 ? 0 : -8 * log2(rate);

	if (rate >= 0 && octet < 1)
		octet = 1;
	return octet >= 255 ? 255 : (uint8_t)octet;
}

double
frame_noise_rate(uint8_t octet)
{
	return octet == 255 ? 0 : octet == 0 ? -1 : exp2(-(double)octet / 8);
}

/* A number of which 24 bits are known, next to another. */
static uint64_t
frame_near(uint64_t near, uint32_t low24)
{
	uint64_t n = (near & ~UINT64_C(0xffffff)) | low24;

	if (n > near + 0x800000 && n >= 0x1000000)
		return n - 0x1000000;
	if (n + 0x800000 < near)
		return n + 0x1000000;
	return n;
}

static size_t
varint_len(uint64_t v)
{
	return v < 0x80 ? 1 : v < 0x4000 ? 2 : v < 0x200000 ? 3 : 4;
}

static void
put_varint(struct buf *out, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		buf_put8(out, (uint8_t)(0x80 | (v & 0x7f)));
	buf_put8(out, (uint8_t)v);
}

static uint64_t
read_varint(struct reader *r)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 28; shift += 7) {
		uint8_t octet = read8(r);

		v |= (uint64_t)(octet & 0x7f) << shift;
		if ((octet & 0x80) == 0)
			return v;
	}
	r->failed = true;
	return 0;
}

static void
put24(struct buf *out, uint64_t v)
{
	buf_put8(out, (uint8_t)(v >> 16));
	buf_put16(out, (uint16_t)v);
}

static uint32_t
read24(struct reader *r)
{
	uint32_t high = read8(r);

	return high << 16 | read16(r);
}

size_t
frame_overhead(const struct frame *f)
{
	size_t len = f->flags & FRAME_REPORT ? BODY_REPORT : 0;
	uint64_t from = f->ack;

	if ((f->flags & FRAME_ACK) == 0)
		return len;
	len += BODY_ACK + 1;
	for (size_t i = 0; i < f->nranges; i++) {
		len += varint_len(f->ranges[i].start - from) +
		    varint_len(f->ranges[i].end - f->ranges[i].start);
		from = f->ranges[i].end;
	}
	return len;
}

static void
put_body(struct buf *out, const struct frame *f)
{
	uint64_t from = f->ack;

	if (f->flags & FRAME_REPORT) {
		buf_put8(out, f->noise);
		buf_put8(out, f->bad);
	}
	if (f->flags & FRAME_ACK) {
		put24(out, f->ack);
		buf_put8(out, (uint8_t)f->nranges);
		for (size_t i = 0; i < f->nranges; i++) {
			put_varint(out, f->ranges[i].start - from);
			put_varint(out, f->ranges[i].end - f->ranges[i].start);
			from = f->ranges[i].end;
		}
	}
	buf_addslice(out, f->payload);
}

static uint32_t
seeded_crc(uint32_t seed, const void *octets, size_t len)
{
	unsigned char first[4] = { (unsigned char)(seed >> 24),
	    (unsigned char)(seed >> 16), (unsigned char)(seed >> 8),
	    (unsigned char)seed };
	uLong crc = crc32(crc32(0, NULL, 0), first, sizeof(first));

	return (uint32_t)crc32(crc, octets, (uInt)len);
}

static uint32_t
frame_crc(uint32_t seed, const unsigned char *header, const void *body,
    size_t len)
{
	uint32_t crc = seeded_crc(seed, header, HEADER);

	return (uint32_t)crc32(crc, body, (uInt)len);
}

/* Gathers the data of word `word` of `count` out of octets that are
 * interleaved; how many there are. */
static size_t
gather(const unsigned char *octets, size_t len, size_t word, size_t count,
    unsigned char *word_out)
{
	size_t n = 0;

	for (size_t i = word; i < len; i += count)
		word_out[n++] = octets[i];
	return n;
}

static void
add_parity(struct buf *out, const struct rs *rs, size_t start, unsigned level)
{
	size_t len = out->len - start, count = words_of(len, level);
	size_t parity = parities[level];
	unsigned char word[RS_WORD_MAX], check[RS_PARITY_MAX];
	char *room = buf_room(out, count * parity);
	const unsigned char *body =
	    (const unsigned char *)out->ptr + start;

	for (size_t w = 0; w < count; w++) {
		size_t n = gather(body, len, w, count, word);

		rs_encode(rs, word, n, parity, check);
		for (size_t i = 0; i < parity; i++)
			room[i * count + w] = (char)check[i];
	}
	buf_grown(out, count * parity);
}

static void
mask_header(unsigned char *parity)
{
	for (unsigned i = 0; i < HEADER_PARITY; i++)
		parity[i] ^= (unsigned char)(MASK_STEP * (i + 1));
}

static void
put_header_check(struct buf *out, const struct rs *rs, uint32_t seed,
    const unsigned char *header, unsigned level)
{
	unsigned char parity[HEADER_PARITY];

	if (level == 0) {
		buf_put16(out, (uint16_t)seeded_crc(seed, header, HEADER));
		return;
	}
	rs_encode(rs, header, HEADER, HEADER_PARITY, parity);
	mask_header(parity);
	buf_add(out, parity, sizeof(parity));
}

void
frame_build(struct buf *out, const struct rs *rs, uint32_t seed,
    const struct frame *f)
{
	size_t len = frame_overhead(f) + f->payload.len, start = out->len;
	unsigned char header[HEADER];

	assert(len <= FRAME_BODY_MAX && f->level < FRAME_LEVELS);
	buf_put8(out, (uint8_t)((f->level > 0 ? MARK_CODED : MARK_PLAIN) |
	    f->flags));
	buf_put16(out, (uint16_t)(f->level << 12 | len));
	put24(out, f->seq);
	memcpy(header, out->ptr + start, HEADER);
	put_header_check(out, rs, seed, header, f->level);
	start = out->len;
	put_body(out, f);
	buf_put32(out, frame_crc(seed, header, out->ptr + start, len));
	if (f->level > 0)
		add_parity(out, rs, start, f->level);
}

void
scanner_init(struct scanner *s, const struct rs *rs, uint32_t seed)
{
	*s = (struct scanner){ .rs = rs, .seed = seed, .held = BUF_INIT,
	    .body = BUF_INIT, .want = FRAME_CODED_HEADER };
}

void
scanner_release(struct scanner *s)
{
	buf_release(&s->held);
	buf_release(&s->body);
}

size_t
scanner_room(const struct scanner *s)
{
	return s->held.len < FRAME_HELD_MAX ? FRAME_HELD_MAX - s->held.len : 0;
}

void
scanner_add(struct scanner *s, const unsigned char *octets, size_t len)
{
	buf_add(&s->held, octets, len);
	s->give_up = false;
}

/* Whether a plain header stands at the front; it is copied. */
static bool
plain_header(const struct scanner *s, unsigned char header[HEADER])
{
	const unsigned char *at = (const unsigned char *)s->held.ptr;

	if ((at[0] & MARK_MASK) != MARK_PLAIN || at[1] >> 4 != 0)
		return false;
	memcpy(header, at, HEADER);
	return (seeded_crc(s->seed, header, HEADER) & 0xffff) ==
	    ((uint32_t)at[HEADER] << 8 | at[HEADER + 1]);
}

/* The same for one with error correction. */
static bool
coded_header(const struct scanner *s, unsigned char header[HEADER],
    size_t *wrong_out)
{
	unsigned char word[FRAME_CODED_HEADER];
	int wrong;

	memcpy(word, s->held.ptr, sizeof(word));
	mask_header(word + HEADER);
	wrong = rs_decode(s->rs, word, sizeof(word), HEADER_PARITY);
	if (wrong < 0 || (word[0] & MARK_MASK) != MARK_CODED ||
	    word[1] >> 4 == 0 || word[1] >> 4 >= FRAME_LEVELS)
		return false;
	*wrong_out = (size_t)wrong;
	memcpy(header, word, HEADER);
	return true;
}

/* Puts the words of the body right; false: too much is wrong. */
static bool
correct_body(struct scanner *s, const unsigned char *from, size_t len,
    unsigned level, size_t *wrong_io)
{
	size_t count = words_of(len, level), parity = parities[level];
	unsigned char word[RS_WORD_MAX];
	unsigned char *body = (unsigned char *)s->body.ptr;

	for (size_t w = 0; w < count; w++) {
		size_t n = gather(from, len, w, count, word);
		int wrong;

		for (size_t i = 0; i < parity; i++)
			word[n + i] = from[len + i * count + w];
		wrong = rs_decode(s->rs, word, n + parity, parity);
		if (wrong < 0)
			return false;
		*wrong_io += (size_t)wrong;
		for (size_t i = 0; wrong > 0 && i < n; i++)
			body[w + i * count] = word[i];
	}
	return true;
}

static bool
parse_ack(struct reader *r, uint64_t ack_near, struct frame *f)
{
	uint64_t from;

	f->ack = from = frame_near(ack_near, read24(r));
	f->nranges = read8(r);
	if (f->nranges > FRAME_RANGES_MAX)
		return false;
	for (size_t i = 0; i < f->nranges; i++) {
		f->ranges[i].start = from + read_varint(r);
		f->ranges[i].end = from = f->ranges[i].start + read_varint(r);
	}
	return !r->failed;
}

static bool
parse_body(const struct scanner *s, size_t len, uint64_t ack_near,
    struct frame *f)
{
	struct reader r = reader_of(s->body.ptr, len);

	if (f->flags & FRAME_REPORT) {
		f->noise = read8(&r);
		f->bad = read8(&r);
	}
	if ((f->flags & FRAME_ACK) != 0 && !parse_ack(&r, ack_near, f))
		return false;
	f->payload = (struct slice){ r.ptr, r.len };
	return !r.failed;
}

/* The frame whose header is at the front and whose octets are all there. */
static bool
take_frame(struct scanner *s, const unsigned char *header, size_t header_len,
    size_t len, uint64_t ack_near, struct frame *f)
{
	const unsigned char *from =
	    (const unsigned char *)s->held.ptr + header_len;
	const unsigned char *crc;

	buf_clear(&s->body);
	buf_add(&s->body, from, len + FRAME_CRC);
	if (!correct_body(s, from, len + FRAME_CRC, f->level, &f->wrong))
		return false;
	crc = (const unsigned char *)s->body.ptr + len;
	if (frame_crc(s->seed, header, s->body.ptr, len) !=
	    ((uint32_t)crc[0] << 24 | (uint32_t)crc[1] << 16 |
	    (uint32_t)crc[2] << 8 | crc[3]))
		return false;
	return parse_body(s, len, ack_near, f);
}

/* 1: the frame at the front; 0: more is needed; -1: none begins here. */
static int
try_front(struct scanner *s, uint64_t seq_near, uint64_t ack_near,
    struct frame *f)
{
	unsigned char header[HEADER];
	size_t header_len = FRAME_PLAIN_HEADER, len;

	*f = (struct frame){ .payload = SLICE_LIT("") };
	if (s->held.len < FRAME_CODED_HEADER)
		return s->give_up && s->held.len > 0 ? -1 : 0;
	if (!plain_header(s, header)) {
		if (!coded_header(s, header, &f->wrong))
			return -1;
		header_len = FRAME_CODED_HEADER;
	}
	f->flags = header[0] & (FRAME_ACK | FRAME_PUSH | FRAME_OVER |
	    FRAME_REPORT);
	f->level = header[1] >> 4;
	len = (size_t)(header[1] & 0xf) << 8 | header[2];
	f->seq = frame_near(seq_near, (uint32_t)header[3] << 16 |
	    (uint32_t)header[4] << 8 | header[5]);
	f->wire_len = frame_wire_len(len, f->level);
	if (len > FRAME_BODY_MAX)
		return -1;
	if (s->held.len < f->wire_len) {
		s->want = f->wire_len;
		return s->give_up ? -1 : 0;
	}
	if (take_frame(s, header, header_len, len, ack_near, f))
		return 1;
	s->bad++;
	s->bad_level = f->level;
	return -1;
}

int
scanner_next(struct scanner *s, uint64_t seq_near, uint64_t ack_near,
    struct frame *f_out)
{
	int rc;

	while ((rc = try_front(s, seq_near, ack_near, f_out)) < 0) {
		buf_consume(&s->held, 1);
		s->want = FRAME_CODED_HEADER;
	}
	if (rc == 1) {
		buf_consume(&s->held, f_out->wire_len);
		s->want = FRAME_CODED_HEADER;
	}
	return rc;
}

void
scanner_stalled(struct scanner *s)
{
	s->give_up = s->held.len > 0;
}
