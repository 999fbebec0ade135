/* SPDX-License-Identifier: ISC */
/*
 * zlib's compressor as a push filter.
 */
#include "bundle/deflater.h"

#include <string.h>

Bytef *
deflater_input(const char *bytes)
{
	union {
		const char *theirs;
		Bytef *zlibs;
	} u;

	u.theirs = bytes;
	return u.zlibs;
}

void
deflater_init(struct deflater *d, int level, int window_bits, int mem_level,
    sink_fn *sink, void *ctx)
{
	memset(&d->z, 0, sizeof(d->z));
	d->nheld = 0;
	d->sink = sink;
	d->ctx = ctx;
	d->running = deflateInit2(&d->z, level, Z_DEFLATED, window_bits,
	    mem_level, Z_DEFAULT_STRATEGY) == Z_OK;
}

void
deflater_release(struct deflater *d)
{
	if (d->running)
		deflateEnd(&d->z);
	d->running = false;
}

static void
stop_unless(struct deflater *d, int status)
{
	if (status != Z_OK)
		deflater_release(d);
}

void
deflater_prime(struct deflater *d, struct slice dictionary)
{
	if (d->running)
		stop_unless(d, deflateSetDictionary(&d->z,
		    deflater_input(dictionary.ptr), (uInt)dictionary.len));
}

void
deflater_restart(struct deflater *d)
{
	if (d->running)
		stop_unless(d, deflateReset(&d->z));
}

/* Runs deflate over the given input until it has no more to say. */
static int
step(struct deflater *d, const char *in, size_t len, int flush, struct err *e)
{
	int status;

	if (!d->running)
		return err_set(e, ERR_STATE, "deflate: zlib would not start");
	d->z.next_in = deflater_input(in);
	d->z.avail_in = (uInt)len;
	do {
		d->z.next_out = (Bytef *)d->made;
		d->z.avail_out = sizeof(d->made);
		status = deflate(&d->z, flush);
		if (status == Z_STREAM_ERROR)
			return err_set(e, ERR_STATE, "deflate: wrong order");
		size_t n = sizeof(d->made) - d->z.avail_out;

		if (n > 0) {
			int rc = d->sink(d->ctx, d->made, n, e);

			if (rc < 0)
				return rc;
		}
	} while (d->z.avail_out == 0);
	return 0;
}

int
deflater_add(struct deflater *d, const char *bytes, size_t len, struct err *e)
{
	while (len > 0) {
		size_t n = DEFLATER_STEP - d->nheld;

		if (n > len)
			n = len;
		memcpy(d->held + d->nheld, bytes, n);
		d->nheld += n;
		bytes += n;
		len -= n;
		if (d->nheld < DEFLATER_STEP)
			return 0;
		d->nheld = 0;
		int rc = step(d, d->held, DEFLATER_STEP, Z_NO_FLUSH, e);

		if (rc < 0)
			return rc;
	}
	return 0;
}

int
deflater_end(struct deflater *d, struct err *e)
{
	size_t n = d->nheld;

	d->nheld = 0;
	return step(d, d->held, n, Z_FINISH, e);
}
