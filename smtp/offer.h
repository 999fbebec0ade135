/* SPDX-License-Identifier: ISC */
#ifndef SMTP_OFFER_H
#define SMTP_OFFER_H
/*
 * What a server offers in its reply to EHLO, and whether it is enough for a
 * message.  A plain value; all zero is a server that offers nothing.
 */
#include <stdbool.h>

#include "smtp/command.h"
#include "smtp/envelope.h"

struct smtp_offer {
	unsigned extensions;
	uint64_t size_max;	/* 0: none told */
	unsigned lines;		/* of the reply, read so far */
};

/* A line of the reply, without its code; the first names the server. */
void smtp_offer_line(struct smtp_offer *o, struct slice text);
/* Does the message fit?  ERR_UNSUPPORTED with the refusal; for the recipients
 * rcpt[0..n-1] of env. */
int smtp_offer_check(const struct smtp_offer *o, bool lmtp,
    const struct envelope *env, const struct content_facts *facts,
    const size_t *rcpt, size_t n, struct smtp_refusal *r) MUST_CHECK;

#endif
