/* SPDX-License-Identifier: ISC */
#ifndef ROUTING_CARD_H
#define ROUTING_CARD_H
/*
 * A site's public record, signed by its identity: postrider-card(5).  It is
 * the peer card that people exchange, the announcement of keys inside bundles
 * and the site record that neighbours pass on: one format for all three.
 *
 *	postrider-card 1
 *	site paris
 *	counter 1741168800
 *	identity ed25519 ID KEY
 *	auth x25519 ID KEY
 *	receive x25519 ID NOT-AFTER KEY		1 .. 3, oldest first
 *	domain paris.example			sorted
 *	reach tcp host=paris.example port=2443	in order of preference
 *	signature SIGNATURE
 *
 * The encoding is canonical: a card that says the same has the same octets, so
 * that cards can be compared, and told apart, as octets.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/ed25519.h"
#include "base/err.h"
#include "base/key.h"
#include "base/x25519.h"

#define CARD_MAX 16384		/* octets */
#define CARD_RECEIVE_MAX 3	/* receiving keys */
#define CARD_DOMAINS_MAX 256
#define CARD_REACHES_MAX 8
#define CARD_SETTINGS_MAX 16	/* of one way to reach the site */
#define CARD_VALUE_MAX 255	/* octets of a setting's value */
#define CARD_NAME_MAX 63	/* octets of a name of site, transport, key */

struct card_key {
	char *suite;
	uint64_t id;			/* key_id */
	unsigned char *octets;
	size_t len;
	int64_t not_after_secs;		/* since 1970, of a receiving key: it
					 * is destroyed then; else 0 */
};

/* How the site is reached: a transport and what it is told. */
struct card_setting {
	char *key, *value;
};

struct card_reach {
	char *transport;
	struct card_setting *setting;	/* sorted by key */
	size_t nsettings;
};

/* A plain value whose members are its own. */
struct card {
	char *site;
	uint64_t counter;	/* higher is newer; 1 .. 2^63-1 */
	struct card_key identity, auth;
	struct card_key receive[CARD_RECEIVE_MAX];	/* by not_after_secs */
	size_t nreceive;
	char **domain;
	size_t ndomains;
	struct card_reach *reach;
	size_t nreaches;
};

void card_init(struct card *c);
void card_release(struct card *c);

/* Reads a whole card and verifies it: only then is *c_out filled (to be
 * released), else it is as card_init leaves it.  0; ERR_LIMIT: one of the
 * limits above; ERR_SYNTAX with line and reason; ERR_UNSUPPORTED: another
 * version, or an identity or auth key of an unknown suite; ERR_CORRUPT: the
 * signature does not fit, so it was changed or is not whole. */
int card_parse(struct slice text, struct card *c_out, struct err *e)
    MUST_CHECK;
/* Appends all lines but the signature's.  Domains and receiving keys are
 * sorted in c; nothing is checked. */
void card_body(struct card *c, struct buf *out);
/* Appends the card, signed.  0, or what card_parse would say of the
 * result; nothing is appended then.  secret: the seed of c->identity. */
int card_write(struct card *c, const unsigned char secret[ED25519_LEN],
    struct buf *out, struct err *e) MUST_CHECK;

/* Fill a card that is to be written.  Everything is copied. */
void card_set_site(struct card *c, const char *site);
void card_set_identity(struct card *c,
    const unsigned char public[ED25519_LEN]);
void card_set_auth(struct card *c, const unsigned char public[X25519_LEN]);
/* The first CARD_RECEIVE_MAX. */
void card_add_receive(struct card *c, const unsigned char public[X25519_LEN],
    int64_t not_after_secs);
/* Letters become small; what is there already is not added again. */
void card_add_domain(struct card *c, const char *domain);
/* "tcp host=paris.example port=2443", as people write it: words apart by
 * blanks, %XX for an octet that a word cannot hold.  ERR_SYNTAX, ERR_LIMIT. */
int card_add_reach(struct card *c, const char *text, struct err *e)
    MUST_CHECK;
/* The same back, canonical: "tcp host=paris.example port=2443". */
void card_format_reach(const struct card_reach *r, struct buf *out);

/* The receiving key to seal for: the newest of a suite that is known, not
 * ended age_secs after the card was signed (its counter is its own time), nor
 * at wall_secs (INT64_MIN: whatever the wall clock says).  NULL: there is none,
 * ask for a newer card. */
const struct card_key *card_receiving(const struct card *c,
    uint64_t age_secs, int64_t wall_secs);
struct fingerprint card_fingerprint(const struct card *c);
/* May `fresh` take the place of `old`?  1: it is newer; 0: it is the same;
 * ERR_DENIED: another site or another identity; ERR_STATE: it is older, or
 * has the counter but not the content. */
int card_succeeds(const struct card *old, const struct card *fresh,
    struct err *e) MUST_CHECK;

#endif
