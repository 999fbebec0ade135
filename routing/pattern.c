/* SPDX-License-Identifier: ISC */
/*
 * Patterns of addresses.  Case never counts in a pattern, in local parts
 * either: whoever writes a rule for Bob@ does not mean to leave out bob@.
 */
#include "routing/table.h"

#include "smtp/address.h"

#include <stdlib.h>

int
routing_pattern_check(const char *pattern, struct err *e)
{
	struct slice s = slice_of(pattern);

	if (s.len == 0)
		return err_set(e, ERR_SYNTAX, "an empty pattern: write "
		    "user@domain, domain, .suffix or *");
	if (slice_eqs(s, "*"))
		return 0;
	if (memchr(s.ptr, '@', s.len) != NULL)
		return address_check(s, true, e);
	if (s.ptr[0] == '.') {
		s.ptr++;
		s.len--;
	}
	return address_check_domain(s, true, e);
}

static bool
same_address(const char *a, const char *b)
{
	char *one = address_plain(a), *two = address_plain(b);
	bool same = slice_ieq(slice_of(one), slice_of(two));

	free(one);
	free(two);
	return same;
}

bool
routing_pattern_match(const char *pattern, const char *address)
{
	struct slice p = slice_of(pattern);
	struct slice domain = address_domain(address);

	if (slice_eqs(p, "*"))
		return true;
	if (memchr(p.ptr, '@', p.len) != NULL)
		return same_address(pattern, address);
	if (p.len == 0 || p.ptr[0] != '.')
		return p.len > 0 && slice_ieq(p, domain);
	if (domain.len <= p.len)
		return false;
	domain.ptr += domain.len - p.len;
	domain.len = p.len;
	return slice_ieq(p, domain);
}
