/* SPDX-License-Identifier: ISC */
/*
 * The table.  Every question is a hash lookup, a suffix one for each label of
 * the domain, so that the number of rules does not matter.  All keys are in
 * lower case.  What is decided and why are written by the same steps: the
 * explanation cannot differ from the decision.
 */
#include "routing/table.h"

#include "base/map.h"
#include "base/mem.h"
#include "routing/graph.h"
#include "smtp/address.h"

#include <stdlib.h>

_Static_assert(ROUTING_PEERS_MAX >= GRAPH_ROADS_MAX, "room for all roads");

struct origin {
	const char *file;	/* owned by the table, or NULL */
	unsigned line;
};

struct rule {
	char *pattern;		/* as written */
	struct graph_site *site;
	struct origin origin;
};

struct local {
	size_t delivery;
	struct map *users;	/* NULL: any; the values mean nothing */
	struct origin origin;
};

struct routing {
	char *site;
	struct map *locals;	/* domain: struct local */
	struct local *first;	/* takes postmaster without a domain */
	struct map *rules;	/* pattern: struct rule */
	struct rule **in_order;
	size_t nrules;
	struct graph *graph;
	struct origin origin;
	char **files;		/* names that origins point to */
	size_t nfiles;
	char **names;		/* of deliveries; NULL where there is none */
	size_t nnames;
};

/* What a lookup works on. */
struct question {
	struct routing *t;
	struct slice address;	/* lower case */
	struct slice local, domain;
	struct routing_decision *d;
	struct buf *explain;
};

struct routing *
routing_new(const char *site)
{
	struct routing *t = mem_alloc(1, sizeof(*t));

	t->site = mem_strdup(site);
	t->locals = map_new();
	t->rules = map_new();
	t->graph = graph_new();
	return t;
}

static void
free_locals(struct map *locals)
{
	struct slice key;
	size_t pos = 0;
	void *value;

	while (map_next(locals, &pos, &key, &value)) {
		struct local *local = value;

		if (local->users != NULL)
			map_free(local->users);
		free(local);
	}
	map_free(locals);
}

void
routing_free(struct routing *t)
{
	size_t i;

	if (t == NULL)
		return;
	free_locals(t->locals);
	map_free(t->rules);
	for (i = 0; i < t->nrules; i++) {
		free(t->in_order[i]->pattern);
		free(t->in_order[i]);
	}
	free(t->in_order);
	for (i = 0; i < t->nfiles; i++)
		free(t->files[i]);
	free(t->files);
	for (i = 0; i < t->nnames; i++)
		free(t->names[i]);
	free(t->names);
	graph_free(t->graph);
	free(t->site);
	free(t);
}

void
routing_set_origin(struct routing *t, const char *file, unsigned line)
{
	t->origin = (struct origin){ NULL, line };
	if (file == NULL)
		return;
	if (t->nfiles == 0 || strcmp(t->files[t->nfiles - 1], file) != 0) {
		t->files = mem_realloc(t->files, t->nfiles + 1, sizeof(char *));
		t->files[t->nfiles++] = mem_strdup(file);
	}
	t->origin.file = t->files[t->nfiles - 1];
}

static char *
lower_dup(const char *text)
{
	char *copy = mem_strdup(text);

	ascii_lower(copy, strlen(copy));
	return copy;
}

static char *
lower_plain(const char *address)
{
	char *plain = address_plain(address);

	ascii_lower(plain, strlen(plain));
	return plain;
}

/* The part of an address before the @, as such a key has it. */
static char *
lower_plain_user(const char *user)
{
	char *address = mem_printf("%s@", user), *plain = lower_plain(address);

	free(address);
	*strrchr(plain, '@') = '\0';
	return plain;
}

/* " (FILE:LINE)", or nothing. */
static void
add_origin(struct buf *out, struct origin origin)
{
	if (origin.file != NULL)
		buf_addf(out, " (%s:%u)", origin.file, origin.line);
}

