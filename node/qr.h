/* SPDX-License-Identifier: ISC */
#ifndef NODE_QR_H
#define NODE_QR_H
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

#define QR_OCTETS_MAX 2953	/* version 40, level L */

/*
 * A QR code (ISO/IEC 18004) of the octets, as text for a terminal: two rows
 * of modules in a line of block characters (UTF-8), with the quiet zone.  On
 * its own the text is light where it is inked; colours: with the escape
 * sequences that make it so on every terminal.  Appends; columns_out: how
 * wide it is.  ERR_LIMIT: more than QR_OCTETS_MAX.
 */
int qr_text(struct slice octets, bool colours, struct buf *out,
    unsigned *columns_out, struct err *e) MUST_CHECK;

#endif
