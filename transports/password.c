/* SPDX-License-Identifier: ISC */
/*
 * Passwords.  There is room for the longest before any octet is read, so that
 * no copy is left behind by a buffer that grows.
 */
#include "transports/password.h"
#include "base/file.h"
#include "base/secret.h"

int
password_read(struct contract *c, const char *key, struct buf *out,
    struct err *e)
{
	const char *path = contract_setting(c, key, NULL);

	if (path == NULL)
		return 0;
	(void)buf_room(out, PASSWORD_MAX + 2);
	if (secret_file_check(path, e) < 0 ||
	    file_read(path, PASSWORD_MAX, out, e) < 0) {
		err_prefix(e, "%s", key);
		return ERR_CONFIG;
	}
	while (out->len > 0 && (out->ptr[out->len - 1] == '\n' ||
	    out->ptr[out->len - 1] == '\r'))
		buf_truncate(out, out->len - 1);
	return 0;
}

void
password_release(struct buf *b)
{
	if (b->base != NULL)
		secret_wipe(b->base, b->cap);
	buf_release(b);
}