static int
exists(struct err *e, const char *what, const char *pattern,
    struct origin origin)
{
	if (origin.file == NULL)
		return err_set(e, ERR_EXISTS, "%s %s already", pattern, what);
	return err_set(e, ERR_EXISTS, "%s %s already, at %s:%u", pattern, what,
	    origin.file, origin.line);
}

int
routing_add_local(struct routing *t, const char *domain, size_t delivery,
    struct err *e)
{
	char *key = lower_dup(domain);
	struct local *local = map_get(t->locals, slice_of(key));
	const struct rule *rule = map_get(t->rules, slice_of(key));
	int rc = 0;

	if (local != NULL) {
		rc = exists(e, "is local", domain, local->origin);
	} else if (rule != NULL) {
		rc = exists(e, "is routed", domain, rule->origin);
	} else {
		local = mem_alloc(1, sizeof(*local));
		local->delivery = delivery;
		local->origin = t->origin;
		map_put(t->locals, slice_of(key), local);
		if (t->first == NULL)
			t->first = local;
	}
	free(key);
	return rc;
}

void
routing_name_delivery(struct routing *t, size_t delivery, const char *name)
{
	if (delivery >= t->nnames) {
		t->names = mem_realloc(t->names, delivery + 1, sizeof(char *));
		while (t->nnames <= delivery)
			t->names[t->nnames++] = NULL;
	}
	free(t->names[delivery]);
	t->names[delivery] = mem_strdup(name);
}

int
routing_add_user(struct routing *t, const char *domain, const char *user,
    struct err *e)
{
	char *key = lower_dup(domain), *name = lower_plain_user(user);
	struct local *local = map_get(t->locals, slice_of(key));
	int rc = 0;

	if (local == NULL) {
		rc = err_set(e, ERR_NOT_FOUND, "%s is not local", domain);
	} else {
		if (local->users == NULL)
			local->users = map_new();
		map_put(local->users, slice_of(name), local);
	}
	free(key);
	free(name);
	return rc;
}

/* The local domain that a pattern lies in, or NULL. */
static const struct local *
local_of(const struct routing *t, const char *key)
{
	const char *at = strrchr(key, '@');

	return map_get(t->locals, slice_of(at != NULL ? at + 1 : key));
}

static int
add_rule(struct routing *t, const char *pattern, const char *key,
    const char *site, struct err *e)
{
	const struct rule *old = map_get(t->rules, slice_of(key));
	const struct local *local = local_of(t, key);
	struct rule *rule;

	if (strcmp(site, t->site) == 0) {
		if (local != NULL)
			return 0;
		return err_set(e, ERR_CONFIG, "%s is routed to this site "
		    "itself, but no delivery has it", pattern);
	}
	if (local != NULL && strchr(key, '@') == NULL)
		return exists(e, "is local", pattern, local->origin);
	if (old != NULL)
		return exists(e, "is routed", pattern, old->origin);
	rule = mem_alloc(1, sizeof(*rule));
	rule->pattern = mem_strdup(pattern);
	rule->site = graph_site(t->graph, site);
	rule->origin = t->origin;
	map_put(t->rules, slice_of(key), rule);
	if ((t->nrules & (t->nrules - 1)) == 0)
		t->in_order = mem_realloc(t->in_order,
		    t->nrules > 0 ? t->nrules * 2 : 1, sizeof(struct rule *));
	t->in_order[t->nrules++] = rule;
	return 0;
}

int
routing_add_rule(struct routing *t, const char *pattern, const char *site,
    struct err *e)
{
	char *key;
	int rc;

	rc = routing_pattern_check(pattern, e);
	if (rc < 0)
		return rc;
	key = lower_plain(pattern);
	rc = add_rule(t, pattern, key, site, e);
	free(key);
	return rc;
}

static int
not_ourselves(const struct routing *t, const char *site, struct err *e)
{
	if (strcmp(site, t->site) != 0)
		return 0;
	return err_set(e, ERR_CONFIG, "%s is this site itself: its links are "
	    "its peers", site);
}

