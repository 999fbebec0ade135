/* SPDX-License-Identifier: ISC */
#ifndef NODE_CONF_TRANSPORTS_H
#define NODE_CONF_TRANSPORTS_H
/*
 * What the configuration has to know of the transports that come with
 * postrider.  Of any other program nothing is known.
 */
#include <stdbool.h>

#include "node/conf.h"

#define CONF_DIALECT_BIT(dialect) (1U << (dialect))

struct conf_transport {
	const char *name;
	/* It waits for files to arrive, so it keeps running by itself. */
	bool stays;
	/* With a setting that begins so it waits to be called; or NULL. */
	const char *waits;
	/* Settings of which one at least makes sense of it, then NULL. */
	const char *needs[4];
	/* CONF_DIALECT_BIT of each dialect that it carries. */
	unsigned dialects;
};

/* The row of that name; NULL where it is a program of somebody else's, or
 * name is NULL.  Rows are static. */
const struct conf_transport *conf_transport_find(const char *name);
/* Whether it carries the dialect; any transport that is not known does. */
bool conf_transport_carries(const struct conf_transport *t,
    enum bundle_dialect dialect);

#endif
