/* SPDX-License-Identifier: ISC */
/*
 * Is a bundle that came in fragments what its name says?  Its octets are read
 * back and hashed, a bounded share on each turn.  Then it is for us, or for
 * another and goes on; one that is not what it was called is dropped whole,
 * since nobody can say which fragment was the false one.
 */
#include "node/transit_private.h"

#define SLICES 4		/* of 64 KiB, in one turn */

bool
bundle_is_whole(const struct bundle *b)
{
	return b->nranges == 1 && b->range[0].done &&
	    b->range[0].offset == 0 && b->range[0].octets == b->octets;
}

void
bundle_turn(const struct exchange *x, struct bundle *b)
{
	bundle_range_clear(&b->range, &b->nranges, 0, b->octets);
	b->role = bundle_is_ours(x, b) ? BUNDLE_ARRIVED : BUNDLE_LEAVING;
	if (b->role == BUNDLE_LEAVING && b->hops > 0)
		b->hops--;
}

/* Whole and true: it arrives, and all of it is acknowledged. */
static int
is_it(struct exchange *x, struct passage *p, struct err *e)
{
	struct hoarded *one;
	struct hoard h;
	int rc;

	hoard_init(&h, x, p->from);
	one = hoard_touch(&h, p);
	bundle_turn(x, &one->b);
	hoard_owe(&h, p->b.name, 0, 0);
	rc = hoard_commit(&h, false, e);
	hoard_release(&h);
	return rc;
}

static int
hash_slice(struct exchange *x, struct passage *p, struct err *e)
{
	struct buf piece = BUF_INIT;
	int rc;

	if (p->hashed == 0)
		sha256_init(&p->hash);
	rc = spool_read_piece(x->spool, p->b.id, p->hashed, &piece, e);
	if (rc == 1) {
		sha256_add(&p->hash, piece.ptr, piece.len);
		p->hashed += piece.len;
	} else if (rc == 0) {
		rc = err_set(e, ERR_CORRUPT, "a piece of it is missing");
	}
	buf_release(&piece);
	return rc;
}

static int
check_one(struct exchange *x, struct passage *p, struct err *e)
{
	unsigned char digest[SHA256_LEN];
	int rc = 1;

	if (p->hashed < p->b.octets)
		rc = hash_slice(x, p, e);
	if (rc == ERR_CORRUPT && !store_failed(spool_store(x->spool)))
		return passage_lose(x, p, "its octets are damaged in the "
		    "spool", e);
	if (rc < 0 || p->hashed < p->b.octets)
		return rc < 0 ? rc : 0;
	sha256_end(&p->hash, digest);
	p->hashed = 0;
	if (memcmp(digest, p->b.name, BUNDLE_NAME_LEN) != 0)
		return passage_lose(x, p, "it is not what its id says", e);
	return is_it(x, p, e);
}

int
check_step(struct exchange *x, struct err *e)
{
	struct list *checks = &x->transit->checks;
	int i, rc = 0;

	for (i = 0; rc == 0 && i < SLICES && !list_empty(checks); i++)
		rc = check_one(x, list_entry(checks->next, struct passage,
		    link), e);
	if (rc < 0)
		return rc;
	return !list_empty(checks);
}
