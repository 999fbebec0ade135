/* SPDX-License-Identifier: ISC */
#ifndef NODE_OUTBOUND_H
#define NODE_OUTBOUND_H
/*
 * How the octets of an object of batches follow from its record: everything
 * that determines them, as text in the record's `params`.
 */
#include "node/dialect.h"

/* The ids that we write into objects are the names of their files: 128 random
 * bits in base32.  Those of earlier versions begin so. */
#define OUTBOUND_ID_LEN 26
#define OUTBOUND_ID_PREFIX "pr-"

/* What objects for this peer may use, enum smtp_extension. */
unsigned outbound_extensions(const struct conf_peer *peer);
/* needs: union of envelope_needs over the messages.  The caller frees. */
char *outbound_params(const struct conf *conf, const struct conf_peer *peer,
    unsigned needs);
/* The extensions whose parameters go along in it, and to one who heeds them:
 * whoever reads NOTIFY, ORCPT, RET and ENVID reports, else we do. */
unsigned outbound_carries(const char *params);

/* In the table of the dialect. */
int outbound_new(struct exchange *x, struct object *o,
    struct outbound **ob_out, struct err *e) MUST_CHECK;
int outbound_read(struct outbound *base, struct buf *out, struct err *e)
    MUST_CHECK;
void outbound_free(struct outbound *base);

#endif
