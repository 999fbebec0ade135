/* SPDX-License-Identifier: ISC */
/*
 * What is in a parcel, as text in its object's record:
 *
 *	parcel
 *	request				a card and nothing else
 *	card COUNTER			ours
 *	back COUNTER			the neighbour's own
 *	ack NAME OFFSET+OCTETS ...	none: all of it
 *	piece NUMBER OFFSET OCTETS
 *
 * Octets of the parcel do not follow from it (each sealing is another), but
 * what has to happen when it was sent, or was not.
 */
#include "node/transit_private.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/text.h"

void
parcel_init(struct parcel *p)
{
	memset(p, 0, sizeof(*p));
}

void
parcel_release(struct parcel *p)
{
	size_t i;

	for (i = 0; i < p->nacks; i++)
		owed_ack_release(&p->ack[i]);
	free(p->ack);
	free(p->piece);
	parcel_init(p);
}

/* Room for one more in an array that doubles. */
static void *
grow(void *array, size_t n, size_t size)
{
	if ((n & (n - 1)) != 0)
		return array;
	return mem_realloc(array, n == 0 ? 1 : n * 2, size);
}

struct parcel_piece *
parcel_add_piece(struct parcel *p, uint64_t id, uint64_t offset,
    uint64_t octets)
{
	struct parcel_piece *piece;

	p->piece = grow(p->piece, p->npieces, sizeof(*p->piece));
	piece = &p->piece[p->npieces++];
	piece->id = id;
	piece->offset = offset;
	piece->octets = octets;
	return piece;
}

struct owed_ack *
parcel_add_ack(struct parcel *p)
{
	p->ack = grow(p->ack, p->nacks, sizeof(*p->ack));
	owed_ack_init(&p->ack[p->nacks]);
	return &p->ack[p->nacks++];
}

char *
parcel_text(const struct parcel *p)
{
	struct buf b = BUF_INIT;
	size_t i, k;

	buf_adds(&b, PARCEL_WORD);
	if (p->request)
		buf_adds(&b, "request\n");
	if (p->card != 0)
		buf_addf(&b, "card %" PRIu64 "\n", p->card);
	if (p->back != 0)
		buf_addf(&b, "back %" PRIu64 "\n", p->back);
	for (i = 0; i < p->nacks; i++) {
		buf_addf(&b, "ack %s", bundle_text(p->ack[i].name).s);
		for (k = 0; k < p->ack[i].nranges; k++)
			buf_addf(&b, " %" PRIu64 "+%" PRIu64,
			    p->ack[i].range[k].offset,
			    p->ack[i].range[k].octets);
		buf_addc(&b, '\n');
	}
	for (i = 0; i < p->npieces; i++)
		buf_addf(&b, "piece %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
		    p->piece[i].id, p->piece[i].offset, p->piece[i].octets);
	return buf_steal(&b);
}

/* Cuts the first word, up to c, off the line. */
static struct slice
word(struct slice *line, char c)
{
	const char *end = memchr(line->ptr, c, line->len);
	struct slice w = *line;

	if (end != NULL)
		w.len = (size_t)(end - line->ptr);
	line->ptr += w.len;
	line->len -= w.len;
	if (end != NULL) {
		line->ptr++;
		line->len--;
	}
	return w;
}

static int
number(struct slice *line, char end, uint64_t *n_out)
{
	return num_parse(word(line, end), UINT64_MAX, n_out);
}

static int
hex_name(struct slice hex, unsigned char name[BUNDLE_NAME_LEN])
{
	static const char digits[] = "0123456789abcdef";
	const char *at;
	size_t i;

	if (hex.len != 2 * BUNDLE_NAME_LEN)
		return ERR_SYNTAX;
	memset(name, 0, BUNDLE_NAME_LEN);
	for (i = 0; i < hex.len; i++) {
		at = memchr(digits, hex.ptr[i], 16);
		if (at == NULL)
			return ERR_SYNTAX;
		name[i / 2] = (unsigned char)(name[i / 2] << 4 |
		    (at - digits));
	}
	return 0;
}

static int
parse_ack(struct parcel *p, struct slice line)
{
	struct owed_ack *ack = parcel_add_ack(p);
	struct bundle_range range = { 0, 0, true, 0 };

	if (hex_name(word(&line, ' '), ack->name) != 0)
		return ERR_SYNTAX;
	while (line.len > 0) {
		if (number(&line, '+', &range.offset) != 0 ||
		    number(&line, ' ', &range.octets) != 0)
			return ERR_SYNTAX;
		bundle_range_set(&ack->range, &ack->nranges, range);
	}
	return 0;
}

static int
parse_piece(struct parcel *p, struct slice line)
{
	uint64_t id, offset, octets;

	if (number(&line, ' ', &id) != 0 || number(&line, ' ', &offset) != 0 ||
	    number(&line, ' ', &octets) != 0)
		return ERR_SYNTAX;
	(void)parcel_add_piece(p, id, offset, octets);
	return 0;
}

static int
parse_line(struct parcel *p, struct slice line)
{
	struct slice key = word(&line, ' ');

	if (slice_eqs(key, "ack"))
		return parse_ack(p, line);
	if (slice_eqs(key, "piece"))
		return parse_piece(p, line);
	if (slice_eqs(key, "card"))
		return number(&line, ' ', &p->card);
	if (slice_eqs(key, "back"))
		return number(&line, ' ', &p->back);
	p->request |= slice_eqs(key, "request");
	return p->request ? 0 : ERR_SYNTAX;
}

int
parcel_parse(const char *text, struct parcel *p_out, struct err *e)
{
	struct slice rest = slice_of(text), line = word(&rest, '\n');

	parcel_init(p_out);
	if (!slice_eqs(line, "parcel"))
		return err_set(e, ERR_CORRUPT, "no parcel: \"%.*s\"",
		    (int)(line.len < 40 ? line.len : 40), line.ptr);
	while (rest.len > 0) {
		line = word(&rest, '\n');
		if (parse_line(p_out, line) == 0)
			continue;
		parcel_release(p_out);
		return err_set(e, ERR_CORRUPT, "the record of a parcel has a "
		    "line \"%.*s\"",
		    (int)(line.len < 40 ? line.len : 40), line.ptr);
	}
	return 0;
}
