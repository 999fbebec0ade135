/* SPDX-License-Identifier: ISC */
/*
 * Five kinds of compression behind one shape.
 *
 * libarchive reads them all, but pulls its input from the caller, which a
 * reader that is fed has not got; the libraries below it are fed.  What they
 * would allocate for a peer is bounded here, and so is how much more than was
 * given may come out.
 */
#include "bundle/expand.h"

#include <bzlib.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/mem.h"
#include "bundle/filter.h"
#include "bundle/lzw.h"

#define STEP 65536
#define MEMORY_MAX (80U << 20)	/* xz -9 takes 65 MiB */
#define WINDOW_LOG_MAX 26	/* of zstd: 64 MiB */
#define BOMB_RATIO 1000
#define BOMB_OCTETS (64U << 20)

/* All have the shape of gzip_reader_next and so on. */
struct kind {
	const char *name, *magic;
	size_t nmagic;
	void *(*start)(void);
	void (*stop)(void *state);
	int (*next)(void *state, const char *in, size_t len, size_t *used_out,
	    struct buf *out, struct err *e);
	int (*end)(void *state, struct err *e);
};

struct expander {
	enum compression kind;
	void *state;
	uint64_t in, out;
};

/* Whether a stream is under way, for those libraries that do not tell. */
struct bzip2 {
	bz_stream z;
	bool inside, any;
};

struct xz {
	lzma_stream z;
	bool started, ended;
};

struct zstd {
	ZSTD_DStream *z;
	size_t wants;		/* 0: between two frames */
	struct buf held;	/* less than it wants */
	bool any;
};

/* bzlib's input is not const; it never writes there. */
static char *
not_const(const char *bytes)
{
	union {
		const char *theirs;
		char *bzlibs;
	} u;

	u.theirs = bytes;
	return u.bzlibs;
}

static int
damaged(const char *name, struct err *e)
{
	return err_set(e, ERR_SYNTAX, "%s: damaged", name);
}

static int
cut_off(const char *name, struct err *e)
{
	return err_set(e, ERR_SYNTAX, "%s: cut off", name);
}

static int
too_hungry(const char *name, struct err *e)
{
	return err_set(e, ERR_LIMIT, "%s: it wants more than %u MiB of memory",
	    name, MEMORY_MAX >> 20);
}

static void *
lzw_start(void)
{
	return lzw_reader_new();
}

static void
lzw_stop(void *state)
{
	lzw_reader_free(state);
}

static int
lzw_next(void *state, const char *in, size_t len, size_t *used_out,
    struct buf *out, struct err *e)
{
	return lzw_reader_next(state, in, len, used_out, out, e);
}

static int
lzw_end(void *state, struct err *e)
{
	return lzw_reader_end(state, e);
}

static void *
gzip_start(void)
{
	return gzip_reader_new(0);
}

static void
gzip_stop(void *state)
{
	gzip_reader_free(state);
}

static int
gzip_next(void *state, const char *in, size_t len, size_t *used_out,
    struct buf *out, struct err *e)
{
	return gzip_reader_next(state, in, len, used_out, out, e);
}

static int
gzip_end(void *state, struct err *e)
{
	return gzip_reader_end(state, e);
}

static void *
bzip2_start(void)
{
	return mem_alloc(1, sizeof(struct bzip2));
}

static void
bzip2_stop(void *state)
{
	struct bzip2 *b = state;

	if (b->inside)
		BZ2_bzDecompressEnd(&b->z);
	free(b);
}

/* Streams may follow each other, as with bzip2(1). */
static int
bzip2_next(void *state, const char *in, size_t len, size_t *used_out,
    struct buf *out, struct err *e)
{
	struct bzip2 *b = state;
	size_t made;
	int status;

