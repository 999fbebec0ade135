/* SPDX-License-Identifier: ISC */
#ifndef BUNDLE_MAIL_READER_H
#define BUNDLE_MAIL_READER_H
/*
 * What a mail that came to a bundle address is: a parcel, an object of RFC
 * 2442, the return of a mail that we sent, or nothing of ours.  Octets in any
 * pieces, in constant memory; line ends may be CR LF or, from a pipe, LF.
 *
 *	r = mail_reader_new(sink, ctx)
 *	mail_reader_add ...			until all of the mail is in
 *	mail_reader_end(r)			then kind and facts are final
 *
 *	         +--> PARCEL   the sink gets the octets of the parcel
 *	UNDECIDED+--> OBJECT   the sink gets the whole mail, as it came
 *	         +--> RETURN   the sink gets nothing
 *	         +--> OTHER    the sink gets nothing
 *
 * Nothing reaches the sink before it is decided.  A parcel is found behind
 * whatever a hop made of its encoding (base64, quoted-printable, 8bit, binary)
 * and in a part of a multipart, as list software and gateways make them.
 */
#include "bundle/filter.h"
#include "bundle/mime.h"

/* Media types of a parcel: as it is, and in the armour of armour.h. */
#define MAIL_PARCEL_TYPE "application/vnd.postrider.parcel"
#define MAIL_ARMOUR_TYPE "application/vnd.postrider.armoured-parcel"

#define MAIL_IDS_MAX 8		/* Message-IDs of one return */
#define MAIL_ID_MAX 320		/* octets of one, brackets included */
#define MAIL_TEXT_MAX 300

enum mail_kind { MAIL_UNDECIDED, MAIL_PARCEL, MAIL_OBJECT, MAIL_RETURN,
	MAIL_OTHER };

enum mail_action {
	MAIL_FAILED_PERMANENT,	/* it will not arrive; status 5.x.x */
	MAIL_FAILED_TEMPORARY,	/* it will not arrive, but another may */
	MAIL_DELAYED,		/* it is still tried */
	MAIL_PASSED		/* delivered, relayed, expanded */
};

struct mail_facts {
	char *from;		/* address in From, or NULL */
	char *message_id;	/* of this mail, with brackets, or NULL */
	/* RETURN */
	enum mail_action action;	/* the worst that it tells */
	char status[12];	/* "5.1.1"; never empty */
	char *text;		/* what was said, for people; never NULL, no
				 * control characters; MAIL_TEXT_MAX octets */
	char *id[MAIL_IDS_MAX];	/* Message-IDs in what it quotes; which is
				 * ours, if one is, the caller knows */
	size_t nids;
};

struct mail_reader;

/* sink may be NULL. */
struct mail_reader *mail_reader_new(sink_fn *sink, void *ctx);
void mail_reader_free(struct mail_reader *r);
/* The sink's error, or ERR_SYNTAX: a parcel in it is damaged, and what the
 * sink got of it is of no use. */
int mail_reader_add(struct mail_reader *r, const char *in, size_t len,
    struct err *e) MUST_CHECK;
/* ERR_SYNTAX: a parcel in it is damaged or cut off. */
int mail_reader_end(struct mail_reader *r, struct err *e) MUST_CHECK;
enum mail_kind mail_reader_kind(const struct mail_reader *r);
/* from and message_id are known when the kind is; the rest after
 * mail_reader_end.  Lives until mail_reader_free. */
const struct mail_facts *mail_reader_facts(const struct mail_reader *r);
/* Of a return: the name of the file in out/ that it is about, if it is a file
 * whose mail we sent (transports/letter.h): the caller frees; NULL: none of
 * the ids has the domain of our address and a plain name before it. */
char *mail_returned_name(const struct mail_facts *facts, const char *address);

#endif
