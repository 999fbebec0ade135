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
	const char *dot = memchr(value.ptr, '.', value.len);
	struct slice epoch = { NULL, 0 };
	uint64_t n, of = 0;

	if (dot != NULL) {
		epoch.ptr = dot + 1;
		epoch.len = (size_t)(value.ptr + value.len - epoch.ptr);
		value.len = (size_t)(dot - value.ptr);
		if (num32_parse(epoch, &of) < 0 || of == 0)
			return ERR_SYNTAX;
	}
	if (num32_parse(value, &n) < 0 || n == 0)
		return ERR_SYNTAX;
	o->number = n;
	o->epoch = of;
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
	if (o->number != 0 && o->epoch != 0) {
		num32_format(number, o->epoch);
		buf_addf(out, ".%s", number);
	}
	if (o->hops != 0)
		buf_addf(out, " XHOP=%u", o->hops);
}
