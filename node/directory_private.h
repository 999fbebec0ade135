/* SPDX-License-Identifier: ISC */
#ifndef NODE_DIRECTORY_PRIVATE_H
#define NODE_DIRECTORY_PRIVATE_H
/* What directory.c and directory_seal.c share. */
#include "node/directory.h"

struct known {
	struct directory *dir;
	struct card card;
	char *text;		/* of it */
	struct site_record rec;
	bool vouched;		/* else only the spool's record */
	bool replaced;		/* it was another identity at the last end */
	bool rekeyed;		/* none of the keys we sealed to is left */
	bool dirty;
	unsigned asks;		/* since its card changed, or the start */
};

struct directory {
	struct exchange *x;
	struct keyring *keyring;
	struct known **known;
	size_t n;
	struct keyring_key key[KEYRING_LIVE_MAX];
	struct buf card;	/* our own */
	uint64_t counter;
	bool foreign;		/* a bundle came for keys that are no more */
	bool stirred;		/* somebody is to be told something */
};

/* What is known of the site; NULL: nothing. */
struct known *directory_find(const struct directory *d, const char *site);
/* The same, and it is noted that there is such a site. */
struct known *directory_need(struct directory *d, const char *site);

#endif
