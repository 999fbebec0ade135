/* SPDX-License-Identifier: ISC */
#include "tests/unit/octets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/text.h"

static int
nibble(char c)
{
	const char *digits = "0123456789abcdef", *at = strchr(digits, c);

	assert_true(c != '\0' && at != NULL);
	return (int)(at - digits);
}

void
unhex(struct buf *out, const char *hex)
{
	while (*hex != '\0') {
		if (*hex == ' ') {
			hex++;
			continue;
		}
		buf_addc(out, (char)(nibble(hex[0]) << 4 | nibble(hex[1])));
		hex += 2;
	}
}

void
assert_octets(const struct buf *is, struct slice wanted)
{
	struct buf a = BUF_INIT, b = BUF_INIT;

	hex_encode(&a, is->ptr, is->len);
	hex_encode(&b, wanted.ptr, wanted.len);
	assert_string_equal(buf_cstr(&a), buf_cstr(&b));
	buf_release(&a);
	buf_release(&b);
}

int
sink_to_buf(void *ctx, const char *bytes, size_t len, struct err *e)
{
	(void)e;
	buf_add(ctx, bytes, len);
	return 0;
}

int
sink_refuses(void *ctx, const char *bytes, size_t len, struct err *e)
{
	(void)ctx;
	(void)bytes;
	(void)len;
	return err_set(e, ERR_FULL, "no room");
}
