/* SPDX-License-Identifier: ISC */
/*
 * What one mail costs beyond its compressed batch: the figures that
 * postrider-parcel(5) states under "Size and padding".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bundle/bag.h"
#include "bundle/frame.h"
#include "tests/unit/seal_world.h"

#define BATCH 700	/* octets: a mail of 1 to 2 KiB, compressed */

static const char batch[BATCH];

/* A bag with nothing but the batch, its seal if it has one. */
static void
make_bag(struct buf *out, uint64_t serial)
{
	struct bag_writer *w = bag_writer_new(BAG_FLOW, sink_to_buf, out);
	struct bag_flow flow = { UINT64_MAX, serial, serial };

	assert_int_equal(bag_writer_flow(w, &flow, NULL), 0);
	assert_int_equal(bag_writer_batch(w, NULL), 0);
	assert_int_equal(bag_writer_octets(w, batch, BATCH, NULL), 0);
	assert_int_equal(bag_writer_over(w, NULL), 0);
	assert_int_equal(bag_writer_finish(w, NULL), 0);
	bag_writer_free(w);
}

static void
wrap(struct seal_world *w, struct buf *bundle, enum seal_kind kind)
{
	struct seal_to to = seal_world_to(w, kind);
	struct buf sealed = BUF_INIT;

	assert_int_equal(seal_octets(&to, buf_slice(bundle), SIZE_MAX,
	    &sealed), 0);
	buf_release(bundle);
	*bundle = sealed;
}

/* Octets of a parcel that has the bundle and nothing else in it. */
static size_t
parcel_size(struct seal_world *w, const struct buf *bundle, bool direct)
{
	struct seal_to to = seal_world_to(w, SEAL_PARCEL);
	struct frame f = { .kind = FRAME_WHOLE, .direct = direct,
		.lifetime_secs = 432000, .hops = 31, .destination = "oslo",
		.total = bundle->len };
	struct buf plain = BUF_INIT, object = BUF_INIT;
	size_t size;

	assert_int_equal(frame_put(&plain, &f, NULL), 0);
	buf_addslice(&plain, buf_slice(bundle));
	assert_int_equal(seal_octets(&to, buf_slice(&plain), SIZE_MAX,
	    &object), 0);
	size = object.len;
	buf_release(&plain);
	buf_release(&object);
	return size;
}

static void
onion(struct buf *bundle)
{
	struct bag_onward onward = { .destination = "oslo" };
	struct buf out = BUF_INIT;
	struct bag_writer *w = bag_writer_new(BAG_ONION, sink_to_buf, &out);

	assert_int_equal(bag_writer_onward(w, &onward, NULL), 0);
	assert_int_equal(bag_writer_octets(w, bundle->ptr, bundle->len,
	    NULL), 0);
	assert_int_equal(bag_writer_over(w, NULL), 0);
	bag_writer_free(w);
	buf_release(bundle);
	*bundle = out;
}

static void
test_cost(void **state)
{
	static const struct {
		uint64_t serial;
		size_t direct, relayed, layer;
	} rows[] = {
		{ 1, 131, 250, 75 },
		{ 10000, 133, 252, 75 },
		{ 1000000, 135, 254, 75 },
		/* an octet of serial and floor for every seven bits */
		{ UINT32_MAX, 139, 258, 75 },
	};
	struct seal_world w;

	(void)state;
	seal_world_init(&w, 1);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf bundle = BUF_INIT;
		size_t relayed;

		make_bag(&bundle, rows[i].serial);
		assert_int_equal(parcel_size(&w, &bundle, true) - BATCH,
		    rows[i].direct);
		wrap(&w, &bundle, SEAL_BUNDLE);
		relayed = parcel_size(&w, &bundle, false);
		assert_int_equal(relayed - BATCH, rows[i].relayed);
		onion(&bundle);
		wrap(&w, &bundle, SEAL_ONION);
		assert_int_equal(parcel_size(&w, &bundle, false) - relayed,
		    rows[i].layer);
		assert_in_range(rows[i].direct, 0, 140);
		assert_in_range(rows[i].relayed, 0, 260);
		buf_release(&bundle);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