	*used_out = 0;
	if (!b->inside && len == 0)
		return 0;
	if (!b->inside) {
		memset(&b->z, 0, sizeof(b->z));
		if (BZ2_bzDecompressInit(&b->z, 0, 0) != BZ_OK)
			return err_set(e, ERR_STATE, "bzip2: would not start");
		b->inside = b->any = true;
	}
	b->z.next_in = not_const(in);
	b->z.avail_in = (unsigned)(len < STEP ? len : STEP);
	*used_out = b->z.avail_in;
	b->z.next_out = buf_room(out, STEP);
	b->z.avail_out = STEP;
	status = BZ2_bzDecompress(&b->z);
	made = STEP - b->z.avail_out;
	buf_grown(out, made);
	*used_out -= b->z.avail_in;
	if (status != BZ_OK && status != BZ_STREAM_END)
		return damaged("bzip2", e);
	if (status == BZ_STREAM_END) {
		BZ2_bzDecompressEnd(&b->z);
		b->inside = false;
	}
	return *used_out > 0 || made > 0;
}

static int
bzip2_end(void *state, struct err *e)
{
	const struct bzip2 *b = state;

	return b->any && !b->inside ? 0 : cut_off("bzip2", e);
}

static void *
xz_start(void)
{
	static const lzma_stream fresh = LZMA_STREAM_INIT;
	struct xz *x = mem_alloc(1, sizeof(*x));

	x->z = fresh;
	x->started = lzma_stream_decoder(&x->z, MEMORY_MAX,
	    LZMA_CONCATENATED) == LZMA_OK;
	return x;
}

static void
xz_stop(void *state)
{
	struct xz *x = state;

	lzma_end(&x->z);
	free(x);
}

static int
xz_step(struct xz *x, const char *in, size_t len, lzma_action action,
    size_t *used_out, struct buf *out, struct err *e)
{
	lzma_ret status;
	size_t made;

	if (!x->started)
		return err_set(e, ERR_STATE, "xz: would not start");
	x->z.next_in = (const uint8_t *)in;
	x->z.avail_in = len;
	x->z.next_out = (uint8_t *)buf_room(out, STEP);
	x->z.avail_out = STEP;
	status = lzma_code(&x->z, action);
	made = STEP - x->z.avail_out;
	buf_grown(out, made);
	*used_out = len - x->z.avail_in;
	x->ended = status == LZMA_STREAM_END;
	if (status == LZMA_MEMLIMIT_ERROR)
		return too_hungry("xz", e);
	if (status != LZMA_OK && status != LZMA_STREAM_END &&
	    status != LZMA_BUF_ERROR)
		return damaged("xz", e);
	return *used_out > 0 || made > 0;
}

static int
xz_next(void *state, const char *in, size_t len, size_t *used_out,
    struct buf *out, struct err *e)
{
	return xz_step(state, in, len, LZMA_RUN, used_out, out, e);
}

static int
xz_end(void *state, struct err *e)
{
	struct buf none = BUF_INIT;
	struct xz *x = state;
	size_t used;
	int rc = xz_step(x, NULL, 0, LZMA_FINISH, &used, &none, e);

	buf_release(&none);
	if (rc < 0)
		return rc;
	return x->ended ? 0 : cut_off("xz", e);
}

static void *
zstd_start(void)
{
	struct zstd *z = mem_alloc(1, sizeof(*z));

	z->z = ZSTD_createDStream();
	if (z->z != NULL)
		ZSTD_DCtx_setParameter(z->z, ZSTD_d_windowLogMax,
		    WINDOW_LOG_MAX);
	return z;
}

static void
zstd_stop(void *state)
{
	struct zstd *z = state;

	ZSTD_freeDStream(z->z);
	buf_release(&z->held);
	free(z);
}

/*
 * What one call of the library makes is lost where it ends in an error, so it
 * gets neither more nor less than the header or block that it asked for: what
 * is given before damage is told depends on the object alone, not on how it
 * comes in.  What it skips may be large, and comes in pieces.
 */
static bool
zstd_gather(struct zstd *z, const char *in, size_t len, size_t *used_out,
    ZSTD_inBuffer *src)
{
	size_t most = z->wants > 0 ? z->wants : 1;
	size_t n;

	if (most > ZSTD_DStreamInSize())
		most = ZSTD_DStreamInSize();
	n = z->held.len < most ? most - z->held.len : 0;
	n = len < n ? len : n;
	buf_add(&z->held, in, n);
	*used_out = n;
	src->src = z->held.ptr;
	src->size = z->held.len < most ? 0 : most;
	return src->size > 0;
}

