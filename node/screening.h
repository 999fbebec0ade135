/* SPDX-License-Identifier: ISC */
#ifndef NODE_SCREENING_H
#define NODE_SCREENING_H
/*
 * One object on its way through the filters of its peer, filter-out before the
 * transport sees it or filter-in before it is processed.
 *
 *	file -> [what filter-part says is taken out] -> chain
 *	     -> [put together with the rest] -> file in the peer's work/
 *
 *	filter-part	out			in
 *	whole		all octets		all octets
 *	entity		Content-* and body; the other fields stay as they are
 *	attachment	all octets; what	the body, its encoding undone
 *			comes out is the
 *			base64 body of a mail
 */
#include "base/text.h"
#include "node/chain.h"
#include "node/daemon.h"

struct screening;

enum screening_way { SCREENING_OUT, SCREENING_IN };

struct screening_result {
	enum chain_end end;
	const char *path;	/* DONE: flushed if it goes out; the file goes
				 * with the screening unless it was renamed */
	uint64_t octets;	/* of it */
	unsigned char digest[SHA256_LEN];
	const char *reason;	/* of the other ends; else "" */
};

/* r lives until the hook returns. */
typedef void screening_done(void *ctx, const struct screening_result *r);

/* Whether the objects of this peer (NULL: none) go through filters. */
bool screening_wanted(const struct conf_peer *peer, enum screening_way way);
/* The peer's folder work/; the caller frees. */
char *screening_dir(const struct daemon *d, const char *peer);
/* At start: removes what an earlier run left there. */
void screening_sweep(const char *dir);
/* path: the object, which is read and stays.  done is called once, from the
 * event loop, never from here; screening_free may be called from it. */
struct screening *screening_start(struct daemon *d,
    const struct conf_peer *peer, enum screening_way way, const char *name,
    const char *path, screening_done *done, void *ctx);
/* Renames a result that is DONE to dir/NAME, durably. */
int screening_deliver(const struct screening_result *r, const char *dir,
    const char *name, struct err *e) MUST_CHECK;
/* Ends what runs and removes its files; NULL is fine. */
void screening_free(struct screening *p);

#endif
