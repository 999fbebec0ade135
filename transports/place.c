/* SPDX-License-Identifier: ISC */
/*
 * Places.  A port may be the name of a service, which only the resolver
 * knows.
 */
#include "transports/place.h"
#include "base/mem.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* 1 to 65535, or what a service may be called (RFC 6335 5.1, and what
 * services(5) has beside that). */
static bool
is_port(const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.+";
	uint64_t n;

	if (strspn(text, "0123456789") == strlen(text))
		return num_parse(slice_of(text), 65535, &n) == 0 && n > 0;
	return strspn(text, plain) == strlen(text);
}

int
place_parse(const char *text, struct place *p_out)
{
	const char *colon = strrchr(text, ':');
	const char *host = text, *end = colon;

	*p_out = (struct place){ NULL, NULL };
	if (text[0] == '/') {
		p_out->host = mem_strdup(text);
		return 0;
	}
	if (colon == NULL || !is_port(colon + 1))
		return ERR_SYNTAX;
	if (text[0] == '[') {
		if (colon[-1] != ']')
			return ERR_SYNTAX;
		host++;
		end--;
	} else if (strchr(text, ':') != colon) {
		return ERR_SYNTAX;
	}
	if (end <= host)
		return ERR_SYNTAX;
	p_out->host = mem_strndup(host, (size_t)(end - host));
	p_out->port = mem_strdup(colon + 1);
	return 0;
}

void
place_release(struct place *p)
{
	free(p->host);
	free(p->port);
	*p = (struct place){ NULL, NULL };
}
