/* SPDX-License-Identifier: ISC */
/*
 * gzip as a stream, over zlib.  The header names no file, no time and no
 * system, so that the same content is the same object.
 */
#include "bundle/filter.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/mem.h"
#include "bundle/deflater.h"

#define STEP 65536
#define GZIP_WINDOW (15 + 16)	/* 32 KiB window, gzip header and trailer */
#define GZIP_MEM_LEVEL 8
#define GZIP_OS_UNKNOWN 255

struct gzip_writer {
	struct deflater deflater;
	gz_header header;
};

struct gzip_reader {
	z_stream z;
	uint64_t max_octets, octets;
	bool inside;		/* in a member, its trailer included */
	bool any;		/* a member was seen */
};

struct gzip_writer *
gzip_writer_new(int level, sink_fn *sink, void *ctx)
{
	struct gzip_writer *w = mem_alloc(1, sizeof(*w));

	w->header.os = GZIP_OS_UNKNOWN;
	deflater_init(&w->deflater, level, GZIP_WINDOW, GZIP_MEM_LEVEL, sink,
	    ctx);
	if (w->deflater.running &&
	    deflateSetHeader(&w->deflater.z, &w->header) != Z_OK)
		deflater_release(&w->deflater);
	return w;
}

int
gzip_writer_add(struct gzip_writer *w, const char *bytes, size_t len,
    struct err *e)
{
	return deflater_add(&w->deflater, bytes, len, e);
}

int
gzip_writer_end(struct gzip_writer *w, struct err *e)
{
	return deflater_end(&w->deflater, e);
}

void
gzip_writer_free(struct gzip_writer *w)
{
	if (w == NULL)
		return;
	deflater_release(&w->deflater);
	free(w);
}

struct gzip_reader *
gzip_reader_new(uint64_t max_octets)
{
	struct gzip_reader *r = mem_alloc(1, sizeof(*r));

	r->max_octets = max_octets;
	if (inflateInit2(&r->z, GZIP_WINDOW) != Z_OK)
		r->z.state = NULL;
	return r;
}

/*
 * Between two members: zeros that a medium padded with are passed over.
 * Returns how many octets; a member then begins or the input is used up.
 */
static size_t
skip_padding(struct gzip_reader *r, const char *in, size_t len)
{
	size_t n = 0;

	while (r->any && n < len && in[n] == '\0')
		n++;
	if (n < len) {
		inflateReset(&r->z);
		r->inside = r->any = true;
	}
	return n;
}

static int
inflate_verdict(struct gzip_reader *r, int status, size_t used, size_t made,
    struct err *e)
{
	if (status == Z_STREAM_END)
		r->inside = false;
	else if (status != Z_OK && status != Z_BUF_ERROR)
		return err_set(e, ERR_SYNTAX,
		    "gzip: damaged behind octet %llu of its content: %s",
		    (unsigned long long)r->octets,
		    r->z.msg != NULL ? r->z.msg : "no reason known");
	if (r->max_octets != 0 && r->octets > r->max_octets)
		return err_set(e, ERR_LIMIT,
		    "gzip: more than %llu octets of content",
		    (unsigned long long)r->max_octets);
	return used > 0 || made > 0;
}

int
gzip_reader_next(struct gzip_reader *r, const char *in, size_t len,
    size_t *used_out, struct buf *out, struct err *e)
{
	size_t skipped = 0;

	*used_out = 0;
	if (r->z.state == NULL)
		return err_set(e, ERR_STATE, "gzip: zlib would not start");
	if (len > (1U << 30))
		len = 1U << 30;
	if (!r->inside) {
		skipped = *used_out = skip_padding(r, in, len);
		if (!r->inside)
			return skipped > 0;
	}
	r->z.next_in = deflater_input(in + skipped);
	r->z.avail_in = (uInt)(len - skipped);
	r->z.next_out = (Bytef *)buf_room(out, STEP);
	r->z.avail_out = STEP;

	int status = inflate(&r->z, Z_NO_FLUSH);
	size_t made = STEP - r->z.avail_out;

	buf_grown(out, made);
	r->octets += made;
	*used_out = len - r->z.avail_in;
	return inflate_verdict(r, status, *used_out, made, e);
}

int
gzip_reader_end(struct gzip_reader *r, struct err *e)
{
	if (r->inside || !r->any)
		return err_set(e, ERR_SYNTAX,
		    "gzip: cut off behind octet %llu of its content",
		    (unsigned long long)r->octets);
	return 0;
}

void
gzip_reader_free(struct gzip_reader *r)
{
	if (r == NULL)
		return;
	if (r->z.state != NULL)
		inflateEnd(&r->z);
	free(r);
}
