/* SPDX-License-Identifier: ISC */
/*
 * The compression of native batches.
 *
 * deflate ends its own streams, so `each` needs no lengths: the next stream
 * begins in the octet behind.  A stream of no octets says nothing and is
 * refused, so that no input can be long without making output.
 */
#include "bundle/squeeze.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/mem.h"
#include "bundle/deflater.h"
#include "bundle/dictionary.h"

#define STEP 65536
#define LEVEL 9
#define RAW_WINDOW (-15)	/* 32 KiB, no header and no trailer */
#define MEM_LEVEL 8	/* 9 makes blocks so long that mails of different
				 * kinds share one code: 0.5 % more */
#define MODE_SHIFT 6		/* the octet in front: mode, dictionary */

static const char *const mode_names[] = {
	[SQUEEZE_NONE] = "none",
	[SQUEEZE_TOGETHER] = "together",
	[SQUEEZE_EACH] = "each",
};
_Static_assert(sizeof(mode_names) / sizeof(mode_names[0]) == SQUEEZE_MODES,
    "a name for each mode");

struct squeeze_writer {
	struct squeeze_how how;
	struct slice dictionary;
	struct deflater deflater;
	bool begun;		/* the octet in front is written */
	bool inside;		/* a stream has begun */
};

enum reader_state {
	READER_HEAD,		/* the octet in front is to come */
	READER_STORED,
	READER_BETWEEN,		/* a stream may begin */
	READER_INSIDE,
	READER_OVER,		/* nothing may follow */
	READER_BROKEN,
};

struct squeeze_reader {
	enum reader_state state;
	struct squeeze_how how;
	struct slice dictionary;
	z_stream z;
	bool running;		/* zlib holds memory */
	uint64_t max_octets, octets;
	uint64_t stream_octets;	/* of the present stream */
	struct err fault;
};

struct squeeze_how
squeeze_default(enum squeeze_mode mode)
{
	return (struct squeeze_how){ mode, mode == SQUEEZE_NONE ?
	    SQUEEZE_DICTIONARY_NONE : SQUEEZE_DICTIONARY_MAIL_1 };
}

const char *
squeeze_mode_name(enum squeeze_mode mode)
{
	return mode_names[mode];
}

int
squeeze_mode_parse(struct slice name, enum squeeze_mode *mode_out)
{
	for (unsigned m = 0; m < SQUEEZE_MODES; m++) {
		if (slice_ieqs(name, mode_names[m])) {
			*mode_out = (enum squeeze_mode)m;
			return 0;
		}
	}
	return ERR_SYNTAX;
}

int
squeeze_dictionary(unsigned id, struct slice *octets_out, struct err *e)
{
	switch (id) {
	case SQUEEZE_DICTIONARY_NONE:
		*octets_out = SLICE_LIT("");
		return 0;
	case SQUEEZE_DICTIONARY_MAIL_1:
		*octets_out = dictionary_mail_1;
		return 0;
	default:
		return err_set(e, ERR_UNSUPPORTED,
		    "batch: dictionary %u is not known here", id);
	}
}

/*
 * Writer.
 */
struct squeeze_writer *
squeeze_writer_new(struct squeeze_how how, sink_fn *sink, void *ctx)
{
	struct squeeze_writer *w = mem_alloc(1, sizeof(*w));

	w->how = how;
	deflater_init(&w->deflater, LEVEL, RAW_WINDOW, MEM_LEVEL, sink, ctx);
	return w;
}

void
squeeze_writer_free(struct squeeze_writer *w)
{
	if (w == NULL)
		return;
	deflater_release(&w->deflater);
	free(w);
}

static int
write_octets(struct squeeze_writer *w, const char *bytes, size_t len,
    struct err *e)
{
	return w->deflater.sink(w->deflater.ctx, bytes, len, e);
}

static int
write_head(struct squeeze_writer *w, struct err *e)
{
	unsigned head = (unsigned)w->how.mode << MODE_SHIFT |
	    w->how.dictionary;
	char octet = (char)(unsigned char)head;
	int rc;

	if (w->begun)
		return 0;
	rc = squeeze_dictionary(w->how.dictionary, &w->dictionary, e);
	if (rc < 0)
		return rc;
	w->begun = true;
	return write_octets(w, &octet, 1, e);
}

static void
begin_stream(struct squeeze_writer *w)
{
	if (w->inside)
		return;
	w->inside = true;
	deflater_restart(&w->deflater);
	if (w->dictionary.len > 0)
		deflater_prime(&w->deflater, w->dictionary);
}

int
squeeze_writer_add(struct squeeze_writer *w, const char *bytes, size_t len,
    struct err *e)
{
	int rc = write_head(w, e);

	if (rc < 0 || len == 0)
		return rc;
	if (w->how.mode == SQUEEZE_NONE)
		return write_octets(w, bytes, len, e);
	begin_stream(w);
	return deflater_add(&w->deflater, bytes, len, e);
}

int
squeeze_writer_cut(struct squeeze_writer *w, struct err *e)
{
	if (w->how.mode != SQUEEZE_EACH || !w->inside)
		return 0;
	w->inside = false;
	return deflater_end(&w->deflater, e);
}

int
squeeze_writer_end(struct squeeze_writer *w, struct err *e)
{
	int rc = write_head(w, e);

	if (rc < 0 || w->how.mode == SQUEEZE_NONE)
		return rc;
	if (w->how.mode == SQUEEZE_EACH)
		return squeeze_writer_cut(w, e);
	begin_stream(w);
	w->inside = false;
	return deflater_end(&w->deflater, e);
}

/*
 * Reader.
 */
