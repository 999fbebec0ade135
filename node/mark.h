/* SPDX-License-Identifier: ISC */
#ifndef NODE_MARK_H
#define NODE_MARK_H
/*
 * A mark of what something was started with: equal marks, and a reload leaves
 * it alone.  Of plain files it is the identity, who may read it, size and time
 * that count, not the octets: passwords among them are for others.
 *
 *	mark_begin; mark_octets, mark_text, mark_file...; mark_end
 */
#include "base/text.h"

struct mark {
	unsigned char octets[SHA256_LEN];
};

void mark_begin(struct sha256 *h);
void mark_octets(struct sha256 *h, const void *bytes, size_t len);
void mark_text(struct sha256 *h, const char *text);	/* or NULL */
/* path: NULL, or what is no absolute path to a plain file: nothing. */
void mark_file(struct sha256 *h, const char *path);
struct mark mark_end(struct sha256 *h);
bool mark_equal(const struct mark *a, const struct mark *b);

#endif
