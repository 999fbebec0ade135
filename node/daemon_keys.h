/* SPDX-License-Identifier: ISC */
#ifndef NODE_DAEMON_KEYS_H
#define NODE_DAEMON_KEYS_H
/* The keys of the daemon: its own, and what it knows of its peers'. */
#include "node/daemon.h"

/* Opens the keys, and the serials beside them; a site without native peers
 * may have none.  ERR_CONFIG: there are none, and a native peer is
 * configured; else what keys_open says. */
int daemon_keys_open(struct daemon *d, struct err *e) MUST_CHECK;
/* Whether a configuration that was read again needs keys that the daemon does
 * not have. */
bool daemon_keys_missing(const struct daemon *d, const struct conf *conf);
/* Gives the exchange the cards of the directory of cards; at the start, and
 * after a reload.  What is wrong with one is logged. */
void daemon_keys_cards(struct daemon *d);

#endif
