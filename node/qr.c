/* SPDX-License-Identifier: ISC */
/* QR codes by libqrencode.  Level L: a screen is not torn or stained, and the
 * card inside is signed. */
#include "node/qr.h"

#include <errno.h>
#include <qrencode.h>

#define QUIET 4		/* modules around it, ISO/IEC 18004 5.3.8 */

static bool
is_light(const QRcode *qr, int x, int y)
{
	int at = y - QUIET, to = x - QUIET;

	if (at < 0 || to < 0 || at >= qr->width || to >= qr->width)
		return true;
	return (qr->data[at * qr->width + to] & 1) == 0;
}

static void
draw(const QRcode *qr, bool colours, struct buf *out)
{
	static const char *const blocks[2][2] = {
		{ " ", "\xe2\x96\x84" },		/* none, lower */
		{ "\xe2\x96\x80", "\xe2\x96\x88" },	/* upper, both */
	};
	int size = qr->width + 2 * QUIET;

	for (int y = 0; y < size; y += 2) {
		if (colours)
			buf_adds(out, "\033[40;37;1m");
		for (int x = 0; x < size; x++)
			buf_adds(out, blocks[is_light(qr, x, y)]
			    [y + 1 < size && is_light(qr, x, y + 1)]);
		buf_adds(out, colours ? "\033[0m\n" : "\n");
	}
}

int
qr_text(struct slice octets, bool colours, struct buf *out,
    unsigned *columns_out, struct err *e)
{
	QRcode *qr;

	if (octets.len > QR_OCTETS_MAX)
		return err_set(e, ERR_LIMIT, "%zu octets are more than a QR "
		    "code holds (%d)", octets.len, QR_OCTETS_MAX);
	qr = QRcode_encodeData((int)octets.len,
	    (const unsigned char *)octets.ptr, 0, QR_ECLEVEL_L);
	if (qr == NULL)
		return err_errno(e, "cannot make a QR code");
	draw(qr, colours, out);
	*columns_out = (unsigned)(qr->width + 2 * QUIET);
	QRcode_free(qr);
	return 0;
}
