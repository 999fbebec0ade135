/* SPDX-License-Identifier: ISC */
#ifndef NODE_CONF_VALUE_H
#define NODE_CONF_VALUE_H
/*
 * Kinds of values.  All have the shape of conf_row's `set`: they check value
 * by the row's limits and store it in *field, whose type stands behind each.
 * The error says what is wrong without naming the key.
 */
#include "node/conf_table.h"

#define CONF_VALUE(name) \
	int conf_value_##name(const struct conf_row *row, const char *value, \
	    void *field, struct err *e) MUST_CHECK

CONF_VALUE(text);	/* char *: anything but control characters */
CONF_VALUE(path);	/* char *: absolute */
CONF_VALUE(socket);	/* char *: absolute, fits a UNIX socket */
CONF_VALUE(address);	/* char *: user@domain */
CONF_VALUE(domain);	/* char * */
CONF_VALUE(name);	/* char *: of a site or a section */
CONF_VALUE(account);	/* char *: uid or name of a user or group */
CONF_VALUE(pattern);	/* char *: of addresses, see routing/table.h */
CONF_VALUE(mailbox);	/* char *: a local part that can be a file name */
CONF_VALUE(endpoint);	/* char *: see node/conf_net.h */
CONF_VALUE(setting);	/* char *: KEY=VALUE */
CONF_VALUE(filter);	/* char *: a command of node/chain.h */
CONF_VALUE(transport);	/* char *: a name or an absolute path */
CONF_VALUE(reach);	/* char *: see routing/card.h */
CONF_VALUE(size);	/* uint64_t, octets */
CONF_VALUE(duration);	/* uint64_t, seconds */
CONF_VALUE(count);	/* uint64_t */
CONF_VALUE(count_size);	/* size_t */
CONF_VALUE(count_uint);	/* unsigned */
CONF_VALUE(priority);	/* int: of mail, see RFC 6710 */
CONF_VALUE(mode);	/* mode_t, octal */
CONF_VALUE(choice);	/* an enum: index of the word */
CONF_VALUE(flag);	/* bool: 0 or 1, index of the word */
CONF_VALUE(dialect);	/* enum bundle_dialect */
CONF_VALUE(shape);	/* struct shape */
CONF_VALUE(encoding);	/* enum mime_encoding */
CONF_VALUE(extension);	/* unsigned, bits are added */
CONF_VALUE(call);	/* struct schedule *, made where it is NULL */
CONF_VALUE(call_interval);	/* the same */
CONF_VALUE(keyword);	/* unsigned, bits are added */
CONF_VALUE(fingerprint);	/* struct conf_tls */
CONF_VALUE(allow);	/* struct conf_listener */
CONF_VALUE(hosts);	/* struct conf_peer */
CONF_VALUE(to);		/* struct conf_delivery */
CONF_VALUE(log);	/* struct conf */

#undef CONF_VALUE
#endif
