/* SPDX-License-Identifier: ISC */
/*
 * The reply to EHLO, line by line, and what a message needs of it.  Lines
 * that we do not know are passed over (RFC 5321 4.1.1.1).
 */
#include "smtp/offer.h"

#include "base/text.h"
#include "smtp/extension.h"

void
smtp_offer_line(struct smtp_offer *o, struct slice text)
{
	const char *blank = memchr(text.ptr, ' ', text.len);
	struct slice word = text, arg;
	unsigned bit;

	if (o->lines++ == 0)
		return;
	if (blank != NULL)
		word.len = (size_t)(blank - text.ptr);
	bit = smtp_extension_parse(word);
	/* what is between sites is no server's business */
	o->extensions |= bit & ~(unsigned)SMTP_EXT_XORIGIN;
	if (bit != SMTP_EXT_SIZE || blank == NULL)
		return;
	arg = slice_trim((struct slice){ blank, text.len - word.len });
	if (num_parse(arg, UINT64_MAX, &o->size_max) < 0)
		o->size_max = 0;
}

/* RFC 3030, 6152, 6531, 1870: what is needed must be offered. */
int
smtp_offer_check(const struct smtp_offer *o, bool lmtp,
    const struct envelope *env, const struct content_facts *facts,
    const size_t *rcpt, size_t n, struct smtp_refusal *r)
{
	unsigned missing = envelope_needs_for(env, facts, rcpt, n) &
	    ~o->extensions;

	/* What is asked of relays: by LMTP it is delivered. */
	if (lmtp)
		missing &= ~(unsigned)SMTP_EXT_DELIVERBY;

	if ((missing & SMTP_EXT_SMTPUTF8) != 0)
		smtp_refuse(r, 553, "5.6.7",
		    "the receiver does not offer SMTPUTF8");
	else if ((missing & (SMTP_EXT_BINARYMIME | SMTP_EXT_CHUNKING)) != 0)
		smtp_refuse(r, 554, "5.6.1", "the receiver does not offer %s",
		    (missing & SMTP_EXT_BINARYMIME) != 0 ? "BINARYMIME" :
		    "CHUNKING, which the line ends of the message need");
	else if ((missing & SMTP_EXT_DELIVERBY) != 0)
		smtp_refuse(r, 554, "5.3.3", "the receiver does not offer "
		    "DELIVERBY, which BY with R needs");
	else if ((missing & SMTP_EXT_8BITMIME) != 0)
		smtp_refuse(r, 554, "5.6.3",
		    "the receiver does not offer 8BITMIME");
	else if (o->size_max != 0 && facts->octets > o->size_max)
		smtp_refuse(r, 552, "5.3.4", "message of %llu octets, the "
		    "receiver takes %llu", (unsigned long long)facts->octets,
		    (unsigned long long)o->size_max);
	else
		return 0;
	return ERR_UNSUPPORTED;
}
