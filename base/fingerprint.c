/* SPDX-License-Identifier: ISC */
/*
 * Fingerprints for the telephone.  A group's characters d1 .. d4 and its check
 * c hold 2 d1 + 3 d2 + 4 d3 + 5 d4 + 7 g + c = 0 modulo 31, g being the
 * group's number.  All weights differ and none is zero, so one wrong
 * character, two that changed places and a group in another's place each leave
 * something over.
 */
#include "base/key.h"

#include <string.h>

#include "base/text.h"

#define PRIME 31
#define DATA_LEN (FINGERPRINT_GROUP_LEN - 1)

static const char alphabet[PRIME] __attribute__((nonstring)) =
    "23456789ABCDEFGHJKMNPQRSTUVWXYZ";

_Static_assert(FINGERPRINT_LEN == FINGERPRINT_GROUPS *
    (FINGERPRINT_GROUP_LEN + 1) - 1, "groups and the dashes between");

static unsigned
check_of(const unsigned *digit, unsigned group)
{
	unsigned sum = 7 * group;

	for (unsigned i = 0; i < DATA_LEN; i++)
		sum += (i + 2) * digit[i];
	return (PRIME - sum % PRIME) % PRIME;
}

/* Divides the big-endian number in octets by PRIME; returns what is left. */
static unsigned
divide(unsigned char *octets, size_t len)
{
	unsigned left = 0;

	for (size_t i = 0; i < len; i++) {
		left = left << 8 | octets[i];
		octets[i] = (unsigned char)(left / PRIME);
		left %= PRIME;
	}
	return left;
}

struct fingerprint
fingerprint_of(const char *suite, const void *key, size_t len)
{
	static const char label[] = "postrider identity";
	unsigned digit[FINGERPRINT_GROUP_LEN];
	unsigned char digest[SHA256_LEN];
	struct fingerprint f = { "" };
	struct sha256 h;
	char *o = f.text;

	sha256_init(&h);
	sha256_add(&h, label, sizeof(label));
	sha256_add(&h, suite, strlen(suite) + 1);
	sha256_add(&h, key, len);
	sha256_end(&h, digest);
	for (unsigned g = 0; g < FINGERPRINT_GROUPS; g++) {
		if (g > 0)
			*o++ = '-';
		for (size_t i = 0; i < DATA_LEN; i++)
			digit[i] = divide(digest, sizeof(digest));
		digit[DATA_LEN] = check_of(digit, g);
		for (size_t i = 0; i < FINGERPRINT_GROUP_LEN; i++)
			*o++ = alphabet[digit[i]];
	}
	return f;
}

static int
digit_of(char c)
{
	const char *at;

	if (c >= 'a' && c <= 'z')
		c = (char)(c - 'a' + 'A');
	at = memchr(alphabet, c, PRIME);
	return at == NULL ? -1 : (int)(at - alphabet);
}

/* The characters without what stands between them. */
static int
take_digits(struct slice text, unsigned *digit, size_t want, struct err *e)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		int d = digit_of(c);

		if (c == '-' || c == ' ' || c == '\t')
			continue;
		if (d < 0)
			return err_set(e, ERR_SYNTAX, "group %zu: \"%c\" is "
			    "in no fingerprint (nor are 0, 1, I, L and O)",
			    n / FINGERPRINT_GROUP_LEN + 1,
			    c > ' ' && c < 0x7f ? c : '?');
		if (n < want)
			digit[n] = (unsigned)d;
		n++;
	}
	if (n != want)
		return err_set(e, ERR_SYNTAX, "it has %zu characters; a "
		    "fingerprint has %d groups of %d", n, FINGERPRINT_GROUPS,
		    FINGERPRINT_GROUP_LEN);
	return 0;
}

/*
 * Dashes tell where a group lost or gained a character; where there are none
 * only the number of characters is known.
 */
static int
check_groups(struct slice text, struct err *e)
{
	size_t n = 0;
	unsigned group = 1;

	if (memchr(text.ptr, '-', text.len) == NULL)
		return 0;
	for (size_t i = 0; i <= text.len; i++) {
		if (i < text.len && text.ptr[i] != '-') {
			n += text.ptr[i] != ' ' && text.ptr[i] != '\t';
			continue;
		}
		if (n != FINGERPRINT_GROUP_LEN)
			return err_set(e, ERR_SYNTAX, "group %u has %zu "
			    "characters and not %d", group, n,
			    FINGERPRINT_GROUP_LEN);
		n = 0;
		group++;
	}
	return 0;
}

int
fingerprint_parse(struct slice text, struct fingerprint *f_out,
    struct err *e)
{
	unsigned digit[FINGERPRINT_GROUPS * FINGERPRINT_GROUP_LEN];
	size_t count = sizeof(digit) / sizeof(digit[0]);
	struct fingerprint f = { "" };
	char *o = f.text;
	int rc;

	text = slice_trim(text);
	rc = text.len == 0 ? err_set(e, ERR_SYNTAX, "an empty fingerprint") :
	    check_groups(text, e);
	if (rc == 0)
		rc = take_digits(text, digit, count, e);
	for (unsigned g = 0; rc == 0 && g < FINGERPRINT_GROUPS; g++) {
		const unsigned *at = digit + g * FINGERPRINT_GROUP_LEN;

		if (check_of(at, g) != at[DATA_LEN])
			rc = err_set(e, ERR_SYNTAX, "group %u does not fit "
			    "its check: a character of it is wrong", g + 1);
	}
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < count; i++) {
		if (i > 0 && i % FINGERPRINT_GROUP_LEN == 0)
			*o++ = '-';
		*o++ = alphabet[digit[i]];
	}
	*f_out = f;
	return 0;
}
