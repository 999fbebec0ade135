/* SPDX-License-Identifier: ISC */
/*
 * Dijkstra's algorithm runs from the site that is asked for, back to the peers:
 * links work both ways, so one run gives the distance from every peer, and
 * what is kept is a few roads for each site that was ever asked for, however
 * many peers there are.  It runs again only after a change.
 */
#include "routing/graph.h"

#include "base/map.h"
#include "base/mem.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>

#define FAR UINT64_MAX

struct edge {
	size_t to;
	unsigned cost;
};

struct graph_site {
	char *name;
	size_t index;
	struct edge *edge;
	size_t nedges;
	unsigned peer_cost;		/* 0: no peer */
	bool down;
	bool reached;
	uint64_t as_of;			/* the roads are of this change */
	struct graph_road road[GRAPH_ROADS_MAX];
	size_t nroads;
};

struct graph {
	struct map *by_name;
	struct graph_site **site;
	size_t nsites;
	struct graph_site **peer;
	size_t npeers;
	uint64_t change;
	uint64_t reached_as_of;
};

struct visit {
	uint64_t dist;
	size_t site;
};

struct heap {
	struct visit *at;
	size_t n, cap;
};

static void
heap_push(struct heap *h, uint64_t dist, size_t site)
{
	size_t i = h->n++;

	if (h->n > h->cap) {
		h->cap = h->cap > 0 ? h->cap * 2 : 64;
		h->at = mem_realloc(h->at, h->cap, sizeof(*h->at));
	}
	while (i > 0 && h->at[(i - 1) / 2].dist > dist) {
		h->at[i] = h->at[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	h->at[i] = (struct visit){ dist, site };
}

static struct visit
heap_pop(struct heap *h)
{
	struct visit top = h->at[0], last = h->at[--h->n];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < h->n) {
		if (child + 1 < h->n &&
		    h->at[child + 1].dist < h->at[child].dist)
			child++;
		if (h->at[child].dist >= last.dist)
			break;
		h->at[i] = h->at[child];
		i = child;
	}
	h->at[i] = last;
	return top;
}

struct graph *
graph_new(void)
{
	struct graph *g = mem_alloc(1, sizeof(*g));

	g->by_name = map_new();
	g->change = 1;
	return g;
}

void
graph_free(struct graph *g)
{
	size_t i;

	if (g == NULL)
		return;
	for (i = 0; i < g->nsites; i++) {
		free(g->site[i]->name);
		free(g->site[i]->edge);
		free(g->site[i]);
	}
	free(g->site);
	free(g->peer);
	map_free(g->by_name);
	free(g);
}

struct graph_site *
graph_find(const struct graph *g, const char *name)
{
	return map_get(g->by_name, slice_of(name));
}

struct graph_site *
graph_site(struct graph *g, const char *name)
{
	struct graph_site *site = graph_find(g, name);

	if (site != NULL)
		return site;
	site = mem_alloc(1, sizeof(*site));
	site->name = mem_strdup(name);
	site->index = g->nsites;
	g->site = mem_realloc(g->site, g->nsites + 1,
	    sizeof(struct graph_site *));
	g->site[g->nsites++] = site;
	map_put(g->by_name, slice_of(name), site);
	g->change++;
	return site;
}

const char *
graph_site_name(const struct graph_site *site)
{
	return site->name;
}

bool
graph_site_known(const struct graph_site *site)
{
	return site->peer_cost > 0 || site->nedges > 0;
}

bool
graph_site_is_down(const struct graph_site *site)
{
	return site->down;
}

int
graph_add_peer(struct graph *g, const char *name, unsigned cost,
    struct err *e)
{
	struct graph_site *site;

	if (cost == 0)
		return err_set(e, ERR_CONFIG, "peer %s: the cost must be at "
		    "least 1", name);
	site = graph_site(g, name);
	if (site->peer_cost > 0)
		return err_set(e, ERR_EXISTS, "there are two peers %s", name);
	site->peer_cost = cost;
	g->peer = mem_realloc(g->peer, g->npeers + 1,
	    sizeof(struct graph_site *));
	g->peer[g->npeers++] = site;
	g->change++;
	return 0;
}

static void
add_edge(struct graph_site *from, size_t to, unsigned cost)
{
	from->edge = mem_realloc(from->edge, from->nedges + 1,
	    sizeof(*from->edge));
	from->edge[from->nedges++] = (struct edge){ to, cost };
}

int
graph_add_link(struct graph *g, const char *a, const char *b, unsigned cost,
    struct err *e)
{
	struct graph_site *from, *to;
	size_t i;

	if (cost == 0)
		return err_set(e, ERR_CONFIG, "link %s %s: the cost must be at "
		    "least 1", a, b);
	from = graph_site(g, a);
	to = graph_site(g, b);
	if (from == to)
		return err_set(e, ERR_CONFIG, "a link from %s to itself", a);
	for (i = 0; i < from->nedges; i++)
		if (from->edge[i].to == to->index)
			return err_set(e, ERR_EXISTS,
			    "there are two links between %s and %s", a, b);
	add_edge(from, to->index, cost);
	add_edge(to, from->index, cost);
	g->change++;
	return 0;
}

void
graph_set_down(struct graph *g, const char *peer, bool down)
{
	struct graph_site *site = graph_find(g, peer);

	if (site == NULL || site->down == down)
		return;
	site->down = down;
	g->change++;
}

/* Distances from one site to all; the caller frees them. */
static uint64_t *
distances(const struct graph *g, size_t from)
{
	uint64_t *dist = mem_alloc(g->nsites, sizeof(*dist)), sum;
	struct heap h = { NULL, 0, 0 };
	struct visit v;
	size_t i;

	for (i = 0; i < g->nsites; i++)
		dist[i] = FAR;
	dist[from] = 0;
	heap_push(&h, 0, from);
	while (h.n > 0) {
		const struct graph_site *here;

		v = heap_pop(&h);
		if (v.dist > dist[v.site])
			continue;
		here = g->site[v.site];
		for (i = 0; i < here->nedges; i++) {
			sum = v.dist + here->edge[i].cost;
			if (sum >= dist[here->edge[i].to])
				continue;
			dist[here->edge[i].to] = sum;
			heap_push(&h, sum, here->edge[i].to);
		}
	}
	free(h.at);
	return dist;
}

/* Is a the better road to the site? */
static bool
better(const struct graph_road *a, const struct graph_road *b,
    const struct graph_site *site)
{
	if (a->peer->down != b->peer->down)
		return b->peer->down;
	if (a->cost != b->cost)
		return a->cost < b->cost;
	return a->peer == site;
}

static void
insert_road(struct graph_site *site, struct graph_road road)
{
	size_t i = site->nroads;

	if (i == GRAPH_ROADS_MAX) {
		if (!better(&road, &site->road[i - 1], site))
			return;
		i--;
	} else {
		site->nroads++;
	}
	for (; i > 0 && better(&road, &site->road[i - 1], site); i--)
		site->road[i] = site->road[i - 1];
	site->road[i] = road;
}

size_t
graph_roads(struct graph *g, struct graph_site *site,
    const struct graph_road **road_out)
{
	uint64_t *dist, cost;
	size_t i;

	*road_out = site->road;
	if (site->as_of == g->change)
		return site->nroads;
	site->as_of = g->change;
	site->nroads = 0;
	dist = distances(g, site->index);
	for (i = 0; i < g->npeers; i++) {
		if (dist[g->peer[i]->index] == FAR)
			continue;
		cost = dist[g->peer[i]->index] + g->peer[i]->peer_cost;
		insert_road(site, (struct graph_road){ g->peer[i],
		    cost > UINT_MAX ? UINT_MAX : (unsigned)cost });
	}
	free(dist);
	return site->nroads;
}

/* Walks from all peers at once. */
static void
mark_reached(struct graph *g)
{
	size_t *todo = mem_alloc(g->nsites + 1, sizeof(*todo)), n = 0, i;

	for (i = 0; i < g->nsites; i++) {
		g->site[i]->reached = g->site[i]->peer_cost > 0;
		if (g->site[i]->reached)
			todo[n++] = i;
	}
	while (n > 0) {
		const struct graph_site *here = g->site[todo[--n]];

		for (i = 0; i < here->nedges; i++) {
			struct graph_site *to = g->site[here->edge[i].to];

			if (to->reached)
				continue;
			to->reached = true;
			todo[n++] = to->index;
		}
	}
	free(todo);
	g->reached_as_of = g->change;
}

bool
graph_reaches(struct graph *g, const struct graph_site *site)
{
	if (g->reached_as_of != g->change)
		mark_reached(g);
	return site->reached;
}
