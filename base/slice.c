/* SPDX-License-Identifier: ISC */
/*
 * Slices and ASCII case.  Mail's keywords and domains compare in ASCII
 * whatever the locale says, so <ctype.h> is not used.
 */
#include "base/buf.h"
#include "base/mem.h"

struct slice
slice_of(const char *text)
{
	return (struct slice){ text, strlen(text) };
}

bool
slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len &&
	    (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool
slice_ieq(struct slice a, struct slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		if (ascii_tolower(a.ptr[i]) != ascii_tolower(b.ptr[i]))
			return false;
	}
	return true;
}

bool
slice_eqs(struct slice a, const char *text)
{
	return slice_eq(a, slice_of(text));
}

bool
slice_ieqs(struct slice a, const char *text)
{
	return slice_ieq(a, slice_of(text));
}

bool
slice_is_ascii(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		if ((unsigned char)s.ptr[i] >= 0x80)
			return false;
	}
	return true;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct slice
slice_trim(struct slice s)
{
	while (s.len > 0 && is_blank(s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

bool
slice_word(struct slice *rest, struct slice *word_out)
{
	const char *space;
	size_t passed;

	*word_out = *rest;
	if (rest->len == 0)
		return false;
	space = memchr(rest->ptr, ' ', rest->len);
	if (space != NULL)
		word_out->len = (size_t)(space - rest->ptr);
	passed = word_out->len + (space != NULL);
	rest->ptr += passed;
	rest->len -= passed;
	return true;
}

char *
slice_dup(struct slice s)
{
	return mem_strndup(s.ptr, s.len);
}

void
ascii_lower(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		text[i] = ascii_tolower(text[i]);
}

char
ascii_tolower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}