int
routing_add_peer(struct routing *t, const char *peer, unsigned cost,
    struct err *e)
{
	int rc = not_ourselves(t, peer, e);

	return rc < 0 ? rc : graph_add_peer(t->graph, peer, cost, e);
}

int
routing_add_link(struct routing *t, const char *a, const char *b,
    unsigned cost, struct err *e)
{
	int rc = not_ourselves(t, a, e);

	if (rc == 0)
		rc = not_ourselves(t, b, e);
	return rc < 0 ? rc : graph_add_link(t->graph, a, b, cost, e);
}

void
routing_set_down(struct routing *t, const char *peer, bool down)
{
	graph_set_down(t->graph, peer, down);
}

static void
tell_rule(const struct rule *rule, bool known,
    void (*told)(void *ctx, const char *text), void *ctx)
{
	struct buf text = BUF_INIT;

	if (rule->origin.file != NULL)
		buf_addf(&text, "%s:%u: ", rule->origin.file,
		    rule->origin.line);
	buf_addf(&text, "%s is routed to site %s, ", rule->pattern,
	    graph_site_name(rule->site));
	buf_adds(&text, known ? "which no link or peer leads to" :
	    "which is neither a peer nor named in a link");
	told(ctx, buf_cstr(&text));
	buf_release(&text);
}

size_t
routing_check(struct routing *t, void (*told)(void *ctx, const char *text),
    void *ctx)
{
	size_t i, n = 0;

	for (i = 0; i < t->nrules; i++) {
		const struct rule *rule = t->in_order[i];

		if (graph_reaches(t->graph, rule->site))
			continue;
		n++;
		if (told != NULL)
			tell_rule(rule, graph_site_known(rule->site), told,
			    ctx);
	}
	return n;
}

/* Adds a line of words; %.*s of slices come from the question. */
static void __attribute__((format(printf, 2, 3)))
say(struct question *q, const char *fmt, ...)
{
	va_list ap;

	if (q->explain == NULL)
		return;
	va_start(ap, fmt);
	buf_vaddf(q->explain, fmt, ap);
	va_end(ap);
}

static void
say_delivery(struct question *q, size_t delivery)
{
	const struct routing *t = q->t;

	if (delivery < t->nnames && t->names[delivery] != NULL)
		say(q, "delivery %s\n", t->names[delivery]);
	else
		say(q, "delivery %zu\n", delivery);
}

static void
say_origin(struct question *q, struct origin origin)
{
	if (q->explain != NULL)
		add_origin(q->explain, origin);
}

static bool
has_user(const struct local *local, struct slice user)
{
	const char *plus;

	if (slice_eqs(user, "postmaster"))
		return true;
	if (map_get(local->users, user) != NULL)
		return true;
	plus = memchr(user.ptr, '+', user.len);
	if (plus == NULL)
		return false;
	user.len = (size_t)(plus - user.ptr);
	return map_get(local->users, user) != NULL;
}

static void
decide_local(struct question *q, const struct local *local)
{
	q->d->delivery = local->delivery;
	q->d->kind = ROUTING_LOCAL;
	if (local->users == NULL) {
		say(q, "no users are listed: any is taken\n");
	} else if (has_user(local, q->local)) {
		say(q, "user %.*s is taken\n", (int)q->local.len,
		    q->local.ptr);
	} else {
		q->d->kind = ROUTING_UNKNOWN_USER;
		say(q, "user %.*s is not listed: refused, 550 5.1.1\n",
		    (int)q->local.len, q->local.ptr);
	}
}

static void
say_roads(struct question *q, const struct graph_road *road, size_t n)
{
	size_t i;

	say(q, "site %s: via ", q->d->site);
	for (i = 0; i < n; i++) {
		if (i > 0)
			say(q, "%s", i == 1 ? "; alternates: " : ", ");
		say(q, "%s at cost %u", graph_site_name(road[i].peer),
		    road[i].cost);
		if (strcmp(graph_site_name(road[i].peer), q->d->site) == 0)
			say(q, " (a peer)");
		if (graph_site_is_down(road[i].peer))
			say(q, " (down)");
	}
	say(q, "\n");
}

