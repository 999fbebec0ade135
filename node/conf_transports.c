/* SPDX-License-Identifier: ISC */
/*
 * The table of our own transports.  A new one is a line here.
 */
#include "node/conf_transports.h"

#include <string.h>

#define ALL (CONF_DIALECT_BIT(BUNDLE_BSMTP) | \
	CONF_DIALECT_BIT(BUNDLE_RFC2442) | CONF_DIALECT_BIT(BUNDLE_NATIVE))

static const struct conf_transport transports[] = {
	{ "exec", false, NULL, { "command", "each", "fetch" }, ALL },
	{ "file", true, NULL, { "drop", "pickup" }, ALL },
	{ "mail", false, "poll=", { NULL },
	    CONF_DIALECT_BIT(BUNDLE_RFC2442) |
	    CONF_DIALECT_BIT(BUNDLE_NATIVE) },
	{ "serial", false, NULL, { "device" }, ALL },
	{ "tcp", false, "listen=", { "to", "listen" }, ALL },
	{ "uucp", false, NULL, { NULL }, ALL },
};

const struct conf_transport *
conf_transport_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(transports) / sizeof(transports[0]); i++)
		if (name != NULL && strcmp(transports[i].name, name) == 0)
			return &transports[i];
	return NULL;
}

bool
conf_transport_carries(const struct conf_transport *t,
    enum bundle_dialect dialect)
{
	return t == NULL || (t->dialects & CONF_DIALECT_BIT(dialect)) != 0;
}
