/* SPDX-License-Identifier: ISC */
/*
 * Names on media.  Only names that are the same in both cases and on every
 * system are written; a name that is not gets a digest of itself.
 */
#include "transports/filename.h"
#include "base/text.h"

#include <inttypes.h>

#define DROP_MAX 200	/* with ".", ".tmp" well under 255 */
#define DROP_KEPT 150
#define IN_NAME_MAX 180	/* of 255, less ~INODE-MTIME, ".", ".tmp" */
#define IN_NAME_KEPT 160
#define DIGEST_KEPT 8

static bool
is_safe_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
	    c == '-';
}

static bool
is_device(struct slice name)
{
	static const char *const plain[] = { "con", "prn", "aux", "nul" };
	const char *dot = memchr(name.ptr, '.', name.len);
	struct slice stem = name, letters;

	if (dot != NULL)
		stem.len = (size_t)(dot - name.ptr);
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (slice_ieqs(stem, plain[i]))
			return true;
	letters = (struct slice){ stem.ptr, 3 };
	return stem.len == 4 && stem.ptr[3] >= '0' && stem.ptr[3] <= '9' &&
	    (slice_ieqs(letters, "com") || slice_ieqs(letters, "lpt"));
}

static bool
ends_with(struct slice name, struct slice end)
{
	struct slice tail;

	if (name.len < end.len)
		return false;
	tail.ptr = name.ptr + (name.len - end.len);
	tail.len = end.len;
	return slice_ieq(tail, end);
}

bool
filename_passed_over(struct slice name)
{
	return name.len == 0 || name.ptr[0] == '.' ||
	    ends_with(name, SLICE_LIT(".tmp")) ||
	    ends_with(name, SLICE_LIT(".part"));
}

bool
filename_fat_ok(struct slice name)
{
	if (name.len == 0 || name.len > DROP_MAX ||
	    filename_passed_over(name) || name.ptr[0] == '-' ||
	    name.ptr[name.len - 1] == '.')
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!is_safe_char(name.ptr[i]))
			return false;
	return !is_device(name);
}

static void
add_digest(struct buf *out, struct slice name)
{
	unsigned char digest[SHA256_LEN];
	struct sha256 h;

	sha256_init(&h);
	sha256_add(&h, name.ptr, name.len);
	sha256_end(&h, digest);
	hex_encode(out, digest, DIGEST_KEPT);
}

static void
add_mapped(struct buf *out, struct slice name)
{
	size_t n = name.len < DROP_KEPT ? name.len : DROP_KEPT;

	buf_adds(out, "x-");
	for (size_t i = 0; i < n; i++) {
		char c = ascii_tolower(name.ptr[i]);

		buf_addc(out, is_safe_char(c) && c != '.' ? c : '-');
	}
	buf_addc(out, '-');
	add_digest(out, name);
}

void
filename_drop(struct buf *out, struct slice name, const char *suffix)
{
	size_t start = out->len;
	struct slice whole;

	buf_addslice(out, name);
	buf_adds(out, suffix);
	whole = (struct slice){ out->ptr + start, out->len - start };
	if (filename_fat_ok(whole))
		return;
	buf_truncate(out, start);
	add_mapped(out, name);
	buf_adds(out, suffix);
}

static void
add_escaped(struct buf *out, struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];

		if (is_safe_char(ascii_tolower(c)) || c == '_')
			buf_addc(out, c);
		else
			buf_addf(out, "%%%02X", (unsigned)(unsigned char)c);
	}
}

void
filename_in(struct buf *out, struct slice name, uint64_t inode,
    int64_t mtime_ns)
{
	size_t start = out->len;

	add_escaped(out, name);
	if (out->len - start > IN_NAME_MAX) {
		buf_truncate(out, start + IN_NAME_KEPT);
		buf_addc(out, '~');
		add_digest(out, name);
	}
	buf_addf(out, "~%" PRIu64 "-%" PRId64, inode, mtime_ns);
}