static void
decide_site(struct question *q, struct graph_site *site)
{
	const struct graph_road *road;
	size_t i, n = graph_roads(q->t->graph, site, &road);

	q->d->site = graph_site_name(site);
	if (n == 0) {
		q->d->kind = ROUTING_UNREACHABLE;
		say(q, "site %s: no peer or link leads there: the mail waits\n",
		    q->d->site);
		return;
	}
	q->d->kind = ROUTING_SITE;
	q->d->npeers = n;
	for (i = 0; i < n; i++) {
		q->d->peer[i] = graph_site_name(road[i].peer);
		q->d->cost[i] = road[i].cost;
	}
	say_roads(q, road, n);
}

/* Looks one pattern up; `what` names it in the explanation. */
static bool
try_rule(struct question *q, const char *what, struct slice key)
{
	const struct rule *rule = map_get(q->t->rules, key);

	if (rule == NULL) {
		say(q, "%s %.*s: no rule\n", what, (int)key.len, key.ptr);
		return false;
	}
	say(q, "%s %.*s matches", what, (int)key.len, key.ptr);
	say_origin(q, rule->origin);
	say(q, ": site %s\n", graph_site_name(rule->site));
	decide_site(q, rule->site);
	return true;
}

static bool
try_local(struct question *q)
{
	const struct local *local = map_get(q->t->locals, q->domain);

	if (local == NULL)
		return false;
	say(q, "domain %.*s is local", (int)q->domain.len, q->domain.ptr);
	say_origin(q, local->origin);
	say(q, ": ");
	say_delivery(q, local->delivery);
	decide_local(q, local);
	return true;
}

static bool
try_suffixes(struct question *q)
{
	struct slice s = q->domain;
	const char *dot;

	while (s.len > 1 &&
	    (dot = memchr(s.ptr + 1, '.', s.len - 1)) != NULL) {
		s.len -= (size_t)(dot - s.ptr);
		s.ptr = dot;
		if (try_rule(q, "suffix", s))
			return true;
	}
	return false;
}

static void
decide(struct question *q)
{
	if (q->domain.len == 0) {
		if (slice_eqs(q->address, "postmaster") &&
		    q->t->first != NULL) {
			say(q, "postmaster without a domain: ");
			say_delivery(q, q->t->first->delivery);
			q->d->kind = ROUTING_LOCAL;
			q->d->delivery = q->t->first->delivery;
		} else {
			say(q, "no domain: refused, 550 5.7.1\n");
		}
		return;
	}
	if (try_rule(q, "address", q->address) || try_local(q) ||
	    try_rule(q, "domain", q->domain) || try_suffixes(q) ||
	    try_rule(q, "default", SLICE_LIT("*")))
		return;
	say(q, "neither local nor routed: refused, 550 5.7.1\n");
}

void
routing_lookup(struct routing *t, const char *address,
    struct routing_decision *d_out, struct buf *explain)
{
	char *key = lower_plain(address), *at = strrchr(key, '@');
	struct question q = { .t = t, .d = d_out, .explain = explain };

	memset(d_out, 0, sizeof(*d_out));
	d_out->kind = ROUTING_NONE;
	q.address = slice_of(key);
	q.local = q.address;
	q.domain = slice_of(at != NULL ? at + 1 : "");
	if (at != NULL)
		q.local.len = (size_t)(at - key);
	decide(&q);
	free(key);
}

void
routing_site(struct routing *t, const char *site,
    struct routing_decision *d_out, struct buf *explain)
{
	struct question q = { .t = t, .d = d_out, .explain = explain };
	struct graph_site *at = graph_find(t->graph, site);

	memset(d_out, 0, sizeof(*d_out));
	d_out->kind = ROUTING_NONE;
	if (strcmp(site, t->site) == 0)
		say(&q, "site %s: this is it\n", site);
	else if (at == NULL)
		say(&q, "site %s: not known\n", site);
	else
		decide_site(&q, at);
}
