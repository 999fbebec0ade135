/* SPDX-License-Identifier: ISC */
#ifndef BUNDLE_SHAPE_H
#define BUNDLE_SHAPE_H
/*
 * The sizes that an observer is shown.  Padding goes inside the seal, as zeros
 * behind the last frame of a parcel or the last item of a bag, so any number
 * of octets is possible, 0 included.  bundle/seal.h says how many.
 */
#include <stdint.h>

enum shape_kind {
	SHAPE_NONE,	/* as it comes */
	SHAPE_PADME,	/* up to the next of few sizes: at most 12 % more */
	SHAPE_EXACT	/* one size for every parcel */
};

struct shape {
	enum shape_kind kind;
	uint64_t octets;	/* EXACT: of the sealed object */
};

/*
 * Padme (Nikitin, Barman, Lueks, Underwood, Hubaux, Ford: Reducing Metadata
 * Leakage from Encrypted Files and Communication with PURBs, 2019): the
 * smallest length not below len whose binary mantissa is no longer than its
 * exponent, so that a length says O(log log len) bits.  Lengths above 2^62
 * stay as they are.
 */
uint64_t padme(uint64_t len);

#endif
