/* SPDX-License-Identifier: ISC */
/*
 * A mark of what something was started with, as a hash: what is kept of a
 * secret is then no secret.
 */
#include "node/mark.h"

#include <string.h>
#include <sys/stat.h>

void
mark_begin(struct sha256 *h)
{
	sha256_init(h);
}

/* With the length before it, so that no two lists look alike. */
void
mark_octets(struct sha256 *h, const void *bytes, size_t len)
{
	uint64_t n = len;

	sha256_add(h, &n, sizeof(n));
	if (len > 0)
		sha256_add(h, bytes, len);
}

void
mark_text(struct sha256 *h, const char *text)
{
	mark_octets(h, text, text != NULL ? strlen(text) + 1 : 0);
}

void
mark_file(struct sha256 *h, const char *path)
{
	struct stat st;

	if (path == NULL || path[0] != '/' || stat(path, &st) < 0 ||
	    !S_ISREG(st.st_mode))
		return;
	mark_octets(h, &st.st_dev, sizeof(st.st_dev));
	mark_octets(h, &st.st_ino, sizeof(st.st_ino));
	mark_octets(h, &st.st_mode, sizeof(st.st_mode));
	mark_octets(h, &st.st_uid, sizeof(st.st_uid));
	mark_octets(h, &st.st_gid, sizeof(st.st_gid));
	mark_octets(h, &st.st_size, sizeof(st.st_size));
	mark_octets(h, &st.st_mtim, sizeof(st.st_mtim));
}

struct mark
mark_end(struct sha256 *h)
{
	struct mark m = { { 0 } };

	sha256_end(h, m.octets);
	return m;
}

bool
mark_equal(const struct mark *a, const struct mark *b)
{
	return memcmp(a->octets, b->octets, sizeof(a->octets)) == 0;
}
