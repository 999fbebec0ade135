/* SPDX-License-Identifier: ISC */
#ifndef NODE_MEASURE_H
#define NODE_MEASURE_H
/*
 * Which transfer encoding an object gets, by its octets and its road.
 */
#include "node/conf.h"
#include "smtp/envelope.h"

struct measure {
	struct content_scanner scan;
	uint64_t coded;		/* octets that quoted-printable codes */
};

void measure_init(struct measure *m);
/* The object as it is without an encoding. */
void measure_add(struct measure *m, const char *bytes, size_t len);
/* Once: none where the road carries it, named by what is in it; else the
 * smaller of quoted-printable and base64 (RFC 2045 6). */
enum mime_encoding measure_choose(struct measure *m, enum conf_path path);

#endif
