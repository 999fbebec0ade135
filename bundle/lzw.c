/* SPDX-License-Identifier: ISC */
/*
 * LZW as compress(1) has it.
 *
 * Codes of 9 to 16 bits stand in groups of eight, the lowest bits first.  The
 * width grows when the table has outgrown it and falls back at a clear code;
 * what is left of the group is then passed over.  No library reads this as a
 * stream that is pushed, so this is our own.
 */
#include "bundle/lzw.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"

#define HEADER_LEN 3
#define BITS_MIN 9
#define BITS_MAX 16
#define BLOCK_MODE 0x80
#define CLEAR 256U
#define STEP 65536

struct lzw_reader {
	unsigned char header[HEADER_LEN];
	size_t nheader;
	unsigned bits_max, bits;
	bool block_mode;
	uint32_t held;			/* bits read, not yet used */
	unsigned nheld;
	unsigned group;			/* codes read of the group */
	unsigned skip;			/* bits to pass over */
	uint32_t next;			/* free entry of the table */
	uint32_t old;			/* code before; valid if `any` */
	bool any;
	unsigned char first;		/* first octet of what it stands for */
	uint64_t octets;		/* made */
	uint16_t prefix[1 << BITS_MAX];
	unsigned char suffix[1 << BITS_MAX];
	unsigned char stack[1 << BITS_MAX];
};

struct lzw_reader *
lzw_reader_new(void)
{
	return mem_alloc(1, sizeof(struct lzw_reader));
}

void
lzw_reader_free(struct lzw_reader *r)
{
	free(r);
}

static int
damaged(const struct lzw_reader *r, const char *what, struct err *e)
{
	return err_set(e, ERR_SYNTAX, "compress: damaged behind octet %llu of "
	    "its content: %s", (unsigned long long)r->octets, what);
}

static int
take_header(struct lzw_reader *r, struct err *e)
{
	unsigned char flags = r->header[2];

	r->bits_max = flags & 0x1f;
	r->block_mode = (flags & BLOCK_MODE) != 0;
	r->bits = BITS_MIN;
	r->next = r->block_mode ? CLEAR + 1 : CLEAR;
	if (r->header[0] != 0x1f || r->header[1] != 0x9d)
		return damaged(r, "no header", e);
	/* What compress -b 9 writes not even it can read. */
	if (r->bits_max <= BITS_MIN || r->bits_max > BITS_MAX)
		return damaged(r, "codes of a width that nobody writes", e);
	return 0;
}

/* The rest of a group that was left; false: there is more of it to come. */
static bool
pass_over(struct lzw_reader *r, const char *in, size_t len, size_t *used)
{
	while (r->skip > 0 && *used < len) {
		unsigned n = r->skip < 8 ? r->skip : 8;

		r->held = (uint32_t)(unsigned char)in[(*used)++] >> n;
		r->nheld = 8 - n;
		r->skip -= n;
	}
	return r->skip == 0;
}

/* The next code: 1, or 0 where there are not bits enough. */
static int
take_code(struct lzw_reader *r, const char *in, size_t len, size_t *used,
    uint32_t *code_out)
{
	if (!pass_over(r, in, len, used))
		return 0;
	while (r->nheld < r->bits) {
		if (*used == len)
			return 0;
		r->held |= (uint32_t)(unsigned char)in[(*used)++] << r->nheld;
		r->nheld += 8;
	}
	*code_out = r->held & ((1U << r->bits) - 1);
	r->held >>= r->bits;
	r->nheld -= r->bits;
	r->group = (r->group + 1) % 8;
	return 1;
}

/* The width changes: the rest of the group means nothing. */
static void
leave_group(struct lzw_reader *r, unsigned bits)
{
	unsigned n;

	r->skip = r->group > 0 ? (8 - r->group) * r->bits : 0;
	n = r->skip < r->nheld ? r->skip : r->nheld;
	r->held >>= n;
	r->nheld -= n;
	r->skip -= n;
	r->group = 0;
	r->bits = bits;
}

static void
widen(struct lzw_reader *r)
{
	if (r->bits < r->bits_max && r->next > (1U << r->bits) - 1)
		leave_group(r, r->bits + 1);
}

/* Appends what the code stands for, and remembers one more string. */
static int
expand(struct lzw_reader *r, uint32_t code, struct buf *out, struct err *e)
{
	uint32_t at = code;
	size_t n = sizeof(r->stack);

	if (!r->any && code >= CLEAR)
		return damaged(r, "its first code", e);
	if (code > r->next || (code == r->next && !r->any))
		return damaged(r, "a code from nowhere", e);
	if (code == r->next) {
		r->stack[--n] = r->first;
		at = r->old;
	}
	for (; at >= CLEAR; at = r->prefix[at]) {
		if (n == 1 || r->prefix[at] >= at)
			return damaged(r, "a code from nowhere", e);
		r->stack[--n] = r->suffix[at];
	}
	r->first = (unsigned char)at;
	r->stack[--n] = r->first;
	buf_add(out, r->stack + n, sizeof(r->stack) - n);
	r->octets += sizeof(r->stack) - n;
	if (r->any && r->next < (1U << r->bits_max)) {
		r->prefix[r->next] = (uint16_t)r->old;
		r->suffix[r->next] = r->first;
		r->next++;
	}
	r->old = code;
	r->any = true;
	return 0;
}

static int
take_start(struct lzw_reader *r, const char *in, size_t len, size_t *used,
    struct err *e)
{
	while (r->nheader < HEADER_LEN && *used < len)
		r->header[r->nheader++] = (unsigned char)in[(*used)++];
	return r->nheader == HEADER_LEN && r->bits == 0 ?
	    take_header(r, e) : 0;
}

int
lzw_reader_next(struct lzw_reader *r, const char *in, size_t len,
    size_t *used_out, struct buf *out, struct err *e)
{
	size_t before = out->len, used = 0;
	uint32_t code;
	int rc = take_start(r, in, len, &used, e);

	while (rc == 0 && r->bits > 0 && out->len - before < STEP &&
	    take_code(r, in, len, &used, &code) == 1) {
		if (r->block_mode && code == CLEAR && r->any) {
			leave_group(r, BITS_MIN);
			/* As its author had it: the entry of the clear code
			 * itself is filled, and never used. */
			r->next = CLEAR;
			continue;
		}
		rc = expand(r, code, out, e);
		widen(r);
	}
	*used_out = used;
	if (rc < 0)
		return rc;
	return used > 0 || out->len > before;
}

int
lzw_reader_end(struct lzw_reader *r, struct err *e)
{
	return r->bits > 0 ? 0 : damaged(r, "cut off in its header", e);
}
