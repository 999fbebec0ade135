/* SPDX-License-Identifier: ISC */
#ifndef SMTP_ADDRESS_H
#define SMTP_ADDRESS_H
/*
 * Addresses (RFC 5321 4.1.2, 4.1.3; RFC 6531 3.3).  Everywhere else in the
 * program an address is a string "local@domain" as it was written, without
 * brackets and without a source route; the null reverse-path is "".  A local
 * part alone occurs only for postmaster.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define ADDRESS_DOMAIN_MAX 255	/* 4.5.3.1.2 */
#define ADDRESS_PATH_MAX 256	/* 4.5.3.1.3, brackets included */

enum address_flags {
	ADDRESS_NULL = 1 << 0,		/* "<>" is allowed: MAIL */
	ADDRESS_POSTMASTER = 1 << 1,	/* "<postmaster>" is allowed: RCPT */
	ADDRESS_BARE = 1 << 2,		/* brackets may be missing */
	ADDRESS_UTF8 = 1 << 3,		/* RFC 6531 */
	ADDRESS_SPACE = 1 << 4,		/* blanks before it are passed over */
};

/* A local part may have more than the 64 octets that everybody must take (RFC
 * 5321 4.5.3.1.1): as Postfix does, the path's limit alone counts. */

/* Parses a path at the start of text and appends the address to addr_out.
 * used_out: octets of the path.  ERR_SYNTAX with the column in e, ERR_LIMIT
 * where an octet limit above is passed. */
int address_parse_path(struct slice text, unsigned flags,
    struct buf *addr_out, size_t *used_out, struct err *e) MUST_CHECK;
/* Is text one whole mailbox (no brackets)?  For configurations. */
int address_check(struct slice text, bool utf8, struct err *e) MUST_CHECK;

/* The parts of an address, into it.  Without "@" the domain is empty. */
struct slice address_local(const char *addr);
struct slice address_domain(const char *addr);
/* RFC 5321 4.1.2: the same mailbox without quotation marks that it does not
 * need ("a.b"@c is a.b@c) and without needless backslashes between them; the
 * caller frees it. */
char *address_plain(const char *addr) MUST_CHECK;
/* Same mailbox, however it is quoted: domains compared without regard to ASCII
 * case, local parts to the letter but for postmaster. */
bool address_equal(const char *a, const char *b);
bool address_is_postmaster(const char *addr);
/* Syntax of a domain name or an address literal. */
int address_check_domain(struct slice domain, bool utf8, struct err *e)
    MUST_CHECK;

#endif
