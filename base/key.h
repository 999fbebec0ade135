/* SPDX-License-Identifier: ISC */
#ifndef BASE_KEY_H
#define BASE_KEY_H
/*
 * What names a public key.  A key belongs to a suite, written as a word, so
 * that another kind (a hybrid with a larger key) can stand beside today's:
 * the lengths of keys are checked where the suite is known, and what is not
 * known is kept and passed over.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define KEY_SUITE_X25519 "x25519"
#define KEY_SUITE_ED25519 "ed25519"
#define KEY_SUITE_MAX 32	/* octets of a suite's word */
#define KEY_OCTETS_MAX 4096	/* of a public key */
#define KEY_ID_TEXT_LEN 11	/* characters of an id, see key_id_format */

/* The id: the first 8 octets, as a big-endian number, of the SHA-256 of the
 * suite's word, an octet 0 and the key. */
uint64_t key_id(const char *suite, const void *key, size_t len);
/* As it is written everywhere: its 8 octets in base64url.  Appends. */
void key_id_format(struct buf *out, uint64_t id);
/* That and nothing else: 0 or ERR_SYNTAX. */
int key_id_parse(struct slice text, uint64_t *id_out) MUST_CHECK;

/*
 * The fingerprint of a site: its identity key in a form for the telephone,
 *
 *	K7MPQ-3XTAB-...		six groups of four and a check character
 *
 * over 31 characters, the digits and letters without 0, 1, I, L and O.  As 31
 * is a prime number, the check finds every wrong character in a group, every
 * exchange of two characters of a group, and with the group's number in it
 * also groups that changed places.  24 characters carry 118 bits of a SHA-256.
 */
#define FINGERPRINT_GROUPS 6
#define FINGERPRINT_GROUP_LEN 5		/* the last is the check */
#define FINGERPRINT_LEN 35		/* characters, with the dashes */

struct fingerprint {
	char text[FINGERPRINT_LEN + 1];
};

/* Of an identity's key: of the SHA-256 of "postrider identity", an octet 0,
 * the suite's word, an octet 0 and the key. */
struct fingerprint fingerprint_of(const char *suite, const void *key,
    size_t len);
/* What a person wrote: small letters are as good, blanks may stand anywhere,
 * and the dashes may be missing, all of them.  0 and the canonical form;
 * ERR_SYNTAX says which group is wrong, and how. */
int fingerprint_parse(struct slice text, struct fingerprint *f_out,
    struct err *e) MUST_CHECK;

#endif
