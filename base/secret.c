/* SPDX-License-Identifier: ISC */
/* Secrets in memory, by libsodium. */
#include "base/secret.h"

#include <sodium.h>

void
secret_wipe(void *bytes, size_t len)
{
	sodium_memzero(bytes, len);
}

bool
secret_equal(const void *a, const void *b, size_t len)
{
	return sodium_memcmp(a, b, len) == 0;
}

bool
secret_is_zero(const void *bytes, size_t len)
{
	return sodium_is_zero(bytes, len) == 1;
}