static int
zstd_next(void *state, const char *in, size_t len, size_t *used_out,
    struct buf *out, struct err *e)
{
	struct zstd *z = state;
	ZSTD_inBuffer src = { NULL, 0, 0 };
	/* Room for a block: nothing stays behind. */
	ZSTD_outBuffer dst = { NULL, ZSTD_DStreamOutSize(), 0 };
	size_t status;

	*used_out = 0;
	if (z->z == NULL)
		return err_set(e, ERR_STATE, "zstd: would not start");
	if (!zstd_gather(z, in, len, used_out, &src))
		return *used_out > 0;
	dst.dst = buf_room(out, dst.size);
	status = ZSTD_decompressStream(z->z, &dst, &src);
	buf_grown(out, dst.pos);
	buf_consume(&z->held, src.pos);
	if (ZSTD_isError(status))
		return strstr(ZSTD_getErrorName(status), "memory") != NULL ?
		    too_hungry("zstd", e) : damaged("zstd", e);
	z->wants = status;
	z->any = true;
	return *used_out > 0;
}

static int
zstd_end(void *state, struct err *e)
{
	const struct zstd *z = state;

	return z->any && z->wants == 0 ? 0 : cut_off("zstd", e);
}

static const struct kind kinds[] = {
	[COMPRESSION_NONE] = { "none", "", 0, NULL, NULL, NULL, NULL },
	[COMPRESSION_COMPRESS] = { "compress", "\x1f\x9d", 2, lzw_start,
	    lzw_stop, lzw_next, lzw_end },
	[COMPRESSION_GZIP] = { "gzip", "\x1f\x8b", 2, gzip_start, gzip_stop,
	    gzip_next, gzip_end },
	[COMPRESSION_BZIP2] = { "bzip2", "BZh", 3, bzip2_start, bzip2_stop,
	    bzip2_next, bzip2_end },
	[COMPRESSION_XZ] = { "xz", "\xfd" "7zXZ\0", 6, xz_start, xz_stop,
	    xz_next, xz_end },
	[COMPRESSION_ZSTD] = { "zstd", "\x28\xb5\x2f\xfd", 4, zstd_start,
	    zstd_stop, zstd_next, zstd_end },
};

_Static_assert(sizeof(kinds) / sizeof(kinds[0]) == COMPRESSIONS,
    "a kind of compression without its row");

const char *
compression_name(enum compression kind)
{
	return kinds[kind].name;
}

int
compression_sniff(const char *bytes, size_t len, enum compression *kind_out)
{
	bool more = false;

	*kind_out = COMPRESSION_NONE;
	for (int i = COMPRESSION_NONE + 1; i < COMPRESSIONS; i++) {
		const struct kind *k = &kinds[i];
		size_t n = len < k->nmagic ? len : k->nmagic;

		if (n > 0 && memcmp(bytes, k->magic, n) != 0)
			continue;
		if (n < k->nmagic) {
			more = true;
			continue;
		}
		*kind_out = (enum compression)i;
		return 1;
	}
	return !more;
}

struct expander *
expander_new(enum compression kind)
{
	struct expander *x = mem_alloc(1, sizeof(*x));

	x->kind = kind;
	x->state = kinds[kind].start();
	return x;
}

void
expander_free(struct expander *x)
{
	if (x == NULL)
		return;
	kinds[x->kind].stop(x->state);
	free(x);
}

enum compression
expander_kind(const struct expander *x)
{
	return x->kind;
}

int
expander_next(struct expander *x, const char *in, size_t len,
    size_t *used_out, struct buf *out, struct err *e)
{
	size_t before = out->len;
	int rc = kinds[x->kind].next(x->state, in, len, used_out, out, e);

	x->in += *used_out;
	x->out += out->len - before;
	if (rc >= 0 && x->out > BOMB_OCTETS &&
	    (x->out - BOMB_OCTETS) / BOMB_RATIO > x->in)
		return err_set(e, ERR_LIMIT, "%s: %llu octets have become "
		    "more than %llu: a bomb", kinds[x->kind].name,
		    (unsigned long long)x->in, (unsigned long long)x->out);
	return rc;
}

int
expander_end(struct expander *x, struct err *e)
{
	return kinds[x->kind].end(x->state, e);
}
