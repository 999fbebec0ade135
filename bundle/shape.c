/* SPDX-License-Identifier: ISC */
/* Padme. */
#include "bundle/shape.h"

#define PADME_MAX (UINT64_C(1) << 62)	/* rounding up stays within 64 bits */

static unsigned
log2_floor(uint64_t n)
{
	unsigned bits = 0;

	while (n >>= 1)
		bits++;
	return bits;
}

uint64_t
padme(uint64_t len)
{
	unsigned exponent, mantissa;
	uint64_t low;

	if (len < 2 || len > PADME_MAX)
		return len;
	exponent = log2_floor(len);
	mantissa = log2_floor(exponent) + 1;
	if (mantissa >= exponent)
		return len;
	low = (UINT64_C(1) << (exponent - mantissa)) - 1;
	return (len + low) & ~low;
}
