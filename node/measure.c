/* SPDX-License-Identifier: ISC */
/*
 * The encoding of objects.  What is written is measured, not estimated from
 * its messages: envelopes and doubled dots count as well.
 */
#include "node/measure.h"

#define BINARY (CONTENT_BARE | CONTENT_NUL | CONTENT_LONG | CONTENT_OPEN_END)
#define LINE 76			/* of both encodings, RFC 2045 6.7, 6.8 */

void
measure_init(struct measure *m)
{
	content_scanner_init(&m->scan);
	m->coded = 0;
}

void
measure_add(struct measure *m, const char *bytes, size_t len)
{
	content_scanner_add(&m->scan, bytes, len);
	for (size_t i = 0; i < len; i++)
		m->coded += bytes[i] != '\r' && bytes[i] != '\n' &&
		    qp_is_coded(bytes[i]);
}

static enum mime_encoding
smaller(const struct measure *m)
{
	uint64_t octets = m->scan.facts.octets;
	uint64_t qp = octets + 2 * m->coded;
	uint64_t base64 = (octets + 2) / 3 * 4;

	qp += qp / LINE * 3;		/* "=" CR LF, at most */
	base64 += base64 / LINE * 2;
	return qp <= base64 ? MIME_QUOTED_PRINTABLE : MIME_BASE64;
}

enum mime_encoding
measure_choose(struct measure *m, enum conf_path path)
{
	unsigned flags;

	content_scanner_end(&m->scan);
	flags = m->scan.facts.flags;
	if ((flags & (BINARY | CONTENT_8BIT)) == 0)
		return MIME_7BIT;
	if ((flags & BINARY) == 0 && path >= CONF_PATH_8BIT)
		return MIME_8BIT;
	return path == CONF_PATH_BINARY ? MIME_BINARY : smaller(m);
}
