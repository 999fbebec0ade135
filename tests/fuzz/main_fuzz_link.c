/* SPDX-License-Identifier: ISC */
/*
 * The link protocol.  The first octet says what the rest is: characters of a
 * line; octets in which frames are looked for; the body of a frame whose
 * checks are right; a record of a peer that has our secret.
 */
#include <stdlib.h>
#include <zlib.h>

#include "tests/fuzz/fuzz.h"
#include "transports/link.h"
#include "transports/link_frame.h"
#include "transports/link_items.h"

#define SEED 0x01020304
#define FILE_MAX (UINT64_C(1) << 40)

static int
host_read(void *ctx, uint64_t tag, uint64_t offset, void *into, size_t len)
{
	(void)ctx;
	FUZZ_CHECK(len > 0 && tag < 2 && offset + len <= 100000);
	memset(into, 'x', len);
	return (int)len;
}

static void
host_sent(void *ctx, uint64_t tag)
{
	(void)ctx;
	FUZZ_CHECK(tag < 2);
}

static void
host_failed(void *ctx, uint64_t tag, bool permanent, struct slice text)
{
	(void)ctx;
	(void)permanent;
	FUZZ_CHECK(tag < 2 && text.len < 256);
}

/* What is open: how much of what is there. */
struct open_file {
	bool open;
	uint64_t have, size;
};

static enum link_verdict
host_open(void *ctx, unsigned slot, const struct link_file *f,
    uint64_t *have_out)
{
	struct open_file *files = ctx;

	FUZZ_CHECK(slot < LINK_FILES_MAX && strlen(f->name) > 0 &&
	    strlen(f->name) <= LINK_NAME_MAX && !files[slot].open);
	if (f->size > FILE_MAX)
		return LINK_REFUSE_NEVER;
	files[slot] = (struct open_file){ true, f->hash[0] % 8, f->size };
	if (files[slot].have > f->size)
		files[slot].have = f->size;
	*have_out = files[slot].have;
	return LINK_TAKE;
}

static int
host_write(void *ctx, unsigned slot, const void *octets, size_t len)
{
	struct open_file *files = ctx;

	FUZZ_CHECK(files[slot].open && octets != NULL && len > 0);
	files[slot].have += len;
	FUZZ_CHECK(files[slot].have <= files[slot].size);
	return 0;
}

static int
host_close(void *ctx, unsigned slot)
{
	struct open_file *files = ctx;

	FUZZ_CHECK(files[slot].open && files[slot].have == files[slot].size);
	if (files[slot].size % 3 == 1) {
		files[slot].have = 0;
		return ERR_CORRUPT;
	}
	files[slot].open = false;
	return files[slot].size % 3 == 0 ? 0 : ERR_IO;
}

static void
host_leave(void *ctx, unsigned slot, bool forget)
{
	struct open_file *files = ctx;

	(void)forget;
	FUZZ_CHECK(files[slot].open);
	files[slot].open = false;
}

static size_t
host_partials(void *ctx, struct link_partial *out, size_t max)
{
	(void)ctx;
	FUZZ_CHECK(max > 0);
	out[0] = (struct link_partial){ 1, 2 };
	return 1;
}

static const struct link_host host = {
	.read = host_read, .sent = host_sent, .failed = host_failed,
	.open = host_open, .write = host_write, .close = host_close,
	.leave = host_leave, .partials = host_partials
};

static void
fuzz_line_chars(const uint8_t *data, size_t size, bool caller)
{
	struct open_file files[LINK_FILES_MAX] = { { 0 } };
	unsigned char secret[1][LINK_SECRET_LEN] = { { 0 } };
	char out[512];
	struct rng_seeded rng;
	struct link_config config = { .caller = caller, .rate = 11520,
		.secrets = (const unsigned char (*)[LINK_SECRET_LEN])secret,
		.nsecrets = 1, .rng = &rng.rng, .host = &host, .ctx = files };
	struct link *l;

	rng_seeded_init(&rng, 1);
	l = link_new(&config, 0);
	for (size_t i = 0; i < size; i++) {
		link_feed(l, data + i, 1, (int64_t)i);
		FUZZ_CHECK(link_tick(l, (int64_t)i) >= (int64_t)i);
		while (link_pull(l, out, sizeof(out), (int64_t)i) > 0)
			;
	}
	link_free(l);
}

