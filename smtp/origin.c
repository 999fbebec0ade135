/* SPDX-License-Identifier: ISC */
/*
 * The number that a message has at its origin, as people see it there, and
 * the nodes it has passed.  Both stand in MAIL rather than in lines of their
 * own, since that takes the fewest octets.
 */
#include "smtp/origin.h"

#include "base/text.h"

int
smtp_origin_number(struct smtp_origin *o, struct slice value)
{
	uint64_t n;

	if (num32_parse(value, &n) < 0 || n == 0)
		return ERR_SYNTAX;
	o->number = n;
	return 0;
}

int
smtp_origin_hops(struct smtp_origin *o, struct slice value)
{
	uint64_t n;

	if (num_parse(value, SMTP_HOPS_MAX, &n) < 0 || n == 0)
		return ERR_SYNTAX;
	o->hops = (unsigned)n;
	return 0;
}

void
smtp_origin_write(struct buf *out, const struct smtp_origin *o)
{
	char number[NUM32_MAX];

	if (o->number != 0) {
		num32_format(number, o->number);
		buf_addf(out, " XID=%s", number);
	}
	if (o->hops != 0)
		buf_addf(out, " XHOP=%u", o->hops);
}
