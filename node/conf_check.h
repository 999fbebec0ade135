/* SPDX-License-Identifier: ISC */
#ifndef NODE_CONF_CHECK_H
#define NODE_CONF_CHECK_H
/*
 * What one key has to do with another: checks across a whole configuration,
 * the defaults that follow from other keys, and the routing table.
 */
#include "node/conf.h"
#include "node/conf_parse.h"

/* A configuration as it is read, with the statements that its parts came
 * from: item i of an array of conf is node i of the array here. */
struct conf_draft {
	struct conf *conf;
	const struct conf_node *site;
	const struct conf_node **listener, **delivery, **peer;
	struct conf_faults *faults;
};

/* Fills what has no value yet. */
void conf_complete(struct conf_draft *draft);
/* Tells faults and builds conf->routing. */
void conf_check(struct conf_draft *draft);

#endif
