/* SPDX-License-Identifier: ISC */
#ifndef NODE_CONF_LANE_H
#define NODE_CONF_LANE_H
/*
 * The transports of a peer.  Most have one, which the section of the peer
 * describes itself; where it has sections `transport` in it, each is one, in
 * the order in which they are tried.  Behind conf_lanes_complete there is no
 * difference any more: a peer has an array of them.
 */
#include "node/conf_check.h"

#define CONF_LANES_MAX 8
#define CONF_LANE_SECTION "transport"

/* Reads the sections in the peer's node, if there are any. */
void conf_lanes_read(struct conf_draft *draft, struct conf_peer *peer,
    const struct conf_node *node);
/* Fills what has no value yet; then peer has one at least. */
void conf_lanes_complete(struct conf_peer *peer,
    const struct conf_node *node);
/* Tells faults of all transports of peer number n. */
void conf_lanes_check(struct conf_draft *draft, size_t n);
void conf_lanes_release(struct conf_peer *peer);
/* By name; NULL: there is none. */
const struct conf_lane *conf_find_lane(const struct conf_peer *peer,
    const char *name);
/* The folder that the transport of this name has to itself, "": in/; the
 * caller makes it, and frees. */
char *conf_in_dir(const struct conf *conf, const char *peer, const char *lane);
/* Of the folder of a peer; no transport's: theirs begin with "in". */
#define CONF_MAILED "mailed"
/* Where the listener writes what the peer mails: in in/ a transport that goes
 * beyond its bounds would take it along.  The caller frees. */
char *conf_mailed_dir(const struct conf *conf, const char *peer);

/* conf_check.c, for other checks. */
/* The line of a key, or of its section where the key is not set. */
unsigned conf_line_of(const struct conf_node *section, const char *key);
unsigned conf_item_line(const struct conf_node *section, const char *key,
    size_t i);
/* A delivery to one of our own listeners would go round for ever. */
void conf_check_not_ours(struct conf_draft *draft, const char *target,
    unsigned line);

#endif
