/* SPDX-License-Identifier: ISC */
/*
 * What sealed and signed objects begin with, and how large they are.  Sizes
 * are plain arithmetic on purpose: what an observer sees can be computed
 * before anything is sealed.
 */
#include "bundle/seal_impl.h"

#include <string.h>

void
seal_put_label(struct buf *out, enum seal_suite suite, enum seal_kind kind,
    const char *destination)
{
	buf_adds(out, SEAL_MAGIC);
	buf_put8(out, SEAL_VERSION);
	buf_put8(out, (uint8_t)suite);
	buf_put8(out, (uint8_t)kind);
	wire_put_site(out, destination);
}

size_t
seal_head_len(enum seal_kind kind)
{
	return noise_overhead(kind == SEAL_ONION ? NOISE_N : NOISE_X, 0);
}

/* Octets before the body of a signed object. */
static size_t
seal_header_len(const char *destination, const char *origin)
{
	return sizeof(SEAL_MAGIC) - 1 + 3 + 1 + strlen(destination) + 1 +
	    strlen(origin) + SEAL_NONCE_LEN;
}

static uint64_t
signed_overhead(const struct seal_to *to)
{
	return seal_header_len(to->destination, to->origin) +
	    ED25519_SIGNATURE_LEN;
}

uint64_t
seal_size(const struct seal_to *to, uint64_t plain)
{
	uint64_t chunks = plain / SEAL_DATA_MAX +
	    (plain % SEAL_DATA_MAX > 0 || plain == 0);

	if (to->sign)
		return signed_overhead(to) + plain;
	return seal_head_len(to->kind) + chunks * SEAL_CHUNK_OVERHEAD + plain;
}

bool
seal_room(const struct seal_to *to, uint64_t size, uint64_t *plain_out)
{
	uint64_t least = seal_size(to, 0), rest;

	*plain_out = 0;
	if (size < least)
		return false;
	if (to->sign) {
		*plain_out = size - least;
		return true;
	}
	rest = size - seal_head_len(to->kind);
	*plain_out = rest / SEAL_CHUNK_MAX * SEAL_DATA_MAX;
	if (rest % SEAL_CHUNK_MAX > SEAL_CHUNK_OVERHEAD)
		*plain_out += rest % SEAL_CHUNK_MAX - SEAL_CHUNK_OVERHEAD;
	return true;
}

bool
seal_size_possible(const struct seal_to *to, uint64_t size)
{
	uint64_t plain;

	return seal_room(to, size, &plain) && seal_size(to, plain) == size;
}

static int
exact_padding(const struct seal_to *to, uint64_t size, uint64_t plain,
    uint64_t *zeros_out, struct err *e)
{
	uint64_t room;

	if (!seal_size_possible(to, size))
		return err_set(e, ERR_CONFIG, "no object can have exactly "
		    "%llu octets: take %d more", (unsigned long long)size,
		    SEAL_CHUNK_OVERHEAD + 1);
	if (!seal_room(to, size, &room) || plain > room)
		return err_set(e, ERR_LIMIT, "%llu octets are too many for an "
		    "object of %llu", (unsigned long long)plain,
		    (unsigned long long)size);
	*zeros_out = room - plain;
	return 0;
}

int
seal_padding(const struct seal_to *to, const struct shape *shape,
    uint64_t plain, uint64_t *zeros_out, struct err *e)
{
	uint64_t size;

	*zeros_out = 0;
	if (shape->kind == SHAPE_NONE)
		return 0;
	if (shape->kind == SHAPE_EXACT)
		return exact_padding(to, shape->octets, plain, zeros_out, e);
	size = padme(seal_size(to, plain));
	while (!seal_size_possible(to, size))
		size++;
	return exact_padding(to, size, plain, zeros_out, e);
}
