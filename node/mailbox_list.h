/* SPDX-License-Identifier: ISC */
#ifndef NODE_MAILBOX_LIST_H
#define NODE_MAILBOX_LIST_H
/* The address lists of To, Cc and Bcc (RFC 5322 3.4, and 4.4 as it is found):
 * display names, groups, comments, quoted strings, folding, source routes. */
#include "base/buf.h"
#include "base/err.h"

/* Calls found with each address, "local@domain"; one without a domain gets
 * this one.  ERR_SYNTAX names the octet and what is wrong there; those found
 * before it were told. */
int mailbox_list_parse(struct slice text, const char *domain,
    void (*found)(void *ctx, const char *address), void *ctx, struct err *e)
    MUST_CHECK;

#endif
