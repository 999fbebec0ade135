/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_PLACE_H
#define TRANSPORTS_PLACE_H
/*
 * Places as settings name them: where to call, or to be called.
 */
#include "base/err.h"

struct place {
	char *host;	/* name or address; or an absolute path */
	char *port;	/* number or service; NULL where host is a path */
};

/* "HOST:PORT", "[V6]:PORT" or an absolute path.  ERR_SYNTAX. */
int place_parse(const char *text, struct place *p_out) MUST_CHECK;
void place_release(struct place *p);

#endif
