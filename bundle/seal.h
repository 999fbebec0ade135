/* SPDX-License-Identifier: ISC */
#ifndef BUNDLE_SEAL_H
#define BUNDLE_SEAL_H
/*
 * Sealing and opening (postrider-parcel(5), "The seal"), as streams that hold
 * at most one chunk of 64 KiB.
 *
 *	s = sealer_new(&to, sink, ctx)
 *	sealer_add ..., sealer_finish		the sink gets the object
 *
 * An object is opened in two passes, and nothing of it is parsed before the
 * first has seen all of it:
 *
 *	o = opener_new(&with)
 *	opener_verify ..., opener_verify_end	0: it is whole and genuine
 *	ask opener_kind, opener_sender, opener_tag ...
 *	opener_rewind
 *	opener_read ..., opener_read_end	append what was sealed
 *
 * A sealed object is a message of Noise X (Xpsk1 where the two sites share a
 * key, N for onion layers), then Noise transport messages.  A signed one
 * (amateur radio) has the same inside in clear, a header before it and a
 * signature behind.  Which of the two a peer uses is configured, and an object
 * of the other way is refused.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "bundle/filter.h"
#include "bundle/shape.h"
#include "bundle/wire.h"

#define SEAL_KEY_LEN 32
#define SEAL_TAG_LEN 16
/* Secret keys that one opening tries, a REQUEST's among them: each costs one
 * agreement on the curve, whatever arrives. */
#define SEAL_KEYS_MAX 4
#define SEAL_CHUNK_MAX 65535	/* octets of a transport message */

enum seal_kind {
	SEAL_PARCEL = 1,	/* frames, neighbour to neighbour */
	SEAL_BUNDLE = 2,	/* BAG_FLOW, origin to destination */
	SEAL_ONION = 3,		/* BAG_ONION: by no one, for a relay */
	SEAL_REQUEST = 4,	/* BAG_REQUEST, to the auth key of a site whose
				 * receiving keys are not known: a file between
				 * neighbours or a bundle */
};
#define SEAL_BIT(kind) (1U << (kind))

/* For whom and by whom.  Pointers last until the sealer is freed. */
struct seal_to {
	enum seal_kind kind;
	const char *destination;	/* site: the neighbour for a PARCEL */
	/* Sealed: */
	const unsigned char *remote;	/* the destination's receiving key;
					 * for a REQUEST its auth key */
	const unsigned char *secret;	/* our auth key; not for an ONION */
	const unsigned char *psk;	/* shared with the destination, or
					 * NULL; not for an ONION */
	struct rng *rng;
	/* Signed, PARCEL and BUNDLE only: */
	bool sign;
	const char *origin;		/* our site */
	const unsigned char *sign_secret;	/* our identity, Ed25519 */
};

struct sealer;
/* Never fails: what is wrong with the keys shows at the first add. */
struct sealer *sealer_new(const struct seal_to *to, sink_fn *sink, void *ctx);
/* 0; ERR_DENIED if the destination's key is a point of low order; what the
 * sink returned.  After an error only sealer_free. */
int sealer_add(struct sealer *s, const char *bytes, size_t len, struct err *e)
    MUST_CHECK;
/* The last chunk (and the signature).  An object may be empty. */
int sealer_finish(struct sealer *s, struct err *e) MUST_CHECK;
void sealer_free(struct sealer *s);	/* wipes keys */

/*
 * Sizes.  Of `to` only kind, sign, destination and origin are looked at.
 */
/* Octets of the object that has `plain` octets in it. */
uint64_t seal_size(const struct seal_to *to, uint64_t plain);
/* The most plain octets that make an object of at most `size`; false if not
 * even an empty one is so small. */
bool seal_room(const struct seal_to *to, uint64_t size, uint64_t *plain_out)
    MUST_CHECK;
/* Whether some object has exactly this size.  A sealed one cannot end less
 * than 18 octets behind a full chunk: configuration asks here. */
bool seal_size_possible(const struct seal_to *to, uint64_t size);
/* How many zeros to put behind `plain` octets.  PADME: the object gets the
 * padme size or the next that is possible.  EXACT: 0 and the number, ERR_LIMIT
 * if it is larger already, ERR_CONFIG if the size is not possible. */
int seal_padding(const struct seal_to *to, const struct shape *shape,
    uint64_t plain, uint64_t *zeros_out, struct err *e) MUST_CHECK;

/*
 * Opening.
 */
struct open_key {
	unsigned kinds;		/* SEAL_BIT's of what may be sealed to it:
				 * REQUEST for the auth key, others for a
				 * receiving key */
	uint64_t id;		/* the caller's: opener_key_id tells it */
	const unsigned char *secret, *public;
};

