/* SPDX-License-Identifier: ISC */
/*
 * The armour.  Each octet has 42 added, so that the zeros of padding are no
 * NULs; the few octets that a line cannot hold are written as "=" and
 * themselves with 64 added.  The trailer, "==", the count of octets and their
 * CRC-32C, can stand nowhere else, since nothing is written as "==".  It tells
 * what was cut off from what is whole, before anybody says that it has come.
 */
#include "bundle/armour.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/text.h"

#define SHIFT 42
#define ESCAPED 64
#define LINE_MAX_OCTETS 996	/* an escape may follow the last of these */

enum armour_state { AT_TEXT, AT_ESCAPE, AT_TRAILER, AT_END };

static bool
is_special(unsigned char c)
{
	return c == '\0' || c == '\r' || c == '\n' || c == '=';
}

/* What stands first or last in a line and is changed by some who carry it. */
static bool
is_special_first(unsigned char c)
{
	return c == '.' || c == 'F' || c == '-' || c == ' ' || c == '\t';
}

static bool
is_special_last(unsigned char c)
{
	return c == ' ' || c == '\t';
}

void
armour_encoder_init(struct armour_encoder *a)
{
	*a = (struct armour_encoder){ 0 };
}

void
armour_encoder_add(struct armour_encoder *a, struct buf *out,
    const void *bytes, size_t len)
{
	const unsigned char *in = bytes;

	a->crc = crc32c(a->crc, bytes, len);
	a->octets += len;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)(in[i] + SHIFT);
		bool last = a->column >= LINE_MAX_OCTETS - 1;

		if (is_special(c) || (a->column == 0 && is_special_first(c)) ||
		    (last && is_special_last(c))) {
			buf_addc(out, '=');
			c = (unsigned char)(c + ESCAPED);
			a->column++;
		}
		buf_addc(out, (char)c);
		a->column++;
		if (a->column >= LINE_MAX_OCTETS) {
			buf_add(out, "\r\n", 2);
			a->column = 0;
		}
	}
}

void
armour_encoder_end(struct armour_encoder *a, struct buf *out)
{
	/* A blank may be the last; so that none is lost, "=" ends the line,
	 * and the line end behind it is nothing. */
	if (a->column > 0)
		buf_adds(out, "=\r\n");
	buf_addf(out, "==%" PRIu64 " %08" PRIx32 "\r\n", a->octets, a->crc);
	a->column = 0;
}

void
armour_decoder_init(struct armour_decoder *d)
{
	*d = (struct armour_decoder){ .state = AT_TEXT };
}

/* Behind "=": one of what an encoder writes there. */
static int
take_escaped(struct armour_decoder *d, struct buf *out, unsigned char c,
    struct err *e)
{
	unsigned char plain = (unsigned char)(c - ESCAPED);

	if (c == '=') {
		d->state = AT_TRAILER;
		return 0;
	}
	if (c == '\r')
		return 0;
	d->state = AT_TEXT;
	if (c == '\n')
		return 0;
	if (!is_special(plain) && !is_special_first(plain))
		return err_set(e, ERR_SYNTAX, "its armour is damaged behind "
		    "octet %" PRIu64, d->octets + out->len);
	buf_addc(out, (char)(plain - SHIFT));
	return 0;
}

static int
end_trailer(struct armour_decoder *d, struct err *e)
{
	char want[sizeof(d->trailer)];
	int n = snprintf(want, sizeof(want), "%" PRIu64 " %08" PRIx32,
	    d->octets, d->crc);

	while (d->ntrailer > 0 && (d->trailer[d->ntrailer - 1] == ' ' ||
	    d->trailer[d->ntrailer - 1] == '\t'))
		d->ntrailer--;
	d->state = AT_END;
	if ((size_t)n == d->ntrailer &&
	    memcmp(want, d->trailer, d->ntrailer) == 0)
		return 0;
	return err_set(e, ERR_SYNTAX, "its armour is damaged: %" PRIu64
	    " octets that are not those that its trailer tells of", d->octets);
}

static void
count(struct armour_decoder *d, const struct buf *out, size_t before)
{
	d->crc = crc32c(d->crc, out->ptr + before, out->len - before);
	d->octets += out->len - before;
}

static int
take_trailer(struct armour_decoder *d, char c, struct err *e)
{
	if (c == '\r')
		return 0;
	if (c == '\n')
		return end_trailer(d, e);
	if (d->ntrailer == sizeof(d->trailer))
		return err_set(e, ERR_SYNTAX, "its armour has no sound "
		    "trailer");
	d->trailer[d->ntrailer++] = c;
	return 0;
}

static int
take_text(struct armour_decoder *d, struct buf *out, char c, struct err *e)
{
	if (c == '=')
		d->state = AT_ESCAPE;
	else if (c == '\0')
		return err_set(e, ERR_SYNTAX, "its armour is damaged: it "
		    "holds a NUL");
	else if (c != '\r' && c != '\n')
		buf_addc(out, (char)((unsigned char)c - SHIFT));
	return 0;
}

int
armour_decoder_add(struct armour_decoder *d, struct buf *out, const char *in,
    size_t len, struct err *e)
{
	size_t before = out->len;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < len && d->state != AT_END; i++) {
		if (d->state == AT_TEXT) {
			rc = take_text(d, out, in[i], e);
		} else if (d->state == AT_ESCAPE) {
			rc = take_escaped(d, out, (unsigned char)in[i], e);
		} else {
			if (out->len > before)
				count(d, out, before);
			before = out->len;
			rc = take_trailer(d, in[i], e);
		}
	}
	if (out->len > before)
		count(d, out, before);
	return rc;
}

int
armour_decoder_end(struct armour_decoder *d, struct err *e)
{
	/* The line end behind it may be gone. */
	if (d->state == AT_TRAILER && d->ntrailer > 0)
		return end_trailer(d, e);
	if (d->state != AT_END)
		return err_set(e, ERR_SYNTAX, "its armour is cut off");
	return 0;
}
