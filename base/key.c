/* SPDX-License-Identifier: ISC */
/* Ids of public keys. */
#include "base/key.h"

#include "base/text.h"

uint64_t
key_id(const char *suite, const void *key, size_t len)
{
	unsigned char digest[SHA256_LEN];
	struct reader r;
	struct sha256 h;

	sha256_init(&h);
	sha256_add(&h, suite, strlen(suite) + 1);
	sha256_add(&h, key, len);
	sha256_end(&h, digest);
	r = reader_of(digest, 8);
	return read64(&r);
}

void
key_id_format(struct buf *out, uint64_t id)
{
	unsigned char octets[8];

	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (unsigned char)(id >> (56 - 8 * i));
	base64url_encode(out, octets, sizeof(octets));
}

int
key_id_parse(struct slice text, uint64_t *id_out)
{
	struct buf octets = BUF_INIT;
	struct reader r;
	int rc = text.len == KEY_ID_TEXT_LEN ?
	    base64url_decode(&octets, text) : ERR_SYNTAX;

	if (rc == 0) {
		r = reader_of(octets.ptr, octets.len);
		*id_out = read64(&r);
	}
	buf_release(&octets);
	return rc;
}
