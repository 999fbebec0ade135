/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_LINK_HELLO_H
#define TRANSPORTS_LINK_HELLO_H
/*
 * The two messages of the handshake, and the wish for one, as lines of
 * characters that pass every path, postrider-link(7).  Before anything is
 * known of the line they are made of letters, digits, '-' and '_', with error
 * correction inside; three characters in front show whether the path lets
 * the top bit and XON through.
 */
#include <stdbool.h>

#include "base/buf.h"
#include "transports/link_rs.h"

#define HELLO_BODY_MAX 235	/* octets */
#define HELLO_LINE_MAX 360	/* characters */

enum hello_kind {
	HELLO_WISH,	/* the answering end asks for a call */
	HELLO_CALL,
	HELLO_ANSWER,
	HELLO_KINDS
};

/* Appends a line.  body: at most HELLO_BODY_MAX octets. */
void hello_line(struct buf *out, const struct rs *rs, enum hello_kind kind,
    struct slice body);

/* Finds such lines among whatever else comes. */
struct hello_finder {
	const struct rs *rs;
	struct buf held;	/* at most HELLO_LINE_MAX characters */
	struct buf word;
};

struct hello {
	enum hello_kind kind;
	struct slice body;	/* lives until the next call */
	unsigned needs;		/* CODING_ bits: what the path ate */
	size_t wrong, len;	/* octets put right, of so many */
};

void hello_finder_init(struct hello_finder *h, const struct rs *rs);
void hello_finder_release(struct hello_finder *h);
/* Whether the character completes a line. */
bool hello_find(struct hello_finder *h, unsigned char c,
    struct hello *hello_out);

#endif
