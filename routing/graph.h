/* SPDX-License-Identifier: ISC */
#ifndef ROUTING_GRAPH_H
#define ROUTING_GRAPH_H
/*
 * Sites and the links between them: by which peers a site is reached, and at
 * what cost.  We ourselves are not in the graph; our links are its peers, so
 * that no road found leads back through us.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct graph;
struct graph_site;

struct graph *graph_new(void);
void graph_free(struct graph *g);

/* The site of this name, made where it is new; lives as long as the graph. */
struct graph_site *graph_site(struct graph *g, const char *name);
/* The same, or NULL. */
struct graph_site *graph_find(const struct graph *g, const char *name);
const char *graph_site_name(const struct graph_site *site);
/* Is it a peer, or at the end of a link? (Rules alone make no site known.) */
bool graph_site_known(const struct graph_site *site);
bool graph_site_is_down(const struct graph_site *site);

/* cost: at least 1.  ERR_EXISTS if it is there already. */
int graph_add_peer(struct graph *g, const char *name, unsigned cost,
    struct err *e) MUST_CHECK;
int graph_add_link(struct graph *g, const char *a, const char *b,
    unsigned cost, struct err *e) MUST_CHECK;
void graph_set_down(struct graph *g, const char *peer, bool down);

/* One road: the peer it begins with, and the cost of all of it. */
struct graph_road {
	const struct graph_site *peer;
	unsigned cost;
};
#define GRAPH_ROADS_MAX 8

/* The best roads to a site, one for each peer that leads there, at most
 * GRAPH_ROADS_MAX: peers that are up first, then by cost, then the site itself
 * before others, then as they were added.  road_out lives until the next
 * change of the graph. */
size_t graph_roads(struct graph *g, struct graph_site *site,
    const struct graph_road **road_out);
/* Whether any road leads there, for asking of many sites. */
bool graph_reaches(struct graph *g, const struct graph_site *site);

#endif