/* The frames that are found, as text. */
static void
show_frames(struct buf *out, const uint8_t *data, size_t size, size_t piece)
{
	struct scanner s;
	struct frame f;
	struct rs rs;

	rs_init(&rs);
	scanner_init(&s, &rs, SEED);
	for (size_t i = 0; i < size; i += piece) {
		size_t n = size - i < piece ? size - i : piece;

		FUZZ_CHECK(scanner_room(&s) >= n);
		scanner_add(&s, data + i, n);
		while (scanner_next(&s, 0, 0, &f) == 1) {
			buf_addf(out, "%u %u %llu %llu %zu\n", f.flags,
			    f.level, (unsigned long long)f.seq,
			    (unsigned long long)f.ack, f.nranges);
			buf_addslice(out, f.payload);
			FUZZ_CHECK(f.nranges <= FRAME_RANGES_MAX);
		}
	}
	scanner_stalled(&s);
	while (scanner_next(&s, 0, 0, &f) == 1)
		;
	FUZZ_CHECK(s.held.len == 0);
	scanner_release(&s);
}

static void
fuzz_octets(const uint8_t *data, size_t size)
{
	struct buf one = BUF_INIT, other = BUF_INIT;

	show_frames(&one, data, size, 1);
	show_frames(&other, data, size, 1000);
	fuzz_same(&one, &other);
	buf_release(&one);
	buf_release(&other);
}

static uint32_t
seeded(const void *octets, size_t len)
{
	static const unsigned char seed[] = { 1, 2, 3, 4 };

	return (uint32_t)crc32(crc32(0, seed, 4), octets, (uInt)len);
}

/* A plain frame whose checks are right, around any flags and body. */
static void
fuzz_body(const uint8_t *data, size_t size)
{
	struct buf frame = BUF_INIT, sealed = BUF_INIT;
	size_t len = size > FRAME_BODY_MAX ? FRAME_BODY_MAX : size;

	if (len == 0)
		return;
	buf_put8(&frame, 0xc0 | (data[0] & 0xf));
	buf_put16(&frame, (uint16_t)(len - 1));
	buf_put8(&frame, 0);
	buf_put16(&frame, 7);
	buf_addslice(&sealed, buf_slice(&frame));
	buf_put16(&frame, (uint16_t)seeded(sealed.ptr, 6));
	buf_add(&frame, data + 1, len - 1);
	buf_add(&sealed, data + 1, len - 1);
	buf_put32(&frame, seeded(sealed.ptr, sealed.len));
	fuzz_octets((const uint8_t *)frame.ptr, frame.len);
	buf_release(&frame);
	buf_release(&sealed);
}

static void
fuzz_record(const uint8_t *data, size_t size)
{
	struct open_file files[LINK_FILES_MAX] = { { 0 } };
	struct link_file ours = { .name = "ours", .size = 100000 };
	struct buf record = BUF_INIT;
	struct items it;

	items_init(&it, &host, files);
	for (ours.tag = 0; ours.tag < 2; ours.tag++) {
		ours.hash[0] = (unsigned char)ours.tag;
		FUZZ_CHECK(items_offer(&it, &ours));
	}
	items_fill(&it, &record, 600);
	FUZZ_CHECK(items_take(&it, (struct slice){ (const char *)data,
	    size }) <= 0);
	FUZZ_CHECK(it.control.len <= ITEMS_CONTROL_MAX + 512);
	for (int i = 0; i < 1000 && items_ready(&it); i++) {
		buf_clear(&record);
		items_fill(&it, &record, 8192);
		FUZZ_CHECK(record.len > 0 && record.len <= 8192);
	}
	FUZZ_CHECK(!items_ready(&it));
	buf_release(&record);
	items_release(&it);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;

	if (size == 0 || size > 65536)
		return 0;
	copy = (uint8_t *)fuzz_copy((const char *)data + 1, size - 1);
	if (data[0] % 5 < 2)
		fuzz_line_chars(copy, size - 1, data[0] % 5 == 1);
	else if (data[0] % 5 == 2)
		fuzz_octets(copy, size - 1);
	else if (data[0] % 5 == 3)
		fuzz_body(copy, size - 1);
	else
		fuzz_record(copy, size - 1);
	free(copy);
	return 0;
}
