/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_SEAL_WORLD_H
#define TESTS_UNIT_SEAL_WORLD_H
/* Two sites, paris and oslo, with all keys that seals need; paris seals and
 * oslo opens. */
#include "base/clock.h"
#include "bundle/seal.h"
#include "tests/unit/octets.h"

#define RECEIVING 3

struct seal_world {
	struct rng_seeded rng;
	unsigned char auth[2][32], auth_public[2][32];	/* of paris, oslo */
	unsigned char receive[RECEIVING][32], receive_public[RECEIVING][32];
	unsigned char identity[32], identity_public[32];	/* of paris */
	unsigned char psk[32];
	/* What oslo has configured for paris. */
	bool unknown, psk_wanted, sign_wanted;
	bool seen;	/* it says that it saw everything before */
};

void seal_world_init(struct seal_world *w, uint64_t seed);
/* To the second receiving key of oslo, or for a REQUEST to its auth key. */
struct seal_to seal_world_to(struct seal_world *w, enum seal_kind kind);
/* With all keys of oslo; ids are 10, 11, 12, and 99 of the auth key. */
struct open_with seal_world_with(struct seal_world *w, unsigned kinds);

/* Appends the object that has the plain octets in it, added in pieces. */
int seal_octets(const struct seal_to *to, struct slice plain, size_t piece,
    struct buf *out);
/* Both passes; 0, or the code and the fault.  opener_out may be NULL. */
int open_octets(const struct open_with *with, struct slice object,
    size_t piece, struct buf *plain, enum open_fault *fault_out,
    struct opener **opener_out);

#endif