/* What the caller knows of a sender. */
struct open_peer {
	bool psk;		/* then nothing without it is taken */
	unsigned char key[SEAL_KEY_LEN];	/* the shared key */
	bool sign;		/* configured `seal = sign` */
};

/* The keys are copied and wiped as soon as the head was tried; site and ctx
 * last as long as the opener. */
struct open_with {
	const char *site;	/* ours */
	unsigned kinds;		/* SEAL_BIT's acceptable here; for one whole
				 * bundle BUNDLE, ONION, REQUEST; for a file
				 * PARCEL, REQUEST */
	struct open_key key[SEAL_KEYS_MAX];
	size_t nkeys;
	/* The tag of the object, before any agreement is computed: whether it
	 * was opened before (ERR_EXISTS then).  May be NULL. */
	bool (*seen)(void *ctx, const unsigned char tag[SEAL_TAG_LEN]);
	/* A sealed object's sender, by his auth key: 0 and what is known of
	 * him, or ERR_DENIED if he may not send us this kind.  Anybody can
	 * write that key here: that it is his shows only behind this. */
	int (*sender)(void *ctx, enum seal_kind kind,
	    const unsigned char key[SEAL_KEY_LEN], struct open_peer *peer_out,
	    struct err *e);
	/* A signed object's sender, by his name: 0, his identity's public key
	 * and whether he is configured `seal = sign` (else it is refused).
	 * May be NULL: nothing signed is taken. */
	int (*signer)(void *ctx, enum seal_kind kind, const char *site,
	    unsigned char public_out[SEAL_KEY_LEN], struct open_peer *peer_out,
	    struct err *e);
	void *ctx;
};

/* Why an object was refused: a word for the log and for counters. */
enum open_fault {
	OPEN_GOOD,
	OPEN_FOREIGN,		/* for none of our keys, or forged, or stale,
				 * or of another kind: nobody can tell these */
	OPEN_REPLAYED,		/* `seen` said so */
	OPEN_UNKNOWN,		/* its sender is not one we take it from */
	OPEN_PSK,		/* without the pre-shared key, or with one
				 * where none is configured */
	OPEN_MODE,		/* sealed where `seal = sign`, or signed where
				 * not */
	OPEN_DAMAGED,		/* genuine head, but a chunk or the signature
				 * does not hold */
	OPEN_SHORT,		/* ends too early */
	OPEN_LONG,		/* octets behind its end */
	OPEN_FAULTS
};
/* "good", "foreign", "replayed", "unknown", "psk", "mode", "damaged", "short",
 * "long"; static. */
const char *open_fault_name(enum open_fault fault);

struct opener;
struct opener *opener_new(const struct open_with *with);
void opener_free(struct opener *o);	/* wipes keys */
/* Pass 1, in pieces of any size.  0, or what opener_fault names: ERR_DENIED
 * (FOREIGN, UNKNOWN, PSK, MODE), ERR_EXISTS (REPLAYED), ERR_CORRUPT (DAMAGED),
 * ERR_SYNTAX (SHORT, LONG).  After an error only opener_fault and
 * opener_free. */
int opener_verify(struct opener *o, const char *bytes, size_t len,
    struct err *e) MUST_CHECK;
int opener_verify_end(struct opener *o, struct err *e) MUST_CHECK;
enum open_fault opener_fault(const struct opener *o);

/* After opener_verify_end gave 0: */
enum seal_kind opener_kind(const struct opener *o);
bool opener_signed(const struct opener *o);
/* The sender's auth key; NULL for an ONION and for what is signed. */
const unsigned char *opener_sender(const struct opener *o);
/* The site that signed; NULL for what is sealed. */
const char *opener_signer(const struct opener *o);
/* Of the key that opened it; 0 for what is signed. */
uint64_t opener_key_id(const struct opener *o);
/* Names this one sealing: no other object has it, and a repetition of this
 * one always has.  To be remembered as long as the key opener_key_id lives. */
const unsigned char *opener_tag(const struct opener *o);
/* Octets inside. */
uint64_t opener_plain_octets(const struct opener *o);

/* Pass 2 begins; may be called again for a further one. */
void opener_rewind(struct opener *o);
/* Appends to out what is inside, as far as whole chunks have come, so at most
 * one chunk more than was given.  ERR_CORRUPT if it is not the object of pass
 * 1 any more. */
int opener_read(struct opener *o, const char *bytes, size_t len,
    struct buf *out, struct err *e) MUST_CHECK;
/* All has been given: appends the last chunk.  0, or ERR_CORRUPT as above; of
 * a signed object only this proves that it is still the same one. */
int opener_read_end(struct opener *o, struct buf *out, struct err *e)
    MUST_CHECK;

#endif