struct squeeze_reader *
squeeze_reader_new(uint64_t max_octets)
{
	struct squeeze_reader *r = mem_alloc(1, sizeof(*r));

	r->max_octets = max_octets;
	r->running = inflateInit2(&r->z, RAW_WINDOW) == Z_OK;
	return r;
}

void
squeeze_reader_free(struct squeeze_reader *r)
{
	if (r == NULL)
		return;
	if (r->running)
		inflateEnd(&r->z);
	free(r);
}

static int
read_head(struct squeeze_reader *r, unsigned char octet, struct err *e)
{
	unsigned mode = octet >> MODE_SHIFT;

	r->how.dictionary = octet & SQUEEZE_DICTIONARY_MAX;
	if (mode >= SQUEEZE_MODES || (mode == SQUEEZE_NONE &&
	    r->how.dictionary != SQUEEZE_DICTIONARY_NONE))
		return err_set(e, ERR_SYNTAX,
		    "batch: no compression has the mark %u", octet);
	r->how.mode = (enum squeeze_mode)mode;
	r->state = mode == SQUEEZE_NONE ? READER_STORED : READER_BETWEEN;
	return squeeze_dictionary(r->how.dictionary, &r->dictionary, e);
}

static int
begin_inflate(struct squeeze_reader *r, struct err *e)
{
	if (!r->running || inflateReset(&r->z) != Z_OK ||
	    (r->dictionary.len > 0 && inflateSetDictionary(&r->z,
	    deflater_input(r->dictionary.ptr), (uInt)r->dictionary.len) !=
	    Z_OK))
		return err_set(e, ERR_STATE, "batch: zlib would not start");
	r->stream_octets = 0;
	r->state = READER_INSIDE;
	return 0;
}

static int
end_inflate(struct squeeze_reader *r, struct err *e)
{
	if (r->how.mode == SQUEEZE_EACH && r->stream_octets == 0)
		return err_set(e, ERR_SYNTAX,
		    "batch: a compressed message of no octets");
	r->state = r->how.mode == SQUEEZE_EACH ? READER_BETWEEN : READER_OVER;
	return 0;
}

/* n octets came out.  What is beyond the limit is taken back, so that the
 * pieces of the input don't show. */
static int
count_octets(struct squeeze_reader *r, struct buf *out, size_t n,
    struct err *e)
{
	r->octets += n;
	r->stream_octets += n;
	if (r->max_octets == 0 || r->octets <= r->max_octets)
		return 0;
	buf_truncate(out, out->len - (size_t)(r->octets - r->max_octets));
	return err_set(e, ERR_LIMIT,
	    "batch: more than %llu octets uncompressed",
	    (unsigned long long)r->max_octets);
}

static int
read_stored(struct squeeze_reader *r, const char *in, size_t len,
    size_t *used_out, struct buf *out, struct err *e)
{
	size_t n = len < STEP ? len : STEP;

	buf_add(out, in, n);
	*used_out = n;
	return count_octets(r, out, n, e);
}

static int
read_deflated(struct squeeze_reader *r, const char *in, size_t len,
    size_t *used_out, struct buf *out, struct err *e)
{
	size_t given = len < (1U << 30) ? len : 1U << 30, made;
	int status, rc;

	r->z.next_in = deflater_input(in);
	r->z.avail_in = (uInt)given;
	r->z.next_out = (Bytef *)buf_room(out, STEP);
	r->z.avail_out = STEP;
	status = inflate(&r->z, Z_NO_FLUSH);
	made = STEP - r->z.avail_out;
	buf_grown(out, made);
	*used_out = given - r->z.avail_in;
	if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
		return err_set(e, ERR_SYNTAX,
		    "batch: damaged behind octet %llu uncompressed: %s",
		    (unsigned long long)(r->octets + made),
		    r->z.msg != NULL ? r->z.msg : "no reason known");
	rc = count_octets(r, out, made, e);
	return rc == 0 && status == Z_STREAM_END ? end_inflate(r, e) : rc;
}

/* One step in the present state: 0, or what is wrong. */
static int
advance(struct squeeze_reader *r, const char *in, size_t len,
    size_t *used_out, struct buf *out, struct err *e)
{
	switch (r->state) {
	case READER_HEAD:
		*used_out = len > 0;
		return len > 0 ? read_head(r, (unsigned char)in[0], e) : 0;
	case READER_STORED:
		return read_stored(r, in, len, used_out, out, e);
	case READER_BETWEEN:
		return len > 0 ? begin_inflate(r, e) : 0;
	case READER_INSIDE:
		return read_deflated(r, in, len, used_out, out, e);
	case READER_OVER:
		return len > 0 ? err_set(e, ERR_SYNTAX,
		    "batch: octets behind its end") : 0;
	case READER_BROKEN:
		break;
	}
	*e = r->fault;
	return e->code;
}

int
squeeze_reader_next(struct squeeze_reader *r, const char *in, size_t len,
    size_t *used_out, struct buf *out, struct err *e)
{
	enum reader_state before = r->state;
	size_t held = out->len;
	int rc;

	*used_out = 0;
	rc = advance(r, in, len, used_out, out, e);
	if (rc < 0) {
		r->fault = *e;
		r->state = READER_BROKEN;
		return rc;
	}
	return *used_out > 0 || out->len > held || r->state != before;
}

int
squeeze_reader_end(struct squeeze_reader *r, struct err *e)
{
	switch (r->state) {
	case READER_STORED:
	case READER_OVER:
		return 0;
	case READER_BETWEEN:
		if (r->how.mode == SQUEEZE_EACH)
			return 0;
		break;
	case READER_BROKEN:
		*e = r->fault;
		return e->code;
	default:
		break;
	}
	return err_set(e, ERR_SYNTAX,
	    "batch: cut off behind octet %llu uncompressed",
	    (unsigned long long)r->octets);
}
