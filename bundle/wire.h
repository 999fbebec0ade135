/* SPDX-License-Identifier: ISC */
#ifndef BUNDLE_WIRE_H
#define BUNDLE_WIRE_H
/*
 * The few encodings that frames and bags are made of (postrider-parcel(5)):
 * numbers, names of sites, lifetimes, priorities.  Each value has exactly one
 * way to be written; whatever else is read is refused.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define SITE_NAME_MAX 63	/* octets of a site's name */
#define VARINT_MAX 10		/* octets of the longest number */
#define PRIORITY_MAX 9		/* RFC 6710: -9 .. 9 */
#define LIFETIME_STEP_MAX 77	/* some 14 months */
#define HOPS_MAX 31		/* remaining hops of a fresh bundle: 16..31 */
#define BUNDLE_ID_LEN 16	/* first octets of a SHA-256 */
#define CARD_OCTETS_MAX 16384	/* a site's card inside frame or bag */

/* Seven bits an octet, the lowest first; bit 7 says that more follow. */
void wire_put_varint(struct buf *out, uint64_t n);
/* The length in one octet, then the name; the name is valid. */
void wire_put_site(struct buf *out, const char *name);

/* A name as configured: a letter or digit, then letters, digits, "-_.". */
bool wire_site_valid(struct slice name);

/* Lifetimes travel in quarters of an octave: step n lasts {60, 71, 85,
 * 101}[n % 4] * 2^(n / 4) seconds.  The step is the first that lasts at least
 * so long, LIFETIME_STEP_MAX for more than there is.  What has been rounded
 * up once is not rounded up again by the next hop, however many there are. */
unsigned wire_lifetime_step(uint64_t secs);
uint64_t wire_lifetime_secs(unsigned step);

/*
 * Reads from the front of what has arrived so far.  The first thing that does
 * not hold sticks: `state` is then negative (refused, with the error) or 1
 * (ended before it was whole: more octets may help), all further reads give
 * zero, and nothing read before is to be used.
 */
struct wire_reader {
	const char *ptr;
	size_t len;
	int state;
	struct err *e;	/* may be NULL */
};

struct wire_reader wire_reader_of(struct slice s, struct err *e);
uint8_t wire_get8(struct wire_reader *r);
uint64_t wire_get64(struct wire_reader *r);
/* At most max, which is named `what` in the error (ERR_LIMIT); ERR_SYNTAX if
 * it could be written shorter or has more than 64 bits. */
uint64_t wire_get_varint(struct wire_reader *r, uint64_t max,
    const char *what);
/* len octets, pointing into what is read. */
struct slice wire_get_bytes(struct wire_reader *r, size_t len);
/* Into name_out with a NUL behind. */
void wire_get_site(struct wire_reader *r, char name_out[SITE_NAME_MAX + 1]);
int wire_get_priority(struct wire_reader *r);
/* Seconds. */
uint64_t wire_get_lifetime(struct wire_reader *r);
/* Sets the error, unless there is one. */
void wire_refuse(struct wire_reader *r, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Puts items together that come in pieces.  An item whole in one piece is
 * read where it lies.
 *
 *	r = wire_gather_begin(g, in, len, e); read an item from r;
 *	wire_gather_end(g, &r, in, len, &used)
 */
#define WIRE_ITEM_MAX (CARD_OCTETS_MAX + 64)	/* octets of the longest */

struct wire_gather {
	struct buf held;
	size_t before;	/* octets held when the piece came */
	bool whole;	/* what is held has been read */
};

void wire_gather_init(struct wire_gather *g);
void wire_gather_release(struct wire_gather *g);
struct wire_reader wire_gather_begin(struct wire_gather *g, const char *in,
    size_t len, struct err *e);
/* Returns r's state; used_out: octets of the piece that belong to the item.
 * What was read lives until the next wire_gather_begin. */
int wire_gather_end(struct wire_gather *g, struct wire_reader *r,
    const char *in, size_t len, size_t *used_out);
/* Whether part of an item is held. */
bool wire_gather_inside(const struct wire_gather *g);

#endif
